"""A cross-encoder: a model that reads two texts together and says how well they fit (any sequence classification).

Its score is the logit of a model with one output, and the log odds of the class `label` of a model with several.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from pairmill.errors import PairmillError
from pairmill.model import loading, places
from pairmill.model.encoder import evaluating
from pairmill.spec.mine import CrossEncoder

WINDOW = 8192  # pairs that are tokenised and sorted by length together


class Reranker:
    """A model directory that scores pairs of texts."""

    def __init__(self, place: str, given: CrossEncoder):
        from transformers import AutoModelForSequenceClassification

        self._tokenizer = loading.load_tokenizer(place, given.trust_remote_code)
        config = loading.read_config(place, given.trust_remote_code)
        with loading.quiet():
            try:
                found: Any = AutoModelForSequenceClassification.from_pretrained(
                    place,
                    dtype=torch.float32,
                    use_safetensors=True,
                    trust_remote_code=given.trust_remote_code,
                    output_loading_info=True,
                )
            except (OSError, ValueError, RuntimeError) as error:
                reason = str(error).strip().splitlines()[0]
                raise PairmillError(
                    f"{place}: cannot be loaded as a sequence classification model: {reason}. Name one that is."
                ) from error
        self._model, loaded = found
        if loaded["missing_keys"]:
            raise PairmillError(
                f"{place}: it has no head for sequence classification (no {sorted(loaded['missing_keys'])[0]}), so it "
                "scores no pairs. Name a cross-encoder, such as a reranker or an NLI model."
            )
        self._label = _label(place, self._model.config.num_labels, given.label)
        longest = loading.longest_of(config)
        known = self._tokenizer.model_max_length
        self._max_length = given.max_length or min(512, longest, known)
        if self._max_length > longest:
            raise PairmillError(f"max_length: {self._max_length} tokens, but {place} has positions for {longest}.")
        self._micro_batch = given.micro_batch

    def score(self, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
        """Scores (n,) float32 of pairs of texts, each scored once. Raises PairmillError where one is not finite."""
        distinct = list(dict.fromkeys(pairs))
        windows = [self._score(distinct[start : start + WINDOW]) for start in range(0, len(distinct), WINDOW)]
        found = np.concatenate([np.zeros(0, np.float32), *windows])
        if not np.isfinite(found).all():
            wrong = distinct[int(np.flatnonzero(~np.isfinite(found))[0])]
            raise PairmillError(f"the cross-encoder's score of {wrong[0][:80]!r} with {wrong[1][:80]!r} is no number.")
        place = {pair: number for number, pair in enumerate(distinct)}
        return found[np.array([place[pair] for pair in pairs], np.int64)]

    def _score(self, pairs: list[tuple[str, str]]) -> np.ndarray:
        out = np.zeros(len(pairs), np.float32)
        left, right = zip(*pairs, strict=True)
        tokens = self._tokenizer(list(left), list(right), truncation="longest_first", max_length=self._max_length)
        lengths = np.array([len(ids) for ids in tokens["input_ids"]])
        order = np.argsort(lengths, kind="stable")
        start = 0
        while start < len(order):
            stop = start + 1
            while stop < len(order) and (stop + 1 - start) * lengths[order[stop]] <= self._micro_batch:
                stop += 1
            rows = order[start:stop]
            some = {name: [values[row] for row in rows] for name, values in tokens.items()}
            batch = self._tokenizer.pad(some, return_tensors="pt")
            with evaluating(self._model):
                out[rows] = self._one(self._model(**batch).logits.float()).numpy()
            start = stop
        return out

    def _one(self, logits: torch.Tensor) -> torch.Tensor:
        if self._label is None:
            return logits[:, 0]
        others = torch.cat([logits[:, : self._label], logits[:, self._label + 1 :]], 1)
        return logits[:, self._label] - others.logsumexp(1)


def _label(place: str, count: int, given: int | None) -> int | None:
    if count == 1 and given:
        raise PairmillError(f"label: {given}, but {place} has one output. Leave it out.")
    if count > 1 and (given is None or given >= count):
        found = "is missing" if given is None else f"is {given}"
        raise PairmillError(f"label {found}: {place} has {count} classes. Say which is the score: 0 to {count - 1}.")
    return given if count > 1 else None


def reranker(given: CrossEncoder, storage_uri: str, identity: str) -> Reranker:
    """The cross-encoder that a spec names, with the `identity` (`places.identity`) that the job began with; a process
    keeps the last one. Raises PairmillError where its files changed since."""
    return _cached(CrossEncoder.model_validate(_own(given)).model_dump_json(), storage_uri, identity)


def _own(given: CrossEncoder) -> dict[str, Any]:
    return {name: getattr(given, name) for name in CrossEncoder.model_fields}


@lru_cache(maxsize=1)
def _cached(given: str, storage_uri: str, identity: str) -> Reranker:
    spec = CrossEncoder.model_validate_json(given)
    place = places.local(spec.model, storage_uri)
    found = Reranker(place, spec)
    if places.identity(spec.model, storage_uri) != identity:  # behind loading, so that no change is missed
        raise PairmillError(
            f"cross-encoder {place}: its files changed since this job began. Put the former files back and run the "
            "same command, which resumes; or run it with the new ones, which is another run."
        )
    return found
