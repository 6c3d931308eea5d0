"""A heat map: why a page was found, drawn over the page."""

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

_FULL_STRENGTH_FROM = 0.35
"""A word whose peak is below this share of the strongest word's peak is drawn fainter."""
_BOX_PX = 3
_BOX_COLOUR = (88, 28, 135)


class HeatMap:
    """The similarity of a question to the places of a page, as images.

    It shows :func:`vdr_integrations.retrieval.regions.relevance`: how much more a token matches a
    cell than the whole page. Colours go from yellow over red to violet and are transparent where
    nothing matches; text stays readable under them. Notebooks show the image of all words.

    Attributes:
        tokens: Text of every query token, prompt included.
        grids: float32 (query tokens, rows, columns), cosines.
        page: The page's image, RGB; the cells cover it evenly.
        words: The words of the question, with their tokens; all tokens if it has no words.
        label: Name of the page.
    """

    def __init__(
        self,
        grids: SimilarityGrids,
        page: Image.Image | PageImage,
        *,
        prompt: str | None = None,
        label: str = "page",
    ) -> None:
        """Draw nothing yet.

        Args:
            grids: Similarity grids of the question on this page.
            page: Image of the page at any size.
            prompt: ``Checkpoint.query_prompt``, which separates the words of the question from
                those of the prompt; None looks for a known prompt.
            label: Name of the page.

        Raises:
            OptionError: The numbers of tokens and grids differ, or the grids have another shape.
            InvalidVectorError: NaN or infinity.
        """
        relevance(grids.grids)  # refuses grids of another shape, NaN and infinity
        if len(grids.tokens) != len(grids.grids):
            raise OptionError(
                f"{len(grids.tokens)} query tokens and {len(grids.grids)} similarity grids; give "
                f"the tokens of the question that the grids belong to."
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
        """Query tokens that belong to words of the question, counted from 0."""
        return tuple(token for word in self.words for token in word.tokens)

    def strength(self, token: int | str | None = None) -> NDArray[np.float32]:
        """Strength of the colours: float32 (rows, columns), 0 where nothing matches, at most 1.

        Args:
            token: A query token counted from 0, a word of the question, or None for all words.

        Raises:
            OptionError: There is no such token or word.
        """
        heat = relevance(self.grids, tokens=self._chosen(token))
        strongest = heat.max()
        if token is not None:
            strongest = max(strongest, _FULL_STRENGTH_FROM * max(map(self.peak, self.words)))
        return heat / strongest if strongest > 0 else heat

    def peak(self, word: QueryWord) -> float:
        """The relevance of the cell that a word matches best; 0 if no cell stands out."""
        return float(relevance(self.grids, tokens=[word.tokens]).max())

    def image(self, token: int | str | None = None, *, boxes: int = 0) -> Image.Image:
        """The page under its heat map, RGB.

        Args:
            token: As in :meth:`strength`.
            boxes: Number of the strongest regions to outline.

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
        """The heat map without the page, one pixel per cell: RGBA (columns x rows).

        Its blend mode is "multiply", or "screen" if :attr:`on_dark`.
        """
        return overlay(self.strength(token), on_dark=self.on_dark)

    @property
    def on_dark(self) -> bool:
        """Whether the page is darker than middle grey, and the order of colours reversed."""
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
                f"{self.label}: {token!r} is not a word of the question; its words are "
                f"{', '.join(word.text for word in self.words)}."
            )
        return same

    def _repr_png_(self) -> bytes:
        """The image of all words, for notebooks."""
        return self.png()

    def _repr_html_(self) -> str:
        """The image and the words with their peaks, strongest first."""
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
