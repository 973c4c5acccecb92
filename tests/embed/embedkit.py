"""What tests of embedding share."""

from __future__ import annotations

from pathlib import Path

import torch


def damaged(folder: Path, value: float = torch.nan) -> Path:
    """A model directory with another number, NaN as in a broken copy, in the embedding of the letter j."""
    from safetensors.torch import load_file, save_file

    from pairmill.model.loading import load_tokenizer

    weights = load_file(folder / "model.safetensors")
    name = next(name for name in weights if name.endswith("word_embeddings.weight"))
    weights[name][load_tokenizer(str(folder)).convert_tokens_to_ids("j"), 0] = value
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    return folder
