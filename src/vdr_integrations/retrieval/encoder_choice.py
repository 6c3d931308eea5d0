"""Selects the encoder of an index: the caller's options come first, then those of the index."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from vdr_integrations.defaults import (
    DEFAULT_DENSE_MODEL,
    DEFAULT_LATE_MODEL,
    DEFAULT_VISUAL_TOKENS,
)
from vdr_integrations.encoders.encoder_on_demand import EncoderOnDemand, EncoderOptions
from vdr_integrations.errors import OptionError
from vdr_integrations.index.manifest import Manifest, whole_name

if TYPE_CHECKING:
    from pathlib import Path

    from vdr_integrations.encoders import DenseEncoder, MultiVectorEncoder

    Encoder = DenseEncoder | MultiVectorEncoder

__all__ = [
    "DenseChoice",
    "MultiVectorChoice",
    "checked_dense",
    "checked_multi_vector",
    "one_choice",
    "options_over",
]

_Encoder = TypeVar("_Encoder", "DenseEncoder", "MultiVectorEncoder")


def options_over(
    options: EncoderOptions, manifest: Manifest | None, *, default_model: str
) -> EncoderOptions:
    """The options that load the encoder of an index.

    Args:
        options: Options of the caller. Those that are None are taken from the index.
        manifest: Manifest of the index; None for a new one.
        default_model: Model of a new index, if the caller names none.

    Raises:
        OptionError: The name of the model is empty.
    """
    if options.model is not None and not options.model.strip():
        raise OptionError(
            f"the name of the model is empty; give a hub id or a folder, such as {default_model}, "
            f"or leave it out."
        )
    model, revision = whole_name(options.model or default_model), options.revision
    dimension, budget = options.dimension, options.max_visual_tokens
    if manifest is not None:
        if options.model is None or model == manifest.model:
            model, revision = manifest.model, revision or manifest.revision
        dimension = dimension or manifest.dimension
        budget = budget or manifest.max_visual_tokens
    return replace(
        options,
        model=model,
        revision=revision,
        dimension=dimension,
        max_visual_tokens=budget or DEFAULT_VISUAL_TOKENS,
    )


class _Choice(ABC, Generic[_Encoder]):
    """An encoder, or the options to load one. Copies share the encoder; pickles do not hold it.

    Attributes:
        loaded: The encoder that was used last; None before the first use.
    """

    _default_model: str

    def __init__(self, chosen: _Encoder | EncoderOptions | None) -> None:
        """Load nothing yet.

        Raises:
            OptionError: ``chosen`` is neither an encoder of this kind nor options.
        """
        self._options = chosen if isinstance(chosen, EncoderOptions) else EncoderOptions()
        self._encoder: _Encoder | None = None
        if chosen is not None and not isinstance(chosen, EncoderOptions):
            self._encoder = self._checked(chosen)
        self._on_demand = EncoderOnDemand()
        self.loaded: _Encoder | None = self._encoder

    @property
    def model_name(self) -> str | None:
        """The model that the caller chose; None if the index decides."""
        return self._options.model if self._encoder is None else self._encoder.name

    def get(self, manifest: Manifest | None, *, index_path: Path | str = "") -> _Encoder:
        """The encoder, loaded at first use and checked against the index.

        Args:
            manifest: Manifest of the index; None for a new one.
            index_path: Path of the index, for messages.

        Raises:
            IndexMismatchError: Its vectors cannot be compared with those of the index.
            OptionError: The model is of the other kind.
            CheckpointError: It cannot be loaded.
        """
        encoder = self._encoder
        if encoder is None:
            options = options_over(self._options, manifest, default_model=self._default_model)
            if manifest is not None and options.model is not None:
                manifest.check_name(options.model, index_path=index_path)
            encoder = self.loaded = self._loaded(options)
        if manifest is not None:
            manifest.check(encoder, index_path=index_path)
        return encoder

    def manifest(self) -> Manifest:
        """The manifest of a new index; loads the encoder."""
        encoder = self.get(None)
        if self._encoder is not None:
            return Manifest.of(encoder)
        options = options_over(self._options, None, default_model=self._default_model)
        return Manifest.of(encoder, model=options.model, revision=options.revision)

    @abstractmethod
    def _checked(self, encoder: _Encoder) -> _Encoder:
        """The same encoder, if it is of this kind."""

    @abstractmethod
    def _loaded(self, options: EncoderOptions) -> _Encoder:
        """The encoder of these options, loaded at first use."""

    def __deepcopy__(self, _: object) -> Self:
        """The object itself: it does not change after it was made."""
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """The choice, without an encoder that was loaded from options."""
        return type(self), (self._options if self._encoder is None else self._encoder,)


class MultiVectorChoice(_Choice["MultiVectorEncoder"]):
    """An encoder of one vector per token."""

    _default_model = DEFAULT_LATE_MODEL

    def _checked(self, encoder: MultiVectorEncoder) -> MultiVectorEncoder:
        return checked_multi_vector(encoder)

    def _loaded(self, options: EncoderOptions) -> MultiVectorEncoder:
        return self._on_demand.multi_vector(options)


class DenseChoice(_Choice["DenseEncoder"]):
    """An encoder of one vector per page."""

    _default_model = DEFAULT_DENSE_MODEL

    def _checked(self, encoder: DenseEncoder) -> DenseEncoder:
        return checked_dense(encoder)

    def _loaded(self, options: EncoderOptions) -> DenseEncoder:
        return self._on_demand.dense(options)


def checked_multi_vector(found: object) -> MultiVectorEncoder:
    """The same encoder, if it computes one vector per token.

    Raises:
        OptionError: It is something else.
    """
    from vdr_integrations.encoders import MultiVectorEncoder

    if not isinstance(found, MultiVectorEncoder):
        raise OptionError(
            f"encoder must compute one vector per token (a MultiVectorEncoder), found "
            f"{type(found).__name__}; load one with "
            f"MultiVectorEncoder.load({DEFAULT_LATE_MODEL!r})."
        )
    return found


def checked_dense(found: object) -> DenseEncoder:
    """The same encoder, if it computes one vector per page.

    Raises:
        OptionError: It is something else.
    """
    from vdr_integrations.encoders import DenseEncoder

    if not isinstance(found, DenseEncoder):
        raise OptionError(
            f"this encoder must compute one vector per page (a DenseEncoder), found "
            f"{type(found).__name__}; load one with DenseEncoder.load({DEFAULT_DENSE_MODEL!r})."
        )
    return found


def one_choice(encoder: _Encoder | None, options: EncoderOptions) -> _Encoder | EncoderOptions:
    """The encoder, or the options to load one.

    Raises:
        OptionError: An encoder was given together with options to load one.
    """
    if encoder is None:
        return options
    given = [
        name
        for name in EncoderOptions.names()
        if name != "token" and getattr(options, name) != getattr(EncoderOptions(), name)
    ]
    if given:
        raise OptionError(
            f"found an encoder, and the options {', '.join(given)} to load one; give either the "
            f"encoder or the options."
        )
    return encoder
