"""All access to PyMuPDF: imported on first use, for one thread at a time, silent on stderr."""

from __future__ import annotations

import importlib.util
import os
import re
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from vdr_integrations.errors import MissingExtraError, PageError, VdrError

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = [
    "MUPDF_LOCK",
    "check_mupdf",
    "import_mupdf",
    "is_shortage",
    "messages_in",
    "mupdf",
    "says_shortage",
    "smooth_lines",
]

_LINE_SMOOTHNESS = 6
"""64 shades for the edges of lines and areas. MuPDF's default, 8, draws 255 shades. That takes a
quarter longer on charts, and pixels are no nearer to those of 200 dpi
(benchmarks/pdf_to_patches.py)."""

_SHORTAGE = re.compile(r"\b[cm]alloc\b|\brealloc\b|bad_alloc|out of memory", re.IGNORECASE)
"""What MuPDF's errors say when there is no memory left."""

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


def check_mupdf() -> None:
    """Look whether PyMuPDF is installed, without importing it: another process will.

    Raises:
        MissingExtraError: PyMuPDF is not installed.
    """
    try:
        is_there = importlib.util.find_spec("pymupdf") is not None
    except (ImportError, ValueError):
        is_there = False
    if not is_there:
        raise MissingExtraError(package="pymupdf", extra="pdf", purpose="reading PDFs")


def import_mupdf() -> Any:  # noqa: ANN401  # PyMuPDF's module
    """The module ``pymupdf``.

    Raises:
        MissingExtraError: PyMuPDF is not installed.
    """
    try:
        import pymupdf
    except ImportError as problem:
        raise MissingExtraError(package="pymupdf", extra="pdf", purpose="reading PDFs") from problem
    return pymupdf


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
        MemoryError: There is too little memory.
    """
    engine = import_mupdf()
    with MUPDF_LOCK:
        shown = engine.TOOLS.mupdf_display_errors()
        engine.TOOLS.mupdf_display_errors(False)
        try:
            yield engine
        except (VdrError, MemoryError):
            raise
        # For damaged files it raises RuntimeError, ValueError, IndexError, TypeError, exceptions of
        # its C library (subclasses of Exception), and others that its documentation does not name.
        except Exception as problem:
            if is_shortage(problem):
                raise MemoryError(f"MuPDF could not {doing} a page or document") from problem
            raise failure(
                f"MuPDF could not {doing} it ({type(problem).__name__}); it is damaged. "
                f"Repair it, for instance by printing it to a new PDF, or leave it out.",
                source=source,
                page_number=page_number,
            ) from problem
        finally:
            engine.TOOLS.mupdf_display_errors(shown)


def is_shortage(problem: BaseException | None) -> bool:
    """Whether an error of MuPDF, or what caused it, says that there is no memory left."""
    while problem is not None:
        if isinstance(problem, MemoryError) or says_shortage(str(problem)):
            return True
        problem = problem.__cause__ or problem.__context__
    return False


def says_shortage(message: str) -> bool:
    """Whether a message of MuPDF says that there is no memory left."""
    return _SHORTAGE.search(message) is not None


@contextmanager
def messages_in(engine: Any) -> Generator[list[str]]:  # noqa: ANN401  # PyMuPDF's module
    """What MuPDF says of the file in the block: a list that is filled when the block ends.

    PyMuPDF keeps all that MuPDF says until somebody takes it; what it kept before is dropped.
    """
    said: list[str] = []
    engine.TOOLS.reset_mupdf_warnings()
    try:
        yield said
    finally:
        said += str(engine.TOOLS.mupdf_warnings()).splitlines()


@contextmanager
def smooth_lines(engine: Any) -> Generator[None]:  # noqa: ANN401  # PyMuPDF's module
    """Draw edges of lines and areas (not of letters) with as many shades as encoders can use."""
    before = engine.mupdf.fz_graphics_aa_level()
    engine.mupdf.fz_set_graphics_aa_level(_LINE_SMOOTHNESS)
    try:
        yield
    finally:
        engine.mupdf.fz_set_graphics_aa_level(before)
