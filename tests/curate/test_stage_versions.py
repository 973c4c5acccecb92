"""Golden outputs of the stages: a change of output without a change of version would let old and new results mix.

When a test here fails and the new output is right: raise the VERSION of what changed (stage, source, cleaning, rule,
engine, kernel), then run `python tests/curate/test_stage_versions.py` to renew `golden.json`.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from pathlib import Path
from typing import Any

import pytest

from pairmill.curate import annotate, decide, groups, select, shardfiles
from pairmill.pairs import shards, sources
from pairmill.runs.storage import open_storage
from pairmill.runs.units import Units
from pairmill.spec.load import loads

GOLDEN = Path(__file__).parent / "golden.json"
GERMAN = "Speichern Sie Ihre Arbeit, bevor Sie das Fenster schließen."
TEXTS = [
    ("Save your work before you close the window.", GERMAN, "de"),
    ("Save your work before you close this window.", GERMAN, "de"),
    ("Save your work before you close the window.", GERMAN, "de"),
    ("The file %s has 3 lines.", "Le fichier %s contient 3 lignes.", "fr"),
    ("The file %s has 3 lines.", "Le fichier contient 4 lignes.", "fr"),
    ("OK", "OK", "fr"),
    ("", "Vide", "fr"),
    ("A &amp; B\u200b are  here", "A et B sont ici", "fr"),
    ("The meeting was held in the town hall on Monday.", "会議は月曜日に市庁舎で開かれた。", "ja"),
    ("The meeting was held in the town hall on Monday.", "The meeting was held in the town hall", "ja"),
    ("See http://example.org/a/very/long/path", "http://example.org/a/very/long/path", "de"),
    ("Peace be upon you", "السلام عليكم", "ar"),
]
SPEC = """
kind: curate
name: golden
inputs:
  - name: texts
    format: jsonl
    path: "texts.jsonl"
    columns: {anchor: a, positive: p, positive_lang: lang}
    langs: {anchor: en}
"""


def outputs(folder: Path) -> dict[str, dict[str, Any]]:
    """Each stage's versions and a digest of what it makes of TEXTS; the stages' unit functions without Ray."""
    lines = [json.dumps({"a": a, "p": p, "lang": lang}, ensure_ascii=False) for a, p, lang in TEXTS]
    (folder / "texts.jsonl").write_text("\n".join([*lines, "{broken"]) + "\n", encoding="utf-8")
    spec = loads(SPEC.replace('"texts.jsonl"', json.dumps(str(folder / "texts.jsonl"))), "golden.yaml").spec
    storage = open_storage(str(folder / "store"))
    (shard,) = shards.plan(spec.inputs, {"texts": sources.find(spec.inputs[0])}, 1 << 20)
    base: dict[str, Any] = {"storage": storage.uri, "spec": spec.model_dump(mode="json")}
    base |= {"attempt": "golden", "run": "golden", "exclude": None, "against": None}
    shard["key"] = annotate.shard_key(spec, shard)
    annotate.annotate_shard({**base, "shard": shard, "key": shard["key"]})
    named = [{"index": 0, "key": shard["key"]}]
    groups.find_groups({**base, "shards": named, "key": "groups"})
    decided = {"prefix": "decide", "key": "decisions"}
    decide.decide({**base, "shards": named, "groups": "groups", **decided})
    select.select_shard({**base, "shard": shard, "decided": decided, "prefix": "select"})
    meaning = annotate.meaning(spec, spec.inputs[0])
    annotated = [table for _, table in shardfiles.read(storage, shard["key"], annotate.schema(spec).names)]
    grouped = shardfiles.read_shard(storage, Units(storage, groups.PREFIX).get("groups") or {}, 0)
    decisions = shardfiles.read_shard(storage, Units(storage, "decide").get("decisions") or {}, 0)
    files = (Units(storage, "select").get("000000") or {})["files"]
    selected = [storage.open_parquet(files[part]).read() for part in ("kept", "rejected")]
    versions = {name: module.VERSION for name, module in (("groups", groups), ("decide", decide), ("select", select))}
    return {
        "annotate": {"versions": {**meaning, "parse": meaning["parse"]["version"]}, "digest": digest(annotated)},
        "groups": {"versions": versions["groups"], "digest": digest([grouped])},
        "decide": {"versions": versions["decide"], "digest": digest([decisions])},
        "select": {"versions": versions["select"], "digest": digest(selected)},
    }


def digest(tables: list[Any]) -> str:
    rows = [row for table in tables for row in table.to_pylist()]
    for row in rows:
        row.pop("origin_file", None)
    return hashlib.sha256(repr(rows).encode()).hexdigest()[:16]


@pytest.mark.parametrize("stage", ["annotate", "groups", "decide", "select"])
def test_a_stages_output_changes_only_with_its_version(stage, tmp_path):
    golden = json.loads(GOLDEN.read_text())
    found = json.loads(json.dumps(outputs(tmp_path)))
    if found["annotate"]["versions"]["signature"][2] != golden["annotate"]["versions"]["signature"][2]:
        pytest.skip("another version of Unicode than the golden file's: signatures are keyed by it and may differ")
    if found[stage]["digest"] != golden[stage]["digest"]:
        assert found[stage]["versions"] != golden[stage]["versions"], f"{stage} changed without its VERSION"
        pytest.fail(f"{stage}: the version was raised; renew the golden file: python {Path(__file__).name}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        GOLDEN.write_text(json.dumps(outputs(Path(folder)), indent=1, sort_keys=True) + "\n")
