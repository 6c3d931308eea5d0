"""A dense and a multi-vector encoder together: the vision tower reads each page once."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

from vdr_integrations.encoders.preprocessing.prepared import KeptVisualTokens, PreparedPage
from vdr_integrations.encoders.runtime import forks
from vdr_integrations.encoders.runtime.pages_under_way import PagesUnderWay
from vdr_integrations.encoders.runtime.prepare_ahead import Steps, arun_in_windows, run_in_windows
from vdr_integrations.encoders.runtime.shared_model import SharedModel
from vdr_integrations.encoders.runtime.torch_threads import call_with_torch

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from vdr_integrations.encoders.dense_encoder import DenseEncoder
    from vdr_integrations.encoders.multi_vector_encoder import MultiVectorEncoder
    from vdr_integrations.encoders.preprocessing.prepared import Prepared
    from vdr_integrations.encoders.runtime.device_list import DeviceChoice
    from vdr_integrations.types import PageInput

    _Rows = Future[list[NDArray[np.float32]]]
    _Submit = Callable[[Sequence[Prepared]], _Rows]
    _PairedRow = tuple[NDArray[np.float32], NDArray[np.float32]]
    _PairedSteps = Steps[PageInput, "_PairedPage", _PairedRow]

__all__ = ["PairedEncoder", "PairedVectors"]


class _PairedPage(NamedTuple):
    """A page as each encoder reads it."""

    dense: Prepared
    multi_vector: Prepared


class PairedVectors(NamedTuple):
    """The vectors of both encoders.

    Attributes:
        dense: float32 (pages, dimension), as ``DenseEncoder.encode_pages`` returns them.
        tokens: float32 (tokens, dimension) for each page, as ``MultiVectorEncoder.encode_pages``
            returns them.
    """

    dense: NDArray[np.float32]
    tokens: list[NDArray[np.float32]]


class PairedEncoder:
    """A dense and a multi-vector encoder that run the vision tower once for a page.

    A page goes through the tower once if both encoders have the same tower, in the same format on
    the same device, and the same pixel budget (the minimum may differ, as pages seldom meet it).
    The tower is most of the work for a page (72 % with the 2B models, shared research).

    Use it for checkpoints that were trained over one frozen tower, such as ``nano`` and
    ``nano-colqwen2``, and for an index that uses dense vectors to select candidates and late
    interaction to compare them. The vectors are those of each encoder alone. Encode queries with
    either encoder.

    Attributes:
        dense: The encoder of one vector a page.
        multi_vector: The encoder of one vector a token.

    Example:
        >>> from vdr_integrations import DenseEncoder, MultiVectorEncoder, open_pdf
        >>> dense = DenseEncoder.load("nano")
        >>> pair = PairedEncoder(dense=dense, multi_vector=MultiVectorEncoder.load("nano-colqwen2"))
        >>> pair.shares_vision
        True
        >>> with open_pdf("report.pdf") as pages:
        ...     found = pair.encode_pages(pages)
        >>> found.dense.shape, len(found.tokens)
        ((5, 512), 5)
    """

    def __init__(self, *, dense: DenseEncoder, multi_vector: MultiVectorEncoder) -> None:
        """Pair two encoders. Nothing is loaded or copied."""
        self.dense = dense
        self.multi_vector = multi_vector

    @property
    def shares_vision(self) -> bool:
        """Whether one pass of the vision tower serves both. Two models are compared only once."""
        one, other = self.multi_vector.core, self.dense.core
        if isinstance(one, SharedModel) and isinstance(other, SharedModel):
            return _have_one_tower(one, other)
        return False

    def encode_pages(
        self, pages: Iterable[PageInput], *, show_progress: bool = False
    ) -> PairedVectors:
        """Encode pages with both encoders.

        Args:
            pages: Pages or PIL images; any iterable, rendered a few at a time; order is kept.
            show_progress: Show a progress bar on stderr.

        Returns:
            The vectors of both encoders.

        Raises:
            OptionError: Something that is not a page.
            PageError: A page cannot be rendered.
            InvalidVectorError: The model returned NaN, infinity or a zero vector.
            DeviceMemoryError: One page alone does not fit the memory of the device.
        """
        with self._steps(show_progress=show_progress) as steps:
            return self._finish(run_in_windows(pages, steps))

    async def aencode_pages(
        self, pages: Iterable[PageInput], *, show_progress: bool = False
    ) -> PairedVectors:
        """Do :meth:`encode_pages` without blocking the event loop."""
        with self._steps(show_progress=show_progress) as steps:
            return self._finish(await arun_in_windows(pages, steps))

    def begin_pages(self, pages: Sequence[PageInput]) -> PagesUnderWay[PairedVectors]:
        """Do :meth:`encode_pages` while the caller does something else, inside this package."""
        turns = _Turns(first=self.multi_vector.submit_pages, then=self.dense.submit_pages)
        rows = turns.submit([*map(self._prepare_page, pages)])
        return PagesUnderWay(rows, finish=self._finish, stop=turns.stop)

    def on_devices(self, devices: DeviceChoice) -> PairedEncoder:
        """Both encoders on these devices, for use inside this package; see ``PageEncoder``.

        Each page then goes through both towers.
        """
        return PairedEncoder(
            dense=self.dense.on_devices(devices),
            multi_vector=self.multi_vector.on_devices(devices),
        )

    @contextmanager
    def _steps(self, *, show_progress: bool) -> Generator[_PairedSteps]:
        turns = _Turns(first=self.multi_vector.submit_pages, then=self.dense.submit_pages)
        try:
            yield Steps(
                prepare=self._prepare_page,
                submit=turns.submit,
                cost=lambda page: self.dense.core.cost(page.dense),
                budget=max(self.dense.batch_visual_tokens, self.multi_vector.batch_visual_tokens),
                at_once=1,  # _Turns does one window after the other
                what="pages",
                show_progress=show_progress,
            )
        finally:
            turns.stop()

    def _prepare_page(self, page: PageInput) -> _PairedPage:
        if self._shows_both(prepared := self.dense.prepare_page(page)):
            if isinstance(prepared, PreparedPage) and self.shares_vision:
                prepared = replace(prepared, kept=KeptVisualTokens())
            return _PairedPage(prepared, prepared)
        return _PairedPage(prepared, self.multi_vector.prepare_page(page))

    def _shows_both(self, page: Prepared) -> bool:
        """Whether the other encoder would prepare the page in the same way."""
        if type(self.dense.core) is not type(self.multi_vector.core):
            return False  # one of them runs elsewhere, and is sent something else
        own, other = self.dense.pixel_budget, self.multi_vector.pixel_budget
        least = other.min_visual_tokens
        if replace(own, min_visual_tokens=least) != other or own.min_visual_tokens > least:
            return False
        return own == other or self.dense.core.cost(page) >= least

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle both encoders' options."""
        return partial(type(self), dense=self.dense, multi_vector=self.multi_vector), ()

    def __repr__(self) -> str:
        """Both encoders."""
        return f"{type(self).__name__}(dense={self.dense!r}, multi_vector={self.multi_vector!r})"

    def _finish(self, done: list[_PairedRow]) -> PairedVectors:
        return PairedVectors(
            self.dense.finish([dense for dense, _ in done]),
            self.multi_vector.finish([tokens for _, tokens in done]),
        )


class _Turns:
    """Runs one window after the other, and each window with one model after the other.

    Two models at once would only take turns on one device, and compete for threads.
    """

    def __init__(self, *, first: _Submit, then: _Submit) -> None:
        self._first, self._then = first, then
        self._last: Future[list[_PairedRow]] | None = None
        self._running: _Rows | None = None
        self._stopped = False

    def submit(self, window: Sequence[_PairedPage]) -> Future[list[_PairedRow]]:
        """Rows of both models for a window, after the windows before it are done."""
        result: Future[list[_PairedRow]] = Future()
        before, self._last = self._last, result

        def begin(_before: object) -> None:
            if not self._stopped and result.set_running_or_notify_cancel():
                pages = [page.multi_vector for page in window]
                self._run(self._first, pages, go_on, result)

        def go_on(tokens: list[NDArray[np.float32]]) -> None:
            def finish(dense: list[NDArray[np.float32]]) -> None:
                result.set_result([*zip(dense, tokens, strict=True)])

            if not self._stopped:
                self._run(self._then, [page.dense for page in window], finish, result)

        if before is None:
            begin(None)
        else:
            before.add_done_callback(begin)
        return result

    def stop(self) -> None:
        """Start nothing more: nobody waits for it."""
        self._stopped = True
        if self._running is not None:
            self._running.cancel()

    def _run(
        self,
        submit: _Submit,
        pages: Sequence[Prepared],
        then: Callable[[list[NDArray[np.float32]]], None],
        result: Future[list[_PairedRow]],
    ) -> None:
        def done(rows: _Rows) -> None:
            if rows.cancelled():
                return
            try:
                then(rows.result())
            except Exception as error:  # noqa: BLE001  # an error in a callback would be lost
                result.set_exception(error)

        try:
            self._running = submit(pages)
        except Exception as error:  # noqa: BLE001  # as above
            result.set_exception(error)
        else:
            self._running.add_done_callback(done)


class _Compared:
    """Remembers which models have the same tower."""

    def __init__(self) -> None:
        self.comparing = threading.Lock()
        self.found: WeakKeyDictionary[SharedModel, WeakKeyDictionary[SharedModel, bool]]
        self.found = WeakKeyDictionary()


_compared = forks.PerProcess(_Compared)


def _have_one_tower(one: SharedModel, other: SharedModel) -> bool:
    compared = _compared.value

    def compare() -> bool:
        with forks.uninterrupted(), compared.comparing:
            known = compared.found.setdefault(one, WeakKeyDictionary())
            if other not in known:
                known[other] = one.backbone.has_tower_of(other.backbone)
            return known[other]

    known = compared.found.get(one, {}).get(other)
    return call_with_torch(compare) if known is None else known
