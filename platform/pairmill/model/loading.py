"""From a model directory to an encoder, its tokenizer and its settings."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch

from pairmill.errors import PairmillError
from pairmill.model import settings as files
from pairmill.model.adapters import add_lora
from pairmill.model.encoder import Encoder
from pairmill.model.pooling import Pooling
from pairmill.model.settings import Settings
from pairmill.spec import model as spec_model

_ENCODERS = {"t5": "T5EncoderModel", "mt5": "MT5EncoderModel", "umt5": "UMT5EncoderModel"}
#: Models whose position embeddings begin behind the padding token's.
_BEHIND_PADDING = (
    "roberta",
    "xlm-roberta",
    "camembert",
    "xlm-roberta-xl",
    "roberta-prelayernorm",
    "mpnet",
    "data2vec-text",
)
_DROPOUTS = ("hidden_dropout_prob", "attention_probs_dropout_prob", "dropout_rate", "attention_dropout", "dropout")


class Loaded(NamedTuple):
    """A model that is ready to embed."""

    encoder: Encoder
    tokenizer: Any
    settings: Settings


def load(place: str, spec: spec_model.Encoder | None = None, masked: bool = False) -> Loaded:
    """The model in a directory (or hub name), changed as the spec says: dropout, pooling, length, prompts, adapters.

    With `masked` its encoder is a `MaskedEncoder`; a head that the directory lacks is made of torch's random numbers.

    Raises PairmillError where it cannot be loaded: no such model, weights that are not safetensors, code that the spec
    does not trust, a tokenizer without a padding token.
    """
    trust = spec.trust_remote_code if spec else False
    tokenizer = load_tokenizer(place, trust)
    with _errors(place, trust), quiet():
        config = _config(place, trust, spec.dropout if spec else None)
        model = _class(config, masked).from_pretrained(
            place, config=config, dtype=torch.float32, use_safetensors=True, trust_remote_code=trust
        )
    if getattr(model, "pooler", None) is not None:
        model.pooler = None  # BERT's is not used by any pooling
    if spec and spec.dropout is not None:
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = spec.dropout
    found = settings_of(place, config, spec)
    if spec and spec.lora:
        model = add_lora(model, spec.lora)
    return Loaded(encoder_of(model, found.pooling, tokenizer.pad_token_id, masked), tokenizer, found)


def encoder_of(model: Any, pooling: Pooling, pad_id: int, masked: bool = False) -> Encoder:
    """A model of transformers, with or without a head for masked tokens, as an encoder."""
    from pairmill.model.masked import MaskedEncoder

    return (MaskedEncoder if masked else Encoder)(model, pooling, pad_id)


def load_tokenizer(place: str, trust: bool = False) -> Any:
    """The fast tokenizer of a model. Raises PairmillError."""
    from transformers import AutoTokenizer

    with _errors(place, trust), quiet():
        tokenizer = AutoTokenizer.from_pretrained(place, trust_remote_code=trust, use_fast=True)
    if not tokenizer.is_fast:
        raise PairmillError(f"{place}: its tokenizer is not a fast one. Convert it: it needs a tokenizer.json.")
    if tokenizer.pad_token_id is None:
        raise PairmillError(
            f"{place}: its tokenizer has no padding token. Give it one (tokenizer.pad_token = tokenizer.eos_token, "
            "then save_pretrained) and name that directory."
        )
    return tokenizer


def settings_of(place: str, config: Any, spec: spec_model.Encoder | None) -> Settings:
    """The model's own settings, and over them the spec's. Raises PairmillError for a length the model cannot take."""
    longest = longest_of(config)
    found = files.read(Path(place), longest)
    if spec is None:
        return found
    if spec.max_length is not None and spec.max_length > longest:
        raise PairmillError(
            f"model.max_length: {spec.max_length} tokens, but {place} has positions for {longest}. "
            "Use at most that, or a model without position embeddings (architecture: {type: alibi})."
        )
    return replace(
        found,
        pooling=spec.pooling or found.pooling,
        max_length=spec.max_length or found.max_length,
        prompts={**found.prompts, **spec.prompts},
    )


def longest_of(config: Any) -> int:
    """How many tokens the model takes."""
    positions = getattr(config, "max_position_embeddings", None) or 1_000_000
    offset = (getattr(config, "pad_token_id", 0) or 0) + 1 if config.model_type in _BEHIND_PADDING else 0
    return int(positions) - offset


def read_config(place: str, trust: bool = False) -> Any:
    """A model's configuration. Raises PairmillError."""
    with _errors(place, trust), quiet():
        return _config(place, trust, None)


def _config(place: str, trust: bool, dropout: float | None) -> Any:
    from transformers import AutoConfig, AutoModel, AutoModelForMaskedLM

    from pairmill.model import alibi

    AutoConfig.register("alibi", alibi.AlibiConfig, exist_ok=True)
    AutoModel.register(alibi.AlibiConfig, alibi.AlibiModel, exist_ok=True)
    AutoModelForMaskedLM.register(alibi.AlibiConfig, alibi.AlibiForMaskedLM, exist_ok=True)
    config = AutoConfig.from_pretrained(place, trust_remote_code=trust)
    if dropout is not None:
        for name in _DROPOUTS:
            if isinstance(getattr(config, name, None), (int, float)):
                setattr(config, name, dropout)
    return config


def _class(config: Any, masked: bool) -> Any:
    import transformers

    if masked:
        return transformers.AutoModelForMaskedLM
    return getattr(transformers, _ENCODERS.get(config.model_type, "AutoModel"))


def empty(config: Any) -> Any:
    """An encoder of this configuration with weights of no meaning; on the device `meta` it takes no memory."""
    from pairmill.model.alibi import AlibiConfig, AlibiModel

    if isinstance(config, AlibiConfig):
        return AlibiModel(config)
    kind = _class(config, False)
    return kind.from_config(config) if hasattr(kind, "from_config") else kind(config)


def alibi_config(wanted: spec_model.Alibi, vocabulary: int, pad_id: int | None = None) -> Any:
    """The configuration of our own encoder as a spec describes it, for a tokenizer of so many tokens."""
    from pairmill.model.alibi import AlibiConfig

    return AlibiConfig(
        vocab_size=vocabulary,
        hidden_size=wanted.hidden_size,
        num_hidden_layers=wanted.layers,
        num_attention_heads=wanted.heads,
        intermediate_size=wanted.intermediate_size or 4 * wanted.hidden_size,
        position=wanted.position,
        max_position_embeddings=wanted.max_positions,
        hidden_dropout_prob=wanted.dropout,
        pad_token_id=pad_id,
    )


@contextlib.contextmanager
def _errors(place: str, trust: bool) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, RuntimeError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        if "trust_remote_code" in str(error) and not trust:
            remedy = "It brings Python code of its own: set model.trust_remote_code: true if you trust it."
        elif "safetensors" in str(error):
            remedy = "Weights are read from model.safetensors only: convert them."
        else:
            remedy = "Name a directory with config.json, tokenizer.json and model.safetensors, or a hub name."
        raise PairmillError(f"{place}: cannot be loaded: {first}. {remedy}") from error


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without transformers' progress bars and reports."""
    from transformers.utils import logging as transformers_logging

    level = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity(logging.ERROR)
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(level)
