"""The prompt that a server writes around pages, from its token ids."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vdr_integrations.encoders.checkpoints.prompts import IMAGE_PLACEHOLDER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vdr_integrations.encoders.checkpoints.description import Checkpoint
    from vdr_integrations.encoders.preprocessing.prompt_tokens import PromptTokens

__all__ = ["PagePromptThere", "page_text_of"]

_IMAGE_END = "<|vision_end|>"


@dataclass(frozen=True, slots=True)
class PagePromptThere:
    """The prompt of pages.

    Attributes:
        before: Ids before the page.
        after: Ids after it that count.
        unused: How many more follow. A token sees only those before it, so they change nothing.
        is_own: Whether what counts is the prompt of the checkpoint itself.
    """

    before: tuple[int, ...]
    after: tuple[int, ...]
    unused: int
    is_own: bool

    @classmethod
    def of_tokens(cls, ids: Sequence[int], *, image: int, own: PromptTokens) -> PagePromptThere:
        """The prompt in the ids of a page.

        Args:
            ids: All ids; the page is one or more ``image`` in a row.
            image: Id of the page's placeholder.
            own: The checkpoint's own prompt.

        Raises:
            ValueError: There is no page, or more than one.
        """
        places = [n for n, one in enumerate(ids) if one == image]
        if not places or places[-1] - places[0] != len(places) - 1:
            raise ValueError(f"{len(places)} places of a page instead of one")
        before, after = tuple(ids[: places[0]]), tuple(ids[places[-1] + 1 :])
        counts = len(own.after)
        if before == own.before and after[:counts] == own.after:
            return cls(before, own.after, unused=len(after) - counts, is_own=True)
        return cls(before, after, unused=0, is_own=False)

    def is_that_of(self, ids: Sequence[int]) -> bool:
        """Whether the ids of a page have this prompt."""
        behind = len(ids) - self.unused - len(self.after)
        counted = tuple(ids[: len(self.before)]), tuple(ids[max(behind, 0) :][: len(self.after)])
        return counted == (self.before, self.after)


def page_text_of(checkpoint: Checkpoint) -> str:
    """The text beside a page, with which a usual chat template writes the checkpoint's prompt.

    What the template adds behind it is left out of the vectors.
    """
    after = checkpoint.page_prompt.partition(IMAGE_PLACEHOLDER)[2]
    return after.removeprefix(_IMAGE_END)
