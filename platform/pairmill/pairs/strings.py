"""The bytes inside Arrow string arrays."""

import numpy as np
import pyarrow as pa


def byte_offsets(column: pa.Array) -> tuple[memoryview, np.ndarray]:
    """Return the data buffer of a string array and the int64 byte offsets (n + 1) of its rows in that buffer."""
    wide = pa.types.is_large_string(column.type)
    if not wide and not pa.types.is_string(column.type):
        raise TypeError(f"text must be a string or large_string array, found {column.type}: cast it first")
    if column.null_count:
        raise ValueError(f"text has {column.null_count} nulls in {len(column)} rows: fill or drop them first")
    if len(column) == 0:
        return memoryview(b""), np.zeros(1, np.int64)
    _, offsets, data = column.buffers()
    dtype: type[np.signedinteger] = np.int64 if wide else np.int32
    all_offsets = np.frombuffer(offsets, dtype)
    rows = all_offsets[column.offset : column.offset + len(column) + 1].astype(np.int64)
    return memoryview(b"") if data is None else memoryview(data), rows
