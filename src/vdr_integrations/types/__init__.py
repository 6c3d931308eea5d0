"""Plain data shared by every layer: pixel budgets, pages, references, hits."""

from vdr_integrations.types.hit import Hit
from vdr_integrations.types.page import Page, PageImage, PageInput, as_page
from vdr_integrations.types.page_ref import PageRef
from vdr_integrations.types.patch_grid import PatchGrid
from vdr_integrations.types.pixel_budget import PixelBudget
from vdr_integrations.types.rgb import to_rgb

__all__ = [
    "Hit",
    "Page",
    "PageImage",
    "PageInput",
    "PageRef",
    "PatchGrid",
    "PixelBudget",
    "as_page",
    "to_rgb",
]
