"""MB (UTF-8) per CPU-second of the signature kernel, text in memory to signatures, beside datasketch on a subset.

Each repeat signs the same texts; the median counts. datasketch signs the same normalised shingles (update_batch, its
fastest way), so that the ratio compares like with like in the same run.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pairmill.curate.dedup.minhash import signatures
from pairmill.curate.dedup.shingles import slow_share

TARGETS = {"web pages": 100, "bible src": 50, "bible src + tgt": 50, "help src": 50, "help src + tgt": 50}


def corpora(data: Path) -> dict[str, pa.Array]:
    pages = pq.read_table(data / "web" / "documents.parquet", columns=["text"])["text"][:10_000]
    found = {"web pages": pages}
    for name, file in (("bible", "bible"), ("help", "libreoffice_help")):
        table = pq.read_table(data / "bitext" / f"{file}.parquet", columns=["src", "tgt"])
        table = table.take(pa.array(range(0, len(table), 3)))
        found[f"{name} src"] = table["src"]
        found[f"{name} src + tgt"] = pc.binary_join_element_wise(table["src"], table["tgt"], " ")
    return {name: column.cast(pa.large_string()).combine_chunks() for name, column in found.items()}


def rate(column: pa.Array, repeats: int, engine: str = "pairmill") -> float:
    """Return the median of MB per CPU-second."""
    seconds = []
    for _ in range(repeats):
        started = time.process_time()
        signatures(column, engine=engine)
        seconds.append(time.process_time() - started)
    return megabytes(column) / statistics.median(seconds)


def megabytes(column: pa.Array) -> float:
    return float(pc.sum(pc.binary_length(column)).as_py()) / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = Path(__file__).resolve().parents[3] / "shared" / "data"
    parser.add_argument(
        "--data", type=Path, default=default, help="directory of the shared data (default: %(default)s)"
    )
    parser.add_argument("--repeats", type=int, default=5, help="repeats of each measurement (default: %(default)s)")
    parser.add_argument("--json", type=Path, help="write the results to this file")
    arguments = parser.parse_args()
    if not arguments.data.is_dir():
        parser.error(f"--data: {arguments.data} is not a directory")
    started = time.process_time()
    signatures(pa.array(["compile"]))
    first = time.process_time() - started
    print(f"first call in this process: {first:.2f} CPU-seconds\n")
    print(f"{'corpus':18} {'MB':>7} {'MB/CPU-s':>9} {'target':>7} {'datasketch':>11} {'ratio':>7} {'slow rows':>10}")
    results = []
    for name, column in corpora(arguments.data).items():
        ours = rate(column, arguments.repeats)
        theirs = rate(column[: max(len(column) // 200, 1)], 1, "datasketch")
        slow = slow_share(column)
        results.append(
            {
                "corpus": name,
                "megabytes": megabytes(column),
                "megabytes_per_cpu_second": ours,
                "target": TARGETS[name],
                "datasketch_megabytes_per_cpu_second": theirs,
                "slow_share": slow,
            }
        )
        print(
            f"{name:18} {megabytes(column):7.1f} {ours:9.1f} {TARGETS[name]:7} {theirs:11.3f} "
            f"{ours / theirs:6.0f}x {slow:10.3%}",
            flush=True,
        )
    if arguments.json:
        report = {"first_call_cpu_seconds": first, "corpora": results}
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
