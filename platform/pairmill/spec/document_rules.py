"""The table of rules on documents: Gopher, C4, FineWeb-2. They judge the positive, such as the body of a page.

`min` and `max` are the papers' bounds; those of the preset `web` are reasoned in `docs/document-filters.md`.
"""

from __future__ import annotations

from pairmill.spec.rule import Bound, Rule

_QUALITY = "Gopher (2112.11446), A1.1"
_REPETITION = "Gopher (2112.11446), A1.1, repetition"
_C4 = "C4 (1910.10683), 2.2"
_FINEWEB = "FineWeb (2406.17557), 3.6; FineWeb-2 (2506.20920)"


def _rule(name: str, low: float | None, high: float | None, web: Bound | None, describe: str, source: str) -> Rule:
    return Rule(name, "positive", low, high, {} if web is None else {"web": web}, describe, source)


def _same(name: str, low: float | None, high: float | None, describe: str, source: str) -> Rule:
    """A rule that the preset web takes as published."""
    return _rule(name, low, high, (low, high), describe, source)


TABLE: list[Rule] = [
    _rule("gopher_words", 50, 100_000, (20, 100_000), "words, as many as an English translation has", _QUALITY),
    _same(
        "gopher_word_length", 3, 10, "mean letters of a word, relative to its language's, in English letters", _QUALITY
    ),
    _same("gopher_symbols", None, 0.1, "# or ellipses per word", _QUALITY),
    _rule("gopher_alphabetic", 0.8, None, (0.7, None), "share of words with a letter", _QUALITY),
    _same("gopher_stop_words", 2, None, "different stop words of its language", _QUALITY),
    _same("gopher_bullets", None, 0.9, "share of lines that begin with a bullet", _QUALITY),
    _same("gopher_ellipses", None, 0.3, "share of lines that end with an ellipsis", _QUALITY),
    _same("gopher_duplicate_lines", None, 0.3, "share of lines that equal an earlier one", _REPETITION),
    _same(
        "gopher_duplicate_line_chars", None, 0.2, "share of characters in lines that equal an earlier one", _REPETITION
    ),
    _same("gopher_duplicate_paragraphs", None, 0.3, "share of paragraphs that equal an earlier one", _REPETITION),
    _same("gopher_duplicate_paragraph_chars", None, 0.2, "share of characters in such paragraphs", _REPETITION),
    *(
        _rule(
            f"gopher_top_{n}gram",
            None,
            limit,
            (None, web),
            f"share of characters in the most frequent {n}-gram",
            _REPETITION,
        )
        for n, limit, web in ((2, 0.20, 0.30), (3, 0.18, 0.27), (4, 0.16, 0.24))
    ),
    *(
        _rule(
            f"gopher_duplicate_{n}grams",
            None,
            limit,
            (None, 2 * limit),
            f"share of characters in repeated {n}-grams",
            _REPETITION,
        )
        for n, limit in ((5, 0.15), (6, 0.14), (7, 0.13), (8, 0.12), (9, 0.11), (10, 0.10))
    ),
    _rule("c4_sentences", 3, None, None, "sentences", _C4),
    _rule("c4_lines", 0.5, None, None, "share of characters in lines that C4 keeps", _C4),
    _rule("c4_policy", None, 0.1, (None, 0.3), "share of lines on JavaScript, cookies, terms or privacy", _C4),
    _rule("c4_curly", None, 0, None, "curly brackets", _C4),
    _rule("c4_lorem_ipsum", None, 0, None, "1 where it holds lorem ipsum", _C4),
    _rule("fineweb_line_ends", 0.12, None, (0.05, None), "share of lines that end in terminal punctuation", _FINEWEB),
    _rule("fineweb_short_lines", None, 0.67, None, "share of lines of at most 30 English characters", _FINEWEB),
    _rule("fineweb_newlines", None, 0.3, (None, 0.3), "line breaks per word", _FINEWEB),
]
