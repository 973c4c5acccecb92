"""Time per web page of the title-body builder, and how much boilerplate and how much content it removes.

    python tests/benchmarks/page_rate.py DATA [--pages 1365] [--trafilatura 195]

DATA is a directory with `web/html_subset.parquet` (html) and `web/documents.parquet` (the same pages' whole text, menus
and all, by `doc_id`). A line of that text, but for the page's title, is boilerplate where at least 30 % of the pages of
its source and language have it, and content where no other page has it. Content is kept where the body has its text,
boilerplate where it is a line of the body, or longer than 20 characters and anywhere in it.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from pairmill.pairs.builders import title_body
from pairmill.spec.page_builders import TitleBody

BOILERPLATE_SHARE = 0.3
WHOLE_TEXT = 12_000  # documents are cut there


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("--pages", type=int, default=1365)
    parser.add_argument("--trafilatura", type=int, default=195, help="pages for the slow extractor")
    options = parser.parse_args()
    pages, counts, sizes = read(options.data)
    print("| extractor | pages | ms per page | no pair | boilerplate removed | content kept | text kept |")
    print("|---|--:|--:|--:|--:|--:|--:|")
    for extractor, number in (("resiliparse", options.pages), ("trafilatura", options.trafilatura)):
        step = max(1, len(pages) // number)
        print(row(extractor, pages[::step][:number], counts, sizes))


def read(data: Path) -> tuple[list[dict[str, Any]], dict[tuple[str, str], Counter[str]], Counter[tuple[str, str]]]:
    """The pages with their whole `text`, and of each source and language the lines' counts and the documents."""
    texts = pq.read_table(data / "web/documents.parquet")
    table = pq.read_table(data / "web/html_subset.parquet")
    texts = texts.filter(pc.is_in(texts["source"], value_set=pc.unique(table["source"])))
    counts: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    sizes: Counter[tuple[str, str]] = Counter()
    by_id: dict[str, str] = {}
    for document in texts.to_pylist():
        place = document["source"], document["lang_declared"]
        counts[place].update({squeeze(line) for line in document["text"].split("\n")})
        sizes[place] += 1
        by_id[document["doc_id"]] = document["text"]
    pages = [{**page, "text": by_id[page["doc_id"]]} for page in table.to_pylist() if page["doc_id"] in by_id]
    return [page for page in pages if len(page["text"]) < WHOLE_TEXT], counts, sizes


def row(extractor: str, pages: list[dict[str, Any]], counts: Any, sizes: Any) -> str:
    options = TitleBody(name="title-body", url="url_or_path", extractor=extractor, min_chars=1)
    title_body.build(pages[0], options)  # imports
    start = time.process_time()
    built = [title_body.build(page, options) for page in pages]
    seconds = time.process_time() - start
    found = Counter[str]()
    for page, pairs in zip(pages, built, strict=True):
        place = page["source"], page["lang_declared"]
        body = squeeze(pairs[0].positive) if isinstance(pairs, list) else ""
        title = squeeze(pairs[0].anchor) if isinstance(pairs, list) else ""
        lines = {squeeze(line) for line in pairs[0].positive.split("\n")} if isinstance(pairs, list) else set()
        found["text"] += len(squeeze(page["text"]))
        found["body"] += len(body)
        for line in {squeeze(line) for line in page["text"].split("\n")} - {"", title}:
            often = counts[place][line]
            kind = "boilerplate" if often >= BOILERPLATE_SHARE * sizes[place] else "content" if often == 1 else None
            if kind:
                found[kind] += len(line)
                kept = line in lines or ((kind == "content" or len(line) > 20) and line in body)
                found[f"{kind} kept"] += len(line) * kept
    none = sum(isinstance(pairs, str) for pairs in built)
    return (
        f"| {extractor} | {len(pages)} | {1e3 * seconds / len(pages):.2f} | {none} "
        f"| {1 - found['boilerplate kept'] / found['boilerplate']:.1%} "
        f"| {found['content kept'] / found['content']:.1%} | {found['body'] / found['text']:.1%} |"
    )


def squeeze(text: str) -> str:
    return "".join(text.split())


if __name__ == "__main__":
    main()
