"""The page of a comparison of two curate runs, in the manner of `page.py`. Its shape: `curate.compare.compare`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pairmill.report import compare_view as view
from pairmill.report import show
from pairmill.report.sample_view import sample, text
from pairmill.report.templating import template

LARGEST = 5_000_000
LINES, CHARACTERS, SHORTEST = 300, 1000, 40
CONTENTS = (
    ("summary", "Summary"),
    ("settings", "Settings"),
    ("sources", "Sources"),
    ("languages", "Languages"),
    ("reasons", "Reasons"),
    ("moves", "Rows that moved"),
)
Json = Mapping[str, Any]


def render(found: Json, command: str) -> str:
    """One self-contained page of at most LARGEST bytes: sample texts are cut as short as that takes."""
    characters, samples = CHARACTERS, 1_000
    while True:
        page = template("compare.html.j2").render(prepare(found, command, characters, samples))
        if len(page.encode()) <= LARGEST or (characters == SHORTEST and samples == 0):
            return page
        characters, samples = max(SHORTEST, characters // 2), samples if characters > SHORTEST else samples // 4


def prepare(found: Json, command: str, characters: int, samples: int) -> dict[str, Any]:
    """The template's variables; `samples` of each kind of move at most."""
    one, other = found["a"], found["b"]
    return {
        "kind": "comparison",
        "contents": CONTENTS,
        "run": {"id": f"{one['id']} and {other['id']}", "name": "Two runs compared", "error": None},
        "state": "done",
        "state_kind": "good",
        "took": None,
        "command": command,
        "sides": list(zip("AB", (one, other), view.runs(found), strict=True)),
        "sentences": view.sentences(found),
        "figures": figures(found),
        "settings": [(title, list(_settings(found[key]))) for title, key in SETTINGS if found[key]],
        "heads": view.COUNTS,
        "sources": _counted(found["sources"]),
        "languages": _counted(found["pairs"]),
        "reasons": view.reason_rows(found),
        "moves": [move(one, characters, samples) for one in found["moves"]],
        "characters": characters,
    }


SETTINGS = (("In the spec", "spec"), ("Rules as they applied", "rules"), ("Inputs", "inputs"), ("Versions", "versions"))


def figures(found: Json) -> list[tuple[str, str, str]]:
    """The four key numbers: (kind, number, what it counts)."""
    total = found["total"]
    return [
        ("in", show.signed(found["b"]["kept"] - found["a"]["kept"]), "rows kept, B less A"),
        ("rejected", show.whole(total["lost"]), "kept in A, rejected in B"),
        ("kept", show.whole(total["gained"]), "rejected in A, kept in B"),
        ("unreadable", show.whole(total["other"]), "rejected for another reason"),
    ]


def _settings(lines: Sequence[Json]) -> Iterator[tuple[str, str, str, bool]]:
    """(path, value in A, value in B, whether it may decide rows)."""
    for line in lines[:LINES]:
        yield line["path"], view.setting(line, "a"), view.setting(line, "b"), line.get("decides", True)


def _counted(lines: Sequence[Json]) -> dict[str, Any]:
    """The first LINES lines of counts, and how many more there are."""
    rows = [(str(line["name"]), view.counts(line), view.reasons(line)) for line in lines[:LINES]]
    return {"rows": rows, "more": max(0, len(lines) - LINES)}


def move(found: Json, characters: int, samples: int) -> dict[str, Any]:
    """A kind of move for the template, with some of its rows."""
    kind = "kept" if found["to"] == "kept" else "rejected"
    rows = [_row(pair["a"], pair["b"], characters) for pair in found["samples"][:samples]]
    return {"kind": kind, "from": found["from"], "to": found["to"], "count": found["rows"], "rows": rows}


def _row(one: Json, other: Json, characters: int) -> dict[str, Any]:
    """A row as both runs have it; B's texts where they are not A's, and A kept some."""
    shown = {**one, **{side: other[side] for side in ("anchor", "positive") if one[side] is None}}
    apart = [side for side in ("anchor", "positive") if other[side] is not None and other[side] != shown[side]]
    return {
        **sample(shown, characters),
        "fates": (view.fate(one), view.fate(other)),
        "ids": (show.digits(one["pair_id"]), show.digits(other["pair_id"])),
        "apart": [(f"{side.title()} in B", text(other[side], other[f"{side}_lang"], characters)) for side in apart],
    }
