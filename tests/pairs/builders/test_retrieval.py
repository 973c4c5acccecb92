"""MS MARCO and MIRACL: queries, judgements, passages and negatives by id become pairs with negatives."""

from __future__ import annotations

import gzip
import json

import pytest
from joinkit import built

from pairmill.errors import SourceError

QUERIES = (
    "q1\twhat is a passage\nq2\tno judgement\nq3\tonly irrelevant ones\nq4\tpassage is missing\nq5\ttwo relevant\n"
)
QRELS = "q1\t0\td1\t1\nq3\t0\td2\t0\nq4\t0\td99\t1\nq5 0 d2 1\nq5 0 d3 2\nq5 0 d4 0\n"
PASSAGES = [(f"d{n}", f"Text of passage {n}.") for n in range(1, 9)]
TABLE = {"format": "csv", "delimiter": "\t", "quote": None, "header": ["qid", "query"]}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "queries.train.tsv").write_text(QUERIES)
    (tmp_path / "qrels.train.tsv").write_text(QRELS)
    (tmp_path / "collection.tsv").write_text("".join(f"{docid}\t{text}\n" for docid, text in PASSAGES))
    return tmp_path


def msmarco(folder, collection="collection.tsv", **options):
    builder = {"name": "msmarco", "qrels": str(folder / "qrels.*"), "collection": str(folder / collection), **options}
    return built(**TABLE, path=str(folder / "queries.*"), builder=builder, langs={"anchor": "en", "positive": "en"})


def test_queries_are_paired_with_their_relevant_passages(folder):
    outcome = msmarco(folder)
    assert outcome.texts == [
        ("what is a passage", "Text of passage 1."),
        ("two relevant", "Text of passage 2."),
        ("two relevant", "Text of passage 3."),
    ]
    assert [row["negatives"] for row in outcome.rows] == [None, ["Text of passage 4."], ["Text of passage 4."]]
    assert {row["positive_lang"] for row in outcome.rows} == {"en"}
    assert outcome.records == 5 + 6 + 8
    assert outcome.no_pair == {
        "judgement": 6,
        "passage": 8,
        "no_judgement": 1,
        "no_relevant": 1,
        "passage_not_found": 1,
    }


def test_negatives_by_id_belong_to_their_positive_and_are_never_relevant(folder):
    triples = "q1\td1\td5\nq1\td1\td5\nq1\td7\td6\nq5\td2\td3\nq5\td2\td8\nq5\td3\td7\n"
    (folder / "qidpidtriples.tsv.gz").write_bytes(gzip.compress(triples.encode()))
    outcome = msmarco(folder, negatives=str(folder / "qidpid*"))
    assert [row["negatives"] for row in outcome.rows] == [
        ["Text of passage 5."],
        ["Text of passage 4.", "Text of passage 8."],
        ["Text of passage 4.", "Text of passage 7."],
    ]
    assert outcome.no_pair["negatives"] == 6
    one = msmarco(folder, negatives=str(folder / "qidpid*"), max_negatives=1, min_relevance=2)
    assert [row["negatives"] for row in one.rows] == [["Text of passage 4."]]


def test_mined_negatives_are_taken_from_each_system_in_turn(folder):
    mined = [
        {"qid": "q1", "pos": ["d1"], "neg": {"bm25": ["d2", "d3", "d1"], "dense": ["d4", "d2"]}},
        {"qid": "q5", "neg": ["d6", "gone"]},
        {"qid": "q9", "neg": "d1"},
        {"neg": ["d1"]},
    ]
    (folder / "hard.jsonl").write_text("".join(json.dumps(record) + "\n" for record in mined))
    outcome = msmarco(folder, negatives=str(folder / "hard.jsonl"), max_negatives=3)
    assert outcome.rows[0]["negatives"] == [f"Text of passage {n}." for n in (2, 4, 3)]
    assert outcome.rows[1]["negatives"] == ["Text of passage 4.", "Text of passage 6."]
    assert outcome.errors == {"wrong_record": 2}


def test_documents_with_address_and_title_and_numbers_as_ids(folder):
    (folder / "collection.tsv").write_text("1\thttp://a\tTitle\tBody\n2\thttp://b\t\tOnly body\n")
    (folder / "qrels.train.tsv").write_text("7 0 1 1\n7 0 2 1\n")
    (folder / "queries.train.tsv").write_text("7\tquery\n")
    assert msmarco(folder).texts == [("query", "Title\nBody"), ("query", "Only body")]


def test_beir_sets_are_of_the_same_form(tmp_path):
    (tmp_path / "queries.jsonl").write_text('{"_id": "q", "text": "query", "metadata": {}}\n')
    (tmp_path / "corpus.jsonl").write_text('{"_id": "d", "title": "T", "text": "body", "metadata": {}}\n')
    (tmp_path / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\nq\td\t1\n")
    builder = {"name": "msmarco", "id": "_id", "query": "text"}
    builder |= {"qrels": str(tmp_path / "qrels.tsv"), "collection": str(tmp_path / "corpus.jsonl")}
    outcome = built(format="jsonl", path=str(tmp_path / "queries.jsonl"), builder=builder)
    assert outcome.texts == [("query", "T\nbody")]
    assert outcome.no_pair == {"header": 1, "judgement": 1, "passage": 1}


def test_miracl_topics_with_judged_negatives_from_many_compressed_files(tmp_path):
    (tmp_path / "topics.miracl-v1.0-sw-train.tsv").write_text("1#0\tJe, nini?\n2#0\tNani?\n")
    (tmp_path / "qrels.miracl-v1.0-sw-train.tsv").write_text("1#0\tQ0\t5#1\t1\n1#0\tQ0\t5#2\t0\n2#0\tQ0\t6#0\t1\n")
    for part, ids in enumerate((["5#0", "5#1"], ["5#2", "6#0"])):
        records = [{"docid": docid, "title": f"Kichwa {docid}", "text": f"Maandishi {docid}"} for docid in ids]
        data = "".join(json.dumps(record) + "\n" for record in records).encode()
        (tmp_path / f"docs-{part}.jsonl.gz").write_bytes(gzip.compress(data))
    builder = {"name": "miracl", "qrels": str(tmp_path / "qrels.*"), "corpus": str(tmp_path / "docs-*.jsonl.gz")}
    outcome = built(**TABLE, path=str(tmp_path / "topics.*"), builder=builder, langs={"anchor": "sw", "positive": "sw"})
    assert outcome.texts == [("Je, nini?", "Kichwa 5#1\nMaandishi 5#1"), ("Nani?", "Kichwa 6#0\nMaandishi 6#0")]
    assert [row["negatives"] for row in outcome.rows] == [["Kichwa 5#2\nMaandishi 5#2"], None]
    assert outcome.no_pair == {"judgement": 3, "passage": 4}


def test_damaged_records_of_every_file_are_quarantined(folder):
    (folder / "queries.train.tsv").write_bytes(QUERIES.encode() + b"q6\nq7\t\xff\nq1\tagain\n\n")
    (folder / "qrels.train.tsv").write_bytes(QRELS.encode() + b"q1 0 d1\nq1 0 d1 high\nq1 0 d1 1 5\n\xff 0 d1 1\n\n")
    data = (folder / "collection.tsv").read_bytes() + b"d1\tA second passage of this id\nd9\n\xff\ttext\n"
    whole = gzip.compress(data + b"".join(b"x%d\t%d\n" % (n, n * 7919 % 100_003) for n in range(2000)))
    (folder / "collection.tsv.gz").write_bytes(whole[: len(whole) * 2 // 3])
    outcome = msmarco(folder, "collection.tsv.gz")
    assert outcome.texts[0] == ("what is a passage", "Text of passage 1."), "the first of an id stays"
    assert outcome.texts[-1] == ("again", "Text of passage 1.")
    assert outcome.errors == {
        "wrong_field_count": 1 + 1 + 1,
        "wrong_record": 2,
        "invalid_utf8": 3,
        "truncated": 1,
    }
    assert outcome.no_pair["blank_line"] == 2


def test_a_passage_without_its_id_costs_no_other_passage(folder):
    passages = [{"title": "no id"}, *({"_id": docid, "text": text} for docid, text in PASSAGES)]
    (folder / "collection.jsonl").write_text("".join(json.dumps(passage) + "\n" for passage in passages))
    outcome = msmarco(folder, "collection.jsonl")
    assert outcome.errors == {"wrong_record": 1}
    assert outcome.texts == msmarco(folder).texts


def test_missing_files_and_wrong_names_are_errors_that_say_so(folder):
    with pytest.raises(SourceError, match="matches no file"):
        msmarco(folder, "nothing-*.tsv")
    with pytest.raises(SourceError, match="no column 'number'"):
        msmarco(folder, query="question", id="number")
    with pytest.raises(SourceError, match="named twice"):
        msmarco(folder, "queries.train.tsv")
