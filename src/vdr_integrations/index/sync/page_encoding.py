"""Encodes the pages of a synchronisation: with an encoder of either kind, or with both."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from vdr_integrations.errors import IndexMismatchError, OptionError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from vdr_integrations.encoders import DenseEncoder, MultiVectorEncoder, PairedEncoder
    from vdr_integrations.encoders.runtime.device_list import DeviceChoice
    from vdr_integrations.encoders.runtime.pages_under_way import PagesUnderWay
    from vdr_integrations.index.page_index import PageIndex
    from vdr_integrations.types import PageImage, PatchGrid, PixelBudget

    SyncEncoder: TypeAlias = DenseEncoder | MultiVectorEncoder | PairedEncoder

__all__ = ["EncodedPage", "PageEncoding"]

_FEWEST_PAGES = 32
"""Pages that are held at least by default: 46 MB of pages of 768 visual tokens."""


@dataclass(frozen=True, slots=True)
class EncodedPage:
    """What an index stores of a page's image.

    Attributes:
        vectors: float32 (dimension,), or (tokens, dimension) for late interaction.
        dense: float32 (dense dimension,), if the index stores it beside token vectors.
        grid: Where the visual tokens are among the tokens.
    """

    vectors: NDArray[np.float32]
    dense: NDArray[np.float32] | None = None
    grid: PatchGrid | None = None


class PageEncoding:
    """One encoder or a pair of encoders, and the check that they match an index.

    Attributes:
        is_paired: Whether there is a pair of encoders.
        leaves_cores: Whether the model works without the cores of this machine.
        windows_at_once: On how many batches it works at the same time.
        pixel_budget: The pixel budget for which pages are drawn.
    """

    def __init__(self, encoder: SyncEncoder) -> None:
        """Use this encoder; :meth:`check` compares it with an index."""
        from vdr_integrations.encoders import MultiVectorEncoder, PairedEncoder

        self._pair = encoder if isinstance(encoder, PairedEncoder) else None
        self._encoder = encoder.multi_vector if isinstance(encoder, PairedEncoder) else encoder
        self._late = self._encoder if isinstance(self._encoder, MultiVectorEncoder) else None
        self.is_paired = self._pair is not None
        self._given = encoder
        cores = [one.core for one in self._both]
        self.leaves_cores = all(core.leaves_cores for core in cores)
        self.windows_at_once = max(core.windows_at_once for core in cores)
        self.pixel_budget: PixelBudget = self._encoder.pixel_budget
        if self._pair is not None:
            self.pixel_budget = self.pixel_budget.for_both(self._pair.dense.pixel_budget)

    @property
    def _both(self) -> list[DenseEncoder | MultiVectorEncoder]:
        return [self._encoder] if self._pair is None else [self._encoder, self._pair.dense]

    @property
    def full_batch(self) -> int:
        """How many of the largest pages fill a batch, or one of each device; at least 1."""
        tokens = max(encoder.batch_visual_tokens for encoder in self._both)
        of_one = max(math.ceil(tokens / self.pixel_budget.max_visual_tokens), 1)
        return of_one * self.windows_at_once

    @property
    def works_beside(self) -> bool:
        """Whether the model works while this process draws and writes pages.

        In this process, on its cores, it would only take turns with that.
        """
        return self.leaves_cores or self.windows_at_once > 1

    def batch_pages(self, asked: int | None) -> int:
        """How many pages are held in memory.

        Args:
            asked: Number that the caller wants; None uses what the encoder accepts in one batch,
                twice if it works beside this process, and at least 32.

        Raises:
            OptionError: The number is less than 1.
        """
        if asked is not None and asked < 1:
            raise OptionError(f"batch_pages must be at least 1, found {asked}.")
        batches = 2 if self.works_beside else 1
        return max(batches * self.full_batch, _FEWEST_PAGES) if asked is None else asked

    def on_devices(self, devices: DeviceChoice) -> PageEncoding:
        """The same encoders on these devices.

        Raises:
            OptionError: A device is not on this machine, or the model does not run on this machine.
            EncodingError: It cannot be loaded on a device.
        """
        return PageEncoding(self._given.on_devices(devices))

    def troubles(self) -> list[str]:
        """What is wrong with the models although they work, such as a lost device."""
        return [trouble for encoder in self._both for trouble in encoder.core.troubles()]

    def check(self, index: PageIndex) -> None:
        """Refuse an index that was not made by these encoders.

        Raises:
            IndexMismatchError: Other encoders made it, or it does not store what these return.
            OptionError: The two encoders made it, but with two different pixel budgets.
        """
        index.manifest.check(self._encoder, index_path=index.path)
        dense = index.dense_manifest
        if self._pair is None:
            if dense is not None:
                raise IndexMismatchError(
                    f"index {index.path} stores a dense vector of {dense.model} beside the token "
                    f"vectors of a page; give a PairedEncoder of both encoders."
                )
        elif dense is None:
            raise IndexMismatchError(
                f"index {index.path} was made without dense vectors; give the MultiVectorEncoder "
                f"alone, or make an index with dense_manifest."
            )
        else:
            dense.check(self._pair.dense, index_path=index.path)
            drawn, other = self.pixel_budget, self._pair.dense.pixel_budget
            if replace(other, min_visual_tokens=drawn.min_visual_tokens) != drawn:
                raise OptionError(
                    f"index {index.path} was made with two pixel budgets "
                    f"({drawn.max_visual_tokens} visual tokens of {drawn.factor} px per page, and "
                    f"{other.max_visual_tokens} of {other.factor} px for dense vectors), but files "
                    f"are drawn once for both; make an index with one max_visual_tokens, and with "
                    f"models whose visual tokens have one side (`vdr models`)."
                )

    def encode(self, images: Sequence[PageImage]) -> list[EncodedPage]:
        """Encode pages; the result has the same order.

        Raises:
            EncodingError: See ``encode_pages``.
        """
        return self._encoded(images, self._given.encode_pages(images))

    def begin(self, images: Sequence[PageImage]) -> PagesUnderWay[list[EncodedPage]]:
        """Do :meth:`encode` while the caller does something else.

        Raises:
            EncodingError: The model takes no more work.
        """
        return self._given.begin_pages(images).then(partial(self._encoded, images))

    def _encoded(self, images: Sequence[PageImage], found: Any) -> list[EncodedPage]:  # noqa: ANN401
        if self._late is None:
            return [EncodedPage(vector) for vector in found]
        grids = [self._late.page_layout(image.height, image.width) for image in images]
        dense, tokens = ([None] * len(images), found) if self._pair is None else found
        return [EncodedPage(*page) for page in zip(tokens, dense, grids, strict=True)]
