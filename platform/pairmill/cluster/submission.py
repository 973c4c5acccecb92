"""What is submitted: the checked spec, how it gets to the cluster, and an id that identical submissions share.

1. The spec is checked here, before anything is uploaded. `${env:NAME}` is read on the cluster: a name that is not set
   here stands for itself meanwhile.
2. The spec's file travels as the job's working directory, or lies in the one that is named. With `--package` this
   `pairmill` travels too, as a Python module; what it depends on must be in the cluster's image.
3. The id is a digest of the spec with its overrides, the storage, forwarded variables and the uploaded files.
"""

from __future__ import annotations

import getpass
import glob
import hashlib
import os
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pairmill
from pairmill import objects
from pairmill.cluster.environment import about_references, forwarded, standing_for_themselves
from pairmill.errors import SpecError
from pairmill.runs.units import digest
from pairmill.spec.load import LoadedSpec, loads, read_text
from pairmill.spec.trials import whole
from pairmill.train.stopping import STOP_SECONDS, STOP_VARIABLE

EXCLUDES = [".git", ".venv", "venv", "__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache"]


@dataclass(frozen=True)
class Options:
    """What a user says beside the spec; `environment` are names of variables to forward."""

    sets: Sequence[str] = ()
    storage: str = ""
    environment: Sequence[str] = ()
    working_dir: str | None = None
    package: bool = False
    fresh: bool = False


@dataclass(frozen=True)
class Submission:
    """A job to be: `id` without its running number. `files` are written to a working directory of their own."""

    id: str
    entrypoint: str
    metadata: dict[str, str]
    runtime_env: dict[str, Any]
    files: dict[str, str]
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Folder:
    """The files of a folder that Ray would upload: how many, how much, and a digest of names and contents."""

    files: int
    size: int
    digest: str


def prepare(spec: str, options: Options) -> Submission:
    """Check the spec and all options, and make the submission. Raises SpecError; uploads nothing."""
    text, loaded = read(spec, options.sets)
    environment = forwarded(options.environment)
    storage = whole_storage(options.storage)
    file, files = _place(spec, text, options.working_dir)
    runtime_env: dict[str, Any] = {"env_vars": {STOP_VARIABLE: str(STOP_SECONDS), **environment}, "excludes": EXCLUDES}
    uploads = {}
    notes = [
        *about_references("\n".join([text, *options.sets]), options.environment),
        *_about_local_files(loaded, options.working_dir),
    ]
    if options.working_dir is not None:
        runtime_env["working_dir"] = options.working_dir
        uploads["working_dir"] = folder(options.working_dir)
    if options.package:
        here = str(Path(pairmill.__file__).parent)
        runtime_env["py_modules"] = [here]
        uploads["package"] = folder(here)
    notes += [f"{_WORDS[name]}: {found.files:,} files, {found.size / 1e6:.1f} MB" for name, found in uploads.items()]
    meaning = {
        "spec": loaded.public,
        "storage": storage,
        "environment": environment,
        "uploads": {name: found.digest for name, found in uploads.items()},
        "fresh": options.fresh,
    }
    return Submission(
        id=f"pairmill-{loaded.spec.name}-{digest(meaning, 12)}",
        entrypoint=shlex.join(_command(file, storage, options)),
        metadata=_metadata(loaded, storage),
        runtime_env=runtime_env,
        files=files,
        notes=notes,
    )


_WORDS = {"working_dir": "the working directory is uploaded", "package": "this pairmill is uploaded"}


def read(spec: str, sets: Sequence[str]) -> tuple[str, LoadedSpec]:
    """A spec's text, and what it says where variables that are not set here stand for themselves."""
    text = whole(read_text(spec), spec)
    return text, loads(text, spec, sets, standing_for_themselves("\n".join([text, *sets])))


def whole_storage(uri: str) -> str:
    """The storage as any directory reaches it: a local path in full."""
    return uri if objects.is_remote(uri) else str(objects.local_path(uri).absolute())


def owner() -> str:
    """Who submits: $PAIRMILL_OWNER, else the user."""
    try:
        return os.environ.get("PAIRMILL_OWNER") or getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in containers
        return str(os.getuid())


def folder(path: str) -> Folder:
    """What Ray would upload of a folder, save for what a .gitignore leaves out."""
    total, size, files = hashlib.sha256(), 0, 0
    for place in sorted(_files(Path(path))):
        data = place.read_bytes()
        total.update(f"{place.relative_to(path)}\0{len(data)}\0".encode("utf-8", "surrogateescape"))
        total.update(data)
        size, files = size + len(data), files + 1
    return Folder(files, size, total.hexdigest()[:16])


def _files(path: Path) -> Iterator[Path]:
    for directory, below, names in os.walk(path):
        below[:] = [name for name in below if name not in EXCLUDES]
        yield from (place for name in names if (place := Path(directory, name)).is_file())


def _place(spec: str, text: str, working_dir: str | None) -> tuple[str, dict[str, str]]:
    """The spec's path in the job's working directory, and the files of one that is made for it."""
    if working_dir is None:
        return Path(spec).name, {Path(spec).name: text}
    if not Path(working_dir).is_dir():
        raise SpecError(f"--working-dir {working_dir}: not a directory. Name one that holds the spec.")
    try:
        return str(Path(spec).resolve().relative_to(Path(working_dir).resolve())), {}
    except ValueError:
        raise SpecError(
            f"{spec} is not inside --working-dir {working_dir}. Move it there, or leave --working-dir out: the spec is "
            "uploaded by itself."
        ) from None


def _command(file: str, storage: str, options: Options) -> list[str]:
    sets = [part for item in options.sets for part in ("--set", item)]
    fresh = ["--fresh"] if options.fresh else []
    return ["python", "-m", "pairmill", "run", file, *sets, "--storage", storage, *fresh]


def _metadata(loaded: LoadedSpec, storage: str) -> dict[str, str]:
    return {
        "pairmill": pairmill.__version__,
        "kind": loaded.spec.kind,
        "name": loaded.spec.name,
        "owner": owner(),
        "spec": digest(loaded.public, 12),
        "storage": storage,
    }


def _about_local_files(loaded: LoadedSpec, working_dir: str | None) -> Iterator[str]:
    """Paths of the spec that lie on this machine and do not travel."""
    for text in dict.fromkeys(_strings(loaded.public)):
        relative = not os.path.isabs(text)
        if (relative and working_dir is not None) or "/" not in text or not _is_here(text):
            continue
        remedy = "name its folder as --working-dir, or put it" if relative else "unless all nodes see it there, put it"
        yield f"{text} is on this machine, and is not uploaded: {remedy} into an object store"


def _is_here(text: str) -> bool:
    return len(text) < 1000 and "\n" not in text and next(glob.iglob(os.path.expanduser(text)), None) is not None


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)
