"""Encoders behind mteb's interface: vectors of questions and pages, and how they are compared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from mteb.models.abs_encoder import AbsEncoder

from vdr_integrations.errors import OptionError
from vdr_integrations.index.scoring.maxsim import maxsim_score, maxsim_scores
from vdr_integrations.mteb.task_inputs import read_inputs

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Unpack

    from mteb.abstasks.task_metadata import TaskMetadata
    from mteb.models import ModelMeta
    from mteb.types import Array, BatchedInput, EncodeKwargs, PromptType
    from numpy.typing import NDArray
    from torch.utils.data import DataLoader

    from vdr_integrations.encoders import DenseEncoder, MultiVectorEncoder

__all__ = ["MeasuredDense", "MeasuredMultiVector"]


class _Measured(AbsEncoder):
    """Encodes what mteb hands over; see ``mteb_model``."""

    def __init__(self, encoder: DenseEncoder | MultiVectorEncoder, meta: ModelMeta) -> None:
        """Take a loaded encoder and what mteb shall say of it."""
        self.model = encoder
        self.mteb_model_meta = meta

    def encode(
        self,
        inputs: DataLoader[BatchedInput],
        *,
        task_metadata: TaskMetadata,
        hf_split: str,  # noqa: ARG002  # mteb gives them to every model
        hf_subset: str,  # noqa: ARG002
        prompt_type: PromptType | None = None,
        **kwargs: Unpack[EncodeKwargs],
    ) -> Array:
        """Vectors of questions or pages.

        ``batch_size`` is only the number of rows that mteb reads at a time; ``batch_visual_tokens``
        of the encoder says how many pages go through the model together.

        Returns:
            float32 (n, dimension) for one vector a page; for one vector a token a list of float32
            (tokens, dimension), not padded.

        Raises:
            OptionError: Documents without images, questions that are not only texts, or a
                ``precision`` other than float32.
            PageError: An image cannot be encoded.
            EncodingError: The model could not make a vector.
        """
        if (precision := kwargs.get("precision", "float32")) != "float32":
            raise OptionError(
                f"precision={precision!r}: vectors are float32 here; leave it out. For weights of "
                f'8 bits, load the model with dtype="int8".'
            )
        found = read_inputs(
            inputs,
            role=None if prompt_type is None else str(prompt_type.value),
            task=task_metadata.name,
            model=self.model.name,
        )
        show = bool(kwargs.get("show_progress_bar", True))
        if found.kind == "pages":
            vectors = self.model.encode_pages(found.items, show_progress=show)
        else:
            vectors = self.model.encode_queries(found.items, show_progress=show)
        return cast("Array", vectors)


class MeasuredDense(_Measured):
    """One vector a page, compared by mteb's cosine."""

    model: DenseEncoder


class MeasuredMultiVector(_Measured):
    """One vector a token, compared by MaxSim without padding."""

    model: MultiVectorEncoder

    def similarity(self, embeddings1: Any, embeddings2: Any) -> torch.Tensor:  # noqa: ANN401  # mteb's Array has no lists of matrices
        """MaxSim of all questions with all pages.

        Args:
            embeddings1: Questions: matrices (tokens, dimension), in a list or stacked.
            embeddings2: Pages, as well.

        Returns:
            float32 (questions, pages).
        """
        pages = _matrices(embeddings2)
        scores = [maxsim_scores(query, pages) for query in _matrices(embeddings1)]
        return torch.from_numpy(np.stack(scores))

    def similarity_pairwise(self, embeddings1: Any, embeddings2: Any) -> torch.Tensor:  # noqa: ANN401
        """MaxSim of each question with the page at the same place.

        Args:
            embeddings1: Questions: matrices (tokens, dimension), in a list or stacked.
            embeddings2: As many pages.

        Returns:
            float32 (questions,).
        """
        pairs = zip(_matrices(embeddings1), _matrices(embeddings2), strict=True)
        return torch.tensor([maxsim_score(query, page) for query, page in pairs])


def _matrices(given: Sequence[Any] | Array) -> list[NDArray[np.float32]]:
    """Matrices from a list, an array or a tensor; mteb stacks a single one."""
    found = [np.asarray(one, np.float32) for one in given]
    return [np.stack(found)] if found and found[0].ndim == 1 else found
