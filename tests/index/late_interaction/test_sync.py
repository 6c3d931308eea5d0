"""``sync_index`` drives a late-interaction index as it drives a dense one, with a real encoder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.index.documents import write_pdf, write_png
from tests.tiny_colqwen2 import write_base

from vdr_integrations import MultiVectorEncoder, load_encoder, open_pdf
from vdr_integrations.errors import EncodingError, IndexMismatchError
from vdr_integrations.index import (
    Compression,
    DenseIndex,
    LateInteractionIndex,
    Manifest,
    SyncProgress,
    maxsim_scores,
    sync_index,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray
    from tests.index.late_interaction.conftest import Location

    from vdr_integrations import DenseEncoder
    from vdr_integrations.types import PageInput


@pytest.fixture(scope="module")
def multi_vector(tmp_path_factory: pytest.TempPathFactory) -> MultiVectorEncoder:
    folder = tmp_path_factory.mktemp("multi") / "colqwen2-base"
    write_base(folder)
    encoder = load_encoder(str(folder), device="cpu", max_visual_tokens=16)
    assert isinstance(encoder, MultiVectorEncoder)
    return encoder


@pytest.fixture
def late(location: Location, multi_vector: MultiVectorEncoder) -> Iterator[LateInteractionIndex]:
    with LateInteractionIndex.create(
        location,
        manifest=Manifest.of(multi_vector),
        compression=Compression(vectors="float32"),
        prompts={"query": "Query: "},
    ) as made:
        yield made


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    write_pdf(folder / "a.pdf", ["apples", "pears"])
    write_png(folder / "c.png", "navy")
    return folder


def test_a_folder_is_indexed_with_the_matrices_and_grids_of_its_pages(
    late: LateInteractionIndex, multi_vector: MultiVectorEncoder, docs: Path
) -> None:
    seen: list[SyncProgress] = []
    report = sync_index(late, multi_vector, [docs], batch_pages=2, on_progress=seen.append)
    sources = [f"{docs.as_posix()}/{name}" for name in ("a.pdf", "c.png")]
    assert report.added == sources
    assert (late.count_pages(), seen[-1].pages_encoded, seen[-1].documents_done) == (3, 3, 2)
    with open_pdf(docs / "a.pdf") as document:
        images = [page.to_image(multi_vector.pixel_budget) for page in document]
    pages = late.get(late.page_ids({"source": sources[0]}), with_vectors=True)
    for page, image, direct in zip(pages, images, multi_vector.encode_pages(images), strict=True):
        assert page.vectors is not None
        assert page.vectors == pytest.approx(direct, abs=1e-5)
        assert page.grid == multi_vector.page_layout(image.height, image.width)
        assert page.page_ref == str(image.ref)
    assert [page.text.strip() for page in pages] == ["apples", "pears"]
    query = multi_vector.encode_queries(["apples"])[0]
    ranking = maxsim_scores(query, [page.vectors for page in pages if page.vectors is not None])
    hits = late.search(query, filter={"source": sources[0]})
    assert [hit.score for hit in hits] == pytest.approx(sorted(ranking, reverse=True), rel=1e-5)
    assert late.prompts == {"query": "Query: "}


def test_unchanged_documents_stay_changed_ones_are_replaced_and_gone_ones_dropped(
    late: LateInteractionIndex, multi_vector: MultiVectorEncoder, docs: Path
) -> None:
    sync_index(late, multi_vector, [docs])
    write_pdf(docs / "a.pdf", ["plums"])
    (docs / "c.png").unlink()
    write_png(docs / "d.png", "red")
    report = sync_index(late, multi_vector, [docs])
    assert (len(report.changed), len(report.removed), len(report.added)) == (1, 1, 1)
    assert late.count_pages() == 2
    again = sync_index(late, multi_vector, [docs])
    assert (len(again.unchanged), again.pages_encoded) == (2, 0)


def test_a_run_that_breaks_off_leaves_nothing_half_and_the_next_one_completes(
    late: LateInteractionIndex,
    multi_vector: MultiVectorEncoder,
    docs: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    encode, calls = multi_vector.encode_pages, [0]

    def breaks(pages: Iterable[PageInput]) -> list[NDArray[np.float32]]:
        calls[0] += 1
        if calls[0] == 2:
            raise EncodingError("closed")
        return encode(pages)

    monkeypatch.setattr(multi_vector, "encode_pages", breaks)
    with pytest.raises(EncodingError):
        sync_index(late, multi_vector, [docs], batch_pages=1)
    assert (late.documents(), late.clean_up()) == ([], 0)
    sync_index(late, multi_vector, [docs], batch_pages=1)
    assert late.count_pages() == 3


def test_an_encoder_of_the_other_kind_is_refused_both_ways(
    late: LateInteractionIndex,
    multi_vector: MultiVectorEncoder,
    tmp_path: Path,
    encoder: DenseEncoder,
    docs: Path,
) -> None:
    dense = DenseIndex.create(tmp_path / "dense", manifest=Manifest.of(encoder))
    with pytest.raises(IndexMismatchError):
        sync_index(late, encoder, [docs])
    with pytest.raises(IndexMismatchError):
        sync_index(dense, multi_vector, [docs])


def test_an_index_opens_with_its_encoder(
    late: LateInteractionIndex, location: Location, multi_vector: MultiVectorEncoder
) -> None:
    late.close()
    LateInteractionIndex.open(location, encoder=multi_vector).close()
