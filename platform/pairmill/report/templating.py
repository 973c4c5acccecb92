"""The templates of all pages.

Autoescape is always on, and every value that is no markup goes through `show.one_line` first, so that no name, path or
message can act on a page, or fail to encode. A page's Content-Security-Policy forbids every request, and all scripts
but one of our own, named by its digest, on the pages that have it.
"""

from __future__ import annotations

import base64
import hashlib
from functools import lru_cache
from importlib.resources import files
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from pairmill.report import show


class Script(NamedTuple):
    """A script of `templates/`, and its digest as a Content-Security-Policy names it."""

    code: Markup
    digest: str


@lru_cache
def script(name: str) -> Script:
    code = files("pairmill.report").joinpath("templates", name).read_text("utf-8").strip()
    digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
    return Script(Markup(code), f"sha256-{digest}")


def template(name: str) -> Template:
    """A template of `templates/`."""
    return _environment().get_template(name)


def _final(value: Any) -> Any:
    """Applied to every `{{ }}` of a template."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return show.one_line(value, 1000)


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("pairmill.report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_final,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    names = ("marked", "whole", "plural", "share", "value", "fact", "size", "duration")
    environment.filters.update({name: getattr(show, name) for name in names})
    environment.filters["lines"] = lambda text: Markup("{}").format(show.lines(text))
    return environment
