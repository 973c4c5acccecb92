"""For any bytes in any format: every record is accounted for, and cutting a file changes nothing."""

import gzip
import json
import struct
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from test_sources_warc import chunked, response, warc_record

from pairmill.errors import SourceError
from pairmill.pairs.sources import xmlstream
from pairmill.pairs.sources.xml import Tree
from sourcekit import Outcome, Raw, read_all, records_of

PROFILE = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])

texts = st.text(max_size=12)
json_lines = st.one_of(
    st.fixed_dictionaries({"anchor": texts | st.none() | st.integers(), "positive": texts}).map(
        lambda value: json.dumps(value).encode()
    ),
    st.sampled_from(
        [b"", b" ", b"[1", b"\xff", b'{"anchor": "\\ud800"}', b"2]", b"{},{}", b"null", b"\r", b"\xef\xbb\xbf"]
    ),
    st.binary(max_size=20),
)


def files_of(pieces: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    return st.builds(
        lambda lines, end: b"\n".join(lines) + end, st.lists(pieces, max_size=30), st.sampled_from([b"", b"\n"])
    )


def physical_lines(data: bytes) -> int:
    return data.count(b"\n") + (not data.endswith(b"\n"))


def account(outcome: Outcome) -> None:
    assert outcome.records == outcome.parsed + outcome.no_pair.total() + len(outcome.quarantine)


def same(whole: Outcome, cut: Outcome) -> None:
    account(cut)
    assert cut.rows == whole.rows
    assert cut.no_pair == whole.no_pair
    assert cut.quarantine == whole.quarantine
    assert cut.records == whole.records


@PROFILE
@given(data=files_of(json_lines), shard_size=st.integers(1, 200), batch_rows=st.sampled_from([1, 3, 512]))
@example(data=b"\xef\xbb\xbf\n\n", shard_size=1, batch_rows=512)
def test_jsonl(tmp_path: Path, data: bytes, shard_size: int, batch_rows: int) -> None:
    mark = b'{"anchor": "a", "positive": "b"}\n'
    if data[:2] in (b"\xff\xfe", b"\xfe\xff") or data[:3] == b"\xef\xbb\xbf":
        data = b"\n" + data
    data = mark + data  # else a file without the fields is an error
    path = tmp_path / "a.jsonl"
    path.write_bytes(data)
    whole = read_all(format="jsonl", path=str(path))
    account(whole)
    assert whole.records == physical_lines(data)
    same(whole, read_all(shard_size=shard_size, batch_rows=batch_rows, format="jsonl", path=str(path)))
    for entry in whole.quarantine:
        assert entry.offset is not None
        assert data[entry.offset : entry.offset + len(entry.data)] == entry.data


@PROFILE
@given(
    lines=st.lists(st.tuples(st.binary(max_size=9), st.binary(max_size=30)), min_size=1, max_size=40),
    shard_size=st.integers(1, 300),
    batch_rows=st.sampled_from([1, 3, 512]),
    ends=st.tuples(st.booleans(), st.booleans()),
)
def test_moses(
    tmp_path: Path, lines: list[tuple[bytes, bytes]], shard_size: int, batch_rows: int, ends: tuple[bool, bool]
) -> None:
    for side in (0, 1):
        data = b"".join(line[side].replace(b"\n", b"") + b"\n" for line in [(b"first", b"first"), *lines, (b"x", b"y")])
        (tmp_path / f"c.{side}").write_bytes(data if ends[side] else data[:-1])
    path = f"{tmp_path}/c.{{0,1}}"
    whole = read_all(format="moses", path=path)
    account(whole)
    assert whole.records == len(lines) + 2
    same(whole, read_all(shard_size=shard_size, batch_rows=batch_rows, format="moses", path=path))


csv_parts = st.lists(
    st.sampled_from([b"a", b"b", b",", b'"', b'""', b"\n", b"\r\n", b"\xff", "ü".encode(), b"\0", b"\r"]), max_size=60
)


@PROFILE
@given(
    parts=csv_parts,
    shard_size=st.integers(1, 50),
    batch_rows=st.sampled_from([1, 3, 512]),
    quote=st.sampled_from(['"', None]),
)
def test_csv_without_line_breaks_in_fields(
    tmp_path: Path, parts: list[bytes], shard_size: int, batch_rows: int, quote: str | None
) -> None:
    body = b"".join(parts)
    path = tmp_path / "a.csv"
    path.write_bytes(b"anchor,positive\n" + body)
    options = {"format": "csv", "path": str(path), "quote": quote, "newlines_in_fields": False}
    whole = read_all(**options)
    account(whole)
    assert whole.records == (physical_lines(body) if body else 0)
    same(whole, read_all(shard_size=shard_size, batch_rows=batch_rows, **options))


@PROFILE
@given(parts=csv_parts, batch_rows=st.sampled_from([1, 3, 512]))
def test_csv_accounts_for_every_byte(tmp_path: Path, parts: list[bytes], batch_rows: int) -> None:
    body = b"".join(parts)
    path = tmp_path / "a.csv"
    path.write_bytes(b"anchor,positive\n" + body)
    whole = read_all(format="csv", path=str(path))
    account(whole)
    same(whole, read_all(shard_size=1, batch_rows=batch_rows, format="csv", path=str(path)))
    starts = [(entry.offset, len(entry.data)) for entry in whole.quarantine]
    assert all((b"anchor,positive\n" + body)[at : at + size] for at, size in starts)
    kept = Counter(b"".join(f"{a}{p}".encode() for a, p in whole.texts))
    quarantined = Counter(b"".join(entry.data for entry in whole.quarantine))
    lost = Counter(body) - kept - quarantined
    assert set(lost) <= set(b',"\r\n')


@PROFILE
@given(
    rows=st.lists(st.tuples(st.binary(max_size=6) | st.none(), texts | st.none()), max_size=50),
    group=st.integers(1, 20),
    shard_size=st.integers(1, 500),
    batch_rows=st.sampled_from([1, 7, 512]),
)
def test_parquet(
    tmp_path: Path, rows: list[tuple[bytes | None, str | None]], group: int, shard_size: int, batch_rows: int
) -> None:
    anchors = pa.array([row[0] for row in rows], pa.binary())
    positives = pa.array([row[1] for row in rows], pa.string())
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"anchor": anchors, "positive": positives}), path, row_group_size=group)
    whole = read_all(format="parquet", path=str(path))
    account(whole)
    assert whole.records == len(rows)
    same(whole, read_all(shard_size=shard_size, batch_rows=batch_rows, format="parquet", path=str(path)))


@PROFILE
@given(
    data=st.binary(max_size=200) | st.builds(lambda n, rest: struct.pack("<5I", 0x950412DE, 0, n, 28, 40) + rest,
                                             st.integers(0, 9), st.binary(max_size=200)),
    batch_rows=st.sampled_from([1, 3, 512]),
    kind=st.sampled_from(["mo", "po"]),
)  # fmt: skip
def test_gettext(tmp_path: Path, data: bytes, batch_rows: int, kind: str) -> None:
    path = tmp_path / f"de.{kind}"
    path.write_bytes(data)
    whole = read_all(format="gettext", path=str(path))
    account(whole)
    same(whole, read_all(batch_rows=batch_rows, format="gettext", path=str(path)))


@PROFILE
@given(cut=st.integers(0, 400), flip=st.integers(0, 400), byte=st.integers(0, 255))
def test_a_damaged_gzip_file_never_loses_records_silently(tmp_path: Path, cut: int, flip: int, byte: int) -> None:
    plain = b"".join(b'{"anchor": "%d", "positive": "b"}\n' % (i * 7919) for i in range(100))
    data = bytearray(gzip.compress(plain))
    data[min(flip, len(data) - 1)] = byte
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(data[: max(1, len(data) - cut)])
    outcome = read_all(format="jsonl", path=str(path))
    account(outcome)
    assert outcome.errors or outcome.records == 100


@pytest.mark.parametrize("shard_size", [1, 10, 100, 1000])
def test_lines_are_cut_at_any_size(tmp_path: Path, shard_size: int) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"anchor": "a", "positive": "b"}\n' * 100)
    assert (
        len(read_all(shard_size=shard_size, format="jsonl", path=str(path)).pieces)
        == {1: 100, 10: 100, 100: 25, 1000: 4}[shard_size]
    )


def same_records(whole: Raw, again: Raw) -> None:
    assert (again.items, again.count, again.no_pair) == (whole.items, whole.count, whole.no_pair)
    assert again.quarantine == whole.quarantine


XML_PARTS = """<row a="1"/> | <row> | </row> | <x> | </x> | <x/> | text | &amp; | &#1; | &no; | < | " | <row a='
<!-- row --> | <!-- | ]]> | <![CDATA[<row/>]]> | ä | </r> | <?pi?> | <!DOCTYPE r [<!ENTITY a 'b'>]> | &a; | <rows/>
<row | /> | > | <r>"""
xml_parts = st.lists(st.sampled_from([*XML_PARTS.replace("\n", " | ").split(" | "), "\n", "\x01"]), max_size=25)


@PROFILE
@example(["</row>", '<row a="1"/>', "ä", '<row a="1"/>'], "utf-8", 1)
@given(parts=xml_parts, codec=st.sampled_from(["utf-8", "utf-16", "latin-1"]), block=st.sampled_from([1, 3, 1 << 20]))
def test_xml(tmp_path: Path, parts: list[str], codec: str, block: int) -> None:
    data = ("<r>" + "".join(parts)).encode(codec)
    path = tmp_path / "a.xml"
    path.write_bytes(data)
    whole = list(xmlstream.read_elements(str(path), "test", "row", Tree()))
    blocks = (data[at : at + block] for at in range(0, len(data), block))
    if codec == "utf-8" and "</r>" not in parts:  # behind the root expat takes a quoted stretch for one token, if whole
        again = list(xmlstream._Stream("row", Tree()).read(blocks, [], str(path)))
        told = [[getattr(found, "error", found) for found in each] for each in (again, whole)]
        assert told[0] == told[1]  # however the bytes come
    for found in whole:
        if isinstance(found, xmlstream.Broken) and found.offset is not None:
            assert data[found.offset :].startswith(found.data)


@PROFILE
@given(good=st.integers(0, 5), inside=xml_parts)
def test_xml_records_behind_a_damaged_one_are_read(tmp_path: Path, good: int, inside: list[str]) -> None:
    path = tmp_path / "a.xml"
    head = "<r>" + "<row good=''/>" * good
    path.write_text(f"{head}<row>{''.join(inside)}]]>--></row><row last='1'/></r>")
    found = list(xmlstream.read_elements(str(path), "test", "row", Tree()))
    values = [one.value if isinstance(one, xmlstream.Element) else one.error for one in found]
    assert values[:good] == [{"good": ""}] * good
    swallowed = any("<!--" in part or part == "<row a='" or "CDATA" in part for part in inside)
    assert swallowed or values[-1] == {"last": "1"}


warc_bodies = st.one_of(
    st.just(response(b"<html>")),
    st.builds(lambda body: response(chunked(body), Transfer_Encoding="chunked"), st.binary(max_size=20)),
    st.builds(lambda body: response(body, Content_Encoding="gzip"), st.binary(max_size=20)),
    st.binary(max_size=40),
)
warc_parts = st.one_of(
    st.builds(warc_record, warc_bodies, st.sampled_from(["response", "resource", "request", "x"])),
    st.builds(lambda body, size: warc_record(body, **{"Content-Length": str(size)}), warc_bodies, st.integers(-1, 300)),
    st.sampled_from(
        [b"WARC/1.0\r\n", b"\r\n", b"rubbish\r\n", b"WARC/1.0\r\n\r\n", b"\nWARC/1.1\nContent-Length: 0\n\n"]
    ),
)


@PROFILE
@given(
    parts=st.lists(warc_parts, max_size=12),
    kind=st.sampled_from(["plain", "gzip"]),
    batch_rows=st.integers(1, 3),
    flip=st.none() | st.tuples(st.integers(0, 3000), st.integers(1, 255)),
    cut=st.integers(0, 1) | st.integers(0, 300),
)
def test_warc(
    tmp_path: Path, parts: list[bytes], kind: str, batch_rows: int, flip: tuple[int, int] | None, cut: int
) -> None:
    data = bytearray(b"".join(map(gzip.compress, parts)) if kind == "gzip" else b"".join(parts))
    if flip and flip[0] < len(data):
        data[flip[0]] ^= flip[1]
    path = tmp_path / "a.warc"
    path.write_bytes(data[: max(1, len(data) - cut)])
    whole = records_of(format="warc", path=str(path))
    same_records(whole, records_of(batch_rows=batch_rows, format="warc", path=str(path)))
    assert all(isinstance(page["html"], bytes) for page in whole.items.values())


@PROFILE
@given(
    flips=st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255)), max_size=4),
    cut=st.integers(0, 20) | st.integers(0, 4000),
    kind=st.sampled_from(["stream", "file"]),
    shard_size=st.sampled_from([1, 700, 1 << 30]),
)
def test_arrow(tmp_path: Path, flips: list[tuple[int, int]], cut: int, kind: str, shard_size: int) -> None:
    table = pa.table({"anchor": [f"a{i}" for i in range(60)], "positive": ["x"] * 60, "n": [["p", None]] * 60})
    sink = pa.BufferOutputStream()
    make = pa.ipc.new_stream if kind == "stream" else pa.ipc.new_file
    with make(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=20)
    data = bytearray(sink.getvalue().to_pybytes())
    for at, byte in flips:
        data[at % len(data)] = byte
    path = tmp_path / "a.arrow"
    path.write_bytes(data[: max(1, len(data) - cut)])
    settings = {"format": "arrow", "path": str(path), "columns": {"negatives": "n"}}
    try:
        whole = read_all(**settings)
    except SourceError:  # a column's name or type was hit
        return
    account(whole)
    same(whole, read_all(shard_size=shard_size, batch_rows=7, **settings))


@PROFILE
@given(
    data=st.recursive(st.none() | st.integers() | texts, lambda inner: st.lists(inner) | st.dictionaries(texts, inner))
)
def test_json(tmp_path: Path, data: object) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps([{"anchor": "a", "positive": "b"}, data]))
    whole = read_all(format="json", path=str(path))
    account(whole)
    assert whole.records == 2
