"""Plans of curate jobs against what the jobs do: rows, exchange, refusals, hours."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import catalogue_job
from corpus import catalogue_rows, write_parquet
from pairmill.cluster.plan import duplicates, schedule
from pairmill.cluster.plan.base import Context, Plan, Stage
from pairmill.cluster.plan.given import Cluster, Given
from pairmill.cluster.plan.job import make, plan_of
from pairmill.cluster.plan.rates import Rates, of_run, stored
from pairmill.cluster.plan.sheet import Sheet, quantity
from pairmill.cluster.plan.show import as_json, text
from pairmill.errors import SpecError
from pairmill.runs.record import read_events
from pairmill.spec.load import LoadedSpec, load, loads

ROOT = Path(__file__).resolve().parents[2]
SETS = ("inputs[0].format=parquet", "resources.dedup=distributed", "resources.shard_size=100KB")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Catalogue rows, a quarter of them twice, in three files."""
    folder = tmp_path_factory.mktemp("plan")
    rows = catalogue_rows()
    rows = rows + rows[::4]
    for number in range(3):
        write_parquet(folder / f"part-{number}.parquet", rows[number::3], 500)
    return folder / "*.parquet"


@pytest.fixture(scope="module")
def spec(corpus: Path) -> LoadedSpec:
    return loads(catalogue_job.SPEC.format(path=corpus), "plan.yaml", SETS)


@pytest.fixture(scope="module")
def whole(spec: LoadedSpec) -> Plan:
    """A plan whose sample is all there is."""
    return plan_of(spec, context(sample=1_000_000))


@pytest.fixture(scope="module")
def planned(whole: Plan) -> dict[str, float]:
    return {one.name: one.value for one in whole.figures}


@pytest.fixture(scope="module")
def actual(corpus: Path, tmp_path_factory: pytest.TempPathFactory, local_ray: None) -> dict[str, object]:
    store = tmp_path_factory.mktemp("store")
    outcome = catalogue_job.curate(corpus, store, *SETS)
    stages = {event["stage"]: event for event in read_events(outcome.run) if event["event"] == "stage done"}
    return {"store": str(store), "run": outcome.run, "stages": stages, "total": outcome.summary["ledger"]["total"]}


def context(**more: object) -> Context:
    return Context("none", Rates(stored()), **more)  # type: ignore[arg-type]


def test_a_plan_that_samples_all_rows_says_which_rows_the_job_keeps(planned, actual):
    assert planned["rows in"] == actual["total"]["rows_in"]
    assert planned["kept rows"] == pytest.approx(actual["total"]["kept"], abs=0.002 * actual["total"]["rows_in"])


def test_the_exchange_of_a_job_in_many_tasks_is_within_a_quarter_of_its_plan(planned, actual):
    sent = sum(actual["stages"][name]["bytes"] for name in ("dedup: bands", "dedup: candidates"))
    assert planned["exchange"] == pytest.approx(sent, rel=0.25)


def test_every_stage_of_the_job_is_in_its_plan_and_no_other(whole, actual):
    assert {stage.name for stage in whole.stages} == set(actual["stages"])


def test_without_thresholds_to_look_at_groups_are_read_and_no_text(corpus):
    """The 8,000,000 pairs of `plan_accuracy.py` have no rules: their text was planned to be read, and was not."""
    plain = loads(catalogue_job.SPEC.format(path=corpus), "plan.yaml", (*SETS, "filters.preset=none"))
    plan = plan_of(plain, context(sample=1_000_000))
    costs = {stage.name: stage.cpu.value for stage in plan.stages}
    assert "sensitivity: rows" not in costs
    # the sample may be half as dear as the stored rate
    assert costs["sensitivity: groups"] < 2.1 * costs["dedup: groups"]


def test_costs_of_an_earlier_run_are_its_recorded_cpu_seconds(spec, actual):
    rates = of_run(actual["store"], actual["run"].id)
    rows = actual["total"]["rows_in"]
    assert rates["select"].value * rows == pytest.approx(actual["stages"]["select"]["cpu_seconds"])
    plan = plan_of(spec, Context("none", Rates(stored(), rates), sample=500))
    costs = {stage.name: stage.cpu.value for stage in plan.stages}
    for name, event in actual["stages"].items():
        assert costs[name] == pytest.approx(event["cpu_seconds"], rel=1e-6), name


def test_a_sample_of_a_part_counts_rows_by_footers_and_keeps_close(spec, actual):
    plan = plan_of(spec, context(sample=3000))
    figures = {one.name: one for one in plan.figures}
    rows = actual["total"]["rows_in"]
    assert figures["rows in"].value == rows
    assert figures["kept share"].value == pytest.approx(actual["total"]["kept"] / rows, abs=0.08)


@pytest.mark.parametrize(("rate", "error"), [(0.2, 0.02), (0.05, 0.05)])
@pytest.mark.parametrize("kind", ["pairs", "chains", "crowds"])
def test_duplicates_of_a_sample_say_how_many_all_rows_have(kind, rate, error):
    random, count = np.random.default_rng(3), 1_000_000
    rows = np.arange(count)
    chosen = random.random(count) < 0.25
    if kind == "pairs":  # copies of rows that have no other
        rows[chosen] = rows[~chosen][: chosen.sum()]
    elif kind == "chains":  # copies of any earlier row
        rows[chosen] = (random.random(chosen.sum()) * rows[chosen]).astype(int)
    else:  # few texts over and over, as menus are
        rows[chosen] = random.zipf(1.6, chosen.sum()) % 50_000
    sizes = np.bincount(np.unique(rows, return_inverse=True)[1])
    seen = duplicates.multiplicities(rows[random.random(count) < rate])
    found = duplicates.extrapolate(seen, rate, count)
    assert found.rows == pytest.approx(count)
    assert found.removed_share == pytest.approx(1 - len(sizes) / count, abs=error)
    assert found.grouped_share == pytest.approx(sizes[sizes > 1].sum() / count, abs=2 * error)


def test_rows_without_like_ones_are_extrapolated_to_none():
    found = duplicates.extrapolate(np.array([1000.0]), 0.01, 100_000)
    assert found.removed_share == 0 and found.grouped_share == 0
    assert found.repeated_share(4) == pytest.approx(0, abs=1e-12)


def test_a_copy_is_behind_its_like_in_one_of_two_halves_half_of_the_time():
    pairs = duplicates.Sizes(np.array([2.0]), np.array([100.0]))
    assert pairs.repeated_share(1) == pytest.approx(0.5)
    assert pairs.repeated_share(2) == pytest.approx(0.25)


def test_arithmetic_stands_line_by_line_with_the_source_of_each_constant():
    sheet = Sheet()
    rows = sheet.given("rows", 8e6, "rows", "footers")
    cpu = sheet.product("annotate", "CPU-s", rows, quantity("", 30e-6, "CPU-s/row", "", 1.5), source="sample")
    assert cpu.line() == "annotate = 8,000,000 rows x 30.0 CPU-µs a row = 240 CPU-s  (160 CPU-s to 360 CPU-s)  [sample]"
    both = sheet.total("both", "CPU-s", cpu, cpu)
    assert (both.value, both.low, both.high) == pytest.approx((480, 320, 720))


def test_independent_factors_widen_an_interval_by_squares():
    sheet = Sheet()
    made = sheet.product("x", "", quantity("", 2, "", "", 1.3), quantity("", 5, "", "", 1.4))
    assert made.high == pytest.approx(10 * 1.5) and made.low == pytest.approx(10 / 1.5)


VOLUME = {"rows": 1e9, "text_bytes": 700, "source": "assumed"}
CLUSTER = {"nodes": [{"name": "cpu", "count": 2, "cpus": 8, "memory": "16GB", "price_per_hour": 3}]}


def test_tasks_run_where_cpus_and_memory_both_have_room():
    cluster = Cluster.model_validate(CLUSTER)
    cpu = quantity("", 100, "CPU-s")
    assert schedule.slots(Stage("a", cpu, 100, memory=1e9), cluster) == 16
    assert schedule.slots(Stage("a", cpu, 100, memory=4e9), cluster) == 8
    assert schedule.slots(Stage("a", cpu, 100, memory=32e9), cluster) == 0


def on(count: int, **node: object) -> Plan:
    """The plan of declared volumes on some machines."""
    cluster = Cluster.model_validate({"nodes": [{**CLUSTER["nodes"][0], "count": count, **node}]})
    spec = loads(catalogue_job.SPEC.format(path="s3://none/*.jsonl"), "x.yaml")
    plan = plan_of(spec, context(given=Given.model_validate({"inputs": {"catalogue": VOLUME}}), cluster=cluster))
    schedule.on_cluster(plan, cluster)
    return plan


def test_more_machines_never_take_longer_and_a_task_that_fits_nowhere_is_named():
    hours = [next(one.value for one in on(count).figures if one.unit == "hours") for count in (1, 2, 8)]
    assert hours == sorted(hours, reverse=True) and hours[0] > 1.5 * hours[1]
    plan = on(1, memory="100MB")
    assert any("annotate: no node can run a task of 1 CPUs, 1.0 GB" in told for told in plan.assumptions())


def test_declared_volumes_need_no_file_and_a_plan_as_json_says_the_same():
    given = Given.model_validate({"inputs": {"catalogue": VOLUME}})
    plan = plan_of(loads(catalogue_job.SPEC.format(path="s3://none/*.jsonl"), "x.yaml"), context(given=given))
    told = json.loads(json.dumps(as_json(plan, "here")))
    assert {one["name"]: one["value"] for one in told["figures"]}["rows in"] == 1e9
    lines = text(plan, "here")
    assert all(line["name"] in lines for line in told["arithmetic"])
    assert "rows in = 1,000,000,000 rows" in lines.replace("\n  ", "\n")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"cluster": "nodes: []"}, "--cluster"),
        ({"cluster": "nodes: [{name: a, cpus: 1, memory: 1GB, gpu: X9000, gpus: 1}]"}, "gpu 'X9000' is unknown"),
        ({"declared": "inputs: {a: {rows: 1}}"}, "inputs.a.text_bytes"),
    ],
)
def test_a_wrong_file_is_refused_with_the_place_and_what_is_allowed(given, told, tmp_path, spec):
    (option, content), file = next(iter(given.items())), tmp_path / "given.yaml"
    file.write_text(content)
    with pytest.raises(SpecError, match=told):
        make(spec, "none", **{option: str(file)})  # type: ignore[arg-type]


def test_an_earlier_run_that_is_not_there_is_refused(spec, tmp_path):
    with pytest.raises(SpecError, match="there is no such storage"):
        make(spec, str(tmp_path / "nothing"), earlier=["x"])


@pytest.mark.parametrize("name", ["curate", "multilingual-e5"])
def test_the_committed_plans_of_a_billion_pairs_are_what_the_command_says(name):
    spec = load(str(ROOT / f"jobs/scale/{name}.yaml"))
    cluster = {"curate": "nodes-50", "multilingual-e5": "gpus-32"}[name]
    files = ROOT / f"cluster/capacity/{cluster}.yaml", ROOT / "jobs/scale/volumes.yml"
    plan, told = make(spec, "none", str(files[0]), declared=str(files[1]))
    assert text(plan, told) == (ROOT / f"jobs/scale/{name}.plan.txt").read_text("utf-8")
