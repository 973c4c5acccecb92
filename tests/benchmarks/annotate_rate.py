"""The rate of annotate, whole and by step, in CPU-seconds of one core; and datatrove's on the same pages.

    python tests/benchmarks/annotate_rate.py SHARED_DATA [--rows 40000] [--datatrove PYTHON --lid MODEL]

Timed is `annotate.annotate`, the function that jobs call, on batches as jobs make them: short pairs (Tatoeba's
sentences; Bible verses and software help) with preset bitext, pages with preset web; the steps are timed inside it. A
pair's text counts with both sides.

PYTHON is an interpreter with datatrove and fasttext, MODEL the file lid.176.ftz. datatrove gets the same texts for the
steps that it has: language (lid.176), Gopher quality and repetition, C4, FineWeb, MinHash signature (its defaults); it
splits words by `str.split` (its tokenisers are slower) and sentences at `[.!?]`. It has no cleaning and no exact hash.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pairmill.curate import annotate, clean, language
from pairmill.curate.dedup import exact, minhash
from pairmill.pairs.batch import regrouped
from pairmill.pairs.schema import PARSED, cast
from pairmill.spec.load import loads

SPEC = """
kind: curate
name: rate
inputs: [{{name: rows, format: parquet, path: rows.parquet, form: {form}, language: {policy}}}]
filters: {{preset: {preset}}}
"""
STEPS: dict[str, tuple[Any, str]] = {
    "clean": (clean, "clean_pairs"),
    "language": (language, "judge"),
    "rules": (annotate, "score_all"),
    "exact hash": (exact, "hash128"),
    "signature": (minhash, "signatures"),
}
DATATROVE = """
import json, re, sys, time
import datatrove.pipeline.dedup.minhash as mh
import pyarrow.parquet as pq
from datatrove.data import Document
from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupSignature
from datatrove.pipeline.filters import (C4QualityFilter, FineWebQualityFilter, GopherQualityFilter,
    GopherRepetitionFilter, c4_filters, fineweb_quality_filter, gopher_quality_filter, gopher_repetition_filter)
from datatrove.utils import lid
for module in (c4_filters, fineweb_quality_filter, gopher_quality_filter, gopher_repetition_filter):
    module.split_into_words = lambda text, language: text.split()
    module.split_into_sentences = lambda text, language: re.split(r"(?<=[.!?])\\s+", text)
lid.cached_asset_path_or_download = lambda *_, **__: sys.argv[2]
texts = pq.read_table(sys.argv[1])["text"].to_pylist()
documents = [Document(text, str(i)) for i, text in enumerate(texts)]
identify = lid.FT176LID()
filters = [GopherQualityFilter(), GopherRepetitionFilter(), C4QualityFilter(filter_no_terminal_punct=False),
    FineWebQualityFilter()]
class Words:
    word_tokenize = staticmethod(str.split)
mh.load_word_tokenizer = lambda language: Words
signer = MinhashDedupSignature(sys.argv[3], MinhashConfig())
identify.predict(documents[0])
seconds = {}
start = time.process_time()
for document in documents: identify.predict(document)
seconds["language"] = time.process_time() - start
start = time.process_time()
for each in filters:
    for document in documents: each.filter(Document(document.text, document.id))
seconds["rules"] = time.process_time() - start
start = time.process_time()
for document in documents:
    shingles = signer.get_shingles(document.text)
    if len(shingles): signer.get_signature(shingles)
seconds["signature"] = time.process_time() - start
print(json.dumps(seconds))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--rows", type=int, default=40_000)
    parser.add_argument("--datatrove", help="an interpreter with datatrove")
    parser.add_argument("--lid", help="the file lid.176.ftz")
    options = parser.parse_args()
    bitext = [options.data / "bitext" / name for name in ("bible.parquet", "libreoffice_help.parquet")]
    short = pa.concat_tables(_read(path, ("src", "tgt", "src_lang", "tgt_lang"), options.rows // 2) for path in bitext)
    pages = _read(
        options.data / "web/documents.parquet", ("title", "text", "lang_declared", "lang_declared"), options.rows // 5
    )
    sentences = _read(options.data / "eval/tatoeba/tatoeba.parquet", ("src", "eng", "lang", "iso639_3"), options.rows)
    english = pa.repeat(pa.scalar("en"), len(sentences))
    sentences = sentences.set_column(sentences.schema.get_field_index("positive_lang"), "positive_lang", english)
    rate("sentences, preset bitext", sentences, "bitext", "bitext")
    rate("verses and help, preset bitext", short, "bitext", "bitext")
    seconds = rate("pages, preset web", pages, "web", "title-body")
    if options.datatrove:
        compare(options, pages, seconds)


def _read(path: Path, columns: tuple[str, ...], rows: int) -> pa.Table:
    table = pq.read_table(path, columns=sorted(set(columns)))
    table = table.take(np.sort(np.random.default_rng(0).permutation(len(table))[:rows]))
    names = ("anchor", "positive", "anchor_lang", "positive_lang")
    table = pa.table([table[column] for column in columns], names=list(names))
    table = table.append_column("origin_row", pa.array(np.arange(len(table))))
    return cast(table, PARSED)


def rate(name: str, table: pa.Table, preset: str, form: str) -> dict[str, float]:
    """Time annotate on the table, and print; CPU-seconds by step and in total."""
    spec = loads(SPEC.format(preset=preset, form=form, policy="require"), "rate.yaml").spec
    spec_input = spec.inputs[0]

    def work(rows: pa.Table) -> None:
        for batch in _batches(rows):
            annotate.annotate(batch, spec, spec_input, annotate.Stats())

    work(table.slice(0, 2_000))  # tables, models and compiled loops
    seconds: dict[str, float] = defaultdict(float)
    originals = {step: getattr(module, function) for step, (module, function) in STEPS.items()}
    for step, (module, function) in STEPS.items():
        setattr(module, function, _timed(originals[step], step, seconds))
    start = time.process_time()
    work(table)
    total = time.process_time() - start
    for step, (module, function) in STEPS.items():
        setattr(module, function, originals[step])
    seconds["the rest"] = total - sum(seconds.values())
    seconds["whole"] = total
    size = sum(pc.sum(pc.binary_length(table[side])).as_py() or 0 for side in ("anchor", "positive")) / 1e6
    print(f"\n{name}: {len(table):,} pairs, {size:.1f} MB")
    for step, value in seconds.items():
        print(
            f"  {step:12}{value:8.2f} s{value / total:7.1%}{len(table) / value:12,.0f} pairs/s{size / value:9.1f} MB/s"
        )
    return dict(seconds)


def _batches(table: pa.Table) -> list[pa.Table]:
    """Batches as annotate makes them of a source's: up to BATCH_ROWS rows or BATCH_BYTES."""
    small = (table.slice(start, 64) for start in range(0, len(table), 64))
    return list(regrouped(small, annotate.BATCH_ROWS, annotate.BATCH_BYTES))


def _timed(function: Callable[..., Any], step: str, seconds: dict[str, float]) -> Callable[..., Any]:
    def timed(*args: Any, **named: Any) -> Any:
        start = time.process_time()
        try:
            return function(*args, **named)
        finally:
            seconds[step] += time.process_time() - start

    return timed


def compare(options: argparse.Namespace, pages: pa.Table, ours: dict[str, float]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "pages.parquet")
        pq.write_table(pages.select(["positive"]).rename_columns(["text"]).slice(0, len(pages) // 4), path)
        done = subprocess.run(
            [options.datatrove, "-c", DATATROVE, str(path), options.lid, folder],
            capture_output=True,
            text=True,
            check=True,
        )
    theirs = {step: 4 * value for step, value in json.loads(done.stdout.splitlines()[-1]).items()}
    print("\ndatatrove on a quarter of the bodies, times four; Pairmill on titles and bodies:")
    for step, value in theirs.items():
        print(f"  {step:12}{value:8.1f} s{value / ours[step]:8.1f} x")
    equal = sum(ours[step] for step in theirs)
    print(f"  these steps  {sum(theirs.values()):.1f} s against {equal:.1f} s: {sum(theirs.values()) / equal:.1f} x")
    print(f"  against the whole of annotate, cleaning and hash included: {sum(theirs.values()) / ours['whole']:.1f} x")


if __name__ == "__main__":
    main()
