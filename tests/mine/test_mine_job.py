"""Mine jobs, one of them through real Ray, against loops over the vectors; resuming and refusals."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("faiss", reason="needs the extra pairmill[mine]")

from minekit import Place, folded

from pairmill.errors import PairmillError, SpecError
from pairmill.mine.reranker import Reranker, reranker
from pairmill.mine.texts import text_ids
from pairmill.mine.work import Work
from pairmill.model.places import identity
from pairmill.pairs.kept import kept_files
from pairmill.report.text import summarise
from pairmill.runs.export import export
from pairmill.runs.record import Run
from pairmill.spec.mine import CrossEncoder
from reading import committed, table

pytestmark = pytest.mark.usefixtures("local_ray")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, local_ray: None) -> Place:
    return Place(tmp_path_factory.mktemp("mine"))


def distinct(vectors: np.ndarray, texts: list[str]) -> np.ndarray:
    """The vectors of the first row with each text."""
    return vectors[np.sort(np.unique(text_ids(texts), return_index=True)[1])]


def means(queries: np.ndarray, others: np.ndarray, k: int) -> np.ndarray:
    return -np.sort(-(queries @ others.T), axis=1)[:, :k].mean(1)


def test_margins_are_computed_among_the_distinct_texts_of_the_pair_of_languages(place: Place) -> None:
    outcome = place.through_ray("margin: {k: 3}", "index.sample=0")
    found = place.scores(outcome)
    languages = np.array([row["positive_lang"] for row in place.rows])
    assert set(languages) == {"de", "fr"}
    for language in ("de", "fr"):
        rows = np.flatnonzero(languages == language)
        texts = [[place.rows[row][side] for row in rows] for side in ("anchor", "positive")]
        left, right = place.left[rows], place.right[rows]
        base = means(left, distinct(right, texts[1]), 3) + means(right, distinct(left, texts[0]), 3)
        cosine = (left * right).sum(1)
        np.testing.assert_allclose(found["margin"][rows], cosine / (base / 2), atol=1e-4)
        np.testing.assert_allclose(found["cosine"][rows], cosine, atol=1e-5)
    assert "flat" in summarise(outcome.summary) and "Margin scores" in summarise(outcome.summary)


def test_ranks_are_those_among_all_passages(place: Place) -> None:
    outcome = place.mine("consistency: {k: 2, pool: 100000}")
    found = place.scores(outcome)["consistency_rank"]
    ids = text_ids([row["positive"] for row in place.rows])
    pool = np.unique(ids, return_index=True)[1]
    cosines = place.left @ place.right[pool].T
    own = (place.left * place.right).sum(1, keepdims=True)
    others = ids[pool][None, :] != ids[:, None]
    low = 1 + ((cosines > own + 2e-6) & others).sum(1)
    high = 1 + ((cosines > own - 1e-6) & others).sum(1)
    assert ((found >= low) & (found <= high)).all() and len(np.unique(found)) > 20
    assert sum(outcome.summary["mined"]["ranks"]) == len(found)
    page = outcome.run.storage.get(outcome.run.path("report.html"))
    assert page is not None and b"Rows by rank" in page


def test_groups_name_an_earlier_row_that_is_as_near_as_asked(place: Place) -> None:
    section = "groups: {threshold: 0.97, side: positive, clusters: 1, cross_lingual: true}"
    found = place.scores(place.mine(section))
    group, of = found["semantic_group"], found["semantic_duplicate_of"]
    at = {pair_id: row for row, pair_id in enumerate(place.ids.tolist())}
    kept: list[int] = []
    near = place.right @ place.right.T
    for row in range(len(place.ids)):
        partner = of[row]
        if partner < 0:
            assert group[row] == place.ids[row] and all(near[row, other] < 0.97 + 1e-5 for other in kept)
            kept.append(row)
        else:
            assert group[row] == partner < place.ids[row]
            assert at[partner] in kept and near[row, at[partner]] >= 0.97 - 1e-5
    assert 0 < len(kept) < len(place.ids)


def test_negatives_are_near_unrelated_and_read_as_kept_rows(place: Place, tmp_path: Path) -> None:
    outcome = place.mine("negatives: {k: 30, rank: [2, 20], count: 3, margin: {relative: 1.0}, seed: 4}")
    kept = table(outcome.run, "kept").to_pylist()
    of = {row["pair_id"]: row for row in place.rows}
    at = {pair_id: row for row, pair_id in enumerate(place.ids.tolist())}
    vector = {folded(row["positive"]): place.right[at[row["pair_id"]]] for row in place.rows}
    answers: dict[str, set[str]] = {}
    for row in place.rows:
        answers.setdefault(folded(row["anchor"]), set()).add(folded(row["positive"]))
    assert len(kept) > 100
    for row in kept:
        assert {**row, "negatives": None} == of[row["pair_id"]]
        own, anchor = at[row["pair_id"]], folded(row["anchor"])
        names = [folded(text) for text in row["negatives"]]
        assert len(set(names)) == 3 and not set(names) & answers[anchor] and anchor not in names
        cosines = [float(place.left[own] @ vector[name]) for name in names]
        assert max(cosines) < float(place.left[own] @ place.right[own]) + 1e-5
    total = outcome.summary["ledger"]["total"]
    assert total["rows_in"] == len(place.rows) == len(kept) + total["rejected"]["too_few_negatives"]
    run = kept_files(place.store, outcome.run.id)
    assert sum(file.rows for file in run.files) == sum(run.sources.values()) == sum(run.languages.values()) == len(kept)
    notes = export(place.store, outcome.run.id, "sentence-transformers", str(tmp_path / "out"))
    assert any("negatives-3" in note for note in notes)


def test_another_seed_draws_other_negatives_and_the_hardest_are_always_the_same(place: Place) -> None:
    def drawn(section: str) -> dict[int, list[str]]:
        kept = table(place.mine(section).run, "kept", ["pair_id", "negatives"])
        return dict(zip(kept["pair_id"].to_pylist(), kept["negatives"].to_pylist(), strict=True))

    one, two, hardest = (
        drawn(f"negatives: {{k: 30, count: 2, margin: {{relative: null}}, {more}}}")
        for more in ("seed: 1", "seed: 2", "sample: hardest")
    )
    assert one.keys() == two.keys() == hardest.keys() == set(place.ids.tolist())
    assert sum(one[row] != two[row] for row in one) > len(one) / 2
    at = {pair_id: row for row, pair_id in enumerate(place.ids.tolist())}
    vector = {folded(row["positive"]): place.right[at[row["pair_id"]]] for row in place.rows}
    mean = [
        np.mean([float(place.left[at[row]] @ vector[folded(text)]) for row, texts in found.items() for text in texts])
        for found in (hardest, one)
    ]
    assert mean[0] > mean[1]


def test_negatives_may_come_from_a_corpus_and_pass_a_cross_encoder(place: Place) -> None:
    checker = Reranker(str(place.cross_encoder), CrossEncoder(model={"path": str(place.cross_encoder)}))
    texts = (place.folder / "german.txt").read_text("utf-8").splitlines()
    sample = checker.score([(row["anchor"], text) for row in place.rows[:20] for text in texts[:20]])
    most = float(np.median(sample))
    model = f'{{model: {{path: "{place.cross_encoder}"}}, max_score: {most}}}'
    section = f"negatives: {{k: 20, count: 2, corpus: german, margin: {{relative: null}}, cross_encoder: {model}}}"
    outcome = place.mine(section)
    kept = table(outcome.run, "kept").to_pylist()
    assert len(kept) > 20
    scores = checker.score([(row["anchor"], text) for row in kept for text in row["negatives"]])
    assert scores.max() <= most + 1e-5 and {text for row in kept for text in row["negatives"]} <= set(texts)


def test_cross_encoder_scores_stand_beside_positive_and_negatives(place: Place) -> None:
    mined = place.mine("negatives: {k: 30, count: 2, margin: {relative: null}}").run
    section = f'rerank: {{model: {{path: "{place.cross_encoder}"}}}}'
    scored = place.mine(section, run=mined.id, vectors="").run
    kept = table(scored, "kept").to_pylist()
    assert len(kept) == len(place.rows)
    checker = Reranker(str(place.cross_encoder), CrossEncoder(model={"path": str(place.cross_encoder)}))
    for row in kept[::50]:
        expected = [checker.score([(row["anchor"], text)])[0] for text in (row["positive"], *row["negatives"])]
        np.testing.assert_allclose(row["scores"], expected, atol=1e-5)
    alone = place.scores(place.mine(section.replace("}}", "}, negatives: false}"), vectors=""))["rerank_score"]
    first = {row["pair_id"]: row["scores"][0] for row in kept}
    np.testing.assert_allclose(alone, [first[pair_id] for pair_id in place.ids.tolist()], atol=1e-5)
    again = place.mine("negatives: {k: 30, count: 3}", run=scored.id, vectors=place.embed(scored).id).run
    assert table(again, "kept").column_names == [name for name in kept[0] if name != "scores"], (
        "scores of old negatives"
    )


def test_a_cross_encoder_that_changed_since_the_job_began_is_refused(place: Place) -> None:
    given = CrossEncoder(model={"path": str(place.cross_encoder)})
    assert reranker(given, place.store, identity(given.model, place.store))
    with pytest.raises(PairmillError, match="its files changed since this job began"):
        reranker(given, place.store, "another")


def test_bitext_pairs_are_one_to_one_and_scored_by_the_margin(place: Place) -> None:
    gold = f'{{format: jsonl, path: "{place.folder}/pairs.jsonl", columns: {{anchor: src, positive: tgt}}}}'
    section = f"bitext: {{left: english, right: german, left_lang: en, right_lang: de, threshold: {{dev: {gold}}}}}"
    outcome = place.mine(section, run="")
    kept = table(outcome.run, "kept").to_pylist()
    total = outcome.summary["ledger"]["total"]
    texts = [(place.folder / f"{name}.txt").read_text("utf-8").splitlines() for name in ("english", "german")]
    vectors = []
    for name, lines in zip(("english", "german"), texts, strict=True):
        ids, found = place.vectors.array(name, "text")
        vectors.append(dict(zip(lines, found[np.argsort(ids)], strict=True)))
    pools = [distinct(np.stack(list(v.values())), list(v)) for v in vectors]
    for row in kept:
        x, y = vectors[0][row["anchor"]], vectors[1][row["positive"]]
        base = (means(x[None], pools[1], 4)[0] + means(y[None], pools[0], 4)[0]) / 2
        assert row["score"] == pytest.approx(float(x @ y / base), abs=1e-4)
        assert texts[0][row["origin_row"]] == row["anchor"] and row["anchor_lang"] == "en"
    assert len(kept) == len({row["anchor"] for row in kept}) == len({row["positive"] for row in kept})
    assert total["kept"] == len(kept) and total["rows_in"] == len(kept) + total["rejected"].get("below_threshold", 0)
    dev = outcome.summary["mined"]["dev"]
    assert dev["gold"] > 50 and all(row["score"] >= dev["threshold"] for row in kept)


def test_shards_and_parts_do_not_change_the_scores(place: Place) -> None:
    """An index that has to be cut into shards gives the margins of a whole one."""
    section = "margin: {k: 3, within: all}"
    sets = ("index.sample=0", "index.kind=flat")
    one = place.mine(section, *sets)
    whole = place.scores(one)["margin"]
    assert one.summary["index"]["positives"]["shards"] == 1
    rows, dims = len(place.ids), place.left.shape[1]
    memory = rows * dims * 4 // 3
    other = place.mine(section, *sets, "name=cut", f"resources.memory_per_task={memory}")
    assert other.summary["index"]["positives"]["shards"] > 1
    np.testing.assert_allclose(place.scores(other)["margin"], whole, atol=1e-5)


def test_an_approximate_index_reports_its_recall(place: Place) -> None:
    outcome = place.mine("margin: {k: 3}", "index.kind=ivf", "index.lists=8", "index.probes=8")
    about = outcome.summary["index"]["positives"]
    assert about["recall"] == 1.0 and "recall@3 1.0000" in summarise(outcome.summary)


def test_a_job_that_is_done_is_reused_and_a_killed_one_does_only_what_is_left(place: Place) -> None:
    section = "consistency: {pool: 50, seed: 7}"
    outcome = place.mine(section)
    assert place.mine(section).already_done
    assert place.mine("consistency: {pool: 50, seed: 8}").run.id != outcome.run.id
    before = place.scores(outcome)["consistency_rank"]
    run = outcome.run
    units = sorted(Path(place.store, run.path("g0/rank")).glob("*.json"))
    assert len(units) >= 2
    interrupt(place, run, units[1])
    again = place.mine(section)
    counts = Counter(committed(run)["mine: rank"])
    assert again.run.id == run.id and sorted(counts.values())[-2:] == [1, 2]
    assert place.scores(again)["consistency_rank"].tolist() == before.tolist()


def interrupt(place: Place, run: Run, *units: Path) -> None:
    """Make the run what it was if its driver had died while these units were at work."""
    run.write_record({**(run.record() or {}), "state": "running"})
    for path in (*units, *(Path(place.store, run.path(f"manifests/{name}.json")) for name in ("0", "0-summary"))):
        path.unlink()


def test_groups_are_resumed_with_less_memory_and_no_row_is_lost(place: Place) -> None:
    section = "groups: {threshold: 0.97, cross_lingual: true, clusters: 5}"
    outcome = place.mine(section)
    before = place.scores(outcome)
    done = Path(place.store, outcome.run.path("g0"))
    interrupt(place, outcome.run, *done.glob("compare*/*.json"), *done.glob("write/*.json"))
    after = place.scores(place.mine(section, "resources.memory_per_task=50KB"))
    assert len(list(done.glob("compare*/*.json"))) > 1
    assert all(after[name].tolist() == found.tolist() for name, found in before.items())


def test_vectors_of_rows_that_were_made_anew_are_refused(place: Place, tmp_path: Path) -> None:
    store = tmp_path / "store"
    shutil.copytree(place.store, store)
    assert place.curate(store, fresh=True).id == place.curated.id
    with pytest.raises(SpecError, match=r"were made anew since \(--fresh\)"):
        place.mine("margin: {}", store=str(store))


def test_pairs_of_a_runs_two_sides_are_under_its_licence(place: Place) -> None:
    outcome = place.mine("bitext: {left: web/anchor, right: web/positive, source: again}", run="")
    assert kept_files(place.store, outcome.run.id).licences == {"again": "CC-BY-4.0"}


def test_gold_pairs_of_other_texts_choose_no_threshold(place: Place, tmp_path: Path) -> None:
    (tmp_path / "gold.jsonl").write_text('{"src": "Nobody says this.", "tgt": "Niemand sagt das."}\n')
    gold = f'{{format: jsonl, path: "{tmp_path}/gold.jsonl", columns: {{anchor: src, positive: tgt}}}}'
    with pytest.raises(PairmillError, match="of its pairs 0 have their anchor among the left texts"):
        place.mine(f"bitext: {{left: english, right: german, threshold: {{dev: {gold}}}}}", run="")


def test_a_side_without_vectors_is_refused() -> None:
    part = {"rows": 0, "side": "anchor", "path": "runs/vectors-1/vectors/web/anchor/0.parquet"}
    with pytest.raises(PairmillError, match="anchor of vectors-1 has no text with a vector"):
        Work(None, None, None, None).side([part])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("section", "more", "problem"),
    [
        ("margin: {}", {"vectors": "nothing-here"}, "is no run here"),
        ("margin: {}", {"set": "english"}, "holds other texts"),
        ("negatives: {corpus: englisch}", {}, "Did you mean 'english'"),
        ("bitext: {left: web, right: german}", {"run": ""}, "write web/anchor"),
        ("margin: {k: 0}", {}, "not in"),
        ("margin: {}\ngroups: {}", {}, "write exactly one"),
        ("negatives: {k: 5, rank: [1, 9]}", {}, "no range"),
    ],
)
def test_wrong_specs_are_refused_by_name(place: Place, section: str, more: dict[str, str], problem: str) -> None:
    with pytest.raises(SpecError, match=problem):
        place.mine(section, **more)


def test_a_model_without_a_head_is_no_cross_encoder(place: Place) -> None:
    with pytest.raises(PairmillError, match="no head"):
        place.mine(f'rerank: {{model: {{path: "{place.folder}/model"}}, negatives: false}}', vectors="")


def test_a_score_run_is_not_read_as_rows(place: Place) -> None:
    scored = place.mine("margin: {k: 3}", "index.sample=0")
    with pytest.raises(SpecError, match="kept no rows"):
        kept_files(place.store, scored.run.id)
