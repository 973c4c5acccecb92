"""Three engines in turn: eldc, which is fast, decides most texts; py3langid and lid.176 the rest.

0. Letters that only one language writes decide against eldc (`letters.DECISIVE`): Assamese, Malay in Arabic script, ...
1. SURE. eldc's answer stands if it is reliable, and the language is none for which eldc takes relatives that it does
   not know (`_TAKES_RELATIVES`), or its score is high for that language, or the text has a letter that the relatives
   do not write (`letters.OWN`).
2. AGREED. Else py3langid is asked (of a long text first about its start); if it agrees, the answer stands. (Where eldc
   says Malay, Indonesian or Malay is py3langid's to say. Where it says Tagalog, lid.176 is asked all the same, because
   only it knows Cebuano and others.)
3. NEW. If py3langid names a language that eldc does not know, that is a claim if p > 0.4 + 1.75 (s - typical), where p
   is its probability, s eldc's score and `typical` the usual score of the language that eldc sees: eldc's score is
   lower on a relative than on the language itself. The two numbers are a logistic regression on Tatoeba's test set.
   It stands if p >= 0.6, or if lid.176 does not say what eldc says with a probability of at least 0.4. (Of Galician
   and Afrikaans lid.176 takes so much for their relatives that its word does not count.)
4. Else lid.176 is asked. A language that neither other engine knows stands if its probability is at least 0.6 (NEW).
   Otherwise two that agree win, eldc against a weak claim of step 3 too (MAJORITY).
5. ALONE. Else eldc's answer stands, or py3langid's if p >= 0.4, with the little confidence it deserves.

Two engines agree if their answers are in one group (`codes.same_language`). What it does on data that it was not made
on stands in docs/languages.md.
"""

from __future__ import annotations

from functools import cache, cached_property

import numpy as np
import pyarrow as pa

from pairmill.curate.language import letters
from pairmill.curate.language.calibration import CASCADE
from pairmill.curate.language.codes import known, same_language
from pairmill.curate.language.eldc import Eldc
from pairmill.curate.language.engine import UNKNOWN, Asked, answers, ask
from pairmill.curate.language.fasttext import FastText
from pairmill.curate.language.py3langid import Py3LangId

SURE, AGREED, NEW, MAJORITY, ALONE = range(5)

#: Languages that eldc also answers for relatives it does not know (af; gl, ast, lad; ceb, hil; id, jv; mk; ps; fo; crh,
#: gag), with its usual score on them (eldc 0.4: ELD_avg_score).
_TAKES_RELATIVES = {
    "nl": 0.911, "pt": 0.897, "es": 0.884, "fil": 0.917, "ms": 0.922, "sr": 0.886, "fa": 0.948, "is": 0.938,
    "tr": 0.912,
}  # fmt: skip
_TYPICAL = 0.92  # usual score of the other languages
_HIGH = 0.02  # above the usual score: no relative reaches it
_ASK_ALWAYS = ("fil", "ms")
_MIN_NEW, _NEW_BY_SCORE = 0.4, 1.75
_UNOPPOSED = 0.6  # a claim as probable as that stands whatever lid.176 says
_MIN_OBJECTION = 0.4
_MISSED_BY_FASTTEXT = ("gl", "af")
_MIN_FASTTEXT = 0.6
_MIN_ALONE = 0.4
_START = 200  # characters that are enough for a second engine to agree


class Cascade:
    name = "cascade"
    version = 2

    def __init__(self) -> None:
        self._eldc, self._py3langid, self._fasttext = Eldc(), Py3LangId(), FastText()

    @cached_property
    def checksum(self) -> str:
        return " ".join(part.checksum for part in (self._eldc, self._py3langid, self._fasttext))

    @cached_property
    def labels(self) -> frozenset[str]:
        decisive = {name for name, _, _ in letters.DECISIVE}
        return self._eldc.labels | self._py3langid.labels | self._fasttext.labels | decisive

    @cached_property
    def _tables(self) -> _Tables:
        return _Tables(self._eldc, self._py3langid, self._fasttext)

    def score(self, asked: Asked) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """For each text the number of the label in `names`, the path to it, and how probable py3langid (where
        lid.176 alone knows the language, lid.176) finds its answer; 0 if SURE."""
        tables = self._tables
        first, reliable, best, _ = self._eldc.score(asked)
        above = best - tables.typical[first]
        found = tables.of_eldc[first]
        decided = self._decide(asked, first, found)
        sure = reliable & (above >= tables.needed[first]) | decided
        sure |= self._confirmed(asked, first, reliable & ~sure)
        path, raw = np.full(asked.rows.shape, SURE), np.zeros(asked.rows.shape, np.float32)
        rows = np.flatnonzero(~sure)
        if len(rows):
            found[rows], path[rows], raw[rows] = self._second(
                asked.take(rows), first[rows], reliable[rows], above[rows]
            )
        return found, path, raw

    def _decide(self, asked: Asked, first: np.ndarray, found: np.ndarray) -> np.ndarray:
        """Write the language into `found` where letters decide it: bool (m,), where they do."""
        decided = np.zeros(len(first), bool)
        for number, wanted, overridden in self._tables.decisive:
            rows = np.flatnonzero(asked.decisive & overridden[first])
            if len(rows):
                held = letters.share(asked.column.take(pa.array(rows)), asked.letters[rows], wanted)
                rows = rows[held >= letters.MIN_SHARE]
                found[rows], decided[rows] = number, True
        return decided

    def _confirmed(self, asked: Asked, first: np.ndarray, asked_about: np.ndarray) -> np.ndarray:
        """Which of the texts asked about hold a letter that rules the relatives of eldc's answer out: bool (m,)."""
        result = np.zeros(len(first), bool)
        for number, pattern in self._tables.own:
            rows = np.flatnonzero(asked_about & (first == number))
            if len(rows):
                result[rows] = letters.matches(asked.column.take(pa.array(rows)), pattern)
        return result

    def _second(
        self, asked: Asked, first: np.ndarray, reliable: np.ndarray, above: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Steps 2 to 5 for texts of which eldc (its answer: `first`) is not sure."""
        tables = self._tables
        second, raw = self._py3langid.score(asked.start(_START))
        agreed = tables.eldc_py3langid[first, second]
        rows = np.flatnonzero(~agreed & (asked.letters > _START // 2))
        if len(rows):
            second[rows], raw[rows] = self._py3langid.score(asked.take(rows))
            agreed[rows] = tables.eldc_py3langid[first[rows], second[rows]]
        found = np.where(agreed & ~tables.asked_always[first], tables.of_eldc[first], tables.of_py3langid[second])
        new = ~agreed & tables.new[second]
        claim = new & (raw > _MIN_NEW + _NEW_BY_SCORE * above)
        path = np.where(agreed, AGREED, np.where(claim, NEW, ALONE))
        opposable = claim & (raw < _UNOPPOSED) & ~tables.missed_by_fasttext[second]
        rows = np.flatnonzero(~agreed & ~claim | opposable | tables.only_fasttext_knows_relatives[first] & ~claim)
        if len(rows):
            weak = reliable[rows] & new[rows] & ~claim[rows]
            found[rows], path[rows], raw[rows] = self._third(
                asked.take(rows), first[rows], second[rows], raw[rows], weak, path[rows]
            )
        return found, path, raw

    def _third(
        self, asked: Asked, first: np.ndarray, second: np.ndarray, raw: np.ndarray, weak: np.ndarray, path: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The rest of step 3 (`path` is NEW), and steps 4 and 5. `weak`: eldc is reliable, and what py3langid says
        against it is too weak to be a claim."""
        tables = self._tables
        third, probability = self._fasttext.score(asked)
        new = tables.new_to_both[third] & (probability >= _MIN_FASTTEXT)
        with_second = tables.fasttext_py3langid[third, second]
        objects = tables.eldc_fasttext[first, third] & ((path != NEW) | (probability >= _MIN_OBJECTION))
        with_first = (objects | weak) & ~with_second
        alone = (path == ALONE) & ~with_first & ~with_second
        chosen = (path == AGREED) | with_first | alone & (raw < _MIN_ALONE) & (first != UNKNOWN)
        found = np.where(chosen, tables.of_eldc[first], tables.of_py3langid[second])
        majority = (path == ALONE) & ~alone | (path == NEW) & with_first
        found, path = np.where(new, tables.of_fasttext[third], found), np.where(majority, MAJORITY, path)
        return found, np.where(new, NEW, path), np.where(new, probability, raw)

    def identify(self, texts: pa.Array) -> tuple[pa.Array, np.ndarray]:
        asked = ask(texts)
        found, path, raw = self.score(asked)
        confidence = np.zeros(len(raw), np.float32)
        for number, table in enumerate(CASCADE):
            chosen = path == number
            confidence[chosen] = table.at(asked.sizes[chosen], raw[chosen])
        return answers(asked, self._tables.names, found, confidence)


class _Tables:
    """What the cascade looks up by number of label; the last entry of each is for UNKNOWN (-1)."""

    def __init__(self, first: Eldc, second: Py3LangId, third: FastText) -> None:
        decisive = [name for name, _, _ in letters.DECISIVE]
        self.names = sorted({*first.names, *second.names, *third.names, *decisive})
        self.of_eldc, self.of_py3langid, self.of_fasttext = (
            np.array([*map(self.names.index, part.names), UNKNOWN]) for part in (first, second, third)
        )
        self.typical = np.array([*(_TAKES_RELATIVES.get(name, _TYPICAL) for name in first.names), 1.0])
        self.decisive = [
            (self.names.index(name), wanted, np.array([*(other in over for other in first.names), False]))
            for name, wanted, over in letters.DECISIVE
        ]
        self.own = [(first.names.index(name), pattern) for name, pattern in letters.OWN.items()]
        self.missed_by_fasttext = np.array([*(name in _MISSED_BY_FASTTEXT for name in second.names), False])
        self.asked_always = np.array([*(name == "ms" for name in first.names), False])
        self.only_fasttext_knows_relatives = np.array([*(name == "fil" for name in first.names), False])
        needed = dict.fromkeys(_TAKES_RELATIVES, _HIGH) | dict.fromkeys(_ASK_ALWAYS, np.inf)
        self.needed = np.array([*(needed.get(name, -np.inf) for name in first.names), np.inf])
        self.new = ~_known(second.names, first.labels)
        self.new_to_both = ~_known(third.names, first.labels | second.labels)
        self.eldc_py3langid = _agree(first.names, second.names)
        self.eldc_fasttext = _agree(first.names, third.names)
        self.fasttext_py3langid = _agree(third.names, second.names)


def _known(names: list[str], labels: frozenset[str]) -> np.ndarray:
    return np.array([*(known(name, labels) for name in names), True])


def _agree(left: list[str], right: list[str]) -> np.ndarray:
    table = np.zeros((len(left) + 1, len(right) + 1), bool)
    table[:-1, :-1] = [[same_language(one, other) for other in right] for one in left]
    return table


@cache
def load() -> Cascade:
    return Cascade()
