"""From committed units to what people and other jobs read: ledger, manifest of files, summary, report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from pairmill import __version__
from pairmill.curate import against, select, shardfiles, thresholds
from pairmill.curate.decontamination import stages as decontamination
from pairmill.curate.samples import Samples
from pairmill.curate.statistics import Statistics
from pairmill.pairs import sources
from pairmill.pairs.ledger import Counts, ledger
from pairmill.runs.record import Run
from pairmill.runs.storage import Storage
from pairmill.runs.units import digest
from pairmill.spec.curate import CurateSpec
from pairmill.spec.load import LoadedSpec
from pairmill.spec.rule import Rule

QUARANTINE_SHOWN = 200


@dataclass
class Collected:
    """The sums over all units of a run."""

    counts: dict[str, Counts]
    files: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    #: Rows by input, the two languages ("": not known) and reason or "kept".
    by_pair: dict[tuple[str, str, str], Counter[str]] = field(default_factory=dict)
    identified: Counter[tuple[str, str]] = field(default_factory=Counter)
    cleaning: Counter[str] = field(default_factory=Counter)
    samples: Samples = field(default_factory=lambda: Samples(0))
    statistics: Statistics = field(default_factory=lambda: Statistics([], 0))
    quarantine: list[dict[str, Any]] = field(default_factory=list)
    resources: dict[str, Any] = field(default_factory=dict)
    keys: dict[int, str] = field(default_factory=dict)

    @property
    def languages(self) -> dict[tuple[str, str], Counter[str]]:
        """The same by languages alone."""
        return by_languages(self.by_pair)


def collect(storage: Storage, run: Run, spec: CurateSpec, plan: list[dict[str, Any]]) -> Collected:
    """Read every unit's manifest and add up. Raises PairmillError where the ledger does not balance."""
    collected = Collected({spec_input.name: Counts() for spec_input in spec.inputs})
    collected.samples = Samples(spec.report.samples_per_reason)
    collected.statistics = Statistics(select.score_columns(spec), 0)
    work: dict[str, list[dict[str, Any]]] = {"annotate": [], "select": []}
    units = run.units(select.STAGE)
    for shard in plan:
        collected.keys[shard["index"]] = shard["key"]
        counts = collected.counts[shard["input"]]
        for chunk in shardfiles.chunks(storage, shard["key"]):
            _add_chunk(collected, counts, chunk)
            work["annotate"].append(chunk["record"])
        selected = units.get(f"{shard['index']:06d}")
        assert selected is not None, "select is committed before the run is finished"
        _add_selected(storage, collected, counts, shard, selected)
        work["select"].append(selected["record"])
    if found := run.units(decontamination.STAGE).get(decontamination.MERGED):
        collected.files["contamination"] = [{"path": found["file"], "rows": found["rows"], "shard": None}]
    collected.resources = {stage: used(records) for stage, records in work.items()}
    return collected


def used(records: list[dict[str, Any]]) -> dict[str, Any]:
    """What a stage's units took, by their records."""
    return {
        "cpu_seconds": round(sum(r["cpu_seconds"] for r in records), 2),
        "peak_rss": max((r["peak_rss"] for r in records), default=0),
    }


def _add_chunk(collected: Collected, counts: Counts, chunk: dict[str, Any]) -> None:
    unreadable = sum(chunk["quarantine"].values())
    counts.add(
        Counts(
            chunk["records"],
            chunk["parsed"],
            chunk["rows"] + unreadable,
            0,
            Counter(chunk["no_pair"]),
            Counter(),
            Counter(chunk["quarantine"]),
        )
    )
    collected.cleaning.update(chunk["cleaning"])
    for declared, identified, rows in chunk["languages"]:
        collected.identified[declared, identified] += rows


def _add_selected(
    storage: Storage, collected: Collected, counts: Counts, shard: dict[str, Any], selected: dict[str, Any]
) -> None:
    counts.add(Counts(kept=selected["kept"], rejected=Counter(selected["rejected"])))
    add_languages(collected.by_pair, selected["languages"])
    collected.statistics.merge(storage, selected["statistics"])
    rows = {"kept": selected["kept"], "rejected": sum(selected["rejected"].values()), "dedup_index": selected["kept"]}
    for part, path in selected["files"].items():
        collected.files.setdefault(part, []).append({"path": path, "rows": rows[part], "shard": shard["index"]})
    collected.samples.merge(storage.get_json(selected["samples"]) or {})
    if selected["quarantine"]:
        quarantine = selected["quarantine"]
        collected.files.setdefault("quarantine", []).append(
            {"path": quarantine["file"], "rows": quarantine["rows"], "shard": shard["index"]}
        )
        if len(collected.quarantine) < QUARANTINE_SHOWN:
            with storage.open_parquet(quarantine["file"]) as file:
                for batch in file.iter_batches(50):
                    collected.quarantine += [_preview(row) for row in batch.to_pylist()]
                    if len(collected.quarantine) >= QUARANTINE_SHOWN:
                        break


def add_languages(by_pair: dict[tuple[str, str, str], Counter[str]], languages: list[list[Any]]) -> None:
    """Add the `languages` of a unit of the stage select."""
    for source, anchor, positive, reasons in languages:
        by_pair.setdefault((source, anchor, positive), Counter()).update(reasons)


def by_languages(by_pair: dict[tuple[str, str, str], Counter[str]]) -> dict[tuple[str, str], Counter[str]]:
    languages: dict[tuple[str, str], Counter[str]] = {}
    for (_, anchor, positive), reasons in sorted(by_pair.items()):
        languages.setdefault((anchor, positive), Counter()).update(reasons)
    return languages


def _preview(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "data": (row["data"] or b"")[:500].decode("utf-8", "replace")}


def input_facts(loaded: LoadedSpec, found: dict[str, list[sources.SourceFile]]) -> list[dict[str, Any]]:
    """One row per input, in the spec's own words: `${env:...}` stays unread."""
    facts = []
    for given in loaded.public["inputs"]:
        files = found[given["name"]]
        facts.append(
            {
                "name": given["name"],
                "format": given["format"],
                "path": ", ".join(given.get("path") or given.get("packages") or []),
                "files": len(files),
                "bytes": sum(file.size for file in files),
                "fingerprint": digest([[list(file.uris), file.fingerprint] for file in files]),
                "licence": given["licence"],
                "language": given["language"],
            }
        )
    return facts


def summary(
    collected: Collected,
    run: Run,
    loaded: LoadedSpec,
    found: dict[str, list[sources.SourceFile]],
    facts: dict[str, Any],
) -> dict[str, Any]:
    """What the report shows and the command line prints, as plain JSON. Checks the ledger."""
    spec = loaded.spec
    balance = ledger(collected.counts)
    rejected = balance["total"]["rejected"]
    return {
        "run": {
            "id": run.id,
            "name": spec.name,
            "state": "done",
            "started": facts["started"],
            "finished": facts["finished"],
            "seconds": facts["seconds"],
            "storage": run.storage.uri,
            "resources": collected.resources,
            "versions": {"pairmill": __version__, "ray": facts["cluster"]["ray"], "models": facts["models"]},
        },
        "spec": loaded.yaml(),
        "command": facts["command"],
        "ledger": balance,
        "inputs": input_facts(loaded, found),
        **language_rows(collected.by_pair),
        **collected.statistics.summary(score_facts(thresholds.scored_rules(spec))),
        "declared_identified": [
            {"declared": declared or None, "identified": identified or None, "rows": rows}
            for (declared, identified), rows in collected.identified.most_common()
        ],
        "cleaning": dict(collected.cleaning),
        "rules": [
            rule_row(rule, rejected) for rule in thresholds.active_rules(spec.filters, spec.language.min_confidence)
        ],
        "contamination": decontamination.facts(run.units(decontamination.STAGE)),
        "samples": _with_partners(run.storage, collected),
        "quarantine": collected.quarantine,
        "quarantine_total": sum(balance["total"]["quarantine"].values()),
    }


def language_rows(by_pair: dict[tuple[str, str, str], Counter[str]]) -> dict[str, list[dict[str, Any]]]:
    """The summary's `languages` and `by_pair`."""
    languages = [language_row(pair, reasons) for pair, reasons in sorted(by_languages(by_pair).items())]
    by_input = [{"input": key[0], **language_row(key[1:], reasons)} for key, reasons in sorted(by_pair.items())]
    return {"languages": languages, "by_pair": by_input}


def score_facts(rules: Iterable[Rule]) -> dict[str, dict[str, Any]]:
    """What a report says of each score column of some rules, by column."""
    return {
        column: {"rule": rule.name, "direction": rule.direction, "describe": rule.describe}
        for rule in rules
        for column in rule.columns
    }


def language_row(pair: tuple[str, str], reasons: Counter[str]) -> dict[str, Any]:
    return {
        "anchor_lang": pair[0] or None,
        "positive_lang": pair[1] or None,
        "rows": reasons.total(),
        "kept": reasons["kept"],
        "rejected": {reason: rows for reason, rows in reasons.most_common() if reason != "kept"},
    }


def rule_row(active: thresholds.ActiveRule, rejected: dict[str, int]) -> dict[str, Any]:
    rule = active.rule
    return {
        "name": rule.name,
        "describe": rule.describe,
        "source": rule.source,
        "direction": rule.direction,
        **active.to_json(),
        "rejected": rejected.get(rule.name, 0),
    }


def _with_partners(storage: Storage, collected: Collected) -> dict[str, list[dict[str, Any]]]:
    """The samples; a near duplicate's with the text of the row that stayed in its stead."""
    rows = collected.samples.rows()
    near = [row for row in rows.get("near_duplicate", []) if row["duplicate_run"] is None]
    partners = shardfiles.rows_at(
        storage, collected.keys, [row["duplicate_of"] for row in near], ["anchor", "positive"]
    )
    for row in near:
        partner = partners[row["duplicate_of"]]
        row["duplicate_text"] = f"{partner['anchor'][:2000]}\n{partner['positive'][:2000]}"
    return rows


def publish(run: Run, spec: CurateSpec, collected: Collected, summary: dict[str, Any]) -> dict[str, str]:
    """Write the generation's manifest and summary; return what run.json must name for readers to see them."""
    files = {"files": collected.files, "keys": collected.keys, "dedup_index": against.parameters(spec)}
    return run.publish(files, summary)
