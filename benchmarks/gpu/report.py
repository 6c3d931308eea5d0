"""The results, as tables on the screen and as a JSON file that is always up to date."""

from __future__ import annotations

import json
from itertools import groupby
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Report", "SkippedError", "Table"]


class SkippedError(Exception):
    """A section that cannot run here, and why."""


class Report:
    """The sections so far; the file is written again with every row."""

    def __init__(self, file: Path, *, facts: dict[str, Any]) -> None:
        """Print and keep what the figures must be read with."""
        self._file = file
        self._sections: dict[str, Table] = {}
        self._facts = facts
        for name, fact in facts.items():
            print(f"{name}: {fact}")
        self.save()

    def table(self, name: str, title: str) -> Table:
        """A section to fill."""
        self._sections[name] = Table(title, save=self)
        return self._sections[name]

    def rows(self, name: str) -> list[dict[str, Any]]:
        """What a section found; nothing where it did not run."""
        return self._sections[name].rows if name in self._sections else []

    @property
    def has_failed(self) -> bool:
        """Whether any section did."""
        return any(table.error for table in self._sections.values())

    def save(self) -> None:
        """Write the file."""
        sections = {name: table.as_json() for name, table in self._sections.items()}
        self._file.parent.mkdir(parents=True, exist_ok=True)
        # Beside it first: a run that is cut here leaves the one before.
        unfinished = self._file.with_name(f"{self._file.name}.part")
        unfinished.write_text(
            json.dumps({"facts": self._facts, "sections": sections}, indent=1), encoding="utf-8"
        )
        unfinished.replace(self._file)


class Table:
    """Rows of one section; those with other columns begin a table of their own."""

    def __init__(self, title: str, *, save: Report) -> None:
        """Begin empty."""
        self.rows: list[dict[str, Any]] = []
        self.error: str | None = None
        self.skipped: str | None = None
        self.seconds: float | None = None
        self._title = title
        self._notes: list[str] = []
        self._report = save

    def row(self, **facts: Any) -> None:  # noqa: ANN401  # numbers, words, lists of numbers
        """Add a row and save all."""
        self.rows.append(facts)
        self._report.save()

    def note(self, text: str) -> None:
        """Add a sentence below the table."""
        self._notes.append(text)

    def as_json(self) -> dict[str, Any]:
        """For the file."""
        return {
            "title": self._title,
            "seconds": self.seconds,
            "rows": self.rows,
            "notes": self._notes,
            "skipped": self.skipped,
            "error": self.error,
        }

    def __str__(self) -> str:
        """A title, aligned columns, and what there is to say about them."""
        took = "" if self.seconds is None else f" ({self.seconds:.0f} s)"
        said = [f"\n== {self._title}{took}"]
        for heads, rows in groupby(self.rows, key=list):
            said += _aligned(heads, list(rows))
        said += self._notes
        said += [f"skipped: {self.skipped}"] if self.skipped else []
        said += [f"FAILED: {self.error}"] if self.error else []
        return "\n".join(said)


def _aligned(heads: list[str], rows: list[dict[str, Any]]) -> list[str]:
    lines = [[head.replace("_", " ") for head in heads]]
    lines += [[_shown(head, row[head]) for head in heads] for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [
        "  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]


def _shown(head: str, value: object) -> str:
    if value is None or value == []:
        return "-"
    if isinstance(value, list):
        return _runs(value)
    if isinstance(value, float):
        if head.startswith("share"):
            return f"{value:.1%}"
        return f"{value:.6f}" if head.startswith("cosine") else f"{value:.4g}"
    return str(value)


def _runs(values: list[object]) -> str:
    """``8 x 2, 4`` for 8, 8, 4."""
    counted = ((value, len(list(same))) for value, same in groupby(values))
    return ", ".join(str(value) if n == 1 else f"{value} x {n}" for value, n in counted)
