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

from pairmill.curate.language.codes import canonical
from pairmill.curate.language.engine import answers, with_letters
from pairmill.errors import PairmillError

_LABELS = {"zh-cn": "zh", "zh-tw": "zh-Hant"}


class LangDetect:
    name = "langdetect"
    version = 1

    @cached_property
    def checksum(self) -> str:
        return version("langdetect")

    @cached_property
    def labels(self) -> frozenset[str]:
        return frozenset(_code(label) for label in self._factory.get_lang_list())

    @cached_property
    def _factory(self) -> Any:
        try:
            from langdetect import PROFILES_DIRECTORY, DetectorFactory
        except ImportError as error:
            raise PairmillError(f"language engine langdetect: {error}. Run `pip install langdetect`.") from error
        factory = type("Factory", (DetectorFactory,), {"seed": 0})()
        factory.load_profile(PROFILES_DIRECTORY)
        return factory

    def identify(self, texts: pa.Array) -> tuple[pa.Array, np.ndarray]:
        rows, lines = with_letters(texts)
        found = [self._best(line) for line in lines]
        return answers(len(texts), rows, [code for code, _ in found], [score for _, score in found])

    def _best(self, text: str) -> tuple[str | None, float]:
        from langdetect.lang_detect_exception import LangDetectException

        detector = self._factory.create()
        detector.append(text)
        try:
            found = detector.get_probabilities()
        except LangDetectException:  # no feature of any language, for instance a script it does not know
            return None, 0.0
        return (_code(found[0].lang), found[0].prob) if found else (None, 0.0)


@cache
def _code(label: str) -> str:
    return canonical(_LABELS.get(label, label))


@cache
def load() -> LangDetect:
    return LangDetect()
