"""WARC files (ISO 28500), as crawlers and Common Crawl write them: HTML pages for the page builders.

Each WARC record is a record. Those with a page, responses of status 200 and resources, of an HTML type, become
{"url", "html": the body's bytes, "charset": as the HTTP header says or empty, "date"}; the others are counted under
`no_pair`. Records are framed by `warcframes`, their heads parsed by FastWARC (Bevendorff et al., OSSYM 2021). ARC
files and zstd with a dictionary are not read.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pairmill.pairs.sources import linefiles
from pairmill.pairs.sources.base import BATCH_ROWS, Piece, SourceFile, whole
from pairmill.pairs.sources.html import MAX_PAGE
from pairmill.pairs.sources.http import Undecodable, decoded
from pairmill.pairs.sources.records import Gathered, Records
from pairmill.pairs.sources.warcframes import Broken, read_frames
from pairmill.spec.inputs import WarcInput

_HTML = ("text/html", "application/xhtml+xml")
_SNIFFED = 1 << 10  # bytes in which a page without a type must show that it is one


def find(spec: WarcInput) -> list[SourceFile]:
    return linefiles.find(spec)


def split(spec: WarcInput, file: SourceFile, shard_size: int) -> list[Piece]:
    return [whole(file)]


def records(spec: WarcInput, piece: Piece, batch_rows: int = BATCH_ROWS) -> Iterator[Records]:
    where = linefiles.check(spec, piece)
    uri = piece.uris[0]
    gathered = Gathered(uri, batch_rows)
    for found in read_frames(uri, where):
        if isinstance(found, Broken):
            gathered.quarantined(found.error, found.offset, found.detail, found.data)
        else:
            try:
                page = _page(found.data)
            except Undecodable as error:
                gathered.quarantined(error.error, found.offset, error.detail, found.data)
            else:
                if isinstance(page, str):
                    gathered.no_pair(page)
                else:
                    gathered.item(page, len(page["html"]))
        if gathered.full:
            yield gathered.take()
    if gathered.count:
        yield gathered.take()


def _page(data: bytes) -> dict[str, Any] | str:
    """A record's page, or why it has none. Raises Undecodable."""
    from fastwarc.warc import WarcRecord, WarcRecordType

    try:
        record = WarcRecord.from_bytes(data)
        if record.record_type not in (WarcRecordType.response, WarcRecordType.resource):
            return "not_response"
        if record.record_type == WarcRecordType.response:
            if not record.is_http:
                return "not_response"
            record.parse_http(quirks_mode=True)
    except (OSError, ValueError) as error:
        raise Undecodable("malformed_warc", f"the record's head cannot be parsed: {error}") from error
    page = {"url": (record.headers.get("WARC-Target-URI") or "").strip("<> "), "charset": "", "date": None}
    http = record.http_headers
    if record.record_type == WarcRecordType.response:
        if http is None or http.status_code is None:
            raise Undecodable("malformed_http", "the response has no status line")
        if http.status_code != 200:
            return "http_error"
    kind = _type(record.headers if http is None else http)
    if kind and kind not in _HTML:
        return "not_html"
    body = record.reader.read()
    if http is not None:
        transfer, encoding = http.get("Transfer-Encoding") or "", http.get("Content-Encoding") or ""
        body = decoded(body, transfer, encoding, MAX_PAGE)
        page["charset"] = record.http_charset or ""
    if not kind and b"<html" not in body[:_SNIFFED].lower():
        return "not_html"
    if not body.strip():
        return "empty_page"
    return {**page, "html": body, "date": record.headers.get("WARC-Date") or ""}


def _type(headers: Any) -> str:
    return (headers.get("Content-Type") or "").partition(";")[0].strip().lower()
