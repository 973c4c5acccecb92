"""Summaries for the report's tests: a realistic one from Django's catalogues, a hostile one, a very large one."""

from __future__ import annotations

import gettext
import importlib.util
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import curate_statistics
import pytest

from pairmill.spec.rules import RULES

Json = dict[str, Any]
LOCALES = (
    "ar",
    "bg",
    "de",
    "el",
    "es",
    "fa",
    "fr",
    "he",
    "hi",
    "ja",
    "ko",
    "pl",
    "ru",
    "th",
    "tr",
    "ur",
    "vi",
    "zh_Hans",
)

#: Payloads that would be seen by a browser test if any of them acted.
HOSTILE = (
    "<script>alert('script')</script>",
    '"><img src=x onerror=alert("img")>',
    "'><svg/onload=alert(`svg`)>",
    "</style><script>alert('style')</script>",
    "</bdi></td></table></details><iframe src='javascript:alert(1)'></iframe>",
    "javascript:alert('url')",
    "<a href=javascript:alert(2)>click</a>",
    "<link rel=stylesheet href=http://127.0.0.1:9/x.css><meta http-equiv=refresh content='0;url=http://127.0.0.1:9/'>",
    "{{ 7*7 }}{% for x in y %}${7*7}",
    "&lt;script&gt;alert('entities')&lt;/script&gt;",
    "abc\u202edetrever\u202c def \u2066isolated",
    "nul \x00 bell \x07 escape \x1b[31m backspace \x08",
    "lone \ud800 surrogate \udfff",
    "zalgo " + "a" + "\u0301\u0302\u0303\u0327" * 40,
    "x" * 5000,
)


def catalogue_pairs(locale: str) -> Iterator[tuple[str, str, str]]:
    """(msgid, msgstr, file) of Django's own and its admin's catalogue."""
    found = importlib.util.find_spec("django")
    if found is None or found.origin is None:
        pytest.skip("Django's catalogues are this test's text: pip install django")
    for part in ("conf", "contrib/admin"):
        path = Path(found.origin).parent / part / "locale" / locale / "LC_MESSAGES" / "django.mo"
        with path.open("rb") as file:
            entries = gettext.GNUTranslations(file)._catalog  # type: ignore[attr-defined]
        for msgid, msgstr in entries.items():
            if isinstance(msgid, str) and msgid and msgstr:
                yield msgid, msgstr, f"django/{part}/locale/{locale}/LC_MESSAGES/django.mo"


def row(anchor: str | None, positive: str | None, language: str, number: int = 0, **more: Any) -> Json:
    found = {
        "pair_id": (3 << 32) + number,
        "anchor": anchor,
        "positive": positive,
        "anchor_lang": "en",
        "positive_lang": language,
        "source": "django",
        "origin_file": "catalogue.mo",
        "origin_row": number,
        "reason": None,
        "failed": [],
        "value": None,
        "threshold": None,
        "duplicate_of": None,
        "duplicate_text": None,
    }
    return {**found, **more}


def judged(msgid: str, msgstr: str) -> tuple[str, float, float] | None:
    """A few rules, simply, so that the samples look like what they stand under."""
    ratio = max(len(msgid) + 10, len(msgstr) + 10) / (min(len(msgid), len(msgstr)) + 10)
    if msgid.strip() == msgstr.strip():
        return "identical", 1.0, 0.0
    if len(msgstr.strip()) < 2:
        return "min_chars", float(len(msgstr.strip())), 2.0
    if ratio > 1.9:
        return "length_ratio", ratio, 1.9
    letters = sum(c.isalpha() for c in msgid) / max(len(msgid.replace(" ", "")), 1)
    return ("letters", letters, 0.6) if letters < 0.6 else None


def samples(bound: int = 50) -> dict[str, list[Json]]:
    found: dict[str, list[Json]] = {}
    for position, locale in enumerate(LOCALES):
        language = locale.partition("_")[0]
        for number, (msgid, msgstr, file) in enumerate(catalogue_pairs(locale)):
            verdict = judged(msgid, msgstr)
            name = verdict[0] if verdict else "kept"
            if verdict is None and number % 41 == 0:
                name, verdict = "near_duplicate", ("near_duplicate", 0.93, 0.8)
            group = found.setdefault(name, [])
            if len(group) >= (position + 1) * bound // len(LOCALES) + 1 or len(group) >= bound:
                continue
            more: Json = {"origin_file": file}
            if verdict:
                more |= {"reason": name, "value": verdict[1], "threshold": verdict[2], "failed": [name]}
            if name == "near_duplicate":
                more |= {"duplicate_of": (2 << 32) + number, "duplicate_text": f"{msgid}\n{msgstr}."}
            if name == "letters":
                more["failed"] = ["letters", "placeholders", "script"]
            group.append(row(msgid, msgstr, language, number, **more))
    return found


def counts(records: int, no_pair: Json, rejected: Json, quarantine: Json) -> Json:
    unreadable = sum(quarantine.values())
    parsed = records - sum(no_pair.values()) - unreadable
    return {
        "records_in": records,
        "parsed": parsed,
        "no_pair": no_pair,
        "rows_in": parsed + unreadable,
        "kept": parsed - sum(rejected.values()),
        "rejected": rejected,
        "quarantine": quarantine,
    }


def ledger(by_input: dict[str, Json]) -> Json:
    total: Json = {}
    for part in by_input.values():
        for key, amount in part.items():
            total[key] = (
                (Counter(total.get(key, {})) + Counter(amount))
                if isinstance(amount, dict)
                else total.get(key, 0) + amount
            )
    return {"total": {key: dict(v) if isinstance(v, Counter) else v for key, v in total.items()}, "by_input": by_input}


_NAMES = ("set", "side", "kind", "evaluation_file")
_LEAKS = [
    (
        "Welcher Fluss fließt durch Graz?",
        "Eine Frage an alle: Welcher Fluss fließt durch Graz? Die Antwort steht unten.",
    ),
    ("על איזה נהר שוכנת העיר גראץ?", "שאלה לכולם: על איזה נהר שוכנת העיר גראץ? התשובה בהמשך."),
]


def leaks(found: list[tuple[str, str]], **names: str) -> Json:
    """The facts of decontamination: evaluation texts and what was found of each, with what is around it."""
    hit = {"set": "quiz", "side": "positive", "kind": "inside", "evaluation_file": "/eval/quiz.jsonl"} | names
    numbers = {"pair_id": 4294967301, "share": 0.93, "evaluation_row": 12}
    item = {"name": hit["set"], "texts": 1190, "too_short": 7, "found": 2, "rows": 31, "kinds": {hit["kind"]: 31}}
    return {
        "sets": [item],
        "samples": [{**hit, **numbers, "evaluation_text": text, "around": around} for text, around in found],
    }


def realistic() -> Json:
    by_input = {
        "django": counts(
            102_871,
            {"untranslated": 1940},
            {
                "identical": 5210,
                "length_ratio": 1322,
                "min_chars": 87,
                "letters": 640,
                "script": 2204,
                "numbers": 190,
                "placeholders": 411,
                "language": 12_871,
                "exact_duplicate": 8120,
                "near_duplicate": 6204,
            },
            {},
        ),
        "wagtail": counts(
            121_046,
            {"untranslated": 30_518},
            {
                "identical": 3977,
                "length_ratio": 803,
                "script": 1209,
                "placeholders": 77,
                "language": 9204,
                "exact_duplicate": 4410,
                "near_duplicate": 3771,
            },
            {},
        ),
        "pycountry": counts(
            318_620,
            {"untranslated": 61_002, "header only": 214},
            {
                "identical": 66_930,
                "length_ratio": 2960,
                "min_chars": 12,
                "script": 9120,
                "language": 61_287,
                "exact_duplicate": 14_300,
                "near_duplicate": 9921,
            },
            {"invalid_utf8": 9, "truncated": 1},
        ),
        "web-titles": counts(
            20_400,
            {},
            {"length_ratio": 3811, "url_share": 92, "html": 260, "repetition": 331, "near_duplicate": 702},
            {"malformed_json": 391},
        ),
    }
    book = ledger(by_input)
    rejected = book["total"]["rejected"]
    languages = []
    for number, locale in enumerate(LOCALES):
        rows = 30_000 // (number + 1)
        lost = {"language": rows * (number % 5) // 20, "identical": rows // 9, "near_duplicate": rows // 30}
        languages.append(
            {
                "anchor_lang": "en",
                "positive_lang": locale.replace("_", "-"),
                "rows": rows,
                "kept": rows - sum(lost.values()),
                "rejected": lost,
            }
        )
    languages.append({"anchor_lang": "en", "positive_lang": None, "rows": 40, "kept": 0, "rejected": {"script": 40}})
    text = [
        (locale.partition("_")[0], msgid, msgstr)
        for locale in LOCALES[:8]
        for msgid, msgstr, _ in list(catalogue_pairs(locale))[:400]
    ]
    return {
        "run": {
            "id": "quickstart-3f9a1c07be42",
            "name": "quickstart",
            "state": "done",
            "started": "2025-11-21T05:52:10+00:00",
            "finished": 1763704388.4,
            "seconds": 58.42,
            "storage": "s3://corpora/pairmill",
            "versions": {"pairmill": "0.1.0", "python": "3.11.9", "ray": "2.55.0"},
            "resources": {"annotate": {"cpu_seconds": 71.2, "peak_rss": 812_000_000}, "shards": 41},
        },
        "spec": "kind: curate\nname: quickstart\ninputs:\n  - {name: django, format: gettext, packages: [django]}\n"
        "filters:\n  preset: bitext\ndedup:\n  near: {threshold: 0.8}\n",
        "command": "pairmill run jobs/quickstart.yaml --storage s3://corpora/pairmill",
        "ledger": book,
        "inputs": [
            {
                "name": name,
                "format": "jsonl" if name == "web-titles" else "gettext",
                "path": None if name != "web-titles" else ["data/titles/*.jsonl.gz"],
                "files": 90 + len(name),
                "bytes": 7_300_211 * len(name),
                "licence": None if name == "web-titles" else "BSD-3-Clause",
                "language": "require",
            }
            for name in by_input
        ],
        "languages": languages,
        "by_pair": curate_statistics.by_pair(by_input, languages),
        **curate_statistics.statistics(text, _rule),
        "duplicates": curate_statistics.duplicates("Yes\nכן", list(by_input), kept=False),
        "declared_identified": [
            {"declared": "de", "identified": "de", "rows": 28_020},
            {"declared": "nb", "identified": "da", "rows": 1810},
            {"declared": "nb", "identified": "no", "rows": 2210},
            {"declared": "ur", "identified": "fa", "rows": 402},
            {"declared": "ur", "identified": "ur", "rows": 8000},
            {"declared": "en", "identified": "en", "rows": 301_220},
            {"declared": "en", "identified": "fr", "rows": 4021},
            {"declared": None, "identified": "es", "rows": 96},
        ],
        "cleaning": {"entities": 812, "unicode": 341, "control": 96, "whitespace": 20_233},
        "rules": [
            {
                "name": rule.name,
                "describe": rule.describe,
                "source": rule.source,
                "min": rule.min,
                "max": rule.max,
                "direction": rule.direction,
                "rejected": rejected.get(rule.name, 0),
            }
            for rule in RULES.values()
        ],
        "contamination": leaks(_LEAKS),
        "samples": samples(),
        "quarantine": [
            {
                "error": "malformed_json",
                "origin_file": "data/titles/part-0007.jsonl.gz",
                "origin_row": 120 + n,
                "offset": 88_120 + 431 * n,
                "detail": "unexpected end of data: line 1 column 34",
                "data": '{"title": "Wie man ein Haus baut", "text": "Zuer',
            }
            for n in range(12)
        ],
        "quarantine_total": 401,
        "expectations": [{"what": "kept_share", "found": 0.4412, "allowed": "0.3 to 1", "holds": True}],
    }


def _rule(name: str) -> Json:
    rule = RULES.get(name)
    return {"rule": name, "direction": rule and rule.direction, "describe": rule and rule.describe}


def hostile() -> Json:
    """A payload in every string of the summary, keys included, that can come from an input or an error."""
    bad = [f"{text} [{number}]" for number, text in enumerate(HOSTILE)]
    reasons = {text: number + 1 for number, text in enumerate(bad)}
    by_input = {text: counts(1000, {text: 3}, reasons, {text: 2}) for text in bad}
    rows = [
        row(
            text,
            text[::-1],
            text,
            source=text,
            origin_file=text,
            pair_id=text,
            reason=text,
            failed=[text, "other"],
            value=3.2,
            threshold=3,
            duplicate_of=text,
            duplicate_text=text,
        )
        for text in bad
    ]
    return {
        "run": {
            "id": bad[0],
            "name": bad[1],
            "state": bad[2],
            "started": bad[3],
            "finished": None,
            "seconds": None,
            "storage": bad[5],
            "versions": {bad[4]: bad[6]},
            "resources": {bad[7]: [bad[8]]},
            "error": "".join(bad),
        },
        "spec": "\n".join(bad),
        "command": bad[3],
        "ledger": ledger(by_input),
        "inputs": [
            {
                "name": text,
                "format": text,
                "path": [text, text],
                "files": 1,
                "bytes": 10,
                "licence": text,
                "language": text,
            }
            for text in bad
        ],
        "languages": [
            {"anchor_lang": text, "positive_lang": text, "rows": 5, "kept": 2, "rejected": {text: 3}} for text in bad
        ],
        "declared_identified": [{"declared": text, "identified": text + "!", "rows": 3} for text in bad],
        "cleaning": dict.fromkeys(bad, 1),
        "rules": [
            {"name": text, "describe": text, "source": text, "min": None, "max": 3, "direction": text, "rejected": 1}
            for text in bad
        ],
        "contamination": leaks([(text, text[::-1]) for text in bad], **dict.fromkeys(_NAMES, bad[0])),
        "samples": {"kept": rows, **dict.fromkeys(bad[:3], rows)},
        "quarantine": [
            {"error": text, "origin_file": text, "origin_row": 3, "offset": None, "detail": text, "data": text}
            for text in bad
        ],
        "quarantine_total": 2 * len(bad),
        "expectations": [{"what": text, "found": text, "allowed": text, "holds": False} for text in bad],
        **curate_statistics.hostile(bad),
    }


def huge(character: str, reasons: int = 30, rows: int = 50) -> Json:
    """Every bound at once: long texts, many reasons, inputs, language pairs."""
    text = character * 20_000
    found = empty()
    found["samples"] = {
        f"reason_{n:02}": [
            row(
                text,
                text,
                "zh",
                i,
                duplicate_text=text,
                duplicate_of=i,
                origin_file=text,
                failed=[f"reason_{m:02}" for m in range(reasons)],
            )
            for i in range(rows)
        ]
        for n in range(reasons)
    }
    found["languages"] = [
        {"anchor_lang": "en", "positive_lang": f"q{n:05}", "rows": 10_000 - n, "kept": 1, "rejected": {}}
        for n in range(10_000)
    ]
    found["declared_identified"] = [{"declared": f"a{n}", "identified": f"b{n}", "rows": n} for n in range(10_000)]
    found["ledger"] = ledger(
        {f"input-{n:04}": counts(1000, {}, {f"reason_{m:02}": 1 for m in range(reasons)}, {}) for n in range(500)}
    )
    found["inputs"] = [
        {
            "name": f"input-{n:04}",
            "format": "jsonl",
            "path": text,
            "files": 1,
            "bytes": 1,
            "licence": text,
            "language": "trust",
        }
        for n in range(500)
    ]
    found["quarantine"] = [
        {"error": "malformed_json", "origin_file": text, "origin_row": n, "offset": n, "detail": text, "data": text}
        for n in range(5000)
    ]
    found["quarantine_total"] = 5000
    found["spec"] = "inputs:\n" + text * 5
    return found


def empty() -> Json:
    """The smallest summary there is: every list empty, every value null."""
    return {
        "run": dict.fromkeys(
            ("id", "name", "state", "started", "finished", "seconds", "storage", "versions", "resources")
        ),
        "spec": None,
        "command": None,
        "ledger": None,
        "inputs": [],
        "languages": [],
        "declared_identified": [],
        "cleaning": {},
        "rules": [],
        "samples": {},
        "quarantine": [],
        "quarantine_total": 0,
        "expectations": [],
    }
