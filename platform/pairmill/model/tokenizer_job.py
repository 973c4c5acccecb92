"""The tokenizer job: from a checked spec to a tokenizer that other jobs and `AutoTokenizer` load."""

from __future__ import annotations

from typing import Any

from pairmill import __version__
from pairmill.model import places
from pairmill.model.tokenizer_stages import find_inputs, tokenizer_stages
from pairmill.pairs.kept import kept_files
from pairmill.report import tokenizer_page
from pairmill.runs import engine
from pairmill.runs.job import Job, Outcome, Say
from pairmill.runs.record import Run, now
from pairmill.runs.storage import Storage
from pairmill.spec.load import LoadedSpec
from pairmill.spec.tokenizer import TokenizerSpec

VERSIONS = {"tokenizer sample": 1, "tokenizer train": 1}


class TokenizerJob(Job):
    """One attempt at a tokenizer run."""

    kind = "tokenizer"
    spec: TokenizerSpec

    def __init__(self, loaded: LoadedSpec, storage: Storage, command: str, say: Say):
        super().__init__(loaded, storage, command, say)
        self.files = find_inputs(storage.uri, self.spec)
        compare = self.spec.compare
        self.compared = places.identity(compare, storage.uri) if compare else None

    def meaning(self) -> dict[str, Any]:
        inputs = [{name: value for name, value in file["from"].items() if name != "storage"} for file in self.files]
        spec = {name: value for name, value in self.spec_meaning().items() if name != "inputs"}
        return {"spec": spec, "inputs": inputs, "compared": self.compared, "versions": VERSIONS}

    def facts(self) -> dict[str, Any]:
        runs = [kept_files(self.storage.uri, given.run) for given in self.spec.inputs]
        inputs = [
            {"name": run.id, "format": "run", "path": run.id, "files": len(run.files), "bytes": 0} for run in runs
        ]
        return {
            "versions": {"stages": VERSIONS},
            "parents": [run.id for run in runs],
            "inputs": inputs,
            "licences": {source: licence for run in runs for source, licence in run.licences.items()},
        }

    def stages(self, resources: engine.Resources, facts: dict[str, Any]) -> Outcome:
        made = tokenizer_stages(self.run_, self.spec, self.files, self.stage, resources)
        summary = self._summarise(made, facts)
        run = self.run_
        names = {"manifest": f"manifests/{run.generation}.json", "summary": f"manifests/{run.generation}-summary.json"}
        run.storage.put_json_if_absent(run.path(names["manifest"]), {"files": {}, "model": made["model"]})
        run.storage.put_json(run.path(names["summary"]), summary)
        outcome = self.finish(summary, {**names, "cluster": facts})
        _show(run, summary)
        return outcome

    def finished(self, run: Run, summary: dict[str, Any]) -> None:
        if run.storage.modified(run.path("report.html")) is None:
            _show(run, summary)  # a driver died between finishing the run and this

    def _summarise(self, made: dict[str, Any], facts: dict[str, Any]) -> dict[str, Any]:
        """What the report shows and the command line prints, as plain JSON."""
        run = self.run_
        return {
            "run": {
                "id": run.id,
                "name": self.spec.name,
                "kind": self.kind,
                "state": "done",
                "started": self.started,
                "finished": now(),
                "seconds": self.seconds(),
                "storage": run.storage.uri,
                "versions": {"pairmill": __version__, "ray": facts["ray"]},
            },
            "spec": self.loaded.yaml(),
            "command": self.command,
            **made,
            "model": {"place": run.storage.where(made["model"]["prefix"]), "type": self.spec.type},
        }


def _show(run: Run, summary: dict[str, Any]) -> None:
    """Write what people read of the finished run."""
    run.storage.put(run.path("spec.yaml"), summary["spec"].encode())
    run.storage.put(run.path("report.html"), tokenizer_page.render(summary).encode("utf-8", "replace"))
