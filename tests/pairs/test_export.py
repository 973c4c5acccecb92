"""Exports of kept rows hold what the run kept: every row once, its texts unchanged, in files that others read."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from corpus import catalogue_rows
from pairmill.curate.job import run_curate
from pairmill.errors import PairmillError, SpecError
from pairmill.pairs.export import BREAKS
from pairmill.pairs.kept import KeptRun, kept_files, read_kept
from pairmill.pairs.schema import PAIR
from pairmill.runs.export import export
from pairmill.spec.load import loads

SPEC = """
kind: curate
name: shapes
resources: {{shard_size: 40kB}}
inputs:
  - {{name: bitext, format: jsonl, path: "{folder}/bitext.jsonl", language: trust, licence: BSD-3-Clause,
     columns: {{anchor_lang: anchor_lang, positive_lang: positive_lang}}}}
  - {{name: shaped, format: jsonl, path: "{folder}/shaped.jsonl", language: trust, licence: BSD-3-Clause,
     columns: {{negatives: negatives, score: score, label: label, anchor_lang: lang, positive_lang: lang}}}}
clean: {{whitespace: keep}}
filters: {{preset: none}}
dedup: {{exact: false, near: false}}
"""


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory, local_ray: None) -> Path:
    """A storage with one curate run: catalogues both ways, and rows with negatives, scores and labels."""
    folder = tmp_path_factory.mktemp("export")
    rows = catalogue_rows()[::5]
    bitext = [{"anchor": e, "positive": t, "anchor_lang": "en", "positive_lang": c} for e, t, c in rows]
    for row in bitext[::3]:
        row["anchor"], row["positive"] = row["positive"], row["anchor"]
        row["anchor_lang"], row["positive_lang"] = row["positive_lang"], row["anchor_lang"]
    for row in bitext:
        for side in ("anchor", "positive"):
            row[side] = row[side].replace(". ", ".\n")  # a sentence per line
    german = [t for _, t, c in rows if c == "de"][:90]
    shaped: list[dict[str, Any]] = []
    for number, text in enumerate(german):
        row = {"anchor": text, "positive": german[number - 1], "lang": "de"}
        others = [german[number - k] for k in range(2, 5)]
        extra = [{"negatives": others[:1]}, {"negatives": others}, {"score": number / 100}, {"label": f"l{number % 3}"}]
        shaped.append({**row, **([*extra, {}][number % 5])})
    for name, lines in (("bitext", bitext), ("shaped", shaped)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    loaded = loads(SPEC.format(folder=folder), "test.yaml", ())
    run_curate(loaded, str(folder / "store"), None, False, "pairmill run test.yaml", lambda line: None)
    return folder / "store"


@pytest.fixture(scope="module")
def kept(storage: Path) -> KeptRun:
    return kept_files(str(storage), "shapes")


@pytest.fixture(scope="module")
def table(kept: KeptRun) -> pa.Table:
    """What the run kept, by the reader that training uses."""
    parts = [part for file in kept.files for part in read_kept(kept.storage, file.path, PAIR.names)]
    return pa.concat_tables(parts).cast(PAIR)


def write(storage: Path, form: str, folder: Path, **filters: Any) -> tuple[Path, str]:
    return folder / form, "\n".join(export(str(storage), "shapes", form, str(folder / form), **filters))


def test_the_corpus_has_every_shape_and_breaks_inside_texts(table: pa.Table, kept: KeptRun) -> None:
    assert len(kept.files) > 2, "several shards"
    assert set(table["source"].to_pylist()) == {"bitext", "shaped"}
    assert {len(n or []) for n in table["negatives"].to_pylist()} == {0, 1, 3}
    assert table["score"].null_count < len(table) and table["label"].null_count < len(table)
    assert sum("\n" in text for text in table["anchor"].to_pylist()) > 3


def test_json_lines_hold_every_column_of_every_kept_row(storage: Path, table: pa.Table, tmp_path: Path) -> None:
    folder, said = write(storage, "jsonl", tmp_path)
    with gzip.open(folder / "pairs.jsonl.gz", "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    expected = table.to_pylist()
    for row in expected:
        row["score"] = None if row["score"] is None else round(row["score"], 6)
    assert rows == expected
    assert f"{len(table):,} rows" in said


def test_an_export_says_its_run_and_the_licences_of_its_sources(storage: Path, kept: KeptRun, tmp_path: Path) -> None:
    folder, _ = write(storage, "jsonl", tmp_path, sources=["shaped"])
    facts = json.loads((folder / "export.json").read_text())
    assert facts["run"] == kept.id and facts["rows"] == kept.sources["shaped"]
    assert facts["sources"] == {"shaped": {"rows": kept.sources["shaped"], "licence": "BSD-3-Clause"}}


def test_the_same_run_gives_the_same_bytes(storage: Path, tmp_path: Path) -> None:
    for form in ("jsonl", "datasets", "moses", "sentence-transformers"):
        found = []
        for attempt in ("one", "two"):
            folder, _ = write(storage, form, tmp_path / attempt)
            found.append({path.name: path.read_bytes() for path in folder.iterdir()})
        assert found[0] == found[1]


def test_a_datasets_folder_holds_the_rows_in_files_its_state_names(
    storage: Path, table: pa.Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pairmill.pairs.export.FILE_BYTES", 20_000)
    folder, _ = write(storage, "datasets", tmp_path)
    names = [file["filename"] for file in json.loads((folder / "state.json").read_text())["_data_files"]]
    assert len(names) > 1 and {path.name for path in folder.glob("*.arrow")} == set(names)
    assert pa.concat_tables([pa.ipc.open_stream(folder / name).read_all() for name in names]).equals(table)


def test_hugging_face_datasets_loads_the_folder(storage: Path, table: pa.Table, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets", reason="the library is not among Pairmill's dependencies")
    folder, _ = write(storage, "datasets", tmp_path)
    loaded = datasets.load_from_disk(str(folder))
    assert loaded.to_list() == table.to_pylist()


def test_pairmill_reads_its_own_datasets_folder(storage: Path, kept: KeptRun, tmp_path: Path, local_ray: None) -> None:
    folder, _ = write(storage, "datasets", tmp_path, sources=["bitext"])
    spec = f"""
kind: curate
name: again
inputs:
  - {{name: bitext, format: arrow, path: "{folder}", language: trust,
     columns: {{anchor_lang: anchor_lang, positive_lang: positive_lang}}}}
clean: {{whitespace: keep}}
filters: {{preset: none}}
dedup: {{exact: false, near: false}}
"""
    again = run_curate(loads(spec, "again.yaml", ()), str(tmp_path / "store"), None, False, "", lambda line: None)
    assert again.summary["ledger"]["total"]["kept"] == kept.sources["bitext"]


def test_moses_files_are_line_aligned_and_hold_each_pair_under_its_languages(
    storage: Path, table: pa.Table, tmp_path: Path
) -> None:
    folder, said = write(storage, "moses", tmp_path)
    found: Counter[tuple[str, str, str]] = Counter()
    for languages in ("ar-en", "de-en", "en-fr", "en-ja"):
        code = languages.replace("en", "").strip("-")
        sides = [(folder / f"pairs.{languages}.{side}").read_text("utf-8").split("\n") for side in ("en", code)]
        assert sides[0][-1] == sides[1][-1] == ""
        found.update((code, e, t) for e, t in zip(sides[0][:-1], sides[1][:-1], strict=True))
    expected: Counter[tuple[str, str, str]] = Counter()
    for row in table.to_pylist():
        texts = {row["anchor_lang"]: row["anchor"], row["positive_lang"]: row["positive"]}
        if len(texts) == 2:
            code = next(language for language in texts if language != "en")
            expected[code, one_line(texts["en"]), one_line(texts[code])] += 1
    assert found == expected
    broken = sum("\n" in row["anchor"] or "\n" in row["positive"] for row in table.to_pylist())
    assert broken and f"{broken:,} rows had line breaks inside" in said


def one_line(text: str) -> str:
    """Breaks at the places where Python ends a line, as one space."""
    lines = [line for line in text.splitlines() if line]
    return (
        (" " if text[:1].splitlines() == [""] else "")
        + " ".join(lines)
        + (" " if text[-1:].splitlines() == [""] else "")
    )


def test_moses_tells_the_sides_of_one_language_apart(storage: Path, table: pa.Table, tmp_path: Path) -> None:
    folder, _ = write(storage, "moses", tmp_path, sources=["shaped"])
    assert {path.name for path in folder.iterdir()} == {"pairs.de-de.anchor", "pairs.de-de.positive", "export.json"}
    shaped = table.filter(pa.compute.equal(table["source"], "shaped"))
    lines = (folder / "pairs.de-de.anchor").read_text("utf-8").split("\n")[:-1]
    assert lines == [one_line(text) for text in shaped["anchor"].to_pylist()]


@pytest.mark.parametrize("mark", ["\n", "\r\n", "\r", "\v", "\f", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"])
def test_every_mark_at_which_python_ends_a_line_counts_as_a_break(mark: str) -> None:
    assert f"a{mark}b".splitlines() == ["a", "b"]
    assert pa.compute.replace_substring_regex(pa.array([f"a{mark}b c\td"]), BREAKS, " ").to_pylist() == ["a b c\td"]


def test_sentence_transformers_gets_a_file_for_each_shape_of_row(
    storage: Path, table: pa.Table, tmp_path: Path
) -> None:
    folder, _ = write(storage, "sentence-transformers", tmp_path)
    columns = {path.name: pq.read_schema(path).names for path in folder.glob("*.parquet")}
    both = ["anchor", "positive"]
    assert columns == {
        "pairs.parquet": both,
        "pairs-negatives-1.parquet": [*both, "negative_1"],
        "pairs-negatives-3.parquet": [*both, "negative_1", "negative_2", "negative_3"],
        "pairs-score.parquet": [*both, "score"],
        "pairs-label.parquet": [*both, "label"],
    }
    labels = json.loads((folder / "labels.json").read_text())
    found = []
    for name in columns:
        for row in pq.read_table(folder / name).to_pylist():
            negatives = [row[column] for column in columns[name] if column.startswith("negative")]
            label = labels[row["label"]] if "label" in row else None
            found.append((row["anchor"], row["positive"], tuple(negatives), row.get("score"), label))
    names = ("anchor", "positive", "negatives", "score", "label")
    expected = [(*row.values(),) for row in table.select(names).to_pylist()]
    assert Counter(found) == Counter((a, p, tuple(n or ()), s, label) for a, p, n, s, label in expected)


def test_only_rows_of_the_sources_and_languages_asked_for_are_exported(
    storage: Path, table: pa.Table, tmp_path: Path
) -> None:
    folder, _ = write(storage, "moses", tmp_path, languages=["de-en"])
    assert {path.name for path in folder.glob("pairs.*")} == {"pairs.de-en.de", "pairs.de-en.en"}
    wanted = [{a, p} == {"de", "en"} for a, p in zip(*(table[c].to_pylist() for c in LANGUAGES), strict=True)]
    assert len((folder / "pairs.de-en.de").read_text("utf-8").split("\n")) - 1 == sum(wanted) > 0


LANGUAGES = ("anchor_lang", "positive_lang")


def test_what_does_not_fit_is_refused_and_leaves_nothing(storage: Path, tmp_path: Path) -> None:
    place, full = tmp_path / "out", tmp_path / "full"
    full.mkdir()
    (full / "mine.txt").write_text("mine")
    for form, output, filters, said in (
        ("onnx", place, {}, "is a curate run. Allowed for it: jsonl, datasets, moses, sentence-transformers"),
        ("jsonl", full, {}, "exists already"),
        ("jsonl", "s3://bucket/x", {}, "local directory"),
        ("jsonl", place, {"sources": ["bitex"]}, "Did you mean 'bitext'"),
        ("jsonl", place, {"languages": ["fi"]}, "kept no row of language 'fi'"),
        ("jsonl", place, {"sources": ["shaped"], "languages": ["fr"]}, "nothing to export"),
    ):
        with pytest.raises((SpecError, PairmillError), match=said):
            export(str(storage), "shapes", form, str(output), **filters)
    assert [path.name for path in tmp_path.rglob("*")] == ["full", "mine.txt"]
