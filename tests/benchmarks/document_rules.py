"""Rates of the document rules, in CPU-seconds of one core, and datatrove's on the same pages in the same run.

    python tests/benchmarks/document_rules.py SHARED_DATA [--pages 12000] [--datatrove PYTHON]

PYTHON is an interpreter with datatrove. Its filters split words with a tokeniser per language; here they get
`str.split` (and sentences at `[.!?]`), which is faster and the nearest to our words, so that decisions can be compared:
on English pages, with the papers' bounds.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pairmill.curate.heuristics import Side
from pairmill.curate.heuristics.documents import MODULES
from pairmill.spec.document_rules import TABLE

STEPS = ("_tokens", "_lines", "_words", "grams", "duplicate_lines", "duplicate_paragraphs", "words", "punctuates")
BATCH = 400
QUALITY = ("words", "word_length", "symbols", "alphabetic", "bullets", "ellipses")
FILTERS = {
    "quality": tuple(f"gopher_{name}" for name in QUALITY),
    "repetition": tuple(rule.name for rule in TABLE if rule.name.startswith(("gopher_dup", "gopher_top"))),
}
PEER = """
import json, re, sys, time
import pyarrow.parquet as pq
from datatrove.data import Document
from datatrove.pipeline.filters import (C4QualityFilter, FineWebQualityFilter, GopherQualityFilter,
    GopherRepetitionFilter, c4_filters, fineweb_quality_filter, gopher_quality_filter, gopher_repetition_filter)
for module in (c4_filters, fineweb_quality_filter, gopher_quality_filter, gopher_repetition_filter):
    module.split_into_words = lambda text, language: text.split()
    module.split_into_sentences = lambda text, language: re.split(r"(?<=[.!?])\\s+", text)
filters = {"quality": GopherQualityFilter(min_stop_words=None), "repetition": GopherRepetitionFilter(),
    "fineweb": FineWebQualityFilter(), "c4": C4QualityFilter()}
texts = pq.read_table(sys.argv[1])["text"].to_pylist()
out = {}
for name, each in filters.items():
    documents = [Document(text, str(i)) for i, text in enumerate(texts)]
    start = time.process_time()
    passed = [each.filter(document) is True for document in documents]
    out[name] = (time.process_time() - start, passed)
print(json.dumps(out))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--pages", type=int, default=12_000)
    parser.add_argument("--datatrove", help="an interpreter with datatrove")
    options = parser.parse_args()
    table = pq.read_table(options.data / "web/documents.parquet", columns=["text", "lang_declared"])
    table = table.slice(0, options.pages)
    measure(table.slice(0, BATCH))
    seconds, _ = measure(table)
    report(seconds, table["text"].nbytes)
    if options.datatrove:
        english = table.filter(pc.match_substring_regex(table["lang_declared"], "^en"))
        compare(options.datatrove, english, *measure(english))


def measure(table: pa.Table) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """CPU-seconds by step, and all scores."""
    texts, langs = table["text"].cast(pa.large_string()).combine_chunks(), table["lang_declared"].combine_chunks()
    seconds: dict[str, float] = defaultdict(float)
    scores: dict[str, list[np.ndarray]] = defaultdict(list)
    for start in range(0, len(table), BATCH):
        side = Side(texts.slice(start, BATCH), langs.slice(start, BATCH))
        clock = time.process_time()
        side.offsets  # noqa: B018 (decodes)
        seconds["decode"] += time.process_time() - clock
        for step in STEPS:
            clock = time.process_time()
            getattr(side.document, step)
            seconds[step.strip("_")] += time.process_time() - clock
        clock = time.process_time()
        for name, module in MODULES.items():
            scores[name].append(module.score(side))
        seconds["scores"] += time.process_time() - clock
    return seconds, {name: np.concatenate(parts) for name, parts in scores.items()}


def report(seconds: dict[str, float], size: int) -> None:
    for step, spent in sorted(seconds.items(), key=lambda item: -item[1]):
        print(f"{step:22s}{size / spent / 1e6:9.0f} MB/s")
    rules = sum(seconds.values()) - seconds["decode"]
    print(f"{'all document rules':22s}{size / rules / 1e6:9.1f} MB/s of {size / 1e6:.0f} MB (decoding is shared)")


def compare(python: str, table: pa.Table, seconds: dict[str, float], scores: dict[str, np.ndarray]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        pq.write_table(table, Path(folder) / "pages.parquet")
        command = [python, "-c", PEER, str(Path(folder) / "pages.parquet")]
        peer = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1])
    ours, theirs = sum(seconds.values()), sum(spent for spent, _ in peer.values())
    size = table["text"].nbytes / 1e6
    print(f"English pages, {size:.0f} MB: {size / ours:.1f} MB/s with decoding; datatrove's four filters "
          f"{size / theirs:.2f} MB/s: {theirs / ours:.0f} times")  # fmt: skip
    bounds = {rule.name: (rule.min, rule.max) for rule in TABLE}
    for name, rules in FILTERS.items():
        passed = np.ones(len(table), bool)
        for rule in rules:
            low, high = bounds[rule]
            passed &= ~(scores[rule] < (-np.inf if low is None else low))
            passed &= ~(scores[rule] > (np.inf if high is None else high))
        same = passed == np.array(peer[name][1])
        print(f"{name}: we pass {passed.mean():.3f}, datatrove {np.mean(peer[name][1]):.3f}, same {same.mean():.3f}")


if __name__ == "__main__":
    main()
