"""A comparison of two curate runs as text for the terminal. Its shape: `curate.compare.compare`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pairmill.report import compare_view as view
from pairmill.report import show

LINES, SAMPLES, CHARACTERS = 30, 2, 160
Json = Mapping[str, Any]


def text(found: Json) -> str:
    """Words, then tables of what differs: settings, sources, languages, reasons, rows that moved, some of these."""
    lines = [f"{name}  {line}" for name, line in zip("AB", view.runs(found), strict=True)]
    lines += ["", *view.sentences(found)]
    for title, key in (("SPEC", "spec"), ("RULES", "rules"), ("INPUTS", "inputs"), ("VERSIONS", "versions")):
        settings = [(line["path"], view.setting(line, "a"), view.setting(line, "b")) for line in found[key]]
        lines += _table((title, "A", "B"), settings)
    for title, key in (("SOURCE", "sources"), ("LANGUAGES", "pairs")):
        rows = [(line["name"], *view.counts(line), view.reasons(line)) for line in found[key] if _differs(line)]
        lines += _table((title, *(head.upper() for head in view.COUNTS), "REASONS"), rows)
    reasons = [(name, *cells) for name, cells in view.reason_rows(found) if cells[2] != "0"]
    lines += _table(("REASON", "A", "B", "CHANGE", "SHARE A", "SHARE B"), reasons)
    moves = [(f"{move['from']} → {move['to']}", show.whole(move["rows"])) for move in found["moves"]]
    lines += _table(("MOVED", "ROWS"), moves)
    return "\n".join([*lines, *_samples(found["moves"])])


def _differs(line: Json) -> bool:
    return bool(len(set(line["rows"])) > 1 or len(set(line["kept"])) > 1 or line["lost"] or line["gained"])


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Aligned columns, the first LINES rows; nothing where there are none."""
    if not rows:
        return []
    shown = [tuple(head), *(tuple(show.one_line(cell, 80) for cell in row) for row in rows[:LINES])]
    widths = [max(len(row[column]) for row in shown) for column in range(len(head))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in shown]
    more = [f"and {show.whole(len(rows) - LINES)} more; all of them with --json"] if len(rows) > LINES else []
    return ["", *lines, *more]


def _samples(moves: Sequence[Json]) -> Iterator[str]:
    for move in moves:
        if not move["samples"]:
            continue
        yield f"\n{show.one_line(move['from'])} → {show.one_line(move['to'])}"
        for sample in move["samples"][:SAMPLES]:
            one, other = sample["a"], sample["b"]
            yield f"  {show.one_line(one['origin_file'], CHARACTERS)}, record {one['origin_row']}"
            yield f"    A {one['pair_id']}: {view.fate(one)}"
            yield f"    B {other['pair_id']}: {view.fate(other)}"
            for side in ("anchor", "positive"):
                said = one[side] if one[side] is not None else other[side]
                yield f"    {show.one_line(said or '', CHARACTERS)}"
