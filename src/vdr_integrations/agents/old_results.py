"""Which results of tools are old, so that their pictures may be left out. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["OLD_PICTURE", "old_results"]

OLD_PICTURE = "(A picture was here. Open the page by its page_ref, or search again, to see it.)"
"""In the place of the pictures of a tool result that is no longer new."""


def old_results(is_result: Sequence[bool], has_picture: Sequence[bool], *, keep: int) -> set[int]:
    """Places of the messages whose pictures are old.

    Results that follow each other answer one step of the model, which may have called several
    tools: they are old together.

    Args:
        is_result: For each message, whether it is the result of a tool.
        has_picture: For each message, whether it has pictures.
        keep: Number of steps whose pictures are kept, of those that have some.
    """
    steps: list[list[int]] = []
    for place, (result, picture) in enumerate(zip(is_result, has_picture, strict=True)):
        if not result:
            continue
        if place == 0 or not is_result[place - 1]:
            steps.append([])
        if picture:
            steps[-1].append(place)
    shown = [step for step in steps if step]
    old = shown[: max(0, len(shown) - keep)] if keep > 0 else shown
    return {place for step in old for place in step}
