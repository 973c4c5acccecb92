"""Promises of each engine: parity with its library, comparable confidence, robustness; and of the cascade."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pairmill.curate import language
from pairmill.curate.language import calibration, cascade, eldc, engine, fasttext, kernels, noise, py3langid
from pairmill.curate.language.codes import same_language
from pairmill.errors import PairmillError

FAST = [name for name in language.ENGINES if name != "langdetect"]
TEXTS = [
    "Wir haben gestern im Garten gesessen und über das Wetter gesprochen.",
    "ALLE MENSCHEN SIND FREI UND GLEICH AN WÜRDE UND RECHTEN GEBOREN.",
    "İNSANLAR HÜR, HAYSİYET VE HAKLAR BAKIMINDAN EŞİT DOĞARLAR",
    "Ndugu yangu ana akaunti ya Twitter na rafiki zake wengi.",
    "Ons het gister in die tuin gesit en oor die weer gepraat.",
    "Tous les êtres humains naissent libres et égaux en dignité.",
    "昨日は庭に座って、天気について話しました。",
    "Ο ΛΟΓΟΣ ΤΗΣ ΠΟΛΗΣ ΕΙΝΑΙ ΑΠΛΟΣ",
    "ok",
    "x",
]
ANY_TEXT = st.text(st.one_of(st.characters(codec="utf-8"), st.sampled_from("\0\x1b\u200b\ufffd aeß我")), max_size=80)


def column(texts: list[str | None]) -> pa.Array:
    return pa.array(texts, pa.large_string())


def accuracy(name: str, langs: pa.ChunkedArray, texts: pa.ChunkedArray) -> float:
    """Share of right answers, mean over languages."""
    found, _ = language.load(name).identify(texts.cast(pa.large_string()).combine_chunks())
    right: dict[str, list[bool]] = {}
    for lang, answer in zip(langs.to_pylist(), found.to_pylist(), strict=True):
        right.setdefault(lang, []).append(answer is not None and same_language(lang, answer))
    return float(np.mean([np.mean(answers) for answers in right.values()]))


def test_py3langid_answers_what_its_library_answers() -> None:
    from py3langid.langid import LanguageIdentifier

    library = LanguageIdentifier.from_model_file("data/model.npz.xz", norm_probs=True)
    ours = py3langid.load()
    decomposed = pc.utf8_normalize(column(TEXTS), "NFD").to_pylist()
    asked = engine.ask(column(TEXTS + decomposed))
    found, probability = ours.score(asked)
    for line, number, p in zip(asked.lines, found, probability, strict=True):
        label, expected = library.classify(line)
        assert (label == "zxx" and number == engine.UNKNOWN) or ours.names[number] == py3langid.canonical(label)
        assert p == pytest.approx(expected, abs=1e-4)


def test_eldc_answers_what_its_library_answers() -> None:
    import eldc as library

    library.init()
    ours, asked = eldc.load(), engine.ask(column(TEXTS))
    found, reliable, best, second = ours.score(asked)
    for i, line in enumerate(asked.lines):
        expected = library.detect_details(line)
        assert (ours.names[found[i]] if found[i] >= 0 else "und") == eldc.canonical(expected.language)
        assert reliable[i] == expected.reliable
        scores = [*expected.scores.values(), 0, 0]
        assert (best[i], second[i]) == pytest.approx(scores[:2])


def test_fasttext_answers_what_its_library_answers() -> None:
    import fasttext as library

    model, ours, asked = library.load_model(str(fasttext.load().path)).f, fasttext.load(), engine.ask(column(TEXTS))
    found, probability = ours.score(asked)
    for i, line in enumerate(asked.lines):
        ((expected, label),) = model.predict(line + "\n", 1, 0.0, "strict")
        assert ours.names[found[i]] == fasttext._code(label)
        assert probability[i] == pytest.approx(expected)


def test_the_settings_of_other_users_of_eldc_do_not_change_answers() -> None:
    import eldc as library

    before = eldc.load().identify(column(TEXTS))
    library.init()
    library.set_languages("en,fr")
    try:
        after = eldc.load().identify(column(TEXTS))
    finally:
        library.set_languages("")
    assert before[0].equals(after[0]) and (before[1] == after[1]).all()


@pytest.mark.parametrize("name", FAST)
@settings(max_examples=60, deadline=None)
@given(st.lists(ANY_TEXT, max_size=6), st.randoms())
def test_an_answer_depends_on_nothing_but_the_text(name: str, texts: list[str], random: object) -> None:
    chosen = language.load(name)
    mixed = texts + TEXTS
    found, confidence = chosen.identify(column(mixed))
    assert ((confidence >= 0) & (confidence <= 1)).all()
    assert (confidence[found.is_null().to_numpy(zero_copy_only=False)] == 0).all()
    order = np.arange(len(mixed))
    random.shuffle(order)  # type: ignore[attr-defined]
    again, sure = chosen.identify(column(mixed).take(pa.array(order)))
    assert again.equals(found.take(pa.array(order))) and (sure == confidence[order]).all()


@pytest.mark.parametrize("name", language.ENGINES)
def test_hostile_text_is_answered(name: str) -> None:
    sentence = "Wir haben gestern im Garten gesessen. "
    long = [
        "a" * 10_000_000,
        sentence * 250_000,
        "\0" * 1_000_000,
        "𝔘" * 1_000_000,
        "我" * 1_000_000,
        "e\u0301" * 500_000,
    ]
    language.load(name).identify(column(TEXTS))
    found, _ = language.load(name).identify(column([*long, sentence * 25]))
    assert found[1].as_py() == found[6].as_py() == "de" and found[2].as_py() is None


@pytest.mark.parametrize("name", language.ENGINES)
def test_text_behind_a_nul_is_seen(name: str) -> None:
    found, _ = language.load(name).identify(column(["a\0\0 " + TEXTS[0]]))
    assert found.to_pylist() == ["de"]


def test_lone_surrogates_do_not_get_into_a_column() -> None:
    with pytest.raises(UnicodeEncodeError):
        column(["broken \ud800 text"])


@pytest.mark.parametrize("name", language.ENGINES)
def test_noise_is_in_no_language(name: str) -> None:
    found, confidence = language.load(name).identify(
        column([
            "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "4696.32 USD | 4031 EUR | 5070 USD | 5702 % | 8821.2 ms | 7678 kg",
            "WAU4785X HWV8758X PLT9298X ABS5180X",
            "Ð¡Ð¾Ð»Ð¾Ð½ÐºÐ° Ð½Ð° ÑÑ‚Ð¾Ð»Ðµ Ð² ÐºÑƒÑ…Ð½Ðµ",
            "\ufffd\ufffd\ufffd\ufffd ab",
        ])
    )  # fmt: skip
    assert found.null_count == len(found) and not confidence.any()


def test_ordinary_text_with_figures_is_no_noise() -> None:
    texts = [
        "1863年这个国家发生了很大的变化。",
        "Der A4 kostet 35.000 Euro.",
        "10과 2의 차이는 8이다.",
        "Is that an MP3 or an MP4?",
        "É às 10:30 horas!",
    ]
    assert len(engine.ask(column(texts)).rows) == len(texts)


@pytest.mark.parametrize("name", language.ENGINES)
def test_a_language_that_is_not_written_so_is_refused(name: str) -> None:
    chosen = language.load(name)
    asked = engine.ask(column([TEXTS[0], TEXTS[6]]))
    found, confidence = engine.answers(asked, ["ru", "ja"], np.array([0, 1]), np.array([0.9, 0.9]))
    assert found.to_pylist() == [None, "ja"] and confidence[0] == 0
    cherokee, _ = chosen.identify(column(["ᏂᎦᏓ ᎠᏂᏴᏫ ᏂᎨᎫᏓᎸᎾ ᎠᎴ ᎤᏂᏠᏱ ᎤᎾᏕᎿ ᏚᏳᎧᏛ ᎨᏒᎢ"]))
    assert cherokee.to_pylist() in ([None], ["chr"])


def test_calibration_tables_are_monotone_probabilities() -> None:
    tables = [value for value in vars(calibration).values() if isinstance(value, calibration.Table)]
    for table in [*tables, *calibration.CASCADE]:
        assert len(table.rows) == len(calibration.SIZES) + 1
        for row in table.rows:
            assert len(row) == len(table.knots) and list(row) == sorted(row) and row[0] >= 0 and row[-1] <= 1
    long, halfway = calibration.FASTTEXT.rows[-1], calibration.FASTTEXT.at(np.array([100.0]), np.array([0.85]))[0]
    assert calibration.FASTTEXT.knots[8:10] == (0.8, 0.9) and halfway == pytest.approx((long[8] + long[9]) / 2)


@pytest.mark.parametrize("name", ["fasttext", "py3langid"])
def test_a_missing_package_is_an_error_that_says_what_to_install(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "find_spec", lambda name: None)
    chosen = {"fasttext": fasttext.FastText, "py3langid": py3langid.Py3LangId}[name]()
    with pytest.raises(PairmillError, match=r"pip install .*or choose `language: \{engine:"):
        _ = chosen.path


def test_a_missing_eldc_is_an_error_that_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "eldc", None)
    with pytest.raises(PairmillError, match=r"pip install 'eldc.*or choose `language: \{engine:"):
        _ = eldc.Eldc().checksum
    with pytest.raises(PairmillError, match="eldc"):
        cascade.Cascade().identify(column(TEXTS))


def test_identities_of_engines_differ_and_hold_every_model() -> None:
    identities = {name: language.identity(name) for name in language.ENGINES}
    assert len({str(identity) for identity in identities.values()}) == len(identities)
    for part in ("eldc", "py3langid", "fasttext"):
        assert identities[part]["checksum"] in identities["cascade"]["checksum"]


def test_the_cascade_knows_what_eldc_takes_for_a_relative() -> None:
    expected = {
        "af": "Ons het gister in die tuin gesit en oor die weer gepraat.",
        "sw": "Ndugu yangu ana akaunti ya Twitter na rafiki zake wengi.",
        "gl": "Onte sentamos no xardín e falamos do tempo que facía cos nosos veciños.",
        "ceb": "Ug miingon ang Dios: Mahimo ang kahayag; ug dihay kahayag. Ug nakita sa Dios ang kahayag nga maayo.",
        "as": "আমি কালি বাগিচাত বহি বতৰৰ কথা পাতিছিলোঁ।",
        "mk": "Вчера седевме во градината и зборувавме за времето и за децата.",
        "eo": "Hieraŭ ni sidis en la ĝardeno kaj parolis pri la vetero.",
        "id": "Kemarin kami duduk di kebun dan berbicara tentang cuaca bersama anak-anak.",
    }
    found, _ = language.load("cascade").identify(column(list(expected.values())))
    assert found.to_pylist() == list(expected)


def test_cascade_is_at_least_as_good_as_its_engines_on_sentences(shared_data: Path) -> None:
    table = pq.read_table(shared_data / "eval/tatoeba/tatoeba.parquet", columns=["lang", "row", "src"])
    table = table.filter(pc.equal(pc.bit_wise_and(table["row"], 7), 3))
    shares = {name: accuracy(name, table["lang"], table["src"]) for name in FAST}
    assert shares["cascade"] >= 0.97
    assert shares["cascade"] >= max(shares[name] for name in ("eldc", "fasttext", "py3langid")) + 0.005


def test_cascade_is_at_least_as_good_as_its_engines_on_the_bible(shared_data: Path) -> None:
    table = pq.read_table(shared_data / "bitext/bible.parquet", columns=["src_lang", "src"])
    table = table.take(np.arange(0, len(table), 90))
    shares = {name: accuracy(name, table["src_lang"], table["src"]) for name in FAST}
    assert shares["cascade"] >= max(shares[name] for name in ("eldc", "fasttext", "py3langid"))


@pytest.mark.parametrize("name", FAST)
def test_confidence_is_the_share_of_right_answers(name: str, shared_data: Path) -> None:
    table = pq.read_table(shared_data / "eval/tatoeba/tatoeba.parquet", columns=["lang", "row", "src"])
    table = table.filter(pc.equal(pc.bit_wise_and(table["row"], 7), 5))
    found, confidence = language.load(name).identify(table["src"].cast(pa.large_string()).combine_chunks())
    pairs = zip(table["lang"].to_pylist(), found.to_pylist(), strict=True)
    right = np.array([answer is not None and same_language(lang, answer) for lang, answer in pairs])
    bins = np.minimum((confidence * 10).astype(int), 9)
    error = sum(abs(right[bins == b].sum() - confidence[bins == b].sum()) for b in range(10)) / len(right)
    assert error < 0.04


def test_eldc_answers_most_sentences_alone(shared_data: Path) -> None:
    """lid.176 is asked about a tenth at most. What that saves: `tests/benchmarks/language_table.py`."""
    table = pq.read_table(shared_data / "eval/tatoeba/tatoeba.parquet", columns=["lang", "src"])
    table = table.take(np.arange(0, len(table), 4))
    texts = table["src"].cast(pa.large_string()).combine_chunks()
    _, path, _ = cascade.load().score(engine.ask(texts))
    assert (path == cascade.SURE).mean() > 0.7
    assert (path > cascade.AGREED).mean() < 0.1


def test_mojibake_is_no_part_of_words() -> None:
    words = ["NÃO", "Ærø", "ÎLE", "åäö", "là-bas", "Ñandú", "não é"]
    assert not noise.tally(column(words))[0][:, kernels.MOJIBAKE].any()
