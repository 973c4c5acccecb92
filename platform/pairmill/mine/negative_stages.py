"""`negatives:` hard negatives for the rows of a run, as a kept dataset.

    texts -> index and neighbours -> choose (per part) -> fetch (per part of the corpus) -> write (per part)

Rows keep their columns; `negatives` is replaced, and `scores` of former ones left out. A row with fewer than `count` is
rejected as `too_few_negatives`, a row that embed left out as `no_vector`.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa

from pairmill.mine import fetch, selection, sides
from pairmill.mine.keeping import Tally, made_kept
from pairmill.mine.neighbours import read_neighbours
from pairmill.mine.reranker import Reranker, reranker
from pairmill.mine.scored import Made
from pairmill.mine.sides import open_side, pairs_of
from pairmill.mine.texts import seeded
from pairmill.mine.work import Work
from pairmill.pairs.kept import read_kept
from pairmill.runs.storage import open_storage
from pairmill.runs.units import Units, do_once
from pairmill.spec.mine import MineSpec, Negatives

VERSION = 1
NEGATIVES = pa.list_(pa.large_string())


def make(work: Work, parts: dict[str, list[dict[str, Any]]]) -> Made:
    """`parts` are those of both sides, and of the `corpus` where one is named."""
    given = work.spec.negatives
    assert given is not None
    anchor, positive = (work.side(parts[side]) for side in ("anchor", "positive"))
    corpus = work.side(parts["corpus"]) if "corpus" in parts else positive
    near = work.neighbours("candidates", anchor, corpus, given.k)
    items = work.items("choose", anchor, positive=positive, corpus=corpus)
    for item, file in zip(items, near, strict=True):
        item["near"] = file
    chosen = {done["key"]: done for done in work.stage("mine: choose", choose_part, items)}
    requests = [chosen[item["key"]]["file"] for item in items]
    files = fetch.fetch(work, corpus, requests, len(items))
    items = work.items("write", anchor, positive=positive, files=files, run=work.run.id)
    done = work.stage("mine: write", write_part, items)
    about = {name: sum(unit[name] for unit in chosen.values()) for name in ("candidates", "related", "near")}
    return made_kept(sorted(done, key=lambda unit: unit["key"]), **about)


@lru_cache(maxsize=1)
def _relations(storage_uri: str, anchor: str, positive: str) -> selection.Relations:
    anchors, positives = open_side(storage_uri, anchor), open_side(storage_uri, positive)
    order = np.argsort(anchors.pair_ids)
    at = np.minimum(np.searchsorted(anchors.pair_ids[order], positives.pair_ids), max(len(order) - 1, 0))
    both = anchors.pair_ids[order][at] == positives.pair_ids if len(order) else np.zeros(len(positives.pair_ids), bool)
    return selection.Relations(anchors.texts[order][at[both]], positives.texts[both])


def choose_part(item: dict[str, Any]) -> dict[str, Any]:
    """Unit of choose: the candidates of a part's rows, in the order they are to be taken. Facts: `file`, counts."""

    def work(units: Units) -> dict[str, Any]:
        number, given = item["number"], _given(item)
        anchors, positives, corpus = (open_side(item["storage"], item[name]) for name in ("side", "positive", "corpus"))
        ids, left, right = pairs_of(anchors, positives, number)
        cosines, places = (found[left] for found in read_neighbours(units.storage, item["near"]))
        texts = np.where(places >= 0, corpus.texts[places], 0)
        own = anchors.texts[anchors.rows(number)][left]
        answer = positives.texts[positives.rows(number)][right]
        related = _relations(item["storage"], item["side"], item["positive"]).related(answer, texts)
        related |= texts == own[:, None]
        one = sides.read_vectors(anchors.parts[number])[1][left]
        other = sides.read_vectors(positives.parts[number])[1][right]
        cosine = np.einsum("nd,nd->n", one, other)
        rank, near = given.rank or (1, given.k), given.margin
        ranked = selection.eligible(cosines, related, cosine, rank, None, None)
        found = selection.eligible(cosines, related, cosine, rank, near.absolute, near.relative)
        keys = np.broadcast_to(np.arange(given.k, dtype=np.uint64), found.shape)
        if given.sample == "random":
            keys = seeded(texts ^ ids[:, None], given.seed)
        columns = selection.draw(found, keys, given.k if given.cross_encoder else given.count)
        row, slot = np.nonzero(columns >= 0)
        path = units.data_path(item["key"], kind="arrow")
        fetch.ask(units.storage, path, corpus, number, ids[row], slot, places[row, columns[row, slot]])
        counts = {"candidates": np.isfinite(cosines), "related": related & (places >= 0), "near": ranked & ~found}
        return {"rows": len(ids), "facts": {"file": path, **{name: int(mask.sum()) for name, mask in counts.items()}}}

    return do_once(item, item["prefix"], work)


def write_part(item: dict[str, Any]) -> dict[str, Any]:
    """Unit of write: the kept rows of a part, with their negatives."""

    def work(units: Units) -> dict[str, Any]:
        number, given = item["number"], _given(item)
        anchors, positives = (open_side(item["storage"], item[name]) for name in ("side", "positive"))
        embedded = pairs_of(anchors, positives, number)[0]
        found = fetch.answers(units.storage, item["files"], number)
        candidates = _Candidates(found["row"].to_numpy(), found["text"].to_pylist())
        part, tally, tables = anchors.parts[number]["part"], Tally(), []
        for table in _rows(part):
            keys = table["pair_id"].to_numpy()
            chosen = candidates.of(keys)
            if given.cross_encoder:
                checker = reranker(given.cross_encoder, item["storage"], item["models"]["cross_encoder"])
                most = given.cross_encoder.max_score
                chosen = checked(checker, table["anchor"].to_pylist(), chosen, given.count, most)
            enough = np.fromiter((len(some) >= given.count for some in chosen), bool, len(chosen))
            lost = np.where(np.isin(keys, embedded), "too_few_negatives", "no_vector")
            tally.add(table, np.where(enough, "kept", lost))
            column = pa.array([some for some, fits in zip(chosen, enough, strict=True) if fits], NEGATIVES)
            kept = table.filter(pa.array(enough))
            tables.append(kept.set_column(kept.schema.get_field_index("negatives"), "negatives", column))
        return tally.written(units, item, tables)

    return do_once(item, item["prefix"], work)


class _Candidates:
    """The texts (n,) that were fetched for rows (n,), ascending."""

    def __init__(self, rows: np.ndarray, texts: list[str]):
        self._ids, starts = np.unique(rows, return_index=True)
        self._bounds, self._texts = np.append(starts, len(rows)).tolist(), texts

    def of(self, keys: np.ndarray) -> list[list[str]]:
        """Those of each row, none where it has none."""
        at = np.searchsorted(self._ids, keys)
        has = np.isin(keys, self._ids)
        bounds, texts = self._bounds, self._texts
        return [texts[bounds[i] : bounds[i + 1]] if there else [] for i, there in zip(at.tolist(), has, strict=True)]


def checked(
    checker: Reranker, anchors: list[str], candidates: list[list[str]], count: int, max_score: float
) -> list[list[str]]:
    """The first `count` candidates of each anchor that the cross-encoder does not take for positives.

    Candidates are scored as far as they are needed: `count` of each, then as many as still lack.
    """
    taken: list[list[str]] = [[] for _ in anchors]
    seen = [0] * len(anchors)
    while True:
        asked = []
        for row, some in enumerate(candidates):
            stop = min(len(some), seen[row] + count - len(taken[row]))
            asked += [(row, at) for at in range(seen[row], stop)]
            seen[row] = stop
        if not asked:
            return taken
        scores = checker.score([(anchors[row], candidates[row][at]) for row, at in asked])
        for (row, at), score in zip(asked, scores.tolist(), strict=True):
            if score <= max_score:
                taken[row].append(candidates[row][at])


def _rows(part: dict[str, Any]) -> Iterator[pa.Table]:
    """The rows that a part was made of, an empty table first; without `scores`, which are of other negatives."""
    storage = open_storage(part["storage"])
    with storage.open_parquet(part["path"]) as file:
        schema = pa.schema([field for field in file.schema_arrow if field.name != "scores"])
    yield schema.empty_table()
    groups = range(*part["groups"])
    yield from read_kept(storage, part["path"], schema.names, part["sources"], part["languages"], groups)


def _given(item: dict[str, Any]) -> Negatives:
    given = MineSpec.model_validate(item["spec"]).negatives
    assert given is not None
    return given
