"""What document rules need to know of a character: its kind, how much text it stands for, its lower case.

`properties()[c]` holds in its lowest 4 bits the kind, in the next 6 the weight in twentieths of an English character
(`scripts.py`; 0 for combining marks), and above them the lower-case letter, where that is one character, or `c`
itself. IDEOGRAPH are the letters of scripts that put no spaces between words, each of which is a token.
Terminal punctuation is Unicode's property Sentence_Terminal, without the planes that no living language is written in.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from pairmill.curate import codepoints
from pairmill.curate.codepoints import LIMIT
from pairmill.curate.heuristics import scripts

SPACE, NEWLINE, LETTER, IDEOGRAPH, MARK, DIGIT, TERMINAL, CLOSER, BULLET, DASH, HASH, BRACE, OTHER = range(13)
KINDS, WEIGHT_BITS, LOWER_BITS = 15, 4, 10
TWENTIETHS = 20

UNSPACED = ("Hani", "Hira", "Kana", "Bopo", "Yiii", "Thai", "Laoo", "Khmr", "Mymr", "Tibt", "Java")
_TERMINAL = (
    ".!?։؝؞؟۔܀܁܂߹࠷࠹࠽࠾।॥၊။።፧፨᙮᜵᜶។៕᠃᠉᥄᥅᪨᪩᪪᪫᭎᭏᭚᭛᭞᭟᭽᭾᭿᰻᰼᱾᱿‼‽⁇⁈⁉⸮⸼⹓⹔。꓿꘎꘏꛳꛷꡶꡷꣎꣏꤯꧈꧉꩝꩞꩟꫰꫱꯫︒︕︖﹒﹖﹗！．？｡"
    "།༎"  # Tibetan shad, which ends clauses and sentences; not in the property
)
_CLOSERS = "\"'»«’‘”“›‹」』)]}）］｝】〕〗〉》｣"
_BULLETS = "•‣◦▪▫●○■□·⁃∙➢➤►▶✓✔"
_DASHES = "-–—*"
_KIND_OF_CLASS = {
    codepoints.LETTER: LETTER,
    codepoints.MARK: MARK,
    codepoints.CONTROL: MARK,  # joiners and the like stand inside words
    codepoints.DIGIT: DIGIT,
    codepoints.OTHER_NUMBER: DIGIT,
    codepoints.SPACE: SPACE,
}


@cache
def properties() -> np.ndarray:
    """Return the uint32 table (0x110000,)."""
    classes, script = codepoints.classes(), scripts.script_of()
    kinds = np.array([_KIND_OF_CLASS.get(number, OTHER) for number in range(9)], np.uint32)[classes]
    unspaced = np.isin(script, [scripts.NUMBER[name] for name in UNSPACED])
    kinds[unspaced & (classes == codepoints.LETTER)] = IDEOGRAPH
    for kind, characters in (
        (TERMINAL, _TERMINAL),
        (CLOSER, _CLOSERS),
        (BULLET, _BULLETS),
        (DASH, _DASHES),
        (HASH, "#"),
        (NEWLINE, "\n"),
    ):
        kinds[[ord(character) for character in characters]] = kind
    kinds[[ord("{"), ord("}")]] = BRACE
    weights = np.round(scripts.weights() * TWENTIETHS).astype(np.uint32)[script]
    weights[kinds == MARK] = 0
    table = _lower() << np.uint32(LOWER_BITS) | weights << np.uint32(WEIGHT_BITS) | kinds
    table.flags.writeable = False
    return table


def _lower() -> np.ndarray:
    table = np.arange(LIMIT, dtype=np.uint32)
    for code in (*range(0x41, 0x2200), *range(0x2C00, 0x2E00), *range(0xA640, 0xAC00), *range(0xFF21, 0xFF3B)):
        small = chr(code).lower()
        if len(small) == 1:
            table[code] = ord(small)
    return table
