"""What is submitted, and what is refused before anything is uploaded."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

import services
from pairmill.cluster.jobs import elsewhere
from pairmill.cluster.submission import Options, prepare
from pairmill.errors import SpecError

SPEC = """
kind: curate
name: words
inputs:
  - {name: corpus, format: jsonl, path: "s3://corpora/*.jsonl", columns: {anchor: src, positive: tgt}}
"""
STORAGE = "s3://bucket/runs"


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    file = tmp_path / "words.yaml"
    file.write_text(SPEC)
    return file


@pytest.fixture
def asked() -> Iterator[tuple[str, list[str]]]:
    """A server that refuses everything: its address, and what it was asked."""
    requests: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requests.append(self.path)
            self.send_error(503)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", requests
        server.shutdown()


def options(**changes: object) -> Options:
    return Options(**{"storage": STORAGE, **changes})  # type: ignore[arg-type]


def test_the_id_is_that_of_the_spec_its_overrides_and_the_storage(spec: Path, tmp_path: Path) -> None:
    first = prepare(str(spec), options()).id
    copy = tmp_path / "other.yaml"
    copy.write_text("# a comment\n" + SPEC.replace("s3://corpora/*.jsonl", "${env:NOWHERE:-s3://corpora/*.jsonl}"))
    assert first.startswith("pairmill-words-") and prepare(str(spec), options()).id == first
    others = [
        prepare(str(spec), options(sets=["filters.preset=web"])).id,
        prepare(str(spec), options(storage="s3://bucket/others")).id,
        prepare(str(spec), options(fresh=True)).id,
        prepare(str(spec), options(package=True)).id,
        prepare(str(copy), options()).id,
    ]
    assert len({first, *others}) == 6


def test_the_id_changes_with_a_file_of_the_working_directory_and_not_with_its_place(spec: Path, tmp_path: Path) -> None:
    ids = []
    for name, text in (("a", "one"), ("b", "one"), ("c", "two")):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "words.yaml").write_text(SPEC)
        (folder / "list.txt").write_text(text)
        (folder / "__pycache__").mkdir()
        (folder / "__pycache__" / "x.pyc").write_text(name)
        ids.append(prepare(str(folder / "words.yaml"), options(working_dir=str(folder))).id)
    assert ids[0] == ids[1] != ids[2]


def test_the_entrypoint_is_the_command_line_with_every_argument_quoted(spec: Path) -> None:
    made = prepare(str(spec), options(sets=["inputs.corpus.path=s3://corpora/a b.jsonl"], fresh=True))
    assert made.entrypoint == (
        "python -m pairmill run words.yaml --set 'inputs.corpus.path=s3://corpora/a b.jsonl' "
        "--storage s3://bucket/runs --fresh"
    )
    assert made.files == {"words.yaml": SPEC}
    assert made.metadata | {"owner": "", "spec": "", "pairmill": ""} == {
        "pairmill": "",
        "kind": "curate",
        "name": "words",
        "owner": "",
        "spec": "",
        "storage": STORAGE,
    }


def test_the_owner_is_who_the_environment_says(spec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAIRMILL_OWNER", "data-team")
    assert prepare(str(spec), options()).metadata["owner"] == "data-team"


def test_a_variable_that_is_not_set_here_is_left_to_the_cluster(
    spec: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "elsewhere.yaml"
    file.write_text(SPEC.replace("s3://corpora", "${env:CORPORA_OF_TESTS}"))
    made = prepare(str(file), options())
    assert "${env:CORPORA_OF_TESTS}" in made.files["elsewhere.yaml"]
    assert made.notes == ["${env:CORPORA_OF_TESTS} is read on the cluster"]
    monkeypatch.setenv("CORPORA_OF_TESTS", "s3://here")
    (note,) = prepare(str(file), options()).notes
    assert note == "${env:CORPORA_OF_TESTS} is read on the cluster (--env CORPORA_OF_TESTS would forward yours)"
    sent = prepare(str(file), options(environment=["CORPORA_OF_TESTS"]))
    assert sent.runtime_env["env_vars"]["CORPORA_OF_TESTS"] == "s3://here"
    assert not sent.notes and sent.id != made.id


@pytest.mark.parametrize(
    "name", ["AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "HF_TOKEN", "DB_PASSWORD", "API_KEY", "MY_KEY"]
)
def test_a_secret_is_not_forwarded(spec: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "hidden-value")
    with pytest.raises(SpecError, match="secret") as refused:
        prepare(str(spec), options(environment=[name]))
    assert "hidden-value" not in str(refused.value) and f"${{env:{name}}}" in str(refused.value)


def test_a_password_within_an_address_is_not_forwarded_and_names_that_only_sound_alike_are(
    spec: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://me:hidden-value@proxy:3128")
    with pytest.raises(SpecError, match="secret") as refused:
        prepare(str(spec), options(environment=["HTTPS_PROXY"]))
    assert "hidden-value" not in str(refused.value)
    harmless = {
        "TOKENIZERS_PARALLELISM": "false",
        "MAX_TOKENS": "5",
        "KEYBOARD": "de",
        "HTTP_PROXY": "http://proxy:3128",
    }
    for name, value in harmless.items():
        monkeypatch.setenv(name, value)
    sent = prepare(str(spec), options(environment=list(harmless))).runtime_env["env_vars"]
    assert sent.items() >= harmless.items()


def test_a_variable_is_named_not_set_and_must_exist(spec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOT_THERE", raising=False)
    with pytest.raises(SpecError, match="no such variable"):
        prepare(str(spec), options(environment=["NOT_THERE"]))
    with pytest.raises(SpecError, match="the name alone"):
        prepare(str(spec), options(environment=["LEVEL=3"]))


def test_a_local_storage_is_named_in_full(spec: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made = prepare(str(spec), options(storage="runs"))
    assert made.metadata["storage"] == str(tmp_path / "runs") and str(tmp_path / "runs") in made.entrypoint


def test_files_of_this_machine_that_do_not_travel_are_named(
    spec: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.jsonl").write_text("")
    sets = ["inputs.corpus.path=data/*.jsonl"]
    (note,) = prepare(str(spec), options(sets=sets)).notes
    assert note.startswith("data/*.jsonl is on this machine") and "--working-dir" in note
    with_folder = prepare("words.yaml", options(sets=sets, working_dir=".")).notes
    assert [note for note in with_folder if "on this machine" in note] == []
    (note,) = prepare(str(spec), options(sets=[f"inputs.corpus.path={tmp_path}/data/*.jsonl"])).notes
    assert "unless all nodes see it there" in note


def test_a_spec_outside_the_working_directory_is_refused(spec: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with pytest.raises(SpecError, match="not inside --working-dir"):
        prepare(str(spec), options(working_dir=str(tmp_path / "other")))
    with pytest.raises(SpecError, match="not a directory"):
        prepare(str(spec), options(working_dir=str(tmp_path / "nowhere")))


def test_a_wrong_spec_is_refused_before_the_cluster_hears_of_it(spec: Path, asked: tuple[str, list[str]]) -> None:
    address, requests = asked
    spec.write_text(SPEC.replace("name: words", "name: words\nfiltres: {}"))
    outcome = services.run_pairmill("submit", str(spec), "--address", address, "--storage", STORAGE)
    assert outcome.code == 2 and "filtres" in outcome.stderr and "Did you mean 'filters'" in outcome.stderr
    assert requests == []
    spec.write_text(SPEC)
    outcome = services.run_pairmill("submit", str(spec), "--address", address, "--storage", STORAGE)
    assert outcome.code == 1 and "job server cannot be asked" in outcome.stderr
    assert requests and "Traceback" not in outcome.output


def test_an_address_that_is_none_or_where_nobody_is_gives_the_remedy(spec: Path) -> None:
    missing = services.run_pairmill("submit", str(spec))
    assert missing.code == 2 and "RAY_API_SERVER_ADDRESS" in missing.stderr
    wrong = services.run_pairmill("list", "--address", "head:6379")
    assert wrong.code == 2 and "http://HEAD:8265" in wrong.stderr
    nobody = services.run_pairmill("list", "--address", f"http://127.0.0.1:{services.free_port()}")
    assert nobody.code == 1 and "Connection refused" in nobody.stderr and "Traceback" not in nobody.stderr


def test_addresses_of_other_machines_are_told_from_ours() -> None:
    assert list(elsewhere(["127.0.0.1", "198.51.100.7"])) == ["198.51.100.7"]  # for documents only (RFC 5737)


def test_what_is_submitted_can_be_written_as_json(spec: Path) -> None:
    made = prepare(str(spec), options(package=True))
    assert json.loads(json.dumps(made.runtime_env)) == made.runtime_env
