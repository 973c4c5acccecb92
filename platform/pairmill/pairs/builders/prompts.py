"""A prompt -> its response, as in xP3 (Muennighoff et al., 2211.01786; multilingual E5, 2402.05672, trains on it).

Of a chat ({role, content}, or {from, value} as ShareGPT has it), what the user says -> what the assistant answers next.
"""

from __future__ import annotations

from typing import Any

from pairmill.pairs.builders.base import Pair, WrongRecord, field_of, listed, text
from pairmill.spec.record_builders import Prompts

_USER, _ASSISTANT = ("user", "human", "prompter"), ("assistant", "gpt", "chatgpt", "bard", "model")


def build(record: dict[str, Any], options: Prompts) -> list[Pair] | str:
    messages = _messages(record, options)
    exchanges = [_plain(record, options)] if messages is None else _exchanges(messages)
    if not any(prompt for prompt, _ in exchanges):
        return "no_prompt"
    exchanges = [(prompt, response) for prompt, response in exchanges if prompt and response]
    if not exchanges:
        return "no_response"
    lang = text(record, *options.lang) or None
    chosen = exchanges if options.turns == "all" else exchanges[:1]
    return [Pair(prompt, response, anchor_lang=lang, positive_lang=lang) for prompt, response in chosen]


def _plain(record: dict[str, Any], options: Prompts) -> tuple[str, str]:
    prompt, context = text(record, *options.prompt), text(record, *options.context)
    return (f"{prompt}\n{context}" if prompt and context else prompt or context), text(record, *options.response)


def _messages(record: dict[str, Any], options: Prompts) -> list[dict[str, Any]] | None:
    for field in options.messages:
        value = field_of(record, field)
        if value is not None:
            return listed(value, field)
    return None


def _exchanges(messages: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """What the user says before each answer, and the answer; a last question without one has an empty answer."""
    exchanges: list[tuple[str, str]] = []
    said = ""
    for message in messages:
        role = text(message, "role", "from").lower()
        if not role:
            raise WrongRecord("messages: one without a role")
        if role in _USER:
            said = text(message, "content", "value")
        elif role in _ASSISTANT and said:
            exchanges.append((said, text(message, "content", "value")))
            said = ""
    return [*exchanges, (said, "")] if said else exchanges
