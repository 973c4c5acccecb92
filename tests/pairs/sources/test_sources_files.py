import bz2
import gzip
import os
import subprocess
import sys
from pathlib import Path

import pytest
import zstandard

from pairmill.errors import SourceError
from pairmill.pairs import sources
from pairmill.pairs.sources.globs import alternatives, expression
from pairmill.pairs.sources.streams import Damaged, decompressed
from sourcekit import read_all, spec_of

LINE = b'{"anchor": "a", "positive": "b"}\n'
COMPRESS = {"gz": gzip.compress, "bz2": bz2.compress, "zst": zstandard.compress}


def find_names(folder: Path, pattern: str) -> list[str]:
    spec = spec_of(format="jsonl", path=f"{folder}/{pattern}")
    return [str(Path(file.uris[0]).relative_to(folder)) for file in sources.find(spec)]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("a.jsonl", "b.jsonl", "b.txt", ".hidden.jsonl", "deep/c.jsonl", "deep/er/d.jsonl", "x[1].jsonl"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(LINE)
    return tmp_path


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("*.jsonl", ["a.jsonl", "b.jsonl", "x[1].jsonl"]),
        ("?.jsonl", ["a.jsonl", "b.jsonl"]),
        ("b.{txt,jsonl}", ["b.jsonl", "b.txt"]),
        ("**/*.jsonl", ["a.jsonl", "b.jsonl", "deep/c.jsonl", "deep/er/d.jsonl", "x[1].jsonl"]),
        ("deep/**", ["deep/c.jsonl", "deep/er/d.jsonl"]),
        ("*/c.jsonl", ["deep/c.jsonl"]),
        ("x[1].jsonl", ["x[1].jsonl"]),
        ("{a,deep/c}.jsonl", ["a.jsonl", "deep/c.jsonl"]),
    ],
)
def test_patterns_name_files_in_canonical_order(tree: Path, pattern: str, names: list[str]) -> None:
    assert find_names(tree, pattern) == names


def test_a_file_named_twice_is_read_once(tree: Path) -> None:
    outcome = read_all(format="jsonl", path=[f"{tree}/a.jsonl", f"{tree}/*.jsonl"])
    assert outcome.records == 3


def test_relative_paths_stay_relative_in_the_origin(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree)
    rows = read_all(format="jsonl", path="deep/*.jsonl").rows
    assert [row["origin_file"] for row in rows] == ["deep/c.jsonl"]


def test_links_in_a_circle_end(tree: Path) -> None:
    (tree / "deep" / "back").symlink_to(tree)
    assert find_names(tree, "**/d.jsonl") == ["deep/er/d.jsonl"]


def test_linked_directories_are_followed(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("other")
    (other / "link").symlink_to(tree / "deep")
    assert find_names(other, "link/*.jsonl") == ["link/c.jsonl"]


def test_alternatives_nest() -> None:
    assert sorted(alternatives("{a,b{1,2}}.x")) == ["a.x", "b1.x", "b2.x"]
    assert alternatives("{a}.x") == ["{a}.x"]


@pytest.mark.parametrize("name", ["a.jsonl", "a\nb.jsonl", "a+b.jsonl"])
def test_wildcards_match_any_character_but_a_slash(name: str) -> None:
    assert expression("*.jsonl").fullmatch(name)
    assert not expression("*.jsonl").fullmatch("d/" + name)


def test_a_pattern_without_a_match_says_where_it_looked(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"input 'mine'.*none\*.jsonl' matches no file.*Correct the path"):
        find_names(tmp_path, "none*.jsonl")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"input 'mine'.*gone.jsonl does not exist"):
        find_names(tmp_path, "gone.jsonl")


@pytest.mark.parametrize("pattern", ["d.jsonl", "*.jsonl"])
def test_a_directory_in_place_of_a_file_is_an_error(tmp_path: Path, pattern: str) -> None:
    (tmp_path / "d.jsonl").mkdir()
    with pytest.raises(SourceError, match=r"d.jsonl is a directory. Name the files inside it"):
        find_names(tmp_path, pattern)


def test_a_pipe_is_refused_instead_of_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "p.jsonl")
    with pytest.raises(SourceError, match="not a regular file"):
        find_names(tmp_path, "p.jsonl")


_AS_NOBODY = """
import os, sys
if os.getuid() == 0:
    os.setgid(65534), os.setuid(65534)
from pairmill.errors import SourceError
from sourcekit import read_all
try:
    read_all(format="jsonl", path=sys.argv[1])
except SourceError as error:
    print("refused:", error)
"""


@pytest.mark.parametrize(("mode_of", "pattern"), [("secret.jsonl", "secret.jsonl"), ("", "*.jsonl")])
def test_a_file_or_folder_that_may_not_be_read_is_named(tmp_path: Path, mode_of: str, pattern: str) -> None:
    import tempfile

    import pairmill

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "secret.jsonl").write_bytes(LINE)
        (folder / mode_of).chmod(0o000)
        source_root, here = Path(pairmill.__file__).parents[1], Path(__file__).parents[2]
        code = f"import sys\nsys.path[:0] = [{str(source_root)!r}, {str(here)!r}]\nimport pairmill.pairs.sources\n"
        loaded = "import sourcekit\n"
        done = subprocess.run(
            [sys.executable, "-c", code + loaded + _AS_NOBODY, f"{folder}/{pattern}"], capture_output=True, text=True
        )
        folder.chmod(0o755)
    assert "refused: input 'mine'" in done.stdout, done.stderr
    assert "may not be read" in done.stdout
    assert "chmod" in done.stdout


def test_a_file_changed_after_the_listing_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(LINE)
    spec = spec_of(format="jsonl", path=str(path))
    (file,) = sources.find(spec)
    (piece,) = sources.split(spec, file, 1000)
    path.write_bytes(LINE * 2)
    with pytest.raises(SourceError, match="has changed since the job listed it"):
        list(sources.read(spec, piece))


@pytest.mark.parametrize("compress", COMPRESS.values(), ids=COMPRESS)
@pytest.mark.parametrize("extension", ["right", ""])
def test_compression_is_told_by_the_first_bytes(tmp_path: Path, compress, extension: str) -> None:
    name = "a.jsonl" + (f".{next(k for k, v in COMPRESS.items() if v is compress)}" if extension else "")
    (tmp_path / name).write_bytes(compress(LINE * 1000))
    outcome = read_all(format="jsonl", path=str(tmp_path / name))
    assert outcome.parsed == 1000
    assert [row["origin_row"] for row in outcome.rows] == list(range(1000))


@pytest.mark.parametrize("compress", COMPRESS.values(), ids=COMPRESS)
def test_several_members_are_one_file(tmp_path: Path, compress) -> None:
    data = compress(LINE * 10 + LINE[:5]) + compress(LINE[5:]) + compress(b"") + compress(LINE * 3)
    (tmp_path / "a.jsonl.x").write_bytes(data)
    outcome = read_all(format="jsonl", path=str(tmp_path / "a.jsonl.x"))
    assert (outcome.parsed, outcome.records) == (14, 14)


@pytest.mark.parametrize("extension", COMPRESS)
def test_a_truncated_file_keeps_the_readable_prefix(tmp_path: Path, extension: str) -> None:
    lines = [b'{"anchor": "%d %s", "positive": "b"}\n' % (i, os.urandom(20).hex().encode()) for i in range(20_000)]
    data = COMPRESS[extension](b"".join(lines))
    path = tmp_path / f"a.jsonl.{extension}"
    path.write_bytes(data[: len(data) * 2 // 3])
    outcome = read_all(format="jsonl", path=str(path))
    (entry,) = outcome.quarantine
    assert entry.error == "truncated"
    assert 5_000 < outcome.parsed < 15_000
    assert outcome.records == outcome.parsed + 1
    assert entry.origin_row == outcome.parsed
    assert entry.offset == sum(map(len, lines[: outcome.parsed])) + len(entry.data)
    assert lines[outcome.parsed].startswith(entry.data)
    assert str(len(data) * 2 // 3) in entry.detail


@pytest.mark.parametrize("extension", COMPRESS)
def test_a_corrupt_file_keeps_what_comes_before(tmp_path: Path, extension: str) -> None:
    lines = [b'{"anchor": "%d %s", "positive": "b"}\n' % (i, os.urandom(20).hex().encode()) for i in range(60_000)]
    data = bytearray(COMPRESS[extension](b"".join(lines)))
    middle = len(data) // 2
    data[middle : middle + 200] = bytes(200)
    path = tmp_path / f"a.jsonl.{extension}"
    path.write_bytes(data)
    outcome = read_all(format="jsonl", path=str(path))
    assert outcome.parsed > 10_000
    last = outcome.quarantine[-1]
    assert last.error == "corrupt"
    assert outcome.records == outcome.parsed + outcome.no_pair.total() + len(outcome.quarantine)
    good = [row for row in outcome.rows if row["origin_row"] < 10_000]
    assert all(row["anchor"].startswith(f"{row['origin_row']} ") for row in good)


def test_bytes_after_the_end_of_a_gzip_file_are_reported_and_padding_is_not(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(LINE * 5) + b"garbage")
    outcome = read_all(format="jsonl", path=str(path))
    assert (outcome.parsed, dict(outcome.errors)) == (5, {"corrupt": 1})
    path.write_bytes(gzip.compress(LINE * 5) + bytes(1000))
    outcome = read_all(format="jsonl", path=str(path))
    assert (outcome.parsed, dict(outcome.errors)) == (5, {})


def test_a_file_that_is_not_compressed_as_named_is_quarantined(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl.gz").write_bytes(LINE)
    outcome = read_all(format="jsonl", path=str(tmp_path / "a.jsonl.gz"))
    (entry,) = outcome.quarantine
    assert (entry.error, outcome.records, entry.data) == ("bad_compression", 1, str(tmp_path / "a.jsonl.gz").encode())


@pytest.mark.parametrize("data", [b"", gzip.compress(b"")], ids=["0 bytes", "gzip of nothing"])
def test_an_empty_file_is_one_entry(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.jsonl").write_bytes(data)
    outcome = read_all(format="jsonl", path=str(tmp_path / "a.jsonl"))
    assert (outcome.records, dict(outcome.errors)) == (1, {"empty_file": 1})


@pytest.mark.parametrize("wrap", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf16_is_refused_with_the_remedy(tmp_path: Path, wrap, encoding: str) -> None:
    (tmp_path / "a.jsonl").write_bytes(wrap("\ufeff{}\n".encode(encoding)))
    with pytest.raises(SourceError, match="is UTF-16 text.*iconv"):
        find_names(tmp_path, "a.jsonl")


def test_an_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl.xz").write_bytes(b"\xfd7zXZ\0" + bytes(50))
    with pytest.raises(SourceError, match="is a xz file. Allowed: plain, .gz, .zst, .bz2"):
        find_names(tmp_path, "*.xz")


@pytest.mark.parametrize("name", COMPRESS)
def test_blocks_stay_small_whatever_they_expand_to(name: str) -> None:
    codec = {"gz": "gzip", "bz2": "bz2", "zst": "zstd"}[name]
    data = COMPRESS[name](bytes(300 << 20))
    sizes = [len(block) for block in decompressed(iter([data]), codec)]
    assert sum(sizes) == 300 << 20
    assert max(sizes) <= 160 << 20


def test_the_damage_of_a_truncated_stream_comes_after_its_bytes() -> None:
    data = gzip.compress(b"x" * 100_000 + os.urandom(1000))
    blocks = decompressed(iter([data[:-500]]), "gzip")
    assert next(blocks).startswith(b"x" * 100_000)
    with pytest.raises(Damaged, match="truncated"):
        next(blocks)
