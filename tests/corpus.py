"""Small real corpora for tests: the translation catalogues of an installed package, written in any format."""

from __future__ import annotations

import csv
import gettext
import gzip
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
