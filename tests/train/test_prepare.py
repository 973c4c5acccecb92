"""Preparing training data: every row is accounted for, the order is the rows' own, nothing held out is trained on."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xxhash
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

import catalogue_job
from corpus import catalogue_rows, write_jsonl
from pairmill.errors import SpecError
from pairmill.runs import engine
from pairmill.runs.storage import Storage, open_storage
from pairmill.spec.data import DataEntry
from pairmill.train.prepare import Manifest, Options, Teacher, prepare
from pairmill.train.reader import Ragged, Reader

MAX_LENGTH = 32
COLUMNS = {"anchor": "src", "positive": "tgt", "anchor_lang": "src_lang", "positive_lang": "tgt_lang"}


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory) -> Path:
    """A WordPiece tokenizer of the catalogues, with BERT's special tokens, as a Hugging Face directory."""
    made = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    made.normalizer, made.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    texts = [text for row in catalogue_rows() for text in row[:2]]
    made.train_from_iterator(texts, trainers.WordPieceTrainer(vocab_size=1500, special_tokens=special))
    made.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    folder = tmp_path_factory.mktemp("tokenizer")
    made.save(str(folder / "tokenizer.json"))
    return folder


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    """Three files of real rows, with copies and texts that cannot be used."""
    rows = catalogue_rows()[::12][:600]
    rows += [*rows[:20], (" ", rows[0][1], "de"), (rows[0][0], "​", "de")]
    folder = tmp_path_factory.mktemp("corpus")
    for number in range(3):
        write_jsonl(folder / f"part-{number}.jsonl", rows[number::3])
    return folder


def entry(path: Any, **options: Any) -> DataEntry:
    files = {"format": "jsonl", "path": str(path), "columns": COLUMNS}
    return DataEntry.model_validate({"name": "bitext", "input": files, **options})


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


class Stages:
    """Runs units one after the other, and remembers which were not done before."""

    def __init__(self, storage: Storage):
        self._base = {"storage": storage.uri, "attempt": "test"}
        self.done: list[str] = []

    def __call__(
        self, name: str, work: Callable[[dict[str, Any]], dict[str, Any]], items: list[dict[str, Any]]
    ) -> list[dict[str, Any]]:
        results = [work(json.loads(json.dumps({**self._base, **item}))) for item in items]
        self.done += [name for result in results if not result["reused"]]
        return results


def prepared(folder: Path, tokenizer: Path, *entries: DataEntry, **options: Any) -> tuple[Storage, Manifest]:
    storage = open_storage(str(folder))
    return storage, prepare(
        storage, entries, str(tokenizer), Options(**{"max_length": MAX_LENGTH, **options}), Stages(storage)
    )


def content(storage: Storage, manifest: Manifest, holdout: bool = False) -> dict[str, list[Any]]:
    """Every group's rows in order, as plain values."""
    reader, found = Reader(storage, manifest, holdout), {}
    for group in manifest["holdout" if holdout else "groups"]:
        found[group["name"]] = reader.table(group["name"], np.arange(group["rows"])).to_pylist()
    return found


def text_id(text: str) -> int:
    return int(np.uint64(xxhash.xxh3_64_intdigest(unicodedata.normalize("NFC", text).encode())).astype(np.int64))


def test_rows_hold_the_tokens_of_their_texts_and_the_ids_of_both(tmp_path, tokenizer, corpus):
    storage, manifest = prepared(tmp_path, tokenizer, entry(corpus / "*.jsonl"))
    reference = Tokenizer.from_file(str(tokenizer / "tokenizer.json"))
    reference.enable_truncation(MAX_LENGTH)
    (rows,) = content(storage, manifest).values()
    origins = manifest["entries"]["bitext"]["origins"]
    for row in rows[:200]:
        line = Path(origins[row["origin"]]).read_text("utf-8").splitlines()[row["pair_id"]]
        source, target = json.loads(line)["src"], json.loads(line)["tgt"]
        assert row["anchor"] == reference.encode(source).ids and row["positive"] == reference.encode(target).ids
        assert (row["anchor_id"], row["positive_id"]) == (text_id(source), text_id(target))
    group = manifest["groups"][0]
    for side in ("anchor", "positive"):
        lengths = [len(row[side]) for row in rows]
        assert (group["tokens"][side], group["longest"][side]) == (sum(lengths), max(lengths))
    assert group["longest"]["anchor"] == MAX_LENGTH


def test_every_row_is_used_held_out_or_dropped_with_a_reason(tmp_path, tokenizer, corpus):
    _, manifest = prepared(tmp_path, tokenizer, entry(corpus / "*.jsonl", holdout=50, limit=150))
    counts = manifest["entries"]["bitext"]
    lines = sum(len(path.read_bytes().splitlines()) for path in corpus.iterdir())
    assert counts["rows_in"] == lines == counts["used"] + counts["held_out"] + sum(counts["dropped"].values())
    assert (counts["used"], counts["held_out"]) == (150, 50)
    assert counts["dropped"]["empty_text"] == 2 and counts["dropped"]["limit"] > 0


LAYOUTS = [{"buckets": 7}, {"shard_size": 9_000, "buckets": 3}]


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("options", [{}, {"batch_by": "language-pair", "holdout": 0.05}, {"limit": 133}], ids=str)
def test_shards_and_buckets_do_not_change_the_order_of_the_rows(tmp_path, tokenizer, corpus, layout, options):
    one = prepared(tmp_path / "one", tokenizer, entry(corpus / "*.jsonl", **options))
    many = prepared(tmp_path / "many", tokenizer, entry(corpus / "*.jsonl", **options), **layout)
    assert content(*one) == content(*many)
    assert content(*one, holdout=True) == content(*many, holdout=True)
    assert one[1]["entries"] == many[1]["entries"]


def test_the_order_is_a_shuffle_that_the_seed_decides(tmp_path, tokenizer, corpus):
    orders = []
    for seed in (1, 2):
        (rows,) = content(*prepared(tmp_path / str(seed), tokenizer, entry(corpus / "*.jsonl"), seed=seed)).values()
        orders.append([(row["origin"], row["pair_id"]) for row in rows])
    assert sorted(orders[0]) == sorted(orders[1])
    ranks = {row: number for number, row in enumerate(orders[0])}
    for other in (sorted(orders[0]), orders[1]):
        assert abs(np.corrcoef(np.arange(len(other)), [ranks[row] for row in other])[0, 1]) < 0.25


@pytest.mark.usefixtures("local_ray")
def test_units_on_ray_give_what_a_loop_gives(tmp_path, tokenizer, corpus):
    entries = [entry(corpus / "*.jsonl", holdout=20)]
    loop = prepared(tmp_path / "loop", tokenizer, *entries, shard_size=9_000, buckets=2)
    storage = open_storage(str(tmp_path / "ray"))

    def run_stage(name: str, work: engine.WorkFunction, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
        base = {"storage": storage.uri, "attempt": "test"}
        return list(engine.run_units(work, [{**base, **item} for item in items], engine.Resources(1, 100_000_000)))

    options = Options(MAX_LENGTH, shard_size=9_000, buckets=2)
    manifest = prepare(storage, entries, str(tokenizer), options, run_stage)
    assert content(*loop) == content(storage, manifest)
    assert loop[1]["entries"] == manifest["entries"]


def texts_of(rows: list[dict[str, Any]]) -> set[int]:
    return {row[side] for row in rows for side in ("anchor_id", "positive_id")}


@pytest.mark.parametrize("holdout", [60, 0.03])
def test_no_text_of_a_held_out_row_is_trained_on_in_any_entry(tmp_path, tokenizer, corpus, holdout):
    shared = {"format": "jsonl", "path": str(corpus / "part-1.jsonl"), "columns": COLUMNS}
    other = DataEntry.model_validate({"name": "other", "input": shared, "swap": "both"})
    made = prepared(tmp_path, tokenizer, entry(corpus / "*.jsonl", holdout=holdout), other)
    (held,) = content(*made, holdout=True).values()
    trained = [row for rows in content(*made).values() for row in rows]
    assert not texts_of(held) & texts_of(trained)
    assert len(texts_of(held)) == sum(len(texts_of([row])) for row in held), "each held-out text occurs once"
    assert made[1]["entries"]["bitext"]["dropped"]["held_out_text"] > 0
    assert made[1]["entries"]["other"]["dropped"]["held_out_text"] > 0
    assert len(held) == 60 if holdout == 60 else 5 <= len(held) <= 40


def test_the_held_out_rows_depend_on_neither_the_seed_nor_the_limit(tmp_path, tokenizer, corpus):
    made = [
        prepared(tmp_path / "a", tokenizer, entry(corpus / "*.jsonl", holdout=30), seed=1),
        prepared(tmp_path / "b", tokenizer, entry(corpus / "*.jsonl", holdout=30, limit=100), seed=2),
    ]
    first, second = (texts_of(content(*one, holdout=True)["bitext"]) for one in made)
    assert first == second


def test_a_limit_takes_the_rows_that_come_first(tmp_path, tokenizer, corpus):
    (every,) = content(*prepared(tmp_path / "all", tokenizer, entry(corpus / "*.jsonl"))).values()
    (some,) = content(*prepared(tmp_path / "some", tokenizer, entry(corpus / "*.jsonl", limit=100))).values()
    assert some == every[:100]


def test_language_pairs_become_groups_and_filters_are_counted(tmp_path, tokenizer, corpus):
    made = prepared(tmp_path, tokenizer, entry(corpus / "*.jsonl", batch_by="language-pair", languages=["de", "en-fr"]))
    languages = [json.loads(line)["tgt_lang"] for path in corpus.iterdir() for line in path.open(encoding="utf-8")]
    kept = sum(language in ("de", "fr") for language in languages)
    assert [group["name"] for group in made[1]["groups"]] == ["bitext/en-de", "bitext/en-fr"]
    assert made[1]["entries"]["bitext"]["dropped"].get("filtered", 0) == len(languages) - kept
    assert sum(group["rows"] for group in made[1]["groups"]) == made[1]["entries"]["bitext"]["used"]


def test_swapping_exchanges_the_sides_and_prompts_stay_with_their_side(tmp_path, tokenizer, corpus):
    prompts = {"prompts": {"query": "query: ", "passage": "passage: "}}
    named = {"anchor": "query", "positive": "passage"}
    never, always, both = (
        prepared(tmp_path / swap, tokenizer, entry(corpus / "*.jsonl", swap=swap, prompts=named), **prompts)
        for swap in ("never", "always", "both")
    )
    rows = {swap: content(*made)["bitext"] for swap, made in {"n": never, "a": always, "b": both}.items()}
    pairs = {swap: sorted((row["anchor_id"], row["positive_id"]) for row in of) for swap, of in rows.items()}
    assert pairs["a"] == sorted((other, one) for one, other in pairs["n"])
    assert pairs["b"] == sorted(pairs["n"] + pairs["a"])
    assert both[1]["entries"]["bitext"]["rows_in"] == 2 * never[1]["entries"]["bitext"]["rows_in"]
    reference = Tokenizer.from_file(str(tokenizer / "tokenizer.json"))
    for row in rows["b"]:
        for side, prompt in (("anchor", "query: "), ("positive", "passage: ")):
            start = reference.encode(prompt).ids[:-1]
            assert row[side][: len(start)] == start and len(row[side]) <= MAX_LENGTH


def test_an_instruction_goes_into_the_models_template(tmp_path, tokenizer, corpus):
    made = prepared(
        tmp_path,
        tokenizer,
        entry(corpus / "part-0.jsonl", instruction="Translate"),
        instruction="Do: {task}\nText: {text} !",
        max_length=64,
    )
    reference = Tokenizer.from_file(str(tokenizer / "tokenizer.json"))
    reference.enable_truncation(64)
    origins = made[1]["entries"]["bitext"]["origins"]
    for row in content(*made)["bitext"][:20]:
        line = json.loads(Path(origins[row["origin"]]).read_text("utf-8").splitlines()[row["pair_id"]])
        assert row["anchor"] == reference.encode(f"Do: Translate\nText: {line['src']} !").ids
        assert row["positive"] == reference.encode(line["tgt"]).ids


def test_negatives_scores_and_labels_are_kept_and_their_lack_is_counted(tmp_path, tokenizer):
    rows: list[dict[str, Any]] = []
    for number, (source, target, _) in enumerate(catalogue_rows()[:60]):
        rows.append({"src": source, "tgt": target, "neg": [f"no {number}", " ", "", f"never {number}", "third"]})
        rows[-1] |= {"score": number % 6, "label": f"class {number % 3}"}
    rows[3]["neg"], rows[4]["neg"] = ["one"], None
    rows[5]["score"], rows[6]["score"] = None, 7
    rows[7]["label"], rows[8]["tgt"] = None, None
    files = {"format": "jsonl", "path": str(write(tmp_path / "rows.jsonl", rows)), "columns": {
        "anchor": "src", "positive": "tgt", "negatives": "neg", "score": "score", "label": "label"}}  # fmt: skip
    terms = [{"name": "cosent"}, {"name": "contrastive", "false_negatives": {"same_label": True}}]
    made = prepared(
        tmp_path / "store",
        tokenizer,
        DataEntry.model_validate(
            {"name": "sts", "input": files, "negatives": 2, "score_range": [0, 5], "objective": terms}
        ),
    )
    counts = made[1]["entries"]["sts"]
    lost = {"too_few_negatives": 2, "no_score": 1, "score_outside_range": 1, "no_label": 1}
    assert {reason: counts["dropped"].get(reason) for reason in lost} == lost
    assert counts["rows_in"] == 60 and sum(counts["dropped"].values()) == 6
    reference = Tokenizer.from_file(str(tokenizer / "tokenizer.json"))
    for row in content(*made)["sts"]:
        number = row["pair_id"]
        assert row["negatives"] == [reference.encode(f"{word} {number}").ids for word in ("no", "never")]
        assert row["negative_ids"] == [text_id(f"{word} {number}") for word in ("no", "never")]
        assert row["score"] == pytest.approx(number % 6 / 5)
        assert counts["labels"][row["label"]] == f"class {number % 3}"


def test_a_teacher_reads_the_same_rows_with_its_own_tokenizer(tmp_path, tokenizer, corpus):
    other = Tokenizer.from_file(str(tokenizer / "tokenizer.json"))
    other.normalizer = normalizers.Sequence([normalizers.Replace("e", "a"), normalizers.BertNormalizer()])
    (tmp_path / "teacher").mkdir()
    other.save(str(tmp_path / "teacher/tokenizer.json"))
    made = prepared(
        tmp_path / "store",
        tokenizer,
        entry(corpus / "part-0.jsonl", objective={"name": "clft", "teacher_side": "anchor"}),
        teacher=Teacher(str(tmp_path / "teacher"), 16),
    )
    other.enable_truncation(16)
    (rows,) = content(*made).values()
    origins = made[1]["entries"]["bitext"]["origins"]
    assert "teacher_positive" not in rows[0]
    for row in rows[:50]:
        line = json.loads(Path(origins[row["origin"]]).read_text("utf-8").splitlines()[row["pair_id"]])
        assert row["teacher_anchor"] == other.encode(line["src"]).ids


@pytest.mark.usefixtures("local_ray")
def test_kept_rows_of_a_run_are_read_with_the_entrys_filters(tmp_path, tokenizer, corpus):
    outcome = catalogue_job.curate(corpus / "*.jsonl", tmp_path)
    total = outcome.summary["ledger"]["total"]
    data = {"name": "kept", "run": outcome.run.id, "sources": "catalogue", "languages": ["de"]}
    _, manifest = prepared(tmp_path, tokenizer, DataEntry.model_validate(data))
    german = sum(
        row["kept"] for row in outcome.summary["languages"] if "de" in (row["positive_lang"], row["anchor_lang"])
    )
    counts = manifest["entries"]["kept"]
    assert counts["rows_in"] == total["kept"] and counts["used"] == german
    assert counts["dropped"] == ({"filtered": total["kept"] - german} if total["kept"] > german else {})
    assert counts["origins"] == [outcome.run.id]
    with pytest.raises(SpecError, match="kept no row of language 'da'"):
        prepared(tmp_path, tokenizer, DataEntry.model_validate({**data, "languages": ["da"]}))


def test_what_is_prepared_is_shared_and_only_what_is_new_is_done(tmp_path, tokenizer, corpus):
    storage = open_storage(str(tmp_path))
    stages = [Stages(storage) for _ in range(3)]
    first, second = entry(corpus / "part-0.jsonl"), entry(corpus / "part-1.jsonl", name="second")
    one = prepare(storage, [first], str(tokenizer), Options(MAX_LENGTH), stages[0])
    again = prepare(storage, [first], str(tokenizer), Options(MAX_LENGTH, buckets=3, memory=10**8), stages[1])
    both = prepare(storage, [first, second], str(tokenizer), Options(MAX_LENGTH), stages[2])
    assert one == again and both["groups"][0] == one["groups"][0]
    assert stages[1].done == []
    assert stages[2].done == stages[0].done == ["prepare: tokenise", "prepare: shuffle"]
    files = [path.name for path in tmp_path.rglob("rows-*.arrow")]
    assert files == [], "exchange files are deleted"


def test_a_killed_job_resumes_without_doing_committed_units_again(tmp_path, tokenizer, corpus):
    storage = open_storage(str(tmp_path / "killed"))
    options = Options(MAX_LENGTH, buckets=3, shard_size=9_000)
    stages = Stages(storage)

    def dies(name: str, work: Any, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if name == "prepare: shuffle":
            stages(name, work, items[:1])
            raise KeyboardInterrupt
        return stages(name, work, items)

    entries = [entry(corpus / "*.jsonl", holdout=10)]
    with pytest.raises(KeyboardInterrupt):
        prepare(storage, entries, str(tokenizer), options, dies)
    resumed = Stages(storage)
    manifest = prepare(storage, entries, str(tokenizer), options, resumed)
    assert resumed.done == ["prepare: shuffle"] * 2
    assert content(storage, manifest) == content(*prepared(tmp_path / "unbroken", tokenizer, *entries))


def test_pretraining_texts_one_by_one_or_as_full_sequences_in_the_order_of_the_file(tmp_path, tokenizer, corpus):
    path = corpus / "part-0.jsonl"
    single = prepared(tmp_path / "text", tokenizer, entry(path), pack="text", sides=("anchor",))
    joined = prepared(tmp_path / "joined", tokenizer, entry(path), pack="concatenate", sides=("anchor",))
    reference = Tokenizer.from_file(str(tokenizer / "tokenizer.json"))
    texts = [json.loads(line)["src"] for line in path.open(encoding="utf-8")]
    plain = [ids for ids in (reference.encode(text, add_special_tokens=False).ids for text in texts) if ids]
    stream = [token for ids in plain for token in [*ids, 3]]
    room = MAX_LENGTH - 2
    expected = [[2, *stream[start : start + room], 3] for start in range(0, len(stream), room)]
    assert sorted(row["tokens"] for row in content(*joined)["bitext"]) == sorted(expected)
    reference.enable_truncation(MAX_LENGTH)
    wanted = sorted(ids for ids in (reference.encode(text).ids for text in texts) if len(ids) > 2)
    assert sorted(row["tokens"] for row in content(*single)["bitext"]) == wanted
    for made, rows in ((single, len(wanted)), (joined, len(expected))):
        counts = made[1]["entries"]["bitext"]
        assert counts["rows_in"] == len(texts) == counts["used"] + sum(counts["dropped"].values())
        assert counts["sequences"]["made"] == counts["sequences"]["used"] == rows


def test_what_cannot_be_prepared_is_refused_with_its_reason(tmp_path, tokenizer, corpus):
    with pytest.raises(SpecError, match=r"data.bitext.prompts.anchor: .*no prompt called 'q'; it has: query"):
        prepared(tmp_path, tokenizer, entry(corpus / "*.jsonl", prompts={"anchor": "q"}), prompts={"query": "x "})
    with pytest.raises(SpecError, match="no room is left for texts"):
        prepared(tmp_path, tokenizer, entry(corpus / "*.jsonl", instruction="word " * 40))
    with pytest.raises(SpecError, match="special tokens alone"):
        prepared(tmp_path, tokenizer, entry(corpus / "*.jsonl"), max_length=2)
    (tmp_path / "none").mkdir()
    with pytest.raises(SpecError, match="no fast tokenizer"):
        prepared(tmp_path, tmp_path / "none", entry(corpus / "*.jsonl"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"run": "web-1", "input": {"format": "jsonl", "path": "x"}}, "either `run`"),
        ({}, "either `run`"),
        ({"run": "web-1", "negatives": 2, "swap": "both"}, "its anchor's negatives"),
        ({"run": "web-1", "holdout": 1.5}, "neither a number of rows nor a share"),
        ({"run": "web-1", "score_range": [5, 0]}, "lowest score comes first"),
        ({"run": "web-1", "languages": ["German"]}, "neither a language code"),
        ({"run": "web-1", "instruction": "a", "prompts": {"anchor": "b"}}, "name one"),
        ({"run": "web-1", "objective": "score_distillation"}, "reads hard negatives"),
    ],
)
def test_an_entry_that_makes_no_sense_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        DataEntry.model_validate({"name": "e", **options})


def test_shared_bitext_is_prepared_alike_in_one_shard_and_in_many(tmp_path, tokenizer, shared_data):
    files = {"format": "parquet", "path": str(shared_data / "bitext/udhr.parquet"), "columns": COLUMNS}
    data = DataEntry.model_validate({"name": "udhr", "input": files, "languages": ["de", "ru", "th"]})
    one, many = (
        prepared(tmp_path / str(size), tokenizer, data, shard_size=size, buckets=count)
        for size, count in ((10**9, 1), (500_000, 4))
    )
    assert content(*one) == content(*many)
    assert one[1]["entries"]["udhr"]["used"] > 150
    assert isinstance(Reader(*one).read("udhr", np.arange(5))["anchor"], Ragged)
