"""The name of the document that a reader or loader reads: one for all spellings, and unique."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from vdr_integrations.errors import DocumentOpenError
from vdr_integrations.index.document_name import document_path

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["check_storable", "file_source", "source_of_name"]

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://", re.ASCII)


def file_source(path: str | os.PathLike[str]) -> str:
    """The absolute POSIX path that names the document of a file, as ``sync_index`` names it.

    Raises:
        DocumentOpenError: The name cannot be stored, because it is not UTF-8, or has a null byte.
    """
    return _storable(document_path(_storable(os.fspath(path))).as_posix())


def source_of_name(name: object) -> str | None:
    """The name of content that is not read from a file: a URL or an absolute path, else None.

    Two uploads may have the same file name. They are known by their digests.

    Raises:
        DocumentOpenError: The name cannot be stored.
    """
    if not isinstance(name, str):
        return None
    if name.startswith("file://"):
        name = url2pathname(urlsplit(name).path)
    if _URL.match(name) is not None:
        return _storable(name)
    return file_source(name) if os.path.isabs(name) else None  # noqa: PTH117  # any text


def check_storable(name: str, metadata: Mapping[str, Any] | None = None) -> None:
    """Refuse names and metadata that no store can hold, before a page is read.

    Raises:
        DocumentOpenError: The file name is not UTF-8, or the metadata has half a surrogate pair.
    """
    _storable(name)
    for key, value in (metadata or {}).items():
        try:
            json.dumps({key: value}, ensure_ascii=False, default=str).encode()
        except UnicodeEncodeError:
            problem = "has half a surrogate pair; it must be UTF-8 text"
        except (TypeError, ValueError, RecursionError) as error:
            problem = f"cannot be written as JSON ({error})"
        else:
            continue
        raise DocumentOpenError(f"its metadata {_shown(str(key))!r} {problem}.", source=name)


def _storable(name: str) -> str:
    try:
        name.encode()
    except UnicodeEncodeError:
        raise DocumentOpenError("its name is not UTF-8; rename it.", source=_shown(name)) from None
    if "\0" in name:
        raise DocumentOpenError("its name has a null byte, which no file has.", source=_shown(name))
    return name


def _shown(name: str) -> str:
    return name.encode(errors="backslashreplace").decode()
