"""Pages and queries as they travel to a model that runs elsewhere: pixels and text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from vdr_integrations.encoders.preprocessing.prepared import Prepared
from vdr_integrations.encoders.runtime.running_model import RunningModel

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image

__all__ = ["ModelElsewhere", "PlainPage", "PlainQuery", "TokensOf"]

_LETTERS_PER_TOKEN = 3
_PROMPT_TOKENS = 16


@dataclass(frozen=True, slots=True, eq=False)
class PlainPage(Prepared):
    """A page that is inside the pixel budget already.

    Attributes:
        pixels: uint8 (height, width, 3), red, green, blue; sides are multiples of the side of a
            visual token.
    """

    pixels: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class PlainQuery(Prepared):
    """A query without its prompt."""

    text: str


@dataclass(frozen=True, slots=True)
class TokensOf(Prepared):
    """A query whose tokens are asked for, not its vectors."""

    text: str


class ModelElsewhere(RunningModel):
    """What is the same for all models that run elsewhere: what is sent, and what it costs."""

    def prepare_image(self, image: Image.Image) -> PlainPage:
        """See ``RunningModel``."""
        return PlainPage(np.asarray(image))

    def prepare_query(self, text: str) -> PlainQuery:
        """See ``RunningModel``; the tokens are counted where the model runs."""
        return PlainQuery(text)

    def cost(self, item: Prepared) -> int:
        """Visual tokens of a page; about the tokens of a query, never more than are allowed."""
        if isinstance(item, PlainPage):
            height, width, _ = item.pixels.shape
            return height * width // self.facts.token_side_px**2
        assert isinstance(item, PlainQuery)  # noqa: S101  # items come from the two methods above
        about = len(item.text.encode()) // _LETTERS_PER_TOKEN + _PROMPT_TOKENS
        return min(about, self.facts.max_tokens)
