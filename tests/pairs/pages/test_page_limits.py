"""Pages whose parsing or extraction would take seconds to hours are refused; the others take a bounded time."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
from pagefuzz import build_all

from pairmill.pairs.batch import WrongRecord
from pairmill.pairs.builders import title_body
from pairmill.pairs.pages import limits
from pairmill.spec.page_builders import TitleBody

REFUSED = {
    "10 MB": ("word " * 2_000_000, "too long"),
    "nested tags": ("<div>" * 100_000 + "x", "nested deeper"),
    "nested tags with leaves": ("<div>" * 500 + "<p>x" * 90_000, "nested deeper"),
    "tags beyond counting": ("<p>x" * 300_000, "tags"),
    "one tag with 100,000 attributes": ("<div " + " ".join(f"a{i}=1" for i in range(100_000)) + ">", "attributes"),
    "an unclosed tag with attributes": ("<p>x</p><div " + " ".join(f"a{i}=1" for i in range(100_000)), "attributes"),
    "unclosed formatting": ("".join(f"<font a={i}>" for i in range(20_000)) + "<p>x" * 20_000, "unclosed"),
    "NULs": ("\0" * 1_000_000, "no text"),
}
READ = {
    "script soup": "<script>" + "<!--<script>" * 90_000,
    "references": "&amp" * 300_000,
    "angle brackets in text": "a < b " * 50_000,
    "one long line": "<p>" + "wort " * 900_000,
    "white space": "<p>" + " " * 5_000_000,
    "shallow and wide": "<table>" + "<tr><td>a<td>b" * 10_000,
    "headings": "<h2>q?</h2><p>x</p>" * 10_000,
    "closed formatting": "<p><b>x</b> <font a=1>y</font></p>" * 5_000,
    "data URI": "<img src='data:image/png;base64," + "iVBORw0KGgo" * 200_000 + "'>",
    "JSON without tags": '<script type="application/ld+json">{"a":[' + "1, " * 300_000 + "1]}</script>",
    "deep JSON": '<script type="application/ld+json">' + "[" * 200_000 + "</script>",
    "list after list": "<ul><li>x" * 1_400,
    "empty": "",
    "frames": "<frameset><frame></frameset>",
}


@pytest.mark.parametrize("name", REFUSED)
def test_pages_that_would_take_forever_are_refused_at_once(name: str) -> None:
    html, reason = REFUSED[name]
    start = time.process_time()
    with pytest.raises(WrongRecord, match=reason):
        title_body.build({"html": html}, TitleBody(name="title-body"))
    assert time.process_time() - start < 2


@pytest.mark.parametrize("name", READ)
def test_odd_pages_within_the_limits_are_read_in_bounded_time(name: str) -> None:
    start = time.process_time()
    build_all(READ[name])
    assert time.process_time() - start < 10


def test_ordinary_large_pages_are_within_the_limits() -> None:
    row = '<tr class="odd"><td><a href="/wiki/%d">Name</a></td><td>1,234</td></tr>'
    limits.check_source("<div>" * 20 + "<table>" + "".join(row % i for i in range(15_000)))


def test_trafilatura_survives_deep_nesting() -> None:
    options = TitleBody(name="title-body", extractor="trafilatura")
    assert isinstance(title_body.build({"html": "<title>t</title>" + "<div>" * 2_900 + "x"}, options), str)


def test_no_page_crashes_the_parser() -> None:
    """In a process of its own: a crash of native code would end this one."""
    code = "import sys; sys.path.insert(0, sys.argv[1]); import pagefuzz; pagefuzz.main(300)"
    here = str(Path(__file__).parent)
    done = subprocess.run([sys.executable, "-c", code, here], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, f"seed {done.stdout.split()[-1:]}: {done.stderr[-2000:]}"
    assert done.stdout.split()[-1] == "299"
