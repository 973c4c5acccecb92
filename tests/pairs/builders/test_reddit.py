"""Reddit's dumps: comment -> response and post -> comment, by score, depth and what was removed."""

from __future__ import annotations

import json
from typing import Any

import pytest
import zstandard
from joinkit import built, spec_of, worlds

from pairmill.errors import SourceError
from pairmill.pairs import sources


def comment(name: str, parent: str, score: int | None = 2, **fields: Any) -> dict[str, Any]:
    record = {"id": name, "parent_id": parent, "link_id": "t3_p1", "score": score, "body": f"body of {name}"}
    return {**record, "author": "someone", "subreddit": "test", "created_utc": 1672531200, **fields}


POSTS = [
    {"id": "p1", "title": "A question", "selftext": "with details", "author": "op", "over_18": False, "score": 5},
    {"id": "p2", "title": "Not for children", "selftext": "", "author": "op", "over_18": True, "score": 5},
    {"id": "p3", "title": "[deleted by user]", "selftext": "[removed]", "author": "[deleted]", "over_18": False},
]
COMMENTS = [
    comment("c2", "t1_c1"),  # before its parent
    comment("c1", "t3_p1", 3),
    comment("c3", "t1_c2"),
    comment("c4", "t1_c1", 7),
    comment("c5", "t1_c1", 0),
    comment("c6", "t1_gone"),
    comment("c7", "t1_c1", body="[removed]"),
    comment("c8", "t1_c7"),
    comment("c9", "t1_c1", author="AutoModerator"),
    comment("ca", "t1_c9"),
    comment("cb", "t3_p2", link_id="t3_p2"),
    comment("cc", "t1_cb", link_id="t3_p2"),
    comment("cd", "t3_p3", link_id="t3_p3"),
    comment("ce", "t3_p9", link_id="t3_p9"),
    comment("x1", "t1_x2"),  # a circle of parents
    comment("x2", "t1_x1"),
    comment("x3", "t1_x3"),
]


def lines(records: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


def compress(data: bytes) -> bytes:
    """As the dumps are made: `zstd --long=31`."""
    settings = zstandard.ZstdCompressionParameters.from_level(3, window_log=31, enable_ldm=True)
    stream = zstandard.ZstdCompressor(compression_params=settings).compressobj()
    return stream.compress(data) + stream.flush()


@pytest.fixture
def dump(tmp_path):
    (tmp_path / "RC_2023-01.zst").write_bytes(compress(lines(COMMENTS)))
    (tmp_path / "RS_2023-01.zst").write_bytes(compress(lines(POSTS)))
    return tmp_path


def read(folder, path="RC_*.zst", posts="RS_*.zst", **options):
    if posts:
        options["posts"] = str(folder / posts)
    return built(format="jsonl", path=str(folder / path), builder={"name": "reddit", **options})


def pairs(*names: tuple[str, str]) -> list[tuple[str, str]]:
    return [(f"body of {parent}", f"body of {child}") for parent, child in names]


def test_comments_answer_comments_and_posts(dump):
    outcome = read(dump)
    assert sorted(outcome.texts) == sorted(
        [("A question", "body of c1"), *pairs(("c1", "c2"), ("c2", "c3"), ("c1", "c4"), ("x2", "x1"), ("x1", "x2"))]
    )
    assert outcome.records == len(POSTS) + len(COMMENTS)
    assert outcome.no_pair == {
        "post": 3,
        "low_score": 1,
        "parent_not_found": 3,
        "removed": 1,
        "parent_removed": 3,
        "excluded_author": 1,
        "nsfw": 2,
    }


def test_without_posts_only_comments_are_paired(dump):
    outcome = read(dump, posts=None)
    assert ("A question", "body of c1") not in outcome.texts
    assert outcome.no_pair["top_level"] == 4
    assert outcome.records == len(COMMENTS)


def test_best_response_of_each_parent(dump):
    outcome = read(dump, responses="best")
    assert pairs(("c1", "c4"))[0] in outcome.texts
    assert pairs(("c1", "c2"))[0] not in outcome.texts
    assert outcome.no_pair["other_response"] == 1


def test_depth_counts_comments_below_the_post_and_circles_end(dump):
    assert read(dump, max_depth=1).texts == [("A question", "body of c1")]
    two = read(dump, max_depth=2)
    assert sorted(two.texts) == sorted([("A question", "body of c1"), *pairs(("c1", "c2"), ("c1", "c4"))])
    assert two.no_pair["too_deep"] == 3
    assert pairs(("c2", "c3"))[0] in read(dump, max_depth=3).texts


def test_score_text_and_nsfw_are_options(dump):
    outcome = read(dump, min_score=None, nsfw=True, post="title-selftext", exclude_authors=[])
    assert ("A question\n\nwith details", "body of c1") in outcome.texts
    assert ("Not for children", "body of cb") in outcome.texts
    assert pairs(("cb", "cc"), ("c1", "c5"), ("c9", "ca"))[0] in outcome.texts
    assert "low_score" not in outcome.no_pair
    assert "excluded_author" not in outcome.no_pair


def test_damaged_lines_and_wrong_ids_are_quarantined(tmp_path):
    wrong = [
        b'{"id": "c1", "parent_id"\n',
        b"\xff\xfe\n",
        b"\n",
        lines([comment("d1", "c1"), comment("d2", "t5_c1"), comment("d3", "t1_" + "z" * 20), comment("d 4", "t1_c1")]),
        lines([{**comment("d5", "t1_c1"), "body": 5}, comment("d6", "t1_c1", score="high"), {"id": "d7"}]),  # type: ignore[arg-type]
        lines([{**comment("d8", "t1_c1"), "id": None}]),
    ]
    (tmp_path / "RC_2023-01").write_bytes(lines(COMMENTS) + b"".join(wrong))
    (tmp_path / "RS_2023-01").write_bytes(lines([*POSTS, {"id": 5, "title": "Number"}]) + b"[]\n")
    outcome = read(tmp_path, "RC_*", "RS_*")
    assert len(outcome.rows) == 6
    assert outcome.errors == {"malformed_json": 1, "invalid_utf8": 1, "wrong_record": 9, "not_an_object": 1}
    assert outcome.no_pair["blank_line"] == 1


def test_truncated_dump_keeps_its_readable_prefix(tmp_path):
    many = [*COMMENTS, *(comment(f"m{n}", f"t1_m{n - 1}", body=f"{n * 7919 % 100_003} " * 9) for n in range(1, 30_000))]
    whole = zstandard.compress(lines(many))
    (tmp_path / "RC_2023-01.zst").write_bytes(whole[: len(whole) * 2 // 3])
    spec = spec_of(format="jsonl", path=str(tmp_path / "RC_*.zst"), builder="reddit")
    (file,) = sources.find(spec)
    batches = [batch for piece in sources.split(spec, file, 1) for batch in sources.read(spec, piece)]
    assert [entry.error for batch in batches for entry in batch.quarantine] == ["truncated"]
    records = sum(batch.records for batch in batches)
    assert 1000 < records < len(many)
    assert sum(batch.parsed + sum(batch.no_pair.values()) for batch in batches) == records - 1


def test_months_pair_up_with_their_posts_and_are_read_alone(dump):
    (dump / "RC_2023-02.zst").write_bytes(compress(lines([comment("f1", "t1_c1"), comment("f2", "t3_p1")])))
    (dump / "RS_2023-02.zst").write_bytes(compress(lines([{"id": "q1", "title": "Later"}])))
    outcome = read(dump)
    assert worlds(outcome) == 2
    assert outcome.no_pair["parent_not_found"] == 3 + 2


def test_files_are_read_together_where_wildcards_do_not_pair_them_up(dump):
    (dump / "RC_2023-02.zst").write_bytes(compress(lines([comment("f1", "t1_c1"), comment("f2", "t3_p1")])))
    outcome = read(dump, posts="RS_2023-01.zst")
    assert worlds(outcome) == 1
    assert pairs(("c1", "f1"))[0] in outcome.texts
    assert {row["origin_file"].rpartition("_")[2] for row in outcome.rows} == {"2023-01.zst", "2023-02.zst"}


def test_month_without_posts_and_file_with_two_roles_are_refused(dump):
    (dump / "RC_2023-02.zst").write_bytes(compress(lines(COMMENTS)))
    with pytest.raises(SourceError, match="RC_2023-02.zst' has no partner"):
        read(dump)
    with pytest.raises(SourceError, match="named twice"):
        read(dump, path="RC_2023-01.zst", posts="RC_2023-01.zst")


def test_files_of_one_month_in_several_folders_are_refused_and_none_is_lost(dump):
    for folder in ("2022", "2023"):
        (dump / folder).mkdir()
        (dump / folder / "RC_01.jsonl").write_bytes(lines([comment("c1", "t3_p1")]))
        (dump / folder / "RS_01.jsonl").write_bytes(lines(POSTS))
    paths = {name: [str(dump / folder / f"{name}_*.jsonl") for folder in ("2022", "2023")] for name in ("RC", "RS")}
    with pytest.raises(
        SourceError, match="RC_01.jsonl and .*2023/RC_01.jsonl the wildcards .* stand for the same text"
    ):
        built(format="jsonl", path=paths["RC"], builder={"name": "reddit", "posts": paths["RS"]})
    one = {
        "path": str(dump / "*" / "RC_*.jsonl"),
        "builder": {"name": "reddit", "posts": str(dump / "*" / "RS_*.jsonl")},
    }
    assert worlds(built(format="jsonl", **one)) == 2


def test_posts_of_another_form_are_refused(dump):
    (dump / "RS_2023-01.zst").write_bytes(compress(b'{"name": "no posts"}\n' * 3))
    with pytest.raises(SourceError, match="title"):
        read(dump)
