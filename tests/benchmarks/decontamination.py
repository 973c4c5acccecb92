"""Decontamination on the shared data: recall of planted leaks by kind, what real corpora hold, cost, a sample to audit.

    python tests/benchmarks/decontamination.py SHARED_DATA [--audit FILE] [--seed 1] [--ngram 8] [--min-share 0.5]
    python tests/benchmarks/decontamination.py SHARED_DATA --memory 1000000

Evaluation texts are Tatoeba's sentences and XQuAD's questions and contexts. Leaks are planted as a row's side, or into
a random web page (at a sentence's end), 2,000 of each kind and set. Recall is given over all texts, and over those that
`docs/decontamination.md` says can be found. "One word changed" replaces a word, or a few characters in scripts without
spaces. In the corpora nothing is planted: what is found there is a real leak or chance. 100 hits that differ in the
evaluation text or in what is matched, drawn by the seed, go to FILE to be judged. `--memory`: what the driver takes for
an evaluation set of so many texts (verses and help paragraphs).
"""

from __future__ import annotations

import argparse
import random
import resource
import tempfile
import time
import unicodedata
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pairmill.curate.decontamination import evaluation, index, search, stages
from pairmill.curate.decontamination.tokens import LETTER, Tokens, bounds, tokens
from pairmill.spec.clean import Clean
from pairmill.spec.decontaminate import Decontaminate, EvaluationSet

SETS = [
    ("tatoeba", "eval/tatoeba/tatoeba.parquet", ["src", "eng"]),
    ("xquad", "qa/xquad.parquet", ["question", "context"]),
]
NGRAM = 8
CORPORA = {
    "web/documents": ["title", "text"],
    "bitext/bible": ["src", "tgt"],
    "bitext/libreoffice_help": ["src", "tgt"],
    "bitext/quran": ["src", "tgt"],
    "bitext/udhr": ["src", "tgt"],
    "qa/squad_pairs": ["question", "passage"],
    "qa/squad_style_multi": ["question", "passage"],
    "sts/stsb_multi": ["sentence1", "sentence2"],
    "nli/snli": ["premise", "hypothesis"],
    "nli/xnli": ["premise", "hypothesis"],
}
PLANTED, AUDITED = 2_000, 100
NOWHERE = "囍丼", ["zorb", "blixen", "kvarto"]  # words of no evaluation text = 2_000


def changed(text: str, rng: random.Random) -> str:
    """One word replaced; without spaces, two characters. Unchanged where there is only one word."""
    words, cut = text.split(), tokens(pa.array([text], pa.large_string()))
    if len(words) > 2 and cut.words.mean() > 0.5:
        place = rng.randrange(len(words))
        return " ".join([*words[:place], rng.choice(NOWHERE[1]), *words[place + 1 :]])
    places = bounds(text)
    if len(places) < 5:
        return text[::-1]
    place = rng.randrange(len(places) - 2)
    return text[: places[place][0]] + NOWHERE[0] + text[places[place + 1][1] :]


def other_form(text: str, rng: random.Random) -> str:
    form = rng.choice(["NFD", "NFKD", "NFC"])
    text = unicodedata.normalize(form, rng.choice([str.upper, str.lower, str.title])(text))
    return text.replace("'", "’").replace(",", rng.choice([" ", " –", ";"])).rstrip(".?!") + rng.choice(["", "!", "…"])


def inside(text: str, rng: random.Random, pages: list[str]) -> str:
    page = rng.choice(pages)[:3000]
    at = page.find(". ", rng.randrange(len(page))) + 1
    return f"{page[:at]} {text} {page[at:]}"


def letters(cut: Tokens) -> float:
    return float(cut.sizes.sum()) / LETTER


def reachable(text: str, planted: str, kind: str) -> bool:
    """Whether the docs promise to find `planted`, which was made of a text."""
    cut = tokens(pa.array([text], pa.large_string()))
    if kind == "one word changed":
        same = changed_size(cut, tokens(pa.array([planted], pa.large_string())))
        return same >= index.CHANGED
    if kind == "inside a page":
        return letters(cut) >= index.INSIDE or int(cut.words.sum()) >= NGRAM
    return letters(cut) >= index.EXACT and len(cut.hashes) > 1


def changed_size(text: Tokens, planted: Tokens) -> float:
    """Letters of a text that are the same around the changed word; 0 if that are fewer than three tokens."""
    before = search._same(text.hashes, planted.hashes)
    behind = search._same(text.hashes[before:][::-1], planted.hashes[before:][::-1])
    same = [*text.sizes[:before], *text.sizes[len(text.sizes) - behind :]]
    return sum(same) / LETTER if len(same) >= 3 else 0.0


def recall(built: index.Index, texts: list[str], kind: str, plant: Callable[[str], str]) -> tuple[float, float, float]:
    """Over all texts, over those in reach, and the share of these."""
    planted = [plant(text) for text in texts]
    found, _ = search.search(pa.array(planted, pa.large_string()), built, index.Limits.of(NGRAM), 0.5)
    rows = {hit.row for hit in found}
    near = [row for row, text in enumerate(texts) if reachable(text, planted[row], kind)]
    return len(rows) / len(texts), len(rows & {*near}) / max(len(near), 1), len(near) / len(texts)


def plant_all(texts: pa.Table, built: index.Index, pages: list[str], rng: random.Random) -> None:
    kinds: dict[str, Callable[[str], str]] = {
        "exact": lambda text: text,
        "other form": lambda text: other_form(text, rng),
        "one word changed": lambda text: changed(text, rng),
        "inside a page": lambda text: inside(text, rng, pages),
    }
    print(f"{'planted':36} {'all':>6} {'in reach':>9} {'(share)':>8}")
    for name, _, fields in SETS:
        for field in fields:
            chosen = texts.filter((pc.field("set") == name) & (pc.field("field") == field))
            every = sorted(set(chosen["text"].to_pylist()))
            some = rng.sample(every, min(PLANTED, len(every)))
            for kind, plant in kinds.items():
                all_, near, share = recall(built, some, kind, plant)
                print(f"{name + ' ' + field + ', ' + kind:36} {all_:6.3f} {near:9.3f} {share:8.2f}")


def scan(
    data: Path, corpus: str, built: index.Index, texts: pa.Table, limits: index.Limits, min_share: float
) -> list[tuple[str, ...]]:
    """Corpus, set, kind, evaluation text, what is matched, and what is around it, of the best hit per side and set."""
    table = pq.read_table(data / f"{corpus}.parquet", columns=CORPORA[corpus])
    sets, spent, size, found = stages.sets_of(built, texts), 0.0, 0, []
    for side in CORPORA[corpus]:
        column = table[side].combine_chunks().cast(pa.large_string()).fill_null("")
        for at in range(0, len(column), 2048):
            batch = column.slice(at, 2048)
            start = time.process_time()
            hits, _ = search.search(batch, built, limits, min_share)
            spent, size = spent + time.process_time() - start, size + batch.nbytes
            for (row, name), hit in stages._best(hits, np.arange(len(batch)), sets).items():
                text = texts["text"][int(built.first[hit.text])].as_py()
                found.append((corpus, name, hit.kind, text, *search.matched(batch[row].as_py(), hit.spans)))
    told = Counter(f"{name} {kind}" for _, name, kind, *_ in found)
    distinct = len({hit[1:5] for hit in found})
    rates = f"{size / 1e6 / spent:5.1f} MB, {len(table) / spent:8,.0f} rows per CPU-second"
    print(f"{corpus:22} {len(table):7,} rows, {rates}; {len(found)} hits, {distinct} distinct {dict(told)}", flush=True)
    return found


def memory(data: Path, count: int) -> None:
    columns = [pq.read_table(data / f"bitext/{name}.parquet")[side] for name in ("bible", "libreoffice_help")
               for side in ("tgt", "src")]  # fmt: skip
    texts = pa.chunked_array([chunk for column in columns for chunk in column.chunks]).slice(0, count)
    with tempfile.TemporaryDirectory() as folder:
        pq.write_table(pa.table({"text": texts}), f"{folder}/eval.parquet")
        del columns, texts
        before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
        sets = Decontaminate.model_validate({"against": f"{folder}/eval.parquet"}).against
        found = evaluation.texts(sets, Clean(), print)
        read = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        index._content(found)
        built = index.build(found, index.Limits.of(NGRAM), 10)
        most, size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, sum(column.nbytes for column in built)
    print(f"{len(found):,} texts, {found.nbytes / 1e6:.0f} MB; {len(built.hashes):,} tokens, index {size / 1e6:.0f} MB")
    print(f"driver: {before / 1e3:.0f} MB before, at most {read / 1e3:.0f} to read, {most / 1e3:.0f} MB to index")
    print(f"{time.process_time() - start:.0f} CPU-seconds")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--audit", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--ngram", type=int, default=NGRAM)
    parser.add_argument("--min-share", type=float, default=0.5)
    parser.add_argument("--memory", type=int)
    options = parser.parse_args()
    if options.memory:
        memory(options.data, options.memory)
        return
    rng, limits, start = random.Random(options.seed), index.Limits.of(options.ngram), time.process_time()
    sets = [
        EvaluationSet.model_validate({"name": name, "path": str(options.data / path), "fields": fields})
        for name, path, fields in SETS
    ]
    texts = evaluation.texts(sets, Clean(), print)
    built = index.build(texts, limits, 10)
    spent, size = time.process_time() - start, sum(column.nbytes for column in built) / 1e6
    print(f"{spent:.1f} CPU-seconds: {len(built.first):,} texts, {len(built.keys):,} keys, {size:.0f} MB")
    if options.ngram == NGRAM:
        pages = pq.read_table(options.data / "web" / "documents.parquet", columns=["text"])["text"].to_pylist()
        plant_all(texts, built, [page for page in rng.sample(pages, 2000) if len(page) > 500], rng)
    found = [hit for corpus in CORPORA for hit in scan(options.data, corpus, built, texts, limits, options.min_share)]
    if options.audit:
        distinct = sorted({hit[1:5]: hit for hit in found}.values())
        drawn = rng.sample(distinct, min(AUDITED, len(distinct)))
        options.audit.write_text("".join("\t".join(map(repr, hit)) + "\n" for hit in sorted(drawn)), "utf-8")


if __name__ == "__main__":
    main()
