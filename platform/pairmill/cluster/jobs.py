"""Submitted jobs: start one unless it is there already, find, follow, stop, describe.

A submission's id is taken once and for all, so that of identical submissions (`submission.py`) all but the first find
the job of the first. One that failed or was stopped is submitted anew as `<id>-2`, `<id>-3`, and its run resumes.
"""

from __future__ import annotations

import re
import socket
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path

from pairmill import objects
from pairmill.cluster.job_server import AlreadyThere, Job, JobServer
from pairmill.cluster.submission import Submission
from pairmill.errors import PairmillError, SpecError
from pairmill.train.stopping import STOP_SECONDS

POLL_SECONDS = 1.0
MEANINGS = {0: "done", 1: "failed", 2: "wrong spec or arguments", 3: "done, but an expectation is missed"}
#: What a stopped driver prints last.
RESUMABLE = "the same command resumes the run"


def start(server: JobServer, submission: Submission, again: bool, say: Callable[[str], None]) -> tuple[Job, bool]:
    """The job of a submission, and whether it is a new one. With `again` a finished one is not taken for an answer."""
    while True:
        attempts = _attempts(server.jobs(), submission.id)
        latest = attempts[-1][1] if attempts else None
        if latest is not None and not (again and latest.ended):
            if not latest.ended:
                say(f"the same job is there already: {latest.id} is {latest.state}, since {_when(latest.started)}")
                return latest, False
            if latest.state == "succeeded":
                say(
                    f"the same job is done already: {latest.id}, finished {_when(latest.finished)}. If its inputs have "
                    "changed since, --again submits it anew"
                )
                return latest, False
        number = attempts[-1][0] + 1 if attempts else 1
        job_id = submission.id if number == 1 else f"{submission.id}-{number}"
        if latest is not None and latest.state != "succeeded":
            say(f"{latest.id} {_ended(latest)}: submitted anew, its run resumes")
        try:
            _upload(server, submission, job_id)
        except AlreadyThere:  # by another client, between our two questions
            continue
        return server.job(job_id), True


def _attempts(jobs: Sequence[Job], base: str) -> list[tuple[int, Job]]:
    """The jobs of one submission, by running number."""
    pattern = re.compile(rf"{re.escape(base)}(?:-(\d+))?")
    found = ((pattern.fullmatch(job.id), job) for job in jobs)
    return sorted(((int(match[1] or 1), job) for match, job in found if match), key=lambda item: item[0])


def _upload(server: JobServer, submission: Submission, job_id: str) -> None:
    with tempfile.TemporaryDirectory(prefix="pairmill-submit-") as made:
        runtime_env = dict(submission.runtime_env)
        if submission.files:
            runtime_env["working_dir"] = made
            for name, text in submission.files.items():
                Path(made, name).write_text(text, "utf-8")
        server.submit(job_id, submission.entrypoint, runtime_env, submission.metadata)


def find(server: JobServer, name: str) -> Job:
    """The job whose id is `name`, or the only one of ours that starts with it. Raises SpecError."""
    jobs = server.jobs()
    exact = [job for job in jobs if job.id == name]
    fitting = exact or [job for job in jobs if job.is_ours and name and job.id.startswith(name)]
    if len(fitting) == 1:
        return fitting[0]
    problem = "fits several jobs" if fitting else "is no job of this cluster"
    choice = ", ".join([job.id for job in fitting or jobs if job.is_ours][-10:]) or "none"
    raise SpecError(f"{server.address}: {name!r} {problem}. Jobs: {choice}. See `pairmill list`.")


def stop(server: JobServer, job: Job) -> Job:
    """Stop a job and wait for its end: a training writes a checkpoint first."""
    if job.ended:
        return job
    server.stop(job.id)
    deadline = time.monotonic() + STOP_SECONDS + 60
    while not (job := server.job(job.id)).ended:
        if time.monotonic() > deadline:
            raise PairmillError(f"{job.id} was told to stop and is still {job.state}. See `pairmill logs {job.id}`.")
        time.sleep(POLL_SECONDS)
    return job


def exit_code(job: Job) -> int:
    """What `pairmill` itself would have exited with: the driver's code; 130 of a job that was stopped."""
    if job.state == "stopped":
        return 130
    if job.exit_code is not None and 0 <= job.exit_code < 256:
        return job.exit_code
    return int(job.state != "succeeded")


def outcome(job: Job, log: str | None = None) -> str:
    """A line about a job that ended; of a stopped one its log tells whether it could leave things in order."""
    line = f"{job.id} {_ended(job)}"
    if job.state == "stopped" and log is not None:
        in_order = RESUMABLE in log[-2000:]
        line += "; its run is stopped, too" if in_order else "; it was killed before it could say so"
        line += ". Submit it again: it resumes"
    elif job.state == "failed" and job.exit_code is None:
        line += f": {job.message.strip() or 'Ray says no more'}"
    return line


def _ended(job: Job) -> str:
    if job.exit_code is None:
        return job.state
    return f"{job.state} with exit code {job.exit_code} ({MEANINGS.get(job.exit_code, 'killed or broken off')})"


def describe(job: Job) -> str:
    """A job as text."""
    state = _ended(job) if job.ended else job.state
    facts = {"id": job.id, "state": state, **job.metadata}
    facts |= {"started": _when(job.started), "seconds": _seconds(job), "command": job.entrypoint}
    lines = [f"{name:10} {value}" for name, value in facts.items() if value]
    if job.state != "succeeded" and job.message:
        lines += ["", job.message.strip()]
    return "\n".join(lines)


def table(jobs: Sequence[Job]) -> str:
    rows = [("JOB", "STATE", "EXIT", "KIND", "OWNER", "STARTED", "SECONDS"), *map(_row, jobs)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(_line(row, widths) for row in rows)


def _row(job: Job) -> tuple[str, ...]:
    code = "" if job.exit_code is None else str(job.exit_code)
    kind, person = job.metadata.get("kind", ""), job.metadata.get("owner", "")
    return job.id, job.state, code, kind, person, _when(job.started), _seconds(job)


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _seconds(job: Job) -> str:
    return "" if job.started is None else f"{(job.finished or time.time()) - job.started:.0f}"


def _when(seconds: float | None) -> str:
    return "" if seconds is None else datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="seconds")


def about_storage(server: JobServer, submission: Submission) -> Iterator[str]:
    """A warning where the storage is a directory, and nodes of the cluster are other machines."""
    storage = submission.metadata["storage"]
    if objects.is_remote(storage):
        return
    others: list[str] = []
    with suppress(PairmillError):  # a cluster that does not tell its nodes is not worth refusing a job for
        others = list(elsewhere(server.node_addresses()))
    if others:
        yield (
            f"warning: --storage {storage} is a directory, and {len(others)} of the cluster's nodes ({others[0]}, ..) "
            "are other machines. All nodes must share it at this path; else name an object store (s3://, gs://, az://)"
        )


def elsewhere(addresses: Sequence[str]) -> Iterator[str]:
    """Those of the nodes' addresses that are not this machine's."""
    for address in addresses:
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
            try:
                probe.bind((address, 0))
            except OSError:
                yield address
