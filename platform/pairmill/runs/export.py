"""`pairmill export`: a finished run's rows or model in a form that other tools read, in a new folder.

The folder is written beside its place and moved there when all of it is in it: an export that fails leaves nothing.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from pairmill.errors import PairmillError, SpecError
from pairmill.objects import is_remote, local_path
from pairmill.runs.browse import find
from pairmill.runs.record import Run

ROWS = ("jsonl", "datasets", "moses", "sentence-transformers")
MODEL = ("onnx", "sentence-transformers")
#: By kind of run.
FORMATS: dict[str, tuple[str, ...]] = {"curate": ROWS, "mine": ROWS, "train": MODEL, "pretrain": MODEL}


def export(
    storage_uri: str,
    name: str,
    form: str,
    output: str,
    sources: Sequence[str] | None = None,
    languages: Sequence[str] | None = None,
) -> list[str]:
    """Export the run called `name` to the directory `output`; returns what to tell the user, line by line.

    `sources` and `languages` choose rows of a curate run. Raises SpecError where the run, the form or the directory
    does not fit, and PairmillError where the export fails.
    """
    run = find(storage_uri, name)
    kind = (run.record() or {}).get("kind", "curate")
    _check(run, kind, form, bool(sources or languages))
    with _folder(output) as folder:
        if FORMATS[kind] is ROWS:
            from pairmill.pairs.export import export_pairs
            from pairmill.pairs.kept import kept_files

            notes = export_pairs(kept_files(storage_uri, run.id), form, folder, sources, languages)
        else:
            notes = _export_model(run, form, folder)
    return [*notes, f"written: {output}"]


def _check(run: Run, kind: str, form: str, filtered: bool) -> None:
    allowed = FORMATS.get(kind)
    if allowed is None:
        raise SpecError(
            f"run {run.id} is a {kind} run, which is not exported. Name a run of kind {', '.join(FORMATS)}."
        )
    if form not in allowed:
        raise SpecError(f"--to {form}: run {run.id} is a {kind} run. Allowed for it: {', '.join(allowed)}.")
    if filtered and allowed is not ROWS:
        raise SpecError(f"--source and --language choose rows of a curate run; run {run.id} is a {kind} run.")


@contextmanager
def _folder(output: str) -> Iterator[Path]:
    """An empty folder, which becomes `output` at the end; where the block raises, nothing is left."""
    if is_remote(output):
        raise SpecError(f"--output {output}: exports go to a local directory. Name one, and upload it afterwards.")
    target = local_path(output).absolute()
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise SpecError(f"--output {output}: it exists already. Name a directory that is empty or not there yet.")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    except OSError as error:
        raise SpecError(f"--output {output}: {error.strerror}. Name a directory that can be written.") from None
    try:
        yield made
        made.chmod(0o755)
        made.replace(target)
    except OSError as error:
        raise PairmillError(
            f"--output {output}: cannot be written: {error}. Free some space or name another."
        ) from error
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _export_model(run: Run, form: str, folder: Path) -> list[str]:
    from pairmill.model.places import fetch

    manifest = run.manifest()
    if manifest is None or "model" not in manifest:
        state = (run.record() or {}).get("state", "never started")
        raise SpecError(f"run {run.id} is not finished (its state: {state}). Run its command again first: it resumes.")
    if form == "onnx":
        from pairmill.model.onnx import add_onnx, require

        require()
    _copy(fetch(run.storage, manifest["model"]), manifest["model"]["files"], folder)
    notes = [f"the model of run {run.id}"]
    if form == "onnx":
        notes.append(f"onnx/model.onnx: {add_onnx(folder, _trusts(run))}")
    return notes


def _copy(source: Path, files: Sequence[str], folder: Path) -> None:
    for name in files:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / name, target)


def _trusts(run: Run) -> bool:
    """Whether the run's spec trusts Python code that comes with the model."""
    spec: dict[str, Any] = yaml.safe_load(run.summary().get("spec", "")) or {}
    return bool((spec.get("model") or {}).get("trust_remote_code", False))
