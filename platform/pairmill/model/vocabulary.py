"""New tokens for a tokenizer that cuts a language into too many pieces, or does not know its characters.

Choosing: the base tokenizer's pieces of the texts are the symbols, and byte-pair encoding goes on from them. Characters
the base does not know come first, the most frequent ahead; then pairs of pieces in the order they are joined.

Adding: the tokens become part of the model, so that they are found inside words as the base's own are.
- WordPiece: entries of the vocabulary (`word`, `##part`). It takes the longest match, so words of old tokens change
  only where a new token fits into them.
- BPE: each token also needs a merge. New merges come after all old ones, so the old pieces are found first.
- Unigram: the score is the base's own for the string, plus `BONUS` for each token saved. So a text's best cut stays,
  and what was cut at these places is joined; larger pieces win over smaller ones.

Embeddings: a new token starts as the mean of the embeddings of the pieces that the base cut it into.
"""

from __future__ import annotations

import copy
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from pairmill.errors import SpecError
from pairmill.model.merges import join
from pairmill.model.tokenizer import plain

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedTokenizerFast

BONUS = 0.1
#: What `tokenizers` takes off the lowest score for each unknown character (Unigram).
_UNKNOWN_PENALTY = 10.0


class _Base:
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


def choose_tokens(
    tokenizer: PreTrainedTokenizerFast, texts: Iterable[str], count: int, min_frequency: int = 2
) -> list[str]:
    """The `count` tokens that the tokenizer most lacks for the texts, in the order to add them; fewer where the texts
    have no more that occur `min_frequency` times.
    """
    base = _Base(tokenizer)
    counts = base.words(texts)
    cut = {word: base.symbols(word) for word in counts}
    lacking: Counter[str] = Counter()
    for word, times in counts.items():
        for symbol in cut[word]:
            if symbol not in base.ids:
                lacking[symbol] += times
    characters = [s for s, times in sorted(lacking.items(), key=lambda i: (-i[1], i[0])) if times >= min_frequency]
    chosen = dict.fromkeys(characters[:count])
    usable = [word for word in counts if all(s in base.ids or s in chosen for s in cut[word])]
    repeated = (cut[word] for word in usable for _ in range(counts[word]))
    symbols = sorted({symbol for word in usable for symbol in cut[word]})
    room = count - len(chosen)
    merges = join(repeated, symbols, 2 * room, min_frequency) if room else []
    for token in map(base.joined, merges):
        if len(chosen) == count:
            break
        if token not in base.ids:
            chosen[token] = None
    return list(chosen)


def extend(tokenizer: PreTrainedTokenizerFast, new_tokens: Sequence[str]) -> PreTrainedTokenizerFast:
    """A copy of the tokenizer with the tokens added behind its last id. Tokens are written as the model writes them
    (`##part`, `▁word`, `Ġword`). A BPE token of k pieces brings the k - 2 in between with it; tokens in the order of
    `choose_tokens` need none.

    Raises SpecError where a token is there already, stands twice, or the model's type allows no new tokens.
    """
    from tokenizers import Tokenizer

    base = _Base(tokenizer)
    for token, times in Counter(new_tokens).items():
        if times > 1 or not token or token in base.ids:
            found = "stands twice" if times > 1 else "is in the vocabulary already" if token else "is empty"
            raise SpecError(f"new_tokens: {token!r} {found}. Name tokens the tokenizer does not have.")
    {"WordPiece": _extend_wordpiece, "BPE": _extend_bpe, "Unigram": _extend_unigram}[base.type](
        base, new_tokens, len(tokenizer)
    )
    extended = copy.deepcopy(tokenizer)
    extended._tokenizer = Tokenizer.from_str(json.dumps(base.state, ensure_ascii=False))
    return extended


def _extend_wordpiece(base: _Base, tokens: Sequence[str], first: int) -> None:
    base.model["vocab"].update({token: first + number for number, token in enumerate(tokens)})


def _extend_bpe(base: _Base, tokens: Sequence[str], first: int) -> None:
    vocabulary: dict[str, int] = base.model["vocab"]
    rank: dict[tuple[str, str], int] = {}
    for token in tokens:
        pieces = base.symbols(token)
        for character in pieces:
            if character not in vocabulary:
                vocabulary[character] = first
                first += 1
        pieces = _apply(pieces, rank)
        while len(pieces) > 1:
            pair = (pieces[0], pieces[1])
            rank[pair] = len(rank)
            base.model["merges"].append(list(pair))
            if "".join(pair) not in vocabulary:
                vocabulary["".join(pair)] = first
                first += 1
            pieces = _apply(pieces, rank)


def _apply(pieces: list[str], rank: dict[tuple[str, str], int]) -> list[str]:
    """The pieces after the merges, the earliest first."""
    while pairs := [pair for pair in zip(pieces, pieces[1:], strict=False) if pair in rank]:
        best = min(pairs, key=rank.__getitem__)
        merged: list[str] = []
        at = 0
        while at < len(pieces):
            both = tuple(pieces[at : at + 2]) == best
            merged.append("".join(best) if both else pieces[at])
            at += 2 if both else 1
        pieces = merged
    return pieces


def _extend_unigram(base: _Base, tokens: Sequence[str], first: int) -> None:
    vocabulary = base.model["vocab"]
    scores = {piece: float(score) for piece, score in vocabulary}
    unknown = min(scores.values()) - _UNKNOWN_PENALTY
    scored = [[token, _score(base, token, scores, unknown)] for token in tokens]
    names = {added["id"]: added["content"] for added in base.state["added_tokens"]}
    vocabulary += [[names[number], unknown] for number in range(len(vocabulary), first)]
    vocabulary += scored


def _score(base: _Base, token: str, scores: dict[str, float], unknown: float) -> float:
    total, saved = 0.0, -1
    for text, strange in base.parts(token):
        total += unknown * len(text) if strange else scores[text]
        saved += len(text) if strange else 1
    return total + BONUS * max(saved, 1)


def initial_embeddings(
    old_tokenizer: PreTrainedTokenizerFast, new_tokenizer: PreTrainedTokenizerFast, embeddings: Tensor
) -> Tensor:
    """The embeddings (vocabulary, d) of the extended tokenizer. Rows of old tokens are bit-equal; a new token's is the
    mean over the old tokenizer's pieces of it, or over all old tokens where the old one does not know it.

    Raises SpecError where the matrix has fewer rows than the old tokenizer has tokens.
    """
    import torch

    base, old = _Base(old_tokenizer), len(old_tokenizer)
    if len(embeddings) < old:
        raise SpecError(f"the embeddings have {len(embeddings):,} rows, the tokenizer has {old:,} tokens: they differ.")
    new = {token: number for token, number in new_tokenizer.get_vocab().items() if number >= old}
    result = torch.empty(max(len(embeddings), len(new_tokenizer)), embeddings.shape[1], dtype=embeddings.dtype)
    result[: len(embeddings)] = embeddings.detach()
    everything = embeddings[:old].detach().double().mean(0)
    for token, number in new.items():
        pieces = base.pieces(token)
        rows = embeddings[[base.ids[piece] for piece in pieces]].detach().double().mean(0) if pieces else everything
        result[number] = rows.to(embeddings.dtype)
    return result
