"""A comment -> its response and a post -> a comment on it, from Reddit's dumps (Pushshift, Arctic Shift: JSONL).

A comment (`RC_*`) has `id`, `parent_id` (`t1_<id>` of a comment, `t3_<id>` of a post), `link_id` (`t3_<id>`), `body`,
`author` and `score`; a post (`RS_*`) has `id`, `title`, `selftext`, `over_18`. Ids are numbers in base 36.

1. Posts, then all comments' texts, go to the temporary disk; with `max_depth` each comment's parent too, and with
   `responses: best` each response's score under its parent.
2. Second reading of the comments: one whose parent is there is a pair's record. Its depth is found by walking up the
   parents, at most `max_depth` of them, so that a circle of parents ends as `too_deep`.

A comment that the dump has twice gives its pair twice: exact deduplication removes it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson

from pairmill.pairs.batch import Batch, WrongRecord
from pairmill.pairs.builders import joining
from pairmill.pairs.builders.base import Pair, batches, text
from pairmill.pairs.builders.joining import number, split
from pairmill.pairs.builders.lookup import Lookup
from pairmill.pairs.sources.base import BATCH_ROWS, Piece, SourceFile
from pairmill.spec.join_builders import Reddit

REMOVED = ("[deleted]", "[removed]", "[deleted by user]", "[ Removed by Reddit ]")
COMMENT, POST = "t1_", "t3_"
#: Fullnames are kept as one number: the id, its lowest bit saying whether it is a post's.
Name = int


def find(spec: Any) -> list[SourceFile]:
    posts = spec.builder.posts
    if posts is None:
        return joining.find_each(spec)
    count = joining.wildcards(posts)
    if len(count) == 1 and count != {0} and count == joining.wildcards(spec.path):
        return joining.find_paired(spec, posts)
    return joining.find_together(spec, {"post": posts})


def read(spec: Any, piece: Piece, batch_rows: int = BATCH_ROWS) -> Iterator[Batch]:
    files = joining.files_of(piece, _roles(spec.builder))
    with ExitStack() as stack:
        tables = _Tables(*(stack.enter_context(Lookup()) for _ in range(4)))
        collect = _Collect(spec.builder, tables)
        for uri in files.get("post", []):
            for some in joining.objects(spec, uri, ["id", "title"], batch_rows):
                yield joining.collect(some, "post", collect.post, spec.langs)
        for uri in files[None]:
            for some in joining.records(spec, uri):
                joining.collect(some, "", collect.comment, spec.langs)
        for uri in files[None]:
            for some in joining.records(spec, uri, batch_rows):
                comments = joining.parsed(some, collect.parse)
                build = _Build(spec.builder, comments, _surroundings(spec.builder, tables, comments))
                yield from batches(some, build, spec.langs)


def _roles(options: Reddit) -> joining.Roles:
    return {"post": options.posts} if options.posts else {}


class _Tables(NamedTuple):
    posts: Lookup  # name -> [anchor text, over 18]
    comments: Lookup  # name -> text, empty where it was removed
    parents: Lookup  # name -> name of its parent
    scores: Lookup  # name -> [score, name] of each response that may be used


class _Comment(NamedTuple):
    name: Name
    parent: Name
    post: Name | None
    score: int | None
    body: str
    unusable: str  # why it is no response: the key under `no_pair`

    @classmethod
    def of(cls, record: dict[str, Any], options: Reddit) -> _Comment:
        """Raises WrongRecord where a field is not what it must be."""
        name, parent = _named(record, COMMENT), _name(record, "parent_id")
        if parent is None:
            raise WrongRecord("no `parent_id`")
        body, score, post = _written(text(record, "body")), number(record, "score"), _name(record, "link_id")
        unusable = ""
        if not body:
            unusable = "removed"
        elif record.get("author") in options.exclude_authors:
            unusable = "excluded_author"
        elif not options.nsfw and record.get("over_18") is True:
            unusable = "nsfw"
        elif options.min_score is not None and (score is None or score < options.min_score):
            unusable = "low_score"
        return cls(name, parent, post, score, body, unusable)


_Parsed = dict[int, _Comment | WrongRecord]


class _Collect:
    def __init__(self, options: Reddit, tables: _Tables):
        self.options, self.tables = options, tables

    def parse(self, record: dict[str, Any]) -> _Comment:
        return _Comment.of(record, self.options)

    def post(self, row: int, record: dict[str, Any]) -> list[tuple[Lookup, Any, Any]] | str:
        name, title = _named(record, POST), _written(text(record, "title"))
        below = _written(text(record, "selftext")) if self.options.post == "title-selftext" else ""
        anchor = (
            "" if record.get("author") in self.options.exclude_authors else "\n\n".join(filter(None, (title, below)))
        )
        return [(self.tables.posts, name, orjson.dumps([anchor, record.get("over_18") is True]))]

    def comment(self, row: int, record: dict[str, Any]) -> list[tuple[Lookup, Any, Any]] | str:
        comment, tables = self.parse(record), self.tables
        body = "" if comment.unusable == "excluded_author" else comment.body
        rows: list[tuple[Lookup, Any, Any]] = [(tables.comments, comment.name, body)]
        if self.options.max_depth is not None:
            rows.append((tables.parents, comment.name, comment.parent))
        if self.options.responses == "best" and not comment.unusable:
            rows.append((tables.scores, comment.parent, orjson.dumps([comment.score or 0, comment.name])))
        return rows


@dataclass
class _Surroundings:
    """What the comments of a batch hang on."""

    texts: dict[Name, str] = field(default_factory=dict)  # of the parents
    nsfw: set[Name] = field(default_factory=set)  # posts
    best: dict[Name, Name] = field(default_factory=dict)  # parent -> its best response
    depths: dict[Name, int | None] = field(default_factory=dict)  # of the parents: None where it is not known


def _surroundings(options: Reddit, tables: _Tables, comments: _Parsed) -> _Surroundings:
    right = [comment for comment in comments.values() if isinstance(comment, _Comment) and not comment.unusable]
    parents = {comment.parent for comment in right}
    links = {comment.post for comment in right if comment.post is not None}
    found = _Surroundings()
    for name, value in tables.posts.get([*({name for name in parents if name & 1} | links)]).items():
        found.texts[name], over_18 = orjson.loads(value)
        if over_18:
            found.nsfw.add(name)
    found.texts |= tables.comments.get([name for name in parents if not name & 1])
    if options.responses == "best":
        for name, values in tables.scores.get_all([*parents]).items():
            found.best[name] = min(((-score, other) for score, other in map(orjson.loads, values)))[1]
    if options.max_depth is not None:
        found.depths = _depths(tables.parents, parents, options.max_depth)
    return found


def _depths(parents: Lookup, names: set[Name], limit: int) -> dict[Name, int | None]:
    """How many comments up to the post, itself included: 0 for a post, at most `limit`; None where a parent lacks."""
    depths: dict[Name, int | None] = {}
    above = {name: name for name in names}  # each name and the ancestor that was reached
    for depth in range(limit + 1):
        depths |= {name: depth for name, ancestor in above.items() if ancestor & 1}
        above = {name: ancestor for name, ancestor in above.items() if not ancestor & 1}
        if depth == limit:
            return depths | dict.fromkeys(above, limit)
        next_up = parents.get([*set(above.values())])
        depths |= {name: None for name, ancestor in above.items() if ancestor not in next_up}
        above = {name: next_up[ancestor] for name, ancestor in above.items() if ancestor in next_up}
    return depths


class _Build:
    def __init__(self, options: Reddit, comments: _Parsed, around: _Surroundings):
        self.options, self.comments, self.around = options, comments, around

    def __call__(self, row: int, record: dict[str, Any]) -> list[Pair] | str:
        comment = self.comments[row]
        if isinstance(comment, WrongRecord):
            raise comment
        if comment.unusable:
            return comment.unusable
        if comment.parent not in self.around.texts or comment.parent == comment.name:
            return "top_level" if comment.parent & 1 and self.options.posts is None else "parent_not_found"
        if not self.options.nsfw and {comment.post, comment.parent} & self.around.nsfw:
            return "nsfw"
        if not (anchor := self.around.texts[comment.parent]):
            return "parent_removed"
        if self.options.max_depth is not None:
            depth = self.around.depths[comment.parent]
            if depth is None:
                return "parent_not_found"
            if depth >= self.options.max_depth:
                return "too_deep"
        if self.options.responses == "best" and self.around.best[comment.parent] != comment.name:
            return "other_response"
        return [Pair(anchor, comment.body)]


def _written(body: str) -> str:
    return "" if body in REMOVED else body


def _named(record: dict[str, Any], kind: str) -> Name:
    """A record's own name. Raises WrongRecord where it has no id."""
    value = record.get("id")
    if type(value) is not str:
        raise WrongRecord(f"id: {str(value)[:40]!r} is not a number in base 36")
    return _number(value, "id") << 1 | (kind == POST)


def _name(record: dict[str, Any], key: str) -> Name | None:
    """A fullname (`t1_c0b7g40`) as a number; None where missing. Raises WrongRecord for anything else."""
    value = record.get(key)
    if value is None:
        return None
    if type(value) is not str or (kind := value[:3]) not in (COMMENT, POST):
        raise WrongRecord(f"{key}: {str(value)[:40]!r} is not the name of a comment (t1_...) or post (t3_...)")
    return _number(value[3:], key) << 1 | (kind == POST)


def _number(digits: str, key: str) -> int:
    if digits.isalnum() and digits.isascii() and len(digits) <= 11:  # below 2^57
        return int(digits, 36)
    raise WrongRecord(f"{key}: {digits[:40]!r} is not a number in base 36")


__all__ = ["find", "read", "split"]
