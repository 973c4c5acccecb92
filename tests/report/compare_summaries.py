"""Comparisons of two curate runs for the page's tests: one of Django's catalogues, and a hostile one."""

from __future__ import annotations

from typing import Any

from report_summaries import HOSTILE, catalogue_pairs

Json = dict[str, Any]
LOCALES = ("ar", "de", "fa", "he", "ja")


def comparison(sides: list[Json], moves: list[Json], pairs: list[str], texts: list[str]) -> Json:
    """The shape of `curate.compare.compare`; `texts` are the names that are not our own."""
    total = {"rows": [2400, 2500], "kept": [1800, 1750], "lost": 90, "gained": 30, "other": 12}
    reasons = {text: [200 - number, 210 + 20 * number] for number, text in enumerate(texts)}
    line = {**total, "reasons": reasons}
    return {
        "kind": "curate",
        "a": sides[0],
        "b": sides[1],
        "spec": [
            {"path": "filters.rules.length_ratio.max", "a": 3, "b": 2, "decides": True},
            {"path": "resources.cpus", "b": 2, "decides": False},
            *({"path": text, "a": {text: [text]}, "b": text, "decides": True} for text in texts),
        ],
        "rules": [{"path": "length_ratio.max", "a": 3, "b": 2}],
        "inputs": [],
        "versions": [],
        "total": {"name": "all", **line},
        "sources": [{"name": text, **line} for text in texts],
        "pairs": [{"name": pair, "anchor_lang": "en", "positive_lang": pair, **line} for pair in pairs],
        "rows": {
            "by": "origin",
            "joined": 2400,
            "same": 2268,
            "moved": 132,
            "alone": [{}, {"kept": 1}],
            "uneven": [1, 2],
        },
        "moves": moves,
    }


def _row(number: int, anchor: str, positive: str, language: str, file: str, reason: str | None) -> Json:
    texts = {"anchor": anchor, "positive": positive, "anchor_lang": "en", "positive_lang": language}
    decided = {"reason": reason, "failed": [reason, "numbers"], "value": 2.4, "threshold": 2.0, "duplicate_of": None}
    origin = {"pair_id": (3 << 32) + number, "source": "django", "origin_file": file, "origin_row": number}
    return {**texts, **origin, **(decided if reason else {})}


def _side(name: str, kept: int) -> Json:
    return {"id": name, "storage": "/data/runs", "started": "2026-01-01T00:00:00+00:00", "rows_in": 2400, "kept": kept}


def usual() -> Json:
    """Real messages in scripts of both directions; the last sample's texts differ between the runs."""
    samples = []
    for locale in LOCALES:
        for number, (anchor, positive, file) in zip(range(3), catalogue_pairs(locale), strict=False):
            one = _row(number, anchor, positive, locale, file, None)
            samples.append({"a": one, "b": _row(number, anchor, positive, locale, file, "length_ratio")})
    samples[-1]["b"]["positive"] += " …"
    moves = [
        {"from": "kept", "to": "length_ratio", "rows": 90, "samples": samples},
        {"from": "near_duplicate", "to": "kept", "rows": 30, "samples": []},
    ]
    sides = [_side("django-0123456789ab", 1800), _side("django-ba9876543210", 1750)]
    return comparison(sides, moves, [f"en-{locale}" for locale in LOCALES], ["django", "near_duplicate"])


def hostile() -> Json:
    """Everything that comes from outside is a payload."""
    samples = [
        {
            "a": _row(number, text, text, text, text, text)
            | {"source": text, "duplicate_of": 1, "duplicate_run": text},
            "b": _row(number, text, None if number % 2 else "other", text, text, None),  # type: ignore[arg-type]
        }
        for number, text in enumerate(HOSTILE)
    ]
    moves = [{"from": text, "to": "kept", "rows": 5, "samples": samples} for text in HOSTILE]
    return comparison([_side(HOSTILE[0], 1), _side(HOSTILE[10], 2)], moves, list(HOSTILE), list(HOSTILE))
