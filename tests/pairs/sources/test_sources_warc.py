import gzip
import random
import zlib
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import zstandard

from pairmill.pairs.sources import warcframes
from sourcekit import Raw, records_of

PAGE = b"<html><title>One</title><p>Some text.</p></html>"


def warc_record(block: bytes, kind: str = "response", url: str = "http://a.example/", **headers: str) -> bytes:
    media = {"response": "application/http; msgtype=response", "resource": "text/html"}.get(kind, "text/plain")
    every = {
        "WARC-Type": kind, "WARC-Target-URI": url, "WARC-Date": "2024-05-01T00:00:00Z",
        "WARC-Record-ID": "<urn:uuid:6f9619ff-8b86-d011-b42d-00c04fc964ff>", "Content-Type": media,
        "Content-Length": str(len(block)), **headers,
    }  # fmt: skip
    head = "".join(f"{name}: {value}\r\n" for name, value in every.items())
    return b"WARC/1.1\r\n" + head.encode() + b"\r\n" + block + b"\r\n\r\n"


def response(body: bytes = PAGE, status: str = "200 OK", kind: str = "text/html; charset=utf-8", **more: str) -> bytes:
    headers = {"Content-Type": kind, **{name.replace("_", "-"): value for name, value in more.items()}}
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items() if value)
    return f"HTTP/1.1 {status}\r\n{head}\r\n".encode() + body


def chunked(body: bytes, size: int = 7) -> bytes:
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def read(tmp_path: Path, data: bytes, name: str = "a.warc", **options: Any) -> Raw:
    path = tmp_path / name
    path.write_bytes(data)
    return records_of(format="warc", path=str(path), **options)


MANY = [warc_record(response(PAGE + b"%d" % i), url=f"http://a.example/{i}") for i in range(50)]
COMPRESS = {
    "plain": lambda records: b"".join(records),
    "gzip of each": lambda records: b"".join(map(gzip.compress, records)),
    "gzip of all": lambda records: gzip.compress(b"".join(records)),
    "zstd of each": lambda records: b"".join(
        zstandard.ZstdCompressor(write_checksum=True).compress(r) for r in records
    ),
}


@pytest.mark.parametrize("how", COMPRESS)
def test_pages_are_read_from_any_compression(tmp_path: Path, how: str) -> None:
    raw = read(tmp_path, COMPRESS[how](MANY))
    assert raw.items == {
        i: {
            "url": f"http://a.example/{i}",
            "html": PAGE + b"%d" % i,
            "charset": "utf-8",
            "date": "2024-05-01T00:00:00Z",
        }
        for i in range(50)
    }
    assert raw.count == 50


def test_records_without_a_page_are_counted_by_reason(tmp_path: Path) -> None:
    others = [
        warc_record(b"software: x\r\n", "warcinfo"),
        warc_record(b"GET / HTTP/1.1\r\n\r\n", "request"),
        warc_record(b"", "metadata"),
        warc_record(response(status="404 Not Found")),
        warc_record(response(status="301 Moved", Location="/x")),
        warc_record(response(b"%PDF", kind="application/pdf")),
        warc_record(response(b"\x89PNG", kind="")),
        warc_record(response(b" \r\n")),
        warc_record(PAGE, "resource"),
        warc_record(response(b"<!DOCTYPE html><html>", kind="")),
        warc_record(response(kind="Application/XHTML+XML")),
    ]
    raw = read(tmp_path, b"".join(others))
    assert raw.no_pair == {"not_response": 3, "http_error": 2, "not_html": 2, "empty_page": 1}
    assert list(raw.items) == [8, 9, 10]


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (chunked(PAGE), {"Transfer_Encoding": "chunked"}),
        (gzip.compress(PAGE), {"Content_Encoding": "gzip"}),
        (chunked(gzip.compress(PAGE)), {"Transfer_Encoding": "chunked", "Content_Encoding": "gzip"}),
        (zlib.compress(PAGE), {"Content_Encoding": "deflate"}),
        (zlib.compress(PAGE)[2:-4], {"Content_Encoding": "deflate"}),
        (gzip.compress(PAGE[:20]) + gzip.compress(PAGE[20:]), {"Content_Encoding": "x-gzip"}),
        (PAGE, {"Content_Encoding": "gzip", "Transfer_Encoding": "chunked"}),  # stored decoded, headers left
        (PAGE, {"Content_Encoding": "br"}),
        (PAGE, {"Content_Encoding": "deflate"}),
    ],
    ids=count(),
)
def test_bodies_are_decoded_as_their_headers_say(tmp_path: Path, body: bytes, headers: dict[str, str]) -> None:
    raw = read(tmp_path, warc_record(response(body, **headers)))
    assert [record["html"] for record in raw.items.values()] == [PAGE]


@pytest.mark.parametrize(
    ("body", "encoding", "error"),
    [
        (gzip.compress(bytes(100 << 20), 1), "gzip", "too_long"),
        (gzip.compress(gzip.compress(bytes(100 << 20), 1)), "gzip, gzip", "too_long"),
        (zlib.compress(bytes(100 << 20)), "deflate", "too_long"),
        (b"\x1f\x8b" + PAGE, "gzip", "corrupt"),
        (b"\x8b\x00\x80", "br", "unsupported_encoding"),
    ],
    ids=count(),
)
def test_bodies_that_cannot_be_decoded_are_quarantined(tmp_path: Path, body: bytes, encoding: str, error: str) -> None:
    raw = read(tmp_path, warc_record(response(body, Content_Encoding=encoding)) + MANY[0])
    assert raw.errors == [(error, 0)]
    assert list(raw.items) == [1]


@pytest.mark.parametrize("how", ["plain", "gzip of each"])
@pytest.mark.parametrize("length", ["3", "99999", "99999999999", "-1", "x"])
def test_a_wrong_length_costs_one_record(tmp_path: Path, how: str, length: str) -> None:
    wrong = warc_record(response(), **{"Content-Length": length})
    raw = read(tmp_path, COMPRESS[how]([*MANY[:3], wrong, *MANY[3:]]))
    assert raw.count == 51
    assert [row for _, row in raw.errors] == [3]
    assert list(raw.items) == [i for i in range(51) if i != 3]


def test_rubbish_between_records_is_one_entry(tmp_path: Path) -> None:
    raw = read(tmp_path, MANY[0] + b"no record here\r\nWARC/ not here\r\n" + MANY[1])
    assert raw.errors == [("malformed_warc", 1)]
    assert [record["url"] for record in raw.items.values()] == ["http://a.example/0", "http://a.example/1"]


@pytest.mark.parametrize("how", ["gzip of each", "zstd of each"])
def test_a_corrupt_member_costs_its_record(tmp_path: Path, how: str) -> None:
    members = [bytearray(COMPRESS[how]([record])) for record in MANY]
    for index in (5, 6, 20):
        members[index][60:70] = bytes(10)
    raw = read(tmp_path, b"".join(members))
    assert {error for error, _ in raw.errors} == {"corrupt"}
    good = [i for i in range(50) if i not in (5, 6, 20)]
    assert [record["url"] for record in raw.items.values()] == [f"http://a.example/{i}" for i in good]
    assert raw.count == 47 + len(raw.errors)
    assert len(raw.errors) in (2, 3)  # two damaged neighbours may be one gap


def test_a_record_that_fails_its_checksum_is_no_page(tmp_path: Path) -> None:
    members = [bytearray(gzip.compress(record)) for record in MANY]
    members[7][-8] ^= 1
    raw = read(tmp_path, b"".join(members))
    assert raw.errors == [("corrupt", 7)]
    assert raw.count == 50
    assert 7 not in raw.items


@pytest.mark.parametrize("how", COMPRESS)
def test_a_truncated_file_keeps_its_whole_records(tmp_path: Path, how: str) -> None:
    random.seed(1)
    records = [warc_record(response(PAGE + random.randbytes(300)), url=f"http://a.example/{i}") for i in range(50)]
    data = COMPRESS[how](records)
    raw = read(tmp_path, data[: len(data) * 2 // 3])
    (entry,) = raw.quarantine
    assert entry.error == "truncated"
    assert 25 < len(raw.items) < 40
    assert list(raw.items) == list(range(entry.origin_row or 0))


def test_records_beyond_the_limit_are_passed_over(tmp_path: Path) -> None:
    big = warc_record(response(bytes(warcframes.MAX_RECORD + 1)))
    raw = read(tmp_path, gzip.compress(MANY[0] + big + MANY[1], 1))
    assert raw.errors == [("too_long", 1)]
    assert list(raw.items) == [0, 2]


def test_html_files_are_pages(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_bytes(PAGE)
    (tmp_path / "b.html.gz").write_bytes(gzip.compress(PAGE))
    (tmp_path / "c.html").write_bytes("<p>ü</p>".encode("utf-16"))
    (tmp_path / "d.html").write_bytes(b"")
    (tmp_path / "e.html.gz").write_bytes(gzip.compress(bytes(50 << 20), 1))
    raw = records_of(format="html", path=f"{tmp_path}/*.html*")
    assert [entry.error for entry in raw.quarantine] == ["empty_file", "too_long"]
    outcome = records_of(format="html", path=[f"{tmp_path}/b.html.gz"])
    assert outcome.items == {0: {"url": f"{tmp_path}/b.html.gz", "html": PAGE}}


def test_real_pages_survive_the_way_through_a_warc(tmp_path: Path, shared_data: Path) -> None:
    table = pq.read_table(shared_data / "web" / "html_subset.parquet", columns=["url_or_path", "html"]).slice(0, 200)
    pages = [(row["url_or_path"], row["html"].encode()) for row in table.to_pylist()]
    bodies = [
        (chunked(html, 1000), {"Transfer_Encoding": "chunked"}) if i % 3 == 0
        else (gzip.compress(html, 1), {"Content_Encoding": "gzip"}) if i % 3 == 1 else (html, {})
        for i, (_, html) in enumerate(pages)
    ]  # fmt: skip
    records = [
        gzip.compress(warc_record(response(body, **headers), url=f"http://a.example/{url}"), 1)
        for (url, _), (body, headers) in zip(pages, bodies, strict=True)
    ]
    raw = read(tmp_path, gzip.compress(warc_record(b"x", "warcinfo")) + b"".join(records), "a.warc.gz")
    assert raw.count == 201
    assert [(r["url"], r["html"]) for r in raw.items.values()] == [(f"http://a.example/{u}", h) for u, h in pages]
