"""`pairmill runs`: the runs of a storage."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from pairmill.cli.options import DEFAULT_STORAGE, RunName, StorageUri, open_run, write_file

app = typer.Typer(help="Look at the runs of a storage.", no_args_is_help=True, rich_markup_mode=None)


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
