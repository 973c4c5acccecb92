"""The stages of `kind: tokenizer`.

    count (per kept file) -> draw (per kept file) -> sample -> train -> fertility

Counting gives the languages' shares; drawing keeps of each file the texts whose hash may be in the sample, with room
for those that stand in several files; the sample is cut exactly. Where that room was too small, files are drawn again.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa

from pairmill.errors import SpecError
from pairmill.model import places, sample
from pairmill.pairs.kept import kept_files, read_kept, takes_in
from pairmill.runs import engine
from pairmill.runs.record import Run
from pairmill.runs.storage import Storage, open_storage
from pairmill.runs.units import Units, digest, do_once
from pairmill.spec.tokenizer import TokenizerSpec

#: Candidates for a language's sample, as a multiple of its budget: what texts of several files take away.
ROOM = 2.0
Stage = Callable[[str, engine.WorkFunction, list[dict[str, Any]], engine.Resources], list[dict[str, Any]]]


def find_inputs(storage_uri: str, spec: TokenizerSpec) -> list[dict[str, Any]]:
    """The kept files of the runs that the spec names, as data: part of what the job means, and the items of its stages.

    Raises SpecError for runs that cannot be read, and for sources and languages that kept no row.
    """
    files: list[dict[str, Any]] = []
    spoken: set[str] = set()
    for number, given in enumerate(spec.inputs):
        place = f"inputs[{number}]"
        try:
            run = kept_files(storage_uri, given.run)
        except SpecError as error:
            raise SpecError(f"{place}.run: {error}") from None
        run.check(place, given.sources, given.languages)
        spoken |= {code for pair, rows in run.languages.items() if rows for code in pair if code}
        filters = given.model_dump(mode="json", exclude={"run"})
        origin = {"run": run.id, "generation": run.generation, "storage": run.storage.uri, **filters}
        files += [{"from": {**origin, "path": file.path}, "rows": file.rows} for file in run.files]
    for name in spec.languages or ():
        if not any(takes_in(name, code) for code in spoken):
            raise SpecError(
                f"languages.{name}: the runs kept no text of it. They have: {', '.join(sorted(spoken)) or 'none'}."
            )
    return files


def tokenizer_stages(
    run: Run, spec: TokenizerSpec, files: list[dict[str, Any]], stage: Stage, resources: engine.Resources
) -> dict[str, Any]:
    """Do the stages on the files of `find_inputs`.

    `stage(name, work, items, resources)` runs units and returns their results, as `Job.stage` does; it gives each item
    `storage`, `spec` and `attempt`. Returns `model` (as `places.upload`), `vocabulary`, `nulls`, `languages` (share,
    budget, texts, bytes, short), `fertility` and `compared` (`{language: ratios}`).
    """
    keyed = [{**file, "prefix": run.units("count").prefix, "key": digest(file["from"])} for file in files]
    counted = stage("tokenizer: count", count_file, keyed, resources)
    counts = sample.add(done["counts"] for done in counted)
    share = sample.shares(counts, spec)
    missing = [name for name in share if not counts.get(name, {}).get("bytes")]
    if missing or not share:
        raise SpecError(f"languages: the rows chosen have no text of {', '.join(missing) or 'any language'}.")
    drawn = _draw(run, spec, keyed, counts, share, stage, resources)
    large = engine.Resources(resources.cpus, max(resources.memory, 6 * spec.sample))
    item = {"prefix": run.units("train").prefix, "sample": drawn["file"]}
    (trained,) = stage("tokenizer: train", train_unit, [{**item, "key": "tokenizer"}], large)
    item |= {"key": "fertility", "model": trained["model"]}
    (measured,) = stage("tokenizer: fertility", fertility_unit, [item], resources)
    return {
        "model": trained["model"],
        "languages": drawn["languages"],
        "nulls": sum(done["nulls"] for done in counted),
        "vocabulary": trained["vocabulary"],
        "fertility": measured["fertility"],
        "compared": measured["compared"],
    }


def _draw(
    run: Run,
    spec: TokenizerSpec,
    keyed: list[dict[str, Any]],
    counts: dict[str, dict[str, int]],
    share: dict[str, float],
    stage: Stage,
    resources: engine.Resources,
) -> dict[str, Any]:
    """Draw, with more room for languages that come out short though they have text left."""
    room = dict.fromkeys(share, ROOM)
    while True:
        cuts = {
            name: [
                min(1.0, room[name] * part * spec.sample / max(counts[name]["bytes"], 1)),
                min(1.0, room[name] * spec.held_out / max(counts[name]["held_out"], 1)),
            ]
            for name, part in share.items()
        }
        key = digest([cuts])
        items = [{**item, "prefix": run.units(f"draw-{key}").prefix, "cuts": cuts} for item in keyed]
        drawn = stage("tokenizer: draw", draw_file, items, resources)
        files = sorted(done["file"] for done in drawn)
        item = {"prefix": run.units("sample").prefix, "key": key, "drawn": files, "share": share}
        (found,) = stage("tokenizer: sample", sample_unit, [item], resources)
        again = [name for name, row in found["languages"].items() if row["short"] and cuts[name][0] < 1]
        if not again:
            return found
        room.update({name: room[name] * 4 for name in again})


def _texts(item: dict[str, Any], spec: TokenizerSpec) -> tuple[pa.Table, int]:
    """The distinct texts of a kept file, and how many sides were null."""
    origin = item["from"]
    columns = [name for side in origin["sides"] for name in (side, f"{side}_lang")]
    parts, nulls = [sample.SCHEMA.empty_table()], 0
    kept = read_kept(open_storage(origin["storage"]), origin["path"], columns, origin["sources"], origin["languages"])
    for table in kept:
        texts, missing = sample.texts_of(table, origin["sides"], spec)
        parts.append(texts)
        nulls += missing
    return sample.distinct(pa.concat_tables(parts)), nulls


def count_file(item: dict[str, Any]) -> dict[str, Any]:
    """Unit of count: what a kept file has of each language."""

    def work(units: Units) -> dict[str, Any]:
        texts, nulls = _texts(item, TokenizerSpec.model_validate(item["spec"]))
        return {"rows": item["rows"], "facts": {"counts": sample.sizes(texts), "nulls": nulls}}

    return do_once(item, item["prefix"], work)


def draw_file(item: dict[str, Any]) -> dict[str, Any]:
    """Unit of draw: the texts of a kept file that may be in the sample."""

    def work(units: Units) -> dict[str, Any]:
        texts, _ = _texts(item, TokenizerSpec.model_validate(item["spec"]))
        path = units.data_path(item["key"])
        _write(units.storage, path, sample.below(texts, item["cuts"]))
        return {"rows": item["rows"], "facts": {"file": path}}

    return do_once(item, item["prefix"], work)


def sample_unit(item: dict[str, Any]) -> dict[str, Any]:
    """The unit of sample: one file of the texts to train on and those held out."""

    def work(units: Units) -> dict[str, Any]:
        spec = TokenizerSpec.model_validate(item["spec"])
        candidates = sample.distinct(pa.concat_tables(_read(units.storage, path) for path in item["drawn"]))
        texts, languages = sample.draw(candidates, item["share"], spec)
        path = units.data_path(item["key"])
        _write(units.storage, path, texts)
        return {"rows": len(texts), "facts": {"file": path, "languages": languages}}

    return do_once(item, item["prefix"], work)


def train_unit(item: dict[str, Any]) -> dict[str, Any]:
    """The unit of train: the tokenizer, as a directory of the storage."""

    def work(units: Units) -> dict[str, Any]:
        from pairmill.model.tokenizer import train

        texts = [text for _, held_out, text in _rows(units.storage, item["sample"]) if not held_out]
        tokenizer = train(texts, TokenizerSpec.model_validate(item["spec"]))
        with tempfile.TemporaryDirectory(prefix="pairmill-tokenizer-") as folder:
            tokenizer.save_pretrained(folder)
            model = places.upload(Path(folder), units.storage.uri, f"{item['prefix']}/{item['key']}-{item['attempt']}")
        return {"rows": len(texts), "facts": {"model": model, "vocabulary": len(tokenizer)}}

    return do_once(item, item["prefix"], work)


def fertility_unit(item: dict[str, Any]) -> dict[str, Any]:
    """The unit of fertility: of the new tokenizer, and of the one to compare with, by language."""

    def work(units: Units) -> dict[str, Any]:
        from transformers import AutoTokenizer

        from pairmill.model.fertility import fertility
        from pairmill.model.tokenizer import load

        spec = TokenizerSpec.model_validate(item["spec"])
        held: dict[str, list[str]] = {}
        for language, held_out, text in _rows(units.storage, item["sample"]):
            if held_out:
                held.setdefault(language, []).append(text)
        tokenizer: Any = AutoTokenizer.from_pretrained(places.fetch(units.storage, item["model"]))
        found = {name: fertility(tokenizer, texts).to_json() for name, texts in held.items()}
        other = load(places.local(spec.compare, units.storage.uri)) if spec.compare else None
        compared = {name: fertility(other, texts).to_json() for name, texts in held.items()} if other else {}
        return {"rows": sum(map(len, held.values())), "facts": {"fertility": found, "compared": compared}}

    return do_once(item, item["prefix"], work)


def _rows(storage: Storage, path: str) -> list[tuple[str, bool, str]]:
    columns = _read(storage, path)
    return list(zip(*(columns[name].to_pylist() for name in ("language", "held_out", "text")), strict=True))


def _read(storage: Storage, path: str) -> pa.Table:
    with storage.open_parquet(path) as file, storage.reading(path):
        return file.read()


def _write(storage: Storage, path: str, texts: pa.Table) -> None:
    with storage.parquet_writer(path, sample.SCHEMA) as writer:
        writer.write_table(texts.cast(sample.SCHEMA))
