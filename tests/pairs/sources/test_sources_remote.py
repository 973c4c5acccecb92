"""The same files in an object store (moto's S3 server) as on disk."""

import gzip
from pathlib import Path
from typing import Any

import obstore
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from test_sources_arrow import pairs, saved
from test_sources_warc import MANY, PAGE

from pairmill import objects
from pairmill.errors import SourceError
from sourcekit import read_all, records_of

LINES = b"".join(b'{"anchor": "a%d", "positive": "b"}\n' % index for index in range(2000))


def _dataset(tmp_path: Path) -> dict[str, bytes]:
    """A folder of `datasets` with two splits, by key."""
    saved(tmp_path / "h" / "all" / "train", pairs(1000))
    saved(tmp_path / "h" / "all" / "test", pairs(50, 1000))
    (tmp_path / "h" / "all" / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    files = (path for path in tmp_path.glob("h/**/*") if path.is_file())
    return {str(path.relative_to(tmp_path)): path.read_bytes() for path in files}


@pytest.fixture
def bucket(s3_env: Any, tmp_path: Path) -> str:
    uri = s3_env.bucket("sources")
    objects.bucket.cache_clear()
    store = objects.bucket(uri)
    pq.write_table(
        pa.table({"anchor": ["x"] * 999, "positive": ["y"] * 999}), tmp_path / "p.parquet", row_group_size=100
    )
    files = {
        "d/a.jsonl": LINES,
        "d/b.jsonl.gz": gzip.compress(LINES),
        "d/deep/c.jsonl": LINES,
        "other/d.jsonl": LINES,
        "m/c.en": b"one\ntwo\n" * 500,
        "m/c.de": b"eins\nzwei\n" * 500,
        "p/p.parquet": (tmp_path / "p.parquet").read_bytes(),
        "t/t.csv": b"anchor,positive\na,b\n",
        "g/de.mo": b"no catalogue, but long enough",
        "j/a.json": b'{"data": [{"anchor": "a", "positive": "b"}]}',
        "x/a.xml.gz": gzip.compress(b"<r>" + b'<row anchor="a" positive="b"/>' * 300 + b"</r>"),
        "x/a.tmx": b"<tmx>" + b'<tu><tuv lang="en"><seg>a</seg></tuv><tuv lang="de"><seg>b</seg></tuv></tu>' * 30,
        "w/a.warc.gz": b"".join(map(gzip.compress, MANY)),
        "w/a.html": PAGE,
        **_dataset(tmp_path),
    }
    for name, data in files.items():
        obstore.put(store, name, data)
    return str(uri)


@pytest.mark.parametrize(
    ("settings", "records"),
    [
        ({"format": "jsonl", "path": "d/*.jsonl*"}, 4000),
        ({"format": "jsonl", "path": "{d/**,other}/?.jsonl"}, 6000),
        ({"format": "moses", "path": "m/*.{en,de}"}, 1000),
        ({"format": "parquet", "path": "p/p.parquet"}, 999),
        ({"format": "csv", "path": "t/*.csv"}, 1),
        ({"format": "gettext", "path": "g/de.mo"}, 1),
        ({"format": "json", "path": "j/a.json", "records": "data"}, 1),
        ({"format": "xml", "path": "x/a.xml.gz"}, 300),
        ({"format": "tmx", "path": "x/*.tmx"}, 31),
        ({"format": "arrow", "path": "h/all"}, 1050),
        ({"format": "arrow", "path": "h/all/train/*.arrow"}, 1000),
    ],
)
def test_every_format_reads_objects(bucket: str, settings: dict[str, str], records: int) -> None:
    settings = {**settings, "path": f"{bucket}/{settings['path']}"}
    whole = read_all(**settings)
    assert whole.records == records
    assert all(row["origin_file"].startswith(bucket) for row in whole.rows)
    cut = read_all(shard_size=4000, **settings)
    assert cut.rows == whole.rows


def test_pages_are_read_from_objects(bucket: str) -> None:
    assert len(records_of(format="warc", path=f"{bucket}/w/*.warc.gz").items) == len(MANY)
    assert records_of(format="html", path=f"{bucket}/w/a.html").items == {
        0: {"url": f"{bucket}/w/a.html", "html": PAGE}
    }


def test_large_objects_are_cut_into_ranges(bucket: str) -> None:
    assert len(read_all(shard_size=10_000, format="jsonl", path=f"{bucket}/d/a.jsonl").pieces) > 5


@pytest.mark.parametrize("name", ["d/none.jsonl", "d/none*.jsonl"])
def test_missing_objects_are_an_error(bucket: str, name: str) -> None:
    with pytest.raises(SourceError, match=r"input 'mine': .*none.*(does not exist|matches no file)"):
        read_all(format="jsonl", path=f"{bucket}/{name}")


def test_a_missing_bucket_is_an_error(s3_env: Any) -> None:
    objects.bucket.cache_clear()
    with pytest.raises(SourceError, match=r"input 'mine': s3://no-such-bucket"):
        read_all(format="jsonl", path="s3://no-such-bucket/a*.jsonl")
