"""Kept rows of a curate run as files that other tools read. Every format streams: one row group is in memory at a time.

- `jsonl`: `pairs.jsonl.gz`, an object per row with every column of `schema.PAIR`, null where the row has none.
- `datasets`: a folder as `Dataset.save_to_disk` of Hugging Face writes it; `datasets.load_from_disk(DIR)` maps it.
- `moses`: two line-aligned files per pair of languages, the codes in alphabetical order: `pairs.de-en.de` and
  `pairs.de-en.en`. Where both sides have one language, the ends are `anchor` and `positive`; a side of unknown language
  has the code `und`. Line breaks inside a text become a space.
- `sentence-transformers`: a Parquet file per shape of row, since `SentenceTransformerTrainer` takes every column but
  the label for a text: `pairs.parquet` (anchor, positive), `pairs-negatives-3.parquet` (and negative_1 to negative_3),
  `pairs-score.parquet` (and score), `pairs-label.parquet` (and label, the index into `labels.json`).

Beside them, `export.json` names the run, the rows and the licences of their sources.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pairmill.errors import PairmillError
from pairmill.pairs.kept import KeptRun, read_kept
from pairmill.pairs.schema import PAIR, cast

BREAKS = "[\\n\\r\\x0b\\x0c\\x1c-\\x1e\\x{85}\\x{2028}\\x{2029}]+"  # what Python, Perl or C++ end a line at
FILE_BYTES = 500_000_000  # of an Arrow file: that of `datasets`
BATCH_ROWS = 1000  # of a record batch: that of `datasets`, which reads whole batches


@dataclass
class Selection:
    """The rows to export: those of a run with these sources and languages (None: all). Counts what it has read."""

    run: KeptRun
    sources: Sequence[str] | None = None
    languages: Sequence[str] | None = None
    rows: int = 0
    by_source: Counter[str] = field(default_factory=Counter)

    def tables(self) -> Iterator[pa.Table]:
        """The rows with the columns of `PAIR`, in the run's order."""
        for file in self.run.files:
            for part in read_kept(self.run.storage, file.path, PAIR.names, self.sources, self.languages):
                table = cast(part, PAIR)
                self.rows += len(table)
                counts = pc.value_counts(table["source"])
                self.by_source.update({row["values"]: row["counts"] for row in counts.to_pylist()})
                yield table

    def column(self, name: str) -> Iterator[pa.ChunkedArray]:
        for file in self.run.files:
            for part in read_kept(self.run.storage, file.path, [name], self.sources, self.languages):
                yield part[name]

    def facts(self) -> dict[str, Any]:
        """What was exported, and under which licences it is."""
        licences = {name: self.run.licences.get(name) for name in sorted(self.by_source)}
        return {
            "run": self.run.id,
            "generation": self.run.generation,
            "filter": {"sources": self.sources, "languages": self.languages},
            "rows": self.rows,
            "sources": {name: {"rows": self.by_source[name], "licence": licences[name]} for name in licences},
        }


def export_pairs(
    run: KeptRun, form: str, folder: Path, sources: Sequence[str] | None, languages: Sequence[str] | None
) -> list[str]:
    """Write the run's kept rows into an empty folder; returns what to tell the user, line by line.

    Raises SpecError where a filter names what the run has not kept, and PairmillError where no row is left.
    """
    run.check("export", sources, languages)
    selection = Selection(run, sources, languages)
    notes = WRITERS[form](selection, folder)
    if not selection.rows:
        fitting = "fits the sources and languages asked for" if sources or languages else "was kept"
        raise PairmillError(f"run {run.id}: no row {fitting}, so there is nothing to export.")
    facts = json.dumps(selection.facts(), indent=2, ensure_ascii=False)
    (folder / "export.json").write_text(facts + "\n", "utf-8")
    return [f"{selection.rows:,} rows of run {run.id}", *notes]


def write_jsonl(selection: Selection, folder: Path) -> list[str]:
    with (folder / "pairs.jsonl.gz").open("wb") as raw, gzip.GzipFile("", "wb", 6, raw, mtime=0) as file:
        for table in selection.tables():
            shortest = table["score"].cast(pa.string()).cast(pa.float64())  # 0.8, not 0.800000011920929
            rows = table.set_column(PAIR.get_field_index("score"), "score", shortest).to_pylist()
            file.write(b"".join(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in rows))
    return []


def write_datasets(selection: Selection, folder: Path) -> list[str]:
    names: list[str] = []
    size = FILE_BYTES
    with ExitStack() as stack:
        for table in selection.tables():
            if size >= FILE_BYTES:
                stack.close()
                names.append(f"part-{len(names):05d}.arrow")
                writer = stack.enter_context(pa.ipc.new_stream(str(folder / names[-1]), PAIR))
                size = 0
            writer.write_table(table, BATCH_ROWS)
            size += table.nbytes
    final = {name: f"data-{number:05d}-of-{len(names):05d}.arrow" for number, name in enumerate(names)}
    for name, renamed in final.items():
        (folder / name).rename(folder / renamed)
    _describe_dataset(selection, folder, list(final.values()))
    return []


def _describe_dataset(selection: Selection, folder: Path, files: list[str]) -> None:
    """`state.json` and `dataset_info.json`. Features are left out: `datasets` takes them from the Arrow schema."""
    facts = selection.facts()
    licences = sorted({source["licence"] for source in facts["sources"].values() if source["licence"]})
    state: dict[str, Any] = {
        "_data_files": [{"filename": name} for name in files],
        "_fingerprint": hashlib.blake2b(json.dumps(facts, sort_keys=True).encode(), digest_size=8).hexdigest(),
        "_format_columns": None,
        "_format_kwargs": {},
        "_format_type": None,
        "_output_all_columns": False,
        "_split": None,
    }
    info = {"description": f"Kept pairs of Pairmill run {selection.run.id}.", "license": ", ".join(licences)}
    for name, value in (("state.json", state), ("dataset_info.json", info)):
        (folder / name).write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", "utf-8")


def write_moses(selection: Selection, folder: Path) -> list[str]:
    broken = 0
    pairs = set()
    for table in selection.tables():
        texts = {side: table[side].combine_chunks() for side in ("anchor", "positive")}
        breaks = [pc.match_substring_regex(text, BREAKS) for text in texts.values()]
        broken += pc.sum(pc.or_(*breaks)).as_py() or 0
        lines = {side: pc.replace_substring_regex(text, BREAKS, " ") for side, text in texts.items()}
        for (anchor, positive), rows in _by_languages(table):
            for side, name in _moses_files(anchor, positive).items():
                with (folder / name).open("ab") as file:
                    file.write("".join(f"{line}\n" for line in lines[side].take(rows).to_pylist()).encode())
            pairs.add(frozenset((anchor, positive)))
    return [
        f"{len(pairs):,} pairs of languages, two files each",
        f"{broken:,} rows had line breaks inside, which are spaces now",
        "negatives, scores and labels have no place in this format and are left out",
    ]


def _moses_files(anchor: str, positive: str) -> dict[str, str]:
    """The file of each side."""
    first, second = sorted((anchor, positive))
    stem = f"pairs.{first}-{second}"
    if first == second:
        return {"anchor": f"{stem}.anchor", "positive": f"{stem}.positive"}
    return {"anchor": f"{stem}.{anchor}", "positive": f"{stem}.{positive}"}


def _by_languages(table: pa.Table) -> Iterator[tuple[tuple[str, str], pa.Array]]:
    """The numbers of the rows of each (anchor language, positive language), as they may stand in file names."""
    sides = [pc.fill_null(table[name], "und").combine_chunks() for name in ("anchor_lang", "positive_lang")]
    anchors, positives = (side.dictionary_encode() for side in sides)
    codes = [[re.sub(r"[^\w-]", "_", code) for code in side.dictionary.to_pylist()] for side in (anchors, positives)]
    both = np.asarray(anchors.indices, np.int64) * len(codes[1]) + np.asarray(positives.indices)
    for combined in np.unique(both).tolist():
        one, other = divmod(combined, len(codes[1]))
        yield (codes[0][one], codes[1][other]), pa.array(np.flatnonzero(both == combined))


def write_sentence_transformers(selection: Selection, folder: Path) -> list[str]:
    labels = sorted(
        {name for column in selection.column("label") for name in pc.unique(column).drop_null().to_pylist()}
    )
    if labels:
        (folder / "labels.json").write_text(json.dumps(labels, indent=1, ensure_ascii=False) + "\n", "utf-8")
    writers: dict[str, pq.ParquetWriter] = {}
    rows: Counter[str] = Counter()
    with ExitStack() as stack:
        for table in selection.tables():
            for name, part in _shapes(table, labels):
                if name not in writers:
                    writer = pq.ParquetWriter(str(folder / name), part.schema, compression="zstd")
                    writers[name] = stack.enter_context(writer)
                writers[name].write_table(part)
                rows[name] += len(part)
    return [f"{name}: {count:,} rows" for name, count in sorted(rows.items())]


def _shapes(table: pa.Table, labels: list[str]) -> Iterator[tuple[str, pa.Table]]:
    """The rows of each shape: the file's name, and the columns that a trainer takes. A score goes before a label."""
    counts = pc.fill_null(pc.list_value_length(table["negatives"]), 0).to_numpy()
    scored = pc.is_valid(table["score"]).to_numpy()
    labelled = pc.is_valid(table["label"]).to_numpy() & ~scored
    shape = counts * 4 + scored * 2 + labelled
    for value in np.unique(shape).tolist():
        count, target = divmod(value, 4)
        part = table.take(np.flatnonzero(shape == value))
        columns = {"anchor": part["anchor"], "positive": part["positive"]}
        for number in range(count):
            columns[f"negative_{number + 1}"] = pc.list_element(part["negatives"], number)
        name = "pairs" + (f"-negatives-{count}" if count else "")
        if target == 2:
            columns["score"] = part["score"]
            name += "-score"
        elif target == 1:
            columns["label"] = pc.index_in(part["label"], pa.array(labels, part["label"].type)).cast(pa.int64())
            name += "-label"
        yield f"{name}.parquet", pa.table(columns)


Writer = Callable[[Selection, Path], list[str]]
WRITERS: dict[str, Writer] = {
    "jsonl": write_jsonl,
    "datasets": write_datasets,
    "moses": write_moses,
    "sentence-transformers": write_sentence_transformers,
}
