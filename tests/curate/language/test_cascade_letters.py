"""Promises of the letters that decide a language in the cascade, and of its answers on real text."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from pairmill.curate import language
from pairmill.curate.language import cascade, codes, engine, letters

COMMON = (
    "en de es fr it pt nl pl ru uk cs hu fi sv da no nb nn tr ar fa he hi bn ta te th vi id zlm ko ja zh sw el ro bg"
)
# Universal Declaration of Human Rights, but for Assamese.
WRITTEN_SO = {
    "as": "অসমীয়া ভাষাত লিখা এই বাক্যটোৰ অৰ্থ কি আৰু ইয়াৰ লিখক কোন?",
    "ms-Arab": "سكيراڽ كيت تيدق ماهو مندوروڠ مأنسي دالم كأدأن تردسق، سباڬاي ڤيليهن تراخير",
    "vi-Hani": "每𠊛調得享畢哿仍權吧自由標𥪝版宣言呢、空分別種族、界性、言語、宗教、觀點政治",
    "yi": "היות װי געזעץ און יושר מוזן פֿאַרטײדיקן מענטשנרעכט",
    "os": "Адӕймӕгтӕ се 'ппӕт дӕр райгуырынц сӕрибарӕй ӕмӕ ӕмхуызонӕй сӕ барты.",
    "sah": "Ким даҕаны кулуттуур, бэйэтин бас билиммэт буолар турукка сылдьыа суохтаах",
}


def answers(texts: list[str]) -> list[str | None]:
    found: list[str | None] = language.load("cascade").identify(pa.array(texts, pa.large_string()))[0].to_pylist()
    return found


def path_of(text: str) -> int:
    return int(cascade.load().score(engine.ask(pa.array([text], pa.large_string())))[1][0])


def test_letters_that_only_one_language_writes_decide() -> None:
    assert answers(list(WRITTEN_SO.values())) == list(WRITTEN_SO)
    assert set(WRITTEN_SO) == {name for name, _, _ in letters.DECISIVE} <= cascade.load().labels


def test_a_language_in_another_script_is_still_that_language() -> None:
    assert codes.same_language("vi", "vi-Hani") and codes.same_language("zlm", "ms-Arab")
    assert codes.scripts("vi-Hani") == {"Hani"} and codes.scripts("ms-Arab") == {"Arab"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("我搭𨋢上去食飯，你喺邊度呀？", "zh"),  # Cantonese: a character of CJK Extension B
        ("𪜶兜人攏真好，逐家攏𣍐曉講。", "zh"),  # Taiwanese
        ("𠮷野家で牛丼を食べました。", "ja"),
        ("ביידיש כותבים װײס. " + "המילה נפוצה מאוד בשמות משפחה של יהודים ממזרח אירופה, ופירושה לבן. " * 6, "he"),
        ("الحرف «ڠ» من الأبجدية الجاوية. " + "تستعمل هذه الحروف في كتابة لغة الملايو قديما وهي خمسة أحرف. " * 4, "ar"),
    ],
)
def test_rare_characters_and_quoted_letters_decide_nothing(text: str, expected: str) -> None:
    found = answers([text])[0]
    assert found is not None and codes.same_language(expected, found)


def test_letters_of_its_own_spare_a_language_the_other_engines() -> None:
    own = {
        "Não sei o que é que ele faz na estação.": cascade.SURE,
        "Wij kijken naar de mensen in het park.": cascade.SURE,
        "Todo individuo ten dereito á vida, á liberdade e á seguridade da súa persoa.": cascade.NEW,
    }
    assert {text: path_of(text) for text in own} == own
    assert answers(list(own)) == ["pt", "nl", "gl"]


def test_letters_decide_nothing_wrongly_on_real_sentences(shared_data: Path) -> None:
    table = pq.read_table(shared_data / "eval/tatoeba/tatoeba.parquet", columns=["lang", "src"])
    column = table["src"].cast(pa.large_string()).combine_chunks()
    counts = pc.utf8_length(column).to_numpy(zero_copy_only=False)
    for name, wanted, _ in letters.DECISIVE:
        rows = np.flatnonzero(letters.share(column, np.maximum(counts, 1), wanted) >= letters.MIN_SHARE)
        assert all(codes.same_language(table["lang"][int(row)].as_py(), name) for row in rows)


def test_all_declarations_of_human_rights_in_common_languages_are_known(shared_data: Path) -> None:
    table = pq.read_table(shared_data / "bitext/udhr.parquet", columns=["src_lang", "src"])
    long = pc.greater_equal(pc.utf8_length(table["src"]), 30)
    table = table.filter(pc.and_(long, pc.is_in(table["src_lang"], pa.array(COMMON.split()))))
    langs, found = table["src_lang"].to_pylist(), answers(table["src"].to_pylist())
    right = [
        answer is not None and codes.same_language(lang, answer) for lang, answer in zip(langs, found, strict=True)
    ]
    assert len(right) > 2500 and np.mean(right) >= 0.96


def test_knowing_relatives_costs_the_cascade_at_most_half_a_point_on_software_help(shared_data: Path) -> None:
    table = pq.read_table(shared_data / "bitext/libreoffice_help.parquet", columns=["src_lang", "src"])
    table = table.filter(pc.is_in(table["src_lang"], pa.array(COMMON.split())))
    table = table.take(pa.array(np.arange(0, len(table), 20)))
    langs = table["src_lang"].to_pylist()
    shares = {}
    for name in ("cascade", "eldc", "fasttext", "py3langid"):
        found = language.load(name).identify(table["src"].cast(pa.large_string()).combine_chunks())[0].to_pylist()
        shares[name] = np.mean(
            [a is not None and codes.same_language(lang, a) for lang, a in zip(langs, found, strict=True)]
        )
    assert shares["cascade"] >= max(shares.values()) - 0.005
