"""`pairmill doctor`."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from pairmill.cli.options import Sets


def doctor(
    address: Annotated[
        str | None,
        typer.Option(
            envvar="RAY_ADDRESS",
            help="The cluster: auto, HOST:PORT, or its job server http://HEAD:8265. Default: this machine.",
        ),
    ] = None,
    storage: Annotated[
        str | None, typer.Option(envvar="PAIRMILL_STORAGE", help="The storage that all nodes should reach.")
    ] = None,
    spec: Annotated[str | None, typer.Option(metavar="SPEC", help="A job spec whose tasks should fit.")] = None,
    sets: Sets = [],  # noqa: B006
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Look for what is wrong with a cluster, from every node, and say what to do about it. Exit code 1: errors."""
    from pairmill.spec.load import load

    loaded = load(spec, sets) if spec else None
    from pairmill.cluster.doctor import findings
    from pairmill.cluster.doctor.run import examine

    told = examine(address, storage, loaded)
    print(json.dumps(told.as_json(), indent=1, ensure_ascii=False) if as_json else findings.text(told.findings))
    raise typer.Exit(int(findings.failed(told.findings)))
