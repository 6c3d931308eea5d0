from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.index.documents import PageCounter

from vdr_integrations import DenseEncoder
from vdr_integrations.index import DenseIndex, Manifest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def encoder(tiny_checkpoint: Path) -> DenseEncoder:
    return DenseEncoder.load(str(tiny_checkpoint), max_visual_tokens=16, dimension=32)


@pytest.fixture
def counter(encoder: DenseEncoder, monkeypatch: pytest.MonkeyPatch) -> PageCounter:
    return PageCounter(encoder, monkeypatch)


@pytest.fixture
def index(tmp_path: Path, encoder: DenseEncoder) -> DenseIndex:
    return DenseIndex.create(tmp_path / "index", manifest=Manifest.of(encoder))
