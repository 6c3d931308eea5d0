"""Hostile names, questions and texts are shown in the report as they are."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from PIL import Image
from tests.cli.report.test_search_report import Parsed

from vdr_integrations.cli.report.html_rendering import ReportPage, ReportQuestion, report_html
from vdr_integrations.retrieval import HeatMap, SimilarityGrids
from vdr_integrations.types import Hit


def report_of(text: str) -> str:
    """A report that has this text in each place for text of a user or document."""
    hit = Hit(f"/docs/{text}", 3, 0.5, text, 9, f"vdr-page:{'0' * 64}", text=text, page_id="x")
    grids = SimilarityGrids((f" {text}",), np.ones((1, 5, 4), np.float32))
    heat = HeatMap(grids, Image.new("RGB", (80, 100), "white"), prompt="{query}")
    page = ReportPage(hit, text, text, heat.page, heat)
    questions = [ReportQuestion(text, (page,))]
    return report_html(
        questions, is_late=True, index_name=text, model=text, when=datetime.now(tz=UTC)
    )


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("<script>alert(1)<script>", None),
        ("</script><img src=x onerror=alert(1)>", None),
        ("<!-- ]]> <style>*{display:none}", None),
        ('" onload="alert(1)" x=\'', None),
        ("' autofocus onfocus='alert(1)", None),
        ("{{ 7*7 }} {% for %} {# gone #} ${7*7}", None),
        ("{{ questions.__class__ }}", None),
        ("a &lt;b&gt; &amp; &#39; &copy", None),
        ("a\x00b\x1b[2Jc\x7fd\u202ee", "a\ufffdb\ufffd[2Jc\ufffdd\ufffde"),
        ("two\nlines\t here\r\n\u2028too", "two lines here too"),
    ],
)
def test_a_hostile_text_is_text_wherever_it_stands(hostile: str, shown: str | None) -> None:
    shown = hostile if shown is None else shown
    name = shown.rpartition("/")[2]
    page, harmless = Parsed(report_of(hostile)), Parsed(report_of("word"))
    assert [(tag, list(attributes)) for tag, attributes in page.elements if tag != "mark"] == [
        (tag, list(attributes)) for tag, attributes in harmless.elements if tag != "mark"
    ]
    [picture] = page.all("img", **{"class": "page"})
    assert picture["alt"] == f"{name}, page 3"
    [zoom] = [button for button in page.all("button") if button.get("class") == "zoom"]
    assert zoom["aria-label"] == f"Enlarge {name}, page 3"
    whole = "".join(page.texts)
    for place in (
        f"{shown} · visual search",  # title
        f"Index{shown}\n",
        f"Model{shown}\n",
        f"\n{shown}\n1 page, best first",
        f"\n{name} page 3 of 9 (printed {shown})\n",
        f"File: {shown}\n",
    ):
        assert place in whole
    assert whole.count(shown) >= 6  # these and the excerpt


def test_words_of_the_question_are_marked_inside_escaped_text() -> None:
    html = report_of("<b>bold</b> & {{bold}} BOLDER")
    marked = [f"<mark>{word}</mark>" for word in ("bold", "bold", "bold", "BOLDER")]
    assert html.count("<mark>") == 3
    for one in set(marked):
        assert one in html
    assert (
        "&lt;b&gt;<mark>bold</mark>&lt;/b&gt; &amp; {{<mark>bold</mark>}} <mark>BOLDER</mark>"
    ) in html
