"""JSON: one document per file, with the records in a list inside it (SQuAD and its like).

A document is read whole, so its size is bounded. One that is malformed is one entry in quarantine.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from pairmill.errors import SourceError
from pairmill.pairs.batch import Batch
from pairmill.pairs.sources import fields, linefiles
from pairmill.pairs.sources.base import BATCH_ROWS, Piece, SourceFile, whole
from pairmill.pairs.sources.lines import BOM
from pairmill.pairs.sources.records import Gathered, Records
from pairmill.pairs.sources.streams import Damaged, text_blocks
from pairmill.spec.inputs import JsonInput

#: No document is larger, in bytes of text: parsed, it takes two to six times as much memory (empty objects: 30 times).
MAX_DOCUMENT = 128 << 20

find = linefiles.find


def split(spec: JsonInput, file: SourceFile, shard_size: int) -> list[Piece]:
    return [whole(file)]


def read(spec: JsonInput, piece: Piece, batch_rows: int = BATCH_ROWS) -> Iterator[Batch]:
    for some in records(spec, piece, batch_rows):
        yield fields.batch(spec, some)


def records(spec: JsonInput, piece: Piece, batch_rows: int = BATCH_ROWS) -> Iterator[Records]:
    """The objects of the list as they are. What else it holds goes to quarantine as `not_an_object`."""
    where = linefiles.check(spec, piece)
    uri = piece.uris[0]
    gathered = Gathered(uri, batch_rows)
    watch = fields.Watch(spec, where, uri)
    try:
        listed = _list(spec, _document(uri, where), uri, where)
    except _Unreadable as error:
        gathered.quarantined(*error.args)
        yield gathered.take()
        return
    for value in listed:
        if type(value) is dict:
            watch.look([value])
            gathered.item(value, 0)
        else:
            detail = f"a JSON {type(value).__name__} instead of an object"
            gathered.quarantined("not_an_object", None, detail, orjson.dumps(value))
        if gathered.full:
            yield gathered.take()
    if gathered.count:
        yield gathered.take()
    watch.end()


class _Unreadable(Exception):
    """The document cannot be read: error, offset, detail and data of the quarantine's entry."""


def _document(uri: str, where: str) -> Any:
    data = bytearray()
    try:
        for block in text_blocks(uri, where):
            data += block
            if len(data) > MAX_DOCUMENT:
                raise SourceError(
                    f"{where}: {uri} is a JSON document of more than {MAX_DOCUMENT >> 20} MiB, which would have to be "
                    f"held in memory whole. Write its records as JSON lines (jq -c '.[]' FILE) and use format: jsonl."
                )
    except Damaged as damage:
        raise _Unreadable(damage.error, damage.offset, damage.detail, bytes(data) or uri.encode()) from damage
    text = memoryview(data)[len(BOM) :] if data.startswith(BOM) else data
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        try:
            data.decode()
        except UnicodeDecodeError as reason:
            raise _Unreadable("invalid_utf8", reason.start, str(reason), bytes(data)) from error
        raise _Unreadable("malformed_json", error.pos, str(error), bytes(data)) from error


def _list(spec: JsonInput, document: Any, uri: str, where: str) -> list[Any]:
    value = document
    for key in spec.records.split(".") if spec.records else []:
        if type(value) is not dict or key not in value:
            raise SourceError(f"{where}: {uri} has no list at `records: {spec.records}`. {_found(document)}")
        value = value[key]
    if type(value) is not list:
        named = f"at `records: {spec.records}`" if spec.records else "at its top"
        raise SourceError(f"{where}: {uri} has a {type(value).__name__} and no list {named}. {_found(document)}")
    return value


def _found(document: Any) -> str:
    if type(document) is not dict:
        return f"The document is a {type(document).__name__}. Leave `records` out where it is the list itself."
    lists = [key for key, value in document.items() if type(value) is list]
    return f"Lists found: {', '.join(lists[:30]) or 'none'}. Name the path of one, such as `records: data`."
