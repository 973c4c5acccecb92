"""Paths with `*`, `**`, `?` and `{a,b}`, expanded in the same way on local disks and in object stores.

1. Braces are expanded to alternatives.
2. The part before the first wildcard names a directory (or a key prefix), which is listed: as deep as the pattern
   has segments, or to the bottom where it has `**`.
3. What the listing gives is matched with one regular expression. `*` and `?` stay inside a segment and do not match
   a leading dot; `**` crosses segments. `[` is an ordinary character.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass

import obstore
from obstore.exceptions import BaseError

from pairmill import objects
from pairmill.errors import SourceError
from pairmill.pairs.sources.stat import Stat, local_error, remote_error, stat

_BRACE = re.compile(r"\{([^{}]*,[^{}]*)\}")
_WILD = re.compile(r"(\*\*/|\*\*|\*|\?)")


@dataclass(frozen=True)
class Match:
    uri: str
    captures: tuple[str, ...]  # what each wildcard stood for
    stat: Stat


def alternatives(pattern: str) -> list[str]:
    """`a.{en,de}.gz` as `a.en.gz` and `a.de.gz`; nested braces too."""
    brace = _BRACE.search(pattern)
    if not brace:
        return [pattern]
    before, after = pattern[: brace.start()], pattern[brace.end() :]
    every = [full for choice in brace[1].split(",") for full in alternatives(before + choice + after)]
    return list(dict.fromkeys(every))


def expression(pattern: str) -> re.Pattern[str]:
    """The regular expression of a pattern without braces; one group per wildcard."""
    parts: list[str] = []
    for index, token in enumerate(_WILD.split(pattern)):
        start_of_segment = "(?!\\.)" if not parts or parts[-1].endswith(("/", "*)")) else ""
        if index % 2 == 0:
            parts.append(re.escape(token))
        elif token == "**/":
            parts.append("((?:(?!\\.)[^/]+/)*)")
        else:
            parts.append(start_of_segment + {"**": "((?:[^/]+/(?!\\.))*[^/]*)", "*": "([^/]*)", "?": "([^/])"}[token])
        parts = [part for part in parts if part]
    return re.compile("".join(parts), re.DOTALL)


def expand(patterns: list[str], where: str) -> list[Match]:
    """All files that match, sorted by URI, each once.

    Raises SourceError where a pattern matches nothing, a named path is no readable file, or a place cannot be listed.
    """
    found: dict[str, Match] = {}
    for pattern in patterns:
        matches = [match for plain in _plain(pattern) for match in _matches(plain, where)]
        if not matches:
            here = "" if objects.is_remote(pattern) else f" (paths are relative to {os.getcwd()})"
            raise SourceError(f"{where}: {pattern!r} matches no file{here}. Correct the path, or add the files.")
        found.update((match.uri, match) for match in matches)
    return [found[uri] for uri in sorted(found)]


def _plain(pattern: str) -> list[str]:
    return [pattern] if _exists(pattern) else alternatives(pattern)


def _exists(name: str) -> bool:
    """Whether a local file has this very name, wildcards and all."""
    return not objects.is_remote(name) and os.path.exists(objects.local_path(name))


def _matches(pattern: str, where: str) -> list[Match]:
    wild = _WILD.search(pattern)
    if not wild or _exists(pattern):
        return [Match(pattern, (), stat(pattern, where))]
    directory = pattern[: wild.start()].rpartition("/")
    base = directory[0] + directory[1]
    rest = pattern[len(base) :]
    regex = expression(rest)
    if objects.is_remote(pattern):
        return [
            Match(base + name, match.groups(), found)
            for name, found in _list_remote(base, where)
            if (match := regex.fullmatch(name))
        ]
    depth = None if "**" in rest else rest.count("/")
    return [
        Match(base + name, match.groups(), stat(base + name, where))
        for name, is_directory in _list_local(base, depth, where)
        if (match := regex.fullmatch(name)) and not (is_directory and rest.rpartition("/")[2] in ("*", "**"))
    ]


def _list_local(base: str, depth: int | None, where: str) -> Iterator[tuple[str, bool]]:
    """Names below `base`, and whether each is a directory. Links are followed, but never round in a circle."""

    def walk(name: str, level: int, above: frozenset[str]) -> Iterator[tuple[str, bool]]:
        path = str(objects.local_path(base + name or "."))
        real = os.path.realpath(path)
        if real in above:
            return
        try:
            entries = sorted(os.scandir(path), key=lambda entry: entry.name)
        except FileNotFoundError:
            return
        except OSError as error:
            raise local_error(where, path, error) from error
        for entry in entries:
            is_directory = entry.is_dir()
            yield name + entry.name, is_directory
            if is_directory and (depth is None or level < depth):
                yield from walk(f"{name}{entry.name}/", level + 1, above | {real})

    return walk("", 0, frozenset())


def _list_remote(base: str, where: str) -> Iterator[tuple[str, Stat]]:
    root, prefix = objects.split(base)
    try:
        for chunk in obstore.list(objects.bucket(root), prefix=prefix or None):
            for meta in chunk:
                name = str(meta["path"])[len(prefix) + 1 if prefix else 0 :]
                yield name, Stat.of_object(meta)
    except BaseError as error:
        raise remote_error(where, base, error) from error
