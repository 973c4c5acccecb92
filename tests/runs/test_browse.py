"""Which run a name names."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pairmill.errors import SpecError
from pairmill.runs.browse import find

HELD = [
    "words-0a1b2c3d4e5f",
    "words-labelled-0123456789ab",
    "words-labelled-vectors-ba9876543210",
    "more-1234567890ab",
    "more-1234567890cd",
]


@pytest.fixture
def storage(tmp_path: Path) -> str:
    for name in HELD:
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "run.json").write_text("{}")
    return str(tmp_path)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("words-0a1b2c3d4e5f", "words-0a1b2c3d4e5f"),
        ("words", "words-0a1b2c3d4e5f"),
        ("words-labelled", "words-labelled-0123456789ab"),
        ("words-labelled-v", "words-labelled-vectors-ba9876543210"),
        ("more-1234567890c", "more-1234567890cd"),
    ],
)
def test_an_id_a_whole_name_or_the_start_of_an_id_names_a_run(storage: str, name: str, found: str) -> None:
    assert find(storage, name).id == found


@pytest.mark.parametrize(
    ("name", "fitting"),
    [("more", HELD[3:]), ("words-l", HELD[1:3]), ("w", HELD[:3]), ("nothing", sorted(HELD)), ("", sorted(HELD))],
)
def test_what_names_several_or_none_is_refused_with_the_choice(storage: str, name: str, fitting: list[str]) -> None:
    problem = "fits several runs" if len(fitting) < len(HELD) else "is no run here"
    with pytest.raises(SpecError, match=f"{name!r} {problem}.*" + re.escape(", ".join(fitting))):
        find(storage, name)
