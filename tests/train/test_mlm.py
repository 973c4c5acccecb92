"""The masked-language loss: its formula, its sums, its heads, and learning below the unigram baseline."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from torch import nn
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertModel,
    ModernBertConfig,
    ModernBertForMaskedLM,
    PreTrainedTokenizerFast,
    XLMRobertaConfig,
    XLMRobertaForMaskedLM,
)

import corpus
from pairmill.errors import SpecError
from pairmill.model.alibi import AlibiConfig, AlibiForMaskedLM
from pairmill.model.masked import mlm_head
from pairmill.model.packing import pack
from pairmill.train.masking import Masked, Vocabulary, mask, row_keys, vocabulary_of
from pairmill.train.objectives.mlm import mlm_loss, unigram_loss

SMALL: dict[str, Any] = {
    "vocab_size": 50,
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "pad_token_id": 0,
}
MODELS = {
    "alibi": lambda: AlibiForMaskedLM(AlibiConfig(**SMALL)),
    "bert": lambda: BertForMaskedLM(BertConfig(**SMALL)),
    "xlm-roberta": lambda: XLMRobertaForMaskedLM(XLMRobertaConfig(**SMALL)),
    "modernbert": lambda: ModernBertForMaskedLM(
        ModernBertConfig(**SMALL, bos_token_id=1, eos_token_id=2, cls_token_id=1, sep_token_id=2)
    ),
}


def some_masked(count: int = 40) -> Masked:
    tokens = np.random.default_rng(0).integers(5, 50, count).astype(np.int32)
    vocabulary = Vocabulary(np.zeros(50, bool), np.arange(50) < 5, 4)
    return mask(tokens, np.array([0, count]), vocabulary, row_keys(0, 0, np.arange(1)))


def test_the_loss_is_the_formula_and_counts_right_guesses() -> None:
    torch.manual_seed(0)
    masked, head = some_masked(), nn.Linear(16, 50, dtype=torch.float64)
    hidden = torch.randn(40, 16, dtype=torch.float64)
    found = mlm_loss(head, hidden, masked, len(masked.positions))
    logits = hidden.detach().numpy() @ head.weight.detach().numpy().T + head.bias.detach().numpy()
    chosen = logits[masked.positions]
    share = np.exp(chosen) / np.exp(chosen).sum(1, keepdims=True)
    right = -np.log(share[np.arange(len(chosen)), masked.labels]).mean()
    assert found.loss.item() == pytest.approx(right, abs=1e-12)
    assert found.correct.item() == (chosen.argmax(1) == masked.labels).sum()


def test_losses_of_parts_add_up_to_the_whole_with_gradients() -> None:
    torch.manual_seed(0)
    masked, head = some_masked(), nn.Linear(16, 50, dtype=torch.float64)
    hidden = torch.randn(40, 16, dtype=torch.float64, requires_grad=True)
    count = len(masked.positions)
    assert count > 3
    whole = mlm_loss(head, hidden, masked, count)
    parts = [
        mlm_loss(head, hidden, Masked(masked.inputs, masked.positions[part], masked.labels[part]), count)
        for part in (slice(0, 3), slice(3, count), slice(0, 0))
    ]
    total = torch.stack([part.loss for part in parts]).sum()
    assert total.item() == pytest.approx(whole.loss.item(), abs=1e-12)
    assert sum(part.correct.item() for part in parts) == whole.correct.item()
    inputs = [hidden, *head.parameters()]
    for one, other in zip(torch.autograd.grad(total, inputs), torch.autograd.grad(whole.loss, inputs), strict=True):
        torch.testing.assert_close(one, other, atol=1e-12, rtol=0)


@pytest.mark.parametrize("name", MODELS)
def test_the_head_of_hidden_states_gives_the_models_own_logits(name: str) -> None:
    torch.manual_seed(0)
    model = MODELS[name]().eval()
    ids = torch.randint(5, 50, (2, 9))
    with torch.no_grad():
        hidden = model.base_model(ids).last_hidden_state
        torch.testing.assert_close(mlm_head(model)(hidden), model(ids).logits)


def test_a_model_without_a_known_head_is_refused() -> None:
    with pytest.raises(SpecError, match="BertModel has no head for masked tokens"):
        mlm_head(BertModel(BertConfig(**SMALL)))


def test_the_unigram_loss_is_the_cross_entropy_of_frequencies() -> None:
    counts, labels = np.array([0, 2, 6]), np.array([1, 2, 2, 0])
    assert unigram_loss(counts, labels) == pytest.approx(-np.log([3 / 11, 7 / 11, 7 / 11, 1 / 11]).mean())


def word_piece(texts: list[str]) -> PreTrainedTokenizerFast:
    backend = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer()
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    backend.train_from_iterator(texts, trainers.WordPieceTrainer(vocab_size=600, special_tokens=specials))
    backend.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", None, [("[CLS]", 2), ("[SEP]", 3)])
    return PreTrainedTokenizerFast(tokenizer_object=backend, mask_token="[MASK]", pad_token="[PAD]")


def test_a_small_model_learns_real_text_below_the_unigram_baseline() -> None:
    texts = sorted({side for row in corpus.catalogue_rows(("de",)) for side in row[:2]})
    np.random.default_rng(0).shuffle(texts)
    tokenizer = word_piece(texts)
    vocabulary = vocabulary_of(tokenizer)
    tokens = [np.array(ids, np.int32) for ids in tokenizer(texts, truncation=True, max_length=64)["input_ids"]]
    held_out, tokens = tokens[:200], tokens[200:]
    torch.manual_seed(0)
    sizes = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 96}
    model = AlibiForMaskedLM(AlibiConfig(vocab_size=len(vocabulary.special), hidden_dropout_prob=0.0, **sizes))
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    warm = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / 20))

    def loss(rows: list[np.ndarray], step: int) -> tuple[torch.Tensor, float, np.ndarray]:
        ids, packing, order = pack(rows)
        masked = mask(ids, packing.offsets, vocabulary, row_keys(0, step, order))
        hidden = model.encoder(torch.from_numpy(masked.inputs)[None], packing=packing).last_hidden_state[0]
        found = mlm_loss(mlm_head(model), hidden, masked, len(masked.labels))
        return found.loss, found.correct.item() / len(masked.labels), masked.labels

    for step in range(80):
        optimizer.zero_grad()
        loss([tokens[at] for at in np.random.default_rng(step).integers(0, len(tokens), 64)], step)[0].backward()
        optimizer.step()
        warm.step()
    with torch.no_grad():
        found, accuracy, labels = loss(held_out, -1)
    counts = np.bincount(np.concatenate(tokens), minlength=len(vocabulary.special)) * ~vocabulary.special
    baseline = unigram_loss(counts, labels)
    assert found.item() < baseline - 0.1
    assert accuracy > (labels == counts.argmax()).mean()
