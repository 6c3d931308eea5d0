"""Options, models and limits that the sections share."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch

from benchmarks.gpu.inside import prepared, tokens_of
from benchmarks.gpu.pictures import made_up_pages
from benchmarks.gpu.work_of import decoder_bytes, page_flops

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from numpy.typing import NDArray
    from PIL import Image

    from benchmarks.gpu.inside import Encoder
    from benchmarks.gpu.memory import DriverMemory
    from benchmarks.gpu.models import Models
    from benchmarks.gpu.report import Report
    from benchmarks.gpu.sizes import Sizes
    from vdr_integrations.encoders.preprocessing.prepared import PreparedPage

__all__ = ["Bench", "Limits", "least_cosine"]


@dataclass(slots=True)
class Limits:
    """What the device can do, measured in this run; None before that.

    Attributes:
        flops: Operations a second of a large product.
        bytes: Read and written a second by a large copy.
    """

    flops: float | None = None
    bytes: float | None = None


@dataclass
class Bench:
    """Options, models and limits of a run."""

    options: argparse.Namespace
    sizes: Sizes
    models: Models
    memory: DriverMemory
    report: Report
    limits: Limits = field(default_factory=Limits)

    @property
    def ways(self) -> tuple[str, ...]:
        """Whose way is measured."""
        return ("ours",) if self.options.ours_only else ("ours", "card")

    @property
    def device(self) -> torch.device:
        """Where."""
        return torch.device(self.options.device)

    @cached_property
    def images(self) -> list[Image.Image]:
        """Made-up pages, as many as the largest batch."""
        most = max(*self.sizes.batches, self.sizes.short, self.sizes.compared)
        return made_up_pages(most, self.sizes.grid)

    def pages(self, encoder: Encoder, count: int) -> list[PreparedPage]:
        """Prepared pages, from the beginning again when they end."""
        once = prepared(encoder, self.images[:count])
        return [once[n % len(once)] for n in range(count)]

    def share_of_products(
        self, encoder: Encoder, page: PreparedPage, pages_per_s: float, *, late: bool = False
    ) -> float | None:
        """Of what the measured product leaves for pages like this one."""
        if self.limits.flops is None:
            return None
        visual, prompt = tokens_of(encoder, page)
        flops = page_flops(
            self.models.config, visual_tokens=visual, prompt_tokens=prompt, every_state=late
        )
        return pages_per_s * flops / self.limits.flops

    def share_of_reading(self, seconds: float) -> float | None:
        """Of the least time of a query: reading the decoder's weights as fast as a copy does."""
        if self.limits.bytes is None:
            return None
        needed = decoder_bytes(self.models.config, bytes_each=self.models.dtype.itemsize)
        return needed / self.limits.bytes / seconds


def least_cosine(
    some: Iterable[NDArray[np.float32]], others: Iterable[NDArray[np.float32]]
) -> tuple[float, float]:
    """The least and the mean cosine, row by row, of vectors of length 1."""
    pairs = zip(some, others, strict=True)
    rows = [(np.atleast_2d(one).astype(np.float64) * other).sum(axis=1) for one, other in pairs]
    found = np.concatenate(rows)
    return float(found.min()), float(found.mean())
