"""Models of a directory: exported ones encode as sentence-transformers does, wrong ones are refused with a remedy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tiny_models
from pairmill.errors import PairmillError
from pairmill.model import settings
from pairmill.model.encoder import evaluating
from pairmill.model.export import write_model
from pairmill.model.loading import load, longest_of
from pairmill.model.places import local
from pairmill.model.settings import Settings
from pairmill.spec.model import Encoder as Spec
from pairmill.spec.model import Place

TEXTS = ["abc def", "a", "hello world " * 9, ""]


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("pooling", ["mean", "cls", "last"])
@pytest.mark.parametrize("kind", ["bert", "mt5"])
def test_exported_models_encode_as_ours_do(tmp_path: Path, kind: str, pooling: Any, normalize: bool) -> None:
    from sentence_transformers import SentenceTransformer

    place = tiny_models.save(tmp_path / "start", kind)
    prompts = {"query": "query: ", "passage": "passage: "}
    loaded = load(str(place), Spec(path=str(place), pooling=pooling, max_length=20, prompts=prompts))
    found = loaded.settings
    write_model(tmp_path, loaded.encoder, loaded.tokenizer, Settings(pooling, found.max_length, normalize, prompts))
    ours, theirs = load(str(tmp_path)), SentenceTransformer(str(tmp_path), device="cpu")
    assert ours.settings == Settings(pooling, 20, normalize, prompts)
    for name, prompt in (("query", "query: "), ("passage", "passage: "), (None, "")):
        given = ours.tokenizer([prompt + text for text in TEXTS], truncation=True, max_length=20)["input_ids"]
        with evaluating(ours.encoder):
            vectors = ours.encoder([np.array(ids, np.int32) for ids in given]).numpy()
        if normalize:
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        np.testing.assert_allclose(theirs.encode(TEXTS, prompt_name=name), vectors, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("kind", "longest"), [("bert", 40), ("electra", 40), ("roberta", 38), ("xlm-roberta", 38), ("camembert", 38)]
)
def test_the_longest_text_a_model_takes_is_embedded_and_a_longer_max_length_refused(
    tmp_path: Path, kind: str, longest: int
) -> None:
    place = str(tiny_models.save(tmp_path, kind))
    loaded = load(place, Spec(path=place, max_length=longest))
    assert longest_of(loaded.encoder.model.config) == longest
    vector = loaded.encoder([np.full(longest, 7, np.int32)])
    assert vector.shape == (1, 32) and bool(vector.isfinite().all())
    with pytest.raises((IndexError, RuntimeError)):
        loaded.encoder([np.full(longest + 1, 7, np.int32)])
    with pytest.raises(PairmillError, match=rf"max_length: {longest + 1} tokens.*positions for {longest}\."):
        load(place, Spec(path=place, max_length=longest + 1))


def test_a_tokenizer_without_a_padding_token_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PairmillError, match=r"no padding token.*tokenizer\.pad_token"):
        load(str(tiny_models.save(tmp_path, pad=False)))


def test_weights_that_could_run_code_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PairmillError, match=r"model\.safetensors only: convert"):
        load(str(tiny_models.save(tmp_path, safe=False)))


@pytest.mark.parametrize(
    ("place", "says"),
    [
        (Place(path="/no/such/folder"), "no such directory"),
        (Place(package="no-such-package"), "package 'no-such-package' is not installed"),
        (Place(package="numpy"), "holds no model"),
        (Place(run="no-such-run"), "no-such-run"),
        (Place(path="s3://bucket/model"), "read from a local directory"),
    ],
)
def test_places_without_a_model_are_named(tmp_path: Path, place: Place, says: str) -> None:
    with pytest.raises(PairmillError, match=says):
        local(place, str(tmp_path))


def test_a_directory_that_holds_no_model_is_refused_with_what_it_needs(tmp_path: Path) -> None:
    with pytest.raises(PairmillError, match=r"cannot be loaded.*config\.json, tokenizer\.json and model\.safetensors"):
        load(str(tmp_path))


def test_dropout_of_the_spec_is_that_of_every_layer(tmp_path: Path) -> None:
    import torch

    for kind in ("bert", "mt5", "distilbert"):
        place = str(tiny_models.save(tmp_path / kind, kind, dropout=0.3))
        for rate in (0.0, 0.2):
            encoder = load(place, Spec(path=place, dropout=rate)).encoder.train()
            assert {m.p for m in encoder.modules() if isinstance(m, torch.nn.Dropout)} == {rate}
            texts = tiny_models.sequences(4)
            assert torch.equal(encoder(texts), encoder(texts)) == (rate == 0)


@pytest.mark.parametrize(
    ("file", "value", "says"),
    [
        (
            "modules.json",
            [{"type": "sentence_transformers.models.Dense", "path": "2_Dense"}],
            "module Dense is not supp",
        ),
        ("1_Pooling/config.json", {"pooling_mode_max_tokens": True}, "pooling_mode_max_tokens.*mean, cls or last"),
    ],
)
def test_modules_and_pooling_that_are_not_ours_are_refused(tmp_path: Path, file: str, value: Any, says: str) -> None:
    settings.write(tmp_path, Settings(), 32)
    (tmp_path / file).write_text(json.dumps(value))
    with pytest.raises(PairmillError, match=says):
        settings.read(tmp_path, 512)


def test_settings_come_back_as_written(tmp_path: Path) -> None:
    written = Settings("cls", 77, False, {"query": "q: "})
    settings.write(tmp_path, written, 32)
    assert settings.read(tmp_path, 512) == written
    assert settings.read(tmp_path, 50).max_length == 50
