"""The options of an encoder as fields of a framework's pydantic model.

Imports pydantic, which both frameworks depend on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from pydantic import AfterValidator, AliasChoices, BaseModel, Field, PrivateAttr, SecretStr

from vdr_integrations.defaults import DEFAULT_VISUAL_TOKENS
from vdr_integrations.encoders import Checkpoint, EncoderOptions
from vdr_integrations.encoders.encoder_on_demand import EncoderOnDemand
from vdr_integrations.retrieval.encoder_choice import checked_multi_vector, one_choice
from vdr_integrations.retrieval.open_indexes import SharedIndex
from vdr_integrations.retrieval.searcher_on_demand import SearcherOnDemand

if TYPE_CHECKING:
    from vdr_integrations.encoders import DenseEncoder, MultiVectorEncoder
    from vdr_integrations.retrieval.open_indexes import IndexChoice
    from vdr_integrations.retrieval.page_searcher import PageSearcher

__all__ = ["DenseFields", "EncoderFields", "LateFields"]


class EncoderFields(BaseModel):
    """The options that embeddings, retrievers and rerankers of both frameworks share."""

    revision: str | None = None
    """Branch, tag or commit on the hub; None uses that of the index if the model is the same."""

    device: str | None = None
    """``"cuda"``, ``"cuda:1"``, ``"mps"``, ``"cpu"``, or several: ``"cuda:0,cuda:1"``; None selects
    the best one."""

    dtype: str = "auto"
    """``"auto"``, ``"float32"``, ``"bfloat16"`` or ``"float16"``; ``"int8"`` and ``"float8"`` keep
    weights in 8 bits, see ``load_encoder``."""

    attn_implementation: str | None = None
    """``"sdpa"``, ``"flash_attention_2"``, ``"eager"``; None selects sdpa, the fastest."""

    batch_visual_tokens: int | None = Field(default=None, ge=1)
    """Visual tokens in one pass of the model; None selects a number for the device."""

    checkpoint: Checkpoint | None = None
    """Prompts and pooling, for a checkpoint whose name the package does not know."""

    page_store_path: str | None = None
    """Folder or URL of the page store; None uses ``$VDR_PAGE_STORE``, or the user's data folder."""

    cache_dir: str | None = None
    """Folder of checkpoints from the hub; None uses that of transformers (``HF_HOME``)."""

    local_files_only: bool = False
    """Never connect to the hub."""

    token: SecretStr | None = Field(default=None, exclude=True, repr=False)
    """Hub token. Not in dumps, pickles and representations."""

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

    def __getstate__(self) -> dict[Any, Any]:
        """The options without the hub token."""
        state = super().__getstate__()
        fields = {**state["__dict__"], "token": None}
        fields_set = state["__pydantic_fields_set__"] - {"token"}
        return {**state, "__dict__": fields, "__pydantic_fields_set__": fields_set}


class DenseFields(EncoderFields):
    """The fields of an encoder that computes one vector per page."""

    dimension: int | None = Field(
        default=None, ge=1, validation_alias=AliasChoices("dimension", "truncate_dim")
    )
    """Length that vectors are cut to before they are normalised (Matryoshka); None does not cut
    them. ``truncate_dim`` is accepted too."""

    max_visual_tokens: int = Field(default=DEFAULT_VISUAL_TOKENS, ge=1)
    """Upper limit per page; the model card of vdr-2b-multi-v1 recommends 768."""

    _encoders: EncoderOnDemand = PrivateAttr(default_factory=EncoderOnDemand)


if TYPE_CHECKING:
    EncoderArgument: TypeAlias = MultiVectorEncoder
else:  # checked only if one is given, because importing the class imports torch
    EncoderArgument = Annotated[Any, AfterValidator(checked_multi_vector)]


class LateFields(EncoderFields):
    """The fields of an encoder that computes one vector per token, and the searcher that uses it.

    Objects of a process that name the same index share one open index.
    """

    encoder: EncoderArgument | None = Field(default=None, exclude=True)
    """A loaded encoder, instead of options to load one."""

    max_visual_tokens: int | None = Field(default=None, ge=1)
    """Upper limit per page; None uses that of the index, or 768."""

    _kept: SearcherOnDemand = PrivateAttr(default_factory=SearcherOnDemand)

    def _searcher_over(
        self,
        index: IndexChoice | SharedIndex | None,
        model: str | None,
        recall: DenseEncoder | EncoderOptions | None = None,
    ) -> PageSearcher:
        return self._kept.get(
            index,
            one_choice(self.encoder, self._encoder_options(model, self.max_visual_tokens)),
            recall=recall,
            page_store_path=self.page_store_path,
        )

    def __getstate__(self) -> dict[Any, Any]:
        """The options without the hub token.

        Raises:
            TypeError: The index is on a server that needs a key or a client, or was given open.
        """
        index: Any = getattr(self, "index", None)
        if index is not None:
            shared = index if isinstance(index, SharedIndex) else SharedIndex(index)
            shared.__reduce__()  # refuses; LlamaIndex would leave the index out of the pickle
        return super().__getstate__()
