"""Documents, and an index of each kind, that servers of these tests search."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.pdfs import write_pdf

from vdr_integrations import DenseEncoder, MultiVectorEncoder
from vdr_integrations.index import DenseIndex, LateInteractionIndex, sync_index

if TYPE_CHECKING:
    from pathlib import Path

BUDGET = 120
NASTY = "<img src=x onerror=alert(1)>\"'&amp; [x](javascript:1) \u202egpj.exe"
"""A name of a file, and a text, that a careless page would run or misread."""


@pytest.fixture(scope="session")
def late() -> MultiVectorEncoder:
    return MultiVectorEncoder.load(
        "nano-colqwen2", device="cpu", dtype="float32", max_visual_tokens=BUDGET
    )


@pytest.fixture(scope="session")
def dense() -> DenseEncoder:
    return DenseEncoder.load("nano", device="cpu", dtype="float32", max_visual_tokens=BUDGET)


@pytest.fixture(scope="session")
def docs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("docs").resolve()
    write_pdf(folder / "report.pdf", ["Revenue grew", "Costs fell", "Outlook is calm"])
    write_pdf(folder / f"{NASTY}.pdf", ["Lemonade"])
    return folder


@pytest.fixture(scope="session")
def late_folder(
    late: MultiVectorEncoder, docs: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = tmp_path_factory.mktemp("late") / "ix"
    with LateInteractionIndex.create(folder, encoder=late) as index:
        sync_index(index, late, [docs])
    return folder


@pytest.fixture(scope="session")
def dense_folder(dense: DenseEncoder, docs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dense") / "ix"
    with DenseIndex.create(folder, encoder=dense) as index:
        sync_index(index, dense, [docs])
    return folder
