"""What the page and the command line tell of a tokenizer run.

The summary: {run, spec, command, model: {place, type}, vocabulary, nulls, languages: {code: {share, budget, texts,
bytes, short}}, fertility and compared: {code: ratios of `model/fertility.py`}}.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pairmill.report import show

#: Ratio, heading, and how it is written.
RATIOS = (
    ("tokens_per_word", "Tokens per word", "{:.2f}"),
    ("tokens_per_character", "Tokens per character", "{:.3f}"),
    ("unknown_share", "Unknown tokens", "{:.2%}"),
    ("whole_words", "Words kept whole", "{:.1%}"),
)
LANGUAGES_NAMED = 12


def sentences(summary: Mapping[str, Any]) -> list[str]:
    """The run in words."""
    languages, model = summary.get("languages") or {}, summary.get("model") or {}
    if not summary.get("vocabulary"):
        return ["No tokenizer was made."]
    size = show.size(sum(row["bytes"] for row in languages.values()))
    told = [
        f"{show.fact(model.get('type'))} with {show.plural(summary['vocabulary'], 'token')}, "
        f"made of {size} of text in {show.plural(len(languages), 'language')}."
    ]
    short = [name for name, row in sorted(languages.items()) if row["short"]]
    if short:
        told.append(f"Less text than their share had: {', '.join(short)}.")
    if summary.get("nulls"):
        told.append(f"{show.plural(summary['nulls'], 'null text')} left out.")
    return told


def fertility_rows(summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    """By language: the texts it was measured on, and (this tokenizer, the compared one) for each of RATIOS."""
    found, other = summary.get("fertility") or {}, summary.get("compared") or {}
    return [
        {
            "name": name,
            "texts": row["texts"],
            "figures": [
                (form.format(row[key]), form.format(other[name][key]) if name in other else "–")
                for key, _, form in RATIOS
            ],
        }
        for name, row in sorted(found.items())
    ]


def lines(summary: Mapping[str, Any]) -> list[str]:
    """What the command line prints: a line per language, the compared tokenizer's figures in brackets."""
    model, rows = summary.get("model") or {}, fertility_rows(summary)
    shown = rows[:LANGUAGES_NAMED]
    told = []
    for row in shown:
        new, old = zip(*row["figures"], strict=True)
        figures = [f"{a} ({b})" if summary.get("compared") else a for a, b in zip(new, old, strict=True)]
        what = ("tokens/word", "tokens/character", "unknown", "words whole")
        named = ", ".join(f"{figure} {name}" for figure, name in zip(figures, what, strict=True))
        told.append(f"{show.one_line(row['name'], 20):<8}{named}")
    told += [f"and {show.plural(len(rows) - len(shown), 'more language')}"] if len(rows) > len(shown) else []
    return [
        *(f"  {'' if number else 'made':<12}{sentence}" for number, sentence in enumerate(sentences(summary))),
        *(f"  {'' if number else 'fertility':<12}{line}" for number, line in enumerate(told)),
        *([f"  {'model':<12}{show.one_line(str(model['place']), 4096)}"] if model.get("place") else []),
    ]
