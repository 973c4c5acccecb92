"""eldc (the Efficient Language Detector in C): 60 languages from n-grams of words, by far the fastest.

It reads the first 1,000 bytes. Its score is no probability; its flag `reliable` (the score is near what is usual for
the language, and clearly above the runner-up's) is right in 99 % of cases where it knows the text's language. Where it
does not, it may be sure of a relative: Dutch for Afrikaans, Spanish or Portuguese for Galician, Tagalog for Cebuano.
Indonesian is Malay to it.
"""

from __future__ import annotations

from functools import cache, cached_property
from importlib.metadata import version
from itertools import chain
from operator import attrgetter
from typing import Any

import numpy as np
import pyarrow as pa

from pairmill.curate.language.calibration import ELDC_RELIABLE, ELDC_UNRELIABLE
from pairmill.curate.language.codes import canonical
from pairmill.curate.language.engine import UNKNOWN, Asked, answers, ask
from pairmill.errors import PairmillError


class Eldc:
    name = "eldc"
    version = 1

    @cached_property
    def checksum(self) -> str:
        self._library  # the error that says what to install  # noqa: B018
        return version("eldc")

    @cached_property
    def names(self) -> list[str]:
        """Label of each of the library's languages, in its order."""
        return [canonical(code) for code in self._library.LANGUAGES]

    @cached_property
    def labels(self) -> frozenset[str]:
        return frozenset(self.names)

    @cached_property
    def _library(self) -> Any:
        try:
            import eldc
        except ImportError as error:
            raise PairmillError(
                f"language engine eldc: {error}. Run `pip install 'eldc>=0.4,<0.5'`, or choose "
                "`language: {engine: fasttext}`."
            ) from error
        eldc.init()
        return eldc

    @cached_property
    def _detector(self) -> Any:
        detector = self._library.instance()  # settings of its own: other users of the library keep theirs
        detector.set_scores(2)
        return detector

    @cached_property
    def _number(self) -> dict[str, int]:
        return {code: number for number, code in enumerate(self._library.LANGUAGES)} | {"und": UNKNOWN}

    def score(self, asked: Asked) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """For each text the number of the best label in `names`, whether it is reliable (bool), its score and the
        runner-up's (float32, 0 to 1, no probabilities)."""
        detect, number = self._detector.detect_details, self._number
        results = list(map(detect, asked.lines))
        n = len(results)
        found = np.fromiter(map(number.__getitem__, map(attrgetter("language"), results)), np.int64, n)
        reliable = np.fromiter(map(attrgetter("reliable"), results), bool, n)
        scores = list(map(attrgetter("scores"), results))
        held = np.fromiter(map(len, scores), np.int64, n)
        flat = np.fromiter(chain.from_iterable(map(dict.values, scores)), np.float32, int(held.sum()))
        flat, first = np.append(flat, np.zeros(2, np.float32)), np.cumsum(held) - held
        best, second = np.where(held > 0, flat[first], 0), np.where(held > 1, flat[first + 1], 0)
        return found, reliable, best.astype(np.float32), second.astype(np.float32)

    def identify(self, texts: pa.Array) -> tuple[pa.Array, np.ndarray]:
        asked = ask(texts)
        found, reliable, best, second = self.score(asked)
        tables = ELDC_RELIABLE, ELDC_UNRELIABLE
        confidence = np.where(reliable, *(table.at(asked.sizes, best - second) for table in tables))
        return answers(asked, self.names, found, confidence)


@cache
def load() -> Eldc:
    return Eldc()
