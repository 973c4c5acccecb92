"""The ALiBi encoder against its formula written out, packed against padded, and loaded where Pairmill is not."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from pairmill.model import alibi
from pairmill.model.alibi import AlibiConfig, AlibiForMaskedLM, AlibiModel
from pairmill.model.packing import pack

LENGTHS = (5, 9, 5, 30, 1, 9, 9)
VOCABULARY = 101

LOAD_ELSEWHERE = """
import resource, sys
sys.modules["pairmill"] = None  # not to be imported
import numpy as np, torch
from sentence_transformers import SentenceTransformer
from transformers import AutoModel, AutoModelForMaskedLM
folder, long = sys.argv[1:]
given = np.load(folder + "/given.npz")
ids, mask = torch.from_numpy(given["ids"]), torch.from_numpy(given["mask"])
with torch.no_grad():
    hidden = AutoModel.from_pretrained(folder, trust_remote_code=True)(ids, attention_mask=mask).last_hidden_state
    logits = AutoModelForMaskedLM.from_pretrained(folder, trust_remote_code=True)(ids, attention_mask=mask).logits
    vectors = SentenceTransformer(folder, device="cpu", trust_remote_code=True).encode(["a b c", "d e"])
    model = AutoModel.from_pretrained(long, trust_remote_code=True)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    states = model(torch.arange(8192)[None] % 100).last_hidden_state
    megabytes = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
np.savez(folder + "/found.npz", hidden=hidden, logits=logits, vectors=vectors, states=states, megabytes=megabytes)
"""


def config(**changes: Any) -> AlibiConfig:
    small = {
        "vocab_size": VOCABULARY,
        "hidden_size": 24,
        "num_hidden_layers": 2,
        "num_attention_heads": 6,
        "intermediate_size": 40,
        "max_position_embeddings": 64,
        "hidden_dropout_prob": 0.0,
        "initializer_range": 0.2,
    }
    return AlibiConfig(**{**small, **changes})


def texts() -> list[np.ndarray]:
    numbers = np.random.default_rng(0)
    return [numbers.integers(1, VOCABULARY, length).astype(np.int32) for length in LENGTHS]


def padded(tokens: list[np.ndarray], left: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
    longest = max(map(len, tokens))
    ids, mask = torch.zeros(len(tokens), longest, dtype=torch.long), torch.zeros(len(tokens), longest, dtype=torch.long)
    for row, text in enumerate(tokens):
        place = slice(longest - len(text), longest) if left else slice(0, len(text))
        ids[row, place], mask[row, place] = torch.from_numpy(text).long(), 1
    return ids, mask


def written_out(model: AlibiModel, text: np.ndarray) -> torch.Tensor:
    """The hidden states of one text by the textbook: softmax(q k / sqrt(w) - m |i - j|) v, nothing fused or packed."""
    c, length = model.config, len(text)
    place = torch.arange(length)
    hidden = model.embeddings.words.weight[torch.from_numpy(text).long()]
    bias = torch.zeros(c.num_attention_heads, length, length)
    if c.position == "learned":
        hidden = hidden + model.embeddings.positions.weight[:length]
    else:
        bias = -torch.tensor(alibi.slopes(c.num_attention_heads))[:, None, None] * (place[:, None] - place).abs()
    hidden = model.embeddings.norm(hidden)
    act = torch.relu if c.feed_forward == "reglu" else functional.gelu
    for layer in model.layers:
        qkv = layer.attention.qkv(hidden).view(length, 3, c.num_attention_heads, -1)
        query, key, value = qkv.permute(1, 2, 0, 3)
        weights = torch.softmax(query @ key.transpose(1, 2) / query.shape[-1] ** 0.5 + bias, -1)
        attended = (weights @ value).transpose(0, 1).reshape(length, -1)
        hidden = layer.attention_norm(hidden + layer.attention.out(attended))
        gate, up = layer.feed_forward.gate_up(hidden).chunk(2, -1)
        hidden = layer.feed_forward_norm(hidden + layer.feed_forward.down(act(gate) * up))
    return hidden


def packed(model: AlibiModel, tokens: list[np.ndarray]) -> list[torch.Tensor]:
    ids, packing, order = pack(tokens)
    hidden = model(input_ids=torch.from_numpy(ids)[None], packing=packing).last_hidden_state[0]
    parts = hidden.split(packing.lengths.tolist())
    return [parts[at] for at in np.argsort(order)]


@contextmanager
def float64() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


def gradients(model: AlibiModel, hidden: list[torch.Tensor]) -> list[torch.Tensor]:
    """Of a function that weighs every number of every token differently."""
    total = torch.stack([(part * torch.arange(1.0, part.numel() + 1).view_as(part).sin()).sum() for part in hidden])
    return list(torch.autograd.grad((total * torch.arange(1.0, len(hidden) + 1)).sum(), list(model.parameters())))


def test_slopes_are_those_of_the_paper_for_any_number_of_heads() -> None:
    assert alibi.slopes(8) == [2.0**-h for h in range(1, 9)]
    assert alibi.slopes(12) == alibi.slopes(8) + [2.0 ** -(h / 2) for h in (1, 3, 5, 7)]
    assert all(len(set(alibi.slopes(heads))) == heads for heads in range(1, 40))


@pytest.mark.parametrize("length", [1, 2, 9])
def test_the_bias_is_minus_slope_times_distance_on_cpu_and_aligned_for_gpus(length: int) -> None:
    place = torch.arange(length)
    right = -torch.tensor(alibi.slopes(6))[:, None, None] * (place[:, None] - place).abs()
    view = alibi.reversed_bias(6, length, torch.float32, torch.device("cpu"))
    masked = alibi.masked_bias(6, torch.ones(1, length, dtype=torch.bool), torch.float32, True)
    longer = alibi.reversed_bias(6, length + 4, torch.float32, torch.device("cpu"))[:, :, 4:, :length]
    for bias in (view, masked, longer):
        assert torch.equal(bias[0].flip(-1), right)
    meta = alibi.reversed_bias(6, length, torch.float32, torch.device("meta"))
    assert meta.shape == view.shape and meta.stride(-2) % alibi.ALIGNMENT == 0


@pytest.mark.parametrize(
    "changes", [{}, {"feed_forward": "reglu"}, {"position": "learned"}, {"num_attention_heads": 8}]
)
def test_packed_equals_padded_equals_the_formula_with_gradients(changes: dict[str, Any]) -> None:
    torch.manual_seed(0)
    with float64():
        model, tokens = AlibiModel(config(**changes)), texts()
        right = [written_out(model, text) for text in tokens]
        slope = gradients(model, right)
        found = {"packed": packed(model, tokens)}
        for left in (False, True):
            ids, mask = padded(tokens, left)
            hidden = model(ids, attention_mask=mask).last_hidden_state
            assert (hidden[mask == 0] == 0).all()
            found[f"padded, left: {left}"] = [hidden[row][mask[row] == 1] for row in range(len(tokens))]
        for name, parts in found.items():
            for one, other in zip(parts, right, strict=True):
                torch.testing.assert_close(one, other, atol=1e-8, rtol=0, msg=name)
            for one, other in zip(gradients(model, parts), slope, strict=True):
                torch.testing.assert_close(one, other, atol=1e-8, rtol=1e-8, msg=name)


@pytest.mark.parametrize("position", alibi.POSITIONS)
def test_an_exported_graph_takes_other_shapes_and_equals_the_model(position: str) -> None:
    torch.manual_seed(0)
    model = AlibiModel(config(position=position)).eval()
    n, length = torch.export.Dim("n", min=2), torch.export.Dim("length", min=2, max=64)
    ids, mask = padded(texts()[:3], left=True)
    shapes = {"input_ids": {0: n, 1: length}, "attention_mask": {0: n, 1: length}}
    graph = torch.export.export(model, (), {"input_ids": ids, "attention_mask": mask}, dynamic_shapes=shapes)
    ids, mask = padded(texts())
    found = graph.module()(input_ids=ids, attention_mask=mask).last_hidden_state
    right = model(ids, attention_mask=mask).last_hidden_state
    torch.testing.assert_close(found[mask == 1], right[mask == 1], atol=1e-5, rtol=1e-5)


def test_a_sequence_without_tokens_is_zeros_and_a_batch_of_them_is_refused() -> None:
    model = AlibiModel(config()).eval()
    ids, mask = padded(texts())
    mask[1] = 0
    assert (model(ids, attention_mask=mask).last_hidden_state[1] == 0).all()
    with pytest.raises(ValueError, match="nothing but padding"):
        model(ids, attention_mask=torch.zeros_like(mask))


def test_learned_positions_end_where_the_table_ends_and_alibi_does_not() -> None:
    ids = torch.ones(1, 65, dtype=torch.long)
    with pytest.raises(ValueError, match="65 tokens, but the model has 64 learned positions"):
        AlibiModel(config(position="learned"))(ids)
    assert AlibiModel(config())(ids).last_hidden_state.isfinite().all()


def test_given_positions_are_used_by_learned_positions() -> None:
    torch.manual_seed(0)
    model = AlibiModel(config(position="learned")).eval()
    ids, mask = padded(texts())
    places = torch.arange(ids.shape[1])[None]
    right = model(ids, attention_mask=mask).last_hidden_state
    assert torch.equal(model(ids, attention_mask=mask, position_ids=places).last_hidden_state, right)
    assert not torch.allclose(model(ids, attention_mask=mask, position_ids=places + 1).last_hidden_state, right)


def test_what_the_model_does_not_know_is_refused() -> None:
    ids = torch.ones(1, 3, dtype=torch.long)
    model = AlibiModel(config())
    model(ids, token_type_ids=torch.zeros_like(ids), output_attentions=None, output_hidden_states=False)
    with pytest.raises(ValueError, match="does not take output_attentions"):
        model(ids, output_attentions=True)
    for wrong in ({"feed_forward": "swiglu"}, {"position": "rope"}, {"num_attention_heads": 5}):
        with pytest.raises(ValueError):
            config(**wrong)


def test_gradient_checkpointing_keeps_the_gradients_and_computes_layers_twice() -> None:
    torch.manual_seed(0)
    model = AlibiModel(config()).train()
    calls: list[int] = []
    model.layers[1].feed_forward.register_forward_hook(lambda *given: calls.append(1))
    right = gradients(model, packed(model, texts()))
    plain = len(calls)
    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    found = gradients(model, packed(model, texts()))
    assert (plain, len(calls)) == (1, 3)
    assert all(torch.equal(one, other) for one, other in zip(found, right, strict=True))


def test_half_precision_by_autocast_stays_close() -> None:
    torch.manual_seed(0)
    model, tokens = AlibiModel(config()).eval(), texts()
    right = packed(model, tokens)
    with torch.autocast("cpu", torch.bfloat16):
        found = packed(model, tokens)
    assert max((one - other).abs().max().item() for one, other in zip(found, right, strict=True)) < 0.1


def test_the_head_is_tied_and_stays_so_when_the_vocabulary_grows() -> None:
    model = AlibiForMaskedLM(config())
    model.resize_token_embeddings(VOCABULARY + 7)
    assert model.head.decoder.weight is model.encoder.embeddings.words.weight
    ids, mask = padded(texts())
    labels = ids.masked_fill(mask == 0, -100)
    found = model(ids, attention_mask=mask, labels=labels)
    assert found.logits.shape[-1] == VOCABULARY + 7 == model.config.vocab_size
    log = found.logits.log_softmax(-1)[mask == 1]
    torch.testing.assert_close(found.loss, -log[torch.arange(len(log)), ids[mask == 1]].mean())


def word_tokenizer() -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = ["[PAD]", "[UNK]", *"abcdefgh"]
    backend = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, "[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="[PAD]", unk_token="[UNK]")


def test_a_saved_model_loads_without_pairmill_and_reads_8192_tokens_in_little_memory(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = AlibiForMaskedLM(config()).eval()
    model.save_pretrained(tmp_path)
    word_tokenizer().save_pretrained(tmp_path)
    AlibiModel(config(num_hidden_layers=1, num_attention_heads=12)).save_pretrained(tmp_path / "long")
    ids, mask = padded(texts())
    np.savez(tmp_path / "given.npz", ids=ids, mask=mask)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment |= {"HF_MODULES_CACHE": str(tmp_path / "modules"), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", LOAD_ELSEWHERE, str(tmp_path), str(tmp_path / "long")]
    subprocess.run(command, check=True, env=environment, cwd=tmp_path, timeout=300)

    found = np.load(tmp_path / "found.npz")
    with torch.no_grad():
        right = model(ids, attention_mask=mask).logits.numpy()
        hidden = model.encoder(ids, attention_mask=mask).last_hidden_state.numpy()
        vectors = [model.encoder(torch.tensor([text])).last_hidden_state[0].mean(0) for text in ([2, 3, 4], [5, 6])]
    np.testing.assert_allclose(found["hidden"], hidden, atol=1e-6)
    np.testing.assert_allclose(found["logits"], right, atol=1e-5)
    np.testing.assert_allclose(found["vectors"], torch.stack(vectors).numpy(), atol=1e-6)
    assert np.isfinite(found["states"]).all()
    assert found["megabytes"] < 300, "a bias of 8192 x 8192 in 12 heads would be 3072 MiB"
