"""Pair builders as a spec names them: one model of options per builder; how pairs are made is in `pairs/builders/`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Union

from pydantic import Field

from pairmill.spec.base import Model
from pairmill.spec.join_builders import JOIN_BUILDERS
from pairmill.spec.page_builders import PAGE_BUILDERS
from pairmill.spec.record_builders import RECORD_BUILDERS

_ALL: tuple[type[Model], ...] = (*PAGE_BUILDERS, *RECORD_BUILDERS, *JOIN_BUILDERS)
if TYPE_CHECKING:
    Builder = Any
else:
    Builder = Annotated[Union[_ALL], Field(discriminator="name")]  # noqa: UP007
#: Builder -> the form of its pairs, unless the input says another.
FORMS: dict[str, str] = {model.model_fields["name"].annotation.__args__[0]: model.FORM for model in _ALL}  # type: ignore


def as_builder(value: Any) -> Any:
    """`builder: news` is short for `builder: {name: news}`."""
    return {"name": value} if isinstance(value, str) else value
