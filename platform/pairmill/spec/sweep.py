"""`kind: sweep`: a spec run many times with other values: a search by Ray Tune, or named variants that are compared."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from pairmill.spec.base import Model
from pairmill.spec.training import LOWER_IS_BETTER, HeldOut, Name

KINDS = ("choice", "grid", "uniform", "log_uniform", "int")
TRAININGS = ("train", "pretrain")
LEAST_SEEDS = 3
#: Of a search that does not say.
TRIALS = 20
Number = int | float
Bounds = tuple[Number, Number]
Values = Annotated[list[Any], Field(min_length=1)]
#: A value by its path in the trial, as of `--set`.
Overrides = dict[str, Any]


class Draw(Model):
    """What a value is drawn from: one of `choice`, `grid`, `uniform`, `log_uniform`, `int`."""

    choice: Values | None = Field(None, description="One of these values.")
    grid: Values | None = Field(None, description="The same; search: grid takes each.")
    uniform: Bounds | None = Field(None, description="A number from low to high.")
    log_uniform: Bounds | None = Field(None, description="A number whose logarithm is uniform, such as [1e-5, 1e-3].")
    int: Bounds | None = Field(None, description="A whole number from low to high, both included.")
    step: Number | None = Field(None, gt=0, description="uniform and int: low, low + step, low + 2 step, ...")
    when: dict[str, Values] = Field({}, description="Drawn only where values drawn before it are among these.")

    @property
    def kind(self) -> str:
        return next(kind for kind in KINDS if getattr(self, kind) is not None)

    @property
    def values(self) -> list[Any] | None:
        """All values in order; None where it is a range without a step."""
        if self.kind in ("choice", "grid"):
            return list(getattr(self, self.kind))
        step = self.step or (1 if self.kind == "int" else None)
        if step is None:
            return None
        low, high = getattr(self, self.kind)
        return [low + step * number for number in range(int((high - low) / step + 1e-9) + 1)]

    @property
    def ends(self) -> list[Any]:
        """The values that are checked before anything runs: all of a list, both ends of a range."""
        given: list[Any] = list(getattr(self, self.kind))
        return given

    @model_validator(mode="after")
    def _one_kind(self) -> Draw:
        given = [kind for kind in KINDS if getattr(self, kind) is not None]
        if len(given) != 1:
            raise ValueError(f"found {' and '.join(given) or 'none'} of {', '.join(KINDS)}: write one")
        kind = given[0]
        if kind in ("uniform", "log_uniform", "int"):
            low, high = getattr(self, kind)
            if not low < high:
                raise ValueError(f"{kind}: {low} is not below {high}: write [low, high]")
            if kind == "log_uniform" and low <= 0:
                raise ValueError(f"log_uniform: {low} has no logarithm: begin above 0")
            if kind == "int" and not all(isinstance(value, int) for value in (low, high, self.step or 1)):
                raise ValueError("int: its ends and step are whole numbers")
        if self.step is not None and kind not in ("uniform", "int"):
            raise ValueError(f"step: {kind} has none; uniform and int do")
        return self


class Objective(Model):
    """What is best: a figure of the finished run, or of its training's evaluation on held-out rows."""

    step: str | None = Field(
        None,
        description="Of a pipeline: the step that has the figure; default: the last, of held_out the last training.",
    )
    metric: str | None = Field(
        None,
        description="Path of a number in the run's summary; of evaluate runs such as `tasks.TASK.main_score`.",
    )
    held_out: HeldOut | None = Field(
        None, description="Figure of the evaluation in training, mean over its groups; what pruning looks at."
    )
    mode: Literal["max", "min"] | None = Field(None, description="Default: max; min of loss, alignment, uniformity.")

    @property
    def best(self) -> Literal["max", "min"]:
        return self.mode or ("min" if self.metric is None and self.held_out in LOWER_IS_BETTER else "max")

    @property
    def pruned(self) -> Literal["max", "min"]:
        """Which end of `held_out` is the good one."""
        return self.best if self.metric is None else "min" if self.held_out in LOWER_IS_BETTER else "max"

    @model_validator(mode="after")
    def _figure(self) -> Objective:
        if self.metric is None and self.held_out is None:
            raise ValueError("found neither of metric and held_out: write one, such as `held_out: accuracy`")
        return self


class Prune(Model):
    """Trials that do worse than others at the same step are stopped: ASHA (arXiv 1810.05934), or below the median."""

    by: Literal["asha", "median"] = "asha"
    grace: int = Field(10, gt=0, description="Steps of training before a trial can be stopped.")
    reduction: float = Field(
        3, gt=1, description="ASHA: one in so many goes on at grace, grace x reduction, ... steps."
    )


class Budget(Model):
    """No trial begins when it is spent; those that run are finished."""

    hours: float | None = Field(None, gt=0)
    gpu_hours: float | None = Field(
        None,
        gt=0,
        description="GPUs of the trainings' workers x the time of their steps, of those that are found done as well.",
    )


class Claim(Model):
    """One variant is better than another; verdict by the 95 % interval of their difference over the seeds."""

    text: str = Field(min_length=1)
    better: str = Field(description="A variant.")
    than: str = Field(description="A variant.")
    metric: str | None = Field(None, description="As of `objective`, which is the default.")
    step: str | None = Field(None, description="As of `objective`; with a metric of its own the pipeline's last.")
    mode: Literal["max", "min"] | None = Field(
        None, description="Default: with a metric of its own max, else as of `objective`."
    )
    by: float = Field(0.0, description="The difference must be above this, in units of the metric.")


class SweepResources(Model):
    """Never part of a run's identity. The trial has its own."""

    cpus: int | None = Field(None, gt=0, description="CPUs of the local Ray; default: all. A cluster has its own.")
    #: The sweep's own tasks do nothing but wait for trials.
    cpus_per_task: ClassVar[float] = 0
    memory_per_task: ClassVar[int] = 0


class SweepSpec(Model):
    kind: Literal["sweep"]
    name: Name
    trial: dict[str, Any] = Field(description="A spec of another kind; in its place `file`: one beside this file.")
    space: dict[str, Draw] = Field({}, description="What values are drawn from, by path as of --set.")
    variants: dict[str, Overrides] = Field(
        {}, description="Named values by path, in place of `space`; {} is the trial."
    )
    objective: Objective
    search: Literal["random", "grid", "optuna"] = Field("random", description="optuna: its TPE sampler.")
    seed: int = Field(0, ge=0, description="Of the draws.")
    trials: int | None = Field(None, gt=0, description="Of a search; default: 20, all of a grid.")
    seeds: list[Annotated[int, Field(ge=0)]] = Field(
        [], description="Each trial runs once with each; default: its own."
    )
    seed_paths: list[str] | None = Field(
        None, min_length=1, description="Where they are written; default: `seed` of all train and pretrain specs."
    )
    prune: Prune | None = None
    concurrency: int = Field(
        1,
        gt=0,
        description="Trials at once; with 1 the same sweep makes the same trials. Not part of a run's identity.",
    )
    budget: Budget = Budget()
    claims: list[Claim] = Field([], description="What the variants are to show.")
    resources: SweepResources = SweepResources()

    @model_validator(mode="after")
    def _search_or_variants(self) -> SweepSpec:
        if bool(self.space) == bool(self.variants):
            found = "both" if self.space else "neither"
            raise ValueError(f"found {found} of space and variants: write one")
        if self.variants and (self.trials or self.prune or self.search != "random" or self.seed):
            raise ValueError("variants: each runs as it is: leave out search, seed, trials and prune")
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError("seeds: one stands twice; they must differ")
        if self.prune and self.objective.held_out is None:
            raise ValueError("prune: looks at evaluations in training: set objective.held_out, such as `accuracy`")
        return self

    @model_validator(mode="after")
    def _space(self) -> SweepSpec:
        before: list[str] = []
        for path, draw in self.space.items():
            for other in draw.when:
                if other not in before:
                    raise ValueError(f"space: {path}: when: {other} does not stand before it. {known(before)}")
            if self.search == "grid" and draw.values is None:
                raise ValueError(f"space: {path}: search: grid needs a list of values, or a `step`")
            before.append(path)
        return self

    @model_validator(mode="after")
    def _claims(self) -> SweepSpec:
        for number, claim in enumerate(self.claims):
            for name in (claim.better, claim.than):
                if name not in self.variants:
                    raise ValueError(f"claims: {number}: {name!r} is no variant. {known(list(self.variants))}")
        if self.claims and len(self.seeds) < LEAST_SEEDS:
            raise ValueError(f"claims: need {LEAST_SEEDS} seeds or more, such as `seeds: [1, 2, 3]`")
        return self

    def objective_of(self, claim: Claim) -> Objective:
        """What a claim compares."""
        if claim.metric is None:
            own = {"mode": claim.mode or self.objective.mode, "step": claim.step or self.objective.step}
            return self.objective.model_copy(update=own)
        return Objective(metric=claim.metric, step=claim.step, mode=claim.mode)


def known(names: list[str]) -> str:
    return f"Allowed: {', '.join(names) or 'none'}"
