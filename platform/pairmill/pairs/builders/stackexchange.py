"""A question -> its answers, from a StackExchange site's `Posts.xml` (the Internet Archive's and the site's own dumps).

A `row` is a question (`PostTypeId` 1, with `Title` and maybe `AcceptedAnswerId`) or an answer (2, with `ParentId`), in
any order; `Body` is HTML. A site's file is a world.

1. First reading: each question's anchor and accepted answer, and each answer's id, score and row under its question, go
   to the temporary disk (bodies only where `title-body` or `negatives` needs them).
2. Second reading: an answer that is among the chosen ones of its question is the pair's record.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from heapq import nsmallest
from typing import Any, NamedTuple

import orjson

from pairmill.pairs.batch import Batch, WrongRecord
from pairmill.pairs.builders import joining
from pairmill.pairs.builders.base import Pair, batches, text
from pairmill.pairs.builders.joining import number, split
from pairmill.pairs.builders.lookup import Lookup
from pairmill.pairs.sources.base import BATCH_ROWS, Piece
from pairmill.spec.join_builders import StackExchange

find = joining.find_each
QUESTION, ANSWER = 1, 2
_SITE = re.compile(
    r"([a-z0-9-]+\.)*(stackexchange|stackoverflow|superuser|serverfault|askubuntu|stackapps|mathoverflow)\.(com|net)"
)


class _Post(NamedTuple):
    kind: int | None
    id: int | None
    parent: int | None
    score: int
    accepted: int | None
    title: str
    body: str  # HTML

    @classmethod
    def of(cls, post: dict[str, Any]) -> _Post:
        """Raises WrongRecord where an attribute is not what it must be."""
        return cls(
            number(post, "PostTypeId"),
            number(post, "Id"),
            number(post, "ParentId"),
            number(post, "Score") or 0,
            number(post, "AcceptedAnswerId"),
            text(post, "Title"),
            text(post, "Body"),
        )


class _Question(NamedTuple):
    title: str
    body: str  # HTML; empty unless the anchor has it
    accepted: int | None


class _Answer(NamedTuple):
    id: int
    score: int
    row: int
    body: str  # HTML; empty unless there are to be negatives


def read(spec: Any, piece: Piece, batch_rows: int = BATCH_ROWS) -> Iterator[Batch]:
    uri = piece.uris[0]
    site = _site(spec.builder, uri)
    with Lookup() as questions, Lookup() as answers:
        for some in joining.records(spec, uri):
            joining.collect(some, "", _Collect(spec.builder, questions, answers), spec.langs)
        for some in joining.records(spec, uri, batch_rows):
            posts = joining.parsed(some, _Post.of)
            threads = _threads(spec.builder, posts, questions, answers)
            yield from batches(some, _Build(spec.builder, site, posts, threads), spec.langs)


class _Collect:
    def __init__(self, options: StackExchange, questions: Lookup, answers: Lookup):
        self.options, self.questions, self.answers = options, questions, answers

    def __call__(self, row: int, record: dict[str, Any]) -> list[tuple[Lookup, Any, Any]]:
        post = _Post.of(record)
        if post.kind == QUESTION and post.id is not None and post.title:
            body = post.body if self.options.question == "title-body" else ""
            return [(self.questions, post.id, orjson.dumps([*_Question(post.title, body, post.accepted)]))]
        if post.kind == ANSWER and post.id is not None and post.parent is not None:
            body = post.body if self.options.negatives else ""
            return [(self.answers, post.parent, orjson.dumps([*_Answer(post.id, post.score, row, body)]))]
        return []


class _Thread:
    """A question's answers, looked through once for all of them. Of two with one id, the first counts."""

    def __init__(self, question: _Question | None, answers: list[_Answer], options: StackExchange):
        self.question, self.options = question, options
        self.answers: dict[int, _Answer] = {}
        for answer in answers:
            self.answers.setdefault(answer.id, answer)
        self.chosen = self._chosen()
        self._worst = nsmallest(
            options.negatives + 1, self.answers.values(), key=lambda answer: (answer.score, answer.id)
        )

    def _chosen(self) -> int | None:
        accepted = self.question.accepted if self.question else None
        enough = [answer for answer in self.answers.values() if answer.score >= self.options.min_score]
        if self.options.answers == "accepted" or any(answer.id == accepted for answer in enough):
            return accepted
        return min(enough, key=lambda answer: (-answer.score, answer.id)).id if enough else None

    def negatives(self, key: int) -> list[str] | None:
        """The worst answers but the one that is the positive."""
        others = [answer for answer in self._worst if answer.id != key]
        texts = [plain_text(answer.body) for answer in others[: self.options.negatives]]
        return [body for body in texts if body] or None


def _threads(
    options: StackExchange, posts: dict[int, _Post | WrongRecord], questions: Lookup, answers: Lookup
) -> dict[int, _Thread]:
    """The threads of a batch's posts, by the question's id."""
    right = [post for post in posts.values() if isinstance(post, _Post)]
    found = {post.id if post.kind == QUESTION else post.parent for post in right}
    ids = [thread for thread in found if thread is not None]
    asked = {key: _Question(*orjson.loads(value)) for key, value in questions.get(ids).items()}
    given = {key: [_Answer(*orjson.loads(value)) for value in values] for key, values in answers.get_all(ids).items()}
    return {key: _Thread(asked.get(key), given.get(key, []), options) for key in ids}


class _Build:
    """The pairs of a post."""

    def __init__(
        self,
        options: StackExchange,
        site: str | None,
        posts: dict[int, _Post | WrongRecord],
        threads: dict[int, _Thread],
    ):
        self.options, self.site, self.posts, self.threads = options, site, posts, threads

    def __call__(self, row: int, record: dict[str, Any]) -> list[Pair] | str:
        post = self.posts[row]
        if isinstance(post, WrongRecord):
            raise post
        if post.kind == QUESTION:
            return self._question(post)
        if post.kind != ANSWER:
            return "other_post"
        thread = self.threads[post.parent] if post.parent is not None else None
        if post.id is None or thread is None or thread.question is None:
            return "parent_not_found"
        if post.score < self.options.min_score:
            return "low_score"
        if row != thread.answers[post.id].row:
            return "duplicate_id"
        if self.options.answers != "all" and post.id != thread.chosen:
            return "answer"
        return self._pair(post, thread, thread.question)

    def _question(self, post: _Post) -> str:
        """Why a question is no pair's record: it is the anchor of its answers, unless it has none to offer."""
        answers = self.threads[post.id].answers if post.id is not None else {}
        if not post.title:
            return "no_title"
        if not answers:
            return "unanswered"
        if self.options.answers == "accepted" and post.accepted not in answers:
            return "no_accepted_answer"
        return "question"

    def _pair(self, post: _Post, thread: _Thread, question: _Question) -> list[Pair] | str:
        answer = plain_text(post.body)
        if not answer or post.id is None:
            return "no_body"
        anchor = f"{question.title}\n\n{plain_text(question.body)}" if question.body else question.title
        url = f"https://{self.site}/questions/{post.parent}" if self.site else None
        return [Pair(anchor, answer, thread.negatives(post.id), url=url)]


def _site(options: StackExchange, uri: str) -> str | None:
    """The site by its option, else by the names of the dump's folder and file: `ai.stackexchange.com/Posts.xml`."""
    found = _SITE.match(uri.rpartition("/")[2]) or _SITE.fullmatch(uri.rpartition("/")[0].rpartition("/")[2])
    return options.site or (found[0] if found else None)


def plain_text(html: str) -> str:
    """The text of a post's HTML; code keeps its lines."""
    from resiliparse.extract.html2text import extract_plain_text

    made: str = extract_plain_text(html, main_content=False, preserve_formatting=True)
    return made.strip()


__all__ = ["find", "read", "split"]
