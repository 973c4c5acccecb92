"""A spec's text as data: safe YAML with line numbers, `--set` overrides and `${env:NAME}` references.

1. The YAML is composed into nodes and turned into plain dicts, lists and scalars here; a tag that would construct
   anything else is refused, and so are duplicate keys and documents that aliases blow up. Booleans are `true` and
   `false` alone, as in YAML 1.2, so that `off` and the language `no` stay words; `1e-4` is a number.
2. `--set path=value` replaces or adds one value; the path is dotted, list items by index or by their `name`.
3. `${env:NAME}` (or `${env:NAME:-default}`) is read from the environment last. What was written is remembered, and a
   run's records keep the reference instead of its value.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from pairmill.errors import SpecError

Path = tuple[str | int, ...]
MAX_NODES = 100_000
_ENV = re.compile(r"\$\{env:([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")


class _Loader(yaml.SafeLoader):
    pass


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith((":bool", ":timestamp", ":float"))]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile("^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?$"),
    list("-+.0123456789"),
)


@dataclass
class Document:
    """A spec as data, before it is checked."""

    name: str
    data: Any
    lines: dict[Path, int] = field(default_factory=dict)
    references: dict[Path, str] = field(default_factory=dict)
    prefix: Path = ()  # of a pipeline's step: where it stands

    def path(self, path: Path) -> str:
        """The path as errors name it: `steps[1].spec.data[0].run`."""
        return dotted((*self.prefix, *path))

    def where(self, path: Path) -> str:
        """`jobs/x.yaml:12`, the line of the path or of the closest thing above it."""
        for end in range(len(path), -1, -1):
            line = self.lines.get(path[:end])
            if line == 0:
                return f"--set {self.path(path[:end])}"
            if line:
                return f"{self.name}:{line}"
        return self.name


def dotted(path: Path) -> str:
    """`inputs[0].path`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def parse(text: str, name: str) -> Document:
    """YAML text as a Document. Raises SpecError with the line."""
    document = Document(name, None)
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
    except RecursionError:
        raise SpecError(f"{name}: the spec is nested too deep. A spec has a handful of levels.") from None
    except (yaml.YAMLError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{name}:{mark.line + 1}" if mark else name
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
        raise SpecError(
            f"{where}: not valid YAML: {problem}. Check the indentation and quotes around that line."
        ) from None
    if node is None:
        raise SpecError(f"{name}: the file is empty. A spec needs at least `kind` and `name`.")
    document.data = _construct(loader, node, (), document, [0])
    return document


def _construct(loader: _Loader, node: yaml.Node, path: Path, document: Document, count: list[int]) -> Any:
    line = node.start_mark.line + 1
    document.lines[path] = line
    count[0] += 1
    if count[0] > MAX_NODES or len(path) > 32:
        raise SpecError(f"{document.name}:{line}: the spec is too large or too deep (more than {MAX_NODES} values).")
    if isinstance(node, yaml.MappingNode) and node.tag == "tag:yaml.org,2002:map":
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value)
            if (
                not isinstance(key_node, yaml.ScalarNode)
                or key == "<<"
                or not key_node.tag.startswith("tag:yaml.org,2002:")
            ):
                raise SpecError(f"{document.name}:{line}: keys must be plain words (no `<<`, lists or tags as keys).")
            if key in result:
                raise SpecError(
                    f"{document.name}:{key_node.start_mark.line + 1}: {dotted((*path, key))} stands twice. Keep one."
                )
            result[key] = _construct(loader, value_node, (*path, key), document, count)
        return result
    if isinstance(node, yaml.SequenceNode) and node.tag == "tag:yaml.org,2002:seq":
        return [_construct(loader, item, (*path, i), document, count) for i, item in enumerate(node.value)]
    if isinstance(node, yaml.ScalarNode) and node.tag.removeprefix("tag:yaml.org,2002:") in (
        "str",
        "int",
        "float",
        "bool",
        "null",
    ):
        try:
            return loader.construct_object(node)
        except ValueError as error:
            raise SpecError(f"{document.name}:{line}: {dotted(path)}: {error}.") from None
    raise SpecError(
        f"{document.name}:{line}: {dotted(path) or 'the spec'}: the tag {node.tag!r} is not allowed. "
        "A spec holds plain mappings, lists, text, numbers, true and false."
    )


def override(document: Document, assignment: str) -> None:
    """Apply one `path=value`; the value is YAML. Raises SpecError where the path leads nowhere."""
    name, sign, value = assignment.partition("=")
    if not sign or not re.search(r"[^.\[\]\s]", name):
        raise SpecError(f"--set {assignment!r}: write path=value, such as --set dedup.near.threshold=0.7")
    assign(document, name, parse(value, f"--set {name}").data if value.strip() else "")


def assign(document: Document, name: str, value: Any, line: int = 0) -> Path:
    """Replace or add one value, which stands in `line` (0: comes from --set); returns its path. Raises SpecError."""
    parts = [part for part in re.split(r"[.\[\]]+", name.strip()) if part]
    path: list[str | int] = []
    target = document.data
    for position, part in enumerate(parts):
        last = position == len(parts) - 1
        if isinstance(target, list):
            index = _item(target, part, name)
            path.append(index)
            if last:
                target[index] = value
            else:
                target = target[index]
        elif isinstance(target, dict):
            path.append(part)
            if last:
                target[part] = value
            else:
                if target.get(part) is None:
                    target[part] = {}
                target = target[part]
        else:
            raise SpecError(
                f"--set {name}: {dotted(tuple(path))} is {target!r}, which holds nothing to set {part!r} in."
            )
    for known in [known for known in document.lines if known[: len(path)] == tuple(path)]:
        del document.lines[known]
    document.lines[tuple(path)] = line
    return tuple(path)


def _item(items: list[Any], part: str, name: str) -> int:
    names = [item.get("name") for item in items if isinstance(item, dict)]
    if part.isdigit() and int(part) < len(items):
        return int(part)
    if part in names:
        return names.index(part)
    allowed = ", ".join([str(i) for i in range(len(items))] + [str(n) for n in names if n])
    raise SpecError(f"--set {name}: there is no item {part!r}. Allowed: {allowed}.")


def resolve_environment(document: Document, environment: Mapping[str, str] | None = None) -> None:
    """Replace `${env:NAME}` in every string; remember what was written in `document.references`."""
    environment = os.environ if environment is None else environment

    def value_of(match: re.Match[str], path: Path) -> str:
        value = environment.get(match[1], match[2])
        if value is None:
            raise SpecError(
                f"{document.where(path)}: {dotted(path)}: the environment variable {match[1]} is not set. "
                f"Set it, or give a default: ${{env:{match[1]}:-default}}."
            )
        return value

    for path, container, key, value in list(_strings(document.data, ())):
        if _ENV.search(value):
            document.references[path] = value
            container[key] = _ENV.sub(lambda match, path=path: value_of(match, path), value)  # type: ignore[misc]


def _strings(data: Any, path: Path) -> Iterator[tuple[Path, Any, Any, str]]:
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in items:
        if isinstance(value, str):
            yield (*path, key), data, key, value
        else:
            yield from _strings(value, (*path, key))
