"""Which class does which kind of job. Imported one by one: a curate job needs no torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING

from pairmill.errors import PairmillError

if TYPE_CHECKING:
    from pairmill.runs.job import Job, Outcome
    from pairmill.spec.load import LoadedSpec

CLASSES = {
    "curate": "pairmill.curate.job:Curate",
    "curate on a run": "pairmill.curate.derived:Derived",
    "embed": "pairmill.embed.job:Embed",
    "evaluate": "pairmill.evaluate.job:Evaluate",
    "mine": "pairmill.mine.job:Mine",
    "pretrain": "pairmill.train.pretrain_job:Pretrain",
    "sweep": "pairmill.sweep.job:Sweep",
    "tokenizer": "pairmill.model.tokenizer_job:TokenizerJob",
    "train": "pairmill.train.job:Train",
}


def job_class(kind: str) -> type[Job]:
    """Raises PairmillError where the libraries of a kind are not installed."""
    module, _, name = CLASSES[kind].partition(":")
    with libraries_of(kind):
        found: type[Job] = getattr(import_module(module), name)
    return found


@contextmanager
def libraries_of(kind: str, doing: str = "") -> Iterator[None]:
    """A library that is not installed as an error that names the extra it comes with."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name and error.name.split(".")[0] == "pairmill":
            raise
        extra = kind if kind in ("evaluate", "mine", "sweep") else "train"
        raise PairmillError(
            f"{doing}kind: {kind} needs {error.name}, which is not installed. "
            f"Install it: pip install 'pairmill[{extra}]'"
        ) from error


def run_job(
    loaded: LoadedSpec, storage: str, address: str | None, fresh: bool, command: str, say: Callable[[str], None]
) -> Outcome:
    """Run a job of any kind, resume it, wait for whoever is running it, or find it done."""
    if loaded.spec.kind == "pipeline":
        from pairmill.pipeline import run_pipeline

        return run_pipeline(loaded, storage, address, fresh, command, say)
    from pairmill.runs.job import start

    return start(job_of(loaded), loaded, storage, address, fresh, command, say)


def job_of(loaded: LoadedSpec) -> type[Job]:
    """The class that does the job of a spec, of any kind but a pipeline."""
    from pairmill.spec.derived import DerivedSpec

    return job_class("curate on a run" if isinstance(loaded.spec, DerivedSpec) else loaded.spec.kind)
