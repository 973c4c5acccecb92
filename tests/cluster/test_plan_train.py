"""Plans of training and encoding against PyTorch's own counts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import tiny_models
import tiny_training
from pairmill.cluster.plan.base import Context, Rows
from pairmill.cluster.plan.given import Given
from pairmill.cluster.plan.job import plan_of
from pairmill.cluster.plan.models import Facts, facts
from pairmill.cluster.plan.rates import Rates, stored
from pairmill.cluster.plan.sheet import quantity
from pairmill.errors import SpecError
from pairmill.model.alibi import AlibiConfig, AlibiModel
from pairmill.spec.load import loads
from pairmill.spec.model import Encoder

LENGTH, COUNT = 64, 8


def context(**more: object) -> Context:
    return Context("none", Rates(stored()), **more)  # type: ignore[arg-type]


def models() -> dict[str, tuple[torch.nn.Module, Facts]]:
    """Encoders of some size, and what a plan says of them."""
    from transformers import BertConfig, BertModel

    from pairmill.cluster.plan.models import _of_config

    bert = BertConfig(
        hidden_size=256, num_hidden_layers=4, num_attention_heads=4, intermediate_size=1024, vocab_size=500,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )  # fmt: skip
    alibi = AlibiConfig(
        vocab_size=500, hidden_size=256, num_hidden_layers=4, num_attention_heads=4, intermediate_size=1024,
        hidden_dropout_prob=0.0,
    )  # fmt: skip
    plain = BertModel(bert, add_pooling_layer=False)
    return {
        "bert": (plain, _of_config("bert", bert, 512, "", None)),
        "alibi": (AlibiModel(alibi), _of_config("alibi", alibi, 512, "", None)),
    }


@pytest.fixture(scope="module", params=["bert", "alibi"])
def model(request) -> tuple[torch.nn.Module, Facts]:
    return models()[request.param]


def test_parameters_are_those_of_the_model(model):
    module, known = model
    assert known.parameters == sum(p.numel() for p in module.parameters())
    assert 0 < known.embedding < known.parameters


def test_forward_flops_of_a_token_are_pytorchs_count(model):
    module, known = model
    ids = torch.randint(5, 400, (COUNT, LENGTH))
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        module(ids, attention_mask=torch.ones_like(ids))
    assert known.forward(LENGTH) * COUNT * LENGTH == pytest.approx(counter.get_total_flops(), rel=0.06)


def test_activations_of_a_token_are_what_autograd_keeps(model):
    module, known = model
    held: dict[int, int] = {}
    weights = {parameter.data_ptr() for parameter in module.parameters()}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            held[storage.data_ptr()] = storage.nbytes()
        return tensor

    ids = torch.randint(5, 400, (COUNT, LENGTH))
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        found = module(ids, attention_mask=torch.ones_like(ids)).last_hidden_state
    found.sum().backward()
    assert known.activations("fp32") * COUNT * LENGTH == pytest.approx(sum(held.values()), rel=0.25)
    assert known.activations("fp32", checkpointing=True) < known.activations("fp32") / 2


def test_a_declared_shape_has_the_parameters_of_the_model_it_describes(model):
    _, known = model
    shape = {
        "layers": 4, "hidden_size": 256, "intermediate_size": 1024, "vocabulary": 500,
        "positions": 0 if known.name == "alibi" else 514, "gated": known.name == "alibi", "source": "test",
    }  # fmt: skip
    given = Given.model_validate({"models": {"hub/model": shape}})
    found = facts(Encoder(path="hub/model"), context(given=given))
    assert found.parameters == pytest.approx(known.parameters, rel=0.01)
    assert found.forward(64) == pytest.approx(known.forward(64), rel=0.01)


def test_the_plan_of_a_training_says_steps_tokens_and_passes(tmp_path: Path):
    folder = tiny_training.write_inputs(tmp_path)
    spec = loads(tiny_training.SPEC.format(folder=folder), "tiny.yaml")
    plan = plan_of(spec, context())
    lines = {one.name: one for one in plan.sheet.lines}
    assert lines["steps"].value == 6
    rows = tiny_training.pq.read_table(folder / "rows.parquet")
    lengths = [[min(len(text) + 2, 32) for text in rows[name].to_pylist()] for name in ("src", "tgt")]
    assert lines["tokens of a step"].value == pytest.approx(8 * sum(map(np.mean, lengths)), rel=1e-6)
    assert lines["passes"].value == 4, "a batch is larger than micro_batch: the gradient cache"
    assert lines["rows"].value == 200


def test_a_larger_batch_needs_no_more_memory_and_checkpointing_lets_more_tokens_fit():
    spec = """
kind: train
name: large
model: {path: xlm}
data: [{name: pairs, run: earlier}]
batch_size: %s
epochs: 1
precision: bf16
resources: {gpus_per_worker: 1, micro_batch: 16384, gradient_checkpointing: %s}
"""
    shape = {
        "layers": 12, "hidden_size": 768, "intermediate_size": 3072, "vocabulary": 250002,
        "source": "its configuration",
    }  # fmt: skip
    given = Given.model_validate(
        {"models": {"xlm": shape}, "runs": {"earlier": {"rows": 1e6, "text_bytes": 600, "source": "assumed"}}}
    )

    def figures(batch: int, checkpointing: str = "false") -> dict[str, float]:
        plan = plan_of(loads(spec % (batch, checkpointing), "large.yaml"), context(given=given))
        return {one.name: one.value for one in plan.figures}

    one, other, less = figures(1024), figures(32768), figures(32768, "true")
    assert one["memory of a worker"] == other["memory of a worker"]
    assert less["micro-batch that fits"] > 3 * other["micro-batch that fits"]
    assert less["FLOPs"] == pytest.approx(other["FLOPs"] * 5 / 4)
    assert other["steps"] == pytest.approx(1e6 / 32768)
    assert one["GPU-hours"] == pytest.approx(one["FLOPs"] / (989e12 * 0.4) / 3600)


def test_a_step_of_a_pipeline_reads_what_the_plan_of_an_earlier_one_keeps(tmp_path: Path):
    tiny_models.save(tmp_path / "model")
    spec = loads(
        f"""
kind: pipeline
name: all
steps:
  - name: rows
    spec: {{kind: curate, inputs: [{{name: a, format: jsonl, path: "s3://none/*.jsonl"}}]}}
  - name: select
    spec: {{kind: curate, inputs: [{{run: "${{steps.rows}}"}}]}}
  - name: tokens
    spec: {{kind: tokenizer, inputs: [{{run: "${{steps.rows}}"}}], vocabulary: 1000, sample: 1MB}}
  - name: scratch
    spec:
      kind: pretrain
      model:
        architecture: {{type: alibi, tokenizer: {{run: "${{steps.tokens}}"}}, hidden_size: 64, layers: 2, heads: 2}}
      data: [{{name: text, run: "${{steps.rows}}"}}]
      epochs: 1
  - name: vectors
    spec: {{kind: embed, model: {{path: "{tmp_path}/model"}}, data: [{{name: a, run: "${{steps.rows}}"}}]}}
  - name: mined
    spec: {{kind: mine, run: "${{steps.rows}}", vectors: "${{steps.vectors}}", margin: {{k: 4}}}}
""",
        "all.yaml",
    )
    volume = {"rows": 1e6, "text_bytes": 200, "kept_share": 0.5, "duplicate_share": 0.2, "source": "assumed"}
    plan = plan_of(spec, context(given=Given.model_validate({"inputs": {"a": volume}})))
    curate, select, _, scratch, vectors, mined = plan.steps
    kept = next(one.value for one in curate.figures if one.name == "kept rows")
    assert kept == pytest.approx(1e6 * 0.5 * 0.8)
    assert select.figures[0].value == kept
    assert vectors.figures[0].value == 2 * kept, "both sides"
    assert mined.figures[0].value == kept
    assert next(one.value for one in scratch.sheet.lines if one.name == "parameters") > 1000 * 64
    total = plan.figures[0]
    assert total.value == pytest.approx(sum(stage.cpu.value for stage in plan.all_stages))


def test_a_run_that_is_nowhere_is_refused_and_says_how_to_declare_it(tmp_path: Path):
    (tmp_path / "runs").mkdir()
    spec = loads("{kind: curate, name: x, inputs: [{run: gone}]}", "x.yaml")
    with pytest.raises(SpecError, match="'gone' is no run here.*--given FILE"):
        plan_of(spec, Context(str(tmp_path), Rates(stored())))


def test_a_known_run_is_read_by_its_rows():
    known = Rows(quantity("rows", 5000, "rows"), quantity("text", 100, "B/row"), {"a": 4000.0, "b": 1000.0})
    spec = loads(
        "{kind: embed, name: e, model: {path: m}, data: [{name: d, run: r, sources: [a], sides: [anchor]}]}", "x.yaml"
    )
    shape = {
        "layers": 2, "hidden_size": 64, "intermediate_size": 128, "vocabulary": 100, "source": "test"
    }  # fmt: skip
    given = Given.model_validate({"models": {"m": shape}})
    plan = plan_of(spec, context(runs={"r": known}, given=given))
    assert plan.figures[0].value == 4000
