"""The pictures of found pages: an index keeps none, so they are drawn again from its files."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from vdr_integrations.errors import MissingExtraError, PageError, PageReferenceError
from vdr_integrations.pages import PageStore, open_image, open_pdf
from vdr_integrations.pages.find_files import IMAGE_SUFFIXES
from vdr_integrations.types import PageImage

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from vdr_integrations.types import Hit, PixelBudget

__all__ = ["keep_pictures", "page_picture"]

_logger = logging.getLogger(__name__)


def keep_pictures(hits: Sequence[Hit], *, store: PageStore, budget: PixelBudget) -> None:
    """Put the pictures of found pages into the store, as far as they can be had.

    Only what is pixel for pixel the image that was encoded is stored. A page whose file is gone,
    locked or changed is left out and logged; asking for its picture is an error then.

    Args:
        hits: Of an index.
        store: Where the pictures go.
        budget: The encoder's.
    """
    missing: dict[str, dict[int, str]] = {}
    for hit in hits:
        if hit.page_ref not in store:
            missing.setdefault(hit.source, {})[hit.page_number] = hit.page_ref
    for source, refs in missing.items():
        try:
            for number, drawn in _drawn(Path(source), list(refs), budget):
                if str(drawn.ref) == refs[number]:
                    store.put(drawn)
                    del refs[number]
        except (PageError, MissingExtraError, OSError) as error:
            _logger.warning("no pictures of %s: %s", source, error)
        else:
            if refs:
                numbers = ", ".join(map(str, sorted(refs)))
                _logger.warning(
                    "no pictures of %s, pages %s: the file is not here, or not as it was indexed; "
                    "index it again.",
                    source,
                    numbers,
                )


def page_picture(
    hit: Hit,
    *,
    budget: PixelBudget,
    store: PageStore | None = None,
    password: str | None = None,
) -> PageImage:
    """The picture of a found page, pixel for pixel the image that was encoded; nothing is stored.

    Args:
        hit: Of an index.
        budget: The encoder's.
        store: Looked into before the page is drawn from its file; the default one when left out.
        password: Of an encrypted PDF.

    Raises:
        PageReferenceError: Neither is it stored nor does the file still show it.
        PageError: The file cannot be opened or drawn.
        MissingExtraError: It is a PDF, and PyMuPDF is not installed.
    """
    store = PageStore() if store is None else store
    if hit.page_ref in store:
        return store.get(hit.page_ref)
    for _, drawn in _drawn(Path(hit.source), [hit.page_number], budget, password):
        if str(drawn.ref) == hit.page_ref:
            return drawn
    raise PageReferenceError(
        f"no picture of the page: it is not in {store.root}, and the file is not here, or not as "
        f"it was indexed. Index it again, or give the picture.",
        source=hit.source,
        page_number=hit.page_number,
    )


def _drawn(
    path: Path, page_numbers: Sequence[int], budget: PixelBudget, password: str | None = None
) -> Iterator[tuple[int, PageImage]]:
    """As ``sync_index`` draws them; pages that the file has no more are left out."""
    # An index may name documents as it likes: only what can be the path of a file is opened.
    try:
        is_file = path.is_absolute() and path.is_file()
    except (OSError, ValueError):
        is_file = False
    if not is_file:
        return
    source = path.as_posix()
    if path.suffix.lower() in IMAGE_SUFFIXES:
        yield 1, PageImage(open_image(path, name=source).render(budget), source=source)
        return
    with open_pdf(path, name=source, password=password) as document:
        for number in page_numbers:
            if number <= len(document):
                yield number, document[number - 1].to_image(budget)
