"""Small real corpora for tests: the translation catalogues of an installed package, written in any format."""

from __future__ import annotations

import csv
import gettext
import gzip
import html
import importlib.util
import json
from functools import lru_cache
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


@lru_cache
def catalogue_rows(languages: tuple[str, ...] = ("de", "fr", "ja", "ar")) -> list[tuple[str, str, str]]:
    """(English, translation, language) of Django's own catalogues."""
    spec = importlib.util.find_spec("django")
    assert spec is not None and spec.origin is not None, "the test extra installs Django"
    rows = []
    for language in languages:
        for path in sorted(Path(spec.origin).parent.rglob(f"locale/{language}/LC_MESSAGES/*.mo")):
            with path.open("rb") as file:
                catalogue = gettext.GNUTranslations(file)._catalog  # type: ignore[attr-defined]
            rows += [
                (k, v, language) for k, v in catalogue.items() if isinstance(k, str) and k and v and "\x04" not in k
            ]
    return rows


def json_line(row: tuple[str, str, str]) -> bytes:
    source, target, language = row
    fields = {
        "src": source,
        "tgt": target,
        "src_lang": "en",
        "tgt_lang": language,
        "meta": {"src_lang": "en", "tgt_lang": language},
    }
    return json.dumps(fields, ensure_ascii=False).encode() + b"\n"


def write_jsonl(path: Path, rows: list[tuple[str, str, str]]) -> Path:
    data = b"".join(map(json_line, rows))
    path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)
    return path


def write_parquet(path: Path, rows: list[tuple[str, str, str]], rows_per_group: int = 200) -> Path:
    names = ["src", "tgt", "tgt_lang"]
    columns = [pa.array(column) for column in zip(*rows, strict=True)]
    table = pa.table(columns, names=names).append_column("src_lang", pa.array(["en"] * len(rows)))
    pq.write_table(table, path, row_group_size=rows_per_group)
    return path


def one_line(text: str) -> str:
    return " ".join(text.split())


def write_tsv(path: Path, rows: list[tuple[str, str, str]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(
            file, delimiter="\t", quoting=csv.QUOTE_NONE, quotechar=None, escapechar=None, lineterminator="\n"
        )
        writer.writerows([(one_line(source), one_line(target)) for source, target, _ in rows])
    return path


def write_moses(folder: Path, rows: list[tuple[str, str, str]], stem: str = "corpus.en-de") -> tuple[Path, Path]:
    paths = folder / f"{stem}.en", folder / f"{stem}.de"
    for side, path in enumerate(paths):
        path.write_text("".join(one_line(row[side]) + "\n" for row in rows), encoding="utf-8")
    return paths


def write_warc(path: Path, pages: dict[str, str]) -> Path:
    """Pages by URL as a crawler stores them: one gzip member per response."""
    members = []
    for number, (url, page) in enumerate(pages.items()):
        body = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n\r\n" + page.encode()
        head = (
            f"WARC/1.0\r\nWARC-Type: response\r\nWARC-Record-ID: <urn:uuid:00000000-0000-0000-0000-{number:012d}>\r\n"
            f"WARC-Date: 2026-01-01T00:00:00Z\r\nWARC-Target-URI: {url}\r\n"
            f"Content-Type: application/http; msgtype=response\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        members.append(gzip.compress(head.encode() + body + b"\r\n\r\n", mtime=0))
    path.write_bytes(b"".join(members))
    return path


def article(title: str, paragraphs: list[str]) -> str:
    """A page with a menu, a footer and the paragraphs between them."""
    text = "".join(f"<p>{html.escape(paragraph)}</p>" for paragraph in paragraphs)
    menu = "".join(f"<li><a href='/{name}'>{name.title()}</a></li>" for name in ("home", "news", "about", "contact"))
    return (
        f"<!doctype html><html><head><title>{html.escape(title)}</title></head><body><nav><ul>{menu}</ul></nav>"
        f"<main><article><h1>{html.escape(title)}</h1>{text}</article></main>"
        "<footer>All rights reserved.</footer></body></html>"
    )


def write_tmx(path: Path, rows: list[tuple[str, str, str]]) -> Path:
    units = "".join(
        f'<tu><tuv xml:lang="en"><seg>{html.escape(source)}</seg></tuv>'
        f'<tuv xml:lang="{language}"><seg>{html.escape(target)}</seg></tuv></tu>'
        for source, target, language in rows
    )
    path.write_text(
        f'<?xml version="1.0"?><tmx version="1.4"><header srclang="en"/><body>{units}</body></tmx>', "utf-8"
    )
    return path


def write_squad(path: Path, rows: list[tuple[str, str, str]]) -> Path:
    """A SQuAD-style file that asks for each text's translation, with a few texts as the passage."""
    parts = [rows[at : at + 4] for at in range(0, len(rows), 4)]
    paragraphs = [
        {
            "context": " ".join(row[1] for row in part),
            "qas": [
                {
                    "id": f"{number}-{at}",
                    "question": f"What is {row[0]!r} in German?",
                    "answers": [{"text": row[1], "answer_start": 0}],
                }
                for at, row in enumerate(part)
            ],
        }
        for number, part in enumerate(parts)
    ]
    path.write_text(json.dumps({"version": "1.1", "data": [{"title": "Catalogue", "paragraphs": paragraphs}]}), "utf-8")
    return path
