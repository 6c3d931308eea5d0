"""A PDF that is open: in this process, or in one with limits."""

from __future__ import annotations

import weakref
from concurrent.futures import Future
from typing import TYPE_CHECKING, Protocol, TypeVar

from PIL import Image

from vdr_integrations.errors import DocumentOpenError, PageLimitError, PageRenderError
from vdr_integrations.pages.pdf.mupdf import MUPDF_LOCK
from vdr_integrations.pages.pdf.mupdf_document import MupdfDocument, is_closed
from vdr_integrations.pages.pdf.page_content import (
    Drawing,
    Fit,
    OutlineEntry,
    PageContent,
    Size,
    WholePage,
)
from vdr_integrations.pages.pdf.page_text import PageText
from vdr_integrations.pages.processes.failures import why_ended
from vdr_integrations.pages.processes.held_file import HeldFile
from vdr_integrations.pages.processes.process_pool import (
    Lane,
    close_document,
    default_lane,
    done_here,
    result_of,
    shared_pool,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from vdr_integrations.pages.file_limits import RenderLimits
    from vdr_integrations.pages.process_limits import ProcessLimits
    from vdr_integrations.pages.processes.child_process import ChildProcess, ProcessEndedError
    from vdr_integrations.pages.processes.messages import Message

__all__ = ["PdfElsewhere", "PdfFile", "PdfHere"]

Result = TypeVar("Result")


class PdfFile(Protocol):
    """An open PDF, which the document and its pages in use share.

    Attributes:
        source: Name of the document in error messages.
        sha256: SHA-256 of the file's bytes.
        page_count: Number of pages.
        limits: Limits it was opened with.
        is_repaired: Whether it is damaged, and MuPDF has repaired it.
        is_elsewhere: Whether other processes work for it.
    """

    source: str
    sha256: str
    page_count: int
    limits: RenderLimits
    is_repaired: bool
    is_elsewhere: bool

    def begin(
        self,
        work: Callable[[PageContent], Result],
        *,
        page_number: int,
        lane: Lane,
    ) -> Future[Result]:
        """Begin work for a page: a function that asks for its parts, one after the other.

        Returns:
            The future result. It raises PageError for a bad page or a closed document, and
            ResourceError if this machine is short of something.
        """
        ...

    def close(self) -> None:
        """Free the memory of the file. A second call does nothing."""


class PdfHere:
    """A PDF that MuPDF holds open in this process, without limits; see :class:`PdfFile`."""

    is_elsewhere = False

    def __init__(
        self, data: bytes, *, source: str, password: str | None, limits: RenderLimits
    ) -> None:
        """Open, unlock and check it; errors as in ``open_pdf``."""
        self.source = source
        self.limits = limits
        try:
            self._document = MupdfDocument(data, source=source, password=password, limits=limits)
        except MemoryError as problem:
            raise DocumentOpenError(_TOO_LARGE, source=source) from problem
        self.sha256 = self._document.sha256
        self.page_count = self._document.page_count
        self.is_repaired = self._document.is_repaired

    def begin(
        self,
        work: Callable[[PageContent], Result],
        *,
        page_number: int,
        lane: Lane,
    ) -> Future[Result]:
        """Do the work at once; see :meth:`PdfFile.begin`."""
        del lane

        def here() -> Result:
            with MUPDF_LOCK:
                return work(_ContentHere(self._document))

        return done_here(
            here,
            shortage=lambda: PageRenderError(
                _TOO_LARGE, source=self.source, page_number=page_number
            ),
        )

    def close(self) -> None:
        """Free the memory of the file. A second call does nothing."""
        self._document.close()


class PdfElsewhere:
    """A PDF that processes with limits open when asked for a page; see :class:`PdfFile`."""

    is_elsewhere = True

    def __init__(
        self,
        content: Path | bytes,
        *,
        source: str,
        password: str | None,
        limits: RenderLimits,
        process_limits: ProcessLimits,
    ) -> None:
        """Open, unlock and check it in a process; errors as in ``open_pdf``."""
        self.source = source
        self.limits = limits
        self._held = _HeldPdf(content, source, password, limits)
        self._process_limits = process_limits
        lane = default_lane()
        future = shared_pool(process_limits).submit(
            self._held.opened,
            failure=lambda end: DocumentOpenError(
                why_ended(end, process_limits, doing="open it"), source=source
            ),
            lane=lane,
        )
        self.is_repaired = result_of(future, lane)
        self.sha256 = self._held.sha256
        self.page_count = self._held.page_count
        self._close = weakref.finalize(self, _close, self._held, process_limits)
        self._close.atexit = False

    def begin(
        self,
        work: Callable[[PageContent], Result],
        *,
        page_number: int,
        lane: Lane,
    ) -> Future[Result]:
        """Let a process do the work; see :meth:`PdfFile.begin`."""

        def begun(child: ChildProcess) -> Result:
            return work(_ContentElsewhere(child, self._held))

        def failure(end: ProcessEndedError) -> PageLimitError:
            reason = why_ended(end, self._process_limits, doing="draw it")
            return PageLimitError(reason, source=self.source, page_number=page_number)

        if not self._close.alive:
            closed: Future[Result] = Future()
            closed.set_exception(is_closed(self.source, page_number))
            return closed
        return shared_pool(self._process_limits).submit(
            begun, failure=failure, lane=lane, key=self._held.key
        )

    def close(self) -> None:
        """Let processes close it. A second call does nothing."""
        self._close()


_TOO_LARGE = (
    "there was not enough memory for it. Close other programs, or leave it out; with "
    "process_limits=ProcessLimits(memory_mb=...) it cannot take more than you allow."
)


class _HeldPdf(HeldFile):
    """What processes need to open a PDF, and what they said of its pages.

    Attributes:
        max_text_characters: A longer text of a page is cut.
        last_size: Size of the page that was drawn last.
    """

    def __init__(
        self, content: Path | bytes, source: str, password: str | None, limits: RenderLimits
    ) -> None:
        super().__init__(
            "open_pdf",
            content,
            source=source,
            limits=limits,
            page_limit=limits.max_pages,
            changed=DocumentOpenError,
            password=password,
        )
        self.max_text_characters = limits.max_text_characters
        self.last_size: Size | None = None

    def opened(self, child: ChildProcess) -> bool:
        """Open it for the first time; whether it was repaired."""
        reply = self.first(child)
        with child.believed():
            return bool(reply["is_repaired"])


class _ContentHere:
    """What this process's MuPDF says of a page."""

    def __init__(self, document: MupdfDocument) -> None:
        self.size = document.size
        self.label = document.label
        self.text = document.text
        self.outline = document.outline
        self._draw = document.draw

    def draw(self, page_number: int, fit: Fit) -> Drawing:
        height, width = fit(self.size(page_number))
        drawn = self._draw(page_number, height=height, width=width)
        image = Image.frombytes("RGB", (drawn.width, drawn.height), drawn.samples)  # pyright: ignore[reportArgumentType]  # any buffer
        return Drawing(image, drawn.warnings)

    def whole(self, page_number: int, fit: Fit) -> WholePage:
        drawing = self.draw(page_number, fit)
        return WholePage(drawing, self.label(page_number), self.text(page_number))


class _ContentElsewhere:
    """What a process says of a page. It may lie if a file has taken it over: types are checked."""

    def __init__(self, child: ChildProcess, held: _HeldPdf) -> None:
        held.ensure(child)
        self._child = child
        self._held = held

    def size(self, page_number: int) -> Size:
        reply = self._ask(page_number, ["size"])
        with self._child.believed():
            return _size(reply)

    def label(self, page_number: int) -> str | None:
        reply = self._ask(page_number, ["label"])
        with self._child.believed():
            return _label(reply)

    def text(self, page_number: int) -> PageText:
        reply = self._ask(page_number, ["text"])
        with self._child.believed():
            return self._text(reply)

    def outline(self) -> list[OutlineEntry]:
        reply = self._ask(1, ["outline"])
        with self._child.believed():
            return [OutlineEntry(str(title), int(page)) for title, page in reply["outline"]]

    def draw(self, page_number: int, fit: Fit) -> Drawing:
        return self._drawn(page_number, ["image"], fit)[0]

    def whole(self, page_number: int, fit: Fit) -> WholePage:
        drawing, reply = self._drawn(page_number, ["image", "label", "text"], fit)
        with self._child.believed():
            return WholePage(drawing, _label(reply), self._text(reply))

    def _drawn(self, page_number: int, wanted: list[str], fit: Fit) -> tuple[Drawing, Message]:
        # Most pages are as large as the one before, and are drawn without asking how large.
        size = self._held.last_size or self.size(page_number)
        reply = self._ask_for_image(page_number, wanted, fit, size)
        with self._child.believed():
            found = _size(reply)
        if found != size:
            size = found
            reply = self._ask_for_image(page_number, wanted, fit, size)
        self._held.last_size = size
        height, width = fit(size)
        image = self._child.image(reply, height=height, width=width)
        with self._child.believed():
            return Drawing(image, tuple(map(str, reply["warnings"]))), reply

    def _ask_for_image(self, page_number: int, wanted: list[str], fit: Fit, size: Size) -> Message:
        height, width = fit(size)
        self._child.make_room(height=height, width=width)
        return self._ask(page_number, wanted, height=height, width=width, if_size=size)

    def _text(self, reply: Message) -> PageText:
        text, is_cut = reply["text"]
        return PageText(str(text)[: self._held.max_text_characters], bool(is_cut))

    def _ask(self, page_number: int, wanted: list[str], **options: object) -> Message:
        held = self._held
        return self._child.ask(
            {
                "do": "page",
                "key": held.key,
                "page_number": page_number,
                "wanted": wanted,
                **options,
            },
            source=held.source,
            characters=held.max_text_characters if "text" in wanted else 0,
        )


def _size(reply: Message) -> Size:
    width_pt, height_pt, rotation = reply["size"]
    return Size(float(width_pt), float(height_pt), int(rotation))


def _label(reply: Message) -> str | None:
    label = reply["label"]
    return None if label is None else str(label)


def _close(held: _HeldPdf, process_limits: ProcessLimits) -> None:
    close_document(held.key, process_limits)
