"""LangChain loader that reads PDFs and pictures page by page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from langchain_core.document_loaders import BaseLoader

from vdr_integrations.errors import DocumentOpenError
from vdr_integrations.langchain.reading.page_documents import page_document
from vdr_integrations.pages import find_documents
from vdr_integrations.pages.on_error import LoadErrors, OnError, error_handler
from vdr_integrations.retrieval.pages_into_store import PageReading

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from langchain_core.documents import Document

__all__ = ["PDFPageLoader"]


class PDFPageLoader(BaseLoader):
    """One document per page, whose content is the reference of the page's image.

    ``page_content`` is only ``vdr-page:<sha256>``: :class:`VDREmbeddings` embeds the image that it
    names wherever LangChain passes on that string. ``metadata`` is JSON-able:

        source       the absolute path
        file_name
        page         0-based, as in LangChain's own PDF loaders
        page_number  1-based
        page_label   what is printed on the page ("iv"), or the number as text
        total_pages
        page_ref     the same as page_content
        page_id      the same as id
        citation     "report.pdf, page iv (4 of 12)"
        page_text    the text layer, empty for scans
        page_warnings  what is missing in the image, one sentence a line

    LangChain puts ``page_content`` into prompts, but a language model cannot read a reference: put
    :func:`page_texts` between retriever and prompt, give ``create_retriever_tool`` a
    ``document_prompt`` such as ``"{citation}: {page_text}"``, or show the image itself with
    :func:`page_blocks`.

    ``id`` is a UUID of source and page number, the same for every spelling of a path: a changed
    page replaces the old one.

    Example:
        >>> PDFPageLoader("reports/").load()  # doctest: +SKIP

    Args:
        file_path: A PDF or picture, a folder (those below it, sorted, as ``vdr index`` finds them),
            a pattern, or a list of these. A TIFF of several pages has several documents.
        password: Password of encrypted PDFs; not in pickles.
        max_visual_tokens: Size that pages are drawn at; embeddings shrink, and never enlarge them.
        token_side_px: Side of a visual token's square: 28 pixels, 32 for Qwen3-VL.
        page_store_path: Folder or URL of the page store, the same as that of the embeddings; None
            uses ``$VDR_PAGE_STORE``, or the user's data folder.
        include_text: Put the text layer into ``metadata["page_text"]``.
        on_error: What to do with files and pages that cannot be used. ``"raise"`` stops at the
            first; ``"warn"`` logs each and leaves it out; a function is called with each
            ``PageError``, and loading continues if it returns. LangChain's ``index()`` deletes
            pages that were left out. A page store that cannot be written to is a ``PageStoreError``
            for each page; ``"warn"`` logs the first, and raises it if no page could be stored.
        render_workers: 0 opens files in this process, without limits: for files that you trust.
        page_timeout_s: CPU seconds for a file, and for each page (60), in a process of its own.
        page_memory_mb: Address space of that process, in MiB (2,048).

    Raises:
        OptionError: An option is out of range, or ``on_error`` is something else.
    """

    def __init__(
        self,
        file_path: str | Path | Sequence[str | Path],
        *,
        password: str | None = None,
        max_visual_tokens: int = 768,
        token_side_px: int = 28,
        page_store_path: str | None = None,
        include_text: bool = True,
        on_error: OnError = "raise",
        render_workers: int | None = None,
        page_timeout_s: float | None = None,
        page_memory_mb: int | None = None,
    ) -> None:
        paths = [file_path] if isinstance(file_path, str | Path) else file_path
        self._paths = [Path(path) for path in paths]
        self._password = password
        error_handler(on_error)  # refuses anything else, before something is read
        self._on_error: OnError = on_error
        self._include_text = include_text
        self._reading = PageReading.of(
            page_store_path,
            max_visual_tokens=max_visual_tokens,
            token_side_px=token_side_px,
            render_workers=render_workers,
            page_timeout_s=page_timeout_s,
            page_memory_mb=page_memory_mb,
        )

    def __getstate__(self) -> dict[str, Any]:
        """The options without the password."""
        return {**self.__dict__, "_password": None}

    def lazy_load(self) -> Iterator[Document]:
        """The documents in order, each page rendered and stored when its document is requested.

        Raises:
            DocumentOpenError: There is no document in a path, or it does not open.
            PageError: A page cannot be rendered.
            PageStoreError: No page can be stored (an OSError); at the first with ``"raise"``.
            MissingExtraError: PyMuPDF is not installed.
        """
        on_error, found_pages = LoadErrors(self._on_error), False
        for path in self._found(on_error):
            for page in self._reading.read(
                path, password=self._password, source=path, on_error=on_error
            ):
                found_pages = True
                yield page_document(page, include_text=self._include_text)
        on_error.end(found_pages=found_pages)

    def _found(self, on_error: LoadErrors) -> list[Path]:
        found = find_documents(self._paths, on_error=on_error)
        if not found:
            on_error(
                DocumentOpenError(
                    "found no PDFs and no pictures; in folders, only files with a suffix of these "
                    "are read, such as .pdf and .png, and files without any suffix.",
                    source=", ".join(map(str, self._paths)) or "an empty list of paths",
                )
            )
        return found
