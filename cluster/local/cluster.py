"""A Ray cluster of several nodes on one machine, for trying what a real one does.

    python cluster/local/cluster.py up [--workers 2] [--cpus 1] [--memory 2GB] [--gpus 0] [--token]
    python cluster/local/cluster.py status
    python cluster/local/cluster.py down

The head has no CPUs, so that all tasks run on workers, and the job server. Every port is one that was free: a second
Ray on the machine is not disturbed (Ray's defaults would clash, as agents of all nodes want the same port). What was
started is written to a folder (--folder), and `down` ends these processes, by their ids, and no others.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

HOST = "127.0.0.1"
# The nodes' own address. Ray replaces 127.0.0.1 by the machine's address whenever a process starts: a network that
# comes or goes in between leaves nodes that do not find each other. Others of the loopback network it takes as given.
ADDRESS = "127.0.0.2"
OBJECT_STORE = 160_000_000
SECONDS = 120
ATTEMPTS = 3
State = dict[str, Any]
Node = dict[str, Any]
Asked = tuple[list[str], int, int | None, int]  # options of `ray start`, CPUs, memory, GPUs


def default_folder() -> Path:
    """Short: paths of Unix sockets end at 107 bytes."""
    return Path(f"/tmp/pairmill-cluster-{os.getuid()}")


def up(arguments: argparse.Namespace) -> State:
    """Start head and workers; returns when all are there. RuntimeError, with the end of a log, where one is not."""
    folder: Path = arguments.folder
    if state_of(folder):
        raise RuntimeError(f"a cluster runs already ({folder}): end it with `down`, or use another --folder.")
    folder.mkdir(parents=True, exist_ok=True)
    state: State = {"nodes": [], "gcs": f"{ADDRESS}:{free_port()}", "jobs": f"http://{HOST}:{free_port()}", "env": {}}
    state["env"] = token(folder) if arguments.token else {"RAY_AUTH_MODE": "disabled"}
    try:
        start(folder, state, [(head_options(folder, state), 0, None, 0)])
        given = (arguments.cpus, arguments.memory, arguments.gpus)
        start(folder, state, [(worker_options(folder, state, number), *given) for number in range(arguments.workers)])
    except BaseException:
        down(folder)
        raise
    return state


def down(folder: Path) -> int:
    """End what `up` started; returns how many nodes there were."""
    nodes = state_of(folder).get("nodes", [])
    end([node for node in nodes if lives(node)])  # the id of one that is gone may be another's by now
    shutil.rmtree(folder, ignore_errors=True)
    return len(nodes)


def status(folder: Path) -> list[tuple[Node, bool]]:
    """The nodes, and whether each lives."""
    return [(node, lives(node)) for node in state_of(folder).get("nodes", [])]


def head_options(folder: Path, state: State) -> list[str]:
    return [
        "--head",
        *("--port", state["gcs"].rpartition(":")[2]),
        *("--dashboard-host", HOST),
        *("--dashboard-port", state["jobs"].rpartition(":")[2]),
        *("--ray-client-server-port", str(free_port())),
        *("--temp-dir", str(folder / "ray")),
    ]


def worker_options(folder: Path, state: State, number: int) -> list[str]:
    """A temporary directory of its own: in a shared one, nodes would unpack the same job's files over each other."""
    return ["--address", state["gcs"], "--temp-dir", str(folder / f"ray{number + 1}")]


def start(folder: Path, state: State, asked: list[Asked]) -> None:
    """Start nodes side by side; returns when they are there. Ray gives up a node that is not in half a minute, as on
    a busy machine: it is started anew."""
    for left in reversed(range(ATTEMPTS)):
        started = [(start_node(folder, state, *options), options) for options in asked]
        asked = [options for node, options in started if not comes(folder, state, node, again=left > 0)]
        if not asked:
            return


def comes(folder: Path, state: State, node: Node, again: bool) -> bool:
    """Wait until a node's agent listens and the job server answers. If it ends, what is left of it is cleared away: it
    can be started `again`, or this is an error, with the end of its log."""
    deadline = time.monotonic() + SECONDS
    while not (listens(node["agent"]) and listens(node["metrics"]) and answers(state)):
        ended = not lives(node)
        if ended:
            end([node])
        if ended and again:
            state["nodes"].remove(node)
            return False
        if ended or time.monotonic() > deadline:
            end_of_log = (folder / node["log"]).read_text(errors="replace")[-2000:]
            raise RuntimeError(f"a node did not start. Its log ends with:\n{end_of_log}")
        time.sleep(0.2)
    return True


def start_node(folder: Path, state: State, options: list[str], cpus: int, memory: int | None, gpus: int) -> Node:
    """Start a node and take note of it, without waiting for it."""
    agent, metrics = free_port(), free_port()
    given = [
        *("--node-ip-address", ADDRESS),
        *("--num-cpus", str(cpus)),
        *("--num-gpus", str(gpus)),
        *(("--memory", str(memory)) if memory else ()),
        *("--object-store-memory", str(OBJECT_STORE)),
        *("--min-worker-port", "0", "--max-worker-port", "0"),
        *("--dashboard-agent-listen-port", str(agent)),
        *("--metrics-export-port", str(metrics)),
        "--disable-usage-stats",
        "--block",
    ]
    log = folder / f"node-{agent}.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "ray.scripts.scripts", "start", *options, *given],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env=environment(state),
            start_new_session=True,
        )
    node = {"pid": process.pid, "born": born(process.pid), "cpus": cpus, "agent": agent, "metrics": metrics}
    state["nodes"].append(node | {"log": log.name})
    (folder / "state.json").write_text(json.dumps(state, indent=1))
    return state["nodes"][-1]


def environment(state: State) -> dict[str, str]:
    """The variables of a node or of who uses the cluster: no other cluster is named, this interpreter comes first."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    return {**kept, "PATH": path, "RAY_USAGE_STATS_ENABLED": "0", **state["env"]}


def token(folder: Path) -> dict[str, str]:
    """A new token in a file that only this user reads."""
    path = folder / "token"
    path.touch(mode=0o600)
    path.write_text(secrets.token_hex(32))
    return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(path)}


def exports(state: State) -> dict[str, str]:
    """What programs need to find the cluster: Ray's drivers, and those that submit jobs."""
    return {"RAY_ADDRESS": state["gcs"], "RAY_API_SERVER_ADDRESS": state["jobs"], **state["env"]}


def state_of(folder: Path) -> State:
    """What `up` wrote, or nothing."""
    with contextlib.suppress(OSError, ValueError):
        found: State = json.loads((folder / "state.json").read_text())
        return found
    return {}


def end(nodes: list[Node]) -> None:
    """End nodes and all that they started, by id: they are asked, what is left after a while is killed."""
    pids = [node["pid"] for node in nodes if lives(node)]
    family = {pid: born(pid) for node in nodes for pid in members(node)}
    for pid in pids:
        os.kill(pid, signal.SIGTERM)
    deadline, left = time.monotonic() + 15, list(family)
    while left and time.monotonic() < deadline:
        time.sleep(0.1)
        for pid in pids:
            reap(pid)
        left = [pid for pid, start in family.items() if start and born(pid) == start]
        if not set(left) & set(pids):  # what a node left behind has a little time to end by itself
            deadline = min(deadline, time.monotonic() + 3)
    for pid in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    for node in nodes:
        reap(node["pid"])


def members(node: Node) -> list[int]:
    """A node's processes: the one that was started, those of its session, which stay when it has ended, and all that
    they started."""
    if born(node["pid"]) not in (node["born"], None):
        return []  # it has gone with all of its session, and its id is another's
    told = {int(path.name): fields(int(path.name)) for path in Path("/proc").iterdir() if path.name.isdigit()}
    found = [pid for pid, of in told.items() if of and int(of[3]) == node["pid"]]
    for each in found:
        found += [pid for pid, of in told.items() if of and int(of[1]) == each and pid not in found]
    return found


def fields(pid: int) -> list[str]:
    """What /proc says of a process behind its name; empty where it is gone or only waits to be reaped."""
    try:
        found = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        return []
    return [] if found[0] == "Z" else found


def born(pid: int) -> str | None:
    """When a process began, in clock ticks since the machine did: with its id, what tells it from all others."""
    found = fields(pid)
    return found[19] if found else None


def lives(node: Node) -> bool:
    return node["born"] is not None and born(node["pid"]) == node["born"]


def reap(pid: int) -> None:
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((HOST, port)) == 0


def answers(state: State) -> bool:
    """Whether the job server is there; one that asks for a token is."""
    try:
        with urllib.request.urlopen(f"{state['jobs']}/api/version", timeout=2) as reply:
            return bool(reply.status == 200)
    except urllib.error.HTTPError as error:
        return error.code in (401, 403)
    except OSError:
        return False


def size(text: str) -> int:
    """A number of bytes, of text such as 2GB."""
    units = {"KB": 10**3, "MB": 10**6, "GB": 10**9}
    number, unit = text[:-2], text[-2:].upper()
    if unit not in units or not number.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is no size: write one such as 500MB or 2GB")
    return int(number) * units[unit]


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    made.add_argument("command", choices=("up", "status", "down"))
    made.add_argument("--folder", type=Path, default=default_folder(), help="where state, logs and Ray's files are")
    made.add_argument("--workers", type=int, default=2)
    made.add_argument("--cpus", type=int, default=1, help="of a worker")
    made.add_argument("--memory", type=size, default=None, help="for tasks of a worker; default: as Ray finds it")
    made.add_argument("--gpus", type=int, default=0, help="of a worker")
    made.add_argument("--token", action="store_true", help="ask all clients for a token")
    return made


def main() -> int:
    arguments = parser().parse_args()
    if arguments.command == "down":
        print(f"{down(arguments.folder)} nodes ended")
        return 0
    if arguments.command == "up":
        try:
            state = up(arguments)
        except RuntimeError as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
        print("\n".join(f"export {name}={value}" for name, value in exports(state).items()))
        return 0
    nodes = status(arguments.folder)
    for number, (node, alive) in enumerate(nodes):
        role = "head  " if number == 0 else "worker"
        print(f"{role} {node['cpus']} CPUs, process {node['pid']}: {'runs' if alive else 'is gone'}")
    if not nodes:
        print("no cluster")
    return 0 if nodes and all(alive for _, alive in nodes) else 1


if __name__ == "__main__":
    sys.exit(main())
