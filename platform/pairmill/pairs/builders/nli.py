"""Premise -> entailed hypothesis, with contradicting hypotheses of the same premise as negatives.

So Sentence-T5 and m-ST5 (2403.17528, section 3) make triplets of SNLI (1508.05326), MultiNLI and XNLI (1809.05053).

1. A premise's hypotheses may stand anywhere in a file: a first pass puts the contradictions into a table by premise
   (and language), and for `cross_lingual` the translations of the entailed rows. A file is therefore never cut.
2. A second pass makes a pair of each row labelled entailment. A premise's n-th entailment gets its contradictions from
   the n-th on, in turn, so that several entailments don't all get the same one.
3. A record may hold all languages at once, as XNLI's `all_languages`: {premise: {en: .., de: ..}, hypothesis:
   {language: [..], translation: [..]}, label}.
4. `cross_lingual`: the hypothesis and its negatives are in another language of the same item, drawn by a hash of the
   item, so each language is the premise's and the hypothesis' about equally often.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from hashlib import blake2b
from typing import Any
from zlib import crc32

import orjson

from pairmill.pairs.batch import Batch
from pairmill.pairs.builders.base import Pair, WrongRecord, batches, field_of, listed, text
from pairmill.pairs.builders.joining import find_each, split
from pairmill.pairs.builders.lookup import Lookup
from pairmill.pairs.sources.base import BATCH_ROWS, Piece
from pairmill.spec.record_builders import Nli

__all__ = ["find", "read", "split"]

#: Language -> premise and hypothesis. A record that does not say its language has one entry, under the empty string.
Variants = dict[str, tuple[str, str]]

#: Contradictions that are remembered of one premise.
MOST = 100
_NAMES = {"contradictory": "contradiction", "e": "entailment", "n": "neutral", "c": "contradiction"}
_NO_LABEL = ("", "-", "-1", "-1.0")

find = find_each


def read(spec: Any, piece: Piece, batch_rows: int = BATCH_ROWS) -> Iterator[Batch]:
    from pairmill.pairs.sources import records  # which knows the builders

    with Lookup() as contradictions, Lookup() as translations:
        known = Known(spec.builder, contradictions, translations)
        for some in records(spec, piece, batch_rows):
            known.add([record for _, record in some.items])
        for some in records(spec, piece, batch_rows):
            known.ask([record for _, record in some.items])
            yield from batches(some, known.build, spec.langs)


class Known:
    """What a file's rows say about each other, and of that what the current rows need."""

    def __init__(self, options: Nli, contradictions: Lookup, translations: Lookup):
        self.options, self.contradictions, self.translations = options, contradictions, translations
        self.collected: Counter[int] = Counter()  # contradictions by premise
        self.used: Counter[int] = Counter()  # entailments by premise, so far
        self.negatives: dict[int, list[bytes]] = {}
        self.translated: dict[str, Variants] = {}

    def add(self, records: list[dict[str, Any]]) -> None:
        """Remember what other rows need of these."""
        contradictions: list[tuple[int, bytes]] = []
        translations: list[tuple[str, bytes]] = []
        for label, variants, item in self._readable(records):
            for lang, (premise, hypothesis) in variants.items():
                if not premise or not hypothesis:
                    continue
                if label == "contradiction" and self.collected[key := _key(lang, premise)] < MOST:
                    self.collected[key] += 1
                    contradictions.append((key, hypothesis.encode(errors="replace")))
                elif label == "entailment" and self.options.cross_lingual and item:
                    translations.append((item, orjson.dumps([lang, premise, hypothesis])))
        self.contradictions.add(contradictions)
        self.translations.add(translations)

    def ask(self, records: list[dict[str, Any]]) -> None:
        """Look up what these rows need of others."""
        rows = [(variants, item) for label, variants, item in self._readable(records) if label == "entailment"]
        if self.options.cross_lingual:
            found = self.translations.get_all([item for _, item in rows if item])
            self.translated = {
                item: {lang: (premise, hypothesis) for lang, premise, hypothesis in map(orjson.loads, values)}
                for item, values in found.items()
            }
        keys = [
            _key(other, premise)
            for variants, item in rows
            for lang in variants
            for other, premise, _ in self._hypothesis(lang, variants, item)
        ]
        self.negatives = self.contradictions.get_all(keys) if self.options.negatives else {}

    def _readable(self, records: list[dict[str, Any]]) -> Iterator[tuple[str, Variants, str]]:
        for record in records:
            try:
                yield _label(record, self.options), _variants(record, self.options), _item(record, self.options)
            except WrongRecord:
                continue  # `build` meets it again

    def build(self, row: int, record: dict[str, Any]) -> list[Pair] | str:
        label = _label(record, self.options)
        if label != "entailment":
            return label
        variants, item = _variants(record, self.options), _item(record, self.options)
        made = [self._pair(lang, variants, item) for lang in variants]
        pairs = [pair for pair in made if isinstance(pair, Pair)]
        return pairs or next((why for why in made if isinstance(why, str)), "no_premise")

    def _pair(self, lang: str, variants: Variants, item: str) -> Pair | str:
        premise, hypothesis = variants[lang]
        if not premise:
            return "no_premise"
        if not hypothesis:
            return "no_hypothesis"
        for other, same, hypothesis in self._hypothesis(lang, variants, item):
            return Pair(premise, hypothesis, self._taken(_key(other, same)), lang or None, other or None)
        return "no_translation"

    def _hypothesis(self, lang: str, variants: Variants, item: str) -> list[tuple[str, str, str]]:
        """The language of a premise's hypothesis, the premise in that language, and the hypothesis; or nothing."""
        if not self.options.cross_lingual:
            return [(lang, *variants[lang])]
        known = self.translated.get(item, variants)
        others = sorted(code for code in known if code != lang and all(known[code]))
        if not others:
            return []
        other = others[crc32(f"{item} {lang} {variants[lang][0]}".encode(errors="replace")) % len(others)]
        return [(other, *known[other])]

    def _taken(self, key: int) -> list[str] | None:
        held = list(dict.fromkeys(self.negatives.get(key, [])))
        first = self.used[key]
        self.used[key] += 1
        count = min(len(held), self.options.negatives)
        return [held[(first + step) % len(held)].decode() for step in range(count)] or None


def _key(lang: str, premise: str) -> int:
    digest = blake2b(f"{lang}\n{premise}".encode(errors="replace"), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def _variants(record: dict[str, Any], options: Nli) -> Variants:
    premises = next((value for name in options.premise if (value := field_of(record, name)) is not None), None)
    if isinstance(premises, dict):
        hypotheses = next((value for name in options.hypothesis if (value := field_of(record, name)) is not None), None)
        ours, theirs = _by_language(premises, "premise"), _by_language(hypotheses, "hypothesis")
        return {lang: (premise, theirs.get(lang, "")) for lang, premise in ours.items()}
    return {text(record, *options.lang): (text(record, *options.premise), text(record, *options.hypothesis))}


def _by_language(value: Any, field: str) -> dict[str, str]:
    """Texts of {en: .., de: ..} or {language: [en, de], translation: [.., ..]}."""
    if not isinstance(value, dict):
        raise WrongRecord(f"{field}: {type(value).__name__} instead of texts by language")
    if isinstance(value.get("language"), list):
        languages = listed(value["language"], f"{field}.language", str)
        texts = listed(value.get("translation"), f"{field}.translation", str)
        if len(languages) != len(texts):
            raise WrongRecord(f"{field}: {len(languages)} languages and {len(texts)} translations")
        return {lang: found.strip() for lang, found in zip(languages, texts, strict=True)}
    return {lang: text(value, lang) for lang in value}


def _label(record: dict[str, Any], options: Nli) -> str:
    """entailment, neutral, contradiction, or no_label where the annotators did not agree."""
    for field in options.label:
        value = field_of(record, field)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            raise WrongRecord(f"{field}: {type(value).__name__} instead of a label")
        name = str(value).strip().lower()
        if name in _NO_LABEL:
            return "no_label"
        if name.removesuffix(".0") in ("0", "1", "2"):
            return options.labels[int(name[0])]
        name = _NAMES.get(name, name)
        if name not in options.labels:
            allowed = "entailment, neutral, contradiction, 0, 1, 2 or none"
            raise WrongRecord(f"{field}: {name[:40]!r} is no label; allowed: {allowed}")
        return name
    return "no_label"


def _item(record: dict[str, Any], options: Nli) -> str:
    """What the translations of an item share; empty where the record does not say."""
    for field in options.align:
        value = field_of(record, field)
        if value is not None and isinstance(value, (str, int)):
            return str(value)
    return ""
