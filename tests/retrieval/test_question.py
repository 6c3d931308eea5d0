"""What may be asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from vdr_integrations import PageImage, PageSearcher, open_pdf
from vdr_integrations.errors import OptionError, PageReferenceError
from vdr_integrations.retrieval import FoundPage, PagePictures, Question
from vdr_integrations.types import PixelBudget

if TYPE_CHECKING:
    from pathlib import Path

    from vdr_integrations import DenseEncoder, MultiVectorEncoder, PageStore

VECTORS = np.eye(3, 8, dtype=np.float32)
PAGE = PageImage.from_pil(Image.new("RGB", (56, 56), "white"))


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"texts": ("soup",), "vectors": VECTORS},
        {"page": PAGE, "vectors": VECTORS},
    ],
)
def test_a_question_is_words_and_image_or_vectors(given: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match="give either vectors, or texts and a page"):
        Question(**given)


def test_an_image_counts_as_much_as_the_words_beside_it(late: MultiVectorEncoder) -> None:
    page = PageImage.from_pil(Image.effect_noise((448, 448), 90).convert("RGB"))
    words = Question.of("soup of the day").tokens(late)
    rows = Question.of_image(page, "soup of the day").tokens(late)
    np.testing.assert_array_equal(rows[: len(words)], words)
    assert 0.5 * len(words) <= len(rows) - len(words) <= 1.6 * len(words)
    assert np.linalg.norm(rows, axis=1) == pytest.approx(1.0, abs=1e-5)


async def test_the_async_twin_of_a_mixed_question_gives_the_same(late: MultiVectorEncoder) -> None:
    asked = Question.of_image(PAGE, "soup")
    np.testing.assert_allclose(await asked.atokens(late), asked.tokens(late), atol=1e-6)


def test_a_dense_question_of_words_and_image_lies_between_them(dense: DenseEncoder) -> None:
    both = Question.of_image(PAGE, "soup").dense(dense)
    for alone in (Question.of("soup"), Question(page=PAGE)):
        other = Question.of("soup") if alone.page else Question(page=PAGE)
        assert both @ alone.dense(dense) > other.dense(dense) @ alone.dense(dense)


@pytest.mark.parametrize("text", ["", "  "])
def test_an_empty_text_beside_an_image_is_refused(text: str) -> None:
    with pytest.raises(OptionError, match="the question is empty"):
        Question.of_image(PAGE, text)


def test_a_hit_that_is_a_text_has_no_image_and_its_file_is_not_blamed(
    page_store: PageStore,
) -> None:
    text = FoundPage(source="notes.txt", text="soup")
    for store in (page_store, None):
        pictures = PagePictures(store, PixelBudget(64))
        for ask in (
            lambda of=pictures: of.indexed(text),
            lambda of=pictures: of.zoomed(text, None, max_side_px=100),
        ):
            with pytest.raises(PageReferenceError, match="piece of text"):
                ask()


@pytest.mark.parametrize("kind", ["late", "dense"])
async def test_an_image_and_words_find_the_page_that_has_both(
    kind: str, docs: Path, request: pytest.FixtureRequest
) -> None:
    folder, encoder = (request.getfixturevalue(name) for name in (f"{kind}_folder", kind))
    searcher = PageSearcher(folder, encoder=encoder)
    with open_pdf(docs / "report.pdf") as pages:
        shown = pages[1]
        hits = searcher.search_image(shown, text="Costs fell", k=5)
        again = await searcher.asearch_image(shown, text="Costs fell", k=5)
    assert (hits[0].source, hits[0].page_number) == (str(docs / "report.pdf"), 2)
    assert [hit.page_id for hit in hits] == [hit.page_id for hit in again]


def test_a_mixed_question_is_explained_by_its_words(
    late_folder: Path, late: MultiVectorEncoder, docs: Path
) -> None:
    late_searcher = PageSearcher(late_folder, encoder=late)
    with open_pdf(docs / "menu.pdf") as pages:
        asked = Question.of_image(pages[0], "Lemonade")
        (hit, *_) = late_searcher.search(asked)
        alone, mixed = (late_searcher.grids(one, hit) for one in (Question.of("Lemonade"), asked))
    np.testing.assert_array_equal(alone.grids, mixed.grids)
    assert late_searcher.search("Lemonade")[0].score != hit.score  # kept apart


@pytest.mark.parametrize("asked", [5, None, 1.5])
def test_what_is_neither_text_nor_list_is_refused(asked: Any) -> None:
    with pytest.raises(OptionError, match="a question is a text, a list of texts or a Question"):
        Question.of(asked)
