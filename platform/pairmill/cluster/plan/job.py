"""From a checked spec to its plan, whatever its kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pairmill.cluster.plan import given, rates, schedule
from pairmill.cluster.plan.base import Context, Plan, Stage
from pairmill.cluster.plan.rates import Rates
from pairmill.cluster.plan.sheet import Quantity, quantity
from pairmill.jobs import libraries_of
from pairmill.spec.load import LoadedSpec, steps
from pairmill.spec.pipeline import placeholders
from pairmill.spec.trials import most_trials, shared_steps


def make(
    loaded: LoadedSpec,
    storage: str,
    cluster: str | None = None,
    sample: int = 20_000,
    earlier: Sequence[str] = (),
    declared: str | None = None,
) -> tuple[Plan, str]:
    """The plan, and in words where its rates come from. `cluster`, `declared`: files; `earlier`: runs.

    Raises SpecError and SourceError for what is not there or wrong.
    """
    measured: dict[str, Quantity] = {}
    for name in earlier:
        measured |= rates.of_run(storage, name)
    context = Context(
        storage,
        Rates(rates.stored(), measured),
        given.read("--given", declared, given.Given) if declared else given.Given(),
        given.read("--cluster", cluster, given.Cluster) if cluster else None,
        sample,
    )
    plan = plan_of(loaded, context)
    if context.cluster is not None:
        schedule.on_cluster(plan, context.cluster)
    return plan, context.rates.told


def plan_of(loaded: LoadedSpec, context: Context) -> Plan:
    """The plan of a job, without hours."""
    if loaded.spec.kind == "pipeline":
        return _pipeline(loaded, context)
    if loaded.spec.kind == "sweep":
        return _sweep(loaded, context)
    with libraries_of(loaded.spec.kind, "planning "):
        return _planner(loaded.spec)(loaded.spec, context)


def _planner(spec: Any) -> Any:
    """The function that plans specs of this kind; imported when it is needed."""
    from pairmill.spec.curate import CurateSpec
    from pairmill.spec.derived import DerivedSpec

    if isinstance(spec, CurateSpec):
        from pairmill.cluster.plan.curate import plan_curate

        return plan_curate
    if isinstance(spec, DerivedSpec):
        from pairmill.cluster.plan.reading import plan_derived

        return plan_derived
    if spec.kind == "tokenizer":
        from pairmill.cluster.plan.reading import plan_tokenizer

        return plan_tokenizer
    if spec.kind in ("train", "pretrain"):
        from pairmill.cluster.plan.train import plan_train

        return plan_train
    if spec.kind == "mine":
        from pairmill.cluster.plan.mining import plan_mine

        return plan_mine
    from pairmill.cluster.plan.encoding import plan_embed, plan_evaluate

    return plan_embed if spec.kind == "embed" else plan_evaluate


def _pipeline(loaded: LoadedSpec, context: Context) -> Plan:
    """The steps one after the other; what a step will have made is what later ones read."""
    plan = Plan("pipeline", loaded.spec.name)
    runs = placeholders(loaded.document)
    for name, part in steps(loaded):
        made = plan_of(part, context)
        plan.steps.append(made)
        if made.rows is not None:
            context.runs[runs[name]] = made.rows
        if part.spec.name in context.models:
            context.models[runs[name]] = context.models.pop(part.spec.name)
    plan.sheet.section = "together"
    by_step = [
        plan.sheet.total(f"{step.name}: CPU", "CPU-s", *(stage.cpu for stage in step.stages)) for step in plan.steps
    ]
    plan.figures.append(plan.sheet.total("CPU of all steps", "CPU-s", *by_step))
    hours = [one for step in plan.steps for one in step.figures if one.unit == "GPU-h"]
    if hours:
        plan.figures.append(plan.sheet.total("GPU-hours of all steps", "GPU-h", *hours))
    return plan


def _sweep(loaded: LoadedSpec, context: Context) -> Plan:
    """The trial's steps: those that all trials share once, the others as often as there are runs."""
    spec = loaded.spec
    ((_, trial),) = steps(loaded)
    planned = plan_of(trial, context)
    runs, shared = most_trials(spec) * max(1, len(spec.seeds)), shared_steps(spec)
    plan = Plan("sweep", spec.name)
    parts = planned.steps or [planned]
    names = [name for name, _ in steps(trial)] or [trial.spec.name]
    plan.sheet.section = "together"
    totals = []
    for name, part in zip(names, parts, strict=True):
        times = 1 if name in shared else runs
        plan.steps.append(replace(part, stages=[_repeated(stage, times) for stage in part.stages]))
        once = plan.sheet.total(f"{name}: CPU of a run", "CPU-s", *(stage.cpu for stage in part.stages))
        how_often = quantity("runs", times, "runs")
        totals.append(
            plan.sheet.product(f"{name}: CPU", "CPU-s", once, how_often, source="shared" if times == 1 else "")
        )
    plan.figures.append(plan.sheet.given("runs", runs, "runs", "trials x seeds"))
    plan.figures.append(plan.sheet.total("CPU of all trials", "CPU-s", *totals))
    plan.sheet.assume("no trial is pruned, and no budget ends the sweep: the most that it takes")
    plan.sheet.assume(
        "a step that has other values is counted anew, although stages that they do not concern are shared"
    )
    return plan


def _repeated(stage: Stage, times: int) -> Stage:
    """A stage done so many times."""

    def more(one: Quantity) -> Quantity:
        return replace(one, value=times * one.value, low=times * one.low, high=times * one.high)

    scaled = {name: times * getattr(stage, name) for name in ("units", "moved", "requests")}
    return replace(stage, cpu=more(stage.cpu), flops=stage.flops and more(stage.flops), **scaled)
