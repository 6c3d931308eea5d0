"""The record of pages that searches found: a tool opens no other page."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from vdr_integrations.errors import OptionError
from vdr_integrations.types import PageRef

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vdr_integrations.retrieval.found_page import FoundPage

__all__ = ["FoundPages"]

_REMEMBERED = 10_000


class FoundPages:
    """The last 10,000 page images that searches of one tool found.

    Any number of threads may use one record. Copies and pickles of it are empty.
    """

    def __init__(self) -> None:
        """Remember nothing yet."""
        self._lock = threading.Lock()
        self._pages: OrderedDict[str, dict[tuple[str, int | None], FoundPage]] = OrderedDict()

    def remember(self, pages: Iterable[FoundPage]) -> None:
        """Allow these pages to be opened."""
        with self._lock:
            for page in pages:
                if page.page_ref is None:
                    continue
                same = self._pages.setdefault(page.page_ref, {})
                same[page.source, page.page_number] = page
                self._pages.move_to_end(page.page_ref)
            while len(self._pages) > _REMEMBERED:
                self._pages.popitem(last=False)

    def get(self, page_ref: str) -> list[FoundPage]:
        """The pages with this image, at least one; blank pages, for example, share an image.

        Raises:
            OptionError: Not a page reference, or no search found it.
        """
        if PageRef.parse(page_ref) is None:
            raise OptionError(
                "page_ref must be 'vdr-page:' and 64 hexadecimal digits; copy it from a search "
                "result, and give no file name or URL."
            )
        with self._lock:
            found = list(self._pages.get(page_ref, {}).values())
        if not found:
            raise OptionError(
                f"no search of this tool found {page_ref}; search first, and copy page_ref from a "
                f"result."
            )
        return found

    def __reduce__(self) -> tuple[Any, ...]:
        """An empty record."""
        return (type(self), ())
