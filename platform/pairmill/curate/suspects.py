"""Which rows a cleaning step may change: vectorised checks that never miss one, and cost little on clean text.

1. ASCII is looked at as bytes: one table of 256 entries, or'ed per row, and pairs of neighbouring bytes.
2. The other characters are cut out, decoded together, and looked up in a table over all code points. What comes
   between them plays no part, so that text of mostly ASCII costs one pass over its bytes.

- unicode: a row may change if it holds a code point that its normal form replaces or that may join the one before
  (Unicode's quick check NO or MAYBE), or combining marks out of canonical order.
- mojibake: UTF-8 read in a one-byte encoding shows as a lead byte's character with continuation bytes' behind it; a row
  is suspect if neighbours can be that in one of ENCODINGS, if it holds a C1 control (Windows-1252 read as
  Latin-1), or Ã or Â at the end of a word (its continuation byte A0 became a space). Plain ASCII never is.
- personal data and placeholders: digits close enough to each other, `@`, dots between digits, colons, `%`, `{`.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from pairmill.curate import arrays, codepoints, suspect_tables
from pairmill.curate.repairs import legacy
from pairmill.curate.suspect_tables import Bit
from pairmill.spec.curate import Clean

_PHONE_DIGITS, _PHONE_SPAN = 7, 24  # so many digits within so many bytes may be a phone number
_IBAN_DIGITS, _IBAN_SPAN = 7, 44  # Malta's have the fewest digits
_ENCODINGS = np.uint32((1 << len(suspect_tables.ENCODINGS)) - 1)


def flags(texts: pa.LargeStringArray, options: Clean, langs: pa.Array | None = None) -> np.ndarray:
    """The steps of `options` that may change a row (in the language `langs`), as bits (`Bit`): uint16 (n,)."""
    data, offsets = codepoints.byte_offsets(texts)
    raw = np.frombuffer(data, np.uint8)[offsets[0] : offsets[-1]]
    offsets = offsets - offsets[0]
    found = _ascii(raw, offsets, options)
    if options.whitespace != "keep":
        found[_rows(_loose_spaces(raw, offsets, options.whitespace), offsets)] |= Bit.SPACE
    at = np.flatnonzero(raw >= 0x80)
    if len(at):
        _look_at_others(found, raw, at, offsets, options, langs)
    wanted = _wanted(options)
    if wanted & (Bit.PHONE | Bit.IBAN | Bit.IP):
        _look_at_digits(found, raw, offsets)
    found &= wanted
    if options.unicode != "keep":
        rows = np.flatnonzero(found & Bit.UNNORMALISED)
        found[rows[~_unnormalised(texts.take(pa.array(rows)), options.unicode)]] &= ~np.uint16(Bit.UNNORMALISED)
    return found


def _wanted(options: Clean) -> np.uint16:
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
    return np.uint16(sum(bit for bit, switched_on in on.items() if switched_on))


def _ascii(raw: np.ndarray, offsets: np.ndarray, options: Clean) -> np.ndarray:
    """What the ASCII characters of a row say: uint16 (n,)."""
    classes = suspect_tables.ascii_classes(lines=options.whitespace == "lines")
    marks = np.frombuffer(raw.tobytes().translate(classes), np.uint8)
    return suspect_tables.of_classes()[arrays.bits(marks, offsets)]


def _look_at_others(
    found: np.ndarray,
    raw: np.ndarray,
    at: np.ndarray,
    offsets: np.ndarray,
    options: Clean,
    langs: pa.Array | None,
) -> None:
    """Add to `found` what the characters beyond ASCII (their bytes are at `at`) say."""
    points, starts = _others(raw, at)
    rows = np.searchsorted(starts, offsets)
    found |= arrays.bits(suspect_tables.beyond_ascii(options.unicode)[points], rows)
    if options.mojibake == "fix":
        found[_rows(starts[_misread(points, starts, raw)], offsets)] |= Bit.MOJIBAKE
        if langs is not None:
            _look_at_old_encodings(found, points, rows, langs)


def _misread(points: np.ndarray, starts: np.ndarray, raw: np.ndarray) -> np.ndarray:
    """Which characters may be the first of some that were UTF-8, or what Windows-1252 read as Latin-1 leaves: bool."""
    suspect = (points <= 0x9F) | (points == 0xFFFD)
    kinds = suspect_tables.misread()[points]
    two = (kinds[:-1] >> suspect_tables.LEAD_OF_TWO) & kinds[1:]
    more = (kinds[:-2] >> suspect_tables.LEAD_OF_MORE) & kinds[1:-1] & kinds[2:]
    for characters, found in ((2, two), (3, more)):
        at = np.flatnonzero(found & _ENCODINGS)
        suspect[at[_width(points, at, characters) == starts[at + characters - 1] - starts[at]]] = True
    behind = np.flatnonzero((points == 0xC2) | (points == 0xC3))
    behind = behind[starts[behind] + 2 < len(raw)]
    suspect[behind[raw[starts[behind] + 2] == 0x20]] = True
    return suspect


def _width(points: np.ndarray, at: np.ndarray, characters: int) -> np.ndarray:
    """Bytes of all but the last of the characters that stand from `at`."""
    every = [points[at + step] for step in range(characters - 1)]
    return sum((2 + (point >= 0x800) + (point >= 0x10000) for point in every), np.zeros(len(at), np.int64))


def _others(raw: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The characters beyond ASCII, whose bytes are at `at`: code points, and where in `raw` they start."""
    high = raw[at]
    points = np.frombuffer(str(high.tobytes(), "utf-8").encode("utf-32-le"), np.uint32)
    return points, at[high >= 0xC0]


def _look_at_old_encodings(found: np.ndarray, points: np.ndarray, offsets: np.ndarray, langs: pa.Array) -> None:
    """Add to `found` rows that hold characters of Latin-1 which their language does not use."""
    at = np.flatnonzero(points < 256)
    if not len(at):
        return
    codes = langs.dictionary_encode()
    lang = np.asarray(codes.indices.fill_null(-1))[_rows(at, offsets)]
    for number, name in enumerate(codes.dictionary.to_pylist()):
        table = legacy.suspicious(name)
        if table is not None:
            mine = at[lang == number]
            found[_rows(mine[table[points[mine]]], offsets)] |= Bit.MOJIBAKE


def _rows(at: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """The rows of positions."""
    return np.searchsorted(offsets, at, "right") - 1


def _unnormalised(texts: pa.LargeStringArray, form: str) -> np.ndarray:
    """Rows that hold a doubtful code point, or a combining mark out of order: bool (n,)."""
    flat, offsets = codepoints.decode(texts)
    order = suspect_tables.combining()[flat]
    disorder = (order > 0) & (arrays.before(order, offsets) > order)
    return arrays.bits((suspect_tables.doubtful(form)[flat] | disorder).view(np.uint8), offsets) > 0


def _loose_spaces(raw: np.ndarray, offsets: np.ndarray, whitespace: str | None) -> np.ndarray:
    """Where a space (or, for lines, a line feed) stands at an end of a row or behind another."""
    blank = (raw == 0x20) | (raw == 0x0A) if whitespace == "lines" else raw == 0x20
    filled = np.diff(offsets) > 0
    ends = np.concatenate([offsets[:-1][filled], offsets[1:][filled] - 1])
    return np.concatenate([np.flatnonzero(blank[1:] & blank[:-1]) + 1, ends[blank[ends]]])


def _look_at_digits(found: np.ndarray, raw: np.ndarray, offsets: np.ndarray) -> None:
    """Add to `found` what may hold a phone number, an account number or an IP address."""
    digit = (raw >= 0x30) & (raw <= 0x39)
    at = np.flatnonzero(digit)
    for bit, count, span in ((Bit.PHONE, _PHONE_DIGITS, _PHONE_SPAN), (Bit.IBAN, _IBAN_DIGITS, _IBAN_SPAN)):
        close = at[: -count + 1][at[count - 1 :] - at[: -count + 1] < span]
        found[_rows(close, offsets)] |= bit
    dots = np.flatnonzero(raw == 0x2E)
    dots = dots[(dots > 0) & (dots < len(raw) - 1)]
    dots = dots[digit[dots - 1] & digit[dots + 1]]
    found[_rows(dots[:-2][dots[2:] - dots[:-2] <= 8], offsets)] |= Bit.IP
    colons = np.flatnonzero(raw == 0x3A)
    found[_rows(colons[:-1][np.diff(colons) <= 5], offsets)] |= Bit.IP
