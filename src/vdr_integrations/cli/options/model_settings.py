"""Which model an index is used with: the caller's options over what the index was made with."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from vdr_integrations.errors import OptionError

if TYPE_CHECKING:
    from vdr_integrations.encoders import DenseEncoder, EncoderOptions, MultiVectorEncoder
    from vdr_integrations.index import Manifest

    Encoder: TypeAlias = DenseEncoder | MultiVectorEncoder

__all__ = ["DEFAULT_LATE_MODEL", "DEFAULT_MODEL", "ModelSettings"]

DEFAULT_MODEL = "llamaindex/vdr-2b-multi-v1"
DEFAULT_LATE_MODEL = "vidore/colqwen2-v1.0"
_DEFAULT_VISUAL_TOKENS = 768


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSettings:
    """Options of ``load_encoder``; None where the caller said nothing."""

    model: str | None = None
    revision: str | None = None
    dimension: int | None = None
    max_visual_tokens: int | None = None
    device: str | None = None
    dtype: str = "auto"

    def load_dense(self, manifest: Manifest | None = None) -> tuple[DenseEncoder, str, str | None]:
        """An encoder of one vector a page, and the model and revision that load it again.

        Args:
            manifest: Of the index, where there is one: gives what the caller left open.

        Raises:
            OptionError: The model gives one vector a token.
            CheckpointError: It cannot be loaded.
        """
        from vdr_integrations.encoders import EncoderHandle

        options = self._options(manifest, default=DEFAULT_MODEL)
        if _is_multi_vector(options.model):
            raise OptionError(
                f"{options.model} gives one vector a token (late interaction), and the index keeps "
                f"one a page; make a new index with --late-interaction, or choose a dense model "
                f"such as {DEFAULT_MODEL}."
            )
        return EncoderHandle().get(options), options.model, options.revision

    def load_late(
        self, manifest: Manifest | None = None
    ) -> tuple[MultiVectorEncoder, str, str | None]:
        """An encoder of one vector a token, likewise.

        Raises:
            OptionError: The model gives one vector a page.
            CheckpointError: It cannot be loaded.
        """
        from vdr_integrations.encoders import MultiVectorHandle

        options = self._options(manifest, default=DEFAULT_LATE_MODEL)
        if not _is_multi_vector(options.model):
            raise OptionError(
                f"{options.model} gives one vector a page, and late interaction needs one a token; "
                f"choose a ColQwen2 model such as {DEFAULT_LATE_MODEL}."
            )
        return MultiVectorHandle().get(options), options.model, options.revision

    def load_recall(
        self, model: str | None, manifest: Manifest | None = None
    ) -> tuple[DenseEncoder, str, str | None]:
        """The encoder of the dense vectors that lie beside token vectors, likewise.

        The caller's dimension is its; model and revision are of the other encoder.

        Args:
            model: None takes that of ``manifest``.
            manifest: Of the index's dense vectors, where there are any.

        Raises:
            OptionError: The model gives one vector a token, or none is named.
            CheckpointError: It cannot be loaded.
        """
        from vdr_integrations.index.manifest import whole_name

        name = manifest.model if model is None and manifest is not None else model
        if not name or _is_multi_vector(whole_name(name)):
            raise OptionError(
                f"--recall takes a model of one vector a page, such as {DEFAULT_MODEL}, found "
                f"{name!r}."
            )
        same = manifest is not None and whole_name(name) == manifest.model
        revision = manifest.revision if same and manifest is not None else None
        return replace(self, model=name, revision=revision).load_dense(manifest)

    def _options(self, manifest: Manifest | None, *, default: str) -> EncoderOptions:
        from vdr_integrations.encoders import EncoderOptions
        from vdr_integrations.index.manifest import whole_name

        model, revision = whole_name(self.model or default), self.revision
        dimension, max_visual_tokens = self.dimension, self.max_visual_tokens
        if manifest is not None:
            if self.model is None:
                model, revision = manifest.model, self.revision or manifest.revision
            dimension = dimension or manifest.dimension
            max_visual_tokens = max_visual_tokens or manifest.max_visual_tokens
        return EncoderOptions(
            model=model,
            revision=revision,
            device=self.device,
            dtype=self.dtype,
            attn_implementation=None,
            dimension=dimension,
            max_visual_tokens=max_visual_tokens or _DEFAULT_VISUAL_TOKENS,
            batch_visual_tokens=None,
            checkpoint=None,
            token=None,
            cache_dir=None,
            local_files_only=False,
        )


def _is_multi_vector(model: str) -> bool:
    """Told from the checkpoint's description, before gigabytes of weights are loaded."""
    from vdr_integrations.encoders.checkpoints.description import checkpoint_for

    return checkpoint_for(model).is_multi_vector
