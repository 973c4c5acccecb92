"""Statistics of a curate run for the report's tests: of given pairs, or with a payload wherever a string stands."""

from __future__ import annotations

import bisect
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from pairmill.spec.rules import RULES

Json = dict[str, Any]
LENGTH_EDGES = [0, 1, 2, 3, 5, 8, 12, 20, 30, 50, 80, 120, 200, 300, 500, 800, 1200, 2000, 3000, 5000]
RATIO_EDGES = [n / 10 for n in range(41)]
CONFIDENCE_EDGES = [n / 50 for n in range(51)]
PARTS = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


def values(numbers: Sequence[float], keeps: Sequence[bool], edges: Sequence[float], nulls: int = 0) -> Json:
    """A distribution as the summary has it."""
    last = len(edges) - 2
    every, kept = [0] * (last + 1), [0] * (last + 1)
    for number, keep in zip(numbers, keeps, strict=True):
        at = min(max(bisect.bisect_right(edges, number) - 1, 0), last)
        every[at] += 1
        kept[at] += keep
    ranked = sorted(numbers)
    quantiles = {f"{part:g}": ranked[int(part * (len(ranked) - 1))] for part in PARTS} if ranked else {}
    return {
        "values": len(numbers),
        "nulls": nulls,
        "min": ranked[0] if ranked else None,
        "max": ranked[-1] if ranked else None,
        "edges": list(edges),
        "counts": {"all": every, "kept": kept},
        "quantiles": quantiles,
    }


def sensitivity(rule: str, numbers: Sequence[float], languages: Sequence[str], bound: str, at: float) -> Json:
    """Rows within a bound that moves, counted by language pair."""
    points = []
    for threshold in sorted({round(ranked, 3) for ranked in sorted(numbers)[:: max(1, len(numbers) // 12)]} | {at}):
        fits = [value >= threshold if bound == "min" else value <= threshold for value in numbers]
        kept = Counter(f"en-{language}" for language, keep in zip(languages, fits, strict=True) if keep)
        points.append({"threshold": threshold, "kept": kept.total(), "by_pair": dict(kept)})
    return {"rule": rule, "columns": [rule], "bound": bound, "at": at, "points": points, "exact": True}


def statistics(pairs: Sequence[tuple[str, str, str]], names: Callable[[str], Json]) -> Json:
    """All statistics of (language, anchor, positive); `names` gives a rule's fields by its name."""
    languages = [language for language, _, _ in pairs]
    lengths = [(len(anchor), len(positive)) for _, anchor, positive in pairs]
    ratios = [positive / max(anchor, 1) for anchor, positive in lengths]
    weighted = [(max(pair) + 10) / (min(pair) + 10) for pair in lengths]
    letters = [sum(map(str.isalpha, anchor)) / max(len(anchor), 1) for _, anchor, _ in pairs]
    longest, least = RULES["length_ratio"].max or 3.0, RULES["letters"].min or 0.5
    keeps = [ratio <= longest and share >= least for ratio, share in zip(weighted, letters, strict=True)]
    sides = {"anchor": [a for a, _ in lengths], "positive": [p for _, p in lengths]}
    return {
        "scores": [
            {"name": "length_ratio", **names("length_ratio"), **values(weighted, keeps, RATIO_EDGES, 3)},
            {"name": "letters_anchor", **names("letters"), **values(letters, keeps, CONFIDENCE_EDGES)},
            {"name": "letters_positive", **names("letters"), **values(letters[::-1], keeps, CONFIDENCE_EDGES)},
            {"name": "numbers", **names("numbers"), **values([], [], [])},
            *({"name": f"rest_{n}", **names(f"rest_{n}"), **values(ratios, keeps, RATIO_EDGES)} for n in range(6)),
        ],
        "lengths": {
            **{side: {"unit": "characters", **values(found, keeps, LENGTH_EDGES)} for side, found in sides.items()},
            "ratio": {"unit": "positive / anchor characters", **values(ratios, keeps, RATIO_EDGES)},
        },
        "confidence": {side: values([0.3 + 0.7 * part for part in letters], keeps, CONFIDENCE_EDGES) for side in sides},
        "sensitivity": [
            sensitivity("length_ratio", weighted, languages, "max", longest),
            sensitivity("letters", letters, languages, "min", least),
        ],
        "distinct": {"anchor": 4812, "positive": 98_211, "error": 0.008},
    }


def by_pair(inputs: Json, languages: Sequence[Json]) -> list[Json]:
    """Each input's rejected rows by language pair, in the pairs' proportions; the first takes what is left over."""
    whole = sum(item["rows"] for item in languages)
    found = []
    for name, counts in inputs.items():
        left = {"kept": counts["kept"], **counts["rejected"]}
        for item in reversed(languages):
            last = item is languages[0]
            part = {key: rows if last else whole_of(counts, key) * item["rows"] // whole for key, rows in left.items()}
            left = {key: rows - part[key] for key, rows in left.items()}
            pair = {side: item[side] for side in ("anchor_lang", "positive_lang")}
            rejected = {key: rows for key, rows in part.items() if key != "kept"}
            found.append(
                {"input": name, **pair, "rows": sum(part.values()), "kept": part["kept"], "rejected": rejected}
            )
    return found


def whole_of(counts: Json, key: str) -> int:
    return counts["kept"] if key == "kept" else counts["rejected"][key]


def duplicates(text: str, inputs: Sequence[str], kept: bool = True) -> Json:
    """Groups whose largest hold `text`."""
    group = {"size": 1204, "kept_text": text, "language": "en-de"}
    members = [{"source": name, "text": f"{text}."} for name in inputs[:5]]
    return {
        "exact": {"groups": 11_204, "rows": 26_830},
        "near": {"groups": 8120, "rows": 20_598},
        "sizes": [[2, 2, 9120], [3, 4, 4311], [5, 8, 988], [9, 16, 120], [1025, 2048, 1]],
        "largest": [{**group, "members": members}, {**group, "size": 7, "kept_text": text if kept else None}],
        "within": 30_220,
        "across": 17_208,
        "pairs": [[a, b, 400 - 7 * n] for n, (a, b) in enumerate((a, b) for a in inputs for b in inputs)],
        "share": 1.0,
    }


def hostile(bad: Sequence[str]) -> Json:
    """A payload wherever a string stands."""
    spread = values([0.1, 0.5, 0.9], [True, False, True], CONFIDENCE_EDGES)
    return {
        "by_pair": [
            {"input": a, "anchor_lang": b, "positive_lang": a, "rows": 9, "kept": 2, "rejected": {b: 7}}
            for a, b in zip(bad, bad[1:] + bad[:1], strict=True)
        ],
        "scores": [
            {"name": text, "rule": text, "direction": text, "describe": text, **spread, "quantiles": {text: 1.0}}
            for text in bad
        ],
        "lengths": {side: {"unit": bad[0], **spread} for side in ("anchor", "positive", "ratio", bad[1])},
        "confidence": {"anchor": {**spread, "quantiles": dict.fromkeys(bad, 0.5)}, bad[0]: spread},
        "sensitivity": [
            {
                "rule": text,
                "columns": [text],
                "bound": "min",
                "at": 0.2,
                "points": [{"threshold": n / 5, "kept": 10 - n, "by_pair": dict.fromkeys(bad, n)} for n in range(3)],
                "exact": False,
            }
            for text in bad
        ],
        "duplicates": {
            **duplicates(bad[0], bad),
            "largest": [
                {
                    "size": 300,
                    "kept_text": text * 3,
                    "language": text,
                    "members": [{"source": text, "text": text} for text in bad],
                }
                for text in bad
            ],
        },
        "distinct": {"anchor": 5, "positive": 6, "error": 0.008},
    }
