"""Encoders that are loaded on first use, and that are never copied or pickled."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Self, TypedDict

from vdr_integrations.defaults import DEFAULT_VISUAL_TOKENS
from vdr_integrations.encoders.runtime.forks import PerProcess
from vdr_integrations.errors import OptionError

if TYPE_CHECKING:
    from vdr_integrations.encoders.checkpoints.description import Checkpoint
    from vdr_integrations.encoders.dense_encoder import DenseEncoder
    from vdr_integrations.encoders.multi_vector_encoder import MultiVectorEncoder
    from vdr_integrations.encoders.runtime.device_list import DeviceChoice

__all__ = ["EncoderArguments", "EncoderOnDemand", "EncoderOptions", "load_arguments"]


class EncoderArguments(TypedDict, total=False):
    """The options of an encoder beside its model, for those who hand them on."""

    revision: str | None
    device: DeviceChoice
    dtype: str
    attn_implementation: str | None
    max_visual_tokens: int | None
    batch_visual_tokens: int | None
    checkpoint: Checkpoint | None
    token: str | None
    cache_dir: str | None
    local_files_only: bool


@dataclass(frozen=True, kw_only=True)
class EncoderOptions:
    """The options of ``load_encoder``; None leaves the choice to the index or the default.

    Copies keep the hub token. Pickles do not: the other process finds its own.

    Attributes:
        model: Hub id, local folder or ``"nano"``.
        revision: Branch, tag or commit on the hub.
        device: ``"cuda"``, ``"cuda:1"``, ``"mps"`` or ``"cpu"``; None selects the best one. Several
            share the work: ``"cuda:0,cuda:1"`` or ``("cuda:0", "cuda:1")``.
        dtype: See ``load_encoder``.
        attn_implementation: See ``load_encoder``.
        dimension: Numbers in a vector (Matryoshka).
        max_visual_tokens: Pixel budget of a page.
        batch_visual_tokens: Visual tokens in one pass of the model.
        checkpoint: Prompts and pooling of a checkpoint that is not known by its name.
        token: Hub token.
        cache_dir: Folder of downloaded checkpoints.
        local_files_only: Never connect to the hub.
    """

    model: str | None = None
    revision: str | None = None
    device: DeviceChoice = None
    dtype: str = "auto"
    attn_implementation: str | None = None
    dimension: int | None = None
    max_visual_tokens: int | None = None
    batch_visual_tokens: int | None = None
    checkpoint: Checkpoint | None = None
    token: str | None = None
    cache_dir: str | None = None
    local_files_only: bool = False

    def __post_init__(self) -> None:
        """Keep several devices as a tuple, so that options can be compared."""
        if isinstance(self.device, list):
            object.__setattr__(self, "device", tuple(self.device))

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """The names of all options."""
        return tuple(field.name for field in fields(cls))

    def __getstate__(self) -> dict[str, Any]:
        """All options but the hub token."""
        return {**self.__dict__, "token": None}

    def __deepcopy__(self, _: object) -> Self:
        """Itself, with the token: nothing in it changes."""
        return self


class EncoderOnDemand:
    """Loads encoders on first use and keeps them by their options.

    Shallow copies share what is loaded. Pickles and deep copies are empty: the weights stay in the
    process that loaded them.
    """

    def __init__(self) -> None:
        """Load nothing yet."""
        self._dense: dict[EncoderOptions, DenseEncoder] = {}
        self._multi_vector: dict[EncoderOptions, MultiVectorEncoder] = {}
        self._loading = PerProcess(threading.Lock)

    def dense(self, options: EncoderOptions) -> DenseEncoder:
        """The dense encoder of ``options``, loaded at most once by any number of threads.

        Raises:
            OptionError: The checkpoint gives one vector a token.
            CheckpointError: It cannot be loaded.
        """
        from vdr_integrations.encoders.dense_encoder import DenseEncoder

        with self._loading.value:
            if options not in self._dense:
                self._dense[options] = DenseEncoder.load(**load_arguments(options))
            return self._dense[options]

    def multi_vector(self, options: EncoderOptions) -> MultiVectorEncoder:
        """The multi-vector encoder of ``options``, loaded at most once by any number of threads.

        Raises:
            OptionError: The checkpoint gives one vector a page.
            CheckpointError: It cannot be loaded.
        """
        from vdr_integrations.encoders.multi_vector_encoder import MultiVectorEncoder

        with self._loading.value:
            if options not in self._multi_vector:
                self._multi_vector[options] = MultiVectorEncoder.load(**load_arguments(options))
            return self._multi_vector[options]

    async def adense(self, options: EncoderOptions) -> DenseEncoder:
        """:meth:`dense`, loading outside the event loop."""
        return self._dense.get(options) or await asyncio.to_thread(self.dense, options)

    def __reduce__(self) -> tuple[Any, ...]:
        """An object that has loaded nothing."""
        return (type(self), ())

    def __eq__(self, other: object) -> bool:
        """All are equal: what they give depends on the options alone."""
        return type(other) is type(self)

    def __hash__(self) -> int:
        """Equal for all."""
        return hash(type(self))


def load_arguments(options: EncoderOptions) -> dict[str, Any]:
    """The arguments of ``load_encoder``, for use inside this package.

    Raises:
        OptionError: No model is named.
    """
    if options.model is None:
        raise OptionError("no model is named; give its hub id, its folder, or 'nano'.")
    budget = options.max_visual_tokens or DEFAULT_VISUAL_TOKENS
    chosen = replace(options, max_visual_tokens=budget)
    return {name: getattr(chosen, name) for name in EncoderOptions.names()}
