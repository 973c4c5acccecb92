"""Which rows stay: every removed row has a kept partner that is like it, whatever the keys."""

from __future__ import annotations

import itertools
import json
import random

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pairmill.curate import annotate, decide, groups, shardfiles
from pairmill.curate.dedup import minhash
from pairmill.pairs import shards, sources
from pairmill.runs.storage import open_storage
from pairmill.runs.units import Units
from pairmill.spec.dedup import Dedup
from pairmill.spec.load import loads

SPEC = """
kind: curate
name: decide
inputs: [{name: texts, format: jsonl, path: "PATH", langs: {anchor: en, positive: en}, language: trust}]
filters: {preset: none}
"""


def decisions(folder, rows, *sets):
    """{row: (reason, partner)} of the rows that are removed, by the stages' unit functions without Ray."""
    path = folder / "texts.jsonl"
    path.write_text("".join(json.dumps({"anchor": a, "positive": p}) + "\n" for a, p in rows))
    spec = loads(SPEC.replace("PATH", str(path)), "decide.yaml", sets).spec
    storage = open_storage(str(folder / f"store-{abs(hash(sets))}"))
    (shard,) = shards.plan(spec.inputs, {"texts": sources.find(spec.inputs[0])}, 1 << 20)
    base = {"storage": storage.uri, "spec": spec.model_dump(mode="json"), "exclude": None, "against": None}
    base |= {"attempt": "a", "run": "r", "cwd": "."}
    named = [{"index": 0, "key": annotate.shard_key(spec, shard)}]
    annotate.annotate_shard({**base, "shard": shard, "key": named[0]["key"]})
    groups.find_groups({**base, "shards": named, "key": "g"})
    decide.decide({**base, "shards": named, "groups": "g", "prefix": "decide", "key": "d"})
    table = shardfiles.read_shard(storage, Units(storage, "decide").get("d") or {}, 0)
    return {row["pair_id"]: (row["reason"], row["duplicate_of"]) for row in table.to_pylist()}


def jaccard(a, b):
    grams = [{text[i : i + 5] for i in range(max(len(text) - 4, 1))} for text in (a.lower(), b.lower())]
    return len(grams[0] & grams[1]) / len(grams[0] | grams[1])


def texts(count):
    rng = random.Random(11)
    words = [
        f"{a}{b}" for a, b in itertools.product(("lo", "mir", "tan", "ves", "qu"), ("ra", "nel", "osk", "ib", "um"))
    ]
    base = [" ".join(rng.choices(words, k=14)) for _ in range(count)]
    return base + [text.replace("ra", "re", 1) for text in base]


@pytest.mark.parametrize("exact", ["anchor", "positive", "pair", "off"])
@pytest.mark.parametrize("near", ["anchor", "positive", "pair"])
@pytest.mark.parametrize("keep", ["first", "longest"])
def test_every_removed_row_has_a_kept_partner_that_is_like_it(exact, near, keep, tmp_path):
    rng = random.Random(5)
    pool = texts(12)
    rows = [(rng.choice(pool), rng.choice(pool)) for _ in range(150)]
    sets = [
        "dedup.exact=off" if exact == "off" else f"dedup.exact.key={exact}",
        f"dedup.near.key={near}",
        f"dedup.near.keep={keep}",
    ]
    removed = decisions(tmp_path, rows, *sets)

    def key(row, kind):
        return {"anchor": row[0], "positive": row[1], "pair": f"{row[0]} {row[1]}"}[kind]

    assert removed
    for row, (reason, partner) in removed.items():
        assert partner not in removed
        if reason == "exact_duplicate":
            assert key(rows[row], exact) == key(rows[partner], exact)
        else:
            assert jaccard(key(rows[row], near), key(rows[partner], near)) >= 0.8
    if exact != "off":
        kept = [key(row, exact) for number, row in enumerate(rows) if number not in removed]
        assert len(set(kept)) == len(kept)


_WORDS = st.lists(st.sampled_from(["mill", "pair", "stone", "water", "grain", "wheel", "!"]), max_size=8)


@settings(max_examples=200, deadline=None)
@given(
    rows=st.lists(st.tuples(_WORDS, st.integers(0, 3), st.floats(0, 1, width=32)), min_size=1, max_size=30),
    earlier=st.integers(0, 5),
    keep=st.sampled_from(["first", "longest"]),
    verify=st.sampled_from(["exact", "estimate"]),
)
def test_no_group_loses_all_its_members(rows, earlier, keep, verify):
    """Whatever is in a group: some member stays, and what is removed names a member that stays and resembles it."""
    dedup = Dedup.model_validate({"near": {"keep": keep, "verify": verify}})
    said = pa.array([" ".join(words) for words, *_ in rows], pa.large_string())
    ids = np.arange(len(rows)) - min(earlier, len(rows))  # negative: kept by an earlier run
    near = np.array([group for _, group, _ in rows]) * 1000
    same = [f"{group} {text}" for group, text in zip(near, said.to_pylist(), strict=True)]
    exact = np.unique(same, return_inverse=True)[1]
    signature = pa.array([row.tobytes() for row in minhash.signatures(said)], pa.large_binary())
    priority = np.where(ids < 0, np.inf, [p for *_, p in rows])
    columns = [pa.array(column) for column in (ids, exact, near, priority)] + [said, signature]
    table = pa.table(columns, schema=decide.rows_schema(dedup.near))
    removed = {row["pair_id"]: row for row in decide.walk(table, dedup).to_pylist()}
    group, text = dict(zip(ids.tolist(), near, strict=True)), dict(zip(ids.tolist(), said.to_pylist(), strict=True))
    assert {group[i] for i in ids.tolist() if i not in removed} == set(near)
    for i, row in removed.items():
        other = row["duplicate_of"]
        assert i >= 0 and other not in removed and group[other] == group[i]
        alike = text[i] == text[other] or verify == "estimate" or row["similarity"] >= 0.8
        assert alike and (row["reason"] == "exact_duplicate") == (text[i] == text[other])


@pytest.mark.parametrize("count", [0, 1, 30])
def test_a_corpus_without_duplicates_loses_nothing(count, tmp_path):
    rows = [(f"{number} is a number of {number * 7919}", f"{number * 104729} times") for number in range(count)]
    (tmp_path / "texts.jsonl").write_text("")
    assert decisions(tmp_path, rows) == {}
