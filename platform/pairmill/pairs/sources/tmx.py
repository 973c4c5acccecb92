"""Translation memories (TMX 1.4): a unit (`<tu>`) is a record, its variants in the two languages are a pair.

1. The text of a segment is that of `<seg>` with highlighted parts (`<hi>`), without codes (bpt, ept, ph, it, ut) and
   what is in them.
2. Languages: `langs.anchor`, else the unit's or the header's `srclang`; `langs.positive`, else the unit's only other
   language. A variant matches exactly (`en-US`), else as the language it means (`zh-TW`: `zh-Hant`), else by its
   base code; the first of the best matches is taken.
3. Units without the two variants are no pairs, and are counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import pyarrow as pa

from pairmill.pairs.batch import Batch
from pairmill.pairs.sources import columns, linefiles
from pairmill.pairs.sources.base import BATCH_ROWS, Piece, SourceFile, whole
from pairmill.pairs.sources.languages import locale_to_language
from pairmill.pairs.sources.records import Gathered, Records
from pairmill.pairs.sources.xmlstream import Element, Refused, read_elements
from pairmill.spec.inputs import Langs, TmxInput

_LONGEST_TAG, _CACHED_TAGS = 64, 64  # characters of a language's tag; variants of a unit whose choice is remembered
_CODES = frozenset({"bpt", "ept", "ph", "it", "ut"})


def find(spec: TmxInput) -> list[SourceFile]:
    return linefiles.find(spec, utf16=True)


def split(spec: TmxInput, file: SourceFile, shard_size: int) -> list[Piece]:
    return [whole(file)]


def read(spec: TmxInput, piece: Piece, batch_rows: int = BATCH_ROWS) -> Iterator[Batch]:
    where = linefiles.check(spec, piece)
    uri = piece.uris[0]
    gathered, unit = Gathered(uri, batch_rows), _Unit()
    for found in read_elements(uri, where, "tu", unit):
        if isinstance(found, Element):
            pair = _pair(found.value, unit.srclang, spec.langs)
            if isinstance(pair, str):
                gathered.no_pair(pair)
            else:
                gathered.item({"pair": pair}, found.size)
        else:
            gathered.quarantined(found.error, found.offset, found.detail, found.data)
        if gathered.full:
            yield _batch(gathered.take())
    if gathered.row == 0 and unit.root not in ("tmx", ""):
        detail = f"no translation memory: the root element is <{unit.root[:100]}> and not <tmx>"
        gathered.quarantined("not_tmx", 0, detail, uri.encode())
    if gathered.count:
        yield _batch(gathered.take())


class Variant(NamedTuple):
    lang: str
    text: str


class Unit(NamedTuple):
    srclang: str
    variants: list[Variant]


class _Pair(NamedTuple):
    anchor: str
    positive: str
    anchor_lang: str | None
    positive_lang: str | None


class _Unit:
    """Events of a `<tu>` as a Unit."""

    def __init__(self) -> None:
        self.root = self.srclang = ""

    def begin(self, attributes: dict[str, str]) -> None:
        self.unit = Unit(attributes.get("srclang", ""), [])
        self.lang: str | None = None
        self.parts: list[str] | None = None  # of the segment that is open
        self.codes = 0  # depth inside an inline code

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "tuv":
            self.lang = (attributes.get("xml:lang") or attributes.get("lang") or "")[:_LONGEST_TAG]
        elif name == "seg" and self.lang is not None and self.parts is None:
            self.parts = []
        elif name == "tu":
            raise Refused("malformed_xml", "a <tu> inside a <tu>: the first has no end")
        elif self.codes or name in _CODES:
            self.codes += 1

    def end(self, name: str) -> None:
        if self.codes:
            self.codes -= 1
        elif name == "seg" and self.parts is not None and self.lang is not None:
            self.unit.variants.append(Variant(self.lang, "".join(self.parts)))
            self.parts = None
        elif name == "tuv":
            self.lang = None

    def text(self, data: str) -> None:
        if self.parts is not None and not self.codes:
            self.parts.append(data)

    def finish(self) -> Unit:
        return self.unit

    def outside(self, name: str, attributes: dict[str, str]) -> None:
        self.root = self.root or name
        if name == "header":
            self.srclang = attributes.get("srclang", "")


def _pair(unit: Unit, srclang: str, langs: Langs) -> _Pair | str:
    """The unit's pair, or why it has none."""
    variants = unit.variants
    choose = _choice if len(variants) <= _CACHED_TAGS else _choice.__wrapped__
    tags, source = tuple([lang for lang, _ in variants]), (unit.srclang or srclang)[:_LONGEST_TAG]
    found = choose(tags, source, langs.anchor, langs.positive)
    if isinstance(found, str):
        return found
    anchor, positive, anchor_lang, positive_lang = found
    return _Pair(variants[anchor].text, variants[positive].text, anchor_lang, positive_lang)


@lru_cache(maxsize=4096)
def _choice(
    tags: tuple[str, ...], source: str, anchor_lang: str | None, positive_lang: str | None
) -> tuple[int, int, str | None, str | None] | str:
    """Which variants of a unit are its pair, and their languages; or why there is none."""
    if len(tags) < 2:
        return "one_variant" if tags else "no_variant"
    anchor = _best(tags, anchor_lang or (source if source.lower() not in ("", "*all*") else tags[0]))
    if anchor is None:
        return "no_anchor"
    positive = _best(tags, positive_lang, without=anchor) if positive_lang else _only_other(tags, anchor)
    if positive is None:
        return "no_positive"
    if positive < 0:
        return "several_languages"
    return (
        anchor,
        positive,
        anchor_lang or locale_to_language(tags[anchor]),
        positive_lang or locale_to_language(tags[positive]),
    )


def _best(tags: tuple[str, ...], asked: str, without: int | None = None) -> int | None:
    """The first of the tags that match best."""
    for key in (_exact, locale_to_language, _base):
        wanted = key(asked)
        for index, tag in enumerate(tags):
            if index != without and wanted is not None and key(tag) == wanted:
                return index
    return None


def _only_other(tags: tuple[str, ...], anchor: int) -> int | None:
    """The first tag of the only other language; -1 where there are several."""
    others = [index for index, tag in enumerate(tags) if _base(tag) != _base(tags[anchor])]
    if len({_base(tags[index]) for index in others}) > 1:
        return -1
    return others[0] if others else None


def _exact(lang: str) -> str | None:
    return lang.replace("_", "-").lower()


def _base(lang: str) -> str | None:
    known = locale_to_language(lang)
    return known.partition("-")[0] if known else _exact(lang)


def _batch(some: Records) -> Batch:
    made = [record["pair"] for _, record in some.items]
    arrays: dict[str, pa.Array] = {
        name: pa.array([pair[at] for pair in made], pa.string() if at > 1 else pa.large_string())
        for at, name in enumerate(_Pair._fields)
    }
    pairs = columns.table(arrays, Langs(), some.uri, [row for row, _ in some.items])
    return Batch(pairs, some.count, some.no_pair, some.quarantine)
