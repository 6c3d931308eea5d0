"""One query vector of several questions."""

from __future__ import annotations

import numpy as np

from vdr_integrations.errors import InvalidVectorError, OptionError

__all__ = ["direction_of_mean"]


def direction_of_mean(vectors: list[list[float]]) -> list[float]:
    """The mean of several questions' vectors, normalised again.

    Raises:
        OptionError: No vector.
        InvalidVectorError: They cancel each other out.
    """
    if not vectors:
        raise OptionError(
            "found no query to embed. To search by an image, embed it first: "
            "QueryBundle(query, embedding=model.get_image_embedding(path))."
        )
    mean = np.asarray(vectors, dtype=np.float64).mean(axis=0)
    length = float(np.linalg.norm(mean))
    if length == 0.0:
        raise InvalidVectorError(
            f"the {len(vectors)} queries cancel each other out, their mean is zero; "
            f"leave one of them out."
        )
    return (mean / length).tolist()
