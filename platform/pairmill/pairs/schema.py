"""The pair: one explicit Arrow schema from the first stage to the loss."""

from __future__ import annotations

import pyarrow as pa

#: What a source's parser emits. `origin_row` is the 0-based line, record or row of `origin_file`; `url` is the page's,
#: where the source has one: annotate and select use it (site boilerplate, opt-outs), a run does not keep it.
PARSED = pa.schema(
    [
        ("anchor", pa.large_string()),
        ("positive", pa.large_string()),
        ("negatives", pa.list_(pa.large_string())),
        ("anchor_lang", pa.string()),
        ("positive_lang", pa.string()),
        ("score", pa.float32()),
        ("label", pa.string()),
        ("url", pa.large_string()),
        ("origin_file", pa.string()),
        ("origin_row", pa.int64()),
    ]
)

#: What a run keeps, before its score columns. `pair_id` is `shard << 32 | row in shard`.
PAIR = pa.schema(
    [
        pa.field("pair_id", pa.int64()),
        *[PARSED.field(name) for name in ("anchor", "positive", "negatives", "anchor_lang", "positive_lang")],
        pa.field("source", pa.string()),
        pa.field("form", pa.string()),
        *[PARSED.field(name) for name in ("score", "label", "origin_file", "origin_row")],
    ]
)


def cast(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return `table` with exactly `schema`: columns it lacks are null, others are dropped."""
    columns = [
        table[field.name].cast(field.type) if field.name in table.column_names else pa.nulls(len(table), field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema)
