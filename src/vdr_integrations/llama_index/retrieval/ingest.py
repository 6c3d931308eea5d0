"""Page Documents and page nodes on their way into a late-interaction index."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from llama_index.core.schema import BaseNode, Document, ImageNode, TextNode
from tqdm.auto import tqdm

from vdr_integrations.errors import OptionError
from vdr_integrations.index import DocumentRecord, FileState, PageRecord
from vdr_integrations.index.stored_page import page_id
from vdr_integrations.llama_index.reading.page_nodes import PAGE_KEY, TEXT_KEY, page_ref
from vdr_integrations.llama_index.retrieval.hit_nodes import citation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vdr_integrations.index import LateInteractionIndex, StoredPage
    from vdr_integrations.index.staged_document import StagedDocument
    from vdr_integrations.index.sync.page_encoding import PageEncoding
    from vdr_integrations.pages import PageStore

__all__ = ["PageIngest"]

# What the index keeps of a page by itself.
_FACTS = (PAGE_KEY, TEXT_KEY, "source", "page_label", "page_number", "total_pages")
# Never the state of a file: to sync_index, which reads the file, these pages are out of date.
_NO_FILE = FileState(sha256="0" * 64, size_bytes=0, modified_ns=0, checked_ns=0)


@dataclass(frozen=True, slots=True)
class _Entry:
    source: str
    total_pages: int
    record: PageRecord
    metadata: dict[str, Any]

    def is_same(self, stored: StoredPage | None) -> bool:
        record = self.record
        return stored is not None and (
            (stored.page_ref, stored.page_label, stored.text, stored.total_pages, stored.metadata)
            == (record.page_ref, record.page_label, record.text, self.total_pages, self.metadata)
        )


@dataclass(frozen=True, slots=True)
class PageIngest:
    """Puts pages into an index.

    Attributes:
        index: Written to, document by document.
        encoding: By the encoder that made the index; both, if it holds dense vectors too.
        store: Where the pages' images are.
        batch_pages: Pages in memory at a time.
    """

    index: LateInteractionIndex
    encoding: PageEncoding
    store: PageStore
    batch_pages: int

    def add(self, nodes: Sequence[BaseNode], *, show_progress: bool) -> list[str]:
        """Add pages; those that are in the index already, as they are, are left alone.

        Pages of a document that are not given stay, up to its number of pages. Each document is
        committed as a whole.

        Returns:
            The page id of each node, in order.

        Raises:
            OptionError: A node that is no page, one page with two images, or an index with
                dense vectors and no encoder of them.
            PageReferenceError: An image is not in the store.
            EncodingError: The encoder cannot go on; finished documents are in the index.
        """
        if self.index.dense_manifest is not None and not self.encoding.is_paired:
            raise OptionError(
                f"index {self.index.path} holds dense vectors too; give the encoder that makes "
                f"them as recall."
            )
        entries = [_entry(node) for node in nodes]
        documents: dict[str, dict[int, _Entry]] = {}
        for entry in entries:
            pages = documents.setdefault(entry.source, {})
            known = pages.setdefault(entry.record.page_number, entry)
            if known.record.page_ref != entry.record.page_ref:
                raise OptionError(
                    f"{entry.source} page {entry.record.page_number} is given twice, with two "
                    f"images; give the newer one only."
                )
            pages[entry.record.page_number] = entry
        total = sum(map(len, documents.values()))
        with tqdm(total=total, desc="Indexing pages", disable=not show_progress) as bar:
            for source, pages in documents.items():
                self._add_document(source, pages)
                bar.update(len(pages))
        return [page_id(entry.source, entry.record.page_number) for entry in entries]

    def _add_document(self, source: str, entries: dict[int, _Entry]) -> None:
        with self.index.writing():
            stored = {page.page_number: page for page in self.index.pages({"source": source})}
            if all(entry.is_same(stored.get(number)) for number, entry in entries.items()):
                return
            total = next(reversed(entries.values())).total_pages
            numbers = {number for number in stored if number <= total} | entries.keys()
            pages = [
                entries.get(number) or _kept(stored[number], total) for number in sorted(numbers)
            ]
            staged = self.index.stage_document(source)
            try:
                for start in range(0, len(pages), self.batch_pages):
                    self._stage(staged, pages[start : start + self.batch_pages])
                staged.commit(DocumentRecord(source, file=_NO_FILE, total_pages=total))
            except BaseException:
                staged.discard()
                raise

    def _stage(self, staged: StagedDocument, batch: Sequence[_Entry]) -> None:
        held: dict[int, StoredPage] = {}
        kept = self.index.compression
        # Pooled vectors would be pooled again, and those of 8 bits rounded again.
        if kept.token_pooling == 1 and kept.vectors != "int8":
            ids = [page_id(entry.source, entry.record.page_number) for entry in batch]
            held = {page.page_number: page for page in self.index.get(ids, with_vectors=True)}
        new: list[_Entry] = []
        for entry in batch:
            page = held.get(entry.record.page_number)
            if page is None or page.vectors is None or page.page_ref != entry.record.page_ref:
                new.append(entry)
                continue
            record = replace(entry.record, grid=page.grid)
            staged.add(record, page.vectors, dense=page.dense, metadata=entry.metadata)
        self._stage_new(staged, new)

    def _stage_new(self, staged: StagedDocument, entries: Sequence[_Entry]) -> None:
        if not entries:
            return
        images = [self.store.get(entry.record.page_ref) for entry in entries]
        for entry, page in zip(entries, self.encoding.encode(images), strict=True):
            record = replace(entry.record, grid=page.grid)
            staged.add(record, page.vectors, dense=page.dense, metadata=entry.metadata)


def _entry(node: BaseNode) -> _Entry:
    ref = page_ref(node)
    facts = node.metadata
    number, source = facts.get("page_number"), facts.get("file_path")
    is_page = isinstance(node, Document | ImageNode) and ref is not None
    if not is_page or not isinstance(number, int) or not isinstance(source, str):
        raise OptionError(
            f"{type(node).__name__} {node.node_id} is not a page; give Documents of PDFPageReader "
            f"or nodes of PDFPageNodeParser, with their file_path and page_number."
        )
    if facts.get("source", source) != source:
        raise OptionError(
            f"{source} page {number}: the metadata key 'source' names the document in the index, "
            f"found another value; rename your key."
        )
    label, total = str(facts.get("page_label", number)), int(facts.get("total_pages", number))
    return _Entry(
        source=source,
        total_pages=total,
        record=PageRecord(
            number,
            page_label=label,
            page_ref=str(ref),
            text=_text_layer(node, citation(source, label, number, total)),
        ),
        metadata={key: value for key, value in facts.items() if key not in _FACTS},
    )


def _text_layer(node: BaseNode, cited: str) -> str:
    text = node.text if isinstance(node, Document | TextNode) else ""
    return text.removeprefix(cited).removeprefix("\n\n")


def _kept(page: StoredPage, total_pages: int) -> _Entry:
    record = PageRecord(
        page.page_number, page.page_label, page.page_ref, page.text, page.grid, page.bias
    )
    return _Entry(page.source, total_pages, record, page.metadata)
