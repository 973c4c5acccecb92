"""`margin:` the margin scores of given pairs, as a score side-table.

texts -> index and neighbours (both ways) -> score (per part)
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pairmill.mine import sides
from pairmill.mine.margin import margin, neighbour_mean
from pairmill.mine.neighbours import read_neighbours
from pairmill.mine.scored import Figures, Made, made_scores
from pairmill.mine.sides import open_side, pairs_of
from pairmill.mine.work import Work
from pairmill.pairs.scores import Column, write
from pairmill.runs.units import Units, do_once
from pairmill.spec.mine import MineSpec

VERSION = 1
COLUMNS = (
    Column("margin", "float32", "high", "cosine of the sides against that of each with its neighbours"),
    Column("cosine", "float32", "high", "cosine of the two sides' vectors"),
)


def make(work: Work, parts: dict[str, list[dict[str, Any]]]) -> Made:
    """`parts` are those of both sides."""
    given = work.spec.margin
    assert given is not None
    anchor, positive = (work.side(parts[side]) for side in ("anchor", "positive"))
    there = work.neighbours("positives", anchor, positive, given.k)
    back = work.neighbours("anchors", positive, anchor, given.k)
    items = work.items("score", anchor, positive=positive)
    for item, one, other in zip(items, there, back, strict=True):
        item |= {"there": one, "back": other}
    return made_scores(COLUMNS, work.stage("mine: score", score_part, items))


def score_part(item: dict[str, Any]) -> dict[str, Any]:
    """Unit of score: a part's pairs."""

    def work(units: Units) -> dict[str, Any]:
        storage, number = units.storage, item["number"]
        anchors, positives = (open_side(item["storage"], item[name]) for name in ("side", "positive"))
        ids, left, right = pairs_of(anchors, positives, number)
        _, one = sides.read_vectors(anchors.parts[number])
        _, other = sides.read_vectors(positives.parts[number])
        means = [neighbour_mean(read_neighbours(storage, item[name])[0]) for name in ("there", "back")]
        cosine = np.einsum("nd,nd->n", one[left], other[right])
        given = MineSpec.model_validate(item["spec"]).margin
        assert given is not None
        scores = margin(cosine, means[0][left], means[1][right], given.score)
        file = write(
            storage, units.data_path(item["key"]), COLUMNS, ids, {"margin": scores, "cosine": cosine.astype(np.float32)}
        )
        figures = Figures()
        figures.add("margin", scores)
        return {"rows": len(ids), "facts": {"file": file, "figures": figures.to_json()}}

    return do_once(item, item["prefix"], work)
