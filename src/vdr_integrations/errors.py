"""Every error this package raises on purpose.

    VdrError
    ├── OptionError (ValueError)              an option or argument outside what is allowed
    ├── MissingExtraError (ImportError)       an optional dependency is not installed
    ├── PageError                             one document, page or image is unusable
    │   ├── DocumentOpenError (ValueError)    no PDF, no picture, truncated, unreadable
    │   │   ├── DocumentPasswordError         encrypted, and no or a wrong password
    │   │   └── EmptyDocumentError            a PDF without pages
    │   ├── PageGeometryError (ValueError)    zero, absurd or too elongated page boxes
    │   ├── PageRenderError                   the PDF engine gave up on a page
    │   │   └── PageLimitError                needs more time or memory than a page may have
    │   ├── ImageDecodeError (ValueError)     bytes that are not an image we accept
    │   ├── ImageTooLargeError (ValueError)   more pixels than the limit (decompression bombs)
    │   ├── PageReferenceError (LookupError)  a ``vdr-page:`` reference without its image
    │   └── PageStoreError (OSError)          the place of page images cannot be used
    ├── CheckpointError                       a checkpoint cannot be used
    │   ├── UnknownCheckpointError (ValueError)
    │   └── CheckpointWeightsError            missing, unexpected or misshapen weights
    ├── EncodingError                         the model could not make a vector
    │   ├── QueryTooLongError (ValueError)
    │   ├── InvalidVectorError                a vector with NaN, infinity or zero norm
    │   ├── ForkedProcessError (RuntimeError) a model that does not work after a fork
    │   ├── ModelServerError (ConnectionError) the server that runs the model cannot be used
    │   └── DeviceMemoryError (MemoryError)   one page alone does not fit the device
    ├── ResourceError (OSError)               this machine is short of processes or open files
    └── IndexStoreError                       an index folder cannot be used
        ├── IndexNotFoundError (LookupError)
        ├── IndexFormatError (ValueError)     not an index, damaged, or a newer format
        ├── IndexMismatchError (ValueError)   made by another model or other settings
        └── IndexLockedError                  another process is writing to it

Messages name the subject, what was found, what is allowed and what to do next. They never contain
page content, image bytes, passwords or tokens. The base class in parentheses is from the standard
library, so that callers who do not know this package catch the errors too.
"""

from __future__ import annotations

from functools import partial

__all__ = [
    "CheckpointError",
    "CheckpointWeightsError",
    "DeviceMemoryError",
    "DocumentOpenError",
    "DocumentPasswordError",
    "EmptyDocumentError",
    "EncodingError",
    "ForkedProcessError",
    "ImageDecodeError",
    "ImageTooLargeError",
    "IndexFormatError",
    "IndexLockedError",
    "IndexMismatchError",
    "IndexNotFoundError",
    "IndexStoreError",
    "InvalidVectorError",
    "MissingExtraError",
    "ModelServerError",
    "OptionError",
    "PageError",
    "PageGeometryError",
    "PageLimitError",
    "PageReferenceError",
    "PageRenderError",
    "PageStoreError",
    "QueryTooLongError",
    "ResourceError",
    "UnknownCheckpointError",
    "VdrError",
]


class VdrError(Exception):
    """Base of every error raised on purpose by vdr_integrations."""


class OptionError(VdrError, ValueError):
    """An option or argument is outside what is allowed."""


class MissingExtraError(VdrError, ImportError):
    """An optional dependency is not installed; the message names the pip command.

    ``extra`` is empty if no extra of this package brings it.
    """

    def __init__(self, *, package: str, extra: str, purpose: str) -> None:
        command = f'"vdr-integrations[{extra}]"' if extra else package
        super().__init__(
            f"{purpose} needs {package}, which is not installed: pip install {command}",
            name=package,
        )
        self.package = package
        self.extra = extra
        self.purpose = purpose

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle by argument names, so that errors cross process boundaries."""
        named = {"package": self.package, "extra": self.extra, "purpose": self.purpose}
        return (partial(type(self), **named), ())


class PageError(VdrError):
    """One document, page or image is unusable; the rest of a batch is usable.

    Attributes:
        source: The file or label of the document, as the caller knows it.
        page_number: 1-based page, or None for the whole document.
    """

    def __init__(self, message: str, *, source: str, page_number: int | None = None) -> None:
        where = source if page_number is None else f"{source} page {page_number}"
        super().__init__(f"{where}: {message}")
        self.reason = message
        self.source = source
        self.page_number = page_number

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle by argument names, so that errors cross process boundaries."""
        named = partial(type(self), source=self.source, page_number=self.page_number)
        return (named, (self.reason,))


class DocumentOpenError(PageError, ValueError):
    """The file is neither a PDF nor a picture, is truncated, or cannot be read."""


class DocumentPasswordError(DocumentOpenError):
    """The document is encrypted and no password, or a wrong one, was given."""


class EmptyDocumentError(DocumentOpenError):
    """The document opens and has no pages."""


class PageGeometryError(PageError, ValueError):
    """A page or image is empty, absurdly large or too elongated to be encoded."""


class PageRenderError(PageError):
    """The PDF engine failed on a page."""


class PageLimitError(PageRenderError):
    """A page needs more time or memory than the process that draws it may have, or ends it."""


class ImageDecodeError(PageError, ValueError):
    """The input is not an image that can be decoded."""


class ImageTooLargeError(PageError, ValueError):
    """The image has more pixels than the limit."""


class PageReferenceError(PageError, LookupError):
    """A ``vdr-page:`` reference names a page that is not stored, or whose image was altered."""


class PageStoreError(PageError, OSError):
    """The folder or bucket of page images is full, read-only, or does not answer."""


class CheckpointError(VdrError):
    """A checkpoint cannot be used."""


class UnknownCheckpointError(CheckpointError, ValueError):
    """The prompts and pooling of this checkpoint are not known."""


class CheckpointWeightsError(CheckpointError):
    """Weights are missing, unexpected, or of another shape."""


class EncodingError(VdrError):
    """The model could not make a vector."""


class QueryTooLongError(EncodingError, ValueError):
    """A text has more tokens than the checkpoint accepts."""


class InvalidVectorError(EncodingError):
    """The model returned NaN, infinity or a zero vector."""


class ForkedProcessError(EncodingError, RuntimeError):
    """The process was forked with a model in it that cannot be used after a fork."""


class ModelServerError(EncodingError, ConnectionError):
    """The server that runs the model cannot be reached or used, or serves another model."""


class DeviceMemoryError(EncodingError, MemoryError):
    """A single item does not fit the device's memory."""


class ResourceError(VdrError, OSError):
    """This machine is short of processes, open files or memory; no document causes it."""


class IndexStoreError(VdrError):
    """An index folder cannot be used."""


class IndexNotFoundError(IndexStoreError, LookupError):
    """There is no index in the folder."""


class IndexFormatError(IndexStoreError, ValueError):
    """The folder is not an index, is damaged, or has a newer format."""


class IndexMismatchError(IndexStoreError, ValueError):
    """The index was made by another model or with other settings."""


class IndexLockedError(IndexStoreError):
    """Another process is writing to the index."""
