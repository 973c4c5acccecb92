"""Long documents of consecutive pages, and paragraphs out of them as queries: is what stands beyond 512 tokens read?

    python jobs/recipes/jina-bilingual/long_documents.py DATA/web/documents.parquet long-documents.parquet

Pages of one source and language are joined in the order of their addresses until a document has CHARS characters (about
8192 tokens). Of each page the longest paragraph becomes a query and leaves the document (inverse cloze task, arXiv
1906.00300). Columns: lang, query_id, query, document_id, document, and `at`, the character where the page begins.
"""

from __future__ import annotations

import argparse
from itertools import groupby
from operator import itemgetter
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

CHARS = 32_000
#: Longer paragraphs are cut, shorter ones make no query.
LONGEST, SHORTEST = 400, 120


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", help="Parquet with source, url_or_path, lang_declared and text")
    parser.add_argument("output")
    parser.add_argument("--source", default="debian-handbook", help="left out of the recipe's training pages")
    parser.add_argument("--languages", nargs="+", default=["en-US", "de-DE"])
    given = parser.parse_args()
    table = pq.read_table(given.pages)
    kept = pc.and_(pc.equal(table["source"], given.source), pc.is_in(table["lang_declared"], pa.array(given.languages)))
    pages = sorted(table.filter(kept).to_pylist(), key=itemgetter("lang_declared", "url_or_path"))
    rows = [row for lang, some in groupby(pages, itemgetter("lang_declared")) for row in documents(lang, list(some))]
    pq.write_table(pa.Table.from_pylist(rows), given.output)
    print(f"{len({row['document_id'] for row in rows})} documents, {len(rows)} queries")


def documents(lang: str, pages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The queries of a language's pages, each with its document."""
    rows: list[dict[str, Any]] = []
    text, asked = "", list[tuple[int, str]]()
    for number, page in enumerate(pages, 1):
        lines = page["text"].split("\n")
        query = max(lines, key=len)
        if len(query) >= SHORTEST:
            lines.remove(query)
            asked.append((len(text), query[:LONGEST]))
        text += "\n".join(lines) + "\n"
        if len(text) >= CHARS or number == len(pages):
            name = f"{lang}-{number}"
            rows += [
                {"lang": lang[:2], "query_id": f"{name}-{at}", "query": query, "document_id": name, "document": text,
                 "at": at}
                for at, query in asked
            ]  # fmt: skip
            text, asked = "", []
    return rows


if __name__ == "__main__":
    main()
