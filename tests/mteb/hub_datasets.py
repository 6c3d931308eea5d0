"""Folders that look like data sets of the hub, so that mteb's own tasks load them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import mteb
from datasets import Dataset
from tests.mteb.report_pages import pages_of, questions_of

if TYPE_CHECKING:
    from pathlib import Path

    from mteb.abstasks import AbsTask

__all__ = ["multilingual_test", "vidore_v1", "vidore_v3"]

_CARD = "---\nconfigs:\n{}---\n"
_CONFIG = "- config_name: {0}\n  data_files:\n  - split: {1}\n    path: {0}/*.parquet\n"


def multilingual_test(folder: Path) -> AbsTask:
    """VDRMultilingualRetrieval over a folder like ``llamaindex/vdr-multilingual-test``.

    A row is a page; those in the way of others have no question.
    """
    asked = {page: text for text, page in questions_of("en").values()}
    pages = pages_of("en")
    rows = {
        "id": list(pages),
        "query": [asked.get(page) for page in pages],
        "image": list(pages.values()),
    }
    _write(folder, {"en": Dataset.from_dict(rows)}, split="train")
    task = _task_over(folder, "VDRMultilingualRetrieval")
    task.filter_languages(["eng"])
    return task


def vidore_v1(folder: Path) -> AbsTask:
    """VidoreArxivQARetrieval over a folder like those of ViDoRe: pages, questions, judgements."""
    pages, questions = pages_of("en"), questions_of("en")
    ids = {name: number for number, name in enumerate([*pages, *questions])}
    tables = {
        "corpus": {"corpus-id": [ids[one] for one in pages], "image": list(pages.values())},
        "queries": {
            "query-id": [ids[one] for one in questions],
            "query": [text for text, _ in questions.values()],
        },
        "qrels": {
            "query-id": [ids[one] for one in questions],
            "corpus-id": [ids[page] for _, page in questions.values()],
            "score": [1] * len(questions),
        },
    }
    _write(folder, {name: Dataset.from_dict(rows) for name, rows in tables.items()}, split="test")
    return _task_over(folder, "VidoreArxivQARetrieval")


def vidore_v3(folder: Path) -> AbsTask:
    """Vidore3HrRetrieval over a folder like those of ViDoRe v3: tables for each language."""
    pages, questions = pages_of("en"), questions_of("en")
    tables = {
        "english-corpus": {"id": list(pages), "image": list(pages.values())},
        "english-queries": {
            "id": list(questions),
            "text": [text for text, _ in questions.values()],
        },
        "english-qrels": {
            "query-id": list(questions),
            "corpus-id": [page for _, page in questions.values()],
            "score": [1] * len(questions),
        },
    }
    _write(folder, {name: Dataset.from_dict(rows) for name, rows in tables.items()}, split="test")
    task = _task_over(folder, "Vidore3HrRetrieval")
    task.filter_languages(["eng"])
    return task


def _write(folder: Path, tables: dict[str, Dataset], *, split: str) -> None:
    for name, table in tables.items():
        (folder / name).mkdir(parents=True)
        table.to_parquet(folder / name / "rows.parquet")
    configs = "".join(_CONFIG.format(name, split) for name in tables)
    (folder / "README.md").write_text(_CARD.format(configs), encoding="utf-8")


def _task_over(folder: Path, name: str) -> AbsTask:
    """The task of mteb, with the folder in the place of the hub's repository."""
    kind = type(mteb.get_task(name))
    place = {**kind.metadata.dataset, "path": str(folder)}
    local = type(name, (kind,), {"metadata": kind.metadata.model_copy(update={"dataset": place})})
    return local()
