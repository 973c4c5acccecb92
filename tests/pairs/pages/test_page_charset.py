import codecs

import pytest

from pairmill.pairs.batch import WrongRecord
from pairmill.pairs.pages.charset import decode

RUSSIAN = (
    "<html><title>Новости</title><p>Сегодня в Москве открылась выставка книг, где можно увидеть редкие издания.</p>"
)
JAPANESE = (
    "<html><title>天気</title><p>今日は東京で雨が降っています。明日は晴れるでしょう。傘を持って出かけてください。</p>"
)
FRENCH = "<html><title>Été</title><p>L’été dernier, nous avons mangé des crêpes près de la forêt.</p>"


@pytest.mark.parametrize(
    ("text", "encoding", "header"),
    [
        (RUSSIAN, "utf-8", None),
        (RUSSIAN, "utf-8", "iso-8859-1"),  # a server's default
        (RUSSIAN, "cp1251", "windows-1251"),
        (RUSSIAN, "koi8-r", "KOI8-R"),
        (RUSSIAN, "cp1251", None),
        (RUSSIAN, "cp1251", "no-such-encoding"),
        (RUSSIAN, "utf-16", None),
        (RUSSIAN, "utf-16-le", "utf-16le"),
        (JAPANESE, "cp932", "Shift_JIS"),
        (JAPANESE, "euc-jp", "euc-jp"),
        (JAPANESE, "iso2022_jp", "iso-2022-jp"),
        (FRENCH, "cp1252", "iso-8859-1"),  # which means windows-1252 on the web
        (FRENCH, "cp1252", None),
    ],
)
def test_text_is_found_in_the_encodings_of_the_web(text: str, encoding: str, header: str | None) -> None:
    assert decode(text.encode(encoding), header) == text


def test_the_charset_of_a_meta_element_counts_where_the_header_has_none() -> None:
    text = RUSSIAN.replace("<html>", '<html><meta http-equiv="Content-Type" content="text/html; charset=koi8-r">')
    assert decode(text.encode("koi8-r"), None) == text


def test_a_byte_order_mark_decides_and_is_not_text() -> None:
    assert decode(codecs.BOM_UTF8 + RUSSIAN.encode(), "koi8-r") == RUSSIAN


def test_a_page_cut_inside_a_character_keeps_its_declared_encoding() -> None:
    data = (RUSSIAN * 20).encode()[:-5]
    assert decode(data + b"\xd0", "utf-8") == data.decode() + "\ufffd"


def test_a_wrongly_declared_encoding_gives_way_to_one_that_can_decode_the_page() -> None:
    assert decode(JAPANESE.encode("cp932"), "utf-8") == JAPANESE


def test_nuls_are_dropped_and_binary_files_refused() -> None:
    assert decode(b"<p>a\0b" + b" text" * 20, None) == "<p>ab" + " text" * 20
    with pytest.raises(WrongRecord, match="no text"):
        decode(b"\x7fELF" + bytes(1000), None)
