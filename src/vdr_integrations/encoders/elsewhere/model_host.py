"""The other end of a model that runs elsewhere: takes pixels and texts, and runs the model."""

from __future__ import annotations

from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from PIL import Image

from vdr_integrations.encoders.elsewhere.lost_devices import is_device_lost
from vdr_integrations.encoders.elsewhere.plain_items import PlainPage, PlainQuery, TokensOf
from vdr_integrations.encoders.preprocessing.text_check import check_texts
from vdr_integrations.errors import EncodingError, OptionError, VdrError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from vdr_integrations.encoders.page_encoder import PageEncoder
    from vdr_integrations.encoders.preprocessing.prepared import Prepared
    from vdr_integrations.types import Page

__all__ = ["ModelHost", "outcome"]


class ModelHost:
    """Runs plain pages and queries with the model of an encoder.

    Attributes:
        encoder: The encoder. Its pixel budget and dimension do not count here: the other side has
            fitted the pages, and shortens the vectors.
    """

    def __init__(self, encoder: PageEncoder) -> None:
        """Use this encoder's model."""
        self.encoder = encoder

    def prepared(self, item: PlainPage | PlainQuery | Page) -> Prepared:
        """The item as the model reads it; call it outside of an event loop.

        Args:
            item: What a client has prepared; or a page, which is fitted to the encoder's budget.

        Raises:
            OptionError: A page whose sides the model cannot take, or a text without tokens.
            QueryTooLongError: A text with more tokens than the model accepts.
            PageError: The page cannot be rendered.
        """
        if isinstance(item, PlainQuery):
            (text,) = check_texts([item.text])
            return self.encoder.prepare_query(text)
        if not isinstance(item, PlainPage):
            return self.encoder.prepare_page(item)
        return self.encoder.core.prepare_image(Image.fromarray(self._checked(item.pixels)))

    def submit(
        self, items: Sequence[Prepared], *, budget: int | None
    ) -> Future[list[NDArray[np.float32]]]:
        """Queue prepared items, pages or queries; the vectors are as the model returns them.

        Args:
            items: What :meth:`prepared` returned.
            budget: Greatest cost of a batch; None for the model's own.
        """
        return self.encoder.core.submit(items, budget=budget)

    def begun(self, item: Prepared, *, budget: int) -> Future[list[Any]]:
        """One item under way, for itself, so that one that fails is the only one.

        Args:
            item: A plain page, a plain query, or a query whose tokens are asked for.
            budget: Greatest cost of a batch.

        Returns:
            What :func:`outcome` takes.
        """
        known: Future[list[Any]] = Future()
        try:
            if isinstance(item, PlainPage | PlainQuery):
                return self.submit([self.prepared(item)], budget=budget)
            assert isinstance(item, TokensOf)  # noqa: S101  # there are three kinds
            known.set_result([self.encoder.core.query_tokens(item.text)])
        except Exception as error:  # noqa: BLE001  # the other side gets it
            known.set_exception(error)
        return known

    def _checked(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        facts, name = self.encoder.core.facts, self.encoder.name
        side = facts.token_side_px
        most = facts.max_tokens - facts.page_tokens_before - facts.page_tokens_after
        if pixels.dtype.name != "uint8" or pixels.ndim != 3 or pixels.shape[2] != 3:
            raise OptionError(
                f"found a page of {pixels.dtype.name} {pixels.shape}; {name} takes pages as uint8 "
                f"(height, width, 3)."
            )
        height, width, _ = pixels.shape
        if not height or not width or height % side or width % side:
            raise OptionError(
                f"found a page of {width} x {height} pixels; the sides must be multiples of {side} "
                f"for {name}."
            )
        if height * width // side**2 > most:
            raise OptionError(
                f"found a page of {height * width // side**2} visual tokens; {name} takes {most} "
                f"beside its prompt. Lower max_visual_tokens."
            )
        return pixels


def outcome(begun: Future[list[Any]]) -> Any:  # noqa: ANN401  # vectors, tokens or an error
    """What became of an item: its vectors, the tokens of a query, or a VdrError for its caller.

    An error of any other kind is raised if the device of this process does not work any more.
    """
    try:
        return begun.result()[0]
    except VdrError as error:
        return error
    except Exception as error:
        if is_device_lost(error):
            raise
        return EncodingError(f"{type(error).__name__}: {error}")  # not all can be pickled
