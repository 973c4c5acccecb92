"""How good a model directory is on the shared data: Tatoeba accuracy both ways, STS-B dev Spearman.

python tests/benchmarks/embedding_quality.py DATA MODEL [--tatoeba de fr] [--sts en de]
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "platform")]

from pairmill.model.encoder import evaluating  # noqa: E402
from pairmill.model.loading import load  # noqa: E402
from pairmill.train.gradient_cache import World  # noqa: E402
from pairmill.train.held_out import embed_all, wilson  # noqa: E402


class Model:
    """A model directory that embeds texts as unit vectors."""

    def __init__(self, place: str):
        self.loaded = load(place)

    def embed(self, texts: list[str]) -> np.ndarray:
        tokens = self.loaded.tokenizer(texts, truncation=True, max_length=self.loaded.settings.max_length)["input_ids"]
        with evaluating(self.loaded.encoder):
            ids = [np.array(row, np.int32) for row in tokens]
            return embed_all(self.loaded.encoder, ids, 8192, World()).numpy()


def tatoeba(model: Model, data: Path, language: str) -> dict[str, Any]:
    """Share of sentences whose nearest among all of the other side is their translation, with a 95 % interval."""
    table = pq.read_table(data / "eval/tatoeba/tatoeba.parquet")
    rows = table.filter(pc.equal(table["lang"], language))
    foreign, english = (model.embed(rows[name].to_pylist()) for name in ("src", "eng"))
    similar = foreign @ english.T
    own = np.arange(len(similar))
    found = {}
    for way, best in (("to_en", similar.argmax(1)), ("from_en", similar.argmax(0))):
        hits = int((best == own).sum())
        found[way] = round(100 * hits / len(own), 1)
        found[f"{way}_interval"] = [round(100 * bound, 1) for bound in wilson(hits, len(own))]
    return found


def sts(model: Model, data: Path, language: str, split: str = "dev") -> float:
    """Spearman's correlation x 100 of cosine and gold score."""
    from scipy.stats import spearmanr

    table = pq.read_table(data / "sts/stsb_multi.parquet")
    rows = table.filter(pc.and_(pc.equal(table["lang"], language), pc.equal(table["split"], split)))
    one, other = (model.embed(rows[name].to_pylist()) for name in ("sentence1", "sentence2"))
    return round(100 * float(spearmanr((one * other).sum(1), rows["score"].to_numpy()).statistic), 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("model")
    parser.add_argument("--tatoeba", nargs="*", default=["de"])
    parser.add_argument("--sts", nargs="*", default=["en", "de"])
    given = parser.parse_args()
    model = Model(given.model)
    figures = {f"tatoeba {language}": tatoeba(model, given.data, language) for language in given.tatoeba}
    figures |= {f"sts {language}": sts(model, given.data, language) for language in given.sts}  # type: ignore[misc]
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
