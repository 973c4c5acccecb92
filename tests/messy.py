"""The damaged bitext of the shared data, and what a run made of each kind of damage."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

from pairmill.curate.dedup.folding import fold_text
from pairmill.runs.record import Run
from reading import table

SPEC = """
kind: curate
name: messy
inputs:
  - name: messy
    format: jsonl
    path: "{path}"
    columns: {{anchor: src, positive: tgt, anchor_lang: src_lang, positive_lang: tgt_lang}}
"""


def spec(shared_data: Path) -> str:
    return SPEC.format(path=shared_data / "messy" / "messy_dev.jsonl.gz")


def outcomes(shared_data: Path, run: Run) -> dict[str, Counter[str]]:
    """By label: how many rows were kept as they were, repaired to the original, rejected, or quarantined.

    Near duplicates with a pair Jaccard of at least 0.8 to the line they repeat stand under `near_duplicate >= 0.8`.
    """
    kept = {row["origin_row"]: row for row in table(run, "kept", ["origin_row", "anchor", "positive"]).to_pylist()}
    rejected = set(table(run, "rejected", ["origin_row"])["origin_row"].to_pylist())
    lines = gzip.decompress((shared_data / "messy" / "messy_dev.jsonl.gz").read_bytes()).split(b"\n")
    found: dict[str, Counter[str]] = {}
    for line in (shared_data / "messy" / "messy_dev_labels.jsonl").read_text("utf-8").splitlines():
        label = json.loads(line)
        name, row = label["label"], label["line"] - 1
        if name == "near_duplicate" and jaccard(lines[row], lines[label["dup_of"] - 1]) >= 0.8:
            name = "near_duplicate >= 0.8"
        found.setdefault(name, Counter())[_outcome(row, label["original"], kept, rejected)] += 1
    return dict(sorted(found.items()))


def _outcome(row: int, original: dict[str, str] | None, kept: dict[int, Any], rejected: set[int]) -> str:
    if row not in kept:
        return "rejected" if row in rejected else "quarantined"
    same = original is not None and [original["src"], original["tgt"]] == [kept[row]["anchor"], kept[row]["positive"]]
    return "repaired" if same else "kept"


def jaccard(left: bytes, right: bytes) -> float:
    """Exact Jaccard similarity of the character 5-grams of two lines' pairs."""
    grams = []
    for line in (left, right):
        row = json.loads(line)
        text = fold_text(f"{row['src']} {row['tgt']}")
        grams.append({text[at : at + 5] for at in range(len(text) - 4)})
    return len(grams[0] & grams[1]) / len(grams[0] | grams[1])


def caught(counts: Counter[str]) -> float:
    """Share of the rows that were not kept as they came."""
    return 1 - counts["kept"] / counts.total()


def as_text(found: dict[str, Counter[str]]) -> str:
    """The outcomes as a table."""
    head = f"{'label':24}{'rows':>6}{'kept':>7}{'repaired':>10}{'rejected':>10}{'quarantined':>13}{'caught':>9}"
    lines = [
        f"{label:24}{counts.total():>6}{counts['kept']:>7}{counts['repaired']:>10}{counts['rejected']:>10}"
        f"{counts['quarantined']:>13}{caught(counts):>9.1%}"
        for label, counts in found.items()
    ]
    return "\n".join(["", head, *lines])
