"""A multi-vector model that a vLLM server runs."""

from __future__ import annotations

import asyncio
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vdr_integrations.encoders.elsewhere.http_calls import RefusedError
from vdr_integrations.encoders.elsewhere.io_loop import in_io_loop
from vdr_integrations.encoders.elsewhere.shared_requests import SharedRequests
from vdr_integrations.encoders.preprocessing.prepared import Prepared, PreparedQuery
from vdr_integrations.encoders.runtime.forks import PerProcess
from vdr_integrations.encoders.runtime.running_model import RunningModel
from vdr_integrations.errors import ModelServerError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Future

    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    from vdr_integrations.encoders.elsewhere.page_prompt_there import PagePromptThere
    from vdr_integrations.encoders.elsewhere.vllm_server import VllmServer
    from vdr_integrations.encoders.preprocessing.prompt_tokens import TokenizedPrompts
    from vdr_integrations.encoders.runtime.running_model import ModelFacts

__all__ = ["PngPage", "VllmModel", "png_of"]

_PAGES_AT_ONCE = 32
"""Pages on their way; vLLM puts them into one batch as it has room."""
_QUERIES_IN_REQUEST = 128
_REQUEST_BYTES = 4 * 1024**2
_BYTES_OF_ID = 8
_PNG_LEVEL = 1


@dataclass(frozen=True, slots=True, eq=False)
class PngPage(Prepared):
    """A page that is inside the pixel budget already.

    Attributes:
        png: The whole file.
        width: In pixels.
        height: In pixels.
    """

    png: bytes
    width: int
    height: int


def png_of(image: Image.Image) -> PngPage:
    """An RGB image as it is sent."""
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=_PNG_LEVEL)
    return PngPage(file.getvalue(), image.width, image.height)


class VllmModel(RunningModel):
    """A model behind vLLM. Queries go as token ids, so that no text of a user is a special token.

    A page is one request; vLLM makes batches of them. After every window of pages and every request
    for queries the server is asked whether it still serves the same model, because vLLM itself does
    not refuse what was meant for another one.
    """

    def __init__(
        self,
        server: VllmServer,
        facts: ModelFacts,
        prompts: TokenizedPrompts,
        page_prompt: PagePromptThere,
        *,
        sample: PngPage,
        width: int,
        is_here: bool,
    ) -> None:
        """Use a server that was probed.

        Args:
            server: The server.
            facts: Facts of its model.
            prompts: The checkpoint's own prompts.
            page_prompt: The prompt that the server writes around pages.
            sample: A small page, with which the server is asked for its prompt again.
            width: Components of the vectors that it gives; more than ``facts.dimension`` if only
                the leading ones count.
            is_here: Whether it is on this machine.
        """
        self.facts = facts
        self.leaves_cores = not is_here
        self._server = server
        self._prompts = prompts
        self._page_prompt = page_prompt
        self._sample = sample
        self._width = width
        # Used in the loop of all calls only; a forked child has another loop.
        self._free: PerProcess[asyncio.Semaphore] = PerProcess(
            lambda: asyncio.Semaphore(_PAGES_AT_ONCE)
        )
        self._queries: PerProcess[SharedRequests[PreparedQuery, NDArray[np.float32]]] = PerProcess(
            lambda: SharedRequests(
                self._of_queries,
                size=lambda query: _BYTES_OF_ID * self.cost(query),
                most_items=_QUERIES_IN_REQUEST,
                most_bytes=_REQUEST_BYTES,
            )
        )

    def prepare_image(self, image: Image.Image) -> PngPage:
        """See ``RunningModel``."""
        return png_of(image)

    def prepare_query(self, text: str) -> PreparedQuery:
        """See ``RunningModel``."""
        return PreparedQuery(self._prompts.query(text))

    def query_tokens(self, text: str) -> list[str]:
        """See ``RunningModel``."""
        return self._prompts.pieces(self._prompts.query(text))

    def cost(self, item: Prepared) -> int:
        """See ``RunningModel``."""
        if isinstance(item, PngPage):
            return item.width * item.height // self.facts.token_side_px**2
        return len(_ids(item))

    def submit(
        self,
        items: Sequence[Prepared],
        *,
        budget: int | None = None,  # noqa: ARG002  # vLLM makes its own batches
    ) -> Future[list[NDArray[np.float32]]]:
        """See ``RunningModel``; the server makes its own batches, whatever ``budget`` is."""
        return in_io_loop(self._encoded(items))

    async def _encoded(self, items: Sequence[Prepared]) -> list[NDArray[np.float32]]:
        pages = [item for item in items if isinstance(item, PngPage)]
        if not pages:
            queries = [item for item in items if isinstance(item, PreparedQuery)]
            return await self._queries.value.results(queries) if queries else []
        parts = [asyncio.ensure_future(self._of_page(page)) for page in pages]
        try:
            found = await asyncio.gather(*parts)
        except RefusedError:
            await self._server.check()  # says it if another model is the reason
            raise
        finally:
            for part in parts:  # after an error, nobody waits for the others
                part.cancel()
        await self._check_pages()
        return found

    async def _of_page(self, page: PngPage) -> NDArray[np.float32]:
        async with self._free.value:
            found = await self._server.of_page(page.png, width=self._width)
        prompt = self._page_prompt
        counts = len(prompt.before) + self.cost(page) + len(prompt.after)
        if len(found) != counts + prompt.unused:
            await self._server.check()
            raise self._resized(page, len(found) - counts - prompt.unused)
        return found[:counts, : self.facts.dimension]

    async def _check_pages(self) -> None:
        """Refuse a server that serves another model, or writes another prompt, than before."""
        await self._server.check()
        ids = await self._server.page_tokens(self._sample.png)
        if not self._page_prompt.is_that_of(ids):
            raise ModelServerError(
                f"{self._server.url} writes another prompt around pages than before (its chat "
                f"template); load the encoder again."
            )

    async def _of_queries(self, queries: Sequence[PreparedQuery]) -> list[NDArray[np.float32]]:
        try:
            found = await self._server.of_tokens([*map(_ids, queries)], width=self._width)
        except RefusedError:
            await self._server.check()
            raise
        await self._server.check()
        return [one[:, : self.facts.dimension] for one in found]

    def _resized(self, page: PngPage, more: int) -> ModelServerError:
        tokens, side = self.cost(page), self.facts.token_side_px
        lower = "Lower max_visual_tokens, or let" if more < 0 else "Let"
        return ModelServerError(
            f"{self._server.url} gave vectors for {tokens + more} visual tokens of a page of "
            f"{page.width} x {page.height} pixels, which has {tokens}: it has resized the page. "
            f"{lower} vLLM take pages as they are sent: start it with --mm-processor-kwargs "
            f'\'{{"min_pixels": {min(page.width * page.height, 4 * side**2)}, "max_pixels": '
            f"{page.width * page.height}}}', with max_pixels of the largest page."
        )


def _ids(item: Prepared) -> tuple[int, ...]:
    assert isinstance(item, PreparedQuery)  # noqa: S101  # items come from the two methods above
    return (*item.tokens.before, *item.tokens.after)
