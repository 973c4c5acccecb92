"""A page's bytes as text.

1. A byte order mark decides.
2. Bytes that are UTF-8 without error are UTF-8, whatever is declared: servers often declare their default instead, and
   text in another encoding is hardly ever valid UTF-8 (but for ISO-2022, ASCII with escapes, and UTF-16, with NULs).
3. Else the encoding that the HTTP header declares, then the one of the page's `meta`, then the detected one: the first
   in which at most `FEW_ERRORS` of the characters are undecodable, else the one with the fewest. Names mean what the
   WHATWG Encoding Standard says: `iso-8859-1` is windows-1252, `gb2312` is gb18030.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator

from pairmill.pairs.pages.limits import refuse_binary

#: Undecodable characters for which a declared encoding is still believed: a page cut inside a character has one.
FEW_ERRORS = 0.001
#: Bytes of a page from which its encoding is detected.
DETECT_BYTES = 1 << 16

_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_META = re.compile(rb"<meta\b[^>]{0,500}?charset\s*=\s*[\"']?\s*([\w:.-]{1,40})", re.I)
#: What Python calls encodings that the standard defines as larger than their names say.
_PYTHON = {"shift_jis": "cp932", "euc-kr": "cp949", "big5": "big5hkscs", "gbk": "gb18030", "windows-874": "cp874",
           "iso-8859-8-i": "iso-8859-8", "x-mac-cyrillic": "mac_cyrillic", "macintosh": "mac_roman"}  # fmt: skip


def decode(data: bytes, declared: str | None) -> str:
    """The text of a page. `declared`: the HTTP header's charset. Undecodable bytes become U+FFFD.

    Raises WrongRecord where the bytes are no text in any encoding.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return refuse_binary(data[len(mark) :].decode(encoding, "replace"))
    if b"\x1b" not in data and b"\0" not in data:
        try:
            return refuse_binary(data.decode())
        except UnicodeDecodeError:
            pass
    return refuse_binary(_best(data, declared))


def _best(data: bytes, declared: str | None) -> str:
    best, fewest = "", float("inf")
    for encoding in dict.fromkeys(_candidates(data, declared)):
        text = data.decode(encoding, "replace")
        errors = text.count("\N{REPLACEMENT CHARACTER}")
        if errors <= FEW_ERRORS * len(text):
            return text
        if errors < fewest:
            best, fewest = text, errors
    return best


def _candidates(data: bytes, declared: str | None) -> Iterator[str]:
    from resiliparse.parse.encoding import detect_encoding

    if declared and (encoding := _known(declared)):
        yield encoding
    meta = _META.search(data[:4096])
    if meta and (encoding := _known(meta[1].decode("ascii", "ignore"))):
        # a page that names UTF-16 in ASCII is not UTF-16
        yield "utf-8" if encoding.startswith("utf-16") else encoding
    detected = detect_encoding(data[:DETECT_BYTES])
    if detected and (encoding := _known(detected)):
        yield encoding
    yield "utf-8"
    yield "cp1252"


def _known(label: str) -> str | None:
    """Python's name of the encoding that a label means; None for labels that mean none."""
    from resiliparse.parse.encoding import map_encoding_to_html5

    name = map_encoding_to_html5(label.strip(" \"'\t"), fallback_utf8=False)
    if not name:
        return None
    name = _PYTHON.get(name, name)
    try:
        return codecs.lookup(name).name
    except LookupError:  # `replacement` and `x-user-defined` have no Python codec
        return None
