"""Near deduplication from a Parquet file to a Parquet file: Pairmill, rensa and datatrove, each a process of its own.

The corpora, and the truth about their near duplicates, are those of `near_dedup.py`.
  ours       exact, then near duplicates by the functions that jobs call: signatures, bands, groups, the exact walk
  rensa      its RMinHashDeduplicator (128 slots, 16 bands) on our character 5-grams; folding them is left to our
             kernels, which is cheaper than any way it has
  datatrove  MinhashDedupSignature, Buckets, Cluster and Filter with their defaults (5-word n-grams, 14 x 8); words are
             split at spaces, which is cheaper than the tokenizers it would load

CPU-seconds are those of the whole process and its children, less what the same takes for four rows: start and end of
the interpreter, imports, and for ours look-up tables and compiled kernels. Ratios are of medians over rounds in which
the engines take turns. Recall: share of the pairs with an exact Jaccard similarity of at least 0.8 of which not both
rows are kept. Precision: share of the removed rows to which a kept row is that similar, or equal.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from near_dedup import THRESHOLD, near_dedup, pages, sentences, true_pairs

TARGETS = {"datatrove": 20, "rensa": 3}
DATATROVE = """
import sys
from pathlib import Path
from loguru import logger
import datatrove.pipeline.dedup.minhash as mh
from datatrove.executor.local import LocalPipelineExecutor
from datatrove.pipeline.readers import ParquetReader
from datatrove.pipeline.writers import ParquetWriter
class Words:
    word_tokenize = staticmethod(str.split)
mh.load_word_tokenizer = lambda language: Words
logger.remove()
source, target, work = map(Path, sys.argv[1:])
reader = ParquetReader(str(source.parent), glob_pattern=source.name, doc_progress=False)
config = mh.MinhashConfig()
sig, buckets, removed = (str(work / name) for name in ("sig", "buckets", "removed"))
for tasks, pipeline in (
    (1, [reader, mh.MinhashDedupSignature(sig, config)]),
    (config.num_buckets, [mh.MinhashDedupBuckets(sig, buckets, config=config)]),
    (1, [mh.MinhashDedupCluster(buckets, removed, config=config)]),
    (1, [reader, mh.MinhashDedupFilter(removed), ParquetWriter(str(target), "${rank}.parquet")]),
):
    LocalPipelineExecutor(pipeline, tasks=tasks, workers=1, logging_dir=str(work / "logs"), skip_completed=False).run()
"""


def ours(source: Path, target: Path) -> None:
    table = pq.read_table(source)
    kept = near_dedup(table["text"].combine_chunks()).kept
    pq.write_table(table.filter(pa.array(kept)), target)


def rensa(source: Path, target: Path) -> None:
    from rensa import RMinHashDeduplicator  # type: ignore[import-untyped]

    from pairmill.curate.codepoints import encode
    from pairmill.curate.dedup.shingles import SIZE, batches, fold_batch

    table = pq.read_table(source)
    deduplicator = RMinHashDeduplicator(threshold=THRESHOLD, num_perm=128, use_lsh=True, num_bands=16)
    kept: list[bool] = []
    for batch in batches(table["text"].combine_chunks()):
        texts = encode(*fold_batch(batch)).to_pylist()
        grams = ({text[i : i + SIZE] for i in range(max(len(text) - SIZE + 1, 1))} for text in texts)
        kept += deduplicator.add_pairs([(str(len(kept) + i), row) for i, row in enumerate(grams)])
    pq.write_table(table.filter(pa.array(kept)), target)


ENGINES: dict[str, Callable[[Path, Path], None]] = {"ours": ours, "rensa": rensa}


def run(engine: str, source: Path, folder: Path, datatrove: str) -> tuple[float, np.ndarray]:
    """CPU-seconds, and the ids of the kept rows."""
    import resource

    with tempfile.TemporaryDirectory(dir=folder) as work:
        target = Path(work) / "kept"
        command = [sys.executable, __file__, "--engine", engine, str(source), str(target)]
        if engine == "datatrove":
            command = [datatrove, "-c", DATATROVE, str(source), str(target), work]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return seconds, np.asarray(pq.read_table(target, columns=["id"])["id"]).astype(np.int64)


def quality(kept_ids: np.ndarray, column: pa.Array, pairs: np.ndarray) -> dict[str, float]:
    kept = np.zeros(len(column), bool)
    kept[kept_ids] = True
    text = np.asarray(column.dictionary_encode().indices)
    justified = np.isin(text, text[kept])
    for one, other in (pairs.T, pairs[:, ::-1].T):
        justified[one[kept[other]]] = True
    return {
        "removed": int((~kept).sum()),
        "recall": round(float(1 - kept[pairs].all(axis=1).mean()), 4),
        "precision": round(float(justified[~kept].mean()), 4),
    }


def measure(name: str, column: pa.Array, rounds: dict[str, int], folder: Path, datatrove: str) -> list[dict[str, Any]]:
    source, tiny = folder / name / "rows.parquet", folder / f"{name}-tiny" / "rows.parquet"
    few = pa.array([*column[:3].to_pylist(), f"{column[0]} more"], column.type)
    for path, texts in ((source, column), (tiny, few)):
        path.parent.mkdir()
        pq.write_table(pa.table({"id": np.arange(len(texts)).astype(str), "text": texts}), path)
    megabytes = pc.sum(pc.binary_length(column)).as_py() / 1e6
    found: dict[str, list[tuple[float, np.ndarray]]] = {engine: [] for engine in rounds}
    start: dict[str, list[float]] = {engine: [] for engine in rounds}
    for turn in range(max(rounds.values())):
        for engine in rounds:
            if turn < rounds[engine]:
                start[engine].append(run(engine, tiny, folder, datatrove)[0])
                found[engine].append(run(engine, source, folder, datatrove))
    start_up = {engine: statistics.median(seconds) for engine, seconds in start.items()}
    cpu = {engine: [seconds - start_up[engine] for seconds, _ in runs] for engine, runs in found.items()}
    pairs, results = true_pairs(column, THRESHOLD), []
    for engine, runs in found.items():
        seconds, ours_seconds = statistics.median(cpu[engine]), statistics.median(cpu["ours"])
        result = {"corpus": name, "engine": engine, "cpu_seconds": [round(each, 2) for each in cpu[engine]]}
        result |= {"start_up": round(start_up[engine], 2)}
        result |= {"megabytes_per_cpu_second": round(megabytes / seconds, 2)}
        result |= {"rows_per_cpu_second": round(len(column) / seconds), "ours_is_faster_by": seconds / ours_seconds}
        results.append(result | quality(runs[0][1], column, pairs))
        target = f"  (target {TARGETS[engine]})" if engine in TARGETS else ""
        print(*(f"{key}: {value}" for key, value in results[-1].items()), sep="\n  ", end=f"{target}\n\n", flush=True)
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = Path(__file__).resolve().parents[3] / "shared" / "data"
    parser.add_argument(
        "--data", type=Path, default=default, help="directory of the shared data (default: %(default)s)"
    )
    parser.add_argument("--datatrove", help="an interpreter with datatrove; without, it is left out")
    parser.add_argument("--rounds", type=int, default=5, help="of ours and rensa; datatrove runs once")
    parser.add_argument("--json", type=Path, help="write the results to this file")
    parser.add_argument("--engine", nargs=3, metavar=("ENGINE", "FROM", "TO"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.engine:
        engine, source, target = options.engine
        ENGINES[engine](Path(source), Path(target))
        return
    if not options.data.is_dir():
        parser.error(f"--data: {options.data} is not a directory")
    rounds = {"ours": options.rounds, "rensa": options.rounds, **({"datatrove": 1} if options.datatrove else {})}
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for name, make, count in (("pages", pages, 15_000), ("short", sentences, 300_000)):
            column = make(options.data, count, np.random.default_rng(7))
            results += measure(name, column, rounds, Path(folder), options.datatrove)
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
