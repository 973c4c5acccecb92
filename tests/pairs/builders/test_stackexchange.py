"""StackExchange's Posts.xml: question -> accepted or best answer, whatever the order and the state of the posts."""

from __future__ import annotations

import gzip
import time
from typing import Any
from xml.sax.saxutils import quoteattr

import pytest
from joinkit import built, spec_of, worlds

from pairmill.pairs import sources
from pairmill.pairs.sources.base import whole

CODE = "<p>Use a loop:</p>\n\n<pre><code>for x in range(3):\n    print(x &lt; 2)\n</code></pre>\n"
#: Question 1: accepted answer 3 before it, better answer 4. 2: none accepted. 8: unanswered. 10: accepted is gone.
POSTS: list[dict[str, Any]] = [
    {"Id": 3, "PostTypeId": 2, "ParentId": 1, "Score": 2, "Body": CODE},
    {
        "Id": 1,
        "PostTypeId": 1,
        "AcceptedAnswerId": 3,
        "Score": 9,
        "Title": "How do I loop & print?",
        "Body": "<p>Why</p>",
    },
    {"Id": 4, "PostTypeId": 2, "ParentId": 1, "Score": 70, "Body": "<p>Better than the accepted one</p>"},
    {"Id": 2, "PostTypeId": 1, "Score": -1, "Title": "None accepted", "Body": "<p>What <b>now</b>?</p>"},
    {"Id": 5, "PostTypeId": 2, "ParentId": 2, "Score": 1, "Body": "<p>Low</p>"},
    {"Id": 7, "PostTypeId": 2, "ParentId": 2, "Score": 6, "Body": "<p>As high but later</p>"},
    {"Id": 6, "PostTypeId": 2, "ParentId": 2, "Score": 6, "Body": "<p>High</p>"},
    {"Id": 8, "PostTypeId": 1, "Score": 0, "Title": "Nobody knows", "Body": "<p>?</p>"},
    {"Id": 9, "PostTypeId": 2, "ParentId": 99, "Score": 3, "Body": "<p>My question was deleted</p>"},
    {"Id": 10, "PostTypeId": 1, "AcceptedAnswerId": 77, "Score": 0, "Title": "Accepted is gone", "Body": ""},
    {"Id": 11, "PostTypeId": 2, "ParentId": 10, "Score": 0, "Body": "<p>Second choice</p>"},
    {"Id": 6, "PostTypeId": 2, "ParentId": 2, "Score": 6, "Body": "<p>High, a second time</p>"},
    {"Id": 12, "PostTypeId": 2, "ParentId": 10, "Score": -4, "Body": "<p>Bad</p>"},
    {"Id": 13, "PostTypeId": 5, "Body": "<p>About a tag</p>"},
]


def row(post: dict[str, Any]) -> str:
    return "  <row " + " ".join(f"{name}={quoteattr(str(value))}" for name, value in post.items()) + " />\n"


def dump(posts: list[dict[str, Any]]) -> bytes:
    lines = "".join(map(row, posts))
    return f'\ufeff<?xml version="1.0" encoding="utf-8"?>\n<posts>\n{lines}</posts>'.encode()


@pytest.fixture
def site(tmp_path):
    folder = tmp_path / "ai.stackexchange.com"
    folder.mkdir()
    (folder / "Posts.xml").write_bytes(dump(POSTS))
    return folder / "Posts.xml"


def read(path, **options):
    return built(format="xml", path=str(path), builder={"name": "stackexchange", **options}, langs={"anchor": "en"})


def test_accepted_answer_comes_before_better_ones_and_best_where_none_is_accepted(site):
    outcome = read(site)
    assert outcome.texts == [
        ("How do I loop & print?", "Use a loop:\n\nfor x in range(3):\n    print(x < 2)"),
        ("None accepted", "High"),
        ("Accepted is gone", "Second choice"),
    ]
    assert [row["origin_row"] for row in outcome.rows] == [0, 6, 10]
    assert outcome.rows[0]["url"] == "https://ai.stackexchange.com/questions/1"
    assert outcome.rows[0]["anchor_lang"] == "en"
    assert outcome.records == len(POSTS)
    assert outcome.no_pair == {
        "question": 3,
        "unanswered": 1,
        "answer": 3,
        "parent_not_found": 1,
        "duplicate_id": 1,
        "low_score": 1,
        "other_post": 1,
    }


def test_only_accepted_answers_where_asked_for(site):
    outcome = read(site, answers="accepted")
    assert [anchor for anchor, _ in outcome.texts] == ["How do I loop & print?"]
    assert outcome.no_pair["no_accepted_answer"] == 2
    assert outcome.no_pair["question"] == 1


def test_all_answers_from_a_score_on(site):
    outcome = read(site, answers="all", min_score=6)
    assert [positive for _, positive in outcome.texts] == ["Better than the accepted one", "As high but later", "High"]
    assert outcome.no_pair["low_score"] == 4


def test_accepted_answer_with_a_low_score_gives_way_to_the_best(site):
    assert read(site, min_score=5).texts[0][1] == "Better than the accepted one"


def test_body_of_the_question_and_other_answers_as_negatives(site):
    outcome = read(site, question="title-body", negatives=2, site="example.org")
    assert outcome.rows[1]["anchor"] == "None accepted\n\nWhat now?"
    assert outcome.rows[1]["negatives"] == ["Low", "As high but later"]
    assert outcome.rows[2]["anchor"] == "Accepted is gone"
    assert outcome.rows[2]["negatives"] == ["Bad"]
    assert outcome.rows[2]["url"] == "https://example.org/questions/10"


def test_order_of_the_posts_does_not_change_the_pairs(site, tmp_path):
    (tmp_path / "Posts.xml").write_bytes(dump(POSTS[::-1]))
    turned = read(tmp_path / "Posts.xml")
    assert {pair[0] for pair in turned.texts} == {pair[0] for pair in read(site).texts}
    assert turned.rows[0]["url"] is None, "the folder is no site"
    assert turned.no_pair == read(site).no_pair


def test_damaged_rows_are_quarantined_and_their_neighbours_read(tmp_path):
    wrong = [
        row({"Id": "one", "PostTypeId": 1, "Title": "Not a number"}),
        row({"Id": 20, "PostTypeId": 2, "ParentId": "??", "Score": 1, "Body": "x"}),
        row({"Id": 21, "PostTypeId": 2, "ParentId": 1, "Score": "many", "Body": "x"}),
        '  <row Id="22" PostTypeId="2" ParentId="1" Body="a < b" />\n',
    ]
    data = dump(POSTS).replace(b"</posts>", "".join(wrong).encode() + row(POSTS[4]).encode() + b"</posts>")
    (tmp_path / "Posts.xml").write_bytes(data)
    outcome = read(tmp_path / "Posts.xml")
    assert len(outcome.rows) == 3
    assert outcome.errors["wrong_record"] == 3
    assert outcome.errors.total() == 4
    assert outcome.no_pair["duplicate_id"] + outcome.no_pair["low_score"] + outcome.no_pair["answer"] == 6


def test_truncated_dump_keeps_its_readable_prefix(tmp_path):
    whole = gzip.compress(dump(POSTS * 1 + [{"Id": 100 + n, "PostTypeId": 5, "Body": str(n) * n} for n in range(400)]))
    (tmp_path / "Posts.xml.gz").write_bytes(whole[: len(whole) * 3 // 4])
    outcome = read(tmp_path / "Posts.xml.gz")
    assert len(outcome.rows) == 3
    assert sum(outcome.errors.values()) == 1


def test_each_site_is_a_world_of_its_own(tmp_path):
    for name, number in (("superuser.com", 0), ("serverfault.com", 1)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "Posts.xml").write_bytes(dump([POSTS[number]]))  # an answer, its question
    outcome = read(tmp_path / "*" / "Posts.xml")
    assert worlds(outcome) == 2
    assert outcome.no_pair == {"parent_not_found": 1, "unanswered": 1}


def test_time_of_a_thread_grows_with_its_answers_and_not_with_their_square(tmp_path):
    def seconds(answers: int) -> float:
        posts = [{"Id": 1, "PostTypeId": 1, "Title": "T"}]
        posts += [{"Id": n + 2, "PostTypeId": 2, "ParentId": 1, "Score": 1, "Body": "b"} for n in range(answers)]
        (tmp_path / "Posts.xml").write_bytes(dump(posts))
        (file,) = sources.find(spec := spec_of(format="xml", path=str(tmp_path / "Posts.xml"), builder="stackexchange"))
        started = time.process_time()
        batches = list(sources.read(spec, whole(file), 4096))
        assert sum(batch.no_pair.get("answer", 0) for batch in batches) == answers - 1
        return time.process_time() - started

    assert seconds(4000) < 2  # 0.1 s; where each answer looks at all others, 8 s
