"""Why a page was found, drawn over it."""

from __future__ import annotations

import base64
import html
import io
from typing import TYPE_CHECKING

from vdr_integrations.errors import OptionError
from vdr_integrations.retrieval.heat_colours import is_dark, over_page, overlay
from vdr_integrations.retrieval.query_words import QueryWord, query_words, tokens_of_word
from vdr_integrations.retrieval.regions import Region, relevance, strongest_regions
from vdr_integrations.types import PageImage

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    from vdr_integrations.retrieval.similarity import SimilarityGrids

__all__ = ["HeatMap"]

_FAINT = 0.35
"""A word whose peak is below this share of the strongest word's is drawn fainter, not brighter."""
_BOX_PX = 3
_BOX_COLOUR = (88, 28, 135)


class HeatMap:
    """The similarity of a question to the places of a page, as pictures.

    What is drawn is :func:`vdr_integrations.retrieval.regions.relevance`: what a token says about a
    cell beyond what it says about the page as a whole. Colours go from yellow over red to violet
    and are transparent where nothing matches; text stays readable under them. Notebooks show the
    image of all words.

    Attributes:
        tokens: Text of every query token, prompt included.
        grids: float32 (query tokens, rows, columns), cosines.
        page: The page's image, RGB; the cells cover it evenly.
        words: Those of the question, with their tokens; all tokens where it has none.
        label: What the page is called.
    """

    def __init__(
        self,
        grids: SimilarityGrids,
        page: Image.Image | PageImage,
        *,
        prompt: str | None = None,
        label: str = "page",
    ) -> None:
        """Keep what pictures are drawn from; nothing is drawn yet.

        Args:
            grids: Of the question on this page.
            page: Its image at any size.
            prompt: ``Checkpoint.query_prompt``, which tells the words of the question from those
                of the prompt; found among the known ones when left out.
            label: What the page is called.

        Raises:
            OptionError: Another number of tokens than grids, or not a grid for each.
            InvalidVectorError: NaN or infinity.
        """
        relevance(grids.grids)  # refuses what is no grid
        if len(grids.tokens) != len(grids.grids):
            raise OptionError(
                f"{len(grids.tokens)} query tokens and {len(grids.grids)} similarity grids; give "
                f"the tokens of the question that the grids were made of."
            )
        self.tokens = tuple(grids.tokens)
        self.grids = grids.grids
        self.page = (page if isinstance(page, PageImage) else PageImage.from_pil(page)).image
        self.label = label
        found = query_words(self.tokens, prompt=prompt)
        self.words = tuple(found) or tuple(
            QueryWord(text.strip() or str(number), (number,))
            for number, text in enumerate(self.tokens)
        )

    @property
    def content_tokens(self) -> tuple[int, ...]:
        """Query tokens that are words of the question, counted from 0."""
        return tuple(token for word in self.words for token in word.tokens)

    def strength(self, token: int | str | None = None) -> NDArray[np.float32]:
        """What a picture shows: float32 (rows, columns), 0 where nothing matches, at most 1.

        Args:
            token: A query token counted from 0, a word of the question, or None for all words.

        Raises:
            OptionError: There is no such token or word.
        """
        heat = relevance(self.grids, tokens=self._chosen(token))
        strongest = heat.max()
        if token is not None:
            strongest = max(strongest, _FAINT * max(map(self.peak, self.words)))
        return heat / strongest if strongest > 0 else heat

    def peak(self, word: QueryWord) -> float:
        """How strongly a word matches where it does best: relevance, 0 where nothing stands out."""
        return float(relevance(self.grids, tokens=[word.tokens]).max())

    def image(self, token: int | str | None = None, *, boxes: int = 0) -> Image.Image:
        """The page under its heat map, RGB.

        Args:
            token: As in :meth:`strength`.
            boxes: So many of the strongest regions are outlined.

        Raises:
            OptionError: There is no such token or word.
        """
        drawn = over_page(self.page, self.strength(token))
        if boxes:
            from PIL import ImageDraw

            pen = ImageDraw.Draw(drawn)
            for box in self.boxes(boxes, token=token):
                corners = (box.left, box.top, box.right, box.bottom)
                sides = (drawn.width - 1, drawn.height - 1) * 2
                pen.rectangle(
                    [round(at * side) for at, side in zip(corners, sides, strict=True)],
                    outline=_BOX_COLOUR,
                    width=_BOX_PX,
                )
        return drawn

    def overlay(self, token: int | str | None = None) -> Image.Image:
        """The heat map alone, a pixel a cell: RGBA (columns x rows).

        It is meant to be multiplied onto the page, or screened where :attr:`on_dark`.
        """
        return overlay(self.strength(token), on_dark=self.on_dark)

    @property
    def on_dark(self) -> bool:
        """Whether the page is darker than middle grey, and its colours turned round."""
        return is_dark(self.page)

    def png(self, token: int | str | None = None, *, boxes: int = 0) -> bytes:
        """:meth:`image` as a PNG file."""
        file = io.BytesIO()
        self.image(token, boxes=boxes).save(file, format="PNG", optimize=True)
        return file.getvalue()

    def boxes(self, count: int = 1, *, token: int | str | None = None) -> list[Region]:
        """The strongest regions, see :func:`vdr_integrations.retrieval.regions.strongest_regions`.

        Raises:
            OptionError: ``count`` below 1, or no such token or word.
        """
        return strongest_regions(self.grids, count=count, tokens=self._chosen(token))

    def _chosen(self, token: int | str | None) -> list[tuple[int, ...]]:
        if token is None:
            return [word.tokens for word in self.words]
        if isinstance(token, int):
            if 0 <= token < len(self.tokens):
                return [(token,)]
            raise OptionError(
                f"{self.label}: the question has the tokens 0 to {len(self.tokens) - 1}, found "
                f"{token}."
            )
        same = tokens_of_word(self.words, token)
        if not same:
            raise OptionError(
                f"{self.label}: {token!r} is no word of the question; it has "
                f"{', '.join(word.text for word in self.words)}."
            )
        return same

    def _repr_png_(self) -> bytes:
        """The picture of all words, for notebooks."""
        return self.png()

    def _repr_html_(self) -> str:
        """The same with the words that count, strongest first."""
        words = sorted(self.words, key=self.peak, reverse=True)
        said = ", ".join(f"{html.escape(word.text)} {self.peak(word):.2f}" for word in words)
        picture = base64.b64encode(self.png()).decode()
        label = html.escape(self.label)
        return (
            f'<figure style="margin:0;max-width:40rem"><img alt="Heat map of {label}" '
            f'style="max-width:100%" src="data:image/png;base64,{picture}">'
            f"<figcaption>{label}. Where the words match best: {said}.</figcaption></figure>"
        )

    def __repr__(self) -> str:
        """Label, words and cells, never pixels."""
        rows, columns = self.grids.shape[1:]
        words = " ".join(word.text for word in self.words)
        return f"HeatMap({self.label!r}, {words!r}, {rows} x {columns} cells)"
