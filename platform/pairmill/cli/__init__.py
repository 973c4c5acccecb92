"""The command line: parse, call, print.

Exit codes: 0 done, 1 failed, 2 wrong spec or arguments, 3 expectation missed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer

from pairmill import __version__
from pairmill.cli import cluster, doctor, jobs, planning, results, runs, specs
from pairmill.cli.options import say
from pairmill.errors import PairmillError

app = typer.Typer(
    help="Pairmill mills raw web pages and bitext into evaluated embedding models, on Ray.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
)
COMMANDS = (
    *(specs.run, specs.validate, specs.autotune, specs.schema),
    *(results.explain, results.report, results.export, results.explore),
    planning.plan,
    cluster.render,
    doctor.doctor,
    *(jobs.submit, jobs.status, jobs.logs, jobs.stop),
)
for command in COMMANDS:
    app.command()(command)
app.command("list")(jobs.list_jobs)
app.add_typer(runs.app, name="runs")


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
