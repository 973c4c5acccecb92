"""The embed job: from a checked spec to vectors that other jobs read (`embed/vectors.py`).

One stage: units of texts (`embed/texts.py`) become files of vectors (`embed/unit.py`). A unit is known by its texts,
the model's checksum, precision, dimensions and prompt, so that a job killed anywhere goes on with the units it lacks.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from pairmill.embed import texts
from pairmill.embed.engine import checksum_of, prompt_text
from pairmill.embed.unit import embed_unit
from pairmill.errors import SpecError
from pairmill.model import loading, places
from pairmill.report import embed_page
from pairmill.runs import engine
from pairmill.runs.job import Job, Outcome, Say
from pairmill.runs.storage import Storage
from pairmill.runs.units import digest
from pairmill.spec.embed import EmbedSpec
from pairmill.spec.load import LoadedSpec
from pairmill.spec.model import Encoder

VERSIONS = {"embed": 1}


class Embed(Job):
    """One attempt at an embed run."""

    kind = "embed"
    spec: EmbedSpec

    def __init__(self, loaded: LoadedSpec, storage: Storage, command: str, say: Say):
        super().__init__(loaded, storage, command, say)
        spec = self.spec
        size = spec.resources.shard_size
        self.found = {one.name: texts.find(storage.uri, i, one, size) for i, one in enumerate(spec.data)}
        self.model, self.prompts = describe(spec, storage.uri)

    def meaning(self) -> dict[str, Any]:
        spec = {name: value for name, value in self.spec_meaning().items() if name not in ("model", "data")}
        data = [[one.name, self.prompts[one.name], self.found[one.name].meaning] for one in self.spec.data]
        return {"spec": spec, "model": self.model, "data": data, "versions": VERSIONS}

    def facts(self) -> dict[str, Any]:
        runs = {name: found.run for name, found in self.found.items() if found.run is not None}
        model = self.spec.model
        licences = {f"{name}/{source}": told for name, run in runs.items() for source, told in run.licences.items()}
        return {
            "versions": {"stages": VERSIONS},
            "parents": [*dict.fromkeys(run.id for run in runs.values()), *([model.run] if model.run else [])],
            "inputs": [self._input(one.name) for one in self.spec.data],
            "models": {"model": self.model["checksum"]},
            "licences": licences,
        }

    def _input(self, name: str) -> dict[str, Any]:
        found = self.found[name]
        if found.run is not None:
            return {"name": name, "format": "run", "path": found.run.id, "files": len(found.run.files), "bytes": 0}
        size, where = sum(file.size for file in found.files), found.files[0].uris[0]
        return {"name": name, "format": "texts", "path": where, "files": len(found.files), "bytes": size}

    def stages(self, resources: engine.Resources, facts: dict[str, Any]) -> Outcome:
        given = self.spec.resources
        wanted = engine.Resources(resources.cpus, resources.memory, given.gpus_per_worker, given.workers)
        items = self.items()
        done = {found["key"]: found for found in self.stage("embed", embed_unit, items, wanted)}
        files = [
            {
                **{name: item[name] for name in ("set", "side", "part")},
                **{name: unit[name] for name in ("path", "rows")},
            }
            for item, unit in ((item, done[item["key"]]) for item in items)
        ]
        made = {
            "model": {name: self.model[name] for name in ("name", "checksum")} | {"precision": self.spec.precision},
            "dims": self.model["dims"],
            "normalized": self.spec.normalize,
            "sets": {
                name: {"sides": self.prompts[name], "run": found.run.id if found.run else None}
                for name, found in self.found.items()
            },
        }
        summary = {**self.summary(facts), **made, "counts": counts(items, done)}
        published = self.run_.publish({"files": {"vectors": files}, "embed": made}, summary)
        return self.finish(summary, {**published, "cluster": facts})

    def items(self) -> list[dict[str, Any]]:
        """The units, in the order of sets, sides and texts."""
        made = []
        for one in self.spec.data:
            for side, prompt in one.prompts_by_side().items():
                for part in self.found[one.name].parts:
                    item = {"set": one.name, "side": side, "prompt": prompt, "part": part, "model": self.model}
                    meaning = {**item, "prompt": self.prompts[one.name][side], "spec": self.spec_meaning()}
                    item["key"] = digest(meaning)
                    item["prefix"] = self.run_.units("embed").prefix
                    item["folder"] = self.run_.path(f"vectors/{one.name}/{side}")
                    made.append(item)
        return made

    def page(self, summary: dict[str, Any]) -> str:
        return embed_page.render(summary)


def describe(spec: EmbedSpec, storage_uri: str) -> tuple[dict[str, Any], dict[str, dict[str, str]]]:
    """The model, `{"name", "checksum", "dims"}`, and each set's prompts as texts by side. Raises SpecError, before
    anything has started, for a model that cannot be read and for prompts and dimensions that it does not have."""
    folder = places.local(spec.model, storage_uri)
    config = loading.read_config(folder, spec.model.trust_remote_code)
    settings = loading.settings_of(folder, config, Encoder.model_validate(spec.model.model_dump()))
    if spec.dims is not None and spec.dims > config.hidden_size:
        raise SpecError(f"dims: {spec.dims}, but the model's vectors have {config.hidden_size} numbers. Use fewer.")
    named = {one.name: one.prompts_by_side() for one in spec.data}
    prompts = {
        name: {side: prompt_text(settings.prompts, prompt) for side, prompt in sides.items()}
        for name, sides in named.items()
    }
    checksum = checksum_of(spec.model, settings, storage_uri)
    name = spec.model.package or spec.model.run or spec.model.path or ""
    return {"name": name, "checksum": checksum, "dims": spec.dims or config.hidden_size}, prompts


def counts(items: list[dict[str, Any]], done: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """By set and side: `vectors`, `distinct` texts, `lost` by reason, `units`."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for item in items:
        unit, name = done[item["key"]], (item["set"], item["side"])
        row = found.setdefault(name, {"set": name[0], "side": name[1], "vectors": 0, "distinct": 0, "units": 0})
        row["vectors"] += unit["rows"]
        row["distinct"] += unit["distinct"]
        row["units"] += 1
        row["lost"] = dict(Counter(row.get("lost", {})) + Counter(unit["lost"]))
    return list(found.values())
