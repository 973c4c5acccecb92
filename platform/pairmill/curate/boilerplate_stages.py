"""The stages that find the lines which recur on the pages of one site, before annotate removes them.

1. `count_shard`, per shard: read and clean the pages; for each site (host of `url`) count the pages that hold a line.
   A page counts once, however often it holds the line and however many pairs it makes.
2. `merge_part`, per part of the sites (by hash): add the shards' counts up; a line is boilerplate where at least
   `min_pages` pages and `min_share` of the site's pages hold it.
3. `lines_of`, per shard: the boilerplate of the sites in this shard, with a digest that becomes part of the shard's
   annotation key: a new file means annotating again only where some site's boilerplate changed with it.

The pages are parsed twice for it, here and in annotate.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import xxhash

from pairmill.curate import annotate
from pairmill.curate.boilerplate import ALL_PAGES, VERSION, line_key, sites, split
from pairmill.pairs import sources
from pairmill.pairs.shards import input_of, pieces_of
from pairmill.runs.storage import Storage, open_storage
from pairmill.runs.units import Stopwatch, Units, digest
from pairmill.spec.clean import Boilerplate
from pairmill.spec.curate import CurateSpec

PREFIX = "stages/boilerplate"
PART_LINES = 20_000_000  # counted lines that one merge holds, 24 bytes each and as much again while sorting
_COUNTS = pa.schema([("site", pa.uint64()), ("line", pa.uint64()), ("pages", pa.int64())])


def counts_key(spec: CurateSpec, shard: dict[str, Any], salt: str) -> str:
    """The place of a shard's counts in storage: by its records and how they are parsed and cleaned."""
    how = annotate.parsing(spec, input_of(spec, shard))
    return digest({"version": VERSION, "pieces": shard["pieces"], "parsing": how, "salt": salt})


def merge_key(spec: CurateSpec, counts: list[str], parts: int) -> str:
    """The place of the merged counts: by what is merged and what counts as boilerplate."""
    assert spec.clean.boilerplate is not None
    return digest({"counts": counts, "options": spec.clean.boilerplate.model_dump(), "parts": parts})


def count_shard(item: dict[str, Any]) -> dict[str, Any]:
    """The first stage's unit function: commit a shard's counts, sorted by site."""
    storage, spec = open_storage(item["storage"]), CurateSpec.model_validate(item["spec"])
    committed = _commit(storage, f"{item['counts']}/counts", item["attempt"], lambda: _count(spec, item["shard"]))
    return {"index": item["shard"]["index"], **committed}


def _commit(storage: Storage, name: str, attempt: str, compute: Callable[[], pa.Table]) -> dict[str, Any]:
    """The unit's table of counts, computed where it is not committed yet: its rows, and whether it was there."""
    units = Units(storage, PREFIX)
    done = units.get(name)
    reused = done is not None
    if done is None:
        watch = Stopwatch(attempt)
        table = compute()
        path = units.data_path(name)
        with storage.parquet_writer(path, _COUNTS) as writer:
            writer.write_table(table, row_group_size=1 << 20)
        done = units.commit(name, {"file": path, "rows": len(table), "record": watch.record()})
    return {"rows": done["rows"], "reused": reused}


def _count(spec: CurateSpec, shard: dict[str, Any]) -> pa.Table:
    spec_input = input_of(spec, shard)
    held: list[tuple[np.ndarray, ...]] = [tuple(np.zeros(0, np.uint64) for _ in range(3))]
    for piece in pieces_of(shard):
        for batch in sources.read(spec_input, piece):
            pairs = batch.pairs
            if not len(pairs) or pairs["url"].null_count == len(pairs):
                continue
            site, page = sites(pairs["url"].combine_chunks()), _pages(pairs)
            held.append((site, np.full(len(site), ALL_PAGES), page))
            columns = {name: pairs[name].combine_chunks() for name in pairs.column_names}
            for texts in annotate.clean_sides(columns, spec)[0].values():
                _, hashed, rows = split(texts)
                held.append((site[rows], hashed, page[rows]))
    site, line, page = (np.concatenate(part) for part in zip(*held, strict=True))
    order = np.lexsort((page, line, site))
    order = order[site[order] != 0]
    site, line, page = site[order], line[order], page[order]
    new = np.r_[True, (np.diff(site) != 0) | (np.diff(line) != 0) | (np.diff(page) != 0)][: len(site)]
    return _summed(site[new], line[new], np.ones(int(new.sum()), np.int64))


def _pages(pairs: pa.Table) -> np.ndarray:
    """A 64-bit name of each row's record: rows of one record are one page."""
    encoded = pairs["origin_file"].combine_chunks().dictionary_encode()
    files = np.array([xxhash.xxh3_64_intdigest(name.encode()) for name in encoded.dictionary.to_pylist()], np.uint64)
    row = np.asarray(pairs["origin_row"]).astype(np.uint64)
    return line_key(files[encoded.indices.to_numpy(zero_copy_only=False)], row)


def _summed(site: np.ndarray, line: np.ndarray, pages: np.ndarray) -> pa.Table:
    """Counts added up by (site, line), ascending."""
    order = np.lexsort((line, site))
    site, line, pages = site[order], line[order], pages[order]
    new = np.flatnonzero(np.r_[True, (np.diff(site) != 0) | (np.diff(line) != 0)][: len(site)])
    total = np.add.reduceat(pages, new) if len(new) else pages
    return pa.table([pa.array(site[new]), pa.array(line[new]), pa.array(total)], schema=_COUNTS)


def parts(counted_lines: int) -> int:
    """How many merges share the sites."""
    return 1 + counted_lines // PART_LINES


def merge_part(item: dict[str, Any]) -> dict[str, Any]:
    """The second stage's unit function: commit the boilerplate of the sites of one part, as sorted by site."""
    storage, spec = open_storage(item["storage"]), CurateSpec.model_validate(item["spec"])
    options, part = spec.clean.boilerplate, item["part"]
    assert options is not None
    name = f"{item['merge']}/part-{part:05d}"
    committed = _commit(
        storage, name, item["attempt"], lambda: _merge(storage, item["counts"], part, item["parts"], options)
    )
    return {"index": part, **committed}


def _merge(storage: Storage, counts: list[str], part: int, of: int, options: Boilerplate) -> pa.Table:
    width = (1 << 64) // of + 1
    low, high = part * width, min((part + 1) * width, 1 << 64) - 1
    tables = [_counts(storage, f"{key}/counts", low, high) for key in dict.fromkeys(counts)]
    table = pa.concat_tables(tables)
    merged = _summed(*(np.asarray(table[name]) for name in _COUNTS.names))
    site, line, pages = (np.asarray(merged[name]) for name in _COUNTS.names)
    totals = line == ALL_PAGES
    of_site = pages[totals][np.searchsorted(site[totals], site)] if len(site) else pages
    chosen = ~totals & (pages >= options.min_pages) & (pages >= options.min_share * of_site)
    return merged.filter(pa.array(chosen))


def _counts(storage: Storage, key: str, low: int, high: int) -> pa.Table:
    """The counts of the sites from `low` to `high`, by the row groups that have them."""
    manifest = Units(storage, PREFIX).get(key)
    assert manifest is not None, "the stage before commits these"
    found = [_COUNTS.empty_table()]
    with storage.reading(manifest["file"]), storage.open_parquet(manifest["file"]) as file:
        for group in range(file.num_row_groups):
            extent = file.metadata.row_group(group).column(0).statistics
            if extent is not None and extent.has_min_max and (extent.max < low or extent.min > high):
                continue
            table = file.read_row_group(group).cast(_COUNTS)
            site = np.asarray(table["site"])
            found.append(table.filter(pa.array((site >= np.uint64(low)) & (site <= np.uint64(high)))))
    return pa.concat_tables(found)


def lines_of(item: dict[str, Any]) -> dict[str, Any]:
    """The third stage's unit function: commit the boilerplate of a shard's sites; `rows` are the lines."""
    storage = open_storage(item["storage"])
    units, name = Units(storage, PREFIX), f"{item['merge']}/shard-{item['shard']['index']:06d}"
    done = units.get(name)
    reused = done is not None
    if done is None:
        watch = Stopwatch(item["attempt"])
        own = np.unique(np.asarray(_counts(storage, f"{item['counts']}/counts", 0, (1 << 64) - 1)["site"]))
        merged = [f"{item['merge']}/part-{part:05d}" for part in range(item["parts"])]
        known = np.unique(np.concatenate([_of_sites(storage, part, own) for part in merged]))
        path = units.data_path(name)
        with storage.parquet_writer(path, pa.schema([("key", pa.uint64())])) as writer:
            writer.write_table(pa.table({"key": known}))
        found = digest([VERSION, xxhash.xxh3_128_hexdigest(known.tobytes())])
        done = units.commit(name, {"file": path, "rows": len(known), "digest": found, "record": watch.record()})
    result = {name: done[name] for name in ("rows", "digest", "file")}
    return {"index": item["shard"]["index"], "reused": reused, **result}


def _of_sites(storage: Storage, key: str, own: np.ndarray) -> np.ndarray:
    if not len(own):
        return np.zeros(0, np.uint64)
    table = _counts(storage, key, int(own[0]), int(own[-1]))
    site, line = np.asarray(table["site"]), np.asarray(table["line"])
    mine = np.isin(site, own)
    return line_key(site[mine], line[mine])
