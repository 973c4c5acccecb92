"""`tokenizers` in one thread, where results must not depend on the order of threads."""

from __future__ import annotations

from contextlib import AbstractContextManager

from pairmill.variables import variable


def one_thread() -> AbstractContextManager[None]:
    """`tokenizers` without threads inside the block."""
    return variable("TOKENIZERS_PARALLELISM", "false")
