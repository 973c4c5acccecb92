"""What a machine says of itself, as plain JSON.

This module travels to the nodes by value, since a node may have another Pairmill, or none: it imports nothing but the
standard library at its head. The check of the storage is the node's own, with the node's credentials.
"""

from __future__ import annotations

import glob
import hashlib
import importlib.metadata
import os
import platform
import resource
import shutil
import socket
import subprocess
import threading
import time
import uuid
from collections.abc import Callable
from urllib.parse import urlsplit

Json = dict[str, object]
LIBRARIES = ("ray", "pyarrow", "numpy", "torch", "transformers")
#: Seconds that a connection to another node may take.
CONNECT_SECONDS = 3.0


def look(asked: Json) -> Json:
    """Everything. `asked`: `storage` (URI or None), `marker` (an object that the driver wrote there), `peers` (host,
    port, what), `seconds` that the storage may take."""
    return {
        "host": socket.gethostname(),
        "python": platform.python_version(),
        "libraries": _libraries(),
        "pairmill": _package(),
        "open_files": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        "memory": _memory(),
        "shared_memory": _disk("/dev/shm"),
        "spill": _spill(),
        "gpu": _gpu(),
        "token_mode": _token_mode(),
        "storage": within(asked["seconds"], lambda: _storage(asked)) if asked.get("storage") else None,
        "closed_ports": _closed(asked.get("peers") or []),
    }


def clock() -> float:
    """Seconds since 1970, by this machine."""
    return time.time()


def _libraries() -> Json:
    found: Json = {}
    for name in LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = None
    return found


def _package() -> Json:
    """Version, place and digest of the sources of the pairmill that a task here imports."""
    try:
        import pairmill
    except Exception as error:
        return {"version": None, "error": f"{type(error).__name__}: {error}"}
    folder = os.path.dirname(os.path.abspath(pairmill.__file__ or ""))
    digest = hashlib.sha256()
    for path in sorted(glob.glob(os.path.join(folder, "**", "*.py"), recursive=True)):
        digest.update(os.path.relpath(path, folder).encode())
        with open(path, "rb") as file:
            digest.update(hashlib.sha256(file.read()).digest())
    version = getattr(pairmill, "__version__", "unknown")
    return {"version": version, "place": folder, "digest": digest.hexdigest()[:12]}


def _memory() -> Json:
    """Bytes of the machine and, where a container has less, of its control group (0: no limit)."""
    with open("/proc/meminfo") as file:
        total = int(file.readline().split()[1]) * 1024
    limit = 0
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            with open(path) as file:
                limit = int(file.read())
            break
        except (OSError, ValueError):  # version 2 says "max" where there is no limit
            continue
    return {"machine": total, "limit": limit if limit < total else 0}


def _disk(path: str) -> Json | None:
    try:
        usage = shutil.disk_usage(path)
    except OSError:
        return None
    return {"path": path, "total": usage.total, "free": usage.free}


def _spill() -> Json | None:
    """The disk that objects spill to: the raylet, which started this process, was told where it is."""
    try:
        with open(f"/proc/{os.getppid()}/cmdline", "rb") as file:
            words = file.read().decode("utf-8", "replace").split("\0")
    except OSError:
        return None
    options = dict(word.lstrip("-").split("=", 1) for word in words if word.startswith("--") and "=" in word)
    place = options.get("fallback_directory") or options.get("session_dir")
    found = _disk(place) if place else None
    return found and {**found, "store_directory": options.get("plasma_directory", "")}


def _gpu() -> Json:
    """What the driver, torch and NCCL say; torch is only imported where there is a GPU."""
    query = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=30, check=False)
        names = [line.strip() for line in done.stdout.splitlines() if line.strip()] if done.returncode == 0 else []
    except (OSError, subprocess.TimeoutExpired):
        names = []
    if not names:
        return {"devices": []}
    try:
        import torch

        usable = torch.cuda.device_count() if torch.cuda.is_available() else 0
        has_nccl = torch.distributed.is_available() and torch.distributed.is_nccl_available()
        nccl = ".".join(map(str, torch.cuda.nccl.version())) if has_nccl else None
        return {"devices": names, "torch_devices": usable, "cuda": torch.version.cuda, "nccl": nccl}
    except Exception as error:
        return {"devices": names, "torch_devices": 0, "error": f"{type(error).__name__}: {error}"}


def _token_mode() -> bool:
    try:
        from ray._private.authentication.authentication_utils import is_token_auth_enabled
    except ImportError:
        return os.environ.get("RAY_AUTH_MODE") == "token"
    return bool(is_token_auth_enabled())


def within(seconds: object, call: Callable[[], Json]) -> Json:
    """The result of a call, or what became of it; a call that does not end is left behind."""
    found: Json = {}

    def work() -> None:
        try:
            found.update(call())
        except Exception as error:
            found["error"] = str(error) or type(error).__name__

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(float(str(seconds)))
    return dict(found) if not thread.is_alive() else {"error": f"no answer within {seconds} s"}


def _storage(asked: Json) -> Json:
    """Reach the storage, write to it, write conditionally, find what the driver wrote, and read the store's clock."""
    uri, marker = str(asked["storage"]), str(asked["marker"])
    if problem := refused(uri):
        return {"error": problem}
    try:
        from pairmill.runs.storage import Storage
    except ImportError as error:
        return {"not_asked": f"its pairmill does not know storages ({error})"}
    storage = Storage(uri)
    storage.check()
    path = f"probes/{uuid.uuid4().hex}"
    before = time.time()
    storage.put(path, b"")
    after = time.time()
    written = storage.modified(path)
    storage.delete(path)
    return {
        "shared": storage.get(marker) is not None,
        "seconds": round(time.time() - before, 3),
        "ahead": round(written.timestamp() - (before + after) / 2, 3) if written else None,
    }


def refused(uri: str) -> str | None:
    """Why the endpoint of an s3:// storage cannot be connected to; the store's client would try for minutes."""
    if not uri.startswith("s3://"):
        return None
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if not endpoint:
        return None
    parts = urlsplit(endpoint)
    problem = connect(parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80))
    return f"its endpoint {endpoint} cannot be connected to: {problem}" if problem else None


def connect(host: str, port: int) -> str | None:
    """Why a port cannot be connected to; None where it can."""
    try:
        socket.create_connection((host, port), timeout=CONNECT_SECONDS).close()
    except OSError as error:
        return str(error)
    return None


def _closed(peers: object) -> list[list[object]]:
    """The ports, of (host, port, what), that cannot be connected to, each with the reason."""
    problems: dict[int, str | None] = {}
    asked: list[tuple[str, int, str]] = [tuple(peer) for peer in peers]  # type: ignore[attr-defined]

    def work(number: int) -> None:
        problems[number] = connect(*asked[number][:2])

    threads = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(len(asked))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(2 * CONNECT_SECONDS)
    return [
        [*peer, problems.get(number, "no answer")] for number, peer in enumerate(asked) if problems.get(number, "x")
    ]
