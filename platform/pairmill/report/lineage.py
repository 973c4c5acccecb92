"""What a trained model came from: licences, languages and base models, as card and page tell them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pairmill.report import evaluations, show

#: Licences that the hub knows by name (hub-docs, repositories-licenses.md).
HUB_LICENCES = frozenset(
    """afl-3.0 agpl-3.0 apache-2.0 artistic-2.0 bsd bsd-2-clause bsd-3-clause bsd-3-clause-clear bsl-1.0 c-uda cc
    cc-by-2.0 cc-by-2.5 cc-by-3.0 cc-by-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0
    cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cc-by-nd-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc0-1.0
    cdla-permissive-1.0 cdla-permissive-2.0 cdla-sharing-1.0 ecl-2.0 epl-1.0 epl-2.0 etalab-2.0 eupl-1.1 eupl-1.2
    gfdl gpl gpl-2.0 gpl-3.0 isc lgpl lgpl-2.1 lgpl-3.0 lppl-1.3c mit mpl-2.0 ms-pl ncsa odbl odc-by ofl-1.1 osl-3.0
    pddl postgresql unlicense wtfpl zlib""".split()  # noqa: SIM905
)
UNKNOWN = "unknown"
_CODE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]+)*")


def licences(summary: Mapping[str, Any]) -> dict[str, str]:
    """Licence by data source and by model that went in; `unknown` where none is recorded."""
    lineage = summary.get("lineage") or {}
    recorded, runs = lineage.get("licences") or {}, lineage.get("runs") or []
    curated = {run.get("entry") for run in runs}
    sources = [name for run in runs for name in run.get("sources") or ()]
    sources += [name for name in summary.get("data") or () if name not in curated]
    data = {name: str(recorded.get(name) or UNKNOWN) for name in dict.fromkeys([*sources, *recorded])}
    models = {
        f"{role} ({place_name(place)})": str((place or {}).get("licence") or UNKNOWN)
        for role, place in (lineage.get("models") or {}).items()
    }
    return data | models


def common_licence(summary: Mapping[str, Any]) -> str | None:
    """The one licence, in lower case, of all data and models that went in; None where they differ or one is unknown."""
    named = {name.lower() for name in licences(summary).values()}
    one = named.pop() if len(named) == 1 else UNKNOWN
    return None if one == UNKNOWN else one


def place_name(place: Mapping[str, Any] | None) -> str:
    """Where a model came from, in a word: package, run, or path without its folders."""
    place = place or {}
    named = place.get("package") or place.get("run") or place.get("path")
    return show.one_line(str(named or "unnamed")).rstrip("/").rpartition("/")[2]


def languages(summary: Mapping[str, Any], spec: Mapping[str, Any]) -> list[str]:
    """Codes of the languages trained on: of the groups' pairs, of the runs, and of what the spec's entries name."""
    found: set[str] = set()
    for group in summary.get("groups") or []:
        found.update(evaluations.languages(str(group.get("name"))) or ())
    for run in (summary.get("lineage") or {}).get("runs") or []:
        found.update(map(str, run.get("languages") or ()))
    for entry in spec.get("data") or []:
        for asked in entry.get("languages") or ():
            found.update(evaluations.languages(f"/{asked}") or (str(asked),))
        declared = (entry.get("input") or {}).get("langs") or {}
        found.update(str(language) for language in declared.values() if language)
    return sorted(code for code in found if _CODE.fullmatch(code) and code not in evaluations.UNKNOWN)
