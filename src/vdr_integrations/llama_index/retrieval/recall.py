"""The dense encoder that brings candidates before late interaction compares them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vdr_integrations.errors import OptionError
from vdr_integrations.index import Manifest
from vdr_integrations.llama_index.embedding.vdr_embedding import VDREmbedding

if TYPE_CHECKING:
    from vdr_integrations.encoders import DenseEncoder
    from vdr_integrations.index import LateInteractionIndex

__all__ = ["DenseRecall"]


@dataclass(frozen=True, slots=True)
class DenseRecall:
    """A dense encoder, or the embedding that holds one.

    Attributes:
        model: Its options decide; caches and rate limits of an embedding are not used.
    """

    model: VDREmbedding | DenseEncoder

    def __post_init__(self) -> None:
        """Refuse what gives no dense vectors."""
        if isinstance(self.model, VDREmbedding):
            return
        from vdr_integrations.encoders import DenseEncoder

        if not isinstance(self.model, DenseEncoder):  # pyright: ignore[reportUnnecessaryIsInstance]  # untyped callers
            raise OptionError(
                f"recall must be a VDREmbedding or DenseEncoder, found {type(self.model).__name__}."
            )

    def encoder(self, index: LateInteractionIndex | None) -> DenseEncoder:
        """The encoder, loaded on first use.

        Raises:
            OptionError: The index holds no dense vectors.
            IndexMismatchError: It holds those of another encoder.
        """
        if not isinstance(self.model, VDREmbedding):
            return _checked(self.model, index)
        model = self.model
        return _checked(model._handle.get(model._options()), index)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  # its own package

    def manifest(self) -> Manifest:
        """Of a new index: what loads the encoder again.

        Raises:
            CheckpointError: It cannot be loaded.
        """
        encoder = self.encoder(None)
        if not isinstance(self.model, VDREmbedding):
            return Manifest.of(encoder)
        return Manifest.of(encoder, model=self.model.model_name, revision=self.model.revision)

    async def aencoder(self, index: LateInteractionIndex | None) -> DenseEncoder:
        """:meth:`encoder`, loading outside the event loop."""
        if not isinstance(self.model, VDREmbedding):
            return _checked(self.model, index)
        model = self.model
        return _checked(await model._handle.aget(model._options()), index)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  # its own package


def _checked(encoder: DenseEncoder, index: LateInteractionIndex | None) -> DenseEncoder:
    if index is None:
        return encoder
    if index.dense_manifest is None:
        raise OptionError(
            f"index {index.path} was made without dense vectors to recall pages by; leave recall "
            f"out, or index again with it."
        )
    index.dense_manifest.check(encoder, index_path=index.path)
    return encoder
