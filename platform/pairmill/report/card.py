"""The model card: Markdown under YAML front matter, in the form of the Hugging Face hub (hub-docs, modelcard.md).

The front matter names a licence only where every data source and every model that went in has the same one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from pairmill.report import evaluations, show
from pairmill.report.evaluations import Group, change, interval, percent
from pairmill.report.frame import SPEC_CHARACTERS
from pairmill.report.lineage import HUB_LICENCES, common_licence, languages, licences, place_name
from pairmill.report.markdown import code, facts, fenced, table, text

TAGS = ["sentence-transformers", "sentence-similarity", "feature-extraction"]
POINTS = 6  # of the training curve
CURVE = {"loss": "Loss", "accuracy": "Accuracy in the batch", "lr": "Learning rate", "gradient_norm": "Gradient norm"}


def render(summary: Mapping[str, Any]) -> str:
    """README.md of the model that a run's summary (its shape: `train/result.py`) tells of."""
    spec = _spec(summary)
    parts = [
        f"---\n{_front_matter(summary, spec)}---",
        f"# {text(_of(summary, 'run').get('name') or 'Text embeddings')}",
        _what_it_is(summary, spec),
        _use(_of(summary, "model")),
        _evaluation(evaluations.groups(summary)),
        _data(summary),
        _licences(summary),
        _training(summary, spec),
        _limits(_of(summary, "model")),
        _reproduce(summary),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _of(data: Mapping[str, Any], key: str) -> dict[str, Any]:
    return data.get(key) or {}


def _spec(summary: Mapping[str, Any]) -> dict[str, Any]:
    try:
        found = yaml.safe_load(str(summary.get("spec") or ""))
    except yaml.YAMLError:
        return {}
    return found if isinstance(found, dict) else {}


def _front_matter(summary: Mapping[str, Any], spec: Mapping[str, Any]) -> str:
    known = sorted({language.split("-")[0] for language in languages(summary, spec)})
    one = common_licence(summary)
    named = {"license": one} if one in HUB_LICENCES else {"license": "other"}
    if one and one not in HUB_LICENCES:
        named["license_name"] = show.one_line(one)
    told = {
        **({"language": known} if known else {}),
        **named,
        "library_name": "sentence-transformers",
        "pipeline_tag": "sentence-similarity",
        "tags": TAGS,
    }
    return yaml.safe_dump(told, sort_keys=False, allow_unicode=True)


def _what_it_is(summary: Mapping[str, Any], spec: Mapping[str, Any]) -> str:
    model = _of(summary, "model")
    spoken = languages(summary, spec)
    base = _of(_of(summary, "lineage"), "models").get("model")
    origin = f"It was trained from {code(place_name(base))}" if base else "It was trained from scratch"
    trained, parameters = model.get("trained") or 0, model.get("parameters") or 0
    return (
        f"A sentence-transformers model: it maps texts to vectors of {show.value(model.get('dimension'))} numbers, "
        f"for retrieval, similarity, clustering and bitext mining. {origin} by Pairmill run "
        f"{code(_of(summary, 'run').get('id'))}.\n\n"
    ) + facts(
        [
            ("Architecture", text(model.get("type"))),
            ("Parameters", f"{show.whole(parameters)}, of which {show.share(trained, parameters)} were trained"),
            ("Dimension", show.value(model.get("dimension"))),
            ("Longest input", f"{show.value(model.get('max_length'))} tokens"),
            ("Vocabulary", f"{show.value(model.get('vocabulary'))} tokens{_added(_of(summary, 'made'))}"),
            ("Pooling", f"{text(model.get('pooling'))}{', unit length' if model.get('normalize') else ''}"),
            ("Languages trained on", ", ".join(map(text, spoken)) if spoken else "not recorded"),
        ]
    )


def _added(made: Mapping[str, Any]) -> str:
    """What `extend_vocabulary` did."""
    if not made.get("tokens_added"):
        return ""
    changed = made.get("changed_share")
    of = "" if changed is None else f"; {changed:.1%} of the texts in its old languages are cut otherwise"
    return f", {show.whole(made['tokens_added'])} of them added{of}"


def _use(model: Mapping[str, Any]) -> str:
    prompts = {str(name): str(prompt) for name, prompt in _of(model, "prompts").items()}
    asked = [f", prompt_name={_literal(name)}" for name in prompts] or [""]
    snippet = f"""from sentence_transformers import SentenceTransformer

model = SentenceTransformer({_literal(str(model.get("place") or "path/to/this/directory"))})
queries = model.encode(["How long does the trip take?"]{asked[0]})
texts = model.encode(["The train needs two hours.", "Bread is baked in the morning."]{asked[min(1, len(asked) - 1)]})
print(model.similarity(queries, texts))"""
    told = ["## Use", "With `pip install sentence-transformers`:", fenced(snippet, "python")]
    if prompts:
        told.append("The model was trained with texts put before its inputs. Its configuration has them, by name:")
        rows = ([code(name), code(json.dumps(prompt, ensure_ascii=False))] for name, prompt in prompts.items())
        told.append(table(["Prompt name", "Text put before"], rows, 2))
    return "\n\n".join(told)


def _literal(string: str) -> str:
    """A Python string literal."""
    return json.dumps(string) if string.isascii() else repr(string)


def _evaluation(found: Sequence[Group]) -> str:
    if not found:
        return "## Evaluation\n\nNo rows were held out, so nothing was measured."
    retrieval, scored, masked = (
        [group for group in found if group.kind == kind] for kind in ("retrieval", "scored", "masked")
    )
    told = ["## Evaluation", "Of rows that were held out of training, before it and after it."]
    if retrieval:
        told.append(
            "Accuracy of finding a row's other side among those of all held-out rows of its group, with 95 % intervals "
            "(Wilson):"
        )
        rows = [_way(group, *way) for group in retrieval for way in group.ways()]
        told.append(table(["Group", "From → to", "Rows", "Before", "After", "Points", "MRR after"], rows, 2))
    if scored:
        told.append("Spearman's correlation of cosine and gold score:")
        told.append(_values(scored, {"spearman": "Spearman"}))
    if masked:
        told.append("Masked tokens, beside a unigram model (loss; share right):")
        told.append(_values(masked, {"loss": "Loss", "accuracy": "Right"}, ("unigram_loss", "unigram_accuracy")))
    return "\n\n".join(told)


def _way(group: Group, start: str, end: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    cells = [f"{percent(of['accuracy'])} ({interval(of.get('interval'))})" if of else "–" for of in (before, after)]
    gained = change(before.get("accuracy"), after.get("accuracy"))
    ways = f"{text(start)} → {text(end)}"
    return [text(group.name), ways, show.whole(group.rows), *cells, gained, show.value(after.get("mrr"))]


def _values(found: Sequence[Group], names: Mapping[str, str], beside: Sequence[str] = ()) -> str:
    """A table of figures before and after, then of those `beside`, which are of no training."""
    head = [f"{title} {when}" for title in names.values() for when in ("before", "after")]
    head += [name.replace("_", " ").capitalize() for name in beside]
    rows = []
    for group in found:
        both = [side.get(name) for name in names for side in (group.before, group.after)]
        cells = [show.value(cell) for cell in (*both, *(group.after.get(name) for name in beside))]
        rows.append([text(group.name), show.whole(group.rows), *cells])
    return table(["Group", "Rows", *head], rows)


def _data(summary: Mapping[str, Any]) -> str:
    rows = []
    for name, entry in _of(summary, "data").items():
        dropped = _of(entry, "dropped")
        why = ", ".join(f"{text(reason)} {show.whole(count)}" for reason, count in dropped.items()) or "–"
        counts = [show.value(entry.get(key)) for key in ("rows_in", "used", "held_out")]
        rows.append([text(name), why, *counts, show.whole(sum(dropped.values()))])
    told = ["## Training data"]
    if rows:
        told.append(table(["Entry", "Dropped for", "Rows in", "Used", "Held out", "Dropped"], rows, 2))
    for run in _of(summary, "lineage").get("runs") or []:
        sources = _of(run, "sources")
        told.append(
            f"Entry {code(run.get('entry'))} reads the {show.value(run.get('kept'))} rows that curate run "
            f"{code(run.get('id'))} kept of {show.plural(len(sources), 'source')}:"
        )
        told.append(table(["Source", "Rows kept"], ([text(name), show.value(kept)] for name, kept in sources.items())))
    return "\n\n".join(told) if len(told) > 1 else ""


def _licences(summary: Mapping[str, Any]) -> str:
    found = licences(summary)
    if not found:
        return ""
    told = ["## Licences"]
    if common_licence(summary) is None:
        told.append("What went into this model has no licence in common that is known, so the card names none for it:")
    told.append(table(["Source or model", "Licence"], ([text(name), text(one)] for name, one in found.items()), 2))
    return "\n\n".join(told)


def _training(summary: Mapping[str, Any], spec: Mapping[str, Any]) -> str:
    training = _of(summary, "training")
    if not training:
        return ""
    early = ", stopped early" if training.get("stopped_early") else ""
    own = {entry.get("name"): entry["objective"] for entry in spec.get("data") or [] if entry.get("objective")}
    told = {
        "Steps": f"{show.value(training.get('steps'))}{early}",
        "Rows, tokens": f"{show.value(training.get('rows'))}, {show.value(training.get('tokens'))}",
        "Time": f"{show.duration(training.get('seconds'))}, {show.value(training.get('cpu_seconds'))} CPU seconds",
        "Rows per batch": spec.get("batch_size"),
        "Batches per step": spec.get("accumulate"),
        "Objective": spec.get("objective"),
        **{f"Objective of {text(name)}": terms for name, terms in own.items()},
        "Matryoshka": spec.get("matryoshka"),
        "LoRA": _of(spec, "model").get("lora"),
        **{f"Optimiser: {text(name)}": one for name, one in _of(spec, "optimizer").items()},
        "Precision": spec.get("precision"),
        "Seed": spec.get("seed"),
    }
    rows = [(name, _setting(one)) for name, one in told.items() if one is not None]
    return "\n\n".join(["## Training", facts(rows), *_curve(summary.get("curve") or [])])


def _setting(thing: Any) -> str:
    return code(_set(thing)) if isinstance(thing, (dict, list)) else text(thing)


def _set(thing: Any) -> Any:
    """A setting without what is not set."""
    if isinstance(thing, dict):
        return {name: _set(one) for name, one in thing.items() if one is not None}
    return [_set(one) for one in thing] if isinstance(thing, list) else thing


def _curve(curve: Sequence[Mapping[str, Any]]) -> list[str]:
    if not curve:
        return []
    last = len(curve) - 1
    points = [curve[i] for i in sorted({round(part * last / (POINTS - 1)) for part in range(POINTS)})]
    names = ["step", *(name for name in CURVE if any(name in point for point in curve))]
    rows = ([show.value(point.get(name)) for name in names] for point in points)
    return ["The course of training:", table([CURVE.get(name, "Step") for name in names], rows, 0)]


def _limits(model: Mapping[str, Any]) -> str:
    return (
        "## Limits\n\nThe figures above are of held-out rows of the training data's own sources; other domains and "
        f"languages were not measured. Inputs beyond {show.value(model.get('max_length'))} tokens are cut. The model "
        "carries the biases of its data."
    )


def _reproduce(summary: Mapping[str, Any]) -> str:
    command, spec = str(summary.get("command") or ""), str(summary.get("spec") or "")[:SPEC_CHARACTERS]
    told = [fenced(command, "bash")] if command else []
    if spec:
        told += ["<details><summary>The resolved spec</summary>", fenced(spec, "yaml"), "</details>"]
    return "\n\n".join(["## Reproduce", *told]) if told else ""
