"""Promises of finding and masking personal data."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pairmill.curate import personal
from pairmill.curate.clean import clean
from pairmill.curate.heuristics import MODULES, Side
from pairmill.spec.clean import Clean


@pytest.mark.parametrize(
    ("kind", "lang", "text", "masked"),
    [
        ("email", None, "a.b+c@x-y.co.uk, (joe@example.com).", "<email>, (<email>)."),
        ("email", "de", "müller@bücher.de", "<email>"),
        ("phone", None, "Call +1 212-555-0123 now", "Call <phone> now"),
        ("phone", "de", "Tel. +49 (0)30 1234567", "Tel. <phone>"),
        ("phone", "ja", "電話 03-1234-5678 まで", "電話 <phone> まで"),
        ("phone", "ko", "010-1234-5678", "<phone>"),
        ("phone", "pl", "Zadzwoń 600 123 456!", "Zadzwoń <phone>!"),
        ("iban", None, "DE89 3704 0044 0532 0130 00 und GB82WEST12345698765432", "<iban> und <iban>"),
        ("iban", None, "card 4111 1111 1111 1111 or 5500-0000-0000-0004", "card <iban> or <iban>"),
        ("ip", None, "from 93.184.216.34:80 to 2606:2800:220:1::1946", "from <ip>:80 to <ip>"),
    ],
)
def test_personal_data_is_masked(kind: personal.Kind, lang: str | None, text: str, masked: str) -> None:
    assert personal.mask(kind, text, lang) == masked
    assert personal.mask(kind, masked, lang) == masked


@pytest.mark.parametrize(
    ("kind", "lang", "text"),
    [
        ("email", None, "logo@2x.png user@localhost @name a@b foo@bar."),
        ("phone", "pl", "ISBN 978-3-16-148410-0, v1.2.3, 2020-01-15, 12:30, $1,234,567.89, 3:16-18"),
        ("phone", "fi", "03/2013, 1900-1999, 2147483647, 0.8509181282, 03.04.2013"),
        ("phone", "de", "030 1234567"),  # Germany, Austria or Switzerland
        ("phone", None, "10 000 000 000 1984-2001"),
        ("iban", None, "DE89 3704 0044 0532 0130 01, 4111 1111 1111 1112, 1234567812345670, ISBN 9783161484100"),
        ("ip", None, "192.168.0.1 127.0.0.1 255.255.255.0 version 93.184.216.34 foo-93.184.216.34 1.2.3.4 1.2.3.4.5"),
        ("ip", None, "12:30:45 fe80::1 std::string a::b 999.1.1.1 ff02::1"),
    ],
)
def test_numbers_that_are_nobodys_stay(kind: personal.Kind, lang: str | None, text: str) -> None:
    assert personal.mask(kind, text, lang) == text


def test_masks_are_counted_by_kind_and_the_rules_count_what_is_left() -> None:
    texts = pa.array(["a@b.de and c@d.de", "+1 212-555-0123", "nothing", "93.184.216.34 DE89370400440532013000"])
    side = Side(texts.cast(pa.large_string()), pa.array(["en", "en", None, "en"]))
    assert {kind: MODULES[kind].score(side).tolist() for kind in ("emails", "phones", "ips", "ibans")} == {
        "emails": [2, 0, 0, 0], "phones": [0, 1, 0, 0], "ips": [0, 0, 0, 1], "ibans": [0, 0, 0, 1],
    }  # fmt: skip
    masked, changed = clean(texts, Clean.model_validate({"personal_data": "mask"}))
    assert masked.to_pylist() == ["<email> and <email>", "<phone>", "nothing", "<ip> <iban>"]
    assert {kind: changed[kind] for kind in personal.KINDS} == {"email": 1, "iban": 1, "ip": 1, "phone": 1}
    assert not any(MODULES["emails"].score(Side(masked, side.langs)))


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.one_of(st.sampled_from(list("0123456789 -.:@+/()abAB<>\n")), st.characters(codec="utf-8")), max_size=60
    ),
    st.sampled_from(personal.KINDS),
    st.sampled_from([None, "pl", "ja", "de"]),
)
def test_spans_are_in_order_and_do_not_overlap(pieces: list[str], kind: personal.Kind, lang: str | None) -> None:
    text = "".join(pieces)
    spans = personal.find(kind, text, lang)
    ends = [0, *[end for _, end in spans]]
    assert all(before <= start < end <= len(text) for before, (start, end) in zip(ends, spans, strict=False))
