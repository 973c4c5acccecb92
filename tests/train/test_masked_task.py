"""Masked-language learning: parts, ranks and restarts change nothing; held-out figures are what they say."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertForMaskedLM, BertModel, ModernBertConfig, ModernBertForMaskedLM

from corpus import catalogue_rows, write_jsonl
from pairmill.model.alibi import AlibiConfig, AlibiForMaskedLM
from pairmill.model.encoder import evaluating
from pairmill.model.loading import load
from pairmill.model.masked import MaskedEncoder
from pairmill.model.tokenizer import train
from pairmill.runs.storage import Storage, open_storage
from pairmill.spec.pretrain import PretrainSpec, TextEntry
from pairmill.spec.tokenizer import TokenizerSpec
from pairmill.train.checkpoints import Checkpoints
from pairmill.train.gradient_cache import World
from pairmill.train.loop import Loop
from pairmill.train.masked_task import EVALUATION, NOT_HIDDEN, MaskedTokens, masked_rows
from pairmill.train.masking import Vocabulary, vocabulary_of
from pairmill.train.plan import Group, Plan
from pairmill.train.prepare import Options, prepare
from pairmill.train.reader import Batch, Ragged, Reader, batch
from pairmill.train.start import extended

VOCABULARY, LENGTH, BATCH = 400, 24, 8
SIZES: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "pad_token_id": 0,
}
BERT: dict[str, Any] = {**SIZES, "attention_probs_dropout_prob": 0.0, "hidden_dropout_prob": 0.0}
SPECIALS: dict[str, Any] = {"bos_token_id": 2, "eos_token_id": 3, "cls_token_id": 2, "sep_token_id": 3}
MODELS: dict[str, Any] = {
    "alibi": lambda dropout: AlibiForMaskedLM(AlibiConfig(**SIZES, hidden_dropout_prob=dropout)),
    "bert": lambda dropout: BertForMaskedLM(BertConfig(**BERT)),
    "modernbert": lambda dropout: ModernBertForMaskedLM(ModernBertConfig(**SIZES, **SPECIALS)),
}


class Ready(NamedTuple):
    folder: Path
    storage: Storage
    manifest: dict[str, Any]
    vocabulary: Vocabulary
    tokenizer: Any


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Ready:
    """Texts of the catalogues, prepared with a tokenizer of their own."""
    folder = tmp_path_factory.mktemp("masked")
    rows = catalogue_rows(("de",))
    made = {"kind": "tokenizer", "name": "t", "inputs": [{"run": "none"}], "vocabulary": VOCABULARY}
    tokenizer = train([text for row in rows for text in row[:2]], TokenizerSpec.model_validate(made))
    tokenizer.save_pretrained(folder / "tokenizer")
    write_jsonl(folder / "rows.jsonl", rows)
    columns = {"anchor": "src", "positive": "tgt", "anchor_lang": "src_lang", "positive_lang": "tgt_lang"}
    files = {"format": "jsonl", "path": str(folder / "rows.jsonl"), "columns": columns}
    entry = TextEntry.model_validate({"name": "text", "input": files, "holdout": 30})
    storage = open_storage(str(folder / "storage"))
    manifest = prepare(
        storage,
        [entry],
        str(folder / "tokenizer"),
        Options(max_length=LENGTH, pack="text"),
        lambda name, work, items: [work({"storage": storage.uri, "attempt": "test", **item}) for item in items],
    )
    return Ready(folder, storage, manifest, vocabulary_of(tokenizer), tokenizer)


def spec_of(**changed: Any) -> PretrainSpec:
    micro_batch = changed.pop("micro_batch", 100_000)
    data = [{"name": "text", "run": "none"}]
    given = {"kind": "pretrain", "name": "t", "model": {"path": "none"}, "data": data, "steps": 4, "batch_size": BATCH}
    return PretrainSpec.model_validate({**given, "resources": {"micro_batch": micro_batch}, **changed})


def task_of(ready: Ready, model: str = "alibi", dropout: float = 0.0, world: World | None = None, **spec: Any) -> Any:
    torch.manual_seed(0)
    encoder = MaskedEncoder(MODELS[model](dropout).double(), pad_id=0)
    readers = [Reader(ready.storage, ready.manifest, holdout) for holdout in (False, True)]
    rows = [{group["name"]: group["rows"] for group in ready.manifest[part]} for part in ("groups", "holdout")]
    parts = (readers[0], rows[0], readers[1], rows[1])
    return MaskedTokens(spec_of(**spec), encoder, ready.vocabulary, *parts, world or World())


def plan_of(ready: Ready, steps: int = 4) -> Plan:
    (group,) = ready.manifest["groups"]
    return Plan([Group("text", "text", group["rows"])], BATCH, steps)


def batch_of(ready: Ready, number: int = 1, world: World | None = None) -> Batch:
    world = world or World()
    return batch(Reader(ready.storage, ready.manifest), plan_of(ready).step(number), world.rank, world.size)


def gradients(task: Any) -> torch.Tensor:
    return torch.cat([parameter.grad.flatten() for parameter in task.parts.parameters()])


def test_micro_batches_have_the_loss_and_gradient_of_the_whole_batch(ready: Ready) -> None:
    whole, parts = task_of(ready), task_of(ready, micro_batch=LENGTH)
    figures = [task.backward(1, batch_of(ready), 1.0) for task in (whole, parts)]
    assert figures[0] == pytest.approx(figures[1], abs=1e-12)
    torch.testing.assert_close(gradients(whole), gradients(parts), atol=1e-12, rtol=0)


@pytest.mark.parametrize("model", ["bert", "modernbert"])
def test_loss_and_gradient_are_those_that_transformers_computes_of_the_padded_batch(ready: Ready, model: str) -> None:
    task, read = task_of(ready, model), batch_of(ready)
    figures = task.backward(1, read, 1.0)
    ours = gradients(task)
    task.parts.zero_grad()
    rows = masked_rows(read.tokens["tokens"], read.step.rows, ready.vocabulary, task.spec.masking, 0, 1)
    longest = max(map(len, rows.inputs))
    ids, labels = (
        torch.tensor(np.stack([np.pad(row, (0, longest - len(row)), constant_values=fill) for row in given]))
        for given, fill in ((rows.inputs, 0), (rows.labels, -100))
    )
    bare = MODELS[model](0.0).double()
    bare.load_state_dict(task.encoder.model.state_dict())
    logits = bare(input_ids=ids.long(), attention_mask=(ids != 0).long()).logits
    wanted = labels.masked_fill(labels == NOT_HIDDEN, -100)
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), wanted.flatten())
    loss.backward()
    assert figures["loss"] == pytest.approx(float(loss.detach()), abs=1e-10)
    theirs = {name: parameter.grad for name, parameter in bare.named_parameters()}
    told = torch.cat([theirs[name].flatten() for name, _ in task.encoder.model.named_parameters()])
    torch.testing.assert_close(ours, told, atol=1e-10, rtol=0)


def _rank(ready: Ready, rank: int, size: int, results: Any) -> None:
    torch.distributed.init_process_group("gloo", f"file://{ready.folder}/gloo", rank=rank, world_size=size)
    world = World(rank, size)
    task = task_of(ready, world=world)
    figures = task.backward(1, batch_of(ready, world=world), 1.0)
    summed = world.sum(gradients(task))
    with evaluating(task.parts):
        results.put((rank, figures, summed.numpy(), task.evaluate()))


def test_two_ranks_have_the_figures_and_gradient_of_one(ready: Ready) -> None:
    alone = task_of(ready)
    figures = alone.backward(1, batch_of(ready), 1.0)
    with evaluating(alone.parts):
        evaluation = alone.evaluate()
    context = multiprocessing.get_context("fork")
    results = context.SimpleQueue()
    ranks = [context.Process(target=_rank, args=(ready, rank, 2, results)) for rank in range(2)]
    for rank in ranks:
        rank.start()
    found = [results.get() for _ in ranks]
    for rank in ranks:
        rank.join(60)
    for _, told, summed, evaluated in found:
        assert told == pytest.approx(figures, abs=1e-12)
        np.testing.assert_allclose(summed, gradients(alone).numpy(), atol=1e-12, rtol=0)
        assert evaluated["text"] == pytest.approx(evaluation["text"], abs=1e-12)


def test_training_killed_and_resumed_has_the_weights_of_an_unbroken_one_with_dropout(ready: Ready) -> None:
    def loop(name: str, task: Any) -> Loop:
        checkpoints = Checkpoints(ready.storage, f"checkpoints/{name}", "test", 2)
        return Loop(task.spec, task, plan_of(ready), Reader(ready.storage, ready.manifest), World(), checkpoints)

    class Killed(BaseException):
        pass

    options: dict[str, Any] = {"dropout": 0.1, "checkpoints": {"steps": 1}, "micro_batch": 3 * LENGTH}
    unbroken, resumed, dying = (task_of(ready, **options) for _ in range(3))
    loop("unbroken", unbroken).run()
    learn = dying.backward

    def until_killed(number: int, *given: Any) -> dict[str, float]:
        if number == 2:
            raise Killed
        return learn(number, *given)

    dying.backward = until_killed
    dead = loop("broken", dying)
    with pytest.raises(Killed):
        dead.run()
    dead.checkpoints.wait()  # type: ignore[union-attr]
    with torch.no_grad():
        for parameter in resumed.parts.parameters():
            parameter.zero_()  # all weights come from the checkpoint
    facts = loop("broken", resumed).run()
    assert [evaluation["step"] for evaluation in facts["evaluations"]] == [0, 4]
    for one, other in zip(unbroken.parts.parameters(), resumed.parts.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_rows_mask_depends_on_seed_step_and_row_alone(ready: Ready) -> None:
    rows = np.arange(20)
    tokens = Reader(ready.storage, ready.manifest).read("text", rows)["tokens"]
    part = Ragged(tokens.values[tokens.offsets[5] : tokens.offsets[9]], tokens.offsets[5:10] - tokens.offsets[5])
    masking = spec_of().masking

    def masks(given: Ragged, numbers: np.ndarray, seed: int = 0, step: int = 3) -> list[bytes]:
        made = masked_rows(given, numbers, ready.vocabulary, masking, seed, step)
        return [row.tobytes() for row in made.labels]

    whole = masks(tokens, rows)
    assert masks(part, rows[5:9]) == whole[5:9]
    assert masks(tokens, rows, step=4) != whole and masks(tokens, rows, seed=1) != whole
    assert masks(tokens, rows + 1) != whole


def test_held_out_figures_are_the_means_over_the_hidden_tokens(ready: Ready) -> None:
    task = task_of(ready, micro_batch=50)
    with evaluating(task.parts):
        found = task.evaluate()
        assert task.evaluate() == found
    (name, figures) = next(iter(found.items()))
    tokens = task.holdout.read(name, np.arange(30))["tokens"]
    rows = masked_rows(tokens, np.arange(30), ready.vocabulary, task.spec.masking, 0, EVALUATION)
    losses, hits = [], []
    for inputs, labels in zip(rows.inputs, rows.labels, strict=True):
        with evaluating(task.parts):
            logits = task.encoder.model(torch.from_numpy(inputs)[None].long()).logits[0]
        chosen = np.flatnonzero(labels != NOT_HIDDEN)
        expected = torch.from_numpy(labels[chosen])
        losses += torch.nn.functional.cross_entropy(logits[chosen], expected, reduction="none").tolist()
        hits += (logits[chosen].argmax(-1) == expected).tolist()
    assert (figures["rows"], figures["tokens"]) == (30, len(losses))
    assert figures["loss"] == pytest.approx(np.mean(losses), abs=1e-10)
    assert figures["accuracy"] == pytest.approx(np.mean(hits), abs=1e-12)


def test_the_unigram_baseline_is_of_the_training_rows_ordinary_tokens(ready: Ready) -> None:
    task = task_of(ready)
    with evaluating(task.parts):
        figures = task.evaluate()["text"]
    (group,) = ready.manifest["groups"]
    tokens = Reader(ready.storage, ready.manifest).read("text", np.arange(group["rows"]))["tokens"].values
    counts = np.array([np.count_nonzero(tokens == token) for token in range(VOCABULARY)])
    counts[ready.vocabulary.special] = 0
    held = task.holdout.read("text", np.arange(30))["tokens"]
    hidden = masked_rows(held, np.arange(30), ready.vocabulary, task.spec.masking, 0, EVALUATION).hidden
    share = (counts + 1) / (counts.sum() + VOCABULARY)
    assert figures["unigram_loss"] == pytest.approx(-np.log(share[hidden]).mean(), abs=1e-12)
    assert figures["unigram_accuracy"] == pytest.approx((hidden == counts.argmax()).mean(), abs=1e-12)


def test_an_encoder_without_a_head_gets_one_over_its_word_embeddings(ready: Ready) -> None:
    BertModel(BertConfig(**BERT)).save_pretrained(ready.folder / "bare")
    ready.tokenizer.save_pretrained(ready.folder / "bare")
    torch.manual_seed(3)
    one = load(str(ready.folder / "bare"), masked=True).encoder
    torch.manual_seed(3)
    other = load(str(ready.folder / "bare"), masked=True).encoder
    words = one.model.get_input_embeddings().weight
    assert one.model.get_output_embeddings().weight is words
    torch.testing.assert_close(words, load(str(ready.folder / "bare")).encoder.model.get_input_embeddings().weight)
    for mine, its in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.equal(mine, its)


def test_new_tokens_have_a_place_in_the_head(ready: Ready) -> None:
    folder = ready.folder / "with-head"
    BertForMaskedLM(BertConfig(**BERT)).save_pretrained(folder)
    ready.tokenizer.save_pretrained(folder)
    texts = [text for row in catalogue_rows(("fr",)) for text in row[1:2]]
    made = extended(load(str(folder), masked=True), texts, 20)
    size = len(made.tokenizer)
    assert size > VOCABULARY
    with evaluating(made.encoder):
        hidden, _, _ = made.encoder.hidden([np.array([2, size - 1, 3], np.int32)])
        assert made.encoder.head(hidden).shape == (3, size)  # type: ignore[operator]
    assert made.encoder.model.get_output_embeddings().weight is made.encoder.model.get_input_embeddings().weight


def test_half_precision_is_close_and_keeps_full_weights(ready: Ready) -> None:
    full, half = task_of(ready), task_of(ready, precision="bf16")
    for task in (full, half):
        task.parts.float()
    one, other = (task.backward(1, batch_of(ready), 1.0) for task in (full, half))
    assert one["loss"] != other["loss"] and one["loss"] == pytest.approx(other["loss"], rel=0.01)
    assert {parameter.grad.dtype for parameter in half.parts.parameters()} == {torch.float32}
    assert torch.nn.functional.cosine_similarity(gradients(full), gradients(half), dim=0) > 0.99


def test_without_whole_words_each_token_is_hidden_by_itself(ready: Ready) -> None:
    alone = vocabulary_of(ready.tokenizer, whole_words=False)
    assert ready.vocabulary.continues.any() and not alone.continues.any()
    np.testing.assert_array_equal(alone.special, ready.vocabulary.special)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
