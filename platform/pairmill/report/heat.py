"""Heat maps: reasons by language pair, of the run and of each input, and declared by identified languages.

A map is bounded: so many rows, so many columns, and the rest of each folded into one, so that every row still adds up.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pairmill.curate.language.codes import same_language
from pairmill.report.show import one_line, plural, share
from pairmill.report.tables import INPUT_COLUMNS, Cell, cell

REASON_COLUMNS, PAIRS_SHOWN, PAIRS_PER_INPUT, LANGUAGES_SHOWN = 14, 200, 40, 16


@dataclass(frozen=True)
class PairRow:
    """A language pair: `cells` by the map's reasons, the last one of all further reasons where there are any."""

    name: str
    rows: int
    kept: int
    share: str
    width: float
    cells: list[Cell]


@dataclass(frozen=True)
class PairMap:
    """Language pairs (rows) by reason (columns); `others` are the pairs that are not shown, together."""

    reasons: list[str]
    folded: int
    rows: list[PairRow]
    others: PairRow | None
    pairs: int


@dataclass(frozen=True)
class LanguageMap:
    """Declared languages (rows) by identified ones (columns); a cell is of sides, `agrees` where both are one."""

    columns: list[str]
    rows: list[tuple[str, int, list[tuple[Cell, bool]]]]


def pair_name(item: Mapping[str, Any]) -> str:
    """`de → en`, as the page writes a row's or a count's language pair."""
    return " → ".join(one_line(str(item.get(side) or "unknown"), 35) for side in ("anchor_lang", "positive_lang"))


def pair_map(languages: Iterable[Mapping[str, Any]], order: Sequence[str], shown: int) -> PairMap:
    """The `shown` largest pairs by the reasons with most rows; `order`: reasons as the funnel has them."""
    ranked = sorted(languages, key=lambda item: (-(item.get("rows") or 0), pair_name(item)))
    total: Counter[str] = Counter()
    for item in ranked:
        total.update(_rejected(item))
    most = sorted((name for name in total if total[name]), key=lambda name: (-total[name], name))[:REASON_COLUMNS]
    place = {name: number for number, name in enumerate(order)}
    reasons = sorted(most, key=lambda name: (place.get(name, len(place)), name))
    folded = sum(1 for name in total if total[name]) - len(reasons)
    others = ranked[shown:]
    return PairMap(
        reasons=reasons,
        folded=folded,
        rows=[_row(pair_name(item), [item], reasons, folded) for item in ranked[:shown]],
        others=_row(plural(len(others), "more pair"), others, reasons, folded) if others else None,
        pairs=len(ranked),
    )


def _rejected(item: Mapping[str, Any]) -> dict[str, int]:
    return {name: rows or 0 for name, rows in (item.get("rejected") or {}).items()}


def _row(name: str, items: Sequence[Mapping[str, Any]], reasons: Sequence[str], folded: int) -> PairRow:
    rows, kept = (sum(item.get(key) or 0 for item in items) for key in ("rows", "kept"))
    lost: Counter[str] = Counter()
    for item in items:
        lost.update(_rejected(item))
    counts = [lost[reason] for reason in reasons]
    if folded:
        counts.append(lost.total() - sum(counts))
    width = 100 * min(kept / rows, 1) if rows else 0
    return PairRow(name, rows, kept, share(kept, rows), width, [cell(count, rows) for count in counts])


def by_input(
    entries: Iterable[Mapping[str, Any]], inputs: Sequence[str], order: Sequence[str]
) -> list[tuple[str, PairMap]]:
    """(input, its map) for the inputs that the table of reasons by input shows, in its order."""
    of: dict[str, list[Mapping[str, Any]]] = {name: [] for name in inputs[:INPUT_COLUMNS]}
    for entry in entries:
        if (name := str(entry.get("input"))) in of:
            of[name].append(entry)
    return [(name, pair_map(found, order, PAIRS_PER_INPUT)) for name, found in of.items() if found]


def language_map(table: Iterable[Mapping[str, Any]]) -> LanguageMap | None:
    """The declared languages with most sides by what they were identified as; None for less than two of either."""
    sides: dict[str, Counter[str]] = {}
    found: Counter[str] = Counter()
    for entry in table:
        said, heard = entry.get("declared"), entry.get("identified") or "und"
        if said:
            sides.setdefault(str(said), Counter())[str(heard)] += entry.get("rows") or 0
            found[str(heard)] += entry.get("rows") or 0
    rows = sorted(sides, key=lambda name: (-sides[name].total(), name))[:LANGUAGES_SHOWN]
    known = [name for name in sorted(found, key=lambda name: (-found[name], name)) if name != "und"]
    columns = [name for name in rows if name in found]
    columns += [name for name in known if name not in columns][: max(0, LANGUAGES_SHOWN - len(columns))]
    if len(sides) < 2 or len(columns) < 2:
        return None
    return LanguageMap([*columns, "others", "not identified"], [_language_row(n, sides[n], columns) for n in rows])


def _language_row(name: str, found: Counter[str], columns: Sequence[str]) -> tuple[str, int, list[tuple[Cell, bool]]]:
    whole = found.total()
    counts = [found[column] for column in columns]
    counts += [whole - sum(counts) - found["und"], found["und"]]
    agrees = [name == column or same_language(name, column) for column in columns] + [False, False]
    return name, whole, [(cell(count, whole), same) for count, same in zip(counts, agrees, strict=True)]
