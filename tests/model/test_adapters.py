"""Low-rank adapters: few parameters, and nothing of them left in what is exported."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import tiny_models
from pairmill.errors import PairmillError
from pairmill.model.adapters import add_lora, merged, share
from pairmill.model.encoder import evaluating
from pairmill.model.export import write_model
from pairmill.model.loading import Loaded, load
from pairmill.spec.model import Encoder as Spec
from pairmill.spec.model import Lora

TEXTS = tiny_models.sequences(6)


def adapted(folder: Path, kind: str) -> Loaded:
    """A saved model with adapters that are no longer zero."""
    place = tiny_models.save(folder, kind)
    loaded = load(str(place), Spec(path=str(place), lora=Lora(rank=4, alpha=8)))
    torch.manual_seed(1)
    with torch.no_grad():
        for name, parameter in loaded.encoder.named_parameters():
            if "lora_B" in name:
                parameter.normal_()
    return loaded


@pytest.mark.parametrize("kind", ["mt5", "bert", "xlm-roberta"])
def test_merged_and_exported_outputs_are_those_with_adapters(tmp_path: Path, kind: str) -> None:
    loaded = adapted(tmp_path / "start", kind)
    with evaluating(loaded.encoder):
        before = loaded.encoder(TEXTS)
        plain = load(str(tmp_path / "start")).encoder.eval()(TEXTS)
    assert not torch.allclose(before, plain, atol=1e-2)
    write_model(tmp_path, *loaded)
    again = load(str(tmp_path)).encoder
    with evaluating(again):
        torch.testing.assert_close(again(TEXTS), before, rtol=0, atol=2e-6)
    assert not [name for name, _ in again.named_parameters() if "lora" in name]


def test_the_trained_share_is_that_of_the_adapters() -> None:
    model = tiny_models.transformer("mt5")
    plain = sum(parameter.numel() for parameter in model.parameters())
    adapters = 2 * 2 * (32 * 4 + 4 * 32)  # layers, q and v, both factors
    found = share(add_lora(model, Lora(rank=4)))
    assert (found.trained, found.total) == (adapters, plain + adapters)
    assert found.percent == pytest.approx(100 * adapters / (plain + adapters))


def test_targets_that_the_model_lacks_are_refused_with_those_it_has() -> None:
    with pytest.raises(PairmillError, match=r"model\.lora\.targets.*Linear layers of this model:.*query"):
        add_lora(tiny_models.transformer("bert"), Lora(targets=["q_proj"]))


def test_a_model_without_adapters_is_merged_already() -> None:
    model = tiny_models.encoder().model
    assert merged(model) is model
