"""What LangChain's late-interaction objects share: an encoder, and an index it fits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Self, TypeAlias

from langchain_core.utils import secret_from_env
from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    SecretStr,
    model_validator,
)

from vdr_integrations.encoders import Checkpoint, EncoderOptions, MultiVectorHandle
from vdr_integrations.errors import OptionError
from vdr_integrations.index import QdrantServer
from vdr_integrations.langchain.retrieval.open_indexes import IndexHandle
from vdr_integrations.pages import PageStore

if TYPE_CHECKING:
    from vdr_integrations.index import Manifest

__all__ = ["DEFAULT_MODEL", "LateInteraction", "configured"]

DEFAULT_MODEL = "vidore/colqwen2-v1.0"
_DEFAULT_VISUAL_TOKENS = 768

configured = ConfigDict(
    arbitrary_types_allowed=True,
    extra="forbid",
    protected_namespaces=(),
    validate_assignment=True,
    validate_default=True,
)
"""Of every class here: pydantic takes the last base's otherwise, which ignores unknown options."""

_OF_THE_ENCODER = (
    "model",
    "revision",
    "device",
    "dtype",
    "attn_implementation",
    "max_visual_tokens",
    "batch_visual_tokens",
    "checkpoint",
    "cache_dir",
    "local_files_only",
)

_token_from_environment = secret_from_env("HF_TOKEN", default=None)


def _multi_vector_encoder(found: object) -> object:
    from vdr_integrations.encoders import MultiVectorEncoder

    if not isinstance(found, MultiVectorEncoder):
        raise OptionError(
            f"encoder must be a MultiVectorEncoder, found {type(found).__name__}; "
            f"name a model with model=..."
        )
    return found


if TYPE_CHECKING:
    from vdr_integrations.encoders import MultiVectorEncoder

    EncoderArgument: TypeAlias = MultiVectorEncoder
else:  # checked when one is given: importing the class imports torch
    EncoderArgument = Annotated[Any, AfterValidator(_multi_vector_encoder)]


class LateInteraction(BaseModel):
    """Options of a ColQwen2 encoder; it is loaded on first use, once per process.

    Pickles and copies hold options, never weights or the hub token.
    """

    model_config = configured

    encoder: EncoderArgument | None = None
    """A loaded encoder, in place of the options below."""

    model: str | None = Field(
        default=None, min_length=1, validation_alias=AliasChoices("model", "model_name")
    )
    """Hub id or local folder of a ColQwen2 checkpoint; None: the one that made the index, or
    ``vidore/colqwen2-v1.0`` where there is no index. ``model_name`` is accepted too."""

    revision: str | None = None
    """Branch, tag or commit on the hub; None: the index's, with its model."""

    device: str | None = None
    """``"cuda"``, ``"cuda:1"``, ``"mps"``, ``"cpu"``; None takes the best there is."""

    dtype: str = "auto"
    """``"auto"``, ``"float32"``, ``"bfloat16"`` or ``"float16"``; ``"int8"`` and ``"float8"`` keep
    weights in 8 bits, see ``load_encoder``."""

    attn_implementation: str | None = None
    """``"flash_attention_2"``, ``"sdpa"``, ``"eager"``; None takes the fastest usable."""

    max_visual_tokens: int | None = Field(default=None, ge=1)
    """Upper limit per page; None: the index's, or 768."""

    batch_visual_tokens: int | None = Field(default=None, ge=1)
    """Visual tokens in one pass of the model; None: what suits the device."""

    checkpoint: Checkpoint | None = None
    """Prompts and pooling of a checkpoint that is not known by its name."""

    page_store_path: str | None = None
    """Folder that references resolve in; None: ``$VDR_PAGE_STORE``, or the user's cache folder."""

    cache_dir: str | None = None
    """Where checkpoints from the hub are kept; None: as transformers does (``HF_HOME``)."""

    local_files_only: bool = False
    """Never ask the hub."""

    token: SecretStr | None = Field(
        default_factory=_token_from_environment, exclude=True, repr=False
    )
    """Hub token, from ``HF_TOKEN``. Left out of dumps, pickles and representations."""

    _encoders: MultiVectorHandle = PrivateAttr(default_factory=MultiVectorHandle)
    _indexes: IndexHandle = PrivateAttr(default_factory=IndexHandle)

    @model_validator(mode="after")
    def _one_encoder(self) -> Self:
        if self.encoder is None:
            return self
        fields = LateInteraction.model_fields
        given = [name for name in _OF_THE_ENCODER if getattr(self, name) != fields[name].default]
        if given:
            raise OptionError(
                f"found an encoder, and {', '.join(given)} to load one with; give one or the other."
            )
        return self

    def close(self) -> None:
        """Let go of the index that was opened by its folder; the next use opens it again.

        The folder stays open while another object of this process uses it.
        """
        self._indexes.release()

    def _encoder_of(self, manifest: Manifest | None) -> MultiVectorEncoder:
        if self.encoder is not None:
            return self.encoder
        return self._encoders.get(self._options(manifest))

    def _page_store(self) -> PageStore:
        return PageStore(self.page_store_path)

    def _options(self, manifest: Manifest | None) -> EncoderOptions:
        model, revision, budget = self.model, self.revision, self.max_visual_tokens
        if manifest is not None:
            if model is None:
                model, revision = manifest.model, revision or manifest.revision
            budget = budget or manifest.max_visual_tokens
        return EncoderOptions(
            model=model or DEFAULT_MODEL,
            revision=revision,
            device=self.device,
            dtype=self.dtype,
            attn_implementation=self.attn_implementation,
            dimension=None,
            max_visual_tokens=budget or _DEFAULT_VISUAL_TOKENS,
            batch_visual_tokens=self.batch_visual_tokens,
            checkpoint=self.checkpoint,
            token=(self.token.get_secret_value() or None) if self.token else None,
            cache_dir=self.cache_dir,
            local_files_only=self.local_files_only,
        )

    def __getstate__(self) -> dict[Any, Any]:
        """Options without the token; where it is unpickled, ``HF_TOKEN`` is looked up again.

        Raises:
            TypeError: The index is on a server that takes a key or a client.
        """
        state = super().__getstate__()
        index = state["__dict__"].get("index")
        if isinstance(index, QdrantServer) and (index.api_key or index.client is not None):
            raise TypeError(
                "a server's key or client is never pickled; make the object where it is used."
            )
        fields = {name: value for name, value in state["__dict__"].items() if name != "token"}
        fields_set = state["__pydantic_fields_set__"] - {"token"}
        return {**state, "__dict__": fields, "__pydantic_fields_set__": fields_set}

    def __setstate__(self, state: dict[Any, Any]) -> None:
        """Options, and the token of this process."""
        fields = {**state["__dict__"], "token": _token_from_environment()}
        super().__setstate__({**state, "__dict__": fields})
