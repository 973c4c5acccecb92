"""Storage: one root on a local disk or in an object store, where runs and stages live.

Only two kinds of write are used. `put_if_absent` creates an object unless it exists: manifests, leases and event
segments are made so, and what they name is what exists. `put` replaces an object: heartbeats and records that may be
derived again. Data files have attempt-unique names and are never replaced. Nothing relies on listing.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import lru_cache
from typing import Any

import obstore
import pyarrow as pa
import pyarrow.parquet as pq
from obstore.exceptions import AlreadyExistsError, BaseError

from pairmill import objects
from pairmill.errors import StorageError
from pairmill.runs import uses


class Storage:
    """A storage root such as `./runs-store` or `s3://bucket/pairmill`. Paths are relative to it."""

    def __init__(self, uri: str):
        self.uri = uri.rstrip("/") if objects.is_remote(uri) else str(objects.local_path(uri).absolute())
        self._store, self._prefix = objects.directory(uri, create=True)

    def __reduce__(self) -> tuple[Any, ...]:
        return open_storage, (self.uri,)

    def _path(self, path: str) -> str:
        return f"{self._prefix}/{path}" if self._prefix else path

    def where(self, path: str) -> str:
        """The full name of a path, for people and for readers outside Pairmill."""
        return f"{self.uri}/{path}"

    def get(self, path: str) -> bytes | None:
        uses.mark(self, path)
        with self._errors("read", path):
            try:
                return bytes(obstore.get(self._store, self._path(path)).bytes())
            except FileNotFoundError:
                return None

    def put(self, path: str, data: bytes) -> None:
        with self._errors("write", path):
            obstore.put(self._store, self._path(path), data, use_multipart=False)

    def put_if_absent(self, path: str, data: bytes) -> bool:
        """Create the object. False where it exists already; what exists is untouched."""
        uses.mark(self, path)
        with self._errors("write", path):
            try:
                obstore.put(self._store, self._path(path), data, mode="create")
            except AlreadyExistsError:
                return False
        return True

    def get_json(self, path: str) -> Any:
        data = self.get(path)
        try:
            return None if data is None else json.loads(data)
        except ValueError as error:
            raise self._error("read", path, error) from error

    def put_json(self, path: str, value: Any) -> None:
        self.put(path, dumps(value))

    def put_json_if_absent(self, path: str, value: Any) -> bool:
        return self.put_if_absent(path, dumps(value))

    def delete(self, path: str) -> None:
        with self._errors("delete", path):
            obstore.delete(self._store, self._path(path))

    def modified(self, path: str) -> datetime | None:
        """When the object was last written, by the store's own clock."""
        uses.mark(self, path)
        with self._errors("read", path):
            try:
                return obstore.head(self._store, self._path(path))["last_modified"]
            except FileNotFoundError:
                return None

    def directories(self, path: str) -> list[str]:
        """Names directly below `path`, for people who browse; no result ever depends on it."""
        with self._errors("list", path):
            listed = obstore.list_with_delimiter(self._store, self._path(path))
        return sorted(prefix.rstrip("/").rsplit("/", 1)[-1] for prefix in listed["common_prefixes"])

    def files(self, path: str) -> Iterator[tuple[str, int, datetime]]:
        """Every file below `path`: its path, bytes, when last written. For cleaning up; no result depends on it."""
        skipped = len(self._path(""))
        with self._errors("list", path):
            for batch in obstore.list(self._store, self._path(path)):
                for file in batch:
                    yield file["path"][skipped:], file["size"], file["last_modified"]

    @contextmanager
    def parquet_writer(self, path: str, schema: pa.Schema, plain: Sequence[str] = ()) -> Iterator[pq.ParquetWriter]:
        """Write a Parquet file; where the block raises, no file appears. `plain` columns hold noise: not compressed."""
        packed = [name for name in schema.names if name not in plain]
        with (
            self._writer(path) as sink,
            pq.ParquetWriter(
                sink,
                schema,
                compression={name: "zstd" if name in packed else "none" for name in schema.names},
                use_dictionary=[f.name for f in schema if f.name in packed and pa.types.is_string(f.type)],
                write_statistics=packed,
            ) as writer,
        ):
            yield writer

    def open_parquet(self, path: str) -> pq.ParquetFile:
        with self.reading(path):
            return pq.ParquetFile(self._open(path), pre_buffer=objects.is_remote(self.uri))

    @contextmanager
    def arrow_writer(self, path: str, schema: pa.Schema) -> Iterator[pa.ipc.RecordBatchFileWriter]:
        """Write an Arrow file, uncompressed; where the block raises, no file appears."""
        with self._writer(path) as sink, pa.ipc.new_file(sink, schema) as writer:
            yield writer

    def open_arrow(self, path: str) -> pa.ipc.RecordBatchFileReader:
        with self.reading(path):
            return pa.ipc.open_file(self._open(path))

    @contextmanager
    def _writer(self, path: str) -> Iterator[pa.PythonFile]:
        with self._errors("write", path):
            sink = _Sink(obstore.open_writer(self._store, self._path(path)))
            try:
                yield pa.PythonFile(sink, mode="w")
                sink.finish()
            except BaseException:
                sink.abandon()
                raise

    def _open(self, path: str) -> pa.NativeFile:
        if not objects.is_remote(self.uri):
            return pa.memory_map(str(objects.local_path(self.uri) / path))
        size = obstore.head(self._store, self._path(path))["size"]
        file = objects.Reader(self._store, self._path(path), size, lambda error: self._error("read", path, error))
        return pa.PythonFile(file, mode="r")

    @contextmanager
    def reading(self, path: str) -> Iterator[None]:
        """Errors while reading a file (which may be damaged) become a StorageError that names it."""
        with self._errors("read", path):
            try:
                yield
            except pa.ArrowException as error:
                raise self._error("read", path, error) from error

    def check(self) -> None:
        """Refuse a store that cannot be written, or that lets a second conditional write succeed."""
        objects.reach(self.uri)
        probe = f"probes/{uuid.uuid4().hex}"
        first = self.put_if_absent(probe, b"1")
        second = self.put_if_absent(probe, b"2")
        if not first or second or self.get(probe) != b"1":
            raise StorageError(
                f"{self.uri}: this store has no conditional writes: a second put-if-absent of one object succeeded, so "
                "two drivers could overwrite each other's results. Use a local disk, or an object store that honours "
                "`If-None-Match: *` (Amazon S3, Google Cloud Storage, Azure, MinIO, Ceph from Reef on)."
            )
        self.delete(probe)

    @contextmanager
    def _errors(self, verb: str, path: str) -> Iterator[None]:
        try:
            yield
        except (BaseError, OSError) as error:
            if isinstance(error, FileNotFoundError) and verb == "delete":
                return
            raise self._error(verb, path, error) from error

    def _error(self, verb: str, path: str, error: Exception) -> StorageError:
        return StorageError(f"{self.where(path)}: cannot {verb}: {_reason(error)}")


def _reason(error: Exception) -> str:
    text = str(error)
    if isinstance(error, (pa.ArrowException, ValueError)):
        first = text.splitlines()[0] if text else type(error).__name__
        return f"it is damaged ({first}). Run with --fresh to make it again."
    if "No space left" in text or "StorageFull" in text:
        return "the disk is full. Free some space or name another --storage, then run the same command: it resumes."
    if isinstance(error, FileNotFoundError):
        return "it does not exist (deleted by someone?). Run with --fresh to make it again."
    if "Permission denied" in text or "AccessDenied" in text or "Forbidden" in text:
        return "permission denied. Check the credentials and rights of this user, or name another --storage."
    lines = [line for line in text.split("\n\nDebug source")[0].splitlines() if line.strip()]
    return (
        lines[0] if lines else type(error).__name__
    ) + ". Check that the store is reachable, then run again: it resumes."


class _Sink:
    """A Python file, as pyarrow wants one, over obstore's writer; the object appears only at `finish`."""

    def __init__(self, writer: Any):
        self._writer = writer
        self._position = 0
        self.closed = False

    def write(self, data: Any) -> int:
        size = len(memoryview(data).cast("B"))
        if size:
            self._writer.write(bytes(data))
        self._position += size
        return size

    def tell(self) -> int:
        return self._position

    def flush(self) -> None:
        pass

    def writable(self) -> bool:
        return True

    def close(self) -> None:
        self.closed = True

    def finish(self) -> None:
        self._writer.close()

    def abandon(self) -> None:
        """Drop the upload: an unfinished multipart upload is never visible."""
        self.closed = True
        del self._writer


def dumps(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True, default=str).encode("utf-8", "replace")


@lru_cache(maxsize=8)
def open_storage(uri: str) -> Storage:
    """The storage at `uri`; one object per process."""
    return Storage(uri)
