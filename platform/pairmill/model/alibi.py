"""An encoder for long texts: BERT with symmetric ALiBi instead of position embeddings, and a gated feed-forward.

The architecture is that of Jina Embeddings 2 (arXiv 2310.19923, section 4.1): BERT (with its layer norms behind the
residual additions), GEGLU or ReGLU, and in head h the bias -m_h |i - j| on the attention of token i to token j (Press
et al., arXiv 2108.12409, made symmetric). Nothing depends on an absolute position, so a model trained at 512 tokens
runs at 8192.

1. Padding is taken out before the first layer and put back (as zeros) behind the last. Sequences are sorted by length,
   so that those of equal length lie side by side. Callers with a `packing` have done so already.
2. Each group of equal length is one call of PyTorch's attention, with nothing but the bias as its mask.
3. Keys and values run backwards (attention does not mind their order), so the bias depends on i + j alone. As a
   strided view it takes memory for 2L - 1 numbers per head instead of L x L, and that of a shorter sequence is a part
   of it.
4. While the model is traced, compiled or exported to ONNX, shapes must not depend on values: padding stays, masked.

This file needs torch and transformers only: `save_pretrained` copies it beside the weights, and
`AutoModel.from_pretrained(path, trust_remote_code=True)` loads it where Pairmill is not installed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from transformers import PretrainedConfig, PreTrainedModel
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.modeling_outputs import BaseModelOutput, MaskedLMOutput

Groups = Sequence[tuple[int, int]]  # (length, sequences) of the groups of equal length, in the order of the tokens

ACTIVATIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {"geglu": functional.gelu, "reglu": functional.relu}
POSITIONS = ("alibi", "learned")
AUTO_MAP = {  # so that a saved model with its head can be loaded without it
    "AutoConfig": "alibi.AlibiConfig",
    "AutoModel": "alibi.AlibiModel",
    "AutoModelForMaskedLM": "alibi.AlibiForMaskedLM",
}
ALIGNMENT = 8  # of rows of a mask, asked for by PyTorch's attention on GPUs


class AlibiConfig(PretrainedConfig):
    """The defaults are Jina's base model (161 million parameters with a vocabulary of 61,056).

    `position: learned` gives the same model with learned absolute positions, for comparison: it has
    `max_position_embeddings` of them and takes no longer text. With `alibi` that number binds nothing.
    """

    model_type = "alibi"

    def __init__(
        self,
        vocab_size: int = 61056,
        hidden_size: int = 768,
        num_hidden_layers: int = 12,
        num_attention_heads: int = 12,
        intermediate_size: int = 3072,
        feed_forward: str = "geglu",
        position: str = "alibi",
        max_position_embeddings: int = 8192,
        hidden_dropout_prob: float = 0.1,
        attention_probs_dropout_prob: float = 0.0,
        initializer_range: float = 0.02,
        layer_norm_eps: float = 1e-12,
        pad_token_id: int | None = 0,
        tie_word_embeddings: bool = True,
        **kwargs: Any,
    ):
        _one_of("feed_forward", feed_forward, tuple(ACTIVATIONS))
        _one_of("position", position, POSITIONS)
        if hidden_size % num_attention_heads:
            raise ValueError(
                f"hidden_size {hidden_size} is not a multiple of num_attention_heads {num_attention_heads}"
            )
        self.vocab_size = vocab_size
        self.hidden_size = hidden_size
        self.num_hidden_layers = num_hidden_layers
        self.num_attention_heads = num_attention_heads
        self.intermediate_size = intermediate_size
        self.feed_forward = feed_forward
        self.position = position
        self.max_position_embeddings = max_position_embeddings
        self.hidden_dropout_prob = hidden_dropout_prob
        self.attention_probs_dropout_prob = attention_probs_dropout_prob
        self.initializer_range = initializer_range
        self.layer_norm_eps = layer_norm_eps
        self.pad_token_id = pad_token_id
        self.tie_word_embeddings = tie_word_embeddings
        kwargs.setdefault("auto_map", dict(AUTO_MAP))
        super().__init__(**kwargs)


def _one_of(name: str, found: str, allowed: Sequence[str]) -> None:
    if found not in allowed:
        raise ValueError(f"{name}: {found!r} is not one of {', '.join(allowed)}")


def slopes(heads: int) -> list[float]:
    """The slopes m_h: 2^(-8/n), 2^(-16/n), … for n heads, a power of two; for other numbers every second slope of twice
    the power of two below is added to its own (Press et al., their reference code)."""
    power = 1 << (heads.bit_length() - 1)
    first = [2.0 ** (-8.0 * (h + 1) / power) for h in range(power)]
    return first if power == heads else first + slopes(2 * power)[::2][: heads - power]


def reversed_bias(heads: int, length: int, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """The bias for keys in reverse order, (1, heads, length, length): [0, h, i, j] = -m_h |i - (length - 1 - j)|.

    On a CPU it is a view of (heads, 2 * length - 1) numbers, elsewhere a tensor whose rows are aligned.
    """
    exact = torch.promote_types(dtype, torch.float32)
    distance = torch.arange(1 - length, length, device=device, dtype=exact).abs()
    line = (-torch.tensor(slopes(heads), device=device, dtype=exact)[:, None] * distance).to(dtype)
    bias = line.as_strided((1, heads, length, length), (0, 2 * length - 1, 1, 1))
    return bias if device.type == "cpu" else functional.pad(bias, (0, -length % ALIGNMENT))[..., :length]


def masked_bias(heads: int, mask: torch.Tensor, dtype: torch.dtype, alibi: bool) -> torch.Tensor:
    """The same, with the padding of `mask` (n, length) masked: (n, heads or 1, length, length), traceable."""
    place = torch.arange(mask.shape[1], device=mask.device)
    padding = torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill(~mask, torch.finfo(dtype).min)
    bias = padding.flip(1)[:, None, None, :].expand(-1, 1, mask.shape[1], -1)
    if not alibi:
        return bias
    exact = torch.promote_types(dtype, torch.float32)
    distance = (place[:, None] + place + 1 - mask.shape[1]).abs().to(exact)
    return bias - (torch.tensor(slopes(heads), device=mask.device, dtype=exact)[:, None, None] * distance).to(dtype)


class AlibiEmbeddings(nn.Module):
    def __init__(self, config: AlibiConfig):
        super().__init__()
        self.words = nn.Embedding(config.vocab_size, config.hidden_size)
        learned = config.position == "learned"
        self.positions = nn.Embedding(config.max_position_embeddings, config.hidden_size) if learned else None
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, ids: torch.Tensor, positions: torch.Tensor | None) -> torch.Tensor:
        """Token ids and their positions, each (T,) -> (T, d)."""
        hidden = self.words(ids)
        if self.positions is not None:
            hidden = hidden + self.positions(positions)
        return self.dropout(self.norm(hidden))


class AlibiAttention(nn.Module):
    def __init__(self, config: AlibiConfig):
        super().__init__()
        self.heads = config.num_attention_heads
        self.dropout = config.attention_probs_dropout_prob
        self.qkv = nn.Linear(config.hidden_size, 3 * config.hidden_size)
        self.out = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(self, hidden: torch.Tensor, groups: Groups, biases: Sequence[torch.Tensor | None]) -> torch.Tensor:
        """Attention within each sequence, (T, d) -> (T, d)."""
        parts = self.qkv(hidden).split([length * count for length, count in groups])
        found = [self._group(*given) for given in zip(parts, groups, biases, strict=True)]
        return self.out(torch.cat(found) if len(found) > 1 else found[0])

    def _group(self, qkv: torch.Tensor, group: tuple[int, int], bias: torch.Tensor | None) -> torch.Tensor:
        length, count = group
        split = qkv.view(count, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)  # (3, n, h, L, d / h)
        query, (key, value) = split[0], split[1:].flip(3)
        dropout = self.dropout if self.training else 0.0
        found = functional.scaled_dot_product_attention(query, key, value, attn_mask=bias, dropout_p=dropout)
        return found.transpose(1, 2).reshape(count * length, -1)


class AlibiFeedForward(nn.Module):
    """(act(x W) * x V) U, GEGLU or ReGLU (Shazeer, arXiv 2002.05202)."""

    def __init__(self, config: AlibiConfig):
        super().__init__()
        self.activation = ACTIVATIONS[config.feed_forward]
        self.gate_up = nn.Linear(config.hidden_size, 2 * config.intermediate_size, bias=False)
        self.down = nn.Linear(config.intermediate_size, config.hidden_size)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        gate, up = self.gate_up(hidden).chunk(2, -1)
        return self.down(self.activation(gate) * up)


class AlibiLayer(GradientCheckpointingLayer):
    def __init__(self, config: AlibiConfig):
        super().__init__()
        self.attention = AlibiAttention(config)
        self.attention_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.feed_forward = AlibiFeedForward(config)
        self.feed_forward_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, hidden: torch.Tensor, groups: Groups, biases: Sequence[torch.Tensor | None]) -> torch.Tensor:
        hidden = self.attention_norm(hidden + self.dropout(self.attention(hidden, groups, biases)))
        return self.feed_forward_norm(hidden + self.dropout(self.feed_forward(hidden)))


class AlibiPreTrainedModel(PreTrainedModel):
    config_class = AlibiConfig
    base_model_prefix = "encoder"
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _no_split_modules = ["AlibiLayer"]  # noqa: RUF012

    def set_attn_implementation(
        self, attn_implementation: str | dict[Any, Any], allow_all_kernels: bool = False
    ) -> None:
        """There is nothing to set: attention is PyTorch's own, packed or padded."""


class AlibiModel(AlibiPreTrainedModel):
    """The encoder."""

    def __init__(self, config: AlibiConfig):
        super().__init__(config)
        self.embeddings = AlibiEmbeddings(config)
        self.layers = nn.ModuleList(AlibiLayer(config) for _ in range(config.num_hidden_layers))
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        return self.embeddings.words

    def set_input_embeddings(self, value: Any) -> None:
        self.embeddings.words = value

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        token_type_ids: torch.Tensor | None = None,
        packing: Any = None,
        return_dict: bool | None = None,
        **options: Any,
    ) -> BaseModelOutput | tuple[torch.Tensor]:
        """Token ids -> `last_hidden_state`, (n, L, d).

        Either padded: `input_ids` (n, L) with `attention_mask` (n, L), 1 for tokens and 0 for padding at either end.
        Or packed: `input_ids` (1, T) with `packing`, whose `groups` give (length, sequences) in the tokens' order.
        `token_type_ids` are taken, since tokenizers give them, and have no effect; so have `position_ids` with ALiBi.
        """
        _refuse(options)
        if packing is not None:
            given = None if position_ids is None else position_ids.flatten()
            found = self._encode(input_ids.flatten(), packing.groups, given)[None]
        elif torch.jit.is_tracing() or torch.compiler.is_compiling():  # type: ignore[attr-defined]
            found = self._masked(input_ids, attention_mask, position_ids)
        else:
            found = self._unpadded(input_ids, attention_mask, position_ids)
        return (found,) if return_dict is False else BaseModelOutput(last_hidden_state=found)

    def _unpadded(self, ids: torch.Tensor, mask: torch.Tensor | None, positions: torch.Tensor | None) -> torch.Tensor:
        given = None if positions is None else positions.expand_as(ids).flatten()
        if mask is None or bool(mask.all()):
            return self._encode(ids.flatten(), [(ids.shape[1], ids.shape[0])], given).view(*ids.shape, -1)
        index, groups = unpad(mask)
        hidden = self._encode(ids.flatten()[index], groups, None if given is None else given[index])
        empty = hidden.new_zeros(ids.numel(), hidden.shape[-1])
        return empty.index_copy(0, index, hidden).view(*ids.shape, -1)

    def _masked(self, ids: torch.Tensor, mask: torch.Tensor | None, positions: torch.Tensor | None) -> torch.Tensor:
        mask = torch.ones_like(ids, dtype=torch.bool) if mask is None else mask.bool()
        count, length = ids.shape
        if positions is None:
            positions = (mask.long().cumsum(1) - 1).clamp(min=0)
        positions = positions.expand_as(ids)
        alibi = self.config.position == "alibi"
        bias = masked_bias(self.config.num_attention_heads, mask, self._attention_dtype(), alibi)
        return self._layers(ids.flatten(), positions.flatten(), [(length, count)], [bias]).view(count, length, -1)

    def _encode(self, ids: torch.Tensor, groups: Groups, positions: torch.Tensor | None) -> torch.Tensor:
        """Token ids and positions, each (T,), of sequences in groups of equal length -> (T, d)."""
        longest = max(length for length, _ in groups)
        if self.config.position == "alibi":
            bias = reversed_bias(self.config.num_attention_heads, longest, self._attention_dtype(), ids.device)
            return self._layers(ids, None, groups, [bias[:, :, longest - n :, :n] for n, _ in groups])
        if longest > self.config.max_position_embeddings:
            raise ValueError(
                f"a text of {longest} tokens, but the model has {self.config.max_position_embeddings} learned "
                "positions: truncate texts, or train with a larger max_position_embeddings or with position: alibi"
            )
        if positions is None:
            positions = torch.cat([torch.arange(n, device=ids.device).repeat(count) for n, count in groups])
        return self._layers(ids, positions, groups, [None] * len(groups))

    def _layers(
        self,
        ids: torch.Tensor,
        positions: torch.Tensor | None,
        groups: Groups,
        biases: Sequence[torch.Tensor | None],
    ) -> torch.Tensor:
        hidden = self.embeddings(ids, positions)
        for layer in self.layers:
            hidden = layer(hidden, groups, biases)
        return hidden

    def _attention_dtype(self) -> torch.dtype:
        kind = self.device.type
        return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else self.dtype


def unpad(mask: torch.Tensor) -> tuple[torch.Tensor, list[tuple[int, int]]]:
    """Mask (n, L) -> the places (T,) of the tokens in the flattened batch, shortest sequences first; their groups."""
    lengths, order = mask.bool().sum(1).sort(stable=True)
    row, column = mask.bool()[order].nonzero(as_tuple=True)
    sizes, counts = lengths.unique_consecutive(return_counts=True)
    groups = [(size, count) for size, count in zip(sizes.tolist(), counts.tolist(), strict=True) if size]
    if not groups:
        raise ValueError("attention_mask holds nothing but padding: give texts of one token at least")
    return order[row] * mask.shape[1] + column, groups


def _refuse(options: dict[str, Any]) -> None:
    asked = sorted(name for name, value in options.items() if value is not None and value is not False)
    if asked:
        raise ValueError(
            f"the ALiBi encoder does not take {', '.join(asked)}: it takes input_ids, attention_mask, position_ids, "
            "packing and return_dict"
        )


class AlibiHead(nn.Module):
    """BERT's head for masked tokens: a dense layer, GELU, layer norm and the (tied) word embeddings with a bias."""

    def __init__(self, config: AlibiConfig):
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.decoder = nn.Linear(config.hidden_size, config.vocab_size)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """(…, d) -> logits (…, vocabulary)."""
        return self.decoder(self.norm(functional.gelu(self.dense(hidden))))


class AlibiForMaskedLM(AlibiPreTrainedModel):
    """The encoder with its head. Training reads `encoder` and `head` apart (`train/objectives/mlm.py`)."""

    _tied_weights_keys = {"head.decoder.weight": "encoder.embeddings.words.weight"}  # noqa: RUF012

    def __init__(self, config: AlibiConfig):
        super().__init__(config)
        self.encoder = AlibiModel(config)
        self.head = AlibiHead(config)
        self.post_init()

    def get_output_embeddings(self) -> nn.Module:
        return self.head.decoder

    def set_output_embeddings(self, new_embeddings: Any) -> None:
        self.head.decoder = new_embeddings

    def forward(
        self, input_ids: torch.Tensor, labels: torch.Tensor | None = None, **options: Any
    ) -> MaskedLMOutput | tuple[torch.Tensor, ...]:
        """As `AlibiModel.forward`, to logits (n, L, vocabulary); `labels` (n, L) are -100 where nothing is masked."""
        tuples = options.pop("return_dict", None) is False
        logits = self.head(self.encoder(input_ids, **options).last_hidden_state)
        loss = None if labels is None else functional.cross_entropy(logits.flatten(0, 1), labels.flatten())
        found = MaskedLMOutput(loss=loss, logits=logits)
        return found.to_tuple() if tuples else found


AlibiConfig.register_for_auto_class()
AlibiModel.register_for_auto_class("AutoModel")
AlibiForMaskedLM.register_for_auto_class("AutoModelForMaskedLM")
