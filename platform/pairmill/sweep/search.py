"""Which values the next trial has: Ray Tune's Optuna searcher or a list, behind a journal that replays.

1. Whatever is suggested, reported and decided goes into the journal before it has an effect.
2. A sweep that goes on feeds its searcher the journal's entries in their order first, so that it is in the state in
   which the interrupted one was. Trials are then suggested from the journal, as long as it has some.
3. The journal is the truth about a trial that has an outcome, whatever the scheduler would say now.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from ray.tune.search import Searcher
from ray.tune.search.optuna import OptunaSearch

from pairmill.spec.load import LoadedSpec
from pairmill.spec.sweep import Draw, Overrides, SweepSpec
from pairmill.spec.trials import grid, is_drawn, written
from pairmill.sweep.journal import Journal

#: How often a trial whose process or node died is started again.
RETRIES = 3
STEP, HELD_OUT, OBJECTIVE = "step", "held_out", "objective"
Json = dict[str, Any]


class Source(Protocol):
    """Where values come from, and what learns from outcomes."""

    def suggest(self, number: int) -> Overrides | None:
        """None: there are no more."""

    def report(self, number: int, step: int, value: float) -> None: ...

    def outcome(self, number: int, state: str, objective: float | None) -> None: ...


class Listed:
    """The points of a grid, or variants, in their order."""

    def __init__(self, points: list[Overrides]):
        self._points = points

    def suggest(self, number: int) -> Overrides | None:
        return self._points[number] if number < len(self._points) else None

    def report(self, number: int, step: int, value: float) -> None:
        pass

    def outcome(self, number: int, state: str, objective: float | None) -> None:
        pass


class Drawn:
    """Optuna's samplers: random, or TPE."""

    def __init__(self, spec: SweepSpec):
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        samplers = {"random": optuna.samplers.RandomSampler, "optuna": optuna.samplers.TPESampler}
        self._space, self._values = spec.space, Overrides()
        self._intermediate = spec.objective.metric is None
        self._search = OptunaSearch(
            self._draw, metric=OBJECTIVE, mode=spec.objective.best, sampler=samplers[spec.search](seed=spec.seed)
        )

    def _draw(self, trial: Any) -> None:
        self._values = {}
        for path, draw in self._space.items():
            if is_drawn(draw, self._values):
                self._values[path] = _drawn(trial, path, draw)

    def suggest(self, number: int) -> Overrides | None:
        self._search.suggest(str(number))
        return self._values

    def report(self, number: int, step: int, value: float) -> None:
        if self._intermediate:
            self._search.on_trial_result(str(number), {OBJECTIVE: value, "training_iteration": step})

    def outcome(self, number: int, state: str, objective: float | None) -> None:
        result = None if objective is None else {OBJECTIVE: objective}
        self._search.on_trial_complete(str(number), result, error=state == "failed")


def _drawn(trial: Any, path: str, draw: Draw) -> Any:
    if draw.kind in ("choice", "grid"):
        values = draw.values or []
        return values[trial.suggest_categorical(path, list(range(len(values))))]
    low, high = getattr(draw, draw.kind)
    if draw.kind == "int":
        return trial.suggest_int(path, low, high, step=draw.step or 1)
    return trial.suggest_float(path, low, high, step=draw.step, log=draw.kind == "log_uniform")


def source(spec: SweepSpec) -> Source:
    if spec.variants:
        return Listed(list(spec.variants.values()))
    return Listed(list(grid(spec.space))) if spec.search == "grid" else Drawn(spec)


class Replaying(Searcher):
    """The journal between Tune and the source. `spent`: which budget is, None while there is some left; `told`: is
    called with each new outcome, `say` with what else people should know."""

    def __init__(
        self,
        loaded: LoadedSpec,
        journal: Journal,
        spent: Callable[[], str | None],
        told: Callable[[Json], None],
        say: Callable[[str], None],
    ):
        super().__init__()
        self._journal, self._source = journal, source(loaded.spec)
        self._spent, self._told, self._say = spent, told, say
        self._document = loaded.document
        self._numbers: dict[str, int] = {}
        #: Asked to stop: trials that run are not over.
        self.stopping = False
        #: A trial was given up that is to be tried again: there are no more before it has an outcome.
        self.again = False
        self._told_last: tuple[int, str] | None = None
        #: The budget that is spent.
        self.ended: str | None = None
        self._learn(journal.entries)

    def _learn(self, entries: list[Json]) -> None:
        for entry in entries:
            number = entry["number"]
            if entry["event"] == "suggestion":
                self._source.suggest(number)
            elif entry["event"] == "report":
                self._source.report(number, entry[STEP], entry[HELD_OUT])
            else:
                self._source.outcome(number, entry["state"], entry["result"].get(OBJECTIVE))

    def suggest(self, trial_id: str) -> Any:
        number, finished = len(self._numbers), str(Searcher.FINISHED)
        if self.stopping or self.again:
            return finished
        if not self._journal.of(number, "suggestion"):
            self.ended = self._spent()
            values = None if self.ended else self._source.suggest(number)
            if values is None:
                return finished
            self._journal.add("suggestion", number, values=written(self._document, values))
        self._numbers[trial_id] = number
        return {"number": number}

    def on_trial_result(self, trial_id: str, result: Mapping[str, Any]) -> None:
        number = self._numbers[trial_id]
        if HELD_OUT in result and not result.get("done") and self._journal.outcome(number) is None:
            self._report(number, result)

    def _report(self, number: int, result: Mapping[str, Any]) -> None:
        known = self._journal.of(number, "report")
        if not known or result[STEP] > known[-1][STEP]:
            self._journal.add("report", number, step=result[STEP], held_out=result[HELD_OUT])
            self._source.report(number, result[STEP], result[HELD_OUT])

    def on_trial_complete(self, trial_id: str, result: Json | None = None, error: bool = False) -> None:
        number = self._numbers[trial_id]
        result = {name: value for name, value in (result or {}).items() if name in RESULT}
        over = "state" in result
        if error or self._journal.outcome(number) or (self.stopping and not over):
            return  # of an error `died` is told
        if not over:  # Tune does not report the result at which it stops a trial
            self._report(number, result)
            result["state"] = "pruned"
        self._outcome(number, result)

    def died(self, trial_id: str, times: int, over: bool, cause: str) -> None:
        """A trial's actor failed, for the nth time; `over`: Tune does not start it again. It does not either, however
        few times it was, where the actor was just taking over from another trial."""
        number = self._numbers[trial_id]
        if self.stopping or self._journal.outcome(number):
            return
        if over and times > RETRIES:
            message = f"its process or node died {times} times, at last so: {cause}"
            self._outcome(number, {"state": "failed", "message": message})
            return
        self.again |= over
        if (number, cause) != self._told_last:  # Tune may report one death twice
            self._say(f"trial {number} goes on, its process or node died: {cause}")
        self._told_last = (number, cause)

    def _outcome(self, number: int, result: Json) -> None:
        entry = self._journal.add("outcome", number, state=result["state"], result=result)
        self._source.outcome(number, result["state"], result.get(OBJECTIVE))
        self._told(entry)

    def __getstate__(self) -> Json:
        """Nothing: Tune pickles its searcher for a restart that is the journal's business."""
        return {}

    def save(self, checkpoint_path: str) -> None:
        """The journal has it."""

    def restore(self, checkpoint_path: str) -> None:
        """The journal has it."""


#: What of a trial's last result is kept.
RESULT = ("state", STEP, HELD_OUT, OBJECTIVE, "message", "runs")
