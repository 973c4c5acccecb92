"""The pages of train, pretrain and pipeline runs as markup: what they tell, escaped, for every summary there can be."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import train_summaries
from test_report_html import Page

from pairmill.report import pipeline_page, train_page

HOSTILE = {
    "train": lambda: train_page.render(train_summaries.hostile()),
    "pipeline": lambda: pipeline_page.render(train_summaries.hostile_pipeline()),
}


def rows(html: str, section: str) -> list[str]:
    """The text of a section's table rows."""
    part = re.search(rf'<section id="{section}".*?</section>', html, re.S)
    assert part is not None
    return [" ".join(re.sub(r"<[^>]+>", " ", row).split()) for row in re.findall("<tr>.*?</tr>", part.group(), re.S)]


def test_accuracy_is_told_both_ways_with_intervals_before_and_after() -> None:
    table = rows(train_page.render(train_summaries.usual()), "held-out")
    assert "europarl/de-en de → en 1,000 8.6% 7.0–10.5 64.5% 61.5–67.4 +55.9 0.725" in table
    assert "europarl/de-en en → de 1,000 8.1% 6.6–10.0 63.3% 60.3–66.2 +55.2 0.5" in table
    assert "sts 1,500 0.867 0.859 −0.008" in table


def test_a_group_that_got_worse_is_named_in_the_summary() -> None:
    text = Page(train_page.render(train_summaries.usual())).text
    assert "held-out row's other side went from 8.3% to 63.9%." in text
    assert "Spearman's correlation with gold scores went from 0.867 to 0.859. It fell in sts." in text


def test_the_data_table_balances_and_says_where_it_does_not() -> None:
    summary = train_summaries.usual()
    html = train_page.render(summary)
    assert "europarl 42,000 40,900 1,000 100 held_out_text 88 , limit 12" in rows(html, "data")
    assert "49,249 rows in = 46,649 used + 2,500 held out + 100 dropped balances" in Page(html).text
    summary["data"]["sts"]["used"] -= 7
    assert "dropped off by 7" in Page(train_page.render(summary)).text


def test_the_batch_shares_are_those_of_the_plan() -> None:
    table = rows(train_page.render(train_summaries.usual()), "shares")
    assert table[1] == "europarl/de-en europarl 40,900 1,750 87.5% anchor 27.4, positive 24.1"
    assert table[2] == "sts sts 5,749 250 12.5% anchor 13.9, positive 13.8"


def test_the_result_of_early_stopping_is_the_step_that_the_summary_names() -> None:
    summary = train_summaries.usual()
    summary["training"] |= {"stopped_early": True, "result_step": 1000}
    html = train_page.render(summary)
    assert "54.0%" in rows(html, "held-out")[1] and "64.5%" not in rows(html, "held-out")[1]
    assert "stopped early" in Page(html).text


def test_the_loss_is_drawn_for_each_entry_with_the_learning_rate() -> None:
    html = train_page.render(train_summaries.usual())
    drawing = re.search(r'<section id="curve".*?</figure>', html, re.S)
    assert drawing is not None
    paths = re.findall(r'<path class="([^"]+)" d="([^"]+)"', drawing.group())
    assert sorted(kind for kind, _ in paths) == ["l0", "l0 faint", "l1", "l1 faint", "second"]
    assert all(re.fullmatch(r"M[\d.]+ [\d.]+(L[\d.]+ [\d.]+)+", path) for _, path in paths)
    assert len(dict(paths)["second"].split("L")) == 400
    assert "<title id=" in drawing.group() and "europarl: loss" in drawing.group()


def test_a_pretrain_run_tells_loss_and_accuracy_beside_a_unigram_model() -> None:
    html = train_page.render(train_summaries.pretrained())
    assert "pages 64 10.410 6.520 7.06 0.0 11.8 5.2%" in rows(html, "held-out")
    assert "pages in sequences 2,100 2,036 64 0 –" in rows(html, "data")
    assert "Pairmill pretrain report" in Page(html).text
    assert "nothing was learnt yet" not in html
    summary = train_summaries.pretrained()
    summary["evaluations"][-1]["groups"]["pages"]["loss"] = 7.07
    assert "nothing was learnt yet" in Page(train_page.render(summary)).text


def test_a_pipeline_shows_steps_links_and_what_its_training_gained() -> None:
    html = pipeline_page.render(train_summaries.pipeline())
    assert 'href="../teach-de-9ca36a26291e/report.html"' in html
    assert "2 of 3 steps are done. 1 had been done before and was used again. Not done: compare." in Page(html).text
    steps = rows(html, "steps")
    assert steps[1] == "curate curate done used again 1 min 01 s rows in 560,000 , kept 240,120 quickstart-curate-1"
    assert steps[2].startswith("teach train done 13 min 24 s")
    assert any("64.5% 61.5–67.4" in row for row in rows(html, "trained-0"))


def test_a_pipeline_that_evaluates_twice_sets_the_scores_side_by_side() -> None:
    before = train_summaries.evaluation_step("before", tatoeba=0.122, stsb=0.672)
    after = train_summaries.evaluation_step("after", tatoeba=0.341, xquad=None)
    html = pipeline_page.render({"steps": [before, after]})
    assert rows(html, "evaluations")[1:] == [
        "tatoeba 12.2 11.2 to 13.2 34.1 33.1 to 35.1",
        "stsb 67.2 66.2 to 68.2 –",
        "xquad – –",
    ]
    assert "tatoeba 12.2 , stsb 67.2" in rows(html, "steps")[1]
    assert 'id="evaluations"' not in pipeline_page.render({"steps": [before]})


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_strings_add_no_tag_no_attribute_and_no_link(kind: str) -> None:
    html = HOSTILE[kind]()
    html.encode()
    page = Page(re.sub(r"<path [^>]*/>", "", html))
    assert not {"script", "img", "iframe", "object", "embed", "form", "base"} & {tag for tag, _ in page.tags}
    assert len([tag for tag, _ in page.tags if tag == "svg"]) == html.count('<figure class="plot">')
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    links = {attributes["href"] or "" for _, attributes in page.tags if "href" in attributes}
    assert {link for link in links if not re.fullmatch(r"#[a-z0-9-]+", link)} == {"data:,"}


@pytest.mark.parametrize(
    ("render", "summary"),
    [
        (train_page.render, {}),
        (train_page.render, train_summaries.empty()),
        (pipeline_page.render, {}),
        (pipeline_page.render, {"steps": [{}]}),
        (
            train_page.render,
            {"evaluations": [{"step": 3, "groups": {"a": {}}}], "data": {"a": {}}, "curve": [{"step": 1}]},
        ),
    ],
)
def test_whatever_is_missing_there_is_a_page(render: Callable[[Any], str], summary: Any) -> None:
    assert "None" not in Page(render(summary)).text


def test_thousands_of_groups_are_bounded() -> None:
    summary = train_summaries.usual()
    names = [f"big/{number}" for number in range(3000)]
    summary["groups"] = [{"name": name, "entry": "big", "rows": 5, "mean": {}} for name in names]
    summary["evaluations"] = [{"step": 0, "groups": {name: train_summaries.retrieval(1, 2, 5) for name in names}}]
    html = train_page.render(summary)
    assert len(html.encode()) < 1_000_000
    assert "2,800 more groups not shown" in Page(html).text
