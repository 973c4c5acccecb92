"""What builders share that bring records together.

1. Files that are brought together are one logical file, a world: the main files (the input's `path`), then those that
   the builder's options name for a role. A world is one piece, never cut, so what is built depends on no layout.
2. A builder reads a world twice: first it puts what others will need into a `Lookup`, then it makes the pairs.
3. Each record of each file is counted once: as a pair's record, under `no_pair` by its role (`judgement`) or by the
   reason that it has no pair (`parent_not_found`), or in quarantine. A batch holds records of one file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pairmill.errors import SourceError
from pairmill.pairs.batch import Batch, Quarantined, WrongRecord
from pairmill.pairs.builders.base import batches
from pairmill.pairs.builders.lookup import Lookup
from pairmill.pairs.sources import linefiles
from pairmill.pairs.sources.base import Piece, SourceFile, whole
from pairmill.pairs.sources.globs import Match, alternatives, expand, expression
from pairmill.pairs.sources.lines import read_lines
from pairmill.pairs.sources.records import Records
from pairmill.pairs.sources.stat import stat
from pairmill.spec.inputs import Langs

T = TypeVar("T")
#: Records of a first reading at once: with more keys at a time a lookup is faster.
COLLECT_ROWS = 4096
#: The files of a role, as the builder's options name them.
Roles = dict[str, list[str]]


def split(spec: Any, file: SourceFile, shard_size: int) -> list[Piece]:
    """A world is never cut."""
    return [whole(file)]


def find_each(spec: Any) -> list[SourceFile]:
    """Each file of the input is a world of its own."""
    from pairmill.pairs.sources import FORMATS  # which knows the builders

    files: list[SourceFile] = FORMATS[spec.format].find(spec)
    return files


def find_together(spec: Any, roles: Roles) -> list[SourceFile]:
    """All files of the input are one world. Raises SourceError where one file has two roles."""
    main = find_each(spec)
    sides = [file for paths in roles.values() for file in _side_files(spec, expand(paths, linefiles.where(spec)))]
    return [_world(spec, main, sides)]


def find_paired(spec: Any, patterns: list[str]) -> list[SourceFile]:
    """Each main file with the one side file whose wildcards stand for the same text is a world.

    Raises SourceError where a file has no partner, or could have several.
    """
    place = linefiles.where(spec)
    files = {file.uris[0]: file for file in find_each(spec)}
    main, sides = _by_captures(spec.path, place), _by_captures(patterns, place)
    for mine, other, paths in ((main, sides, patterns), (sides, main, spec.path)):
        alone = sorted(match.uri for captures, match in mine.items() if captures not in other)
        if alone:
            raise SourceError(
                f"{place}: {alone[0]!r} has no partner ({len(alone)} such file(s)): in no file of {paths} do the "
                "wildcards stand for the same text. Add it, or make the pattern narrower."
            )
    return [
        _world(spec, [files[match.uri]], _side_files(spec, [sides[captures]]))
        for captures, match in sorted(main.items(), key=lambda item: item[1].uri)
    ]


def _by_captures(patterns: list[str], place: str) -> dict[tuple[str, ...], Match]:
    """The files by what the wildcards stand for. Raises SourceError where that is the same for two."""
    found: dict[tuple[str, ...], Match] = {}
    for match in expand(patterns, place):
        other = found.setdefault(match.captures, match)
        if other is not match:
            raise SourceError(
                f"{place}: in {other.uri} and {match.uri} the wildcards of {patterns} stand for the same text, so it "
                "is open which files belong together. Write one pattern with a wildcard where the names differ, or "
                "an input for each."
            )
    return found


def wildcards(patterns: Sequence[str]) -> set[int]:
    """How many wildcards each of the patterns has."""
    return {expression(plain).groups for pattern in patterns for plain in alternatives(pattern)}


def _side_files(spec: Any, matches: list[Match]) -> list[SourceFile]:
    sizes = linefiles.examine_all([(match.uri, match.stat) for match in matches], linefiles.where(spec))
    return [
        SourceFile((match.uri,), match.stat.fingerprint, match.stat.size, size)
        for match, size in zip(matches, sizes, strict=True)
    ]


def _world(spec: Any, main: list[SourceFile], sides: list[SourceFile]) -> SourceFile:
    files = [*main, *sides]
    uris = tuple(file.uris[0] for file in files)
    twice = [uri for uri, count in Counter(uris).items() if count > 1]
    if twice:
        raise SourceError(
            f"{linefiles.where(spec)}: {twice[0]} is named twice, by `path` and the builder's options or by two "
            "of these. A file has one role: make the patterns narrower."
        )
    fingerprint = "+".join(file.fingerprint for file in files)
    return SourceFile(uris, fingerprint, sum(file.size for file in files), sum(file.text_size for file in files))


def role_of(uri: str, roles: Roles) -> str | None:
    """The role whose patterns name the file; None for a main file."""
    for role, patterns in roles.items():
        for pattern in patterns:
            if uri == pattern or any(expression(plain).fullmatch(uri) for plain in alternatives(pattern)):
                return role
    return None


def files_of(piece: Piece, roles: Roles) -> dict[str | None, list[str]]:
    """The files of a world by role, the main ones under None."""
    found: dict[str | None, list[str]] = {None: [], **{role: [] for role in roles}}
    for uri in piece.uris:
        found[role_of(uri, roles)].append(uri)
    return found


def records(spec: Any, uri: str, batch_rows: int = COLLECT_ROWS) -> Iterator[Records]:
    """The records of a main file, in the input's format."""
    from pairmill.pairs import sources

    return sources.records(spec, Piece((uri,), stat(uri, linefiles.where(spec)).fingerprint), batch_rows)


@dataclass(frozen=True)
class _Side:
    """What a format must know of a side file: the input's name for errors, and the fields to look for."""

    name: str
    names: list[str]

    @property
    def builder(self) -> _Side:
        return self

    def fields(self) -> list[str]:
        return self.names


def objects(spec: Any, uri: str, names: list[str], batch_rows: int) -> Iterator[Records]:
    """The records of a side file in JSON Lines. Raises SourceError where none has any of the fields `names`."""
    from pairmill.pairs.sources import FORMATS

    piece = Piece((uri,), stat(uri, linefiles.where(spec)).fingerprint)
    found: Iterator[Records] = FORMATS["jsonl"].records(_Side(spec.name, names), piece, batch_rows)
    return found


#: Number of fields of a line -> their names.
Shapes = Mapping[int, tuple[str, ...]]


def delimited(spec: Any, uri: str, shapes: Shapes, batch_rows: int, separator: str | None = "\t") -> Iterator[Records]:
    """The lines of a table without quotes, such as TREC's. `separator` None: any white space."""
    for some in linefiles.numbered(read_lines(uri, linefiles.where(spec)), uri, 0, batch_rows):
        if isinstance(some, Batch):
            yield Records(uri, [], 1, quarantine=some.quarantine)
        else:
            yield _delimited(some.lines, uri, shapes, separator, some.row, some.offset)


def _delimited(lines: list[bytes], uri: str, shapes: Shapes, separator: str | None, row: int, offset: int) -> Records:
    items: list[tuple[int, dict[str, Any]]] = []
    wrong: list[Quarantined] = []
    blank = 0
    for number, line in enumerate(lines, row):
        try:
            fields = line.decode().removesuffix("\r").split(separator)
        except UnicodeDecodeError as error:
            wrong.append(Quarantined("invalid_utf8", uri, number, offset, str(error), line))
        else:
            names = shapes.get(len(fields))
            if not line.strip():
                blank += 1
            elif names is None:
                allowed = " or ".join(map(str, shapes))
                detail = f"{len(fields)} field(s) instead of {allowed}"
                wrong.append(Quarantined("wrong_field_count", uri, number, offset, detail, line))
            else:
                items.append((number, dict(zip(names, fields, strict=True))))
        offset += len(line) + 1
    return Records(uri, items, len(lines), {"blank_line": blank} if blank else {}, wrong)


#: A row and its record -> what goes into which table (key and value), or why nothing does (the key under `no_pair`).
Rows = Callable[[int, dict[str, Any]], "list[tuple[Lookup, Any, Any]] | str"]


def collect(some: Records, role: str, rows: Rows, langs: Langs) -> Batch:
    """Put what `rows` makes of some records into tables. The batch counts them, under `no_pair` by their role.

    For the first reading of main files, which are counted in the second, the batch is not used.
    """
    waiting: dict[int, tuple[Lookup, list[tuple[Any, Any]]]] = {}

    def build(row: int, record: dict[str, Any]) -> str:
        made = rows(row, record)
        if isinstance(made, str):
            return made
        for lookup, key, value in made:
            waiting.setdefault(id(lookup), (lookup, []))[1].append((key, value))
        return role

    (counted,) = batches(some, build, langs)  # without pairs, it is one
    for lookup, items in waiting.values():
        lookup.add(items)
    return counted


def parsed(some: Records, parse: Callable[[dict[str, Any]], T]) -> dict[int, T | WrongRecord]:
    """Row -> the parsed record, or what `parse` raised: for a builder that looks things up for many records at once."""
    made: dict[int, T | WrongRecord] = {}
    for row, record in some.items:
        try:
            made[row] = parse(record)
        except WrongRecord as error:
            made[row] = error
    return made


def number(record: dict[str, Any], field: str) -> int | None:
    """An id or a score; XML spells them as text. None where missing. Raises WrongRecord."""
    value: Any = record.get(field)
    if value is None or value == "":
        return None
    kind = type(value)
    if kind is str or (kind is float and value.is_integer()):
        try:
            value = int(value)
        except ValueError:
            raise WrongRecord(f"{field}: {value[:40]!r} is not a number") from None
    elif kind is not int:
        raise WrongRecord(f"{field}: {str(value)[:40]} is not a number")
    if not -(1 << 63) <= value < 1 << 63:
        raise WrongRecord(f"{field}: {str(value)[:40]} is beyond 64 bits")
    return int(value)
