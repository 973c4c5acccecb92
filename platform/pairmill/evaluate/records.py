"""Records of a task's files, read by the sources of `inputs`: any of their formats, local or in an object store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from pydantic import TypeAdapter

from pairmill.curate.decontamination.evaluation import Wanted
from pairmill.errors import SourceError
from pairmill.pairs import sources
from pairmill.pairs.sources import fields, selection
from pairmill.pairs.sources.base import SourceFile
from pairmill.spec.evaluate import Files, format_of
from pairmill.spec.inputs import Input

_BATCH_ROWS = 4096


class Record(NamedTuple):
    """The values asked for, by column, and where the record stands."""

    values: dict[str, Any]
    place: str


def find(files: Files, columns: Sequence[str]) -> list[SourceFile]:
    """The files, in canonical order. Raises SourceError where one cannot be used."""
    return sources.find(_input(files, columns))


def read(files: Files, columns: Sequence[str], optional: Sequence[str] = ()) -> Iterator[Record]:
    """The records that `where` lets pass, with these columns; in the order of the files and their rows.

    Raises SourceError for a record that cannot be read, and for one of `columns` that no record has.
    """
    wanted = list(dict.fromkeys([*columns, *optional]))
    spec, module = _input(files, wanted), sources.FORMATS[format_of(files)]
    missing = {*columns, *files.where}
    for file in module.find(spec):
        for piece in module.split(spec, file, file.text_size + 1):
            for some in module.records(spec, piece, _BATCH_ROWS):
                for wrong in some.quarantine:
                    raise SourceError(
                        f"{wrong.origin_file}, record {wrong.origin_row}: {wrong.error}: {wrong.detail}. Repair the "
                        "file, or leave the record out of it."
                    )
                for row, record in some.items:
                    missing = {name for name in missing if fields.values([record], name)[0] is None}
                    if selection.passes(record, files.where):
                        values = {name: fields.values([record], name)[0] for name in wanted}
                        yield Record(values, f"{some.uri}, record {row}")
    if missing:
        raise SourceError(
            f"{', '.join(files.path)}: no record has the column {min(missing)!r}. Name another in `columns`, `by` or "
            "`where`."
        )


def _input(files: Files, columns: Sequence[str]) -> Any:
    """The files as an input of which the sources read these fields."""
    given: dict[str, Any] = {"name": "task", "format": format_of(files), "path": files.path}
    if ".tsv" in files.path[0]:
        given["delimiter"] = "\t"
    wanted = tuple(dict.fromkeys([*columns, *files.where]))
    spec: Any = TypeAdapter(Input).validate_python(given)
    return spec.model_copy(update={"builder": Wanted(wanted)})
