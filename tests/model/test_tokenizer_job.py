"""A curate run of real catalogues, and tokenizers made of what it kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from catalogue_job import curate
from corpus import catalogue_rows, write_jsonl
from pairmill.errors import SpecError
from pairmill.model.tokenizer_job import find_inputs, table, tokenizer_stages
from pairmill.pairs.kept import kept_files, read_kept
from pairmill.runs import engine
from pairmill.runs.record import Run
from pairmill.runs.storage import open_storage
from pairmill.spec.tokenizer import TokenizerSpec


@pytest.fixture(scope="module")
def curated(tmp_path_factory: pytest.TempPathFactory, local_ray: None) -> Run:
    folder = tmp_path_factory.mktemp("kept")
    write_jsonl(folder / "a.jsonl", catalogue_rows(("de", "fr")))
    write_jsonl(folder / "b.jsonl", catalogue_rows(("ja", "de")))
    return curate(folder / "*.jsonl", folder / "store", "filters.preset=none", "dedup.near=off").run


def spec_of(run: Run, **more: Any) -> TokenizerSpec:
    return TokenizerSpec(kind="tokenizer", name="t", inputs=[{"run": run.id}], **{"vocabulary": 1300, **more})


def make(run: Run, spec: TokenizerSpec, name: str, files: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """Run the stages in this process, each unit in turn."""
    base = {"storage": run.storage.uri, "spec": spec.model_dump(mode="json"), "attempt": "a"}

    def stage(_: str, work: Any, items: list[dict[str, Any]], resources: engine.Resources) -> list[dict[str, Any]]:
        return [work({**base, **item}) for item in items]

    inputs = find_inputs(run.storage.uri, spec) if files is None else files
    return tokenizer_stages(Run(run.storage, name), spec, inputs, stage, engine.Resources(1, 10**9))


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
    loaded = AutoTokenizer.from_pretrained(curated.storage.where("runs/shares/tokenizer"))
    ids = loaded("Das Feld ist leer.", "Ja")["input_ids"]
    assert (ids[0], ids[-1], ids.count(loaded.sep_token_id)) == (loaded.cls_token_id, loaded.sep_token_id, 2)
    assert len(loaded) == 700 and loaded.pad_token_id == 0 and loaded.model_max_length == 512
    assert set(summary["fertility"]) == {"en", "de"} and "de" in table(summary)


def test_the_same_tokenizer_comes_out_whatever_the_order_of_files(curated: Run) -> None:
    spec = spec_of(curated, sample="60KB")
    files = find_inputs(curated.storage.uri, spec)
    assert len(files) == 2
    make(curated, spec, "forward", files)
    make(curated, spec, "backward", files[::-1])
    forward, backward = (curated.storage.get(f"runs/{n}/tokenizer/tokenizer.json") for n in ("forward", "backward"))
    assert forward is not None and forward == backward


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
