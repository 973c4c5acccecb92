"""py3langid (Barbaresi's langid.py, after Lui and Baldwin, P12-3005): 140 languages, good on short text.

The model is the package's; its two loops run compiled here, because in Python they take 74 us of a sentence, here 6:

1. The text's UTF-8 bytes drive a finite automaton; some of its states are features (byte n-grams), which are counted.
2. A naive Bayes score per class: log(1 + count) times the feature's weights, summed, plus the prior; softmax of the
   scores over the square root of the text's length in bytes; classes that are one language are added up.

As in the package, text in capitals is lowered first, and all is NFC. The answer `zxx` (no language) is unknown.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pairmill.compiled import Kernel, compile_kernel
from pairmill.curate.language.calibration import PY3LANGID
from pairmill.curate.language.codes import canonical
from pairmill.curate.language.engine import UNKNOWN, Asked, answers, ask, model_file
from pairmill.errors import PairmillError
from pairmill.pairs.strings import byte_offsets

_STEPS = 512  # the model's weights are multiples of 1/512, and as such int16
_LANES = 8  # texts that walk the automaton in turn, as each step waits for memory
_ROWS = 8  # of weights that are added at once
_LOGS = 64  # logarithms that are in a table
_BATCH = 1024  # texts scored at once: their scores are a matrix of 0.6 MB


class Py3LangId:
    name = "py3langid"
    version = 1

    @cached_property
    def path(self) -> Path:
        """The model file."""
        return model_file("py3langid", "py3langid", "data/model.npz.xz", "'py3langid>=0.4,<0.5'", "fasttext")

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
        column = _composed(_lowered(asked.column), asked.composed)
        data, offsets = byte_offsets(column)
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
    chosen = pc.utf8_is_upper(column).to_numpy(zero_copy_only=False)
    return _changed(column, chosen, lambda part: pa.array([text.lower() for text in part.to_pylist()], part.type))


def _composed(column: pa.Array, composed: np.ndarray) -> pa.Array:
    """The texts in NFC; where `composed` (bool, (n,)) they are already (as are texts that were lowered)."""
    return _changed(column, ~composed, lambda part: pc.utf8_normalize(part, "NFC"))


def _changed(column: pa.Array, chosen: np.ndarray, change: Callable[[pa.Array], pa.Array]) -> pa.Array:
    """The column with its chosen rows (bool, (n,)) changed."""
    if not chosen.any():
        return column
    return pc.replace_with_mask(column, pa.array(chosen), change(column.filter(pa.array(chosen))))


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
        self.row_of = np.asarray(model.tk_row, np.int32)
        self.feature_of = np.asarray(model.tk_output, np.int32)
        self.weights = np.rint(_STEPS * np.asarray(model.nb_ptc, np.float32)).astype(np.int16)
        self.prior = np.ascontiguousarray(model.nb_pc, np.float32)
        self.counts = np.zeros(len(self.weights), np.int32)

    def best(self, data: memoryview, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The most probable class of each of the texts data[offsets[i]:offsets[i + 1]], and its probability."""
        lengths = np.diff(offsets)
        scores = np.empty((len(lengths), len(self.names)), np.float32)
        room = int(lengths.max(initial=0)) + _ROWS
        seen, factors = np.empty(room, np.int32), np.empty(room, np.float32)
        hits = np.empty(int(offsets[-1] - offsets[0]), np.int32)
        _walk_kernel()(np.frombuffer(data, np.uint8), offsets, self.moves, self.row_of, self.feature_of, hits)
        _bayes_kernel()(hits, offsets, self.weights, self.prior, self.counts, seen, factors, scores)
        scores /= np.sqrt(np.maximum(lengths, 1).astype(np.float32))[:, None]
        np.exp(scores - scores.max(axis=1, keepdims=True), out=scores)
        scores /= scores.sum(axis=1, keepdims=True)
        for first, again in self.same:
            scores[:, first] += scores[:, again]
            scores[:, again] = 0
        best = scores.argmax(axis=1)
        return best, scores[np.arange(len(best)), best]


@cache
def _walk_kernel() -> Kernel:
    """Return walk(data, offsets, moves, row_of, feature_of, hits).

    hits[i] becomes the feature that is complete with byte offsets[0] + i, -1 for none.
    """
    return compile_kernel(_walk, "uint8[] int64[] uint32[] int32[] int32[]", "int32[::1]")


@cache
def _bayes_kernel() -> Kernel:
    """Return bayes(hits, offsets, weights, prior, counts, seen, factors, scores).

    Writes the naive Bayes scores (n, classes), 0 for a text without features; `counts` (features,) must hold zeros, and
    does so afterwards; `seen` and `factors` are scratch of _ROWS places more than the longest text has bytes.
    """
    outputs = "int32[::1] int32[::1] float32[::1] float32[:,::1]"
    return compile_kernel(_bayes, "int32[] int64[] int16[][] float32[]", outputs)


def _walk(data, offsets, moves, row_of, feature_of, hits):  # type: ignore[no-untyped-def]
    at, end, states = np.zeros(_LANES, np.int64), np.zeros(_LANES, np.int64), np.zeros(_LANES, np.int64)
    row, rows, busy = 0, offsets.size - 1, True
    while busy:
        busy = False
        for lane in range(_LANES):
            if at[lane] == end[lane]:  # on to the next text
                while row < rows and offsets[row] == offsets[row + 1]:
                    row += 1
                if row == rows:
                    continue
                at[lane], end[lane], states[lane] = offsets[row], offsets[row + 1], 0
                row += 1
            busy = True
            i = at[lane]
            state = np.int64(moves[(np.int64(row_of[states[lane]]) << 8) + np.int64(data[i])])
            hits[i - offsets[0]] = feature_of[state]
            at[lane], states[lane] = i + 1, state


def _bayes(hits, offsets, weights, prior, counts, seen, factors, scores):  # type: ignore[no-untyped-def]
    classes = prior.size
    score, logs = np.empty(classes, np.float32), np.empty(_LOGS, np.float32)
    for k in range(_LOGS):
        logs[k] = np.log1p(np.float32(k))
    for row in range(offsets.size - 1):
        distinct = 0
        for i in range(offsets[row] - offsets[0], offsets[row + 1] - offsets[0]):
            feature = hits[i]
            if feature >= 0:
                if counts[feature] == 0:
                    seen[distinct] = feature
                    distinct += 1
                counts[feature] += 1
        score[:] = 0
        for j in range(distinct):
            count = counts[seen[j]]
            factors[j] = logs[count] if count < _LOGS else np.log1p(np.float32(count))
            counts[seen[j]] = 0
        for j in range(distinct, -(-distinct // _ROWS) * _ROWS):
            seen[j], factors[j] = seen[0], 0
        for j in range(0, distinct, _ROWS):  # several rows of weights, so that their loads wait for memory together
            f0, f1, f2, f3 = factors[j], factors[j + 1], factors[j + 2], factors[j + 3]
            f4, f5, f6, f7 = factors[j + 4], factors[j + 5], factors[j + 6], factors[j + 7]
            row0, row1, row2, row3 = weights[seen[j]], weights[seen[j + 1]], weights[seen[j + 2]], weights[seen[j + 3]]
            row4, row5, row6 = weights[seen[j + 4]], weights[seen[j + 5]], weights[seen[j + 6]]
            row7 = weights[seen[j + 7]]
            for c in range(classes):
                first = score[c] + f0 * np.float32(row0[c]) + f1 * np.float32(row1[c])
                first = first + f2 * np.float32(row2[c]) + f3 * np.float32(row3[c])
                first = first + f4 * np.float32(row4[c]) + f5 * np.float32(row5[c])
                score[c] = first + f6 * np.float32(row6[c]) + f7 * np.float32(row7[c])
        for c in range(classes):
            scores[row, c] = score[c] * np.float32(1 / _STEPS) + prior[c] if distinct else 0


@cache
def load() -> Py3LangId:
    return Py3LangId()
