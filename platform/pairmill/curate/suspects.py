"""Which rows a cleaning step may change: checks that never miss one, and cost little on clean text.

1. `scan` reads each byte once: what the characters say (a table over all code points) is or'ed per row.
2. Rows that hold `&`, `<`, `>`, or a sign of personal data are looked at again, around those characters only.

- entities: `&` with what `clean` takes for a reference behind it.
- tags: `<` in front of a name, `/`, `!` or `?`; `>` behind `/` or a quote, or near the start of the text; `;` in a text
  with one of `={[<>` and a call or an assignment, which may be a script.
- unicode: a row may change if it holds a code point that its normal form replaces, one that may join the one before
  (Unicode's quick check MAYBE) and what it could join, or combining marks out of canonical order.
- mojibake: UTF-8 read in a one-byte encoding shows as a lead byte's character with continuation bytes' behind it; a row
  is suspect if neighbours can be that in one of ENCODINGS, if it holds a C1 control (Windows-1252 read as
  Latin-1), Ã or Â at the end of a word (its continuation byte A0 became a space), or a character of Latin-1 that the
  row's language does not use. Plain ASCII never is.
- personal data: digits close enough to each other with what else the kind of item needs (`personal.py`).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa

from pairmill.compiled import Kernel
from pairmill.curate import personal, suspect_kernels, suspect_tables
from pairmill.curate.repairs import legacy
from pairmill.curate.suspect_tables import AMPERSAND, ANGLE, CLOSE_DIGITS, DIGIT, PLUS, SEMICOLON, STATEMENT, Bit
from pairmill.pairs.strings import byte_offsets
from pairmill.spec.clean import Clean

_PERSONAL = Bit.EMAIL | Bit.IBAN | Bit.IP | Bit.PHONE
_NO_LANGUAGE = np.zeros((1, 256), bool)


def flags(texts: pa.LargeStringArray, options: Clean, langs: pa.Array | None = None) -> np.ndarray:
    """The steps of `options` that may change a row, as bits (`Bit`): uint16 (n,).

    `langs`: the rows' languages. Without them no row is a suspect of an old encoding, and a phone number may be a
    national one in each.
    """
    return found(texts, options, langs)[0]


def found(texts: pa.LargeStringArray, options: Clean, langs: pa.Array | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The `flags`, and which rows may hold left-over mark-up if references without semicolons count: bool (n,)."""
    data, offsets = byte_offsets(texts)
    raw = np.frombuffer(data, np.uint8)[offsets[0] : offsets[-1]]
    offsets = offsets - offsets[0]
    wanted = _wanted(options)
    held = _scan(raw, offsets, options, langs)
    marked_up = np.zeros(len(texts), bool)
    if wanted & Bit.ENTITY:
        marked_up |= held & AMPERSAND > 0
        _look_again(held, raw, offsets, held & AMPERSAND, suspect_kernels.references, Bit.ENTITY)
    if wanted & Bit.TAG:
        _look_again(held, raw, offsets, held & ANGLE, suspect_kernels.angles, Bit.TAG)
        statements = (held & SEMICOLON > 0) & (held & (STATEMENT | ANGLE) > 0) & (held & Bit.TAG == 0)
        _look_again(held, raw, offsets, statements, suspect_kernels.scripts, Bit.TAG)
        marked_up |= held & Bit.TAG > 0
    if wanted & _PERSONAL:
        _look_for_personal_data(held, raw, offsets, langs)
    return (held & wanted).astype(np.uint16), marked_up


def _wanted(options: Clean) -> np.uint32:
    on = {
        Bit.ENTITY: options.entities == "unescape",
        Bit.TAG: options.tags in ("remove", "unmatched"),
        Bit.MOJIBAKE: options.mojibake == "fix",
        Bit.UNNORMALISED: options.unicode != "keep",
        Bit.QUOTE: options.quotes == "straight",
        Bit.DASH: options.dashes == "hyphen",
        Bit.PLACEHOLDER: options.placeholders == "remove",
        Bit.EMAIL: options.personal_data.email == "mask",
        Bit.IBAN: options.personal_data.iban == "mask",
        Bit.IP: options.personal_data.ip == "mask",
        Bit.PHONE: options.personal_data.phone == "mask",
        Bit.INVISIBLE: options.control == "remove",
        Bit.SPACE: options.whitespace != "keep",
    }
    return np.uint32(sum(bit for bit, switched_on in on.items() if switched_on))


def _scan(raw: np.ndarray, offsets: np.ndarray, options: Clean, langs: pa.Array | None) -> np.ndarray:
    """What the rows' characters and their neighbours say: uint32 (n,)."""
    says = suspect_tables.says(options.unicode, lines=options.whitespace == "lines")
    misread, combining = suspect_tables.misread(), suspect_tables.combining()
    unused, lang = _NO_LANGUAGE, np.zeros(len(offsets) - 1, np.int64)
    if langs is not None and options.mojibake == "fix":
        codes = langs.dictionary_encode()
        unused = _unused(codes.dictionary.to_pylist())
        lang = np.asarray(codes.indices.fill_null(-1), np.int64) + 1
    held = np.zeros(len(offsets) - 1, np.uint32)
    suspect_kernels.scan()(raw, offsets, says, misread, combining, unused, lang, held)
    return held


def _unused(langs: list[str]) -> np.ndarray:
    """Characters of Latin-1 that no text of a language holds: bool (1 + languages, 256), the first for none."""
    tables = (legacy.suspicious(lang) for lang in langs)
    return np.stack([_NO_LANGUAGE[0], *(_NO_LANGUAGE[0] if table is None else table for table in tables)])


def _look_again(
    held: np.ndarray, raw: np.ndarray, offsets: np.ndarray, signs: np.ndarray, kernel: Callable[[], Kernel], bit: int
) -> None:
    """Add a step's bit to the rows with a sign of it that the kernel bears out."""
    rows = np.flatnonzero(signs)
    if len(rows):
        borne_out = np.zeros(len(rows), bool)
        kernel()(raw, offsets, rows, borne_out)
        held[rows[borne_out]] |= np.uint32(bit)


def _look_for_personal_data(held: np.ndarray, raw: np.ndarray, offsets: np.ndarray, langs: pa.Array | None) -> None:
    """Put in `held` which kinds of personal data the rows may hold."""
    rows = np.flatnonzero(held & (DIGIT | Bit.EMAIL | Bit.PHONE))
    if not len(rows):
        return
    signs = np.zeros(len(rows), np.uint32)
    suspect_kernels.personal()(raw, offsets, rows, held[rows], signs)
    digits = (signs & CLOSE_DIGITS | held[rows] & Bit.PHONE) > 0
    plus = (signs | held[rows]) & PLUS > 0
    phone = digits & (plus | _may_be_national(langs, rows))
    held[rows] = held[rows] & ~np.uint32(_PERSONAL) | signs & _PERSONAL | phone * np.uint32(Bit.PHONE)


def _may_be_national(langs: pa.Array | None, rows: np.ndarray) -> np.ndarray:
    """Whether rows may hold phone numbers without a country's code: bool (n,)."""
    if langs is None:
        return np.ones(len(rows), bool)
    codes = langs.take(pa.array(rows)).dictionary_encode()
    known = [False, *(personal.region(lang) is not None for lang in codes.dictionary.to_pylist())]
    return np.array(known)[np.asarray(codes.indices.fill_null(-1)) + 1]
