"""A task in mteb's own format: the pages of the demo's reports, and the questions about them."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datasets import Dataset, Features, Image, Value
from datasets.exceptions import DatasetNotFoundError
from mteb.abstasks.retrieval import AbsTaskRetrieval
from mteb.abstasks.task_metadata import TaskMetadata

from vdr_integrations import PixelBudget, open_pdf

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

__all__ = [
    "LANGUAGES",
    "VISUAL_TOKENS",
    "ClosedPages",
    "ReportPages",
    "ReportPagesToRank",
    "ReportTexts",
    "candidates_of",
    "pages_of",
    "questions_of",
]

DEMO = Path(__file__).resolve().parents[2] / "demo"
LANGUAGES = {"en": ["eng-Latn"], "it": ["ita-Latn"]}
VISUAL_TOKENS = 256


def questions_of(language: str) -> dict[str, tuple[str, str]]:
    """Text and id of the right page of each question, by the question's id."""
    questions = json.loads((DEMO / "questions.json").read_text(encoding="utf-8"))
    return {
        f"question-{number}": (one["question"], f"{one['source']}#{one['page_number']}")
        for number, one in enumerate(questions)
        if one["language"] == language
    }


@cache
def pages_of(language: str) -> dict[str, Picture]:
    """Pictures of all pages in a language, by id."""
    found: dict[str, Picture] = {}
    budget = PixelBudget(max_visual_tokens=VISUAL_TOKENS)
    for path in sorted((DEMO / "documents").glob(f"*.{language}.pdf")):
        with open_pdf(path) as pages:
            for number, page in enumerate(pages, start=1):
                found[f"{path.name}#{number}"] = page.render(budget)
    return found


def candidates_of(language: str) -> dict[str, list[str]]:
    """Three pages for each question: the right one and two others."""
    pages = list(pages_of(language))
    return {
        name: [pages[(pages.index(right) + step) % len(pages)] for step in (0, 1, 2)]
        for name, (_, right) in questions_of(language).items()
    }


def _facts(name: str, *, category: str, modalities: list[str]) -> TaskMetadata:
    return TaskMetadata.model_validate(
        {
            "name": name,
            "description": "Pages of short reports and questions about them, in two languages.",
            "dataset": {"path": "local/report-pages", "revision": "1"},
            "type": "DocumentUnderstanding",
            "category": category,
            "modalities": modalities,
            "eval_splits": ["test"],
            "eval_langs": LANGUAGES,
            "main_score": "ndcg_at_5",
        }
    )


class ReportPages(AbsTaskRetrieval):
    """Which page answers a question about a report?"""

    metadata = _facts("ReportPages", category="t2i", modalities=["text", "image"])

    def load_data(self, num_proc: int | None = None, **kwargs: Any) -> None:
        """Build the dataset from files of the repository; nothing is downloaded."""
        self.dataset = {language: {"test": self.subset(language)} for language in self.hf_subsets}
        self.data_loaded = True

    @staticmethod
    def subset(language: str) -> Any:
        """Pages, questions, and which page answers which."""
        pages, questions = pages_of(language), questions_of(language)
        return {
            "corpus": Dataset.from_dict(
                {"id": list(pages), "image": list(pages.values())},
                features=Features({"id": Value("string"), "image": Image()}),
            ),
            "queries": Dataset.from_dict(
                {"id": list(questions), "text": [text for text, _ in questions.values()]}
            ),
            "relevant_docs": {name: {page: 1} for name, (_, page) in questions.items()},
            "top_ranked": None,
        }


class ReportPagesToRank(ReportPages):
    """Which of three pages answers a question?"""

    metadata = _facts("ReportPagesToRank", category="t2i", modalities=["text", "image"])

    @staticmethod
    def subset(language: str) -> Any:
        """The same with three candidates for each question."""
        found = ReportPages.subset(language)
        return {**found, "top_ranked": candidates_of(language)}

    @staticmethod
    def predictions_in(folder: Path) -> dict[str, dict[str, float]]:
        """Scores that mteb wrote, by question and page."""
        (file,) = folder.rglob("*.json")
        return json.loads(file.read_text(encoding="utf-8"))["en"]["test"]


class ReportTexts(ReportPages):
    """Which name of a page answers a question? Its documents are no images."""

    metadata = _facts("ReportTexts", category="t2t", modalities=["text"])

    @staticmethod
    def subset(language: str) -> Any:
        """The same with texts as documents."""
        names = list(pages_of(language))
        corpus = Dataset.from_dict({"id": names, "text": names})
        return {**ReportPages.subset(language), "corpus": corpus}


class ClosedPages(ReportPages):
    """A task whose data nobody may read, as two of ViDoRe v3."""

    metadata = _facts("ClosedPages", category="t2i", modalities=["text", "image"]).model_copy(
        update={"is_public": False}
    )

    @staticmethod
    def subset(language: str) -> Any:
        """Refused, as the hub does."""
        raise DatasetNotFoundError(f"{language} is closed")
