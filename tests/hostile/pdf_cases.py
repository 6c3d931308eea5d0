"""Hostile PDFs, and what each must come to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.hostile import hostile_pdf_memory as memory
from tests.hostile import hostile_pdf_pictures as pictures
from tests.hostile import hostile_pdf_structure as structure
from tests.hostile import hostile_pdf_time as slow
from tests.hostile import pdfs_that_reach_out as reaching
from tests.hostile.hostile_case import (
    ANY,
    CPU,
    DRAWN,
    FILE_REFUSED,
    INDEXED,
    LIMIT,
    PAGE_REFUSED,
    REFUSED,
    WARNED,
    HostileCase,
    Outcome,
    of_bytes,
)

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["PDF_CASES"]


def _case(
    make: Callable[[], bytes],
    outcomes: frozenset[Outcome],
    reason: str = "",
    *,
    name: str | None = None,
    is_slow: bool = False,
) -> HostileCase:
    words = make.__name__.replace("_", " ") if name is None else name
    return HostileCase(
        name=words, write=of_bytes(make), outcomes=outcomes, reason=reason, is_slow=is_slow
    )


_SLOW_OR_DRAWN = DRAWN | PAGE_REFUSED
"""A fast machine draws it in time."""

_MEMORY = (
    _case(memory.text_of_nested_forms, PAGE_REFUSED, LIMIT, is_slow=True),
    _case(memory.letters_without_end, PAGE_REFUSED, LIMIT, is_slow=True),
    _case(memory.cmap_that_makes_texts_of_letters, PAGE_REFUSED, LIMIT, is_slow=True),
    _case(memory.stroked_curves_without_end, PAGE_REFUSED, LIMIT, is_slow=True),
    _case(memory.laughing_forms, PAGE_REFUSED, LIMIT, is_slow=True),
    _case(memory.laughing_patterns, PAGE_REFUSED, LIMIT, is_slow=True),
    _case(memory.inline_image_of_gigabytes, PAGE_REFUSED),
    _case(memory.image_of_a_hundred_thousand_pixels_a_side, _SLOW_OR_DRAWN, LIMIT, is_slow=True),
    _case(memory.picture_of_two_gigabytes, _SLOW_OR_DRAWN, LIMIT, is_slow=True),
    _case(memory.predictor_with_huge_columns, PAGE_REFUSED),
    _case(memory.shading_with_a_huge_function, PAGE_REFUSED),
    _case(memory.nested_soft_masks, PAGE_REFUSED),
    _case(memory.type_3_glyphs_of_glyphs, DRAWN),
    _case(memory.saved_states_without_end, PAGE_REFUSED),
    _case(memory.content_that_inflates_to_gigabytes, PAGE_REFUSED, LIMIT, is_slow=True),
    _case(memory.object_stream_of_gigabytes, PAGE_REFUSED, LIMIT, is_slow=True),
    _case(memory.annotation_repeated_very_often, _SLOW_OR_DRAWN, LIMIT, is_slow=True),
)
_TIME = (
    _case(slow.forms_that_call_each_other, DRAWN),
    _case(slow.function_that_is_slow, PAGE_REFUSED, CPU, is_slow=True),
    _case(slow.tiles_of_a_hundred_thousandth, PAGE_REFUSED, LIMIT, is_slow=True),
    _case(slow.dashes_of_a_millionth, _SLOW_OR_DRAWN, LIMIT),
    _case(slow.clips_without_end, PAGE_REFUSED),
    _case(slow.blend_groups_in_each_other, PAGE_REFUSED, CPU, is_slow=True),
    _case(slow.mesh_of_a_million_patches, PAGE_REFUSED, LIMIT, is_slow=True),
    _case(slow.optional_layers_in_a_loop, DRAWN),
)
_DAMAGED = (
    *(
        _case(structure.truncated(share), ANY, name=f"truncated after {share:.0%}")
        for share in (0.1, 0.3, 0.5, 0.7, 0.9, 0.99)
    ),
    *(
        _case(structure.with_flipped_bits(seed), ANY, name=f"flipped bits, seed {seed}")
        for seed in range(8)
    ),
    _case(structure.with_null_bytes, ANY),
    _case(structure.table_that_points_to_itself, INDEXED),
    _case(structure.start_that_points_to_itself, INDEXED),
    _case(structure.table_stream_of_huge_size, REFUSED),
    _case(structure.stream_length(b"-1"), DRAWN, name="negative length of a stream"),
    _case(structure.stream_length(b"99999999999999999999"), DRAWN, name="huge length of a stream"),
    _case(structure.length_that_is_its_own_stream, DRAWN),
    _case(structure.missing_content, PAGE_REFUSED),
    _case(structure.missing_resources, WARNED),
    _case(structure.references_in_a_ring, PAGE_REFUSED),
    _case(structure.nested_arrays, ANY),
    _case(structure.nested_dictionaries, ANY),
    _case(structure.nested_arrays_in_content, ANY),
    _case(structure.count_of_two_thousand_million, ANY),
    _case(structure.count_of_ninety_thousand, ANY),
    _case(structure.kids_loop, ANY),
    _case(structure.kids_that_double, ANY),
    _case(structure.parent_loop, ANY),
    _case(structure.outline_loop, INDEXED),
    _case(structure.names_loop, INDEXED),
    _case(structure.page_label_loop, DRAWN),
    *(
        _case(structure.page_label_of(number), DRAWN, name=f"page label of {number:,}")
        for number in (2**31 - 1, 3 * 10**12, 2**62)
    ),
    *(
        _case(
            structure.field_loop(parent),
            INDEXED if parent == "nobody" else WARNED,
            name=f"form field in a loop: parent is {parent}",
        )
        for parent in ("itself", "its kid's kid", "nobody")
    ),
)
_LOST_ELSEWHERE = (
    _case(structure.pages_in_the_tree_itself, INDEXED),
    _case(structure.empty_box, INDEXED),
    _case(structure.without_header, INDEXED),
    _case(structure.junk_before_header, INDEXED),
    _case(structure.without_table, INDEXED),
    _case(structure.without_endobj, INDEXED),
)
_ENCRYPTED = (
    _case(structure.password_needed, FILE_REFUSED, "password"),
    _case(structure.unknown_encryption, FILE_REFUSED),
    _case(structure.garbage_encryption, INDEXED | FILE_REFUSED),
)
_NOISE = ("fax", "unknown filter of noise")
"""MuPDF draws a few lines of noise, and the rest in one colour."""

_HUGE = ("JBIG2 of gigabytes", "JPEG 2000 of huge size")
"""It takes seconds until they turn out to be garbage."""

_MAY_TAKE_MEMORY = ("JBIG2 of huge size", "fax of huge size")
"""MuPDF 1.28 refuses the size. Older ones ask for the memory, more than their process may have."""

_SILENT = (
    *(
        _case(
            pictures.page_of_picture(kind),
            PAGE_REFUSED if kind not in _NOISE else PAGE_REFUSED | WARNED,
            name=f"page that is a picture: {kind}",
            is_slow=kind in _HUGE,
        )
        for kind in pictures.GARBAGE
    ),
    *(
        _case(
            pictures.picture_beside_text(kind),
            WARNED if kind not in (*_HUGE, *_MAY_TAKE_MEMORY) else PAGE_REFUSED | WARNED,
            name=f"text beside a picture: {kind}",
            is_slow=kind in _HUGE,
        )
        for kind in pictures.GARBAGE
    ),
    _case(pictures.broken_font, DRAWN),
)
_REACHING_OUT = (
    *(
        _case(reaching.with_action(kind), INDEXED, name=f"action: {kind}")
        for kind in reaching.ACTIONS
    ),
    _case(reaching.file_inside, INDEXED),
    *(
        _case(make(place), DRAWN, name=f"{what} that is in {place.decode()}")
        for what, make in (
            ("content", reaching.external_content),
            ("picture", reaching.external_picture),
        )
        for place in (b"/etc/passwd", b"http://127.0.0.1:9/page")
    ),
)

PDF_CASES: tuple[HostileCase, ...] = (
    *_MEMORY,
    *_TIME,
    *_DAMAGED,
    *_LOST_ELSEWHERE,
    *_ENCRYPTED,
    *_SILENT,
    *_REACHING_OUT,
)
