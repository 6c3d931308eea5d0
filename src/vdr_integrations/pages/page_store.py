"""Page images on disk, each stored under the hash of its pixels."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image
from platformdirs import user_data_path

from vdr_integrations.errors import (
    ImageDecodeError,
    ImageTooLargeError,
    PageReferenceError,
    PageStoreError,
    VdrError,
)
from vdr_integrations.pages.file_limits import DEFAULT_IMAGE_LIMITS
from vdr_integrations.pages.images.decode import check_pixels, decode_image
from vdr_integrations.pages.read_file import refuse_shortage
from vdr_integrations.pages.store_files import StoreFiles
from vdr_integrations.types import PageImage, PageRef

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["STORE_VARIABLE", "PageStore", "StoreContents", "store_trouble"]

STORE_VARIABLE = "VDR_PAGE_STORE"
"""Environment variable with the folder of the default store."""

_PNG_LEVEL = 2
"""zlib level. Photographs take a third of the time of level 6; text takes half the space of
level 1."""


@dataclass(frozen=True, slots=True)
class StoreContents:
    """What a store holds.

    Attributes:
        pages: Number of pages.
        size_bytes: Length of their files together.
        unfinished: Number of files that writers have not finished: they are being written, or a
            killed writer left them.
        unfinished_bytes: Length of these files together.
    """

    pages: int
    size_bytes: int
    unfinished: int
    unfinished_bytes: int


class PageStore:
    """A folder of lossless page images, named by content.

    A page that is put twice is stored once. A file is written completely or not at all, so many
    threads and processes can share a folder. A store removes what killed writers left, and no page:
    ``unneeded_pages`` of ``vdr_integrations.retrieval`` does that. Only their owner can read the
    files.

    The store is data, not a cache: vector stores and indexes keep references, and only the store
    has the images. Carry it along with them. Without it, images come back only if the very files
    that were indexed are read again.

    A store keeps nothing but the name of its folder: it can be pickled, and two stores of one
    folder are equal.
    """

    def __init__(self, root: str | Path | None = None) -> None:
        """Choose the folder; it is created when the first page is put.

        Args:
            root: The folder. None uses ``$VDR_PAGE_STORE`` or, if that is not set,
                ``vdr-integrations/pages`` in the user's data folder; both are looked up each time
                the store is used.
        """
        self._root = None if root is None else Path(root)

    @property
    def root(self) -> Path:
        """The folder; it may not exist yet."""
        if self._root is not None:
            return self._root
        named = os.environ.get(STORE_VARIABLE)
        return Path(named) if named else user_data_path("vdr-integrations") / "pages"

    def put(self, page: PageImage) -> PageRef:
        """Store a page and return its reference, with which ``get`` finds it.

        A stored file that was damaged or changed is replaced. A page that is stored already counts
        as new again, so that it is not removed before an index names it.

        Raises:
            ImageTooLargeError: The page has more pixels than ``ImageLimits`` allows by default:
                ``get`` would refuse it.
            PageStoreError: The folder cannot be written to (an OSError).
            ResourceError: This machine cannot open more files.
        """
        check_pixels(page.width, page.height, source=page.source, limits=DEFAULT_IMAGE_LIMITS)
        ref = page.ref
        with store_trouble(page.source, f"it cannot be put into page store {self.root}"):
            self._files.renew(ref.sha256)
            if not self.is_intact(ref):
                self._write(page.image, ref)
        return ref

    def renew(self, ref: PageRef | str) -> None:
        """Make a stored page count as new again; nothing happens if it is not stored.

        A page that is about to be named by an index must not be removed as one that nobody needs.

        Raises:
            PageReferenceError: ``ref`` is not a reference.
        """
        self._files.renew(_parsed(ref).sha256)

    def get(self, ref: PageRef | str) -> PageImage:
        """Load the page of a reference and check it against its hash.

        Args:
            ref: A reference, or its text ``vdr-page:<sha256>``.

        Raises:
            PageReferenceError: ``ref`` is not a reference, no page is stored under it, or the file
                is not the image that was stored.
            PageStoreError: The file cannot be read (an OSError).
            ResourceError: This machine cannot open more files.
        """
        ref = _parsed(ref)
        with store_trouble(str(ref), f"it cannot be read from page store {self.root}"):
            try:
                data = self.path(ref).read_bytes()
            except FileNotFoundError:
                raise PageReferenceError(
                    f"no page is stored under it in {self.root}. Read the document again, or use "
                    f"the store that the page was put in.",
                    source=str(ref),
                ) from None
        try:
            image = decode_image(data, source=str(ref), limits=DEFAULT_IMAGE_LIMITS)
        except (ImageDecodeError, ImageTooLargeError) as problem:
            raise _altered(ref, self.root) from problem
        page = PageImage(image, source=str(ref))
        if page.sha256 != ref.sha256:
            raise _altered(ref, self.root)
        return page

    def is_intact(self, ref: PageRef | str) -> bool:
        """Whether :meth:`get` returns a page; ``in`` only looks whether there is a file."""
        try:
            self.get(ref)
        except (PageReferenceError, PageStoreError):
            return False
        return True

    def path(self, ref: PageRef | str) -> Path:
        """The path of the PNG file of a reference; the file may not exist.

        Raises:
            PageReferenceError: ``ref`` is not a reference.
        """
        return self._files.path(_parsed(ref).sha256)

    def contents(self) -> StoreContents:
        """Number and size of the pages, and of files that are not finished.

        Raises:
            PageStoreError: The folder cannot be read.
        """
        with store_trouble(f"page store {self.root}", "it cannot be read"):
            pages = [file.size_bytes for file in self._files.pages()]
            unfinished = [file.size_bytes for file in self._files.unfinished()]
        return StoreContents(len(pages), sum(pages), len(unfinished), sum(unfinished))

    def __contains__(self, ref: object) -> bool:
        """Whether a file is stored under a reference or its text; the content is not checked.

        Raises:
            PageStoreError: The folder cannot be read.
        """
        parsed = PageRef.parse(ref) if isinstance(ref, str) else ref
        if not isinstance(parsed, PageRef):
            return False
        with store_trouble(str(parsed), f"it cannot be read from page store {self.root}"):
            try:
                return stat.S_ISREG(self.path(parsed).stat().st_mode)
            except FileNotFoundError:
                return False

    def __eq__(self, other: object) -> bool:
        """Whether the other store has the same folder."""
        return isinstance(other, PageStore) and self.root == other.root

    def __hash__(self) -> int:
        """The hash of the folder."""
        return hash(self.root)

    def __repr__(self) -> str:
        """The class and the folder."""
        return f"PageStore({str(self.root)!r})"

    @property
    def _files(self) -> StoreFiles:
        return StoreFiles(self.root)

    def _write(self, image: Image.Image, ref: PageRef) -> None:
        # A new image: PIL would also write the profile, the transparency and the text of this one.
        bare = Image.frombytes("RGB", image.size, image.tobytes())
        self._files.write(
            ref.sha256, lambda file: bare.save(file, format="PNG", compress_level=_PNG_LEVEL)
        )


@contextmanager
def store_trouble(source: str, failure: str) -> Generator[None]:
    """Report errors of the file system for a store as PageStoreError.

    Args:
        source: The page, or the store as a whole.
        failure: What cannot be done, as the beginning of a sentence.

    Raises:
        PageStoreError: Instead of an OSError.
        ResourceError: This machine is short of memory or open files.
    """
    try:
        yield
    except VdrError:
        raise
    except OSError as problem:
        refuse_shortage(problem, source_name=source)
        why = problem.strerror or str(problem) or type(problem).__name__
        path = problem.filename2 or problem.filename  # where a file was to be moved, or was opened
        where = "" if path is None else f" ({path})"
        advice = next((f"{text} " for numbers, text in _ADVICE if problem.errno in numbers), "")
        raise PageStoreError(
            f"{failure}: {why}{where}. {advice}To use another folder, name it in the environment "
            f"variable {STORE_VARIABLE}, or as page_store_path or --store if that was given.",
            source=source,
        ) from problem


_CHECK = "Check the disk, and the path of the folder."
_ADVICE = (
    (
        {errno.ENOSPC, errno.EDQUOT},
        "Free space there; vdr store prune removes pages that no index needs.",
    ),
    ({errno.EFBIG}, "Raise the limit of file sizes (ulimit -f)."),
    (
        {errno.EACCES, errno.EPERM, errno.EROFS},
        "Make the folder, and all that is in it, readable and writable for this user.",
    ),
    (
        {errno.ENOTDIR, errno.EISDIR, errno.EEXIST},
        "Something else lies in the place of its files; move that away.",
    ),
)


def _parsed(ref: PageRef | str) -> PageRef:
    parsed = PageRef.parse(ref) if isinstance(ref, str) else ref
    if parsed is None:
        raise PageReferenceError(
            f"found a text of {len(ref) if isinstance(ref, str) else 0} characters that is not a "
            f"reference; a reference is vdr-page: and 64 lower-case hexadecimal digits.",
            source="page reference",
        )
    return parsed


def _altered(ref: PageRef, root: Path) -> PageReferenceError:
    return PageReferenceError(
        f"the image stored in {root} is damaged or was altered: its pixels have another hash. "
        f"Read the document again to replace it.",
        source=str(ref),
    )
