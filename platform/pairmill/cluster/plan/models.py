"""What an encoder is made of, and what a token costs it: parameters, FLOPs, memory.

For a token, with P weights of matrices (no embeddings), width d, n layers, texts of L tokens:

- forward: 2 P + 4 n L d FLOPs: a multiplication and an addition for each weight, and the two products of attention
  (QK^T and its weights times V), 2 L d each (Kaplan et al. 2020, arXiv 2001.08361, section 2.1).
- backward: twice that; with adapters or embeddings alone once, as no weight of a matrix has a gradient.
- activations that wait for backward, in each layer: 8 d + 2 i numbers (i: width of the feed-forward; gated: 8 d + 4 i),
  without scores of attention, which fast attention computes again (Korthikanti et al. 2022, arXiv 2205.05198, section
  4.1: 34 d bytes of 16 bits for i = 4 d, dropout masks included).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pairmill.cluster.plan.base import Context
from pairmill.spec import model as spec_model

_BYTES = {"fp32": 4, "bf16": 2, "fp16": 2, "int8": 1}


@dataclass(frozen=True)
class Facts:
    """An encoder. `parameters` are all of them, `embedding` those of tokens and positions."""

    name: str
    parameters: float
    embedding: float
    layers: int
    width: int
    inner: int
    gated: bool
    max_length: int
    vocabulary: int
    source: str
    bytes_per_token: float | None = None  # where its tokenizer is not here
    place: spec_model.Place | None = None  # where it is

    def forward(self, length: float) -> float:
        """FLOPs of a token in texts of that length."""
        return 2 * (self.parameters - self.embedding) + 4 * self.layers * length * self.width

    def activations(self, precision: str, checkpointing: bool = False) -> float:
        """Bytes that a token holds until backward. With checkpointing: a layer's input, and one layer's whole."""
        numbers = 8 * self.width + (4 if self.gated else 2) * self.inner
        # bf16 is autocast: the sums behind attention and feed-forward, which layer norms read, stay fp32
        layer = 4 * numbers if precision == "fp32" else 2 * numbers + 2 * 2 * self.width
        return self.layers * 4 * self.width + layer if checkpointing else self.layers * layer

    def weights(self, precision: str) -> float:
        """Bytes of the weights, as a model that only encodes holds them."""
        return self.parameters * _BYTES[precision]


def facts(model: spec_model.Place, context: Context) -> Facts:
    """An encoder as a spec names it: from `--given`, or its configuration. Raises SpecError where there is none."""
    name = _name(model)
    if name in context.given.models:
        return _given(name, context, model)
    if name in context.models:
        found: Facts = context.models[name]
        return found
    architecture = getattr(model, "architecture", None)
    if architecture is not None:
        return _scratch(model, architecture, context)
    from pairmill.model import loading, places

    folder = places.local(model, context.storage)
    config = loading.read_config(folder, getattr(model, "trust_remote_code", False))
    settings = loading.settings_of(folder, config, spec_model.Encoder.model_validate(model.model_dump()))
    return _of_config(name, config, settings.max_length, "config.json", spec_model.Place(path=folder))


def _name(model: spec_model.Place) -> str:
    return model.path or model.package or model.run or "from scratch"


def _given(name: str, context: Context, model: spec_model.Place) -> Facts:
    shape = context.given.models[name]
    d, i = shape.hidden_size, shape.intermediate_size
    layer = 4 * d * d + (3 if shape.gated else 2) * d * i + 9 * d + i + 4 * d
    embedding = (shape.vocabulary + shape.positions) * d
    length = getattr(model, "max_length", None) or shape.max_length
    return Facts(
        name, embedding + shape.layers * layer, embedding, shape.layers, d, i, shape.gated, length, shape.vocabulary,
        shape.source, shape.bytes_per_token,
    )  # fmt: skip


def _scratch(model: spec_model.Place, wanted: spec_model.Alibi, context: Context) -> Facts:
    """An encoder of our own: counted on PyTorch's device without memory."""
    from pairmill.model import loading, places

    tokenizer = _name(wanted.tokenizer)
    if tokenizer in context.models:  # a tokenizer that an earlier step makes
        vocabulary, place = int(context.models[tokenizer].vocabulary), None
    else:
        folder = places.local(wanted.tokenizer, context.storage)
        vocabulary, place = len(loading.load_tokenizer(folder)), spec_model.Place(path=folder)
    config = loading.alibi_config(wanted, vocabulary)
    return _of_config(tokenizer, config, getattr(model, "max_length", None) or 512, "model.architecture", place)


def _of_config(name: str, config: Any, length: int, source: str, place: spec_model.Place | None) -> Facts:
    import torch

    from pairmill.model import loading

    with torch.device("meta"):
        built = loading.empty(config)
    sizes = {label: weight.numel() for label, weight in built.named_parameters() if "pooler" not in label}
    embedding = sum(size for label, size in sizes.items() if "embed" in label or label.startswith("shared"))
    width = config.hidden_size
    inner = next(
        value for key in ("intermediate_size", "d_ff", "hidden_dim", "ffn_dim") if (value := getattr(config, key, None))
    )
    gated = any(label in name for label in ("gate_up", "wi_1") for name in sizes) or config.model_type == "modernbert"
    return Facts(
        name, sum(sizes.values()), embedding, config.num_hidden_layers, width, inner, gated, length,
        config.vocab_size, f"{source}, counted", None, place,
    )  # fmt: skip
