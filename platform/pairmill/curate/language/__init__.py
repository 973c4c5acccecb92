"""Language identification: engines behind one small interface, and what their answers mean for declared languages.

A new engine is one module with `load() -> Engine` and one line in `ENGINES`.
"""

from __future__ import annotations

from collections.abc import Callable

from pairmill.curate.language import fasttext, langdetect
from pairmill.curate.language.engine import Engine

ENGINES: dict[str, Callable[[], Engine]] = {"fasttext": fasttext.load, "langdetect": langdetect.load}


def load(engine: str) -> Engine:
    """The engine by its name in the spec; its model is loaded once per process, with the first text."""
    if engine not in ENGINES:
        raise KeyError(f"no language engine {engine!r}; allowed: {', '.join(ENGINES)}")
    return ENGINES[engine]()


__all__ = ["ENGINES", "Engine", "load"]
