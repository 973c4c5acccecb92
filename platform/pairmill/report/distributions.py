"""A card per rule: how its scores are spread, where its threshold stands, what would be kept if that moved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pairmill.report import show
from pairmill.report.charts import Curve, Histogram, curve, histogram

SIDES = ("anchor", "positive")
LENGTHS = {"anchor": "Anchor, characters", "positive": "Positive, characters", "ratio": "Positive / anchor, characters"}
OPEN_CARDS = 6
MOST_CARDS = 60


def cards(summary: Mapping[str, Any], rules: Sequence[Mapping[str, Any]], rows_in: int) -> dict[str, Any]:
    """The cards, rules that rejected most first: the first OPEN_CARDS are `shown`, the others `folded`.

    `rules` as `tables.rule_rows` gives them. Scores of no rule in force come last.
    """
    scores: dict[str, list[Mapping[str, Any]]] = {}
    for score in summary.get("scores") or []:
        scores.setdefault(str(score.get("rule") or score.get("name")), []).append(score)
    curves: dict[str, list[Mapping[str, Any]]] = {}
    for entry in summary.get("sensitivity") or []:
        curves.setdefault(str(entry.get("rule")), []).append(entry)
    named = {str(rule.get("name")): rule for rule in rules}
    order = [*named, *sorted({*scores, *curves} - {*named})]
    found = [_card(name, named.get(name, {}), scores.get(name, []), curves.get(name, []), rows_in) for name in order]
    drawn = [card for card in found if card["histograms"] or card["curves"]]
    for number, card in enumerate(drawn):
        card["id"] = f"rule-{number}"
    shown = [card for card in drawn if card["curves"] or card["rejected"]][:OPEN_CARDS] or drawn[:OPEN_CARDS]
    folded = [card for card in drawn if card not in shown]
    return {"shown": shown, "folded": folded[:MOST_CARDS], "more": max(0, len(folded) - MOST_CARDS)}


def _card(
    name: str,
    rule: Mapping[str, Any],
    scores: Sequence[Mapping[str, Any]],
    sensitivity: Sequence[Mapping[str, Any]],
    rows_in: int,
) -> dict[str, Any]:
    marks = _marks(rule)
    histograms = [one for score in scores if (one := histogram(str(score.get("name")), score, marks))]
    curves = [found for entry in sensitivity if (found := curve(entry, rows_in))]
    about: Mapping[str, Any] = next((score for score in scores if score.get("describe")), {})
    return {
        "name": name,
        "describe": rule.get("describe") or about.get("describe"),
        "direction": rule.get("direction") or about.get("direction"),
        "passes": rule.get("passes") or "no threshold",
        "exceptions": rule.get("exceptions") or "",
        "rejected": rule.get("rejected") or 0,
        "histograms": [(drawn, [_places(drawn, found) for found in curves]) for drawn in histograms],
        "curves": curves,
    }


def _places(drawn: Histogram, found: Curve) -> str:
    """Where the curve's thresholds stand in the histogram, in percent, for the script that moves them."""
    return " ".join(f"{drawn.axis.at(threshold):g}" for threshold in found.places)


def _marks(rule: Mapping[str, Any]) -> list[tuple[float, str]]:
    if rule.get("enabled") is False:
        return []
    bounds = [("≥", rule.get("min")), ("≤", rule.get("max"))]
    return [(value, f"{sign} {show.value(value)}") for sign, value in bounds if isinstance(value, (int, float))]


def lengths(summary: Mapping[str, Any]) -> list[Histogram]:
    """How long the sides are, and how their lengths compare."""
    facts = summary.get("lengths") or {}
    return [found for side, label in LENGTHS.items() if (found := histogram(label, facts.get(side) or {}))]


def confidence(summary: Mapping[str, Any]) -> list[Histogram]:
    """How sure the language identification was, by side."""
    facts = summary.get("confidence") or {}
    return [found for side in SIDES if (found := histogram(f"Confidence, {side}", facts.get(side) or {}))]
