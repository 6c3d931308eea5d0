"""Page images in a folder or at a URL, each stored under the hash of its pixels."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import Image
from platformdirs import user_data_path

from vdr_integrations.errors import (
    ImageDecodeError,
    ImageTooLargeError,
    OptionError,
    PageReferenceError,
    PageStoreError,
)
from vdr_integrations.pages.file_limits import DEFAULT_IMAGE_LIMITS
from vdr_integrations.pages.folder_files import FolderFiles
from vdr_integrations.pages.images.decode import check_pixels, decode_image
from vdr_integrations.pages.store_files import inside
from vdr_integrations.pages.store_place import StoreUrl, store_place
from vdr_integrations.pages.store_trouble import STORE_VARIABLE, store_trouble
from vdr_integrations.types import PageImage, PageRef

if TYPE_CHECKING:
    from pathlib import Path

    from vdr_integrations.pages.store_files import StoreFiles
    from vdr_integrations.pages.store_place import StorePlace

__all__ = ["PageStore", "StoreContents", "store_files"]

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
    """Lossless page images in a folder or at a URL, named by content.

        PageStore("pages")
        PageStore("s3://bucket/pages")

    A page that is put twice is stored once. A file is written completely or not at all, so many
    threads, processes and machines can share a store. A store removes what killed writers left, and
    no page: ``unneeded_pages`` of ``vdr_integrations.retrieval`` does that. Only their owner can
    read the files of a folder.

    The store is data, not a cache: vector stores and indexes keep references, and only the store
    has the images. Carry it along with them. Without it, images come back only if the very files
    that were indexed are read again.

    URLs are opened by fsspec: ``s3://`` (the extra ``s3``), ``gs://``, ``abfs://`` and others.
    Credentials come from where its packages look for them, such as ``AWS_ACCESS_KEY_ID``. Each
    picture that is read is one request, and none is kept on this machine.

    A store keeps nothing but the name of its folder, or the URL as it was given: it can be pickled,
    and two stores of one place are equal. A password in a URL is not shown, but it is pickled.
    """

    def __init__(self, root: str | Path | None = None) -> None:
        """Choose the place; a folder is created when the first page is put, a bucket never.

        Args:
            root: The folder, or a URL as a str; ``file:///srv/pages`` is a folder. None uses
                ``$VDR_PAGE_STORE`` or, if that is not set, ``vdr-integrations/pages`` in the
                user's data folder; both are looked up each time the store is used.

        Raises:
            OptionError: A URL that names no place, or has a query.
        """
        self._root = None if root is None else store_place(root)

    @property
    def root(self) -> Path:
        """The folder; it may not exist yet.

        Raises:
            OptionError: The store is at a URL, which :attr:`location` names.
        """
        place = self._place
        if isinstance(place, StoreUrl):
            raise OptionError(
                f"page store {place} is no folder of this machine, so its pages have no path. Use "
                f"get, or name a folder."
            )
        return place

    @property
    def location(self) -> str:
        """The absolute path of the folder, or the URL without user, keys and password."""
        place = self._place
        return str(place if isinstance(place, StoreUrl) else place.absolute())

    def put(self, page: PageImage) -> PageRef:
        """Store a page and return its reference, with which ``get`` finds it.

        A stored file that was damaged or changed is replaced. A page that is stored already counts
        as new again, so that it is not removed before an index names it.

        Raises:
            ImageTooLargeError: The page has more pixels than ``ImageLimits`` allows by default:
                ``get`` would refuse it.
            PageStoreError: The store cannot be written to (an OSError).
            ResourceError: This machine cannot open more files.
        """
        check_pixels(page.width, page.height, source=page.source, limits=DEFAULT_IMAGE_LIMITS)
        ref = page.ref
        with store_trouble(page.source, f"it cannot be put into page store {self.location}"):
            self._files.renew(ref.sha256)
            if not self.is_intact(ref):
                self._write(page.image, ref)
        return ref

    def renew(self, ref: PageRef | str) -> None:
        """Make a stored page count as new again; nothing happens if it is not stored.

        A page that is about to be named by an index must not be removed as one that nobody needs.

        Raises:
            PageReferenceError: ``ref`` is not a reference.
            PageStoreError: The server of a URL does not answer.
        """
        parsed = _parsed(ref)
        with store_trouble(str(parsed), f"it cannot be renewed in page store {self.location}"):
            self._files.renew(parsed.sha256)

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
        with store_trouble(str(ref), f"it cannot be read from page store {self.location}"):
            try:
                data = self._files.read(ref.sha256)
            except FileNotFoundError:
                raise PageReferenceError(
                    f"no page is stored under it in {self.location}. Read the document again, "
                    f"or use the store that the page was put in.",
                    source=str(ref),
                ) from None
        try:
            image = decode_image(data, source=str(ref), limits=DEFAULT_IMAGE_LIMITS)
        except (ImageDecodeError, ImageTooLargeError) as problem:
            raise _altered(ref, self.location) from problem
        page = PageImage(image, source=str(ref))
        if page.sha256 != ref.sha256:
            raise _altered(ref, self.location)
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
            OptionError: The store is at a URL; see :meth:`place`.
        """
        return self.root / inside(_parsed(ref).sha256)

    def place(self, ref: PageRef | str) -> Path | str:
        """Where the image of a reference lies, or would lie: absolute path or URL, as location.

        Raises:
            PageReferenceError: ``ref`` is not a reference.
        """
        place, name = self._place, inside(_parsed(ref).sha256)
        return f"{place}/{name}" if isinstance(place, StoreUrl) else (place / name).absolute()

    def contents(self) -> StoreContents:
        """Number and size of the pages, and of files that are not finished.

        Raises:
            PageStoreError: The store cannot be read.
        """
        with store_trouble(f"page store {self.location}", "it cannot be read"):
            pages = [file.size_bytes for file in self._files.pages()]
            unfinished = [file.size_bytes for file in self._files.unfinished()]
        return StoreContents(len(pages), sum(pages), len(unfinished), sum(unfinished))

    def __contains__(self, ref: object) -> bool:
        """Whether a file is stored under a reference or its text; the content is not checked.

        Raises:
            PageStoreError: The store cannot be read.
        """
        parsed = PageRef.parse(ref) if isinstance(ref, str) else ref
        if not isinstance(parsed, PageRef):
            return False
        with store_trouble(str(parsed), f"it cannot be read from page store {self.location}"):
            return self._files.has(parsed.sha256)

    def __eq__(self, other: object) -> bool:
        """Whether the other store has the same folder or URL."""
        return isinstance(other, PageStore) and self._place == other._place

    def __hash__(self) -> int:
        """The hash of the folder or URL."""
        return hash(self._place)

    def __repr__(self) -> str:
        """The class, and the folder, or the URL without user, keys and password."""
        return f"PageStore({str(self._place)!r})"

    @property
    def _place(self) -> StorePlace:
        if self._root is not None:
            return self._root
        named = os.environ.get(STORE_VARIABLE)
        return store_place(named) if named else user_data_path("vdr-integrations") / "pages"

    @property
    def _files(self) -> StoreFiles:
        return store_files(self)

    def _write(self, image: Image.Image, ref: PageRef) -> None:
        # A new image: PIL would also write the profile, the transparency and the text of this one.
        bare = Image.frombytes("RGB", image.size, image.tobytes())
        self._files.write(
            ref.sha256, lambda file: bare.save(file, format="PNG", compress_level=_PNG_LEVEL)
        )


def store_files(store: PageStore) -> StoreFiles:
    """The files of a store, for those who list and remove them."""
    place = store._place  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    if isinstance(place, StoreUrl):
        from vdr_integrations.pages.remote_files import RemoteFiles

        return RemoteFiles(place)
    return FolderFiles(place)


def _parsed(ref: PageRef | str) -> PageRef:
    parsed = PageRef.parse(ref) if isinstance(ref, str) else ref
    if parsed is None:
        raise PageReferenceError(
            f"found a text of {len(ref) if isinstance(ref, str) else 0} characters that is not a "
            f"reference; a reference is vdr-page: and 64 lower-case hexadecimal digits.",
            source="page reference",
        )
    return parsed


def _altered(ref: PageRef, location: str) -> PageReferenceError:
    return PageReferenceError(
        f"the image stored in {location} is damaged or was altered: its pixels have another hash. "
        f"Read the document again to replace it.",
        source=str(ref),
    )
