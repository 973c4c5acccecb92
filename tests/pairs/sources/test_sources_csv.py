import csv
import gzip
from pathlib import Path

import pytest

from pairmill.errors import SourceError
from pairmill.pairs.sources import csv as csv_source
from sourcekit import read_all


def write(tmp_path: Path, data: bytes | str) -> str:
    path = tmp_path / "a.csv"
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return str(path)


def test_quoted_fields_hold_delimiters_quotes_and_line_breaks(tmp_path: Path) -> None:
    path = write(tmp_path, 'anchor,positive\r\n"a, ""b""\r\nc",d\r\ne,\r\n')
    outcome = read_all(format="csv", path=path)
    assert outcome.texts == [('a, "b"\r\nc', "d"), ("e", "")]
    assert [row["origin_row"] for row in outcome.rows] == [0, 1]


def test_what_python_writes_is_read_back(tmp_path: Path) -> None:
    rows = [(f'a{i} "q" , \n x', "\t'".join("bc" * (i % 5)) + "é") for i in range(2000)]
    with open(tmp_path / "a.csv", "w", newline="") as file:
        csv.writer(file).writerows([("anchor", "positive"), *rows])
    assert read_all(format="csv", path=str(tmp_path / "a.csv")).texts == rows


def test_tabs_and_headers_can_be_named(tmp_path: Path) -> None:
    path = write(tmp_path, b"\xef\xbb\xbfde\ten\tx\neins\tone\t1\n")
    settings = {"format": "csv", "path": path, "delimiter": "\\t", "columns": {"anchor": "en", "positive": "de"}}
    assert read_all(**settings).texts == [("one", "eins")]
    assert read_all(**settings, header=["de", "en", "n"]).texts == [("en", "de"), ("one", "eins")]


def test_without_quoting_quotes_are_text(tmp_path: Path) -> None:
    path = write(tmp_path, 'anchor\tpositive\n"a\tb"\r\n""\t5" \rdisk\n')
    outcome = read_all(format="csv", path=path, delimiter="\t", quote=None)
    assert outcome.texts == [('"a', 'b"'), ('""', '5" \rdisk')]


def test_a_wrong_number_of_fields_is_quarantined_with_its_text(tmp_path: Path) -> None:
    path = write(tmp_path, "anchor,positive\na,b\n\nc\nd,e,f\ng,h\n")
    outcome = read_all(format="csv", path=path)
    assert [(row["anchor"], row["origin_row"]) for row in outcome.rows] == [("a", 0), ("g", 4)]
    assert outcome.no_pair == {"blank_line": 1}
    places = [(entry.error, entry.origin_row, entry.offset, entry.data) for entry in outcome.quarantine]
    assert places == [("wrong_field_count", 2, 21, b"c\n"), ("wrong_field_count", 3, 23, b"d,e,f\n")]


def test_a_stray_quote_takes_one_line_and_not_the_file(tmp_path: Path) -> None:
    lines = [f"a{i},b{i}" for i in range(3000)]
    lines[1000] = '"a1000,b1000'
    path = write(tmp_path, "\n".join(["anchor,positive", *lines]) + "\n")
    outcome = read_all(format="csv", path=path)
    (entry,) = outcome.quarantine
    assert (entry.error, entry.origin_row, entry.data) == ("unterminated_quote", 1000, b'"a1000,b1000\n')
    assert entry.offset == Path(path).read_bytes().index(b'"')
    assert (outcome.parsed, outcome.records) == (2999, 3000)


def test_a_stray_quote_is_given_up_after_a_bounded_length(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_source, "MAX_RECORD", 10_000)
    lines = [f"a{i},b{i}" for i in range(3000)]
    lines[10] = 'x,"y'
    lines[2990] = 'x,"y"'
    path = write(tmp_path, "\n".join(["anchor,positive", *lines]) + "\n")
    outcome = read_all(format="csv", path=path)
    assert outcome.errors == {"unterminated_quote": 1}
    assert outcome.parsed == 2999


def test_a_record_that_goes_wrong_after_its_first_line_gives_the_others_back(tmp_path: Path) -> None:
    path = write(tmp_path, 'anchor,positive\na,"b\nc,"d"\ne,f\n')
    outcome = read_all(format="csv", path=path)
    assert outcome.texts == [("c", "d"), ("e", "f")]
    assert [(entry.error, entry.data) for entry in outcome.quarantine] == [("unterminated_quote", b'a,"b\n')]


def test_text_after_a_closing_quote_is_malformed(tmp_path: Path) -> None:
    outcome = read_all(format="csv", path=write(tmp_path, 'anchor,positive\n"a"b,c\nd,e\n'))
    assert outcome.texts == [("d", "e")]
    assert outcome.errors == {"malformed_csv": 1}


def test_invalid_utf8_is_quarantined_by_record(tmp_path: Path) -> None:
    outcome = read_all(format="csv", path=write(tmp_path, b'anchor,positive\n"a\n\xff",b\nc,d\n'))
    assert outcome.texts == [("c", "d")]
    assert [(entry.error, entry.data) for entry in outcome.quarantine] == [("invalid_utf8", b'"a\n\xff",b\n')]


def test_numbers_are_read_and_others_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "anchor,positive,s\na,b,0.5\nc,d,\ne,f,good\n")
    outcome = read_all(format="csv", path=path, columns={"score": "s"})
    assert [row["score"] for row in outcome.rows] == [0.5, None]
    assert [(entry.error, entry.origin_row) for entry in outcome.quarantine] == [("wrong_type", 2)]


def test_a_missing_column_is_an_error_before_anything_is_read(tmp_path: Path) -> None:
    path = write(tmp_path, "source,target\na,b\n")
    with pytest.raises(SourceError, match=r"a.csv has no column 'sorce'. Found: source, target. Nearest: source"):
        read_all(format="csv", path=path, columns={"anchor": "sorce", "positive": "target"})


def test_a_column_named_twice_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="2 columns named 'anchor'"):
        read_all(format="csv", path=write(tmp_path, "anchor,positive,anchor\na,b,c\n"))


@pytest.mark.parametrize("quote", ['"', None])
def test_files_without_line_breaks_in_fields_are_cut(tmp_path: Path, quote: str | None) -> None:
    path = write(tmp_path, "anchor,positive\n" + "".join(f"{i},{'x' * (i % 50)}\n" for i in range(3000)))
    settings = {"format": "csv", "path": path, "quote": quote, "newlines_in_fields": False}
    whole, cut = read_all(**settings), read_all(shard_size=5000, **settings)
    assert len(cut.pieces) > 10
    assert cut.rows == whole.rows
    assert [row["origin_row"] for row in cut.rows] == list(range(3000))


def test_an_open_quote_in_a_file_declared_free_of_line_breaks_is_quarantined(tmp_path: Path) -> None:
    path = write(tmp_path, 'anchor,positive\n"a\nb",c\nd,e\n')
    outcome = read_all(format="csv", path=path, newlines_in_fields=False)
    assert outcome.texts == [('b"', "c"), ("d", "e")]
    assert [(entry.error, entry.data) for entry in outcome.quarantine] == [("unterminated_quote", b'"a\n')]


def test_a_truncated_file_takes_its_open_record_with_it(tmp_path: Path) -> None:
    rows = "".join(f'{i},"x\ny{i * 7919 % 10007}"\n' for i in range(30_000))
    data = gzip.compress(f"anchor,positive\n{rows}".encode())
    (tmp_path / "a.csv.gz").write_bytes(data[: len(data) // 2])
    outcome = read_all(format="csv", path=f"{tmp_path}/a.csv.gz")
    assert outcome.errors == {"truncated": 1}
    assert outcome.records == outcome.parsed + 1 > 5000


@pytest.mark.parametrize(("data", "error"), [(b"", "empty_file"), (b"anchor,positive\n", None)])
def test_a_file_without_records(tmp_path: Path, data: bytes, error: str | None) -> None:
    outcome = read_all(format="csv", path=write(tmp_path, data))
    assert dict(outcome.errors) == ({error: 1} if error else {})
    assert outcome.parsed == 0
