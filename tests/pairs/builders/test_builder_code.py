"""Code: documentation -> function, in the two forms of CodeSearchNet."""

from __future__ import annotations

import ast
import inspect
import textwrap
from pathlib import Path
from typing import Any

import pytest
from recordkit import built, from_jsonl, jsonl

from pairmill.pairs.builders.code import without


def function(obj: Any) -> dict[str, Any]:
    """A real function as a record of CodeSearchNet: `docstring` is the literal's text, stripped."""
    source = textwrap.dedent(inspect.getsource(obj))
    node = ast.parse(source).body[0]
    literal = node.body[0].value  # type: ignore[attr-defined]
    docstring = ast.get_source_segment(source, literal).strip("\"'").strip()  # type: ignore[union-attr]
    return {
        "repo": "python/cpython",
        "path": "Lib/x.py",
        "func_name": obj.__qualname__,
        "original_string": source,
        "language": "python",
        "code": source,
        "code_tokens": [],
        "docstring": docstring,
        "docstring_tokens": [],
        "sha": "0",
        "url": "https://example.org",
        "partition": "train",
    }


FUNCTIONS = [
    textwrap.dedent,
    textwrap.indent,
    textwrap.wrap,
    inspect.getsource,
    inspect.getmro,
    ast.literal_eval,
    ast.walk,
]


def test_docstrings_of_real_functions_are_cut_out_and_the_code_still_parses(tmp_path: Path) -> None:
    made = from_jsonl(tmp_path, "code", *map(function, FUNCTIONS))
    for row, original in zip(made.rows, FUNCTIONS, strict=True):
        record = function(original)
        assert row["anchor"] == record["docstring"].split("\n\n")[0].rstrip()
        assert row["anchor"] not in row["positive"]
        kept, before = ast.parse(row["positive"]), ast.parse(record["code"])
        del before.body[0].body[0]  # type: ignore[attr-defined]
        assert ast.dump(kept) == ast.dump(before)
        assert (row["label"], row["anchor_lang"], row["positive_lang"]) == ("python", None, None)


@pytest.mark.parametrize(
    "code",
    [
        "def f():\n    '''Do.'''\n    return 1",
        'def f():\n    "Do."\n    return 1',
        'def f():\n    r"""\n    Do.\n    """\n    return 1',
    ],
)
def test_any_quotes_go_with_the_docstring(code: str) -> None:
    assert without(code, "Do.") == "def f():\n    return 1"


@pytest.mark.parametrize(
    "code", ["# Do.\ndef f(): pass", 'x = "Do. It"', "say(Do.)", "'Do.", "Do.'", "f('''Do.\"\"\")"]
)
def test_text_that_is_no_literal_of_its_own_stays(code: str) -> None:
    assert without(code, "Do.") == code


def test_the_hub_s_field_names_and_whole_documentation(tmp_path: Path) -> None:
    record = {"func_documentation_string": "First.\n\nSecond.", "func_code_string": "func f() {}", "language": "go"}
    path = jsonl(tmp_path / "a.jsonl", record)
    whole = {"name": "code", "documentation": "whole"}
    assert built(format="jsonl", path=path, builder="code").texts == [("First.", "func f() {}")]
    assert built(format="jsonl", path=path, builder=whole).texts == [("First.\n\nSecond.", "func f() {}")]


def test_missing_sides_and_wrong_types_are_counted(tmp_path: Path) -> None:
    made = from_jsonl(
        tmp_path,
        "code",
        {"docstring": "", "code": "x"},
        {"docstring": "d", "code": None},
        {"docstring": "d", "code": '"d"'},
        {"docstring": ["d"], "code": "x"},
        {"docstring": "d", "code": "x", "language": 3},
        {"docstring": "d", "code": "x"},
    )
    assert made.no_pair == {"no_docstring": 1, "no_code": 2} and made.errors == {"wrong_record": 2} and made.parsed == 1
