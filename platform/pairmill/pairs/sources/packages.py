"""The gettext catalogues inside installed Python packages, named so that the place of the environment does not matter.

`pkg:django/django/conf/locale/de/LC_MESSAGES/django.mo` is that file of the package `django`, as its record of
installed files lists it. Fingerprints are of the content.
"""

from __future__ import annotations

import hashlib
import os
import re
from functools import lru_cache
from importlib import metadata

from pairmill.errors import SourceError
from pairmill.pairs.sources.base import SourceFile
from pairmill.pairs.sources.stat import local_error

_SCHEME = "pkg:"


def is_package(uri: str) -> bool:
    return uri.startswith(_SCHEME)


def catalogues_of(package: str, place: str) -> list[SourceFile]:
    """A package's catalogues: each `.mo`, and each `.po` that has no `.mo` beside it."""
    distribution = _distribution(package, place)
    listed = [str(path) for path in distribution.files or [] if path.suffix in (".mo", ".po")]
    compiled = {path[:-3] for path in listed if path.endswith(".mo")}
    chosen = sorted(path for path in listed if path.endswith(".mo") or path[:-3] not in compiled)
    if not chosen:
        why = "has no .mo or .po file" if distribution.files else "does not record which files it installed"
        raise SourceError(f"{place}: the package {package!r} {why}. Name another package, or give the files by `path`.")
    found = []
    for path in chosen:
        uri = f"{_SCHEME}{normalised(package)}/{path}"
        data = load(uri, place)
        found.append(SourceFile((uri,), package_fingerprint(data), len(data), len(data)))
    return found


def load(uri: str, place: str) -> bytes:
    """The bytes of a catalogue named `pkg:<package>/<path>`."""
    package, _, path = uri.removeprefix(_SCHEME).partition("/")
    name = os.path.join(_directory(package, place), path)
    try:
        with open(name, "rb") as file:
            return file.read()
    except OSError as error:
        raise local_error(place, name, error) from error


def package_fingerprint(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def normalised(package: str) -> str:
    return re.sub(r"[-_.]+", "-", package).lower()


@lru_cache(maxsize=256)
def _directory(package: str, place: str) -> str:
    return str(_distribution(package, place).locate_file(""))


@lru_cache(maxsize=256)
def _distribution(package: str, place: str) -> metadata.Distribution:
    try:
        return metadata.distribution(package)
    except metadata.PackageNotFoundError as error:
        raise SourceError(
            f"{place}: the package {package!r} is not installed here. Install it (on every machine of the cluster): "
            f"pip install {package}"
        ) from error
