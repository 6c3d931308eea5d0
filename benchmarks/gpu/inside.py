"""All private parts of the package that the benchmark uses."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from unittest import mock

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    from benchmarks.gpu.clock import Clock
    from vdr_integrations import DenseEncoder, MultiVectorEncoder
    from vdr_integrations.encoders.preprocessing.prepared import PreparedPage

    Encoder = DenseEncoder | MultiVectorEncoder

__all__ = [
    "Batch",
    "batches",
    "prepared",
    "taking_prepared",
    "timed_batches",
    "tokens_of",
]


@dataclass(frozen=True, slots=True)
class Batch:
    """One pass of the model.

    Attributes:
        pages: Number of pages in it.
        fitted: Whether it fitted the device's memory.
    """

    pages: int
    fitted: bool


def prepared(encoder: Encoder, images: Sequence[Image.Image]) -> list[PreparedPage]:
    """Pages as the model reads them, in the CPU's memory."""
    return [encoder.prepare_page(image) for image in images]


@contextmanager
def taking_prepared(encoder: Encoder) -> Generator[None]:
    """``encode_pages`` accepts prepared pages; the rest is unchanged."""
    with mock.patch.object(encoder, "prepare_page", lambda page: page):
        yield


@contextmanager
def batches(encoder: Encoder, *, room: int | None = None) -> Generator[list[Batch]]:
    """The passes over pages that are made meanwhile, in their order.

    Args:
        encoder: The encoder whose passes are recorded.
        room: Pages for which there is memory: more end as CUDA's shortage does. None: as it is.
    """
    seen: list[Batch] = []
    backbone = encoder.model_here.backbone
    pages = backbone.pages

    def watched(some: Sequence[PreparedPage]) -> Sequence[NDArray[np.float32]]:
        try:
            _pretend(len(some), room)
            found = pages(some)
        except torch.OutOfMemoryError:
            seen.append(Batch(len(some), fitted=False))
            raise
        seen.append(Batch(len(some), fitted=True))
        return found

    with mock.patch.object(backbone, "pages", watched):
        yield seen


def timed_batches(
    encoder: Encoder, work: Callable[[], object], clock: Clock, *, at_most: int
) -> tuple[list[int], list[float]]:
    """Pages of each pass of a first round, and the seconds of those after it.

    Args:
        encoder: Whose passes; it takes prepared pages meanwhile.
        work: A round.
        clock: How long there is time.
        at_most: Rounds that are timed.
    """
    with taking_prepared(encoder), batches(encoder) as seen:
        work()
        ran = [one.pages for one in seen]
        return ran, clock.seconds(work, at_most=at_most)


def _pretend(count: int, room: int | None) -> None:
    if room is not None and count > room:
        raise torch.OutOfMemoryError("out of memory, as the benchmark pretends")


def tokens_of(encoder: Encoder, page: PreparedPage) -> tuple[int, int]:
    """Visual tokens of a page, and tokens of the prompt around it."""
    facts = encoder.core.facts
    return encoder.core.cost(page), facts.page_tokens_before + facts.page_tokens_after
