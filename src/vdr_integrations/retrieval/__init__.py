"""From a question to pages: search, reranking, images, and heat maps that explain a hit.

    from vdr_integrations import PageSearcher

    searcher = PageSearcher("my-index")
    for hit in searcher.search("How did revenue change?", k=3):
        print(hit.source, hit.page_number, hit.score)

Frameworks, the command line and the MCP server only translate to and from this package.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vdr_integrations.encoders.encoder_on_demand import EncoderOptions
    from vdr_integrations.retrieval.box import Box
    from vdr_integrations.retrieval.found_page import FoundPage
    from vdr_integrations.retrieval.heatmap import HeatMap
    from vdr_integrations.retrieval.page_pictures import PagePictures
    from vdr_integrations.retrieval.page_searcher import PageSearcher
    from vdr_integrations.retrieval.query_words import QueryWord
    from vdr_integrations.retrieval.question import Question
    from vdr_integrations.retrieval.regions import Region, strongest_regions
    from vdr_integrations.retrieval.reranking import RankedPage
    from vdr_integrations.retrieval.searching import SearchOptions
    from vdr_integrations.retrieval.similarity import SimilarityGrids
    from vdr_integrations.retrieval.store_pruning import (
        RemovedPages,
        UnneededPages,
        unneeded_pages,
    )

__all__ = [
    "Box",
    "EncoderOptions",
    "FoundPage",
    "HeatMap",
    "PagePictures",
    "PageSearcher",
    "QueryWord",
    "Question",
    "RankedPage",
    "Region",
    "RemovedPages",
    "SearchOptions",
    "SimilarityGrids",
    "UnneededPages",
    "strongest_regions",
    "unneeded_pages",
]

_HOMES = {
    "Box": "retrieval.box",
    "EncoderOptions": "encoders.encoder_on_demand",
    "FoundPage": "retrieval.found_page",
    "HeatMap": "retrieval.heatmap",
    "PagePictures": "retrieval.page_pictures",
    "PageSearcher": "retrieval.page_searcher",
    "QueryWord": "retrieval.query_words",
    "Question": "retrieval.question",
    "RankedPage": "retrieval.reranking",
    "Region": "retrieval.regions",
    "RemovedPages": "retrieval.store_pruning",
    "SearchOptions": "retrieval.searching",
    "SimilarityGrids": "retrieval.similarity",
    "UnneededPages": "retrieval.store_pruning",
    "strongest_regions": "retrieval.regions",
    "unneeded_pages": "retrieval.store_pruning",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401  # PEP 562; the first use imports numpy
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"vdr_integrations.{home}"), name)
