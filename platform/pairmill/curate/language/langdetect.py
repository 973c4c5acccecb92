"""langdetect (N. Shuyo's language-detection): 54 languages, slow, good on paragraphs.

It draws random numbers; with the seed set, each text gets the same answer in any order. It has its own factory here,
so that other users of the library in the process keep theirs.
"""

from __future__ import annotations

from functools import cache, cached_property
from importlib.metadata import version
from typing import Any

import numpy as np
import pyarrow as pa

from pairmill.curate.language.calibration import LANGDETECT
from pairmill.curate.language.codes import canonical
from pairmill.curate.language.engine import UNKNOWN, Asked, answers, ask
from pairmill.errors import PairmillError

_LABELS = {"zh-cn": "zh", "zh-tw": "zh-Hant"}


class LangDetect:
    name = "langdetect"
    version = 2

    @cached_property
    def checksum(self) -> str:
        return version("langdetect")

    @cached_property
    def names(self) -> list[str]:
        """Label of each of the library's languages, in its order."""
        return [_code(label) for label in self._factory.get_lang_list()]

    @cached_property
    def labels(self) -> frozenset[str]:
        return frozenset(self.names)

    @cached_property
    def _factory(self) -> Any:
        try:
            from langdetect import PROFILES_DIRECTORY, DetectorFactory
        except ImportError as error:
            raise PairmillError(f"language engine langdetect: {error}. Run `pip install langdetect`.") from error
        factory = type("Factory", (DetectorFactory,), {"seed": 0})()
        factory.load_profile(PROFILES_DIRECTORY)
        return factory

    def score(self, asked: Asked) -> tuple[np.ndarray, np.ndarray]:
        """Number of the best label in `names` and the library's probability of it (float32), for each text."""
        best = [self._best(line) for line in asked.lines]
        return np.array([n for n, _ in best], np.int64), np.array([probability for _, probability in best], np.float32)

    def identify(self, texts: pa.Array) -> tuple[pa.Array, np.ndarray]:
        asked = ask(texts)
        found, probability = self.score(asked)
        return answers(asked, self.names, found, LANGDETECT.at(asked.sizes, probability))

    def _best(self, text: str) -> tuple[int, float]:
        from langdetect.lang_detect_exception import LangDetectException

        detector = self._factory.create()
        detector.append(text)
        try:
            found = detector.get_probabilities()
        except LangDetectException:  # no feature of any language, for instance a script it does not know
            return UNKNOWN, 0.0
        return (self.names.index(_code(found[0].lang)), found[0].prob) if found else (UNKNOWN, 0.0)


@cache
def _code(label: str) -> str:
    return canonical(_LABELS.get(label, label))


@cache
def load() -> LangDetect:
    return LangDetect()
