"""A builder that brings files together, through the whole job: ledger, origin and resumption."""

from __future__ import annotations

import json

import pytest

from pairmill.curate import annotate
from pairmill.curate.job import run_curate
from pairmill.pairs import shards, sources
from pairmill.spec.load import loads
from reading import table

SPEC = """
kind: curate
name: reddit
inputs:
  - name: comments
    format: jsonl
    path: "{folder}/RC_*.jsonl"
    builder: {{name: reddit, posts: "{folder}/RS_*.jsonl"}}
    langs: {{anchor: en, positive: en}}
    language: trust
filters: {{preset: none}}
dedup: {{near: off}}
"""
WORDS = ("parser", "reads", "table", "rows", "every", "line", "counted", "once", "before", "goes", "on")


def sentence(number: int) -> str:
    return " ".join(WORDS[number * step % len(WORDS)] for step in range(1, 9)) + f" {number}"


@pytest.fixture
def dump(tmp_path):
    for month in ("01", "02"):
        posts = [{"id": f"p{n}", "title": f"Why does {sentence(n)}?", "over_18": n == 3} for n in range(20)]
        comments = [
            {"id": f"c{n}", "parent_id": f"t1_c{n // 2}" if n >= 40 else f"t3_p{n % 20}", "score": n % 5, "body": body}
            for n, body in enumerate(map(sentence, range(300)))
        ]
        for name, records in (("RS", posts), ("RC", comments)):
            data = "".join(json.dumps(record) + "\n" for record in records) + '{"cut\n'
            (tmp_path / f"{name}_{month}.jsonl").write_text(data)
    return tmp_path


@pytest.mark.usefixtures("local_ray")
def test_ledger_of_a_job_balances_and_rows_name_the_file_of_the_response(tmp_path, dump):
    loaded = loads(SPEC.format(folder=dump), "test.yaml")
    outcome = run_curate(loaded, str(tmp_path / "store"), None, False, "pairmill run test.yaml", lambda line: None)
    total = outcome.summary["ledger"]["total"]
    assert total["records_in"] == 2 * (20 + 300 + 2)
    assert total["quarantine"] == {"malformed_json": 4}
    assert total["no_pair"]["post"] == 40
    assert total["no_pair"]["low_score"] == 2 * 60
    kept = table(outcome.run, "kept")
    assert len(kept) == total["kept"] > 100
    assert set(kept["form"].to_pylist()) == {"post-comment"}
    for row in kept.to_pylist():
        with open(row["origin_file"], encoding="utf-8") as file:
            assert json.loads(file.readlines()[row["origin_row"]])["body"] == row["positive"]


def test_chunks_committed_before_a_crash_are_skipped_exactly(dump):
    spec = loads(SPEC.format(folder=dump), "test.yaml").spec
    (spec_input,) = spec.inputs
    (shard, *_) = shards.plan(spec.inputs, {"comments": sources.find(spec_input)}, 1)
    batches = list(annotate._batches(spec_input, shard))
    for cut in range(len(batches) + 1):
        done = sum(batch.records for batch in batches[:cut])
        rest = list(annotate._after(annotate._batches(spec_input, shard), done))
        assert [batch.pairs.to_pylist() for batch in rest] == [batch.pairs.to_pylist() for batch in batches[cut:]]
