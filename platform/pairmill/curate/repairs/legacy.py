"""One language's text in an old encoding that was read as Latin-1: `ìîëîêî` for `молоко`, `iþ` for `iş`.

Nothing in such a text is impossible, so it can be told only where the language is known: it is repaired if it holds
characters that the language does not use, and read in one of the language's ENCODINGS it has none left. For languages
in other scripts the result must be in that script; of several encodings the one wins whose letters are the language's
frequent ones. Text that was read as Windows-1252 is treated the same.
"""

from __future__ import annotations

from functools import cache

import numpy as np

ENCODINGS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("pl", "cs", "sk", "hu", "sl", "hr", "bs"), ("cp1250", "iso8859-2")),
    "ro": ("cp1250", "iso8859-2", "iso8859-16"),
    "tr": ("cp1254",),
    **dict.fromkeys(("lt", "lv", "et"), ("cp1257", "iso8859-13", "iso8859-4")),
    **dict.fromkeys(("ru", "bg"), ("cp1251", "koi8-r", "cp866", "iso8859-5")),
    "uk": ("cp1251", "koi8-u", "cp1125", "iso8859-5"),
    **dict.fromkeys(("be", "mk", "sr"), ("cp1251", "iso8859-5")),
    "el": ("cp1253", "iso8859-7"),
    "he": ("cp1255", "iso8859-8"),
    **dict.fromkeys(("ar", "fa", "ur"), ("cp1256", "iso8859-6")),
    "th": ("cp874",),
    "ko": ("cp949",),
    "ja": ("cp932", "euc-jp"),
    "zh": ("gb18030", "big5"),
    "zh-Hant": ("big5", "gb18030"),
}
#: Letters beyond ASCII of languages in Latin script, lower case.
LETTERS = {
    "pl": "ąćęłńóśźż", "cs": "áčďéěíňóřšťúůýž", "sk": "áäčďéíĺľňóôŕšťúýž", "hu": "áéíóöőúüű", "sl": "čšž",
    "hr": "čćđšž", "bs": "čćđšž", "ro": "ăâîșțşţ", "tr": "çğıöşüâîûİ", "lt": "ąčęėįšųūž", "lv": "āčēģīķļņšūž",
    "et": "äõöüšž",
}  # fmt: skip
_SCRIPTS = {
    **dict.fromkeys(("ru", "bg", "uk", "be", "mk", "sr"), (0x400, 0x52F)), "el": (0x370, 0x3FF), "he": (0x590, 0x5FF),
    **dict.fromkeys(("ar", "fa", "ur"), (0x600, 0x6FF)), "th": (0xE00, 0xE7F), "ko": (0xAC00, 0xD7AF),
    "ja": (0x3040, 0x9FFF), "zh": (0x3400, 0x9FFF), "zh-Hant": (0x3400, 0x9FFF),
}  # fmt: skip
_FREQUENT = {
    **dict.fromkeys(("ru", "bg", "uk", "be", "mk", "sr"), frozenset("оаеинтсрвлкмдпуяі")),
    "el": frozenset("ατοιενσρκπςυμλάίόέή"),
    "he": frozenset("יוהלאתרבמשנ"),
    **dict.fromkeys(("ar", "fa", "ur"), frozenset("اليمونرتبةعدسفهكی")),
    "th": frozenset("านรอกเงมยลวดทส่้"),
    "ko": frozenset("이다는의에을하가고지은를한로도사기어리니"),
    "ja": frozenset("のにはをたがでとしてすいれなるかまり、。"),
    "zh": frozenset("的一是不了人我在有他这为之大来以个中上们，。"),
    "zh-Hant": frozenset("的一是不了人我在有他這為之大來以個中上們，。"),
}
_QUOTES = frozenset("“”„‘’‚«»–—…•°§€©®™\u00a0·´`¡¿¶†‡‰′″‹›ʼ№")


@cache
def suspicious(lang: str) -> np.ndarray | None:
    """Characters of Latin-1 that the language does not use: bool (256,); None for languages not in ENCODINGS."""
    if lang not in ENCODINGS:
        return None
    table = np.zeros(256, bool)
    table[0xC0:] = table[0x80:0xA0] = True
    if lang in LETTERS:
        table[0xA1:] = True
        usual = LETTERS[lang] + LETTERS[lang].upper()
        table[[ord(c) for c in {*usual, *_QUOTES} if ord(c) < 256]] = False
    return table


def fix(text: str, lang: str | None) -> str:
    """The text read in one of the language's encodings, or as it was."""
    raw = _bytes(text)
    if lang not in ENCODINGS or raw is None or raw.isascii() or _is_utf8(raw):
        return text
    best, best_share = text, 0.0
    for encoding in ENCODINGS[lang]:
        try:
            decoded = raw.decode(encoding)
        except UnicodeDecodeError:
            continue
        share = _plausible_latin(decoded, lang) if lang in LETTERS else _plausible(decoded, lang)
        if share > best_share:
            best, best_share = decoded, share
    return best


def _bytes(text: str) -> bytes | None:
    for encoding in ("latin-1", "cp1252"):
        try:
            return text.encode(encoding)
        except UnicodeEncodeError:
            continue
    return None


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


def _plausible_latin(text: str, lang: str) -> float:
    """1 if every character beyond ASCII is the language's, else 0."""
    beyond = {character for character in text if character > "\x7f"} - _QUOTES
    usual = LETTERS[lang]
    return float(bool(beyond) and all(character in usual or character.lower() in usual for character in beyond))


def _plausible(text: str, lang: str) -> float:
    """Share of the language's frequent letters in what is beyond ASCII; 0 if any of that is not in its script."""
    beyond = [character for character in text.lower() if character > "\x7f" and character not in _QUOTES]
    first, last = _SCRIPTS[lang]
    inside = sum(first <= ord(character) <= last or "\u3000" <= character <= "\u3003" for character in beyond)
    if len(beyond) < 3 or inside < len(beyond) or _mixed_case(text):
        return 0.0
    share = sum(character in _FREQUENT[lang] for character in beyond) / len(beyond)
    return share if share >= (0.05 if lang in ("ko", "ja", "zh", "zh-Hant") else 0.5) else 0.0


def _mixed_case(text: str) -> bool:
    """Whether a capital stands behind a small letter more often than words begin: case swapped by KOI8."""
    inside = sum(a.islower() and b.isupper() for a, b in zip(text, text[1:], strict=False))
    return 4 * inside > 1 + text.count(" ")
