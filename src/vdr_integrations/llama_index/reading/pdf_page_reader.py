"""LlamaIndex reader that reads PDFs and pictures page by page."""

from __future__ import annotations

from functools import partial
from io import BytesIO
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from llama_index.core.readers.base import BasePydanticReader, BaseReader
from pydantic import ConfigDict, Field, PrivateAttr, SecretStr

from vdr_integrations.errors import DocumentOpenError, PageError
from vdr_integrations.llama_index.reading.page_nodes import page_document
from vdr_integrations.pages.document_kind import DOCUMENT_SUFFIXES
from vdr_integrations.pages.on_error import LoadErrors, OnError
from vdr_integrations.retrieval.document_source import source_of_name
from vdr_integrations.retrieval.page_metadata import file_name_among
from vdr_integrations.retrieval.pages_into_store import PageReading

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fsspec import AbstractFileSystem
    from llama_index.core.schema import Document

    from vdr_integrations.pages.read_file import FileSource

__all__ = ["PDFPageReader"]

PdfFile = str | PurePath | bytes | bytearray | BytesIO
"""A path, or the content of a PDF or picture."""

PdfFiles = list[PdfFile] | list[str] | list[Path] | tuple[PdfFile, ...]
"""Several paths or contents."""


class PDFPageReader(BasePydanticReader):
    """Reads each page of a PDF as one ``Document``, and keeps its image in the page store.

    A picture is a document of one page, a TIFF may have several. A Document holds the page's
    reference and the path of its image, never pixels, so any docstore, cache and vector store can
    keep it. Its text is the page's citation; the text layer is ``metadata["page_text"]``. If
    something is missing in the image, ``metadata["page_warnings"]`` says it, one sentence a line.
    :class:`PDFPageNodeParser` makes the node of it that is embedded.

    ``metadata["source"]`` is ``extra_info["file_path"]``, if that is a URL or an absolute path, and
    one file is read. Else it is the absolute path of the file, whatever its spelling; its URL on
    another file system; and ``sha256:`` and the digest for bytes. Documents have stable UUIDs, made
    from source and page number: in an ``IngestionPipeline`` with UPSERTS only changed pages are
    embedded again.
    ``SimpleDirectoryReader`` adds date and size of the file to the metadata of each page, so that
    LlamaIndex sees all pages of a changed file as changed: give it ``file_metadata`` without them,
    or give the embedding an ``embeddings_cache``.

    A page or file that cannot be read is left out, logged and added to :attr:`errors`; a call that
    finds no readable page raises. A page store that cannot be written to is such an error for each
    page; only the first of a call is logged as a warning.

    Attributes:
        max_visual_tokens: Size that pages are drawn at. The embedding shrinks larger ones.
        token_side_px: Side of a visual token's square: 28 pixels, 32 for Qwen3-VL.
        password: Password of encrypted PDFs. Never in ``to_dict`` and pickles, so the processes of
            ``SimpleDirectoryReader.load_data(num_workers=...)`` do not have it.
        page_store_path: Folder or URL of the page store; None uses ``$VDR_PAGE_STORE``, or the
            user's data folder. The embedding must use the same store.
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

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    max_visual_tokens: int = Field(default=768, ge=1)
    token_side_px: int = Field(default=28, ge=1)
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
            file: Path or content of a PDF or picture, or a list of these. To read folders, use
                ``SimpleDirectoryReader(folder, file_extractor=PDFPageReader().by_suffix())``.
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

        reading, extra = self._reading, extra_info or {}
        files = list(file) if isinstance(file, list | tuple) else [file]
        given = extra.get("file_path") if len(files) == 1 else None  # else two get one name
        for one in files:
            try:
                source = _source_of(one, given, fs)
            except PageError as error:
                leave_out(error)
                continue
            for page in reading.read(
                partial(_content, one, fs),
                password=self.password.get_secret_value() if self.password else None,
                name=source if isinstance(source, str) else None,
                source=source,
                file_name=file_name_among(extra),
                metadata=extra,
                on_error=leave_out,
            ):
                found_pages = True
                image_path = Path(reading.store.place(page.page_ref))
                yield page_document(page, image_path=image_path, extra_info=extra)
        if left_out and not found_pages and _is_sayable(file):
            raise left_out[0]

    def by_suffix(self) -> dict[str, BaseReader]:
        """This reader for the suffix of each kind of file that it reads: a ``file_extractor``."""
        return dict.fromkeys(sorted(DOCUMENT_SUFFIXES), self)

    def __getstate__(self) -> dict[str, Any]:
        """The options without the password."""
        state = super().__getstate__()
        return {**state, "__dict__": {**state["__dict__"], "password": None}}

    @property
    def _reading(self) -> PageReading:
        return PageReading.of(
            self.page_store_path,
            max_visual_tokens=self.max_visual_tokens,
            token_side_px=self.token_side_px,
            render_workers=self.render_workers,
            page_timeout_s=self.page_timeout_s,
            page_memory_mb=self.page_memory_mb,
        )


def _content(file: PdfFile, fs: AbstractFileSystem | None) -> FileSource:
    if not _is_remote(file, fs):
        return Path(file) if isinstance(file, PurePath) else file
    assert fs is not None  # noqa: S101  # else the file is local
    try:
        return fs.cat_file(str(file))
    except OSError as problem:
        raise DocumentOpenError(
            f"it cannot be read from {type(fs).__name__} ({type(problem).__name__}).",
            source=str(file),
        ) from problem


def _source_of(file: PdfFile, given: object, fs: AbstractFileSystem | None) -> Path | str | None:
    """The name of a document; None for bytes, whose digest becomes their name."""
    named = source_of_name(given)
    if isinstance(file, bytes | bytearray | BytesIO):
        return named
    if _is_remote(file, fs):
        assert fs is not None  # noqa: S101
        return named if named and "://" in named else fs.unstrip_protocol(str(file))
    return named or Path(file)


def _is_remote(file: PdfFile, fs: AbstractFileSystem | None) -> bool:
    if fs is None or isinstance(file, bytes | bytearray | BytesIO):
        return False
    protocols = [fs.protocol] if isinstance(fs.protocol, str) else fs.protocol
    return "file" not in protocols


def _is_sayable(file: PdfFile | PdfFiles) -> bool:
    """Whether the error may be raised: ``SimpleDirectoryReader`` prints it beside the path.

    A path that is not UTF-8 cannot be printed, and all other files would be lost; it is logged.
    """
    return not isinstance(file, str | PurePath) or _is_utf8(str(file))


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
