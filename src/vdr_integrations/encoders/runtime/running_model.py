"""What an encoder needs of a model, wherever it runs: in this process, in others, on a server."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future

    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    from vdr_integrations.encoders.checkpoints.description import Checkpoint
    from vdr_integrations.encoders.preprocessing.prepared import Prepared

__all__ = ["ModelFacts", "ModelOrigin", "OpenedModel", "PassOfModel", "RunningModel"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """What is known of a model without its weights.

    Attributes:
        contents_digest: Digest of all that decides vectors in the checkpoint's files.
        dimension: Components of a vector that is not shortened.
        patch_size: Side of a patch, in pixels.
        merge_size: Patches along one side of a visual token.
        max_tokens: Most tokens of a page or query, prompt included.
        page_tokens_before: Tokens of the page prompt before the image.
        page_tokens_after: Tokens of the page prompt after the image.
        pages_budget: Visual tokens of pages in one pass, if the caller does not give a number; 0
            means one page at a time.
        queries_budget: Tokens of queries in one pass.
        device: The device that holds the weights, such as ``"cuda:0"``; several with commas between
            them.
        dtype: Number format of the weights, such as ``"bfloat16"``.
    """

    contents_digest: str
    dimension: int
    patch_size: int
    merge_size: int
    max_tokens: int
    page_tokens_before: int
    page_tokens_after: int
    pages_budget: int
    queries_budget: int
    device: str
    dtype: str

    @property
    def token_side_px(self) -> int:
        """Side of the square of a visual token, in pixels."""
        return self.patch_size * self.merge_size


@dataclass(frozen=True, slots=True)
class PassOfModel:
    """One pass of a model.

    Attributes:
        kind: What went through it.
        items: Number of pages or queries.
        requests: Number of requests that they belong to.
        seconds: How long it took.
    """

    kind: Literal["pages", "queries"]
    items: int
    requests: int
    seconds: float


class RunningModel(ABC):
    """A model that takes prepared pages and queries, and gives vectors that are not normalised.

    Safe to call from any number of threads.

    Attributes:
        facts: What is known of the model.
        windows_at_once: How many windows of pages it works on at the same time.
        leaves_cores: Whether it works without the cores of this machine.
    """

    facts: ModelFacts
    windows_at_once: int = 1
    leaves_cores: bool = False

    @abstractmethod
    def prepare_image(self, image: Image.Image) -> Prepared:
        """Page of an RGB image that is inside the pixel budget already."""

    @abstractmethod
    def prepare_query(self, text: str) -> Prepared:
        """Query with its prompt around it."""

    @abstractmethod
    def cost(self, item: Prepared) -> int:
        """Visual tokens of a page; tokens of a query, its prompt and black square included."""

    @abstractmethod
    def submit(
        self, items: Sequence[Prepared], *, budget: int | None = None
    ) -> Future[list[NDArray[np.float32]]]:
        """Queue pages, or queries; the future gets one vector or matrix for each, in their order.

        Cancelling the future takes what has not begun out of the queue.

        Args:
            items: What ``prepare_image`` or ``prepare_query`` returned.
            budget: Greatest cost of a batch; None uses the model's own.

        Raises:
            EncodingError: The model takes no more work.
        """

    def watch(self, seen: Callable[[PassOfModel], None]) -> None:  # noqa: B027  # not all can tell
        """Call ``seen`` after every pass, in another thread; never if passes are made elsewhere."""

    @abstractmethod
    def query_tokens(self, text: str) -> list[str]:
        """The text of every token of a query that ``prepare_query`` takes, prompt included."""

    @property
    def is_usable(self) -> bool:
        """Whether it takes work; if not, it never does again: load the model again."""
        return True

    def troubles(self) -> list[str]:
        """What is wrong although it works, such as a lost device: sentences without a full stop."""
        return []


class OpenedModel(NamedTuple):
    """A running model, and what belongs to the name under which it was asked for.

    Two names can stand for one running model, so the model does not know them.

    Attributes:
        model: The model.
        checkpoint: Prompts and pooling, under the name that the caller gave.
        revision: Commit of the hub repository; None for a local folder.
    """

    model: RunningModel
    checkpoint: Checkpoint
    revision: str | None


class ModelOrigin(Protocol):
    """What gives a running model, here and in a process that unpickles it."""

    def opened(self) -> OpenedModel:
        """The model: loaded, started or connected to, or shared with those who have it."""
        ...

    def for_pickles(self) -> ModelOrigin:
        """The same without secrets: another process finds its own."""
        ...
