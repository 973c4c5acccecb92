"""Size and fingerprint of a file, and the errors of those that cannot be had."""

from __future__ import annotations

import os
import stat as modes
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import obstore
from obstore.exceptions import BaseError

from pairmill import objects
from pairmill.errors import SourceError


@dataclass(frozen=True)
class Stat:
    size: int
    fingerprint: str

    @classmethod
    def of_object(cls, meta: Mapping[str, Any]) -> Stat:
        """From an object store's metadata: its ETag, else its version, else size and time."""
        tag = meta.get("e_tag") or meta.get("version") or f"{meta['size']}-{meta['last_modified']}"
        return cls(meta["size"], str(tag).strip('"'))


def stat(uri: str, where: str) -> Stat:
    """Raises SourceError where the file is missing, unreadable or not a file."""
    if objects.is_remote(uri):
        root, key = objects.split(uri)
        try:
            return Stat.of_object(obstore.head(objects.bucket(root), key))
        except (BaseError, FileNotFoundError, PermissionError) as error:
            raise remote_error(where, uri, error) from error
    path = objects.local_path(uri)
    try:
        status = os.stat(path)
        if modes.S_ISREG(status.st_mode):
            with open(path, "rb"):
                return Stat(status.st_size, f"{status.st_size}-{status.st_mtime_ns}")
    except OSError as error:
        raise local_error(where, uri, error) from error
    if modes.S_ISDIR(status.st_mode):
        raise SourceError(f"{where}: {uri} is a directory. Name the files inside it: {uri.rstrip('/')}/*")
    raise SourceError(f"{where}: {uri} is not a regular file but a pipe, socket or device. Save it as one first.")


def check_unchanged(uris: tuple[str, ...], fingerprint: str, where: str) -> None:
    """Raises SourceError where the files are no longer those that were listed."""
    if joined(stat(uri, where) for uri in uris) != fingerprint:
        raise SourceError(
            f"{where}: {' or '.join(uris)} has changed since the job listed it. Start the job again: it lists anew."
        )


def joined(stats: Any) -> str:
    """One fingerprint for the files of a logical file."""
    return "+".join(item.fingerprint for item in stats)


def local_error(where: str, path: str, error: OSError) -> SourceError:
    if isinstance(error, FileNotFoundError):
        return SourceError(f"{where}: {path} does not exist (paths are relative to {os.getcwd()}). Correct the path.")
    if isinstance(error, PermissionError):
        user = f"user {os.getuid()}" if hasattr(os, "getuid") else "this user"
        return SourceError(f"{where}: {path} may not be read by {user} ({error.strerror}). Grant it (chmod, chown).")
    return SourceError(f"{where}: {path} cannot be read: {error.strerror or error}. Check the disk and the path.")


def remote_error(where: str, uri: str, error: Exception) -> SourceError:
    if isinstance(error, FileNotFoundError):
        return SourceError(f"{where}: {uri} does not exist. Correct the URI, and check the endpoint and the region.")
    text = str(error).partition("\n")[0]
    return SourceError(
        f"{where}: {uri} cannot be read: {text}. Check the URI, the credentials and the endpoint in the environment."
    )
