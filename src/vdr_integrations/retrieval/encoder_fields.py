"""The options of an encoder as fields of a framework's pydantic model.

Imports pydantic, which both frameworks bring.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from pydantic import AfterValidator, AliasChoices, BaseModel, Field, PrivateAttr, SecretStr

from vdr_integrations.defaults import DEFAULT_VISUAL_TOKENS
from vdr_integrations.encoders import Checkpoint, EncoderOptions
from vdr_integrations.encoders.encoder_on_demand import EncoderOnDemand
from vdr_integrations.retrieval.encoder_choice import checked_multi_vector, one_choice
from vdr_integrations.retrieval.kept_searcher import KeptSearcher

if TYPE_CHECKING:
    from vdr_integrations.encoders import DenseEncoder, MultiVectorEncoder
    from vdr_integrations.index.page_index import PageIndex
    from vdr_integrations.retrieval.open_indexes import IndexLocation, SharedIndex
    from vdr_integrations.retrieval.page_searcher import PageSearcher

__all__ = ["DenseFields", "EncoderFields", "LateFields"]


class EncoderFields(BaseModel):
    """What the embeddings, retrievers and rerankers of both frameworks have in common."""

    revision: str | None = None
    """Branch, tag or commit on the hub; None with the model of an index: that of the index."""

    device: str | None = None
    """``"cuda"``, ``"cuda:1"``, ``"mps"``, ``"cpu"``; None selects the best one."""

    dtype: str = "auto"
    """``"auto"``, ``"float32"``, ``"bfloat16"`` or ``"float16"``; ``"int8"`` and ``"float8"`` keep
    weights in 8 bits, see ``load_encoder``."""

    attn_implementation: str | None = None
    """``"sdpa"``, ``"flash_attention_2"``, ``"eager"``; None selects sdpa, the fastest."""

    batch_visual_tokens: int | None = Field(default=None, ge=1)
    """Visual tokens in one pass of the model; None selects what suits the device."""

    checkpoint: Checkpoint | None = None
    """Prompts and pooling of a checkpoint that is not known by its name."""

    page_store_path: str | None = None
    """Folder that references resolve in; None uses ``$VDR_PAGE_STORE``, or the user's cache
    folder."""

    cache_dir: str | None = None
    """Folder of checkpoints from the hub; None: as transformers does (``HF_HOME``)."""

    local_files_only: bool = False
    """Never ask the hub."""

    token: SecretStr | None = Field(default=None, exclude=True, repr=False)
    """Hub token. Left out of dumps, pickles and representations."""

    def _encoder_options(
        self, model: str | None, max_visual_tokens: int | None, dimension: int | None = None
    ) -> EncoderOptions:
        return EncoderOptions(
            model=model,
            dimension=dimension,
            max_visual_tokens=max_visual_tokens,
            revision=self.revision,
            device=self.device,
            dtype=self.dtype,
            attn_implementation=self.attn_implementation,
            batch_visual_tokens=self.batch_visual_tokens,
            checkpoint=self.checkpoint,
            token=(self.token.get_secret_value() or None) if self.token else None,
            cache_dir=self.cache_dir,
            local_files_only=self.local_files_only,
        )


class DenseFields(EncoderFields):
    """An encoder of one vector a page."""

    dimension: int | None = Field(
        default=None, ge=1, validation_alias=AliasChoices("dimension", "truncate_dim")
    )
    """Length that vectors are cut to before they are normalised (Matryoshka); None: not cut.
    ``truncate_dim`` is accepted too."""

    max_visual_tokens: int = Field(default=DEFAULT_VISUAL_TOKENS, ge=1)
    """Upper limit per page; 768 is what the vdr-2b-multi-v1 card recommends."""

    _encoders: EncoderOnDemand = PrivateAttr(default_factory=EncoderOnDemand)


if TYPE_CHECKING:
    EncoderArgument: TypeAlias = MultiVectorEncoder
else:  # checked when one is given: importing the class imports torch
    EncoderArgument = Annotated[Any, AfterValidator(checked_multi_vector)]


class LateFields(EncoderFields):
    """An encoder of one vector a token, and the searcher that uses it.

    Objects of a process that name the same index share one open index.
    """

    encoder: EncoderArgument | None = Field(default=None, exclude=True)
    """A loaded encoder, instead of the options."""

    max_visual_tokens: int | None = Field(default=None, ge=1)
    """Upper limit per page; None uses that of the index, or 768."""

    _kept: KeptSearcher = PrivateAttr(default_factory=KeptSearcher)

    def _searcher_over(
        self,
        index: PageIndex | IndexLocation | SharedIndex | None,
        model: str | None,
        recall: DenseEncoder | EncoderOptions | None = None,
    ) -> PageSearcher:
        return self._kept.get(
            index,
            one_choice(self.encoder, self._encoder_options(model, self.max_visual_tokens)),
            recall=recall,
            page_store_path=self.page_store_path,
        )
