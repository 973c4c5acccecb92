"""Looking at the runs of a storage: list, find, describe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pairmill.errors import SpecError
from pairmill.objects import is_remote, local_path, reach
from pairmill.runs.record import Run, newest
from pairmill.runs.storage import open_storage


def records(storage_uri: str) -> list[dict[str, Any]]:
    """run.json of every run, oldest first. An interrupted run says `running` until someone resumes it."""
    _must_exist(storage_uri)
    storage = open_storage(storage_uri)
    found = [storage.get_json(f"runs/{name}/run.json") for name in storage.directories("runs")]
    return sorted((record for record in found if record), key=lambda record: record["started"])


def find(storage_uri: str, name: str) -> Run:
    """The run whose id is `name`, or the only one of that name, or the only one whose id starts so; at the generation
    that readers follow. Raises SpecError."""
    _must_exist(storage_uri)
    storage = open_storage(storage_uri)
    names = storage.directories("runs")
    exact = [name] if name in names else [known for known in names if name and known.rpartition("-")[0] == name]
    fitting = exact or [known for known in names if name and known.startswith(name)]
    if len(fitting) == 1:
        run = Run(storage, fitting[0])
        run.generation = newest(run.record() or {})
        return run
    choice = ", ".join((fitting or names)[-10:]) or "none yet"
    problem = "fits several runs" if fitting else "is no run here"
    raise SpecError(
        f"{storage.uri}: {name!r} {problem}. Runs: {choice}. See `pairmill runs list --storage {storage.uri}`."
    )


def named(storage_uri: str, name: str) -> Run:
    """A run that a spec names: as `find` takes it, or by the URI of a storage, `<storage>/runs/<id>`."""
    uri, _, run_id = name.rstrip("/").rpartition("/runs/")
    return find(uri or storage_uri, run_id)


def _must_exist(storage_uri: str) -> None:
    reach(storage_uri)
    if not is_remote(storage_uri) and not local_path(storage_uri).is_dir():
        raise SpecError(f"{storage_uri}: there is no such storage. Name the --storage that `pairmill run` used.")


def table(found: list[dict[str, Any]]) -> str:
    rows = [("RUN", "STATE", "STARTED", "SECONDS", "KEPT", "INPUTS")]
    for record in found:
        kept = record.get("kept")
        rows.append(
            (
                record["id"],
                record["state"],
                record["started"],
                f"{record['seconds']:.0f}",
                "" if kept is None else f"{kept:,}",
                ", ".join(i["name"] for i in record["inputs"])[:60],
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def describe(run: Run) -> str:
    """A run's record as text."""
    record = run.record() or {}
    lines = [
        f"{key:10} {record[key]}" for key in ("id", "kind", "state", "started", "seconds", "error") if key in record
    ]
    lines.append(f"{'place':10} {run.storage.where(run.path())}")
    lines += [
        f"{'input':10} {i['name']}: {i['format']} {i['path']} ({i['files']} files, {i['bytes']:,} bytes)"
        for i in record.get("inputs", [])
    ]
    balance = run.storage.get_json(run.path("ledger.json")) if record.get("state") == "done" else None
    if balance:
        lines += _ledger_lines(balance["total"])
    manifest = run.manifest()
    if manifest:
        for part, files in sorted(manifest["files"].items()):
            lines.append(f"{part:10} {len(files)} files, {sum(file['rows'] for file in files):,} rows")
        if "model" in manifest:
            lines.append(f"{'model':10} {run.storage.where(manifest['model']['prefix'])}")
    return "\n".join(lines)


def _ledger_lines(total: dict[str, Any]) -> list[str]:
    def terms(counts: dict[str, int]) -> str:
        return (
            ", ".join(f"{name} {rows:,}" for name, rows in sorted(counts.items(), key=lambda item: -item[1])) or "none"
        )

    return [
        f"{'records':10} {total['records_in']:,} in, {total['parsed']:,} parsed; no pair: {terms(total['no_pair'])}",
        f"{'rows':10} {total['rows_in']:,} in, {total['kept']:,} kept",
        f"{'rejected':10} {terms(total['rejected'])}",
        f"{'quarantine':10} {terms(total['quarantine'])}",
    ]


def report_file(run: Run, output: str | None, local: bool) -> str:
    """Where the report is; copied to `output`, or to a temporary file where a browser needs a local one."""
    page = run.storage.get(run.path("report.html"))
    if page is None:
        raise SpecError(
            f"run {run.id} has no report: its state is {(run.record() or {}).get('state')!r}. Finish it first."
        )
    if output is None and (not local or not is_remote(run.storage.uri)):
        return run.storage.where(run.path("report.html"))
    target = Path(output) if output else Path(f"{run.id}-report.html").absolute()
    target.write_bytes(page)
    return str(target)
