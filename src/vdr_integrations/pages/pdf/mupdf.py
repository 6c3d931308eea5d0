"""All access to PyMuPDF: imported on first use, for one thread at a time, silent on stderr."""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from vdr_integrations.errors import MissingExtraError, PageError, VdrError

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["MUPDF_LOCK", "mupdf", "smooth_lines"]

_LINE_SMOOTHNESS = 6
"""64 shades for the edges of lines and areas. MuPDF's default, 8, draws 255 shades. That takes a
quarter longer on charts, and pixels are no nearer to those of 200 dpi
(benchmarks/pdf_to_patches.py)."""

# "PyMuPDF does not support running on multiple threads" (its documentation, Multiprocessing).
# Re-entrant: a thread that holds the lock may garbage-collect a document, which closes it.
MUPDF_LOCK = threading.RLock()
if hasattr(os, "register_at_fork"):
    # A fork waits until no thread uses MuPDF: the child gets a copy of its state and of the lock.
    os.register_at_fork(
        before=MUPDF_LOCK.acquire,
        after_in_parent=MUPDF_LOCK.release,
        after_in_child=MUPDF_LOCK.release,
    )


@contextmanager
def mupdf(
    failure: type[PageError], *, source: str, doing: str, page_number: int | None = None
) -> Generator[Any]:
    """Use PyMuPDF's module in the block, in one thread at a time.

    Args:
        failure: Error into which every error of PyMuPDF is converted.
        source: Name of the document in error messages.
        doing: What you do with it, for the message: "open", "render".
        page_number: 1-based, or None for the whole document.

    Yields:
        The module ``pymupdf``.

    Raises:
        MissingExtraError: PyMuPDF is not installed.
    """
    try:
        import pymupdf
    except ImportError as problem:
        raise MissingExtraError(package="pymupdf", extra="pdf", purpose="reading PDFs") from problem
    with MUPDF_LOCK:
        shown = pymupdf.TOOLS.mupdf_display_errors()
        pymupdf.TOOLS.mupdf_display_errors(False)
        try:
            yield pymupdf
        except (VdrError, MemoryError):
            raise
        # For damaged files it raises RuntimeError, ValueError, IndexError, TypeError, exceptions of
        # its C library (subclasses of Exception), and others that its documentation does not name.
        except Exception as problem:
            raise failure(
                f"MuPDF could not {doing} it ({type(problem).__name__}); it is damaged. "
                f"Repair it, for instance by printing it to a new PDF, or leave it out.",
                source=source,
                page_number=page_number,
            ) from problem
        finally:
            pymupdf.TOOLS.mupdf_display_errors(shown)


@contextmanager
def smooth_lines(engine: Any) -> Generator[None]:  # noqa: ANN401  # PyMuPDF's module
    """Draw edges of lines and areas (not of letters) with as many shades as encoders can use."""
    before = engine.mupdf.fz_graphics_aa_level()
    engine.mupdf.fz_set_graphics_aa_level(_LINE_SMOOTHNESS)
    try:
        yield
    finally:
        engine.mupdf.fz_set_graphics_aa_level(before)
