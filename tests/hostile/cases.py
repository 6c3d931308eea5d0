"""All hostile files, and what each must come to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.hostile.image_cases import IMAGE_CASES
from tests.hostile.pdf_cases import PDF_CASES
from tests.hostile.place_cases import PLACE_CASES

if TYPE_CHECKING:
    from tests.hostile.hostile_case import HostileCase

__all__ = ["CASES"]

CASES: tuple[HostileCase, ...] = (*PDF_CASES, *IMAGE_CASES, *PLACE_CASES)
