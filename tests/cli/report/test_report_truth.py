"""A page without the words of the question looks less convincing than the right page."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from tests.cli.report.test_search_report import Parsed, image_of
from typer.testing import CliRunner

from vdr_integrations.cli.app import app

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.usefixtures("seen_pages")

DEMO = Path(__file__).parents[3] / "demo" / "documents"
ASKED = {
    "library-report.en.pdf": (2, "How many librarians and volunteers does each branch have?"),
    "utility-report.de.pdf": (4, "Wie viele Fahrgäste hatte der Bus zum Flughafen?"),
    "tramway-report.fr.pdf": (2, "Combien de semaines ont duré les travaux du pont ?"),
    "olive-report.es.pdf": (5, "¿Cuántos socios y trabajadores tiene la cooperativa?"),
    "wine-report.it.pdf": (3, "Quanta pioggia è caduta a luglio nei vigneti?"),
}
"""Questions in five languages, with the page that answers."""
COMMON = {
    "library-report.en.pdf": {"how", "many", "and", "does", "have"},
    "utility-report.de.pdf": {"wie", "viele", "hatte", "der"},
    "tramway-report.fr.pdf": {"combien", "de", "ont", "les"},
    "olive-report.es.pdf": {"y", "tiene", "la"},
    "wine-report.it.pdf": {"a", "nei"},
}
"""Words that are on pages of any subject."""


@dataclass(frozen=True)
class Shown:
    """What a report shows of a page: bars of the main words, and painted shares of the page."""

    bars: dict[str, float]
    painted: dict[str, float]
    text: str


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """The report of a question; each is made once."""
    folder = tmp_path_factory.mktemp("reports")
    index = ["--index", str(folder / "ix")]
    documents = [str(DEMO / name) for name in ASKED]

    def vdr(*arguments: str) -> None:
        store = {"VDR_PAGE_STORE": str(folder / "store")}
        done = CliRunner(env=store).invoke(app, [*arguments, *index])
        assert done.exit_code == 0, done.stderr

    vdr("index", *documents, "--late-interaction", "--model", "nano-colqwen2")

    @functools.cache
    def made(question: str) -> str:
        out = folder / "out.html"
        vdr("search", question, "-k", "8", "--report", str(out))
        return out.read_text(encoding="utf-8")

    return made


@functools.cache
def pages_of(html: str) -> dict[tuple[str, int], Shown]:
    """The pages of a report, by document and number."""
    found: dict[tuple[str, int], Shown] = {}
    for article in re.findall(r"<article.*?</article>", html, re.DOTALL):
        page = Parsed(article)
        [picture] = page.all("img", **{"class": "page"})
        document, _, number = picture["alt"].partition(", page ")
        main = article.partition("<details")[0]
        bars = {
            word: float(width) / 100
            for word, width in re.findall(
                r'<li><span>(.*?)</span>.*?class="full" width="([0-9.]+)"', main, re.DOTALL
            )
        }
        painted = {
            layer["data-heat"]: float((np.asarray(image_of(layer["src"]))[..., 3] > 64).mean())
            for layer in page.all("img", **{"class": "heat"})
        }
        found[document, int(number)] = Shown(bars, painted, page.text)
    return found


@pytest.mark.parametrize("document", ASKED)
def test_a_page_of_another_subject_has_short_bars_and_little_colour(
    document: str, report: Callable[[str], str]
) -> None:
    number, question = ASKED[document]
    pages = pages_of(report(question))
    right = pages[document, number]
    others = [shown for (name, _), shown in pages.items() if name != document]
    assert others
    assert max(sum(other.bars.values()) for other in others) < 0.7 * sum(right.bars.values())
    for layer in ("main", "all"):
        shares = [other.painted[layer] / right.painted[layer] for other in others]
        assert max(shares) < 0.5
        assert np.mean(shares) < 0.2


@pytest.mark.parametrize("document", ASKED)
def test_all_words_leave_most_of_the_text_without_colour(
    document: str, report: Callable[[str], str]
) -> None:
    number, question = ASKED[document]
    pages = pages_of(report(question))
    for place, shown in pages.items():
        assert shown.painted["all"] < 0.08, place
        assert shown.painted["main"] <= shown.painted["all"] + 0.02, place
    assert pages[document, number].painted["main"] > 0.005


@pytest.mark.parametrize("document", ASKED)
def test_the_report_starts_with_words_that_tell_the_pages_apart(
    document: str, report: Callable[[str], str]
) -> None:
    _, question = ASKED[document]
    page = Parsed(report(question))
    main = page.text.partition("Main words: ")[2].partition(".")[0]
    chosen = set(main.split(", "))
    assert chosen
    assert not chosen & COMMON[document]
    [first] = [b for b in page.all("button") if b.get("aria-pressed") == "true"]
    assert first["data-heat"] == "main"
