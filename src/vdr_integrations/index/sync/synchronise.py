"""Bring an index up to date with files and folders."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from vdr_integrations.encoders.runtime.torch_threads import core_count
from vdr_integrations.errors import DocumentOpenError, PageError
from vdr_integrations.index.sync.changed_files import read_file_state, surely_unchanged
from vdr_integrations.index.sync.document_draft import Draft
from vdr_integrations.index.sync.page_batches import PageBatches
from vdr_integrations.index.sync.page_encoding import PageEncoding
from vdr_integrations.index.sync.sync_report import SyncFailure, SyncProgress, SyncReport
from vdr_integrations.pages import find_documents
from vdr_integrations.pages.drawing.ahead import PagePrinter, look_ahead
from vdr_integrations.pages.read_file import refuse_shortage

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator

    from vdr_integrations.index.page_index import PageIndex
    from vdr_integrations.index.records import DocumentRecord, FileState
    from vdr_integrations.index.sync.page_encoding import SyncEncoder
    from vdr_integrations.pages.drawing.drawn_page import DrawnPage

__all__ = ["sync_index"]

_MOST_WORKERS = 8
"""Two processes on two cores draw 106 light pages a second, sending included. This one draws 227
alone, but encodes none meanwhile (benchmarks/render_ahead.py). Charts and scans take longer."""


def sync_index(
    index: PageIndex,
    encoder: SyncEncoder,
    paths: Iterable[str | Path],
    *,
    password: str | None = None,
    batch_pages: int | None = None,
    render_workers: int | None = None,
    page_timeout_s: float | None = None,
    on_progress: Callable[[SyncProgress], None] | None = None,
) -> SyncReport:
    """Index what is new or changed under ``paths``, and drop what is gone from there.

    Files that did not change are skipped: by size and modification time, or by their SHA-256
    where those do not tell. Documents that lie elsewhere stay. Each document is committed when
    its last page is encoded, so a run that was cut short is taken up by the next one. Memory
    holds ``batch_pages`` page images at a time.

    Args:
        index: A dense or late-interaction index; kept locked against other writers meanwhile.
        encoder: The one that made the index; for one with dense vectors beside those of tokens
            a ``PairedEncoder`` of both that did.
        paths: PDFs, images and folders, which are searched through.
        password: For encrypted PDFs.
        batch_pages: Pages handed to the encoder at once, at least 1; None for as many as it takes
            in one batch, and 32 at least.
        render_workers: Processes that draw PDF pages while the encoder works; 0 draws them in
            this one, in turn. None uses some where the model is on a GPU, which waits otherwise.
        page_timeout_s: Seconds after which one of these processes gives a page up; None: a minute.
            Pages that are drawn in this one have no limit.
        on_progress: Called after each document and each batch.

    Returns:
        What was done. Bad files and pages are in ``failed``; a changed document that is none any
        more is dropped, because its old pages do not exist any more. One whose file cannot be
        looked into (no permission, a failing disk) keeps them: nobody knows that it changed.

    Raises:
        OptionError: An option is out of range, ``page_timeout_s`` given where pages are drawn in
            this process, or an index of a pair of encoders with two pixel budgets.
        IndexMismatchError: The index was made by another encoder, or with other settings.
        IndexLockedError: Another process is writing to the index.
        EncodingError: The encoder cannot go on; finished documents are in the index.
        ResourceError: This machine starts no processes to draw pages in, or opens no more files.
        MissingExtraError: A PDF was found and PyMuPDF is not installed.
    """
    encoding = PageEncoding(encoder)
    held_pages = encoding.batch_pages(batch_pages)
    encoding.check(index)
    with index.writing():
        run = _Run(
            index,
            encoding,
            password=password,
            batch_pages=held_pages,
            printer=PagePrinter(
                workers=_workers(encoding) if render_workers is None else render_workers,
                page_timeout_s=page_timeout_s,
            ),
            on_progress=on_progress,
        )
        return run.over([Path(path) for path in paths])


class _Run:
    """One call of :func:`sync_index`."""

    def __init__(
        self,
        index: PageIndex,
        encoding: PageEncoding,
        *,
        password: str | None,
        batch_pages: int,
        printer: PagePrinter,
        on_progress: Callable[[SyncProgress], None] | None,
    ) -> None:
        self._index = index
        self._budget = encoding.pixel_budget
        self._password = password
        self._on_progress = on_progress
        self._printer = printer
        self._batches = PageBatches(encoding, batch_pages=batch_pages)
        self._report = SyncReport()
        # A document whose record was altered is indexed again as if it were new.
        self._known = {one.source: one for one in index.documents(skip_altered=True)}
        self._done = 0
        self._total = 0

    def over(self, paths: list[Path]) -> SyncReport:
        self._drop_gone(paths)
        found = self._find(paths)
        self._total = len(found)
        try:
            with self._printer as printer:
                for step in look_ahead(self._steps(found), printer.ahead):
                    step()
            self._batches.encode()
            self._commit()
        except BaseException:
            self._batches.abandon()
            raise
        self._report.pages_encoded = self._batches.pages_encoded
        self._notify("")
        return self._report

    def _drop_gone(self, paths: list[Path]) -> None:
        # A given path that does not exist drops nothing: it may be an unmounted disk or a slip.
        folders = [path.resolve() for path in paths if path.is_dir()]
        for source in self._known:
            path = Path(source)
            if _is_gone(path) and any(path.is_relative_to(folder) for folder in folders):
                self._remove(source)

    def _find(self, paths: list[Path]) -> list[Path]:
        def note(error: PageError) -> None:
            self._fail(error.source, error)

        return list(dict.fromkeys(map(_canonical, find_documents(paths, on_error=note))))

    def _steps(self, found: list[Path]) -> Iterator[Callable[[], None]]:
        """What is to be done, in order; pages begin to be drawn when their step is made."""
        for path in found:
            yield partial(self._notify, path.as_posix())
            yield from self._pages(path)
            yield self._end_document

    def _end_document(self) -> None:
        self._commit()
        self._done += 1

    def _pages(self, path: Path) -> Iterator[Callable[[], None]]:
        source = path.as_posix()
        known = self._known.get(source)
        try:
            source.encode()
            state = self._new_state(path, known)
        except UnicodeEncodeError:
            shown = source.encode(errors="backslashreplace").decode()
            error = DocumentOpenError("its name is not UTF-8; rename it.", source=shown)
            self._fail(shown, error)
            return
        except DocumentOpenError as error:
            self._fail(source, error)
            return
        if state is None:
            return
        try:
            draft = Draft(
                source=source,
                path=path,
                file=state,
                replaces=known is not None,
                sink=self._index.stage_document(source),
            )
            yield from self._rendered(draft)
        except PageError as error:
            self._lose(source, error)

    def _new_state(self, path: Path, known: DocumentRecord | None) -> FileState | None:
        """The state of a file that is new or changed; otherwise None, and the document is kept."""
        with _reading(path.as_posix()):
            if known is not None and surely_unchanged(path, known.file):
                self._keep(known)
                return None
            state = read_file_state(path)
        if known is None or state.sha256 != known.file.sha256:
            return state
        self._index.update_file_state(known.source, state)
        self._keep(known)
        return None

    def _keep(self, known: DocumentRecord) -> None:
        self._report.unchanged.append(known.source)
        for page in known.skipped:
            error = PageError(page.reason, source=known.source, page_number=page.page_number)
            self._fail(known.source, error, page_number=page.page_number)

    def _rendered(self, draft: Draft) -> Iterator[Callable[[], None]]:
        self._batches.begin(draft)
        pages = draft.render(self._budget, password=self._password, printer=self._printer)
        try:
            for page_number, drawn in pages:
                yield partial(self._add, draft, page_number, drawn)
        except PageError:
            self._batches.withdraw(draft)
            raise

    def _add(self, draft: Draft, page_number: int, drawn: Callable[[], DrawnPage]) -> None:
        if draft.is_withdrawn:
            return
        image = draft.receive(page_number, drawn)
        if image is not None:
            self._batches.add(draft, page_number, image)
            self._notify(draft.source)

    def _commit(self) -> None:
        for draft in self._batches.finished():
            for page_number, error in sorted(draft.errors.items()):
                self._fail(draft.source, error, page_number=page_number)
            if not draft.encoded:
                self._remove_if_known(draft.source)
                continue
            draft.commit()
            listed = self._report.changed if draft.replaces else self._report.added
            listed.append(draft.source)

    def _lose(self, source: str, error: PageError) -> None:
        self._fail(source, error)
        # What the index holds are pages of a file that is not there any more.
        self._remove_if_known(source)

    def _remove_if_known(self, source: str) -> None:
        if source in self._known:
            self._remove(source)

    def _remove(self, source: str) -> None:
        if self._index.remove_document(source):
            self._report.removed.append(source)

    def _fail(self, source: str, error: PageError, *, page_number: int | None = None) -> None:
        self._report.failed.append(SyncFailure(source, page_number, error))

    def _notify(self, source: str) -> None:
        if self._on_progress is not None:
            self._on_progress(
                SyncProgress(
                    documents_done=self._done,
                    documents_total=self._total,
                    pages_encoded=self._batches.pages_encoded,
                    source=source,
                )
            )


def _workers(encoding: PageEncoding) -> int:
    if encoding.device.type != "cuda":
        return 0  # the model needs all cores there are
    return min(_MOST_WORKERS, core_count() - 1)


@contextmanager
def _reading(source: str) -> Generator[None]:
    """Only what the file system says of a document's own file makes it an unreadable one."""
    try:
        yield
    except OSError as error:
        refuse_shortage(error, source_name=source)
        reason = f"it cannot be read ({error.strerror or type(error).__name__})."
        raise DocumentOpenError(reason, source=source) from error


def _canonical(path: Path) -> Path:
    """Absolute, through linked folders; a linked file keeps its own name and place."""
    return path.parent.resolve() / path.name


def _is_gone(path: Path) -> bool:
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False
