"""New tokens for a tokenizer that cuts a language into too many pieces, or does not know its characters.

Choosing: the base tokenizer's pieces of the texts are the symbols, and byte-pair encoding goes on from them. Characters
the base does not know come first, the most frequent ahead; then pairs of pieces in the order they are joined.

Adding: `extension.py`.

Keeping: of texts that must stay as they are (`keep`), each word that the new tokens would cut otherwise names the first
new token in it, and that one is not taken; again, until no word changes. Fewer tokens never change more words, so this
holds for any part of those left.

Embeddings: a new token starts as the mean of the embeddings of the pieces that the base cut it into.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from pairmill.errors import SpecError
from pairmill.model.extension import extend
from pairmill.model.merges import join
from pairmill.model.subwords import Base
from pairmill.model.threads import one_thread
from pairmill.model.tokenizer import plain

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedTokenizerFast


def choose_tokens(
    tokenizer: PreTrainedTokenizerFast,
    texts: Iterable[str],
    count: int,
    min_frequency: int = 2,
    keep: Iterable[str] = (),
) -> list[str]:
    """The `count` tokens that the tokenizer most lacks for the texts, in the order to add them; fewer where the texts
    have no more that occur `min_frequency` times. No word of the texts in `keep` will be cut otherwise than before.
    """
    base = Base(tokenizer)
    counts, kept = base.words(texts), base.words(keep)
    wanted = count
    while True:
        candidates = _candidates(base, counts, wanted, min_frequency)
        chosen = _harmless(tokenizer, candidates, kept) if kept else candidates
        if len(chosen) >= count or len(candidates) < wanted:
            return chosen[:count]
        wanted *= 2


def _candidates(base: Base, counts: Counter[str], count: int, min_frequency: int) -> list[str]:
    """Characters the base lacks, then joined pieces, at most `count`."""
    cut = {word: base.symbols(word) for word in counts}
    lacking: Counter[str] = Counter()
    for word, times in counts.items():
        for symbol in cut[word]:
            if symbol not in base.ids:
                lacking[symbol] += times
    characters = [s for s, times in sorted(lacking.items(), key=lambda i: (-i[1], i[0])) if times >= min_frequency]
    chosen = dict.fromkeys(characters[:count])
    usable = [word for word in counts if all(s in base.ids or s in chosen for s in cut[word])]
    symbols = sorted({symbol for word in usable for symbol in cut[word]})
    room = count - len(chosen)
    merges = join(((cut[word], counts[word]) for word in usable), symbols, 2 * room, min_frequency) if room else []
    for token in map(base.joined, merges):
        if len(chosen) == count:
            break
        if token not in base.ids:
            chosen[token] = None
    return list(chosen)


def _harmless(tokenizer: PreTrainedTokenizerFast, candidates: list[str], words: Iterable[str]) -> list[str]:
    """The candidates that leave all of the words as they are."""
    base = Base(tokenizer)
    cut = plain(tokenizer).model.tokenize
    before = {word: [piece.value for piece in cut(word)] for word in words}
    while True:
        after = plain(extend(tokenizer, candidates)).model
        culprits: set[str] = set()
        for word in list(before):
            pieces = [piece.value for piece in after.tokenize(word)]
            if pieces == before[word]:
                del before[word]
            else:
                culprits.add(next(piece for piece in pieces if piece not in base.ids))
        if not culprits:
            return candidates
        candidates = [token for token in candidates if not _brings(base, token, culprits)]


def _brings(base: Base, token: str, culprits: set[str]) -> bool:
    """Whether one of the culprits is there because of the token: BPE adds the pieces it is joined of."""
    return token in culprits or (base.type == "BPE" and any(piece in token for piece in culprits))


def changed_share(old: PreTrainedTokenizerFast, new: PreTrainedTokenizerFast, texts: Sequence[str]) -> float:
    """The share of texts that two tokenizers cut differently."""
    with one_thread():
        cuts = [plain(one).encode_batch(list(texts), add_special_tokens=False) for one in (old, new)]
    changed = sum(before.ids != after.ids for before, after in zip(*cuts, strict=True))
    return changed / max(len(texts), 1)


def initial_embeddings(
    old_tokenizer: PreTrainedTokenizerFast, new_tokenizer: PreTrainedTokenizerFast, embeddings: Tensor
) -> Tensor:
    """The embeddings (vocabulary, d) of the extended tokenizer. Rows of old tokens are bit-equal; a new token's is the
    mean over the old tokenizer's pieces of it, or over all old tokens where the old one does not know it.

    Raises SpecError where the matrix has fewer rows than the old tokenizer has tokens.
    """
    import torch

    base, old = Base(old_tokenizer), len(old_tokenizer)
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
