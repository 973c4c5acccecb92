"""`pairmill plan`: what a job will take."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from pairmill.cli.options import DEFAULT_STORAGE, Sets, SpecFile, StorageUri


def plan(
    spec: SpecFile,
    sets: Sets = [],  # noqa: B006
    cluster: Annotated[
        str | None, typer.Option(metavar="FILE", help="Nodes, CPUs, memory, GPUs, prices: adds hours and cost.")
    ] = None,
    sample: Annotated[int, typer.Option(min=0, help="Rows for each input that are really read and done.")] = 20_000,
    earlier: Annotated[
        list[str], typer.Option("--from", metavar="RUN", help="Take costs from a finished run. May be repeated.")
    ] = [],  # noqa: B006
    given: Annotated[
        str | None, typer.Option(metavar="FILE", help="Volumes of inputs, runs and models that are not here.")
    ] = None,
    storage: StorageUri = DEFAULT_STORAGE,
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Say what a job will take before it starts: rows, CPU, memory, exchange, disk, GPU-hours; every line of it."""
    from pairmill.spec.load import load

    loaded = load(spec, sets)
    from pairmill.cluster.plan.job import make
    from pairmill.cluster.plan.show import as_json as to_json
    from pairmill.cluster.plan.show import text

    made, told = make(loaded, storage, cluster, sample, earlier, given)
    print(json.dumps(to_json(made, told), indent=1, ensure_ascii=False) if as_json else text(made, told), end="")
