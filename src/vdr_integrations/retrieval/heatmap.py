"""A heat map: why a page was found, drawn over the page."""

from __future__ import annotations

import base64
import html
import io
from typing import TYPE_CHECKING

from vdr_integrations.retrieval.heat_colours import is_dark, over_page, overlay
from vdr_integrations.retrieval.matched_words import MatchedWords
from vdr_integrations.types import PageImage

if TYPE_CHECKING:
    from PIL import Image

    from vdr_integrations.retrieval.matched_words import Chosen
    from vdr_integrations.retrieval.similarity import SimilarityGrids

__all__ = ["HeatMap"]

_BOX_PX = 3
_BOX_COLOUR = (88, 28, 135)


class HeatMap(MatchedWords):
    """The similarity of a question to the places of a page, as images.

    It shows :func:`vdr_integrations.retrieval.word_match.word_match`: how well a word matches a
    cell. Its scale is the same for all pages, so a page without the words stays pale. Colours go
    from yellow over red to violet and are transparent where nothing matches; text stays readable
    under them. Notebooks show the image of all words.

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
            prompt: ``MultiVectorEncoder.query_prompt``, which separates the words of the question
                from those of the prompt; None looks for a known prompt.
            label: Name of the page.

        Raises:
            OptionError: The numbers of tokens and grids differ, or the grids have another shape.
            InvalidVectorError: NaN or infinity.
        """
        super().__init__(grids, prompt=prompt, label=label)
        self.page = (page if isinstance(page, PageImage) else PageImage.from_pil(page)).image

    def image(self, token: Chosen = None, *, boxes: int = 0) -> Image.Image:
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

    def overlay(self, token: Chosen = None) -> Image.Image:
        """The heat map without the page, one pixel per cell: RGBA (columns x rows).

        Its blend mode is "multiply", or "screen" if :attr:`on_dark`.
        """
        return overlay(self.strength(token), on_dark=self.on_dark)

    @property
    def on_dark(self) -> bool:
        """Whether the page is darker than middle grey, and the order of colours reversed."""
        return is_dark(self.page)

    def png(self, token: Chosen = None, *, boxes: int = 0) -> bytes:
        """:meth:`image` as a PNG file."""
        file = io.BytesIO()
        self.image(token, boxes=boxes).save(file, format="PNG", optimize=True)
        return file.getvalue()

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
