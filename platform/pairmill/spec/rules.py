"""The table of filter rules: what each scores, where clean values lie, and where the rule comes from.

It stands apart from the code that computes the scores (`curate/heuristics/<name>.py`), so that a spec is checked
without importing NumPy. A new rule is one file there and one line here. The rule's name is its key in the spec, its
reason in the ledger and its score column (`<name>`, or `<name>_anchor` and `<name>_positive` for a rule on each side).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Rule:
    """A filter rule. A row passes when `min <= value <= max`; a bound that is None does not apply."""

    name: str
    per: Literal["side", "pair"]
    min: float | None
    max: float | None
    presets: tuple[str, ...]
    describe: str
    source: str

    @property
    def direction(self) -> Literal["low", "high", "between"]:
        """Where clean values lie."""
        if self.min is not None and self.max is not None:
            return "between"
        return "high" if self.min is not None else "low"

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.name,) if self.per == "pair" else (f"{self.name}_anchor", f"{self.name}_positive")


_BOTH = ("bitext", "web")
_TABLE = [
    Rule("empty", "side", 1, None, _BOTH, "characters that are not white space", "OPUS-MT, CCAligned practice"),
    Rule("min_chars", "side", 2, None, _BOTH, "characters of the side, white space left out", "bicleaner-hardrules"),
    Rule("max_chars", "side", None, 100_000, _BOTH, "characters of the side", "OpusFilter LengthFilter"),
    Rule(
        "identical",
        "pair",
        None,
        0,
        _BOTH,
        "1 where both sides are the same but for case, punctuation and space",
        "bicleaner-hardrules no_identical",
    ),
    Rule(
        "length_ratio",
        "pair",
        None,
        3.0,
        ("bitext",),
        "longer over shorter side in script-weighted characters, both plus 10",
        "OpusFilter LengthRatioFilter",
    ),
    Rule(
        "url_share",
        "side",
        None,
        0.5,
        _BOTH,
        "share of characters inside URLs and e-mail addresses",
        "bicleaner-hardrules no_only_urls",
    ),
    Rule(
        "letters",
        "side",
        0.3,
        None,
        _BOTH,
        "share of letters and marks among characters that are not white space",
        "OpusFilter AlphabetRatioFilter",
    ),
    Rule(
        "script",
        "side",
        0.3,
        None,
        ("bitext",),
        "share of letters in a script its language is written in",
        "OpusFilter CharacterScoreFilter",
    ),
    Rule(
        "numbers",
        "pair",
        0.5,
        None,
        ("bitext",),
        "share of the two sides' numerals that agree",
        "OpusFilter NonZeroNumeralsFilter",
    ),
    Rule(
        "placeholders",
        "pair",
        0.5,
        None,
        ("bitext",),
        "share of the two sides' placeholders (%s, {name}, ${x}) that agree",
        "gettext msgfmt --check-format",
    ),
    Rule(
        "repetition",
        "side",
        None,
        0.5,
        _BOTH,
        "share of characters that only repeat what stands just before them",
        "OpusFilter RepetitionFilter; Gopher (2112.11446), A1",
    ),
    Rule("html", "side", None, 0.2, _BOTH, "share of characters inside HTML or XML tags", "OpusFilter HtmlTagFilter"),
    Rule(
        "language",
        "side",
        None,
        0.5,
        _BOTH,
        "confidence that the side is in another language than declared; its max is language.min_confidence",
        "bicleaner-hardrules no_wrong_language",
    ),
]
RULES: dict[str, Rule] = {rule.name: rule for rule in _TABLE}
