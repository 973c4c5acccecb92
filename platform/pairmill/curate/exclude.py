"""Opt-outs: rows that match an entry of the spec's `exclude` lists are rejected as `excluded`, before any rule.

A list is a UTF-8 text file (compressed or not) with one entry per line; blank lines and lines that start with `# ` are
skipped. An entry is, by its form or by a prefix that says so,

- `domain: example.org`, or a bare host name (`*.example.org` is the same): the pages of that host and of those below it
  (by the rows' `url`);
- `url: https://example.org/a`, with or without its scheme: that page; with a `/` or `*` at its end, everything below
  it. Scheme, user, `www.`, the usual ports and fragment do not matter;
- `text: ...`, or anything else: rows with a side that is this text, but for case, punctuation and white space.

The driver reads the lists once and commits them to the run's storage, so that all workers use the same ones and the run
id changes with their content, while annotations do not: a new opt-out costs a select.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from pairmill.curate import codepoints
from pairmill.curate.dedup import folding, shingles
from pairmill.errors import SourceError
from pairmill.pairs.sources.globs import expand
from pairmill.pairs.sources.lines import Lines, read_lines
from pairmill.pairs.strings import byte_offsets
from pairmill.runs.storage import open_storage
from pairmill.runs.units import Units, digest

VERSION = 1
REASON = "excluded"
PREFIX = "stages/exclude"
_PREFIXED = re.compile(r"(domain|url|text):\s*(.+)", re.DOTALL)
_HOST = r"(?:(?=.{4,253}$)(?:[\w-]{1,63}\.)+[^\W\d_][\w-]{1,62}|(?:\d{1,3}\.){3}\d{1,3})"
_DOMAIN = re.compile(rf"(?:\*?\.)?({_HOST})\.?")
_SCHEME = re.compile(r"(?:[a-z][a-z0-9+.-]*:)?//", re.IGNORECASE)
_USUAL_PORT = re.compile(r":(?:80|443)?$")
_LONGEST_LABEL = 63
_PATH = "/%:@!$&'()*+,;=~?"  # kept as they are when other characters are written as %xx


@dataclass(frozen=True)
class Exclusions:
    """What the lists hold. `texts` are 64-bit hashes of folded texts, ascending."""

    domains: frozenset[str] = frozenset()
    pages: frozenset[str] = frozenset()  # as of `page_of`
    folders: frozenset[str] = frozenset()  # what the excluded pages begin with
    lengths: dict[str, list[int]] = field(default_factory=dict)  # host -> the lengths of its folders
    texts: np.ndarray = field(default_factory=lambda: np.zeros(0, np.uint64))

    def matches(self, table: pa.Table) -> np.ndarray:
        """Rows that must go: bool (n,). Reads the columns `anchor`, `positive` and `url`."""
        found = np.zeros(len(table), bool)
        if len(self.texts):
            for side in ("anchor", "positive"):
                found |= np.isin(hashes(table[side].combine_chunks()), self.texts)
        if self.domains or self.pages or self.folders:
            found |= self._by_url(table["url"].combine_chunks())
        return found

    def _by_url(self, urls: pa.Array) -> np.ndarray:
        found = np.zeros(len(urls), bool)
        if urls.null_count == len(urls):
            return found
        encoded = urls.dictionary_encode()
        hit = [url is not None and self._excludes(url) for url in encoded.dictionary.to_pylist()]
        return np.array([*hit, False])[encoded.indices.fill_null(len(hit)).to_numpy(zero_copy_only=False)]

    def _excludes(self, url: str) -> bool:
        page = page_of(url)
        host = _host(page)
        labels = host.split(".")
        if host in self.domains or any(".".join(labels[start:]) in self.domains for start in range(len(labels) - 1)):
            return True
        return page in self.pages or any(page[:length] in self.folders for length in self.lengths.get(host, ()))


def page_of(url: str) -> str:
    """A URL's host and path: without scheme, user, `www.`, usual port and fragment.

    The host is in lower case, its international labels as Unicode; the path holds ASCII only.
    """
    rest = _SCHEME.sub("", url.strip(), count=1).partition("#")[0]
    end = min((at for at in (rest.find("/"), rest.find("?")) if at >= 0), default=len(rest))
    host, path = _USUAL_PORT.sub("", rest[:end].rpartition("@")[2].lower()).rstrip("."), rest[end:]
    if "xn--" in host or not host.isascii():
        host = ".".join(_label(label) for label in unicodedata.normalize("NFKC", host).split("."))
    path = path if path.isascii() else quote(path, safe=_PATH, errors="replace")
    return f"{host.removeprefix('www.')}{path if path.startswith('/') else '/' + path}"


def _label(label: str) -> str:
    """A label of a host name, as Unicode (RFC 3492) if it is Punycode."""
    if not label.startswith("xn--") or len(label) > _LONGEST_LABEL:
        return label
    try:
        decoded = label[4:].encode("ascii").decode("punycode")
        decoded.encode()  # a lone surrogate is no character
    except UnicodeError:
        return label
    return decoded


def _host(page: str) -> str:
    """The host of a page, without port."""
    return page.partition("/")[0].partition(":")[0]


def hashes(texts: pa.Array) -> np.ndarray:
    """A 64-bit hash of each text, folded as near deduplication folds and trimmed; 0 where nothing is left."""
    folded = pc.utf8_trim(codepoints.encode(*shingles.fold(texts.fill_null(""))), " ")
    data, ends = byte_offsets(folded)
    bounds = ends.tolist()
    found = [xxhash.xxh3_64_intdigest(data[bounds[i] : bounds[i + 1]]) for i in range(len(folded))]
    return np.where(np.diff(ends) > 0, np.array(found, np.uint64), np.uint64(0))


def read(paths: list[str]) -> dict[str, list[str]]:
    """The lists' entries by kind, without doubles: `{"domain": [...], "url": [...], "text": [...]}`.

    Raises SourceError for a list that cannot be read to its end: no opt-out may be lost without a word.
    """
    found: dict[str, set[str]] = {"domain": set(), "url": set(), "text": set()}
    place = "exclude"
    for match in expand(paths, place) if paths else []:
        for item in read_lines(match.uri, place):
            if not isinstance(item, Lines):
                detail = getattr(item, "detail", "a line is too long")
                raise SourceError(f"{place}: {match.uri} cannot be read to its end: {detail}. Replace the file.")
            for line in item.split():
                try:
                    kind, entry = _entry(line.decode())
                except UnicodeDecodeError as error:
                    raise SourceError(f"{place}: {match.uri} is not UTF-8 ({error}). Convert it.") from None
                found[kind].update([entry] if entry else [])
    return {kind: sorted(entries) for kind, entries in found.items()}


def _entry(line: str) -> tuple[str, str]:
    line = line.strip()
    if not line or line.startswith("# ") or line == "#":
        return "text", ""
    if prefixed := _PREFIXED.fullmatch(line):
        kind, entry = prefixed[1], prefixed[2].strip()
    else:
        kind, entry = _kind(line), line
    if kind == "text":
        return kind, folding.fold_text(entry).strip()
    page = page_of(_DOMAIN.sub(r"\1", entry, count=1) if _DOMAIN.fullmatch(entry) else entry)
    if page == "/":
        return kind, ""
    if kind == "domain" and page.endswith("/") and page.count("/") == 1:
        return kind, _host(page)
    return "url", page + "*" if page.endswith("/") else page


def _kind(line: str) -> str:
    """What an entry without a prefix is, by its form."""
    if _DOMAIN.fullmatch(line):
        return "domain"
    if _SCHEME.match(line) or ("/" in line and " " not in line and _DOMAIN.fullmatch(line.partition("/")[0])):
        return "url"
    return "text"


def publish(storage_uri: str, paths: list[str], say: Callable[[str], None] = lambda line: None) -> str | None:
    """Commit the lists to the storage for the workers; return their digest, None where there are none.

    `say` is told how many entries of each kind were understood.
    """
    if not paths:
        return None
    entries = read(paths)
    say("exclude: " + ", ".join(f"{len(found):,} by {kind}" for kind, found in entries.items()))
    key = digest({"version": VERSION, "unicode": shingles.UNICODE, **entries})
    Units(open_storage(storage_uri), PREFIX).commit(key, entries)
    return key


@lru_cache(maxsize=4)
def load(storage_uri: str, key: str | None) -> Exclusions:
    """The lists that were published under a digest."""
    if key is None:
        return Exclusions()
    entries: dict[str, Any] | None = Units(open_storage(storage_uri), PREFIX).get(key)
    if entries is None:
        raise SourceError(f"exclude: the published lists {key} are gone from {storage_uri}. Start the job again.")
    folders = [page.removesuffix("*") for page in entries["url"] if page.endswith("*")]
    lengths: dict[str, set[int]] = {}
    for folder in folders:
        lengths.setdefault(_host(folder), set()).add(len(folder))
    texts = (
        np.unique(hashes(pa.array(entries["text"], pa.large_string()))) if entries["text"] else np.zeros(0, np.uint64)
    )
    pages = frozenset(page for page in entries["url"] if not page.endswith("*"))
    by_host = {host: sorted(found) for host, found in lengths.items()}
    return Exclusions(frozenset(entries["domain"]), pages, frozenset(folders), by_host, texts[texts != 0])
