"""An index that is made: of either kind, as its encoders need it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vdr_integrations.errors import OptionError
from vdr_integrations.index.dense_index import DenseIndex
from vdr_integrations.index.engine import LOCK_WAIT_S
from vdr_integrations.index.late_interaction_index import LateInteractionIndex
from vdr_integrations.index.server.qdrant_server import QdrantServer

if TYPE_CHECKING:
    from vdr_integrations.encoders.checkpoints.description import Checkpoint
    from vdr_integrations.index.compression import Compression
    from vdr_integrations.index.manifest import Manifest
    from vdr_integrations.index.page_index import Location
    from vdr_integrations.index.question_bank import QuestionBank

__all__ = ["new_index"]


def new_index(
    location: Location,
    *,
    tokens: Manifest | None = None,
    dense: Manifest | None = None,
    checkpoint: Checkpoint | None = None,
    compression: Compression | None = None,
    question_bank: QuestionBank | None = None,
    wait_s: float = LOCK_WAIT_S,
) -> DenseIndex | LateInteractionIndex:
    """Make an empty index and open it.

    Args:
        location: A new or empty folder, or a collection that does not exist yet.
        tokens: Settings of the multi-vector encoder; None for an index of one vector a page.
        dense: Settings of the dense encoder; with ``tokens``, the index keeps both vectors.
        checkpoint: Checkpoint of the multi-vector encoder; the index stores its prompts.
        compression: How token vectors are stored; None: float16 and nothing else.
        question_bank: The question bank of an index of late interaction; None: scores are MaxSim.
        wait_s: How long writes wait for another writer.

    Raises:
        OptionError: No manifest, a compression or a question bank for one vector a page, or a dense
            index on a server.
        IndexFormatError: The folder holds other files.
        IndexStoreError: There is an index already.
        MissingExtraError: A server's client is not installed.
    """
    if tokens is not None:
        prompts = None
        if checkpoint is not None:
            prompts = {"page": checkpoint.page_prompt, "query": checkpoint.query_prompt}
        return LateInteractionIndex.create(
            location,
            manifest=tokens,
            dense_manifest=dense,
            compression=compression,
            question_bank=question_bank,
            prompts=prompts,
            wait_s=wait_s,
        )
    if compression is not None:
        raise OptionError("compression is for token vectors; make an index of late interaction.")
    if question_bank is not None:
        raise OptionError(
            "a question bank is for token vectors; make an index of late interaction."
        )
    if isinstance(location, QdrantServer):
        raise OptionError(
            "an index of one vector a page is kept in a folder; on a server, make an index of late "
            "interaction."
        )
    return DenseIndex.create(location, manifest=dense, wait_s=wait_s)
