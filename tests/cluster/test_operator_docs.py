"""The operator's guide quotes what Pairmill really says, and describes the checks there are."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from services import ROOT

GUIDE = (ROOT / "docs/operator.md").read_text("utf-8")
PACKAGE = ROOT / "platform/pairmill"


def texts(path: Path) -> list[str]:
    """The strings of a module, with `…` for what is put into them."""
    tree = ast.parse(path.read_text("utf-8"))
    return ["".join(_parts(node)) for node in ast.walk(tree) if isinstance(node, (ast.Constant, ast.JoinedStr))]


def _parts(node: ast.expr) -> list[str]:
    if isinstance(node, ast.JoinedStr):
        return [str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values]
    return [node.value] if isinstance(node, ast.Constant) and isinstance(node.value, str) else []


def first_column(heading: str) -> list[str]:
    section = GUIDE.split(f"## {heading}\n")[1].split("\n## ")[0]
    return re.findall(r"^\| `([^`]+)` \|", section, re.M)


def test_every_message_of_the_troubleshooting_table_is_one_of_the_code() -> None:
    said = "\n".join(text for path in PACKAGE.rglob("*.py") for text in texts(path))
    messages = first_column("Troubleshooting")
    assert len(messages) > 15
    for message in messages:
        for piece in message.split("…"):
            assert piece.strip(" ():.") in said, message


def test_every_check_of_the_doctor_is_described() -> None:
    from pairmill.cluster.doctor.run import CHECKS

    assert first_column("Doctor") == list(CHECKS)
