"""The documents say what the code does."""

from __future__ import annotations

import re

from pairmill.spec.load import load
from pairmill.spec.rules import RULES
from services import ROOT


def test_every_rule_is_documented_with_its_bounds():
    lines = {
        line.split("`")[1]: line
        for line in (ROOT / "docs/filters.md").read_text().splitlines()
        if line.startswith("| `")
    }
    assert set(lines) == set(RULES)
    for name, rule in RULES.items():
        bounds = [f"{sign} {bound:g}" for sign, bound in ((">=", rule.min), ("<=", rule.max)) if bound is not None]
        assert " and ".join(bounds) in lines[name] and rule.describe in lines[name]


def test_every_spec_of_the_project_and_of_its_documents_is_valid(tmp_path):
    for path in sorted((ROOT / "jobs").rglob("*.yaml")):
        load(str(path))
    for document in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        for number, block in enumerate(re.findall(r"```yaml\n(kind:.*?)```", document.read_text(), re.S)):
            (tmp_path / f"{document.stem}-{number}.yaml").write_text(block)
            load(str(tmp_path / f"{document.stem}-{number}.yaml"))


def test_links_between_documents_lead_somewhere():
    for document in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name}: {target}"
