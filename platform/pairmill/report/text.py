"""What the command line prints at the end of a run: its ledger or its learning in a few lines, where its report is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pairmill.pairs.ledger import Counts
from pairmill.report import embed_view, evaluate_view, evaluations, mine_view, sweep_view, tokenizer_view
from pairmill.report.evaluations import Group, interval, percent
from pairmill.report.key_figures import key_figures
from pairmill.report.show import duration, fact, one_line, plural, share, value, whole

REASONS_NAMED = 4
GROUPS_NAMED = 12


def report_uri(run: Mapping[str, Any]) -> str:
    """`<storage>/runs/<id>/report.html`."""
    return f"{str(run.get('storage') or '.').rstrip('/')}/runs/{run.get('id') or 'unknown'}/report.html"


def largest(counts: Mapping[str, int], named: int = REASONS_NAMED) -> str:
    """`near_duplicate 1,200 · script 80 · 3 more 9`, the largest first."""
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    parts = [f"{one_line(name)} {whole(count)}" for name, count in ranked[:named]]
    if len(ranked) > named:
        parts.append(f"{len(ranked) - named} more {whole(sum(count for _, count in ranked[named:]))}")
    return " · ".join(parts)


def summarise(summary: Mapping[str, Any]) -> str:
    """Some lines of plain text, safe to print whatever the input's names hold. No trailing line break."""
    run = summary.get("run") or {}
    tell = {
        "embed": embed_view.lines,
        "evaluate": evaluate_view.lines,
        "mine": mine_view.lines,
        "pipeline": _pipeline,
        "pretrain": _training,
        "sweep": sweep_view.lines,
        "tokenizer": tokenizer_view.lines,
        "train": _training,
    }.get(str(run.get("kind")), _curating)
    took = "" if run.get("seconds") is None else f" in {duration(run['seconds'])}"
    head = f"{one_line(str(run.get('id') or 'unknown'))}  {fact(run.get('state') or 'unknown')}{took}"
    return "\n".join([head, *tell(summary), f"  {'report':<12}{one_line(report_uri(run), 4096)}"])


def _curating(summary: Mapping[str, Any]) -> list[str]:
    total = Counts.from_json((summary.get("ledger") or {}).get("total") or {})
    rejected, unreadable = total.rejected.total(), total.quarantine.total()
    table = [
        (
            "rows in",
            whole(total.rows_in),
            f"from {whole(total.records_in)} records"
            + (f", {whole(total.no_pair.total())} without a pair" if total.no_pair.total() else ""),
        ),
        ("kept", whole(total.kept), share(total.kept, total.rows_in)),
        ("rejected", whole(rejected), largest(total.rejected)),
        ("quarantine", whole(unreadable), largest(total.quarantine)),
    ]
    wide = max(len(count) for _, count, _ in table)
    body = [f"  {name:<12}{count:>{wide}}  {note}".rstrip() for name, count, note in table]
    return [*body, *_broken(summary)]


def _broken(summary: Mapping[str, Any]) -> list[str]:
    return [
        f"  {'expected':<12}{fact(item.get('what'))}: found {value(item.get('found'))}, "
        f"allowed {fact(item.get('allowed'))}. Does not hold."
        for item in summary.get("expectations") or []
        if not item.get("holds")
    ]


def _training(summary: Mapping[str, Any]) -> list[str]:
    training, model = summary.get("training") or {}, summary.get("model") or {}
    early = ", stopped early" if training.get("stopped_early") else ""
    speed = f"{value(training.get('rows_per_second'))} rows/s, {value(training.get('tokens_per_second'))} tokens/s"
    ends = evaluations.losses(summary.get("curve") or [])
    return [
        f"  {'steps':<12}{value(training.get('steps'))}{early}, {speed}",
        *([f"  {'loss':<12}{value(ends[0])} → {value(ends[1])}, first and last tenth"] if ends else []),
        *_held_out(evaluations.groups(summary)),
        *([f"  {'model':<12}{one_line(str(model['place']), 4096)}"] if model.get("place") else []),
    ]


def _held_out(found: Sequence[Group]) -> list[str]:
    """A line per group: before → after, with the 95 % interval of what is after."""
    shown = found[:GROUPS_NAMED]
    names = [one_line(group.name, 60) for group in shown]
    wide = max(map(len, names), default=0)
    told = [f"{name:<{wide}}  {_figures(group)}" for name, group in zip(names, shown, strict=True)]
    told += [f"and {plural(len(found) - len(shown), 'more group')}"] if len(found) > len(shown) else []
    return [f"  {'' if number else 'held out':<12}{line}" for number, line in enumerate(told)]


def _figures(group: Group) -> str:
    if group.kind == "scored":
        return f"Spearman {_both(group, 'spearman')}, {plural(group.rows, 'row')}"
    if group.kind == "masked":
        return (
            f"loss {_both(group, 'loss')} (unigram {value(group.after.get('unigram_loss'))}), accuracy "
            f"{percent(group.after.get('accuracy'))} (unigram {percent(group.after.get('unigram_accuracy'))})"
            + (". No better than guessing: lower lr, or train longer" if group.unlearnt else "")
        )
    ways = []
    for start, end, before, after in group.ways():
        first = f"{percent(before.get('accuracy'))} → " if before else ""
        ways.append(f"{start} to {end} {first}{percent(after.get('accuracy'))} ({interval(after.get('interval'))})")
    return f"{', '.join(ways)}, {plural(group.rows, 'row')}"


def _both(group: Group, figure: str) -> str:
    before = group.before.get(figure)
    return value(group.after.get(figure)) if before is None else f"{value(before)} → {value(group.after.get(figure))}"


def _pipeline(summary: Mapping[str, Any]) -> list[str]:
    """A line per step, then what its training gained."""
    steps = summary.get("steps") or []
    names = [one_line(str(step.get("name")), 40) for step in steps]
    wide = max([12, *(len(name) + 2 for name in names)])
    told = []
    for name, step in zip(names, steps, strict=True):
        how = "reused" if step.get("reused") else f"{fact(step.get('state'))} in {duration(step.get('seconds'))}"
        figures = ", ".join(f"{label} {one}" for label, one in key_figures(step))
        told.append(f"  {name:<{wide}}{fact(step.get('kind'))} {how}{': ' if figures else ''}{figures}")
        told += _held_out(evaluations.groups(step.get("summary") or {}))
    return [*told, *_broken(summary)]
