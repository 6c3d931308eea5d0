"""The part of a PDF page that is shown, as the file declares it.

MuPDF shows a box smaller than a point as 1 x 1, and a CropBox beside the page as US Letter: a
meaningless image. So the declaration in the file is read before anything is drawn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pymupdf

__all__ = ["box_problem"]

_Box = tuple[float, float, float, float]

_MIN_SIDE_PT = 1.0


def box_problem(engine: Any, page: pymupdf.Page, *, max_side_pt: float) -> str | None:  # noqa: ANN401  # PyMuPDF's module
    """The problem of the boxes of a page, or None.

    Args:
        engine: The module ``pymupdf``.
        page: A page of a PDF.
        max_side_pt: Longest side allowed, in user space units.

    Returns:
        The reason, for an error message. None also if the file declares no MediaBox, or one of
        0 x 0: every viewer then shows the page as US Letter.
    """
    media = _declared(engine, page, "MediaBox")
    if media is None or media[:2] == media[2:]:
        return None
    crop = _declared(engine, page, "CropBox")
    shown = media if crop is None else _intersection(media, crop)
    width, height = shown[2] - shown[0], shown[3] - shown[1]
    if not (width >= _MIN_SIDE_PT and height >= _MIN_SIDE_PT):  # true for NaN too
        return (
            f"its page box shows {max(width, 0.0):g} x {max(height, 0.0):g} pt; both sides must "
            f"be at least {_MIN_SIDE_PT:g} pt. Repair MediaBox and CropBox, or leave the page out."
        )
    if not max(width, height) <= max_side_pt:
        return (
            f"its page box is {width:g} x {height:g} pt; at most {max_side_pt:g} pt a side is "
            f"allowed. Pass limits=RenderLimits(max_side_pt=...), or leave the page out."
        )
    return None


def _declared(engine: Any, page: pymupdf.Page, key: str) -> _Box | None:  # noqa: ANN401
    pdf = engine.mupdf
    entry = pdf.pdf_page_from_fz_page(page.this).obj()  # pyright: ignore[reportAttributeAccessIssue]
    box = pdf.pdf_dict_get_inheritable(entry, pdf.pdf_new_name(key))
    if not pdf.pdf_is_array(box):
        return None
    # MuPDF reads a value that is missing or not a number as 0.
    x0, y0, x1, y1 = (pdf.pdf_to_real(pdf.pdf_array_get(box, place)) for place in range(4))
    return min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)


def _intersection(a: _Box, b: _Box) -> _Box:
    return max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])
