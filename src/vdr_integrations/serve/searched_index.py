"""The index that a server searches: what is said of its pages, and how they are shown."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlencode

import numpy as np
from PIL import Image

from vdr_integrations.agents.excerpt import excerpt, pieces_of
from vdr_integrations.agents.untrusted_text import one_line
from vdr_integrations.errors import OptionError, PageError, PageReferenceError
from vdr_integrations.retrieval.found_page import FoundPage
from vdr_integrations.retrieval.heat_colours import finer
from vdr_integrations.retrieval.main_words import main_words
from vdr_integrations.retrieval.matched_words import MatchedWords
from vdr_integrations.retrieval.query_words import query_words
from vdr_integrations.retrieval.word_match import CLEAR_MATCH, FULL_MATCH, strength_of
from vdr_integrations.serve.http_replies import RequestError
from vdr_integrations.types.hit import SCORE_NAMES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vdr_integrations.encoders import DenseEncoder, MultiVectorEncoder
    from vdr_integrations.index import Hybrid, StoredPage
    from vdr_integrations.index.page_filter import PageFilter
    from vdr_integrations.retrieval import PageSearcher, QueryWord
    from vdr_integrations.types import Hit

__all__ = ["HeatPicture", "SearchedIndex"]

_EXCERPT_CHARACTERS = 320
_PATH_CHARACTERS = 500
_MOST_WORDS = 40
"""Words of a question whose match is computed; a person chooses among fewer."""
_LONGEST_SIDE_PX = 2400
_WEBP = {"quality": 82, "method": 4}
_PNG = {"compress_level": 6}


class HeatPicture(NamedTuple):
    """A heat map without its page.

    Attributes:
        data: A PNG file, to stretch over the page.
        blend: The blend mode that mixes it with the page: ``multiply``, or ``screen``.
    """

    data: bytes
    blend: str


class SearchedIndex:
    """Searches an index with the encoder of the server, and shows pages of it and nothing else.

    Any number of threads may use one object.
    """

    def __init__(
        self,
        searcher: PageSearcher,
        encoder: DenseEncoder | MultiVectorEncoder,
        *,
        hybrid: bool | Hybrid = False,
    ) -> None:
        """Open the index.

        Args:
            searcher: The searcher of the index, with the encoder of the server.
            encoder: The encoder of the server.
            hybrid: Let the words of questions count too, if a request does not say otherwise.

        Raises:
            OptionError: The searcher has another encoder.
            IndexStoreError: The index cannot be used, or another model made it.
        """
        if searcher.encoder is not encoder:
            raise OptionError(
                f"the server runs {encoder.name}, and the searcher has an encoder of its own; make "
                f"it with PageSearcher(index, encoder=encoder), or serve searcher.encoder."
            )
        self._searcher = searcher
        self._encoder = encoder
        self._hybrid = hybrid
        late = searcher.index.late is not None
        self._prompt = getattr(encoder, "query_prompt", None) if late else None

    def facts(self) -> dict[str, Any]:
        """What is searched, and how what is said of words is to be read.

        Raises:
            IndexStoreError: The index cannot be used.
        """
        index = self._searcher.index
        path = index.path
        return {
            "index": one_line(path.name if isinstance(path, Path) else path),
            "model": one_line(index.manifest.model),
            "pages": index.count_pages(),
            "heat_maps": index.late is not None,
            "hybrid": bool(self._hybrid),
            "full_match": FULL_MATCH,
            "clear_match": CLEAR_MATCH,
        }

    async def hits(
        self, question: str, *, k: int, where: PageFilter | None, hybrid: bool | None
    ) -> list[Hit]:
        """The pages that answer a question best, best first.

        Args:
            question: In plain words.
            k: Most hits.
            where: Only pages that fit, see ``PageFilter``.
            hybrid: Let the words count too; None: as the server was started.

        Raises:
            VdrError: See ``PageSearcher.search``.
        """
        own = self._hybrid or True
        weights = self._hybrid if hybrid is None else (own if hybrid else False)
        return await self._searcher.asearch(question, k=k, filter=where, hybrid=weights)

    def told(self, question: str, hits: Sequence[Hit]) -> dict[str, Any]:
        """Hits as JSON, with the words of the question and how well each matches.

        Raises:
            IndexStoreError: The index cannot be used.
        """
        stored = {page.page_id: page for page in self._searcher.stored([h.page_id for h in hits])}
        matched = [self._matched(question, hit, stored.get(hit.page_id)) for hit in hits]
        known = [one for one in matched if one is not None]
        words = known[0].words if known else self._words(question)
        main = main_words(known) if known else ()
        kind = hits[0].score_kind if hits else ""
        highest = 1 if kind == "cosine" else None
        if kind == "maxsim" and known:
            highest = len(known[0].tokens)
        return {
            "question": question,
            "score_kind": kind,
            "score_name": SCORE_NAMES.get(kind, "Score"),
            "highest_score": highest,
            "words": [
                {"word": n, "text": one_line(word.text), "is_main": word in main}
                for n, word in enumerate(words)
            ],
            "hits": [
                self._told(question, hit, stored.get(hit.page_id), one)
                for hit, one in zip(hits, matched, strict=True)
            ],
        }

    def page(self, page_id: str, ref: str | None) -> StoredPage:
        """A page of the index.

        Args:
            page_id: As in a hit.
            ref: Its ``page_ref`` when it was found; None: whichever it has now.

        Raises:
            RequestError: The index has no such page.
            PageReferenceError: It was indexed again since it was found.
            IndexStoreError: The index cannot be used.
        """
        for page in self._searcher.stored([page_id]):
            if ref in {None, page.page_ref}:
                return page
            raise PageReferenceError(
                "it was indexed again since it was found; search again.",
                source=FoundPage.of(page).file_name,
                page_number=page.page_number,
            )
        raise RequestError("the index has no such page; search again.", status=404)

    def picture(self, page: StoredPage, *, width: int | None, kind: str) -> bytes:
        """The picture of a page as a file.

        Args:
            page: The page.
            width: In pixels. Up to the width that was indexed, the picture has it; above that it
                is drawn again from the document's file, as large as that can be done.
            kind: ``webp`` or ``png``.

        Raises:
            PageError: It is not available.
            MissingExtraError: The document is a PDF, and PyMuPDF is not installed.
        """
        pictures = self._searcher.pictures
        shown = pictures.indexed(page).image
        if width is not None and width > shown.width:
            side = round(width * max(1, shown.height / shown.width))
            shown = pictures.zoomed(page, None, max_side_px=min(side, _LONGEST_SIDE_PX)).image
        if width is not None and width < shown.width:
            height = max(1, round(shown.height * width / shown.width))
            shown = shown.resize((width, height), Image.Resampling.LANCZOS)
        return _file(shown, kind)

    def heat(self, page: StoredPage, *, question: str, words: Sequence[int]) -> HeatPicture:
        """Where words of a question match a page.

        Args:
            page: The page.
            question: The question that found it.
            words: The words by number, as :meth:`told` counts them; empty: all words.

        Raises:
            OptionError: No such word, or an index of one vector a page.
            PageError: The picture of the page is not available.
        """
        if self._searcher.index.late is None:
            raise OptionError(
                "this index keeps one vector a page, so it does not know where words match; heat "
                "maps need an index of late interaction (vdr index --late-interaction)."
            )
        heat = self._searcher.heatmap(question, page)
        if words and not 0 <= min(words) <= max(words) < len(heat.words):
            raise OptionError(
                f"the question has the words 0 to {len(heat.words) - 1}, found {list(words)[:5]}."
            )
        chosen = tuple(heat.words[word].text for word in words) or None
        blend = "screen" if heat.on_dark else "multiply"
        return HeatPicture(_file(finer(heat.overlay(chosen)), "png"), blend)

    def _matched(self, question: str, hit: Hit, page: StoredPage | None) -> MatchedWords | None:
        """None if that is not known without encoding the page again, as its tokens were pooled."""
        if page is None or page.grid is None or page.page_ref != hit.page_ref:
            return None
        try:
            grids = self._searcher.grids(question, hit)
        except PageError:  # it was removed in this moment
            return None
        found = MatchedWords(grids, prompt=self._prompt)
        found.words = found.words[:_MOST_WORDS]
        return found

    def _words(self, question: str) -> Sequence[QueryWord]:
        if self._prompt is None:
            return ()
        tokens = getattr(self._encoder, "query_tokens")(question)  # noqa: B009  # of one kind only
        return query_words(tokens, prompt=self._prompt)[:_MOST_WORDS]

    def _told(
        self, question: str, hit: Hit, page: StoredPage | None, matched: MatchedWords | None
    ) -> dict[str, Any]:
        found = FoundPage.of(hit)
        said = excerpt(hit.text, question, max_characters=_EXCERPT_CHARACTERS)
        ref = {"ref": hit.page_ref}
        place = f"pages/{hit.page_id}"
        heat_url = None
        if self._prompt is not None:
            heat_url = f"{place}/heat?{urlencode({**ref, 'question': question})}"
        return {
            "citation": one_line(found.citation),
            "source": hit.source,
            "document": one_line(hit.source, max_characters=_PATH_CHARACTERS),
            "file_name": one_line(found.file_name),
            "page_number": hit.page_number,
            "page_label": one_line(hit.page_label),
            "total_pages": hit.total_pages,
            "page_id": hit.page_id,
            "page_ref": hit.page_ref,
            "score": hit.score,
            "score_kind": hit.score_kind,
            "excerpt": said,
            "excerpt_pieces": pieces_of(said, question),
            "warnings": [one_line(warning) for warning in hit.warnings],
            "words": None if matched is None else [_match(matched, one) for one in matched.words],
            "picture_url": f"{place}.webp?{urlencode(ref)}",
            "picture_size": self._size(page),
            "heat_url": heat_url,
        }

    def _size(self, page: StoredPage | None) -> list[int] | None:
        """Width and height of the indexed picture, if the index knows them."""
        if page is None or page.grid is None:
            return None
        side = self._encoder.pixel_budget.factor
        return [page.grid.columns * side, page.grid.rows * side]


def _match(matched: MatchedWords, word: QueryWord) -> dict[str, float]:
    match = matched.peak(word)
    share = strength_of(np.array([match], np.float32))[0]
    return {"match": round(match, 4), "share": round(float(share), 4)}


def _file(image: Image.Image, kind: str) -> bytes:
    file = io.BytesIO()
    image.save(file, format=kind.upper(), **(_WEBP if kind == "webp" else _PNG))
    return file.getvalue()
