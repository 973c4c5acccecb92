"""The model that training starts from, where it is not simply there: from scratch, or with new tokens.

Made once, as a committed unit, so that all workers start from the same weights.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from pairmill.errors import PairmillError
from pairmill.model import places
from pairmill.model.export import write_model
from pairmill.model.extension import extend
from pairmill.model.loading import Loaded, alibi_config, encoder_of, load, load_tokenizer, read_config, settings_of
from pairmill.model.settings import Settings
from pairmill.model.vocabulary import changed_share, choose_tokens, initial_embeddings, translated_embeddings
from pairmill.pairs.kept import takes_in
from pairmill.runs.storage import Storage
from pairmill.runs.units import Units, do_once
from pairmill.spec import model as spec_model
from pairmill.spec.data import DataEntry
from pairmill.spec.load import KINDS
from pairmill.train.prepared import reading
from pairmill.train.prepared.work import Options, parts_of

VERSION = 4
PREFIX = "stages/start"
#: Texts of kept languages that are looked at for words cut otherwise.
CHECKED = 20_000
#: What a spec changes of a model that is only read.
PLAIN = {"lora": None, "dropout": None, "extend_vocabulary": None, "trained": "all"}


def is_made(spec: spec_model.Encoder) -> bool:
    """Whether the model must be made before training."""
    return spec.architecture is not None or spec.extend_vocabulary is not None


def base_of(spec: spec_model.Encoder) -> spec_model.Place:
    """The place that is read: the model's, or the tokenizer's of a model from scratch."""
    if spec.architecture is not None:
        return spec.architecture.tokenizer
    return spec_model.Place(path=spec.path, package=spec.package, run=spec.run)


def settings(folder: str, spec: spec_model.Encoder | None) -> Settings:
    """Pooling, length and prompts of the model in a directory, as the spec changes them."""
    return settings_of(folder, read_config(folder, spec.trust_remote_code if spec else False), spec)


def units(storage: Storage) -> Units:
    return Units(storage, PREFIX)


def make(item: dict[str, Any]) -> dict[str, Any]:
    """The stage's unit function: commit the model as a directory of the storage."""

    def work(made: Units) -> dict[str, Any]:
        spec = KINDS[item["spec"]["kind"]].model_validate(item["spec"])
        encoder: spec_model.Encoder = spec.model  # type: ignore[attr-defined]
        place = places.local(base_of(encoder), made.storage.uri)
        torch.manual_seed(item["spec"]["seed"])
        masked = spec.kind == "pretrain"  # type: ignore[attr-defined]
        loaded = _from_scratch(encoder, place, masked) if encoder.architecture else load(place, _plain(encoder), masked)
        old, changed = loaded.tokenizer, 0.0
        if encoder.extend_vocabulary:
            wanted = encoder.extend_vocabulary
            texts = sample(made.storage, spec.data, wanted.sample, wanted.keep)  # type: ignore[attr-defined]
            _check(texts, wanted)
            pairs = texts.pairs if wanted.start == "translations" else None
            loaded = extended(loaded, texts.new, wanted.tokens, texts.kept, pairs, encoder.trained != "new-tokens")
            changed = changed_share(old, loaded.tokenizer, texts.kept[:CHECKED])
        with tempfile.TemporaryDirectory(prefix="pairmill-start-") as folder:
            write_model(Path(folder), *loaded)
            model = places.upload(Path(folder), made.storage.uri, f"{PREFIX}/{item['key']}-{item['attempt']}")
        return {"model": model, "rows": len(loaded.tokenizer), "old_tokens": len(old), "changed_share": changed}

    return do_once(item, PREFIX, work)


def _check(texts: Sample, wanted: spec_model.Vocabulary) -> None:
    kept = ", ".join(wanted.keep)
    if not texts.new:
        raise PairmillError(
            f"model.extend_vocabulary: all texts of the data are in the languages of `keep` ({kept}): "
            "there is nothing to learn tokens from. Set `keep: []`."
        )
    if wanted.start == "translations" and not texts.pairs:
        raise PairmillError(
            f"model.extend_vocabulary.start: translations: no row of the data has one side in a language of `keep` "
            f"({kept}) and the other in another: there is nothing to align. Use `start: pieces`."
        )


def _plain(spec: spec_model.Encoder) -> spec_model.Encoder:
    """The model as it is, before adapters and dropout: these are added whenever it is loaded."""
    return spec.model_copy(update=PLAIN)


def _from_scratch(spec: spec_model.Encoder, place: str, masked: bool) -> Loaded:
    from pairmill.model.alibi import AlibiForMaskedLM, AlibiModel

    wanted = spec.architecture
    assert wanted is not None
    tokenizer = load_tokenizer(place)
    if wanted.hidden_size % wanted.heads:
        raise PairmillError(
            f"model.architecture: hidden_size {wanted.hidden_size} is not a multiple of heads {wanted.heads}."
        )
    config = alibi_config(wanted, len(tokenizer), tokenizer.pad_token_id)
    found = Settings(spec.pooling or "mean", spec.max_length or 512, True, dict(spec.prompts))
    model = AlibiForMaskedLM(config) if masked else AlibiModel(config)
    return Loaded(encoder_of(model, found.pooling, tokenizer.pad_token_id, masked), tokenizer, found)


def extended(
    loaded: Loaded,
    texts: Sequence[str],
    count: int,
    keep: Sequence[str] = (),
    pairs: Sequence[tuple[str, str]] | None = None,
    restart: bool = True,
) -> Loaded:
    """The model with up to `count` new tokens, chosen from the texts, that cut the words of `keep` as before. With
    `pairs` of texts and their translations in a kept language they start as translations do, and so do, with `restart`,
    old tokens that the kept language hardly uses."""
    tokenizer = extend(loaded.tokenizer, choose_tokens(loaded.tokenizer, texts, count, keep=keep))
    model = loaded.encoder.model
    weights = initial_embeddings(loaded.tokenizer, tokenizer, model.get_input_embeddings().weight.detach())
    if pairs is not None:
        weights = translated_embeddings(weights, loaded.tokenizer, tokenizer, pairs, restart)
    model.resize_token_embeddings(len(weights), mean_resizing=False)
    with torch.no_grad():
        model.get_input_embeddings().weight.copy_(weights)
    return Loaded(loaded.encoder, tokenizer, loaded.settings)


class Sample(NamedTuple):
    """Texts of the data: in languages to learn tokens from, in kept ones, and pairs of one and its other side."""

    new: list[str]
    kept: list[str]
    pairs: list[tuple[str, str]]


def sample(storage: Storage, entries: Sequence[DataEntry], count: int, keep: Sequence[str]) -> Sample:
    """The first texts of every part of the entries, about `count` in all, null and empty ones left out."""
    parts = [(entry, part) for entry in entries for part in parts_of(storage, entry, Options(max_length=512))]
    found = Sample([], [], [])
    for entry, part in parts:
        for anchor, positive in _first(entry, part, max(1, count // len(parts))):
            known = [any(takes_in(code, language) for code in keep) for _, language in (anchor, positive)]
            for (text, _), of_kept in zip((anchor, positive), known, strict=True):
                if text:
                    (found.kept if of_kept else found.new).append(text)
            if anchor[0] and positive[0] and known[0] != known[1]:
                found.pairs.append((positive[0], anchor[0]) if known[0] else (anchor[0], positive[0]))
    return found


Side = tuple[str | None, str | None]


def _first(entry: DataEntry, part: dict[str, Any], count: int) -> Iterator[tuple[Side, Side]]:
    """Texts and their languages, of both sides of about count/2 rows."""
    lost: Counter[str] = Counter()
    for table in reading.read(entry, part, lost):
        rows = table.slice(0, max(1, count // 2))
        sides = [
            zip(rows[side].to_pylist(), rows[f"{side}_lang"].to_pylist(), strict=True)
            for side in ("anchor", "positive")
        ]
        yield from zip(*sides, strict=True)
        count -= 2 * len(rows)
        if count <= 0:
            return
