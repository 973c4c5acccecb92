"""Small encoders with random weights, of every kind that matters, and trainings of them in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import nn

from pairmill.model.encoder import Encoder
from pairmill.spec.objectives import needs
from pairmill.spec.train import TrainSpec
from pairmill.train import worker
from pairmill.train.checkpoints import Checkpoints
from pairmill.train.gradient_cache import World
from pairmill.train.loop import Loop
from pairmill.train.pairs_task import Pairs
from pairmill.train.plan import Group, Plan
from pairmill.train.reader import Reader

VOCABULARY = 60
PACKED = ("bert", "electra", "roberta", "xlm-roberta", "camembert")
PADDED = ("t5", "mt5", "modernbert", "distilbert")
_SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
_T5 = {"d_model": 32, "num_layers": 2, "num_heads": 4, "d_kv": 8, "d_ff": 48}
_OWN: dict[str, dict[str, Any]] = {
    "electra": {**_SIZES, "embedding_size": 24},
    "t5": _T5,
    "mt5": _T5,
    "modernbert": {**_SIZES, "global_attn_every_n_layers": 2, "local_attention": 8, "pad_token_id": 0},
    "distilbert": {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 48},
}
_NO_DROPOUT = ("hidden_dropout_prob", "attention_probs_dropout_prob", "dropout_rate", "dropout", "attention_dropout")


def transformer(kind: str, dropout: float = 0.0, seed: int = 0) -> Any:
    """A Hugging Face encoder of this model type."""
    import transformers

    sizes = _OWN.get(kind, _SIZES)
    config = transformers.AutoConfig.for_model(kind, vocab_size=VOCABULARY, **sizes)
    for name in _NO_DROPOUT:
        if hasattr(config, name):
            setattr(config, name, dropout)
    if hasattr(config, "max_position_embeddings"):
        config.max_position_embeddings = 40
    torch.manual_seed(seed)
    classes = {"t5": transformers.T5EncoderModel, "mt5": transformers.MT5EncoderModel}
    return classes[kind](config) if kind in classes else transformers.AutoModel.from_config(config)


def encoder(kind: str = "bert", pooling: Any = "mean", dropout: float = 0.0, seed: int = 0) -> Encoder:
    """The same with pooling, in float64."""
    model = transformer(kind, dropout, seed)
    if getattr(model, "pooler", None) is not None:
        model.pooler = None
    return Encoder(model.double(), pooling, model.config.pad_token_id)


def sequences(count: int, seed: int = 0, longest: int = 12) -> list[np.ndarray]:
    """Token ids without special ones, of 2 to `longest` tokens."""
    random = np.random.default_rng(seed)
    return [random.integers(5, VOCABULARY, size).astype(np.int32) for size in random.integers(2, longest + 1, count)]


def save(folder: Path, kind: str = "bert", pad: bool = True, safe: bool = True, dropout: float = 0.0) -> Path:
    """A model directory with a tokenizer of letters and digits."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    names = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        *"abcdefghijklmnopqrstuvwxyz",
        *(f"##{c}" for c in "aeinrst"),
    ]
    made = Tokenizer(models.WordPiece({name: i for i, name in enumerate(names)}, unk_token="[UNK]"))
    made.normalizer = normalizers.Lowercase()
    made.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    special = {
        "unk_token": "[UNK]",
        "cls_token": "[CLS]",
        "sep_token": "[SEP]",
        **({"pad_token": "[PAD]"} if pad else {}),
    }
    PreTrainedTokenizerFast(tokenizer_object=made, **special).save_pretrained(folder)
    model = transformer(kind, dropout)
    model.save_pretrained(folder)
    if not safe:
        torch.save(model.state_dict(), folder / "pytorch_model.bin")
        (folder / "model.safetensors").unlink()
    return folder


class Memory(Reader):
    """Prepared rows of tables in memory."""

    def __init__(self, tables: dict[str, pa.Table]):
        self.tables = tables

    def table(self, group: str, rows: np.ndarray, columns: Any = None) -> pa.Table:
        return self.tables[group].take(pa.array(rows)).combine_chunks()


def rows(count: int, negatives: int = 0, seed: int = 0) -> pa.Table:
    """Prepared rows; some texts stand in several rows."""
    random = np.random.default_rng(seed)
    texts = sequences(count, seed)
    anchors = random.integers(0, count, count)
    columns = {
        "anchor": pa.array([texts[i] for i in anchors], pa.list_(pa.int32())),
        "positive": pa.array(sequences(count, seed + 1), pa.list_(pa.int32())),
        "anchor_id": pa.array(anchors),
        "positive_id": pa.array(np.arange(count) + 1000),
        "score": pa.array(random.random(count), pa.float32()),
    }
    if negatives:
        hard = sequences(count * negatives, seed + 2)
        kind = pa.list_(pa.list_(pa.int32()), negatives)
        columns["negatives"] = pa.array([hard[i : i + negatives] for i in range(0, len(hard), negatives)], kind)
        ids = (np.arange(len(hard)) + 2000).reshape(count, negatives)
        columns["negative_ids"] = pa.FixedSizeListArray.from_arrays(pa.array(ids.ravel()), negatives)
    return pa.table(columns)


def spec(**more: Any) -> TrainSpec:
    """A spec of entries `a` (hard negatives) and `b` (scores, a temperature of its own) unless others are given."""
    given = {"format": "parquet", "path": "none.parquet", "columns": {"anchor": "a", "positive": "b"}}
    learned = {"initial": 0.1}
    entries = [
        {"name": "a", "input": given, "negatives": 2, "holdout": 5},
        {
            "name": "b",
            "input": given,
            "objective": [{"name": "contrastive", "temperature": learned}, {"name": "pearson"}],
        },
    ]
    objective = {"name": "contrastive", "directions": ["a2p", "p2a"], "temperature": {"initial": 0.05}}
    base = {"kind": "train", "name": "tiny", "model": {"path": "x"}, "data": entries, "objective": objective}
    optimizer = {"lr": 1e-3, "warmup": 0}
    return TrainSpec.model_validate({**base, "batch_size": 8, "steps": 4, "optimizer": optimizer, **more})


def task(given: TrainSpec, model: nn.Module, world: World | None = None, teacher: nn.Module | None = None) -> Pairs:
    objectives = {name: objective.double() for name, objective in worker.objectives_of(given).items()}
    needed = {entry.name: needs(entry.objective or given.objective) for entry in given.data}
    held_out = [{"name": "a", "rows": 13}]
    reader = Memory({"a": rows(13, seed=7).drop_columns(["score"])})
    return Pairs(given, model, objectives, needed, reader, held_out, teacher, world or World())


def loop(
    given: TrainSpec, model: nn.Module, world: World | None = None, checkpoints: Checkpoints | None = None, **more: Any
) -> Loop:
    """A training of groups `a` (24 rows) and `b` (16)."""
    tables = {"a": rows(24, negatives=2), "b": rows(16, seed=3)}
    groups = [Group(e.name, e.name, tables[e.name].num_rows, e.batch_size, e.weight) for e in given.data]
    assert given.steps
    plan = Plan(groups, given.batch_size, given.steps * given.accumulate, seed=given.seed)
    world = world or World()
    return Loop(given, task(given, model, world), plan, Memory(tables), world, checkpoints, **more)


class Log:
    """Takes the events of a loop."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def add(self, event: str, **facts: Any) -> None:
        self.events.append({"event": event, **facts})

    def flush(self) -> None:
        pass

    def losses(self) -> dict[int, float]:
        return {event["step"]: event["loss"] for event in self.events if event["event"] == "step"}
