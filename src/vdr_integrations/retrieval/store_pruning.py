"""Finds and removes the pages of a page store that no index and no list of references needs.

A reader stores a page long before an index names it. So pages that were put into the store, or
taken from it into an index, in the last hours are kept. The clock is read before the indexes are,
and the age of a page is read once more when it is removed: what anybody puts meanwhile stays.
"""

from __future__ import annotations

import errno
import math
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vdr_integrations.defaults import DEFAULT_KEEP_HOURS
from vdr_integrations.errors import OptionError
from vdr_integrations.index.opening import open_index
from vdr_integrations.index.page_index import PageIndex
from vdr_integrations.pages.page_inputs import check_list
from vdr_integrations.pages.page_store import PageStore, store_files
from vdr_integrations.pages.store_trouble import store_trouble
from vdr_integrations.retrieval.open_indexes import location_of
from vdr_integrations.types import PageRef

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vdr_integrations.pages.store_files import StoreFile
    from vdr_integrations.retrieval.open_indexes import IndexLocation

__all__ = ["RemovedPages", "UnneededPages", "unneeded_pages"]

_NS_PER_HOUR = 3600 * 10**9


@dataclass(frozen=True, slots=True)
class RemovedPages:
    """What was removed from a store.

    Attributes:
        pages: Number of pages.
        size_bytes: Length of their files together.
        unfinished: Number of files that killed writers left.
        unfinished_bytes: Length of these files together.
    """

    pages: int
    size_bytes: int
    unfinished: int
    unfinished_bytes: int


@dataclass(frozen=True, slots=True)
class UnneededPages:
    """Pages of a store that nothing needs. They are in the store until :meth:`remove` is called.

    Attributes:
        store: The store.
        refs: References of the pages.
        size_bytes: Length of their files together.
        needed: Number of stored pages that are needed.
        young: Number of stored pages that are kept only because they are new.
        found_ns: When the search began, by the clock of the store's file system.
        older_than_ns: Only pages that were last put before this time are removed.
    """

    store: PageStore
    refs: tuple[PageRef, ...]
    size_bytes: int
    needed: int
    young: int
    found_ns: int
    older_than_ns: int

    def remove(self) -> RemovedPages:
        """Remove the pages, and what killed writers left more than an hour ago.

        A page that was put again since it was found stays.

        Raises:
            PageStoreError: A file cannot be removed; files before it are gone.
        """
        files, old = store_files(self.store), (ref.sha256 for ref in self.refs)
        with store_trouble(f"page store {self.store.location}", "a file cannot be removed"):
            sizes = files.remove_if_older(old, than_ns=self.older_than_ns)
            # 0 is before all files: a store that does not exist has no clock.
            abandoned = files.remove_abandoned(now_ns=self.found_ns)
        left = [file.size_bytes for file in abandoned]
        return RemovedPages(len(sizes), sum(sizes), len(left), sum(left))


def unneeded_pages(
    store: PageStore | None = None,
    *,
    indexes: Iterable[PageIndex | IndexLocation] = (),
    refs: Iterable[str] = (),
    keep_hours: float = DEFAULT_KEEP_HOURS,
) -> UnneededPages:
    """Find the pages of a store that no index and no list of references needs; remove nothing.

        found = unneeded_pages(indexes=["my-index"])
        print(len(found.refs), found.size_bytes)
        found.remove()

    Name everything that needs pages of the store. Indexes of ``sync_index`` draw a missing page
    again from its file, but documents and nodes of frameworks, in whatever store they are, need
    the pages that their ``page_ref`` names: list these as ``refs``.

    Args:
        store: None: the store in ``$VDR_PAGE_STORE`` or in the user's data folder.
        indexes: Open indexes, folders, ``QdrantServer``, or ``"http://host:6333/collection"``.
        refs: References ``vdr-page:<sha256>``.
        keep_hours: Pages that were put in the last so many hours are kept; at least 0.

    Raises:
        OptionError: ``keep_hours`` is negative, a list is a lone text, an entry of ``refs`` is not
            a reference, or indexes and references name no page at all: all would be removed.
        IndexStoreError: An index cannot be opened or read.
        PageStoreError: The store cannot be read or changed.
    """
    if not (math.isfinite(keep_hours) and keep_hours >= 0):
        raise OptionError(f"keep_hours={keep_hours}; it must be at least 0, and finite.")
    check_list(indexes, argument="indexes")
    check_list(refs, argument="refs")
    store = PageStore() if store is None else store
    files = store_files(store)
    with store_trouble(f"page store {store.location}", "it cannot be changed"):
        try:
            now_ns = files.now_ns()
        except FileNotFoundError:
            now_ns = 0
        except OSError as problem:
            if problem.errno not in {errno.EACCES, errno.EPERM, errno.EROFS}:
                raise
            now_ns = time.time_ns()  # nothing can be removed there, but it can be looked at
    needed = _listed(refs) | _of_indexes(indexes)
    if not needed:
        raise OptionError(
            f"no index and no list of references names a page, so all pages of "
            f"{store.location} would be removed. Name each index and give each "
            f"reference that needs its pages."
        )
    older_than_ns = now_ns - round(keep_hours * _NS_PER_HOUR)
    with store_trouble(f"page store {store.location}", "it cannot be read"):
        pages = list(files.pages())
    others = [file for file in pages if file.digits not in needed]
    old = [file for file in others if file.modified_ns < older_than_ns]
    return UnneededPages(
        store=store,
        refs=tuple(PageRef(file.digits) for file in old),
        size_bytes=_bytes(old),
        needed=len(pages) - len(others),
        young=len(others) - len(old),
        found_ns=now_ns,
        older_than_ns=older_than_ns,
    )


def _listed(refs: Iterable[str]) -> set[str]:
    found: set[str] = set()
    for number, text in enumerate(refs, start=1):
        ref = PageRef.parse(text)
        if ref is None:
            raise OptionError(
                f"reference {number} of the list is not a reference: found {len(text)} characters, "
                f"a reference is vdr-page: and 64 lower-case hexadecimal digits. Nothing was "
                f"removed."
            )
        found.add(ref.sha256)
    return found


def _of_indexes(indexes: Iterable[PageIndex | IndexLocation]) -> set[str]:
    found: set[str] = set()
    for given in indexes:
        with ExitStack() as stack:
            if isinstance(given, PageIndex):
                index = given
            else:
                index = stack.enter_context(open_index(location_of(given)))
            refs = (PageRef.parse(page.page_ref) for page in index.pages())
            found.update(ref.sha256 for ref in refs if ref is not None)
    return found


def _bytes(files: list[StoreFile]) -> int:
    return sum(file.size_bytes for file in files)
