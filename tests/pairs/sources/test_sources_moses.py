import gzip
from pathlib import Path

import pytest

from pairmill.errors import SourceError
from sourcekit import read_all


def write(tmp_path: Path, anchor: bytes, positive: bytes, name: str = "c.en-de", end: str = "") -> str:
    for side, data in (("en", anchor), ("de", positive)):
        (tmp_path / f"{name}.{side}{end}").write_bytes(data)
    return f"{tmp_path}/{name}.{{en,de}}{end}"


def numbered(count: int, word: str) -> bytes:
    return b"".join(f"{word} {index} {'ü' * (index % 7)}\n".encode() for index in range(count))


def test_lines_pair_up_in_order(tmp_path: Path) -> None:
    path = write(tmp_path, b"one\n\nthree\xe2\x80\xa8x", b"eins\nzwei\ndrei")
    outcome = read_all(format="moses", path=path, langs={"anchor": "en", "positive": "de"})
    assert outcome.texts == [("one", "eins"), ("", "zwei"), ("three\u2028x", "drei")]
    assert [row["origin_row"] for row in outcome.rows] == [0, 1, 2]
    assert {(row["anchor_lang"], row["positive_lang"]) for row in outcome.rows} == {("en", "de")}
    assert {row["origin_file"] for row in outcome.rows} == {f"{tmp_path}/c.en-de.en"}


def test_one_carriage_return_at_the_end_of_a_line_goes(tmp_path: Path) -> None:
    path = write(tmp_path, b"\xef\xbb\xbfone\r\ntwo\r\r\n\r\nfo\rur\r", b"\xef\xbb\xbfeins\nzwei\ndrei\nvier\n")
    assert [anchor for anchor, _ in read_all(format="moses", path=path).texts] == ["one", "two\r", "", "fo\rur"]
    assert read_all(format="moses", path=path).texts[0][1] == "eins"


def test_a_line_that_is_not_utf8_on_either_side_is_one_record(tmp_path: Path) -> None:
    path = write(tmp_path, b"one\ntw\xff\nthree\nfour\n", b"eins\nzwei\ndr\xe2\x82\nvier\n")
    outcome = read_all(format="moses", path=path)
    assert outcome.texts == [("one", "eins"), ("four", "vier")]
    places = [(entry.error, entry.origin_row, entry.offset, entry.data) for entry in outcome.quarantine]
    assert places == [
        ("invalid_utf8", 1, 4, b"tw\xff\nzwei"),
        ("invalid_utf8", 2, 8, b"three\ndr\xe2\x82"),
    ]
    assert [entry.detail.partition(":")[0] for entry in outcome.quarantine] == ["anchor", "positive"]


def test_halves_of_a_character_in_neighbouring_lines_do_not_make_one(tmp_path: Path) -> None:
    path = write(tmp_path, b"a\xc3\n\xa4b\n", b"x\ny\n")
    assert read_all(format="moses", path=path).errors == {"invalid_utf8": 2}


@pytest.mark.parametrize("shard_size", [1 << 40, 2000])
def test_sides_of_unequal_length_are_an_error_with_both_counts(tmp_path: Path, shard_size: int) -> None:
    path = write(tmp_path, numbered(700, "a"), numbered(650, "b"))
    with pytest.raises(SourceError, match=r"c.en-de.en has 700 lines, .*c.en-de.de has 650.*from line 651 on"):
        read_all(shard_size=shard_size, format="moses", path=path)


def test_an_empty_side_beside_a_full_one_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path, numbered(7, "a"), b"")
    with pytest.raises(SourceError, match=r"en has 7 lines, .*de has 0"):
        read_all(format="moses", path=path)


def test_two_empty_sides_are_two_empty_files(tmp_path: Path) -> None:
    outcome = read_all(format="moses", path=write(tmp_path, b"", b""))
    assert (outcome.records, dict(outcome.errors)) == (2, {"empty_file": 2})


def test_a_truncated_side_keeps_the_prefix_of_both(tmp_path: Path) -> None:
    anchor, positive = gzip.compress(numbered(30_000, "a")), gzip.compress(numbered(30_000, "b"))
    path = write(tmp_path, anchor, positive[: len(positive) // 2], end=".gz")
    outcome = read_all(format="moses", path=path)
    (entry,) = outcome.quarantine
    assert (entry.error, entry.origin_row) == ("truncated", outcome.parsed)
    assert entry.origin_file.endswith(".de.gz")
    assert f"{30_000 - outcome.parsed} more line(s)" in entry.detail
    assert 5_000 < outcome.parsed < 25_000
    assert all(a.split()[1] == b.split()[1] for a, b in outcome.texts)


def test_pieces_are_cut_at_the_same_lines_of_both_sides(tmp_path: Path) -> None:
    path = write(tmp_path, numbered(9000, "a"), numbered(9000, "a much longer text"))
    whole, cut = (read_all(shard_size=size, format="moses", path=path) for size in (1 << 40, 20_000))
    assert len(cut.pieces) > 10
    assert cut.rows == whole.rows
    assert [row["origin_row"] for row in cut.rows] == list(range(9000))


def test_wildcards_pair_files_by_what_they_stand_for(tmp_path: Path) -> None:
    for name in ("x.en-de", "y.en-de"):
        write(tmp_path, f"{name}\n".encode(), f"{name}!\n".encode(), name)
    texts = read_all(format="moses", path=f"{tmp_path}/*.en-de.{{en,de}}").texts
    assert texts == [("x.en-de", "x.en-de!"), ("y.en-de", "y.en-de!")]


def test_a_file_without_its_other_side_is_an_error(tmp_path: Path) -> None:
    write(tmp_path, b"a\n", b"b\n", "x")
    write(tmp_path, b"a\n", b"b\n", "y")
    (tmp_path / "y.de").unlink()
    with pytest.raises(SourceError, match=r"y.en' has no other side"):
        read_all(format="moses", path=f"{tmp_path}/*.{{en,de}}")


def test_a_line_beyond_the_limit_is_one_record(tmp_path: Path) -> None:
    long = b"x" * (65 << 20)
    path = write(tmp_path, b"1\n2\n" + long + b"\n4\n", b"a\nb\nc\nd\n")
    outcome = read_all(format="moses", path=path)
    assert [row["origin_row"] for row in outcome.rows] == [0, 1, 3]
    assert [(entry.error, entry.origin_row, entry.offset) for entry in outcome.quarantine] == [("too_long", 2, 4)]
