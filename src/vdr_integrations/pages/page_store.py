"""Page images on disk, each stored under the hash of its pixels."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from PIL import Image
from platformdirs import user_cache_path

from vdr_integrations.errors import ImageDecodeError, ImageTooLargeError, PageReferenceError
from vdr_integrations.pages.file_limits import DEFAULT_IMAGE_LIMITS
from vdr_integrations.pages.images.decode import check_pixels, decode_image
from vdr_integrations.types import PageImage, PageRef

__all__ = ["STORE_VARIABLE", "PageStore"]

STORE_VARIABLE = "VDR_PAGE_STORE"
"""Environment variable with the folder of the default store."""

_PNG_LEVEL = 2
"""zlib level. Photographs take a third of the time of level 6; text takes half the space of
level 1."""


class PageStore:
    """A folder of lossless page images, named by content.

    A page that is put twice is stored once. A file is written completely or not at all, so many
    threads and processes can share a folder. The store never deletes anything. You may delete the
    folder; reading the documents again fills it again. Only their owner can read the files.

    A store keeps nothing but the name of its folder: it can be pickled, and two stores of one
    folder are equal.
    """

    def __init__(self, root: str | Path | None = None) -> None:
        """Choose the folder; it is created when the first page is put.

        Args:
            root: The folder. None uses ``$VDR_PAGE_STORE`` or, if that is not set,
                ``vdr-integrations/pages`` in the user's cache folder; both are looked up each time
                the store is used.
        """
        self._root = None if root is None else Path(root)

    @property
    def root(self) -> Path:
        """The folder; it may not exist yet."""
        if self._root is not None:
            return self._root
        named = os.environ.get(STORE_VARIABLE)
        return Path(named) if named else user_cache_path("vdr-integrations") / "pages"

    def put(self, page: PageImage) -> PageRef:
        """Store a page and return its reference, with which ``get`` finds it.

        A stored file that was damaged or changed is replaced.

        Raises:
            ImageTooLargeError: The page has more pixels than ``ImageLimits`` allows by default:
                ``get`` would refuse it.
            OSError: The folder cannot be written to.
        """
        check_pixels(page.width, page.height, source=page.source, limits=DEFAULT_IMAGE_LIMITS)
        ref = page.ref
        if not self._is_intact(ref):
            self._write(page.image, self.path(ref))
        return ref

    def get(self, ref: PageRef | str) -> PageImage:
        """Load the page of a reference and check it against its hash.

        Args:
            ref: A reference, or its text ``vdr-page:<sha256>``.

        Raises:
            PageReferenceError: ``ref`` is not a reference, no page is stored under it, or the file
                is not the image that was stored.
        """
        ref = _parsed(ref)
        try:
            data = self.path(ref).read_bytes()
        except FileNotFoundError:
            raise PageReferenceError(
                f"no page is stored under it in {self.root}. Read the document again, or use the "
                f"store that the page was put in.",
                source=str(ref),
            ) from None
        except OSError as problem:
            raise PageReferenceError(
                f"its file in {self.root} cannot be read ({type(problem).__name__}).",
                source=str(ref),
            ) from problem
        try:
            image = decode_image(data, source=str(ref), limits=DEFAULT_IMAGE_LIMITS)
        except (ImageDecodeError, ImageTooLargeError) as problem:
            raise _altered(ref, self.root) from problem
        page = PageImage(image, source=str(ref))
        if page.sha256 != ref.sha256:
            raise _altered(ref, self.root)
        return page

    def path(self, ref: PageRef | str) -> Path:
        """The path of the PNG file of a reference; the file may not exist.

        Raises:
            PageReferenceError: ``ref`` is not a reference.
        """
        digits = _parsed(ref).sha256
        return self.root / digits[:2] / f"{digits}.png"

    def __contains__(self, ref: object) -> bool:
        """Whether a file is stored under a reference or its text; the content is not checked."""
        parsed = PageRef.parse(ref) if isinstance(ref, str) else ref
        return isinstance(parsed, PageRef) and self.path(parsed).is_file()

    def __eq__(self, other: object) -> bool:
        """Whether the other store has the same folder."""
        return isinstance(other, PageStore) and self.root == other.root

    def __hash__(self) -> int:
        """The hash of the folder."""
        return hash(self.root)

    def __repr__(self) -> str:
        """The class and the folder."""
        return f"PageStore({str(self.root)!r})"

    def _is_intact(self, ref: PageRef) -> bool:
        try:
            self.get(ref)
        except PageReferenceError:
            return False
        return True

    @staticmethod
    def _write(image: Image.Image, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        # A new image: PIL would also write the profile, the transparency and the text of this one.
        bare = Image.frombytes("RGB", image.size, image.tobytes())
        with tempfile.NamedTemporaryFile(
            dir=path.parent, prefix=f".{path.stem}.", suffix=".tmp", delete=False
        ) as file:
            try:
                bare.save(file, format="PNG", compress_level=_PNG_LEVEL)
                file.flush()
                os.fsync(file.fileno())
                file.close()
                Path(file.name).replace(path)
            except BaseException:
                file.close()
                with suppress(FileNotFoundError):
                    Path(file.name).unlink()
                raise


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
