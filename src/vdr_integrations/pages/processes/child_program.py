"""The program of a process that opens files of others: it answers one request after the other."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, BinaryIO

from vdr_integrations.errors import MissingExtraError, PageError, ResourceError
from vdr_integrations.pages.file_limits import ImageLimits, RenderLimits
from vdr_integrations.pages.processes.child_limits import address_space_bytes, begin_page, confine
from vdr_integrations.pages.processes.messages import (
    PAYLOAD_BYTES,
    Message,
    read_message,
    write_message,
)
from vdr_integrations.pages.processes.shared_pixels import SharedPixels

if TYPE_CHECKING:
    from collections.abc import Callable

    from PIL import Image

    from vdr_integrations.pages.images.open_tiff import OpenTiff
    from vdr_integrations.pages.pdf.mupdf_document import MupdfDocument

__all__ = ["MEMORY_CODE", "main"]

MEMORY_CODE = 77
"""Exit code of a process that had no memory left even to say so."""

_LONGEST_REQUEST_BYTES = 1024**2
_Answer = tuple[Message, bytes | None]


def main(start: Message) -> None:
    """Answer requests until there are no more, and end without a word when the parent has ended.

    Args:
        start: ``parent_id``, ``memory_bytes``, and ``pixels``: the descriptor of shared memory, or
            None. See ``ChildProcess``.
    """
    try:
        _answer_all(start)
    except MemoryError:
        os._exit(MEMORY_CODE)
    except BrokenPipeError:
        pass
    os._exit(0)


def _answer_all(start: Message) -> None:
    requests, replies = _pipes()
    confine(memory_bytes=start["memory_bytes"], parent_id=start["parent_id"])
    pixels = None if start["pixels"] is None else SharedPixels(start["pixels"])
    opener = _Opener(requests, pixels, limits_itself=start["memory_bytes"] is not None)
    write_message(replies, {"is_ready": True})
    while (request := read_message(requests, longest_bytes=_LONGEST_REQUEST_BYTES)) is not None:
        write_message(replies, *opener.answer(request))


def _pipes() -> tuple[BinaryIO, BinaryIO]:
    """Requests and replies. What anything else prints goes nowhere."""
    replies = os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    return sys.stdin.buffer, replies


class _Opener:
    """Opens files, and keeps PDFs and TIFFs open until it is told to close them."""

    def __init__(
        self, requests: BinaryIO, pixels: SharedPixels | None, *, limits_itself: bool
    ) -> None:
        self._requests = requests
        self._pixels = pixels
        self._limits_itself = limits_itself
        self._pdfs: dict[int, MupdfDocument] = {}
        self._tiffs: dict[int, OpenTiff] = {}
        self._image: Image.Image | None = None
        self._answers: dict[str, Callable[[Message], _Answer]] = {
            "open_pdf": self._open_pdf,
            "page": self._page,
            "open_tiff": self._open_tiff,
            "tiff_page": self._tiff_page,
            "close_file": self._close_file,
            "open_image": self._open_image,
            "image_pixels": self._image_pixels,
        }

    def answer(self, request: Message) -> _Answer:
        """The answer to a request, or why there is none."""
        if "cpu_s" in request and self._limits_itself:
            begin_page(request["cpu_s"])
        try:
            return self._answers[request["do"]](request)
        except MemoryError:
            self._image = None
            return {"shortage": True}, None
        except PageError as error:
            name = type(error).__name__
            return {"error": name, "reason": error.reason, "page_number": error.page_number}, None
        except MissingExtraError as error:
            missing = {"package": error.package, "extra": error.extra, "purpose": error.purpose}
            return {"missing": missing}, None
        except ResourceError:
            return {"resource": True}, None

    def _open_pdf(self, request: Message) -> _Answer:
        from vdr_integrations.errors import DocumentOpenError
        from vdr_integrations.pages.pdf.mupdf_document import MupdfDocument

        limits = RenderLimits(**request["limits"])
        document = MupdfDocument(
            self._file(request, limits.max_file_bytes, DocumentOpenError),
            source=request["source"],
            password=request["password"],
            limits=limits,
            is_confined=self._limits_itself,
        )
        self._pdfs[request["key"]] = document
        return {
            "sha256": document.sha256,
            "page_count": document.page_count,
            "is_repaired": document.is_repaired,
        }, None

    def _close_file(self, request: Message) -> _Answer:
        self._tiffs.pop(request["key"], None)
        pdf = self._pdfs.pop(request["key"], None)
        if pdf is not None:
            pdf.close()
        return {}, None

    def _page(self, request: Message) -> _Answer:
        document = self._pdfs[request["key"]]
        number, wanted = request["page_number"], request["wanted"]
        found: Message = {}
        payload = None
        if "size" in wanted or "image" in wanted:
            size = document.size(number)
            found["size"] = size
            if "image" in wanted and list(size) != request["if_size"]:
                return found, None  # to be drawn at another size than asked for
        if "image" in wanted:
            drawn = document.draw(number, height=request["height"], width=request["width"])
            found["warnings"] = drawn.warnings
            payload = self._shared(drawn.samples)
        if "label" in wanted:
            found["label"] = document.label(number)
        if "text" in wanted:
            found["text"] = document.text(number)
        if "outline" in wanted:
            found["outline"] = document.outline()
        return found | {"used_bytes": address_space_bytes()}, payload

    def _open_tiff(self, request: Message) -> _Answer:
        from vdr_integrations.errors import ImageDecodeError
        from vdr_integrations.pages.images.open_tiff import OpenTiff

        limits = ImageLimits(**request["limits"])
        tiff = OpenTiff(
            self._file(request, limits.max_file_bytes, ImageDecodeError),
            source=request["source"],
            limits=limits,
            max_pages=request["max_pages"],
        )
        self._tiffs[request["key"]] = tiff
        return {"sha256": tiff.sha256, "page_count": tiff.page_count}, None

    def _tiff_page(self, request: Message) -> _Answer:
        self._image = None
        self._image = self._tiffs[request["key"]].decoded(request["page_number"])
        return {"width": self._image.width, "height": self._image.height}, None

    def _open_image(self, request: Message) -> _Answer:
        from vdr_integrations.errors import ImageDecodeError
        from vdr_integrations.pages.images.decode import decode_image

        self._image = None
        limits = ImageLimits(**request["limits"])
        data = self._file(request, limits.max_file_bytes, ImageDecodeError)
        self._image = decode_image(data, source=request["source"], limits=limits)
        return {"width": self._image.width, "height": self._image.height}, None

    def _image_pixels(self, request: Message) -> _Answer:
        from vdr_integrations.types import PageImage

        if self._image is None:
            raise KeyError("image")
        image = PageImage(self._image).resized(height=request["height"], width=request["width"])
        self._image = None
        return {"used_bytes": address_space_bytes()}, self._shared(image.tobytes())

    def _file(self, request: Message, max_file_bytes: int, error: type[PageError]) -> bytes:
        if request["path"] is None:
            data = self._requests.read(request[PAYLOAD_BYTES])
            if len(data) != request[PAYLOAD_BYTES]:
                os._exit(1)  # the parent has ended
            return data
        from vdr_integrations.pages.read_file import whole_file

        return whole_file(
            request["path"],
            source_name=request["source"],
            max_file_bytes=max_file_bytes,
            error=error,
        )

    def _shared(self, samples: bytes | memoryview) -> bytes | None:
        """Put pixels into shared memory; return a copy if there is none: their owner goes."""
        if self._pixels is None:
            return bytes(samples)
        size = len(samples)
        with self._pixels.view(size) as view:
            view[:] = samples
        return None
