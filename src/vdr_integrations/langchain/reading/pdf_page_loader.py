"""LangChain loader of PDFs, page by page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from langchain_core.document_loaders import BaseLoader

from vdr_integrations.errors import DocumentOpenError, PageError
from vdr_integrations.langchain.reading.page_documents import page_document
from vdr_integrations.pages import PageStore, find_documents, open_pdf
from vdr_integrations.pages.on_error import OnError, error_handler
from vdr_integrations.retrieval.page_reading import PageReading
from vdr_integrations.types import PixelBudget

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from langchain_core.documents import Document

__all__ = ["PDFPageLoader"]


class PDFPageLoader(BaseLoader):
    """One document per page, whose content is the reference of the page's image.

    ``page_content`` is ``vdr-page:<sha256>`` and nothing else: :class:`VDREmbeddings` embeds the
    picture behind it wherever LangChain hands it that string. ``metadata`` is JSON-able:

        source       the path, as it was given
        file_name
        page         0-based, as in LangChain's own PDF loaders
        page_number  1-based
        page_label   what is printed on the page ("iv"), or the number as text
        total_pages
        page_ref     as page_content
        text         the text layer, empty for scans

    Prompts and tools print ``page_content``, which says nothing to a language model: give
    ``create_retriever_tool`` a ``document_prompt`` such as ``"{source} page {page_number}:
    {text}"``, or show the picture itself with :func:`page_blocks`.

    ``id`` is a UUID of source and page number: a changed page takes the place of what it was.

    Example:
        >>> PDFPageLoader("reports/").load()  # doctest: +SKIP

    Args:
        file_path: A PDF, a folder (the PDFs below it, sorted), a pattern, or a list of these.
        password: Tried on every encrypted PDF.
        max_visual_tokens: Size that pages are rendered at: pages smaller than the embedder's
            ``max_visual_tokens`` are not enlarged.
        page_store_path: Folder that page images are kept in, the embedder's too; None:
            ``$VDR_PAGE_STORE``, or the user's cache folder.
        include_text: Put the text layer into ``metadata["text"]``.
        on_error: What becomes of files and pages that cannot be used. ``"raise"`` ends loading at
            the first; ``"warn"`` logs each and goes on without it; a function is called with each
            ``PageError``, and loading goes on if it returns. Mind that LangChain's ``index()``
            takes pages that were left out for deleted ones.

    Raises:
        OptionError: ``max_visual_tokens`` is less than 1, or ``on_error`` is something else.
    """

    def __init__(
        self,
        file_path: str | Path | Sequence[str | Path],
        *,
        password: str | None = None,
        max_visual_tokens: int = 768,
        page_store_path: str | None = None,
        include_text: bool = True,
        on_error: OnError = "raise",
    ) -> None:
        paths = [file_path] if isinstance(file_path, str | Path) else file_path
        self._paths = [Path(path) for path in paths]
        self._password = password
        self._on_error = error_handler(on_error)
        self._include_text = include_text
        self._reading = PageReading(PageStore(page_store_path), PixelBudget(max_visual_tokens))

    def lazy_load(self) -> Iterator[Document]:
        """The documents in order, each page rendered and stored when its document is asked for.

        Raises:
            DocumentOpenError: A path names no PDF, or one that does not open.
            PageError: A page cannot be rendered.
            MissingExtraError: PyMuPDF is not installed.
        """
        for path in self._pdf_paths():
            try:
                pdf = open_pdf(path, password=self._password)
            except PageError as error:
                self._on_error(error)
                continue
            with pdf:
                for page in self._reading.pages(pdf, source=str(path), on_error=self._on_error):
                    yield page_document(page, include_text=self._include_text)

    def _pdf_paths(self) -> list[Path]:
        found = find_documents(self._paths, on_error=self._on_error)
        # Folders hold pictures too; a path that was named stands, whatever its suffix.
        pdfs = [path for path in found if path.suffix.lower() == ".pdf" or path in self._paths]
        if not pdfs:
            self._on_error(
                DocumentOpenError(
                    "no PDFs there; in folders, names that end in .pdf are looked for.",
                    source=", ".join(map(str, self._paths)) or "an empty list of paths",
                )
            )
        return pdfs
