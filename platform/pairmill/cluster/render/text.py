"""Writing YAML as people do: in the order given, long texts as blocks, comments in front."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def written(head: Sequence[str], documents: Sequence[tuple[str, dict[str, Any]]]) -> str:
    """Documents, each behind a comment; `head` is the comment of the file."""
    parts = [commented("\n".join(head))]
    for comment, document in documents:
        parts.append(f"---\n{commented(comment)}{dumped(document)}")
    return "".join(parts)


def dumped(document: dict[str, Any]) -> str:
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)


def commented(text: str) -> str:
    return "".join(f"# {line}".rstrip() + "\n" for line in text.splitlines())
