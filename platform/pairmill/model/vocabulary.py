"""New tokens for a tokenizer that cuts a language into too many pieces, or does not know its characters.

Choosing: the base tokenizer's pieces of the texts are the symbols, and byte-pair encoding goes on from them. Characters
the base does not know come first, the most frequent ahead; then pairs of pieces in the order they are joined.

Adding: `extension.py`.

Keeping: of texts that must stay as they are (`keep`), each word that the new tokens would cut otherwise counts as harm
of the new tokens in it. A token is not taken where its harm, as a share of the kept words, is more than HARM of its
use, as a share of the words it is for; again, until none is left. A German token may so change a rare English name.

Embeddings: a new token starts as the mean of the embeddings of the pieces that the base cut it into. Where the texts
have translations in the kept languages, it can start as the mean of its translations' embeddings instead, weighted by
their probabilities (`alignment.py`): what WECHSEL (arXiv 2112.06598) does with a dictionary. Old tokens that the kept
languages hardly use start anew with them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from pairmill.errors import SpecError
from pairmill.model.alignment import translations
from pairmill.model.extension import extend
from pairmill.model.merges import join
from pairmill.model.subwords import Base
from pairmill.model.threads import one_thread
from pairmill.model.tokenizer import plain

#: Harm to kept words for use to new ones, both as shares of all words.
HARM = 0.01
#: A token is the new languages' own where they use it so many times as often as the kept ones.
OWN = 5
#: Translations less probable than this are left out: nearly all of them are chance.
PROBABLE = 0.05
#: Occurrences at which translations weigh as much as pieces.
TRUSTED = 0.5

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
    have no more that occur `min_frequency` times. Words of the texts in `keep` are cut as before, but for rare ones.
    """
    base = Base(tokenizer)
    counts, kept = base.words(texts), base.words(keep)
    wanted = 2 * count
    while True:
        candidates = _candidates(base, counts, wanted, min_frequency)
        use = _use(_cuts(extend(tokenizer, candidates), counts), counts)
        chosen = candidates if base.type == "BPE" else [token for token in candidates if use[token] >= min_frequency]
        chosen = _harmless(tokenizer, chosen, use, HARM * kept.total() / max(counts.total(), 1), kept)
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


def _harmless(
    tokenizer: PreTrainedTokenizerFast, candidates: list[str], use: Counter[str], allowed: float, kept: Counter[str]
) -> list[str]:
    """The candidates that change kept words at most `allowed` times as often as they are of use."""
    base = Base(tokenizer)
    before = _cuts(tokenizer, kept)
    while True:
        after = _cuts(extend(tokenizer, candidates), before)
        before = {word: pieces for word, pieces in before.items() if after[word] != pieces}
        harm = _use({word: after[word] for word in before}, kept)
        culprits = {token for token in candidates if harm[token] > allowed * use[token]}
        if not culprits:
            return candidates
        candidates = [token for token in candidates if not _brings(base, token, culprits)]


def _use(cuts: dict[str, list[str]], counts: Counter[str]) -> Counter[str]:
    """How often each piece stands in the words."""
    found: Counter[str] = Counter()
    for word, pieces in cuts.items():
        for piece in pieces:
            found[piece] += counts[word]
    return found


def _cuts(tokenizer: PreTrainedTokenizerFast, words: Iterable[str]) -> dict[str, list[str]]:
    cut = plain(tokenizer).model.tokenize
    return {word: [piece.value for piece in cut(word)] for word in words}


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


def translated_embeddings(
    start: Tensor,
    old_tokenizer: PreTrainedTokenizerFast,
    new_tokenizer: PreTrainedTokenizerFast,
    pairs: Sequence[tuple[str, str]],
    restart: bool = True,
) -> Tensor:
    """The embeddings (vocabulary, d) after `initial_embeddings`, with those of new tokens and, with `restart`, of old
    ones that are the new languages' own, drawn to their translations'.

    `pairs` are texts of new languages and what they say in a kept one. A token that was aligned n times is n/(n +
    TRUSTED) its translations; one that was never aligned stays as it is.
    """
    import torch

    old = len(old_tokenizer)
    with one_thread():
        foreign, known = (
            [cut.ids for cut in plain(tokenizer).encode_batch([pair[side] for pair in pairs], add_special_tokens=False)]
            for side, tokenizer in ((0, new_tokenizer), (1, old_tokenizer))
        )
    used, kept = (np.bincount(np.concatenate([[0], *cut]), minlength=len(start)) for cut in (foreign, known))
    own = (used * kept.sum() > OWN * (kept + 1) * used.sum()) & restart
    own[old:] = True
    own[new_tokenizer.all_special_ids] = False
    links = translations(foreign, known)
    chosen = own[links.source] & (links.probability > PROBABLE)
    source, target, weight = links.source[chosen], links.target[chosen], links.probability[chosen]
    sums = torch.zeros(start.shape, dtype=torch.float64)
    sums.index_add_(
        0, torch.from_numpy(source), start[torch.from_numpy(target)].double() * torch.from_numpy(weight)[:, None]
    )
    total = np.bincount(source, weight, len(start))
    times = np.bincount(links.source, links.times, len(start))
    rows = torch.from_numpy(np.flatnonzero(total > 0))
    trust = torch.from_numpy((times / (times + TRUSTED))[rows])[:, None]
    result = start.clone()
    mean = sums[rows] / torch.from_numpy(total[rows])[:, None]
    result[rows] = (trust * mean + (1 - trust) * start[rows].double()).to(start.dtype)
    return result
