"""A curate run in words: what came in, what went out, where most was lost, and what looks wrong.

`findings` looks for what an analyst would want to be told without asking; each is a sentence and the section of the
page that shows it. The bounds stand at the top; rows of less than LEAST are too few to say anything of.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from pairmill.curate.language.codes import same_language
from pairmill.pairs.ledger import Counts
from pairmill.report import show
from pairmill.report.heat import pair_name

LEAST = 100  # rows of a language pair, sides of a language, rows of an input
LOST_TO_ONE = 0.5  # of a pair's or an input's rows, to one reason
DISAGREE = 0.2  # of a declared language's sides, identified as another one
UNREADABLE = 0.01  # of an input's records
DUPLICATES_FROM_ONE, ROWS_FROM_ONE = 0.6, 1.5  # of all duplicates, and how many times its share of the rows
LARGE_GROUP = 0.01  # of all rows, in one duplicate group
OF_EACH = 4  # findings of one kind that are told; the others are counted
DUPLICATES = ("exact_duplicate", "near_duplicate", "semantic_duplicate")


class Finding(NamedTuple):
    """A sentence, and the id of the section that shows it."""

    text: str
    place: str


def sentences(total: Counts, inputs: int) -> list[str]:
    """The run in words: what came in, what went out, where most was lost."""
    if not total.records_in and not total.rows_in:
        return ["No ledger: the run ended before anything was counted, or its inputs hold no record."]
    pairs = total.rows_in - total.quarantine.total()
    told = [
        f"{show.plural(total.records_in, 'record')} from {show.plural(inputs, 'input')} gave "
        f"{show.plural(pairs, 'pair')}, of which {show.whole(total.kept)} "
        f"({show.share(total.kept, total.rows_in)}) were kept."
    ]
    top = [(show.one_line(name, 60), count) for name, count in total.rejected.most_common(3) if count]
    if top:
        named = [f"{name} ({show.whole(count)}, {show.share(count, total.rows_in)})" for name, count in top]
        if len(named) == 1:
            told.append(f"Rows were lost only to {named[0]}.")
        else:
            told.append(f"The largest losses are {', '.join(named[:-1])} and {named[-1]}.")
    apart = []
    if total.no_pair.total():
        apart.append(f"{show.plural(total.no_pair.total(), 'record')} held no pair")
    if total.quarantine.total():
        apart.append(f"{show.plural(total.quarantine.total(), 'record')} could not be read and went to quarantine")
    if apart:
        told.append(f"{'; '.join(apart)}.")
    return told


def figures(total: Counts) -> list[tuple[str, str, str]]:
    """The four key numbers: (kind, number, what it counts)."""
    counts = [
        ("kept", total.kept, "kept"),
        ("rejected", total.rejected.total(), "rejected"),
        ("unreadable", total.quarantine.total(), "in quarantine"),
    ]
    return [("in", show.whole(total.rows_in), "rows in")] + [
        (kind, show.whole(count), f"{what}, {show.share(count, total.rows_in)} of rows in" if count else what)
        for kind, count, what in counts
    ]


def findings(summary: Mapping[str, Any], total: Counts, by_input: Mapping[str, Counts]) -> list[Finding]:
    """What looks wrong, the gravest kinds first."""
    kinds = (
        _leaks(summary),
        _inputs(by_input),
        _unreadable(by_input),
        _pairs(summary),
        _languages(summary),
        _duplicates(by_input, total),
        _groups(summary, total),
        _licences(summary),
    )
    return [finding for kind in kinds for finding in _bounded(list(kind))]


def _bounded(found: Sequence[Finding]) -> list[Finding]:
    more = len(found) - OF_EACH
    return [*found[:OF_EACH], Finding(f"And {more} more like these.", found[0].place)] if more > 0 else list(found)


def _leaks(summary: Mapping[str, Any]) -> Iterator[Finding]:
    sets = ((summary.get("contamination") or {}).get("sets")) or []
    for item in sorted(sets, key=lambda item: -(item.get("rows") or 0)):
        if rows := item.get("rows") or 0:
            told = f"{show.plural(rows, 'row')} {_hold(rows)} texts of the evaluation set {_name(item.get('name'))}."
            yield Finding(told, "contamination")


def _hold(rows: int) -> str:
    return "holds" if rows == 1 else "hold"


def _inputs(by_input: Mapping[str, Counts]) -> Iterator[Finding]:
    for name, counts in by_input.items():
        if not counts.records_in:
            yield Finding(f"The input {_name(name)} holds no record.", "inputs")
        elif counts.rows_in and not counts.kept:
            yield Finding(f"Nothing of the input {_name(name)} was kept.", "reasons")
        elif told := _mostly_lost(counts.rejected, counts.rows_in):
            yield Finding(f"The input {_name(name)} lost {told}.", "reasons")


def _mostly_lost(rejected: Mapping[str, int], rows: int) -> str | None:
    """`61.2% of its rows to script`, where that is more than LOST_TO_ONE."""
    reason, most = max(rejected.items(), key=lambda item: (item[1] or 0, item[0]), default=("", 0))
    if rows < LEAST or most <= LOST_TO_ONE * rows:
        return None
    return f"{show.share(most, rows)} of its {show.whole(rows)} rows to {_name(reason)}"


def _unreadable(by_input: Mapping[str, Counts]) -> Iterator[Finding]:
    for name, counts in sorted(by_input.items(), key=lambda item: (-item[1].quarantine.total(), item[0])):
        unreadable = counts.quarantine.total()
        if unreadable > UNREADABLE * counts.records_in:
            part = show.share(unreadable, counts.records_in)
            told = f"{show.plural(unreadable, 'record')} of the input {_name(name)} ({part}) could not be read."
            yield Finding(told, "quarantine")


def _pairs(summary: Mapping[str, Any]) -> Iterator[Finding]:
    for item in sorted(summary.get("languages") or [], key=lambda item: -(item.get("rows") or 0)):
        if told := _mostly_lost(item.get("rejected") or {}, item.get("rows") or 0):
            yield Finding(f"The language pair {pair_name(item)} lost {told}.", "languages")


def _languages(summary: Mapping[str, Any]) -> Iterator[Finding]:
    """Declared languages of which many sides were identified as others; in one line those that were never answered."""
    sides: dict[str, Counter[str]] = {}
    for entry in summary.get("declared_identified") or []:
        said, heard = entry.get("declared"), entry.get("identified")
        if said and heard and "und" not in (said, heard):
            agrees = said == heard or same_language(said, heard)
            sides.setdefault(str(said), Counter())["" if agrees else str(heard)] += entry.get("rows") or 0
    large = sorted(
        (item for item in sides.items() if item[1].total() >= LEAST), key=lambda item: (-item[1].total(), item[0])
    )
    answered = {name for found in sides.values() for name, rows in found.items() if name and rows}
    never = {said: found.total() for said, found in large if not found[""] and said not in answered}
    if never:
        sides_of = show.plural(sum(never.values()), "side")
        told = f"No side was identified as {_listed(list(never))}, of {sides_of} declared so"
        yield Finding(f"{told}: the engine may not know the language.", "identified")
    for said, found in large:
        whole, wrong = found.total(), found.total() - found[""]
        if said not in never and wrong > DISAGREE * whole:
            most = next(name for name, _ in found.most_common() if name)
            told = f"{show.share(wrong, whole)} of {show.whole(whole)} sides declared {_name(said)}"
            yield Finding(f"{told} were identified as another language, most often {_name(most)}.", "identified")


def _listed(names: Sequence[Any]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(_name(name) for name in names[:3]) + more


def _duplicates(by_input: Mapping[str, Counts], total: Counts) -> Iterator[Finding]:
    everything = sum(total.rejected[reason] for reason in DUPLICATES)
    for name, counts in by_input.items():
        own = sum(counts.rejected[reason] for reason in DUPLICATES)
        share = counts.rows_in / max(total.rows_in, 1)
        if len(by_input) > 1 and own >= LEAST and own > max(DUPLICATES_FROM_ONE, ROWS_FROM_ONE * share) * everything:
            told = f"The input {_name(name)} gave {show.share(own, everything)} of the duplicates"
            yield Finding(f"{told}, and {show.share(counts.rows_in, total.rows_in)} of the rows.", "duplicates")


def _groups(summary: Mapping[str, Any], total: Counts) -> Iterator[Finding]:
    for group in (summary.get("duplicates") or {}).get("largest") or []:
        size = group.get("size") or 0
        if size >= LEAST and size > LARGE_GROUP * total.rows_in:
            text = _name(str(group.get("kept_text") or "").replace("\n", " / "))
            yield Finding(f"{show.whole(size)} rows are the same or nearly: “{text}”.", "duplicates")


def _licences(summary: Mapping[str, Any]) -> Iterator[Finding]:
    without = [item.get("name") for item in summary.get("inputs") or [] if not item.get("licence")]
    if without:
        names = "names" if len(without) == 1 else "name"
        yield Finding(f"{show.plural(len(without), 'input')} {names} no licence: {_listed(without)}.", "inputs")


def _name(thing: Any) -> str:
    return show.one_line(str(thing), 80)
