"""Models in memory, loaded once per process and shared by all encoders that use them."""

from __future__ import annotations

import threading
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

import torch
from PIL import Image

from vdr_integrations.encoders.checkpoints.contents import read_contents
from vdr_integrations.encoders.checkpoints.digests import digest_of
from vdr_integrations.encoders.checkpoints.fingerprint import meaning_of
from vdr_integrations.encoders.checkpoints.hub_or_folder import CheckpointFiles
from vdr_integrations.encoders.checkpoints.known_checkpoints import BUNDLED
from vdr_integrations.encoders.checkpoints.load_weights import load_weights
from vdr_integrations.encoders.forward.backbone import Backbone
from vdr_integrations.encoders.preprocessing.prepared import (
    Prepared,
    PreparedPage,
    PreparedQuery,
)
from vdr_integrations.encoders.preprocessing.prompt_tokens import TokenizedPrompts
from vdr_integrations.encoders.runtime import forks
from vdr_integrations.encoders.runtime.cpu_bfloat16 import bfloat16_on_this_cpu
from vdr_integrations.encoders.runtime.device_memory import release_cached_memory
from vdr_integrations.encoders.runtime.model_worker import ModelWorker, RanBatch
from vdr_integrations.encoders.runtime.running_model import (
    ModelFacts,
    OpenedModel,
    PassOfModel,
    RunningModel,
)
from vdr_integrations.encoders.runtime.torch_threads import call_with_torch
from vdr_integrations.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence
    from concurrent.futures import Future
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

    def opened(self, contents: CheckpointContents | None = None) -> OpenedModel:
        """The model, loaded or shared; see ``shared_model``.

        Args:
            contents: What was read of the files already.
        """
        contents = contents or read_contents(self.files)
        return OpenedModel(shared_model(self, contents), self.checkpoint, contents.own.commit)

    def for_pickles(self) -> ModelOptions:
        """The same without the hub token."""
        return replace(self, files=replace(self.files, token=None))


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


class SharedModel(RunningModel):
    """Weights and prompts of a checkpoint, and the thread that runs the model."""

    def __init__(self, weights: LoadedWeights, options: ModelOptions) -> None:
        checkpoint = options.checkpoint
        vision, decoder = weights.sizes.vision, weights.sizes.decoder
        self._vision = vision
        self._prompts = TokenizedPrompts(checkpoint, weights.tokenizer)
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
            page_tokens=self._prompts.page,
            query_tokens=self._prompts.query_prefix,
            query_image=self._query_image,
            projection=weights.projection,
        )
        self._weights = weights
        self._device = options.device
        self.leaves_cores = options.device.type == "cuda"
        projection = weights.projection
        # On a CPU one page uses the whole machine. Alone, its vector is the same to the last bit,
        # no matter what else is encoded.
        self.facts = ModelFacts(
            contents_digest=weights.digest,
            dimension=decoder.hidden_size if projection is None else projection.dimension,
            patch_size=vision.patch_size,
            merge_size=vision.spatial_merge_size,
            max_tokens=decoder.max_tokens,
            page_tokens_before=len(self._prompts.page.before),
            page_tokens_after=len(self._prompts.page.after),
            pages_budget=_VISUAL_TOKENS_PER_BATCH.get(options.device.type, 0),
            queries_budget=QUERY_TOKENS_PER_BATCH.get(options.device.type, _QUERY_TOKENS_ELSEWHERE),
            device=str(self.backbone.device),
            dtype=str(self.backbone.dtype).removeprefix("torch."),
        )
        self.worker: ModelWorker[Prepared] = ModelWorker(
            self._run,
            group=self._group,
            cost=self.cost,
            budget=self._budget,
            name=checkpoint.model,
            kind=type,
            device=str(options.device),
            release_memory=lambda: release_cached_memory(options.device),
        )

    @property
    def survives_forks(self) -> bool:
        """Whether a forked child can use it."""
        return self._device.type == "cpu"

    def prepare_image(self, image: Image.Image) -> PreparedPage:
        """See ``RunningModel``."""
        return PreparedPage.from_image(image, self._vision)

    def prepare_query(self, text: str) -> PreparedQuery:
        """See ``RunningModel``."""
        return PreparedQuery(self._prompts.query(text))

    def query_tokens(self, text: str) -> list[str]:
        """See ``RunningModel``."""
        return self._prompts.pieces(self.prepare_query(text).tokens)

    def cost(self, item: Prepared) -> int:
        """See ``RunningModel``."""
        if isinstance(item, PreparedPage):
            return item.patch_count // self._vision.spatial_merge_size**2
        tokens = _query(item).tokens
        patches = 0 if self._query_image is None else self._query_image.patch_count
        image = patches // self._vision.spatial_merge_size**2
        return len(tokens.before) + image + len(tokens.after)

    def submit(
        self, items: Sequence[Prepared], *, budget: int | None = None
    ) -> Future[list[NDArray[np.float32]]]:
        """See ``RunningModel``."""
        return self.worker.submit(items, budget=budget)

    def watch(self, seen: Callable[[PassOfModel], None]) -> None:
        """See ``RunningModel``."""

        def tell(ran: RanBatch) -> None:
            kind = "queries" if _is_of_queries(ran.group) else "pages"
            seen(PassOfModel(kind, ran.items, ran.requests, ran.seconds))

        self.worker.watch(tell)

    def _run(self, items: Sequence[Prepared]) -> Sequence[NDArray[np.float32]]:
        pages = [item for item in items if isinstance(item, PreparedPage)]
        with self._weights.in_use, _chosen(self._device):
            if pages:
                return self.backbone.pages(pages)
            return self.backbone.queries([_query(item) for item in items])

    def _group(self, item: Prepared) -> Hashable:
        if isinstance(item, PreparedPage):
            # Windows of pages of other sides are other patches.
            return PreparedPage, item.grid if self._vision.window_tokens else item.patch_count
        # Only attention uses padding, which is little work for a short query. Longer queries share
        # a batch if their lengths have the same power of two.
        after = _query(item).tokens.after
        return PreparedQuery, max(len(after), _SHORT_QUERY_TOKENS).bit_length()

    def _budget(self, group: Hashable) -> int:
        return self.facts.queries_budget if _is_of_queries(group) else self.facts.pages_budget


def _is_of_queries(group: Hashable) -> bool:
    return isinstance(group, tuple) and group[0] is PreparedQuery


def _query(item: Prepared) -> PreparedQuery:
    assert isinstance(item, PreparedQuery)  # noqa: S101  # items come from prepare_image and prepare_query
    return item


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
