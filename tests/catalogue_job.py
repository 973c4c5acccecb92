"""A curate job over JSON lines as `corpus.write_jsonl` writes them, in the Ray of this process."""

from __future__ import annotations

from pathlib import Path

from pairmill.curate.job import Outcome, run_curate
from pairmill.spec.load import loads

#: With a `{name}`, and files as `corpus.write_jsonl` writes them at `{path}`.
INPUT = """
kind: curate
name: {name}
inputs:
  - name: catalogue
    format: jsonl
    path: "{path}"
    columns: {{anchor: src, positive: tgt, anchor_lang: src_lang, positive_lang: tgt_lang}}
"""
SPEC = INPUT.replace("{name}", "test") + "    language: trust\n"


def curate(path: Path, storage: Path, *sets: str, fresh: bool = False) -> Outcome:
    """Run the job on the files of `path` (a glob), with `key=value` settings."""
    loaded = loads(SPEC.format(path=path), "test.yaml", sets)
    return run_curate(loaded, str(storage), None, fresh, "pairmill run test.yaml", lambda line: None)
