"""Adding tokens to a tokenizer's model, so that they are found inside words as its own are.

- WordPiece: entries of the vocabulary (`word`, `##part`). It takes the longest match, so words of old tokens change
  only where a new token fits into them.
- BPE: each token also needs a merge. New merges come after all old ones, so the old pieces are found first.
- Unigram: the score is the base's own for the string, plus `BONUS` for each token saved. So a text's best cut stays,
  and what was cut at these places is joined; larger pieces win over smaller ones.
"""

from __future__ import annotations

import copy
import json
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pairmill.errors import SpecError
from pairmill.model.subwords import Base

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

BONUS = 0.1
#: What `tokenizers` takes off the lowest score for each unknown character (Unigram).
_UNKNOWN_PENALTY = 10.0


def extend(tokenizer: PreTrainedTokenizerFast, new_tokens: Sequence[str]) -> PreTrainedTokenizerFast:
    """A copy of the tokenizer with the tokens added behind its last id. Tokens are written as the model writes them
    (`##part`, `▁word`, `Ġword`). A BPE token of k pieces brings the k - 2 in between with it; tokens in the order of
    `choose_tokens` need none.

    Raises SpecError where a token is there already, stands twice, or the model's type allows no new tokens.
    """
    from tokenizers import Tokenizer

    base = Base(tokenizer)
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


def _extend_wordpiece(base: Base, tokens: Sequence[str], first: int) -> None:
    base.model["vocab"].update({token: first + number for number, token in enumerate(tokens)})


def _extend_bpe(base: Base, tokens: Sequence[str], first: int) -> None:
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


def _extend_unigram(base: Base, tokens: Sequence[str], first: int) -> None:
    vocabulary = base.model["vocab"]
    scores = {piece: float(score) for piece, score in vocabulary}
    unknown = min(scores.values()) - _UNKNOWN_PENALTY
    scored = [[token, _score(base, token, scores, unknown)] for token in tokens]
    names = {added["id"]: added["content"] for added in base.state["added_tokens"]}
    vocabulary += [[names[number], unknown] for number in range(len(vocabulary), first)]
    vocabulary += scored


def _score(base: Base, token: str, scores: dict[str, float], unknown: float) -> float:
    total, saved = 0.0, -1
    for text, strange in base.parts(token):
        total += unknown * len(text) if strange else scores[text]
        saved += len(text) if strange else 1
    return total + BONUS * max(saved, 1)
