"""Record batches of an Arrow IPC file or stream by their byte offsets, safe to use whatever the bytes are.

Both kinds are read as a sequence of messages: a file is a stream between two marks, with an index behind it that is not
needed. So a file without its end can be read, and a piece of one without what comes before. pyarrow verifies messages
but not what they point to: offsets outside a buffer would read foreign memory, so batches are validated before use.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.types as pt

#: What pyarrow raises for bytes that are no Arrow stream.
DAMAGED = (pa.ArrowException, OSError, EOFError, MemoryError)
_FILE = b"ARROW1"
_END = b"\xff\xff\xff\xff\0\0\0\0"


class Stream:
    """Raises one of DAMAGED where `source`, a seekable pyarrow file, does not start with a schema."""

    def __init__(self, source: Any):
        self._source, self._size = source, source.size()
        source.seek(0)
        self.is_file = source.read(8) == _FILE + b"\0\0"
        self._first = 8 if self.is_file else 0
        source.seek(self._first)
        self.schema: pa.Schema = pa.ipc.read_schema(source)
        try:
            list(self.schema.names)
        except UnicodeDecodeError as error:
            raise pa.ArrowInvalid(f"a column's name is not UTF-8: {error}") from error
        self._begin = source.tell()
        self.has_dictionaries = any(map(_has_dictionary, self.schema.types))

    def batches(self, start: int = 0, stop: int | None = None) -> Iterator[tuple[pa.RecordBatch, int]]:
        """The batches that begin in a range of bytes, each with the offset of its end. Raises one of DAMAGED."""
        if self.has_dictionaries:
            self._source.seek(self._first)
            for batch in pa.ipc.open_stream(self._source):
                yield batch, self._source.tell()
            return
        at = max(start, self._begin)
        while at < (self._size if stop is None else stop):
            self._source.seek(at)
            try:
                message = pa.ipc.read_message(self._source)
            except EOFError:
                return
            at = int(self._source.tell())
            yield pa.ipc.read_record_batch(message, self.schema), at

    def checked(self, batch: pa.RecordBatch, names: list[str]) -> pa.RecordBatch:
        """Some columns of a batch, safe to use. Raises ArrowInvalid. Strings may still not be UTF-8."""
        batch = batch.select(names)
        if len(batch) > 8 * self._size:
            raise pa.ArrowInvalid(f"{len(batch)} rows announced in a file of {self._size} bytes")
        try:
            batch.validate(full=True)
        except pa.ArrowInvalid:
            bytes_of = [_as_bytes(batch.column(at)) for at in range(batch.num_columns)]
            pa.RecordBatch.from_arrays(bytes_of, names=names).validate(full=True)
        return batch

    def is_complete(self) -> bool:
        """Whether the bytes end as a writer ends them."""
        mark = _FILE if self.is_file else _END
        self._source.seek(max(self._size - len(mark), 0))
        return bool(self._source.read(len(mark)) == mark)


def _as_bytes(values: pa.Array) -> pa.Array:
    """Strings as the bytes they are, so that only their offsets are validated."""
    if pt.is_string(values.type):
        return values.view(pa.binary())
    return values.view(pa.large_binary()) if pt.is_large_string(values.type) else values


def _has_dictionary(kind: pa.DataType) -> bool:
    if pt.is_dictionary(kind):
        return True
    return any(_has_dictionary(kind.field(at).type) for at in range(kind.num_fields))
