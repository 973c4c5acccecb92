"""The real things that tests run against: S3 servers, a Ray cluster of several raylets, and the command line itself.

Each is started as separate processes on free ports of 127.0.0.1 and ended by the ids of those processes, so that other
Ray clusters and servers on the same machine are left alone (`ray stop` would end them all).
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[1]
SHARED_DATA = ROOT.parent / "shared" / "data"
Process = subprocess.Popen[bytes]
BIN = Path(sys.executable).parent
#: A token that an earlier `ray.init` left in the user's home would otherwise lock the clusters of the tests.
NO_TOKEN = {"RAY_AUTH_MODE": "disabled"}
#: What a node needs to have this checkout installed, as a cluster's image has a release.
INSTALLED = {"PYTHONPATH": str(ROOT / "platform")}
KEYS = {"AWS_ACCESS_KEY_ID": "pairmill", "AWS_SECRET_ACCESS_KEY": "pairmill-secret", "AWS_REGION": "us-east-1"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def clean_environment(**changes: str) -> dict[str, str]:
    """This process's environment, the interpreter's folder first in PATH, no cluster or store named."""
    ours = ("RAY_", "AWS_", "PAIRMILL_", "PYTHONPATH")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    path = f"{BIN}{os.pathsep}{os.environ.get('PATH', '')}"
    return {**kept, "PATH": path, "RAY_USAGE_STATS_ENABLED": "0", "PYTHONUNBUFFERED": "1", **changes}


def wait_for(ready: Callable[[], bool], process: Process, log: Path, what: str, seconds: float = 120) -> None:
    """Poll until `ready`. RuntimeError with the end of the log where the process ends or the time is up."""
    deadline = time.monotonic() + seconds
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            tail = log.read_text(errors="replace")[-3000:] if log.exists() else ""
            code = process.poll()
            state = f"not ready after {seconds:g} s" if code is None else f"ended with code {code}"
            raise RuntimeError(f"{what}: {state}. Its output ends with:\n{tail}")
        time.sleep(0.1)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def end(process: Process, seconds: float = 10, by_force: bool = False) -> None:
    """End a process and all that it started, by id; by force (SIGKILL at once) as a lost machine would."""
    try:
        family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        family = []
    if not by_force:
        process.terminate()
        psutil.wait_procs(family, timeout=seconds)
    for member in family:
        if member.is_running():
            member.kill()
    psutil.wait_procs(family, timeout=5)
    process.wait(timeout=5)


def train_workers(pid: int) -> list[psutil.Process]:
    """The processes of Ray Train's workers below a process."""
    return processes(pid, "RayTrainWorker")


def processes(pid: int, word: str) -> list[psutil.Process]:
    """Those below a process that have the word in their name or command."""
    found = []
    for child in psutil.Process(pid).children(recursive=True):
        try:
            if word in child.name() or any(word in part for part in child.cmdline()):
                found.append(child)
        except psutil.Error:
            continue
    return found


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A file system in memory of that size (`30m`), mounted at `folder`. For root."""
    folder.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


# ---- S3 servers


@dataclass
class S3:
    """An S3 server. `env` holds the AWS_* variables that lead to it."""

    env: dict[str, str]

    def bucket(self, name: str) -> str:
        """A new bucket with this name and a suffix of its own, as `s3://...`."""
        import boto3
        from botocore.config import Config

        client = boto3.client(
            "s3",
            endpoint_url=self.env["AWS_ENDPOINT_URL"],
            region_name=KEYS["AWS_REGION"],
            aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"],
            config=Config(s3={"addressing_style": "path"}),
        )
        unique = f"{name}-{uuid.uuid4().hex[:8]}"
        client.create_bucket(Bucket=unique)
        return f"s3://{unique}"


@contextmanager
def _s3_server(command: list[str], port: int, folder: Path, what: str) -> Iterator[S3]:
    log = folder / "server.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, cwd=folder, env=clean_environment()
        )
    try:
        wait_for(lambda: listens(port), process, log, what)
        yield S3({"AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}", "AWS_ALLOW_HTTP": "true", **KEYS})
    finally:
        end(process)


@contextmanager
def moto_s3(folder: Path) -> Iterator[S3]:
    """moto's server: an S3 store in memory that honours conditional writes."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with _s3_server(command, port, folder, "moto") as s3:
        yield s3


@contextmanager
def rclone_s3(folder: Path) -> Iterator[S3]:
    """rclone's S3 server over a directory: it ignores conditions, so a second put-if-absent succeeds."""
    port = free_port()
    data = folder / "data"
    data.mkdir()
    command = [
        str(BIN / "rclone"),
        "serve",
        "s3",
        str(data),
        "--addr",
        f"127.0.0.1:{port}",
        "--auth-key",
        f"{KEYS['AWS_ACCESS_KEY_ID']},{KEYS['AWS_SECRET_ACCESS_KEY']}",
        "--config",
        os.devnull,
    ]
    with _s3_server(command, port, folder, "rclone") as s3:
        yield s3


# ---- Ray

# The nodes' own address: 127.0.0.1 is replaced by Ray, as cluster/local/cluster.py says.
ADDRESS = "127.0.0.2" if sys.platform == "linux" else "127.0.0.1"


@dataclass
class RayCluster:
    """Raylets on this machine, the head first. `folder` is the head's temporary directory."""

    job_address: str
    gcs_address: str
    folder: Path
    nodes: list[Process] = field(default_factory=list)
    env: dict[str, str] = field(default_factory=lambda: NO_TOKEN)  # of the nodes, and of those who ask them

    def submit(self, *entrypoint: str, working_dir: Path, env: dict[str, str], timeout: float = 300) -> Outcome:
        """`ray job submit`, waiting for the job's end. Its output holds the job's."""
        command = [
            sys.executable,
            "-m",
            "ray.scripts.scripts",
            "job",
            "submit",
            "--address",
            self.job_address,
            "--working-dir",
            str(working_dir),
            "--runtime-env-json",
            json.dumps({"env_vars": env}),
            "--",
            *entrypoint,
        ]
        return _run(command, cwd=ROOT, env=clean_environment(**self.env), timeout=timeout)

    def add_node(self, *options: str, cpus: int = 1) -> Process:
        """One more raylet; returns when its ports answer."""
        number = len(self.nodes)
        agent = free_port()
        ours = [
            "--node-ip-address",
            ADDRESS,
            "--num-cpus",
            str(cpus),
            "--num-gpus",
            "0",
            "--disable-usage-stats",
            "--object-store-memory",
            "160000000",
            "--min-worker-port",
            "0",
            "--max-worker-port",
            "0",
            "--dashboard-agent-listen-port",
            str(agent),
            "--block",
        ]
        log = self.folder / f"node{number}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "ray.scripts.scripts", "start", *ours, *options],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env=clean_environment(**self.env),
            )
        self.nodes.append(process)
        wait_for(lambda: listens(agent), process, log, f"raylet {number}")
        return process

    def stop(self) -> None:
        for node in reversed(self.nodes):
            end(node)

    def add_worker(self, cpus: int = 1) -> Process:
        """A raylet with a temporary directory of its own: in a shared one, each would delete and unpack anew the
        working directory of a job, under the feet of the others' processes."""
        own = self.folder / f"n{len(self.nodes)}"
        return self.add_node("--address", self.gcs_address, "--temp-dir", str(own), cpus=cpus)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as reply:
            return bool(reply.status == 200)
    except urllib.error.HTTPError as error:
        return error.code == 401  # it asks for a token
    except OSError:
        return False


@contextmanager
def start_ray_cluster(
    workers: int = 2, env: dict[str, str] = NO_TOKEN, head: Sequence[str] = ()
) -> Iterator[RayCluster]:
    """A head without CPUs (it holds the job server) and workers with one each, so that every task runs on a worker.
    `head`: further options of `ray start` for it."""
    folder = Path(tempfile.mkdtemp(prefix="pm-ray-"))  # short: paths of Unix sockets end at 107 bytes
    gcs, dashboard = free_port(), free_port()
    cluster = RayCluster(f"http://127.0.0.1:{dashboard}", f"{ADDRESS}:{gcs}", folder, env=env)
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        stack.callback(cluster.stop)
        server = cluster.add_node(
            "--head",
            "--port",
            str(gcs),
            "--dashboard-host",
            "127.0.0.1",
            "--dashboard-port",
            str(dashboard),
            "--ray-client-server-port",
            str(free_port()),
            "--temp-dir",
            str(folder),
            *head,
            cpus=0,
        )
        wait_for(lambda: _answers(f"{cluster.job_address}/api/jobs/"), server, folder / "node0.log", "Ray's job server")
        for _ in range(workers):
            cluster.add_worker()
        yield cluster


# ---- the command line


@dataclass
class Outcome:
    code: int
    stdout: str
    stderr: str

    @property
    def output(self) -> str:
        return self.stdout + self.stderr


def _run(command: list[str], cwd: Path, env: dict[str, str], timeout: float) -> Outcome:
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        cwd=cwd,
        env=env,
        timeout=timeout,
        check=False,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def pairmill_command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "pairmill", *arguments]


def options_set(items: Iterable[str]) -> list[str]:
    """`--set KEY=VALUE` for each of the items."""
    return [part for item in items for part in ("--set", item)]


def pairmill_environment(**changes: str) -> dict[str, str]:
    """The environment in which `python -m pairmill` runs this checkout, from any directory."""
    return clean_environment(**{**INSTALLED, **changes})


def run_pairmill(*arguments: str, env: dict[str, str] | None = None, cwd: Path = ROOT, timeout: float = 300) -> Outcome:
    """`pairmill ARGUMENTS` in a process of its own, to its end."""
    return _run(pairmill_command(*arguments), cwd, pairmill_environment(**(env or {})), timeout)


def start_pairmill(*arguments: str, log: Path, env: dict[str, str] | None = None, cwd: Path = ROOT) -> Process:
    """The same, left running: for tests that kill it. Both outputs go to `log`; end it with `end`."""
    with log.open("wb") as out:
        return subprocess.Popen(
            pairmill_command(*arguments),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            env=pairmill_environment(**(env or {})),
        )
