import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.feather as feather
import pytest

from pairmill.errors import SourceError
from sourcekit import read_all, records_of

Kind = str
FEATURES = {"anchor": {"dtype": "string", "_type": "Value"}, "label": {"names": ["no", "yes"], "_type": "ClassLabel"}}


def pairs(rows: int, start: int = 0) -> pa.Table:
    numbers = range(start, start + rows)
    return pa.table({"anchor": [f"a{i}" for i in numbers], "positive": [f"b{i}" for i in numbers]})


def write(path: Path, table: pa.Table, kind: Kind = "stream", chunk: int = 100) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "feather":
        feather.write_feather(table, str(path), compression="lz4", chunksize=chunk)
        return str(path)
    make = pa.ipc.new_stream if kind == "stream" else pa.ipc.new_file
    with make(str(path), table.schema) as writer:
        writer.write_table(table, max_chunksize=chunk)
    return str(path)


def saved(folder: Path, table: pa.Table, shards: int = 2, features: Any = None) -> str:
    """A folder as `Dataset.save_to_disk` of datasets 3 writes it."""
    size = -(-len(table) // shards)
    names = [f"data-{i:05}-of-{shards:05}.arrow" for i in range(shards)]
    for i, name in enumerate(names):
        write(folder / name, table.slice(i * size, size))
    state = {"_data_files": [{"filename": name} for name in names], "_format_type": None, "_split": None}
    (folder / "state.json").write_text(json.dumps(state))
    (folder / "dataset_info.json").write_text(json.dumps({"features": features or {}, "citation": ""}))
    return str(folder)


@pytest.mark.parametrize("kind", ["stream", "file", "feather"])
@pytest.mark.parametrize("shard_size", [1, 5000, 1 << 40])
def test_files_are_read_whole_and_in_pieces(tmp_path: Path, kind: Kind, shard_size: int) -> None:
    path = write(tmp_path / "a.arrow", pairs(1050), kind)
    outcome = read_all(shard_size=shard_size, format="arrow", path=path)
    assert outcome.texts == [(f"a{i}", f"b{i}") for i in range(1050)]
    assert [row["origin_row"] for row in outcome.rows] == list(range(1050))
    assert (len(outcome.pieces) > 3) == (shard_size < 1 << 40)
    raw = records_of(shard_size=shard_size, format="arrow", path=path, builder={"name": "news", "title": "anchor"})
    assert raw.items == {i: {"anchor": f"a{i}"} for i in range(1050)}


@pytest.mark.parametrize("kind", ["stream", "file"])
def test_dictionaries_are_read_as_their_values(tmp_path: Path, kind: Kind) -> None:
    anchors = pa.array(["x", "y", None] * 200).dictionary_encode()
    path = write(tmp_path / "a.arrow", pa.table({"anchor": anchors, "positive": ["p"] * 600}), kind)
    outcome = read_all(shard_size=1, format="arrow", path=path)
    assert [a for a, _ in outcome.texts] == ["x", "y", ""] * 200


def test_folders_of_datasets_are_read(tmp_path: Path) -> None:
    saved(tmp_path / "all" / "train", pairs(250))
    saved(tmp_path / "all" / "test", pairs(50, 250), 1)
    (tmp_path / "all" / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    outcome = read_all(format="arrow", path=f"{tmp_path}/all")
    assert sorted(outcome.texts) == sorted((f"a{i}", f"b{i}") for i in range(300))
    assert read_all(format="arrow", path=f"{tmp_path}/all/test/").records == 50
    assert read_all(format="arrow", path=f"{tmp_path}/all/{{test,train}}").records == 300
    write(tmp_path / "cache" / "x-train.arrow", pairs(7))
    (tmp_path / "cache" / "dataset_info.json").write_text("{}")
    assert read_all(format="arrow", path=f"{tmp_path}/cache").records == 7


def test_class_numbers_become_their_names(tmp_path: Path) -> None:
    table = pairs(4).append_column("label", pa.array([0, 1, -1, None], pa.int64()))
    names = ["no", "yes", None, None]
    folder = saved(tmp_path / "d", table, 1, FEATURES)
    noted = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": FEATURES}})})
    file = write(tmp_path / "b.arrow", noted)
    for path in (folder, file):
        assert [row["label"] for row in read_all(format="arrow", path=path, columns={"label": "label"}).rows] == names
        raw = records_of(format="arrow", path=path, builder={"name": "news", "title": "label"})
        assert [record["label"] for record in raw.items.values()] == names


def test_nested_values_are_python_objects_for_builders(tmp_path: Path) -> None:
    answers = [{"text": ["x"], "start": [1]}, None]
    path = write(tmp_path / "a.arrow", pa.table({"q": ["1", "2"], "answers": pa.array(answers), "unused": [1, 2]}))
    options = {"name": "news", "title": "q", "body": "answers.text"}
    assert records_of(format="arrow", path=path, builder=options).items == {
        0: {"q": "1", "answers": answers[0]}, 1: {"q": "2", "answers": None}
    }  # fmt: skip


@pytest.mark.parametrize("kind", ["stream", "file"])
@pytest.mark.parametrize("share", [0.3, 0.7, 0.99])
def test_a_truncated_file_keeps_its_whole_batches(tmp_path: Path, kind: Kind, share: float) -> None:
    path = Path(write(tmp_path / "a.arrow", pairs(10_000), kind))
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    outcome = read_all(format="arrow", path=str(path))
    (entry,) = outcome.quarantine
    assert (entry.error, entry.origin_row) == ("truncated", outcome.parsed)
    assert outcome.parsed % 100 == 0
    assert share * 9000 < outcome.parsed <= 10_000
    assert outcome.texts == [(f"a{i}", f"b{i}") for i in range(outcome.parsed)]
    cut = read_all(shard_size=20_000, format="arrow", path=str(path))
    assert (cut.rows, cut.records) == (outcome.rows, outcome.records)


def test_strings_that_are_not_utf8_cost_their_row(tmp_path: Path) -> None:
    raw = pa.array([b"fine", b"bad \xff", b"fine"], pa.binary()).view(pa.string())
    path = write(tmp_path / "a.arrow", pa.table({"anchor": raw, "positive": ["1", "2", "3"]}))
    assert read_all(format="arrow", path=path).errors == {"invalid_utf8": 1}
    found = records_of(format="arrow", path=path, builder={"name": "news", "title": "anchor"})
    assert found.errors == [("invalid_utf8", 1)]
    assert list(found.items) == [0, 2]


def test_offsets_outside_the_file_cost_their_batch(tmp_path: Path) -> None:
    path = Path(write(tmp_path / "a.arrow", pa.table({"anchor": ["xxxxxxx"] * 300, "positive": ["yyyyyyy"] * 300})))
    data = bytearray(path.read_bytes())
    at = data.index((7 * 50).to_bytes(4, "little") + (7 * 51).to_bytes(4, "little"))
    data[at : at + 4] = (1 << 30).to_bytes(4, "little")
    path.write_bytes(data)
    outcome = read_all(format="arrow", path=str(path))
    assert (outcome.parsed, outcome.errors) == (200, {"corrupt": 1})
    assert "rows 0 to 99 (100 rows)" in outcome.quarantine[0].detail


def test_what_is_no_arrow_is_one_entry(tmp_path: Path) -> None:
    (tmp_path / "a.arrow").write_bytes(b"no arrow file at all, but some text")
    (tmp_path / "b.arrow").write_bytes(b"")
    outcome = read_all(format="arrow", path=f"{tmp_path}/*.arrow")
    assert outcome.errors == {"bad_arrow": 1, "empty_file": 1}


def test_a_name_that_is_not_utf8_makes_no_arrow(tmp_path: Path) -> None:
    path = Path(write(tmp_path / "a.arrow", pairs(3)))
    path.write_bytes(path.read_bytes().replace(b"positive", b"positiv\xff"))
    assert read_all(format="arrow", path=str(path)).errors == {"bad_arrow": 1}


def test_what_cannot_be_used_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path / "a.arrow", pairs(2))
    with pytest.raises(SourceError, match="no column 'anchors'. Found: anchor, positive. Nearest: anchor"):
        read_all(format="arrow", path=path, columns={"anchor": "anchors"})
    with pytest.raises(SourceError, match="no column 'title'.* under `builder`"):
        records_of(format="arrow", path=path, builder="news")
    with pytest.raises(SourceError, match="is a directory without state.json"):
        read_all(format="arrow", path=str(tmp_path))
    (tmp_path / "p.arrow").write_bytes(b"PAR1....")
    with pytest.raises(SourceError, match="a Parquet file: use format: parquet"):
        read_all(format="arrow", path=f"{tmp_path}/p.arrow")
    (tmp_path / "state.json").write_text('{"_indices_files": [{"filename": "i.arrow"}], "_data_files": []}')
    with pytest.raises(SourceError, match="flatten_indices"):
        read_all(format="arrow", path=str(tmp_path))
