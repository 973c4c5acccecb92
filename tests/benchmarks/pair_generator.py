"""Any number of pairs made of real ones, for benchmarks of scale.

    python tests/benchmarks/pair_generator.py DATA OUT --rows 1000000

Each pair joins two to four real pairs of one language pair (Bible verses and software help) and is numbered, so that
pairs are unlike each other as real ones are: they share phrases and no more. As in web bitext, 15 % of the rows are
copies of rows anywhere before them, and 10 % near copies, with one word changed. Row n is always the same row.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

LANGUAGES = ("de", "fr", "es", "ru", "zh", "ar", "hi", "ja")
COPIES, NEAR = 0.15, 0.10
FILE_ROWS = 500_000
BLOCK = 10_000  # rows of one language
EMPTY, SPACE = pa.scalar("", pa.large_string()), pa.scalar(" ", pa.large_string())
SCHEMA = pa.schema([("src", pa.large_string()), ("tgt", pa.large_string()), ("lang", pa.string())])


def real(data: Path) -> dict[str, tuple[pa.Array, pa.Array]]:
    """Real pairs of each language: the sides as arrays."""
    names = ["src_lang", "tgt_lang", "src", "tgt"]
    table = pa.concat_tables(
        pq.read_table(data / "bitext" / f"{name}.parquet", columns=names).cast(
            pa.schema([(column, pa.large_string()) for column in names])
        )
        for name in ("bible", "libreoffice_help")
    )
    found = {}
    for language in LANGUAGES:
        part = table.filter(pc.equal(pc.utf8_slice_codeunits(table["src_lang"], 0, 2), language))
        if len(part):
            found[language] = part["src"].combine_chunks(), part["tgt"].combine_chunks()
    return found


def tables(data: Path, rows: int, file_rows: int = FILE_ROWS) -> Iterator[pa.Table]:
    """The pairs, `file_rows` at a time; which rows there are does not depend on it."""
    pool = list(real(data).items())
    for start in range(0, rows, file_rows):
        ids = np.arange(start, min(start + file_rows, rows))
        kind = _uniform(ids, 1)
        origin = np.where(kind < COPIES + NEAR, _earlier(ids, len(pool)), ids)
        parts, places = [], []
        for number, (language, sides) in enumerate(pool):
            here = np.flatnonzero(ids // BLOCK % len(pool) == number)
            parts.append(_pairs(*sides, origin[here], kind[here] < NEAR, language))
            places.append(here)
        yield pa.concat_tables(parts).take(pa.array(np.argsort(np.concatenate(places))))


def _earlier(ids: np.ndarray, languages: int) -> np.ndarray:
    """For each row an earlier one of the same language; itself, where there is none."""
    other = (_uniform(ids, 2) * ids).astype(np.int64)
    other -= (other // BLOCK - ids // BLOCK) % languages * BLOCK
    return np.where(other < 0, ids, other)


def _pairs(src: pa.Array, tgt: pa.Array, ids: np.ndarray, near: np.ndarray, language: str) -> pa.Table:
    """The pairs of these ids; near copies with another third word."""
    count = 2 + (3 * _uniform(ids, 3)).astype(int)
    sides = []
    for side in (src, tgt):
        text = side.take(pa.array((len(side) * _uniform(ids, 4)).astype(np.int64)))
        for part in range(1, 4):
            more = side.take(pa.array((len(side) * _uniform(ids, 4 + part)).astype(np.int64)))
            text = pc.binary_join_element_wise(text, pc.if_else(pa.array(count > part), more, EMPTY), SPACE)
        numbers = pa.array(ids).cast(pa.large_string())
        sides.append(pc.binary_join_element_wise(pc.utf8_trim_whitespace(text), numbers, SPACE))
    changed = pc.replace_substring_regex(sides[0], r"^(\S+ \S+) \S+", r"\1 changed", max_replacements=1)
    columns = [pc.if_else(pa.array(near), changed, sides[0]), sides[1], pa.repeat(pa.scalar(language), len(ids))]
    return pa.table(columns, schema=SCHEMA)


def _uniform(ids: np.ndarray, salt: int) -> np.ndarray:
    """A number in [0, 1) for each id, the same whenever it is asked for (splitmix64)."""
    x = (ids.astype(np.uint64) + np.uint64(salt << 40)) * np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((x ^ (x >> np.uint64(31))) >> np.uint64(11)) / float(1 << 53)


def write(data: Path, out: Path, rows: int, file_rows: int = FILE_ROWS) -> int:
    """Write the pairs as Parquet files; returns the bytes of text."""
    out.mkdir(parents=True, exist_ok=True)
    size = 0
    for number, table in enumerate(tables(data, rows, file_rows)):
        size += sum(int(pc.sum(pc.binary_length(table[name])).as_py()) for name in ("src", "tgt"))
        pq.write_table(table, out / f"pairs-{number:05d}.parquet", compression="zstd", row_group_size=50_000)
    return size


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--rows", type=int, default=1_000_000)
    given = parser.parse_args()
    print(f"{write(given.data, given.out, given.rows) / 1e6:.1f} MB of text")
