"""Errors meant for users: their message says what was found, what is allowed and what to do.

The command line prints the message alone, without a traceback, and exits with `exit_code`.
Anything else that escapes is a defect of Pairmill itself.
"""

from __future__ import annotations


class PairmillError(Exception):
    """A job failed for a reason the user can act on."""

    exit_code = 1


class SpecError(PairmillError):
    """The spec or the arguments are wrong; nothing was started."""

    exit_code = 2


class SourceError(PairmillError):
    """An input cannot be used: nothing matches, a column is missing, two sides differ in length."""


class StorageError(PairmillError):
    """The storage cannot be reached, is full, or lacks what runs need."""
