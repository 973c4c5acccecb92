"""The score of the rule `language`: confidence that a text is in another language than declared.

    score = confidence x closeness x length     where the identified language contradicts the declared one, else 0

`same_language` says what contradicts (members of a macro-language do not), and an engine that does not know the
declared language cannot contradict it. Confidence is a probability measured where every language is as likely as the
others; but the declared one is likelier, so two factors ask for more where engines err most. Against `max: 0.5`:

    length     min(1, 0.8 + 0.2 n / 40) for n letters: 5 letters need a confidence of 0.61, 20 of 0.56, 40 of 0.5.
    closeness  0.55 within a family of languages that look alike (nb/da, gl/pt, af/nl, bg/mk, zh/ja), else 1:
               relatives need a confidence of 0.91.

Measured with the cascade, clean sides contradicted and sides of another language found, in per cent: 0.18 and 96.2 on
Tatoeba (42 languages), 0.56 and 97.2 on software help, 0.60 and 99.0 on XNLI. Without the length factor Tatoeba has
0.50 and 98.6; with 0.5 in place of 0.8, 0.08 and 93.2. docs/languages.md has the other engines.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pairmill.curate.language import kernels, noise
from pairmill.curate.language.codes import group, known, same_language
from pairmill.curate.language.decide import canonical_column, pairwise
from pairmill.curate.language.engine import CUT

VERSION = 2
SURE_LETTERS, SHORTEST = 40, 0.8
RELATIVES = 0.55
_FAMILIES = [
    frozenset(codes.split())
    for codes in (
        "no nb nn da sv is fo",
        "gl pt es ast an mwl ext oc ca it co sc scn nap lmo vec pms fr wa rm ro la egl frp lij fur ia io ie eo",
        "af nl li fy vls nds lb de gsw zea frr stq",
        "en sco",
        "bg mk sr ru uk be rue hr bs sl cs sk pl hsb dsb szl csb",
        "et fi vro vep krl olo",
        "hi mr ne bho mai mag sa gom dty new",
        "tr az azb azj tk crh gag tt ba kk ky uz ug",
        "zh ja yue wuu lzh gan hsn",
        "ar fa ur mzn ps pnb sd ckb",
        "ceb fil war ilo bcl pam id ms jv su min",
    )
]


def score(
    texts: pa.Array, declared: pa.Array, identified: pa.Array, confidence: np.ndarray, labels: frozenset[str]
) -> np.ndarray:
    """Score each text, float32 (n,); NaN where nothing is declared. `labels`: what the engine can answer."""
    declared = canonical_column(declared)
    against = pairwise(lambda said, found: _against(said, found, labels), declared, identified)
    result = np.where(against > 0, confidence * against, 0).astype(np.float32)
    rows = np.flatnonzero(against)
    if len(rows):
        result[rows] *= np.minimum(1, SHORTEST + (1 - SHORTEST) * _letters(texts, rows) / SURE_LETTERS)
    result[declared.is_null().to_numpy(zero_copy_only=False)] = np.nan
    return result


@cache
def relatives(one: str, other: str) -> bool:
    """Whether the languages are in one family of the table above."""
    return any(group(one) & family and group(other) & family for family in _FAMILIES)


def _against(declared: str, identified: str, labels: frozenset[str]) -> float:
    """0 where the identified language does not contradict the declared one; else how close the two are."""
    if same_language(declared, identified) or not known(declared, labels):
        return 0
    return RELATIVES if relatives(declared, identified) else 1


def _letters(texts: pa.Array, rows: np.ndarray) -> np.ndarray:
    """Letters in the start of some of the texts: int64 (rows,)."""
    starts = pc.utf8_slice_codeunits(pc.fill_null(texts.take(pa.array(rows)), ""), 0, CUT)
    return noise.tally(starts)[0][:, kernels.LETTERS]
