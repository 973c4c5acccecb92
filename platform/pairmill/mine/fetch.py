"""Texts for rows of other parts: requests are sorted by the part that has the text, answers by the part that asks.

Every part is read once, whoever asks; what travels are exchange files (`runs/exchange.py`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from pairmill.mine.sides import Side, open_side
from pairmill.mine.texts import texts_at
from pairmill.mine.work import Work
from pairmill.runs import exchange
from pairmill.runs.storage import Storage
from pairmill.runs.units import Units, do_once

#: `row` and `slot` are the asking part's own; `place` is the text's on its side.
REQUEST = pa.schema([("part", pa.int64()), ("row", pa.int64()), ("slot", pa.int32()), ("place", pa.int64())])
ANSWER = pa.schema([("row", pa.int64()), ("slot", pa.int32()), ("text", pa.large_string())])


def ask(
    storage: Storage, path: str, side: Side, part: int, row: np.ndarray, slot: np.ndarray, place: np.ndarray
) -> None:
    """Write the requests (n,) of a part."""
    columns = [np.full(len(row), part), row, slot.astype(np.int32), place]
    table = pa.table([pa.array(values) for values in columns], schema=REQUEST)
    exchange.write(storage, path, table, side.part_of(place), len(side.parts))


def fetch(work: Work, side: str, requests: list[str], parts: int) -> list[str]:
    """Answer the requests of `parts` asking parts for texts of a side; returns the files of answers."""
    items = work.items("fetch", side, requests=requests, parts=parts)
    return sorted(done["file"] for done in work.stage("mine: fetch", fetch_part, items))


def fetch_part(item: dict[str, Any]) -> dict[str, Any]:
    """Unit of fetch: the texts of one part that others ask for."""

    def work(units: Units) -> dict[str, Any]:
        side, number = open_side(item["storage"], item["side"]), item["number"]
        asked = exchange.read_all(units.storage, item["requests"], number, REQUEST)
        rows, which = np.unique(asked["place"].to_numpy() - side.starts[number], return_inverse=True)
        texts = pa.array(texts_at(side.parts[number], rows), pa.large_string())
        answers = pa.table([asked["row"], asked["slot"], texts.take(pa.array(which))], schema=ANSWER)
        path = units.data_path(item["key"], kind="arrow")
        exchange.write(units.storage, path, answers, asked["part"].to_numpy(), item["parts"])
        return {"rows": len(answers), "facts": {"file": path}}

    return do_once(item, item["prefix"], work)


def answers(storage: Storage, files: list[str], part: int) -> pa.Table:
    """What a part had asked for: `row`, `slot`, `text`, ascending by row and slot."""
    found = exchange.read_all(storage, files, part, ANSWER)
    return found.sort_by([("row", "ascending"), ("slot", "ascending")]).combine_chunks()
