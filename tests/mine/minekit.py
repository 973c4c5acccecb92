"""A storage with a curate run of real catalogues, vectors of it by a tiny model, and how to mine them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

import tiny_models
from catalogue_job import curate
from corpus import catalogue_rows, write_jsonl
from pairmill.embed.vectors import Vectors
from pairmill.jobs import run_job
from pairmill.pairs.scores import ScoreTables
from pairmill.runs.job import Outcome
from pairmill.runs.record import Run
from pairmill.spec.load import loads
from reading import table
from unitkit import units_here

EMBED = """
kind: embed
name: vectors
model: {{path: "{folder}/model", max_length: 32}}
data:
  - {{name: web, run: "{run}"}}
  - {{name: english, input: {{format: text, path: "{folder}/english.txt"}}}}
  - {{name: german, input: {{format: text, path: "{folder}/german.txt"}}}}
"""


class Place:
    """`ids`, `anchors` and `positives` are the run's rows: their vectors (n, d) and texts in one order."""

    def __init__(self, folder: Path):
        self.folder, self.store = folder, str(folder / "store")
        tiny_models.save(folder / "model")
        self.cross_encoder = save_cross_encoder(folder / "cross-encoder")
        rows = sorted(set(catalogue_rows(("de", "fr"))))[::5]
        english = sorted({" ".join(source.split()) for source, _, language in rows if language == "de"})
        german = sorted({" ".join(target.split()) for _, target, language in rows if language == "de"})
        (folder / "english.txt").write_text("\n".join(english) + "\n", "utf-8")
        (folder / "german.txt").write_text("\n".join(german) + "\n", "utf-8")
        # a passage of several anchors and an anchor of several passages
        rows += [("Which page is this?", rows[0][1], rows[0][2]), ("Which page is this?", rows[1][1], rows[0][2])]
        write_jsonl(folder / "pairs.jsonl", rows)
        self.curated = self.curate(folder / "store")
        self.embedded = self.embed(self.curated)
        self.vectors = Vectors.open(self.store, self.embedded.id)
        kept = table(self.curated, "kept").sort_by("pair_id")
        self.rows = kept.to_pylist()
        self.ids = kept["pair_id"].to_numpy()
        self.left, self.right = (self._side(side) for side in ("anchor", "positive"))

    def _side(self, side: str) -> np.ndarray:
        ids, vectors = self.vectors.array("web", side)
        order = np.argsort(ids)
        assert ids[order].tolist() == self.ids.tolist(), "every row has a vector"
        return vectors[order]

    def curate(self, store: Path, fresh: bool = False) -> Run:
        sets = ("filters.preset=none", "dedup.near=off", "resources.shard_size=40KB", "inputs[0].licence=CC-BY-4.0")
        with units_here():
            return curate(self.folder / "pairs.jsonl", store, *sets, fresh=fresh).run

    def embed(self, run: Run) -> Run:
        with units_here():
            return self.run(EMBED.format(folder=self.folder, run=run.id)).run

    def run(self, spec: str, *sets: str, store: str = "") -> Outcome:
        return run_job(loads(spec, "test.yaml", sets), store or self.store, None, False, "test", lambda line: None)

    def mine(self, section: str, *sets: str, store: str = "", **more: str) -> Outcome:
        """Mine the run's rows with a section as YAML, in this process."""
        with units_here():
            return self.through_ray(section, *sets, store=store, **more)

    def through_ray(self, section: str, *sets: str, store: str = "", **more: str) -> Outcome:
        given = {"run": self.curated.id, "vectors": self.embedded.id, **more}
        named = "".join(f'{key}: "{value}"\n' for key, value in given.items() if value)
        return self.run(f"kind: mine\nname: mined\n{named}{section}\n", *sets, store=store)

    def scores(self, outcome: Outcome) -> dict[str, np.ndarray]:
        """The columns of a side-table, in the order of `ids`."""
        found = ScoreTables.open(self.store, outcome.run.id).lookup(self.ids)
        assert found.there.all()
        return found.columns


def save_cross_encoder(folder: Path) -> Path:
    """A sequence classification model with random weights and one output."""
    import transformers

    tiny_models.save(folder)
    config = transformers.AutoConfig.from_pretrained(folder, num_labels=1)
    torch.manual_seed(5)
    transformers.AutoModelForSequenceClassification.from_config(config).save_pretrained(folder)
    return folder


def folded(text: Any) -> str:
    return " ".join(str(text).casefold().split())
