"""Decontamination: what counts as a leak, that leaks are found in every form, and what a job makes of them."""

from __future__ import annotations

import json
import random
import unicodedata
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pairmill.curate import explain
from pairmill.curate.decontamination import evaluation, index, search
from pairmill.curate.decontamination.tokens import bounds, tokens
from pairmill.curate.job import run_curate
from pairmill.errors import SourceError, SpecError
from pairmill.spec.clean import Clean
from pairmill.spec.decontaminate import Decontaminate, EvaluationSet
from pairmill.spec.load import loads
from reading import committed, table
from sourcekit import read_all

LIMITS = index.Limits.of(8)
PAGE = (
    "The help pages of this program say what each menu does. Choose one of them to read more about it.\n"
    "All settings are kept when the window is closed; they can be set back at any time from the same menu."
)
QUESTION = "Which famous inventor lived in the small house behind the railway station of Graz?"


def texts_of(*texts: str, name: str = "set") -> pa.Table:
    columns = [[name] * len(texts), ["f"] * len(texts), list(range(len(texts))), ["text"] * len(texts), list(texts)]
    return pa.table([pa.array(c, f.type) for c, f in zip(columns, evaluation.SCHEMA, strict=True)], evaluation.SCHEMA)


def kinds(evaluations: list[str], rows: list[str], boilerplate: int = 10) -> list[str]:
    """What is found in each row: the kind, or nothing."""
    built = index.build(texts_of(*evaluations), LIMITS, boilerplate)
    found, _ = search.search(pa.array(rows, pa.large_string()), built, LIMITS, 0.5)
    kind = {hit.row: hit.kind for hit in sorted(found, key=lambda hit: hit.share)}
    return [kind.get(row, "") for row in range(len(rows))]


@pytest.fixture(scope="module")
def sentences() -> list[str]:
    """Real sentences of many languages from the catalogues of an installed package."""
    rows = read_all(format="gettext", packages=["django"]).rows
    found = {row["positive"] for row in rows if 60 <= len(row["positive"]) <= 300 and "%" not in row["positive"]}
    return random.Random(1).sample(sorted(found), 400)


@pytest.fixture(scope="module")
def built(sentences) -> index.Index:
    return index.build(texts_of(*sentences), LIMITS, 10)


def share_found(built: index.Index, rows: list[str]) -> float:
    found, _ = search.search(pa.array(rows, pa.large_string()), built, LIMITS, 0.5)
    return len({hit.row for hit in found}) / len(rows)


FORMS = {
    "as it is": lambda text: text,
    "capitals": str.upper,
    "decomposed": lambda text: unicodedata.normalize("NFD", text),
    "other punctuation": lambda text: text.replace(".", " !").replace(",", " – ").replace(" ", "\u00a0\n"),
    "soft hyphens": lambda text: "\u00ad".join(text),
    "inside a page": lambda text: f"{PAGE} {text} {PAGE}",
    "inside a page, glued": lambda text: f"{PAGE}\n({text}){PAGE}",
}


@pytest.mark.parametrize("form", FORMS)
def test_copies_of_real_sentences_are_found_in_any_form(form, sentences, built):
    assert share_found(built, [FORMS[form](text) for text in sentences]) == 1


def with_a_word_changed(text: str, rng: random.Random) -> str:
    words = text.split()
    place = rng.randrange(len(words))
    return " ".join([*words[:place], "zzyzx", *words[place + 1 :]])


def test_real_sentences_with_one_word_changed_are_found(sentences, built):
    rng = random.Random(2)
    spaced = [text for text in sentences if len(text.split()) >= 5 and "/" not in text]  # a path is no word
    assert len(spaced) > 200
    assert share_found(built, [with_a_word_changed(text, rng) for text in spaced]) >= 0.98


def test_rows_without_a_leak_are_not_found(built):
    assert share_found(built, [PAGE, QUESTION, "", "…", "1 2 3 4 5 6 7 8 9 10 11 12 13"]) == 0


LETTERS = "abcdefghijklmnopqrstuvwxyzäöüßéñçабвгдежзийклмноαβγδεζηθικλμאבגדהו漢字仮名カナ한글"
WORDS = st.lists(st.text(LETTERS, min_size=2, max_size=9), min_size=8, max_size=60)


@given(words=WORDS, form=st.sampled_from(["NFC", "NFD", "NFKC", "NFKD"]), upper=st.booleans(), inside=st.booleans())
@settings(max_examples=200, deadline=None)
def test_a_copy_of_an_evaluation_text_is_always_found(words, form, upper, inside):
    text = " ".join(words)
    copy = unicodedata.normalize(form, text.upper() if upper else text)
    row = f"{PAGE}\n{copy}.\n{PAGE}" if inside else copy
    assert kinds([text, QUESTION], [row]) == ["inside" if inside else "exact"]


@given(words=st.lists(st.text(LETTERS[:26], min_size=4, max_size=9), min_size=25, max_size=90), data=st.data())
@settings(max_examples=100, deadline=None)
def test_a_long_text_with_any_word_changed_is_found_inside_a_page(words, data):
    place = data.draw(st.integers(0, len(words) - 1))
    changed = [*words[:place], "0zzyzx0", *words[place + 1 :]]
    assert kinds([" ".join(words)], [f"{PAGE}\n{' '.join(changed)}\n{PAGE}"]) != [""]


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        (QUESTION, "exact"),
        ("which famous inventor lived in the small house behind the railway station of graz", "exact"),
        (QUESTION.replace("small", "on-line")[:-1], "changed"),
        (QUESTION.replace("small", "tiny and little")[:-1], ""),
        (QUESTION.replace("small", "tiny"), "changed"),
        (QUESTION.replace("small ", ""), "changed"),
        (QUESTION.replace("small", "very small"), "changed"),
        (PAGE + " " + QUESTION, "inside"),
        (PAGE + QUESTION.replace("small", "tiny"), "changed"),
        ("Which famous inventor lived in the small house next door?", ""),  # eight words, but another question
        ("the railway station of Graz", ""),
    ],
)
def test_what_counts_as_a_leak_of_a_question(row, kind):
    assert kinds([QUESTION], [row]) == [kind]


@pytest.mark.parametrize(
    ("text", "row", "kind"),
    [
        ("Thank you!", "thank you", "exact"),
        ("Thank you!", f"{PAGE} Thank you!", ""),  # stands in any page
        ("OK", "OK", ""),
        ("How long does it take to learn?", "How long does it take to learn? One day.", "inside"),
        ("How long does it take to learn?", "See how long does it take to learn them.", ""),  # part of a sentence
        ("私は昨日友達と映画を見に行きました。", "私は昨日家族と映画を見に行きました", "changed"),
        ("私は昨日友達と映画を見に行きました。", "はじめに。私は昨日友達と映画を見に行きました。おわり。", "inside"),
        ("我昨天和我的朋友们一起去看了一场电影", "他说我昨天和我的朋友们一起去看了一场电影是很好的", "inside"),
        ("ฉันไปดูหนังกับเพื่อนที่โรงเรียนเมื่อวานนี้", "ฉันไปดูหนังกับครอบครัวที่โรงเรียนเมื่อวานนี้", "changed"),
        ("Straße und Häuser am Fluss", "STRASSE UND HÄUSER AM FLUSS", "exact"),
        ("Diyarbakır'ın ışıkları uzaktan görünüyor", "DİYARBAKIR’IN IŞIKLARI UZAKTAN GÖRÜNÜYOR", "exact"),
        ("Don't you know what they're doing here?", "Can't you know what they’re doing here?", "changed"),
        ("What does plastid mean?", "What does catachresis mean?", ""),  # one pattern, two questions
        ("The man is eating bread.", "The man is eating lunch.", ""),
    ],
)
def test_short_texts_and_scripts_without_spaces(text, row, kind):
    assert kinds([text], [row]) == [kind]


def passage(seed: int, words: int) -> str:
    rng = random.Random(seed)
    return " ".join("".join(rng.choices("bcdfglmnprst", k=3)) + rng.choice("aeiou") for _ in range(words))


def test_half_of_a_passage_is_a_leak_and_a_sentence_of_it_is_none():
    text = passage(1, 100).split()
    half, tenth = " ".join(text[20:75]), " ".join(text[20:30])
    assert kinds([" ".join(text)], [f"{PAGE} {half} {PAGE}", f"{PAGE} {tenth} {PAGE}"]) == ["overlap", ""]


def test_a_phrase_of_many_evaluation_texts_counts_for_nothing():
    notice = passage(2, 40)
    many = [f"{passage(100 + n, 20)} {notice}" for n in range(12)]
    row = f"{PAGE} {notice} {PAGE}"
    assert kinds(many[:3], [row]) == ["overlap"]
    assert kinds(many, [row, many[7]]) == ["", "exact"]


def test_texts_are_cut_as_they_are_written():
    for text in (PAGE, "Straße, «ÉTÉ» don’t 今日はworld ①", "a\u00adb e\u0301t"):
        cut, places = tokens(pa.array([text], pa.large_string())), bounds(text)
        assert len(places) == len(cut.hashes)
    assert search.matched("Oh: «Don’t  stop!» he said", [(1, 3)])[0] == "Don’t  stop"


def fields_of(tmp_path: Path, name: str, **settings: Any) -> dict[str, list[str]]:
    one = EvaluationSet.model_validate({"path": str(tmp_path / name), **settings})
    found: dict[str, list[str]] = {}
    for row in evaluation.texts([one], Clean()).to_pylist():
        found.setdefault(row["field"], []).append(row["text"])
    return found


RECORD = {"id": "56beb4343aeaaa14008c925b-x", "lang": "en", "question": QUESTION, "answers": ["Nikola Tesla"], "n": 3}


def test_evaluation_files_of_every_kind_are_read(tmp_path):
    (tmp_path / "a.jsonl").write_text(json.dumps(RECORD) + "\n")
    (tmp_path / "b.json").write_text(json.dumps({"data": [{"q": {"text": QUESTION}}]}))
    (tmp_path / "c.tsv").write_text(f"question\tlang\n{QUESTION}\ten\n")
    (tmp_path / "d.en").write_text(QUESTION + "\n")
    (tmp_path / "d.de").write_text("Wer?\n")
    pq.write_table(pa.table({"question": [QUESTION], "lang": ["en"]}), tmp_path / "e.parquet")
    assert fields_of(tmp_path, "a.jsonl") == {"question": [QUESTION]}
    assert fields_of(tmp_path, "a.jsonl", fields=["question", "answers"])["answers"] == ["Nikola Tesla"]
    assert fields_of(tmp_path, "b.json", records="data", fields="q.text") == {"q.text": [QUESTION]}
    assert fields_of(tmp_path, "c.tsv") == fields_of(tmp_path, "e.parquet") == {"question": [QUESTION]}
    assert fields_of(tmp_path, "d.{en,de}", format="moses") == {"anchor": [QUESTION], "positive": ["Wer?"]}
    assert fields_of(tmp_path, "c.tsv", columns={"anchor": "lang", "positive": "question"})["positive"] == [QUESTION]


def test_evaluation_files_that_say_nothing_or_break_off_stop_the_job(tmp_path):
    (tmp_path / "a.jsonl").write_text(json.dumps(RECORD) + "\n")
    (tmp_path / "cut.jsonl").write_text(json.dumps(RECORD) + '\n{"question": "Whi')
    with pytest.raises(SourceError, match="no record has text in its field 'context'"):
        fields_of(tmp_path, "a.jsonl", fields=["question", "context"])
    with pytest.raises(SourceError, match=r"cut\.jsonl, record 1: malformed_json"):
        fields_of(tmp_path, "cut.jsonl")
    with pytest.raises(SourceError, match="does not exist"):
        fields_of(tmp_path, "none.jsonl")


def test_a_set_may_be_a_path_and_names_must_differ():
    spec = Decontaminate.model_validate({"against": ["/eval/xquad/*.parquet", "/eval/tatoeba.tsv.gz"], "ngram": 13})
    assert [(one.name, one.input.format) for one in spec.against] == [("xquad", "parquet"), ("tatoeba", "csv")]
    assert Decontaminate.model_validate(spec.model_dump(mode="json")) == spec
    with pytest.raises(ValueError, match="two evaluation sets are named 'a'"):
        Decontaminate.model_validate({"against": ["x/a.jsonl", "y/a.jsonl"]})
    with pytest.raises(ValueError, match="`fields` are for records"):
        Decontaminate.model_validate({"against": [{"path": "a.{en,de}", "format": "moses", "fields": "en"}]})
    with pytest.raises(SpecError, match="format"):
        loads(SPEC.format(folder="x", against="{path: notes.txt}", more="", columns=""), "x.yaml")


SPEC = """
kind: curate
name: clean
inputs:
  - {{name: rows, format: jsonl, path: "{folder}/rows*.jsonl", language: trust{columns}}}
filters: {{preset: none}}
dedup: {{near: off}}
decontaminate: {{against: [{against}]{more}}}
"""
ROWS = [
    (QUESTION, "Nikola Tesla"),
    (f"{PAGE}\n{QUESTION}", "a page"),
    ("a title", f"{PAGE} {QUESTION.replace('small', 'tiny')}"),
    (PAGE, "no leak"),
    (PAGE, "no leak"),
    (QUESTION.upper(), "Nikola Tesla"),
]


def run(folder: Path, more: str = "", resources: str = "", columns: str = "") -> Any:
    spec = SPEC.format(folder=folder, against=f'"{folder}/quiz.jsonl"', more=more, columns=columns) + resources
    return run_curate(loads(spec, "test.yaml"), str(folder / "store"), None, False, "pairmill run", lambda line: None)


@pytest.fixture
def folder(tmp_path) -> Path:
    lines = [json.dumps({"anchor": anchor, "positive": positive}) + "\n" for anchor, positive in ROWS]
    (tmp_path / "rows1.jsonl").write_text("".join(lines[:3]))
    (tmp_path / "rows2.jsonl").write_text("".join(lines[3:]))
    (tmp_path / "quiz.jsonl").write_text(json.dumps(RECORD) + "\n")
    return tmp_path


@pytest.mark.usefixtures("local_ray")
def test_a_job_rejects_leaks_and_says_what_matched(folder):
    done = run(folder)
    total = done.summary["ledger"]["total"]
    assert total["rejected"] == {"contaminated": 4, "exact_duplicate": 1} and total["kept"] == 1
    assert total["rows_in"] == total["kept"] + sum(total["rejected"].values())
    lost = table(done.run, "rejected")
    assert set(lost.filter(pc.equal(lost["reason"], "contaminated"))["stage"].to_pylist()) == {"decontaminate"}
    hits = table(done.run, "contamination").to_pylist()
    assert [(hit["set"], hit["side"], hit["kind"]) for hit in hits] == [
        ("quiz", "anchor", "exact"),
        ("quiz", "anchor", "inside"),
        ("quiz", "positive", "changed"),
        ("quiz", "anchor", "exact"),
    ]
    assert {hit["evaluation_text"] for hit in hits} == {QUESTION} and hits[1]["matched"] == QUESTION[:-1]
    assert {(hit["evaluation_field"], hit["evaluation_row"]) for hit in hits} == {("question", 0)}
    sets = done.summary["contamination"]["sets"]
    assert sets == [
        {"name": "quiz", "texts": 1, "too_short": 0, "found": 1, "rows": 4}
        | {"kinds": {"changed": 1, "exact": 2, "inside": 1}}
    ]
    told = explain.explain_id(done.run, hits[1]["pair_id"])
    assert "rejected, contaminated" in told and "leak of quiz (inside, 100% of the text, in the anchor)" in told
    assert f"text    {QUESTION!r}" in told and f"matched {QUESTION[:-1]!r}" in told
    page = (done.run.storage.get(done.run.path("report.html")) or b"").decode()
    assert "Evaluation sets" in page and "quiz" in page and "tiny house behind the railway" in page


@pytest.mark.usefixtures("local_ray")
def test_negatives_are_searched_where_both_sides_are(folder):
    rows = [("a", "b", ["no leak", QUESTION.lower()]), ("c", "d", ["none"]), ("e", "f", []), ("g", "h", [QUESTION])]
    lines = [json.dumps({"anchor": a, "positive": p, "negatives": n}) + "\n" for a, p, n in rows]
    (folder / "rows1.jsonl").write_text("".join(lines))
    (folder / "rows2.jsonl").unlink()
    columns = ", columns: {negatives: negatives}"
    found = table(run(folder, columns=columns).run, "contamination").to_pylist()
    assert [(hit["side"], hit["kind"], hit["pair_id"] % 8) for hit in found] == [
        ("negatives", "exact", 0),
        ("negatives", "exact", 3),
    ]
    assert len(table(run(folder, ", sides: anchor", columns=columns).run, "contamination")) == 0


@pytest.mark.usefixtures("local_ray")
def test_another_set_or_limit_annotates_nothing_again(folder):
    first = run(folder)
    (folder / "quiz.jsonl").write_text(json.dumps({**RECORD, "question": PAGE}) + "\n")
    second, third = run(folder), run(folder, ", min_share: 0.9, ngram: 13")
    assert len({done.run.id for done in (first, second, third)}) == 3
    assert second.summary["ledger"]["total"]["rejected"] == {"contaminated": 4}
    for done in (second, third):
        assert committed(done.run).get("annotate", []) == []


@pytest.mark.usefixtures("local_ray")
def test_rows_that_are_only_flagged_stay_and_are_listed(folder):
    done = run(folder, ", action: flag")
    assert done.summary["ledger"]["total"]["rejected"] == {"exact_duplicate": 1}
    assert len(table(done.run, "contamination")) == 4


@pytest.mark.usefixtures("local_ray")
def test_common_phrases_are_found_in_the_rows_whatever_the_shards(tmp_path):
    """A notice that many rows have without the rest of an evaluation text is no leak of that; a copy of it is."""
    notice, short = passage(5, 40), "Press the button on the left side."
    evaluations = [f"{notice} {passage(6, 30)}", short]
    rows = [f"{passage(50 + n, 30)}. {notice} {passage(80 + n, 30)}. {short}" for n in range(14)]
    rows += [evaluations[0], short, f"{PAGE} {evaluations[0]}"]
    (tmp_path / "quiz.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in evaluations))
    (tmp_path / "rows.jsonl").write_text(
        "".join(json.dumps({"anchor": row, "positive": str(n)}) + "\n" for n, row in enumerate(rows))
    )
    found = {}
    for size in ("1KB", "32MB"):
        done = run(tmp_path, ", min_share: 0.6", f"resources: {{shard_size: {size}}}\n")
        found[size] = sorted(table(done.run, "rejected")["positive"].to_pylist())
    assert found["1KB"] == found["32MB"] == ["14", "15", "16"]


@pytest.mark.usefixtures("local_ray")
def test_web_pages_hold_no_tatoeba_sentence_by_chance(shared_data, tmp_path):
    sets = [
        EvaluationSet.model_validate(str(shared_data / "eval" / "tatoeba" / "tatoeba.parquet")),
        EvaluationSet.model_validate(str(shared_data / "qa" / "xquad.parquet")),
    ]
    built = index.build(evaluation.texts(sets, Clean()), LIMITS, 10)
    pages = pq.read_table(shared_data / "web" / "documents.parquet", columns=["text"])["text"]
    some = pages.take(list(range(0, len(pages), 4))).combine_chunks().cast(pa.large_string())
    assert len(search.search(some, built, LIMITS, 0.5)[0]) <= 2
