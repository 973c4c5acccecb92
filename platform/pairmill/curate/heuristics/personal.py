"""Items of personal data per row: e-mail addresses, phone numbers, IP addresses, account and card numbers.

They are counted in the cleaned text, so that masked ones are not. Only rows that `suspects` selects are searched.
What counts as an item: see `curate/personal.py`.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from pairmill.curate import personal, suspects
from pairmill.curate.heuristics.documents.scored import Scored
from pairmill.curate.heuristics.side import Side
from pairmill.curate.suspect_tables import Bit
from pairmill.spec.clean import Clean

VERSION = 1


def score(side: Side, kind: personal.Kind) -> np.ndarray:
    """Items of one kind in each text: float32 (n,)."""
    count = np.zeros(len(side), np.float32)
    looked_for = Clean.model_validate({"personal_data": {kind: "mask"}, "unicode": "keep", "mojibake": "keep"})
    rows, texts = side.strings(suspects.flags(side.texts, looked_for) & getattr(Bit, kind.upper()) > 0)
    langs = np.asarray(side.langs.to_pylist(), object)[rows]
    count[rows] = [len(personal.find(kind, text, lang)) for text, lang in zip(texts, langs, strict=True)]
    return count


MODULES = {
    "emails": Scored(partial(score, kind="email"), VERSION),
    "phones": Scored(partial(score, kind="phone"), VERSION),
    "ips": Scored(partial(score, kind="ip"), VERSION),
    "ibans": Scored(partial(score, kind="iban"), VERSION),
}
