"""Which rows of a page's matrix are its visual tokens."""

from __future__ import annotations

from dataclasses import dataclass

from vdr_integrations.errors import OptionError

__all__ = ["PatchGrid"]


@dataclass(frozen=True, slots=True)
class PatchGrid:
    """The visual tokens of a page as rows of its matrix, line by line.

    Row ``first + r * columns + c`` of the matrix is the cell in line ``r`` and column ``c`` of the
    page; the other rows belong to the prompt.

    Attributes:
        first: Row of the first visual token, 0-based.
        rows: Number of cells from top to bottom.
        columns: Number of cells from left to right.

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
        """Refuse numbers that cannot be a grid."""
        if self.first < 0 or self.rows < 1 or self.columns < 1:
            raise OptionError(
                f"a patch grid must begin at row 0 or later and have at least one cell, found "
                f"{self}."
            )

    @property
    def cells(self) -> int:
        """Number of visual tokens."""
        return self.rows * self.columns

    @property
    def span(self) -> slice:
        """The rows of the matrix that are visual tokens."""
        return slice(self.first, self.first + self.cells)
