"""Encoders over the models of a pool, as an index needs them: made anew in each actor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vdr_integrations.defaults import DEFAULT_VISUAL_TOKENS
from vdr_integrations.ray_jobs.actor_model import ActorOrigin

if TYPE_CHECKING:
    from vdr_integrations.encoders import DenseEncoder, MultiVectorEncoder
    from vdr_integrations.encoders.encoder_on_demand import EncoderOptions
    from vdr_integrations.index.sync.page_encoding import SyncEncoder
    from vdr_integrations.ray_jobs.encoder_pool import EncodingPool

__all__ = ["PoolEncoders"]


@dataclass(frozen=True, slots=True)
class PoolEncoders:
    """One encoder, or that of token vectors and that of dense vectors beside them.

    Attributes:
        pool: The actors.
        options: Options of each encoder, in the order of the models.
    """

    pool: EncodingPool
    options: tuple[EncoderOptions, ...]

    def encoder(self) -> SyncEncoder:
        """The encoder, with connections of its own to all actors."""
        from vdr_integrations.encoders import PairedEncoder

        first = self.single(0)
        if len(self.options) == 1:
            return first
        return PairedEncoder(dense=self.single(1), multi_vector=first)  # pyright: ignore[reportArgumentType]  # checked before

    def single(self, number: int) -> DenseEncoder | MultiVectorEncoder:
        """One of the encoders."""
        from vdr_integrations.encoders import DenseEncoder, MultiVectorEncoder

        options = self.options[number]
        is_late = self.pool.models[number].checkpoint.is_multi_vector
        return (MultiVectorEncoder if is_late else DenseEncoder)(
            ActorOrigin(self.pool, number),
            dimension=options.dimension,
            max_visual_tokens=options.max_visual_tokens or DEFAULT_VISUAL_TOKENS,
            batch_visual_tokens=options.batch_visual_tokens,
        )
