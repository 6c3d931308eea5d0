"""Models in memory, loaded once per process and shared by all encoders that use them."""

from __future__ import annotations

import threading
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

import torch
from PIL import Image

from vdr_integrations.encoders.checkpoints.digests import digest_of
from vdr_integrations.encoders.checkpoints.fingerprint import meaning_of
from vdr_integrations.encoders.checkpoints.hub_or_folder import CheckpointFiles
from vdr_integrations.encoders.checkpoints.known_checkpoints import BUNDLED
from vdr_integrations.encoders.checkpoints.load_weights import load_weights
from vdr_integrations.encoders.forward.backbone import Backbone
from vdr_integrations.encoders.preprocessing.prepared import PreparedPage, PreparedQuery
from vdr_integrations.encoders.preprocessing.prompt_tokens import TokenizedPrompts
from vdr_integrations.encoders.runtime import forks
from vdr_integrations.encoders.runtime.cpu_bfloat16 import bfloat16_on_this_cpu
from vdr_integrations.encoders.runtime.device_memory import release_cached_memory
from vdr_integrations.encoders.runtime.model_worker import ModelWorker
from vdr_integrations.encoders.runtime.torch_threads import call_with_torch
from vdr_integrations.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence
    from contextlib import AbstractContextManager

    import numpy as np
    from numpy.typing import NDArray

    from vdr_integrations.encoders.checkpoints.contents import CheckpointContents
    from vdr_integrations.encoders.checkpoints.description import Checkpoint
    from vdr_integrations.encoders.checkpoints.load_weights import LoadedWeights
    from vdr_integrations.encoders.forward.eight_bit_weights import Packing

__all__ = ["ModelOptions", "SharedModel", "shared_model"]

QUERY_TOKENS_PER_BATCH = {"cuda": 16_384}
_QUERY_TOKENS_ELSEWHERE = 4_096
_SHORT_QUERY_TOKENS = 127
_VISUAL_TOKENS_PER_BATCH = {"cuda": 32 * 768, "mps": 4 * 768}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOptions:
    """Which checkpoint, where its files come from, and how its weights are kept in memory."""

    checkpoint: Checkpoint
    files: CheckpointFiles
    device: torch.device
    dtype: torch.dtype
    packing: Packing | None
    attn_implementation: str


def files_of(
    model: str,
    *,
    revision: str | None,
    token: str | None,
    cache_dir: str | None,
    local_files_only: bool,
) -> CheckpointFiles:
    """Where the files of a checkpoint are; bundled checkpoints are in the package.

    A folder becomes an absolute path, so that a pickled encoder finds it from any folder.
    """
    place = str(BUNDLED.get(model, model))
    return CheckpointFiles(
        model=str(Path(place).absolute()) if Path(place).is_dir() else place,
        revision=revision,
        token=token,
        cache_dir=cache_dir,
        local_files_only=local_files_only,
    )


class SharedModel:
    """Weights and prompts of a checkpoint, and the thread that runs the model."""

    def __init__(self, weights: LoadedWeights, options: ModelOptions) -> None:
        checkpoint = options.checkpoint
        vision, decoder = weights.sizes.vision, weights.sizes.decoder
        self._vision = vision
        self.patch_size = vision.patch_size
        self.merge_size = vision.spatial_merge_size
        self.max_tokens = decoder.max_tokens
        self.dimension = decoder.hidden_size
        if weights.projection is not None:
            self.dimension = weights.projection.dimension
        self.prompts = TokenizedPrompts(checkpoint, weights.tokenizer)
        self._query_image: PreparedPage | None = None
        if checkpoint.has_query_image:
            side = checkpoint.query_image_side_px
            token = vision.patch_size * vision.spatial_merge_size
            if side < token or side % token:
                raise OptionError(
                    f"query_image_side_px of {checkpoint.model} is {side}; it must be a multiple "
                    f"of {token}, the side of a visual token of {weights.family.title} in pixels."
                )
            self._query_image = self.prepare_image(Image.new("RGB", (side, side)))
        self.backbone = Backbone(
            weights.model,
            family=weights.family,
            sizes=weights.sizes,
            page_tokens=self.prompts.page,
            query_tokens=self.prompts.query_prefix,
            query_image=self._query_image,
            projection=weights.projection,
        )
        self._weights = weights
        self._device = options.device
        self.worker: ModelWorker[PreparedPage | PreparedQuery] = ModelWorker(
            self._run,
            group=self._group,
            cost=self.cost,
            budget=self._budget,
            name=checkpoint.model,
            device=str(options.device),
            release_memory=lambda: release_cached_memory(options.device),
        )

    @property
    def survives_forks(self) -> bool:
        """Whether a forked child can use it."""
        return self._device.type == "cpu"

    @property
    def contents_digest(self) -> str:
        """Digest of everything in the checkpoint's files that decides vectors."""
        return self._weights.digest

    @property
    def pages_budget(self) -> int:
        """Visual tokens in one pass, if the caller does not give a number."""
        # On a CPU one page uses the whole machine. Alone, its vector is the same to the last bit,
        # no matter what else is encoded.
        return _VISUAL_TOKENS_PER_BATCH.get(self._device.type, 0)

    @property
    def queries_budget(self) -> int:
        """Tokens of queries in one pass."""
        return QUERY_TOKENS_PER_BATCH.get(self._device.type, _QUERY_TOKENS_ELSEWHERE)

    def prepare_image(self, image: Image.Image) -> PreparedPage:
        """Page of an RGB image that is inside the pixel budget already."""
        return PreparedPage.from_image(image, self._vision)

    def prepare_query(self, text: str) -> PreparedQuery:
        """Query with its prompt around it."""
        return PreparedQuery(self.prompts.query(text))

    def cost(self, item: PreparedPage | PreparedQuery) -> int:
        """Visual tokens of a page; tokens of a query, its prompt and black square included."""
        if isinstance(item, PreparedPage):
            return item.patch_count // self.merge_size**2
        patches = 0 if self._query_image is None else self._query_image.patch_count
        image = patches // self.merge_size**2
        return len(item.tokens.before) + image + len(item.tokens.after)

    def _run(self, items: Sequence[PreparedPage | PreparedQuery]) -> Sequence[NDArray[np.float32]]:
        pages = [item for item in items if isinstance(item, PreparedPage)]
        with self._weights.in_use, _chosen(self._device):
            if pages:
                return self.backbone.pages(pages)
            queries = [item for item in items if isinstance(item, PreparedQuery)]
            return self.backbone.queries(queries)

    def _group(self, item: PreparedPage | PreparedQuery) -> Hashable:
        if isinstance(item, PreparedPage):
            # Windows of pages of other sides are other patches.
            return PreparedPage, item.grid if self._vision.window_tokens else item.patch_count
        # Only attention uses padding, which is little work for a short query. Longer queries share
        # a batch if their lengths have the same power of two.
        return PreparedQuery, max(len(item.tokens.after), _SHORT_QUERY_TOKENS).bit_length()

    def _budget(self, group: Hashable) -> int:
        is_query = isinstance(group, tuple) and group[0] is PreparedQuery
        return self.queries_budget if is_query else self.pages_budget


def _chosen(device: torch.device) -> AbstractContextManager[object]:
    """Make a GPU the current one of this thread."""
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()


class _Known:
    """Weights and models in memory, as long as an encoder uses them."""

    def __init__(self) -> None:
        self.loading = threading.Lock()
        self.weights: WeakValueDictionary[Hashable, LoadedWeights] = WeakValueDictionary()
        self.models: WeakValueDictionary[Hashable, SharedModel] = WeakValueDictionary()
        forks.renew_after_fork(self)

    def after_fork(self) -> None:
        """Keep what works in a child; it loads the rest again."""
        self.loading = threading.Lock()
        gone = [key for key, model in self.models.items() if not model.survives_forks]
        for key in gone:
            del self.models[key]
        self.weights = WeakValueDictionary(
            {key: one for key, one in self.weights.items() if one.model.device.type == "cpu"}
        )


_known = _Known()


def shared_model(options: ModelOptions, contents: CheckpointContents) -> SharedModel:
    """The model of these options, loaded if it is not in memory yet.

    Weights are shared if the contents of the files that decide vectors, the device, the format, the
    packing and the attention are equal; the origin of the files makes no difference. They are freed
    with the last encoder that uses them. A forked child uses those of its parent if they are on a
    CPU.

    Raises:
        CheckpointError: The files cannot be loaded.
        ForkedProcessError: This process was forked in the middle of a computation.
    """
    checkpoint = options.checkpoint
    token_dimension = checkpoint.token_dimension if checkpoint.is_multi_vector else None
    of_weights = (
        contents.digest,
        options.device,
        options.dtype,
        options.packing,
        options.attn_implementation,
        token_dimension,
        checkpoint.keeps_leading,
    )
    of_model = (of_weights, digest_of(meaning_of(checkpoint)), bfloat16_on_this_cpu())
    forks.check_usable(checkpoint.model)

    def load_or_share() -> SharedModel:
        # All of it runs in the other thread: an interrupted caller cannot leave a load unlocked.
        with forks.uninterrupted(), _known.loading:
            model = _known.models.get(of_model)
            if model is None:
                weights = _known.weights.get(of_weights)
                if weights is None:
                    weights = _known.weights[of_weights] = load_weights(
                        contents,
                        device=options.device,
                        dtype=options.dtype,
                        packing=options.packing,
                        attn_implementation=options.attn_implementation,
                        token_dimension=token_dimension,
                        keeps_leading=checkpoint.keeps_leading,
                    )
                model = _known.models[of_model] = SharedModel(weights, options)
            return model

    return _known.models.get(of_model) or call_with_torch(load_or_share)
