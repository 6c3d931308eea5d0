"""A model in memory, loaded once per process and shared by everyone who asks for the same."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from PIL import Image

from vdr_integrations.encoders.backbone import Backbone
from vdr_integrations.encoders.checkpoint import BUNDLED
from vdr_integrations.encoders.checkpoint_files import CheckpointFiles
from vdr_integrations.encoders.fingerprint import weights_digest
from vdr_integrations.encoders.loading import load_weights
from vdr_integrations.encoders.prepared import PreparedPage, PreparedQuery
from vdr_integrations.encoders.tokens import TokenizedPrompts
from vdr_integrations.encoders.worker import ModelWorker

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    import numpy as np
    import torch
    from numpy.typing import NDArray

    from vdr_integrations.encoders.checkpoint import Checkpoint
    from vdr_integrations.encoders.packed_weights import Packing

__all__ = ["ModelOptions", "SharedModel", "shared_model"]

_QUERY_TOKENS_PER_BATCH = 16_384
_SHORT_QUERY_TOKENS = 127
_VISUAL_TOKENS_PER_BATCH = {"cuda": 32 * 768, "mps": 4 * 768}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOptions:
    """Everything that decides which weights are in memory, where and how."""

    checkpoint: Checkpoint
    revision: str | None
    device: torch.device
    dtype: torch.dtype
    packing: Packing | None
    attn_implementation: str
    token: str | None = field(repr=False)
    cache_dir: str | None
    local_files_only: bool
    batch_visual_tokens: int | None

    @property
    def files(self) -> CheckpointFiles:
        """Where the files are; ``nano`` and its like are in the package."""
        model = self.checkpoint.model
        return CheckpointFiles(
            model=str(BUNDLED.get(model, model)),
            revision=self.revision,
            token=self.token,
            cache_dir=self.cache_dir,
            local_files_only=self.local_files_only,
        )


class SharedModel:
    """Weights, tokenizer and the thread that owns them."""

    def __init__(self, options: ModelOptions) -> None:
        weights = load_weights(
            options.files,
            device=options.device,
            dtype=options.dtype,
            packing=options.packing,
            attn_implementation=options.attn_implementation,
            token_dimension=(
                options.checkpoint.token_dimension if options.checkpoint.is_multi_vector else None
            ),
        )
        vision = weights.model.config.vision_config
        self.patch_size: int = vision.patch_size
        self.merge_size: int = vision.spatial_merge_size
        self.max_tokens = weights.max_tokens
        self.revision = weights.sources[0].revision
        self.dimension: int = weights.model.config.text_config.hidden_size
        if weights.projection is not None:
            self.dimension = weights.projection.dimension
        self.prompts = TokenizedPrompts(options.checkpoint, weights.tokenizer)
        self._query_image: PreparedPage | None = None
        if not options.checkpoint.is_multi_vector:
            side = options.checkpoint.query_image_side_px
            self._query_image = self.prepare_image(Image.new("RGB", (side, side)))
        self.backbone = Backbone(
            weights.model,
            page_tokens=self.prompts.page,
            query_tokens=self.prompts.query_prefix,
            query_image=self._query_image,
            projection=weights.projection,
        )
        self._options = options
        self._sources = weights.sources
        self.worker: ModelWorker[PreparedPage | PreparedQuery] = ModelWorker(
            self._run,
            group=_group,
            cost=self._cost,
            budget=self._budget,
            name=options.checkpoint.model,
        )

    @cached_property
    def weights_digest(self) -> str:
        """What the weights are: the hub's commit, or a digest of the files."""
        return "+".join(
            weights_digest(source.folder)
            if source.revision is None
            else f"{source.model}@{source.revision}"
            for source in self._sources
        )

    def prepare_image(self, image: Image.Image) -> PreparedPage:
        """Page of an RGB image that is inside the pixel budget already."""
        return PreparedPage.from_image(
            image, patch_size=self.patch_size, merge_size=self.merge_size
        )

    def prepare_query(self, text: str) -> PreparedQuery:
        """Query with its prompt around it."""
        return PreparedQuery(self.prompts.query(text))

    def query_tokens(self, query: PreparedQuery) -> int:
        """Length of a query's sequence, prompt and black square included."""
        patches = 0 if self._query_image is None else self._query_image.patch_count
        image = patches // self.merge_size**2
        return len(query.tokens.before) + image + len(query.tokens.after)

    def _run(self, items: Sequence[PreparedPage | PreparedQuery]) -> Sequence[NDArray[np.float32]]:
        pages = [item for item in items if isinstance(item, PreparedPage)]
        if pages:
            return self.backbone.pages(pages)
        return self.backbone.queries([item for item in items if isinstance(item, PreparedQuery)])

    def _cost(self, item: PreparedPage | PreparedQuery) -> int:
        if isinstance(item, PreparedPage):
            return item.patch_count // self.merge_size**2
        return self.query_tokens(item)

    def _budget(self, group: Hashable) -> int:
        if isinstance(group, tuple) and group[0] is PreparedQuery:
            return _QUERY_TOKENS_PER_BATCH
        if self._options.batch_visual_tokens is not None:
            return self._options.batch_visual_tokens
        # On a CPU one page fills the machine, and alone its vector is the same to the last bit
        # whatever else is being encoded.
        return _VISUAL_TOKENS_PER_BATCH.get(self._options.device.type, 0)


def _group(item: PreparedPage | PreparedQuery) -> Hashable:
    if isinstance(item, PreparedPage):
        return PreparedPage, item.patch_count
    # Padding is for attention alone, which is little of a short query; longer ones go with those of
    # the same power of two.
    return PreparedQuery, max(len(item.tokens.after), _SHORT_QUERY_TOKENS).bit_length()


_loaded: WeakValueDictionary[Hashable, SharedModel] = WeakValueDictionary()
_loading = threading.Lock()


def shared_model(options: ModelOptions) -> SharedModel:
    """The model of these options, loaded if nobody in this process holds it yet.

    It is freed when the last encoder that uses it is. A forked child loads its own: neither
    threads nor CUDA survive a fork.
    """
    key = (os.getpid(), options)
    with _loading:
        model = _loaded.get(key)
        if model is None:
            model = SharedModel(options)
            _loaded[key] = model
        return model
