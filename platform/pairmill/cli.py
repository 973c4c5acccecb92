"""The command line: parse, call, print.

Exit codes: 0 done, 1 failed, 2 wrong spec or arguments, 3 expectation missed.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer

from pairmill import __version__
from pairmill.errors import PairmillError, SpecError

app = typer.Typer(
    help="Pairmill mills raw web pages and bitext into evaluated embedding models, on Ray.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
)
runs_app = typer.Typer(help="Look at the runs of a storage.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(runs_app, name="runs")

SpecFile = Annotated[str, typer.Argument(metavar="SPEC", help="A job spec (YAML file).")]
Sets = Annotated[
    list[str], typer.Option("--set", metavar="PATH=VALUE", help="Override a value of the spec. May be repeated.")
]
StorageUri = Annotated[
    str,
    typer.Option("--storage", envvar="PAIRMILL_STORAGE", help="Where runs live: a directory, s3://, gs:// or az://."),
]
RunName = Annotated[str, typer.Argument(metavar="RUN", help="A run id, or the start of one that fits only one run.")]
DEFAULT_STORAGE = "pairmill-runs"


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


@app.command()
def run(
    spec: SpecFile,
    sets: Sets = [],  # noqa: B006 - typer reads the default, nothing changes it
    storage: StorageUri = DEFAULT_STORAGE,
    address: Annotated[
        str | None,
        typer.Option(help="A Ray cluster (auto, or HOST:PORT). Default: $RAY_ADDRESS, else Ray on this machine."),
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Compute everything anew; earlier results stay readable.")
    ] = False,
) -> None:
    """Run a job; the same job on the same input resumes, and when done prints its result."""
    from pairmill.spec.load import load

    loaded = load(spec, sets)
    from pairmill.jobs import run_job
    from pairmill.report.text import summarise

    command = " ".join(["pairmill run", spec, *[f"--set {item}" for item in sets]])
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # engine.start sets it again: Ray replaces it
    try:
        outcome = run_job(loaded, storage, address, fresh, command, say)
    except KeyboardInterrupt:
        say("stopped; the same command resumes the run")
        raise typer.Exit(130) from None
    if outcome.already_done:
        say("this run is done already; --fresh would compute it anew")
    print(summarise(outcome.summary))
    raise typer.Exit(outcome.exit_code)


@app.command()
def validate(
    specs: Annotated[list[str], typer.Argument(metavar="SPEC...", help="Job specs (YAML files).")],
    sets: Sets = [],  # noqa: B006
) -> None:
    """Check specs without starting anything."""
    from pairmill.spec.load import load

    errors = []
    for spec in specs:
        try:
            loaded = load(spec, sets)
            print(f"{spec}: valid ({loaded.spec.kind} {loaded.spec.name})")
        except SpecError as error:
            errors.append(str(error))
    if errors:
        raise SpecError("\n".join(errors))


@app.command()
def autotune(
    spec: Annotated[str, typer.Argument(metavar="SPEC", help="A curate spec.")],
    sets: Sets = [],  # noqa: B006
    rows: Annotated[int, typer.Option(min=100, help="Rows of each input to look at.")] = 20_000,
    method: Annotated[
        str, typer.Option(help="percentile: the clean bulk, extrapolated; clusters: two-means.")
    ] = "percentile",
    z: Annotated[float, typer.Option(min=1, help="percentile: how many standard deviations a row may lie out.")] = 4.0,
    output: Annotated[str | None, typer.Option(help="Write the tuned spec here; default: print it.")] = None,
) -> None:
    """Propose filter thresholds per language pair from a sample, as a spec with the evidence beside each."""
    if method not in ("percentile", "clusters"):
        raise SpecError(f"--method {method!r} is unknown. Allowed: percentile, clusters.")
    from pairmill.spec.load import load

    loaded = load(spec, sets)
    from pairmill.curate.autotune import propose, sample
    from pairmill.curate.tuned import tuned_spec

    table = sample(loaded.spec, rows)
    proposals = propose(table, loaded.spec, method, z)  # type: ignore[arg-type]
    pairs = len({proposal.pair for proposal in proposals})
    say(f"{len(table):,} rows looked at; {len(proposals)} thresholds proposed for {pairs} language pairs")
    text = tuned_spec(loaded, proposals, f"method {method}, {len(table):,} rows")
    if output is None:
        print(text, end="")
        return
    _write("--output", output, text)


@app.command()
def schema(kind: Annotated[str | None, typer.Argument(help="A kind of job; default: all.")] = None) -> None:
    """Print the JSON Schema of specs."""
    from pairmill.spec.load import schema as json_schema

    print(json_schema(kind))


@app.command()
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

    opened = _open(storage, name)
    print(explain_id(opened, id) if id is not None else explain_text(opened, text or "", limit))


@app.command()
def report(
    name: RunName,
    output: Annotated[str | None, typer.Option(help="Copy the page to this file.")] = None,
    open_: Annotated[bool, typer.Option("--open", help="Open it in a browser.")] = False,
    storage: StorageUri = DEFAULT_STORAGE,
) -> None:
    """Say where a run's report is, copy it, or open it."""
    from pairmill.runs.browse import report_file

    place = report_file(_open(storage, name), output, local=open_)
    print(place)
    if open_:
        typer.launch(place)


@app.command()
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


@app.command()
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


@runs_app.command("list")
def list_runs(storage: StorageUri = DEFAULT_STORAGE, as_json: Annotated[bool, typer.Option("--json")] = False) -> None:
    """List the runs of a storage, newest last."""
    from pairmill.runs.browse import records, table

    found = records(storage)
    print(json.dumps(found, indent=1, ensure_ascii=False) if as_json else table(found))


@runs_app.command("show")
def show_run(
    name: RunName, storage: StorageUri = DEFAULT_STORAGE, as_json: Annotated[bool, typer.Option("--json")] = False
) -> None:
    """Show a run: state, inputs, ledger, files."""
    from pairmill.runs.browse import describe

    opened = _open(storage, name)
    print(json.dumps(opened.record(), indent=1, ensure_ascii=False) if as_json else describe(opened))


@runs_app.command("compare")
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

    found = compare(_open(storage, one), _open(storage, other), draws, samples)
    if html is not None:
        command = f"pairmill runs compare {one} {other} --storage {storage} --html {html}"
        _write("--html", html, page(found, command))
    print(json.dumps(found, indent=1, ensure_ascii=False) if as_json else text(found))


def _write(option: str, file: str, text: str) -> None:
    try:
        with open(file, "wb") as opened:
            opened.write(text.encode("utf-8", "replace"))
    except OSError as error:
        raise SpecError(f"{option} {file}: {error.strerror}. Name a file in a directory that exists.") from None
    say(f"written: {file}")


def _open(storage: str, name: str) -> Any:
    from pairmill.runs.browse import find

    return find(storage, name)


def _version(value: bool) -> None:
    if value:
        print(f"pairmill {__version__}")
        raise typer.Exit()


@app.callback()
def _main(version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True)] = False) -> None:
    pass


def main() -> None:
    """Entry point: errors meant for users are printed alone; a defect leaves its traceback in a file."""
    sys.exit(guarded(app))


def guarded(call: Callable[[], Any]) -> int:
    """Call, and turn what it raises into a message and an exit code."""
    try:
        call()
    except SystemExit as exit_:
        return exit_.code if isinstance(exit_.code, int) else int(exit_.code is not None)
    except PairmillError as error:
        say(f"error: {error}")
        return error.exit_code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception as error:
        return _defect(error)
    return 0


def _defect(error: Exception) -> int:
    import tempfile
    import traceback

    if os.environ.get("PAIRMILL_DEBUG"):
        traceback.print_exc()
    with tempfile.NamedTemporaryFile("w", prefix="pairmill-error-", suffix=".txt", delete=False) as file:
        file.write("".join(traceback.format_exception(error)))
    last = str(error).strip().splitlines()
    say(
        f"error: {type(error).__name__}: {last[-1] if last else ''}\n"
        f"This is a defect of Pairmill. Details: {file.name} (please report it). What was committed is safe; "
        "the same command resumes."
    )
    return 1
