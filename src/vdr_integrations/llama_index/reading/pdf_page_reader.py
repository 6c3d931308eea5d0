"""LlamaIndex reader that reads PDFs page by page."""

from __future__ import annotations

from functools import partial
from io import BytesIO
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from llama_index.core.readers.base import BasePydanticReader
from pydantic import ConfigDict, Field, PrivateAttr, SecretStr

from vdr_integrations.errors import DocumentOpenError, PageError
from vdr_integrations.llama_index.reading.page_nodes import page_document
from vdr_integrations.pages.on_error import LoadErrors, OnError
from vdr_integrations.retrieval.found_page import absolute_sources
from vdr_integrations.retrieval.pages_into_store import PageReading

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fsspec import AbstractFileSystem
    from llama_index.core.schema import Document

    from vdr_integrations.pages.read_file import FileSource

__all__ = ["PDFPageReader"]

PdfFile = str | PurePath | bytes | bytearray | BytesIO
"""A path, or the content of a PDF."""

PdfFiles = list[PdfFile] | list[str] | list[Path] | tuple[PdfFile, ...]
"""Several paths or contents."""


class PDFPageReader(BasePydanticReader):
    """Reads each page of a PDF as one ``Document``, and keeps its image in the page store.

    A Document holds the page's reference and the path of its image, never pixels, so any
    docstore, cache and vector store can keep it; its text is the page's citation and text layer.
    If something is missing in the image, the metadata has a list of sentences, ``warnings``.
    :class:`PDFPageNodeParser` makes the node of it that is embedded. Documents have stable UUIDs,
    made from file path and page number: in an ``IngestionPipeline`` with UPSERTS only changed
    pages are embedded again. ``SimpleDirectoryReader`` adds date and size of the file to the
    metadata of each page, so that LlamaIndex sees all pages of a changed file as changed: give it
    ``file_metadata`` without them, or give the embedding an ``embeddings_cache``.

    A page or file that cannot be read is left out, logged and added to :attr:`errors`; a call that
    finds no readable page raises. A page store that cannot be written to is such an error for each
    page; only the first of a call is logged as a warning.

    Attributes:
        max_visual_tokens: Size that pages are rendered at, in squares of 28 x 28 pixels. The
            embedding shrinks larger pages to its own limit.
        password: Password of encrypted PDFs. Never in ``to_dict``.
        page_store_path: Folder of the page store; None uses ``$VDR_PAGE_STORE``, or the user's
            cache folder. The embedding must use the same folder.
        on_error: ``"warn"`` (the default) leaves out what cannot be read, and logs it; ``"raise"``
            stops at the first such page or file; a function is called with each ``PageError``.
        render_workers: 0 opens files in this process, without limits: for files that you trust.
        page_timeout_s: CPU seconds for a file, and for each page (60), in a process of its own.
        page_memory_mb: Address space of that process, in MiB (2,048).

    Example:
        >>> documents = PDFPageReader().load_data("report.pdf")  # doctest: +SKIP
        >>> documents[0].metadata["page_label"]  # doctest: +SKIP
        'i'
    """

    model_config = ConfigDict(extra="forbid")

    max_visual_tokens: int = Field(default=768, ge=1)
    password: SecretStr | None = Field(default=None, exclude=True, repr=False)
    page_store_path: str | None = None
    on_error: OnError = Field(default="warn", exclude=True)
    render_workers: int | None = Field(default=None, ge=0)
    page_timeout_s: float | None = Field(default=None, gt=0, le=86_400)
    page_memory_mb: int | None = Field(default=None, ge=256)

    _errors: list[PageError] = PrivateAttr(default_factory=list)

    @classmethod
    def class_name(cls) -> str:
        """``"PDFPageReader"``."""
        return "PDFPageReader"

    @property
    def errors(self) -> tuple[PageError, ...]:
        """Errors of the pages and files that this reader left out so far."""
        return tuple(self._errors)

    def load_data(
        self,
        file: PdfFile | PdfFiles,
        extra_info: dict[str, Any] | None = None,
        fs: AbstractFileSystem | None = None,
    ) -> list[Document]:
        """The Documents of all pages, in order; see :meth:`lazy_load_data`."""
        return list(self.lazy_load_data(file, extra_info=extra_info, fs=fs))

    def lazy_load_data(
        self,
        file: PdfFile | PdfFiles,
        extra_info: dict[str, Any] | None = None,
        fs: AbstractFileSystem | None = None,
    ) -> Iterator[Document]:
        """The Documents of all pages, in order, each rendered when it is requested.

        Args:
            file: Path or content of a PDF, or a list of these. To read folders, use
                ``SimpleDirectoryReader(file_extractor={".pdf": PDFPageReader()})``.
            extra_info: More metadata for every page.
            fs: File system of the paths; the local one by default.

        Raises:
            MissingExtraError: PyMuPDF is not installed (an ImportError).
            PageError: The first error, with ``on_error="raise"`` or if no page could be read.
        """
        left_out: list[PageError] = []
        found_pages = False
        handle = LoadErrors(self.on_error)

        def leave_out(error: PageError) -> None:
            handle(error)
            left_out.append(error)
            self._errors.append(error)

        for one in file if isinstance(file, list | tuple) else [file]:
            source = _source_of(one, remote=fs is not None)
            for page in self._reading.read(
                partial(_content, one, fs),
                password=self.password.get_secret_value() if self.password else None,
                name=None if fs is None else source,
                source=source,
                on_error=leave_out,
            ):
                found_pages = True
                image_path = self._reading.store.path(page.page_ref).absolute()
                yield page_document(page, image_path=image_path, extra_info=extra_info)
        if left_out and not found_pages:
            raise left_out[0]

    @property
    def _reading(self) -> PageReading:
        return PageReading.of(
            self.page_store_path,
            max_visual_tokens=self.max_visual_tokens,
            render_workers=self.render_workers,
            page_timeout_s=self.page_timeout_s,
            page_memory_mb=self.page_memory_mb,
        )


def _content(file: PdfFile, fs: AbstractFileSystem | None) -> FileSource:
    if fs is None or "file" in fs.protocol or isinstance(file, bytes | bytearray | BytesIO):
        return Path(file) if isinstance(file, PurePath) else file
    try:
        return fs.cat_file(str(file))
    except OSError as problem:
        raise DocumentOpenError(
            f"it cannot be read from {type(fs).__name__} ({type(problem).__name__}).",
            source=str(file),
        ) from problem


def _source_of(file: PdfFile, *, remote: bool) -> str | None:
    """The name of a document; None for bytes, whose digest becomes their name."""
    if isinstance(file, bytes | bytearray | BytesIO):
        return None
    return str(file) if remote else absolute_sources(str(file))[0]
