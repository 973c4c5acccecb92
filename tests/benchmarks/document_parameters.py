"""Derive the table of `curate/heuristics/documents/languages.py` from parallel text: the shared UDHR, Bible and Quran.

    python tests/benchmarks/document_parameters.py SHARED_DATA

Per language and source: letters and digits of a word on the English side / on the language's side, and words on the
English side / on the language's side. A source counts with at least 500 words, at least 90 % of them in a script with
spaces; sources are averaged geometrically. Prints the table as it stands in that file.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pairmill.curate.heuristics.documents import kernels
from pairmill.curate.heuristics.documents.document import Document
from pairmill.curate.heuristics.side import Side
from pairmill.curate.language.codes import base

SOURCES = ("udhr", "bible", "quran")
LEAST_WORDS = 500


def totals(texts: pa.ChunkedArray) -> tuple[int, int, int, float]:
    """Words, characters of words, solid characters, and the share of words in scripts with spaces."""
    column = texts.combine_chunks().cast(pa.large_string())
    document = Document(Side(column, pa.nulls(len(column), pa.string())))
    words = int(document.spaced_words.sum())
    other = float(document.unspaced_words.sum())
    characters, solid = (int(document.count(what).sum()) for what in (kernels.CHARACTERS, kernels.SOLID))
    return words, characters, solid, words / max(words + other, 1e-9)


def measure(data: Path) -> tuple[dict[str, np.ndarray], float]:
    """Language -> (length of an English word / of its words, English words / its words); solid characters per English
    word, mean over the sources."""
    found: dict[str, list[tuple[float, float]]] = defaultdict(list)
    english: list[float] = []
    for source in SOURCES:
        table = pq.read_table(data / "bitext" / f"{source}.parquet", columns=["src_lang", "src", "tgt"])
        solid_per_word = []
        for code in pc.unique(table["src_lang"]).to_pylist():
            rows = table.filter(pc.equal(table["src_lang"], code))
            words, characters, _, spaced = totals(rows["src"])
            en_words, en_characters, en_solid, _ = totals(rows["tgt"])
            solid_per_word.append(en_solid / en_words)
            if words >= LEAST_WORDS and spaced >= 0.9:
                found[base(code)].append((en_characters / en_words * words / characters, en_words / words))
        english.append(float(np.median(solid_per_word)))
    means = {code: np.exp(np.log(np.array(values)).mean(0)) for code, values in found.items()}
    return means, float(np.exp(np.log(english).mean()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="the folder with bitext/")
    found, solid = measure(parser.parse_args().data)
    print(f"ENGLISH_CHARACTERS = {solid:.1f}")
    line = "   "
    for code, (length, words) in sorted(found.items()):
        entry = f' "{code}": ({length:.2f}, {words:.2f}),'
        if len(line) + len(entry) > 120:
            print(line)
            line = "   "
        line += entry
    print(line)


if __name__ == "__main__":
    main()
