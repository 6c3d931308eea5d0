"""Documents, and an index of each kind, that servers of these tests serve."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pymupdf
import pytest
from tests.cli.conftest import vdr
from tests.pdfs import encrypt_pdf, write_pdf

from vdr_integrations import load_encoder
from vdr_integrations.index import DenseIndex, LateInteractionIndex, Manifest, sync_index

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from vdr_integrations.index.page_index import PageIndex as Index

__all__ = ["vdr"]


@pytest.fixture(scope="module")
def docs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("docs")
    write_pdf(folder / "report.pdf", ["Revenue grew", "Costs fell", "Outlook is calm"])
    write_pdf(folder / "a" / "notes.pdf", ["Apples"])
    write_pdf(folder / "b" / "notes.pdf", ["Pears"])
    locked = write_pdf(folder / "locked.pdf", ["Secret plans"])
    encrypt_pdf(locked, password="pw").replace(locked)
    with pymupdf.open() as document:
        for number in range(1, 4):
            page = document.new_page(width=200, height=280)
            page.insert_text((20, 60), f"page {number}", fontsize=24)
        document.xref_set_key(document[1].xref, "MediaBox", "[0 0 200 99999999]")
        document.save(folder / "broken.pdf")
    return folder


@pytest.fixture(scope="module", params=["late", "dense"])
def index(
    request: pytest.FixtureRequest, docs: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Index]:
    """An open index of ``docs``, of each kind."""
    folder = tmp_path_factory.mktemp(request.param) / "ix"
    if request.param == "late":
        encoder = load_encoder("nano-colqwen2", device="cpu", max_visual_tokens=300)
        with LateInteractionIndex.create(folder, manifest=Manifest.of(encoder)) as made:
            sync_index(made, encoder, [docs], password="pw")
            yield made
    else:
        encoder = load_encoder("nano", device="cpu", max_visual_tokens=300)
        made = DenseIndex.create(folder, manifest=Manifest.of(encoder))
        sync_index(made, encoder, [docs], password="pw")
        yield made


@pytest.fixture(autouse=True)
def _own_page_store(page_store: object) -> None:
    """No picture is in any page store, so all are drawn from the files."""
