"""Sweeps: what is accepted, what is refused with its line, and the specs of their trials."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from pairmill.errors import SpecError
from pairmill.spec.load import LoadedSpec, load, loads
from pairmill.spec.sweep import Draw
from pairmill.spec.trials import grid, most_trials, read, seed_paths, shared_steps, trial_document, whole, written
from pairmill.sweep.specs import text_of

TRAIN = """kind: sweep
name: x
trial: {kind: train, model: {package: m}, data: [{name: a, run: r, holdout: 9}], steps: 9, evaluate: {steps: 3}}
objective: {held_out: accuracy}
"""
SPACE = TRAIN + "space:\n  optimizer.lr: {log_uniform: [1e-5, 1e-3]}\n"
PIPELINE = """kind: sweep
name: x
trial:
  kind: pipeline
  steps:
    - {name: curate, spec: {kind: curate, inputs: [{name: a, format: jsonl, path: y}]}}
    - {name: select, spec: {kind: curate, inputs: [{run: "${steps.curate}"}]}}
    - {name: train, spec: {kind: train, model: {package: m}, data: [{name: a, run: "${steps.select}"}], steps: 9}}
    - name: evaluate
      spec:
        kind: evaluate
        model: {run: "${steps.train}"}
        tasks: [{name: t, type: sts, path: "${env:DATA:-d}/t.csv"}]
objective: {metric: tasks.t.main_score}
"""
CLAIMS = (
    PIPELINE
    + """variants:
  plain: {}
  hot: {steps.train.spec.objective: {name: contrastive, temperature: 1.0}}
  other: {steps.evaluate.spec.tasks.t.path: "${env:OTHER:-o}/t.csv"}
seeds: [1, 2, 3]
claims:
  - {text: Hot is better., better: hot, than: plain}
"""
)


def refusal(text: str, *sets: str) -> str:
    with pytest.raises(SpecError) as caught:
        loads(text, "jobs/x.yaml", sets)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (SPACE.replace("optimizer.lr", "optimizer.rl"), ["x.yaml:6", "space.optimizer.rl", "Did you mean 'lr'?"]),
        (SPACE.replace("1e-5", "0"), ["space.optimizer.lr", "0 has no logarithm"]),
        (SPACE.replace("[1e-5, 1e-3]", "[1, 0.1]"), ["1 is not below 0.1"]),
        (SPACE.replace("]}", "], choice: [1]}"), ["found choice and log_uniform", "write one"]),
        (SPACE.replace("log_uniform: [1e-5, 1e-3]", "choice: [1e-3, -1]"), ["jobs/x.yaml:6", "optimizer.lr", "-1"]),
        (SPACE.replace("]}", "], when: {batch_size: [8]}}"), ["batch_size does not stand before it"]),
        (SPACE + "search: grid\n", ["search: grid needs a list of values, or a `step`"]),
        (SPACE + "search: annealing\n", ["jobs/x.yaml:7: search:", "random", "grid", "optuna"]),
        (TRAIN, ["found neither of space and variants"]),
        (SPACE + "variants: {a: {}}\n", ["found both of space and variants"]),
        (TRAIN + "variants: {a: {}}\ntrials: 3\n", ["leave out search, seed, trials and prune"]),
        (SPACE + "seeds: [1, 1]\n", ["one stands twice"]),
        (SPACE.replace("held_out: accuracy", "metric: a.b") + "prune: {}\n", ["set objective.held_out"]),
        (SPACE.replace("held_out: accuracy", "mode: max"), ["found neither of metric and held_out"]),
        (SPACE.replace("held_out: accuracy", "metric: a, step: b"), ["jobs/x.yaml:4", "has no steps: leave it out"]),
        (SPACE.replace("kind: train", "kind: sweep"), ["jobs/x.yaml:3: trial:", "any kind but sweep"]),
        (SPACE.replace("package: m", "packag: m"), ["jobs/x.yaml:3", "trial.model.packag"]),
        (CLAIMS.replace("better: hot", "better: hit"), ["'hit' is no variant", "plain, hot, other"]),
        (CLAIMS.replace("[1, 2, 3]", "[1, 2]"), ["claims: need 3 seeds or more"]),
        (CLAIMS.replace("temperature: 1.0", "temperature: -1"), ["jobs/x.yaml:17: variants.hot", "temperature"]),
        (CLAIMS.replace("main_score}", "main_score, step: teach}"), ["'teach' is no step", "curate, select, train"]),
        (CLAIMS.replace("metric: tasks.t.main_score", "held_out: loss, step: select"), ["select trains nothing"]),
    ],
)
def test_a_wrong_sweep_is_refused_with_its_place_and_what_is_allowed(text: str, parts: list[str]) -> None:
    told = refusal(text)
    assert [part for part in parts if part not in told] == [], told


def test_a_trial_may_be_a_file_beside_the_sweep_and_be_changed_by_set(tmp_path: Path) -> None:
    document = yaml.safe_load(SPACE)
    (tmp_path / "train.yaml").write_text(yaml.safe_dump({**document.pop("trial"), "name": "tiny"}))
    sweep = tmp_path / "sweep.yaml"
    sweep.write_text(yaml.safe_dump({**document, "file": "train.yaml"}))
    loaded = load(str(sweep), ["trial.steps=12"])
    assert loaded.spec.trial["steps"] == 12 and loaded.spec.trial["name"] == "tiny"
    assert loaded.public["trial"] == loaded.spec.trial and "file" not in loaded.public
    sent = loads(whole(sweep.read_text(), str(sweep)), "elsewhere/sweep.yaml")
    assert sent.spec.trial["name"] == "tiny" and whole(SPACE, "x") == SPACE
    assert "steps" in refusal(sweep.read_text().replace("train.yaml", str(tmp_path / "train.yaml")), "trial.steps=x")
    assert "cannot be read: No such file" in refusal(sweep.read_text().replace("train.yaml", "none.yaml"))
    assert "found both of trial and file" in refusal(SPACE + "file: train.yaml\n")


def made(loaded: LoadedSpec, values: dict[str, Any], seed: int | None = None) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(text_of(loaded.document, loaded.spec, values, seed))
    return found


def test_a_trials_spec_has_its_values_its_seed_and_the_references_as_they_were_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DATA", "/secret/data")
    monkeypatch.setenv("OTHER", "/secret/other")
    loaded = loads(CLAIMS, "x.yaml")
    path = "steps.evaluate.spec.tasks.t.path"
    plain, hot, other = (made(loaded, values, 2)["steps"] for values in loaded.spec.variants.values())
    assert [steps[2]["spec"]["seed"] for steps in (plain, hot, other)] == [2, 2, 2]
    assert "objective" not in plain[2]["spec"] and hot[2]["spec"]["objective"]["temperature"] == 1.0
    assert plain[3]["spec"]["tasks"][0]["path"] == "${env:DATA:-d}/t.csv"
    assert other[3]["spec"]["tasks"][0]["path"] == "${env:OTHER:-o}/t.csv"
    assert trial_document(loaded.document, {path: "z"}).references == {}
    assert "/secret" not in str(loaded.public) and "/secret" not in text_of(loaded.document, loaded.spec, {}, None)
    assert made(loaded, {})["name"] == "x"


def test_values_are_recorded_with_their_references_and_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTHER", "/secret/other")
    key, size = "model.package", "data.0.limit"
    space = SPACE.replace("optimizer.lr", key).replace("log_uniform: [1e-5, 1e-3]", 'choice: [m, "${env:OTHER}"]')
    entry = '{choice: [[{name: a, run: "${env:OTHER}", holdout: 9}], [{name: b, run: r, holdout: 9}]]}'
    space += f"  data: {entry}\n  {size}: {{choice: [5]}}\n"
    loaded = loads(space, "x.yaml")
    for number, reference in ((0, "r"), (1, "${env:OTHER}")):
        drawn = {key: ["m", "/secret/other"][number], "data": loaded.spec.space["data"].values[1 - number], size: 5}
        told = written(loaded.document, drawn)
        assert "/secret" not in str(told) and told["data"][0]["run"] == reference
        assert read(loaded.document, told) == drawn and read(loaded.document, drawn) == drawn
    (variant,) = (one for one in loads(CLAIMS, "x.yaml").spec.variants.values() if "/secret" in str(one))
    document = loads(CLAIMS, "x.yaml").document
    assert read(document, written(document, variant)) == variant != written(document, variant)


def test_a_value_is_written_after_the_one_that_it_is_a_part_of() -> None:
    loaded = loads(SPACE, "x.yaml")
    for order in (1, -1):
        values = dict(
            [("objective.temperature", 0.1), ("objective", {"name": "contrastive", "temperature": 0.5})][::order]
        )
        assert made(loaded, values)["objective"] == {"name": "contrastive", "temperature": 0.1}


def test_the_spec_that_a_run_records_is_the_same_sweep() -> None:
    loaded = loads(CLAIMS, "x.yaml")
    again = loads(loaded.yaml(), "spec.yaml")
    assert again.spec == loaded.spec


def test_a_claim_on_the_objective_may_be_of_another_step() -> None:
    evaluated = CLAIMS.replace("than: plain}", "than: plain, step: evaluate}")
    spec = loads(evaluated, "x.yaml").spec
    assert spec.objective_of(spec.claims[0]).step == "evaluate"


def test_a_grid_has_every_combination_and_leaves_out_what_a_condition_leaves_out() -> None:
    space = {
        "a": Draw(choice=[None, {"rank": 8}]),
        "b": Draw(int=(8, 24), step=8, when={"a": [{"rank": 8}]}),
        "c": Draw(grid=["x", "y"]),
    }
    lora = {"rank": 8}
    assert list(grid(space)) == [
        {"a": None, "c": "x"},
        {"a": None, "c": "y"},
        *({"a": lora, "b": b, "c": c} for b in (8, 16, 24) for c in ("x", "y")),
    ]
    assert Draw(uniform=(0, 1), step=0.1).values == pytest.approx([number / 10 for number in range(11)])


def test_the_number_of_trials_is_known_before() -> None:
    assert most_trials(loads(SPACE, "x").spec) == 20
    assert most_trials(loads(SPACE + "trials: 3\n", "x").spec) == 3
    assert most_trials(loads(CLAIMS, "x").spec) == 3
    listed = SPACE.replace("log_uniform: [1e-5, 1e-3]", "uniform: [0.1, 0.5], step: 0.1") + "search: grid\n"
    assert [most_trials(loads(listed + more, "x").spec) for more in ("", "trials: 2\n")] == [5, 2]


def test_steps_are_shared_up_to_the_first_one_that_a_value_or_a_seed_concerns() -> None:
    def shared(path: str, seeds: str = "") -> set[str]:
        return shared_steps(loads(f"{PIPELINE}{seeds}space:\n  {path}: {{choice: [off]}}\n", "x").spec)

    assert shared("steps.select.spec.filters.rules.length_ratio") == {"curate"}
    assert shared("steps[0].spec.dedup.near") == set()
    assert shared("steps.evaluate.spec.leaks") == {"curate", "select", "train"}
    assert shared("steps.evaluate.spec.leaks", "seeds: [1]\n") == {"curate", "select"}


def test_seeds_go_to_every_training_or_where_they_are_told() -> None:
    loaded = loads(CLAIMS, "x")
    assert seed_paths(loaded.spec) == ["steps.train.spec.seed"]
    assert seed_paths(loads(SPACE, "x", ["seeds=[1]"]).spec) == ["seed"]
    assert "sede: unknown key. Did you mean 'seed'?" in refusal(SPACE, "seeds=[1]", "seed_paths=[sede]")
    untrained = TRAIN.replace(
        "{kind: train, model: {package: m}, data: [{name: a, run: r, holdout: 9}], steps: 9, ", "{"
    )
    untrained = untrained.replace("evaluate: {steps: 3}", "kind: embed, model: {package: m}, data: [{name: a, run: r}]")
    untrained = untrained.replace("held_out: accuracy", "metric: rows") + "variants: {a: {}}\n"
    assert "Name `seed_paths`, or leave seeds out" in refusal(untrained, "seeds=[1]")
