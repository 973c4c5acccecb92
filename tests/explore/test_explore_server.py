"""The real server: who may ask, what every answer forbids, and what its pages say."""

from __future__ import annotations

import http.client
import re
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

import explorekit
from explorekit import get
from pairmill.curate.explain import explain_id
from pairmill.errors import SpecError
from pairmill.explore import app as explorer
from pairmill.explore import serve
from pairmill.explore.access import host_name
from pairmill.explore.contents import Contents
from pairmill.explore.rows import PAGE
from reading import table

PAGES = ["", "runs/{run}", "runs/{run}/rows", "runs/{run}/rows?part=rejected", "runs/{run}/rows?part=quarantine",
         "runs/{run}/threshold", "runs/{run}/threshold?rule=length_ratio+max&value=1.2", "runs/{run}/report",
         "style.css", "runs/{run}/row?id=0", "nothing/here", "runs/none"]  # fmt: skip


@pytest.mark.parametrize("page", PAGES)
def test_every_answer_forbids_scripts_frames_and_requests(address: str, store: Any, page: str) -> None:
    answer = get(address + page.format(run=store.usual))
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "base-uri 'none'" in policy
    assert "script-src" not in policy or ("sandbox allow-scripts;" in policy and page.endswith("report"))
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.status == (404 if "no" in page.split("/")[0] or page.endswith("none") else 200)


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8660", "127.0.0.1.evil.example", "localhost.evil", ""])
def test_another_name_of_this_machine_is_refused(address: str, host: str) -> None:
    answer = get(address, Host=host)
    assert answer.status in (400, 421) and "pairmill" not in answer.text.lower()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:1", "[::1]:8660", "LOCALHOST:80"])
def test_names_of_this_machine_are_served(address: str, host: str) -> None:
    assert get(address, Host=host).status == 200
    assert host_name(host) in ("localhost", "127.0.0.1", "::1")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_nothing_can_be_sent(address: str, method: str) -> None:
    where = urlsplit(address)
    connection = http.client.HTTPConnection(where.hostname or "", where.port)
    connection.request(method, "/")
    assert connection.getresponse().status == 405


def test_a_token_is_asked_for_becomes_a_cookie_and_leaves_the_address(store: Any) -> None:
    with explorekit.serving(store.uri, "a-long-token") as address:
        bare, token = address.split("?")
        assert token == "token=a-long-token"
        for wrong in ("", "?token=", "?token=a-long-toke", "?token=%C3%BC", "?token=a-long-token2"):
            assert get(bare + wrong).status == 401
        assert get(bare, Cookie="pairmill_explore=a-long-token").status == 401
        first = get(f"{bare}runs/{store.usual}/rows?part=kept&{token}&q=%26x")
        assert first.status == 303
        assert first.headers["location"] == f"/runs/{store.usual}/rows?part=kept&q=%26x"
        cookie = first.headers["set-cookie"]
        assert "HttpOnly" in cookie and "SameSite=lax" in cookie
        assert get(bare, Cookie=cookie.split(";")[0]).status == 200
        assert get(bare, Cookie=cookie.split(";")[0] + "x").status == 401
        assert get(f"{bare}/evil.example/x?{token}").headers["location"].startswith("/evil.example")


def test_beyond_this_machine_a_token_is_made(store: Any) -> None:
    for host, asks in (("127.0.0.1", False), ("localhost", False), ("0.0.0.0", True)):
        _, listening, address = serve.prepare(store.uri, host, 0, None)
        listening.close()
        assert ("?token=" in address) == asks
        assert not asks or len(address.split("token=")[1]) >= 32
    with pytest.raises(SpecError, match="at least 8"):
        serve.prepare(store.uri, "0.0.0.0", 0, "short")
    with pytest.raises(SpecError, match="no such storage"):
        serve.prepare(f"{store.uri}/nothing", "127.0.0.1", 0, None)


def test_runs_are_listed_newest_first_searched_and_an_unfinished_one_is_shown_as_such(address: str, store: Any) -> None:
    every = get(address).text
    assert every.index(store.hostile) < every.index(store.usual)
    assert "3 runs" in every
    running = get(f"{address}?state=running").text
    assert "1 of 3 runs" in running and explorekit.UNFINISHED in running and store.usual not in running
    assert "1 of 3 runs" in get(f"{address}?q=usual&state=done").text
    page = get(f"{address}runs/{explorekit.UNFINISHED}").text
    assert "This run is not finished (its state: running)" in page and "/rows" not in page
    for path in ("rows", "row?id=0", "threshold", "download.csv"):
        answer = get(f"{address}runs/{explorekit.UNFINISHED}/{path}")
        assert answer.status == 404 and "not finished" in answer.text
    assert get(f"{address}runs/{explorekit.UNFINISHED}/report").status == 404


def test_every_link_of_a_runs_page_leads_to_as_many_rows_as_it_says(address: str, store: Any) -> None:
    page = get(f"{address}runs/{store.usual}").text
    links = re.findall(r'<a href="(/runs/[^"]*rows\?[^"]*)">([\d,]+)</a>', page)
    assert len(links) > 8
    for link, count in links:
        told = get(address.rstrip("/") + link.replace("&amp;", "&")).text
        assert f"<b>{count}</b> of" in told or f"<b>{count} row" in told, link


def test_the_next_page_goes_on_where_this_one_ends(address: str, usual: Contents) -> None:
    ids, link = [], f"/runs/{usual.run.id}/rows?part=kept&q=e"
    while link:
        page = get(address.rstrip("/") + link).text
        ids += [int(found) for found in re.findall(r'row\?id=(\d+)">id', page)]
        found = re.search(r'<a href="([^"]*)" rel="next">', page)
        link = found[1].replace("&amp;", "&") if found else ""
    wanted = [
        row["pair_id"]
        for row in table(usual.run, "kept").to_pylist()
        if "e" in row["anchor"].lower() or "e" in row["positive"].lower()
    ]
    assert ids == wanted and len(ids) > 2 * PAGE


def test_a_rows_story_tells_what_explain_tells_with_both_duplicates(address: str, usual: Contents) -> None:
    rejected = next(row for row in table(usual.run, "rejected").to_pylist() if row["reason"] == "near_duplicate")
    page = get(f"{address}runs/{usual.run.id}/row?id={rejected['pair_id']}").text
    told = explain_id(usual.run, rejected["pair_id"])
    for score in re.findall(r"^    (\w+) +\S+ .*(?:passed|FAILED)$", told, re.MULTILINE):
        assert f">{score}<" in page
    assert f"row {rejected['duplicate_of']}</a>" in page and "stayed in its place" in page
    assert "<mark>" in page and "similarity" in page
    kept = get(f"{address}runs/{usual.run.id}/row?id={rejected['duplicate_of']}").text
    assert f"row {rejected['pair_id']}</a>" in kept and "rejected for it" in kept
    assert get(f"{address}runs/{usual.run.id}/row?id=99999999999").status == 404
    assert get(f"{address}runs/{usual.run.id}/row?id=1;").status == 404


def test_hostile_texts_names_and_fields_are_shown_and_never_markup(address: str, store: Any) -> None:
    run = quote(store.hostile)
    pages = [f"runs/{run}/rows?part={part}" for part in ("kept", "rejected", "quarantine")]
    fields = "&".join(f"{name}={quote(explorekit.HOSTILE[1])}" for name in ("q", "source", "language", "file"))
    pages += [
        f"runs/{run}",
        f"runs/{run}/rows?{fields}",
        f"runs/{quote(explorekit.HOSTILE[0], safe='')}",
        f"?q={quote('<b>')}",
    ]
    texts = [get(address + page).text for page in pages]
    for text in texts:
        for sign in ("<script", "<img", "<iframe", "<style>", "javascript:alert(1)'>", "\u202e", "\x00", "\x1b"):
            assert sign not in text
    assert "&lt;script&gt;" in texts[0] and "[U+202E]" in texts[0] and "1,000," in texts[0]


def test_ten_readers_at_a_time_get_what_one_gets(address: str, store: Any) -> None:
    pages = [f"runs/{store.usual}/rows?part=kept&q={letter}" for letter in "abcdefghij"]
    alone = [get(address + page).text for page in pages]
    with ThreadPoolExecutor(10) as pool:
        assert list(pool.map(lambda page: get(address + page).text, pages)) == alone
        assert list(pool.map(lambda page: get(address + page).text, reversed(pages))) == alone[::-1]


def test_a_reader_who_goes_away_stops_the_query(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[float] = []

    def slow(*arguments: Any) -> dict[str, Any]:
        began = time.monotonic()
        try:
            arguments[1].rows(
                "SELECT count(*) FROM range(1000000000) a, range(1000) b WHERE hash(a.range, b.range) = 1"
            )
        finally:
            ended.append(time.monotonic() - began)
        return {}

    monkeypatch.setattr(explorer.pages, "rows", slow)
    with explorekit.serving(store.uri) as address:
        where = urlsplit(address)
        connection = http.client.HTTPConnection(where.hostname or "", where.port)
        connection.request("GET", f"/runs/{store.usual}/rows")
        time.sleep(0.5)
        connection.close()
        deadline = time.monotonic() + 5
        while not ended and time.monotonic() < deadline:
            time.sleep(0.05)
        assert ended and ended[0] < 3
        monkeypatch.setattr(explorer, "SECONDS", 0.5)
        answer = get(f"{address}runs/{store.usual}/rows")
        assert answer.status == 503 and "Narrow the filters" in answer.text
