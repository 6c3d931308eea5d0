"""Whether a vLLM server gives the vectors of the checkpoint that it names, at the first contact."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from vdr_integrations.encoders.checkpoints.prompts import IMAGE_PLACEHOLDER
from vdr_integrations.encoders.elsewhere.page_prompt_there import PagePromptThere
from vdr_integrations.encoders.elsewhere.vllm_model import PngPage, png_of
from vdr_integrations.errors import ModelServerError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vdr_integrations.encoders.elsewhere.vllm_checkpoint import VllmCheckpoint
    from vdr_integrations.encoders.elsewhere.vllm_server import VllmServer
    from vdr_integrations.encoders.preprocessing.prompt_tokens import TokenizedPrompts

__all__ = ["Probed", "probe", "sample_page"]

_TEXT = "Wie groß ist die Fläche (in m²)? 12,5  \t<b>日本</b>"
_UNIT = 0.02
"""By how much the length of a vector may differ from 1; bfloat16 rounds to 0.004."""
_SAME = 0.02
"""By how much numbers of one text may differ between two requests."""


@dataclass(frozen=True, slots=True)
class Probed:
    """What a server has shown.

    Attributes:
        page_prompt: The prompt around pages.
        width: Components of its vectors.
    """

    page_prompt: PagePromptThere
    width: int


def sample_page(*, visual_tokens: int, side: int) -> PngPage:
    """A small page with at least so many visual tokens, whose sides are ``side`` pixels each."""
    along = math.isqrt(max(visual_tokens, 1) - 1) + 1
    shades = np.linspace(0, 255, along * side, dtype=np.uint8)
    pixels = np.broadcast_to(shades[:, None, None], (along * side, along * side, 3))
    return png_of(Image.fromarray(np.ascontiguousarray(pixels)))


async def probe(
    server: VllmServer, found: VllmCheckpoint, prompts: TokenizedPrompts, sample: PngPage
) -> Probed:
    """Ask for one text and one small page, and refuse what is not as the checkpoint says.

    Args:
        server: The server.
        found: The checkpoint that it names.
        prompts: The checkpoint's prompts.
        sample: The page.

    Raises:
        ModelServerError: Its tokenizer, its page prompt, or the number, length or size of its
            vectors is not what the checkpoint says.
    """
    query = prompts.query(_TEXT)
    ids = [*query.before, *query.after]
    there = await server.text_tokens(found.described.query_prompt.replace("{query}", _TEXT))
    if there != ids:
        raise _not_as_said(
            server,
            found,
            f"its tokenizer gives {len(there)} tokens for a text of {len(ids)}, or other ones",
        )
    numbers = _numbers(await server.numbers_of_tokens(ids))
    width = _checked_width(numbers, len(ids), server, found)
    (again,) = await server.of_tokens([ids], width=width)
    if np.abs(again - numbers).max() > _SAME:
        raise _not_as_said(server, found, "base64 and numbers of one text differ")
    prompt = await _page_prompt(server, found, prompts, sample)
    page = await server.of_page(sample.png, width=width)
    side = found.config.sizes.vision.patch_size * found.config.sizes.vision.spatial_merge_size
    visual = sample.width * sample.height // side**2
    rows = len(prompt.before) + visual + len(prompt.after) + prompt.unused
    if len(page) != rows:
        raise _not_as_said(
            server,
            found,
            f"it gives {len(page)} vectors for a page of {sample.width} x {sample.height} pixels, "
            f"and {rows} are expected, {visual} of them visual tokens: it resizes pages "
            f"(--mm-processor-kwargs)",
        )
    _check_lengths(page, server, found)
    return Probed(prompt, width)


async def _page_prompt(
    server: VllmServer, found: VllmCheckpoint, prompts: TokenizedPrompts, sample: PngPage
) -> PagePromptThere:
    image = found.tokenizer.token_to_id(IMAGE_PLACEHOLDER)
    if image is None:
        raise _not_as_said(server, found, f"the tokenizer has no {IMAGE_PLACEHOLDER}")
    ids = await server.page_tokens(sample.png)
    try:
        return PagePromptThere.of_tokens(ids, image=image, own=prompts.page)
    except ValueError as error:
        raise _not_as_said(server, found, f"its prompt of a page has {error}") from None


def _numbers(found: object) -> NDArray[np.float32]:
    try:
        return np.asarray(found, np.float32)
    except (ValueError, TypeError):
        return np.empty(0, np.float32)


def _checked_width(
    numbers: NDArray[np.float32], tokens: int, server: VllmServer, found: VllmCheckpoint
) -> int:
    """The components of a vector of a text, whose vectors are as the checkpoint says."""
    said = found.described.token_dimension
    if numbers.ndim != 2 or len(numbers) != tokens:
        raise _not_as_said(
            server,
            found,
            f"it gives numbers of the shape {numbers.shape} for {tokens} tokens, and ({tokens}, "
            f"{said}) are expected",
        )
    width = numbers.shape[1]
    if width != said and not (found.described.keeps_leading and width > said):
        raise _not_as_said(
            server, found, f"it gives vectors of {width} components, and {said} are expected"
        )
    _check_lengths(numbers, server, found)
    return width


def _check_lengths(vectors: NDArray[np.float32], server: VllmServer, found: VllmCheckpoint) -> None:
    lengths = np.linalg.norm(vectors, axis=1)
    if not np.isfinite(lengths).all() or np.abs(lengths - 1).max() > _UNIT:
        raise _not_as_said(
            server, found, "it gives vectors that are not of length 1, or not finite"
        )


def _not_as_said(server: VllmServer, found: VllmCheckpoint, what: str) -> ModelServerError:
    card = server.card
    return ModelServerError(
        f"vLLM at {server.url} serves {card.name} ({card.root}), but not as {found.name} is: "
        f"{what}. Serve that checkpoint with task token_embed, or describe the one that is served "
        f"with checkpoint=Checkpoint(...)."
    )
