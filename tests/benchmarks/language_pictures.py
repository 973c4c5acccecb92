"""Tables and picture of `language_curves.py`'s result: accuracy by number of pairs, one panel a language."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

BEGIN, END = "<!-- language_curves.py: begin -->", "<!-- language_curves.py: end -->"
COLOURS = {
    "procrustes": "#b45309",
    "ridge": "#b91c1c",
    "ridge to identity": "#db2777",
    "mlp": "#7c3aed",
    "fine-tuned": "#0f766e",
}
LEVELS = {"untouched": "#6b7280", "multilingual-e5-small": "#1d4ed8"}
NAMES = {"de": "German", "fi": "Finnish", "ru": "Russian", "tr": "Turkish"}
WIDE, HIGH, LEFT, TOP, GAP = 250, 240, 44, 34, 26
Json = dict[str, Any]


def draw(result: Json, document: Path, picture: Path) -> None:
    """Renew the tables between the marks of a document, and the picture."""
    before, rest = document.read_text("utf-8").split(BEGIN)
    _, after = rest.split(END)
    document.write_text(f"{before}{BEGIN}\n{tables(result)}\n{END}{after}", "utf-8")
    picture.write_text(svg(result["points"]), "utf-8")


def means(points: list[Json]) -> dict[tuple[str, str, int], Json]:
    """By language, method and pairs: accuracy and bounds, means over the seeds."""
    found: dict[tuple[str, str, int], list[Json]] = {}
    for point in points:
        found.setdefault((point["language"], point["method"], point["pairs"]), []).append(point)

    def mean(values: list[float]) -> float:
        return sum(values) / len(values)

    return {
        key: {
            "accuracy": mean([one["accuracy"] for one in group]),
            "interval": [mean([one["interval"][end] for one in group]) for end in (0, 1)],
            **{name: mean([one[name] for one in group]) for name in ("unseen", "sts en")},
        }
        for key, group in found.items()
    }


def tables(result: Json) -> str:
    """Markdown: Tatoeba accuracies, differences to ridge on the same sentences, accuracies on unseen bitext."""
    found, languages = means(result["points"]), list(dict.fromkeys(one["language"] for one in result["points"]))
    lines = [
        "| | pairs | Procrustes | ridge | ridge to identity | MLP | fine-tuned | English STS-B, fine-tuned |",
        "|---|--:|---|---|---|---|---|--:|",
    ]
    for language in languages:
        for level in LEVELS:
            if one := found.get((language, level, 0)):
                lines.append(f"| {language}, {level} | | {_cell(one)} | | | | | {one['sts en']:.1f} |")
        for pairs in sorted({key[2] for key in found if key[0] == language and key[2]}):
            cells = [found.get((language, method, pairs)) for method in COLOURS]
            tuned = f"{cells[-1]['sts en']:.1f}" if cells[-1] else ""
            lines.append(f"| {language} | {pairs:,} | {' | '.join(map(_cell, cells))} | {tuned} |")
    lines += ["", "Differences on the same sentences of Tatoeba:", ""]
    lines += ["| | pairs | Procrustes − ridge | to identity − ridge | MLP − ridge | fine-tuned − ridge |"]
    lines += ["|---|--:|---|---|---|---|"]
    by: dict[tuple[str, int, int], dict[str, Json]] = {}
    for one in result.get("differences", []):
        by.setdefault((one["language"], one["pairs"], one["seed"]), {})[one["method"]] = one
    for (language, pairs, _), group in sorted(by.items()):
        cells = [_change(group.get(method)) for method in COLOURS if method != "ridge"]
        lines.append(f"| {language} | {pairs:,} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", "On unseen pairs of the texts learnt from:", "", *_unseen(found)])


def _unseen(found: dict[tuple[str, str, int], Json]) -> list[str]:
    lines = ["| | pairs | untouched | Procrustes | ridge | ridge to identity | MLP | fine-tuned |"]
    lines.append("|---|--:|--:|--:|--:|--:|--:|--:|")
    for language, pairs in sorted({(key[0], key[2]) for key in found if key[2]}):
        cells = [found.get((language, "untouched", 0)), *(found.get((language, name, pairs)) for name in COLOURS)]
        told = " | ".join("" if one is None else f"{one['unseen']:.1f}" for one in cells)
        lines.append(f"| {language} | {pairs:,} | {told} |")
    return lines


def _cell(one: Json | None) -> str:
    return "" if one is None else f"{one['accuracy']:.1f} ({one['interval'][0]:.1f}–{one['interval'][1]:.1f})"


def _change(one: Json | None) -> str:
    if one is None:
        return ""
    low, high = one["interval"]
    return f"{one['difference']:+.1f} ({low:+.1f} to {high:+.1f})".replace("-", "−")


def svg(points: list[Json]) -> str:
    found = means(points)
    languages = list(dict.fromkeys(key[0] for key in found))
    width, height = LEFT + len(languages) * (WIDE + GAP), TOP + HIGH + 62
    sizes = [key[2] for key in found if key[2]]
    low, high = math.log(min(sizes)) - 0.25, math.log(max(sizes)) + 0.25
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"',
        ' font-family="sans-serif" font-size="11">',
        "<title>Tatoeba accuracy by number of pairs: maps of the old model's vectors, and fine-tuning</title>",
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
    ]
    for number, language in enumerate(languages):
        own = {key[1:]: one for key, one in found.items() if key[0] == language}
        parts += _panel(LEFT + number * (WIDE + GAP), language, own, low, high)
    x = LEFT
    for method, colour in {**COLOURS, **LEVELS}.items():
        parts.append(f'<path d="M{x} {height - 12}h18" stroke="{colour}" stroke-width="2"{_dashed(method)}/>')
        parts.append(f'<text x="{x + 23}" y="{height - 8}" fill="#111">{method}</text>')
        x += 48 + 6 * len(method)
    return "\n".join([*parts, "</svg>", ""])


def _panel(left: float, language: str, found: dict[tuple[str, int], Json], low: float, high: float) -> list[str]:
    """The axes, levels and lines of a language. Accuracy is drawn by its square root: small ones are told apart."""

    def at(pairs: float, accuracy: float) -> tuple[float, float]:
        x = left + WIDE * (math.log(pairs) - low) / (high - low)
        return round(x, 1), round(TOP + HIGH * (1 - math.sqrt(accuracy / 100)), 1)

    parts = [f'<text x="{left}" y="{TOP - 14}" font-size="13" fill="#111">{NAMES.get(language, language)}</text>']
    for tick in (0, 1, 5, 10, 20, 40, 60, 80, 100):
        y = at(1, tick)[1]
        parts.append(f'<path d="M{left} {y}h{WIDE}" stroke="#e5e7eb"/>')
        parts.append(f'<text x="{left - 6}" y="{y + 4}" text-anchor="end" fill="#444">{tick}</text>')
    for pairs in sorted({pairs for _, pairs in found if pairs}):
        x = at(pairs, 0)[0]
        parts.append(f'<text x="{x}" y="{TOP + HIGH + 16}" text-anchor="middle" fill="#444">{pairs:,}</text>')
    for level, colour in LEVELS.items():
        if one := found.get((level, 0)):
            y = at(1, one["accuracy"])[1]
            parts.append(f'<path d="M{left} {y}h{WIDE}" stroke="{colour}" stroke-width="1.5"{_dashed(level)}/>')
    for method, colour in COLOURS.items():
        line = sorted((pairs, one) for (name, pairs), one in found.items() if name == method)
        places = [at(pairs, one["accuracy"]) for pairs, one in line]
        parts.append(
            f'<path d="M{"L".join(f"{x} {y}" for x, y in places)}" fill="none" stroke="{colour}" stroke-width="2"/>'
        )
        for (x, y), (pairs, one) in zip(places, line, strict=True):
            ends = [at(pairs, bound)[1] for bound in one["interval"]]
            parts.append(f'<path d="M{x} {ends[0]}V{ends[1]}" stroke="{colour}"/>')
            parts.append(f'<circle cx="{x}" cy="{y}" r="2.6" fill="{colour}"/>')
    return parts


def _dashed(method: str) -> str:
    return ' stroke-dasharray="5 4"' if method in LEVELS else ""
