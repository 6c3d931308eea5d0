"""A file of several pages that processes hold open while its pages are asked for."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from vdr_integrations.errors import PageError
    from vdr_integrations.pages.file_limits import ImageLimits, RenderLimits
    from vdr_integrations.pages.processes.child_process import ChildProcess
    from vdr_integrations.pages.processes.messages import Message

__all__ = ["HeldFile"]

_MOST_OPEN = 4
_keys = itertools.count()


class HeldFile:
    """All that a process needs to open a file. The password is in no repr and no message.

    Each process that needs the file opens it again. It must not change meanwhile.

    Attributes:
        key: Its number among the files that are open.
        source: Its name in errors.
        content: Its path, or its bytes.
        limits: Its limits.
        sha256: SHA-256 of its bytes, 64 lower-case hexadecimal digits; "" before it was opened.
        page_count: Number of its pages; 0 before it was opened.
    """

    def __init__(
        self,
        what: str,
        content: Path | bytes,
        *,
        source: str,
        limits: RenderLimits | ImageLimits,
        page_limit: int,
        changed: type[PageError],
        **options: object,
    ) -> None:
        """Open nothing yet.

        Args:
            what: The request that opens it; see ``child_program``.
            content: Its path, or its bytes.
            source: Its name in errors.
            limits: Its limits.
            page_limit: Most pages that it may have.
            changed: Raised when it is another file than it was at first.
            options: The rest of the request.
        """
        self.key = next(_keys)
        self.source = source
        self.content = content
        self.limits = limits
        self.sha256 = ""
        self.page_count = 0
        self._what = what
        self._page_limit = page_limit
        self._changed = changed
        self._options = options

    def first(self, child: ChildProcess) -> Message:
        """Open it, and learn its digest and number of pages; the answer of the process."""
        reply = self._open(child)
        with child.believed():
            page_count = int(reply["page_count"])
            if not 1 <= page_count <= self._page_limit:
                raise ValueError("such a file would have been refused")
            self.sha256, self.page_count = str(reply["sha256"]), page_count
        return reply

    def ensure(self, child: ChildProcess) -> None:
        """Open it if the process does not hold it open.

        Raises:
            PageError: It changed.
        """
        if self.key in child.open_keys:
            child.open_keys[self.key] = child.open_keys.pop(self.key)
            return
        if self._open(child).get("sha256") != self.sha256:
            child.close_file(self.key)
            raise self._changed("it changed while it was read; read it again.", source=self.source)
        child.begin_page()

    def _open(self, child: ChildProcess) -> Message:
        while len(child.open_keys) >= _MOST_OPEN:
            child.close_file(next(iter(child.open_keys)))
        reply = child.open_file(
            self._what,
            self.content,
            source=self.source,
            limits=self.limits,
            key=self.key,
            **self._options,
        )
        child.open_keys[self.key] = None
        return reply
