import gzip
import json
from pathlib import Path

import pytest

from pairmill.errors import SourceError
from pairmill.pairs import sources
from pairmill.pairs.sources import lines as line_reader
from sourcekit import read_all, spec_of


def write(tmp_path: Path, *lines: bytes, end: bytes = b"\n") -> str:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"\n".join(lines) + end)
    return str(path)


def pair(anchor: object = "a", positive: object = "b", **more: object) -> bytes:
    return json.dumps({"anchor": anchor, "positive": positive, **more}).encode()


def test_every_physical_line_is_a_record(tmp_path: Path) -> None:
    path = write(tmp_path, pair("1"), b"", pair("2"), b" \r", pair("3"), end=b"")
    outcome = read_all(format="jsonl", path=path)
    assert [(row["anchor"], row["origin_row"]) for row in outcome.rows] == [("1", 0), ("2", 2), ("3", 4)]
    assert outcome.records == 5
    assert outcome.no_pair == {"blank_line": 2}


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (b'{"anchor": "a", "positive"', "malformed_json"),
        (b'{"anchor": "a"} {"anchor": "b"}', "malformed_json"),
        (b'{"anchor": NaN, "positive": "b"}', "malformed_json"),
        (b"[" * 5000, "malformed_json"),
        (b'["a", "b"]', "not_an_object"),
        (b'"a"', "not_an_object"),
        (b"null", "not_an_object"),
        (b'{"anchor": "\xff", "positive": "b"}', "invalid_utf8"),
        (b'{"anchor": "\xed\xa0\x80", "positive": "b"}', "invalid_utf8"),
        (b'{"anchor": "\\ud800", "positive": "b"}', "invalid_unicode"),
        (b'{"anchor": "\\udc00x", "positive": "b"}', "invalid_unicode"),
        (b'{"anchor": "\\ud800\\u0041", "positive": "b"}', "invalid_unicode"),
        (b'{"anchor": 1, "positive": "b"}', "wrong_type"),
        (b'{"anchor": ["a"], "positive": "b"}', "wrong_type"),
        (b'{"anchor": true, "positive": "b"}', "wrong_type"),
        (b'{"anchor": {"a": "b"}, "positive": "b"}', "wrong_type"),
    ],
)
def test_an_unreadable_line_is_quarantined_with_its_place(tmp_path: Path, line: bytes, error: str) -> None:
    path = write(tmp_path, pair("first"), line, pair("last"))
    outcome = read_all(format="jsonl", path=path)
    (entry,) = outcome.quarantine
    assert (entry.error, entry.origin_row, entry.offset, entry.data) == (error, 1, len(pair("first")) + 1, line)
    assert [(row["anchor"], row["origin_row"]) for row in outcome.rows] == [("first", 0), ("last", 2)]


def test_null_and_missing_sides_are_empty_strings(tmp_path: Path) -> None:
    path = write(tmp_path, pair(None), b'{"anchor": "x"}', pair("y"))
    assert read_all(format="jsonl", path=path).texts == [("", "b"), ("x", ""), ("y", "b")]


def test_a_nul_character_is_kept_for_cleaning(tmp_path: Path) -> None:
    assert read_all(format="jsonl", path=write(tmp_path, pair("a\0b"))).texts == [("a\0b", "b")]


def test_a_byte_order_mark_is_dropped(tmp_path: Path) -> None:
    path = write(tmp_path, b"\xef\xbb\xbf" + pair("a"), b"x")
    outcome = read_all(format="jsonl", path=path)
    assert outcome.texts == [("a", "b")]
    assert outcome.quarantine[0].offset == 3 + len(pair("a")) + 1


def test_optional_columns_are_typed(tmp_path: Path) -> None:
    names = {"negatives": "neg", "score": "s", "label": "l", "anchor_lang": "meta.lang", "positive_lang": "pl"}
    path = write(
        tmp_path,
        pair(neg=["x", "y"], s=0.5, l="e", meta={"lang": "en"}, pl="pt_BR"),
        pair(neg="x", s="1.5", l=2, meta={"lang": ""}, pl="nonsense"),
        pair(neg=None, s=None, l=None, meta={}, pl=None),
        pair(neg=["x", 1], s=1, l="e", meta={"lang": "en"}, pl="de"),
        pair(neg=[], s="high", l="e", meta={"lang": "en"}, pl="de"),
        pair(neg=[], s=3, l=["e"], meta={"lang": 7}, pl="zh-Hant"),
    )
    outcome = read_all(format="jsonl", path=path, columns=names, langs={"anchor": "sv", "positive": "fi"})
    picked = [[row[name] for name in names] for row in outcome.rows]
    assert picked == [
        [["x", "y"], 0.5, "e", "en", "pt"],
        [["x"], 1.5, "2", "sv", None],
        [None, None, None, "sv", "fi"],
    ]
    assert [(entry.error, entry.origin_row) for entry in outcome.quarantine] == [("wrong_type", n) for n in (3, 4, 5)]
    assert outcome.quarantine[0].detail.startswith("neg: ")


def test_a_dotted_key_comes_before_the_path_it_spells(tmp_path: Path) -> None:
    line = b'{"a.b": "flat", "a": {"b": "nested"}, "positive": "p"}'
    path = write(tmp_path, line, b'{"a": {"b": "nested"}, "positive": "p"}')
    texts = read_all(format="jsonl", path=path, columns={"anchor": "a.b"}).texts
    assert [anchor for anchor, _ in texts] == ["flat", "nested"]


def test_a_field_that_no_record_has_is_an_error_with_the_nearest(tmp_path: Path) -> None:
    path = write(tmp_path, b'{"source": "a", "target": "b"}', b'{"source": "a", "id": 1}')
    with pytest.raises(
        SourceError, match=r"input 'mine': missing column.*a.jsonl has no field 'targe'.*Nearest: target"
    ):
        read_all(format="jsonl", path=path, columns={"anchor": "source", "positive": "targe"})


def test_a_field_missing_from_the_first_thousand_records_ends_the_reading(tmp_path: Path) -> None:
    path = write(tmp_path, *[b'{"anchor": "a"}'] * 1000, *[pair()] * 5)
    with pytest.raises(SourceError, match="no field 'positive'"):
        read_all(format="jsonl", path=path)
    path = write(tmp_path, *[b'{"anchor": "a"}'] * 999, pair())
    assert read_all(format="jsonl", path=path).parsed == 1000


def test_a_line_beyond_the_limit_is_not_held_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    with gzip.open(path, "wb", 1) as file:
        file.write(pair("first") + b"\n")
        for _ in range(65):
            file.write(b"x" * (1 << 20))
        file.write(b"\n" + pair("last") + b"\n")
    outcome = read_all(format="jsonl", path=str(path))
    (entry,) = outcome.quarantine
    assert (entry.error, entry.origin_row, entry.offset) == ("too_long", 1, len(pair("first")) + 1)
    assert len(entry.data) <= 2 << 20
    assert str((65 << 20) + 1) in entry.detail
    assert [row["origin_row"] for row in outcome.rows] == [0, 2]


def test_a_last_line_beyond_the_limit_is_one_record(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"ab\n" + b"x" * 5000)
    found = list(line_reader.read_lines(str(path), "here", limit=1000))
    assert [type(item).__name__ for item in found] == ["Lines", "TooLong"]
    assert found[1].length == 5000


def test_large_files_are_cut_at_lines_with_exact_rows(tmp_path: Path) -> None:
    path = write(tmp_path, *[pair(str(index), "x" * (index % 97)) for index in range(5000)])
    whole = read_all(format="jsonl", path=path)
    cut = read_all(shard_size=10_000, format="jsonl", path=path)
    assert len(whole.pieces) == 1
    assert len(cut.pieces) == 42
    assert cut.rows == whole.rows
    assert sum(piece.text_size for piece in cut.pieces) == Path(path).stat().st_size
    assert [row["origin_row"] for row in cut.rows] == list(range(5000))


def test_compressed_files_are_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(pair() + b"\n" + pair("x" * 1000)))
    spec = spec_of(format="jsonl", path=str(path))
    (piece,) = sources.split(spec, sources.find(spec)[0], 10)
    assert piece.text_size == 4 * path.stat().st_size


def test_messy_lines_are_all_quarantined_and_no_others(shared_data: Path) -> None:
    labels = [json.loads(line) for line in (shared_data / "messy/messy_dev_labels.jsonl").read_text().splitlines()]
    columns = {"anchor": "src", "positive": "tgt", "anchor_lang": "src_lang", "positive_lang": "tgt_lang"}
    outcome = read_all(format="jsonl", path=str(shared_data / "messy/messy_dev.jsonl.gz"), columns=columns)
    first = labels[0]["line"]
    damaged = {
        (item["line"] - first, item["label"]) for item in labels if item["label"] in ("malformed_json", "invalid_utf8")
    }
    assert {(entry.origin_row, entry.error) for entry in outcome.quarantine} == damaged
    assert outcome.errors == {"malformed_json": 200, "invalid_utf8": 200}
    assert outcome.records == 5000
