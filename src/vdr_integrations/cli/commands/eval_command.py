"""``vdr eval``: how well questions with known pages are answered."""

from __future__ import annotations

import json
import sys
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vdr_integrations.cli.options.common_options import (
    DebugOption,
    DeviceOption,
    DtypeOption,
    PageMemoryOption,
    PageTimeoutOption,
    PasswordOption,
    WorkersOption,
    folders_in,
    password_in,
)
from vdr_integrations.cli.options.eval_settings import COMPARE_HELP, parse_change
from vdr_integrations.cli.terminal.clean_text import one_line
from vdr_integrations.cli.terminal.exits import ExitCode, reported, say_warning
from vdr_integrations.cli.terminal.output_files import STDOUT, check_output, write_output
from vdr_integrations.cli.terminal.progress_bars import indexing_progress, notice
from vdr_integrations.cli.terminal.sync_report_display import show_missing, show_troubles
from vdr_integrations.defaults import DEFAULT_DENSE_MODEL
from vdr_integrations.encoders import EncoderOptions
from vdr_integrations.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from vdr_integrations.cli.options.eval_settings import Change
    from vdr_integrations.cli.options.eval_systems import SystemMaker
    from vdr_integrations.evaluation import Evaluation, LeftOut, QuestionSet, SearchSystem
    from vdr_integrations.index import StoredPage
    from vdr_integrations.retrieval import PageSearcher

__all__ = ["eval_command"]


def eval_command(
    questions: Annotated[
        Path,
        typer.Argument(
            help="Questions with known pages: a file of JSON lines, a folder with questions.jsonl "
            "and documents/, a folder of the BEIR form, or PDFs with outlines."
        ),
    ],
    documents: Annotated[
        list[Path] | None,
        typer.Argument(
            help="PDFs, images, folders and globs to index. (default: those that come with the "
            "questions)"
        ),
    ] = None,
    *,
    index: Annotated[
        list[Path] | None,
        typer.Option(
            "--index",
            help="Measure this index as it is. Repeat it to compare several. Folders that are "
            "joined as in PATH are one index.",
        ),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            envvar="VDR_MODEL",
            help="Index the documents with this model: Hub id, folder, 'nano' or 'nano-colqwen2', "
            "or the address of vdr serve. Repeat it for several. With --index and no documents: "
            "the model of the index, if it has moved, or its server. "
            f"(default: {DEFAULT_DENSE_MODEL}, if there is no --index)",
        ),
    ] = None,
    compare: Annotated[list[str] | None, typer.Option("--compare", help=COMPARE_HELP)] = None,
    max_visual_tokens: Annotated[
        int | None,
        typer.Option(min=1, help="Pixel budget of a page for --model, in visual tokens."),
    ] = None,
    work: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Keep the indexes here, so that the next run encodes only what is new, and an "
            "interrupted run goes on. (default: a folder that is removed at the end)",
        ),
    ] = None,
    json_file: Annotated[
        Path | None,
        typer.Option("--json", metavar="FILE", help="Write all results; '-' prints only them."),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(
            "--html",
            help="Write a page of the questions that failed: the right page beside the page that "
            "was found first.",
        ),
    ] = None,
    failures: Annotated[
        int, typer.Option(min=1, help="Questions of a system on this page, the worst first.")
    ] = 20,
    password_env: PasswordOption = None,
    workers: WorkersOption = None,
    page_timeout: PageTimeoutOption = None,
    page_memory: PageMemoryOption = None,
    device: DeviceOption = None,
    dtype: DtypeOption = "auto",
    debug: DebugOption = False,
) -> None:
    """Measure how well questions with known pages are answered, beside BM25 over the text layers.

    Exit codes: 0 done, 1 error, 2 wrong usage, 3 some documents could not be indexed, or some
    questions were left out.
    """
    with reported(debug=debug), _told_what_is_kept(work), ExitStack() as stack:
        if json_file is not None:
            check_output(json_file, option="--json", suffix=".json")
        if html is not None:
            if html == STDOUT:
                raise OptionError("--html -: results go to stdout; name a file for the page.")
            check_output(html, option="--html", suffix=".html")
        changes = [parse_change(words) for words in compare or ()]
        password = password_in(password_env)
        from vdr_integrations.cli.options.eval_systems import SystemMaker
        from vdr_integrations.evaluation import read_questions
        from vdr_integrations.pages.process_limits import process_limits

        limits = process_limits(
            render_workers=workers, page_timeout_s=page_timeout, page_memory_mb=page_memory
        )
        read = read_questions(questions, password=password, on_warning=say_warning)
        models = list(model or ([] if index else [DEFAULT_DENSE_MODEL]))
        run = _Documents(
            documents or list(read.documents),
            password=password,
            workers=workers,
            page_timeout_s=page_timeout,
            page_memory_mb=page_memory,
        )
        of_indexes = None
        if index and models and not run.paths:
            of_indexes, models = _only(models), []
        if models:
            run.check(questions)
        if work is not None:
            work.mkdir(parents=True, exist_ok=True)
        folder = stack.enter_context(tempfile.TemporaryDirectory()) if work is None else work
        maker = SystemMaker(
            stack,
            Path(folder),
            EncoderOptions(
                model=of_indexes,
                max_visual_tokens=max_visual_tokens,
                device=device,
                dtype=dtype,
            ),
            {"password": password, "process_limits": limits},
            run.sync,
        )
        systems = _systems(maker, index or [], models, changes)
        found, left = _measured(read, systems)
        _show(found, left, systems, json_file)
        if html is not None:
            from vdr_integrations.cli.report.failure_report import write_failures

            write_failures(html, found, systems, limit=failures)
    if left or run.has_failed:
        raise typer.Exit(ExitCode.PARTIAL)


@contextmanager
def _told_what_is_kept(work: Path | None) -> Generator[None]:
    """Say after an interrupt whether the next run has to begin again."""
    try:
        yield
    except KeyboardInterrupt:
        kept = (
            "nothing kept; with --work FOLDER the next run goes on"
            if work is None
            else f"the indexes in {one_line(str(work))} are kept, run again to go on"
        )
        sys.stderr.write(f"stopped; {kept}\n")
        raise


def _only(models: Sequence[str]) -> str:
    """The model of all indexes.

    Raises:
        OptionError: There are several.
    """
    if len(models) > 1:
        raise OptionError(
            f"found {len(models)} models, and no documents that they could index; name one, to "
            f"search all --index with it, or name documents."
        )
    return models[0]


class _Documents:
    """The documents that models index.

    Attributes:
        paths: Files, folders and globs.
    """

    def __init__(self, paths: list[Path], **options: Any) -> None:  # noqa: ANN401  # of sync_index
        self.paths = paths
        self._options = options
        self.has_failed = False

    def check(self, questions: Path) -> None:
        """Refuse a run without documents before a model is loaded."""
        if not self.paths:
            raise OptionError(
                f"{questions} comes without documents; name them after it, put them into a folder "
                f"documents beside it, or name an index with --index."
            )
        missing = [path for path in self.paths if not path.exists() and "*" not in str(path)]
        if missing:
            raise OptionError(f"{missing[0]}: there is no such file or folder.")

    def sync(self, searcher: PageSearcher, *, name: str) -> None:
        """See ``eval_systems.Sync``."""
        from vdr_integrations.index import sync_index

        self._check_others(searcher)
        notice(f"Indexing with {name} ...")
        with indexing_progress() as on_progress:
            report = sync_index(
                searcher.index,
                searcher.page_encoder,
                self.paths,
                render_workers=self._options["workers"],
                password=self._options["password"],
                page_timeout_s=self._options["page_timeout_s"],
                page_memory_mb=self._options["page_memory_mb"],
                on_progress=on_progress,
            )
        show_troubles(report)
        show_missing(report)
        self.has_failed |= bool(report.failed or report.missing)

    def _check_others(self, searcher: PageSearcher) -> None:
        """Refuse an index of an earlier run over other documents: their pages would count."""
        from vdr_integrations.index.document_name import document_names
        from vdr_integrations.pages import find_documents

        there = searcher.index.documents(skip_altered=True)
        found = find_documents(self.paths, on_error=lambda _: None) if there else []
        names = {name for path in found for name in document_names(path)}
        # What is gone is the matter of sync_index.
        others = [one.source for one in there if one.source not in names]
        others = [source for source in others if Path(source).exists()]
        if others:
            raise OptionError(
                f"index {searcher.index.path} holds {len(others)} documents that are not named "
                f"now, such as {others[0]}; their pages would count among all pages. Name them "
                f"too, or give another folder with --work."
            )


def _systems(
    maker: SystemMaker, indexes: Sequence[Path], models: Sequence[str], changes: Sequence[Change]
) -> list[SearchSystem]:
    from vdr_integrations.cli.options.eval_systems import model_name

    systems: list[SearchSystem] = []
    named = _index_names(indexes)
    _check_names([*named, *map(model_name, models)])  # before anything is encoded
    for name, path in zip(named, indexes, strict=True):
        systems += maker.of_index(path, changes, name=name)
    for model in models:
        systems += maker.of_model(model, changes)
    names = [system.name for system in systems]
    _check_names(names)
    used = " ".join(names)
    for change in changes:
        if change.is_computed and change.words not in used:
            kind = "dense vectors" if change.dimension is not None else "token vectors"
            raise OptionError(
                f"--compare {change.words} is for {kind}, and no model or index has them; leave it "
                f"out, or add a model that makes them."
            )
    return systems


def _index_names(indexes: Sequence[Path]) -> list[str]:
    """The names of their folders, or their paths if two folders have one name."""
    short = ["+".join(one.resolve().name for one in folders_in(path)) for path in indexes]
    return [
        path.as_posix() if short.count(name) > 1 else name
        for path, name in zip(indexes, short, strict=True)
    ]


def _check_names(names: Sequence[str]) -> None:
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise OptionError(f"two systems are called {twice!r}; name each model and index once.")


def _measured(
    read: QuestionSet, systems: Sequence[SearchSystem]
) -> tuple[Evaluation, list[LeftOut]]:
    from vdr_integrations.evaluation import TextSystem, evaluate, match_documents

    pages = _counted(read, systems)
    asked, left = match_documents(read.questions, pages)
    if not asked:
        why = left[0].reason
        raise OptionError(
            f"none of the {len(left)} questions can be asked; the first one because {why}. Name "
            f"the documents as they are called in the index."
        )
    notice(f"Asking {len(asked)} questions ...")
    return evaluate(asked, [TextSystem(pages), *systems], pages), left


def _counted(read: QuestionSet, systems: Sequence[SearchSystem]) -> list[StoredPage]:
    """The pages that all systems search, without those before the first section."""
    each = [system.searcher.index.pages() for system in systems]
    keys = [{(page.source, page.page_number) for page in pages} for pages in each]
    common = set.intersection(*keys)
    for system, own in zip(systems, keys, strict=True):
        if len(own) > len(common):
            say_warning(
                f"{system.name} has {len(own) - len(common)} pages that another system does not "
                f"have; they do not count."
            )
    return [
        page
        for page in each[0]
        if (page.source, page.page_number) in common
        and page.page_number >= read.first_pages.get(page.source, 1)
    ]


def _show(
    found: Evaluation,
    left: Sequence[LeftOut],
    systems: Sequence[SearchSystem],
    json_file: Path | None,
) -> None:
    from vdr_integrations.cli.terminal.eval_display import as_json, left_out_lines, show_evaluation

    for line in left_out_lines(left):
        say_warning(line)
    if json_file is not None:
        details = {system.name: _facts(system) for system in systems}
        text = json.dumps(as_json(found, left, details), ensure_ascii=False, indent=1) + "\n"
        write_output(text.encode(), json_file)
    if json_file != STDOUT:
        show_evaluation(found)


def _facts(system: SearchSystem) -> dict[str, Any]:
    from vdr_integrations.cli.options.compression_option import compression_words

    index = system.searcher.index
    manifest = index.manifest
    return {
        "model": manifest.model,
        "dimension": manifest.dimension,
        "max_visual_tokens": manifest.max_visual_tokens,
        "late_interaction": index.late is not None,
        "compression": None if index.late is None else compression_words(index.compression),
    }
