"""Accuracy, rate and calibration of the language engines on real text of known language.

    python tests/benchmarks/language_table.py DATA [--fit]

DATA: see language_corpus.py. Prints the tables of docs/languages.md in Markdown. With `--fit`, prints the tables of
`calibration.py` instead, fitted on the half of the texts that the calibration error is not measured on.
"""

from __future__ import annotations

import argparse
import hashlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from language_corpus import COMMON, Texts, common, load, noise, right

from pairmill.curate import language
from pairmill.curate.language import cascade, eldc, engine, fasttext, langdetect, py3langid
from pairmill.curate.language.calibration import SIZES
from pairmill.curate.language.codes import known, same_language
from pairmill.spec.curate import LanguageIdentification

NAMES = ("eldc", "fasttext", "py3langid", "langdetect", "cascade")
SLOW = {"langdetect": 12}  # texts a language
CONFUSED = {
    "Norwegian": "nb nn da sv is", "Swahili": "sw", "Indonesian, Malay": "id ms zlm",
    "South Slavic": "hr bs sr sl mk bg",

    "Chinese": "zh zh-Hant yue wuu ja", "Iberian": "es pt gl ca", "Dutch, Afrikaans": "nl af",
}  # fmt: skip
KNOTS = {
    "fasttext": (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.97, 1.0),
    "py3langid": (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.97, 1.0),
    "langdetect": (0.0, 0.4, 0.6, 0.8, 0.95, 0.999, 0.99999, 1.0),
    "eldc": (0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.6, 1.0),
    "cascade": (0.0, 0.2, 0.4, 0.6, 0.8, 0.97),
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("--per-language", type=int, default=100)
    parser.add_argument("--fit", action="store_true")
    options = parser.parse_args()
    if options.fit:
        sets = load(options.data, 500)
        fit({name: texts for name, texts in sets.items() if name != "pages"})
    else:
        sets = load(options.data, options.per_language)
        print_accuracy(sets)
        print_rates(sets)
        print_calibration(sets)
        print_confusion(sets)


def few(texts: Texts, per_language: int) -> Texts:
    """The first texts of each language."""
    seen: dict[str, int] = {}
    keep = []
    for row, lang in enumerate(texts.langs):
        seen[lang] = seen.get(lang, 0) + 1
        if seen[lang] <= per_language:
            keep.append(row)
    return texts.take(np.array(keep))


def mean_by_language(langs: np.ndarray, ok: np.ndarray) -> float:
    return float(np.mean([ok[langs == lang].mean() for lang in sorted(set(langs))])) if len(langs) else float("nan")


def print_accuracy(sets: dict[str, Texts]) -> None:
    """Per cent right, mean over languages: the common languages, and the others that some engine knows."""
    labels = frozenset().union(*(language.load(name).labels for name in NAMES))
    print("| engine |", " | ".join(f"{name}: common | others" for name in sets), "| noise refused |")
    print("|---" * (2 * len(sets) + 2) + "|")
    for name in NAMES:
        cells = []
        for texts in sets.values():
            part = few(texts, SLOW.get(name, 10**9))
            ok = right(part.langs, language.load(name).identify(part.texts)[0])
            groups = {lang: common(lang) for lang in set(part.langs)}
            of = np.array([groups[lang] or "" for lang in part.langs], object)
            others = np.array([groups[lang] is None and known(lang, labels) for lang in part.langs])
            cells += [
                100 * mean_by_language(of[of != ""], ok[of != ""]),
                100 * mean_by_language(part.langs[others], ok[others]),
            ]
        print(
            f"| {name} |",
            " | ".join("–" if np.isnan(cell) else f"{cell:.1f}" for cell in cells),
            f"| {_refused(sets, name)} |",
        )
    print(f"\nCommon: {' '.join(COMMON)}.\n")


def _refused(sets: dict[str, Texts], name: str) -> str:
    kinds = noise(sets["tatoeba"].texts.to_pylist(), 20 if name in SLOW else 150)
    shares = []
    for lines in kinds.values():
        found, confidence = language.load(name).identify(pa.array(lines, pa.large_string()))
        shares.append(100 * np.mean(found.is_null().to_numpy(zero_copy_only=False) | (confidence < 0.5)))
    return f"{np.mean(shares):.0f}"


def print_rates(sets: dict[str, Texts]) -> None:
    """Texts per CPU-second through `language.judge`, in batches of 2,048."""
    print("| engine | short texts/s | pages/s |")
    print("|---|--:|--:|")
    for name in NAMES:
        rates = [_rate(few(sets[kind], SLOW.get(name, 10**9)), name) for kind in ("tatoeba", "pages")]
        print(f"| {name} | {rates[0]:,.0f} | {rates[1]:,.0f} |")
    print()


def _rate(texts: Texts, name: str) -> float:
    options = LanguageIdentification(engine=name)
    declared = pa.array(list(texts.langs), pa.string())
    best = np.inf
    for _ in range(1 if name in SLOW else 3):
        start = time.process_time()
        for first in range(0, len(texts), 2048):
            language.judge(texts.texts[first : first + 2048], declared[first : first + 2048], "require", options)
        best = min(best, time.process_time() - start)
    return len(texts) / best


def halves(texts: Texts) -> np.ndarray:
    """A fixed half of the texts, whatever their order: bool (n,)."""
    return (
        np.array([hashlib.blake2b(text.encode(), digest_size=1).digest()[0] & 1 for text in texts.texts.to_pylist()])
        == 0
    )


def known_to_some(sets: dict[str, Texts]) -> Texts:
    """The texts of all sets but the pages, in languages that at least one engine knows."""
    labels = frozenset().union(*(language.load(name).labels for name in NAMES))
    parts = [part for name, part in sets.items() if name != "pages"]
    together = Texts("all", pa.concat_arrays([p.texts for p in parts]), np.concatenate([p.langs for p in parts]))
    return together.take(np.array([known(lang, labels) for lang in together.langs]))


def print_calibration(sets: dict[str, Texts]) -> None:
    """On the half that the tables were not fitted on."""
    test = known_to_some(sets)
    test = test.take(~halves(test))
    print("| engine | calibration error | of short texts | confidence >= 0.5 | right of these | right of the others |")
    print("|---|--:|--:|--:|--:|--:|")
    short = np.array([len(text) < 30 for text in test.texts.to_pylist()])
    for name in NAMES:
        rows = np.flatnonzero(np.arange(len(test)) % 12 == 0) if name in SLOW else np.arange(len(test))
        part = test.take(rows)
        found, confidence = language.load(name).identify(part.texts)
        ok = right(part.langs, found)
        sure = confidence >= 0.5
        cells = [error(confidence, ok), error(confidence[short[rows]], ok[short[rows]])]
        shares = [100 * sure.mean(), 100 * ok[sure].mean(), 100 * ok[~sure].mean()]
        print(
            f"| {name} |", " | ".join(f"{cell:.3f}" for cell in cells), "|", " | ".join(f"{s:.1f}" for s in shares), "|"
        )
    print()


def error(confidence: np.ndarray, ok: np.ndarray) -> float:
    """Expected calibration error in ten bins of equal width."""
    bins = np.minimum((confidence * 10).astype(int), 9)
    return float(sum(abs(ok[bins == b].sum() - confidence[bins == b].sum()) for b in range(10)) / len(ok))


def print_confusion(sets: dict[str, Texts]) -> None:
    """What becomes of languages that are easily confused, macro-language members told apart."""
    parts = [part for name, part in sets.items() if name != "pages"]
    for title, codes in CONFUSED.items():
        print(f"**{title}** (per cent of the texts, answers above 1 %)\n")
        print("| language | texts |", " | ".join(name for name in NAMES if name not in SLOW), "|")
        print("|---|--:|" + "---|" * (len(NAMES) - len(SLOW)))
        for code in codes.split():
            texts = [part.take(part.langs == code) for part in parts]
            column = pa.concat_arrays([part.texts for part in texts])
            if len(column):
                cells = [_answers(name, column) for name in NAMES if name not in SLOW]
                print(f"| {code} | {len(column)} |", " | ".join(cells), "|")
        print()


def _answers(name: str, column: pa.Array) -> str:
    found, _ = language.load(name).identify(column)
    values, counts = np.unique(np.array([lang or "?" for lang in found.to_pylist()]), return_counts=True)
    order = np.argsort(-counts, kind="stable")
    shares = [(values[i], 100 * counts[i] / len(column)) for i in order]
    return ", ".join(f"{lang} {share:.0f}" for lang, share in shares if share >= 1)


def fit(sets: dict[str, Texts]) -> None:
    texts = known_to_some(sets)
    texts = texts.take(halves(texts))
    asked = engine.ask(texts.texts)
    texts = texts.take(asked.rows)
    by_engine: dict[str, Callable[[engine.Asked], Any]] = {
        "fasttext": fasttext.load().score, "py3langid": py3langid.load().score
    }  # fmt: skip
    for name, score in by_engine.items():
        found, raw = score(asked)
        print_table(name.upper(), KNOTS[name], asked.sizes, raw, _right(texts, language.load(name).names, found))  # type: ignore[attr-defined]
    found, reliable, best, second = eldc.load().score(asked)
    ok = _right(texts, eldc.load().names, found)
    for title, chosen in (("ELDC_RELIABLE", reliable), ("ELDC_UNRELIABLE", ~reliable)):
        print_table(title, KNOTS["eldc"], asked.sizes[chosen], (best - second)[chosen], ok[chosen])
    found, path, raw = cascade.load().score(asked)
    ok = _right(texts, cascade.load()._tables.names, found)
    for number in range(5):
        chosen = path == number
        knots = (0.0,) if number == cascade.SURE else KNOTS["cascade"]
        print_table(f"CASCADE {number}", knots, asked.sizes[chosen], raw[chosen], ok[chosen])
    rows = np.flatnonzero(np.arange(len(texts)) % 8 == 0)
    found, raw = langdetect.load().score(asked.take(rows))
    ok = _right(texts.take(rows), langdetect.load().names, found)
    print_table("LANGDETECT", KNOTS["langdetect"], asked.sizes[rows], raw, ok)


def _right(texts: Texts, names: list[str], found: np.ndarray) -> np.ndarray:
    return np.array([n >= 0 and same_language(lang, names[n]) for lang, n in zip(texts.langs, found, strict=True)])


def print_table(title: str, knots: tuple[float, ...], sizes: np.ndarray, raw: np.ndarray, ok: np.ndarray) -> None:
    """A row per class of length: the share that is right near each knot, made monotone."""
    which = np.searchsorted(SIZES, sizes, "right")
    near = np.searchsorted((np.array(knots[1:]) + knots[:-1]) / 2, raw, "right")
    print(f"{title} = Table(\n    {knots},\n    (")
    overall = np.array([(ok[near == k].sum() + 1) / ((near == k).sum() + 2) for k in range(len(knots))])
    for row in range(len(SIZES) + 1):
        chosen = which == row
        count = np.bincount(near[chosen], minlength=len(knots)) + 4.0  # four texts' worth of all lengths' share
        share = (np.bincount(near[chosen], ok[chosen], minlength=len(knots)) + 4 * overall) / count
        print(
            "        ("
            + ", ".join(f"{value:.3f}" for value in monotone(share, count))
            + ("," if len(knots) == 1 else "")
            + "),"
        )
    print("    ),\n)")


def monotone(values: np.ndarray, weights: np.ndarray) -> list[float]:
    """Isotonic regression by pooling neighbours that fall."""
    blocks: list[list[float]] = []
    for value, weight in zip(values.tolist(), weights.tolist(), strict=True):
        blocks.append([value, weight, 1])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            last, before = blocks.pop(), blocks.pop()
            total = before[1] + last[1]
            blocks.append([(before[0] * before[1] + last[0] * last[1]) / total, total, before[2] + last[2]])
    return [value for value, _, size in blocks for _ in range(int(size))]


if __name__ == "__main__":
    main()
