"""Makes the pictures of analyst.md: two runs of the quickstart's data, report, explorer and comparison, in Chromium.

    python docs/pictures.py [STORAGE]

The rows are those of jobs/quickstart.yaml, so it needs the extras `explore`, `quickstart` and `test`, and Chromium
($CHROMIUM, or on the path). STORAGE is where the runs live, by default a temporary folder; runs that are done there are
not done again. It clicks as a reader would, and so fails where the pages no longer have what analyst.md tells.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml
from playwright.sync_api import Locator, Page, sync_playwright

DOCS = Path(__file__).resolve().parent
PAIR, NAME, REASON = "en-sv", "en → sv", "identical"  # the pair in a URL, and on the page
MOVED = "filters.rules.identical=off"
WIDTH, HEIGHT = 1180, 720


def pairmill(*arguments: str) -> str:
    """What a command prints; its progress goes to this terminal."""
    command = [sys.executable, "-m", "pairmill", *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(f"pairmill {' '.join(arguments)} ended with code {done.returncode}")
    return done.stdout


def spec(folder: Path) -> Path:
    """The quickstart's curate step as a spec of its own."""
    steps = yaml.safe_load((DOCS.parent / "jobs/quickstart.yaml").read_text("utf-8"))["steps"]
    file = folder / "quickstart-curate.yaml"
    file.write_text(yaml.safe_dump({"name": "quickstart-curate", **steps[0]["spec"]}, sort_keys=False), "utf-8")
    return file


def curate(file: Path, storage: Path, *sets: str) -> str:
    """Run the spec; return the run's id."""
    settings = [part for item in sets for part in ("--set", item)]
    return pairmill("run", str(file), "--storage", str(storage), *settings).split()[0]


@contextmanager
def explorer(storage: Path) -> Iterator[str]:
    """The address of `pairmill explore`, while it runs."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen([sys.executable, "-m", "pairmill", "explore", str(storage), "--port", str(port)])
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(address).close()
                break
            except urllib.error.URLError:
                time.sleep(0.2)
        yield address
    finally:
        server.terminate()
        server.wait(20)


def take(page: Page, name: str, top: Locator | None = None) -> None:
    """A picture of the window, with `top` at its top."""
    if top is not None:
        top.evaluate("element => { element.scrollIntoView({block: 'start'}); scrollBy(0, -12); }")
    page.wait_for_timeout(400)
    file = DOCS / "pictures" / f"{name}.png"
    page.screenshot(path=file)
    print(file)


def report(page: Page, file: Path) -> None:
    """The summary; the languages; the cell of PAIR and REASON, which opens the samples."""
    page.goto(file.as_uri())
    take(page, "report")
    page.locator("nav a", has_text="Languages").click()
    table = page.locator("#pairs")
    take(page, "languages", page.locator("#languages"))
    column = table.locator("thead th").evaluate_all(
        "(heads, reason) => heads.findIndex(head => head.dataset.reason === reason)", REASON
    )
    table.locator(f'tr[data-pair="{NAME}"] > *').nth(column).click()
    page.locator("#samples li:visible").first.wait_for()
    take(page, "samples", page.locator("#samples"))


def rows(page: Page, address: str, run: str) -> None:
    """The rows of PAIR that REASON removed, and the story of one of them."""
    page.goto(f"{address}/runs/{run}/rows?part=rejected&reason={REASON}&language={PAIR}&source=iso-names")
    take(page, "rows")
    page.locator(f'a[href*="/runs/{run}/row?"]').first.click()
    page.wait_for_load_state()
    take(page, "story")


def compared(page: Page, file: Path) -> None:
    page.goto(file.as_uri())
    take(page, "compared")


def main() -> None:
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    (DOCS / "pictures").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        storage = Path(sys.argv[1]).absolute() if len(sys.argv) > 1 else folder / "storage"
        one, other = curate(spec(folder), storage), curate(spec(folder), storage, MOVED)
        page_of_both = folder / "compared.html"
        pairmill("runs", "compare", one, other, "--storage", str(storage), "--html", str(page_of_both))
        with sync_playwright() as playwright, explorer(storage) as address:
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
            report(page, storage / "runs" / one / "report.html")
            rows(page, address, one)
            compared(page, page_of_both)
            browser.close()


if __name__ == "__main__":
    main()
