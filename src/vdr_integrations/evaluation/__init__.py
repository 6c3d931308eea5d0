"""Measures retrieval on questions whose answering pages are known.

from pathlib import Path

from vdr_integrations import PageSearcher
from vdr_integrations.evaluation import (
    SearchSystem, TextSystem, evaluate, match_documents, read_questions,
)

with PageSearcher("my-index") as searcher:
    pages = searcher.index.pages()
    read = read_questions(Path("questions.jsonl"), on_warning=print)
    asked, left_out = match_documents(read.questions, pages)
    found = evaluate(asked, [TextSystem(pages), SearchSystem("mine", searcher)], pages)
    print(found.mean("mine", "within", "ndcg@5"))
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vdr_integrations.evaluation.asking import PLACES, Evaluation, evaluate
    from vdr_integrations.evaluation.derived_index import derive_index
    from vdr_integrations.evaluation.document_match import (
        AskableQuestion,
        LeftOut,
        match_documents,
    )
    from vdr_integrations.evaluation.intervals import Mean, mean_with_interval
    from vdr_integrations.evaluation.judged_question import JudgedQuestion, RelevantPage
    from vdr_integrations.evaluation.judged_ranking import RankedQuestion, Ranking
    from vdr_integrations.evaluation.measures import MEASURES, measures_of
    from vdr_integrations.evaluation.question_forms import QuestionSet, read_questions
    from vdr_integrations.evaluation.systems import SearchSystem, System, TextSystem
    from vdr_integrations.evaluation.text_baseline import text_ranking

__all__ = [
    "MEASURES",
    "PLACES",
    "AskableQuestion",
    "Evaluation",
    "JudgedQuestion",
    "LeftOut",
    "Mean",
    "QuestionSet",
    "RankedQuestion",
    "Ranking",
    "RelevantPage",
    "SearchSystem",
    "System",
    "TextSystem",
    "derive_index",
    "evaluate",
    "match_documents",
    "mean_with_interval",
    "measures_of",
    "read_questions",
    "text_ranking",
]

_HOMES = {
    "MEASURES": "measures",
    "PLACES": "asking",
    "AskableQuestion": "document_match",
    "Evaluation": "asking",
    "JudgedQuestion": "judged_question",
    "LeftOut": "document_match",
    "Mean": "intervals",
    "QuestionSet": "question_forms",
    "RankedQuestion": "judged_ranking",
    "Ranking": "judged_ranking",
    "RelevantPage": "judged_question",
    "SearchSystem": "systems",
    "System": "systems",
    "TextSystem": "systems",
    "derive_index": "derived_index",
    "evaluate": "asking",
    "match_documents": "document_match",
    "mean_with_interval": "intervals",
    "measures_of": "measures",
    "read_questions": "question_forms",
    "text_ranking": "text_baseline",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401  # PEP 562; the first use imports numpy
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)
