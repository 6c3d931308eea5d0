"""Hostile image files, and what each must come to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.hostile import hostile_images as images
from tests.hostile import hostile_tiffs as tiffs
from tests.hostile.hostile_case import (
    CPU,
    FILE_REFUSED,
    INDEXED,
    LIMIT,
    PAGE_REFUSED,
    PIXELS,
    HostileCase,
    Outcome,
    of_bytes,
)

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["IMAGE_CASES"]

_EITHER = INDEXED | FILE_REFUSED


def _case(
    suffix: str,
    make: Callable[[], bytes],
    outcomes: frozenset[Outcome],
    reason: str = "",
    *,
    is_slow: bool = False,
) -> HostileCase:
    return HostileCase(
        name=make.__name__.replace("_", " "),
        write=of_bytes(make),
        outcomes=outcomes,
        reason=reason,
        file_name=f"hostile.{suffix}",
        is_slow=is_slow,
    )


IMAGE_CASES: tuple[HostileCase, ...] = (
    _case("png", images.png_of_huge_size, FILE_REFUSED, PIXELS),
    _case("png", images.png_bomb, FILE_REFUSED, PIXELS),
    _case("png", images.png_of_16_bits_below_the_limit, _EITHER, LIMIT, is_slow=True),
    _case("png", images.gray_png_of_16_bits_below_the_limit, _EITHER, LIMIT, is_slow=True),
    _case("png", images.png_with_more_pixels_than_it_says, _EITHER),
    _case("png", images.png_with_compressed_text, _EITHER),
    _case("png", images.png_with_compressed_unicode_text, _EITHER),
    _case("png", images.png_with_compressed_profile, _EITHER),
    _case("png", images.png_with_very_many_texts, _EITHER),
    _case("png", images.truncated_png, FILE_REFUSED),
    _case("tiff", tiffs.tiff_of_huge_size, FILE_REFUSED, PIXELS),
    _case("tiff", tiffs.tiff_bomb, _EITHER, LIMIT, is_slow=True),
    _case("tiff", tiffs.tiff_with_absurd_counts, _EITHER),
    _case("tiff", tiffs.tiff_with_sixty_thousand_tags, _EITHER),
    _case("tiff", tiffs.tiff_directory_loop, INDEXED),
    _case("tiff", tiffs.tiff_with_a_ring_of_previews, INDEXED),
    _case("tiff", tiffs.tiff_with_previews_without_end, INDEXED),
    _case("tiff", tiffs.tiff_with_very_many_pages, FILE_REFUSED, "100,000 pages"),
    _case("tiff", tiffs.tiff_with_very_many_previews, FILE_REFUSED, "100,000 pages"),
    _case("tiff", tiffs.tiff_with_thousands_of_broken_pages, PAGE_REFUSED),
    _case("tiff", tiffs.tiff_with_directories_over_each_other, FILE_REFUSED, "over each other"),
    _case("tiff", tiffs.tiff_with_a_loop_of_pages, INDEXED),
    _case("tiff", tiffs.big_tiff_with_a_loop_of_pages, INDEXED),
    _case("tiff", tiffs.tiff_with_a_damaged_page, PAGE_REFUSED, "page 2: .*damaged"),
    _case("tiff", tiffs.tiff_with_a_bomb_in_a_page, PAGE_REFUSED, f"page 2: .*{PIXELS}"),
    _case("tiff", tiffs.tiff_with_a_page_that_needs_memory, INDEXED),
    _case("tiff", tiffs.tiff_that_is_cut_off, PAGE_REFUSED, "page 3: .*cut off"),
    _case("tiff", tiffs.big_tiff_with_absurd_counts, PAGE_REFUSED, "damaged"),
    _case("tiff", tiffs.big_tiff_that_repeats_itself, FILE_REFUSED, "larger than the file"),
    _case("gif", images.gif_of_huge_size, FILE_REFUSED, PIXELS),
    _case("gif", images.gif_frame_larger_than_its_screen, FILE_REFUSED, PIXELS),
    _case("gif", images.gif_bomb, _EITHER),
    _case("gif", images.gif_with_very_many_frames, INDEXED),
    _case("webp", images.webp_of_huge_size, FILE_REFUSED, PIXELS),
    _case("webp", images.webp_below_the_limit, _EITHER, LIMIT, is_slow=True),
    _case("webp", images.webp_that_is_truncated, FILE_REFUSED),
    _case("bmp", images.bmp_of_huge_size, FILE_REFUSED, PIXELS),
    _case("bmp", images.bmp_of_negative_size, FILE_REFUSED),
    _case("bmp", images.bmp_of_run_lengths, _EITHER, is_slow=True),
    _case("jpg", images.jpeg_of_huge_size, FILE_REFUSED, PIXELS),
    _case("jpg", images.progressive_jpeg_with_very_many_scans, FILE_REFUSED, CPU, is_slow=True),
)
