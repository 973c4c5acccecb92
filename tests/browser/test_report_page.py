"""The run's page in a real browser: inert, readable, nothing cut off, on wide and narrow screens."""

from __future__ import annotations

from pathlib import Path

import pytest
import report_summaries
import sweep_summaries
import train_summaries
from watching import MARKS, ill_shown, opened, sync_api

from pairmill.report import page, pipeline_page, sweep_page, train_page

pytestmark = MARKS
PAGES = {
    "realistic": lambda: page.render(report_summaries.realistic()),
    "hostile": lambda: page.render(report_summaries.hostile()),
    "empty": lambda: page.render(report_summaries.empty()),
    "train": lambda: train_page.render(train_summaries.usual()),
    "train-hostile": lambda: train_page.render(train_summaries.hostile()),
    "pipeline": lambda: pipeline_page.render(train_summaries.pipeline()),
    "sweep": lambda: sweep_page.render(sweep_summaries.search()),
    "sweep-claims": lambda: sweep_page.render(sweep_summaries.claims()),
    "sweep-hostile": lambda: sweep_page.render(sweep_summaries.hostile()),
    "pipeline-hostile": lambda: pipeline_page.render(train_summaries.hostile_pipeline()),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("report")
    for name, render in PAGES.items():
        (folder / f"{name}.html").write_bytes(render().encode())
    return {name: folder / f"{name}.html" for name in PAGES}


@pytest.mark.parametrize("name", ["hostile", "train-hostile", "pipeline-hostile", "sweep-hostile"])
def test_hostile_rows_run_nothing_and_request_nothing(
    browser: sync_api.Browser, files: dict[str, Path], name: str
) -> None:
    watched = opened(browser, files[name])
    ours = "a:not(.skip, [href^='../'])"  # but for links to the reports of other runs, which lie beside this one
    watched.page.evaluate(f'document.querySelectorAll("{ours}, td, button").forEach(part => part.click())')
    watched.page.wait_for_timeout(300)
    assert watched.dialogs == []
    assert watched.console == []
    assert watched.errors == []
    local = [url for url in watched.requests if not url.startswith(("data:", f"{files['hostile'].as_uri()}#"))]
    assert local == [files[name].as_uri()]
    assert watched.page.locator("img, svg:not(.plot svg), iframe, object, embed, form").count() == 0
    assert watched.page.locator("script").count() == (name == "hostile")
    assert watched.page.url.startswith(files[name].as_uri())


def test_the_policy_stops_a_script_that_slips_in(
    browser: sync_api.Browser, files: dict[str, Path], tmp_path: Path
) -> None:
    broken = tmp_path / "broken.html"
    script = "<script>alert('slipped')</script><img src=http://127.0.0.1:9/x.png onerror=alert('slipped')>"
    broken.write_text(files["empty"].read_text("utf-8").replace("</main>", f"{script}</main>"), "utf-8")
    watched = opened(browser, broken)
    watched.page.wait_for_timeout(300)
    assert watched.dialogs == []
    assert len([line for line in watched.console if "Content Security Policy" in line]) >= 2


@pytest.mark.parametrize("name", PAGES)
def test_the_page_never_scrolls_sideways_and_all_text_can_be_read(
    browser: sync_api.Browser, files: dict[str, Path], name: str
) -> None:
    assert ill_shown(opened(browser, files[name]).page, (320, 390, 800, 1440)) == []


def test_names_below_the_axes_of_a_sweep_are_not_cut(browser: sync_api.Browser, tmp_path: Path) -> None:
    rendered = sweep_page.render(sweep_summaries.search())
    assert "objective.<wbr>temperature" in rendered
    path = "steps.<wbr>encoder.<wbr>spec.<wbr>model.<wbr>architecture.<wbr>hidden_size"
    (tmp_path / "sweep.html").write_text(rendered.replace("objective.<wbr>temperature", path), "utf-8")
    page = opened(browser, tmp_path / "sweep.html").page
    for width in (390, 1440):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.locator(".parallel .scroll").evaluate("box => box.scrollHeight - box.clientHeight") <= 0


def test_every_sample_shows_its_text_in_the_direction_of_its_script(
    browser: sync_api.Browser, files: dict[str, Path]
) -> None:
    page = opened(browser, files["realistic"]).page
    for language, direction in {"he": "rtl", "fa": "rtl", "ja": "ltr"}.items():
        sides = page.locator(f".text[lang={language}]")
        directions = sides.evaluate_all("all => all.map(element => getComputedStyle(element).direction)")
        assert directions.count(direction) >= len(directions) / 2, language
        assert min(sides.evaluate_all("all => all.map(element => element.innerText.length)")) > 0


def test_an_override_character_does_not_reorder_what_follows(browser: sync_api.Browser, files: dict[str, Path]) -> None:
    page = opened(browser, files["hostile"]).page
    lefts = page.evaluate("""() => {
      const side = [...document.querySelectorAll('.text')].find(element => element.innerText.includes('[U+202E]'));
      const text = side.lastChild, range = document.createRange();
      return [...text.data.trimEnd()].map((_, i) => {
        range.setStart(text, i); range.setEnd(text, i + 1);
        return range.getBoundingClientRect().left;
      });
    }""")
    assert len(lefts) > 5
    assert lefts == sorted(lefts)


def test_a_reason_links_to_its_samples_and_opens_them(browser: sync_api.Browser, files: dict[str, Path]) -> None:
    page = opened(browser, files["realistic"]).page
    page.evaluate("document.querySelectorAll('details').forEach(element => element.open = false)")
    page.locator(".funnel a", has_text="near_duplicate").click()
    page.locator("details[open] summary", has_text="near_duplicate").wait_for()
    assert page.locator("details[open]").count() == 1
    assert page.locator("details[open] summary").bounding_box()["y"] >= 0  # type: ignore[index]


def test_the_page_can_be_used_by_keyboard_with_visible_focus(browser: sync_api.Browser, files: dict[str, Path]) -> None:
    page = opened(browser, files["realistic"]).page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the report"
    assert page.evaluate("document.activeElement.getBoundingClientRect().left") >= 0
    reached = set()
    for _ in range(200):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.tagName + '.' + document.activeElement.className"))
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        if page.evaluate("document.activeElement === document.body"):
            break
        assert outline == "solid"
    assert {"A.", "SUMMARY.", "PRE.", "DIV.scroll "} <= reached


@pytest.mark.parametrize("name", ["realistic", "train", "pipeline"])
def test_landmarks_and_table_headers_are_there(browser: sync_api.Browser, files: dict[str, Path], name: str) -> None:
    page = opened(browser, files[name]).page
    assert [page.locator(tag).count() for tag in ("main", "nav[aria-label]", "header", "h1")] == [1, 1, 1, 1]
    assert page.locator("th:not([scope])").count() == 0
    assert page.locator("table").count() == page.locator(".scroll[aria-label] table").count()
    assert page.locator("tbody tr").count() == page.locator("tbody tr > th[scope=row]").count()
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map(element => element.id)")
    assert len(ids) == len(set(ids))
    inside = "[...document.querySelectorAll('a[href^=\"#\"]')]"
    broken = f"{inside}.filter(a => !document.querySelector(a.getAttribute('href'))).length"
    assert page.evaluate(broken) == 0


@pytest.mark.parametrize("name", ["realistic", "train"])
def test_printing_shows_whole_tables(browser: sync_api.Browser, files: dict[str, Path], name: str) -> None:
    page = opened(browser, files[name]).page
    page.emulate_media(media="print")
    hidden = "[...document.querySelectorAll('.scroll')].filter(box => box.scrollHeight > box.clientHeight + 1).length"
    assert page.evaluate(hidden) == 0


@pytest.mark.parametrize("width", [390, 1440])
def test_the_loss_is_drawn_over_the_whole_area_and_has_a_name_for_who_cannot_see_it(
    browser: sync_api.Browser, files: dict[str, Path], width: int
) -> None:
    page = opened(browser, files["train"], width).page
    drawing = page.get_by_role("img", name="Loss in the course of training")
    area = drawing.bounding_box()
    assert area is not None and area["width"] > 0.6 * min(width, 1000) and area["height"] > 200
    boxes = drawing.locator("path").evaluate_all("all => all.map(path => path.getBoundingClientRect().width)")
    assert len(boxes) == 5
    assert all(abs(box - area["width"]) < 0.02 * area["width"] for box in boxes)
    colours = drawing.locator("path").evaluate_all("all => all.map(path => getComputedStyle(path).stroke)")
    assert len(set(colours)) == 3
