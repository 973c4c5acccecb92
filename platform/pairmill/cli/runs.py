"""`pairmill runs`: the runs of a storage."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Annotated

import typer

from pairmill.cli.options import DEFAULT_STORAGE, RunName, StorageUri, open_run, say, write_file
from pairmill.errors import SpecError

app = typer.Typer(help="Look at the runs of a storage, and remove them.", no_args_is_help=True, rich_markup_mode=None)


@app.command("list")
def list_runs(storage: StorageUri = DEFAULT_STORAGE, as_json: Annotated[bool, typer.Option("--json")] = False) -> None:
    """List the runs of a storage, newest last."""
    from pairmill.runs.browse import records, table

    found = records(storage)
    print(json.dumps(found, indent=1, ensure_ascii=False) if as_json else table(found))


@app.command("show")
def show_run(
    name: RunName, storage: StorageUri = DEFAULT_STORAGE, as_json: Annotated[bool, typer.Option("--json")] = False
) -> None:
    """Show a run: state, inputs, ledger, files."""
    from pairmill.runs.browse import describe

    opened = open_run(storage, name)
    print(json.dumps(opened.record(), indent=1, ensure_ascii=False) if as_json else describe(opened))


@app.command("compare")
def compare_runs(
    one: Annotated[str, typer.Argument(metavar="A", help="A curate or evaluate run: its id, or the start of one.")],
    other: Annotated[str, typer.Argument(metavar="B", help="Another of the same kind.")],
    storage: StorageUri = DEFAULT_STORAGE,
    samples: Annotated[int, typer.Option(min=0, max=100, help="Curate: rows shown of each kind of move.")] = 5,
    draws: Annotated[int, typer.Option(min=1000, help="Evaluate: draws of the bootstrap, and permutations.")] = 10_000,
    as_json: Annotated[bool, typer.Option("--json")] = False,
    html: Annotated[str | None, typer.Option(metavar="FILE", help="Curate: write a page to this file.")] = None,
) -> None:
    """Compare two runs. Curate: settings, counts, and rows that one kept and the other did not. Evaluate: row by row,
    with 95 % intervals of the differences, and whether they are significant."""
    from pairmill.runs.comparison import compare, page, text

    found = compare(open_run(storage, one), open_run(storage, other), draws, samples)
    if html is not None:
        command = f"pairmill runs compare {one} {other} --storage {storage} --html {html}"
        write_file("--html", html, page(found, command))
    print(json.dumps(found, indent=1, ensure_ascii=False) if as_json else text(found))


DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would go, and remove nothing.")]


@app.command("rm")
def remove_runs(
    names: Annotated[list[str], typer.Argument(metavar="RUN...", help="Run ids, or beginnings that fit one run each.")],
    storage: StorageUri = DEFAULT_STORAGE,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    dry_run: DryRun = False,
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Remove runs: those that nobody works on, and that no other run needs. `collect` then frees what they shared."""
    from pairmill.runs.retention import planned, remove

    going = planned(storage, names)
    if not dry_run:
        _agreed(yes, ", ".join(run.run for run in going))
        going = remove(storage, [run.run for run in going])
    verb = "would be removed" if dry_run else "removed"
    lines = [f"{verb}: {run.run} ({run.state}, {run.files:,} files, {run.bytes / 1e6:,.1f} MB)" for run in going]
    print(json.dumps([asdict(run) for run in going], indent=1) if as_json else "\n".join(lines))


def _agreed(yes: bool, what: str) -> None:
    """Ask, where someone is there to answer."""
    if not yes and not sys.stdin.isatty():
        raise SpecError(f"this would remove {what}: say --yes, or look first with --dry-run.")
    if not yes and not typer.confirm(f"Remove {what}?", err=True):
        raise typer.Exit(1)


@app.command("collect")
def collect_stages(
    storage: StorageUri = DEFAULT_STORAGE,
    older_than: Annotated[
        str, typer.Option(help="How long a result stays that no run needs, such as 7d or 12h; at least 1h.")
    ] = "7d",
    dry_run: DryRun = False,
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Remove stage results that no run needs, and what killed attempts left. Safe while jobs run."""
    from pairmill.runs.collection import collect, parse_window, text

    told = collect(storage, parse_window(older_than), dry_run)
    if told.unmarking:
        say(
            f"{told.unmarked:,} results stay that these runs of an earlier version may need: "
            f"{', '.join(told.unmarking[:5])}. Remove those runs, or run their commands again with --fresh."
        )
    print(json.dumps(asdict(told), indent=1) if as_json else text(told, dry_run))
