"""The explorer in a real browser: inert whatever the rows hold, readable, usable by keyboard."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from watching import MARKS, ill_shown, opened, sync_api, violations

import explorekit

pytestmark = MARKS
PAGES = {
    "runs": "",
    "run": "runs/{usual}",
    "unfinished": "runs/unfinished",
    "kept": "runs/{usual}/rows?part=kept&score=length_ratio&min=1&max=2",
    "rejected": "runs/{usual}/rows?part=rejected&reason=near_duplicate",
    "threshold": "runs/{usual}/threshold?rule=length_ratio+max&value=1.2",
    "hostile": "runs/{hostile}/rows?part=kept",
    "hostile-quarantine": "runs/{hostile}/rows?part=quarantine",
    "hostile-run": "runs/{hostile}",
    "hostile-fields": "runs/{hostile}/rows?q=%3Cscript%3Ealert(1)%3C/script%3E&source=%22%3E%3Cimg%20src=x%20onerror=a",
    "problem": "runs/none",
}


@pytest.fixture(scope="module")
def store(local_ray: None, tmp_path_factory: pytest.TempPathFactory) -> explorekit.Store:
    return explorekit.make(tmp_path_factory.mktemp("explored"))


@pytest.fixture(scope="module")
def address(store: explorekit.Store) -> Iterator[str]:
    with explorekit.serving(store.uri) as served:
        yield served


def url(address: str, store: explorekit.Store, name: str) -> str:
    return address + PAGES[name].format(usual=store.usual, hostile=store.hostile)


@pytest.mark.parametrize("name", PAGES)
def test_every_page_is_inert_fits_and_can_be_read(
    browser: sync_api.Browser, address: str, store: explorekit.Store, name: str
) -> None:
    watched = opened(browser, url(address, store, name))
    assert watched.dialogs == [] and watched.errors == []
    assert [line for line in watched.console if "404" not in line or name != "problem"] == []
    assert all(request.startswith((address, "data:")) for request in watched.requests)
    assert watched.page.locator("script, img, iframe, object, embed").count() == 0
    for link in watched.page.locator("a").evaluate_all("all => all.map(a => a.href)"):
        assert link.startswith(address)
    assert ill_shown(watched.page) == []


@pytest.mark.parametrize("name", ["runs", "run", "kept", "threshold"])
def test_axe_finds_nothing_on_a_page(
    browser: sync_api.Browser, address: str, store: explorekit.Store, name: str
) -> None:
    assert violations(opened(browser, url(address, store, name)).page) == []


def test_the_first_losses_are_four_clicks_from_the_list(
    browser: sync_api.Browser, address: str, store: explorekit.Store
) -> None:
    page = opened(browser, address).page
    page.get_by_role("link", name=store.usual).click()
    page.locator("section[aria-labelledby=pairs-h]").get_by_role("link", name="near_duplicate").first.click()
    assert "language=" in page.url and "reason=near_duplicate" in page.url
    page.locator(".rows a", has_text="id ").first.click()
    assert page.locator("mark").count() > 0


def test_a_search_is_typed_and_sent_by_keyboard(
    browser: sync_api.Browser, address: str, store: explorekit.Store
) -> None:
    page = opened(browser, url(address, store, "kept")).page
    page.get_by_label("Text").focus()
    page.keyboard.type("Date")
    page.keyboard.press("Enter")
    page.wait_for_url("**q=Date**")
    assert "fit" in page.get_by_role("status").inner_text()


def test_the_report_opens_as_a_page_apart(browser: sync_api.Browser, address: str, store: explorekit.Store) -> None:
    watched = opened(browser, f"{address}runs/{store.hostile}/report")
    assert watched.page.evaluate("origin") == "null"
    assert watched.dialogs == [] and watched.page.locator("h1").count() == 1


@pytest.mark.parametrize("name", ["run", "kept", "threshold"])
def test_fields_have_names_and_landmarks_are_there(
    browser: sync_api.Browser, address: str, store: explorekit.Store, name: str
) -> None:
    page = opened(browser, url(address, store, name)).page
    unnamed = "[...document.querySelectorAll('input:not([type=hidden]), select')].filter(f => !f.labels.length).length"
    assert page.evaluate(unnamed) == 0
    assert [page.locator(tag).count() for tag in ("main", "nav[aria-label]", "header", "h1")] == [1, 1, 1, 1]
    assert page.locator("th:not([scope])").count() == 0
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map(element => element.id)")
    assert len(ids) == len(set(ids))
