"""How many pages are to be done, and how many of them at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.index.documents import write_pdf

from vdr_integrations.index import DenseIndex, SyncProgress, sync_index
from vdr_integrations.index.sync.page_batches import pages_at_once
from vdr_integrations.index.sync.page_estimate import expected_pages

if TYPE_CHECKING:
    from pathlib import Path

    from vdr_integrations import DenseEncoder

NOTHING_OPEN: dict[str, int] = {
    "pages_opened": 0,
    "documents_opened": 0,
    "documents_waiting": 0,
    "pages_known": 0,
    "documents_known": 0,
}


@pytest.mark.parametrize(
    ("known", "pages"),
    [
        ({}, 0),
        ({"documents_waiting": 3}, None),
        ({"documents_waiting": 3, "pages_known": 50, "documents_known": 10}, 15),
        ({"pages_opened": 500, "documents_opened": 1}, 500),
        ({"pages_opened": 30, "documents_opened": 2, "documents_waiting": 4}, 90),
        ({"pages_opened": 30, "documents_opened": 2, "documents_waiting": 4, "pages_known": 9}, 90),
        ({"documents_waiting": 3, "documents_known": 10, "pages_known": 0}, 3),
    ],
)
def test_files_that_are_not_open_count_as_the_mean_of_the_others(
    known: dict[str, int], pages: int | None
) -> None:
    assert expected_pages(**(NOTHING_OPEN | known)) == pages


@pytest.mark.parametrize(
    ("seconds_per_page", "full_batch", "most", "pages"),
    [
        (None, 1, 32, 1),
        (None, 32, 32, 32),
        (15.0, 1, 32, 1),
        (0.5, 1, 32, 4),
        (0.001, 1, 32, 32),
        (0.0, 1, 32, 32),
        (0.3, 4, 32, 4),
        (0.1, 4, 32, 20),
        (1.0, 32, 32, 32),
        (1.0, 32, 3, 3),
    ],
)
def test_pages_are_kept_after_a_few_seconds_but_no_batch_is_left_half_empty(
    seconds_per_page: float | None, full_batch: int, most: int, pages: int
) -> None:
    assert pages_at_once(seconds_per_page, full_batch=full_batch, most=most) == pages


def test_progress_counts_pages_of_one_document_and_of_many(
    index: DenseIndex, encoder: DenseEncoder, tmp_path: Path
) -> None:
    docs = tmp_path / "docs"
    write_pdf(docs / "a.pdf", ["a"] * 4)
    seen: list[SyncProgress] = []
    options: Any = {"batch_pages": 1, "render_workers": 0, "on_progress": seen.append}
    sync_index(index, encoder, [docs], **options)
    assert [one.pages_done for one in seen if one.pages_encoded] == [1, 2, 3, 4, 4]
    assert {one.pages_total for one in seen} == {None, 4}
    seen.clear()
    for name in "bc":
        write_pdf(docs / f"{name}.pdf", [name] * 2)
    sync_index(index, encoder, [docs], **options)
    counts = [(one.pages_done, one.pages_total) for one in seen if one.source.endswith("pdf")]
    assert counts == [(0, 8), (0, 8), (1, 4), (2, 4), (2, 4), (3, 4), (4, 4)]
    assert (seen[-1].pages_done, seen[-1].pages_total) == (4, 4)
