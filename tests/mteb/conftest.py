"""What all tests with mteb share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import mteb
import pytest

from vdr_integrations.mteb import mteb_model

if TYPE_CHECKING:
    from pathlib import Path

    from mteb.models import EncoderProtocol


@pytest.fixture
def results(tmp_path: Path) -> mteb.ResultCache:
    """An empty folder of results."""
    return mteb.ResultCache(tmp_path / "results")


@pytest.fixture(scope="session", params=["nano", "nano-colqwen2"])
def model(request: pytest.FixtureRequest) -> EncoderProtocol:
    """A model of one vector a page, and one of one vector a token."""
    return mteb_model(request.param, device="cpu", max_visual_tokens=256)
