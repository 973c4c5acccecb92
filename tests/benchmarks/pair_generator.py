"""Any number of pairs made of real ones, for benchmarks of scale.

    python tests/benchmarks/pair_generator.py DATA OUT --rows 1000000 [--seed 1]

Each pair joins two to four real pairs of one language pair (Bible verses and software help) and is numbered, so that
pairs are unlike each other as real ones are: they share phrases and no more. Then, as in web bitext, 15 % of the rows
are made copies of rows before them, and 10 % near copies, with one word changed. The same arguments give the same rows.
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


def tables(data: Path, rows: int, seed: int = 1) -> Iterator[pa.Table]:
    """The pairs, FILE_ROWS at a time."""
    pool = real(data)
    for number, start in enumerate(range(0, rows, FILE_ROWS)):
        count = min(FILE_ROWS, rows - start)
        rng = np.random.default_rng([seed, number])
        language = list(pool)[number % len(pool)]
        yield _copied(_joined(*pool[language], count, start, rng), language, rng)


def _joined(
    src: pa.Array, tgt: pa.Array, count: int, start: int, rng: np.random.Generator
) -> tuple[pa.Array, pa.Array]:
    picks = rng.integers(0, len(src), (4, count))
    parts = rng.integers(2, 5, count)
    sides = []
    for side in (src, tgt):
        text = side.take(pa.array(picks[0]))
        for part in range(1, 4):
            more = pc.if_else(
                pa.array(parts > part), side.take(pa.array(picks[part])), pa.scalar("", pa.large_string())
            )
            text = pc.binary_join_element_wise(text, more, pa.scalar(" ", pa.large_string()))
        numbers = pa.array(np.arange(start, start + count)).cast(pa.large_string())
        sides.append(
            pc.binary_join_element_wise(pc.utf8_trim_whitespace(text), numbers, pa.scalar(" ", pa.large_string()))
        )
    return sides[0], sides[1]


def _copied(sides: tuple[pa.Array, pa.Array], language: str, rng: np.random.Generator) -> pa.Table:
    count = len(sides[0])
    kind, origin = rng.random(count), np.arange(count)
    copied = kind < COPIES + NEAR
    origin[copied] = (rng.random(count) * origin)[copied].astype(np.int64)
    near = pa.array(kind < NEAR)
    src, tgt = (side.take(pa.array(origin)) for side in sides)
    changed = pc.replace_substring_regex(src, r"^(\S+ \S+) \S+", r"\1 changed", max_replacements=1)
    return pa.table([pc.if_else(near, changed, src), tgt, pa.repeat(pa.scalar(language), count)], schema=SCHEMA)


def write(data: Path, out: Path, rows: int, seed: int = 1) -> int:
    """Write the pairs as Parquet files; returns the bytes of text."""
    out.mkdir(parents=True, exist_ok=True)
    size = 0
    for number, table in enumerate(tables(data, rows, seed)):
        size += sum(int(pc.sum(pc.binary_length(table[name])).as_py()) for name in ("src", "tgt"))
        pq.write_table(table, out / f"pairs-{number:05d}.parquet", compression="zstd", row_group_size=50_000)
    return size


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    print(f"{write(given.data, given.out, given.rows, given.seed) / 1e6:.1f} MB of text")
