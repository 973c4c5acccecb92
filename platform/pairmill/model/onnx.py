"""ONNX: a model directory gets `onnx/model.onnx`, where sentence-transformers and optimum look for it.

1. The plain Hugging Face model, with eager attention and without packing, is exported by PyTorch's exporter of traced
   programs (`torch.onnx.export(dynamo=True)`), with any number of texts and any length.
2. Inputs are `input_ids` and `attention_mask`, and `token_type_ids` where the tokenizer gives them; padding is on the
   right. Outputs are `last_hidden_state` (n, L, d), and `sentence_embedding` (n, d) as SentenceTransformer gives it:
   pooled, and normalised where the model's settings say so.
3. onnxruntime embeds real texts of several languages and lengths, and the vectors are compared with ours. A difference
   above `TOLERANCE` is an error, and no file is left.

Weights are in the file itself, or beyond what Protocol Buffers hold in `model.onnx_data` beside it.
"""

from __future__ import annotations

import contextlib
import importlib.util
import inspect
import logging
import shutil
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from pairmill.errors import PairmillError
from pairmill.model.encoder import base, evaluating, pad
from pairmill.model.loading import Loaded, load
from pairmill.model.pooling import pool_padded
from pairmill.model.settings import Settings
from pairmill.spec.model import Encoder as Spec

NEEDED = ("onnx", "onnxruntime", "onnxscript")  # the extra `onnx`
OPSET = 18
TOLERANCE = 1e-4  # of the numbers of a normalised vector
LONGEST = 2048  # tokens of the longest text compared: the memory of eager attention grows with the square
PROTOBUF_BYTES = 1_900_000_000  # of weights in the file itself; Protocol Buffers end at 2 GiB
AXES = {0: "batch_size", 1: "sequence_length"}  # optimum's names
OUTPUTS = ("last_hidden_state", "sentence_embedding")

#: Article 1 of the Universal Declaration of Human Rights (United Nations, 1948), first sentence.
TEXTS = (
    "All human beings are born free and equal in dignity and rights.",
    "Alle Menschen sind frei und gleich an Würde und Rechten geboren.",
    "Todos los seres humanos nacen libres e iguales en dignidad y derechos.",
    "Tous les êtres humains naissent libres et égaux en dignité et en droits.",
    "Все люди рождаются свободными и равными в своем достоинстве и правах.",
    "人人生而自由，在尊严和权利上一律平等。",
    "すべての人間は、生れながらにして自由であり、かつ、尊厳と権利とについて平等である。",
    "يولد جميع الناس أحرارًا متساوين في الكرامة والحقوق.",
    "सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता और समानता प्राप्त है।",
    "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다.",
)


class Parity(NamedTuple):
    """How far onnxruntime's vectors are from ours: the largest difference of two numbers of normalised vectors."""

    difference: float
    texts: int
    longest: int

    def __str__(self) -> str:
        return (
            f"{self.texts} texts of 1 to {self.longest} tokens: largest difference of normalised vectors "
            f"{self.difference:.1e}, allowed {TOLERANCE:.0e}"
        )


class Graph(nn.Module):
    """What is exported: the model with its pooling."""

    def __init__(self, model: Any, settings: Settings):
        super().__init__()
        self.model = model
        self.settings = settings

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, token_type_ids: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Inputs (n, L) -> hidden states (n, L, d), vectors (n, d)."""
        types = {} if token_type_ids is None else {"token_type_ids": token_type_ids}
        hidden = self.model(input_ids=input_ids, attention_mask=attention_mask, return_dict=False, **types)[0]
        pooled = pool_padded(hidden, attention_mask, self.settings.pooling)
        return hidden, functional.normalize(pooled, dim=-1) if self.settings.normalize else pooled


def add_onnx(folder: Path, trust: bool = False) -> Parity:
    """Write `onnx/model.onnx` into a model directory. `trust`: run Python code that comes with the model.

    Raises PairmillError where the extra is missing, the model cannot be loaded or exported, or its vectors differ.
    """
    require()
    loaded = load(str(folder), Spec(path=str(folder), trust_remote_code=trust))
    texts = tokens(loaded)
    with evaluating(loaded.encoder):
        ours = functional.normalize(loaded.encoder(texts), dim=-1).numpy()
    target = folder / "onnx"
    target.mkdir()
    try:
        write(loaded, target / "model.onnx")
        found = Parity(_difference(target / "model.onnx", texts, ours, loaded), len(texts), max(map(len, texts)))
        if not found.difference <= TOLERANCE:
            raise PairmillError(
                f"{folder}: the ONNX model gives other vectors. {found}. No file was left. Try other versions of "
                "torch and onnxruntime (`pip install -c cluster/constraints.txt`), or report it."
            )
        return found
    except BaseException:
        shutil.rmtree(target)
        raise


def require(asked: str = "--to onnx") -> None:
    """Raises PairmillError, in the name of what was asked, where a package of the extra `onnx` is missing."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise PairmillError(
            f"{asked} needs {', '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not installed. "
            "Run: pip install 'pairmill[onnx]'"
        )


def tokens(loaded: Loaded) -> list[np.ndarray]:
    """The token ids of the texts to compare: one token, each text, and all of them up to the greatest length."""
    longest = min(loaded.settings.max_length, LONGEST)

    def ids(text: str) -> np.ndarray:
        return np.asarray(loaded.tokenizer(text, truncation=True, max_length=longest)["input_ids"], np.int32)

    each = [ids(text) for text in TEXTS]
    times = longest // sum(map(len, each)) + 2
    return [each[0][:1], *each, ids(" ".join(TEXTS * times))]


def write(loaded: Loaded, file: Path) -> None:
    """Export the model alone, without a check. Its attention is eager from here on."""
    import onnx_ir

    model = base(loaded.encoder.model)
    model.set_attn_implementation("eager")
    names = input_names(loaded)
    example = torch.full((2, 8), loaded.tokenizer.pad_token_id)
    given = (example, torch.ones_like(example), torch.zeros_like(example))[: len(names)]
    with _quiet(), evaluating(model):
        try:
            program = torch.onnx.export(
                Graph(model, loaded.settings).eval(),
                given,
                dynamo=True,
                input_names=names,
                output_names=OUTPUTS,
                dynamic_shapes=(AXES,) * len(names),
                opset_version=OPSET,
                verbose=False,
            )
        except torch.onnx.errors.OnnxExporterError as error:
            raise PairmillError(
                f"a model of type {model.config.model_type!r} cannot be exported to ONNX: PyTorch's exporter says "
                f"{error.__cause__ or error}"
            ) from error
    assert program is not None, "dynamo=True gives a program"
    for node in program.model.graph.all_nodes():
        node.metadata_props.clear()  # stack traces with paths of this machine
    size = sum(weights.numel() * weights.element_size() for weights in model.parameters())
    onnx_ir.save(program.model, file, external_data=None if size <= PROTOBUF_BYTES else f"{file.name}_data")


def input_names(loaded: Loaded) -> list[str]:
    """The model's inputs, of those that its tokenizer gives."""
    taken = inspect.signature(base(loaded.encoder.model).forward).parameters
    given = {"input_ids", "attention_mask", *loaded.tokenizer.model_input_names}
    return [name for name in ("input_ids", "attention_mask", "token_type_ids") if name in given and name in taken]


def embed(session: Any, texts: Sequence[np.ndarray], pad_id: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Token ids of n texts through onnxruntime: hidden states (n, L, d), vectors (n, d), mask (n, L)."""
    ids, mask = (part.numpy() for part in pad(texts, pad_id))
    given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
    hidden, vectors = session.run(list(OUTPUTS), {known.name: given[known.name] for known in session.get_inputs()})
    return hidden, vectors, mask


def _difference(file: Path, texts: list[np.ndarray], ours: np.ndarray, loaded: Loaded) -> float:
    """The largest difference of both outputs: the shorter texts in one batch, padded, the first and the last alone."""
    session = open_session(file)
    worst = []
    for rows in (slice(0, 1), slice(0, -1), slice(-1, None)):
        hidden, vectors, mask = embed(session, texts[rows], loaded.tokenizer.pad_token_id)
        pooled = pool_padded(torch.from_numpy(hidden), torch.from_numpy(mask), loaded.settings.pooling)
        for found in (pooled, torch.from_numpy(vectors)):
            worst.append(np.abs(functional.normalize(found, dim=-1).numpy() - ours[rows]).max())
    return float(np.max(worst))


def open_session(file: Path) -> Any:
    """onnxruntime's session on the CPU, with as many threads as PyTorch has."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's warnings about packages that no encoder needs."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
