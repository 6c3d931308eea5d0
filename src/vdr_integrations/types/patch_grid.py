"""Where the visual tokens of a page lie in its multi-vector."""

from __future__ import annotations

from dataclasses import dataclass

from vdr_integrations.errors import OptionError

__all__ = ["PatchGrid"]


@dataclass(frozen=True, slots=True)
class PatchGrid:
    """The visual tokens of a page: rows of its matrix that lie on the page, line by line.

    Row ``first + r * columns + c`` of the matrix is the cell in line ``r`` and column ``c``; the
    other rows belong to the prompt.

    Attributes:
        first: Row of the first visual token, 0-based.
        rows: Cells down.
        columns: Cells across.

    Example:
        >>> grid = PatchGrid(first=4, rows=32, columns=23)
        >>> grid.cells
        736
        >>> grid.span
        slice(4, 740, None)
    """

    first: int
    rows: int
    columns: int

    def __post_init__(self) -> None:
        """Refuse what cannot be a grid."""
        if self.first < 0 or self.rows < 1 or self.columns < 1:
            raise OptionError(
                f"a patch grid begins at row 0 or later and has at least one cell, found {self}."
            )

    @property
    def cells(self) -> int:
        """Number of visual tokens."""
        return self.rows * self.columns

    @property
    def span(self) -> slice:
        """The rows of the matrix that are visual tokens."""
        return slice(self.first, self.first + self.cells)
