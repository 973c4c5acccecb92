"""Fuzz the parsers of all source formats (atheris), and check that their time grows linearly on hostile input.

    python tests/fuzz/parsers.py fuzz warc --seconds 300     no crash, no hang, and every record accounted for
    python tests/fuzz/parsers.py growth                      CPU time at n and 2 n bytes, and the memory it took
    python tests/fuzz/parsers.py small                       the same inputs, small: what the suite runs

The first two are run by hand: results in RESULTS.md.
"""

from __future__ import annotations

import bz2
import gzip
import io
import json
import os
import resource
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import zstandard
from pydantic import TypeAdapter

with_atheris = len(sys.argv) > 1 and sys.argv[1] == "fuzz"
if with_atheris:
    import atheris

    with atheris.instrument_imports(include=["pairmill.pairs.sources"], enable_loader_override=False):
        from pairmill.pairs import sources
else:
    from pairmill.pairs import sources

from pairmill.errors import SourceError  # noqa: E402
from pairmill.spec.inputs import Input  # noqa: E402

HTTP = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"


def warc(block: bytes, length: int | None = None) -> bytes:
    size = len(block) if length is None else length
    head = b"WARC/1.0\r\nWARC-Type: response\r\nContent-Type: application/http\r\nContent-Length: %d\r\n\r\n" % size
    return head + block + b"\r\n\r\n"


def arrow(rows: int = 3) -> bytes:
    import pyarrow as pa

    table = pa.table({"anchor": ["a"] * rows, "positive": ["b"] * rows, "n": [["c"]] * rows})
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, 2)
    return sink.getvalue()


def parquet() -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = io.BytesIO()
    pq.write_table(pa.table({"anchor": ["a"] * 3, "positive": ["b"] * 3, "n": [["c"]] * 3}), sink, 2)
    return sink.getvalue()


def mo() -> bytes:
    return struct.pack("<7I", 0x950412DE, 0, 1, 28, 36, 0, 0) + struct.pack("<4I", 1, 44, 1, 46) + b"a\0b\0"


UNIT = b'<tu><tuv xml:lang="en"><seg>a<ph>x</ph></seg></tuv><tuv lang="de"><seg>b</seg></tuv></tu>'
#: Format -> the file's name, the settings, and files to start from.
TARGETS: dict[str, tuple[str, dict[str, Any], list[bytes]]] = {
    "jsonl": ("a.jsonl", {}, [b'{"anchor": "a", "positive": "b"}\n', gzip.compress(b'{"anchor": "a"}\n')]),
    "json": ("a.json", {"records": "data"}, [b'{"data": [{"anchor": "a", "positive": "b"}]}']),
    "csv": ("a.csv", {}, [b'anchor,positive\n"a ""x""\nb",c\n', zstandard.compress(b"anchor,positive\na,b\n")]),
    "moses": ("a.{en,de}", {}, [b"a\nb\n"]),
    "gettext": ("a.po", {}, [b'msgid "a"\nmsgstr "b"\n\nmsgid "c"\nmsgid_plural "d"\nmsgstr[0] "e"\n']),
    "gettext-mo": ("a.mo", {}, [mo()]),
    "xml": (
        "a.xml",
        {},
        [b'<r><row anchor="1"/><row><anchor>b</anchor></row></r>', bz2.compress(b'<r><row a="1"/></r>')],
    ),
    "tmx": ("a.tmx", {}, [b'<tmx><header srclang="en"/><body>' + UNIT + b"</body></tmx>"]),
    "html": ("a.html", {"builder": "title-body"}, [b"<html><title>a</title>b"]),
    "warc": (
        "a.warc",
        {"builder": "title-body"},
        [
            warc(HTTP + b"a\r\n" + gzip.compress(b"<html>")),
            gzip.compress(warc(HTTP)) * 2,
            zstandard.compress(warc(HTTP)),
        ],
    ),
    "parquet": ("a.parquet", {"columns": {"negatives": "n"}}, [parquet()]),
    "arrow": ("a.arrow", {"columns": {"negatives": "n"}}, [arrow()]),
}
_INPUT: TypeAdapter[Any] = TypeAdapter(Input)
_PAGES = ("html", "warc")  # their records alone: what builders make of pages is fuzzed with them


def consume(target: str, folder: Path, data: bytes) -> int:
    """Read `data` as a file of the format, and check the account."""
    name, options, _ = TARGETS[target]
    spec = _INPUT.validate_python(
        {"name": "fuzz", "format": target.partition("-")[0], "path": str(folder / name), **options}
    )
    for one in ("a.en", "a.de") if target == "moses" else (name,):
        (folder / one).write_bytes(data if not one.endswith("de") else data[::-1])
    records = 0
    try:
        for file in sources.find(spec):
            for piece in sources.split(spec, file, 1 << 10 if len(data) < 1 << 16 else 1 << 25):
                for batch in (
                    sources.FORMATS[spec.format].records(spec, piece) if target in _PAGES else sources.read(spec, piece)
                ):
                    accounted = len(batch.items) if target in _PAGES else batch.parsed
                    count = batch.count if target in _PAGES else batch.records
                    assert count == accounted + sum(batch.no_pair.values()) + len(batch.quarantine)
                    records += count
    except SourceError:
        pass
    return records


def fuzz(target: str, seconds: int) -> None:
    """Never returns: libFuzzer ends the process, with code 0 where nothing was found."""
    folder = Path(tempfile.mkdtemp(prefix="pm-fuzz-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None))
    corpus = folder / "corpus"
    corpus.mkdir()
    for index, seed in enumerate(TARGETS[target][2]):
        (corpus / str(index)).write_bytes(seed)
    options = [
        f"-max_total_time={seconds}",
        "-timeout=20",
        "-rss_limit_mb=4000",
        "-max_len=4096",
        "-print_final_stats=1",
    ]
    atheris.Setup(
        [sys.argv[0], str(corpus), f"-artifact_prefix={target}-", *options], lambda data: consume(target, folder, data)
    )
    atheris.Fuzz()


def times(part: bytes) -> Callable[[int], bytes]:
    return lambda size: part * (size // len(part))


def wrapped(before: bytes, part: bytes, after: bytes = b"") -> Callable[[int], bytes]:
    return lambda size: before + part * (size // len(part)) + after


def members(part: bytes) -> Callable[[int], bytes]:
    return times(gzip.compress(part))


def damaged(part: bytes) -> Callable[[int], bytes]:
    member = bytearray(gzip.compress(part))
    member[-6] ^= 255
    return times(bytes(member))


#: What -> format, and the file by its size.
HOSTILE: dict[str, tuple[str, Callable[[int], bytes]]] = {
    "jsonl: one line": ("jsonl", wrapped(b'{"anchor": "', b"x", b'"}')),
    "jsonl: one line, invalid": ("jsonl", wrapped(b'{"anchor": "', b"\xff")),
    "jsonl: nested arrays": ("jsonl", times(b"[")),
    "jsonl: nested objects": ("jsonl", times(b'{"a":')),
    "jsonl: escapes": ("jsonl", wrapped(b'{"anchor": "', b"\\ud83d\\ude00", b'"}')),
    "jsonl: blank lines": ("jsonl", times(b"\n")),
    "jsonl: tiny gzip members": ("jsonl", members(b"")),
    "json: nested": ("json", times(b'{"data":[')),
    "json: rubbish in the list": ("json", wrapped(b'{"data":[', b"1,", b"1]}")),
    "csv: quotes": ("csv", wrapped(b"anchor,positive\n", b'"')),
    "csv: a quote on each line": ("csv", wrapped(b"anchor,positive\n", b'"a\n')),
    "csv: quotes that stay open": ("csv", wrapped(b'anchor,positive\n"', b'""\n')),
    "csv: delimiters": ("csv", wrapped(b"anchor,positive\n", b",")),
    "csv: one line": ("csv", wrapped(b"anchor,positive\n", b"x")),
    "moses: blank lines": ("moses", times(b"\n")),
    "po: entries that do not parse": ("gettext", times(b'msgid "a\n\n')),
    "po: one entry": ("gettext", wrapped(b'msgid ""\n', b'"a"\n', b'msgstr "b"\n')),
    "xml: starts of records": ("xml", times(b"<row ")),
    "xml: records inside records": ("xml", times(b"<row>")),
    "xml: attributes that do not end": ("xml", times(b'<row a="')),
    "xml: nested": ("xml", times(b"<a>")),
    "xml: a comment that does not end": ("xml", wrapped(b"<r><!--", b"x")),
    "xml: one attribute": ("xml", wrapped(b'<r><row anchor="', b"x", b'"/></r>')),
    "xml: attributes": ("xml", lambda n: b"<r><row %s/></r>" % b" ".join(b'a%d=""' % i for i in range(n // 11))),
    "xml: names that repeat": ("xml", wrapped(b"<r><row>", b"<a/>", b"</row></r>")),
    "xml: damaged records": ("xml", wrapped(b"<r>", b"<row>&#1;</row>")),
    "xml: references": ("xml", wrapped(b"<r><row><anchor>", b"&amp;", b"</anchor></row></r>")),
    "xml: entities inside entities": (
        "xml",
        lambda n: b"<!DOCTYPE r [<!ENTITY a '%s'>]><r><row anchor='&a;&a;&a;&a;&a;&a;&a;&a;'/></r>" % (b"x" * n),
    ),
    "tmx: units inside units": ("tmx", times(b"<tu>")),
    "tmx: variants": ("tmx", wrapped(b"<tmx><tu>", b'<tuv lang="a"><seg/></tuv>', b"</tu></tmx>")),
    "tmx: nested codes": ("tmx", wrapped(b'<tmx><tu><tuv lang="a"><seg>', b"<ph>")),
    "warc: starts of records": ("warc", times(b"WARC/1.0\r\n")),
    "warc: lengths that reach far": ("warc", times(warc(b"", 30 << 20))),
    "warc: lengths that reach too far": ("warc", times(warc(b"", 1 << 40))),
    "warc: tiny gzip members": ("warc", members(b"\r\n")),
    "warc: damaged gzip members": ("warc", damaged(warc(b"x"))),
    "warc: gzip magic": ("warc", wrapped(gzip.compress(b"WARC/")[:-4] + b"bad!", b"\x1f\x8b\x08\x00")),
    "warc: chunks": ("warc", lambda n: warc(HTTP + b"1\r\nx\r\n" * (n // 6))),
    "warc: gzip members in a body": (
        "warc", lambda n: warc(HTTP.replace(b"chunked", b"none") + gzip.compress(b"") * (n // 20))
    ),
    "warc: header lines": ("warc", lambda n: warc(b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * (n // 6) + b"\r\n")),
}  # fmt: skip
#: What -> format and a small file that stands for a very large one.
BOMBS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "jsonl: gzip of 1 GiB on one line": ("jsonl", lambda: gzip.compress(bytes(1 << 30), 1)),
    "jsonl: zstd of 4 GiB": ("jsonl", lambda: zstd_of(4 << 30)),
    "csv: bz2 of 1 GiB": ("csv", lambda: bz2.compress(b"anchor,positive\n") + bz2.compress(bytes(1 << 20)) * 1024),
    "xml: gzip of 1 GiB": ("xml", lambda: gzip.compress(b"<r><row>" + b" " * (1 << 30), 1)),
    "json: gzip of 1 GiB": ("json", lambda: gzip.compress(bytes(1 << 30), 1)),
    "html: gzip of 1 GiB": ("html", lambda: gzip.compress(bytes(1 << 30), 1)),
    "warc: gzip of 1 GiB": ("warc", lambda: gzip.compress(warc(bytes(1 << 30)), 1)),
    "warc: a body of 1 GiB": (
        "warc",
        lambda: warc(HTTP.replace(b"chunked", b"none") + gzip.compress(bytes(1 << 30), 1)),
    ),
    "warc: a body of 1 GiB, deflated": (
        "warc",
        lambda: warc(HTTP.replace(b"chunked", b"none").replace(b"gzip", b"deflate") + zlib.compress(bytes(1 << 30), 1)),
    ),
}


def zstd_of(size: int) -> bytes:
    compressor = zstandard.ZstdCompressor(level=1).compressobj()
    return b"".join(compressor.compress(bytes(1 << 24)) for _ in range(size >> 24)) + compressor.flush()


def measure(what: str, size: int) -> dict[str, float]:
    """CPU seconds and peak MiB of reading one file, in this process."""
    with tempfile.TemporaryDirectory() as folder:
        target, make = HOSTILE[what] if what in HOSTILE else BOMBS[what]
        data = make(size) if what in HOSTILE else make()  # type: ignore[call-arg]
        consume(target, Path(folder), TARGETS[target][2][0])  # imports
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        start = time.process_time()
        records = consume(target, Path(folder), data)
        spent = time.process_time() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        return {"bytes": len(data), "records": records, "seconds": spent, "mib": peak / 1024}


def growth(size: int, names: list[str]) -> int:
    """Print a row per kind of input; 1 where time grows faster than the input."""
    print(f"| input | CPU s at {size >> 20} MB | at {2 * size >> 20} MB | × | records | MiB more |")
    print("|---|--:|--:|--:|--:|--:|")
    bad = 0
    for what in [name for name in (*HOSTILE, *BOMBS) if any(part in name for part in names) or not names]:
        runs = [_apart(what, n) for n in ((size, 2 * size) if what in HOSTILE else (size,))]
        ratio = runs[-1]["seconds"] / max(runs[0]["seconds"], 0.05)
        wrong = ratio > 3.2 or runs[-1]["mib"] > 1200
        bad |= wrong
        first = f"{runs[0]['seconds']:.2f}" if len(runs) > 1 else ""
        factor = f"{ratio:.1f}" if len(runs) > 1 else ""
        last = runs[-1]
        print(f"| {what}{' **' if wrong else ''} | {first} | {last['seconds']:.2f} | {factor} | {last['records']:.0f} "
              f"| {last['mib']:.0f} |", flush=True)  # fmt: skip
    return bad


def _apart(what: str, size: int) -> dict[str, float]:
    command = [sys.executable, __file__, "measure", what, str(size)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode:
        raise SystemExit(f"{what}: ended with {done.returncode}\n{done.stderr[-2000:]}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main(arguments: list[str]) -> int:
    command, *rest = arguments or ["growth"]
    if command == "fuzz":
        fuzz(rest[0], int(rest[2]) if rest[1:2] == ["--seconds"] else 60)
    if command == "measure":
        print(json.dumps(measure(rest[0], int(rest[1]))))
        return 0
    if command == "small":
        with tempfile.TemporaryDirectory() as folder:
            for what, (target, make) in HOSTILE.items():
                print(f"{what}: {consume(target, Path(folder), make(30_000))} records")
        return 0
    return growth(2 << 20, rest)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
