"""The words of a question that tell its hits apart."""

from __future__ import annotations

import numpy as np
from PIL import Image

from vdr_integrations.retrieval import HeatMap, SimilarityGrids
from vdr_integrations.retrieval.main_words import main_words

TOKENS = (" the", " whale", " sings")


def page(**matches: float) -> HeatMap:
    """A page with a cell of these similarities for each word."""
    rng = np.random.default_rng(0)
    grids = (0.1 + 0.005 * rng.normal(size=(len(TOKENS), 8, 6))).astype(np.float32)
    for row, token in enumerate(TOKENS):
        grids[row, row, 2] = matches.get(token.strip(), 0.1)
    return HeatMap(SimilarityGrids(TOKENS, grids), Image.new("RGB", (60, 80)), prompt="{query}")


def test_a_word_that_matches_all_pages_alike_does_not_tell_them_apart() -> None:
    pages = [page(the=0.6, whale=0.7), page(the=0.6, sings=0.6), page(the=0.6)]
    assert [word.text for word in main_words(pages)] == ["whale", "sings"]


def test_with_nothing_to_compare_the_words_that_match_best_count() -> None:
    for pages in ([page(whale=0.7)], [page(whale=0.7)] * 2):
        assert [word.text for word in main_words(pages)] == ["whale"]
    same = np.full((len(TOKENS), 8, 6), 0.4, np.float32)
    blank = HeatMap(SimilarityGrids(TOKENS, same), Image.new("RGB", (60, 80)), prompt="{query}")
    assert [word.text for word in main_words([blank] * 3)] == ["the", "whale", "sings"]
