"""HTML files, one page each, for the page builders: a record is {"url": the file's URI, "html": its bytes}."""

from __future__ import annotations

from collections.abc import Iterator

from pairmill.pairs.sources import linefiles
from pairmill.pairs.sources.base import BATCH_ROWS, Piece, SourceFile, whole
from pairmill.pairs.sources.records import Gathered, Records
from pairmill.pairs.sources.streams import Damaged, text_blocks
from pairmill.spec.inputs import HtmlInput

#: No page is larger, in bytes; browsers and extractors give up long before.
MAX_PAGE = 16 << 20


def find(spec: HtmlInput) -> list[SourceFile]:
    return linefiles.find(spec, utf16=True)


def split(spec: HtmlInput, file: SourceFile, shard_size: int) -> list[Piece]:
    return [whole(file)]


def records(spec: HtmlInput, piece: Piece, batch_rows: int = BATCH_ROWS) -> Iterator[Records]:
    where = linefiles.check(spec, piece)
    uri = piece.uris[0]
    gathered = Gathered(uri, batch_rows)
    page = bytearray()
    try:
        for block in text_blocks(uri, where):
            page += block
            if len(page) > MAX_PAGE:
                break
    except Damaged as damage:
        gathered.quarantined(damage.error, damage.offset, damage.detail, bytes(page) or uri.encode())
    else:
        if len(page) > MAX_PAGE:
            gathered.quarantined("too_long", 0, f"a page of more than {MAX_PAGE} bytes", bytes(page[:MAX_PAGE]))
        else:
            gathered.item({"url": uri, "html": bytes(page)}, len(page))
    yield gathered.take()
