"""The tokenizer job: from a checked spec to a tokenizer that other jobs and `AutoTokenizer` load."""

from __future__ import annotations

from typing import Any

from pairmill.model import places
from pairmill.model.tokenizer_stages import find_inputs, tokenizer_stages
from pairmill.pairs.kept import kept_files
from pairmill.report import tokenizer_page
from pairmill.runs import engine
from pairmill.runs.job import Job, Outcome, Say
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
        model = {"place": self.storage.where(made["model"]["prefix"]), "type": self.spec.type}
        summary = {**self.summary(facts), **made, "model": model}
        published = self.run_.publish({"files": {}, "model": made["model"]}, summary)
        return self.finish(summary, {**published, "cluster": facts})

    def page(self, summary: dict[str, Any]) -> str:
        return tokenizer_page.render(summary)
