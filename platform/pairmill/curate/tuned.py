"""A spec with the thresholds that autotune proposes, each with its evidence as a comment."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import yaml

from pairmill.curate.autotune import CORE, Proposal
from pairmill.spec.load import LoadedSpec, loads

_MARK = "__per_pair__"


def tuned_spec(loaded: LoadedSpec, proposals: list[Proposal], how: str) -> str:
    """The spec as YAML with the proposals under `filters.per_pair`; what the spec says there itself stays.

    `how` goes into the head comment: which sample and method. The result is checked like any spec.
    """
    public = dict(loaded.public)
    filters = dict(public["filters"])
    own: dict[str, dict[str, Any]] = filters.get("per_pair") or {}
    by_pair: dict[str, list[Proposal]] = defaultdict(list)
    for proposal in proposals:
        by_pair[proposal.pair].append(proposal)
    filters["per_pair"] = _MARK
    text = yaml.safe_dump({**public, "filters": filters}, sort_keys=False, allow_unicode=True)
    block = [line for pair in sorted({*own, *by_pair}) for line in _pair(pair, own.get(pair, {}), by_pair[pair])]
    text = text.replace(f"per_pair: {_MARK}", "per_pair:" + ("".join(f"\n    {line}" for line in block) or " {}"))
    text = f"# Thresholds by pairmill autotune ({how}).\n" + text
    loads(text, "the tuned spec")
    return text


def _pair(pair: str, own: dict[str, Any], proposals: list[Proposal]) -> list[str]:
    lines = [f"{pair}:" + (f"  # {proposals[0].rows:,} rows" if proposals else "")]
    for rule, setting in own.items():
        lines.append(f"  {rule}: {yaml.safe_dump(setting, default_flow_style=True).splitlines()[0]}")
    by_rule: dict[str, list[Proposal]] = defaultdict(list)
    for proposal in proposals:
        by_rule[proposal.rule].append(proposal)
    for rule, ends in by_rule.items():
        bounds = ", ".join(f"{end.end}: {end.bound:g}" for end in sorted(ends, key=lambda end: end.end != "min"))
        lines.append(f"  {rule}: {{{bounds}}}  # {'; '.join(map(_evidence, ends))}")
    return lines


def _evidence(found: Proposal) -> str:
    tenth = f"{CORE:.0%}" if found.end == "max" else f"{1 - CORE:.0%}"
    return (
        f"median {found.median:.3g}, {tenth} quantile {found.core:.3g}; was {found.before:g}; "
        f"rejects {found.rejects:.1%} (was {found.rejected_before:.1%})"
    )
