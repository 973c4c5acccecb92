import gettext
import struct
from importlib import metadata
from pathlib import Path

import polib
import pytest

from pairmill.errors import SourceError
from pairmill.pairs import sources
from pairmill.pairs.sources import locale_to_language
from sourcekit import read_all, spec_of

HEADER = {"Content-Type": "text/plain; charset=UTF-8", "Language": "de", "Plural-Forms": "nplurals=2; plural=n!=1;"}


def catalogue(*entries: polib.POEntry, **header: str) -> polib.POFile:
    po = polib.POFile()
    po.metadata = {**HEADER, **header}
    po.extend(entries)
    return po


def entry(msgid: str, msgstr: str = "", **more: object) -> polib.POEntry:
    return polib.POEntry(msgid=msgid, msgstr=msgstr, **more)


EVERY_KIND = (
    entry("file", "Datei"),
    entry("open", "öffnen", msgctxt="verb"),
    entry("%d day", msgid_plural="%d days", msgstr_plural={0: "%d Tag", 1: "%d Tage"}),
    entry("sheep", msgid_plural="sheep", msgstr_plural={0: "Schaf", 1: "Schaf"}),
    entry("hour", msgid_plural="hours", msgstr_plural={0: "", 1: ""}),
    entry("nothing"),
)
EXPECTED = {("file", "Datei"), ("open", "öffnen"), ("%d day", "%d Tag"), ("%d days", "%d Tage"), ("sheep", "Schaf")}


@pytest.fixture(params=["mo", "po"])
def every_kind(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    folder = tmp_path / "locale" / "de" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    path = folder / f"django.{request.param}"
    if request.param == "mo":
        path.write_bytes(mo_bytes({key(e): value(e) for e in EVERY_KIND} | {"": "Content-Type: x; charset=UTF-8\n"}))
    else:
        catalogue(*EVERY_KIND).save(str(path))
    return str(path)


def key(e: polib.POEntry) -> str:
    text = f"{e.msgid}\0{e.msgid_plural}" if e.msgid_plural else e.msgid
    return f"{e.msgctxt}\x04{text}" if e.msgctxt else text


def value(e: polib.POEntry) -> str:
    return "\0".join(e.msgstr_plural.values()) if e.msgid_plural else e.msgstr


def mo_bytes(entries: dict[str, str] | dict[bytes, bytes], order: str = "<") -> bytes:
    raw = sorted((_raw(k), _raw(v)) for k, v in entries.items())
    ids = b"".join(k + b"\0" for k, _ in raw)
    strings = b"".join(v + b"\0" for _, v in raw)
    tables, at = [b"", b""], 28 + 16 * len(raw)
    for side in (0, 1):
        for texts in raw:
            tables[side] += struct.pack(order + "II", len(texts[side]), at)
            at += len(texts[side]) + 1
    head = struct.pack(order + "7I", 0x950412DE, 0, len(raw), 28, 28 + 8 * len(raw), 0, 0)
    return head + tables[0] + tables[1] + ids + strings


def _raw(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode()


def test_entries_of_every_kind(every_kind: str) -> None:
    outcome = read_all(format="gettext", path=every_kind)
    assert set(outcome.texts) == EXPECTED
    assert len(outcome.rows) == len(EXPECTED)
    assert outcome.no_pair == {"header": 1, "untranslated": 2}
    assert (outcome.records, outcome.parsed) == (7, 4)
    assert {(row["anchor_lang"], row["positive_lang"]) for row in outcome.rows} == {("en", "de")}
    days = [row["origin_row"] for row in outcome.rows if "day" in row["anchor"]]
    assert days[0] == days[1]


def test_fuzzy_and_obsolete_entries_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "de.po"
    catalogue(entry("a", "b"), entry("c", "d", flags=["fuzzy"]), entry("e", "f", obsolete=True)).save(str(path))
    outcome = read_all(format="gettext", path=str(path))
    assert outcome.texts == [("a", "b")]
    assert outcome.no_pair == {"header": 1, "fuzzy": 1, "obsolete": 1}


def test_both_byte_orders_are_read(tmp_path: Path) -> None:
    (tmp_path / "de.mo").write_bytes(mo_bytes({"a": "b"}, order=">"))
    assert read_all(format="gettext", path=f"{tmp_path}/de.mo").texts == [("a", "b")]


def test_another_charset_in_the_header_is_honoured(tmp_path: Path) -> None:
    header = b"Content-Type: text/plain; charset=ISO-8859-1\nLanguage: de_AT\n"
    (tmp_path / "x.mo").write_bytes(mo_bytes({b"": header, b"a": b"\xfcber"}))
    outcome = read_all(format="gettext", path=f"{tmp_path}/x.mo")
    assert outcome.texts == [("a", "über")]
    assert outcome.rows[0]["positive_lang"] == "de"


def test_an_unknown_charset_is_one_entry(tmp_path: Path) -> None:
    (tmp_path / "x.mo").write_bytes(mo_bytes({b"": b"charset=klingon-8\n", b"a": b"b"}))
    assert read_all(format="gettext", path=f"{tmp_path}/x.mo").errors == {"unknown_charset": 1}


def test_one_invalid_entry_is_one_unreadable_record(tmp_path: Path) -> None:
    entries = {b"a%d" % i: b"b%d" % i for i in range(2000)}
    entries[b"a1500"] = b"\xff\xfe"
    (tmp_path / "de.mo").write_bytes(mo_bytes(entries))
    outcome = read_all(format="gettext", path=f"{tmp_path}/de.mo")
    (bad,) = outcome.quarantine
    assert (bad.error, bad.data, outcome.parsed, outcome.records) == ("invalid_utf8", b"a1500\n\xff\xfe", 1999, 2000)
    assert bad.origin_row == sorted(entries).index(b"a1500")


def test_a_truncated_mo_keeps_the_entries_that_are_there(tmp_path: Path) -> None:
    data = mo_bytes({f"a{i:04}": f"b{i}" * 10 for i in range(1000)})
    (tmp_path / "de.mo").write_bytes(data[:-20_000])
    outcome = read_all(format="gettext", path=f"{tmp_path}/de.mo")
    (lost,) = outcome.quarantine
    assert (lost.error, lost.origin_row, lost.offset) == ("truncated", outcome.parsed, len(data) - 20_000)
    assert f"{1000 - outcome.parsed} of 1000 entries" in lost.detail
    assert 100 < outcome.parsed < 900


@pytest.mark.parametrize("data", [b"no catalogue at all, but long enough", b"\xde\x12\x04\x95\0\0", b"\xde"])
def test_what_is_no_mo_file_is_one_entry(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "de.mo").write_bytes(data)
    assert read_all(format="gettext", path=f"{tmp_path}/de.mo").errors == {"bad_catalogue": 1}


def test_overlapping_strings_do_not_fill_the_memory(tmp_path: Path) -> None:
    count, size = 20_000, 1 << 20
    table = struct.pack("<II", size - 1, 0) * count
    data = struct.pack("<7I", 0x950412DE, 0, count, 28, 28, 0, 0) + table
    (tmp_path / "de.mo").write_bytes(data.ljust(size, b"x"))
    assert read_all(format="gettext", path=f"{tmp_path}/de.mo").errors == {"bad_catalogue": 1}


def test_a_syntax_error_in_a_po_file_loses_one_block(tmp_path: Path) -> None:
    good = "\n\n".join(f'msgid "a{i}"\nmsgstr "b{i}"' for i in range(20))
    broken = good.replace('msgstr "b7"', "msgstrr b7").replace('msgid "a9"', 'msgid "a9\u2028"')
    (tmp_path / "de.po").write_text('msgid ""\nmsgstr "Language: fr\\n"\n\n# a comment\n\n' + broken + "\n", "utf-8")
    outcome = read_all(format="gettext", path=f"{tmp_path}/de.po")
    assert outcome.errors == {"malformed_po": 1}
    assert (outcome.parsed, outcome.records, outcome.rows[0]["positive_lang"]) == (19, 21, "fr")
    assert outcome.quarantine[0].data == b'msgid "a7"\nmsgstrr b7'
    assert outcome.quarantine[0].origin_row == 8


def test_catalogues_of_a_package_are_named_without_the_place_of_the_environment() -> None:
    pytest.importorskip("django")
    outcome = read_all(format="gettext", packages=["Django"])
    names = {row["origin_file"] for row in outcome.rows}
    assert "pkg:django/django/conf/locale/de/LC_MESSAGES/django.mo" in names
    assert not any(name.endswith(".po") for name in names)
    expected = 0
    for name in {piece.uris[0] for piece in outcome.pieces}:
        data = Path(str(metadata.distribution("django").locate_file(name.removeprefix("pkg:django/")))).read_bytes()
        expected += struct.unpack("<I", data[8:12])[0]
    assert outcome.records == expected > 50_000
    assert not outcome.quarantine
    languages = {row["origin_file"].split("/")[-3]: row["positive_lang"] for row in outcome.rows}
    assert {languages[name] for name in ("zh_Hant", "sr_Latn", "pt_BR", "es_AR")} == {"zh-Hant", "sr-Latn", "pt", "es"}
    assert None not in languages.values()


def test_pairs_are_those_of_the_standard_library() -> None:
    pytest.importorskip("django")
    outcome = read_all(format="gettext", packages=["django"])
    name = "django/conf/locale/pl/LC_MESSAGES/django.mo"
    mine = {(row["anchor"], row["positive"]) for row in outcome.rows if row["origin_file"] == f"pkg:django/{name}"}
    with open(str(metadata.distribution("django").locate_file(name)), "rb") as file:
        theirs = gettext.GNUTranslations(file)._catalog  # type: ignore[attr-defined]
    plain = {(k, v) for k, v in theirs.items() if isinstance(k, str) and k}
    assert len(plain) > 200
    assert {(k.partition("\x04")[2] or k, v) for k, v in plain} <= mine


def test_a_package_that_is_not_installed_is_an_error_with_the_remedy() -> None:
    with pytest.raises(SourceError, match=r"'no-such-thing' is not installed.*pip install no-such-thing"):
        read_all(format="gettext", packages=["no-such-thing"])


def test_a_package_without_catalogues_is_an_error() -> None:
    with pytest.raises(SourceError, match="has no .mo or .po file"):
        read_all(format="gettext", packages=["orjson"])


def test_another_version_of_a_package_on_a_worker_is_refused() -> None:
    pytest.importorskip("django")
    spec = spec_of(format="gettext", packages=["django"])
    piece = sources.split(spec, sources.find(spec)[0], 1 << 40)[0]
    other = sources.Piece(piece.uris, "0" * 32)
    with pytest.raises(SourceError, match="not what the job listed"):
        list(sources.read(spec, other))


@pytest.mark.parametrize(
    ("locale", "language"),
    [
        ("de", "de"), ("pt_BR", "pt"), ("en-US", "en"), ("de_DE.UTF-8", "de"), ("deu", "de"), ("ger", "de"),
        ("zh_Hant", "zh-Hant"), ("zh_TW", "zh-Hant"), ("zh_HK", "zh-Hant"), ("zh_CN", "zh"), ("zh_Hans", "zh"),
        ("zh-Hans-TW", "zh"), ("zh", "zh"), ("sr@latin", "sr-Latn"), ("sr_Latn", "sr-Latn"), ("sr_Cyrl", "sr"),
        ("sr_RS@latin", "sr-Latn"), ("nb_NO", "nb"), ("ca@valencia", "ca"), ("uz@cyrillic", "uz-Cyrl"),
        ("uz@latin", "uz"), ("az_Arab", "az-Arab"), ("fil", "fil"), ("hsb", "hsb"), ("ast_ES", "ast"),
        ("en@shaw", "en-Shaw"), ("tl", "tl"), ("templates", None), ("C", None), ("", None), ("xx", None),
        ("und", None), ("123", None),
    ],
)  # fmt: skip
def test_locales_become_the_languages_they_mean(locale: str, language: str | None) -> None:
    assert locale_to_language(locale) == language


def test_a_string_over_endless_lines_costs_itself_alone(tmp_path: Path) -> None:
    path = tmp_path / "de.po"
    path.write_text('msgid "a"\nmsgstr "b"\n\nmsgid ""\n' + '"a"\n' * 100_000 + 'msgstr "x"\n\nmsgid "c"\nmsgstr "d"\n')
    outcome = read_all(format="gettext", path=str(path))
    assert outcome.texts == [("a", "b"), ("c", "d")]
    assert [(entry.error, entry.origin_row) for entry in outcome.quarantine] == [("too_long", 1)]
