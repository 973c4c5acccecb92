"""DuckDB over the Parquet files of a storage, and questions that can be given up.

1. The database is in memory and locked: it may open files below the storage and nothing else, loads no extension, and
   no statement can change that. Only queries run, made of fixed text, of columns from closed lists, and of bound
   parameters.
2. A local storage is read by DuckDB itself, with all its threads. An object store, or a path with characters that
   DuckDB takes for a pattern, is read through Pairmill's own reader, by the ranges of the columns a query needs.
3. A `Question` is what one reader asks: its queries run on a cursor of their own. `give_up` ends the query that is
   running and refuses later ones: the reader went away, or it takes too long.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import duckdb
import obstore
import pyarrow as pa
from fsspec import AbstractFileSystem  # type: ignore[import-untyped]

from pairmill import objects
from pairmill.errors import PairmillError, StorageError
from pairmill.runs.storage import Storage

MEMORY = "700MB"
PROTOCOL = "pairmill"
_PATTERN = frozenset("*?[]{}")


class GivenUp(PairmillError):
    """The reader went away, or the question took too long."""


class Database:
    """A storage's Parquet files as DuckDB reads them. `memory`: what DuckDB may use, over all readers."""

    def __init__(self, storage: Storage, memory: str = MEMORY, threads: int | None = None):
        self._storage = storage
        own = objects.is_remote(storage.uri) or not _PATTERN.isdisjoint(storage.uri)
        self._root = f"{PROTOCOL}://storage" if own else str(objects.local_path(storage.uri))
        config: dict[str, Any] = {"memory_limit": memory, "temp_directory": "", "preserve_insertion_order": True}
        self._connection = duckdb.connect(
            ":memory:", config=config if threads is None else {**config, "threads": threads}
        )
        if own:
            self._connection.register_filesystem(_StorageFiles(storage.uri))
        self._lock()

    def _lock(self) -> None:
        settings = {
            "allowed_directories": [f"{self._root}/"],
            "python_enable_replacements": False,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "enable_external_access": False,
            "lock_configuration": True,
        }
        for name, value in settings.items():
            literal = [str(part) for part in value] if isinstance(value, list) else value
            self._connection.execute(f"SET {name} = {_literal(literal)}")

    def place(self, path: str) -> str:
        """The name by which DuckDB opens a path of the storage."""
        return f"{self._root}/{path}"

    def path(self, place: str) -> str:
        """The inverse of `place`."""
        return place.removeprefix(f"{self._root}/")

    def question(self) -> Question:
        return Question(self._connection.cursor(), self._storage.uri)

    def close(self) -> None:
        self._connection.close()


class Question:
    """What one reader asks: queries on one cursor, one at a time, from any thread."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection, where: str):
        self._cursor, self._where = cursor, where
        self._reason = ""

    def give_up(self, reason: str) -> None:
        """End the running query and refuse later ones. May be called again while the query has not ended."""
        self._reason = reason
        self._cursor.interrupt()

    def check(self) -> None:
        """Raises GivenUp where the question is; for work between queries."""
        if self._reason:
            raise GivenUp(self._reason)

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """The result of a query, a dict per row. Raises GivenUp, StorageError (a file is gone or damaged)."""
        with self._errors():
            self._only_select(sql)
            self._cursor.execute(sql, list(parameters))
            names = [column[0] for column in self._cursor.description or ()]
            return [dict(zip(names, row, strict=True)) for row in self._cursor.fetchall()]

    def rows_within(self, seconds: float, sql: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]] | None:
        """As `rows`; None where it takes longer than that."""
        timer = threading.Timer(seconds, self._cursor.interrupt)
        timer.start()
        try:
            return self.rows(sql, parameters)
        except GivenUp:
            if self._reason:
                raise
            return None
        finally:
            timer.cancel()

    def batches(self, sql: str, parameters: Sequence[Any], rows: int) -> Iterator[pa.RecordBatch]:
        """The result of a query as it is made, about `rows` rows at a time; an empty batch comes first."""
        with self._errors():
            self._only_select(sql)
            made: Any = self._cursor.sql(sql, params=list(parameters))
            read = made.to_arrow_reader if hasattr(made, "to_arrow_reader") else made.fetch_record_batch  # below 1.5
            reader = read(rows)
            yield pa.RecordBatch.from_pylist([], reader.schema)
            yield from reader

    def close(self) -> None:
        self._cursor.close()

    def _only_select(self, sql: str) -> None:
        """An allowed directory may be written to: no statement but a query ever runs."""
        kinds = [statement.type for statement in self._cursor.extract_statements(sql)]
        if kinds != [duckdb.StatementType.SELECT]:
            raise duckdb.PermissionException(f"the explorer only reads, and this is {kinds}")

    @contextmanager
    def _errors(self) -> Iterator[None]:
        self.check()
        try:
            yield
        except duckdb.InterruptException:
            raise GivenUp(self._reason or "the query was stopped") from None
        except duckdb.OutOfMemoryException:
            raise PairmillError("This view needs more memory than the explorer may use. Narrow the filters.") from None
        except (duckdb.IOException, duckdb.ConversionException, duckdb.InvalidInputException) as error:
            raise StorageError(
                f"{self._where}: a file of the run cannot be read: {str(error).splitlines()[0]} "
                "Deleted or damaged? Run the job with --fresh to make it again."
            ) from error


def quoted(column: str) -> str:
    """A column's name in a statement."""
    return '"' + column.replace('"', '""') + '"'


def _literal(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(_literal(part) for part in value)}]"
    return str(value).lower() if isinstance(value, bool) else "'" + str(value).replace("'", "''") + "'"


class _StorageFiles(AbstractFileSystem):
    """The files of a storage for DuckDB, read-only: `pairmill://storage/<path>`."""

    protocol = PROTOCOL
    cachable = False

    def __init__(self, uri: str):
        super().__init__()
        self._store, self._prefix = objects.directory(uri)

    def _key(self, path: str) -> str:
        name = path.removeprefix(f"{PROTOCOL}://").removeprefix("storage/")
        return f"{self._prefix}/{name}" if self._prefix else name

    def _open(self, path: str, mode: str = "rb", **options: Any) -> objects.Reader:
        if mode != "rb":
            raise OSError(f"{path}: the explorer only reads")
        return objects.Reader(self._store, self._key(path), self.info(path)["size"], OSError)

    def info(self, path: str, **options: Any) -> dict[str, Any]:
        found = obstore.head(self._store, self._key(path))
        return {"name": path, "size": found["size"], "type": "file", "mtime": found["last_modified"].timestamp()}

    def modified(self, path: str) -> datetime:
        found: datetime = obstore.head(self._store, self._key(path))["last_modified"]
        return found

    def glob(self, path: str, maxdepth: int | None = None, **options: Any) -> list[str]:
        return [path.removeprefix(f"{PROTOCOL}://")]
