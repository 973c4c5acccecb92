"""The spec of a trial as text, with references to the environment as they were written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from pairmill.spec.sweep import SweepSpec
from pairmill.spec.text import Document
from pairmill.spec.trials import seeded, trial_document, unread


def text_of(document: Document, spec: SweepSpec, values: Mapping[str, Any], seed: int | None) -> str:
    """YAML that `pairmill run` takes; `document` is the sweep's, with its references read."""
    trial = trial_document(document, seeded(spec, values, seed))
    return yaml.safe_dump(unread(trial.data, trial.references.items()), sort_keys=False, allow_unicode=True)
