"""A curate run on an S3 store that answers 500, loses answers, hangs, is slow, is gone: the rows of a good store.

    python tests/faults/storage_faults.py [--spec SPEC] [--set KEY=VALUE ...] [--only WORD] [--json FILE]

The store is moto's server behind `tests/faultproxy.py`; every case has a bucket of its own. A run that ends
with an error is started again on the store when that is well: it must resume. "same": content and origin of all kept
rows are those of a run on a local disk. "done twice": units that were committed more than once.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "platform"), str(ROOT / "tests")]

from outcomes import Case, done_twice, last_line, parser, run_cases  # noqa: E402

import services  # noqa: E402
from faultproxy import Faults, between  # noqa: E402
from pairmill.runs.browse import records  # noqa: E402
from reading import digest, only_run  # noqa: E402

Command = Callable[[str, dict[str, str]], services.Outcome]
CASES = {
    "5 % of requests answered 500": Faults(errors=0.05),
    "20 % of requests answered 500": Faults(errors=0.2),
    "5 % done, their answers lost": Faults(lost=0.05),
    "0.5 % hang for 40 s": Faults(hanging=0.005, hang=40),
    "every request 0.3 s slower": Faults(delay=0.3),
    "the store's clock 10 minutes ahead": Faults(ahead=600),
}


def once(command: Command, s3: services.S3, faults: Faults, expected: str) -> dict[str, Any]:
    """Run with the faults; where that fails, again without."""
    storage = s3.bucket("faults")
    with between(s3, faults) as bad:
        first = command(storage, bad.env)
        told: dict[str, Any] = {"exit": first.code, "bad requests": faults.seen.total() - faults.seen["good"]}
        if first.code:
            told["message"] = last_line(first.stderr)
            faults.errors = faults.lost = faults.hanging = 0.0
            told["resumed"] = command(storage, bad.env).code == 0
    return {**_judged(storage, expected), **told}


def gone(command: Command, s3: services.S3, seconds: float, expected: str) -> dict[str, Any]:
    """The store is gone for so long, from the middle of annotate on."""
    storage, faults, outcomes = s3.bucket("faults"), Faults(), []
    with between(s3, faults) as bad:
        running = threading.Thread(target=lambda: outcomes.append(command(storage, bad.env)))
        running.start()
        _until_annotating(storage, running)
        faults.gone = True
        deadline = time.monotonic() + seconds
        while running.is_alive() and time.monotonic() < deadline:
            time.sleep(0.1)
        faults.gone = False
        running.join()
        told: dict[str, Any] = {"exit": outcomes[0].code, "bad requests": faults.seen["gone"]}
        if outcomes[0].code:
            told["message"] = last_line(outcomes[0].stderr)
            told["resumed"] = command(storage, bad.env).code == 0
    return {**_judged(storage, expected), **told}


def _until_annotating(storage: str, running: threading.Thread) -> None:
    from pairmill.runs.storage import open_storage

    while running.is_alive() and not any(p.endswith("done.json") for p, *_ in open_storage(storage).files("stages")):
        time.sleep(0.1)


def _judged(storage: str, expected: str) -> dict[str, Any]:
    if not records(storage):
        return {"same": False}
    run = only_run(storage)
    return {"same": digest(run) == expected, "done twice": done_twice(run)}


def cases(command: Command, s3: services.S3, expected: str) -> Iterator[Case]:
    for name, faults in CASES.items():
        yield name, lambda faults=faults: once(command, s3, faults, expected)  # type: ignore[misc]
    yield "gone for 30 s", lambda: gone(command, s3, 30, expected)
    yield "gone until the run gives up", lambda: gone(command, s3, 900, expected)


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--spec", default="jobs/examples/gettext.yaml")
    arguments.add_argument("--set", action="append", default=["resources.shard_size=1MB"], dest="sets")
    options = arguments.parse_args()
    sets = services.options_set(options.sets)

    def command(storage: str, env: dict[str, str]) -> services.Outcome:
        return services.run_pairmill("run", options.spec, "--storage", storage, *sets, env=env, timeout=3600)

    with tempfile.TemporaryDirectory(prefix="pairmill-faults-") as folder:
        (Path(folder) / "s3").mkdir()
        with services.moto_s3(Path(folder) / "s3") as s3:
            os.environ.update(s3.env)
            unbroken = command(f"{folder}/unbroken", {})
            if unbroken.code:
                raise SystemExit(f"the unbroken run failed:\n{unbroken.output}")
            run_cases(cases(command, s3, digest(only_run(f"{folder}/unbroken"))), options.only, options.json)


if __name__ == "__main__":
    main()
