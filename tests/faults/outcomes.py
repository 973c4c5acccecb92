"""What the fault scripts have in common: cases, their results as they come, a table at the end, an exit code."""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from pairmill.runs.record import Run
from reading import committed

Case = tuple[str, Callable[[], dict[str, Any]]]


def parser(doc: str | None) -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    found.add_argument("--only", default="", help="regular expression: the cases to run")
    found.add_argument("--json", help="write the results to this file")
    return found


def run_cases(cases: Iterable[Case], only: str, file: str | None) -> None:
    """Run the cases whose names match; print each result and a Markdown table; exit with 1 where one has failed."""
    results = []
    for name, case in cases:
        if re.search(only, name):
            started = time.monotonic()
            results.append({"case": name, **case(), "seconds": round(time.monotonic() - started)})
            print(json.dumps(results[-1], ensure_ascii=False), flush=True)
    if file:
        Path(file).write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    print(table(results))
    bad = [one for one in results if not one["same"] or one.get("done twice")]
    print(f"{len(results) - len(bad)} passed, {len(bad)} failed")
    sys.exit(bool(bad))


def table(results: list[dict[str, Any]]) -> str:
    names = list(dict.fromkeys(name for one in results for name in one))
    lines = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    for one in results:
        cells = [
            {True: "yes", False: "NO"}.get(value, value) if isinstance(value, bool) else value for value in one.values()
        ]
        told = dict(zip(one, cells, strict=True))
        lines.append("| " + " | ".join(str(told.get(name, "")).replace("|", "\\|") for name in names) + " |")
    return "\n".join(lines)


def done_twice(run: Run) -> int:
    """Units that the run's events say were committed more than once."""
    return sum(count - 1 for units in committed(run).values() for count in Counter(map(str, units)).values())


def last_line(text: str) -> str:
    """The message that a failed command ends with."""
    lines = [line for line in text.splitlines() if line.startswith("error")] or text.splitlines() or [""]
    return lines[-1][:300]
