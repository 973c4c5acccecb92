"""Decontamination on the shared data: recall of planted leaks by kind, hits on web pages, cost; and a sample to audit.

    python tests/benchmarks/decontamination.py SHARED_DATA [--audit FILE] [--seed 1]

Evaluation texts are Tatoeba's sentences and XQuAD's questions and contexts. Leaks are planted as a row's side, or into
a random web page (at a sentence's end), 2,000 of each kind and set. Recall is given over all texts, and over those that
`docs/decontamination.md` says can be found. "One word changed" replaces a word, or a few characters in scripts without
spaces. On the web pages nothing is planted: what is found there is chance, and goes to FILE with its surroundings.
"""

from __future__ import annotations

import argparse
import random
import time
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pairmill.curate.decontamination import evaluation, index, search
from pairmill.curate.decontamination.tokens import LETTER, Tokens, bounds, tokens
from pairmill.spec.clean import Clean
from pairmill.spec.decontaminate import EvaluationSet

SETS = [
    ("tatoeba", "eval/tatoeba/tatoeba.parquet", ["src", "eng"]),
    ("xquad", "qa/xquad.parquet", ["question", "context"]),
]
LIMITS = index.Limits.of(8)
PLANTED = 2_000


def changed(text: str, rng: random.Random) -> str:
    """One word replaced; without spaces, two characters. Unchanged where there is only one word."""
    words, cut = text.split(), tokens(pa.array([text], pa.large_string()))
    if len(words) > 2 and cut.words.mean() > 0.5:
        place = rng.randrange(len(words))
        return " ".join([*words[:place], rng.choice(["zorb", "blixen", "kvarto"]), *words[place + 1 :]])
    places = bounds(text)
    if len(places) < 5:
        return text[::-1]
    place = rng.randrange(len(places) - 2)
    return text[: places[place][0]] + "囍丼" + text[places[place + 1][1] :]


def other_form(text: str, rng: random.Random) -> str:
    form = rng.choice(["NFD", "NFKD", "NFC"])
    text = unicodedata.normalize(form, rng.choice([str.upper, str.lower, str.title])(text))
    return text.replace("'", "’").replace(",", rng.choice([" ", " –", ";"])).rstrip(".?!") + rng.choice(["", "!", "…"])


def inside(text: str, rng: random.Random, pages: list[str]) -> str:
    page = rng.choice(pages)[:3000]
    at = page.find(". ", rng.randrange(len(page))) + 1
    return f"{page[:at]} {text} {page[at:]}"


def size(cut: Tokens) -> tuple[float, int]:
    return float(cut.sizes.sum()) / LETTER, len(cut.hashes)


def reachable(text: str, kind: str) -> bool:
    letters, count = size(tokens(pa.array([text], pa.large_string())))
    if kind == "one word changed":
        return count >= 5 and letters >= 24
    return letters >= 24 if kind == "inside a page" else letters >= 8 and count > 1


def recall(built: index.Index, texts: list[str], kind: str, plant: Callable[[str], str]) -> tuple[float, float, float]:
    """Over all texts, over those in reach, and the share of these."""
    found, _ = search.search(pa.array([plant(text) for text in texts], pa.large_string()), built, LIMITS, 0.5)
    rows = {hit.row for hit in found}
    near = [row for row, text in enumerate(texts) if reachable(text, kind)]
    return len(rows) / len(texts), len(rows & {*near}) / max(len(near), 1), len(near) / len(texts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--audit", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    sets = [
        EvaluationSet.model_validate({"name": name, "path": str(options.data / path), "fields": fields})
        for name, path, fields in SETS
    ]
    start = time.process_time()
    texts = evaluation.texts(sets, Clean(), print)
    read = time.process_time()
    built = index.build(texts, LIMITS, 10)
    print(
        f"read in {read - start:.1f} s, indexed in {time.process_time() - read:.1f} s CPU: {len(built.first):,} texts"
    )
    print(f"{len(built.keys):,} keys, {sum(column.nbytes for column in built) / 1e6:.0f} MB\n")

    web = pq.read_table(options.data / "web" / "documents.parquet", columns=["title", "text"])
    pages = [page for page in rng.sample(web["text"].to_pylist(), 2000) if len(page) > 500]
    kinds: dict[str, Callable[[str], str]] = {
        "exact": lambda text: text,
        "other form": lambda text: other_form(text, rng),
        "one word changed": lambda text: changed(text, rng),
        "inside a page": lambda text: inside(text, rng, pages),
    }
    print(f"{'planted':30} {'all':>6} {'in reach':>9} {'(share)':>8}")
    for name, _, fields in SETS:
        for field in fields:
            chosen = texts.filter((pa.compute.field("set") == name) & (pa.compute.field("field") == field))
            some = rng.sample(
                sorted(set(chosen["text"].to_pylist())), min(PLANTED, len(set(chosen["text"].to_pylist())))
            )
            for kind, plant in kinds.items():
                every, near, share = recall(built, some, kind, plant)
                print(f"{name + ' ' + field + ', ' + kind:36} {every:6.3f} {near:6.3f} {share:6.2f}")

    spent, size_bytes, lines = 0.0, 0, []
    for side in ("title", "text"):
        column = web[side].combine_chunks().cast(pa.large_string()).fill_null("")
        for at in range(0, len(column), 2048):
            batch = column.slice(at, 2048)
            start = time.process_time()
            found, _ = search.search(batch, built, LIMITS, 0.5)
            spent, size_bytes = spent + time.process_time() - start, size_bytes + batch.nbytes
            for hit in found:
                text = texts["text"][int(built.first[hit.text])].as_py()
                around = search.matched(batch[hit.row].as_py(), hit.spans)[1]
                lines.append(f"{side} {at + hit.row}\t{hit.kind}\t{hit.share:.2f}\t{text[:300]!r}\t{around!r}")
    print(f"\nweb: {len(web):,} pages, {size_bytes / 1e6 / spent:.0f} MB per CPU-second, {len(lines)} hits")
    if options.audit:
        options.audit.write_text("\n".join(rng.sample(lines, min(100, len(lines)))) + "\n", "utf-8")


if __name__ == "__main__":
    main()
