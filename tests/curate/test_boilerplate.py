"""Lines that recur on a site's pages: found across shards, removed, and nothing else touched."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest

from pairmill.curate import boilerplate
from pairmill.curate.job import run_curate
from pairmill.spec.load import loads
from reading import committed, content

MENU, FOOTER = "Home | News | About us", "© 2026 The Example Times"


def page(site: str, number: int) -> dict[str, str]:
    body = [MENU, f"Article {number} tells a story that no other page of this site tells.", f"It is number {number}."]
    if number % 2:
        body.append(FOOTER)
    return {"title": f"Title {number}", "text": "\n".join(body), "url": f"https://{site}/{number}"}


def test_only_lines_of_the_row_s_own_site_are_removed():
    texts = pa.array(["menu\nbody\nmenu", "menu\nbody", "menu", "menu\nmenu"], pa.large_string())
    urls = pa.array(["http://a.org/1", "http://b.org/1", "http://a.org/2", "http://a.org/3"], pa.large_string())
    _, hashed, rows = boilerplate.split(texts)
    known = np.unique(boilerplate.line_key(boilerplate.sites(urls)[rows[:1]], hashed[:1]))
    cleaned, changed = boilerplate.remove(texts, urls, known)
    assert cleaned.to_pylist() == ["body", "menu\nbody", "menu", ""]
    assert changed == 2


def test_without_addresses_nothing_is_removed():
    texts = pa.array(["menu\nbody"], pa.large_string())
    same, changed = boilerplate.remove(texts, pa.nulls(1, pa.large_string()), np.array([1], np.uint64))
    assert same.equals(texts) and changed == 0


SPEC = """
kind: curate
name: sites
inputs:
  - name: pages
    format: jsonl
    path: "{folder}/*.jsonl"
    form: title-body
    columns: {{anchor: title, positive: text, url: url}}
    language: trust
clean: {{whitespace: lines, boilerplate: {{min_pages: 3, min_share: 0.3}}}}
filters: {{preset: none}}
dedup: {{exact: off, near: off}}
"""


def curate(folder, tmp_path, *sets: str):
    loaded = loads(SPEC.format(folder=folder), "test.yaml", sets)
    return run_curate(loaded, str(tmp_path / "store"), None, False, "pairmill run", lambda line: None)


@pytest.mark.usefixtures("local_ray")
class TestJob:
    @pytest.fixture
    def folder(self, tmp_path):
        """Site a.org with a menu on all and a footer on half of 20 pages, b.org with two pages; in four files."""
        folder = tmp_path / "pages"
        folder.mkdir()
        pages = [page("a.org", n) for n in range(20)] + [page("b.org", n) for n in range(2)]
        for part in range(4):
            lines = [json.dumps(record) for record in pages[part::4]]
            (folder / f"{part}.jsonl").write_text("\n".join(lines) + "\n")
        return folder

    def test_lines_repeated_across_shards_are_removed_and_counted(self, tmp_path, folder):
        outcome = curate(folder, tmp_path, "resources.shard_size=1KB")
        texts = [row[1] for row in content(outcome.run)]
        of_b = [text for text in texts if text.startswith(MENU)]
        assert len(of_b) == 2, "two pages are too few to say what recurs on a site"
        of_a = [text for text in texts if text not in of_b]
        assert all(text.startswith("Article") and FOOTER not in text for text in of_a) and len(of_a) == 20
        assert outcome.summary["cleaning"]["boilerplate"] == 20

    def test_the_layout_of_shards_does_not_matter(self, tmp_path, folder):
        small, large = curate(folder, tmp_path / "a", "resources.shard_size=1KB"), curate(folder, tmp_path / "b")
        assert content(small.run) == content(large.run)

    def test_a_new_file_of_another_site_annotates_that_file_alone(self, tmp_path, folder):
        curate(folder, tmp_path, "resources.shard_size=1KB")
        lines = [json.dumps(page("c.org", n)) for n in range(4)]
        (folder / "9.jsonl").write_text("\n".join(lines) + "\n")
        again = curate(folder, tmp_path, "resources.shard_size=1KB")
        assert len(committed(again.run)["annotate"]) <= 2
