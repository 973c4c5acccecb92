"""How the model inside a fast tokenizer cuts words: what vocabulary extension reads and changes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from pairmill.errors import SpecError
from pairmill.model.tokenizer import plain

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


class Base:
    """The model inside a tokenizer: how it cuts a word, given as the text of a token."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast):
        self.backend = plain(tokenizer)
        self.state: dict[str, Any] = json.loads(self.backend.to_str())
        self.model: dict[str, Any] = self.state["model"]
        self.type = str(self.model["type"])
        if self.type not in ("WordPiece", "BPE", "Unigram"):
            raise SpecError(f"the tokenizer's model is {self.type}; WordPiece, BPE and Unigram can be extended.")
        listed = self.model["vocab"]
        self.ids: dict[str, int] = (
            {piece: number for number, (piece, _) in enumerate(listed)} if self.type == "Unigram" else dict(listed)
        )
        self.prefix = str(self.model.get("continuing_subword_prefix") or "")
        self.unknown: str | None = self.model.get("unk_token")
        if self.type == "Unigram" and self.model["unk_id"] is not None:
            self.unknown = listed[self.model["unk_id"]][0]

    def pieces(self, token: str) -> list[str] | None:
        """The base's pieces of a token's text; None where a part of it is unknown."""
        if self.prefix and token.startswith(self.prefix) and token != self.prefix:
            return self._longest_matches(token)
        found = [piece.value for piece in self.backend.model.tokenize(token)]
        return found if found and all(piece != self.unknown and piece in self.ids for piece in found) else None

    def _longest_matches(self, token: str) -> list[str] | None:
        """WordPiece from inside a word."""
        rest, found = token[len(self.prefix) :], []
        while rest:
            end = next((n for n in range(len(rest), 0, -1) if self.prefix + rest[:n] in self.ids), 0)
            if not end:
                return None
            found.append(self.prefix + rest[:end])
            rest = rest[end:]
        return found

    def symbols(self, word: str) -> list[str]:
        """A word's known pieces, or its characters where the base does not know all of it."""
        known = self.pieces(word)
        if known is not None:
            return known
        if self.type == "WordPiece":
            return [c if at == 0 else self.prefix + c for at, c in enumerate(word)]
        return [symbol for text, strange in self.parts(word) for symbol in (text if strange else [text])]

    def parts(self, word: str) -> list[tuple[str, bool]]:
        """The pieces of a word (BPE, Unigram), and whether each is unknown. The model's offsets count bytes."""
        data, found = word.encode(), []
        for piece in self.backend.model.tokenize(word):
            strange = piece.value == self.unknown or piece.value not in self.ids
            found.append((data[slice(*piece.offsets)].decode() if strange else piece.value, strange))
        return found

    def joined(self, symbols: Sequence[str]) -> str:
        return symbols[0] + "".join(symbol.removeprefix(self.prefix) for symbol in symbols[1:])

    def words(self, texts: Iterable[str]) -> Counter[str]:
        """The words of the texts, as the model gets to see them, and how often each stands there."""
        found: Counter[str] = Counter()
        normalizer, splitter = self.backend.normalizer, self.backend.pre_tokenizer
        for text in texts:
            normal = text if normalizer is None else normalizer.normalize_str(text)
            found.update([normal] if splitter is None else [word for word, _ in splitter.pre_tokenize_str(normal)])
        return found
