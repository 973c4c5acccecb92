"""The sample of kept text that a tokenizer is trained on, drawn by the hash of the text.

1. A text's 128-bit hash decides everything, so neither files, blocks nor workers matter, and a text that stands in many
   rows (the English side of bitext in 30 languages) counts once for each language.
2. One text in 32, by the low bits, is held out for fertility and never trained on.
3. Each language takes its texts in the order of their hashes, until its share of the bytes is full.

Shares are those of the spec, or p ~ characters^alpha (Devlin et al. 2019, multilingual BERT; alpha 0.3 as in XLM-R).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pairmill.pairs.hashing import hash128
from pairmill.pairs.kept import takes_in
from pairmill.spec.tokenizer import TokenizerSpec

#: The language of texts that have none.
UNKNOWN = "und"
ALPHA = 0.3
_HELD_OUT = 32
SCHEMA = pa.schema(
    [("language", pa.string()), ("rank", pa.uint64()), ("held_out", pa.bool_()), ("text", pa.large_string())]
)


def texts_of(table: pa.Table, sides: Sequence[str], spec: TokenizerSpec) -> tuple[pa.Table, int]:
    """The texts of the sides as SCHEMA has them, but for languages without a share; and how many were null."""
    parts, nulls = [], 0
    for side in sides:
        texts, codes = table[side].combine_chunks(), table[f"{side}_lang"].combine_chunks()
        language = _groups(codes, spec)
        wanted = pc.and_(pc.is_valid(texts), pc.is_valid(language))
        nulls += texts.null_count
        texts, language = texts.filter(wanted).cast(pa.large_string()), language.filter(wanted)
        hashes = hash128(texts)
        held_out = pa.array(hashes[:, 1] % _HELD_OUT == 0)
        parts.append(pa.table([language, pa.array(hashes[:, 0]), held_out, texts], schema=SCHEMA))
    return pa.concat_tables(parts), nulls


def _groups(codes: pa.Array, spec: TokenizerSpec) -> pa.Array:
    """The language whose share a text counts for; null where it has none."""
    encoded = codes.cast(pa.string()).dictionary_encode("encode")
    names = [_group(code, spec.languages) for code in encoded.dictionary.to_pylist()]
    return pa.array(names, pa.string()).take(encoded.indices) if len(codes) else pa.array([], pa.string())


def _group(code: str | None, languages: dict[str, float] | None) -> str | None:
    if languages is None:
        return code or UNKNOWN
    return max((name for name in languages if takes_in(name, code)), key=len, default=None)


def distinct(table: pa.Table) -> pa.Table:
    """By language, held-out and rank; a text once per language."""
    ordered = table.sort_by([(name, "ascending") for name in ("language", "held_out", "rank")])
    if len(ordered) < 2:
        return ordered
    same = np.asarray(pc.equal(ordered["rank"][1:], ordered["rank"][:-1]))
    same &= np.asarray(pc.equal(ordered["language"][1:], ordered["language"][:-1]))
    return ordered.filter(pa.array(np.append(True, ~same)))


def sizes(table: pa.Table) -> dict[str, dict[str, int]]:
    """`{language: {"texts", "characters", "bytes", "held_out"}}`, the first three of what may be trained on."""
    found: dict[str, dict[str, int]] = {}
    for name in table["language"].unique().to_pylist():
        of = table.filter(pc.equal(table["language"], name))
        train = of.filter(pc.invert(of["held_out"]))["text"]
        found[name] = {
            "texts": len(train),
            "characters": pc.sum(pc.utf8_length(train)).as_py() or 0,
            "bytes": pc.sum(pc.binary_length(train)).as_py() or 0,
            "held_out": pc.sum(pc.binary_length(of.filter(of["held_out"])["text"])).as_py() or 0,
        }
    return found


def add(counts: Iterable[dict[str, dict[str, int]]]) -> dict[str, dict[str, int]]:
    """The sums of what files have."""
    total: dict[str, dict[str, int]] = {}
    for count in counts:
        for name, row in count.items():
            into = total.setdefault(name, dict.fromkeys(row, 0))
            for key, value in row.items():
                into[key] += value
    return total


def shares(counts: dict[str, dict[str, int]], spec: TokenizerSpec) -> dict[str, float]:
    """Each language's share of the sample; they sum to 1."""
    if spec.languages is not None:
        weights = dict(spec.languages)
    else:
        alpha = ALPHA if spec.alpha is None else spec.alpha
        weights = {name: row["characters"] ** alpha for name, row in counts.items() if row["characters"]}
    return {name: weight / sum(weights.values()) for name, weight in sorted(weights.items())}


def below(table: pa.Table, cuts: dict[str, list[float]]) -> pa.Table:
    """The texts whose rank is in the part that `cuts` gives: {language: [of training texts, of held-out texts]}."""
    language = table["language"].combine_chunks().dictionary_encode()
    parts = np.array([cuts.get(name, [0.0, 0.0]) for name in language.dictionary.to_pylist()]).reshape(-1, 2)
    limit = parts[np.asarray(language.indices), np.asarray(table["held_out"]).astype(int)] * 2.0**64
    return table.filter(pa.array(np.asarray(table["rank"]).astype(np.float64) <= limit))


def draw(candidates: pa.Table, share: dict[str, float], spec: TokenizerSpec) -> tuple[pa.Table, dict[str, Any]]:
    """The sample: of each language as many texts, by rank, as its budget holds (the last may exceed it).

    A language with less is taken whole (`shortfall: whole`), or all budgets shrink with it. Returns the texts and
    `{language: {"share", "budget", "texts", "bytes", "short"}}` of what is trained on.
    """
    available = {name: row["bytes"] for name, row in sizes(candidates).items()}
    total = float(spec.sample)
    if spec.shortfall == "shrink":
        total = min([total, *(available.get(name, 0) / part for name, part in share.items())])
    parts, facts = [], {}
    for name, part in share.items():
        of = candidates.filter(pc.equal(candidates["language"], name))
        train = _first(of.filter(pc.invert(of["held_out"])), total * part)
        parts += [train, _first(of.filter(of["held_out"]), spec.held_out)]
        taken = pc.sum(pc.binary_length(train["text"])).as_py() or 0
        short = max(0, round(total * part) - taken)
        facts[name] = {
            "share": part,
            "budget": round(total * part),
            "texts": len(train),
            "bytes": taken,
            "short": short,
        }
    return pa.concat_tables(parts), facts


def _first(table: pa.Table, budget: float) -> pa.Table:
    used = np.cumsum(np.asarray(pc.binary_length(table["text"])))
    return table.slice(0, int(np.searchsorted(used, budget)) + 1)
