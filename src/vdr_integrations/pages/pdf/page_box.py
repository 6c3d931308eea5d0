"""The part of a PDF page that is shown, as the file declares it.

MuPDF shows an empty or missing page box as US Letter, and a box smaller than a point as 1 x 1: a
meaningless image. So the declaration in the file is read before anything is drawn.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pymupdf

__all__ = ["box_problem"]

_Box = tuple[float, float, float, float]

_ITEM = re.compile(r"(\d+)\s+\d+\s+R\b|([^\s\[\]]+)")
_MAX_TREE_DEPTH = 64
_MIN_SIDE_PT = 1.0


def box_problem(document: pymupdf.Document, page_xref: int, *, max_side_pt: float) -> str | None:
    """The problem of the boxes of a page, or None.

    Args:
        document: An open PDF.
        page_xref: Object number of the page.
        max_side_pt: Longest side allowed, in user space units.

    Returns:
        The reason, for an error message. None also if the file declares no MediaBox: every viewer
        then shows the page as US Letter.
    """
    media = _inherited_box(document, page_xref, "MediaBox")
    if media is None:
        return None
    crop = _inherited_box(document, page_xref, "CropBox")
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


def _inherited_box(document: pymupdf.Document, xref: int, key: str) -> _Box | None:
    for _ in range(_MAX_TREE_DEPTH):
        kind, value = document.xref_get_key(xref, key)
        if kind == "xref":
            value = _indirect(document, value)
        if kind in {"array", "xref"}:
            return _box(document, value)
        kind, value = document.xref_get_key(xref, "Parent")
        if kind != "xref":
            return None
        number, *_ = value.split()
        xref = int(number)
    return None


def _box(document: pymupdf.Document, array: str) -> _Box:
    numbers = [
        _number(_indirect(document, reference) if reference else item)
        for reference, item in _ITEM.findall(array)
    ]
    # MuPDF reads a value that is missing or not a number as 0.
    x0, y0, x1, y1 = (numbers + [0.0] * 4)[:4]
    return min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)


def _indirect(document: pymupdf.Document, reference: str) -> str:
    number, *_ = reference.split()
    return document.xref_object(int(number), compressed=True)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def _intersection(a: _Box, b: _Box) -> _Box:
    return max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])
