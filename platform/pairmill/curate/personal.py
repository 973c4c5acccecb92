"""Personal data in text: e-mail addresses, phone numbers, IP addresses, IBANs and payment card numbers.

`find(kind, text, lang)` gives the spans of the items of one kind, `mask` replaces them by a tag (`<email>`, `<phone>`,
`<ip>`, `<iban>`). Only what can be checked counts:

- email: one `@`, a host with a dot and an alphabetic top-level domain; names of image files (`logo@2x.png`) are none.
- iban: a known country's length and check digits (ISO 13616, modulo 97); payment cards: an issuer's prefix and length,
  and the Luhn sum.
- ip: IPv4 and IPv6 addresses that are globally routed. Private, reserved and multicast ones (`192.168.0.1`, netmasks)
  tell nothing about a person; four numbers below 20, or behind a word such as "version" or a name with a hyphen
  (`foo-1.2.3.4`), are a version or a section.
- phone: what the `phonenumbers` library (Google's libphonenumber) finds valid: with a leading `+`, or, where the
  text's language is spoken in one country above all (`REGIONS`), national numbers grouped as that country does: three
  groups of digits, or two with a leading zero or bracket, so that years, decimals and plain numbers are none.

Candidates come from expressions whose every repetition is bounded, and a library sees only the few characters around
one, so that the time is linear in the text.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from typing import Literal, get_args

Kind = Literal["email", "iban", "ip", "phone"]
KINDS: tuple[Kind, ...] = get_args(Kind)
Spans = list[tuple[int, int]]

#: Languages of which almost every text that holds a national number comes from one country.
REGIONS = {
    "bg": "BG", "cs": "CZ", "da": "DK", "el": "GR", "et": "EE", "fi": "FI", "he": "IL", "hu": "HU", "hy": "AM",
    "id": "ID", "is": "IS", "it": "IT", "ja": "JP", "ka": "GE", "ko": "KR", "lt": "LT", "lv": "LV", "nb": "NO",
    "nn": "NO", "no": "NO", "pl": "PL", "sk": "SK", "sl": "SI", "sv": "SE", "th": "TH", "tr": "TR", "uk": "UA",
    "vi": "VN",
}  # fmt: skip

_EMAIL = re.compile(
    r"(?<![\w.+%-])[\w+%-][\w.+%-]{0,63}@(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.){1,8}"
    r"([^\W\d_]{2,24}|xn--[a-z0-9-]{2,59})(?![\w@-])"
)
_FILES = frozenset("png jpg jpeg gif svg webp bmp ico pdf js css html php service socket timer mount".split())  # noqa: SIM905
_IBAN = re.compile(r"(?<![A-Za-z0-9])([A-Z]{2}[0-9]{2})((?:[ -]?[A-Z0-9]){11,30})(?![a-z0-9])")
_CARD = re.compile(r"(?<![\d.,+-])(?<!\d[ ])\d{4}(?:[ -]?\d){9,15}(?![\d.,]?\d)")
_ISSUERS = re.compile(
    r"4\d{12}(?:\d{3}){0,2}|(?:5[1-5]\d\d|222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d{12}|3[47]\d{13}"
    r"|3(?:0[0-5]|[68]\d)\d{11}|6(?:011|5\d\d|4[4-9]\d)\d{12}|35(?:2[89]|[3-8]\d)\d{12}|62\d{14,17}"
)
_COUNTRIES = """
    AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 EE20 EG29 ES24
    FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32
    LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29 RO24
    RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30
"""
_LENGTHS = {country[:2]: int(country[2:]) for country in _COUNTRIES.split()}
_IPV4 = re.compile(r"(?<![\w.:-])(?<!\d,)(?:\d{1,3}\.){3}\d{1,3}(?![\w-]|\.\w)")
_IPV6 = re.compile(r"(?<![\w:.])[0-9A-Fa-f]{4}(?::[0-9A-Fa-f]{0,4}){2,7}(?![\w:]|\.\w)")
_UNICAST = ipaddress.ip_network("2000::/3")
_VERSION_BEFORE = re.compile(r"(?:versi\w{0,5}|release|kernel|build|rev|[vV])[ .:]{0,2}$|[=><~§] ?$", re.IGNORECASE)
_MOST_DIGITS, _MOST_GROUPS = 16, 8  # E.164 allows 15 digits; `(0)` may stand in between
_PHONE = re.compile(r"(?<![\w.,:/=#@-])[+＋]?[(\[]?\d[\d \t\u00a0().\[\]/‐-―−-]{5,30}\d(?![\w@=-]|[.,:/]\d)")


def mask(kind: Kind, text: str, lang: str | None = None) -> str:
    """The text with each item of a kind replaced by the kind's tag."""
    parts, at = [], 0
    for start, end in find(kind, text, lang):
        parts += [text[at:start], f"<{kind}>"]
        at = end
    return "".join([*parts, text[at:]]) if parts else text


def find(kind: Kind, text: str, lang: str | None = None) -> Spans:
    """Where the items of a kind stand, in order, without overlap. `lang`: the text's language, BCP-47, if known."""
    return _FINDERS[kind](text, lang)


def region(lang: str | None) -> str | None:
    """The country whose national phone numbers are looked for in a text of this language (BCP-47), if any."""
    return REGIONS.get(lang.split("-")[0]) if lang else None


def _emails(text: str, lang: str | None) -> Spans:
    if "@" not in text:
        return []
    return [match.span() for match in _EMAIL.finditer(text) if match[1].lower() not in _FILES]


def _accounts(text: str, lang: str | None) -> Spans:
    spans: Spans = []
    for match in _IBAN.finditer(text):
        end = _iban_end(match[0])
        if end:
            spans.append((match.start(), match.start() + end))
    for match in _CARD.finditer(text):
        digits = re.sub("[ -]", "", match[0])
        if (
            _ISSUERS.fullmatch(digits)
            and _luhn(digits)
            and not any(a < match.end() and match.start() < b for a, b in spans)
        ):
            spans.append(match.span())
    return sorted(spans)


def _iban_end(candidate: str) -> int:
    """Characters of the IBAN at the start of a candidate; 0 if it is none."""
    length = _LENGTHS.get(candidate[:2], 0)
    compact, end = "", 0
    while len(compact) < length and end < len(candidate):
        compact += "" if candidate[end] in " -" else candidate[end]
        end += 1
    if not length or len(compact) < length or (end < len(candidate) and candidate[end] not in " -"):
        return 0
    number = "".join(str(int(character, 36)) for character in compact[4:] + compact[:4])
    return end if int(number) % 97 == 1 else 0


def _luhn(digits: str) -> bool:
    doubled = (sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (sum(doubled) + sum(map(int, digits[-1::-2]))) % 10 == 0 and len(set(digits)) > 1


def _addresses(text: str, lang: str | None) -> Spans:
    spans = [
        match.span()
        for match in _IPV4.finditer(text)
        if _is_global(match[0])
        and max(map(int, match[0].split("."))) >= 20
        and not _VERSION_BEFORE.search(text, max(0, match.start() - 12), match.start())
    ]
    spans += [match.span() for match in _IPV6.finditer(text) if _is_global(match[0])]
    return sorted(spans)


def _is_global(address: str) -> bool:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    return found.is_global and not found.is_multicast and (found.version == 4 or found in _UNICAST)


def _phones(text: str, lang: str | None) -> Spans:
    from phonenumbers import Leniency, PhoneNumberMatcher

    national = region(lang)
    spans: Spans = []
    for match in _PHONE.finditer(text):
        international = match[0][0] in "+＋"
        groups = re.findall(r"\d+", match[0])
        if len(groups) > _MOST_GROUPS or sum(map(len, groups)) > _MOST_DIGITS or not (international or national):
            continue
        leniency = Leniency.VALID if international else Leniency.EXACT_GROUPING
        found = next(iter(PhoneNumberMatcher(match[0], None if international else national, leniency, 3)), None)
        if found and (international or _is_grouped(found.raw_string)):
            spans.append((match.start() + found.start, match.start() + found.end))
    return spans


def _is_grouped(number: str) -> bool:
    """Whether digits are written as a national phone number: not a plain number, a decimal, a date or two years."""
    groups = re.findall(r"\d+", number)
    by_prefix = number[0] in "0(" and len(groups) == 2 and not re.search(r"\d[./]\d", number)
    return sum(map(len, groups)) >= 8 and (by_prefix or len(groups) > 2)


_FINDERS: dict[Kind, Callable[[str, str | None], Spans]] = {
    "email": _emails,
    "iban": _accounts,
    "ip": _addresses,
    "phone": _phones,
}
