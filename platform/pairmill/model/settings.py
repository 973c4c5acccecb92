"""What makes an encoder an embedding model: pooling, length, prompts, as files that sentence-transformers reads.

The files are in the form that sentence-transformers reads since version 2.0: `modules.json`, `1_Pooling/config.json`,
`sentence_bert_config.json`, `config_sentence_transformers.json`. Newer forms are read too.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pairmill.errors import PairmillError
from pairmill.model.pooling import Pooling

_MODES: dict[str, Pooling] = {"cls": "cls", "mean": "mean", "lasttoken": "last"}
_FLAGS = {"pooling_mode_cls_token": "cls", "pooling_mode_mean_tokens": "mean", "pooling_mode_lasttoken": "lasttoken"}
_OTHERS = ("pooling_mode_max_tokens", "pooling_mode_mean_sqrt_len_tokens", "pooling_mode_weightedmean_tokens")


@dataclass(frozen=True)
class Settings:
    """How texts become vectors. `max_length` counts special tokens."""

    pooling: Pooling = "mean"
    max_length: int = 512
    normalize: bool = True
    prompts: dict[str, str] = field(default_factory=dict)


def read(folder: Path, longest: int) -> Settings:
    """The settings of a model directory; where it has none, mean pooling and at most `longest` tokens.

    Raises PairmillError for modules and pooling that Pairmill does not have.
    """
    modules = _json(folder / "modules.json") or []
    kinds = [str(module["type"]).rsplit(".", 1)[-1] for module in modules]
    unknown = [kind for kind in kinds if kind not in ("Transformer", "Pooling", "Normalize")]
    if unknown:
        raise PairmillError(
            f"{folder}: its module {unknown[0]} is not supported. Allowed: Transformer, Pooling, Normalize. "
            "Give a plain Hugging Face encoder, and `model.pooling`."
        )
    pooling = next((module["path"] for module, kind in zip(modules, kinds, strict=True) if kind == "Pooling"), None)
    length = (_json(folder / "sentence_bert_config.json") or {}).get("max_seq_length")
    told = _json(folder / "tokenizer_config.json") or {}
    length = length or (told.get("model_max_length") if modules else None)
    prompts = (_json(folder / "config_sentence_transformers.json") or {}).get("prompts") or {}
    return Settings(
        pooling=_pooling(folder / pooling / "config.json") if pooling else "mean",
        max_length=min(int(length), longest) if length else min(longest, 512),
        normalize="Normalize" in kinds or not modules,
        prompts={name: text for name, text in prompts.items() if text},
    )


def _pooling(file: Path) -> Pooling:
    config = _json(file) or {}
    mode = config.get("pooling_mode") or "+".join(name for flag, name in _FLAGS.items() if config.get(flag))
    other = next((name for name in _OTHERS if config.get(name)), None)
    if other or mode not in _MODES:
        found = other or mode
        raise PairmillError(f"{file}: pooling {found!r} is not supported. Set model.pooling: mean, cls or last.")
    return _MODES[mode]


def write(folder: Path, settings: Settings, dimension: int) -> None:
    """Add the files to a Hugging Face directory."""
    kinds = ["Transformer", "Pooling", *(["Normalize"] if settings.normalize else [])]
    modules = []
    for number, kind in enumerate(kinds):
        path = f"{number}_{kind}" if number else ""
        (folder / path).mkdir(exist_ok=True)
        module = {"idx": number, "name": str(number), "path": path}
        modules.append({**module, "type": f"sentence_transformers.models.{kind}"})
    pooling: dict[str, Any] = {"word_embedding_dimension": dimension}
    pooling |= {flag: _MODES[name] == settings.pooling for flag, name in _FLAGS.items()}
    pooling |= dict.fromkeys(_OTHERS, False)
    _write(folder / "modules.json", modules)
    _write(folder / "1_Pooling/config.json", {**pooling, "include_prompt": True})
    _write(folder / "sentence_bert_config.json", {"max_seq_length": settings.max_length, "do_lower_case": False})
    names = {"prompts": settings.prompts, "default_prompt_name": None, "similarity_fn_name": "cosine"}
    _write(folder / "config_sentence_transformers.json", {"__version__": {}, **names})


def _json(file: Path) -> Any:
    try:
        return json.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise PairmillError(f"{file}: it is no JSON ({error}). Take another copy of the model.") from error


def _write(file: Path, value: Any) -> None:
    file.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", "utf-8")
