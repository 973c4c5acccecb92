"""Where bytes live: one way to name a place on a local disk or in an object store.

Credentials and endpoints come from the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION,
AWS_ENDPOINT_URL, GOOGLE_APPLICATION_CREDENTIALS, AZURE_STORAGE_ACCOUNT_NAME, ...), never from a spec.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

import obstore
from obstore.exceptions import BaseError, GenericError
from obstore.store import AzureStore, GCSStore, LocalStore, ObjectStore, S3Store

from pairmill.errors import StorageError

SCHEMES = ("s3", "gs", "az")
#: Failed requests are tried again for three minutes: by default obstore gives up after ten times, within two seconds.
RETRIES: Any = {"max_retries": 1000, "retry_timeout": timedelta(minutes=3)}


def is_remote(uri: str) -> bool:
    return "://" in uri and not uri.startswith("file://")


def split(uri: str) -> tuple[str, str]:
    """`s3://bucket/a/b` as ("s3://bucket", "a/b")."""
    scheme, _, rest = uri.partition("://")
    name, _, key = rest.partition("/")
    if scheme not in SCHEMES or not name:
        raise StorageError(
            f"{uri}: not a place Pairmill can read or write. Allowed: a local path, s3://, gs://, az://."
        )
    return f"{scheme}://{name}", key.strip("/")


def local_path(uri: str) -> Path:
    return Path(uri.removeprefix("file://")).expanduser()


@lru_cache(maxsize=64)
def bucket(root: str, patient: bool = True) -> ObjectStore:
    """The store of a bucket, `s3://bucket`."""
    scheme, _, name = root.partition("://")
    retries = RETRIES if patient else None
    if scheme == "s3":
        endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
        options: Any = {"allow_http": True} if endpoint.startswith("http://") else None
        return S3Store(name, client_options=options, virtual_hosted_style_request=False, retry_config=retries)
    return GCSStore(name, retry_config=retries) if scheme == "gs" else AzureStore(name, retry_config=retries)


def reach(uri: str) -> None:
    """Ask an object store for something, without much patience: for the first time that a command meets it. Raises
    StorageError where it does not answer."""
    if is_remote(uri):
        _answers(uri)


@lru_cache(maxsize=64)
def _answers(uri: str) -> None:
    """Returns where the store of `uri` answers, which is asked once."""
    root, prefix = split(uri)
    try:
        obstore.head(bucket(root, patient=False), f"{prefix}/probes/none".strip("/"))
    except GenericError as error:
        first = str(error).split("\n\nDebug source")[0].splitlines()[0]
        raise StorageError(f"{uri}: cannot be reached: {first}. Check the URI, endpoint and credentials.") from error
    except (BaseError, FileNotFoundError):  # an answer: that there is no such object, or no right to ask
        return


def directory(uri: str, create: bool = False) -> tuple[ObjectStore, str]:
    """A store and the prefix inside it (no trailing slash; empty for a local directory)."""
    if is_remote(uri):
        root, prefix = split(uri)
        return bucket(root), prefix
    path = local_path(uri).absolute()
    try:
        if create:
            path.mkdir(parents=True, exist_ok=True)
        return LocalStore(path), ""
    except Exception as error:
        raise StorageError(f"{uri}: cannot be used as a directory: {error}. Name one that can be written.") from error


class Reader(io.RawIOBase):
    """An object as a read-only Python file, for readers that seek (pyarrow's Parquet); ranges are read as asked for.

    `fail` turns an error of the store into the one to raise.
    """

    def __init__(self, store: ObjectStore, path: str, size: int, fail: Callable[[Exception], Exception]):
        super().__init__()
        self._store, self._path, self._size, self._fail, self._at = store, path, size, fail, 0

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
            data = bytes(obstore.get_range(self._store, self._path, start=self._at, end=end))
        except (BaseError, OSError) as error:
            raise self._fail(error) from error
        self._at += len(data)
        return data

    def readinto(self, buffer: Any) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)
