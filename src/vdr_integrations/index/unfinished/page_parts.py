"""Convert a page that is ready for an engine to three parts of bytes, and back. Pure.

Vectors are stored in the format of the index. All formats give back the same numbers for numbers
that they rounded before, so a page comes back as the engine would store it.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from vdr_integrations.index.document_copy import prepared_page
from vdr_integrations.index.folder.records_json import content_json, page_of
from vdr_integrations.index.folder.vector_bytes import dense_bytes, token_bytes, token_matrix

if TYPE_CHECKING:
    from vdr_integrations.index.index_settings import Settings
    from vdr_integrations.index.staged_document import PreparedPage

__all__ = ["page_of_parts", "parts_of_page"]


def parts_of_page(page: PreparedPage, settings: Settings) -> tuple[bytes, bytes, bytes]:
    """Record, token vectors and dense vector of a page; what it lacks is empty."""
    record = page.record
    found = {
        "bias": page.bias,
        "content": content_json(record, grid=record.grid, metadata=page.metadata),
        "tokens": 0 if page.tokens is None else len(page.tokens),
    }
    tokens = dense = b""
    if page.tokens is not None:
        tokens = token_bytes(page.tokens, vectors=settings.compression.vectors).tobytes()
    if page.dense is not None:
        dense = dense_bytes(page.dense).tobytes()
    return json.dumps(found).encode(), tokens, dense


def page_of_parts(
    page_number: int, parts: tuple[bytes, bytes, bytes], settings: Settings
) -> PreparedPage:
    """The page of these parts.

    Args:
        page_number: 1-based.
        parts: What :func:`parts_of_page` returned.
        settings: Settings of the same index.

    Raises:
        ValueError: Another program made them.
        KeyError: Likewise.
        TypeError: Likewise.
    """
    record, tokens, dense = parts
    found = json.loads(record)
    page = page_of(
        found["content"], source="", page_number=page_number, total_pages=0, bias=found["bias"]
    )
    matrix = vector = None
    if settings.tokens is not None:
        matrix = token_matrix(
            np.frombuffer(tokens, np.uint8),
            tokens=found["tokens"],
            dimension=settings.tokens.dimension,
            vectors=settings.compression.vectors,
        )
    if settings.dense is not None:
        vector = np.frombuffer(dense, "<f4", count=settings.dense.dimension).astype(np.float32)
    return prepared_page(replace(page, vectors=matrix, dense=vector))
