"""Hits as the image nodes that LlamaIndex makes of the same pages, and where their images are."""

from __future__ import annotations

import logging
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from llama_index.core.schema import Document, ImageNode, MediaResource, NodeWithScore

from vdr_integrations.errors import MissingExtraError, PageError
from vdr_integrations.llama_index.page_nodes import PAGE_KEY, image_node, page_node_id
from vdr_integrations.pages import open_image, open_pdf
from vdr_integrations.pages.find import IMAGE_SUFFIXES
from vdr_integrations.types import PageImage

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from vdr_integrations.pages import PageStore
    from vdr_integrations.types import Hit, PixelBudget

__all__ = ["citation", "hit_node", "keep_images", "nodes_of_hits"]

_logger = logging.getLogger(__name__)


def nodes_of_hits(
    hits: Sequence[Hit], store: PageStore, budget: PixelBudget
) -> list[NodeWithScore]:
    """Hits as nodes, best first, with their images in the store as far as they can be had."""
    keep_images(hits, store, budget)
    return [NodeWithScore(node=hit_node(hit, store), score=hit.score) for hit in hits]


def hit_node(hit: Hit, store: PageStore) -> ImageNode:
    """The node of a page: that of ``PDFPageReader`` and ``PDFPageNodeParser``, but for its id.

    Its text, image path and Document id are the same, so that LlamaIndex takes it and the node of
    a stock index for one page. Its id is the page's own, ``Hit.page_id``.
    """
    metadata: dict[str, Any] = {
        "file_name": _file_name(hit.source),
        "file_path": hit.source,
        **hit.metadata,
        PAGE_KEY: hit.page_ref,
        "source": hit.source,
        "page_label": hit.page_label,
        "page_number": hit.page_number,
        "total_pages": hit.total_pages,
    }
    cited = citation(hit.source, hit.page_label, hit.page_number, hit.total_pages)
    document = Document(
        # The reader makes ids of path and page number as the parser does of Document and place.
        id_=page_node_id(hit.page_number, Document(id_=hit.source)),
        text=f"{cited}\n\n{hit.text}".strip(),
        image_resource=MediaResource(
            path=store.path(hit.page_ref).absolute(), mimetype="image/png"
        ),
        metadata=metadata,
    )
    return image_node(document, node_id=hit.page_id)


def citation(source: str, page_label: str, page_number: int, total_pages: int) -> str:
    """``report.pdf, page iv (4 of 12)``, as in the texts of pages that the reader made."""
    return f"{_file_name(source)}, page {page_label} ({page_number} of {total_pages})"


def keep_images(hits: Sequence[Hit], store: PageStore, budget: PixelBudget) -> None:
    """Draw the pages of hits whose images are not in the store; the index keeps none itself.

    Only what is pixel for pixel the image that was encoded is stored. A page whose file is gone
    or changed is left out and logged: its node then names an image that is not there.
    """
    by_source: dict[str, list[Hit]] = {}
    for hit in hits:
        if hit.page_ref not in store:
            by_source.setdefault(hit.source, []).append(hit)
    for source, missing in by_source.items():
        refs = {hit.page_number: hit.page_ref for hit in missing}
        try:
            for number, page in _drawn(Path(source), list(refs), budget):
                if str(page.ref) == refs[number]:
                    store.put(page)
                    del refs[number]
        except (PageError, MissingExtraError, OSError) as error:
            _logger.warning("No images of %s: %s", source, error)
            continue
        if refs:
            _logger.warning(
                "No images of %s pages %s: not what was indexed; index it again.",
                source,
                sorted(refs),
            )


def _drawn(
    path: Path, page_numbers: Sequence[int], budget: PixelBudget
) -> Iterator[tuple[int, PageImage]]:
    """As ``sync_index`` draws them; pages that the file has no more are left out."""
    if not path.is_absolute() or not path.is_file():
        return
    source = path.as_posix()
    if path.suffix.lower() in IMAGE_SUFFIXES:
        photo = open_image(path, name=source)
        yield 1, PageImage(photo.render(budget), source=source)
        return
    with open_pdf(path, name=source) as document:
        for number in page_numbers:
            if number <= len(document):
                yield number, document[number - 1].to_image(budget)


def _file_name(source: str) -> str:
    scheme, _, digest = source.partition(":")
    # What the reader calls a PDF that it was given as bytes.
    return f"{digest[:12]}.pdf" if scheme == "sha256" else PurePath(source).name
