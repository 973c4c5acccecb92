"""Evaluation texts in what a model learnt from: exact, changed in a word, inside a longer text, or most n-grams.

1. `index_texts`: the texts of all local tasks become an index, as `decontaminate` makes one (its package says how a
   text is found and which are too short to be told from chance).
2. `scan_file`, per file of kept rows: which texts of the index its anchors, positives and negatives hold.
3. `summarise`: by task, how many of its texts were found; and which of its rows, whose scores are then given without.
   Documents of a retrieval corpus count as texts, but not as rows: rows are queries.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pairmill.curate import clean
from pairmill.curate.decontamination import index as indexes
from pairmill.curate.decontamination import search
from pairmill.curate.decontamination.evaluation import SCHEMA
from pairmill.evaluate.work import load_parts
from pairmill.pairs.kept import read_kept
from pairmill.runs.storage import Storage, open_storage
from pairmill.runs.units import Units, do_once
from pairmill.spec.clean import Clean
from pairmill.spec.evaluate import EvaluateSpec, Leaks

SCANS = "stages/evaluate/leaks"
VERSION = [search.VERSION, indexes.VERSION, 1]
#: An n-gram that more evaluation texts than this have is a common phrase.
BOILERPLATE = 10
SAMPLES = 20  # of a task, in the report
TEXT = 500  # characters of a sample
_FIELDS = {"rows": ("sentence1", "sentence2", "text"), "queries": ("text",), "corpus": ("text",)}


def index_texts(item: dict[str, Any]) -> dict[str, Any]:
    """Unit function: commit the index of the tasks' texts. `item`: `subsets` ({task, subset, parts}), `key`."""
    storage = open_storage(item["storage"])

    def work(units: Units) -> dict[str, Any]:
        seen: set[tuple[str, str]] = set()
        tables = [table for one in item["subsets"] for table in _texts(storage, one, seen)]
        found = pa.concat_tables(tables).combine_chunks()
        index = indexes.build(found, indexes.Limits.of(_leaks(item).ngram), BOILERPLATE)
        packed, sources = units.data_path(item["key"], kind="npz"), units.data_path(item["key"])
        held = io.BytesIO()
        np.savez(held, *index)
        storage.put(packed, held.getvalue())
        with storage.parquet_writer(sources, SCHEMA) as writer:
            writer.write_table(found)
        return {"arrays": packed, "sources": sources, "rows": len(found)}

    return do_once(item, indexes.PREFIX, work)


def _leaks(item: dict[str, Any]) -> Leaks:
    leaks = EvaluateSpec.model_validate(item["spec"]).leaks
    assert leaks is not None, "the stage runs where the spec looks for leaks"
    return leaks


def _texts(storage: Storage, one: dict[str, Any], seen: set[tuple[str, str]]) -> Iterator[pa.Table]:
    """The texts of a subset, cleaned as rows are; `file` is the subset, `row` the row of the part that `field` names.

    `seen` are the task's tables that came with an earlier subset: a shared corpus comes once.
    """
    paths = {name: path for name, path in one["parts"].items() if name in _FIELDS and (one["task"], path) not in seen}
    seen.update((one["task"], path) for path in paths.values())
    for part, table in load_parts(storage, paths).items():
        for column in _FIELDS[part]:
            if column in table.column_names:
                texts = clean.clean(table[column].combine_chunks().cast(pa.large_string()), Clean())[0]
                count = len(texts)
                columns = [pa.repeat(one["task"], count), pa.repeat(one["subset"], count), np.arange(count)]
                yield pa.table([*columns, pa.repeat(f"{part}.{column}", count), texts], schema=SCHEMA)


def scan_file(item: dict[str, Any]) -> dict[str, Any]:
    """Unit function: commit which evaluation texts a file of kept rows holds. `item`: `index`, `of` (the storage of the
    rows), `run`, `path`, `sources`, `languages`, `key`."""
    return do_once(item, SCANS, lambda units: _scan(item))


def _scan(item: dict[str, Any]) -> dict[str, Any]:
    leaks, index = _leaks(item), indexes.load(item["storage"], item["index"])
    limits = indexes.Limits.of(leaks.ngram)
    found: dict[int, dict[str, Any]] = {}
    rows = 0
    columns = ["pair_id", "anchor", "positive", "negatives"]
    for table in read_kept(open_storage(item["of"]), item["path"], columns, item["sources"], item["languages"]):
        rows += len(table)
        ids = table["pair_id"].to_pylist()
        for side in columns[1:]:
            texts, of = _side(table[side].combine_chunks())
            for hit in search.search(texts, index, limits, leaks.min_share)[0]:
                known = found.setdefault(hit.text, {"rows": 0, "share": 0.0})
                known["rows"] += 1
                if hit.share > known["share"]:
                    text = texts[hit.row].as_py()[:TEXT]
                    place = {"run": item["run"], "pair_id": ids[of[hit.row]], "side": side}
                    known.update(place, share=float(hit.share), kind=hit.kind, text=text)
    return {"rows": rows, "found": {str(text): found[text] for text in sorted(found)}}


def _side(column: pa.Array) -> tuple[pa.Array, np.ndarray]:
    """The texts of a side, or of the lists of negatives, and the row of each."""
    if not pa.types.is_list(column.type):
        return pc.fill_null(column.cast(pa.large_string()), ""), np.arange(len(column))
    return pc.fill_null(column.flatten().cast(pa.large_string()), ""), np.asarray(pc.list_parent_indices(column))


def summarise(
    storage: Storage, index_key: str, scan_keys: list[str]
) -> tuple[list[dict[str, Any]], set[tuple[str, str, int]]]:
    """What was found by task; and the rows (task, subset, number) that hold a found text."""
    index = indexes.load(storage.uri, index_key)
    sources = indexes.load_sources(storage.uri, index_key)
    best: dict[int, dict[str, Any]] = {}
    for key in scan_keys:
        unit = Units(storage, SCANS).get(key)
        for text, hit in (unit or {"found": {}})["found"].items():
            known = best.setdefault(int(text), {**hit, "rows": 0})
            rows = known["rows"] + hit["rows"]
            best[int(text)] = {**(hit if hit["share"] > known["share"] else known), "rows": rows}
    sets, fields = np.array(sources["set"].to_pylist()), np.array(sources["field"].to_pylist())
    leaked = np.isin(index.member, list(best))
    told = [_of_task(name, sets == name, index, sources, best) for name in dict.fromkeys(sets.tolist())]
    at = np.flatnonzero(leaked & ~np.char.startswith(fields, "corpus."))
    some = sources.take(pa.array(at))
    rows_ = zip(some["set"].to_pylist(), some["file"].to_pylist(), some["row"].to_pylist(), strict=True)
    return told, set(rows_)


def ids_of(
    storage: Storage, subsets: list[dict[str, Any]], rows: set[tuple[str, str, int]]
) -> dict[tuple[str, str], list[str]]:
    """The ids of rows (task, subset, number) by task and subset."""
    found: dict[tuple[str, str], list[str]] = {}
    for one in subsets:
        numbers = sorted(number for task, subset, number in rows if (task, subset) == (one["task"], one["subset"]))
        part = "queries" if "queries" in one["parts"] else "rows"
        if numbers:
            ids = load_parts(storage, {part: one["parts"][part]})[part]["id"]
            found[one["task"], one["subset"]] = ids.take(pa.array(numbers)).to_pylist()
    return found


def _of_task(
    name: str, here: np.ndarray, index: indexes.Index, sources: pa.Table, best: dict[int, dict[str, Any]]
) -> dict[str, Any]:
    member = index.member[here]
    texts = np.unique(member[member >= 0])
    hit = [text for text in texts.tolist() if text in best]
    ranked = sorted(hit, key=lambda text: (-best[text]["share"], text))[:SAMPLES]
    samples = [{**best[text], "evaluation": sources["text"][int(index.first[text])].as_py()[:TEXT]} for text in ranked]
    return {
        "task": name,
        "texts": len(texts),
        "too_short": int((member < 0).sum()),
        "found": len(hit),
        "kinds": dict(sorted(Counter(best[text]["kind"] for text in hit).items())),
        "samples": samples,
    }
