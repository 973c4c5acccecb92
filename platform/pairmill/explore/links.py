"""URLs of the explorer, as they stand in its pages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote, urlencode

from markupsafe import Markup, escape


def path(*segments: str, **query: Any) -> str:
    """`/runs/<id>/rows?part=kept`. A list gives its name several times; what is empty or None is left out."""
    given = {
        name: [str(item) for item in (value if isinstance(value, Sequence) and not isinstance(value, str) else [value])]
        for name, value in query.items()
        if value not in (None, "", [], ())
    }
    place = "/" + "/".join(quote(segment, safe="") for segment in segments)
    return f"{place}?{urlencode(given, doseq=True)}" if given else place


def url(*segments: str, **query: Any) -> Markup:
    """The same for an attribute of a page: complete, whatever its length."""
    return escape(path(*segments, **query))


def attribute(value: Any) -> Markup:
    """The value of a form's field: as it is, escaped."""
    return escape("" if value is None else str(value))


__all__ = ["Markup", "attribute", "path", "url"]
