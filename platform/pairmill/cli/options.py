"""What several commands share: options, how they print, how they open a run."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from pairmill.errors import SpecError

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


def write_file(option: str, file: str, text: str) -> None:
    try:
        with open(file, "wb") as opened:
            opened.write(text.encode("utf-8", "replace"))
    except OSError as error:
        raise SpecError(f"{option} {file}: {error.strerror}. Name a file in a directory that exists.") from None
    say(f"written: {file}")


def open_run(storage: str, name: str) -> Any:
    from pairmill.runs.browse import find

    return find(storage, name)
