"""Language codes as they occur in data, brought to the field's codes: BCP-47, with a script where it matters."""

from __future__ import annotations

import re
from functools import lru_cache

import langcodes
from langcodes.data_dicts import DEFAULT_SCRIPTS, LANGUAGE_ALPHA3, LANGUAGE_ALPHA3_BIBLIOGRAPHIC

_SHORT = {long: short for table in (LANGUAGE_ALPHA3, LANGUAGE_ALPHA3_BIBLIOGRAPHIC) for short, long in table.items()}
_MODIFIER_SCRIPTS = {
    "latin": "Latn",
    "latn": "Latn",
    "iqtelif": "Latn",
    "cyrillic": "Cyrl",
    "cyrl": "Cyrl",
    "devanagari": "Deva",
    "arabic": "Arab",
    "shaw": "Shaw",
    "hant": "Hant",
    "hans": "Hans",
}
_TRADITIONAL = {"TW", "HK", "MO"}
_NO_LANGUAGE = {"und", "mul", "mis", "zxx", "c", "posix"}


@lru_cache(maxsize=4096)
def locale_to_language(code: str) -> str | None:
    """A locale such as `pt_BR`, `sr@latin`, `zh_TW.UTF-8` or `deu` as `pt`, `sr-Latn`, `zh-Hant`, `de`.

    The region goes; the script stays where it is not the language's usual one. None where the code is no language.
    """
    tag, _, modifier = code.strip().partition("@")
    first, *rest = re.split(r"[-_]", tag.partition(".")[0])
    language = _SHORT.get(first.lower(), first.lower())
    if not re.fullmatch(r"[a-z]{2,3}", language) or language in _NO_LANGUAGE or not langcodes.tag_is_valid(language):
        return None
    script = next((part.title() for part in rest if re.fullmatch(r"[A-Za-z]{4}", part)), None)
    script = script or _MODIFIER_SCRIPTS.get(modifier.lower())
    if language == "zh":
        traditional = script == "Hant" or (not script and _TRADITIONAL & {part.upper() for part in rest})
        return "zh-Hant" if traditional else "zh"
    if script and script != _usual_script(language) and langcodes.tag_is_valid(f"{language}-{script}"):
        return f"{language}-{script}"
    return language


def _usual_script(language: str) -> str | None:
    return DEFAULT_SCRIPTS.get(language) or langcodes.Language.make(language).maximize().script


@lru_cache(maxsize=65536)
def declared_language(value: str) -> str | None:
    """A row's own declaration: a valid BCP-47 tag as it is, a locale or a three-letter code as the tag it means."""
    value = value.strip()
    usual = re.fullmatch(r"([a-z]{2,3})(-[A-Z][a-z]{3})?(-[A-Z]{2})?", value)
    if usual and usual[1] not in _SHORT and langcodes.tag_is_valid(value):
        return None if value in _NO_LANGUAGE else value
    return locale_to_language(value)
