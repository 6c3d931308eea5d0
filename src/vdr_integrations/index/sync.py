"""Bring an index up to date with files and folders."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from vdr_integrations.errors import DocumentOpenError, OptionError, PageError
from vdr_integrations.index.batches import PageBatches
from vdr_integrations.index.draft import Draft
from vdr_integrations.index.file_state import read_file_state, surely_unchanged
from vdr_integrations.index.report import SyncFailure, SyncProgress, SyncReport
from vdr_integrations.index.sinks import sink_for
from vdr_integrations.pages import find_documents

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from vdr_integrations.encoders import DenseEncoder, MultiVectorEncoder
    from vdr_integrations.index.records import DocumentRecord
    from vdr_integrations.index.sinks import PageIndex

__all__ = ["sync_index"]


def sync_index(
    index: PageIndex,
    encoder: DenseEncoder | MultiVectorEncoder,
    paths: Iterable[str | Path],
    *,
    password: str | None = None,
    batch_pages: int = 32,
    on_progress: Callable[[SyncProgress], None] | None = None,
) -> SyncReport:
    """Index what is new or changed under ``paths``, and drop what is gone from there.

    Files that did not change are skipped: by size and modification time, or by their SHA-256
    where those do not tell. Documents that lie elsewhere stay. Each document is committed when
    its last page is encoded, so a run that was cut short is taken up by the next one. Memory
    holds ``batch_pages`` page images at a time.

    Args:
        index: A dense or late-interaction index; kept locked against other writers meanwhile.
        encoder: The one that made the index.
        paths: PDFs, images and folders, which are searched through.
        password: For encrypted PDFs.
        batch_pages: Pages handed to the encoder at once, at least 1.
        on_progress: Called after each document and each batch.

    Returns:
        What was done. Bad files and pages are in ``failed``; a changed document that cannot be
        read any more is dropped, because its old pages do not exist any more.

    Raises:
        IndexMismatchError: The index was made by another encoder, or with other settings.
        IndexLockedError: Another process is writing to the index.
        EncodingError: The encoder cannot go on; finished documents are in the index.
        MissingExtraError: A PDF was found and PyMuPDF is not installed.
    """
    if batch_pages < 1:
        raise OptionError(f"batch_pages must be at least 1, found {batch_pages}.")
    index.manifest.check(encoder, index_path=index.path)
    with index.writing():
        run = _Run(
            index,
            encoder,
            password=password,
            batch_pages=batch_pages,
            on_progress=on_progress,
        )
        return run.over([Path(path) for path in paths])


class _Run:
    """One call of :func:`sync_index`."""

    def __init__(
        self,
        index: PageIndex,
        encoder: DenseEncoder | MultiVectorEncoder,
        *,
        password: str | None,
        batch_pages: int,
        on_progress: Callable[[SyncProgress], None] | None,
    ) -> None:
        self._index = index
        self._budget = encoder.pixel_budget
        self._password = password
        self._on_progress = on_progress
        self._batches = PageBatches(encoder, batch_pages=batch_pages)
        self._report = SyncReport()
        self._known = {document.source: document for document in index.documents()}
        self._done = 0
        self._total = 0

    def over(self, paths: list[Path]) -> SyncReport:
        self._drop_gone(paths)
        found = self._find(paths)
        self._total = len(found)
        try:
            for path in found:
                self._notify(path.as_posix())
                self._take(path)
                self._commit()
                self._done += 1
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

    def _take(self, path: Path) -> None:
        source = path.as_posix()
        known = self._known.get(source)
        try:
            source.encode()
            if known is not None and self._is_unchanged(path, known):
                self._keep(known)
                return
            draft = Draft(
                source=source,
                path=path,
                file=read_file_state(path),
                replaces=known is not None,
                sink=sink_for(self._index, source),
            )
            self._render(draft)
        except UnicodeEncodeError:
            shown = source.encode(errors="backslashreplace").decode()
            error = DocumentOpenError("its name is not UTF-8; rename it.", source=shown)
            self._fail(shown, error)
        except OSError as error:
            reason = f"it cannot be read ({error.strerror or type(error).__name__})."
            self._lose(source, DocumentOpenError(reason, source=source))
        except PageError as error:
            self._lose(source, error)

    def _is_unchanged(self, path: Path, known: DocumentRecord) -> bool:
        if surely_unchanged(path, known.file):
            return True
        state = read_file_state(path)
        if state.sha256 != known.file.sha256:
            return False
        self._index.update_file_state(known.source, state)
        return True

    def _keep(self, known: DocumentRecord) -> None:
        self._report.unchanged.append(known.source)
        for page in known.skipped:
            error = PageError(page.reason, source=known.source, page_number=page.page_number)
            self._fail(known.source, error, page_number=page.page_number)

    def _render(self, draft: Draft) -> None:
        self._batches.begin(draft)
        try:
            for page_number, image in draft.render(self._budget, password=self._password):
                self._batches.add(draft, page_number, image)
                self._notify(draft.source)
        except (PageError, OSError):
            self._batches.withdraw(draft)
            raise

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
