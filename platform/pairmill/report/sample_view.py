"""Texts on the page: samples, duplicate groups, evaluation texts, what could not be read.

Each text becomes bounded markup (`text`), whatever it holds.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pairmill.pairs.ledger import Counts
from pairmill.report import show
from pairmill.report.heat import pair_name

QUARANTINE_CHARACTERS = 300
GROUPS_SHOWN, MEMBERS_SHOWN, CROSSINGS_SHOWN = 10, 5, 50
_LANGUAGE_TAG = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")


def text(content: str | None, language: str | None, characters: int) -> dict[str, Any]:
    """`html` is the visible part; `language` for people, `tag` for the lang attribute (null unless well formed)."""
    content = content or ""
    return {
        "html": show.marked(content, characters),
        "length": len(content),
        "cut": len(content) > characters,
        "shown": min(len(content), characters),
        "language": show.one_line(str(language), 35) if language else None,
        "tag": language if language and _LANGUAGE_TAG.fullmatch(language) else None,
    }


def texts(view: Any) -> Iterator[dict[str, Any]]:
    """Everything in a view that `text` made."""
    if isinstance(view, dict):
        if "html" in view:
            yield view
        else:
            for part in view.values():
                yield from texts(part)
    elif isinstance(view, list):
        for part in view:
            yield from texts(part)


def sample_groups(
    samples: Mapping[str, Sequence[Mapping[str, Any]]], total: Counts, characters: int, bound: int
) -> list[dict[str, Any]]:
    """Kept first, then reasons by rows rejected; each reason gets an equal part of the `bound` samples of the page."""
    counts = Counter({**total.rejected, "kept": total.kept})
    names = sorted((name for name in samples if samples[name]), key=lambda name: (name != "kept", -counts[name], name))
    each = max(1, bound // max(len(names), 1))
    return [
        {"name": name, "count": counts[name], "rows": [sample(row, characters) for row in samples[name][:each]]}
        for name in names
    ]


def choices(groups: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """What the samples can be filtered by: their sources and language pairs, by name."""
    rows = [row for group in groups for row in group["rows"]]
    return {key: sorted({row[key] for row in rows}) for key in ("source", "pair")}


def sample(row: Mapping[str, Any], characters: int) -> dict[str, Any]:
    """A sample row for the template: its texts as bounded markup, with their full lengths."""
    duplicate = row.get("duplicate_text")
    failed = [str(name) for name in row.get("failed") or [] if name != row.get("reason")]
    place = row.get("origin_row")
    return {
        "anchor": text(row.get("anchor"), row.get("anchor_lang"), characters),
        "positive": text(row.get("positive"), row.get("positive_lang"), characters),
        "duplicate": None if duplicate is None else text(duplicate, None, characters),
        "duplicate_of": _duplicate_of(row),
        "compared": show.compared(row.get("value"), row.get("threshold")),
        "failed": ", ".join(failed),
        "id": show.digits(row.get("pair_id")),
        "pair": pair_name(row),
        "source": show.one_line(str(row.get("source") or "–"), 64),
        "file": show.one_line(str(row.get("origin_file") or "–"), 160),
        "row": "" if place is None else show.digits(place),
    }


def _duplicate_of(row: Mapping[str, Any]) -> str | None:
    if row.get("duplicate_of") is None:
        return None
    number = show.digits(row["duplicate_of"])
    return f"{number} of run {show.one_line(row['duplicate_run'], 120)}" if row.get("duplicate_run") else number


def contamination(facts: Mapping[str, Any] | None, characters: int, bound: int) -> dict[str, Any] | None:
    """Hits per evaluation set, and a sample of them with the evaluation's text and the row's; None: not looked for.

    `bound`: samples in the whole page, of which these are a tenth at most.
    """
    if not facts:
        return None
    samples = [
        {
            **{key: show.one_line(str(row.get(key) or "–"), 160) for key in ("set", "kind", "side", "evaluation_file")},
            "share": show.share(row.get("share") or 0, 1),
            "evaluation": text(row.get("evaluation_text"), None, characters),
            "around": text(row.get("around"), None, characters),
            "id": show.digits(row.get("pair_id")),
            "row": show.digits(row.get("evaluation_row")),
        }
        for row in (facts.get("samples") or [])[: max(1, bound // 10)]
    ]
    sets = [
        {**item, "kinds": ", ".join(f"{kind} {count:,}" for kind, count in (item.get("kinds") or {}).items())}
        for item in facts.get("sets") or []
    ]
    return {"sets": sets, "samples": samples}


def duplicates(facts: Mapping[str, Any] | None, characters: int) -> dict[str, Any] | None:
    """Groups by size, the largest with their texts, and between which inputs; None: not counted."""
    if not facts:
        return None
    within, across = int(facts.get("within") or 0), int(facts.get("across") or 0)
    kinds = [(kind, facts[kind]) for kind in ("exact", "near") if facts.get(kind)]
    return {
        "share": float(facts.get("share") or 1),
        "kinds": [(kind, int(item.get("groups") or 0), int(item.get("rows") or 0)) for kind, item in kinds],
        "sizes": _sizes(facts.get("sizes") or []),
        "within": within,
        "across": across,
        "across_share": show.share(across, within + across),
        "pairs": [(show.fact(a), show.fact(b), rows) for a, b, rows in (facts.get("pairs") or [])[:CROSSINGS_SHOWN]],
        "largest": [_group(group, characters) for group in (facts.get("largest") or [])[:GROUPS_SHOWN]],
    }


def _sizes(bins: Sequence[tuple[int, int, int]]) -> list[tuple[str, int, float]]:
    """(rows of a group, groups, width of their bar in percent) of bins (lowest size, highest size, groups)."""
    most = max((groups for *_, groups in bins), default=0) or 1
    return [
        (show.whole(low) if low == high else f"{low:,}–{high:,}", groups, round(100 * (groups / most) ** 0.5, 2))
        for low, high, groups in bins
    ]


def _group(group: Mapping[str, Any], characters: int) -> dict[str, Any]:
    kept = group.get("kept_text")
    members = (group.get("members") or [])[:MEMBERS_SHOWN]
    opening = " / ".join(str(kept or next((member.get("text") for member in members), "")).split("\n"))
    return {
        "size": int(group.get("size") or 0),
        "language": show.one_line(str(group.get("language") or "–"), 70),
        "opening": show.one_line(opening[:100]),
        "kept": None if kept is None else text(kept, None, characters),
        "members": [
            {
                "source": show.one_line(str(member.get("source") or "–"), 64),
                "text": text(member.get("text"), None, characters),
            }
            for member in members
        ],
    }


def quarantined(entry: Mapping[str, Any]) -> dict[str, Any]:
    """A quarantine entry for the template, its data bounded."""
    data = str(entry.get("data") or "")
    cut = len(data) > QUARANTINE_CHARACTERS
    return {
        **{key: show.digits(entry.get(key)) for key in ("error", "detail", "origin_file", "origin_row", "offset")},
        "data": show.marked(data, QUARANTINE_CHARACTERS),
        "cut": cut,
    }
