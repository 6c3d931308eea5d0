"""The options of an encoder as fields of a framework's pydantic model.

Imports pydantic, which both frameworks bring.
"""

from __future__ import annotations

from pydantic import BaseModel, Field, SecretStr

from vdr_integrations.encoders import Checkpoint, EncoderOptions

__all__ = ["EncoderFields"]


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
