"""The model card: Markdown under YAML front matter, in the form of the Hugging Face hub (hub-docs, modelcard.md).

Names come from the outside world: each is written on one line with what Markdown would act on escaped, or as code. The
front matter names a licence only where every data source and every model that went in has the same one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import yaml

from pairmill.report import evaluations, show
from pairmill.report.evaluations import Group, change, interval, percent

TAGS = ["sentence-transformers", "sentence-similarity", "feature-extraction"]
#: Licences that the hub knows by name (hub-docs, repositories-licenses.md).
HUB_LICENCES = frozenset(
    "apache-2.0 mit openrail bsd bsd-2-clause bsd-3-clause bsd-3-clause-clear c-uda cc cc0-1.0 cc-by-2.0 cc-by-2.5 "
    "cc-by-3.0 cc-by-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nd-4.0 cc-by-nc-nd-3.0 "
    "cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cdla-sharing-1.0 cdla-permissive-1.0 "
    "cdla-permissive-2.0 wtfpl ecl-2.0 epl-1.0 epl-2.0 etalab-2.0 eupl-1.1 eupl-1.2 agpl-3.0 gfdl gpl gpl-2.0 gpl-3.0 "
    "lgpl lgpl-2.1 lgpl-3.0 isc lppl-1.3c mpl-2.0 odbl odc-by ofl-1.1 artistic-2.0 afl-3.0 bsl-1.0 ms-pl ncsa "
    "osl-3.0 pddl postgresql unlicense zlib".split()
)
UNKNOWN = "unknown"
POINTS = 6
_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>()#|~!$&])")


def render(summary: Mapping[str, Any]) -> str:
    """README.md of the model that a run's summary (its shape: `train/result.py`) tells of."""
    spec = _spec(summary)
    parts = [
        f"---\n{_front_matter(summary, spec)}---",
        f"# {text(_of(summary, 'run').get('name') or 'Text embeddings')}",
        _what_it_is(summary, spec),
        _use(summary),
        _evaluation(summary),
        _data(summary),
        _licences(summary),
        _training(summary, spec),
        _limits(summary),
        _reproduce(summary),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def text(thing: Any) -> str:
    """Anything as Markdown that says it and does nothing else."""
    return _MARKDOWN.sub(r"\\\1", show.fact(thing))


def code(thing: Any) -> str:
    """A code span, whatever backticks it holds."""
    told = show.fact(thing)
    if "`" in told:
        ticks = "`" * (1 + max(len(run) for run in re.findall("`+", told)))
        return f"{ticks} {told} {ticks}"
    return f"`{told}`"


def fenced(block: str, language: str) -> str:
    """A code block, whatever backticks it holds."""
    block = show.lines(block).rstrip("\n")
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", block)), default=0))
    return f"{fence}{language}\n{block}\n{fence}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> str:
    """A Markdown table of ready cells; the first `left` columns are text, the others numbers."""
    rule = ["---"] * left + ["---:"] * (len(head) - left)
    return "\n".join(f"| {' | '.join(row).replace(chr(10), ' ')} |" for row in (head, rule, *rows))


def _of(data: Mapping[str, Any], key: str) -> dict[str, Any]:
    return data.get(key) or {}


def _spec(summary: Mapping[str, Any]) -> dict[str, Any]:
    try:
        found = yaml.safe_load(str(summary.get("spec") or ""))
    except yaml.YAMLError:
        return {}
    return found if isinstance(found, dict) else {}


# -- front matter ------------------------------------------------------------------------------------------------


def _front_matter(summary: Mapping[str, Any], spec: Mapping[str, Any]) -> str:
    known = sorted({code.split("-")[0] for code in languages(summary, spec)})
    told = {
        **({"language": known} if known else {}),
        **licence(summary),
        "library_name": "sentence-transformers",
        "pipeline_tag": "sentence-similarity",
        "tags": TAGS,
    }
    return yaml.safe_dump(told, sort_keys=False, allow_unicode=True)


def languages(summary: Mapping[str, Any], spec: Mapping[str, Any]) -> list[str]:
    """Codes of the languages trained on: of the groups' pairs, of the runs, of what the spec's entries ask for."""
    found: set[str] = set()
    for group in summary.get("groups") or []:
        found.update(evaluations.languages(str(group.get("name"))) or ())
    for run in _of(summary, "lineage").get("runs") or []:
        found.update(str(code) for code in run.get("languages") or ())
    for entry in spec.get("data") or []:
        for asked in entry.get("languages") or ():
            found.update(evaluations.languages(f"/{asked}") or (str(asked),))
    return sorted(code for code in found if re.fullmatch(r"[a-z]{2,3}(-[A-Za-z0-9]+)*", code))


def licences(summary: Mapping[str, Any]) -> dict[str, str]:
    """Licence by data source and by model that went in; `unknown` where none is recorded."""
    lineage = _of(summary, "lineage")
    recorded = _of(lineage, "licences")
    runs = lineage.get("runs") or []
    curated = {run.get("entry") for run in runs}
    sources = [name for run in runs for name in run.get("sources") or ()]
    sources += [name for name in _of(summary, "data") if name not in curated]
    data = {name: str(recorded.get(name) or UNKNOWN) for name in dict.fromkeys([*sources, *recorded])}
    models = {
        f"{role} ({place_name(place)})": str((place or {}).get("licence") or UNKNOWN)
        for role, place in _of(lineage, "models").items()
    }
    return data | models


def licence(summary: Mapping[str, Any]) -> dict[str, str]:
    """The front matter's licence: that of all, if all have the same one; else `other`."""
    named = {name.lower() for name in licences(summary).values()}
    one = named.pop() if len(named) == 1 else UNKNOWN
    if one in HUB_LICENCES:
        return {"license": one}
    return {"license": "other"} | ({} if one == UNKNOWN else {"license_name": one})


def place_name(place: Mapping[str, Any] | None) -> str:
    """Where a model came from, in a word: package, run, or path without its folders."""
    place = place or {}
    named = place.get("package") or place.get("run") or place.get("path")
    return show.one_line(str(named or "unnamed")).rstrip("/").rpartition("/")[2]


# -- sections ----------------------------------------------------------------------------------------------------


def _what_it_is(summary: Mapping[str, Any], spec: Mapping[str, Any]) -> str:
    model = _of(summary, "model")
    spoken = languages(summary, spec)
    base = _of(_of(summary, "lineage"), "models").get("model")
    origin = f"It was trained from {code(place_name(base))}" if base else "It was trained from scratch"
    told = [
        f"A sentence-transformers model: it maps texts to vectors of {show.value(model.get('dimension'))} numbers, "
        f"for retrieval, similarity, clustering and bitext mining. {origin} by [Pairmill] run "
        f"{code(_of(summary, 'run').get('id'))}.".replace("[Pairmill]", "Pairmill"),
        table(
            ["", ""],
            [
                ["Architecture", text(model.get("type"))],
                ["Parameters", f"{show.value(model.get('parameters'))}, of which trained {_trained(model)}"],
                ["Dimension", show.value(model.get("dimension"))],
                ["Longest input", f"{show.value(model.get('max_length'))} tokens"],
                ["Vocabulary", f"{show.value(model.get('vocabulary'))} tokens"],
                ["Pooling", f"{text(model.get('pooling'))}{', unit length' if model.get('normalize') else ''}"],
                ["Languages trained on", ", ".join(map(text, spoken)) if spoken else "not recorded"],
            ],
            left=2,
        ),
    ]
    return "\n\n".join(told)


def _trained(model: Mapping[str, Any]) -> str:
    trained, all_ = model.get("trained"), model.get("parameters")
    if not isinstance(trained, (int, float)) or not all_:
        return "–"
    return f"{show.value(trained)} ({show.share(trained, all_)})"


def _use(summary: Mapping[str, Any]) -> str:
    model = _of(summary, "model")
    prompts = {str(name): str(prompt) for name, prompt in _of(model, "prompts").items()}
    named = [f', prompt_name={json.dumps(name)}' for name in prompts] or [""]
    sides = [named[0], named[1] if len(named) > 1 else named[0]]
    snippet = f"""from sentence_transformers import SentenceTransformer

model = SentenceTransformer({json.dumps(str(model.get("place") or "path/to/this/directory"))})
queries = model.encode(["How long does the trip take?"]{sides[0]})
texts = model.encode(["The train needs two hours.", "Bread is baked in the morning."]{sides[1]})
print(model.similarity(queries, texts))"""
    told = ["## Use", "Install it with `pip install sentence-transformers`.", fenced(snippet, "python")]
    if prompts:
        told += [
            "The model was trained with these texts before its inputs; they are in its configuration, chosen by name:",
            table(["Prompt name", "Text put before"], ([code(n), code(json.dumps(p, ensure_ascii=False))] for n, p in prompts.items()), 2),
        ]
    return "\n\n".join(told)


def _evaluation(summary: Mapping[str, Any]) -> str:
    found = evaluations.groups(summary)
    if not found:
        return "## Evaluation\n\nNo rows were held out, so nothing was measured."
    by_kind = {kind: [group for group in found if group.kind == kind] for kind in ("retrieval", "scored", "masked")}
    told = ["## Evaluation", "On rows held out before training, before it and after it."]
    if by_kind["retrieval"]:
        told += [
            "Accuracy of finding a row's other side among those of all held-out rows of its group, with 95 % intervals "
            "(Wilson):",
            _retrieval(by_kind["retrieval"]),
        ]
    if by_kind["scored"]:
        rows = ([text(g.name), show.whole(g.rows), *_both(g, "spearman")] for g in by_kind["scored"])
        told += ["Spearman's correlation of cosine and gold score:", table(["Group", "Rows", "Before", "After"], rows)]
    if by_kind["masked"]:
        told += ["Masked tokens, beside a unigram model:", _masked(by_kind["masked"])]
    return "\n\n".join(told)


def _retrieval(found: Sequence[Group]) -> str:
    rows = []
    for group in found:
        for start, end, before, after in group.ways():
            cells = [f"{percent(f.get('accuracy'))} ({interval(f.get('interval'))})" if f else "–" for f in (before, after)]
            gained = change(before.get("accuracy"), after.get("accuracy"))
            mrr = show.value(after.get("mrr"))
            rows.append([text(group.name), f"{text(start)} → {text(end)}", show.whole(group.rows), *cells, gained, mrr])
    return table(["Group", "From → to", "Rows", "Before", "After", "Points", "MRR after"], rows, 2)


def _both(group: Group, figure: str) -> list[str]:
    return [show.value(side.get(figure)) for side in (group.before, group.after)]


def _masked(found: Sequence[Group]) -> str:
    names = ("loss", "unigram_loss", "accuracy", "unigram_accuracy")
    rows = ([text(g.name), show.whole(g.rows), *(show.value(g.after.get(name)) for name in names)] for g in found)
    return table(["Group", "Rows", "Loss", "Unigram loss", "Accuracy", "Unigram accuracy"], rows)


def _data(summary: Mapping[str, Any]) -> str:
    rows = []
    for name, entry in _of(summary, "data").items():
        dropped = _of(entry, "dropped")
        why = ", ".join(f"{text(reason)} {show.whole(count)}" for reason, count in dropped.items()) or "–"
        counts = [show.value(entry.get(key)) for key in ("rows_in", "used", "held_out")]
        rows.append([text(name), *counts, show.whole(sum(dropped.values())), why])
    told = ["## Training data"]
    if rows:
        told.append(table(["Entry", "Rows in", "Used", "Held out", "Dropped", "Dropped for"], rows))
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
    if licence(summary)["license"] == "other":
        told.append("What went into this model has not one known licence, so the model card names none for it:")
    told.append(table(["Source or model", "Licence"], ([text(name), text(one)] for name, one in found.items()), 2))
    return "\n\n".join(told)


def _training(summary: Mapping[str, Any], spec: Mapping[str, Any]) -> str:
    training = _of(summary, "training")
    if not training:
        return ""
    optimizer = _of(spec, "optimizer")
    pairs = [
        ("Steps", f"{show.value(training.get('steps'))}{', stopped early' if training.get('stopped_early') else ''}"),
        ("Rows per step", spec.get("batch_size")),
        ("Rows, tokens", f"{show.value(training.get('rows'))}, {show.value(training.get('tokens'))}"),
        ("Objective", spec.get("objective")),
        ("Matryoshka", spec.get("matryoshka")),
        *((f"Optimiser: {name}", value) for name, value in optimizer.items()),
        ("Precision", spec.get("precision")),
        ("Seed", spec.get("seed")),
        ("Time", f"{show.duration(training.get('seconds'))}, {show.value(training.get('cpu_seconds'))} CPU seconds"),
    ]
    rows = [[name, code(told) if isinstance(told, (dict, list)) else text(told)] for name, told in pairs if told is not None]
    return "\n\n".join(["## Training", table(["", ""], rows, 2), *_curve(summary.get("curve") or [])])


def _curve(curve: Sequence[Mapping[str, Any]]) -> list[str]:
    if not curve:
        return []
    count = min(POINTS, len(curve))
    places = sorted({round(i * (len(curve) - 1) / max(1, count - 1)) for i in range(count)})
    names = [name for name in ("loss", "accuracy", "lr", "gradient_norm") if any(name in point for point in curve)]
    rows = ([show.value(curve[i].get("step")), *(show.value(curve[i].get(name)) for name in names)] for i in places)
    heads = {"loss": "Loss", "accuracy": "Accuracy in the batch", "lr": "Learning rate", "gradient_norm": "Gradient norm"}
    return ["The course of training:", table(["Step", *(heads[name] for name in names)], rows, 0)]


def _limits(summary: Mapping[str, Any]) -> str:
    return (
        "## Limits\n\nThe figures above are of held-out rows of the training data's own sources; other domains and "
        f"languages were not measured. Inputs beyond {show.value(_of(summary, 'model').get('max_length'))} tokens are "
        "cut. The model carries the biases of its data."
    )


def _reproduce(summary: Mapping[str, Any]) -> str:
    command, spec = str(summary.get("command") or ""), str(summary.get("spec") or "")
    told = ["## Reproduce"]
    told += [fenced(command, "bash")] if command else []
    told += ["The resolved spec:", fenced(spec, "yaml")] if spec else []
    return "\n\n".join(told) if len(told) > 1 else ""
