"""Text with letters that is in no language: engines have an answer for it all the same, so it isn't shown to them.

A text is noise where

1. fewer than a fifth of its characters, white space left out, are letters or marks, or it has more digits than
   letters, a Han character counting as three (tables of figures, dumps), or
2. more than 40 % of its letters are Latin ones in words with a digit in them (hexadecimal, base64, serial numbers), or
3. mojibake is most of it: pairs that UTF-8 read as Windows-1252 or Latin-1 leaves (`Ã©`, `Ð¿`) hold more than half
   of its letters, or more than a tenth of its characters are U+FFFD.

Of clean sentences in 42 languages none is refused; of hexadecimal and base64 text 97 to 100 %, of tables 99 %, of
mojibake 92 %.
"""

from __future__ import annotations

from functools import cache
from unicodedata import is_normalized

import numpy as np
import pyarrow as pa

from pairmill.curate import codepoints
from pairmill.curate.language import kernels, letters
from pairmill.pairs.strings import byte_offsets

VERSION = 2  # of what engines are shown: excerpts and noise
MIN_LETTERS = 0.2
MAX_WITH_DIGITS = 0.4
MAX_MOJIBAKE = 0.5
MAX_UNDECODED = 0.1
_AFTER_LATIN = 0x250
_JAMO = slice(0x1100, 0x1200)
_LEAD = "ÂÃÄÅÆÇÎÏÐÑÒÓ×ØÙÚÛàáâãäåæçèéêëìíîï"
_CONTINUATION = "".join(map(chr, range(0x80, 0xC0))) + "€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ"


def tally(column: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Count characters of each text: int64 (n, kernels.COUNTS), and letters by script number: int64 (n, scripts)."""
    from pairmill.curate.heuristics.scripts import weights

    data, offsets = byte_offsets(column)
    counts = np.zeros((len(column), kernels.COUNTS), np.int64)
    scripts = np.zeros((len(column), len(weights())), np.int64)
    kernels.tally()(np.frombuffer(data, np.uint8), offsets, _properties(), counts, scripts)
    return counts, scripts


def noise(counts: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Which texts are noise: bool (n,). `counts`: see `tally`; `sizes` (n,): letters, counted as English letters."""
    letters, marks, digits = (counts[:, kind] for kind in (kernels.LETTERS, kernels.MARKS, kernels.DIGITS))
    characters = counts[:, kernels.CHARACTERS]
    bad = letters + marks < MIN_LETTERS * (characters - counts[:, kernels.SPACES])
    bad |= digits > sizes + marks
    bad |= counts[:, kernels.BESIDE_DIGITS] > MAX_WITH_DIGITS * letters
    bad |= counts[:, kernels.MOJIBAKE] > MAX_MOJIBAKE * letters
    bad |= counts[:, kernels.UNDECODED] > MAX_UNDECODED * characters
    return bad


@cache
def _properties() -> np.ndarray:
    """uint16 (0x110000,): the property of each code point (see `kernels`)."""
    from pairmill.curate.heuristics.scripts import script_of

    classes = codepoints.classes()
    letter = classes == codepoints.LETTER
    table = classes.astype(np.uint16)
    table[letter] |= kernels.LETTER | script_of()[letter].astype(np.uint16) << kernels.SCRIPT
    table[:_AFTER_LATIN][letter[:_AFTER_LATIN]] |= kernels.LATIN
    table[[ord(c) for c in _LEAD]] |= kernels.LEAD
    table[[ord(c) for c in _CONTINUATION]] |= kernels.CONTINUATION
    table[_unstable(classes)] |= kernels.COMBINES
    table[[ord(c) for _, wanted, _ in letters.DECISIVE for c in wanted]] |= kernels.DECIDES
    table.flags.writeable = False
    return table


def _unstable(classes: np.ndarray) -> np.ndarray:
    """Characters that NFC may change, or join to others: bool (0x110000,). Unassigned ones may be such one day."""
    result = (classes == codepoints.MARK) | (classes == codepoints.OTHER)
    result[_JAMO] = True
    others = np.flatnonzero(~result).tolist()
    result[others] = [not is_normalized("NFC", chr(code)) for code in others]
    return result
