"""The one door to PyMuPDF: imported when used, one caller at a time, silent on stderr."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from vdr_integrations.errors import MissingExtraError, PageError, VdrError

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["MUPDF_LOCK", "mupdf"]

# "PyMuPDF does not support running on multiple threads" (its documentation, Multiprocessing).
# Re-entrant, because a document that is garbage-collected in here is closed in here.
MUPDF_LOCK = threading.RLock()


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
