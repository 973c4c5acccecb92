"""Rules on documents, which judge the positive only: Gopher, C4, FineWeb. What they share is in `document.py`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from pairmill.curate.heuristics.documents import c4, fineweb, gopher_quality, gopher_repetition
from pairmill.curate.heuristics.documents.scored import Scored
from pairmill.curate.heuristics.side import Side

_Scores = dict[str, Callable[[Side], np.ndarray]]

_QUALITY: _Scores = {
    "gopher_words": gopher_quality.words,
    "gopher_word_length": gopher_quality.word_length,
    "gopher_symbols": gopher_quality.symbols,
    "gopher_alphabetic": gopher_quality.alphabetic,
    "gopher_stop_words": gopher_quality.stop_words,
    "gopher_bullets": gopher_quality.bullets,
    "gopher_ellipses": gopher_quality.ellipses,
}
_REPETITION: _Scores = {
    "gopher_duplicate_lines": gopher_repetition.lines,
    "gopher_duplicate_line_chars": gopher_repetition.line_characters,
    "gopher_duplicate_paragraphs": gopher_repetition.paragraphs,
    "gopher_duplicate_paragraph_chars": gopher_repetition.paragraph_characters,
    **{f"gopher_top_{n}gram": partial(gopher_repetition.top_gram, n=n) for n in (2, 3, 4)},
    **{f"gopher_duplicate_{n}grams": partial(gopher_repetition.duplicate_grams, n=n) for n in range(5, 11)},
}
_C4: _Scores = {
    "c4_sentences": c4.sentences,
    "c4_lines": c4.kept,
    "c4_policy": c4.policy,
    "c4_curly": c4.curly,
    "c4_lorem_ipsum": c4.lorem_ipsum,
}
_FINEWEB: _Scores = {
    "fineweb_line_ends": fineweb.line_ends,
    "fineweb_short_lines": fineweb.short_lines,
    "fineweb_newlines": fineweb.newlines,
}
MODULES: dict[str, Scored] = {
    name: Scored(score, module.VERSION)
    for module, scores in (
        (gopher_quality, _QUALITY),
        (gopher_repetition, _REPETITION),
        (c4, _C4),
        (fineweb, _FINEWEB),
    )
    for name, score in scores.items()
}
