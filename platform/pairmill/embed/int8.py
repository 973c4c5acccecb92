"""int8: the model in ONNX Runtime, its matrix products in 8-bit integers (dynamic quantisation), on the CPU.

1. The model with its pooling is exported as `pairmill export --to onnx` does it (`model/onnx.py`).
2. Weights of matrix products become int8, a scale per output channel; activations are scaled as they come, a batch as
   one (arXiv 1712.05877 with ranges found at run time).
3. The file is kept in the machine's temporary directory under the model's checksum; processes that want it at the same
   time wait for the one that makes it.
"""

from __future__ import annotations

import fcntl
import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import numpy as np

from pairmill.embed.engine import Forward
from pairmill.model import onnx
from pairmill.model.encoder import buckets, pad
from pairmill.model.loading import Loaded
from pairmill.runs.units import digest

OUTPUT = onnx.OUTPUTS[1]
VERSION = 1


def int8_forward(loaded: Loaded, checksum: str) -> Forward:
    """The forward pass of a quantised model. What is loaded cannot run in PyTorch afterwards.

    Raises PairmillError where the extra `onnx` is missing or the model cannot be exported.
    """
    onnx.require("precision: int8")
    session = onnx.open_session(quantised(loaded, checksum))
    names = [known.name for known in session.get_inputs()]
    pad_id = loaded.tokenizer.pad_token_id

    def padded(tokens: list[np.ndarray]) -> np.ndarray:
        ids, mask = (part.numpy() for part in pad(tokens, pad_id))
        given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        found: np.ndarray = session.run([OUTPUT], {name: given[name] for name in names})[0]
        return found

    def forward(tokens: list[np.ndarray]) -> np.ndarray:
        lengths = np.fromiter(map(len, tokens), np.int64, len(tokens))  # they ascend, as the engine sorts them
        return np.concatenate([padded(tokens[rows]) for rows in buckets(lengths)])

    return forward


def quantised(loaded: Loaded, checksum: str) -> Path:
    """The quantised model's file, made where this machine has none."""
    versions = [metadata.version(name) for name in ("torch", "onnxruntime")]
    folder = Path(tempfile.gettempdir()) / "pairmill-models" / f"int8-{digest([checksum, versions, VERSION], 24)}"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "model.onnx"
    with _locked(folder / "lock"):
        if not file.exists():
            _quantise(loaded, file)
    return file


def _quantise(loaded: Loaded, file: Path) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    plain = loaded._replace(settings=replace(loaded.settings, normalize=False))
    with tempfile.TemporaryDirectory(dir=file.parent) as folder:
        exported, made = Path(folder) / "exported.onnx", Path(folder) / "model.onnx"
        onnx.write(plain, exported)
        with _quiet():
            quantize_dynamic(
                exported, made, op_types_to_quantize=["MatMul", "Gemm"], per_channel=True, weight_type=QuantType.QInt8
            )
        made.replace(file)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the advice to preprocess the model first: it is for static quantisation."""
    logger = logging.getLogger()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
