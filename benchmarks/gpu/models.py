"""The models of a run: each is loaded once, when it is first needed, and freed when it is not."""

from __future__ import annotations

import time
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from transformers import AutoConfig

from benchmarks.gpu.checkpoints import write_dense, write_late
from benchmarks.tokenizer import find_qwen2_tokenizer
from vdr_integrations import load_encoder

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable
    from pathlib import Path
    from typing import TypeVar

    from benchmarks.card_path import CardPath
    from benchmarks.colqwen2_path import ColQwen2Path
    from benchmarks.gpu.memory import DriverMemory
    from benchmarks.gpu.sizes import Sizes
    from vdr_integrations import DenseEncoder, MultiVectorEncoder

    Model = TypeVar("Model")

__all__ = ["Models"]


class Models:
    """Ours and the card's, dense and late, of the same weights.

    Attributes:
        dtype: Number format of the weights.
        seconds: What was done to get them, and how long it took.
    """

    def __init__(
        self, options: argparse.Namespace, sizes: Sizes, *, scratch: Path, memory: DriverMemory
    ) -> None:
        """Load nothing yet; folders are made in ``scratch``."""
        is_cpu = options.device.partition(":")[0] == "cpu"
        self.dtype: torch.dtype = getattr(
            torch, options.dtype or ("float32" if is_cpu else "bfloat16")
        )
        self.seconds: dict[str, float] = {}
        self._options = options
        self._sizes = sizes
        self._scratch = scratch
        self._memory = memory

    @property
    def origin(self) -> str:
        """Where the weights come from, for readers of the figures."""
        return "of a checkpoint" if self._options.checkpoint else "random"

    @cached_property
    def tokenizer(self) -> Path | None:
        """Folder of Qwen2's; None: one of bytes, and longer prompts."""
        if self._options.tokenizer is not None or self._options.tiny:
            return self._options.tokenizer  # a dry run is the same everywhere
        return find_qwen2_tokenizer()

    @cached_property
    def folder(self) -> Path:
        """Folder of the dense checkpoint."""
        if self._options.checkpoint is not None:
            return self._options.checkpoint
        began = time.perf_counter()
        folder = write_dense(
            self._scratch, self._options, dtype=self.dtype, tokenizer=self.tokenizer
        )
        self.seconds["random weights drawn and saved"] = time.perf_counter() - began
        self._memory.give_back()
        return folder

    @cached_property
    def config(self) -> Any:  # noqa: ANN401  # loosely typed
        """``Qwen2VLConfig``."""
        return AutoConfig.from_pretrained(self.folder)

    @cached_property
    def ours(self) -> DenseEncoder:
        """Batches of up to the largest size that is measured."""
        return self._loaded("ours", lambda: self._encoder(self.folder))

    @cached_property
    def card(self) -> CardPath:
        """The card's way."""
        from benchmarks.card_path import CardPath  # takes seconds, where only ours is measured

        folder, tokens = self.folder, self._sizes.visual_tokens
        return self._loaded(
            "card",
            lambda: CardPath(
                folder, max_visual_tokens=tokens, dtype=self.dtype, device=self._options.device
            ),
        )

    @cached_property
    def ours_late(self) -> MultiVectorEncoder:
        """ColQwen2 with the same weights and a random projection."""
        self.projection  # noqa: B018  # writes the folder
        return self._loaded("ours late", lambda: self._encoder(self._scratch / "colqwen2-base"))

    @cached_property
    def card_late(self) -> ColQwen2Path:
        """colpali-engine's way, over the weights of :attr:`card`."""
        from benchmarks.colqwen2_path import ColQwen2Path

        return ColQwen2Path(
            self.folder,
            self.projection,
            max_visual_tokens=self._sizes.visual_tokens,
            model=self.card.model,
        )

    @cached_property
    def projection(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The projection of late interaction."""
        hidden_size = self.config.get_text_config().hidden_size
        return write_late(self._scratch, self.folder, hidden_size=hidden_size, dtype=self.dtype)

    def free(self, name: str) -> None:
        """Free a model, ``ours`` or another, if it was loaded."""
        if self.__dict__.pop(name, None) is not None:
            self._memory.give_back()
            self._memory.hold(name.replace("_", " "), 0)

    def _encoder(self, folder: Path) -> Any:  # noqa: ANN401  # dense or late, as the folder is
        return load_encoder(
            str(folder),
            device=self._options.device,
            dtype=self.dtype,
            max_visual_tokens=self._sizes.visual_tokens,
            batch_visual_tokens=max(self._sizes.batches) * self._sizes.visual_tokens,
        )

    def _loaded(self, name: str, load: Callable[[], Model]) -> Model:
        before, began = self._memory.taken(), time.perf_counter()
        model = load()
        self._memory.give_back()
        self.seconds[f"{name} loaded"] = time.perf_counter() - began
        after = self._memory.taken()
        if before is not None and after is not None:
            self._memory.hold(name, after - before)
        return model
