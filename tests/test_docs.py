"""The documents say what the code does. `python tests/test_docs.py` renews what is generated in them."""

from __future__ import annotations

import re
from pathlib import Path

from pairmill.spec.document_rules import TABLE as DOCUMENT_RULES
from pairmill.spec.load import load
from pairmill.spec.rule import Bound
from pairmill.spec.rules import RULES

ROOT = Path(__file__).parent.parent
FILTERS = ROOT / "docs/filters.md"
BEGIN, END = "from spec/rules.py -->\n", "\n<!-- end of table -->"
JUDGES = {"side": "each side", "pair": "the pair", "positive": "the positive"}


def table() -> str:
    """The rules with their bounds, as Markdown."""
    presets = ("bitext", "strict", "lenient", "web")
    lines = [
        "| rule | judges | score | " + " | ".join(presets) + " | typical | after |",
        "|---|---|---|" + "---|" * (len(presets) + 1) + "---|",
    ]
    for rule in RULES.values():
        if rule not in DOCUMENT_RULES:
            given = [bounds(rule.presets[preset]) if preset in rule.presets else "" for preset in presets]
            cells = [
                f"`{rule.name}`",
                JUDGES[rule.per],
                rule.describe,
                *given,
                bounds((rule.min, rule.max)),
                rule.source,
            ]
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def bounds(bound: Bound) -> str:
    return " and ".join(f"{sign} {value:g}" for sign, value in zip(("≥", "≤"), bound, strict=True) if value is not None)


def test_the_table_of_rules_in_the_documents_is_that_of_the_code() -> None:
    written = FILTERS.read_text("utf-8").split(BEGIN)[1].split(END)[0]
    assert written == table(), "run: python tests/test_docs.py"


def test_every_rule_has_an_example_and_known_errors() -> None:
    examples = FILTERS.read_text("utf-8").split("## Examples and known errors")[1].split("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", examples, re.M)) == {
        rule.name for rule in RULES.values() if rule not in DOCUMENT_RULES
    }


def test_every_spec_of_the_project_and_of_its_documents_is_valid(tmp_path: Path) -> None:
    for path in sorted((ROOT / "jobs").rglob("*.yaml")):
        load(str(path))
    for document in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        for number, block in enumerate(re.findall(r"```yaml\n(kind:.*?)```", document.read_text("utf-8"), re.S)):
            (tmp_path / f"{document.stem}-{number}.yaml").write_text(block)
            load(str(tmp_path / f"{document.stem}-{number}.yaml"))


def test_links_between_documents_lead_somewhere() -> None:
    for document in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", document.read_text("utf-8")):
            assert (document.parent / target).exists(), f"{document.name}: {target}"


if __name__ == "__main__":
    before, rest = FILTERS.read_text("utf-8").split(BEGIN)
    FILTERS.write_text(before + BEGIN + table() + END + rest.split(END)[1], "utf-8")
