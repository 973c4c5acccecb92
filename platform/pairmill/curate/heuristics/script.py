"""Letters in a script that the side's language is written in / letters, by weight.

By weight (`scripts.py`: a Han character is three letters), so that a Latin product name does not outvote a Chinese or
Korean sentence. 1 where there is no letter, or the language or its script is unknown. Letters of no script in the table
count as right. Scripts go by Unicode block (`scripts.py`), a language's by CLDR and a table (`language/codes.py`).
Source: OpusFilter CharacterScoreFilter.
"""

from __future__ import annotations

import numpy as np

from pairmill.curate.heuristics.scripts import mask, weights
from pairmill.curate.heuristics.side import Side, share
from pairmill.curate.language.codes import scripts

VERSION = 2
_ANY = (1 << 64) - 1


def score(side: Side) -> np.ndarray:
    languages = side.langs.dictionary_encode()
    masks = [mask(names) if (names := scripts(code)) else _ANY for code in languages.dictionary.to_pylist()]
    distinct, which = np.unique(np.array([*masks, _ANY], np.uint64), return_inverse=True)
    which = which[languages.indices.fill_null(len(masks)).to_numpy(zero_copy_only=False)]
    agrees = (distinct[:, None] >> np.arange(64, dtype=np.uint64) & np.uint64(1)).astype(bool)
    used = np.flatnonzero(side.scripts.any(0))
    letters = side.scripts[:, used] * weights()[used]
    return share((letters * agrees[:, used][which]).sum(1), letters.sum(1), empty=1)
