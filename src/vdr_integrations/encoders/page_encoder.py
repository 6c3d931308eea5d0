"""What both kinds of encoders share: options, preparation of pages and queries, the model."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch

from vdr_integrations.defaults import DEFAULT_VISUAL_TOKENS
from vdr_integrations.encoders.checkpoints.fingerprint import encoder_fingerprint
from vdr_integrations.encoders.checkpoints.known_checkpoints import checkpoint_for
from vdr_integrations.encoders.elsewhere.server_address import is_server_address
from vdr_integrations.encoders.elsewhere.several_devices import on_devices
from vdr_integrations.encoders.load_options import check_kind, chosen_dimension, model_to_load
from vdr_integrations.encoders.preprocessing.text_check import check_texts
from vdr_integrations.encoders.runtime.device_list import choose_devices
from vdr_integrations.encoders.runtime.pages_under_way import PagesUnderWay
from vdr_integrations.encoders.runtime.prepare_ahead import Steps, arun_in_windows, run_in_windows
from vdr_integrations.encoders.runtime.shared_model import SharedModel
from vdr_integrations.errors import OptionError, QueryTooLongError
from vdr_integrations.types import PixelBudget, as_page

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from concurrent.futures import Future

    from numpy.typing import NDArray

    from vdr_integrations.encoders.load_options import LoadOptions
    from vdr_integrations.encoders.preprocessing.prepared import Prepared
    from vdr_integrations.encoders.runtime.device_list import DeviceChoice
    from vdr_integrations.encoders.runtime.running_model import (
        ModelOrigin,
        OpenedModel,
        RunningModel,
    )
    from vdr_integrations.types import PageInput

    _PageSteps = Steps[PageInput, Prepared, NDArray[np.float32]]
    _QuerySteps = Steps[str, Prepared, NDArray[np.float32]]

__all__ = ["PageEncoder"]

_USUAL_LETTERS_PER_TOKEN = 16
"""Texts have fewer, but for long runs of one sign."""
_MOST_LETTERS_PER_TOKEN = 512
"""The longest tokens of the known vocabularies are runs of 128 signs."""


class PageEncoder:
    """A checkpoint with the options that decide what its vectors mean.

    An encoder is cheap: the weights belong to a shared model. Encoders that differ only in
    ``dimension``, pixel budget, batch budget or the origin of the files use the same weights. Safe
    to call from any number of threads and event loops.

    Attributes:
        name: The model, as the caller named it.
        checkpoint: Prompts, pooling and where they come from.
        dimension: Number of components of every vector.
        pixel_budget: The size that pages are fitted to.
        batch_visual_tokens: Visual tokens of pages that go through the model together.
        revision: Commit of the hub repository; None for a local folder.
        fingerprint: SHA-256. Vectors of two encoders may be compared if it is equal, on any
            device, in any dtype, from any folder or commit.
    """

    def __init__(
        self,
        origin: ModelOrigin,
        *,
        dimension: int | None,
        max_visual_tokens: int,
        batch_visual_tokens: int | None,
        opened: OpenedModel | None = None,
    ) -> None:
        """Use what ``origin`` gives, or gave already; see ``load_encoder`` for the options."""
        _check_count("max_visual_tokens", max_visual_tokens)
        if batch_visual_tokens is not None:
            _check_count("batch_visual_tokens", batch_visual_tokens)
        model, checkpoint, revision = origin.opened() if opened is None else opened
        facts = model.facts
        self._model, self._origin = model, origin
        self.name = checkpoint.model
        self.checkpoint = checkpoint
        self.dimension = self._checked_dimension(dimension, full=facts.dimension)
        self.pixel_budget = PixelBudget(
            max_visual_tokens=max_visual_tokens,
            min_visual_tokens=checkpoint.min_visual_tokens,
            factor=facts.token_side_px,
        )
        prompt = facts.page_tokens_before + facts.page_tokens_after
        if max_visual_tokens + prompt > facts.max_tokens:
            raise OptionError(
                f"max_visual_tokens={max_visual_tokens} with a prompt of {prompt} tokens; "
                f"{checkpoint.model} accepts {facts.max_tokens} in all."
            )
        self.batch_visual_tokens = (
            facts.pages_budget if batch_visual_tokens is None else batch_visual_tokens
        )
        self._asked_batch = batch_visual_tokens
        self.revision = revision
        self.fingerprint = encoder_fingerprint(
            checkpoint,
            contents=facts.contents_digest,
            budget=self.pixel_budget,
            dimension=self.dimension,
        )

    @classmethod
    def _load(cls, model: str, *, is_multi_vector: bool, given: LoadOptions) -> Self:
        if is_server_address(model):
            from vdr_integrations.encoders.elsewhere.server_origin import server_origin

            origin = server_origin(model, given)
            opened = origin.opened()
            check_kind(opened.checkpoint, is_multi_vector=is_multi_vector)
            return cls.of_server(origin, opened, given)
        known = checkpoint_for(model, described=given.get("checkpoint"))
        check_kind(known, is_multi_vector=is_multi_vector)
        found = model_to_load(model, **given)
        return cls(
            found.origin,
            dimension=found.dimension,
            max_visual_tokens=found.max_visual_tokens,
            batch_visual_tokens=found.batch_visual_tokens,
            opened=found.origin.opened(found.contents),
        )

    @classmethod
    def of_server(cls, origin: ModelOrigin, opened: OpenedModel, given: LoadOptions) -> Self:
        """The encoder of a model that a server runs, for use inside this package."""
        return cls(
            origin,
            dimension=chosen_dimension(given.get("dimension"), given.get("truncate_dim")),
            max_visual_tokens=given.get("max_visual_tokens", DEFAULT_VISUAL_TOKENS),
            batch_visual_tokens=given.get("batch_visual_tokens"),
            opened=opened,
        )

    @property
    def core(self) -> RunningModel:
        """The model, for use inside this package."""
        return self._model

    @property
    def model_here(self) -> SharedModel:
        """The model, if it runs in this process; for tests and measurements of its inside.

        Raises:
            OptionError: It runs elsewhere.
        """
        if not isinstance(self._model, SharedModel):
            raise OptionError(f"{self.name} does not run in this process; load it here.")
        return self._model

    @property
    def device(self) -> torch.device:
        """The device that holds the weights; the first of several."""
        return torch.device(self._model.facts.device.partition(",")[0])

    @property
    def dtype(self) -> torch.dtype:
        """Number format of the weights; vectors are always float32."""
        dtype = getattr(torch, self._model.facts.dtype)
        assert isinstance(dtype, torch.dtype)  # noqa: S101  # its name was written from one
        return dtype

    def _checked_dimension(self, dimension: int | None, *, full: int) -> int:
        if dimension is not None and not 1 <= dimension <= full:
            raise OptionError(
                f"dimension={dimension} for {self.name}; it must be between 1 and {full}."
            )
        return full if dimension is None else dimension

    def _query_results(
        self, texts: Iterable[str], *, show_progress: bool
    ) -> list[NDArray[np.float32]]:
        return run_in_windows(_texts(texts), self._query_steps(show_progress=show_progress))

    def _page_results(
        self, pages: Iterable[PageInput], *, show_progress: bool
    ) -> list[NDArray[np.float32]]:
        return run_in_windows(pages, self._page_steps(show_progress=show_progress))

    async def _aquery_results(
        self, texts: Iterable[str], *, show_progress: bool
    ) -> list[NDArray[np.float32]]:
        steps = self._query_steps(show_progress=show_progress)
        return await arun_in_windows(_texts(texts), steps)

    async def _apage_results(
        self, pages: Iterable[PageInput], *, show_progress: bool
    ) -> list[NDArray[np.float32]]:
        return await arun_in_windows(pages, self._page_steps(show_progress=show_progress))

    def prepare_query(self, text: str) -> Prepared:
        """A query as the model reads it, for use inside this package.

        Raises:
            OptionError: It has no tokens.
            QueryTooLongError: It has more tokens than the checkpoint accepts.
        """
        self._refuse_far_too_long(text)
        query = self._model.prepare_query(text)
        tokens, most = self._model.cost(query), self._model.facts.max_tokens
        if not tokens:
            raise OptionError(
                f"an empty text has no tokens, and neither has the query prompt of {self.name}; "
                f"leave the text out, or describe the checkpoint with a prompt around {{query}}."
            )
        if tokens > most:
            raise QueryTooLongError(
                f"a text of {len(text)} characters has {tokens} tokens with its prompt; "
                f"{self.name} accepts {most}. Split it into passages."
            )
        return query

    def _refuse_far_too_long(self, text: str) -> None:
        """Refuse a text by its beginning: all threads stand still while a tokenizer reads."""
        most = self._model.facts.max_tokens
        beginning = text[: _USUAL_LETTERS_PER_TOKEN * most]
        if len(beginning) == len(text):
            return
        if len(text) > _MOST_LETTERS_PER_TOKEN * most or (
            self._model.cost(self._model.prepare_query(beginning)) > 2 * most
        ):
            raise QueryTooLongError(
                f"a text of {len(text)} characters has more tokens than the {most} that "
                f"{self.name} accepts. Split it into passages."
            )

    def prepare_page(self, page: PageInput) -> Prepared:
        """A page as the model reads it, for use inside this package.

        Raises:
            OptionError: It is not a page, or it renders itself in a wrong mode or size.
            PageError: The page cannot be rendered.
        """
        image = as_page(page).render(self.pixel_budget)
        factor = self.pixel_budget.factor
        if image.mode != "RGB" or image.width % factor or image.height % factor:
            raise OptionError(
                f"{page!r} rendered itself as {image.mode} of {image.width} x {image.height} "
                f"pixels; it must be RGB with sides that are multiples of {factor}."
            )
        return self._model.prepare_image(image)

    def submit_pages(self, pages: Sequence[Prepared]) -> Future[list[NDArray[np.float32]]]:
        """Send pages to the model, for use inside this package."""
        return self._model.submit(pages, budget=self.batch_visual_tokens)

    def begin_pages(self, pages: Sequence[PageInput]) -> PagesUnderWay[Any]:
        """Do ``encode_pages`` while the caller does something else, for use inside this package.

        All pages are in memory until the model has read them.

        Raises:
            OptionError: Something that is not a page.
            PageError: A page cannot be rendered.
            EncodingError: The model takes no more work.
        """
        prepared = [*map(self.prepare_page, pages)]
        return PagesUnderWay(self.submit_pages(prepared), finish=self.finish)

    def on_devices(self, devices: DeviceChoice) -> Self:
        """The same encoder on these devices, for use inside this package.

        Raises:
            OptionError: A device is not on this machine, or the model does not run on this machine.
            EncodingError: It cannot be loaded on a device.
        """
        return type(self)(
            on_devices(self._origin, choose_devices(devices)),
            dimension=self.dimension,
            max_visual_tokens=self.pixel_budget.max_visual_tokens,
            batch_visual_tokens=self._asked_batch,
        )

    def finish(self, done: list[NDArray[np.float32]]) -> Any:  # noqa: ANN401  # kinds differ
        """Check and normalise what the model returned, for use inside this package."""
        raise NotImplementedError

    def _page_steps(self, *, show_progress: bool) -> _PageSteps:
        return Steps(
            prepare=self.prepare_page,
            submit=self.submit_pages,
            cost=self._model.cost,
            budget=self.batch_visual_tokens,
            at_once=self._model.windows_at_once,
            what="pages",
            show_progress=show_progress,
        )

    def _query_steps(self, *, show_progress: bool) -> _QuerySteps:
        return Steps(
            prepare=self.prepare_query,
            submit=self._model.submit,
            cost=self._model.cost,
            budget=self._model.facts.queries_budget,
            at_once=self._model.windows_at_once,
            what="queries",
            show_progress=show_progress,
        )

    def __copy__(self) -> Self:
        """Return the same object: an encoder never changes."""
        return self

    def __deepcopy__(self, _: object) -> Self:
        """Return the same object, with its weights in memory."""
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the options only; unpickling loads or shares the weights.

        The hub token is not pickled: the other process finds its own, as transformers does.
        """
        options = {
            "dimension": self.dimension,
            "max_visual_tokens": self.pixel_budget.max_visual_tokens,
            "batch_visual_tokens": self._asked_batch,
        }
        return partial(type(self), self._origin.for_pickles(), **options), ()

    def __repr__(self) -> str:
        """Model, dimension, device and dtype."""
        return (
            f"{type(self).__name__}({self.name!r}, dimension={self.dimension}, "
            f"device={self._model.facts.device}, dtype={self.dtype})"
        )


def _texts(texts: Iterable[str]) -> list[str]:
    if isinstance(texts, str):
        raise OptionError("encode_queries needs several texts, found one; for one write [text].")
    return check_texts(texts)


def _check_count(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise OptionError(f"{name}={value!r}; it must be a whole number, 1 at least.")
