"""Language codes: those in the names of subsets, and as mteb writes them (`deu-Latn` for `de`)."""

from __future__ import annotations

import re
from functools import lru_cache

#: What stands where nobody named a language that mteb knows.
UNKNOWN = "und-Zyyy"
#: Scripts and regions are written with capitals, so `zh-Hant` is one code and `en-de` are two.
_CODE = re.compile(r"[a-z]{2,3}(?:-(?:[A-Z][a-z]{3}|[A-Z]{2}|[0-9]{3}))*")


def codes_in(name: str) -> list[str]:
    """The language codes that a subset's name is made of, `en` and `de` for `en-de`; none if there is more in it."""
    codes = _CODE.findall(name)
    return codes if codes and "-".join(codes) == name and all(map(_is_language, codes)) else []


@lru_cache(maxsize=10_000)
def of_mteb(code: str) -> str | None:
    """`deu-Latn` for `de`; None where mteb does not know the language or its script."""
    import langcodes
    from mteb.languages.check_language_code import check_language_code

    language = langcodes.Language.get(code).maximize()
    try:
        written = f"{language.to_alpha3()}-{language.script}"
        check_language_code(written)
    except (LookupError, ValueError):
        return None
    return written


@lru_cache(maxsize=10_000)
def _is_language(code: str) -> bool:
    import langcodes

    return langcodes.tag_is_valid(code)
