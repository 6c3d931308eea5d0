"""Open an index of either kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vdr_integrations.index.dense_index import DenseIndex
from vdr_integrations.index.engine import LOCK_WAIT_S
from vdr_integrations.index.late_interaction_index import LateInteractionIndex
from vdr_integrations.index.page_index import opened_engine

if TYPE_CHECKING:
    from vdr_integrations.index.page_index import Location

__all__ = ["open_index"]


def open_index(
    location: Location, *, wait_s: float = LOCK_WAIT_S
) -> DenseIndex | LateInteractionIndex:
    """Open an index without knowing its kind.

    Args:
        location: A folder, or a collection of a Qdrant server.
        wait_s: How long writes wait for another writer.

    Raises:
        IndexNotFoundError: There is no index.
        IndexFormatError: Not an index, damaged, or of another format.
        MissingExtraError: A server's client is not installed.
    """
    engine = opened_engine(location, wait_s=wait_s)
    return DenseIndex(engine) if engine.settings.tokens is None else LateInteractionIndex(engine)
