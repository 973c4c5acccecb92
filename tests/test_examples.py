"""The examples run, on small real data in each format."""

from __future__ import annotations

import gzip

import pytest

from corpus import (
    article,
    catalogue_rows,
    write_jsonl,
    write_moses,
    write_parquet,
    write_squad,
    write_tmx,
    write_tsv,
    write_warc,
)
from pairmill.curate.job import run_curate
from pairmill.jobs import run_job
from pairmill.spec.load import load
from reading import table
from services import ROOT

EXAMPLES = sorted(
    path
    for path in (ROOT / "jobs/examples").glob("*.yaml")
    if path.stem not in ("object-store", "select") and "\nkind: curate\n" in f"\n{path.read_text('utf-8')}"
)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    german = catalogue_rows(("de",))
    write_jsonl(folder / "pairs.jsonl", german)
    write_jsonl(folder / "more.jsonl.gz", catalogue_rows(("fr",)))
    write_parquet(folder / "pairs.parquet", catalogue_rows())
    write_tsv(folder / "pairs.tsv", german)
    write_moses(folder, german)
    write_squad(folder / "squad.json", german)
    write_tmx(folder / "memory.tmx", german)
    write_warc(folder / "crawl.warc.gz", pages())
    (folder / "optout.txt").write_text("private.example\n")
    assert gzip.decompress((folder / "more.jsonl.gz").read_bytes()).count(b"\n") == len(catalogue_rows(("fr",)))
    return folder


def pages() -> dict[str, str]:
    """Articles of two sites, of real sentences, in four languages."""
    made = {}
    for language in ("de", "fr", "ja", "ar"):
        texts = [target for _, target, _ in catalogue_rows((language,)) if len(target) > 25 and "%" not in target]
        for number in range(40):
            body = [" ".join(texts[(number * 12 + at * 3 + i) % len(texts)] for i in range(3)) for at in range(8)]
            site = "private.example" if number % 10 == 9 else "news.example"
            made[f"https://{site}/{language}/{number}"] = article(texts[(number * 7 + 5) % len(texts)], body)
    return made


@pytest.mark.usefixtures("local_ray")
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs_and_its_ledger_balances(path, data, tmp_path, monkeypatch):
    monkeypatch.setenv("PAIRMILL_DATA", str(data))
    outcome = run_curate(load(str(path)), str(tmp_path / "store"), None, False, "", lambda line: None)
    total = outcome.summary["ledger"]["total"]
    assert outcome.exit_code == 0
    assert total["kept"] == len(table(outcome.run, "kept")) > 100
    assert total["rows_in"] == total["kept"] + sum(total["rejected"].values())
    assert str(data) not in outcome.run.storage.get(outcome.run.path("spec.yaml")).decode()


@pytest.mark.usefixtures("local_ray")
def test_the_pipeline_example_makes_a_model_of_every_step_before_it(tmp_path):
    pytest.importorskip("torch", reason="needs the extra pairmill[train]")
    sets = ["steps.tokenizer.spec.sample=300KB", "steps.pretrain.spec.steps=2", "steps.train.spec.steps=2"]
    spec, store = load(str(ROOT / "jobs/examples/pipeline.yaml"), sets), str(tmp_path / "store")
    made = run_job(spec, store, None, False, "pairmill run pipeline.yaml", lambda line: None)
    assert made.exit_code == 0
    assert [step["kind"] for step in made.summary["steps"]] == ["curate", "tokenizer", "pretrain", "train"]
    trained = made.summary["steps"][-1]["summary"]
    assert trained["model"]["type"] == "alibi" and trained["training"]["steps"] == 2
    again = run_job(spec, store, None, False, "", lambda line: None)
    assert all(step["reused"] for step in again.summary["steps"])


@pytest.mark.usefixtures("local_ray")
def test_the_tokenizer_example_makes_a_tokenizer_of_a_curate_run(tmp_path, monkeypatch):
    pytest.importorskip("transformers", reason="needs the extra pairmill[train]")
    store = str(tmp_path / "store")
    run_curate(load(str(ROOT / "jobs/examples/gettext.yaml")), store, None, False, "", lambda line: None)
    spec = load(str(ROOT / "jobs/examples/tokenizer.yaml"), ["sample=300KB"])
    made = run_job(spec, store, None, False, "pairmill run tokenizer.yaml", lambda line: None)
    fertility, compared = made.summary["fertility"]["de"], made.summary["compared"]["de"]
    assert made.exit_code == 0 and made.summary["vocabulary"] == 2000
    assert fertility["tokens"] < compared["tokens"] and fertility["unknown_share"] < 0.01
    assert run_job(spec, store, None, False, "", lambda line: None).already_done
