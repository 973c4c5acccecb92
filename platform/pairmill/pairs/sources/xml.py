"""XML dumps: each `element` is a record (`<row>` of StackExchange, `<page>` of MediaWiki).

A record is a dictionary: attributes and child elements by name. A child without children is its text, as a string, and
its attributes stand beside it as `child@attribute`; one with children is a dictionary of the same kind. A name that
occurs again makes a list. Text between children is `#text`, unless it is white space.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pairmill.errors import SourceError
from pairmill.pairs.batch import Batch
from pairmill.pairs.sources import fields, linefiles
from pairmill.pairs.sources.base import BATCH_ROWS, Piece, SourceFile, whole
from pairmill.pairs.sources.records import Gathered, Records
from pairmill.pairs.sources.xmlstream import Element, read_elements
from pairmill.spec.inputs import XmlInput


def find(spec: XmlInput) -> list[SourceFile]:
    return linefiles.find(spec, utf16=True)


def split(spec: XmlInput, file: SourceFile, shard_size: int) -> list[Piece]:
    return [whole(file)]


def read(spec: XmlInput, piece: Piece, batch_rows: int = BATCH_ROWS) -> Iterator[Batch]:
    for some in records(spec, piece, batch_rows):
        yield fields.batch(spec, some)


def records(spec: XmlInput, piece: Piece, batch_rows: int = BATCH_ROWS) -> Iterator[Records]:
    """The elements as dictionaries. What cannot be read is in quarantine, and reading goes on behind it."""
    where = linefiles.check(spec, piece)
    uri = piece.uris[0]
    gathered, tree = Gathered(uri, batch_rows), Tree()
    watch = fields.Watch(spec, where, uri)
    for found in read_elements(uri, where, spec.element, tree):
        if isinstance(found, Element):
            watch.look([found.value])
            gathered.item(found.value, found.size)
        else:
            gathered.quarantined(found.error, found.offset, found.detail, found.data)
        if gathered.full:
            yield gathered.take()
    if gathered.row == 0 and len(tree.others) > 1:
        raise SourceError(
            f"{where}: {uri} has no element <{spec.element}>. Found: {', '.join(tree.others)}. Name the one that is a "
            "record: element: page"
        )
    if gathered.count:
        yield gathered.take()
    watch.end()


class Tree:
    """Events of a record as a dictionary; see the module."""

    def __init__(self) -> None:
        self.others: dict[str, None] = {}  # names seen outside records
        self.open: list[tuple[dict[str, Any], list[str], dict[str, str]]] = []

    def begin(self, attributes: dict[str, str]) -> None:
        self.open = [({}, [], attributes)]

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self.open.append(({}, [], attributes))

    def text(self, data: str) -> None:
        self.open[-1][1].append(data)

    def end(self, name: str) -> None:
        children, texts, attributes = self.open.pop()
        parent = self.open[-1][0]
        if children:
            _add(parent, name, _element(children, texts, attributes))
            return
        _add(parent, name, "".join(texts))
        for key, value in attributes.items():
            _add(parent, f"{name}@{key}", value)

    def finish(self) -> dict[str, Any]:
        return _element(*self.open.pop())

    def outside(self, name: str, attributes: dict[str, str]) -> None:
        if len(self.others) < 30:
            self.others[name] = None


def _element(children: dict[str, Any], texts: list[str], attributes: dict[str, str]) -> dict[str, Any]:
    value: dict[str, Any] = dict(attributes)
    for name, child in children.items():
        _add(value, name, child)
    if (text := "".join(texts)).strip():
        _add(value, "#text", text)
    return value


def _add(record: dict[str, Any], name: str, value: Any) -> None:
    if name not in record:
        record[name] = value
    elif isinstance(held := record[name], list):
        held.append(value)
    else:
        record[name] = [held, value]
