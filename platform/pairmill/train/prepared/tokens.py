"""Texts to token ids, with the tokenizer that a job's driver has put into the storage.

A tokenizer is known by the digest of its `tokenizer.json`. Workers read it from the storage, so that they need no path
of the driver's machine. Prompts go around a text before it is tokenised; truncation takes special tokens into account.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from pairmill.errors import SpecError
from pairmill.runs.storage import Storage, open_storage

PREFIX = "stages/prepare/tokenizers"
#: What stands before and behind a text.
Prompt = tuple[str, str]


def publish(storage: Storage, directory: str) -> str:
    """Put the tokenizer of a Hugging Face directory into the storage; return its fingerprint."""
    file = Path(directory) / "tokenizer.json"
    data = file.read_bytes() if file.is_file() else _converted(directory)
    fingerprint = hashlib.sha256(data).hexdigest()[:32]
    storage.put_if_absent(f"{PREFIX}/{fingerprint}.json", data)
    return fingerprint


def _converted(directory: str) -> bytes:
    """The fast form of a tokenizer that comes without `tokenizer.json`."""
    from transformers import AutoTokenizer

    try:
        backend = AutoTokenizer.from_pretrained(directory, use_fast=True).backend_tokenizer
    except (AttributeError, OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise SpecError(
            f"{directory}: no fast tokenizer ({reason}). Name a directory with a tokenizer.json, or one of a class "
            "that transformers can convert."
        ) from error
    return str(backend.to_str()).encode()


class Tokens:
    """A tokenizer with a largest length, specials included."""

    def __init__(self, storage_uri: str, fingerprint: str, max_length: int):
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        from tokenizers import Tokenizer

        data = open_storage(storage_uri).get(f"{PREFIX}/{fingerprint}.json")
        if data is None:
            raise SpecError(f"tokenizer {fingerprint} is gone from {storage_uri}/{PREFIX}. Run the same command again.")
        self._tokenizer: Any = Tokenizer.from_str(data.decode())
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self.before, self.behind = self._specials()
        self.max_length = max_length
        if max_length <= len(self.before) + len(self.behind):
            raise SpecError(f"max_length {max_length}: the tokenizer's special tokens alone are as many. Raise it.")

    def encode(self, texts: Sequence[str], prompt: Prompt = ("", "")) -> pa.ListArray:
        """Token ids list<int32> (n,) with special tokens, at most `max_length` each; empty where nothing is left of a
        text. Raises SpecError where the prompt leaves no room for a text."""
        self._tokenizer.enable_truncation(self.max_length)
        bare = len(self._tokenizer.encode("".join(prompt)).ids)
        if bare >= self.max_length:
            raise SpecError(
                f"prompt {''.join(prompt)!r} has {bare} tokens with the special ones, and max_length is "
                f"{self.max_length}: no room is left for texts. Shorten it or raise model.max_length."
            )
        wrapped = [f"{prompt[0]}{text}{prompt[1]}" for text in texts] if any(prompt) else list(texts)
        found = [encoding.ids for encoding in self._tokenizer.encode_batch_fast(wrapped)]
        return _lists([ids if len(ids) > bare else [] for ids in found])

    def plain(self, texts: Sequence[str]) -> pa.ListArray:
        """Token ids without special tokens, of any length."""
        self._tokenizer.no_truncation()
        return _lists([e.ids for e in self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)])

    def _specials(self) -> tuple[list[int], list[int]]:
        """The ids put before and behind a text."""
        encoding = self._tokenizer.encode("a")
        special = encoding.special_tokens_mask
        first = special.index(0) if 0 in special else len(special)
        last = len(special) - special[::-1].index(0) if 0 in special else first
        return encoding.ids[:first], encoding.ids[last:]


@lru_cache(maxsize=4)
def load(storage_uri: str, fingerprint: str, max_length: int) -> Tokens:
    """The tokenizer; one object per process."""
    return Tokens(storage_uri, fingerprint, max_length)


def encode_columns(tokens: Tokens, columns: dict[str, tuple[pa.Array, Prompt]]) -> dict[str, pa.ListArray]:
    """Token ids of several columns of texts (no nulls); a text that occurs often with one prompt is tokenised once."""
    found: dict[str, pa.ListArray] = {}
    for prompt in dict.fromkeys(prompt for _, prompt in columns.values()):
        names = [name for name, (_, of) in columns.items() if of == prompt]
        texts = pa.concat_arrays([columns[name][0] for name in names]).dictionary_encode()
        lists, start = tokens.encode(texts.dictionary.to_pylist(), prompt), 0
        for name in names:
            count = len(columns[name][0])
            found[name] = lists.take(texts.indices.slice(start, count))
            start += count
    return found


def text_ids(texts: pa.Array) -> np.ndarray:
    """Identity of each text, int64 (n,): xxh3, 64 bits, of its UTF-8 bytes after NFC."""
    distinct = texts.dictionary_encode()
    normal = pc.utf8_normalize(distinct.dictionary, form="NFC").to_pylist()
    hashes = np.array([xxhash.xxh3_64_intdigest(text.encode()) for text in normal], np.uint64).view(np.int64)
    return hashes[np.asarray(distinct.indices)]


def _lists(rows: list[list[int]]) -> pa.ListArray:
    offsets = np.zeros(len(rows) + 1, np.int64)
    np.cumsum([len(row) for row in rows], out=offsets[1:])
    values = np.fromiter(chain.from_iterable(rows), np.int32, int(offsets[-1]))
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(values))
