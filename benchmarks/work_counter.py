"""What a forward pass does, on any machine: products, kernels, bytes in use at the same time.

It is counted on fake tensors, which have shapes and no contents: the full model needs seconds and
no memory. Code that waits for the device (``.item()``, a branch on a tensor) cannot run on them at
all.
"""

from __future__ import annotations

import math
from collections import Counter
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any
from unittest import mock

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry, sdpa_flop_count

from benchmarks.full_size_families import full_size_config
from vdr_integrations.encoders.checkpoints.model_config import parse_model_config
from vdr_integrations.encoders.forward import decoder
from vdr_integrations.encoders.forward.backbone import Backbone
from vdr_integrations.encoders.forward.patch_embedding import BytePatchEmbedding
from vdr_integrations.encoders.preprocessing.prepared import PreparedPage, PreparedQuery
from vdr_integrations.encoders.preprocessing.prompt_tokens import PromptTokens

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

__all__ = ["WorkCounter", "full_size_backbone", "page_of", "query_of"]

_CPU_ATTENTION = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu  # noqa: SLF001
_IS_CAUSAL = 4  # which of its arguments says so
_IN_PLACE = {torch.ops.aten.addmm_: torch.ops.aten.addmm}
_HALF = (0.5, 0.5, 0.5)
# Lengths of vdr-2b-multi-v1's prompts in Qwen2's tokens; which tokens makes no difference to work.
_PAGE_PROMPT = PromptTokens(before=(1,) * 15, after=(1,) * 11)
_QUERY_BEGINNING = PromptTokens(before=(1,) * 15, after=(1,) * 3)


class WorkCounter(TorchDispatchMode):
    """Counts while it is entered.

    Attributes:
        flops: Two for each multiplication and addition of matrix products and attention.
        kernels: Calls that compute something; views are none.
        live_bytes: Bytes of the tensors made since it was entered.
        peak_bytes: The most of them.
        waits: Calls that bring a value from the device to Python.
        copies: Calls that send numbers from one device to another.
    """

    def __init__(self) -> None:
        super().__init__()
        self.flops = 0
        self.kernels = 0
        self.live_bytes = 0
        self.peak_bytes = 0
        self.waits = 0
        self.copies = 0
        self.calls: Counter[str] = Counter()
        self._known: dict[int, tuple[StorageWeakRef, int]] = {}
        self._given: dict[int, StorageWeakRef] = {}  # held, or another storage has its number

    def __torch_dispatch__(
        self,
        func: Any,  # noqa: ANN401  # torch's own are not typed
        types: Any,  # noqa: ANN401
        args: tuple[Any, ...] = (),
        kwargs: Any = None,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        """Count a call and make it."""
        self._forget()
        devices: set[torch.device] = set()
        for given in tree_leaves((args, kwargs)):
            if isinstance(given, torch.Tensor):
                devices.add(given.device)
                ref = StorageWeakRef(given.untyped_storage())
                if ref.cdata not in self._known:
                    self._given.setdefault(ref.cdata, ref)
        out = func(*args, **(kwargs or {}))
        packet = func._overloadpacket  # noqa: SLF001
        name = str(packet)
        if packet is _CPU_ATTENTION:
            # Nobody multiplies what lies after a token, where the kernel is told so.
            is_causal = len(args) > _IS_CAUSAL and args[_IS_CAUSAL]
            self.flops += sdpa_flop_count(*(part.shape for part in args[:3])) // (1 + is_causal)
        elif (known := _IN_PLACE.get(packet, packet)) in flop_registry:
            self.flops += flop_registry[known](*args, **(kwargs or {}), out_val=out)
        self.waits += name.endswith(("_local_scalar_dense", "is_nonzero", "equal"))
        made = [found for found in tree_leaves(out) if isinstance(found, torch.Tensor)]
        devices.update(found.device for found in made)
        self.copies += len(devices) > 1
        if (
            not func.is_view
            and not name.startswith("prim")
            and not name.endswith(("empty", "detach", "lift_fresh"))
        ):
            self.kernels += 1
            self.calls[name] += 1
        for tensor in made:
            storage = tensor.untyped_storage()
            ref = StorageWeakRef(storage)
            if ref.cdata not in self._known and ref.cdata not in self._given:
                self._known[ref.cdata] = (ref, storage.nbytes())
                self.live_bytes += storage.nbytes()
        self.peak_bytes = max(self.peak_bytes, self.live_bytes)
        return out

    def _forget(self) -> None:
        for key, (ref, size) in list(self._known.items()):
            if ref.expired():
                del self._known[key]
                self.live_bytes -= size


@contextmanager
def full_size_backbone(
    model: str = "Qwen2-VL-2B", *, is_elsewhere: bool = False, layers: tuple[int, int] | None = None
) -> Generator[tuple[Backbone, int]]:
    """A backbone in bf16 on fake tensors, with vdr-2b-multi-v1's prompts, and its bytes.

    Args:
        model: A name of ``full_size_families``.
        is_elsewhere: Its weights are on a device that is not the host, so that what is sent there
            can be counted: torch's "meta" device, whose tensors have no contents either.
        layers: Layers of the decoder and of the vision tower, if not all.
    """
    facts = full_size_config(model)
    if layers is not None:
        facts["text_config"]["num_hidden_layers"], facts["vision_config"]["depth"] = layers
    config = parse_model_config(facts, name=model, may_project=False)
    with (
        nullcontext() if is_elsewhere else FakeTensorMode(allow_non_fake_inputs=True),
        mock.patch.object(decoder, "is_anything", return_value=True),
        # Not what this CPU would do instead: the work is that of a GPU.
        mock.patch.object(torch.cpu, "get_capabilities", dict, create=True),
    ):
        torch.set_default_dtype(torch.bfloat16)
        try:
            with torch.device("meta") if is_elsewhere else nullcontext():
                tree: Any = config.family.tree(config.sizes).eval().requires_grad_(False)
        finally:
            torch.set_default_dtype(torch.float32)
        convolution = tree.visual.patch_embed.proj
        embedding_bytes = BytePatchEmbedding(
            convolution.weight, convolution.bias, mean=_HALF, std=_HALF
        )
        tree.visual.patch_embed = embedding_bytes.to(tree.device)
        weights = sum(p.numel() * p.element_size() for p in tree.parameters())
        weights += sum(b.numel() * b.element_size() for b in embedding_bytes.buffers())
        yield (
            Backbone(
                tree,
                family=config.family,
                sizes=config.sizes,
                page_tokens=_PAGE_PROMPT,
                query_tokens=_QUERY_BEGINNING,
                query_image=page_of(2, 2, patch_size=config.sizes.vision.patch_size),
            ),
            weights,
        )


def page_of(rows: int, columns: int, *, patch_size: int = 14) -> PreparedPage:
    """A page of so many visual tokens."""
    import numpy as np

    grid = (2 * rows, 2 * columns)
    return PreparedPage(np.zeros((math.prod(grid), 3 * patch_size**2), np.uint8), grid)


def query_of(tokens: int) -> PreparedQuery:
    """A query of so many tokens of its own."""
    after = (*_QUERY_BEGINNING.after, *(1,) * tokens, 1, 1, 1)
    return PreparedQuery(PromptTokens(before=_QUERY_BEGINNING.before, after=after))


def counted(work: Callable[[], object]) -> WorkCounter:
    """The work of a call."""
    with torch.no_grad(), WorkCounter() as counter:
        work()
    return counter
