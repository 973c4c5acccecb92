import time
from pathlib import Path

import pyarrow.parquet as pq
from recordkit import built, from_jsonl

PAGE = """<!doctype html><html lang="{lang}"><head><meta charset="utf-8"><title>{title} | Stadtblatt</title>
<meta property="og:site_name" content="Stadtblatt"><link rel="canonical" href="/artikel/{title}"></head>
<body><header><a href="/">Stadtblatt</a></header>
<nav><ul><li><a href="/politik">Politik</a><li><a href="/sport">Sport</a></ul></nav>
<main><article><h1>{title}</h1>{body}</article></main><footer>Impressum · Datenschutz</footer></body></html>"""
BODY = "<p>Die neue Brücke über den Fluss ist fertig.</p><p>Sie wurde am Montag nach zwei Jahren Bauzeit eröffnet.</p>"


def page(title: str = "Neue Brücke", body: str = BODY, lang: str = "de") -> str:
    return PAGE.format(title=title, body=body, lang=lang)


def test_title_and_main_content_are_a_pair_without_site_name_and_menus(tmp_path: Path) -> None:
    made = from_jsonl(tmp_path, "title-body", {"url": "http://stadtblatt.example/1?from=feed", "html": page()})
    (row,) = made.rows
    assert row["anchor"] == "Neue Brücke"
    assert row["positive"] == (
        "Die neue Brücke über den Fluss ist fertig.\nSie wurde am Montag nach zwei Jahren Bauzeit eröffnet."
    )
    assert (row["anchor_lang"], row["positive_lang"]) == ("de", "de")
    assert row["url"] == "http://stadtblatt.example/artikel/Neue Brücke"


def test_each_page_is_a_pair_or_counted_by_its_reason(tmp_path: Path) -> None:
    made = from_jsonl(
        tmp_path,
        "title-body",
        {"html": page()},
        {"html": f"<main><p>{BODY}</main>"},
        {"html": "<title>Nur ein Titel</title>"},
        {"html": page(body="")},
        {"html": page(body="<p>Kurz.</p>")},
        {"html": None},
        {"html": 7},
        {"html": "<div>" * 100_000},
        b'{"html": "<title>',
    )
    assert made.no_pair == {"no_title": 1, "no_body": 1, "title_is_body": 1, "short_body": 1}
    assert made.errors == {"wrong_record": 3, "malformed_json": 1}
    assert [entry.origin_row for entry in made.quarantine] == [5, 6, 7, 8]
    assert made.parsed == 1


def test_short_bodies_can_be_let_in(tmp_path: Path) -> None:
    made = from_jsonl(tmp_path, {"name": "title-body", "min_chars": 5}, {"html": page(body="<p>Kurz.</p>")})
    assert made.texts == [("Neue Brücke", "Kurz.")]


def test_the_records_language_comes_before_the_pages_and_the_inputs_last(tmp_path: Path) -> None:
    made = from_jsonl(
        tmp_path,
        {"name": "title-body", "html": "content", "lang": "language"},
        {"content": page(lang="en"), "language": "nds"},
        {"content": page(lang="en")},
        {"content": page(lang="")},
        {"content": page(lang="en"), "language": "not a language"},
        langs={"anchor": "nl", "positive": "nl"},
    )
    assert [row["anchor_lang"] for row in made.rows] == ["nds", "en", "nl", None]
    assert [row["positive_lang"] for row in made.rows] == ["nds", "en", "nl", None]


def test_html_files_in_any_encoding_are_pages(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_bytes(page().replace("utf-8", "iso-8859-1").encode("cp1252"))
    (tmp_path / "b.html").write_text(page("Zweite Seite"), "utf-8")
    for name, title in (("a", "Neue Brücke"), ("b", "Zweite Seite")):
        (row,) = built(format="html", path=str(tmp_path / f"{name}.html")).rows
        assert row["anchor"] == title and "eröffnet" in row["positive"]


def response(url: str, html: str, charset: str) -> bytes:
    """A WARC record (ISO 28500) with a page as a crawler got it."""
    head = f"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset={charset}\r\n\r\n".encode()
    block = head + html.encode(charset)
    lines = ["WARC/1.1", "WARC-Type: response", f"WARC-Target-URI: {url}", "WARC-Date: 2024-05-01T00:00:00Z"]
    lines += ["Content-Type: application/http; msgtype=response", f"Content-Length: {len(block)}"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + block + b"\r\n\r\n"


def test_real_pages_in_a_warc_lose_their_menus_and_keep_their_text(tmp_path: Path, shared_data: Path) -> None:
    """One page of each language and source; `documents` has their text with the menus, cut at 12,000 characters."""
    subset = pq.read_table(shared_data / "web/html_subset.parquet").to_pylist()
    chosen = list({(page["source"], page["lang_declared"]): page for page in subset}.values())
    ids = [page["doc_id"] for page in chosen]
    texts = pq.read_table(
        shared_data / "web/documents.parquet", columns=["doc_id", "text"], filters=[("doc_id", "in", ids)]
    )
    plain = dict(zip(texts["doc_id"].to_pylist(), texts["text"].to_pylist(), strict=True))
    records = [
        response(f"http://docs.example/{page['url_or_path']}", page["html"], ("utf-8", "utf-16le")[index % 2])
        for index, page in enumerate(chosen)
    ]
    records.append(response("http://docs.example/empty", "<title>Empty</title>", "utf-8"))
    records.append(records[0][: len(records[0]) // 2])  # the file ends inside a record
    (tmp_path / "crawl.warc").write_bytes(b"".join(records))

    start = time.process_time()
    made = built(format="warc", path=str(tmp_path / "crawl.warc"), layouts=[(1 << 40, 512)])
    seconds = time.process_time() - start

    assert made.records == len(chosen) + 2
    assert made.no_pair == {"no_body": 1} and made.errors.total() == 1
    rows = {row["origin_row"]: row for row in made.rows}
    assert sorted(rows) == list(range(len(chosen)))
    whole = [len(squeeze(plain[doc_id])) for doc_id in ids]
    body = [len(squeeze(rows[index]["positive"])) for index in range(len(chosen))]
    pages = [(text, kept) for text, kept, doc_id in zip(whole, body, ids, strict=True) if len(plain[doc_id]) < 12_000]
    kept = sum(kept for _, kept in pages) / sum(text for text, _ in pages)
    print(f"{len(chosen)} pages, {1e3 * seconds / len(chosen):.2f} ms each, {1 - kept:.1%} of the text removed")
    assert 0.6 < kept < 0.9
    menus = ("Product Site", "Documentation Site", "Contents displayed here", "LibreOffice 7.4 Help\n")
    assert not [row["anchor"] for row in made.rows if any(menu in row["positive"] for menu in menus)]
    assert seconds / len(chosen) < 0.05  # 3 ms where the machine has nothing else to do


def squeeze(text: str) -> str:
    return "".join(text.split())
