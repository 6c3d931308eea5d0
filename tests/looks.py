"""How often a vision tower runs."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING
from unittest import mock

from vdr_integrations.encoders.forward.vision_tower import VisionTower

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["watched_tower"]

_RUN = VisionTower.__call__


@contextmanager
def watched_tower() -> Generator[mock.Mock]:
    """Let towers work as they do, and note every call."""
    with mock.patch.object(VisionTower, "__call__", autospec=True) as tower:
        tower.side_effect = _RUN
        yield tower
