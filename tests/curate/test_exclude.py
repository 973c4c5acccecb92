"""Opt-out lists: what an entry matches, and that a job rejects it before anything else."""

from __future__ import annotations

import gzip
import json

import pyarrow as pa
import pytest

from pairmill.curate import exclude
from pairmill.curate.explain import explain_text
from pairmill.curate.job import run_curate
from pairmill.errors import SourceError
from pairmill.spec.load import loads
from reading import committed, table

ROWS = [
    # anchor, positive, url
    ("A page of a host", "one", "https://example.org/a"),
    ("below that host", "two", "http://blog.example.org:8080/a"),
    ("a host that only ends alike", "three", "https://notexample.org/"),
    ("one page", "four", "https://www.shop.net/a#part"),
    ("another page", "five", "https://shop.net/ab"),
    ("below a folder", "six", "http://shop.net/x/y?z"),
    ("no address", "seven", None),
    ("Please,  remove THIS!", "eight", None),
    ("the other side", "please remove this", None),
    ("", "nine", None),
]
MAIL = ("Write to somebody@mail.example", "eleven", "https://example.org/m")
LIST = """# what people asked us to leave out
example.org

https://shop.net/a
http://www.shop.net/x/
text: please remove this
"""


def matched(tmp_path, text: str) -> list[bool]:
    path = tmp_path / "optout.txt"
    path.write_text(text, "utf-8")
    key = exclude.publish(str(tmp_path / "store"), [str(path)])
    columns = zip(*ROWS, strict=True)
    rows = pa.table(
        {n: pa.array(c, pa.large_string()) for n, c in zip(("anchor", "positive", "url"), columns, strict=True)}
    )
    return exclude.load(str(tmp_path / "store"), key).matches(rows).tolist()


def test_entries_match_hosts_pages_folders_and_texts(tmp_path):
    assert matched(tmp_path, LIST) == [True, True, False, True, False, True, False, True, True, False]


def test_a_prefix_says_what_an_entry_is(tmp_path):
    assert matched(tmp_path, "text: example.org\n") == [False] * 10
    assert matched(tmp_path, "domain: NET\n")[3] is False
    assert matched(tmp_path, "domain: shop.net\n") == [
        False,
        False,
        False,
        True,
        True,
        True,
        False,
        False,
        False,
        False,
    ]


def test_a_site_s_front_page_means_the_site(tmp_path):
    assert matched(tmp_path, "https://shop.net\n")[3:6] == [True, True, True]


@pytest.mark.parametrize(
    ("entry", "url"),
    [
        ("example.org", "https://user:secret@example.org/a"),
        ("example.org", "https://example.org?page=2"),
        ("example.org", "HTTPS://WWW.EXAMPLE.ORG.:443/a"),
        ("*.example.org", "http://blog.example.org/"),
        ("domain: https://example.org/", "http://example.org/a"),
        ("domain: localhost", "http://localhost:8000/a"),
        ("192.0.2.7", "http://192.0.2.7/a"),
        ("bücher.example", "https://xn--bcher-kva.example/"),
        ("xn--bcher-kva.example", "https://Bücher.example/"),
        ("https://example.org:443/a", "http://example.org/a#part"),
        ("example.org/a/", "https://example.org/a/b?c"),
        ("https://example.org/größe", "https://example.org/gr%C3%B6%C3%9Fe"),
    ],
)
def test_one_address_is_recognised_however_it_is_written(tmp_path, entry, url):
    assert by_url(tmp_path, entry, [url, "https://other.example/a", None]) == [True, False, False]


def by_url(tmp_path, entries: str, urls: list[str | None]) -> list[bool]:
    path = tmp_path / "optout.txt"
    path.write_text(entries, "utf-8")
    key = exclude.publish(str(tmp_path / "store"), [str(path)])
    texts = pa.array(["text"] * len(urls), pa.large_string())
    rows = pa.table({"anchor": texts, "positive": texts, "url": pa.array(urls, pa.large_string())})
    return exclude.load(str(tmp_path / "store"), key).matches(rows).tolist()


def test_many_entries_of_one_host_cost_a_page_no_more_than_few(tmp_path):
    entries = "".join(f"https://example.org/{n}/\nhttps://example.org/page-{n}\n" for n in range(20_000))
    # Compared one by one they would take minutes.
    urls = [f"https://example.org/{n % 30_000}/x" for n in range(30_000)]
    assert sum(by_url(tmp_path, entries, urls)) == 20_000


def test_the_job_says_how_the_entries_were_understood(tmp_path):
    path = tmp_path / "optout.txt"
    path.write_text("example.org\nexample.org/a\nnot.an address\n\n# comment\n", "utf-8")
    said: list[str] = []
    exclude.publish(str(tmp_path / "store"), [str(path)], said.append)
    assert said == ["exclude: 1 by domain, 1 by url, 1 by text"]


def test_an_empty_list_matches_nothing(tmp_path):
    assert not any(matched(tmp_path, "# nothing\n\n"))


def test_lists_that_cannot_be_read_whole_stop_the_job(tmp_path):
    bad = tmp_path / "bad.txt"
    bad.write_bytes(b"good.org\n\xff\xfe\n")
    with pytest.raises(SourceError, match=r"bad\.txt is not UTF-8"):
        exclude.read([str(bad)])
    cut = tmp_path / "cut.txt.gz"
    cut.write_bytes(gzip.compress(b"good.org\n" * 1000)[:-12])
    with pytest.raises(SourceError, match=r"cut\.txt\.gz cannot be read to its end"):
        exclude.read([str(cut)])
    with pytest.raises(SourceError, match="does not exist"):
        exclude.read([str(tmp_path / "none.txt")])


SPEC = """
kind: curate
name: optout
inputs:
  - {{name: rows, format: jsonl, path: "{folder}/rows.jsonl", columns: {{url: url}}, language: trust}}
filters: {{preset: none, rules: {{emails: 0}}}}
exclude: ["{folder}/optout.txt"]
"""


@pytest.mark.usefixtures("local_ray")
def test_a_job_rejects_what_is_opted_out_and_a_changed_list_is_another_run(tmp_path):
    keys = ("anchor", "positive", "url")
    text = "".join(json.dumps(dict(zip(keys, row, strict=True))) + "\n" for row in [*ROWS, ROWS[0], MAIL])
    (tmp_path / "rows.jsonl").write_text(text)
    runs = []
    for entries in (LIST, LIST + "shop.net\n"):
        (tmp_path / "optout.txt").write_text(entries)
        loaded = loads(SPEC.format(folder=tmp_path), "test.yaml")
        runs.append(run_curate(loaded, str(tmp_path / "store"), None, False, "pairmill run", lambda line: None))
    first, second = (outcome.summary["ledger"]["total"] for outcome in runs)
    assert first["rejected"] == {"excluded": 8} and first["kept"] == 4
    assert second["rejected"] == {"excluded": 9} and second["kept"] == 3
    assert runs[0].run.id != runs[1].run.id
    rejected = table(runs[0].run, "rejected")
    assert set(rejected["reason"].to_pylist()) == {"excluded"} and set(rejected["stage"].to_pylist()) == {"exclude"}
    story = explain_text(runs[0].run, MAIL[0], 1)
    assert "rejected, excluded" in story and "FAILED" in story, "an excluded row may fail rules, too"
    assert committed(runs[1].run).get("annotate", []) == [], "a new opt-out annotates nothing again"
