"""Opens an index of either kind, or makes a new one as the caller wants it."""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from vdr_integrations.cli.options.compression_option import compression_words
from vdr_integrations.errors import IndexNotFoundError, OptionError
from vdr_integrations.index import open_index
from vdr_integrations.index.shards.joined_writes import several_take_none
from vdr_integrations.retrieval import PageSearcher

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from vdr_integrations.encoders import EncoderOptions
    from vdr_integrations.index import Compression
    from vdr_integrations.index.page_index import PageIndex
    from vdr_integrations.index.records import DocumentRecord
    from vdr_integrations.retrieval.bank_choice import QuestionBankChoice

__all__ = [
    "Kind",
    "documents_before",
    "folders_in",
    "one_or_several",
    "only_folder",
    "opened_index",
    "searcher_to_write",
    "shown_places",
]


@dataclass(frozen=True, slots=True)
class Kind:
    """The kind of a new index; an existing index keeps its kind.

    Attributes:
        late_interaction: Store one vector per token; else one per page.
        compression: Compression of token vectors; None if the caller chose none.
        recall: Model of the dense vectors that are stored with the token vectors; None for none.
        question_bank: See ``PageSearcher.create``.
    """

    late_interaction: bool = False
    compression: Compression | None = None
    recall: str | None = None
    question_bank: QuestionBankChoice = "model"

    def check_new(self) -> None:
        """Refuse options that a new index of this kind does not have.

        Raises:
            OptionError: Compression, recall or a question bank without late interaction.
        """
        if self.late_interaction:
            return
        if self.compression is not None:
            raise OptionError("--compression is for token vectors; add --late-interaction.")
        if self.recall is not None:
            raise OptionError("--recall is for token vectors; add --late-interaction.")
        if self.question_bank != "model":
            raise OptionError("--question-bank is for token vectors; add --late-interaction.")

    def is_asked(self, options: EncoderOptions) -> bool:
        """Whether the caller names the kind or the model of an index."""
        return (
            self.late_interaction
            or self.compression is not None
            or self.recall is not None
            or self.question_bank != "model"
            or options.model is not None
        )

    def check(self, index: PageIndex) -> None:
        """Refuse an existing index that does not fit.

        Raises:
            OptionError: It is of another kind, has another compression, or no dense vectors.
        """
        if index.late is None:
            if (
                self.late_interaction
                or self.compression is not None
                or self.recall is not None
                or self.question_bank != "model"
            ):
                raise OptionError(
                    f"index {index.path} keeps one vector per page; leave --late-interaction, "
                    f"--compression, --question-bank and --recall out, or index into another "
                    f"folder."
                )
            return
        if self.question_bank is None and index.late.correction is not None:
            raise OptionError(
                f"index {index.path} was made with a question bank; leave --question-bank out "
                f"(vdr search --correction 0 gives MaxSim), or index into another folder."
            )
        if self.recall is not None and index.dense_manifest is None:
            raise OptionError(
                f"index {index.path} was made without dense vectors; leave --recall out, or index "
                f"into another folder."
            )
        if self.compression not in {None, index.compression}:
            raise OptionError(
                f"index {index.path} was made with --compression "
                f"{compression_words(index.compression)}; leave --compression out, or index into "
                f"another folder."
            )


@contextmanager
def opened_index(paths: Sequence[Path], *, wait_s: float = 0.0) -> Generator[PageIndex]:
    """The index in a folder, or those of several folders as one, closed at the end.

    Args:
        paths: The folders.
        wait_s: How long writes wait for another writer, in seconds.

    Raises:
        IndexNotFoundError: There is no index in one of them.
        IndexFormatError: Not an index, damaged, or of another format.
        IndexMismatchError: Several that cannot be searched as one.
    """
    with open_index(one_or_several(paths), wait_s=wait_s) as index:
        yield index


def one_or_several(paths: Sequence[Path]) -> Path | Sequence[Path]:
    """What to open: a folder if there is one."""
    return paths[0] if len(paths) == 1 else paths


def only_folder(paths: Sequence[Path]) -> Path:
    """The only one of the given folders.

    Raises:
        OptionError: There are several.
    """
    if len(paths) > 1:
        raise several_take_none(paths, "documents")
    return paths[0]


def folders_in(given: Path) -> list[Path]:
    """The folders that one option names: several are joined as in ``PATH``, by ``os.pathsep``."""
    parts = str(given).split(os.pathsep)
    return [given] if given.exists() or len(parts) == 1 else [Path(part) for part in parts if part]


def shown_places(paths: Sequence[Path]) -> str:
    """The given folders, for messages."""
    return ", ".join(map(str, paths))


def documents_before(
    path: Path, options: EncoderOptions, kind: Kind, *, wait_s: float
) -> dict[str, DocumentRecord]:
    """The documents of the index that will be written to, by name; none of a new index.

    Raises:
        OptionError: The options do not fit each other, or the index.
        IndexStoreError: See :func:`opened_index`; or another writer is at work.
    """
    with ExitStack() as stack:
        index = _index_to_keep(path, options, kind, stack, wait_s=wait_s)
        if index is None:
            return {}
        with index.writing():
            return {one.source: one for one in index.documents(skip_altered=True)}


@contextmanager
def searcher_to_write(
    path: Path, options: EncoderOptions, kind: Kind, *, wait_s: float = 0.0
) -> Generator[PageSearcher]:
    """A searcher over the index in a folder, or over a new one; the index is closed at the end.

    Args:
        path: The folder.
        options: Options of the encoder; with ``kind.recall``, ``dimension`` is that of its vectors.
        kind: The kind of a new index.
        wait_s: How long writes wait for another writer, in seconds.

    Raises:
        OptionError: The existing index is of another kind.
        IndexStoreError: See :func:`opened_index`.
        CheckpointError: The model cannot be loaded.
    """
    with ExitStack() as stack:
        index = _index_to_keep(path, options, kind, stack, wait_s=wait_s)
        if index is None:
            searcher = _searcher(path, options, kind, recall=kind.recall is not None)
            made = searcher.create(
                late_interaction=kind.late_interaction,
                compression=kind.compression,
                question_bank=kind.question_bank if kind.late_interaction else "model",
                wait_s=wait_s,
            )
            stack.enter_context(made)
        else:
            keeps_both = index.late is not None and index.dense_manifest is not None
            searcher = _searcher(index, options, kind, recall=keeps_both)
            searcher.check_bank(kind.question_bank)
        yield searcher


def _index_to_keep(
    path: Path, options: EncoderOptions, kind: Kind, stack: ExitStack, *, wait_s: float
) -> PageIndex | None:
    """The index in a folder; None if it has to be made.

    An index without documents is made again, if the caller says how, and if no run has kept pages
    of unfinished documents in it.
    """
    try:
        index = stack.enter_context(open_index(path, wait_s=wait_s))
    except IndexNotFoundError:
        kind.check_new()
        return None
    kept = index.unfinished.kept() if index.is_empty and kind.is_asked(options) else None
    if kept is not None and not kept.pages:
        kind.check_new()
        return None
    try:
        kind.check(index)
    except OptionError as error:
        if kept is None:
            raise
        raise OptionError(f"{error} In it, {kept}.") from None
    return index


def _searcher(
    index: PageIndex | Path, options: EncoderOptions, kind: Kind, *, recall: bool
) -> PageSearcher:
    if not recall:
        return PageSearcher(index, encoder=options)
    dense = replace(options, model=kind.recall, revision=None)
    return PageSearcher(index, encoder=replace(options, dimension=None), recall=dense)
