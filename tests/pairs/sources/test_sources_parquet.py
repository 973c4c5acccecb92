import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pairmill.errors import SourceError
from pairmill.pairs import sources
from sourcekit import read_all


def write(tmp_path: Path, table: pa.Table, **options: Any) -> str:
    path = tmp_path / "a.parquet"
    pq.write_table(table, path, **options)
    return str(path)


def pairs(rows: int) -> pa.Table:
    return pa.table({"anchor": [f"a{i}" for i in range(rows)], "positive": [f"b{i}" * (i % 30) for i in range(rows)]})


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string()), pa.binary(), pa.large_binary()]
)
def test_any_type_of_text_is_read(tmp_path: Path, kind: pa.DataType) -> None:
    anchors = pa.array(["ä", None, "", "ä"]).cast(kind)
    path = write(tmp_path, pa.table({"anchor": anchors, "positive": ["1", "2", "3", "4"]}))
    assert read_all(format="parquet", path=path).texts == [("ä", "1"), ("", "2"), ("", "3"), ("ä", "4")]


@pytest.mark.parametrize("kind", [pa.binary(), pa.string()])
def test_rows_that_are_not_utf8_are_quarantined(tmp_path: Path, kind: pa.DataType) -> None:
    raw = pa.array([b"fine"] * 1000 + [b"bad \xff", b"fine"], pa.binary())
    anchors = raw if kind == pa.binary() else raw.view(pa.string())
    path = write(tmp_path, pa.table({"anchor": anchors, "positive": ["p"] * 1002}))
    outcome = read_all(format="parquet", path=path)
    assert outcome.parsed == 1001
    entries = [(entry.error, entry.origin_row, entry.data) for entry in outcome.quarantine]
    assert entries == [("invalid_utf8", 1000, b"bad \xff\np")]


def test_optional_columns_are_typed(tmp_path: Path) -> None:
    table = pa.table(
        {
            "anchor": ["a", "b", "c"],
            "positive": ["x", "y", "z"],
            "n": pa.array([["1", "2"], None, []]),
            "s": pa.array([1, None, 3], pa.int64()),
            "l": pa.array([0, 1, None], pa.int8()),
            "al": ["en_US", None, "xx"],
        }
    )
    names = {"negatives": "n", "score": "s", "label": "l", "anchor_lang": "al"}
    rows = read_all(format="parquet", path=write(tmp_path, table), columns=names, langs={"anchor": "fr"}).rows
    assert [[row[name] for name in names] for row in rows] == [
        [["1", "2"], 1.0, "0", "en"],
        [None, None, "1", "fr"],
        [[], 3.0, None, None],
    ]


def test_a_single_negative_may_be_a_string(tmp_path: Path) -> None:
    table = pairs(3).append_column("n", pa.array(["x", None, "y"]))
    rows = read_all(format="parquet", path=write(tmp_path, table), columns={"negatives": "n"}).rows
    assert [row["negatives"] for row in rows] == [["x"], None, ["y"]]


def test_columns_inside_structs_are_named_by_path(tmp_path: Path) -> None:
    table = pa.table({"translation": pa.array([{"en": "one", "de": "eins", "fr": "un"}, {"en": "two", "de": None}])})
    names = {"anchor": "translation.en", "positive": "translation.de"}
    outcome = read_all(format="parquet", path=write(tmp_path, table), columns=names)
    assert outcome.texts == [("one", "eins"), ("two", "")]


def test_a_missing_column_is_an_error_with_the_nearest(tmp_path: Path) -> None:
    path = write(tmp_path, pairs(2))
    with pytest.raises(SourceError, match=r"no column 'anchors'. Found: anchor, positive. Nearest: anchor"):
        read_all(format="parquet", path=path, columns={"anchor": "anchors"})


def test_a_column_of_another_type_is_an_error_that_names_it(tmp_path: Path) -> None:
    path = write(tmp_path, pairs(2).set_column(0, "anchor", pa.array([1, 2])))
    with pytest.raises(SourceError, match=r"'anchor' of .* is int64; `columns.anchor` must be a string"):
        read_all(format="parquet", path=path)


def test_row_groups_are_grouped_to_pieces(tmp_path: Path) -> None:
    path = write(tmp_path, pairs(10_000), row_group_size=700)
    whole, cut = read_all(format="parquet", path=path), read_all(shard_size=40_000, format="parquet", path=path)
    assert 10 < len(cut.pieces) <= 15
    assert cut.rows == whole.rows
    assert [row["origin_row"] for row in cut.rows] == list(range(10_000))


#: Reads copies of a file with one byte of its footer changed, in a process that a C++ exception would end.
DAMAGE = """
import sys
sys.path[:0] = sys.argv[1:3]
from pathlib import Path
from pairmill.errors import SourceError
from sourcekit import read_all
path = Path(sys.argv[3])
data = path.read_bytes()
footer = int.from_bytes(data[-8:-4], "little") + 8
for at in range(len(data) - footer, len(data) - 8):
    path.write_bytes(data[:at] + bytes([data[at] ^ (16 << at % 3)]) + data[at + 1 :])
    try:
        read_all(format="parquet", path=str(path))
    except SourceError:
        pass
print("done", footer)
"""


def test_a_damaged_footer_never_ends_the_process(tmp_path: Path) -> None:
    table = pa.table({"anchor": ["a"] * 3, "positive": ["b"] * 3, "n": [["c"]] * 3})
    path = write(tmp_path, table, row_group_size=2, store_schema=False)
    folders = [str(Path(__file__).parents[2]), str(Path(sources.__file__).parents[3])]
    command = [sys.executable, "-c", DAMAGE, *folders, path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.stdout.startswith("done"), done.stderr[-2000:]


@pytest.mark.parametrize("cut", [4, 100, 5000])
def test_a_truncated_file_is_one_entry(tmp_path: Path, cut: int) -> None:
    path = Path(write(tmp_path, pairs(5000)))
    path.write_bytes(path.read_bytes()[:-cut])
    outcome = read_all(format="parquet", path=str(path))
    (entry,) = outcome.quarantine
    assert (entry.error, entry.data, entry.offset, outcome.records) == ("bad_parquet", str(path).encode(), 0, 1)


def test_an_empty_file_is_one_entry(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").touch()
    assert read_all(format="parquet", path=f"{tmp_path}/a.parquet").errors == {"empty_file": 1}


def test_a_file_with_no_rows_has_no_records(tmp_path: Path) -> None:
    assert read_all(format="parquet", path=write(tmp_path, pairs(0))).records == 0


def spoil(path: Path, group: int, share: float) -> None:
    """Overwrite 100 bytes of a row group's first column, so far into it."""
    column = pq.read_metadata(path).row_group(group).column(0)
    data = bytearray(path.read_bytes())
    at = column.data_page_offset + int(column.total_compressed_size * share)
    data[at : at + 100] = b"\xaa" * 100
    path.write_bytes(data)


@pytest.mark.parametrize("options", [{"compression": "zstd", "write_page_checksum": True}, {"compression": "none"}])
def test_a_corrupt_page_loses_its_row_group_and_says_how_many_rows(tmp_path: Path, options: dict[str, Any]) -> None:
    path = Path(write(tmp_path, pairs(3000), row_group_size=1000, use_dictionary=False, **options))
    spoil(path, 1, 0.5)
    outcome = read_all(format="parquet", path=str(path))
    (entry,) = outcome.quarantine
    assert (entry.error, entry.origin_row) == ("corrupt", 1000)
    assert "rows 1000 to 1999 (1000 rows)" in entry.detail
    assert [row["origin_row"] for row in outcome.rows] == [*range(1000), *range(2000, 3000)]


def test_rows_before_a_corrupt_page_are_kept(tmp_path: Path) -> None:
    options = {"data_page_size": 1000, "write_batch_size": 100, "write_page_checksum": True, "use_dictionary": False}
    path = Path(write(tmp_path, pairs(20_000), row_group_size=10_000, **options))
    spoil(path, 0, 0.9)
    outcome = read_all(format="parquet", path=str(path))
    (entry,) = outcome.quarantine
    kept = entry.origin_row
    assert kept is not None
    assert kept > 5000
    assert f"({10_000 - kept} rows)" in entry.detail
    assert [row["origin_row"] for row in outcome.rows] == [*range(kept), *range(10_000, 20_000)]


def test_all_rows_of_real_bitext_are_read(shared_data: Path) -> None:
    columns = {"anchor": "src", "positive": "tgt", "anchor_lang": "src_lang", "positive_lang": "tgt_lang"}
    path = shared_data / "bitext/udhr.parquet"
    outcome = read_all(shard_size=2_000_000, format="parquet", path=str(path), columns=columns)
    assert outcome.parsed == pq.read_metadata(path).num_rows == 27_342
    expected = pq.read_table(path, columns=["src", "tgt"])
    assert outcome.texts == list(zip(expected["src"].to_pylist(), expected["tgt"].to_pylist(), strict=True))
