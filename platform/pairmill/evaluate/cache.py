"""A cache of vectors in the storage, by the hash of their text.

1. A cache is of one model, precision and prompt: its folder is `stages/embeddings/<digest of these>`.
2. It is a row of numbered Arrow files, `000001.arrow` and so on, each written once by whoever has that number first.
   So several writers add to it at a time; the same text may be in two files, with the same vector.
3. A reader knows the hashes of all files by heart; on a local disk the vectors stay in the files (memory-mapped).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from pairmill.runs.storage import Storage

PREFIX = "stages/embeddings"


def hash_of(text: str) -> bytes:
    """16 bytes that stand for a text."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


class Cache:
    """The vectors of one model, precision and prompt."""

    def __init__(self, storage: Storage, key: str):
        self._storage, self._folder = storage, f"{PREFIX}/{key}"
        self._files: list[np.ndarray] = []
        self._places: dict[bytes, tuple[int, int]] = {}
        self._refresh()

    def __contains__(self, one: bytes) -> bool:
        return one in self._places

    def add(self, hashes: Sequence[bytes], vectors: np.ndarray) -> None:
        """Write vectors (n, d) float32 of texts that the cache does not have."""
        sink, columns = pa.BufferOutputStream(), _columns(hashes, vectors)
        with pa.ipc.new_file(sink, columns.schema) as writer:
            writer.write_batch(columns)
        data = sink.getvalue().to_pybytes()
        while not self._storage.put_if_absent(self._path(len(self._files) + 1), data):
            self._read(len(self._files) + 1)
        self._read(len(self._files) + 1)

    def vectors(self, hashes: Sequence[bytes]) -> np.ndarray:
        """The vectors (n, d) of texts that the cache has."""
        if not hashes:
            return np.zeros((0, self._files[0].shape[1] if self._files else 0), np.float32)
        places = np.array([self._places[one] for one in hashes])
        found = np.empty((len(hashes), self._files[0].shape[1]), np.float32)
        for file in np.unique(places[:, 0]):
            here = places[:, 0] == file
            found[here] = self._files[file][places[here, 1]]
        return found

    def _refresh(self) -> None:
        while self._storage.modified(self._path(len(self._files) + 1)) is not None:
            self._read(len(self._files) + 1)

    def _read(self, number: int) -> None:
        path = self._path(number)
        with self._storage.reading(path):
            batch = self._storage.open_arrow(path).get_batch(0)
        vectors = batch.column("vector")
        self._files.append(vectors.flatten().to_numpy().reshape(len(vectors), -1))
        for row, one in enumerate(batch.column("text").to_pylist()):
            self._places.setdefault(one, (number - 1, row))

    def _path(self, number: int) -> str:
        return f"{self._folder}/{number:06d}.arrow"


def _columns(hashes: Sequence[bytes], vectors: np.ndarray) -> pa.RecordBatch:
    flat = pa.array(np.ascontiguousarray(vectors, np.float32).ravel())
    columns = [pa.array(hashes, pa.binary(16)), pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1])]
    return pa.RecordBatch.from_arrays(columns, ["text", "vector"])
