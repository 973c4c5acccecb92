"""The comparison of two runs in a real browser: inert whatever the rows hold, readable on laptop and phone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import compare_summaries
import pytest
from watching import MARKS, ill_shown, opened, sync_api, violations

from pairmill.report import compare_page

pytestmark = MARKS
MADE = [compare_summaries.usual, compare_summaries.hostile]


@pytest.fixture(params=MADE, ids=lambda made: made.__name__)
def page(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    made: Callable[[], dict[str, Any]] = request.param
    file = tmp_path / "compare.html"
    file.write_bytes(compare_page.render(made(), "pairmill runs compare A B").encode("utf-8", "replace"))
    return file


def test_it_does_nothing_fits_and_can_be_read(browser: sync_api.Browser, page: Path) -> None:
    watched = opened(browser, page)
    assert (watched.dialogs, watched.console, watched.errors) == ([], [], [])
    assert [url for url in watched.requests if not url.startswith("data:")] == [page.as_uri()]
    assert ill_shown(watched.page) == []


def test_axe_finds_nothing(browser: sync_api.Browser, page: Path) -> None:
    assert violations(opened(browser, page).page) == []
