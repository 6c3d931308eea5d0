"""Page stores that no user can use, not even root."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["BROKEN"]


def _file(folder: Path) -> Path:
    (folder / "taken").write_text("a file")
    return folder / "taken"


def _below_a_file(folder: Path) -> Path:
    return _file(folder) / "pages"


def _link_to_itself(folder: Path) -> Path:
    (folder / "loop").symlink_to(folder / "loop")
    return folder / "loop"


def _long_name(folder: Path) -> Path:
    return folder / ("x" * 5000)


BROKEN: dict[str, Callable[[Path], Path]] = {
    "a file": _file,
    "below a file": _below_a_file,
    "a link to itself": _link_to_itself,
    "a name too long": _long_name,
}
"""Each makes what is in the way in a folder, and returns the folder of the store."""
