"""A trained encoder as a Hugging Face directory that sentence-transformers loads: same texts, same vectors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pairmill.model import settings as files
from pairmill.model.adapters import merged
from pairmill.model.encoder import Encoder
from pairmill.model.loading import quiet
from pairmill.model.settings import Settings


def write_model(folder: Path, encoder: Encoder, tokenizer: Any, settings: Settings) -> None:
    """Write weights (safetensors, adapters merged), tokenizer and settings. The encoder is used up."""
    model = merged(encoder.model)
    with quiet():
        model.save_pretrained(folder)
        tokenizer.model_max_length = settings.max_length
        tokenizer.save_pretrained(folder)
    files.write(folder, settings, model.config.hidden_size)
