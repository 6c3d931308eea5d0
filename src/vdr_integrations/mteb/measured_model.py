"""Load an encoder as a model that ``mteb.evaluate`` takes."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Unpack, cast

from vdr_integrations.encoders import DenseEncoder, load_encoder
from vdr_integrations.errors import MissingExtraError

if TYPE_CHECKING:
    from mteb.models import EncoderProtocol

    from vdr_integrations.encoders.load_options import LoadOptions

__all__ = ["mteb_model", "need_mteb"]


def mteb_model(model: str, **options: Unpack[LoadOptions]) -> EncoderProtocol:
    """Load a checkpoint as a model of mteb.

    Questions get the checkpoint's prompt for questions, pages its prompt for pages. Prompts and
    instructions of a task are not used. A document must have an image; its text is not read.

    A model of one vector a page is compared by cosine. A model of one vector a token is compared by
    this package's MaxSim, page by page and without padding, because mteb's own pads pages with
    zeros, which win over negative similarities. Token vectors of a task's pages are all in memory:
    0.4 MB for a page of 768 tokens.

    mteb keeps results by name, revision and experiment. The name is the hub id,
    ``vdr-integrations/nano`` for a bundled checkpoint, ``local/<folder>`` for a folder. The
    revision is the commit, or the first 40 digits of the digest of the files. The experiment is
    dimension, pixel budget, and a ``dtype`` that is not "auto".

    Args:
        model: ``"llamaindex/vdr-2b-multi-v1"``, ``"vidore/colqwen2-v1.0"``, another known hub id,
            ``"nano"``, or a local folder.
        **options: Those of :func:`vdr_integrations.load_encoder`: ``revision``, ``device``,
            ``dtype``, ``attn_implementation``, ``dimension`` (or ``truncate_dim``),
            ``max_visual_tokens``, ``batch_visual_tokens``, ``checkpoint``, ``token``,
            ``cache_dir``, ``local_files_only``.

    Returns:
        A model for ``mteb.evaluate(model, tasks)``. Its ``encode`` raises OptionError if documents
        of a task are only texts, or its questions are not only texts.

    Raises:
        MissingExtraError: mteb is not installed.
        OptionError: An option is not allowed.
        UnknownCheckpointError: The checkpoint is neither known nor described.
        CheckpointError: Files are missing or of another architecture.
        CheckpointWeightsError: Weights are missing, unexpected or of another shape.
        ForkedProcessError: A GPU was in use before this process was forked.
    """
    need_mteb()
    from vdr_integrations.mteb.measured_encoders import MeasuredDense, MeasuredMultiVector
    from vdr_integrations.mteb.model_meta import meta_of

    encoder = load_encoder(model, **options)
    meta = meta_of(model, encoder, dtype=options.get("dtype", "auto"))
    kind = MeasuredDense if isinstance(encoder, DenseEncoder) else MeasuredMultiVector
    # The protocol also names arguments of the class, which only mteb's own loader needs.
    return cast("EncoderProtocol", kind(encoder, meta))


def need_mteb() -> None:
    """Import mteb.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        importlib.import_module("mteb")
    except ModuleNotFoundError as error:
        if error.name != "mteb":  # a dependency of it is missing
            raise
        raise MissingExtraError(
            package="mteb", extra="mteb", purpose="measuring with mteb"
        ) from error
