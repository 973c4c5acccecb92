"""Text decoded in the wrong encoding.

1. `ftfy.fix_encoding` finds UTF-8 that was read in a one-byte encoding, once or several times, in all or in part of a
   text, and undoes it. Its result is taken only if it does not put letters of two scripts into one word.
2. Where bytes were lost on the way (Windows-1252 leaves 81, 8D, 8F, 90 and 9D undefined, and many programs drop them),
   ftfy gives up. Then what is complete is decoded, and what is not becomes U+FFFD, if more characters come back than
   are lost. The rule `lost_letters` rejects such rows.
3. `â€` at the end of a word was a closing quote, whose last byte is 9D: it is restored before all else.
4. A long text with less than one sign of damage in SPARSE characters stays: a page about encodings quotes such signs.
5. A C1 control is a character of Windows-1252 read as Latin-1 (U+0092 for an apostrophe), but beside letters of
   another script it is the rest of a lost character: U+FFFD.

Source: ftfy (Speer 2019), `fix_encoding` and `badness`.
"""

from __future__ import annotations

import re
from functools import cache

import numpy as np

from pairmill.curate import suspect_tables
from pairmill.curate.repairs import kernels, legacy

_CLOSING_QUOTE = re.compile("\u00e2\u20ac(?=[\\s.,;:!?)]|$)")
LOST = "\ufffd"
MOST_PLACES = 200  # looked at one by one
SPARSE = 2_000  # characters to a sign of damage
_C1 = re.compile("[\x80-\x9f]")
_OTHER = (
    "\u0370-\u03ff\u0400-\u052f\u0531-\u0587\u05d0-\u05ea\u0620-\u06d3\u0900-\u1cff\u1f00-\u1fff"
    "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
)
_INDIC = "\u0900-\u1cff"
_LEADS = "\u00c2-\u00d6\u00d8-\u00ef"
# What is left where text was decoded in part: Latin-1's letters that are lead bytes beside a letter of another script.
MIXED = re.compile(f"[{_LEADS}][{_OTHER}]|[{_OTHER}][{_LEADS}]|[A-Za-z][{_INDIC}](?![{_OTHER}])")
_C1_AMONG_OTHERS = re.compile(f"(?<=[{_OTHER}])[\x80-\x9f]+|[\x80-\x9f]+(?=[{_OTHER}])")


def fix(text: str, lang: str | None = None) -> str:
    """The text (in the language `lang`, BCP-47, if known) as it was before it was decoded wrongly."""
    from ftfy import fixes

    old = legacy.fix(text, lang)
    if old != text or not is_garbled(text):
        return old
    fixed = _undo(_CLOSING_QUOTE.sub("\u00e2\u20ac\x9d", text))
    if "\x9d" in fixed:
        fixed = _undo(text)
    if fixed != text and len(MIXED.findall(fixed)) > len(MIXED.findall(text)):
        fixed = text
    if is_garbled(fixed):
        fixed = _lossy(text) or fixed
    if _C1.search(fixed):
        fixed = fixes.fix_c1_controls(_C1_AMONG_OTHERS.sub(LOST, fixed))
    return fixed


def _undo(text: str) -> str:
    import ftfy

    return ftfy.fix_encoding(text, ftfy.TextFixerConfig(fix_c1_controls=False))


def is_garbled(text: str) -> bool:
    """Whether a text holds UTF-8 read in a one-byte encoding, a C1 control, or what half-decoding leaves.

    Source: ftfy's `badness`, asked around what may be such bytes only: it takes milliseconds for a page.
    """
    from ftfy.badness import badness

    places = np.empty((MOST_PLACES, 2), np.int64)
    points = np.frombuffer(text.encode("utf-32-le"), np.uint32)
    found = kernels.garbled()(points, _roles(), places)
    if found < 0:
        return True
    signs = 0
    for start, end in places[:found].tolist():
        signs += badness(text[max(0, start - 3) : end + 4])
        if signs * SPARSE >= len(text):
            return signs > 0
    return found > MOST_PLACES and badness(text) * SPARSE >= len(text)


@cache
def _roles() -> np.ndarray:
    """The uint8 table (0x110000,) from code point to its parts in wrongly decoded text, bits of `repairs/kernels.py`.

    LEAD and FOLLOWER: characters of a lead or a continuation byte of UTF-8 read in one of ENCODINGS; the others: the
    classes of MIXED.
    """
    table = suspect_tables.misread()
    roles = np.zeros(len(table), np.uint8)
    roles[table >> suspect_tables.LEAD_OF_TWO > 0] |= kernels.LEAD
    roles[table & ((1 << suspect_tables.LEAD_OF_TWO) - 1) > 0] |= kernels.FOLLOWER
    for ranges, role in ((_OTHER, kernels.FOREIGN), (_LEADS, kernels.LATIN_LEAD), ("A-Za-z", kernels.LETTER),
                         (_INDIC, kernels.INDIC), ("\x80-\x9f", kernels.C1)):  # fmt: skip
        for first, last in zip(ranges[::3], ranges[2::3], strict=True):
            roles[ord(first) : ord(last) + 1] |= role
    return roles


def _lossy(text: str) -> str | None:
    """UTF-8 read as Windows-1252 with bytes lost; None if that is not what the text is."""
    try:
        raw = text.encode("sloppy-windows-1252")
    except UnicodeEncodeError:
        return None
    decoded = raw.decode("utf-8", "replace")
    lost = decoded.count(LOST)
    whole = sum(character > "\x7f" for character in decoded) - lost
    return decoded if whole > lost else None
