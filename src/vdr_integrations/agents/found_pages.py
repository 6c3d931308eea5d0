"""Pages that searches found, and the record of them: no other page may be opened."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from vdr_integrations.agents.untrusted_text import one_line
from vdr_integrations.errors import OptionError
from vdr_integrations.types import PageRef

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from vdr_integrations.types import Hit

__all__ = ["FoundPage", "FoundPages"]

_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundPage:
    """What is known of a page, from whatever found it.

    Attributes:
        source: The document, a path or another name.
        page_number: 1-based; None where it is not known.
        page_label: What is printed on the page ("iv"), or the page number as text.
        total_pages: Pages of the document; None where it is not known.
        page_ref: ``vdr-page:<sha256>`` of the indexed picture; None for a hit that is no page.
        text: The text layer, empty for scans.
        score: Higher is better; None where the search gave none.
    """

    source: str
    page_number: int | None = None
    page_label: str = ""
    total_pages: int | None = None
    page_ref: str | None = None
    text: str = ""
    score: float | None = None

    @classmethod
    def of_hit(cls, hit: Hit) -> FoundPage:
        """The page of a hit of an index."""
        return cls(
            source=hit.source,
            page_number=hit.page_number,
            page_label=hit.page_label,
            total_pages=hit.total_pages,
            page_ref=hit.page_ref,
            text=hit.text,
            score=hit.score,
        )

    @classmethod
    def of_metadata(
        cls,
        metadata: Mapping[str, Any],
        *,
        source: str,
        page_ref: str | None,
        text: str,
        score: float | None,
    ) -> FoundPage:
        """The page of a framework's document; what ``metadata`` does not say rightly is unknown."""
        label = metadata.get("page_label")
        return cls(
            source=source,
            page_number=_whole_number(metadata.get("page_number")),
            page_label="" if label is None else str(label),
            total_pages=_whole_number(metadata.get("total_pages")),
            page_ref=page_ref,
            text=text,
            score=score,
        )

    @property
    def citation(self) -> str:
        """``report.pdf, page iv (4 of 12)``, on one line."""
        name = one_line(PurePath(self.source).name or self.source)
        if self.page_number is None:
            return name
        total = "" if self.total_pages is None else f" of {self.total_pages}"
        label = one_line(self.page_label, max_characters=20)
        if label in {"", str(self.page_number)}:
            return f"{name}, page {self.page_number}{total}"
        return f"{name}, page {label} ({self.page_number}{total})"


def _whole_number(found: object) -> int | None:
    return found if isinstance(found, int) and not isinstance(found, bool) else None


class FoundPages:
    """The last 10,000 pictures that searches of one tool brought. Safe for any number of threads.

    Copies and pickles of what holds it begin empty.
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
        """The pages that look like this, at least one: blank pages share a picture.

        Raises:
            OptionError: Not a page reference, or no search brought it.
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
                f"no search of this tool found {page_ref}; search first, and copy page_ref from "
                f"the results."
            )
        return found

    def __reduce__(self) -> tuple[Any, ...]:
        """An empty record."""
        return (type(self), ())
