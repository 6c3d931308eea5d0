"""A base of adapters, and where an adapter over it goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.tiny_colqwen2 import write_base

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base") / "colqwen2-base"
    write_base(folder)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "colqwen2-v1.0"
