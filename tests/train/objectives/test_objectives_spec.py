"""What a spec may ask of objectives, and what it is told where the formula makes no sense."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import TypeAdapter, ValidationError

from pairmill.spec.objectives import Contrastive, Matryoshka, Terms

TERMS: TypeAdapter[Any] = TypeAdapter(Terms)


def test_a_term_may_stand_alone_and_a_name_for_its_defaults() -> None:
    written: list[Any] = ["contrastive", {"name": "contrastive"}, [{"name": "contrastive"}], ["contrastive"]]
    assert len({repr(TERMS.validate_python(value)) for value in written}) == 1


def test_a_checked_spec_can_be_written_out_and_read_again() -> None:
    for term in ("contrastive", {"name": "contrastive", "directions": ["p2a"], "temperature": {"initial": 0.02}}):
        checked = TERMS.validate_python(term)
        assert TERMS.validate_python(TERMS.dump_python(checked, mode="json")) == checked


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "batch"),
        ({"directions": ["p2a"]}, "off"),
        ({"false_negatives": {"same_label": True}}, "own"),
        ({"negatives": "off"}, "off"),
    ],
)
def test_hard_negatives_follow_directions_and_labels(options: dict[str, Any], expected: str) -> None:
    assert Contrastive(**options).hard_negatives == expected


def test_one_direction_is_the_same_under_both_partitions_and_allowed() -> None:
    for partition in ("joint", "per_direction"):
        assert Contrastive(directions=["p2a"], partition=partition).directions == ["p2a"]


@pytest.mark.parametrize(
    ("term", "reason"),
    [
        ({"name": "contrastive", "directions": ["a2a"]}, "never compares a row with its positive.*Add a2p or p2a"),
        ({"name": "contrastive", "directions": ["a2a", "p2p"]}, "a2a, p2p alone never compares"),
        ({"name": "contrastive", "directions": []}, "at least 1"),
        ({"name": "contrastive", "directions": ["a2p", "a2p"]}, "stands twice"),
        ({"name": "contrastive", "directions": ["a2p", "p2p"], "partition": "per_direction"}, "hold no positive"),
        ({"name": "contrastive", "directions": ["p2a"], "negatives": "own"}, "stand in the denominator of a2p"),
        (
            {"name": "contrastive", "negatives": "batch", "false_negatives": {"same_label": True}},
            "may be of the row's own label",
        ),
        ({"name": "contrastive", "false_negatives": {"judge": "guide"}}, "need a margin"),
        ({"name": "contrastive", "false_negatives": {"kind": "relative"}}, "need a margin"),
        ({"name": "contrastive", "temperature": 0}, "greater than 0"),
        ({"name": "contrastive", "temperature": {"initial": 0.001}}, "not between min 0.01 and max 1"),
        ({"name": "contrastive", "weight": 0}, "greater than 0"),
        ({"name": "contrastive", "margin": 0.1}, "Extra inputs"),
        ({"name": "mse", "scale": [5, 0]}, "5 is not below 0"),
        ({"name": "clft"}, "Field required"),
        ({"name": "embedding_distillation", "teacher_side": "anchor", "student_sides": ["anchor"] * 2}, "twice"),
        ({"name": "infonce"}, "expected tags"),
        ([], "at least 1"),
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused_with_the_reason(term: Any, reason: str) -> None:
    with pytest.raises(ValidationError, match=f"(?s){reason}"):
        TERMS.validate_python(term)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"dims": [64, 64]}, "stands twice"),
        ({"dims": [64, 32], "weights": [1]}, "1 for 2 dims"),
        ({"dims": []}, "at least 1"),
        ({"dims": [0]}, "greater than or equal to 1"),
    ],
)
def test_matryoshka_lengths_and_weights_must_fit(options: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        Matryoshka(**options)


def test_the_spec_of_objectives_loads_no_torch() -> None:
    code = "import sys, pairmill.spec.objectives as o; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_every_setting_that_the_documents_give_is_valid() -> None:
    text = (Path(__file__).parents[3] / "docs/objectives.md").read_text("utf-8")
    table = text.split("## Papers as settings")[1].split("\n## ")[0]
    settings = [yaml.safe_load(row) for row in re.findall(r"\| `([^`]+)`[^|]*\|$", table, re.M)]
    assert len(settings) >= 10
    for setting in settings:
        if isinstance(setting, dict) and "matryoshka" in setting:
            Matryoshka(**setting["matryoshka"])
        else:
            TERMS.validate_python(setting)
