"""All builders: each has options, a form and a section in the documentation; a run keeps what they make."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from recordkit import jsonl

from pairmill.curate.job import run_curate
from pairmill.pairs.batch import Quarantined
from pairmill.pairs.builders import EXPANDING, JOINING, NAMED_LANGS, SINGLE, nli
from pairmill.pairs.builders.base import BATCH_CHARS, Pair, batches, expanded
from pairmill.pairs.builders.lookup import Lookup
from pairmill.pairs.sources.records import Records
from pairmill.spec.builders import FORMS
from pairmill.spec.inputs import Langs
from pairmill.spec.load import loads
from pairmill.spec.record_builders import RECORD_BUILDERS as MODELS
from reading import table
from services import ROOT

INNER = (
    "text",
    "title",
    "name",
    "value",
    "type",
    "role",
    "content",
    "context",
    "qas",
    "question",
    "answers",
    "answer_start",
    "annotations",
    "abstract",
    "start",
    "end",
    "has_parts",
    "language",
    "translation",
    "identifier",
    "model",
    "en",
    "paragraphs",
)
SPEC = """
kind: curate
name: builders
inputs:
  - {{name: news, format: jsonl, path: "{folder}/news.jsonl", builder: news}}
  - {{name: squad, format: jsonl, path: "{folder}/squad.jsonl", builder: squad}}
  - {{name: nli, format: jsonl, path: "{folder}/nli.jsonl", builder: {{name: nli, negatives: 2}}}}
  - {{name: code, format: jsonl, path: "{folder}/code.jsonl", builder: code, langs: {{anchor: en}}, language: trust}}
filters: {{preset: none}}
"""


def test_every_builder_has_options_a_form_and_a_place_in_the_guide() -> None:
    assert {*SINGLE, *JOINING} == set(FORMS) and not {*SINGLE} & {*JOINING}
    assert {*EXPANDING, *NAMED_LANGS} <= set(SINGLE)
    guide = (ROOT / "docs" / "builders.md").read_text()
    assert set(re.findall(r"^### `([a-z-]+)`", guide, re.M)) == set(FORMS)


RECORD_BUILDERS = {model.model_fields["name"].annotation.__args__[0]: model for model in MODELS}
TEXTS = ["", " ", "a", "user", "[", "[]", '[{"start": 0, "end": 1}]', "0"]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 9) | st.sampled_from(TEXTS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(INNER), inner, max_size=4),
    max_leaves=8,
)


@pytest.mark.parametrize("name", sorted(RECORD_BUILDERS))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_any_object_is_pairs_a_reason_or_a_wrong_record(name: str, data: st.DataObject) -> None:
    options = RECORD_BUILDERS[name](name=name)
    names = st.sampled_from([*options.fields(), "ns", "redirect@title"])
    records = data.draw(st.lists(st.dictionaries(names, VALUES, max_size=6), min_size=1, max_size=12))
    some = Records("file", list(enumerate(records)), len(records))
    if name == "nli":
        with Lookup() as contradictions, Lookup() as translations:
            known = nli.Known(options, contradictions, translations)
            known.add(records)
            known.ask(records)
            (made,) = batches(some, known.build, Langs())
    else:
        expand = EXPANDING.get(name, lambda record, options: [])
        (*_, some) = expanded(iter([some]), expand, options, 1 << 20)
        (made,) = batches(some, lambda row, record: SINGLE[name](record, options), Langs())
    assert made.records == made.parsed + sum(made.no_pair.values()) + len(made.quarantine)
    assert all(row["anchor"] and row["positive"] for row in made.pairs.to_pylist())


@pytest.mark.usefixtures("local_ray")
def test_a_run_keeps_what_builders_make_and_balances(tmp_path: Path) -> None:
    jsonl(
        tmp_path / "news.jsonl",
        {"title": "A headline", "maintext": "The story itself."},
        {"title": "No story"},
        b"{cut",
    )
    context = {
        "context": "A passage of text.",
        "qas": [{"question": f"What is {n}?", "answers": ["A"]} for n in range(5)],
    }
    jsonl(
        tmp_path / "squad.jsonl", {"header": {}}, context, {"context": 5, "qas": [{"question": "q", "answers": ["5"]}]}
    )
    rows = [("entailment", "He is out."), ("contradiction", "He sleeps."), ("contradiction", "He is in."), ("-", "He")]
    jsonl(
        tmp_path / "nli.jsonl",
        *({"premise": "A man walks outside.", "hypothesis": h, "label": label} for label, h in rows),
    )
    jsonl(
        tmp_path / "code.jsonl",
        {"docstring": "Add two numbers.", "code": "def add(a, b): return a + b", "language": "python"},
    )
    loaded = loads(SPEC.format(folder=tmp_path), "builders.yaml", ())
    done = run_curate(loaded, str(tmp_path / "store"), None, False, "pairmill run builders.yaml", lambda line: None)
    kept = {row["source"]: row for row in table(done.run, "kept").to_pylist()}
    assert kept["nli"]["negatives"] == ["He sleeps.", "He is in."] and kept["nli"]["form"] == "nli"
    assert (kept["code"]["label"], kept["code"]["form"]) == ("python", "docstring-code")
    ledger = done.summary["ledger"]["by_input"]
    account = {name: (of["records_in"], of["parsed"], of["no_pair"], of["quarantine"]) for name, of in ledger.items()}
    assert account == {
        "news": (3, 1, {"no_body": 1}, {"malformed_json": 1}),
        "squad": (7, 5, {"header": 1}, {"wrong_record": 1}),
        "nli": (4, 1, {"contradiction": 2, "no_label": 1}, {}),
        "code": (1, 1, {}, {}),
    }
    assert len(table(done.run, "kept")) == 8 and len(table(done.run, "quarantine")) == 2


def test_a_long_text_that_many_pairs_repeat_is_never_held_as_often() -> None:
    records = [{"title": str(n), "body": "x" * (1 << 20)} for n in range(40)] + [{"title": "no body"}]

    def build(row: int, record: dict[str, str]) -> list[Pair] | str:
        return [Pair(record["title"], record["body"])] if "body" in record else "no_body"

    unread = [Quarantined("malformed_json", "file", 41, 0, "")]
    some = Records("file", list(enumerate(records)), 43, {"blank_line": 1}, unread)
    made = list(batches(some, build, Langs()))
    assert max(batch.pairs.nbytes for batch in made) < 2 * BATCH_CHARS
    assert [row for batch in made for row in batch.pairs["origin_row"].to_pylist()] == list(range(40))
    for batch in made:
        assert batch.records == batch.parsed + sum(batch.no_pair.values()) + len(batch.quarantine) > 0
    assert sum(batch.records for batch in made) == 43
