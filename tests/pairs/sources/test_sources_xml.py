import bz2
from pathlib import Path
from typing import Any

import pytest

from pairmill.errors import SourceError
from pairmill.pairs.sources import xmlstream
from sourcekit import Raw, read_all, records_of


def read(
    tmp_path: Path, text: str | bytes, field: str = "Id", element: str = "row", name: str = "a.xml", **options: Any
) -> Raw:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return records_of(
        format="xml", path=str(path), element=element, columns={"anchor": field, "positive": field}, **options
    )


def posts(rows: list[str]) -> str:
    return '<?xml version="1.0" encoding="utf-8"?>\n<posts>\n' + "\n".join(rows) + "\n</posts>\n"


PAGES = """<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" xml:lang="de">
  <siteinfo><sitename>Wikipedia</sitename></siteinfo>
  <page><title>Alan</title><ns>0</ns><redirect title="Alan Turing" /><revision><id>5</id>
    <contributor><username>A</username></contributor>
    <text bytes="9" xml:space="preserve">#WEITER &amp;c</text></revision></page>
  <page><title>B</title><revision><text>1</text></revision><revision><text /></revision></page>
</mediawiki>"""


def test_attributes_of_rows_are_fields(tmp_path: Path) -> None:
    rows = [f'  <row Id="{i}" Body="&lt;p&gt;Text &#xE4; {i}&lt;/p&gt;&#xA;" />' for i in range(1000)]
    raw = read(tmp_path, posts(rows), batch_rows=7)
    assert raw.items == {i: {"Id": str(i), "Body": f"<p>Text ä {i}</p>\n"} for i in range(1000)}
    assert raw.count == 1000


def test_elements_are_fields_by_their_names(tmp_path: Path) -> None:
    raw = read(tmp_path, bz2.compress(PAGES.encode()), "title", "page", "wiki.xml.bz2")
    assert raw.items[0] == {
        "title": "Alan", "ns": "0", "redirect": "", "redirect@title": "Alan Turing",
        "revision": {"id": "5", "contributor": {"username": "A"}, "text": "#WEITER &c", "text@bytes": "9",
                     "text@xml:space": "preserve"},
    }  # fmt: skip
    assert raw.items[1] == {"title": "B", "revision": [{"text": "1"}, {"text": ""}]}


def test_fields_make_pairs_without_a_builder(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    path.write_text(posts(['<row T="a" B="b"/>', '<row T="c"/>', "<row><T>d</T><B><x>1</x></B></row>"]))
    outcome = read_all(format="xml", path=str(path), columns={"anchor": "T", "positive": "B"})
    assert outcome.texts == [("a", "b"), ("c", "")]
    assert outcome.errors == {"wrong_type": 1}


def test_damaged_records_cost_themselves_alone(tmp_path: Path) -> None:
    rows = [f'<row Id="{i}" T="x"/>' for i in range(200)]
    damage = {
        3: '<row Id="3 T="x"/>', 9: '<row Id="9" T="x/>', 20: '<row Id="20" T="&#x1;"/>', 21: "<row Id='21'></rwo>",
        22: '<row Id="22" T="&nbsp;"/>', 40: '<row Id="40"><a></row>', 199: '<row Id="199"',
    }  # fmt: skip
    for index, row in damage.items():
        rows[index] = row
    raw = read(tmp_path, posts(rows))
    assert raw.count == posts(rows).count("<row ")
    assert raw.errors == [("malformed_xml", row) for row in damage]
    assert [int(record["Id"]) for record in raw.items.values()] == [i for i in range(200) if i not in damage]
    for entry in raw.quarantine:
        assert entry.offset == posts(rows).encode().index(entry.data)
        assert entry.data.decode().startswith(damage[entry.origin_row or 0][:8])


@pytest.mark.parametrize("extension", ["xml", "xml.bz2"])
def test_a_truncated_file_keeps_the_readable_prefix(tmp_path: Path, extension: str) -> None:
    rows = posts([f'<row Id="{i}" T="{i * i}"/>' for i in range(50_000)]).encode()
    data = rows if extension == "xml" else bz2.compress(rows, 1)
    raw = read(tmp_path, data[: len(data) * 2 // 3], name=f"a.{extension}")
    (entry,) = raw.quarantine
    assert entry.error == "truncated"
    assert 20_000 < len(raw.items) < 45_000
    assert entry.origin_row == len(raw.items) == raw.count - 1


BILLION = '<!DOCTYPE r [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;&a;">]>' + posts(['<row T="&b;"/>']).partition("\n")[2]
EXTERNAL = (
    '<!DOCTYPE r [<!ENTITY a SYSTEM "file:///etc/hostname">]>' + posts(["<row><T>&a;</T></row>"]).partition("\n")[2]
)
PARAMETER = '<!DOCTYPE r [<!ENTITY % a SYSTEM "http://127.0.0.1:9/x">%a;]>' + posts(['<row T="1"/>']).partition("\n")[2]


@pytest.mark.parametrize("text", [BILLION, EXTERNAL, PARAMETER])
def test_documents_that_declare_entities_are_refused(tmp_path: Path, text: str) -> None:
    raw = read(tmp_path, text)
    assert raw.errors == [("hostile_xml", 0)]
    assert not raw.items


def test_an_external_dtd_is_not_fetched(tmp_path: Path) -> None:
    raw = read(
        tmp_path,
        '<!DOCTYPE posts SYSTEM "http://127.0.0.1:9/x.dtd"><posts><row T="1"/><row><T>a&b;</T></row></posts>',
        "T",
    )
    assert raw.items == {0: {"T": "1"}}
    assert raw.errors == [("malformed_xml", 1)]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "iso-8859-1", "windows-1252", "shift_jis", "gb18030"])
def test_any_encoding_is_read(tmp_path: Path, encoding: str) -> None:
    word = {"shift_jis": "日本", "gb18030": "中文"}.get(encoding, "Grüße")
    declared = encoding.removesuffix("-sig")
    text = f'<?xml version="1.0" encoding="{declared}"?><a><row T="{word}"/><row T=/><row T="{word}"/></a>'
    raw = read(tmp_path, text.encode(encoding), "T")
    assert raw.items == {0: {"T": word}, 2: {"T": word}}
    assert raw.errors == [("malformed_xml", 1)]


@pytest.mark.parametrize("encoding", ["zlib", "unicode_escape", "no-such", "hex"])
def test_an_unknown_encoding_is_one_entry(tmp_path: Path, encoding: str) -> None:
    raw = read(tmp_path, f'<?xml version="1.0" encoding="{encoding}"?><a><row T="1"/></a>')
    assert raw.errors == [("unknown_charset", 0)]


@pytest.mark.parametrize(
    ("inside", "error"),
    [
        ("<a>" * 100_000, "too_deep"),
        ("<a/>" * (xmlstream.MAX_ELEMENTS + 1), "too_long"),
        ("x" * (xmlstream.MAX_RECORD + 1), "too_long"),
    ],
)
def test_records_beyond_the_bounds_are_passed_over(tmp_path: Path, inside: str, error: str) -> None:
    raw = read(tmp_path, f'<posts><row Id="1"/><row>{inside}</row><row Id="3"/></posts>')
    assert raw.errors == [(error, 1)]
    assert raw.items == {0: {"Id": "1"}, 2: {"Id": "3"}}


def test_a_file_without_such_elements_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no element <row>. Found: mediawiki, siteinfo, .*element: page"):
        read(tmp_path, PAGES)
    assert read(tmp_path, "<posts></posts>").count == 0
