"""The ``Engine`` of several indexes that are searched as one."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from vdr_integrations.encoders.checkpoints.digests import digest_of
from vdr_integrations.errors import IndexStoreError
from vdr_integrations.index.engine import Engine
from vdr_integrations.index.shards.doubles import Doubles
from vdr_integrations.index.shards.joined_reads import JoinedReads
from vdr_integrations.index.shards.joined_state import JoinedSearches
from vdr_integrations.index.shards.joined_unfinished import JoinedUnfinished
from vdr_integrations.index.shards.joined_writes import JoinedWrites
from vdr_integrations.index.shards.same_settings import check_together

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence
    from pathlib import Path

    from vdr_integrations.index.index_settings import Settings

__all__ = ["ShardsEngine"]


class ShardsEngine(Engine):
    """Several indexes, each of which can be used alone; see ``Engine``.

    Scores are those of one index that holds all pages. Documents are removed where they are; they
    are added to each index alone. An error of one index is an error of all: no result ever leaves
    an index out.
    """

    def __init__(self, parts: Sequence[Engine], *, closes: Sequence[Engine]) -> None:
        """Join these indexes.

        Args:
            parts: The indexes, at least one.
            closes: Those of them that :meth:`close` closes.

        Raises:
            IndexMismatchError: Their scores cannot be compared, or a document is in two of them.
        """
        every = tuple(one for part in parts for one in part.parts)
        check_together(every)
        self._parts: tuple[Engine, ...] | None = every
        self._closes = tuple(closes)
        self.settings: Settings = every[0].settings
        self.path: Path | str = ", ".join(str(part.path) for part in every)
        self.keeps_processes_out = all(part.keeps_processes_out for part in every)
        self._doubles = self._new_doubles()
        self.searches.state()  # refuses documents that are in two of them

    @property
    def parts(self) -> tuple[Engine, ...]:
        """See ``Engine``."""
        if self._parts is None:
            raise IndexStoreError(f"index {self.path} is closed; open it again.")
        return self._parts

    @property
    def index_id(self) -> str:
        """See ``Engine``."""
        return digest_of([part.index_id for part in self.parts])

    @property
    def unfinished_folder(self) -> Path:
        """See ``Engine``: the first one; each index keeps its own."""
        return self.parts[0].unfinished_folder

    @property
    def searches(self) -> JoinedSearches:
        """See ``Engine``."""
        return JoinedSearches([part.searches for part in self.parts], self._doubles)

    @property
    def reads(self) -> JoinedReads:
        """See ``Engine``."""
        return JoinedReads(self.parts, self._new_doubles(), self.searches.state)

    @property
    def writes(self) -> JoinedWrites:
        """See ``Engine``."""
        return JoinedWrites(self.parts, self.reads)

    def unfinished(self) -> JoinedUnfinished:
        """See ``Engine``."""
        return JoinedUnfinished(self, [part.unfinished() for part in self.parts])

    @contextmanager
    def writing(self) -> Generator[None]:
        """See ``Engine``; two processes that lock the same indexes take them in the same order."""
        with ExitStack() as stack:
            for part in sorted(self.parts, key=lambda part: str(part.path)):
                stack.enter_context(part.writing())
            yield

    def optimize(self) -> None:
        """See ``Engine``."""
        for part in self.parts:
            part.optimize()

    def clean_up(self) -> int:
        """See ``Engine``."""
        return sum(part.clean_up() for part in self.parts)

    def check_files(self) -> Iterator[str]:
        """See ``Engine``."""
        for part in self.parts:
            yield from part.check_files()

    def check_document(self, source: str) -> tuple[int, list[str]]:
        """See ``Engine``."""
        holders = self.reads.holders(source)
        return holders[0].check_document(source) if holders else (0, [])

    def close(self) -> None:
        """See ``Engine``; indexes that others opened stay open."""
        self._parts = None
        for part in self._closes:
            part.close()

    def _new_doubles(self) -> Doubles:
        return Doubles([part.path for part in self.parts])
