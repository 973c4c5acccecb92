"""A file in an object store as a Python file, for readers that seek (pyarrow's Parquet)."""

from __future__ import annotations

import io
from typing import Any

import obstore
from obstore.exceptions import BaseError

from pairmill import objects
from pairmill.pairs.sources.stat import remote_error, stat


class RemoteFile(io.RawIOBase):
    """Reads ranges as they are asked for; the reader above it buffers."""

    def __init__(self, uri: str, size: int, place: str):
        super().__init__()
        self._uri, self._size, self._place, self._at = uri, size, place, 0
        root, self._key = objects.split(uri)
        self._store = objects.bucket(root)

    @classmethod
    def open(cls, uri: str, place: str) -> RemoteFile:
        return cls(uri, stat(uri, place).size, place)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def read(self, size: int | None = -1) -> bytes:
        end = self._size if size is None or size < 0 else min(self._at + size, self._size)
        if end <= self._at:
            return b""
        try:
            data = bytes(obstore.get_range(self._store, self._key, start=self._at, end=end))
        except (BaseError, FileNotFoundError, PermissionError) as error:
            raise remote_error(self._place, self._uri, error) from error
        self._at += len(data)
        return data

    def readinto(self, buffer: Any) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)
