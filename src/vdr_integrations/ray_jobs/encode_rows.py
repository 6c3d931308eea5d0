"""For your own pipelines of Ray Data: rows with pages in, the same rows with vectors out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from vdr_integrations.encoders import load_encoder
from vdr_integrations.errors import OptionError
from vdr_integrations.pages import open_image

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vdr_integrations.encoders.load_options import LoadOptions
    from vdr_integrations.types import Page

__all__ = ["EncodeRows"]


class EncodeRows:
    """A class for ``Dataset.map_batches`` that encodes a column of page images.

    The images are uint8 (height, width, 3), as ``ray.data.read_images(mode="RGB")`` reads them, or
    the bytes of PNG, JPEG, TIFF, WebP, BMP or GIF files. Those are decoded on the machine that
    encodes, in a process with limits.

    Example:
        >>> vectors = images.map_batches(
        ...     EncodeRows,
        ...     fn_constructor_kwargs={"model": "nano", "device": "cpu"},
        ...     compute=ray.data.ActorPoolStrategy(size=2),
        ...     batch_size=32,
        ... )

    Attributes:
        encoder: The encoder.
    """

    def __init__(
        self,
        model: str,
        *,
        column: str = "image",
        vectors: str = "vector",
        **options: Unpack[LoadOptions],
    ) -> None:
        """Load the model, once an actor.

        Args:
            model: See ``load_encoder``.
            column: Column of the images.
            vectors: Column of the vectors: float32 (dimension,), or (tokens, dimension) of a model
                of late interaction.
            **options: See ``load_encoder``, also for what is raised.
        """
        self.encoder = load_encoder(model, **options)
        self._column, self._vectors = column, vectors

    def __call__(self, rows: dict[str, NDArray[Any]]) -> dict[str, Any]:
        """Encode a batch.

        Args:
            rows: A batch in Ray Data's format ``"numpy"``, which is its default.

        Returns:
            The same columns, and that of the vectors.

        Raises:
            OptionError: There is no such column, or it has something else than images.
            PageError: Bytes that are no image; the message has the number of the row.
        """
        if self._column not in rows:
            raise OptionError(
                f"there is no column {self._column!r} in {', '.join(rows)}; name that of the "
                f"images as column."
            )
        pages = [_page(found, row) for row, found in enumerate(rows[self._column])]
        found = self.encoder.encode_pages(pages)
        if isinstance(found, np.ndarray):
            return {**rows, self._vectors: found}
        ragged = np.empty(len(found), object)  # pages differ in the number of tokens
        for row, matrix in enumerate(found):
            ragged[row] = matrix
        return {**rows, self._vectors: ragged}


def _page(found: Any, row: int) -> Page:  # noqa: ANN401  # whatever the column has
    if isinstance(found, bytes) or (isinstance(found, np.ndarray) and found.dtype == np.uint8):
        return open_image(found, name=f"row {row}")
    raise OptionError(
        f"row {row} has {type(found).__name__} in the place of an image; give bytes of image "
        f"files, or uint8 (height, width, 3)."
    )
