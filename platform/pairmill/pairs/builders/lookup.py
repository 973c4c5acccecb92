"""A table on the temporary disk, for what a builder must remember of a dump that is larger than memory.

1. Rows are appended to a SQLite file; the index is made by the first `get`, by an external merge sort, so that neither
   adding nor indexing jumps about on the disk. Adding more after a `get` works, only slower.
2. Keys may repeat: `get` gives the first row added under a key, `get_all` all of them in the order they were added.
3. The file loses its name as soon as it is open: it vanishes with the process, however that ends. Nothing is
   journalled or synced. Memory is `CACHE_BYTES`, whatever the number of rows.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pairmill.errors import PairmillError

#: Pages held in memory, for the table and again for the sort that indexes it.
CACHE_BYTES = 64 << 20
#: Keys asked for in one statement (SQLite allows 32,766 variables, older ones 999).
_AT_ONCE = 900
_SETTINGS = {
    "journal_mode": "OFF",
    "synchronous": "OFF",
    "locking_mode": "EXCLUSIVE",
    "temp_store": "FILE",
    "cache_size": str(-CACHE_BYTES // 1024),
}

Key = str | int
Value = str | bytes | int | None


class Lookup:
    """Keys and values on disk. A context manager; a set of keys where values are left empty.

    >>> with Lookup() as table:
    ...     table.add([("t1", "one"), ("t2", "two")])
    ...     table.get(["t2", "t9"])
    {'t2': 'two'}
    """

    def __init__(self) -> None:
        self._indexed = False

    def __enter__(self) -> Lookup:
        with _disk_errors(), tempfile.TemporaryDirectory(prefix="pairmill-lookup-") as folder:
            self._database = sqlite3.connect(os.path.join(folder, "table"), isolation_level=None)
            for name, value in _SETTINGS.items():
                self._database.execute(f"PRAGMA {name}={value}")
            self._database.execute("CREATE TABLE rows (key, value)")
            self._database.execute("BEGIN")  # without a journal a transaction costs nothing, and it is never closed
        return self

    def __exit__(self, *error: object) -> None:
        self._database.close()

    def add(self, items: Iterable[tuple[Key, Value]]) -> None:
        """Append rows of key and value. Raises PairmillError where the temporary disk is full."""
        rows = list(items)
        try:
            "".join(value for row in rows for value in row if type(value) is str).encode()
        except UnicodeEncodeError:  # lone surrogates, which SQLite cannot hold
            rows = [(_encodable(key), _encodable(value)) for key, value in rows]
        with _disk_errors():
            self._database.executemany("INSERT INTO rows VALUES (?, ?)", rows)

    def get(self, keys: Sequence[Key]) -> dict[Any, Any]:
        """The first value of each of the keys that are there. Fastest with thousands of keys at once."""
        found: dict[Any, Any] = {}
        for key, value in self._rows(keys):
            found.setdefault(key, value)
        return found

    def get_all(self, keys: Sequence[Key]) -> dict[Any, list[Any]]:
        """All values of each of the keys that are there, in the order they were added."""
        found: dict[Any, list[Any]] = {}
        for key, value in self._rows(keys):
            found.setdefault(key, []).append(value)
        return found

    def known(self, keys: Sequence[Key]) -> set[Any]:
        """Which of the keys are there."""
        return {key for key, _ in self._rows(keys, "NULL")}

    def _rows(self, keys: Sequence[Key], value: str = "value") -> Iterator[tuple[Any, Any]]:
        wanted = sorted(
            {key for key in keys if _encodable(key) == key}, key=_order
        )  # neighbours share the index's pages
        with _disk_errors():
            if not self._indexed:
                self._database.execute("CREATE INDEX by_key ON rows (key)")
                self._indexed = True
            for at in range(0, len(wanted), _AT_ONCE):
                some = wanted[at : at + _AT_ONCE]
                marks = ",".join("?" * len(some))
                # the index holds the rows of a key in the order they were added
                yield from self._database.execute(f"SELECT key, {value} FROM rows WHERE key IN ({marks})", some)


def _encodable(value: Any) -> Any:
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


def _order(key: Key) -> tuple[bool, Any]:
    return isinstance(key, str), key


@contextmanager
def _disk_errors() -> Iterator[None]:
    try:
        yield
    except (sqlite3.OperationalError, FileNotFoundError, PermissionError) as error:
        folder = tempfile.gettempdir()
        raise PairmillError(
            f"the temporary folder {folder} cannot hold a builder's table: {error}. It needs about as much room as the "
            "texts of the input's largest dump; set TMPDIR to a folder on a larger disk and start the job again."
        ) from error
