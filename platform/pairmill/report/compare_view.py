"""A comparison of two curate runs in words, for the terminal and the page. Its shape: `curate.compare.compare`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pairmill.report import show

REASONS_NAMED, PATHS_NAMED = 3, 4
Json = Mapping[str, Any]


def points(one: float, other: float) -> str:
    """The difference of two shares in percentage points: `+2.3`."""
    return f"{100 * (other - one):+.1f}".replace("-", "−")


def setting(line: Json, side: str) -> str:
    """One side's value of a path that differs; `–` where that side has no such path."""
    return show.fact(line[side]) if side in line else "–"


def runs(found: Json) -> list[str]:
    """A line for each run: what it kept of what came in."""
    return [
        f"{show.one_line(one['id'])}: {show.whole(one['kept'])} of {show.whole(one['rows_in'])} rows kept "
        f"({show.share(one['kept'], one['rows_in'])})"
        for one in (found["a"], found["b"])
    ]


def sentences(found: Json) -> list[str]:
    """The comparison in words: what was changed, what came of it, where most rows changed sides."""
    told = [_settings(found), *_inputs(found), _kept(found), _rows(found)]
    most = max(found["pairs"], key=lambda line: line["lost"] + line["gained"], default=None)
    if most and most["lost"] + most["gained"] and len(found["pairs"]) > 1:
        told.append(
            f"Most rows changed sides in {show.one_line(most['name'], 60)}: {show.whole(most['lost'])} lost, "
            f"{show.whole(most['gained'])} gained."
        )
    return told


def _settings(found: Json) -> str:
    meant = [line for line in found["spec"] if line["decides"]]
    if not meant:
        return "The specs say the same of which rows are kept."
    named = [
        f"{show.one_line(line['path'], 80)} {setting(line, 'a')} → {setting(line, 'b')}" for line in meant[:PATHS_NAMED]
    ]
    more = f" and {len(meant) - PATHS_NAMED} more" if len(meant) > PATHS_NAMED else ""
    return f"Changed in the spec: {'; '.join(named)}{more}."


def _inputs(found: Json) -> list[str]:
    changed = sorted({line["path"].rpartition(".")[0] or line["path"] for line in found["inputs"]})
    if not changed:
        return []
    names = ", ".join(show.one_line(name, 60) for name in changed[:PATHS_NAMED])
    return [f"The runs did not read the same: {names}{' and more' if len(changed) > PATHS_NAMED else ''}."]


def _kept(found: Json) -> str:
    one, other = found["a"], found["b"]
    difference = other["kept"] - one["kept"]
    how = f"{show.plural(abs(difference), 'row')} {'more' if difference > 0 else 'fewer'}" if difference else "as many"
    shares = " → ".join(show.share(side["kept"], side["rows_in"]) for side in (one, other))
    return f"B kept {how}: {show.whole(one['kept'])} → {show.whole(other['kept'])} ({shares})."


def _rows(found: Json) -> str:
    rows, total = found["rows"], found["total"]
    if not rows["joined"]:
        return "The runs have no row in common: they read other files, or call their inputs otherwise."
    told = [
        f"Of {show.plural(rows['joined'], 'row')} that both have, {show.whole(total['lost'])} that A kept are rejected "
        f"in B, {show.whole(total['gained'])} that A rejected are kept, {show.whole(total['other'])} are rejected for "
        "another reason"
    ]
    for side, name in enumerate("AB"):
        if alone := sum(rows["alone"][side].values()):
            told.append(f"{show.plural(alone, 'row')} only {name} has")
    if sum(rows["uneven"]):
        told.append(
            f"{show.whole(sum(rows['uneven']))} come from records that gave another number of pairs, and are not joined"
        )
    return f"{'; '.join(told)}."


def reasons(line: Json, named: int = REASONS_NAMED) -> str:
    """The reasons that are furthest apart: `length_ratio +120, near_duplicate −3`."""
    apart = [(name, b - a) for name, (a, b) in line["reasons"].items() if a != b]
    told = [f"{show.one_line(name, 60)} {show.signed(difference)}" for name, difference in apart[:named]]
    return ", ".join([*told, f"{len(apart) - named} more"] if len(apart) > named else told)


def counts(line: Json) -> list[str]:
    """A line of counts: rows, kept, change, shares, points, lost, gained."""
    (rows_a, rows_b), (kept_a, kept_b) = line["rows"], line["kept"]
    shares = kept_a / rows_a if rows_a else 0.0, kept_b / rows_b if rows_b else 0.0
    return [
        show.whole(rows_a),
        show.whole(rows_b),
        show.whole(kept_a),
        show.whole(kept_b),
        show.signed(kept_b - kept_a),
        show.share(kept_a, rows_a),
        show.share(kept_b, rows_b),
        points(*shares) if rows_a and rows_b else "–",
        show.whole(line["lost"]),
        show.whole(line["gained"]),
    ]


COUNTS = ("rows A", "rows B", "kept A", "kept B", "change", "share A", "share B", "points", "lost", "gained")


def reason_rows(found: Json) -> list[tuple[str, list[str]]]:
    """Each reason with the rows lost to it in A and in B, the change, and their shares of the rows in."""
    rows_in = found["total"]["rows"]
    return [
        (
            name,
            [
                show.whole(a),
                show.whole(b),
                show.signed(b - a),
                show.share(a, rows_in[0]),
                show.share(b, rows_in[1]),
            ],
        )
        for name, (a, b) in found["total"]["reasons"].items()
    ]


def fate(row: Json) -> str:
    """What a run decided of a row: `kept`, `length_ratio: 4.2, above 3`."""
    if not row.get("reason"):
        return "kept"
    told = show.compared(row.get("value"), row.get("threshold"))
    also = [str(name) for name in row.get("failed") or [] if name != row["reason"]]
    parts = [told, f"also {', '.join(also)}" if also else ""]
    if row.get("duplicate_of") is not None:
        of = f" of run {row['duplicate_run']}" if row.get("duplicate_run") else ""
        parts.append(f"duplicate of {row['duplicate_of']}{of}")
    said = "; ".join(part for part in parts if part)
    return show.one_line(f"{row['reason']}: {said}" if said else str(row["reason"]))
