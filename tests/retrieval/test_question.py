"""What may be asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from vdr_integrations import PageImage
from vdr_integrations.errors import OptionError, PageReferenceError
from vdr_integrations.retrieval import FoundPage, PagePictures, Question
from vdr_integrations.types import PixelBudget

if TYPE_CHECKING:
    from vdr_integrations import PageStore

VECTORS = np.eye(3, 8, dtype=np.float32)
PAGE = PageImage.from_pil(Image.new("RGB", (56, 56), "white"))


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"texts": ("soup",), "page": PAGE},
        {"texts": ("soup",), "vectors": VECTORS},
        {"page": PAGE, "vectors": VECTORS},
    ],
)
def test_a_question_is_exactly_one_of_texts_page_and_vectors(given: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match="give exactly one"):
        Question(**given)


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
