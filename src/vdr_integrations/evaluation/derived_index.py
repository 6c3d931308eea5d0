"""Fills an index from another one, so that settings are compared without encoding pages again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vdr_integrations.errors import OptionError
from vdr_integrations.index import Compression

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vdr_integrations.index import DocumentRecord, StoredPage
    from vdr_integrations.index.page_index import PageIndex

__all__ = ["derive_index"]

_PAGES_AT_ONCE = 32


def derive_index(index: PageIndex, into: PageIndex) -> None:
    """Make the documents of an index those of another, with its vectors as the other keeps them.

    Token vectors are pooled and rounded by the other index. Dense vectors are cut to its dimension
    and normalised again (Matryoshka), as an encoder of this dimension does. Documents that the
    other index has already are left alone, so an interrupted run goes on.

    Args:
        index: Token vectors must be in float16 or float32 and not pooled.
        into: An index of the same kind, of the same model.

    Raises:
        OptionError: One index keeps a vector a token and the other one a page, or the vectors of
            ``index`` are compressed already, or are shorter than those of ``into``.
        IndexStoreError: An index cannot be read or written.
    """
    _check(index, into)
    wanted = {document.source: document for document in index.documents()}
    there = {document.source: document for document in into.documents()}
    for source, document in there.items():
        if source not in wanted or not _is_same(document, wanted[source]):
            into.remove_document(source)
    for source, document in wanted.items():
        if source not in there or not _is_same(there[source], document):
            _copy(index, into, document)


def _check(index: PageIndex, into: PageIndex) -> None:
    if (index.late is None) != (into.late is None):
        raise OptionError(
            f"index {index.path} and index {into.path} keep different kinds of vectors; derive a "
            f"dense index from a dense one, or late interaction from late interaction."
        )
    if index.compression.vectors == "int8" or index.compression.token_pooling > 1:
        raise OptionError(
            f"index {index.path} is compressed ({index.compression}), and what was lost cannot be "
            f"compared; start from an index in {Compression().vectors} without pooling."
        )
    if index.manifest.dimension < into.manifest.dimension:
        raise OptionError(
            f"index {index.path} has vectors of {index.manifest.dimension} numbers; they cannot "
            f"become vectors of {into.manifest.dimension}."
        )


def _is_same(one: DocumentRecord, other: DocumentRecord) -> bool:
    return (one.file.sha256, one.total_pages) == (other.file.sha256, other.total_pages)


def _copy(index: PageIndex, into: PageIndex, document: DocumentRecord) -> None:
    ids = index.page_ids({"source": document.source})
    staged = into.stage_document(document.source)
    try:
        for start in range(0, len(ids), _PAGES_AT_ONCE):
            for page in index.get(ids[start : start + _PAGES_AT_ONCE], with_vectors=True):
                vectors = _vectors(page, dimension=into.manifest.dimension)
                staged.add(page.record, vectors, metadata=page.metadata)
        staged.commit(document)
    except BaseException:
        staged.discard()
        raise


def _vectors(page: StoredPage, *, dimension: int) -> NDArray[np.float32]:
    """Token vectors, or the dense vector, cut and of length 1 again after rounding."""
    stored = page.dense if page.vectors is None else page.vectors
    assert stored is not None  # noqa: S101  # an index has one of them
    cut = stored[..., :dimension]
    return (cut / np.linalg.norm(cut, axis=-1, keepdims=True)).astype(np.float32)
