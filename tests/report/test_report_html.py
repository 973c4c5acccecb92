"""The page as markup: complete, escaped, bounded, for every summary there can be."""

from __future__ import annotations

import base64
import copy
import hashlib
import re
from typing import Any

import pytest
import report_summaries

from markup import Page
from pairmill.report.page import LARGEST, render


@pytest.fixture(scope="module")
def realistic() -> dict[str, Any]:
    return report_summaries.realistic()


def test_hostile_strings_add_no_tag_and_no_attribute() -> None:
    html = render(report_summaries.hostile())
    page = Page(html)
    expected = {"img", "iframe", "object", "embed", "form", "base"}
    tags = [tag for tag, _ in page.tags]
    assert not expected & set(tags)
    assert tags.count("script") == 1 and tags.count("svg") == html.count('class="area"')
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    links = [
        value or "" for _, attributes in page.tags for name, value in attributes.items() if name in ("href", "src")
    ]
    assert {link for link in links if not re.fullmatch(r"#[a-z0-9-]+", link)} == {"data:,"}
    assert "{{ 7*7 }}{% for x in y %}${7*7} [8]" in page.text


def test_the_policy_comes_first_and_allows_no_request_and_no_script_but_the_pages_own() -> None:
    html = render(report_summaries.hostile())
    (code,) = re.findall("<script>(.*?)</script>", html, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
    metas = [attributes for tag, attributes in Page(html).tags if tag == "meta"]
    assert metas[1]["http-equiv"] == "Content-Security-Policy"
    assert str(metas[1]["content"]).startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:")
    assert str(metas[1]["content"]).endswith(f"; script-src 'sha256-{digest}'")
    style = html[html.index("<style>") : html.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style


def test_lone_surrogates_anywhere_leave_the_page_encodable() -> None:
    assert b"[U+D800]" in render(report_summaries.hostile()).encode()


def test_thirty_reasons_of_fifty_long_samples_all_fit_into_five_megabytes() -> None:
    html = render(report_summaries.huge("漢", reasons=30, rows=50))
    assert len(html.encode()) <= LARGEST
    assert html.count('<div class="sides">') == 30 * 50


@pytest.mark.parametrize("character", ["x", "&", "\u202ea"])
def test_page_stays_below_five_megabytes_for_any_text_and_every_reason_keeps_samples(character: str) -> None:
    html = render(report_summaries.huge(character, reasons=30, rows=20))
    assert len(html.encode()) <= LARGEST
    groups = html.split("<details")[1:31]
    assert all('<div class="sides">' in group for group in groups)


def test_a_thousand_samples_of_each_reason_are_bounded() -> None:
    summary = report_summaries.empty()
    row = report_summaries.row("漢" * 300, "x" * 300, "zh")
    summary["samples"] = {f"reason_{n}": [row] * 1000 for n in range(30)}
    assert len(render(summary).encode()) <= LARGEST


def test_samples_of_leaks_count_to_the_five_megabytes() -> None:
    summary = report_summaries.empty()
    summary["contamination"] = report_summaries.leaks([("漢" * 2000, "字" * 2000)] * 3000)
    row = report_summaries.row("x" * 300, "y" * 300, "en")
    summary["samples"] = {f"reason_{n}": [row] * 1000 for n in range(30)}
    html = render(summary)
    assert len(html.encode()) <= LARGEST
    assert html.count("Row, around it") == 200 and "漢漢" in html


def test_a_run_without_anything_has_a_page() -> None:
    text = Page(render(report_summaries.empty())).text
    assert "No ledger" in text
    assert "None" not in text
    Page(render({}))


def test_missing_optional_fields_are_no_error(realistic: dict[str, Any]) -> None:
    summary = copy.deepcopy(realistic)
    summary["samples"] = {"kept": [{"anchor": None, "positive": None}]}
    summary["rules"] = [{"name": "letters"}]
    summary["inputs"], summary["quarantine"], summary["expectations"] = [{"name": "django"}], [{}], [{"holds": False}]
    summary["languages"], summary["declared_identified"] = [{}], [{}]
    assert "1 of 1 expectation does not hold" in Page(render(summary)).text


def test_both_balances_are_written_out(realistic: dict[str, Any]) -> None:
    text = Page(render(realistic)).text
    total = realistic["ledger"]["total"]
    rejected = sum(total["rejected"].values())
    assert f"{total['rows_in']:,} rows in = {total['kept']:,} kept + {rejected:,} rejected + 401 quarantine" in text
    no_pair = sum(total["no_pair"].values())
    assert f"{total['records_in']:,} records in = {total['parsed']:,} parsed + {no_pair:,} no pair + 401" in text
    assert text.count(" balances") == 2


def test_a_ledger_that_does_not_balance_is_shown_as_such(realistic: dict[str, Any]) -> None:
    summary = copy.deepcopy(realistic)
    summary["ledger"]["total"]["kept"] -= 7
    assert "off by 7" in Page(render(summary)).text


def test_every_loss_of_the_ledger_stands_in_the_funnel(realistic: dict[str, Any]) -> None:
    html = render(realistic)
    funnel = html[html.index('<ol class="funnel">') : html.index("Balances")]
    text = Page(f"<div>{funnel[: funnel.rindex('</ol>')]}</ol></div>").text
    total = realistic["ledger"]["total"]
    for losses in (total["no_pair"], total["rejected"], total["quarantine"]):
        for name, count in losses.items():
            assert re.search(rf"{re.escape(name)} −{count:,}\b", text), name


def test_the_largest_language_pairs_are_shown_and_the_others_summed() -> None:
    text = Page(render(report_summaries.huge("x", reasons=2, rows=2))).text
    assert "en → q00199" in text
    assert "en → q00200" not in text
    assert "9,800 more pairs 48,024,900 9,800" in text


def test_codes_of_one_language_do_not_disagree() -> None:
    pairs = [("zh-CN", "zh"), ("nb", "no"), ("pt-BR", "pt"), ("pt-BR", "en")]
    summary = {"declared_identified": [{"declared": a, "identified": b, "rows": 10} for a, b in pairs]}
    text = Page(render(summary)).text
    assert "Of 40 sides with a declared and an identified language, 30 (75.0%) agree" in text


def test_a_rule_shows_what_holds_for_languages_and_pairs(realistic: dict[str, Any]) -> None:
    rules = copy.deepcopy(realistic["rules"])
    rules[0] |= {"enabled": False, "per_pair": {"de-en": {"enabled": True, "min": None, "max": 1.3}}}
    others = {f"x{n:02}": {"enabled": n > 0, "min": 0.5, "max": None} for n in range(30)}
    rules[1] |= {"enabled": True, "per_language": others}
    text = Page(render({**realistic, "rules": rules})).text
    assert "(for some languages: de-en ≤ 1.3)" in text
    assert "x00 off, x01 ≥ 0.5" in text and "x19 ≥ 0.5, 10 more)" in text


def test_the_largest_disagreement_of_declared_and_identified_comes_first() -> None:
    summary = report_summaries.empty()
    summary["declared_identified"] = [
        {"declared": "nb", "identified": "da", "rows": 5},
        {"declared": "de", "identified": "de", "rows": 90},
        {"declared": "de", "identified": "lb", "rows": 10},
        {"declared": None, "identified": "fr", "rows": 3},
    ]
    text = Page(render(summary)).text
    assert "Of 105 sides with a declared and an identified language, 90 (85.7%) agree; 3 sides lack one" in text
    assert "de lb 10 10.0% nb da 5 100%" in text


def test_a_long_text_is_cut_and_its_length_told() -> None:
    summary = report_summaries.empty()
    summary["samples"] = {"kept": [report_summaries.row("a" * 1234, "b" * 1000, "de")]}
    page = Page(render(summary))
    assert "1,234 characters, the first 1,000 shown" in page.text
    assert "a" * 1000 in page.text
    assert "a" * 1001 not in page.text
    assert "1,000 characters, the first" not in page.text


def test_samples_carry_their_language_and_direction_and_ill_formed_tags_none() -> None:
    summary = report_summaries.empty()
    summary["samples"] = {"kept": [report_summaries.row("peace", "سلام", "ar"), report_summaries.row("x", "y", 'a" b')]}
    sides = [attributes for tag, attributes in Page(render(summary)).tags if attributes.get("class") == "text"]
    assert [side["dir"] for side in sides] == ["auto"] * 4
    assert [side.get("lang") for side in sides] == ["en", "ar", "en", None]


def test_many_inputs_are_folded_into_one_column() -> None:
    text = Page(render(report_summaries.huge("x", reasons=2, rows=2))).text
    assert "488 more inputs" in text
    assert "300 more inputs not shown" in text


def table(html: str, label: str) -> list[list[str]]:
    """The cells of the table of that name, in each the first word of its text."""
    start = html.index(f'aria-label="{label}"')
    rows = re.findall(r"<tr[ >].*?</tr>", html[start : html.index("</table>", start)], re.DOTALL)
    cells = [re.findall(r"<t[hd].*?</t[hd]>", row, re.DOTALL) for row in rows]
    return [[Page(f"<tr>{cell}</tr>").text for cell in row] for row in cells]


def first(cell: str) -> int:
    return int(cell.split()[0].replace(",", ""))


def test_reasons_by_language_pair_add_up_to_the_rows_of_each_pair(realistic: dict[str, Any]) -> None:
    head, *rows = table(render(realistic), "Reasons by language pair")
    assert head[:4] == ["Pair", "Rows", "Kept", "Kept share"]
    assert len(rows) == len(realistic["languages"])
    for row in rows:
        assert first(row[1]) == first(row[2]) + sum(first(cell) for cell in row[4:])


def test_language_pairs_of_an_input_add_up_to_its_reasons(realistic: dict[str, Any]) -> None:
    head, *rows = table(render(realistic), "Language pairs of wagtail")
    rejected = realistic["ledger"]["by_input"]["wagtail"]["rejected"]
    assert {name: sum(first(row[4 + n]) for row in rows) for n, name in enumerate(head[4:])} == rejected


def test_many_reasons_are_folded_into_one_column_and_still_add_up() -> None:
    languages = [{"anchor_lang": "de", "positive_lang": "en", "rows": 210, "kept": 0}]
    languages[0]["rejected"] = {f"r{n:02}": n for n in range(1, 21)}
    head, row = table(render({"languages": languages}), "Reasons by language pair")
    assert head[4:] == [*(f"r{n:02}" for n in range(7, 21)), "6 more reasons"]
    assert [first(cell) for cell in row[4:]] == [*range(7, 21), 21]


def test_what_would_be_kept_stands_in_a_table_with_its_language_pairs(realistic: dict[str, Any]) -> None:
    found = realistic["sensitivity"][0]
    head, *rows = table(render(realistic), "Rows kept by the threshold of length_ratio")
    assert [first(row[1]) for row in rows] == [point["kept"] for point in found["points"]]
    (now,) = [row for row in rows if row[0].endswith(" now")]
    assert (now[0], now[2]) == ("≤ 3 now", "0")
    for row in rows:
        assert first(row[1]) == sum(first(cell) for cell in row[4:])
    assert len(head) == 4 + 8


def test_every_statistic_at_its_bound_and_all_samples_fit_into_five_megabytes() -> None:
    summary = report_summaries.huge("漢", reasons=30, rows=50)
    pairs = {f"q{n:05}-en": n for n in range(200)}
    spread = {"edges": list(range(61)), "counts": {"all": [9] * 60, "kept": [8] * 60}, "quantiles": {"0.5": 3}}
    names = [f"rule_{n:02}" for n in range(20)]
    summary["scores"] = [{"name": f"{rule}_{n}", "rule": rule, **spread} for rule in names for n in range(2)]
    points = [{"threshold": n, "kept": n * 1000, "by_pair": pairs} for n in range(25)]
    bounds = [{"rule": rule, "bound": bound, "at": 5, "points": points} for rule in names for bound in ("min", "max")]
    summary["sensitivity"] = bounds
    summary["by_pair"] = [
        {"input": name, **item, "rejected": {f"reason_{m:02}": 7 for m in range(30)}}
        for name in list(summary["ledger"]["by_input"])[:12]
        for item in summary["languages"][:60]
    ]
    text = "漢" * 4000
    group = {"size": 9, "kept_text": text, "language": "q1-en", "members": [{"source": text, "text": text}] * 5}
    summary["duplicates"] = {"largest": [group] * 10, "pairs": [[text, text, 3]] * 50}
    html = render(summary)
    assert len(html.encode()) <= LARGEST
    assert html.count("<article") == 20 and "漢漢漢" in html


def test_a_duplicate_group_whose_kept_row_is_elsewhere_says_so(realistic: dict[str, Any]) -> None:
    text = Page(render(realistic)).text
    assert "1,204 rows en-de Yes / כן" in text
    assert "The row kept in their stead is not in this run." in text
    assert "17,208 (36.3%) one of another" in text


def test_one_page_for_the_same_summary(realistic: dict[str, Any]) -> None:
    assert render(realistic) == render(copy.deepcopy(realistic))
