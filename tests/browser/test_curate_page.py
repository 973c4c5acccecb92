"""The curate report in use: charts drawn, samples searched, heat maps opened, thresholds moved; without script too."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import report_summaries
from watching import MARKS, opened, sync_api, violations

from pairmill.report import page

pytestmark = MARKS
FOCUSABLE = """() => [...document.querySelectorAll('a[href], summary, input, select, button, [tabindex="0"]')]
  .filter(element => element.checkVisibility({visibilityProperty: true}))"""


@pytest.fixture(scope="module")
def summary() -> dict[str, Any]:
    return report_summaries.realistic()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory, summary: dict[str, Any]) -> Path:
    file = tmp_path_factory.mktemp("curate") / "report.html"
    file.write_bytes(page.render(summary).encode())
    return file


@pytest.fixture
def shown(browser: sync_api.Browser, report: Path) -> sync_api.Page:
    """The page as a reader finds it: nothing opened yet."""
    page = opened(browser, report).page
    page.evaluate("document.querySelectorAll('details').forEach(element => element.open = false)")
    return page


@pytest.fixture(scope="module")
def brief(tmp_path_factory: pytest.TempPathFactory, summary: dict[str, Any]) -> Path:
    """The same with fewer rows in its tables: axe takes seconds for a thousand cells."""
    file = tmp_path_factory.mktemp("curate") / "brief.html"
    fewer = {name: rows[:2] for name, rows in summary["samples"].items()}
    less = {
        "samples": fewer,
        "scores": summary["scores"][:3],
        "languages": summary["languages"][:4],
        "by_pair": summary["by_pair"][-4:],
    }
    file.write_bytes(page.render({**summary, **less, "rules": summary["rules"][:8]}).encode())
    return file


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (390, "dark")])
def test_axe_finds_nothing_on_the_page(browser: sync_api.Browser, brief: Path, width: int, scheme: str) -> None:
    assert violations(opened(browser, brief, width, scheme).page) == []


@pytest.mark.parametrize("width", [390, 1440])
def test_every_chart_is_drawn_and_has_a_name_and_a_table(
    browser: sync_api.Browser, report: Path, summary: dict[str, Any], width: int
) -> None:
    watched = opened(browser, report, width)
    drawn = watched.page.locator(".plot svg path")
    sizes = drawn.evaluate_all(
        "all => all.map(path => path.getBoundingClientRect()).map(box => [box.width, box.height])"
    )
    assert min(min(size) for size in sizes) > 1
    filled = [score for score in summary["scores"] if score["values"]]
    histograms = len(filled) + len(summary["lengths"]) + len(summary["confidence"])
    assert len(sizes) == 2 * histograms + len(summary["sensitivity"])
    assert watched.page.get_by_role("img", name=re.compile(".")).count() == len(sizes) - histograms
    tables = watched.page.locator("details.behind table")
    assert tables.count() == 2 * histograms + len(summary["sensitivity"])
    assert (watched.console, watched.errors) == ([], [])
    assert [url for url in watched.requests if not url.startswith("data:")] == [report.as_uri()]


def test_the_threshold_stands_in_its_histogram(shown: sync_api.Page) -> None:
    card = shown.locator(".card", has=shown.locator("h3", has_text="length_ratio"))
    assert card.locator(".mark").inner_text() == "≤ 3"
    area = card.locator(".area").first.bounding_box()
    mark = card.locator(".mark").bounding_box()
    assert area and mark and abs((mark["x"] - area["x"]) / area["width"] - 0.75) < 0.02


def test_a_threshold_moves_by_keyboard_and_tells_what_would_be_kept(
    shown: sync_api.Page, summary: dict[str, Any]
) -> None:
    points = summary["sensitivity"][0]["points"]
    now = [point["threshold"] for point in points].index(3.0)
    card = shown.locator(".card", has=shown.locator("h3", has_text="length_ratio"))
    slider, told = card.get_by_role("slider", name="Move the threshold"), card.locator("output")
    assert told.inner_text().startswith(f"≤ 3, as it is: {points[now]['kept']:,} rows kept")
    assert card.locator(".moved:visible").count() == 0
    slider.press("ArrowLeft")
    stricter = points[now - 1]
    lost = points[now]["kept"] - stricter["kept"]
    assert f"{stricter['kept']:,} rows kept" in told.inner_text() and f"(−{lost:,})" in told.inner_text()
    assert "Most changed: en-" in told.inner_text()
    assert slider.get_attribute("aria-valuetext") == f"≤ {stricter['threshold']:g}: {stricter['kept']:,} rows kept"
    assert card.locator(".moved:visible").count() == 1
    before = card.locator(".moved").bounding_box()
    slider.press("Home")
    after = card.locator(".moved").bounding_box()
    assert before and after and after["x"] < before["x"]
    card.get_by_role("button", name="Back to ≤ 3").click()
    assert "as it is" in told.inner_text() and card.locator(".moved:visible").count() == 0


def fitting(page: sync_api.Page) -> list[str]:
    """The texts of the samples that are shown."""
    return page.locator("#samples details.samples li:visible").all_inner_texts()


def test_samples_are_found_by_text_reason_source_and_language_pair(
    shown: sync_api.Page, summary: dict[str, Any]
) -> None:
    hebrew = next(row["positive"] for row in summary["samples"]["kept"] if row["positive_lang"] == "he").split()[0]
    find = shown.get_by_role("search")
    find.get_by_label("Text").fill("THE")
    shown.locator("#find output", has_text="fit.").wait_for()
    found = fitting(shown)
    assert found and all("the" in text.lower() for text in found)
    find.get_by_label("Reason").select_option("length_ratio")
    shown.wait_for_timeout(200)
    fewer = fitting(shown)
    assert 0 < len(fewer) <= len(found)
    assert shown.locator("details.samples:visible").count() == 1
    assert shown.locator("#find output").inner_text().startswith(f"{len(fewer)} of ")
    find.get_by_role("button").click()
    find.get_by_label("Language pair").select_option("en → he")
    shown.wait_for_timeout(200)
    assert fitting(shown) and shown.locator("#samples li:visible:not([data-pair='en → he'])").count() == 0
    find.get_by_label("Text").fill(hebrew)
    shown.wait_for_timeout(200)
    assert fitting(shown) and all(hebrew in text for text in fitting(shown))
    find.get_by_label("Text").fill("no sample has these words")
    shown.wait_for_timeout(200)
    assert fitting(shown) == [] and "pairmill explore" in shown.locator("#find output").inner_text()
    find.get_by_role("button").click()
    assert shown.locator("details.samples:visible").count() > 5


def test_a_cell_of_an_input_opens_its_language_pairs_sorted_by_the_reason(
    shown: sync_api.Page, summary: dict[str, Any]
) -> None:
    heads = shown.locator("[aria-label='Reasons by input'] thead th").all_inner_texts()
    column = next(number for number, head in enumerate(heads) if head.startswith("wagtail"))
    shown.locator("[aria-label='Reasons by input'] tr[data-reason=script] > *").nth(column).click()
    table = shown.locator("[aria-label='Language pairs of wagtail'] table")
    assert table.is_visible()
    assert table.locator("th[aria-sort=descending]").inner_text() == "script"
    at = table.locator("thead th").all_inner_texts().index("script")
    counts = [
        int(row.split()[0].replace(",", "")) for row in table.locator(f"tr td:nth-child({at + 1})").all_inner_texts()
    ]
    assert counts == sorted(counts, reverse=True) and sum(counts) == 1209
    assert table.evaluate("table => table.contains(document.activeElement)")


def test_a_cell_of_a_language_pair_shows_its_samples_by_keyboard(shown: sync_api.Page) -> None:
    table = shown.locator("[aria-label='Reasons by language pair'] table")
    at = table.locator("thead th").all_inner_texts().index("near_duplicate")
    table.locator("tbody td").first.focus()
    for key in ["ArrowDown"] * 2 + ["ArrowRight"] * (at - 1):
        shown.keyboard.press(key)
    assert table.locator("td[tabindex='0']").count() == 1
    pair = shown.evaluate("document.activeElement.parentElement.dataset.pair")
    shown.keyboard.press("Enter")
    assert shown.get_by_role("search").get_by_label("Reason").input_value() == "near_duplicate"
    assert shown.get_by_role("search").get_by_label("Language pair").input_value() == pair
    assert shown.evaluate("document.activeElement.type") == "search"
    shown.keyboard.press("Escape")


def test_a_reason_shows_its_samples_whatever_was_searched_before(shown: sync_api.Page) -> None:
    shown.get_by_role("search").get_by_label("Text").fill("no sample has these words")
    shown.wait_for_timeout(200)
    shown.locator(".funnel a", has_text="identical").click()
    assert shown.locator("details.samples[open][data-reason=identical] li:visible").count() > 10


def test_what_looks_wrong_leads_to_where_it_is_shown(shown: sync_api.Page, summary: dict[str, Any]) -> None:
    findings = shown.locator(".findings a")
    assert "31 rows hold texts of the evaluation set quiz" in findings.first.inner_text()
    findings.first.click()
    shown.wait_for_timeout(100)
    top = shown.locator("#contamination").bounding_box()
    assert top is not None and -5 <= top["y"] < 200


def test_without_script_all_is_there_but_the_controls(browser: sync_api.Browser, report: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(report.as_uri())
    assert page.locator("#find:visible, .whatif:visible, .moved:visible").count() == 0
    assert page.locator(".cards .plot:visible").count() >= 4
    page.locator("[aria-label='Reasons by input'] a", has_text="wagtail").click()
    page.locator("[aria-label='Language pairs of wagtail'] table").wait_for()
    page.locator(".funnel a", has_text="identical").click()
    page.locator("details.samples[data-reason=identical] li").first.wait_for()
    context.close()


def test_the_keyboard_reaches_every_control_with_visible_focus(browser: sync_api.Browser, report: Path) -> None:
    page = opened(browser, report).page
    page.evaluate("document.querySelectorAll('#samples details, .more').forEach(element => element.open = false)")
    page.evaluate("""() => {
      window.reached = new Set(); window.dull = [];
      document.addEventListener('focusin', event => {
        reached.add(event.target);
        if (getComputedStyle(event.target).outlineStyle === 'none') dull.push(event.target.outerHTML.slice(0, 200));
      });
    }""")
    for _ in range(page.evaluate(f"({FOCUSABLE})().length") + 5):
        page.keyboard.press("Tab")
    missed = f"({FOCUSABLE})().filter(element => !reached.has(element)).map(element => element.outerHTML.slice(0, 200))"
    assert page.evaluate(missed) == []
    assert page.evaluate("dull") == []


def test_printed_it_has_all_charts_and_no_controls(browser: sync_api.Browser, report: Path) -> None:
    page = opened(browser, report).page
    page.emulate_media(media="print")
    assert page.locator("#find:visible, .whatif:visible, nav:visible").count() == 0
    hidden = "all => all.filter(path => path.getBoundingClientRect().height < 1).length"
    assert page.locator(".plot svg path").evaluate_all(hidden) == 0
    assert len(page.pdf()) > 50_000
