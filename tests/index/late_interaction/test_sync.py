"""``sync_index`` fills a late-interaction index like a dense one, with a real encoder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from tests.index.documents import write_pdf, write_png
from tests.looks import watched_tower
from tests.tiny_checkpoint import write_tiny_checkpoint
from tests.tiny_colqwen2 import write_base

from vdr_integrations import DenseEncoder, MultiVectorEncoder, PairedEncoder, load_encoder, open_pdf
from vdr_integrations.errors import (
    EncodingError,
    IndexMismatchError,
    InvalidVectorError,
    OptionError,
)
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

    from numpy.typing import NDArray
    from tests.index.late_interaction.conftest import Location

    from vdr_integrations.types import PageInput


@pytest.fixture(scope="module")
def multi_vector(tmp_path_factory: pytest.TempPathFactory) -> MultiVectorEncoder:
    folder = tmp_path_factory.mktemp("multi") / "colqwen2-base"
    write_base(folder)
    encoder = load_encoder(str(folder), device="cpu", max_visual_tokens=16)
    assert isinstance(encoder, MultiVectorEncoder)
    return encoder


@pytest.fixture(scope="module")
def dense(tmp_path_factory: pytest.TempPathFactory) -> DenseEncoder:
    folder = tmp_path_factory.mktemp("dense") / "vdr-2b-multi-v1"
    write_tiny_checkpoint(folder)
    encoder = load_encoder(str(folder), device="cpu", max_visual_tokens=16)
    assert isinstance(encoder, DenseEncoder)
    return encoder


@pytest.fixture
def pair(dense: DenseEncoder, multi_vector: MultiVectorEncoder) -> PairedEncoder:
    return PairedEncoder(dense=dense, multi_vector=multi_vector)


@pytest.fixture
def recalling(location: Location, pair: PairedEncoder) -> Iterator[LateInteractionIndex]:
    with LateInteractionIndex.create(
        location,
        manifest=Manifest.of(pair.multi_vector),
        dense_manifest=Manifest.of(pair.dense),
        compression=Compression(vectors="float32"),
    ) as made:
        yield made


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


def test_a_pair_of_encoders_keeps_a_vector_of_each_page_beside_those_of_its_tokens(
    recalling: LateInteractionIndex, pair: PairedEncoder, docs: Path
) -> None:
    assert sync_index(recalling, pair, [docs]).pages_encoded == 3
    source = f"{docs.as_posix()}/a.pdf"
    with open_pdf(docs / "a.pdf") as document:
        images = [page.to_image(pair.multi_vector.pixel_budget) for page in document]
    pages = recalling.get(recalling.page_ids({"source": source}), with_vectors=True)
    vectors, matrices = pair.dense.encode_pages(images), pair.multi_vector.encode_pages(images)
    for page, vector, matrix, image in zip(pages, vectors, matrices, images, strict=True):
        assert page.dense == pytest.approx(vector, abs=1e-5)
        assert page.vectors == pytest.approx(matrix, abs=1e-5)
        assert page.grid == pair.multi_vector.page_layout(image.height, image.width)
    query = pair.multi_vector.encode_queries(["apples"])[0]
    assert recalling.search(query, dense_query=vectors[1]) == recalling.search(query)
    assert sync_index(recalling, pair, [docs]).pages_encoded == 0


def test_a_moved_file_keeps_both_kinds_of_vectors_and_nothing_is_encoded(
    recalling: LateInteractionIndex, pair: PairedEncoder, docs: Path
) -> None:
    sync_index(recalling, pair, [docs])
    before = recalling.get(recalling.page_ids(), with_vectors=True)
    moved = docs.rename(docs.with_name("moved"))
    report = sync_index(recalling, pair, [moved])
    assert (len(report.added), len(report.removed), report.pages_encoded) == (2, 2, 0)
    after = recalling.get(recalling.page_ids(), with_vectors=True)
    for old, new in zip(before, after, strict=True):
        assert new.source == old.source.replace("/docs/", "/moved/")
        assert (new.page_ref, new.grid, new.text) == (old.page_ref, old.grid, old.text)
        assert np.array_equal(np.asarray(new.vectors), np.asarray(old.vectors))
        assert np.array_equal(np.asarray(new.dense), np.asarray(old.dense))
    assert recalling.clean_up() == 0


def test_token_vectors_alone_do_not_go_into_an_index_with_dense_ones(
    recalling: LateInteractionIndex, pair: PairedEncoder, docs: Path
) -> None:
    with pytest.raises(IndexMismatchError, match="give a PairedEncoder of both encoders"):
        sync_index(recalling, pair.multi_vector, [docs])
    assert recalling.count_pages() == 0


def test_a_pair_does_not_go_into_an_index_that_keeps_one_kind(
    late: LateInteractionIndex, pair: PairedEncoder, docs: Path, tmp_path: Path
) -> None:
    with pytest.raises(IndexMismatchError, match="was made without dense vectors"):
        sync_index(late, pair, [docs])
    index = DenseIndex.create(tmp_path / "dense", manifest=Manifest.of(pair.dense))
    with pytest.raises(IndexMismatchError, match="cannot be used with"):
        sync_index(index, pair, [docs])


def test_another_dense_encoder_is_refused(
    recalling: LateInteractionIndex, pair: PairedEncoder, docs: Path
) -> None:
    other = load_encoder(pair.dense.name, device="cpu", max_visual_tokens=16, dimension=32)
    assert isinstance(other, DenseEncoder)
    with pytest.raises(IndexMismatchError, match="dimension 32"):
        sync_index(recalling, PairedEncoder(dense=other, multi_vector=pair.multi_vector), [docs])


def test_an_index_with_two_pixel_budgets_is_refused(
    location: Location, multi_vector: MultiVectorEncoder, dense: DenseEncoder, docs: Path
) -> None:
    """Pages are drawn once, and would have to be scaled a second time for one of the two."""
    other = load_encoder(dense.name, device="cpu", max_visual_tokens=32)
    assert isinstance(other, DenseEncoder)
    pair = PairedEncoder(dense=other, multi_vector=multi_vector)
    manifests = Manifest.of(multi_vector), Manifest.of(other)
    with (
        LateInteractionIndex.create(
            location, manifest=manifests[0], dense_manifest=manifests[1]
        ) as index,
        pytest.raises(
            OptionError,
            match=r"two pixel budgets \(16 .* of 28 px per page, and 32 of 28 px for dense",
        ),
    ):
        sync_index(index, pair, [docs])


def test_a_page_of_which_one_vector_is_unusable_is_left_out(
    recalling: LateInteractionIndex,
    multi_vector: MultiVectorEncoder,
    dense: DenseEncoder,
    docs: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    three = DenseEncoder.load(dense.name, max_visual_tokens=16, batch_visual_tokens=3 * 16)
    pair = PairedEncoder(dense=three, multi_vector=multi_vector)
    finish = pair.dense.finish
    batches: list[int] = []

    def spoil(rows: list[NDArray[np.float32]]) -> NDArray[np.float32]:
        batches.append(len(rows))
        if batches in ([3], [3, 1, 1]):
            raise InvalidVectorError("it has no direction.")
        return finish(rows)

    monkeypatch.setattr(pair.dense, "finish", spoil)
    report = sync_index(recalling, pair, [docs])
    (failure,) = report.failed
    assert (failure.source, failure.page_number) == (f"{docs.as_posix()}/a.pdf", 2)
    assert (report.pages_encoded, recalling.count_pages()) == (2, 2)


def test_a_pair_looks_at_a_page_once(docs: Path, tmp_path: Path) -> None:
    dense = load_encoder("nano", device="cpu")
    late = load_encoder("nano-colqwen2", device="cpu")
    pair = PairedEncoder(dense=dense, multi_vector=late)
    dense.encode_queries(["a"])  # everything that is made only once is made
    late.encode_pages([Image.new("RGB", (28, 28))])
    with (
        LateInteractionIndex.create(
            tmp_path / "nano", manifest=Manifest.of(late), dense_manifest=Manifest.of(dense)
        ) as index,
        watched_tower() as tower,
    ):
        assert sync_index(index, pair, [docs], batch_pages=1).pages_encoded == 3
    assert tower.call_count == 3
