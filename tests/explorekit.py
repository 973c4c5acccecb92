"""A storage to explore, and its server: real curate runs, one of hostile rows, and one that is not finished."""

from __future__ import annotations

import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from catalogue_job import SPEC
from corpus import catalogue_rows, json_line
from pairmill.curate.job import run_curate
from pairmill.explore.serve import prepare
from pairmill.runs.record import Run
from pairmill.runs.storage import open_storage
from pairmill.spec.load import loads

#: What would be seen in a browser if any of it acted.
HOSTILE = (
    "<script>alert('script')</script>",
    '"><img src=x onerror=alert("img")>',
    "</style></p></li></ol><iframe src='javascript:alert(1)'></iframe>",
    "<a href='javascript:alert(2)' onmouseover='alert(3)'>click</a>",
    "<link rel=stylesheet href=http://127.0.0.1:9/x.css><style>body{display:none}</style>",
    "{{ 7*7 }}{% for x in y %}${7*7}",
    "&lt;script&gt;alert('entities')&lt;/script&gt;",
    "abc\u202edetrever\u202c def \u2066isolated",
    "nul \x00 bell \x07 escape \x1b[31m backspace \x08",
    "zalgo " + "a" + "\u0301\u0302\u0303\u0327" * 40,
    '=HYPERLINK("http://127.0.0.1:9/"; 1)',
    "@SUM(1+1)*cmd|' /C calc'!A0",
    "y" * 1_000_000,
)
HOSTILE_FILE = "<img src=x onerror=alert('file')>'\"&.jsonl"
UNFINISHED = "unfinished-0123456789ab"
FOUR_SHARDS = "resources.shard_size=60000"


@dataclass(frozen=True)
class Store:
    """Where the runs are: `usual` of catalogues, `hostile`."""

    uri: str
    usual: str
    hostile: str


def make(folder: Path) -> Store:
    """Curate in the Ray of this process."""
    uri, data = str(folder / "store"), folder / "data"
    data.mkdir(parents=True)
    usual = [row for language in ("de", "fr", "ja", "ar") for row in catalogue_rows((language,))[:400]]
    near = [(f"{source}!", f"{target}!", language) for source, target, language in usual[::9]]
    lines = [json_line(row) for row in [*usual, *usual[:50], *near]]
    (data / "usual.jsonl").write_bytes(b"".join([*lines, b'{"src": "broken\n', b"\xff\xfe no text\n"]))
    rows = [(text, f"{text} \u0627\u0644\u0633\u0644\u0627\u0645", "ar") for text in HOSTILE]
    broken = b'{"src": "<script>alert(4)</script>\n'
    (data / HOSTILE_FILE).write_bytes(b"".join([*map(json_line, rows), broken]))
    kept = ("filters.preset=none", "clean.entities=keep", "clean.control=keep")
    hostile_file = str(data / HOSTILE_FILE).replace("'", "?").replace('"', "?")
    return Store(
        uri,
        _curate(uri, "usual", str(data / "usual.jsonl"), FOUR_SHARDS),
        _curate(uri, "hostile", hostile_file, *kept),
    )


def _curate(uri: str, name: str, path: str, *sets: str) -> str:
    loaded = loads(SPEC.format(path=path), "test.yaml", [f"name={name}", *sets])
    outcome = run_curate(loaded, uri, None, False, "pairmill run test.yaml", lambda line: None)
    _leave_unfinished(outcome.run)
    return outcome.run.id


def _leave_unfinished(run: Run) -> None:
    """Beside a run, what a killed driver leaves: a record that says `running`, kept files that no manifest names."""
    storage = open_storage(run.storage.uri)
    record = {k: v for k, v in (run.record() or {}).items() if k not in ("manifest", "summary", "kept", "finished")}
    left = Run(storage, UNFINISHED)
    left.write_record({**record, "id": UNFINISHED, "state": "running"})
    manifest = run.manifest()
    assert manifest is not None
    entry = manifest["files"]["kept"][0]
    storage.put(left.path("kept/000000-left.parquet"), storage.get(entry["path"]) or b"")


@contextmanager
def serving(uri: str, token: str | None = None) -> Iterator[str]:
    """The explorer's real server on a free port, in a thread: the address to open."""
    server, listening, address = prepare(uri, "127.0.0.1", 0, token)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        yield address
    finally:
        server.should_exit = True
        thread.join(10)


@dataclass(frozen=True)
class Answer:
    """What a server said."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *arguments: object) -> None:
        return None


def get(address: str, **headers: str) -> Answer:
    """An answer, whatever its status; redirections are not followed."""
    request = urllib.request.Request(address, headers=headers)
    try:
        with urllib.request.build_opener(_Stay).open(request, timeout=60) as answer:
            return Answer(answer.status, dict(answer.headers), answer.read())
    except urllib.error.HTTPError as error:
        return Answer(error.code, dict(error.headers), error.read())
