"""What differs between two specs, or any plain data: the paths whose values are not the same.

Mappings are compared key by key. Lists of named things (`inputs`, `steps`) are compared by name, whatever their order;
other lists as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_NONE: Any = object()


def changes(one: Any, other: Any, path: str = "") -> Iterator[dict[str, Any]]:
    """{path, a, b} of each difference, in the order of `one`; without `a` or `b` where that side has no such path."""
    named = _by_name(one), _by_name(other)
    if isinstance(one, dict) and isinstance(other, dict):
        for key in {**one, **other}:
            yield from changes(one.get(key, _NONE), other.get(key, _NONE), f"{path}.{key}" if path else str(key))
    elif named[0] and named[1]:
        for name in {**named[0], **named[1]}:
            yield from changes(named[0].get(name, _NONE), named[1].get(name, _NONE), f"{path}[{name}]")
    elif one is _NONE or other is _NONE or one != other:
        sides = (("a", one), ("b", other))
        yield {"path": path, **{side: value for side, value in sides if value is not _NONE}}


def _by_name(value: Any) -> dict[str, Any] | None:
    """The items of a list of mappings with a name each; None for anything else."""
    if not isinstance(value, list) or not all(isinstance(item, dict) and "name" in item for item in value):
        return None
    named = {str(item["name"]): item for item in value}
    return named if len(named) == len(value) else None
