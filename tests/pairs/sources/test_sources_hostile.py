"""Input that is made to crash a parser, to hang it or to fill memory."""

import gzip
import subprocess
import sys
from pathlib import Path

import pytest
import zstandard

from sourcekit import records_of

ROOT = Path(__file__).parents[3]
SCRIPT = ROOT / "tests" / "fuzz" / "parsers.py"
#: Reads the file of its arguments in 0.5 GiB of address space beyond what its imports took.
READ = """
import resource, sys
sys.path[:0] = sys.argv[1:3]
from sourcekit import records_of
for path in sys.argv[4:]:  # once small, for what is imported late
    builder = {"name": "title-body"} | ({} if sys.argv[3] in ("html", "warc") else {"html": "a"})
    records_of(format=sys.argv[3], path=path.replace("bomb", "small"), builder=builder)
    used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + (1 << 29), -1))
    raw = records_of(format=sys.argv[3], path=path, builder=builder)
    print(raw.errors)
"""


def test_hostile_files_of_every_format_end_and_are_accounted_for() -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "small"], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count(" records") > 35


SMALL = {"jsonl": b'{"a": "x"}\n', "xml": b"<r><row a='1'/></r>", "html": b"<html>", "warc": b"WARC/1.0\r\n"}


@pytest.mark.parametrize("format", SMALL)
def test_small_files_that_stand_for_huge_ones_are_bounded(tmp_path: Path, format: str) -> None:
    start = {"xml": b"<r><row>", "warc": b"WARC/1.0\r\nContent-Length: 9999999999\r\n\r\n"}.get(format, b" ")
    zeros = b" " * (16 << 20)
    bomb = gzip.compress(start) + gzip.compress(zeros, 1) * 40
    (tmp_path / "bomb.gz").write_bytes(bomb)
    (tmp_path / "bomb.zst").write_bytes(zstandard.compress(start) + zstandard.compress(zeros) * 40)
    for name in ("small.gz", "small.zst"):
        small = gzip.compress(SMALL[format]) if name.endswith("gz") else zstandard.compress(SMALL[format])
        (tmp_path / name).write_bytes(small)
    folders = [str(ROOT / "tests"), str(ROOT / "platform")]
    paths = [f"{tmp_path}/bomb.gz", f"{tmp_path}/bomb.zst"]
    command = [sys.executable, "-c", READ, *folders, format, *paths]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("too_long") >= 2


def test_tiny_gzip_members_are_not_copied_over_and_over(tmp_path: Path) -> None:
    line = gzip.compress(b'{"a": "x"}\n')
    (tmp_path / "a.jsonl.gz").write_bytes(line * 20_000)
    raw = records_of(format="jsonl", path=f"{tmp_path}/a.jsonl.gz", builder={"name": "title-body", "html": "a"})
    assert len(raw.items) == 20_000
