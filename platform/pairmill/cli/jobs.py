"""Commands for jobs on a cluster, through its job server."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer

from pairmill.cli.options import DEFAULT_STORAGE, Sets, SpecFile, StorageUri, say

Address = Annotated[
    str | None,
    typer.Option(envvar="RAY_API_SERVER_ADDRESS", help="The cluster's job server, such as http://HEAD:8265."),
]
JobName = Annotated[str, typer.Argument(metavar="ID", help="A job's id, or the start of one that fits only one job.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def submit(
    spec: SpecFile,
    address: Address = None,
    sets: Sets = [],  # noqa: B006 - typer reads the default, nothing changes it
    storage: StorageUri = DEFAULT_STORAGE,
    environment: Annotated[
        list[str], typer.Option("--env", metavar="NAME", help="Forward this variable. May be repeated. No secrets.")
    ] = [],  # noqa: B006
    working_dir: Annotated[
        str | None, typer.Option(metavar="DIR", help="Upload this directory, which holds the spec; the job runs in it.")
    ] = None,
    package: Annotated[
        bool, typer.Option("--package", help="Upload this pairmill, instead of the one of the cluster's image.")
    ] = False,
    follow: Annotated[bool, typer.Option("--follow", help="Print the log, and exit with the job's code.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Compute everything anew.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Submit anew although the same job is done.")] = False,
    as_json: AsJson = False,
) -> None:
    """Run a job on a cluster. The same job is submitted once: later submissions find it."""
    from pairmill.cluster import jobs, submission

    options = submission.Options(sets, storage, environment, working_dir, package, fresh)
    made = submission.prepare(spec, options)
    server = _server(address)
    for note in [*made.notes, *jobs.about_storage(server, made)]:
        say(note)
    job, new = jobs.start(server, made, again or fresh, say)
    if not as_json:
        print(job.id, flush=True)
    if follow:
        _follow(server, job.id, as_json)
    if as_json:
        print(json.dumps({**job.json(), "new": new}, indent=1, ensure_ascii=False))
    elif new:
        say(f"submitted. `pairmill logs {job.id} --follow` shows its log, `pairmill stop {job.id}` stops it")


def status(name: JobName, address: Address = None, as_json: AsJson = False) -> None:
    """Show a job: state, exit code, owner, command, and what it said last where it failed."""
    from pairmill.cluster import jobs

    job = jobs.find(_server(address), name)
    print(json.dumps(job.json(), indent=1, ensure_ascii=False) if as_json else jobs.describe(job))


def logs(
    name: JobName,
    address: Address = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on until the job ends, and exit with the job's code.")
    ] = False,
) -> None:
    """Print a job's log."""
    from pairmill.cluster import jobs

    server = _server(address)
    job = jobs.find(server, name)
    if follow:
        _follow(server, job.id, as_json=False)
    print(server.logs(job.id), end="")


def stop(name: JobName, address: Address = None) -> None:
    """Stop a job: it writes a checkpoint, records that it was stopped, and resumes when it is submitted again."""
    from pairmill.cluster import jobs

    server = _server(address)
    job = jobs.find(server, name)
    if job.ended:
        say(f"nothing to stop: {jobs.outcome(job)}")
        return
    job = jobs.stop(server, job)
    print(jobs.outcome(job, server.logs(job.id)))


def list_jobs(
    address: Address = None,
    everything: Annotated[bool, typer.Option("--all", help="Jobs that are not Pairmill's, too.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the jobs that the cluster remembers, newest last."""
    from pairmill.cluster import jobs

    found = [job for job in _server(address).jobs() if everything or job.is_ours]
    print(json.dumps([job.json() for job in found], indent=1, ensure_ascii=False) if as_json else jobs.table(found))


def _server(address: str | None) -> Any:
    from pairmill.cluster.job_server import JobServer

    return JobServer(address)


def _follow(server: Any, job_id: str, as_json: bool) -> None:
    """Print the log until the job ends (to stderr beside JSON), and exit with the job's code."""
    from pairmill.cluster import jobs
    from pairmill.cluster.following import follow

    stream = sys.stderr if as_json else sys.stdout

    def write(text: str) -> None:
        stream.write(text)
        stream.flush()

    try:
        job = follow(server, job_id, write, say)
    except KeyboardInterrupt:
        say(f"\nthe job goes on: `pairmill logs {job_id} --follow` shows it, `pairmill stop {job_id}` stops it")
        raise typer.Exit(130) from None
    say(jobs.outcome(job, server.logs(job_id) if job.state == "stopped" else None))
    if as_json:
        print(json.dumps(job.json(), indent=1, ensure_ascii=False))
    raise typer.Exit(jobs.exit_code(job))
