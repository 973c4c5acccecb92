"""The texts of evaluation sets, read by the sources of `inputs` and cleaned as rows are.

Of records, the texts are the fields that the spec names; else every field whose values read like text: at least
`READS_LIKE_TEXT` letters on the average, words with digits not counted. That leaves out ids, labels, languages and most
names; what was taken is told to the user.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from pairmill.curate import clean
from pairmill.errors import SourceError
from pairmill.pairs import sources
from pairmill.pairs.batch import Quarantined
from pairmill.pairs.sources import fields
from pairmill.pairs.sources.base import SourceFile
from pairmill.spec.clean import Clean
from pairmill.spec.decontaminate import EvaluationSet

READS_LIKE_TEXT = 20
_WITH_DIGIT = re.compile(r"\S*\d\S*")
_BATCH_ROWS = 4096
SCHEMA = pa.schema(
    [
        ("set", pa.string()),
        ("file", pa.string()),
        ("row", pa.int64()),
        ("field", pa.string()),
        ("text", pa.large_string()),
    ]
)
Say = Callable[[str], None]


def texts(sets: Sequence[EvaluationSet], cleaning: Clean, say: Say = lambda line: None) -> pa.Table:
    """All texts of the sets, with the schema SCHEMA, in the order of the spec, the files and their rows.

    Raises SourceError for a file that cannot be read to its end, and for a set without any text.
    """
    return pa.concat_tables([_of_set(each, cleaning, say) for each in sets]).combine_chunks()


def files(one: EvaluationSet) -> list[SourceFile]:
    """The files of a set, in canonical order. Raises SourceError where one cannot be used."""
    return sources.find(_as_records(one) if one.by_record else one.input)


def _of_set(one: EvaluationSet, cleaning: Clean, say: Say) -> pa.Table:
    place = f"decontaminate: evaluation set {one.name!r}"
    try:
        found = _fields(one) if one.by_record else _sides(one)
    except SourceError as error:
        raise SourceError(f"decontaminate.against: {error}") from error
    missing = [name for name in one.fields if not found.get(name)]
    if missing:
        raise SourceError(f"{place}: no record has text in its field {missing[0]!r}. Name another in `fields`.")
    found = {name: values for name, values in sorted(found.items()) if values}
    taken = one.fields or [name for name, values in found.items() if not one.by_record or _reads_like_text(values)]
    if not taken:
        raise SourceError(
            f"{place} has no field that reads like text (it has {', '.join(found) or 'none'}). Name them in `fields`."
        )
    say(f"{place}: {', '.join(f'{len(found[name]):,} texts in {name}' for name in taken)}")
    rows = [(file, row, name, text) for name in taken for file, row, text in found[name]]
    cleaned = clean.clean(pa.array([row[3] for row in rows], pa.large_string()), cleaning)[0]
    columns = [[row[at] for row in rows] for at in range(3)]
    return pa.table([pa.repeat(one.name, len(rows)), *columns, cleaned], schema=SCHEMA)


Found = dict[str, list[tuple[str, int, str]]]  # field -> file, row and text


def _sides(one: EvaluationSet) -> Found:
    found: Found = defaultdict(list)
    for file in files(one):
        for piece in sources.split(one.input, file, file.text_size + 1):
            for batch in sources.read(one.input, piece, _BATCH_ROWS):
                _refuse(batch.quarantine)
                table = batch.pairs
                for side in ("anchor", "positive"):
                    columns = (table[name].to_pylist() for name in ("origin_file", "origin_row", side))
                    found[side] += [(uri, row, text) for uri, row, text in zip(*columns, strict=True) if text]
    return found


@dataclass(frozen=True)
class Wanted:
    """Stands where an input has its builder: all that the formats ask it is which fields to read (none: all)."""

    wanted: tuple[str, ...]
    name: str = "evaluation"

    def fields(self) -> list[str]:
        return list(self.wanted)


def _as_records(one: EvaluationSet) -> Any:
    return one.input.model_copy(update={"builder": Wanted(tuple(one.fields))})


def _fields(one: EvaluationSet) -> Found:
    spec = _as_records(one)
    found: Found = defaultdict(list)
    for file in files(one):
        for piece in sources.split(spec, file, file.text_size + 1):
            for some in sources.records(spec, piece, _BATCH_ROWS):
                _refuse(some.quarantine)
                for row, record in some.items:
                    for name in one.fields or record:
                        value = fields.values([record], name)[0]
                        found[name] += [(some.uri, row, text) for text in _texts(value)]
    return found


def _texts(value: Any) -> Iterator[str]:
    """A field's texts: itself, or those in its list (answers, choices)."""
    if isinstance(value, str) and value:
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def _reads_like_text(values: list[tuple[str, int, str]]) -> bool:
    from pairmill.curate.decontamination.tokens import LETTER, tokens

    plain = [_WITH_DIGIT.sub(" ", text) for _, _, text in values]
    return bool(tokens(pa.array(plain, pa.large_string())).sizes.sum() >= READS_LIKE_TEXT * LETTER * len(values))


def _refuse(quarantine: Sequence[Quarantined]) -> None:
    """What cannot be read of an evaluation set would be missed without a word."""
    for entry in quarantine:
        raise SourceError(
            f"{entry.origin_file}, record {entry.origin_row}: {entry.error}: {entry.detail}. Repair the file, or leave "
            "the record out of it."
        )
