"""Lines that recur on the pages of one site (menus, footers, notices), found before annotate and removed in it.

How a site's boilerplate is found stands in `boilerplate_stages`; here is what a line, a site and a key are.

Only sides of two lines or more are looked at, so that bitext and titles never are. Lines and sites go by 64-bit hashes
(xxh3): two different lines of 10^9 on one site would meet with a probability below 0.03.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from pairmill.curate.exclude import page_of
from pairmill.pairs.strings import byte_offsets
from pairmill.runs.storage import open_storage

VERSION = 1
#: The `line` under which a site's pages are counted; no line has this hash.
ALL_PAGES = np.uint64(0)


def sites(urls: pa.Array) -> np.ndarray:
    """A 64-bit hash of each URL's host; 0 where there is none."""
    encoded = urls.dictionary_encode()
    hosts = [page_of(url).partition("/")[0] if url else "" for url in encoded.dictionary.to_pylist()]
    known = np.array([*[xxhash.xxh3_64_intdigest(host.encode()) if host else 0 for host in hosts], 0], np.uint64)
    return known[encoded.indices.fill_null(len(hosts)).to_numpy(zero_copy_only=False)]


def split(texts: pa.Array) -> tuple[pa.Array, np.ndarray, np.ndarray]:
    """The lines of the texts that have two or more: the lines, a 64-bit hash of each, and the row of each."""
    several = np.asarray(pc.greater(pc.count_substring(texts, "\n"), 0))
    rows = np.flatnonzero(several)
    parts = pc.split_pattern(texts.take(pa.array(rows)), "\n")
    lines = parts.flatten()
    data, ends = byte_offsets(lines)
    bounds = pairwise(ends.tolist())
    hashed = np.fromiter((xxhash.xxh3_64_intdigest(data[a:b]) for a, b in bounds), np.uint64, len(lines))
    hashed[hashed == ALL_PAGES] = 1
    return lines, hashed, np.repeat(rows, pc.list_value_length(parts).to_numpy(zero_copy_only=False))


def remove(texts: pa.Array, urls: pa.Array, known: np.ndarray) -> tuple[pa.Array, int]:
    """Drop the lines that are boilerplate of their row's site. `known`: keys as of `load`.

    Returns the texts and how many of them changed.
    """
    if not len(known) or urls.null_count == len(urls):
        return texts, 0
    lines, hashed, rows = split(texts)
    gone = np.isin(line_key(sites(urls)[rows], hashed), known)
    if not gone.any():
        return texts, 0
    changed = np.unique(rows[gone])
    left = np.isin(rows, changed) & ~gone
    kept = lines.take(pa.array(np.flatnonzero(left)))
    counts = np.bincount(np.searchsorted(changed, rows[left]), minlength=len(changed))
    offsets = pa.array(np.concatenate([[0], np.cumsum(counts)]), pa.int64())
    joined = pc.binary_join(pa.LargeListArray.from_arrays(offsets, kept), pa.scalar("\n", pa.large_string()))
    mask = np.zeros(len(texts), bool)
    mask[changed] = True
    return pc.replace_with_mask(texts, pa.array(mask), joined), len(changed)


def line_key(site: np.ndarray, line: np.ndarray) -> np.ndarray:
    """One hash of a site's line."""
    mixed = (site ^ (line * np.uint64(0x9E3779B97F4A7C15))) * np.uint64(0xC2B2AE3D27D4EB4F)
    return mixed ^ (mixed >> np.uint64(29))


@lru_cache(maxsize=2)
def load(storage_uri: str, path: str | None) -> np.ndarray:
    """The keys of the boilerplate lines of a shard's sites, ascending; none where `path` is None."""
    if path is None:
        return np.zeros(0, np.uint64)
    storage = open_storage(storage_uri)
    with storage.reading(path), storage.open_parquet(path) as file:
        return np.asarray(file.read()["key"])
