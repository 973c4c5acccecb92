"""Pages in a real browser: Chromium, what a page did that it must not do, and what of it cannot be read."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

sync_api = pytest.importorskip(
    "playwright.sync_api", reason="the browser tests need Playwright: pip install playwright"
)

CHROMIUM = os.environ.get("CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
FLAGS = [
    f"--{flag}"
    for flag in (
        "no-sandbox",
        "disable-gpu",
        "disable-quic",
        "no-first-run",
        "disable-background-networking",
        "disable-component-update",
        "disable-sync",
    )
]
MARKS = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM, reason="no Chromium: install it, or name its executable in $CHROMIUM"),
]
OPEN_ALL = "document.querySelectorAll('details').forEach(element => element.open = true)"

#: Elements that reach past the window, other than inside a container that scrolls by itself.
STICKING_OUT = """() => [...document.querySelectorAll('body *')].filter(element =>
  !element.closest('.scroll, pre, .skip') && element.getBoundingClientRect().right > innerWidth + 1
).map(element => element.outerHTML.slice(0, 200))"""

#: Texts that cannot be read: no size, the colour of what lies behind, or cut by a box that does not scroll.
UNREADABLE = """() => {
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const known = new Map();
  const rgba = colour => {
    if (known.has(colour)) return known.get(colour);
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    const data = canvas.getImageData(0, 0, 1, 1).data;
    known.set(colour, [data[0], data[1], data[2], data[3] / 255]);
    return known.get(colour);
  };
  const behind = element => {
    const layers = [];
    for (let at = element; at; at = at.parentElement) layers.unshift(rgba(getComputedStyle(at).backgroundColor));
    const blend = (under, over) => under.map((part, i) => over[i] * over[3] + part * (1 - over[3]));
    return layers.reduce(blend, [255, 255, 255]);
  };
  const light = colour => {
    const linear = part => part <= .03928 ? part / 12.92 : ((part + .055) / 1.055) ** 2.4;
    const [r, g, b] = colour.map(part => linear(part / 255));
    return .2126 * r + .7152 * g + .0722 * b;
  };
  const contrast = (one, other) => {
    const [dark, bright] = [light(one), light(other)].sort((a, b) => a - b);
    return (bright + .05) / (dark + .05);
  };
  const found = [], seen = new Set();
  const walker = document.createTreeWalker(document.querySelector('body'), NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (element.closest('option, script')) continue;
    if (!walker.currentNode.data.trim() || element.closest('.skip, svg title, svg desc') || seen.has(element)) continue;
    seen.add(element);
    const range = document.createRange();
    range.selectNodeContents(walker.currentNode);
    const box = range.getBoundingClientRect(), style = getComputedStyle(element);
    const ratio = contrast(rgba(style.color), behind(element));
    if (box.width < 1 || box.height < 6) found.push('no size: ' + element.outerHTML.slice(0, 200));
    else if (ratio < 4.5) found.push('contrast ' + ratio.toFixed(2) + ': ' + element.outerHTML.slice(0, 200));
    else if (['hidden', 'clip'].includes(style.overflowX) && element.scrollWidth > element.clientWidth + 1)
      found.push('cut: ' + element.outerHTML.slice(0, 200));
  }
  return found;
}"""


@dataclass
class Watched:
    """An open page and everything it did that a report must not do."""

    page: sync_api.Page
    dialogs: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    console: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


def opened(
    browser: sync_api.Browser, place: Path | str, width: int = 1440, scheme: str = "light", **options: Any
) -> Watched:
    """A page, of a file or an address, with all its `details` open; `options` of Playwright's `new_context`."""
    size = {"width": width, "height": 900}
    context = browser.new_context(viewport=size, color_scheme=scheme, **options)  # type: ignore[arg-type]
    watched = Watched(context.new_page())
    watched.page.on("dialog", lambda dialog: (watched.dialogs.append(dialog.message), dialog.dismiss()))
    watched.page.on("request", lambda request: watched.requests.append(request.url))
    watched.page.on("console", lambda message: watched.console.append(message.text))
    watched.page.on("pageerror", lambda error: watched.errors.append(str(error)))
    watched.page.goto(place if isinstance(place, str) else place.as_uri())
    watched.page.evaluate(OPEN_ALL)
    return watched


def ill_shown(page: sync_api.Page, widths: Sequence[int] = (390, 1440)) -> list[str]:
    """What of an open page reaches past a window of these widths, or cannot be read there in light or dark."""
    found = []
    for width in widths:
        page.set_viewport_size({"width": width, "height": 900})
        wide = page.evaluate("document.documentElement.scrollWidth")
        found += [f"{width}: {one}" for one in page.evaluate(STICKING_OUT)]
        found += [f"{width}: scrolls to {wide}"] if wide > width else []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        for width in (widths[0], widths[-1]):
            page.set_viewport_size({"width": width, "height": 900})
            found += [f"{width}, {scheme}: {one}" for one in page.evaluate(UNREADABLE)]
    return found


def violations(page: sync_api.Page) -> list[tuple[str, str, str]]:
    """What axe-core finds wrong with a page: rule, impact, the first element. Skips where axe-core is missing."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="pip install axe-playwright-python")
    found = axe.Axe().run(page).response["violations"]
    return [(one["id"], one["impact"], one["nodes"][0]["html"][:200]) for one in found]
