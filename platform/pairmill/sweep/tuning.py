"""Ray Tune, set up for a sweep: it searches, schedules and prunes; nothing that it writes itself is needed again."""

from __future__ import annotations

import logging
import os
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.exceptions import RayActorError
from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, MedianStoppingRule, TrialScheduler

from pairmill.spec.sweep import SweepSpec
from pairmill.spec.trials import most_trials
from pairmill.sweep.search import HELD_OUT, RETRIES, STEP, Replaying
from pairmill.sweep.trial import Trial
from pairmill.variables import variable

#: Bytes; Tune wants a reservation, and a share of a CPU would be missing where a job reserves all of them.
ACTOR_MEMORY = 100_000_000
#: No training is longer: rungs beyond its steps are never reached.
MOST_STEPS = 10**9
_SETTINGS = {
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",  # heartbeats have no metric
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_RESULT_BUFFER_LENGTH": "1",
    "RAY_AIR_NEW_OUTPUT": "0",
}


def fit(
    spec: SweepSpec,
    searcher: Replaying,
    work: dict[str, Any],
    lost: Callable[[], bool],
    say: Callable[[str], None],
) -> None:
    """Do the trials. Returns when all have ended, or when those that run have saved and stopped, as they do when asked
    to, or when the sweep's lease is `lost`."""
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # what it complains of is in the trials' records
    trainable = tune.with_resources(tune.with_parameters(Trial, work=work), {"memory": ACTOR_MEMORY})
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="pairmill-sweep-"))
        for name, value in _SETTINGS.items():
            stack.enter_context(variable(name, value))
        stack.enter_context(_interrupts(searcher, say))
        tuner = tune.Tuner(
            trainable,
            tune_config=tune.TuneConfig(
                search_alg=searcher,
                scheduler=scheduler(spec),
                num_samples=most_trials(spec),
                max_concurrent_trials=spec.concurrency,
                reuse_actors=True,
            ),
            run_config=tune.RunConfig(
                name="sweep",
                storage_path=os.path.abspath(folder),
                stop=_Stopper(searcher, lost),
                callbacks=[_Actors(searcher)],
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),  # the runs have their own
                failure_config=tune.FailureConfig(max_failures=RETRIES),
                verbose=0,
            ),
        )
        tuner.fit()


class _Stopper(tune.Stopper):
    """Stops each trial at its next result, once the sweep is to stop, or is another driver's."""

    def __init__(self, searcher: Replaying, lost: Callable[[], bool]):
        self._searcher, self._lost = searcher, lost

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        self._searcher.stopping |= self._lost()
        return self._searcher.stopping

    def stop_all(self) -> bool:
        return False

    def __getstate__(self) -> dict[str, Any]:
        """Nothing, as of the searcher."""
        return {}


class _Actors(tune.Callback):
    """Tells why an actor failed; of a trial that was stopped it waits until its process has ended, as Tune itself kills
    actors that take longer than 5 s."""

    def __init__(self, searcher: Replaying):
        self._searcher = searcher

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._died(trial, over=False)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._died(trial, over=True)

    def _died(self, trial: Any, over: bool) -> None:
        lines = [line for line in Path(trial.error_file or os.devnull).read_text("utf-8").splitlines() if line.strip()]
        self._searcher.died(trial.trial_id, trial.run_metadata.num_failures, over, (lines or ["no cause"])[-1][:200])

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        actor = trial.temporary_state.ray_actor
        if actor is not None:
            with suppress(RayActorError):  # its process dies with it
                ray.get(actor.cleanup.remote())


class _Median(MedianStoppingRule):
    """Tune's, without its pauses: a trial is a process that goes on by itself. And deaf to a last result that has no
    evaluation, as of a trial that failed before its first: Tune's would end the sweep with a KeyError."""

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        if STEP in result and HELD_OUT in result:
            super().on_trial_complete(tune_controller, trial, result)

    def _on_insufficient_samples(self, tune_controller: Any, trial: Any, time: float) -> str:
        return str(TrialScheduler.CONTINUE)


def scheduler(spec: SweepSpec) -> TrialScheduler:
    if spec.prune is None:
        return FIFOScheduler()
    seen: Any = {"time_attr": STEP, "metric": HELD_OUT, "mode": spec.objective.pruned}
    if spec.prune.by == "median":
        return _Median(grace_period=spec.prune.grace, **seen)
    return ASHAScheduler(
        max_t=MOST_STEPS,
        grace_period=spec.prune.grace,
        reduction_factor=spec.prune.reduction,
        stop_last_trials=False,
        **seen,
    )


@contextmanager
def _interrupts(searcher: Replaying, say: Callable[[str], None]) -> Iterator[None]:
    """The first SIGINT or SIGTERM has the trials save and stop; a second one ends at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: Any) -> None:
        if searcher.stopping:
            raise KeyboardInterrupt
        searcher.stopping = True
        say("stopping: the trials that run write a checkpoint; a second interrupt stops at once")

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
