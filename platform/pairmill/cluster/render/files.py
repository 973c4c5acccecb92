"""The file that `pairmill render` writes: the documents of a target, and in front what to do with them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pairmill import __version__, objects
from pairmill.cluster.render import kuberay, text, vm
from pairmill.cluster.render.groups import groups, specs
from pairmill.cluster.render.options import Options
from pairmill.errors import SpecError
from pairmill.spec.load import LoadedSpec

TARGETS = ("kuberay", "kuberay-cluster", "vm")
_REFERENCE = re.compile(r"\$\{env:([A-Za-z_][A-Za-z0-9_]*)(:-)?")
#: Keys of specs whose values are places of files.
_PATHS = {"path", "exclude", "against", "terms", "file"}


def render(loaded: LoadedSpec, carried: str, target: str, options: Options, place: vm.Place | None) -> str:
    """The text of the file; `carried` is that of the spec. Raises SpecError where spec and options are at odds."""
    _check_storage(target, options)
    found = groups(loaded, options)
    if target == "vm":
        assert place is not None, "the command line names one"
        why = [f"{group.name}: {line}" for group in found for line in group.arithmetic]
        return text.written(_head_vm(options, place, why), [("", vm.config(found, options, place))])
    if target == "kuberay-cluster":
        return text.written(_head(loaded, options), kuberay.cluster(found, options))
    documents = kuberay.job(loaded.spec.kind, loaded.spec.name, carried, found, options)
    return text.written(_head(loaded, options), documents)


def warnings(loaded: LoadedSpec, target: str, options: Options) -> Iterator[str]:
    """What the cluster may lack that the spec names: files of this machine, variables."""
    mounted = tuple(f"{path}/" for _, path in options.volumes)
    for where, path in _paths(loaded.public, ""):
        local = not objects.is_remote(path) and not path.startswith(mounted or "\0")
        if local and "${" not in path and (where.rsplit(".", 1)[-1] != "path" or not _is_hub_name(where, path)):
            yield f"{where}: {path} is a path of a machine; workers see URIs, and what --volume mounts."
    given = {name for name, _ in options.env}
    for name in sorted(_without_default(loaded) - given):
        if not options.env_secrets or target == "vm":
            yield f"the spec reads ${{env:{name}}} on the cluster: give --env {name}, or a secret by --env-secret."
    for spec, name in specs(loaded):
        ranks = spec.resources if spec.kind in ("train", "pretrain") else None
        if ranks and ranks.workers == 1 and not ranks.gpus_per_worker and ranks.threads is None:
            yield (
                f"{name}: resources.threads is not set: a lone CPU rank takes all processors of its node, not only "
                f"those of its worker. Set it, and cpus_per_worker to the same, at most {options.cpus}."
            )


def _without_default(loaded: LoadedSpec) -> set[str]:
    """The variables that the spec reads and gives no default for."""
    found = [match for text in loaded.document.references.values() for match in _REFERENCE.findall(text)]
    return {name for name, default in found if not default}


def _check_storage(target: str, options: Options) -> None:
    if objects.is_remote(options.storage):
        return
    mounted = [path for _, path in options.volumes]
    if any(options.storage == path or options.storage.startswith(f"{path}/") for path in mounted):
        return
    what = "HOST:PATH, a directory that all machines share" if target == "vm" else "CLAIM:PATH, a shared claim"
    raise SpecError(
        f"--storage {options.storage}: a directory of this machine, which workers do not see. Name an object store "
        f"(s3://, gs://, az://), or mount {what}, and name a directory of it: --volume."
    )


def _is_hub_name(where: str, path: str) -> bool:
    """Whether a model's `path` is rather the name of one on a hub."""
    return ".model" in f".{where}" and not path.startswith((".", "/", "~")) and not Path(path).exists()


def _paths(data: Any, where: str) -> Iterator[tuple[str, str]]:
    """The places of files that a spec names, each with its key."""
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in items:
        inner = f"{where}[{key}]" if isinstance(data, list) else f"{where}.{key}" if where else str(key)
        if key in _PATHS:
            for path in value if isinstance(value, list) else [value]:
                if isinstance(path, str):
                    yield inner, path
        if isinstance(value, (dict, list)):
            yield from _paths(value, inner)


def _head(loaded: LoadedSpec, options: Options) -> list[str]:
    space = f" -n {options.namespace}" if options.namespace else ""
    return [
        f"Made by pairmill {__version__} render of {Path(loaded.name).name}. For KubeRay 1.5.1 or newer.",
        f"  kubectl apply{space} -f FILE",
        f"  kubectl get rayjob,raycluster,pods{space} -l pairmill/job={options.name}",
        "How the workers were sized stands beside them, as annotation pairmill/arithmetic.",
    ]


def _head_vm(options: Options, place: vm.Place, why: list[str]) -> list[str]:
    return [
        f"Made by pairmill {__version__} render, for {place.provider}. Once: ray get-auth-token --generate. Then:",
        "  ray up FILE && ray dashboard FILE          # forwards the head's port 8265 to this machine",
        f"  pairmill submit SPEC --address http://127.0.0.1:8265 --storage {options.storage}",
        *why,
    ]
