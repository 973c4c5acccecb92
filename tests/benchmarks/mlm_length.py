"""Masked-language loss beyond the length a model was trained at: ALiBi beside learned positions.

    python tests/benchmarks/mlm_length.py DATA [--steps 400] [--sources debian-handbook ...] [--json FILE]

DATA is a directory with `web/documents.parquet`. Documents are runs of consecutive pages of one source and language,
joined; a share of them, by hash, is held out, and pages whose text stands among these are left out of training. Both
models are pretrain jobs that differ in `position` alone, at length 512. Their loss on the held-out documents is then
measured at 512 and at 2048: the same tokens, cut into sequences of that many. Guessing by the training rows' token
frequencies stands beside it. Learned positions beyond 512 exist in that model's table and were never trained.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import xxhash
import yaml

from pairmill.jobs import run_job
from pairmill.model import places
from pairmill.model.encoder import evaluating
from pairmill.model.loading import load
from pairmill.model.masked import MaskedEncoder
from pairmill.model.tokenizer import train as train_tokenizer
from pairmill.runs import engine
from pairmill.runs.job import Outcome
from pairmill.runs.storage import open_storage
from pairmill.runs.units import Units
from pairmill.spec.load import loads
from pairmill.spec.model import Place
from pairmill.spec.pretrain import PretrainSpec
from pairmill.spec.tokenizer import TokenizerSpec
from pairmill.train.masked_task import MaskedTokens
from pairmill.train.masking import vocabulary_of
from pairmill.train.prepare import Options, prepare
from pairmill.train.reader import Reader

SOURCES = (
    "libreoffice-help",
    "debian-handbook",
    "debian-installation-guide",
    "debian-developers-reference",
    "aptitude-manual",
    "debian-reference",
    "debian-faq",
)
POSITIONS = ("alibi", "learned")


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory(prefix="pairmill-mlm-") as folder:
        made = benchmark(Path(folder), options)
    print(f"\n{made['documents']} documents, {made['held_out']} held out; {made['parameters']:,} parameters\n")
    print("| held-out loss, nats | " + " | ".join(f"at {length}" for length in options.lengths) + " | CPU seconds |")
    print("|---|" + "--:|" * (len(options.lengths) + 1))
    for name, figures in made["models"].items():
        cells = [f"{figures[str(n)]['loss']:.3f} ({figures[str(n)]['accuracy']:.1%})" for n in options.lengths]
        print(f"| {name} | {' | '.join(cells)} | {figures['cpu_seconds']:.0f} |")
    baseline = made["models"][POSITIONS[0]]
    cells = [
        f"{baseline[str(n)]['unigram_loss']:.3f} ({baseline[str(n)]['unigram_accuracy']:.1%})" for n in options.lengths
    ]
    print(f"| unigram | {' | '.join(cells)} | |")
    if options.json:
        options.json.write_text(json.dumps(made, indent=2) + "\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("--sources", nargs="+", default=SOURCES)
    parser.add_argument("--languages", nargs="+", default=["en", "en-US", "en-GB"], help="lang_declared")
    parser.add_argument("--pages", type=int, default=20, help="of a document")
    parser.add_argument("--held-out", type=float, default=0.05, help="share of the documents")
    parser.add_argument("--vocabulary", type=int, default=4000)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--layers", type=int, default=3)
    parser.add_argument("--lengths", type=int, nargs="+", default=[512, 2048], help="the first is trained at")
    parser.add_argument("--rows", type=int, default=200, help="held-out sequences of the first length, at most")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def benchmark(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Train both models below `folder`, and measure them."""
    counts = write_documents(folder, options)
    texts = pq.read_table(folder / "train.parquet")["text"].to_pylist()
    given = {"kind": "tokenizer", "name": "t", "inputs": [{"run": "none"}], "vocabulary": options.vocabulary}
    train_tokenizer(texts, TokenizerSpec.model_validate(given)).save_pretrained(folder / "tokenizer")
    facts = engine.start("local", options.threads)
    models: dict[str, Any] = {}
    try:
        for position in POSITIONS:
            outcome = pretrain(folder, options, position)
            figures = {str(length): measured(folder, options, outcome, length) for length in options.lengths}
            models[position] = {"cpu_seconds": outcome.summary["training"]["cpu_seconds"], **figures}
            models[position]["parameters"] = outcome.summary["model"]["parameters"]
            print(f"{position}: {json.dumps(models[position])}", flush=True)
    finally:
        engine.stop(facts)
    arguments = {name: str(value) if isinstance(value, Path) else value for name, value in vars(options).items()}
    return {**counts, "parameters": models["alibi"]["parameters"], "models": models, "options": arguments}


def write_documents(folder: Path, options: argparse.Namespace) -> dict[str, int]:
    """Documents as `train.parquet` and `held-out.parquet`, a page a row, in the order of the source."""
    pages = pq.read_table(options.data / "web/documents.parquet")
    pages = pages.filter(pc.is_in(pages["source"], value_set=pa.array(options.sources)))
    pages = pages.filter(pc.is_in(pages["lang_declared"], value_set=pa.array(options.languages)))
    parts: dict[bool, list[list[dict[str, Any]]]] = {True: [], False: []}
    origin = itemgetter("source", "lang_declared")
    for _, group in groupby(sorted(pages.to_pylist(), key=origin), key=origin):
        run = list(group)
        for start in range(0, len(run), options.pages):
            document = run[start : start + options.pages]
            parts[_hash(document[0]["doc_id"]) < options.held_out].append(document)
    held = {page["text"] for document in parts[True] for page in document}
    for name, out in (("train", False), ("held-out", True)):
        kept = [page for document in parts[out] for page in document if out or page["text"] not in held]
        rows = [{"title": page["title"] or "-", "text": page["text"]} for page in kept]
        pq.write_table(pa.Table.from_pylist(rows), folder / f"{name}.parquet")
    return {"documents": len(parts[True]) + len(parts[False]), "held_out": len(parts[True])}


def _hash(name: str) -> float:
    return xxhash.xxh3_64_intdigest(name.encode()) / 2**64


def pretrain(folder: Path, options: argparse.Namespace, position: str) -> Outcome:
    spec = spec_of(folder, options, position, "train")
    loaded = loads(yaml.safe_dump(spec), "benchmark.yaml")
    return run_job(loaded, str(folder / "storage"), None, False, "", lambda line: None)


def spec_of(folder: Path, options: argparse.Namespace, position: str, part: str) -> dict[str, Any]:
    columns = {"anchor": "title", "positive": "text"}
    files = {"format": "parquet", "path": str(folder / f"{part}.parquet"), "columns": columns}
    architecture = {
        "tokenizer": {"path": str(folder / "tokenizer")},
        "hidden_size": options.width,
        "layers": options.layers,
        "heads": max(1, options.width // 32),
        "position": position,
        "max_positions": max(options.lengths),
    }
    return {
        "kind": "pretrain",
        "name": f"length-{position}",
        "model": {"architecture": architecture, "max_length": options.lengths[0]},
        "data": [{"name": "documents", "input": files}],
        "sides": ["positive"],
        "batch_size": options.batch,
        "steps": options.steps,
        "optimizer": {"lr": options.lr},
        "evaluate": {"rows": options.rows},
        "seed": options.seed,
        "resources": {"threads": options.threads},
    }


def measured(folder: Path, options: argparse.Namespace, outcome: Outcome, length: int) -> dict[str, Any]:
    """The figures of a pretrained model on the held-out documents, in sequences of `length` tokens."""
    storage = open_storage(str(folder / "storage"))
    spec = PretrainSpec.model_validate(spec_of(folder, options, "alibi", "held-out"))
    held_out = prepare(
        storage,
        spec.data,
        str(folder / "tokenizer"),
        Options(max_length=length, pack="concatenate", sides=("positive",)),
        lambda name, work, items: [work({"storage": storage.uri, "attempt": "benchmark", **item}) for item in items],
    )
    trained = Units(storage, outcome.run.units("plan").prefix).get("prepared")
    assert trained is not None, "the job is done"
    loaded = load(places.local(Place(run=outcome.run.id), storage.uri), masked=True)
    assert isinstance(loaded.encoder, MaskedEncoder)
    rows = [{group["name"]: group["rows"] for group in manifest["groups"]} for manifest in (trained, held_out)]
    rows[1] = {name: min(n, max(2, options.rows * options.lengths[0] // length)) for name, n in rows[1].items()}
    task = MaskedTokens(
        spec,
        loaded.encoder,
        vocabulary_of(loaded.tokenizer),
        Reader(storage, trained),
        rows[0],
        Reader(storage, held_out),
        rows[1],
    )
    start = time.process_time()
    with evaluating(task.parts):
        (figures,) = task.evaluate().values()
    return {**figures, "seconds": round(time.process_time() - start, 1)}


if __name__ == "__main__":
    main()
