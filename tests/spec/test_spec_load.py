"""Specs: what is accepted, what is refused, and what the refusal says."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from pairmill.errors import SpecError
from pairmill.spec.load import load, loads, schema

TRAIN = "kind: train\nname: x\nmodel: {package: m}\nsteps: 9\ndata:\n  - {name: a, run: r}\n"
PIPELINE = """kind: pipeline
name: x
steps:
  - {name: first, spec: {kind: curate, inputs: [{name: a, format: jsonl, path: y}]}}
  - name: second
    spec:
      kind: train
      model: {package: m}
      data: [{name: a, run: "${steps.first}"}]
      steps: 9
"""
BASE = "kind: curate\nname: x\ninputs:\n  - {name: a, format: jsonl, path: data/*.jsonl}\n"


def refusal(text: str, *sets: str) -> str:
    with pytest.raises(SpecError) as caught:
        loads(text, "jobs/x.yaml", sets)
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_kind_name_and_inputs_alone_are_a_valid_spec():
    spec = loads(BASE, "x").spec
    assert spec.dedup.near is not None and spec.dedup.near.threshold == 0.8
    assert spec.filters.preset == "bitext"


def test_boilerplate_keeps_lines_unless_told_otherwise():
    text = BASE.replace("path:", "columns: {url: u}, path:") + "clean: {boilerplate: on}\n"
    assert loads(text, "x").spec.clean.whitespace == "lines"
    assert loads(text, "x", ["clean.boilerplate=off"]).spec.clean.whitespace == "collapse"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (
            BASE + "dedup:\n  near: {threshold: 1.3}\n",
            ["jobs/x.yaml:6", "dedup.near.threshold", "1.3", "(0, 1]", "Typical"],
        ),
        (
            BASE + "dedup:\n  naer: {}\n",
            ["jobs/x.yaml:6", "dedup.naer", "unknown key", "'near'", "against, exact, near"],
        ),
        (
            BASE + "filters: {rules: {length_ratoi: 3}}\n",
            ["filters.rules.length_ratoi", "'length_ratio'", "Allowed: empty"],
        ),
        (BASE + "filters: {per_language: {zh: {min_char: 2}}}\n", ["filters.per_language.zh.min_char", "'min_chars'"]),
        (BASE + "filters: {per_language: {zx: {min_chars: 2}}}\n", ["zx", "BCP-47"]),
        (
            BASE + "filters: {rules: {script: {mx: 1}}}\n",
            ["filters.rules.script.mx", "unknown key", "Allowed: enabled, max, min"],
        ),
        (BASE + "language: {engine: fastext}\n", ["language.engine", "'fastext'", "'fasttext'", "langdetect"]),
        (BASE + "resources: {memory_per_task: 1 lot}\n", ["resources.memory_per_task", "not a size", "1GB"]),
        (BASE + "dedup: {near: {bands: 32}}\n", ["dedup.near", "bands x rows = 256", "128"]),
        (BASE + "dedup: {near: {keep: {best: lenght}}}\n", ["keep", "lenght", "allowed: score"]),
        (
            BASE.replace("path:", "columns: {url: u}, path:") + "clean: {boilerplate: on, whitespace: collapse}\n",
            ["jobs/x.yaml:5", "clean", "boilerplate looks at lines", "whitespace: lines"],
        ),
        (BASE + "clean: {boilerplate: on}\n", ["clean.boilerplate", "no input has one", "columns: {url: ..}"]),
        (BASE + "decontaminate: {against: [x]}\n", ["decontaminate.against[0]", "`format` is missing"]),
        (BASE + "decontaminate: {against: [x.jsonl], ngrams: 8}\n", ["decontaminate.ngrams", "'ngram'"]),
        (BASE.replace("jsonl,", "warc, builder: wikipedia,"), ["inputs[0].builder", "no pairs of pages", "title-body"]),
        (
            BASE.replace("jsonl,", "html, builder: {name: faq, html: x},"),
            ["inputs[0].builder", "'x'", "leave out `html`"],
        ),
        (BASE.replace("jsonl,", "jsonl, builder: news, columns: {anchor: a},"), ["inputs[0]", "news", "`columns`"]),
        (BASE.replace("jsonl,", "jsonl, builder: {name: news, titel: a},"), ["inputs[0].builder.titel", "'title'"]),
        (BASE.replace("jsonl,", "jsonlines,"), ["inputs[0]", "'jsonlines'", "'jsonl'", "moses"]),
        (BASE.replace("format: jsonl, ", ""), ["inputs[0]", "`format` is missing", "gettext"]),
        (BASE.replace("path", "pth"), ["inputs[0].path", "missing", "inputs[0].pth", "unknown key", "'path'"]),
        (BASE.replace("kind: curate", "kind: curat"), ["kind", "'curat'", "'curate'"]),
        (BASE + "  - {name: a, format: jsonl, path: y}\n", ["inputs", "'a'", "unique"]),
        (BASE.replace("jsonl, path: data/*.jsonl", "moses, path: c.en"), ["inputs[0].path", "brace", "{en,de}"]),
        (BASE.replace("jsonl, path: data/*.jsonl", "gettext"), ["inputs[0]", "path", "packages"]),
        (
            TRAIN + "objective: {weight: 2}\n",
            ["x.yaml:7: objective:", "`name` is missing", "Allowed: contrastive,"],
        ),
        (TRAIN + "objective: contrstive\n", ["objective", "'contrstive'", "'contrastive'", "clft"]),
        (TRAIN + "objective: 3\n", ["objective", "found 3", "with `name`, one of contrastive"]),
        (TRAIN + "objective: {name: contrastive, temperature: 0}\n", ["objective.temperature", "(0, inf)"]),
        (TRAIN + "matryoshka: {dims: [0]}\n", ["matryoshka.dims[0]", "0 is not in [1, inf)"]),
        (TRAIN + "teacher: first\n", ["teacher", "'first'", "path, package, run", "`initial`"]),
        (TRAIN + "objective: {name: clft, teacher_side: anchor}\n", ["data: a", "`teacher`", "`initial`"]),
        (TRAIN.replace("{package: m}", "m"), ["model", "'m'", "mapping of path, package, run"]),
        (TRAIN.replace("  - {name: a, run: r}", "  {name: a, run: r}"), ["data", "write a list"]),
        (TRAIN.replace("run: r", "run: r, hold_out: 5"), ["data[0].hold_out", "'holdout'"]),
        (TRAIN.replace("run: r", "input: {path: x}"), ["data[0].input", "`format` is missing", "parquet"]),
        (
            TRAIN.replace("train", "pretrain").replace("run: r", "run: r, hold_out: 5"),
            ["data[0].hold_out", "Allowed: batch_size, holdout, input, languages, limit, name, run, sources, weight."],
        ),
        (PIPELINE + "      optimizer: {lrr: 1}\n", ["jobs/x.yaml:11: steps[1].spec.optimizer.lrr", "'lr'"]),
        (PIPELINE.replace("kind: train", "name: y"), ["steps[1].spec.kind: is missing"]),
        (PIPELINE.replace("steps.first", "steps.frist"), ["steps[1].spec.data[0].run", "Earlier steps: first"]),
        (BASE + "dedup: {near: {keep: {}}}\n", ["dedup.near", "names no column"]),
        (BASE + "filters: {rules: {letters: {min: 2, max: 1}}}\n", ["filters.rules.letters", "above max"]),
        (BASE + "filters: {rules: {letters: {max: .nan}}}\n", ["filters.rules.letters.max"]),
        (BASE + "expect: {kept_share: {min: 0.9, max: 0.1}}\n", ["expect.kept_share", "above max"]),
        (BASE + f"resources: {{shard_size: {'9' * 400}GB}}\n", ["resources.shard_size", "machine"]),
        (BASE.replace("data/*.jsonl", "''"), ["inputs[0].path"]),
        (BASE.replace("jsonl, path: data/*.jsonl", "gettext, packages: []"), ["inputs[0].packages"]),
        (BASE.replace("jsonl, path:", "csv, quote: ',', path:"), ["inputs[0]", "must differ"]),
        (BASE.replace("jsonl, path:", "csv, header: [], path:"), ["inputs[0]", "header"]),
        (BASE.replace("kind: curate", "kind: [curate]"), ["kind", "Allowed: curate"]),
        ("a: " + "[" * 5000, ["too deep"]),
        ("", ["empty"]),
        ("- 1\n", ["mapping"]),
        ("kind: [\n", ["not valid YAML"]),
        ("kind: curate\nkind: curate\n", ["jobs/x.yaml:2", "twice"]),
    ],
)
def test_a_refusal_names_place_found_allowed_and_nearest(text, parts):
    message = refusal(text)
    for part in parts:
        assert part in message, f"{part!r} not in {message!r}"


@pytest.mark.parametrize(
    "text",
    [
        "!!python/object/apply:os.system ['touch pwned']",
        "a: !!python/name:os.system",
        "a: !!python/object:pathlib.Path {}",
        "a: !!binary aGk=",
        "a: !local x",
    ],
)
def test_yaml_cannot_construct_objects(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "tag" in refusal(text)
    assert not list(tmp_path.iterdir())


def test_aliases_cannot_blow_a_spec_up():
    bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 9)
    )
    assert "too large" in refusal(bomb)


def test_norwegian_and_off_are_words_and_exponents_are_numbers():
    spec = loads(
        BASE.replace("path:", "langs: {anchor: no, positive: en}, path:")
        + "filters: {rules: {identical: off, length_ratio: 1e1}}\n",
        "x",
    ).spec
    assert spec.inputs[0].langs.anchor == "no"
    assert spec.filters.rules["identical"].enabled is False
    assert spec.filters.rules["length_ratio"] == 10.0


def test_set_overrides_by_path_index_and_name():
    sets = [
        "dedup.near.threshold=0.7",
        "inputs[0].form=title-body",
        "inputs.a.langs.anchor=de",
        "filters.rules.html=off",
    ]
    spec = loads(BASE, "x", sets).spec
    assert spec.dedup.near.threshold == 0.7
    assert (spec.inputs[0].form, spec.inputs[0].langs.anchor) == ("title-body", "de")
    assert spec.filters.rules["html"].enabled is False


def test_set_reaches_into_a_step_of_a_pipeline():
    spec = loads(PIPELINE, "x", ["steps.second.spec.steps=5"]).spec
    assert spec.steps[1].spec["steps"] == 5
    assert refusal(PIPELINE, "steps.second.spec.steps=x").startswith("--set steps[1].spec.steps: ")
    assert "Allowed: 0, 1, first, second" in refusal(PIPELINE, "steps.third.spec.steps=5")


def test_a_wrong_set_is_named_as_such():
    assert "--set dedup.near.threshold" in refusal(BASE, "dedup.near.threshold=7")
    assert "no item 'b'" in refusal(BASE, "inputs.b.form=x")
    assert "path=value" in refusal(BASE, "nonsense")
    assert "path=value" in refusal(BASE, ".=3")


def test_environment_is_read_but_never_recorded(monkeypatch):
    monkeypatch.setenv("CORPUS", "/secret/place")
    loaded = loads(BASE.replace("data/", '"${env:CORPUS}/').replace(".jsonl}", '.jsonl"}'), "x")
    assert loaded.spec.inputs[0].path == ["/secret/place/*.jsonl"]
    assert "/secret" not in loaded.yaml()
    assert "${env:CORPUS}/*.jsonl" in loaded.yaml()
    assert loads(loaded.yaml(), "again").spec == loaded.spec


def test_a_missing_environment_variable_is_named():
    assert "PAIRMILL_NOT_SET" in refusal(BASE.replace("data/*.jsonl", '"${env:PAIRMILL_NOT_SET}"'))
    assert loads(BASE.replace("data/*.jsonl", '"${env:PAIRMILL_NOT_SET:-d.jsonl}"'), "x").spec.inputs[0].path == [
        "d.jsonl"
    ]


def test_a_resolved_spec_loads_to_itself():
    loaded = loads(BASE + "filters: {rules: {identical: off, min_chars: 3}, per_language: {zh: {min_chars: 1}}}\n", "x")
    assert loads(loaded.yaml(), "again").spec == loaded.spec


def test_a_missing_file_is_a_spec_error():
    with pytest.raises(SpecError, match=r"no-such\.yaml.*cannot be read"):
        load("no-such.yaml")


def test_the_schema_describes_every_kind_and_key():
    described = json.loads(schema("curate"))
    assert set(described["properties"]) >= {"kind", "name", "inputs", "filters", "dedup", "resources"}
    assert "curate" in json.loads(schema())
    with pytest.raises(SpecError, match="'curate'"):
        schema("curat")


def test_validate_imports_neither_ray_nor_torch_nor_numpy(tmp_path):
    (tmp_path / "x.yaml").write_text(BASE)
    code = (
        "import sys; from pairmill.cli import app, guarded\n"
        "code = guarded(lambda: app(['validate', sys.argv[1]]))\n"
        "heavy = {'ray', 'torch', 'numpy', 'pyarrow', 'pandas'} & set(sys.modules)\n"
        "assert code == 0 and not heavy, (code, heavy)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "x.yaml")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
