"""A model as mteb wants one, over the engine and a cache of its vectors.

Vectors are computed and cached in full width; for a Matryoshka dimension d the first d numbers are taken, normalised.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from mteb.models.abs_encoder import AbsEncoder
from mteb.models.model_meta import ModelMeta
from mteb.types import PromptType

from pairmill.embed.engine import Engine
from pairmill.evaluate.cache import Cache, hash_of
from pairmill.runs.storage import Storage
from pairmill.runs.units import digest

CHUNK = 4096  # texts encoded before their vectors are put into the cache
Encode = Callable[[Sequence[str], str | None], np.ndarray]


class CachedEngine:
    """The engine with a cache in the storage, for runs of a `salt`; `encoded`, `reused`, `seconds` say what it did."""

    def __init__(self, engine: Engine, storage: Storage | None, salt: str = ""):
        self.engine, self._storage, self._salt = engine, storage, salt
        self._caches: dict[str, Cache] = {}
        self.encoded = self.reused = 0
        self.seconds = 0.0

    def encode(self, texts: Sequence[str], prompt: str | None) -> np.ndarray:
        """Texts -> vectors (n, width) float32; those that a cache has are read from it."""
        if self._storage is None:
            return self._timed(texts, prompt)
        cache = self._cache(prompt)
        hashes = [hash_of(text) for text in texts]
        missing = {one: text for one, text in zip(hashes, texts, strict=True) if one not in cache}
        self.reused += len(set(hashes)) - len(missing)
        waiting = list(missing.items())
        for start in range(0, len(waiting), CHUNK):
            some = waiting[start : start + CHUNK]
            cache.add([one for one, _ in some], self._timed([text for _, text in some], prompt))
        return cache.vectors(hashes)

    def _timed(self, texts: Sequence[str], prompt: str | None) -> np.ndarray:
        started = time.monotonic()
        vectors = self.engine.encode(texts, prompt)
        self.seconds += time.monotonic() - started
        self.encoded += len(texts)
        return vectors

    def _cache(self, prompt: str | None) -> Cache:
        before = self.engine.prompt(prompt)
        if before not in self._caches:
            assert self._storage is not None, "asked for where there is a storage"
            engine = self.engine
            key = digest([engine.checksum, engine.precision, engine.normalize, before, self._salt])
            self._caches[before] = Cache(self._storage, key)
        return self._caches[before]


class MtebEncoder(AbsEncoder):
    """What mteb's evaluators encode with. `prompts` are names: for queries and symmetric tasks, for documents."""

    def __init__(self, encode: Encode, prompts: tuple[str | None, str | None], dims: int | None, revision: str):
        self._encode, self._prompts, self._dims = encode, prompts, dims
        self.mteb_model_meta = ModelMeta.create_empty({"name": "pairmill/model", "revision": revision})

    def encode(
        self,
        inputs: Any,
        *,
        task_metadata: Any = None,
        hf_split: str = "",
        hf_subset: str = "",
        prompt_type: PromptType | None = None,
        **options: Any,
    ) -> np.ndarray:
        """Batches with `text` -> vectors (n, d) float32."""
        texts = [text for batch in inputs for text in batch["text"]]
        prompt = self._prompts[1] if prompt_type is PromptType.document else self._prompts[0]
        return cut(self._encode(texts, prompt), self._dims)


def cut(vectors: np.ndarray, dims: int | None) -> np.ndarray:
    """The first `dims` numbers of vectors (n, d), normalised again; None: the vectors as they are."""
    if dims is None or dims >= vectors.shape[1]:
        return vectors
    short = vectors[:, :dims]
    return short / np.maximum(np.linalg.norm(short, axis=1, keepdims=True), 1e-12)
