"""The index of evaluation texts: which 64-bit keys a row must be looked up for, and where in which text they stand.

Keys are of three kinds, each a hash of a sequence of tokens:
- *seeds*: the shortest run of tokens from a place on that has 24 letters or n words. Not every place of a text has
  one: the places are chosen so that every n-gram of the text holds a whole seed (of a shorter text, its first place).
  So whatever overlap counts, a row that has it has a seed;
- *wholes*: all tokens of a text of 8 letters and two tokens or more;
- *gaps*: a text of up to two n-grams without one of its words, in scripts without spaces without up to 9 letters in a
  row. Two texts that differ in one word have such a key in common (the deletion neighbourhood of SymSpell, Garbe
  2012); of longer texts an n-gram is left on a side of the changed word.
The same text of several sets or rows is one text. Keys are sorted, and `heads` says where those begin that have the
same highest bits, so that a look-up is two reads of memory.

Seeds that more than `boilerplate` texts have are common phrases: they are left out where the text has others, and the
tokens that only they cover do not count for its share.
"""

from __future__ import annotations

import io
import json
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from pairmill.curate import arrays
from pairmill.curate.decontamination import kernels
from pairmill.curate.decontamination.evaluation import SCHEMA, Say, texts
from pairmill.curate.decontamination.tokens import LETTER, Tokens, tokens
from pairmill.curate.decontamination.tokens import VERSION as TOKENS_VERSION
from pairmill.curate.dedup import shingles
from pairmill.errors import SourceError
from pairmill.runs.storage import open_storage
from pairmill.runs.units import Units, digest
from pairmill.spec.curate import CurateSpec

VERSION = 1
PREFIX = "stages/decontaminate/index"
#: Sizes in letters: of a side that is a text; of what is the same around a changed word; of a text inside a longer one.
#: Below 24 letters the last two are chance: another sentence of the same pattern (audit: docs/decontamination.md).
EXACT, CHANGED, INSIDE = 8, 24, 24
#: Letters that a word of an n-gram stands for where words are longer, or are none.
WORD = 5


class Limits(NamedTuple):
    """How much counts, in LETTER-ths of a letter and in words."""

    exact: int
    changed: int
    seed: int
    gram: int
    words: int  # so many words are a seed and an n-gram, too

    @classmethod
    def of(cls, ngram: int) -> Limits:
        return cls(EXACT * LETTER, CHANGED * LETTER, INSIDE * LETTER, WORD * ngram * LETTER, ngram)

    @property
    def longest_changed(self) -> int:
        """The size up to which a text has gap keys: two n-grams and a long word."""
        return 2 * self.gram + 3 * WORD * LETTER


class Index(NamedTuple):
    """Arrays only, so that it is saved and loaded as it is. `keys`, `text` and `place` are of the same length."""

    keys: np.ndarray  # uint64, ascending
    text: np.ndarray  # int32: the text that a key stands in,
    place: np.ndarray  # int32: and the token from which on; -1: all of it
    heads: np.ndarray  # int64 (2^b + 1,): the first key with so high bits
    hashes: np.ndarray  # uint64: the tokens of all texts
    sizes: np.ndarray  # int32
    words: np.ndarray  # uint8
    plain: np.ndarray  # bool: tokens that are not in common phrases only
    offsets: np.ndarray  # int64 (texts + 1,): where texts start and end in those
    starts: np.ndarray  # int64: of tokens in `flat`
    ends: np.ndarray  # int64
    flat: np.ndarray  # uint32
    first: np.ndarray  # int64 (texts,): the row of `sources` in which the text stands first
    member: np.ndarray  # int64: the text of each row of `sources`; -1 for what is too short to be found

    @property
    def tokens(self) -> Tokens:
        return Tokens(self.hashes, self.sizes, self.words, self.starts, self.ends, self.offsets, self.flat)


def build(found: pa.Table, limits: Limits, boilerplate: int) -> Index:
    """Index evaluation texts (schema SCHEMA)."""
    cut = tokens(found["text"].combine_chunks())
    whole = kernels.whole_keys(cut)
    sizes, words = arrays.sums(cut.sizes, cut.offsets), arrays.sums(cut.words, cut.offsets)
    enough = ((sizes >= limits.exact) & (np.diff(cut.offsets) > 1)) | (words >= limits.words)
    _, first, member = np.unique(whole, return_index=True, return_inverse=True)
    kept = np.flatnonzero(enough[first])
    kept = kept[np.argsort(first[kept])]
    number = np.full(len(first), -1, np.int64)
    number[kept] = np.arange(len(kept))
    some = _take(cut, first[kept])
    keys, text, place, common = _entries(some, limits, boilerplate)
    order = np.lexsort((place, text, keys))
    return Index(
        keys[order], text[order].astype(np.int32), place[order].astype(np.int32), _heads(keys[order]), some.hashes,
        some.sizes, some.words, ~common, some.offsets, some.starts, some.ends, some.flat, first[kept], number[member],
    )  # fmt: skip


def _entries(some: Tokens, limits: Limits, boilerplate: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The keys of all texts with their texts and places; and for each token whether it is in a common phrase."""
    seeds = kernels.ends(some, limits.seed, limits.words)
    keys = kernels.run_keys(some, seeds, kernels.SEED)
    of = np.repeat(np.arange(len(some.offsets) - 1), np.diff(some.offsets))
    common = _common(keys, of, boilerplate)
    grams = kernels.ends(some, limits.gram, limits.words)
    at = np.flatnonzero(kernels.choose(some, seeds, grams, ~common, limits.longest_changed))
    gaps, gap_text = kernels.gap_keys(some, limits)
    numbers = np.arange(len(some.offsets) - 1)
    change = np.zeros(len(keys) + 1, np.int64)
    np.add.at(change, np.flatnonzero(common), 1)
    np.add.at(change, seeds[common], -1)
    return (
        np.concatenate([keys[at], kernels.whole_keys(some), gaps]),
        np.concatenate([of[at], numbers, gap_text]),
        np.concatenate([at - some.offsets[of[at]], np.full(len(numbers) + len(gaps), -1)]),
        np.cumsum(change)[:-1] > 0,
    )


def _take(cut: Tokens, rows: np.ndarray) -> Tokens:
    """The tokens of some texts; `flat` stays as it is."""
    counts = np.diff(cut.offsets)[rows]
    offsets = np.concatenate([[0], np.cumsum(counts)])
    at = np.arange(offsets[-1]) + np.repeat(cut.offsets[rows] - offsets[:-1], counts)
    return Tokens(cut.hashes[at], cut.sizes[at], cut.words[at], cut.starts[at], cut.ends[at], offsets, cut.flat)


def _common(keys: np.ndarray, text: np.ndarray, boilerplate: int) -> np.ndarray:
    """Places of seeds that more than `boilerplate` texts have: bool."""
    order = np.lexsort((text, keys))
    sorted_keys, sorted_text = keys[order], text[order]
    fresh = np.append(True, (np.diff(sorted_keys) != 0) | (np.diff(sorted_text) != 0))[: len(keys)]
    distinct, counts = np.unique(sorted_keys[fresh], return_counts=True)
    return np.isin(keys, distinct[(counts > boilerplate) & (distinct != 0)])


def _heads(keys: np.ndarray) -> np.ndarray:
    bits = max(4, len(keys).bit_length())
    bounds = np.arange((1 << bits) + 1, dtype=np.float64) * 2.0 ** (64 - bits)
    return np.append(np.searchsorted(keys, bounds[:-1].astype(np.uint64)), len(keys)).astype(np.int64)


def publish(storage_uri: str, spec: CurateSpec, say: Say = lambda line: None) -> str | None:
    """Read the spec's evaluation sets and commit their index to the storage; its digest, None without any."""
    if spec.decontaminate is None:
        return None
    found = texts(spec.decontaminate.against, spec.clean, say)
    meaning = [VERSION, TOKENS_VERSION, shingles.UNICODE, EXACT, CHANGED, INSIDE, WORD]
    parameters = [spec.decontaminate.ngram, spec.decontaminate.boilerplate]
    key = digest({"version": meaning, "parameters": parameters, "texts": _content(found)})
    units = Units(open_storage(storage_uri), PREFIX)
    if units.get(key) is None:
        index = build(found, Limits.of(spec.decontaminate.ngram), spec.decontaminate.boilerplate)
        packed, sources = units.data_path(key, kind="npz"), units.data_path(key)
        held = io.BytesIO()
        np.savez(held, *index)
        units.storage.put(packed, held.getvalue())
        with units.storage.parquet_writer(sources, SCHEMA) as writer:
            writer.write_table(found)
        units.commit(key, {"arrays": packed, "sources": sources})
    return key


def _content(found: pa.Table) -> str:
    """A digest of the texts and where they come from."""
    return digest([json.dumps(found[name].to_pylist()) for name in found.column_names])


@lru_cache(maxsize=2)
def load(storage_uri: str, key: str) -> Index:
    """The index that was published under a digest."""
    storage = open_storage(storage_uri)
    data = storage.get(_manifest(storage_uri, key)["arrays"])
    if data is None:
        raise _gone(storage_uri, key)
    with np.load(io.BytesIO(data)) as held:
        return Index(*(held[f"arr_{number}"] for number in range(len(Index._fields))))


@lru_cache(maxsize=2)
def load_sources(storage_uri: str, key: str) -> pa.Table:
    """The texts of the sets and where they stand (schema `evaluation.SCHEMA`); `Index.first` and `member` name rows."""
    storage = open_storage(storage_uri)
    path = _manifest(storage_uri, key)["sources"]
    with storage.reading(path), storage.open_parquet(path) as file:
        return file.read()


def _manifest(storage_uri: str, key: str) -> dict[str, str]:
    found: dict[str, str] | None = Units(open_storage(storage_uri), PREFIX).get(key)
    if found is None:
        raise _gone(storage_uri, key)
    return found


def _gone(storage_uri: str, key: str) -> SourceError:
    return SourceError(f"decontaminate: the published index {key} is gone from {storage_uri}. Start the job again.")
