"""Digests of weights: of the contents of files, not of their names, places or number."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from platformdirs import user_cache_path

from vdr_integrations.errors import CheckpointWeightsError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

__all__ = ["digest_of", "tensors_digest"]

_FORMAT = 1
_LENGTH_BYTES = 8
"""Length of the number before the header (https://github.com/huggingface/safetensors). The header
is read here because ``safe_open`` gives neither the raw bytes of a tensor nor their place in the
file."""
_READ_BYTES = 8 * 1024**2
_REMEMBERED_FROM_BYTES = 1024**2
"""Reading a smaller file takes less time than looking up its digest."""


def digest_of(facts: object) -> str:
    """SHA-256, hexadecimal, of facts as JSON; the order of keys makes no difference."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def tensors_digest(paths: Iterable[Path], *, leave_out: Collection[str] = ()) -> str:
    """SHA-256, hexadecimal, of the tensors in safetensors files.

    Names, formats, shapes and numbers count; the division of tensors into files does not. A file is
    read once (4.4 GB take 3 to 10 s). Its digest is kept in the user's cache folder until the size,
    times or inode of the file change.

    Args:
        paths: The files.
        leave_out: Names of tensors that do not decide vectors.

    Raises:
        CheckpointWeightsError: A file is not a safetensors file, or is incomplete.
        OSError: A file cannot be read.
    """
    known: dict[str, str] = {}
    for path in paths:
        known |= _remembered(path)
    return digest_of(sorted((name, known[name]) for name in known.keys() - set(leave_out)))


def _remembered(path: Path) -> dict[str, str]:
    facts = path.stat()
    if facts.st_size < _REMEMBERED_FROM_BYTES:
        return _tensors(path)
    state = [_FORMAT, str(path.resolve()), *_state_of(facts)]
    note = user_cache_path("vdr-integrations") / "digests" / f"{digest_of(state)}.json"
    with suppress(OSError, ValueError):
        known = json.loads(note.read_text(encoding="utf-8"))
        if _is_note(known):
            return known
    found = _tensors(path)
    if _is_unchanged(path, facts):
        with suppress(OSError):  # without the cache it only takes longer
            _write(note, json.dumps(found))
    return found


def _is_note(known: Any) -> bool:  # noqa: ANN401  # JSON of a file
    return isinstance(known, dict) and all(isinstance(one, str) for one in known.values())


def _is_unchanged(path: Path, before: os.stat_result) -> bool:
    return _state_of(path.stat()) == _state_of(before)


def _state_of(facts: os.stat_result) -> list[int]:
    # Only the system sets st_ctime: it tells a copy whose other times were restored.
    return [facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns, facts.st_ino]


def _write(note: Path, text: str) -> None:
    """Write the whole note or nothing, even if others write it at the same time."""
    note.parent.mkdir(parents=True, exist_ok=True)
    descriptor, scratch = tempfile.mkstemp(dir=note.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        Path(scratch).replace(note)
    except BaseException:
        Path(scratch).unlink(missing_ok=True)
        raise


def _tensors(path: Path) -> dict[str, str]:
    """Digests of each tensor's format, shape and bytes, by the tensor's name."""
    with path.open("rb") as file:
        found: dict[str, str] = {}
        for name, (dtype, shape, first, end) in _places(path, file).items():
            digest = hashlib.sha256(json.dumps([dtype, shape]).encode())
            file.seek(first)
            left = end - first
            while left:
                part = file.read(min(left, _READ_BYTES))
                if not part:
                    raise _damaged(path, f"it ends inside {name}")
                digest.update(part)
                left -= len(part)
            found[name] = digest.hexdigest()
        return found


def _places(path: Path, file: BinaryIO) -> dict[str, tuple[str, list[int], int, int]]:
    """Format, shape, and begin and end of the bytes in the file, by the tensor's name."""
    size = os.fstat(file.fileno()).st_size
    start = _LENGTH_BYTES + int.from_bytes(file.read(_LENGTH_BYTES), "little")
    if start > size:
        raise _damaged(path, "its header does not end inside the file")
    places: dict[str, tuple[str, list[int], int, int]] = {}
    try:
        header = json.loads(file.read(start - _LENGTH_BYTES))
        header.pop("__metadata__", None)
        for name, one in header.items():
            first, end = (start + int(offset) for offset in one["data_offsets"])
            if not start <= first <= end <= size:
                raise _damaged(path, f"{name} is outside the file")
            places[name] = (str(one["dtype"]), [int(n) for n in one["shape"]], first, end)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise _damaged(path, "its header cannot be read") from error
    return places


def _damaged(path: Path, found: str) -> CheckpointWeightsError:
    return CheckpointWeightsError(
        f"{path} is not a complete safetensors file: {found}. Download the checkpoint again."
    )
