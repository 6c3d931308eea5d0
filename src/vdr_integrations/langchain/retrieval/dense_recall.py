"""The dense encoder that brings candidates for late interaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from pydantic import AfterValidator

from vdr_integrations.errors import IndexMismatchError, OptionError
from vdr_integrations.langchain.embedding.vdr_embeddings import VDREmbeddings

if TYPE_CHECKING:
    from vdr_integrations.index import LateInteractionIndex

__all__ = ["RecallArgument", "recall_encoder"]


def _dense(found: object) -> object:
    if isinstance(found, VDREmbeddings):
        return found
    from vdr_integrations.encoders import DenseEncoder

    if not isinstance(found, DenseEncoder):
        raise OptionError(
            f"recall must be VDREmbeddings or a DenseEncoder, found {type(found).__name__}."
        )
    return found


if TYPE_CHECKING:
    from vdr_integrations.encoders import DenseEncoder

    RecallArgument: TypeAlias = VDREmbeddings | DenseEncoder
else:  # checked when one is given: importing the class imports torch
    RecallArgument = Annotated[Any, AfterValidator(_dense)]


def recall_encoder(recall: RecallArgument, index: LateInteractionIndex) -> DenseEncoder:
    """The encoder behind ``recall``, if it made the dense vectors of the index.

    Raises:
        IndexMismatchError: It did not, or there are none.
        CheckpointError: It cannot be loaded.
    """
    encoder = recall
    if isinstance(encoder, VDREmbeddings):
        encoder = encoder._handle.get(encoder._options())  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  # of this package
    if index.dense_manifest is None:
        raise IndexMismatchError(
            f"index {index.path} was made without dense vectors; leave recall out, or make the "
            f"index with dense_manifest."
        )
    index.dense_manifest.check(encoder, index_path=index.path)
    return encoder
