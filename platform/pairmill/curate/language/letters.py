"""Letters that decide a language: practically no other language that is asked about writes them.

Two tables. DECISIVE says what a text is whatever the engines say: letters of languages that the engine which answers
first takes for others in the same script, and Malay in Arabic script and Vietnamese in Han characters, which no engine
knows. OWN confirms a language against its unknown relatives, which do not write these letters.

A single such letter may be a quotation, so a text is decided where they are MIN_SHARE of its letters.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

MIN_SHARE = 0.01
_CYRILLIC = ("be", "bg", "ru", "sr", "uk")
#: Language, its letters, the first answers that they override.
DECISIVE: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("as", "ৰৱ", ("bn",)),  # Assamese ra and wa (Unicode: Bengali Additions)
    ("ms-Arab", "ڽڠݢ", ("ar", "fa", "ur")),  # Jawi ny, ng and g
    # Chữ Nôm's characters, made in Vietnam, for common words (người, có, của, một, với, về, trong, vào, ra, ...). Not
    # all of CJK Extension B: Cantonese and Hokkien have characters there too.
    ("vi-Hani", "𠊛𠊚𣎏𧵑𠬠𢭲𧗱𥪝𠓨𠚢𦓡𠓀𢧚𡗶𡨸𡥵𠀧𠄼𦒹𠔭𠃩𢆥𣈜𠳒𦤾𨕭𢬣𠫾𠁑𠸜𧘇𥙩𧡊𠇮𤾓", ("ja", "zh")),
    ("yi", "װױײ", ("he",)),  # Yiddish digraphs, one character each; Hebrew spells them with two
    ("os", "ӕӔ", _CYRILLIC),
    ("sah", "ҕҔ", _CYRILLIC),
)
#: What its relatives do not write: Galician for Portuguese, Afrikaans for Dutch (digraph), Macedonian for Serbian,
#: Faroese for Icelandic. A regular expression.
OWN = {"pt": "[ãõçêâÃÕÇÊÂ]", "nl": "ij", "sr": "[ђћЂЋ]", "is": "[þöÞÖ]"}


def share(column: pa.Array, letters: np.ndarray, wanted: str) -> np.ndarray:
    """Which share of each text's letters is among `wanted`: float64 (n,). `letters` (n,): letters of each text."""
    result = np.zeros(len(column))
    rows = np.flatnonzero(matches(column, f"[{wanted}]"))
    if len(rows):
        counts = pc.count_substring_regex(column.take(pa.array(rows)), f"[{wanted}]")
        result[rows] = counts.to_numpy(zero_copy_only=False) / letters[rows]
    return result


def matches(column: pa.Array, pattern: str) -> np.ndarray:
    """Which texts the regular expression (RE2) finds something in: bool (n,)."""
    found: np.ndarray = pc.match_substring_regex(column, pattern).to_numpy(zero_copy_only=False)
    return found
