"""Letters in a script that the side's language is written in / letters.

1 where there is no letter, where the language or its script is unknown. Letters of no script in the table count as
right. Scripts go by Unicode block (`scripts.py`), a language's scripts by CLDR and a table (`language/codes.py`).
Source: OpusFilter CharacterScoreFilter.
"""

from __future__ import annotations

import numpy as np

from pairmill.curate.heuristics.scripts import mask
from pairmill.curate.heuristics.side import Side, share
from pairmill.curate.language.codes import scripts

VERSION = 1
_ANY = (1 << 64) - 1


def score(side: Side) -> np.ndarray:
    languages = side.langs.dictionary_encode()
    masks = [mask(names) if (names := scripts(code)) else _ANY for code in languages.dictionary.to_pylist()]
    distinct, which = np.unique(np.array([*masks, _ANY], np.uint64), return_inverse=True)
    which = which[languages.indices.fill_null(len(masks)).to_numpy(zero_copy_only=False)]
    agrees = (distinct[:, None] >> np.arange(64, dtype=np.uint64) & np.uint64(1)).astype(bool)
    if len(which) and (which == which[0]).all():
        right = agrees[which[0]][side.scripts]
    else:
        right = agrees.ravel()[np.repeat(which.astype(np.uint16) * np.uint16(64), side.lengths) + side.scripts]
    letters = side.sums(side.letters)
    return share(side.sums(right & side.letters), letters, empty=1)
