"""Prompts -> responses: xP3's lines, instructions, chats."""

from __future__ import annotations

from pathlib import Path

from recordkit import from_jsonl

CHAT = [
    {"role": "system", "content": "Be kind."},
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": "Hello"},
    {"role": "user", "content": "And?"},
    {"role": "assistant", "content": "So."},
    {"role": "user", "content": "Bye"},
]


def test_lines_of_xp3_become_pairs(tmp_path: Path) -> None:
    made = from_jsonl(
        tmp_path,
        "prompts",
        {"inputs": "Übersetze: Haus\n", "targets": " house"},
        {"inputs": "x", "targets": "y", "language_code": "de"},
    )
    assert made.texts == [("Übersetze: Haus", "house"), ("x", "y")]
    assert [row["anchor_lang"] for row in made.rows] == [None, "de"]


def test_instructions_are_followed_by_their_input(tmp_path: Path) -> None:
    made = from_jsonl(
        tmp_path,
        "prompts",
        {"instruction": "Sum up.", "input": "Long text", "output": "Short"},
        {"instruction": "Why?", "context": "", "response": "So."},
    )
    assert made.texts == [("Sum up.\nLong text", "Short"), ("Why?", "So.")]


def test_a_chat_gives_its_first_exchange_or_each(tmp_path: Path) -> None:
    shared = [{"from": "human", "value": "Q"}, {"from": "gpt", "value": "A"}]
    records = [{"messages": CHAT}, {"id": "x", "conversations": shared}]
    assert from_jsonl(tmp_path, "prompts", *records).texts == [("Hi", "Hello"), ("Q", "A")]
    every = from_jsonl(tmp_path, {"name": "prompts", "turns": "all"}, *records)
    assert every.texts == [("Hi", "Hello"), ("And?", "So."), ("Q", "A")]
    assert (every.records, every.parsed) == (2, 2)


def test_missing_sides_and_wrong_types_are_counted(tmp_path: Path) -> None:
    made = from_jsonl(
        tmp_path,
        "prompts",
        {"inputs": "", "targets": "t"},
        {"inputs": "i"},
        {"messages": []},
        {"messages": CHAT[-1:]},
        {"messages": [{"role": "assistant", "content": "first"}]},
        {"inputs": ["i"], "targets": "t"},
        {"messages": "text"},
        {"messages": ["text"]},
        {"messages": [{"content": "no role"}]},
        {"messages": [{"role": "user", "content": [1]}]},
    )
    assert made.no_pair == {"no_prompt": 3, "no_response": 2} and made.errors == {"wrong_record": 5}
