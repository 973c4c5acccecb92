"""Commands that show what a run left."""

from __future__ import annotations

from typing import Annotated

import typer

from pairmill.cli.options import DEFAULT_STORAGE, RunName, StorageUri, open_run, say
from pairmill.errors import SpecError


def explain(
    name: RunName,
    id: Annotated[int | None, typer.Option("--id", help="The row's pair_id.")] = None,
    text: Annotated[str | None, typer.Option("--text", help="Text that either side of the row contains.")] = None,
    limit: Annotated[int, typer.Option(help="Rows shown for --text.")] = 5,
    storage: StorageUri = DEFAULT_STORAGE,
) -> None:
    """Say why a row was kept or rejected: origin, languages, every score against its threshold, duplicate partner."""
    if (id is None) == (text is None):
        raise SpecError("explain needs --id N or --text T, and not both. The report and the kept files show pair_ids.")
    from pairmill.curate.explain import explain_id, explain_text

    opened = open_run(storage, name)
    print(explain_id(opened, id) if id is not None else explain_text(opened, text or "", limit))


def report(
    name: RunName,
    output: Annotated[str | None, typer.Option(help="Copy the page to this file.")] = None,
    open_: Annotated[bool, typer.Option("--open", help="Open it in a browser.")] = False,
    storage: StorageUri = DEFAULT_STORAGE,
) -> None:
    """Say where a run's report is, copy it, or open it."""
    from pairmill.runs.browse import report_file

    place = report_file(open_run(storage, name), output, local=open_)
    print(place)
    if open_:
        typer.launch(place)


def export(
    name: RunName,
    to: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="FORMAT",
            help="Of rows: jsonl, datasets, moses, sentence-transformers. Of a model: sentence-transformers, onnx.",
        ),
    ],
    output: Annotated[str, typer.Option(metavar="DIR", help="A directory that is empty or not there yet.")],
    source: Annotated[list[str], typer.Option(help="Rows of this source only. May be repeated.")] = [],  # noqa: B006
    language: Annotated[
        list[str], typer.Option(help="Rows of this language (de) or pair (de-en) only. May be repeated.")
    ] = [],  # noqa: B006
    storage: StorageUri = DEFAULT_STORAGE,
) -> None:
    """Write a finished run's kept rows, or its model, in a form that other tools read."""
    from pairmill.runs.export import export as write

    print("\n".join(write(storage, name, to, output, source or None, language or None)))


def explore(
    storage: Annotated[
        str, typer.Argument(metavar="STORAGE", envvar="PAIRMILL_STORAGE", help="Where runs live.")
    ] = DEFAULT_STORAGE,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: a free one.")] = 8660,
    host: Annotated[str, typer.Option(help="The address to listen on. Beyond this machine a token is asked for.")] = (
        "127.0.0.1"
    ),
    token: Annotated[
        str | None,
        typer.Option(envvar="PAIRMILL_TOKEN", help="What readers must know. Default: none here, a new one beyond."),
    ] = None,
) -> None:
    """Browse the runs of a storage: reports, rows, a row's story, thresholds to try. Reads only."""
    try:
        from pairmill.explore.serve import serve
    except ModuleNotFoundError as error:
        raise SpecError(f"explore needs {error.name}: pip install 'pairmill[explore]'.") from None
    serve(storage, host, port, token, say)
