"""An entry on its way: what it means, the items of its units, and where they stand.

stages/prepare/<meaning>/entry.json          the entry's part of the manifest
stages/prepare/<meaning>/<layout>/...        units; the layout (shards, buckets) changes no row
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from pairmill.errors import SpecError, StorageError
from pairmill.pairs import shards, sources
from pairmill.pairs.kept import kept_files
from pairmill.runs.storage import Storage
from pairmill.runs.units import Units, digest
from pairmill.spec.data import DataEntry
from pairmill.spec.objectives import Term, needs
from pairmill.train.prepared import manifest
from pairmill.train.prepared.pairs import Wanted
from pairmill.train.prepared.texts import Packing

VERSION = 1
PREFIX = "stages/prepare"
STREAM = 32_000_000  # bytes of text that are laid end to end for pretraining: part of what the rows mean
_ROW_TEXT = 100  # bytes of text per row of a set whose rows are not known before it is read


@dataclass(frozen=True)
class Teacher:
    """A second tokenizer, for the texts that a frozen teacher reads."""

    tokenizer: str  # Hugging Face directory
    max_length: int


@dataclass(frozen=True)
class Options:
    """What a job adds to its entries. `pack` makes it a pretraining job: concatenate or text; None: pairs."""

    max_length: int
    prompts: dict[str, str] = field(default_factory=dict)  # the model's, by name
    instruction: str = "Instruct: {task}\nQuery: {text}"
    objective: Sequence[Term] = ()  # of entries that name none
    teacher: Teacher | None = None
    pack: str | None = None
    sides: tuple[str, ...] = ("anchor", "positive")  # whose texts a pretraining job takes
    seed: int = 0
    salt: str = ""  # sets a fresh generation apart
    shard_size: int = 32_000_000  # text per unit, of ready-made sets
    memory: int = 1_000_000_000  # of a task
    buckets: int | None = None  # default: by rows and memory


@dataclass
class Work:
    entry: DataEntry
    base: dict[str, Any]  # of all its items
    parts: list[dict[str, Any]]  # of the items of the first stage
    origins: list[str]
    buckets: int
    meaning: dict[str, Any]  # without its name, and without what holdouts add
    key: str = ""
    prefix: str = ""

    def settle(self, context: str | None, salt: str) -> None:
        """Choose the key. `context`: what decides which rows are held out, of any entry."""
        if context and self.base["wanted"]:
            self.base["wanted"]["limit"] = None  # which rows leave with held-out texts is not known that early
        self.key = digest({"version": VERSION, "name": self.entry.name, "held": context, "salt": salt, **self.meaning})
        self.prefix = f"{PREFIX}/{self.key}/{digest([self.parts, self.buckets], 12)}"

    def result(self, storage: Storage) -> dict[str, Any] | None:
        found = Units(storage, PREFIX).get(f"{self.key}/entry")
        return None if found is None else {**found, "name": self.entry.name}

    def row_items(self) -> list[dict[str, Any]]:
        names = [(number, f"rows-{number:06d}") for number in range(len(self.parts))]
        shared = {**self.base, "prefix": self.prefix, "buckets": self.buckets}
        return [{**shared, **self.parts[number], "key": name, "number": number} for number, name in names]

    def bucket_items(self, storage: Storage, held: dict[str, str] | None) -> list[dict[str, Any]]:
        labels = {label for unit in self._units(storage, "rows") for label in unit["facts"].get("labels", [])}
        files = self.files(storage, "rows")
        shared = {**self.base, "prefix": self.prefix, "files": files, "labels": sorted(labels), "held": held}
        return [{**shared, "key": f"bucket-{number:06d}", "number": number} for number in range(self.buckets)]

    def files(self, storage: Storage, name: str) -> list[str]:
        """The files `name` of the first stage's units, in order."""
        return [path for unit in self._units(storage, "rows") for path in unit["files"][name]]

    def commit(self, storage: Storage) -> None:
        rows, buckets = self._units(storage, "rows"), self._units(storage, "bucket")
        labels = sorted({label for unit in rows for label in unit["facts"].get("labels", [])})
        made = manifest.of_entry(storage, self.entry, bool(self.base["packing"]), rows, buckets)
        exchanged = [path for unit in rows for paths in unit["files"].values() for path in paths]
        Units(storage, PREFIX).commit(
            f"{self.key}/entry", {**made, "labels": labels, "origins": self.origins, "exchange": exchanged}
        )

    def clear(self, storage: Storage) -> None:
        """Delete the exchange files of a committed entry."""
        units, cleared = Units(storage, PREFIX), f"{self.key}/cleared"
        if units.get(cleared) is None:
            for path in (units.get(f"{self.key}/entry") or {"exchange": []})["exchange"]:
                storage.delete(path)
            units.commit(cleared, {})

    def _units(self, storage: Storage, stage: str) -> list[dict[str, Any]]:
        units, count = Units(storage, self.prefix), len(self.parts) if stage == "rows" else self.buckets
        found = []
        for number in range(count):
            unit = units.get(f"{stage}-{number:06d}")
            if unit is None:
                raise StorageError(
                    f"{storage.where(self.prefix)}/{stage}-{number:06d}: this unit of prepared data is gone (deleted "
                    "by someone?). Run the same command again."
                )
            found.append(unit)
        return found


def describe(storage: Storage, entry: DataEntry, options: Options, tokenizer: str, teacher: Any) -> Work:
    """What the entry's rows are made of, and how. `teacher`: fingerprint and max_length of the second tokenizer."""
    find = _of_run if entry.run else _of_input
    parts, origins, identity, rows = find(storage, entry, options)
    wanted = _wanted(entry, options)
    base: dict[str, Any] = {
        "tokenizer": tokenizer,
        "max_length": options.max_length,
        "teacher": teacher if wanted.teacher_sides else None,
        "wanted": asdict(wanted),
        "packing": asdict(Packing(options.sides, options.pack, options.seed)) if options.pack else None,
    }
    keep = ("sources", "languages", "batch_by", "limit", "holdout")
    selected = {name: value for name, value in entry.model_dump(mode="json").items() if name in keep}
    meaning = {"rows": identity, "select": selected, **base, "wanted": {**base["wanted"], "limit": None}}
    width = (2 if wanted.swap == "both" else 1) * (len(wanted.sides) + wanted.negatives)
    row_bytes = 2 * (width * min(options.max_length, 128) * 4 + 64)  # of a row in a bucket, as read and as sorted
    buckets = options.buckets or max(1, math.ceil(4 * rows * row_bytes / options.memory))
    base["entry"] = entry.model_dump(mode="json")
    return Work(entry, base, parts, origins, buckets, meaning)


_Found = tuple[list[dict[str, Any]], list[str], Any, int]


def _of_run(storage: Storage, entry: DataEntry, options: Options) -> _Found:
    """The kept files of a run: parts, origins, what they are known by, rows."""
    run = kept_files(storage.uri, entry.run or "")
    run.check(f"data.{entry.name}", entry.sources, entry.languages)
    parts = [{"from": run.storage.uri, "path": file.path} for file in run.files]
    return parts, [run.id], [run.generation, [file.path for file in run.files]], sum(file.rows for file in run.files)


def _of_input(storage: Storage, entry: DataEntry, options: Options) -> _Found:
    """The shards of a ready-made set: parts, origins, what they are known by, rows."""
    assert entry.input is not None
    found = sources.find(entry.input)
    origins = [file.uris[0] for file in found]
    numbers = {uri: number for number, uri in enumerate(origins)}
    parts = []
    size = STREAM if options.pack == "concatenate" else options.shard_size
    for planned in shards.plan([entry.input], {entry.input.name: found}, size):
        uris = dict.fromkeys(piece["uris"][0] for piece in planned["pieces"])
        parts.append({"pieces": planned["pieces"], "origins": {uri: numbers[uri] for uri in uris}})
    parse = entry.input.model_dump(mode="json", exclude={"name", "form", "licence", "path", "packages", "language"})
    files = [[list(file.uris), file.fingerprint] for file in found]
    streams = STREAM if options.pack == "concatenate" else None
    identity = {"files": files, "parse": parse, "version": sources.VERSION, "streams": streams}
    return parts, origins, identity, sum(file.text_size for file in found) // _ROW_TEXT


def parts_of(storage: Storage, entry: DataEntry, options: Options) -> list[dict[str, Any]]:
    """The items of which an entry is read, as `reading.read` takes them."""
    return (_of_run if entry.run else _of_input)(storage, entry, options)[0]


def identify(storage: Storage, entry: DataEntry) -> Any:
    """What an entry's rows are made of, for the id of a run."""
    if entry.run:
        run = kept_files(storage.uri, entry.run)
        run.check(f"data.{entry.name}", entry.sources, entry.languages)
        return [run.id, run.generation]
    assert entry.input is not None
    return [sources.VERSION, [[list(file.uris), file.fingerprint] for file in sources.find(entry.input)]]


def _wanted(entry: DataEntry, options: Options) -> Wanted:
    needed = needs(entry.objective or options.objective)
    if "negatives" in needed and not entry.negatives:
        raise SpecError(f"data.{entry.name}: the objective reads hard negatives: say how many, such as `negatives: 7`.")
    both = {"positive", "teacher_positive"} & needed or not needed
    sides = ("anchor", "positive") if both else ("anchor",)
    return Wanted(
        sides=sides,
        prompts={side: _prompt(entry, side, options) for side in ("anchor", "positive")},
        negatives=entry.negatives,
        score="score" in needed,
        score_range=entry.score_range,
        label="label" in needed,
        scores="scores" in needed,
        swap=entry.swap,
        teacher_sides=tuple(side for side in sides if f"teacher_{side}" in needed) if options.teacher else (),
        limit=entry.limit,
        seed=options.seed,
    )


def _prompt(entry: DataEntry, side: str, options: Options) -> tuple[str, str]:
    """What goes before and behind the texts of a side."""
    if side == "anchor" and entry.instruction is not None:
        before, _, behind = options.instruction.partition("{text}")
        return before.replace("{task}", entry.instruction), behind.replace("{task}", entry.instruction)
    name = getattr(entry.prompts, side)
    if name is not None and name not in options.prompts:
        known = ", ".join(options.prompts) or "none"
        raise SpecError(
            f"data.{entry.name}.prompts.{side}: the model has no prompt called {name!r}; it has: {known}. "
            "Add it under model.prompts."
        )
    return (options.prompts[name], "") if name is not None else ("", "")
