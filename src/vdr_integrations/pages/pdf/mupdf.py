"""The one door to PyMuPDF: imported when used, one caller at a time, silent on stderr."""

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
"""64 shades for the edges of lines and areas. MuPDF's 8 draws 255, which takes a quarter longer on
charts and brings pixels no nearer to those of 200 dpi (benchmarks/pdf_to_patches.py)."""

# "PyMuPDF does not support running on multiple threads" (its documentation, Multiprocessing).
# Re-entrant, because a document that is garbage-collected in here is closed in here.
MUPDF_LOCK = threading.RLock()
if hasattr(os, "register_at_fork"):
    # A fork waits until MuPDF is at rest: a child would find it, and its lock, as they were.
    os.register_at_fork(
        before=MUPDF_LOCK.acquire,
        after_in_parent=MUPDF_LOCK.release,
        after_in_child=MUPDF_LOCK.release,
    )


@contextmanager
def mupdf(
    failure: type[PageError], *, source: str, doing: str, page_number: int | None = None
) -> Generator[Any]:
    """PyMuPDF's module, for the length of the block.

    Args:
        failure: Error that whatever PyMuPDF raises becomes.
        source: What error messages call the document.
        doing: What is being done, for the message: "open", "render".
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
        # On damaged files it raises RuntimeError, ValueError, IndexError, TypeError, its C
        # library's own exceptions (bare Exception), and more than its documentation names.
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
    """Draw lines and areas (not letters) with as many shades as an encoder can use."""
    before = engine.mupdf.fz_graphics_aa_level()
    engine.mupdf.fz_set_graphics_aa_level(_LINE_SMOOTHNESS)
    try:
        yield
    finally:
        engine.mupdf.fz_set_graphics_aa_level(before)
