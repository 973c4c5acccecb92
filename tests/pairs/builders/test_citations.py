"""Citation pairs of S2ORC and of Semantic Scholar's tables: both papers must be in the input."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from joinkit import built, worlds

from pairmill.errors import SourceError


def paper(key: str, cites: list[str], **fields: Any) -> dict[str, Any]:
    record = {"paper_id": key, "title": f"Title {key}", "abstract": f"Abstract {key}.", "year": 2019}
    return {**record, "outbound_citations": cites, "inbound_citations": [], **fields}


PAPERS = [
    paper("1", ["2", "3", "99", "2", "1"]),
    paper("2", []),
    paper("3", ["4"], abstract=None),
    paper("4", ["98"]),
    paper("5", ["2"], title=" "),
    paper("6", ["1"]),
]


def lines(records: list[Any]) -> bytes:
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


def read(path, **options):
    return built(format="jsonl", path=str(path), builder={"name": "citations", **options})


def test_papers_are_paired_with_the_papers_they_cite_across_files(tmp_path):
    (tmp_path / "meta_0.jsonl.gz").write_bytes(gzip.compress(lines(PAPERS[:2])))
    (tmp_path / "meta_1.jsonl").write_bytes(lines(PAPERS[2:]))
    outcome = read(tmp_path / "meta_*")
    assert worlds(outcome) == 1
    assert outcome.texts == [
        ("Title 1", "Title 2\nAbstract 2."),
        ("Title 3", "Title 4\nAbstract 4."),
        ("Title 6", "Title 1\nAbstract 1."),
    ]
    assert [(row["origin_file"][-10:], row["origin_row"]) for row in outcome.rows] == [
        ("0.jsonl.gz", 0),
        ("ta_1.jsonl", 0),
        ("ta_1.jsonl", 3),
    ]
    assert outcome.no_pair == {"no_citations": 1, "cited_not_found": 1, "no_title": 1}
    assert read(tmp_path / "meta_*", anchor="title-abstract").texts[0][0] == "Title 1\nAbstract 1."


def test_draw_of_cited_papers_does_not_depend_on_their_order_or_on_other_papers(tmp_path):
    cited = [str(n) for n in range(100, 140)]
    known = [paper(key, []) for key in cited]
    (tmp_path / "a.jsonl").write_bytes(lines([paper("1", cited), *known]))
    (tmp_path / "b.jsonl").write_bytes(lines([*known[::-1], paper("0", cited), paper("1", cited[::-1])]))
    first = [pair for pair in read(tmp_path / "a.jsonl", max_per_paper=4).texts if pair[0] == "Title 1"]
    second = [pair for pair in read(tmp_path / "b.jsonl", max_per_paper=4).texts if pair[0] == "Title 1"]
    assert first == second
    assert len(set(first)) == 4
    assert sorted(first) != first, "drawn, not the first ones"


def test_tables_of_abstracts_and_links(tmp_path):
    papers = [{"corpusid": n, "title": f"Title {n}"} for n in range(1, 5)]
    abstracts = [{"corpusid": n, "abstract": f"Abstract {n}."} for n in (2, 3)] + [{"corpusid": 4, "abstract": None}]
    links = [
        {"citingcorpusid": 1, "citedcorpusid": 2},
        {"citingcorpusid": 1, "citedcorpusid": 4},
        {"citingcorpusid": 1, "citedcorpusid": None},
        {"citingcorpusid": 3, "citedcorpusid": 3},
    ]
    for name, records in (("papers", papers), ("abstracts", abstracts), ("citations", links)):
        (tmp_path / f"{name}.jsonl").write_bytes(lines(records) + b"{\n")
    outcome = read(
        tmp_path / "papers.jsonl",
        id="corpusid",
        abstracts=str(tmp_path / "abstracts.jsonl"),
        links=str(tmp_path / "citations.jsonl"),
    )
    assert outcome.texts == [("Title 1", "Title 2\nAbstract 2.")]
    assert outcome.no_pair == {
        "abstract": 2,
        "no_abstract": 1,
        "link": 3,
        "unresolved_link": 1,
        "no_citations": 2,
        "cited_not_found": 1,
    }
    assert outcome.errors == {"malformed_json": 3}


def test_damaged_papers_are_quarantined_and_later_copies_do_not_replace_the_first(tmp_path):
    wrong = [paper("7", "2"), paper("8", [{"id": 2}]), {"title": "no id"}, {**paper("9", []), "title": ["list"]}]  # type: ignore[arg-type]
    copies = [paper("2", ["1"], title="Another title of 2")]
    (tmp_path / "a.jsonl").write_bytes(lines([*PAPERS, *wrong, *copies]) + b'{"paper_id": "10", "ti')
    outcome = read(tmp_path / "a.jsonl")
    assert outcome.errors == {"wrong_record": 4, "malformed_json": 1}
    assert outcome.texts[0] == ("Title 1", "Title 2\nAbstract 2.")
    assert outcome.texts[-1] == ("Another title of 2", "Title 1\nAbstract 1.")


def test_input_of_another_form_is_refused(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b'{"id": 1, "name": "x"}\n')
    with pytest.raises(SourceError, match="paper_id"):
        read(tmp_path / "a.jsonl")
