"""A synchronisation on several devices: the index of one device, also if a device dies."""

from __future__ import annotations

import gc
import os
import signal
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from tests.index.documents import write_pdf, write_pdf_with_a_bad_page, write_png

from vdr_integrations import DenseEncoder, MultiVectorEncoder, PairedEncoder
from vdr_integrations.encoders.elsewhere.several_devices import SeveralDevices
from vdr_integrations.errors import EncodingError, InvalidVectorError, OptionError
from vdr_integrations.index import (
    DenseIndex,
    LateInteractionIndex,
    Manifest,
    SyncProgress,
    sync_index,
)
from vdr_integrations.types import PageImage

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Any

    from numpy.typing import NDArray

    from vdr_integrations.encoders.runtime.pages_under_way import PagesUnderWay
    from vdr_integrations.index.stored_page import StoredPage
    from vdr_integrations.types import PageInput

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")


@pytest.fixture(scope="module")
def docs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("docs")
    write_pdf(folder / "a.pdf", [f"apples {number}" for number in range(9)])
    write_pdf(folder / "b.pdf", ["boats"])
    write_pdf_with_a_bad_page(folder / "c.pdf")
    write_png(folder / "d.png", "navy")
    write_pdf(folder / "e.pdf", [f"elms {number}" for number in range(5)])
    return folder


def load(checkpoint: Path, device: str, dtype: str = "float32") -> DenseEncoder:
    return DenseEncoder.load(str(checkpoint), device=device, dtype=dtype, max_visual_tokens=16)


@pytest.fixture(scope="module")
def alone(tiny_checkpoint: Path) -> DenseEncoder:
    return load(tiny_checkpoint, "cpu")


@pytest.fixture(scope="module")
def pair(tiny_checkpoint: Path) -> DenseEncoder:
    return load(tiny_checkpoint, "cpu,cpu")


def made(path: Path, encoder: DenseEncoder) -> DenseIndex:
    return DenseIndex.create(path, manifest=Manifest.of(encoder))


def facts(index: DenseIndex) -> dict[str, Any]:
    """All of an index but its vectors."""
    return {
        "documents": [
            replace(one, file=replace(one.file, checked_ns=0)) for one in index.documents()
        ],
        "fingerprint": index.manifest.fingerprint,
        "pages": [
            (page.page_id, page.page_ref, page.text, page.total_pages) for page in index.pages()
        ],
    }


def vectors(index: DenseIndex) -> NDArray[np.float32]:
    found = index.get([page.page_id for page in index.pages()], with_vectors=True)
    return np.stack([page.dense for page in found if page.dense is not None])


def test_the_index_is_that_of_one_device(
    alone: DenseEncoder, pair: DenseEncoder, docs: Path, tmp_path: Path
) -> None:
    assert isinstance(pair.core, SeveralDevices)  # kept, so that the next line shares it
    with made(tmp_path / "one", alone) as one, made(tmp_path / "two", alone) as two:
        expected = sync_index(one, alone, [docs])
        report = sync_index(two, alone, [docs], devices=["cpu", "cpu"])
        assert report.added == expected.added
        assert report.pages_encoded == expected.pages_encoded == 18
        assert [str(one.error) for one in report.failed] == [
            str(one.error) for one in expected.failed
        ]
        assert report.troubles == []
        assert facts(two) == facts(one)
        np.testing.assert_allclose(vectors(two), vectors(one), atol=1e-5)
        assert sync_index(two, pair, [docs]).pages_encoded == 0


@pytest.fixture
def beside(alone: DenseEncoder, monkeypatch: pytest.MonkeyPatch) -> DenseEncoder:
    """Used as if it was on a GPU: while it works, pages are drawn and written."""
    monkeypatch.setattr(alone.core, "leaves_cores", True)
    return alone


def test_an_encoder_on_a_gpu_gets_a_batch_before_the_last_one_is_written(
    beside: DenseEncoder, docs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin, begun, done = beside.begin_pages, [], []

    def counted(pages: Sequence[PageInput]) -> PagesUnderWay[Any]:
        begun.append(len(pages))
        return begin(pages)

    def look(at: SyncProgress) -> None:
        done.append((sum(begun) - at.pages_encoded, len(begun)))

    monkeypatch.setattr(beside, "begin_pages", counted)
    with made(tmp_path / "index", beside) as index:
        report = sync_index(index, beside, [docs], batch_pages=4, on_progress=look)
        assert sum(begun) == report.pages_encoded == index.count_pages() == 18
    assert max(begun) <= 2
    assert max(under_way for under_way, _ in done) >= 1


def test_both_vectors_of_a_page_are_computed_beside(
    tmp_path: Path, docs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dense = DenseEncoder.load("nano", device="cpu", max_visual_tokens=16)
    late = MultiVectorEncoder.load("nano-colqwen2", device="cpu", max_visual_tokens=16)
    pair = PairedEncoder(dense=dense, multi_vector=late)
    found: list[list[StoredPage]] = []
    for is_beside in (False, True):
        for encoder in (dense, late):
            monkeypatch.setattr(encoder.core, "leaves_cores", is_beside)
        with LateInteractionIndex.create(
            tmp_path / f"{is_beside}",
            manifest=Manifest.of(late),
            dense_manifest=Manifest.of(dense),
        ) as index:
            sync_index(index, pair, [docs / "a.pdf", docs / "d.png"])
            ids = [page.page_id for page in index.pages()]
            found.append(index.get(ids, with_vectors=True))
    assert len(found[0]) == len(found[1]) == 10
    for here, there in zip(*found, strict=True):
        np.testing.assert_array_equal(here.vectors, there.vectors)
        np.testing.assert_array_equal(here.dense, there.dense)


def test_no_more_page_images_are_held_than_asked_for(
    beside: DenseEncoder, docs: Path, tmp_path: Path
) -> None:
    held: list[int] = []

    def count(at: SyncProgress) -> None:
        held.append(sum(type(one) is PageImage for one in gc.get_objects()))

    with made(tmp_path / "index", beside) as index:
        sync_index(
            index, beside, [docs / "a.pdf"], batch_pages=4, render_workers=0, on_progress=count
        )
        assert index.count_pages() == 9
    assert 2 <= max(held) <= 4


def test_a_page_without_a_usable_vector_is_left_out_and_its_batch_goes_through(
    beside: DenseEncoder, docs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish, alone = beside.finish, []

    def fragile(rows: list[NDArray[np.float32]]) -> NDArray[np.float32]:
        if len(rows) > 1:
            raise InvalidVectorError("NaN")
        alone.append(len(rows))
        if len(alone) == 3:
            raise InvalidVectorError("NaN, alone")
        return finish(rows)

    monkeypatch.setattr(beside, "finish", fragile)
    with made(tmp_path / "index", beside) as index:
        report = sync_index(index, beside, [docs / "a.pdf"])
        assert [(one.page_number, "NaN, alone" in str(one.error)) for one in report.failed] == [
            (3, True)
        ]
        assert [page.page_number for page in index.pages()] == [1, 2, *range(4, 10)]


def test_a_device_that_dies_is_a_warning_and_the_last_one_an_error_that_keeps_pages(
    tiny_checkpoint: Path, alone: DenseEncoder, docs: Path, tmp_path: Path
) -> None:
    pair = load(tiny_checkpoint, "cpu,cpu", "bfloat16")
    core = pair.core
    assert isinstance(core, SeveralDevices)
    first, second = core.process_ids

    def killing(process_id: int, after: int) -> Any:
        def look(at: SyncProgress) -> None:
            if at.pages_encoded >= after and process_id in core.process_ids:
                os.kill(process_id, signal.SIGKILL)
                while process_id in core.process_ids:
                    os.sched_yield()

        return look

    with made(tmp_path / "index", pair) as index, made(tmp_path / "one", alone) as one:
        report = sync_index(
            index, pair, [docs / "a.pdf"], batch_pages=4, on_progress=killing(first, 2)
        )
        (trouble,) = report.troubles
        assert "cpu process 1 was lost (its process was killed" in trouble
        assert (report.pages_encoded, report.failed, report.warnings) == (9, [], [])
        with pytest.raises(EncodingError, match="all of its devices were lost"):
            sync_index(index, pair, [docs], batch_pages=2, on_progress=killing(second, 6))
        again = sync_index(index, load(tiny_checkpoint, "cpu", "bfloat16"), [docs])
        assert again.pages_encoded + again.pages_kept < 9
        sync_index(one, alone, [docs])
        assert facts(index) == facts(one)
        np.testing.assert_allclose(vectors(index), vectors(one), atol=0.1)


@pytest.mark.parametrize("devices", [["cpu", "cuda:0"], ["cpu", ""], []])
def test_devices_that_are_not_there_are_refused(
    alone: DenseEncoder, docs: Path, tmp_path: Path, devices: list[str]
) -> None:
    with made(tmp_path / "index", alone) as index, pytest.raises(OptionError, match="device="):
        sync_index(index, alone, [docs], devices=devices)
