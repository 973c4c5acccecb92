"""The evaluated model, opened once per process."""

from __future__ import annotations

from functools import lru_cache

from pairmill.embed import engine as engines
from pairmill.errors import PairmillError, SpecError
from pairmill.model import loading, places
from pairmill.model.settings import Settings
from pairmill.spec.embed import EmbeddingModel, Precision
from pairmill.spec.evaluate import EvaluateSpec, Prompts
from pairmill.spec.model import Encoder


def settings_of(model: EmbeddingModel, storage: str) -> Settings:
    """How the model turns texts into vectors: its own files, and over them the spec."""
    folder = places.local(model, storage)
    config = loading.read_config(folder, model.trust_remote_code)
    return loading.settings_of(folder, config, Encoder.model_validate(model.model_dump()))


def open_engine(spec: EvaluateSpec, storage: str, checksum: str, max_length: int | None = None) -> engines.Engine:
    """The engine; with `max_length` texts are cut to so many tokens. One model per process is kept open.

    `checksum` is that of the model's files when the job began. Raises SpecError where the spec asks for more dimensions
    than the model has, PairmillError where its files have changed since.
    """
    model = spec.model if max_length is None else spec.model.model_copy(update={"max_length": max_length})
    threads = spec.resources.threads or max(1, int(spec.resources.cpus_per_task))
    engine = _open(model.model_dump_json(), checksum, spec.precision, storage, threads)
    if spec.dims and spec.dims[0] > engine.width:
        raise SpecError(
            f"dims: {spec.dims[0]}, but the model's vectors have {engine.width}. Allowed: 1 to {engine.width}."
        )
    return engine


@lru_cache(maxsize=1)
def _open(model: str, checksum: str, precision: Precision, storage: str, threads: int) -> engines.Engine:
    spec = EmbeddingModel.model_validate_json(model)
    normalize = settings_of(spec, storage).normalize
    engine = engines.make(spec, precision, threads, normalize=normalize, storage=storage)
    if (now := places.identity(spec, storage)) != checksum:
        raise PairmillError(
            f"model {spec.package or spec.run or spec.path}: its files changed since this job began (checksum "
            f"{checksum[:12]}, now {now[:12]}). Run the command again: that is another run."
        )
    return engine


def prompts_of(given: Prompts | None, own: dict[str, str]) -> tuple[str | None, str | None]:
    """Names of the prompts for queries and for documents: those given, else the model's `query` and `passage`.

    Raises SpecError where the model has none of that name.
    """
    if given is None:
        return ("query" if "query" in own else None, "passage" if "passage" in own else None)
    for name in (given.query, given.passage):
        if name is not None and name not in own:
            raise SpecError(
                f"prompts: the model has no prompt {name!r}; it has: {', '.join(own) or 'none'}. "
                f"Give it one: `model: {{prompts: {{{name}: '{name}: '}}}}`."
            )
    return given.query, given.passage
