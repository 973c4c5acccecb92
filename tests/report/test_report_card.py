"""The model card: front matter that the hub takes, figures with intervals, names that act on nothing."""

from __future__ import annotations

import re

import pytest
import train_summaries
import yaml

from pairmill.report import card, markdown


def front_matter(text: str) -> dict[str, object]:
    found = re.match(r"---\n(.*?)\n---\n", text, re.S)
    assert found is not None
    return yaml.safe_load(found.group(1))


def test_front_matter_names_languages_library_and_tags() -> None:
    told = front_matter(card.render(train_summaries.usual()))
    assert told["language"] == ["de", "en"]
    assert told["library_name"] == "sentence-transformers"
    assert told["tags"] == ["sentence-transformers", "sentence-similarity", "feature-extraction"]


def test_norwegian_stays_a_language() -> None:
    summary = train_summaries.usual()
    summary["groups"][0]["name"] = "europarl/no-en"
    assert front_matter(card.render(summary))["language"] == ["en", "no"]


def licensed(data: str, model: str | None) -> dict[str, object]:
    summary = train_summaries.usual()
    summary["lineage"]["licences"] = dict.fromkeys(summary["lineage"]["licences"], data)
    summary["lineage"]["models"] = {"model": {"package": "base", **({"licence": model} if model else {})}}
    return front_matter(card.render(summary))


def test_a_licence_is_named_only_where_all_are_known_and_equal() -> None:
    assert licensed("Apache-2.0", "apache-2.0")["license"] == "apache-2.0"
    assert licensed("Apache-2.0", "MIT")["license"] == "other"
    assert licensed("Apache-2.0", None) == licensed("unknown", "unknown")
    assert licensed("Apache-2.0", None)["license"] == "other"


def test_a_common_licence_the_hub_does_not_know_is_named_beside_other() -> None:
    told = licensed("House-Licence-1", "House-Licence-1")
    assert (told["license"], told["license_name"]) == ("other", "house-licence-1")


def test_a_source_without_a_licence_makes_it_other_and_is_listed() -> None:
    summary = train_summaries.usual()
    summary["lineage"] |= {"licences": {"kde": "MIT", "sts": "MIT"}, "models": {}}
    text = card.render(summary)
    assert front_matter(text)["license"] == "other"
    assert "| europarl-v7 | unknown |" in text


def test_evaluation_and_lineage_tell_figures_with_intervals() -> None:
    text = card.render(train_summaries.usual())
    assert "| europarl/de-en | de → en | 1,000 | 8.6% (7.0–10.5) | 64.5% (61.5–67.4) | +55.9 | 0.725 |" in text
    assert "| sts | 1,500 | 0.867 | 0.859 |" in text
    assert "| europarl | held\\_out\\_text 88, limit 12 | 42,000 | 40,900 | 1,000 | 100 |" in text
    assert "| europarl-v7 | 40,000 |" in text


def test_hyperparameters_tell_each_entrys_own_objective_and_leave_out_what_is_not_set() -> None:
    text = card.render(train_summaries.usual())
    assert "| Rows per batch | 64 |" in text
    assert '`[{"name": "contrastive", "temperature": 0.05, "partition": "per_direction"}]`' in text
    assert '| Objective of sts | `[{"name": "pearson", "weight": 1.0}]` |' in text


@pytest.mark.parametrize("prompts", [{}, {"query": "query: ", 'say "hi"\n': "Grüße: "}])
def test_the_snippet_is_python(prompts: dict[str, str]) -> None:
    summary = train_summaries.usual()
    summary["model"]["prompts"] = prompts
    snippet = re.search(r"```python\n(.*?)\n```", card.render(summary), re.S)
    assert snippet is not None
    code = compile(snippet.group(1), "snippet", "exec")
    assert set(prompts) <= set(code.co_consts) | {name for c in code.co_consts if isinstance(c, tuple) for name in c}


def test_new_tokens_are_told_with_what_they_change() -> None:
    summary = {**train_summaries.usual(), "made": {"tokens_added": 12000, "changed_share": 0.0125, "cpu_seconds": 80.0}}
    assert "12,000 of them added; 1.2% of the texts in its old languages are cut otherwise" in card.render(summary)
    assert "of them added" not in card.render({**summary, "made": None})


def test_hostile_names_stay_text() -> None:
    markdown_it = pytest.importorskip("markdown_it", reason="the parser that judges the card is not installed")
    text = card.render(train_summaries.hostile())
    text.encode()
    front_matter(text)
    body = text.split("---\n", 2)[2]
    tokens = markdown_it.MarkdownIt("gfm-like", {"linkify": False}).parse(body)
    inline = [child for token in tokens for child in token.children or ()]
    raw = {token.content.strip() for token in tokens if token.type == "html_block"}
    assert raw == {"<details><summary>The resolved spec</summary>", "</details>"}
    assert not {child.type for child in inline} & {"link_open", "image", "html_inline"}


def test_backticks_and_pipes_break_neither_code_nor_tables() -> None:
    assert markdown.code("a ``b`` c") == "``` a ``b`` c ```"
    assert markdown.fenced("```\nx", "yaml") == "````yaml\n```\nx\n````"
    assert markdown.table(["a", "b"], [[markdown.code("x|y"), markdown.text("p|q")]]).endswith("| `x\\|y` | p\\|q |")


def test_a_run_without_anything_has_a_card() -> None:
    assert "Nothing" not in card.render({}) and "None" not in card.render({})
