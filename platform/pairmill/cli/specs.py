"""Commands that take a spec."""

from __future__ import annotations

import signal
from typing import Annotated

import typer

from pairmill.cli.options import DEFAULT_STORAGE, Sets, SpecFile, StorageUri, say, write_file
from pairmill.errors import SpecError


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
    write_file("--output", output, text)


def schema(kind: Annotated[str | None, typer.Argument(help="A kind of job; default: all.")] = None) -> None:
    """Print the JSON Schema of specs."""
    from pairmill.spec.load import schema as json_schema

    print(json_schema(kind))
