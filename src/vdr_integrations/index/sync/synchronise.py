"""Bring an index up to date with files and folders."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from vdr_integrations.encoders.runtime.torch_threads import core_count
from vdr_integrations.errors import (
    DocumentOpenError,
    IndexFormatError,
    OptionError,
    PageError,
    ResourceError,
)
from vdr_integrations.index.records import NO_FILE
from vdr_integrations.index.sync.changed_files import UnreadableFileError
from vdr_integrations.index.sync.document_draft import Draft
from vdr_integrations.index.sync.frameless_errors import without_frames
from vdr_integrations.index.sync.moved_files import find_moved
from vdr_integrations.index.sync.page_batches import PageBatches
from vdr_integrations.index.sync.page_encoding import PageEncoding
from vdr_integrations.index.sync.page_estimate import expected_pages
from vdr_integrations.index.sync.source_files import FoundFiles, LocalFile
from vdr_integrations.index.sync.survey import Absence, survey_files
from vdr_integrations.index.sync.sync_report import (
    SyncFailure,
    SyncProgress,
    SyncReport,
    SyncWarning,
)
from vdr_integrations.pages.drawing.draw_ahead import ahead, look_ahead, own_lane
from vdr_integrations.pages.find_files import given_paths
from vdr_integrations.pages.process_limits import ProcessLimits, process_limits
from vdr_integrations.pages.read_file import refuse_shortage

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping

    from vdr_integrations.encoders.runtime.device_list import DeviceChoice
    from vdr_integrations.index.page_index import PageIndex
    from vdr_integrations.index.records import DocumentRecord, FileState
    from vdr_integrations.index.sync.page_encoding import SyncEncoder
    from vdr_integrations.index.sync.source_files import SourceFile
    from vdr_integrations.index.sync.survey import Survey
    from vdr_integrations.pages.drawing.drawn_page import DrawnPage
    from vdr_integrations.pages.processes.process_pool import Lane

__all__ = ["sync_found", "sync_index"]

_MOST_WORKERS = 8
"""For each device. One process on one core draws about 200 light pages a second
(benchmarks/render_ahead.py); charts and scans take longer."""


def sync_index(
    index: PageIndex,
    encoder: SyncEncoder,
    paths: str | Path | Iterable[str | Path],
    *,
    password: str | None = None,
    batch_pages: int | None = None,
    devices: DeviceChoice = None,
    render_workers: int | None = None,
    page_timeout_s: float | None = None,
    page_memory_mb: int | None = None,
    drop_missing: bool = False,
    on_progress: Callable[[SyncProgress], None] | None = None,
) -> SyncReport:
    """Index new and changed files under ``paths``, and remove documents whose files are gone.

    Files that did not change are skipped: by size and modification time, or by their SHA-256 if
    these cannot decide. Each document is committed when its last page is encoded. The pages of
    longer documents are kept after every few seconds of encoding, so the next run continues a run
    that was interrupted, also within a document: see docs/late-interaction.md. At most
    ``batch_pages`` page images are in memory at a time.

    A file is gone if the nearest folder above it that exists holds other files. Its document is
    removed if it is in one of the folders, or fits one of the patterns. If that folder is empty,
    perhaps a disk is not mounted: the document stays, and ``missing`` names it. The same is true
    of all documents of a path that does not exist, or of a folder that cannot be listed; that path
    is in ``failed`` too.

    A file that was moved or renamed is recognised by its SHA-256. Its pages are copied with their
    metadata, and not encoded again; then the document of the old name is removed, wherever it was.
    Other documents outside ``paths`` stay.

    A file with several names (symbolic and hard links) is one document. Its name is a name under
    which it is known and which is no symbolic link; else one that is no link; else a known one.
    The documents of its other names are removed.

    Args:
        index: A dense or late-interaction index. Other writers are locked out meanwhile.
        encoder: The encoder that made the index; for an index with dense vectors beside token
            vectors, a ``PairedEncoder`` of the two encoders that made it.
        paths: PDFs, images, folders and patterns, see ``find_documents``; folders are searched
            recursively.
        password: Password of encrypted PDFs.
        batch_pages: Number of page images in memory, at least 1. The encoder gets as many at once,
            fewer if these take seconds; one that does not use this process's cores gets half of
            them while the other half is drawn and written. None uses what it accepts in one batch,
            or in two, and at least 32.
        devices: Devices that encode together, such as ``["cuda:0", "cuda:1"]``: a process a device,
            for this run. Batches go to whichever is free; the index is that of one device. None
            uses those of the encoder.
        render_workers: Number of processes that open and draw files, with limits, while the encoder
            works. 0 does that in this process, without limits: for files that you trust. None uses
            one process, and more if the model is on a GPU, which would wait otherwise.
        page_timeout_s: CPU time that a process may use to open a file, and for each page, in
            seconds; None allows 60.
        page_memory_mb: Address space that a process may have, in MiB; None allows 2,048.
        drop_missing: Also remove the documents that would be in ``missing``. A path that does not
            exist is then no failure, if documents of it were known.
        on_progress: Called after each document and each batch.

    Returns:
        What was done. Bad files and pages are in ``failed``, and what is missing in the images of
        other pages in ``warnings``. A device that is lost is in ``troubles``; the others do its
        work. If a changed file cannot be read as a
        document any more, its document is removed, because the old pages do not exist any more. If
        a file cannot be read at all (no permission, a failing disk), its document stays, because
        nobody knows whether it changed.

    Raises:
        OptionError: An option is out of range, a device is not there, a limit is given although
            files are opened in this process, or the index was made by a pair of encoders with two
            pixel budgets.
        IndexMismatchError: The index was made by another encoder, or with other settings.
        IndexLockedError: Another process is writing to the index.
        EncodingError: The encoder cannot go on; finished documents are in the index, and the next
            run goes on behind the last page that was encoded.
        ResourceError: This machine cannot start processes, or cannot open more files.
        MissingExtraError: A PDF was found and PyMuPDF is not installed.
    """
    given = [Path(path) for path in given_paths(paths)]

    def found(known: Mapping[str, DocumentRecord]) -> FoundFiles:
        survey = survey_files(given, known, drop_missing=drop_missing)
        return FoundFiles(survey, [LocalFile(path) for path in survey.found])

    return sync_found(
        index,
        encoder,
        found,
        password=password,
        batch_pages=batch_pages,
        devices=devices,
        render_workers=render_workers,
        page_timeout_s=page_timeout_s,
        page_memory_mb=page_memory_mb,
        on_progress=on_progress,
    )


def sync_found(
    index: PageIndex,
    encoder: SyncEncoder,
    find: Callable[[Mapping[str, DocumentRecord]], FoundFiles],
    *,
    password: str | None = None,
    batch_pages: int | None = None,
    devices: DeviceChoice = None,
    render_workers: int | None = None,
    page_timeout_s: float | None = None,
    page_memory_mb: int | None = None,
    on_progress: Callable[[SyncProgress], None] | None = None,
) -> SyncReport:
    """Do :func:`sync_index` for files that were found in another way, for use inside this package.

    Args:
        index: The index.
        encoder: Its encoder.
        find: Gets the documents of the index by name, while other writers are locked out, and
            returns what there is to do.
        password: See :func:`sync_index`, also for the others, and for what is raised.
        batch_pages: See there.
        devices: See there.
        render_workers: See there.
        page_timeout_s: See there.
        page_memory_mb: See there.
        on_progress: See there.
    """
    encoding = PageEncoding(encoder)
    encoding.batch_pages(batch_pages)
    limits = process_limits(
        render_workers=render_workers, page_timeout_s=page_timeout_s, page_memory_mb=page_memory_mb
    )
    encoding.check(index)
    index.check_takes_documents()
    with index.writing(), index.unfinished.used():
        if devices is not None:
            encoding = encoding.on_devices(devices)
        run = _Run(
            index,
            encoding,
            password=password,
            batch_pages=encoding.batch_pages(batch_pages),
            workers=_workers(encoding) if render_workers is None else render_workers,
            process_limits=limits,
            on_progress=on_progress,
        )
        return run.over(find)


class _Run:
    """One call of :func:`sync_index`."""

    def __init__(
        self,
        index: PageIndex,
        encoding: PageEncoding,
        *,
        password: str | None,
        batch_pages: int,
        workers: int,
        process_limits: ProcessLimits | None,
        on_progress: Callable[[SyncProgress], None] | None,
    ) -> None:
        self._index = index
        self._encoding = encoding
        self._budget = encoding.pixel_budget
        self._password = password
        self._on_progress = on_progress
        self._workers = workers
        self._process_limits = process_limits
        self._batches = PageBatches(encoding, batch_pages=batch_pages)
        self._report = SyncReport()
        # A document whose record was altered is indexed again as if it were new.
        self._known = {one.source: one for one in index.documents(skip_altered=True)}
        self._sha256 = {source: one.file.sha256 for source, one in self._known.items()}
        self._pages_known = sum(one.total_pages for one in self._known.values())
        self._unread: set[str] = set()
        self._open: dict[str, SourceFile] = {}
        self._waiting: set[str] = set()
        self._done = 0
        self._total = 0

    def over(self, find: Callable[[Mapping[str, DocumentRecord]], FoundFiles]) -> SyncReport:
        survey, files, owns = find(self._known)
        for source in [source for source in self._known if not owns(source)]:
            del self._known[source]
        for error in survey.errors:
            self._fail(error.source, error)
        self._total = len(files)
        copied = self._copy_moved(survey)
        found = [file for file in files if file.source not in copied]
        self._waiting = {file.source for file in found} - self._known.keys()
        try:
            with own_lane(max(self._workers, 1)) as lane:
                for step in look_ahead(self._steps(found, lane), ahead(self._workers)):
                    step()
            self._batches.encode()
            self._commit()
        except BaseException:
            self._batches.abandon()
            raise
        # Only now: pages of these documents were needed for copies.
        self._drop(survey)
        self._index.unfinished.tidy(lambda: self._sha256)
        self._report.pages_encoded = self._batches.pages_encoded
        self._report.troubles = self._encoding.troubles()
        self._notify("")
        return self._report

    def _copy_moved(self, survey: Survey) -> set[str]:
        """Copy the pages of files that are known under another name; returns their new names."""
        copied: set[str] = set()
        for moved in find_moved(survey, self._known):
            self._notify(moved.source)
            document = replace(moved.holder, source=moved.source, file=moved.file)
            try:
                self._index.copy_document(moved.holder.source, document)
            except (IndexFormatError, OptionError):  # its pages were altered: it is encoded
                continue
            self._sha256[moved.source] = moved.file.sha256
            copied.add(moved.source)
            is_new = moved.source not in self._known
            (self._report.added if is_new else self._report.changed).append(moved.source)
            self._fail_skipped(document)
            self._done += 1
        return copied

    def _drop(self, survey: Survey) -> None:
        found = {self._sha256.get(path.as_posix()) for path in survey.found}
        found -= {None, NO_FILE.sha256}
        for source in self._known:
            absence = survey.absent.get(source)
            if source in survey.superseded:
                if survey.superseded[source] not in self._unread:
                    self._remove(source)
            elif absence is Absence.DROPPED or (
                source in survey.movable and self._sha256.get(source) in found
            ):
                self._remove(source)
            elif absence is Absence.LISTED:
                self._report.missing.append(source)

    def _steps(self, found: list[SourceFile], lane: Lane) -> Iterator[Callable[[], None]]:
        """Everything to do, in order. Drawing of a page begins when its step is yielded."""
        for file in found:
            yield partial(self._notify, file.source)
            yield from self._pages(file, lane)
            yield self._end_document

    def _end_document(self) -> None:
        self._commit()
        self._done += 1

    def _pages(self, file: SourceFile, lane: Lane) -> Iterator[Callable[[], None]]:
        source = file.source
        known = self._known.get(source)
        self._waiting.discard(source)
        try:
            source.encode()
            self._open[source] = file
            state = self._new_state(file, known)
        except UnicodeEncodeError:
            shown = source.encode(errors="backslashreplace").decode()
            error = DocumentOpenError("its name is not UTF-8; rename it.", source=shown)
            self._unread.add(source)
            self._fail(shown, error)
            return
        except UnreadableFileError as error:
            self._unread.add(source)
            self._fail(source, error)
            self._release(source)
            return
        except DocumentOpenError as error:
            self._lose(source, error)
            return
        if state is None:
            self._release(source)
            return
        try:
            draft = Draft(
                source=source,
                path=file.path,
                file=state,
                replaces=known is not None,
                process_limits=self._process_limits,
                sink=self._index.stage_document(source),
            )
            yield from self._rendered(draft, lane)
        except PageError as error:
            self._lose(source, error)

    def _new_state(self, file: SourceFile, known: DocumentRecord | None) -> FileState | None:
        """The state of a file to index; None if it has not changed, and its document is kept."""
        with _reading(file.source):
            if known is not None and self._allows_more(known):
                return file.read_state()
            if known is not None and file.is_surely_unchanged(known.file):
                self._keep(known)
                return None
            state = file.read_state()
        if known is None or state.sha256 != known.file.sha256:
            return state
        self._index.update_file_state(known.source, state)
        self._keep(known)
        return None

    def _allows_more(self, known: DocumentRecord) -> bool:
        """Whether pages of a document exceeded lower limits than they have now."""
        now = self._process_limits
        return any(
            page.memory_mb
            and (
                now is None
                or now.memory_mb > page.memory_mb
                or now.page_timeout_s > page.page_timeout_s
            )
            for page in known.skipped
        )

    def _keep(self, known: DocumentRecord) -> None:
        self._report.unchanged.append(known.source)
        self._fail_skipped(known)

    def _fail_skipped(self, known: DocumentRecord) -> None:
        for page in known.skipped:
            error = PageError(page.reason, source=known.source, page_number=page.page_number)
            self._fail(known.source, error, page_number=page.page_number)
        for one in known.warnings:
            self._report.warnings.append(SyncWarning(known.source, one.page_number, one.message))

    def _rendered(self, draft: Draft, lane: Lane) -> Iterator[Callable[[], None]]:
        self._batches.begin(draft)
        pages = draft.render(
            self._budget,
            password=self._password,
            lane=lane,
            unfinished=self._index.unfinished,
        )
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
            self._commit()
            self._notify(draft.source)

    def _commit(self) -> None:
        for draft in self._batches.finished():
            for _, error in sorted(draft.errors.items()):
                self._fail(draft.source, error, page_number=error.page_number)
            if not draft.encoded:
                self._remove_if_known(draft.source)
                self._release(draft.source)
                continue
            draft.commit()
            self._release(draft.source)
            self._report.pages_kept += draft.pages_kept
            self._sha256[draft.source] = draft.file.sha256
            listed = self._report.changed if draft.replaces else self._report.added
            listed.append(draft.source)
            self._report.warnings += [
                SyncWarning(draft.source, page_number, message)
                for page_number, messages in sorted(draft.warnings.items())
                for message in messages
            ]

    def _lose(self, source: str, error: PageError) -> None:
        self._fail(source, error)
        self._release(source)
        # The index holds pages of a version of the file that does not exist any more.
        self._remove_if_known(source)

    def _release(self, source: str) -> None:
        file = self._open.pop(source, None)
        if file is not None:
            file.release()

    def _remove_if_known(self, source: str) -> None:
        if source in self._known:
            self._remove(source)

    def _remove(self, source: str) -> None:
        self._sha256.pop(source, None)
        if self._index.remove_document(source):
            self._report.removed.append(source)

    def _fail(self, source: str, error: PageError, *, page_number: int | None = None) -> None:
        self._report.failed.append(SyncFailure(source, page_number, without_frames(error)))

    def _notify(self, source: str) -> None:
        if self._on_progress is None:
            return
        batches = self._batches
        total = expected_pages(
            pages_opened=batches.pages_opened,
            documents_opened=batches.documents_opened,
            documents_waiting=len(self._waiting),
            pages_known=self._pages_known,
            documents_known=len(self._known),
        )
        self._on_progress(
            SyncProgress(
                documents_done=self._done,
                documents_total=self._total,
                pages_encoded=batches.pages_encoded,
                source=source,
                pages_done=batches.pages_done,
                pages_total=total,
            )
        )


def _workers(encoding: PageEncoding) -> int:
    if not encoding.leaves_cores:
        return 1  # the model needs the other cores
    return max(min(_MOST_WORKERS * encoding.windows_at_once, core_count() - 1), 1)


@contextmanager
def _reading(source: str) -> Generator[None]:
    """Report errors of the file system for this document's file as UnreadableFileError.

    A lack of open files or memory is not the file's fault; it ends the synchronisation.
    """
    try:
        yield
    except ResourceError:
        raise
    except OSError as error:
        refuse_shortage(error, source_name=source)
        reason = f"it cannot be read ({error.strerror or type(error).__name__})."
        raise UnreadableFileError(reason, source=source) from error
