"""`bitext:` pairs of two monolingual sides that are translations of each other, as a kept dataset with `score`.

    texts -> index and neighbours (both ways) -> match (one task) -> fetch (per part of the right side)
    -> write (per part of the left side)

A pair's `pair_id` is its number in the order of the left texts; `origin_file` names the left set and `origin_row` the
left text's `pair_id` in it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from pairmill.errors import PairmillError
from pairmill.mine import fetch, matching
from pairmill.mine.keeping import Tally, made_kept
from pairmill.mine.matching import Neighbours, Pairs
from pairmill.mine.neighbours import read_neighbours
from pairmill.mine.scored import Made
from pairmill.mine.sides import Side, open_side
from pairmill.mine.texts import text_ids, texts_at
from pairmill.mine.work import Work
from pairmill.pairs import sources
from pairmill.pairs.schema import PAIR, cast
from pairmill.runs.storage import Storage
from pairmill.runs.units import Units, do_once
from pairmill.spec.mine import Bitext, Dev, MineSpec

VERSION = 1
PAIRS = pa.schema([("left", pa.int64()), ("right", pa.int64()), ("score", pa.float32())])


def make(work: Work, parts: dict[str, list[dict[str, Any]]]) -> Made:
    """`parts` are those of `left` and `right`."""
    given = work.spec.bitext
    assert given is not None
    left, right = (work.side(parts[side]) for side in ("left", "right"))
    there = work.neighbours("right", left, right, given.k)
    back = work.neighbours("left", right, left, given.k)
    item = {"prefix": work.prefix("match"), "key": "match", "left": left, "right": right, "there": there, "back": back}
    (matched,) = work.stage("mine: match", match, [item])
    items = work.items("ask", left, right=right, pairs=matched["file"])
    asked = {done["key"]: done["file"] for done in work.stage("mine: ask", ask_part, items)}
    files = fetch.fetch(work, right, [asked[item["key"]] for item in items], len(items))
    items = work.items(
        "write", left, files=files, pairs=matched["file"], threshold=matched["threshold"], run=work.run.id
    )
    done = work.stage("mine: write", write_part, items)
    about = {name: matched[name] for name in ("threshold", "dev", "left_texts", "right_texts", "mined")}
    if matched["dev"]:
        work.say("bitext: threshold {threshold:.4f}, on dev F1 {f1:.3f}".format(**matched["dev"]))
    return made_kept(sorted(done, key=lambda unit: unit["key"]), **about)


def match(item: dict[str, Any]) -> dict[str, Any]:
    """The unit of match: all mined pairs, as places, ascending by the left one, and the threshold."""

    def work(units: Units) -> dict[str, Any]:
        given = _given(item)
        left, right = (open_side(item["storage"], item[name]) for name in ("left", "right"))
        chosen = [np.flatnonzero(side.first) for side in (left, right)]
        forward = _between(units.storage, item["there"], chosen[0], chosen[1])
        backward = _between(units.storage, item["back"], chosen[1], chosen[0])
        found = matching.mine(forward, backward, given.score, given.retrieval)
        found = Pairs(chosen[0][found.left], chosen[1][found.right], found.scores)
        threshold, dev = given.threshold, None
        if isinstance(threshold, Dev):
            dev = _on_dev(threshold, left, right, found)
            threshold = dev["threshold"]
        found = found.at(np.argsort(found.left, kind="stable"))
        table = pa.table([found.left, found.right, found.scores], schema=PAIRS)
        path = units.data_path(item["key"])
        with units.storage.parquet_writer(path, PAIRS) as writer:
            writer.write_table(table)
        facts = {"file": path, "threshold": threshold, "dev": dev, "mined": len(table)}
        counts = {"left_texts": len(chosen[0]), "right_texts": len(chosen[1])}
        return {"rows": len(table), "facts": {**facts, **counts}}

    return do_once(item, item["prefix"], work)


def _between(storage: Storage, files: list[str], own: np.ndarray, other: np.ndarray) -> Neighbours:
    """Neighbours of the distinct texts of a side, whose places are `own`, as positions in `other`."""
    parts = [read_neighbours(storage, path) for path in files]
    cosines, places = (np.concatenate(found)[own] for found in zip(*parts, strict=True))
    return Neighbours(cosines, np.where(places >= 0, np.searchsorted(other, places), -1))


def _on_dev(given: Dev, left: Side, right: Side, found: Pairs) -> dict[str, Any]:
    """The threshold with the best F1 among the mined pairs with a text of a gold pair, and what F1 it has."""
    some = [np.empty((0, 2), np.int64)]
    for file in sources.find(given.dev):
        for piece in sources.split(given.dev, file, 1 << 62):
            for batch in sources.read(given.dev, piece):
                pairs = batch.pairs
                ids = [text_ids(pairs[side].combine_chunks().fill_null("")) for side in ("anchor", "positive")]
                some.append(np.stack(ids, axis=1))
    gold = np.unique(np.concatenate(some), axis=0)
    gold = gold[np.isin(gold[:, 0], left.texts) & np.isin(gold[:, 1], right.texts)]
    pairs = np.stack([left.texts[found.left], right.texts[found.right]], axis=1)
    known = np.isin(pairs[:, 0], gold[:, 0]) | np.isin(pairs[:, 1], gold[:, 1])
    names = set(map(tuple, gold.tolist()))
    true = np.array([tuple(pair) in names for pair in pairs[known].tolist()], bool)
    if not true.any():
        raise PairmillError(
            f"bitext.threshold.dev: of its pairs {len(gold):,} have their anchor among the left texts and their "
            "positive among the right ones, and none of these was mined: no threshold can be chosen. Give pairs of "
            "these texts, anchor left, or a number as threshold."
        )
    cut = matching.best_threshold(found.scores[known], true, len(gold))
    return {**cut._asdict(), "gold": len(gold)}


def ask_part(item: dict[str, Any]) -> dict[str, Any]:
    """Unit of ask: which right texts a part's pairs need."""

    def work(units: Units) -> dict[str, Any]:
        left, right = (open_side(item["storage"], item[name]) for name in ("side", "right"))
        pairs, first = _pairs(units.storage, item["pairs"], left, item["number"])
        path = units.data_path(item["key"], kind="arrow")
        row = first + np.arange(len(pairs))
        fetch.ask(units.storage, path, right, item["number"], row, np.zeros(len(row)), pairs["right"].to_numpy())
        return {"rows": len(pairs), "facts": {"file": path}}

    return do_once(item, item["prefix"], work)


def write_part(item: dict[str, Any]) -> dict[str, Any]:
    """Unit of write: the pairs of a part's left texts."""

    def work(units: Units) -> dict[str, Any]:
        given, left = _given(item), open_side(item["storage"], item["side"])
        pairs, first = _pairs(units.storage, item["pairs"], left, item["number"])
        span, places = left.rows(item["number"]), pairs["left"].to_numpy()
        answers = fetch.answers(units.storage, item["files"], item["number"])
        rows, which = np.unique(places - span.start, return_inverse=True)
        texts = pa.array(texts_at(left.parts[item["number"]], rows), pa.large_string())
        count = len(pairs)
        columns = {
            "pair_id": pa.array(first + np.arange(count), pa.int64()),
            "anchor": texts.take(pa.array(which)),
            "positive": answers["text"],
            "anchor_lang": pa.array([given.left_lang] * count, pa.string()),
            "positive_lang": pa.array([given.right_lang] * count, pa.string()),
            "source": pa.array([given.source] * count, pa.string()),
            "form": pa.array(["bitext"] * count, pa.string()),
            "score": pairs["score"],
            "origin_file": pa.array([given.left] * count, pa.string()),
            "origin_row": pa.array(left.pair_ids[places]),
        }
        table = cast(pa.table(columns), PAIR)
        threshold = -np.inf if item["threshold"] is None else item["threshold"]
        passes = pairs["score"].to_numpy() >= threshold
        tally = Tally()
        tally.add(table, np.where(passes, "kept", "below_threshold"))
        return tally.written(units, item, [table.filter(pa.array(passes))])

    return do_once(item, item["prefix"], work)


def _pairs(storage: Storage, path: str, left: Side, number: int) -> tuple[pa.Table, int]:
    """The pairs of a part's left texts, and the number of the first of them."""
    with storage.open_parquet(path) as file, storage.reading(path):
        table = file.read()
    span = left.rows(number)
    start, stop = np.searchsorted(table["left"].to_numpy(), (span.start, span.stop)).tolist()
    return table.slice(start, stop - start).combine_chunks(), start


def _given(item: dict[str, Any]) -> Bitext:
    given = MineSpec.model_validate(item["spec"]).bitext
    assert given is not None
    return given
