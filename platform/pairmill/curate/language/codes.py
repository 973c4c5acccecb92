"""Language codes: one spelling, which codes name the same language, and in which scripts a language is written.

Identification is not asked to tell apart what people declare loosely or what engines cannot separate: the members of
a macro-language (ISO 639-3: no/nb/nn, zh/yue/wuu, ar/arz, fa/prs, az/azb, ku/ckb, ms/id, ...) and the groups below.
An identified language in the declared one's group does not contradict it.
"""

from __future__ import annotations

from functools import cache

import langcodes
from langcodes.data_dicts import LIKELY_SUBTAGS

_GROUPS: tuple[frozenset[str], ...] = (
    frozenset({"no", "nb", "nn"}),
    frozenset({"zh", "yue", "wuu", "gan", "hak", "nan", "hsn", "lzh", "cmn"}),
    frozenset({"sr", "hr", "bs", "sh", "cnr"}),  # one spoken language, three standards
    frozenset({"ms", "id", "zsm", "zlm", "min"}),
    frozenset({"fil", "tl"}),
    frozenset({"ar", "arz", "ary", "apc", "acm"}),
    frozenset({"fa", "prs", "pes"}),
    frozenset({"az", "azb", "azj"}),
    frozenset({"ku", "ckb", "kmr", "sdh"}),
    frozenset({"de", "gsw", "bar", "ksh", "pfl"}),  # dialects that engines see in standard German, and vice versa
    frozenset({"nl", "vls", "zea"}),
    frozenset({"pa", "pnb", "lah"}),
    frozenset({"et", "ekk", "vro"}),
    frozenset({"lv", "lvs", "ltg"}),
    frozenset({"el", "grc"}),  # engines see polytonic and learned Greek in either
    frozenset({"he", "hbo"}),
    frozenset({"hi", "bh", "bho", "mai", "mag"}),  # engines answer Hindi for all
    frozenset({"mhr", "mrj", "chm"}),
    frozenset({"sq", "als", "aln"}),
)
_GROUP_OF = {code: group for group in _GROUPS for code in group}

_SEVERAL_SCRIPTS: dict[str, tuple[str, ...]] = {
    "az": ("Latn", "Cyrl", "Arab"), "bs": ("Latn", "Cyrl"), "cnr": ("Latn", "Cyrl"), "crh": ("Cyrl", "Latn"),
    "ha": ("Latn", "Arab"), "iu": ("Cans", "Latn"), "kk": ("Cyrl", "Arab", "Latn"), "kmr": ("Latn", "Arab", "Cyrl"),
    "ks": ("Arab", "Deva"), "ku": ("Latn", "Arab", "Cyrl"), "ky": ("Cyrl", "Arab", "Latn"), "lad": ("Hebr", "Latn"),
    "mn": ("Cyrl", "Mong"), "mni": ("Beng", "Mtei"), "ms": ("Latn", "Arab"), "pa": ("Guru", "Arab"),
    "rom": ("Latn", "Cyrl"), "sa": ("Deva", "Latn"), "sat": ("Olck", "Deva", "Beng", "Latn"), "sd": ("Arab", "Deva"),
    "sh": ("Latn", "Cyrl"), "shi": ("Tfng", "Latn"), "sr": ("Cyrl", "Latn"), "tg": ("Cyrl", "Arab", "Latn"),
    "ckb": ("Arab", "Latn"), "fuf": ("Latn", "Adlm"), "jv": ("Latn", "Java"), "zlm": ("Latn", "Arab"),
    "swb": ("Latn", "Arab"), "zdj": ("Latn", "Arab"),
    "tk": ("Latn", "Cyrl", "Arab"), "tt": ("Cyrl", "Latn"), "ug": ("Arab", "Cyrl", "Latn"),
    "uz": ("Latn", "Cyrl", "Arab"), "zgh": ("Tfng", "Latn"), "ff": ("Latn", "Adlm"), "azb": ("Arab", "Latn"),
}  # fmt: skip
_PARTS = {
    "Jpan": ("Hani", "Hira", "Kana"), "Kore": ("Hang", "Hani"), "Hans": ("Hani",), "Hant": ("Hani", "Bopo"),
    "Hanb": ("Hani", "Bopo"), "Hrkt": ("Hira", "Kana"), "Aran": ("Arab",), "Cyrs": ("Cyrl",), "Latf": ("Latn",),
}  # fmt: skip


_MODIFIERS = {"latin": "Latn", "cyrillic": "Cyrl", "arabic": "Arab", "devanagari": "Deva"}


@cache
def canonical(code: str) -> str:
    """`pt_BR` as `pt-BR`, `deu` as `de`, `sr_RS@latin` as `sr-Latn-RS`; what is no BCP-47 code stays as it is."""
    locale, _, modifier = code.partition("@")
    language, dash, rest = locale.partition(".")[0].replace("_", "-").partition("-")
    if modifier.lower() in _MODIFIERS:
        language += "-" + _MODIFIERS[modifier.lower()]
    try:
        return langcodes.standardize_tag(language + dash + rest)
    except ValueError:
        return code


@cache
def base(code: str) -> str:
    """The language alone, without script, region or variant: `de-AT` as `de`, `zh-Hant` as `zh`."""
    return canonical(code).partition("-")[0]


@cache
def group(code: str) -> frozenset[str]:
    """Base codes of the languages that are not told apart from this one (it is one of them)."""
    language = base(code)
    return _GROUP_OF.get(language) or _GROUP_OF.get(_macro(language)) or frozenset({language, _macro(language)})


@cache
def same_language(declared: str, identified: str) -> bool:
    """Whether text identified as `identified` may be what `declared` says."""
    return bool(group(declared) & group(identified))


@cache
def known(declared: str, labels: frozenset[str]) -> bool:
    """Whether an engine with these labels can tell the declared language from others."""
    return any(same_language(declared, label) for label in labels)


@cache
def scripts(code: str) -> frozenset[str]:
    """ISO 15924 codes of the scripts the language is written in; empty where that is not known.

    A script in the code decides (`sr-Latn`); else a table of languages with several scripts; else the likely script
    of CLDR. Japanese is `Hani Hira Kana`, Korean `Hang Hani`.
    """
    try:
        language = langcodes.Language.get(canonical(code))
    except ValueError:
        return frozenset()
    names: tuple[str | None, ...] = ()
    if language.script:
        names = (language.script,)
    elif several := _SEVERAL_SCRIPTS.get(base(code)) or _SEVERAL_SCRIPTS.get(_macro(base(code))):
        names = several
    elif {base(code), _macro(base(code))} & LIKELY_SUBTAGS.keys() - {"und"}:
        names = (language.maximize().script,)
    return frozenset(part for name in names if name for part in _PARTS.get(name, (name,)))


@cache
def _macro(language: str) -> str:
    try:
        return langcodes.standardize_tag(language, macro=True).partition("-")[0]
    except ValueError:
        return language
