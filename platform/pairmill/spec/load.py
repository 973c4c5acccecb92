"""From a file to a checked spec, or to errors that name file, line, path, found, allowed and the remedy."""

from __future__ import annotations

import difflib
import json
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any, Literal, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from pairmill.errors import SpecError
from pairmill.spec.base import Model
from pairmill.spec.curate import CurateSpec
from pairmill.spec.derived import DerivedSpec, reads_run
from pairmill.spec.embed import EmbedSpec
from pairmill.spec.evaluate import EvaluateSpec
from pairmill.spec.mine import MineSpec
from pairmill.spec.pipeline import PipelineSpec, placeholders, step_document
from pairmill.spec.pretrain import PretrainSpec
from pairmill.spec.sweep import SweepSpec
from pairmill.spec.text import Document, Path, dotted, override, parse, resolve_environment
from pairmill.spec.tokenizer import TokenizerSpec
from pairmill.spec.train import TrainSpec
from pairmill.spec.trials import cases, inline, trial_document

KINDS: dict[str, type[Model]] = {
    "curate": CurateSpec,
    "embed": EmbedSpec,
    "evaluate": EvaluateSpec,
    "mine": MineSpec,
    "pretrain": PretrainSpec,
    "tokenizer": TokenizerSpec,
    "train": TrainSpec,
    "pipeline": PipelineSpec,
    "sweep": SweepSpec,
}


@dataclass(frozen=True)
class LoadedSpec:
    """A checked spec. `public` is its full content with `${env:...}` references left unread: what records may keep."""

    name: str
    spec: Any
    public: dict[str, Any]
    document: Document

    def yaml(self) -> str:
        return yaml.safe_dump(self.public, sort_keys=False, allow_unicode=True)


def load(file: str, sets: Sequence[str] = ()) -> LoadedSpec:
    """Read and check a spec file. Raises SpecError (exit code 2)."""
    return loads(read_text(file), file, sets)


def read_text(file: str) -> str:
    """The text of a spec file. Raises SpecError."""
    try:
        return FilePath(file).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(
            f"{file}: cannot be read: {getattr(error, 'strerror', None) or error}. Name a YAML file."
        ) from None


def loads(text: str, name: str, sets: Sequence[str] = (), environment: Mapping[str, str] | None = None) -> LoadedSpec:
    """Check the text of a spec; `name` is what errors call it, `environment` what `${env:..}` reads instead of ours."""
    document = parse(text, name)
    if not isinstance(document.data, dict):
        raise SpecError(f"{name}: a spec is a mapping with `kind` and `name`, not a {type(document.data).__name__}.")
    inline(document)
    for assignment in sets:
        override(document, assignment)
    resolve_environment(document, environment)
    return check(document)


def check(document: Document) -> LoadedSpec:
    """Check a document whose references are read; of a pipeline its steps too, of a sweep its trials.

    Raises SpecError.
    """
    model = _model(document)
    try:
        spec = model.model_validate(document.data)
    except ValidationError as error:
        raise SpecError("\n".join(_messages(error, document, model))) from None
    loaded = LoadedSpec(document.name, spec, _public(spec, document), document)
    for _ in steps(loaded):
        pass
    if isinstance(spec, SweepSpec):
        for place, values in cases(document, spec):
            try:
                check(trial_document(document, values))
            except SpecError as error:
                raise SpecError(f"{document.where(place)}: {dotted(place)}: {error}") from None
    return loaded


def steps(loaded: LoadedSpec) -> Iterator[tuple[str, LoadedSpec]]:
    """The steps of a pipeline by name, each a checked spec in which earlier steps' runs have the ids of `placeholders`.

    Of a sweep its trial, called so; nothing of another kind. Raises SpecError.
    """
    if isinstance(loaded.spec, SweepSpec):
        yield "trial", check(trial_document(loaded.document))
    if isinstance(loaded.spec, PipelineSpec):
        runs = placeholders(loaded.document)
        for number, step in enumerate(loaded.spec.steps):
            yield step.name, check(step_document(loaded.document, number, runs))


def schema(kind: str | None = None) -> str:
    """JSON Schema of a kind, or of all kinds; `curate-on-run` is that of curate specs that name a run."""
    known: dict[str, type[Model]] = {**KINDS, "curate-on-run": DerivedSpec}
    if kind is not None and kind not in known:
        raise SpecError(f"kind {kind!r} is unknown.{_nearest(kind, list(known))} Allowed: {', '.join(known)}.")
    if kind is not None:
        return json.dumps(known[kind].model_json_schema(), indent=2, ensure_ascii=False)
    return json.dumps({name: model.model_json_schema() for name, model in known.items()}, indent=2, ensure_ascii=False)


def _model(document: Document) -> type[Model]:
    kind = document.data.get("kind")
    if isinstance(kind, str) and kind in KINDS:
        return DerivedSpec if kind == "curate" and reads_run(document.data) else KINDS[kind]
    found = f"{kind!r} is unknown.{_nearest(str(kind), list(KINDS))}" if "kind" in document.data else "is missing."
    raise SpecError(f"{document.where(('kind',))}: {document.path(('kind',))}: {found} Allowed: {', '.join(KINDS)}.")


def _public(spec: BaseModel, document: Document) -> dict[str, Any]:
    data = spec.model_dump(mode="json")
    for path, written in document.references.items():
        target: Any = data
        for part in path[:-1]:
            target = target[part]
        last = path[-1]
        if isinstance(target, dict) and isinstance(target.get(str(last)), list):
            target[str(last)] = [written]
        else:
            target[last] = written
    return data


def _messages(error: ValidationError, document: Document, model: type[Model]) -> list[str]:
    found: dict[Path, str] = {}
    for item in error.errors(include_url=False):
        path = _path(item["loc"], document.data, item["type"])
        path += tuple(item.get("ctx", {}).get("path", ()))
        if path not in found:
            found[path] = _message(item, path, document, model)
    deepest = [path for path in found if not any(other != path and other[: len(path)] == path for other in found)]
    return [f"{document.where(path)}: {document.path(path) or 'the spec'}: {found[path]}" for path in deepest]


def _path(loc: tuple[int | str, ...], data: Any, kind: str) -> Path:
    """The error's place in the spec: pydantic's `loc` without the names of union members."""
    path: list[int | str] = []
    for position, part in enumerate(loc):
        if (isinstance(data, dict) and part in data) or (
            isinstance(data, list) and isinstance(part, int) and part < len(data)
        ):
            path.append(part)
            data = data[part]  # type: ignore[index]
        elif position == len(loc) - 1 and kind in ("missing", "extra_forbidden"):
            path.append(part)
    return tuple(path)


def _message(item: Any, path: Path, document: Document, model: type[Model]) -> str:
    kind, context, found = item["type"], item.get("ctx", {}), item.get("input")
    owner, info = _field(model, path, document.data)
    hint = f" {info.description}" if info is not None and info.description else ""
    if kind == "extra_forbidden":
        allowed = sorted(owner.model_json_schema()["properties"]) if owner else []
        return f"unknown key.{_nearest(str(path[-1]), allowed)} Allowed: {', '.join(allowed)}."
    if kind == "unknown_rule":
        allowed = context["allowed"]
        return f"unknown rule.{_nearest(context['name'], allowed)} Allowed: {', '.join(allowed)}."
    if kind == "missing":
        return f"is missing.{hint} Add it."
    if kind == "union_tag_not_found":
        key = context["discriminator"].strip("'")
        return f"`{key}` is missing. Allowed: {', '.join(_tags(info, key))}."
    if kind == "union_tag_invalid":
        allowed = [tag.strip(" '") for tag in context["expected_tags"].split(",")]
        key, tag = context["discriminator"].strip("'"), context["tag"]
        return f"{key} {tag!r} is unknown.{_nearest(tag, allowed)} Allowed: {', '.join(allowed)}."
    if kind == "literal_error":
        expected = context["expected"]
        return f"found {found!r}.{_nearest(str(found), _choices(expected))} Allowed: {expected}.{hint}"
    if kind in ("greater_than", "greater_than_equal", "less_than", "less_than_equal"):
        return f"{found!r} is not in {_interval(info, context)}.{hint}"
    if kind in ("model_type", "model_attributes_type"):
        return f"found {found!r}: write a mapping{_content(info)}.{hint}"
    if kind == "list_type":
        return f"found {found!r}: write a list, each item behind a `-`.{hint}"
    if kind == "value_error":
        return f"{str(context['error']).rstrip('.')}.{hint}"
    if kind == "string_pattern_mismatch":
        return f"found {found!r}. Allowed: text that matches {context['pattern']}.{hint}"
    return f"found {found!r}: {item['msg'][:1].lower()}{item['msg'][1:]}.{hint}"


def _choices(expected: str) -> list[str]:
    return [choice.strip(" '") for choice in expected.replace(" or ", ", ").split(",")]


def _nearest(name: str, allowed: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, allowed, n=1, cutoff=0.5)
    return f" Did you mean {close[0]!r}?" if close else ""


def _interval(info: FieldInfo | None, context: dict[str, Any]) -> str:
    """The bounds of a field; of an item or a member of a union, whose field has none, the one it breaks."""
    bounds = list(info.metadata) if info is not None else []
    if not any(hasattr(bound, name) for bound in bounds for name in ("gt", "ge", "lt", "le")):
        bounds = [types.SimpleNamespace(**context)]
    low, high = "(-inf", "inf)"
    for bound in bounds:
        low = f"({bound.gt:g}" if hasattr(bound, "gt") else f"[{bound.ge:g}" if hasattr(bound, "ge") else low
        high = f"{bound.lt:g})" if hasattr(bound, "lt") else f"{bound.le:g}]" if hasattr(bound, "le") else high
    return f"{low}, {high}"


def _content(info: FieldInfo | None) -> str:
    """What a mapping may hold: its keys, or where several models are possible, what tells them apart."""
    for key in ("format", "name"):
        if tags := _tags(info, key):
            return f" with `{key}`, one of {', '.join(tags)}"
    models = _members(info.annotation) if info is not None else []
    return f" of {', '.join(models[0].model_fields)}" if models else ""


def _tags(info: FieldInfo | None, key: str) -> list[str]:
    """What `key` may be in the models of a union that it tells apart."""
    fields = [model.model_fields.get(key) for model in (_members(info.annotation) if info is not None else [])]
    return [tag for field in fields if field is not None for tag in get_args(field.annotation)]


def _field(model: type[BaseModel], path: Path, data: Any) -> tuple[type[BaseModel] | None, FieldInfo | None]:
    """The model that owns the last part of `path`, and that part's field where it is one."""
    owner: type[BaseModel] | None = model
    info: FieldInfo | None = None
    for position, part in enumerate(path):
        if isinstance(part, str) and owner is not None:
            info = owner.model_fields.get(part)
            if position == len(path) - 1:
                return owner, info
        data = _step(data, part)
        if info is not None:
            owner = _submodel(info.annotation, data)
    return owner, info


def _step(data: Any, part: str | int) -> Any:
    try:
        return data[part]
    except (KeyError, IndexError, TypeError):
        return None


def _submodel(annotation: Any, data: Any) -> type[BaseModel] | None:
    """The model among `annotation`'s members that `data` is meant for."""
    models = _members(annotation)
    for key in ("format", "name"):
        tag = data.get(key) if isinstance(data, dict) else None
        for candidate in models:
            field = candidate.model_fields.get(key)
            if field is not None and get_origin(field.annotation) is Literal and tag in get_args(field.annotation):
                return candidate
    return models[0] if models else None


def _members(annotation: Any) -> list[type[BaseModel]]:
    """The models of an annotation: of a union, of a list's items, of a dict's values."""
    if get_origin(annotation) is None and isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _members(part)]
