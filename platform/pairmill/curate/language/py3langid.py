"""py3langid (Barbaresi's langid.py, after Lui and Baldwin, P12-3005): 140 languages, good on short text.

The model is the package's; its two loops run compiled here, because in Python they take 74 us of a sentence, here 6:

1. The text's UTF-8 bytes drive a finite automaton; some of its states are features (byte n-grams), which are counted.
2. A naive Bayes score per class: log(1 + count) times the feature's weights, summed, plus the prior; softmax of the
   scores over the square root of the text's length in bytes; classes that are one language are added up.

As in the package, text in capitals is lowered first, and all is NFC. The answer `zxx` (no language) is unknown.
"""

from __future__ import annotations

import hashlib
from functools import cache, cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pairmill.curate import codepoints
from pairmill.curate.dedup.kernels import Kernel, compile_kernel
from pairmill.curate.language.calibration import PY3LANGID
from pairmill.curate.language.codes import canonical
from pairmill.curate.language.engine import UNKNOWN, Asked, answers, ask
from pairmill.errors import PairmillError

_BATCH = 1024  # texts scored at once: their scores are a matrix of 0.6 MB


class Py3LangId:
    name = "py3langid"
    version = 1

    @cached_property
    def path(self) -> Path:
        """The model file."""
        spec = find_spec("py3langid")
        path = Path(spec.submodule_search_locations[0], "data", "model.npz.xz") if (
            spec and spec.submodule_search_locations
        ) else None  # fmt: skip
        if path is None or not path.is_file():
            raise PairmillError(
                f"language engine py3langid: its model was not found ({path or 'the package is not installed'}). Run "
                "`pip install 'py3langid>=0.4,<0.5'`, or choose `language: {engine: fasttext}`."
            )
        return path

    @cached_property
    def checksum(self) -> str:
        return hashlib.sha256(self.path.read_bytes()).hexdigest()

    @cached_property
    def names(self) -> list[str]:
        """Label of each class of the model, in its order."""
        return [canonical(name) for name in self._model.names]

    @cached_property
    def labels(self) -> frozenset[str]:
        return frozenset(self.names) - {"zxx"}

    @cached_property
    def _model(self) -> _Model:
        return _Model(self.path)

    def score(self, asked: Asked) -> tuple[np.ndarray, np.ndarray]:
        """Number of the best class in `names` and the library's normalised probability of it, for each text."""
        column = _lowered(asked.column)
        column = pc.utf8_normalize(column, "NFC")
        data, offsets = codepoints.byte_offsets(column)
        found, scores = np.full(len(column), UNKNOWN, np.int64), np.zeros(len(column), np.float32)
        for first in range(0, len(column), _BATCH):
            part = slice(first, min(first + _BATCH, len(column)))
            found[part], scores[part] = self._model.best(data, offsets[part.start : part.stop + 1])
        found[found == self._model.no_language] = UNKNOWN
        return found, scores

    def identify(self, texts: pa.Array) -> tuple[pa.Array, np.ndarray]:
        asked = ask(texts)
        found, scores = self.score(asked)
        return answers(asked, self.names, found, PY3LANGID.at(asked.sizes, scores))


def _lowered(column: pa.Array) -> pa.Array:
    """Texts in capitals in lower case (by Python's rules, as in the package), the others as they are."""
    rows = np.flatnonzero(pc.utf8_is_upper(column).to_numpy(zero_copy_only=False))
    if not len(rows):
        return column
    lowered = pa.array([text.lower() for text in column.take(pa.array(rows)).to_pylist()], column.type)
    mask = np.zeros(len(column), bool)
    mask[rows] = True
    return pc.replace_with_mask(column, pa.array(mask), lowered)


class _Model:
    """The arrays of the package's model, and the scratch space of the compiled loops."""

    def __init__(self, path: Path) -> None:
        try:
            from py3langid.langid import LanguageIdentifier
        except ImportError as error:
            raise PairmillError(
                f"language engine py3langid: {error}. Run `pip install 'py3langid>=0.4,<0.5'`, or choose "
                "`language: {engine: fasttext}`."
            ) from error
        model: Any = LanguageIdentifier.from_model_file(path, norm_probs=True)
        self.names: list[str] = list(model.nb_classes)
        self.no_language = self.names.index("zxx") if "zxx" in self.names else UNKNOWN
        self.same = [(self.names.index(name), i) for i, name in enumerate(self.names) if self.names.index(name) != i]
        self.moves = np.asarray(model.tk_nextmove, np.uint32)
        self.row_of = np.asarray(model.tk_row, np.int64)
        self.feature_of = np.asarray(model.tk_output, np.int32)
        self.weights = np.ascontiguousarray(model.nb_ptc, np.float32)
        self.prior = np.ascontiguousarray(model.nb_pc, np.float32)
        self.counts = np.zeros(len(self.weights), np.int32)

    def best(self, data: memoryview, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The most probable class of each of the texts data[offsets[i]:offsets[i + 1]], and its probability."""
        lengths = np.diff(offsets)
        scores = np.empty((len(lengths), len(self.names)), np.float32)
        seen = np.empty(max(1, int(lengths.max(initial=0))), np.int32)
        tables = (self.moves, self.row_of, self.feature_of, self.weights, self.prior)
        _kernel()(np.frombuffer(data, np.uint8), offsets, *tables, self.counts, seen, scores)
        scores /= np.sqrt(np.maximum(lengths, 1).astype(np.float32))[:, None]
        np.exp(scores - scores.max(axis=1, keepdims=True), out=scores)
        scores /= scores.sum(axis=1, keepdims=True)
        for first, again in self.same:
            scores[:, first] += scores[:, again]
            scores[:, again] = 0
        best = scores.argmax(axis=1)
        return best, scores[np.arange(len(best)), best]


@cache
def _kernel() -> Kernel:
    """Return bayes(data, offsets, moves, row_of, feature_of, weights, prior, counts, seen, scores).

    Writes the naive Bayes scores (n, classes), 0 for a text without features; `counts` (features,) must hold zeros, and
    does so afterwards; `seen` has room for as many features as the longest text has bytes.
    """
    inputs = "uint8[] int64[] uint32[] int64[] int32[] float32[][] float32[]"
    return compile_kernel(_bayes, inputs, "int32[::1] int32[::1] float32[:,::1]")


def _bayes(data, offsets, moves, row_of, feature_of, weights, prior, counts, seen, scores):  # type: ignore[no-untyped-def]
    classes = prior.size
    for row in range(offsets.size - 1):
        state, distinct = np.int64(0), 0
        for i in range(offsets[row], offsets[row + 1]):
            state = np.int64(moves[(row_of[state] << 8) + np.int64(data[i])])
            feature = feature_of[state]
            if feature >= 0:
                if counts[feature] == 0:
                    seen[distinct] = feature
                    distinct += 1
                counts[feature] += 1
        score = scores[row]
        score[:] = 0
        for j in range(distinct):
            feature = seen[j]
            weight = np.float32(np.log1p(np.float32(counts[feature])))
            counts[feature] = 0
            for c in range(classes):
                score[c] += weight * weights[feature, c]
        if distinct:
            for c in range(classes):
                score[c] += prior[c]


@cache
def load() -> Py3LangId:
    return Py3LangId()
