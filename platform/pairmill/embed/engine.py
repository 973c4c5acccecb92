"""The engine: texts in, vectors out, in their order.

1. Equal texts are encoded once. The others are tokenised in windows of WINDOW texts and sorted by length.
2. A window is cut into micro-batches of at most `micro_batch` tokens. fp32, bf16 and fp16 run them packed, without
   padding, where the model's type can (`model/encoder.py`); int8 runs them in ONNX Runtime (`embed/int8.py`).
3. A vector with a NaN or an infinite number is refused: the error names the text.
4. The first `dims` numbers are taken (Matryoshka, arXiv 2205.13147) and normalised to length 1.

What else is in a batch changes fp32 vectors by rounding alone (1e-6). int8 scales the activations of a batch as one, so
its vectors differ by about as much as they differ from fp32's.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from pairmill.errors import PairmillError, SpecError
from pairmill.model import places
from pairmill.model.encoder import evaluating
from pairmill.model.loading import Loaded, load
from pairmill.model.settings import Settings
from pairmill.runs.units import digest
from pairmill.spec import model as spec_model
from pairmill.spec.embed import Precision

#: Token ids of some texts -> their vectors (n, d), not normalised.
Forward = Callable[[list[np.ndarray]], np.ndarray]
WINDOW = 32_768  # texts that are sorted by length together
TOKENISED = 1024  # texts tokenised at a time: the tokenizer holds all tokens of a long text, also those cut off
#: Tokens per forward pass: on a CPU what its caches hold; a GPU wants much at a time.
MICRO_BATCH = {"cpu": 4096, "cuda": 65_536}
_HALVES = {"bf16": torch.bfloat16, "fp16": torch.float16}


class NotFinite(PairmillError):
    """A text whose vector holds NaN or infinite numbers; `row` is its place among the texts."""

    def __init__(self, row: int, text: str, precision: str):
        self.row = row
        shown = text if len(text) <= 80 else text[:79] + "…"
        remedy = "bf16 or fp32" if precision == "fp16" else "another precision"
        super().__init__(
            f"text {row}, {shown!r}: its vector in {precision} holds NaN or infinite numbers. "
            f"Try precision: {remedy}; if it is so in fp32 too, the model's weights are damaged."
        )


class Engine:
    """A model that is ready to encode. `dims` is the dimension of its vectors, `checksum` names what determines them
    but for precision, dims and prompt: the model's files, pooling and max_length."""

    def __init__(
        self,
        loaded: Loaded,
        forward: Forward,
        checksum: str,
        precision: Precision = "fp32",
        dims: int | None = None,
        normalize: bool = True,
        micro_batch: int = MICRO_BATCH["cpu"],
    ):
        self.checksum, self.precision, self.normalize, self.micro_batch = checksum, precision, normalize, micro_batch
        self.prompts = dict(loaded.settings.prompts)
        self._forward = forward
        tokenizer = loaded.tokenizer
        self._tokenizer: Any = tokenizer.backend_tokenizer
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(loaded.settings.max_length, direction=tokenizer.truncation_side)
        self.width = forward([np.array([tokenizer.pad_token_id], np.int32)]).shape[1]
        if dims is not None and not 0 < dims <= self.width:
            raise SpecError(f"dims: {dims}, but the model's vectors have {self.width}. Allowed: 1 to {self.width}.")
        self.dims = dims or self.width

    def encode(self, texts: Sequence[str], prompt: str | None = None) -> np.ndarray:
        """Texts -> vectors (n, d) float32. `prompt` is the name of one of `prompts`.

        Raises SpecError for a prompt that the model does not have, NotFinite for a vector that is no vector.
        """
        before = self.prompt(prompt)
        first: dict[str, int] = {}
        place = np.fromiter((first.setdefault(text, len(first)) for text in texts), np.int64, len(texts))
        distinct = list(first)
        vectors = np.zeros((len(distinct), self.dims), np.float32)
        for start in range(0, len(distinct), WINDOW):
            window = distinct[start : start + WINDOW]
            self._encode([before + text for text in window] if before else window, vectors[start : start + WINDOW])
        wrong = np.flatnonzero(~np.isfinite(vectors).all(1))
        if len(wrong):
            row = int(np.flatnonzero(place == wrong[0])[0])
            raise NotFinite(row, texts[row], self.precision)
        return vectors if len(distinct) == len(texts) else vectors[place]

    def prompt(self, name: str | None) -> str:
        """What the prompt called `name` puts before texts; "" for None. Raises SpecError."""
        return prompt_text(self.prompts, name)

    def _encode(self, texts: list[str], out: np.ndarray) -> None:
        """Fill `out` (n, d); the row of a text without tokens stays zero."""
        tokens = [
            np.array(found.ids, np.int32)
            for start in range(0, len(texts), TOKENISED)
            for found in self._tokenizer.encode_batch_fast(texts[start : start + TOKENISED])
        ]
        lengths = np.fromiter(map(len, tokens), np.int64, len(tokens))
        order = np.argsort(lengths, kind="stable")
        order = order[lengths[order] > 0]
        for rows in _cut(lengths[order], self.micro_batch):
            chosen = order[rows]
            out[chosen] = self._finish(self._forward([tokens[i] for i in chosen]))

    def _finish(self, vectors: np.ndarray) -> np.ndarray:
        vectors = vectors[:, : self.dims]
        if not self.normalize:
            return vectors
        length = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))[:, None]
        return vectors / np.maximum(length, 1e-12)


def _cut(lengths: np.ndarray, tokens: int) -> Iterator[slice]:
    """Cut lengths into runs of at most so many tokens, of one text at least."""
    ends = np.cumsum(lengths)
    start = done = 0
    while start < len(lengths):
        stop = max(int(np.searchsorted(ends, done + tokens, side="right")), start + 1)
        yield slice(start, stop)
        start, done = stop, int(ends[stop - 1])


def make(
    model: spec_model.Place,
    precision: Precision = "fp32",
    threads: int | None = None,
    dims: int | None = None,
    normalize: bool = True,
    *,
    storage: str = ".",
    device: str | None = None,
    micro_batch: int | None = None,
) -> Engine:
    """The engine of a model: a `Place`, or a section `model:` with pooling, max_length and prompts of its own.

    `storage` is where runs are looked up, `threads` holds for this process, `device` is the GPU where there is one.
    Raises PairmillError where the model cannot be loaded or the precision is not to be had.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    spec = spec_model.Encoder.model_validate(model.model_dump())
    loaded = load(places.local(model, storage), spec)
    # behind loading: files that changed meanwhile give another one
    checksum = checksum_of(model, loaded.settings, storage)
    device = device or ("cuda" if torch.cuda.is_available() and precision != "int8" else "cpu")
    if precision == "int8":
        from pairmill.embed.int8 import int8_forward

        forward = int8_forward(loaded, checksum)
    else:
        forward = torch_forward(loaded, precision, device)
    return Engine(
        loaded, forward, checksum, precision, dims, normalize, micro_batch or MICRO_BATCH[torch.device(device).type]
    )


def checksum_of(model: spec_model.Place, settings: Settings, storage: str) -> str:
    """A digest of what determines vectors, but for precision, dims and prompt."""
    return digest([places.identity(model, storage), settings.pooling, settings.max_length])


def prompt_text(prompts: Mapping[str, str], name: str | None) -> str:
    """What the prompt called `name` puts before texts; "" for None. Raises SpecError."""
    if name is None:
        return ""
    if name not in prompts:
        near = difflib.get_close_matches(name, prompts, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise SpecError(
            f"prompt {name!r}: the model has no prompt of this name.{hint} It has: {', '.join(prompts) or 'none'}. "
            f"Give it one: `model: {{prompts: {{{name}: '{name}: '}}}}`."
        )
    return prompts[name]


def torch_forward(loaded: Loaded, precision: Precision, device: str = "cpu") -> Forward:
    """PyTorch's forward pass, packed where the model can, with weights of that precision."""
    encoder = loaded.encoder.to(device, _HALVES.get(precision, torch.float32))

    def forward(tokens: list[np.ndarray]) -> np.ndarray:
        with evaluating(encoder):
            found: np.ndarray = encoder(tokens).float().cpu().numpy()
        return found

    return forward
