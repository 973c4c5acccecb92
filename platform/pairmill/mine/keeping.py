"""Kept datasets that mining writes: files of rows as curate keeps them, with a balanced ledger by source."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pairmill.mine.scored import Made
from pairmill.pairs.ledger import Counts, ledger
from pairmill.runs.units import Units

GROUP_ROWS = 8192


class Tally:
    """Counts rows by source and by languages, and what became of them: `kept`, or a reason."""

    def __init__(self) -> None:
        self.sources: Counter[tuple[str, str]] = Counter()
        self.languages: Counter[tuple[str, str, str]] = Counter()

    def add(self, table: pa.Table, fate: np.ndarray) -> None:
        """`fate` (n,) of the rows of a table with `source` and both languages."""
        named = {
            name: pc.fill_null(table[name].cast(pa.string()), "") for name in ("source", "anchor_lang", "positive_lang")
        }
        rows = pa.table({**named, "fate": pa.array(fate, pa.string())})
        for keys, counts in (
            (["source", "fate"], self.sources),
            (["anchor_lang", "positive_lang", "fate"], self.languages),
        ):
            for row in rows.group_by(keys).aggregate([([], "count_all")]).to_pylist():
                counts[tuple(row[key] for key in keys)] += row["count_all"]

    def written(self, units: Units, item: dict[str, Any], tables: Sequence[pa.Table]) -> dict[str, Any]:
        """Write the kept rows into the run's `kept/`; returns the unit's manifest."""
        path = f"runs/{item['run']}/kept/{item['key']}-{item['attempt']}-{uuid.uuid4().hex[:8]}.parquet"
        rows = 0
        with units.storage.parquet_writer(path, tables[0].schema) as writer:
            for table in tables:
                rows += len(table)
                if len(table):
                    writer.write_table(table.cast(tables[0].schema), row_group_size=GROUP_ROWS)
        facts = {
            "file": {"path": path, "rows": rows},
            "sources": [[*key, count] for key, count in sorted(self.sources.items())],
            "languages": [[*key, count] for key, count in sorted(self.languages.items())],
        }
        return {"rows": sum(self.sources.values()), "facts": facts}


def made_kept(done: Sequence[dict[str, Any]], **summary: Any) -> Made:
    """The kept dataset of units, in their order. Raises PairmillError where the ledger does not balance."""
    inputs: dict[str, Counts] = {}
    languages: dict[tuple[str, str], Counter[str]] = {}
    for unit in done:
        for source, fate, rows in unit["sources"]:
            counts = inputs.setdefault(source, Counts())
            counts.records_in += rows
            counts.parsed += rows
            counts.rows_in += rows
            if fate == "kept":
                counts.kept += rows
            else:
                counts.rejected[fate] += rows
        for anchor, positive, fate, rows in unit["languages"]:
            languages.setdefault((anchor, positive), Counter())[fate] += rows
    kept = {
        "files": [{**unit["file"], "shard": number} for number, unit in enumerate(done)],
        "ledger": ledger(inputs),
        "languages": [_language_row(pair, counts) for pair, counts in sorted(languages.items())],
    }
    return Made(kept=kept, summary=summary)


def _language_row(pair: tuple[str, str], counts: Counter[str]) -> dict[str, Any]:
    return {
        "anchor_lang": pair[0] or None,
        "positive_lang": pair[1] or None,
        "rows": counts.total(),
        "kept": counts["kept"],
        "rejected": {reason: rows for reason, rows in counts.most_common() if reason != "kept"},
    }
