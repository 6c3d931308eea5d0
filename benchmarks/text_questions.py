"""BM25 on real questions: which pages its statistics should be about.

    python -m benchmarks.text_questions

Reads `../shared/questions` (153 questions on 620 pages of 22 documents, 7 of them scans), and says
so if that folder is absent. NDCG@5: binary relevance, the ideal over min(5, number of right pages);
pages with equal scores share the gains of their ranks.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pymupdf

from vdr_integrations.index.scoring.bm25 import K1, B
from vdr_integrations.index.scoring.words import words_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

QUESTIONS = Path(__file__).resolve().parent.parent.parent / "shared" / "questions"
DEPTH = 5


class Pages:
    """All pages of the documents, and their words."""

    def __init__(self, folder: Path) -> None:
        """Read the PDFs of a folder."""
        names: list[str] = []
        self.counts: list[Counter[str]] = []
        self.places: dict[tuple[str, int], int] = {}
        for path in sorted(folder.glob("*.pdf")):
            with pymupdf.open(path) as document:
                for page in document:
                    self.places[path.name, (page.number or 0) + 1] = len(names)
                    names.append(path.name)
                    self.counts.append(Counter(words_of(str(page.get_text()))))
        self.documents = np.array(names)
        self.lengths = np.array([counts.total() for counts in self.counts])

    def scores(self, question: str, counted: NDArray[np.bool_]) -> NDArray[np.float64]:
        """BM25 of all pages, with the statistics of the counted ones."""
        total = int(counted.sum())
        mean = float(self.lengths[counted].mean()) if total else 1.0
        scores = np.zeros(len(self.counts))
        for word in words_of(question):
            times = np.array([counts[word] for counts in self.counts])
            having = int((times[counted] > 0).sum())
            idf = math.log1p((total - having + 0.5) / (having + 0.5))
            damping = K1 * (1 - B + B * self.lengths / (mean or 1.0))
            scores += idf * times * (K1 + 1) / np.maximum(times + damping, 1e-9)
        return scores


def ndcg(scores: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    """NDCG@5 of pages with these scores."""
    gains = np.zeros(max(len(scores), DEPTH))
    gains[:DEPTH] = 1 / np.log2(np.arange(DEPTH) + 2)
    found = 0.0
    for score in set(scores[right].tolist()):
        first, equal = int((scores > score).sum()), scores == score
        shared = gains[first : first + int(equal.sum())].mean()
        found += shared * int((equal & right).sum())
    return found / float(gains[: min(DEPTH, int(right.sum()))].sum())


def main() -> None:
    """Run."""
    if not QUESTIONS.is_dir():
        print(f"skipped: there is no folder {QUESTIONS.name} beside the repository")
        return
    pymupdf.TOOLS.mupdf_display_errors(False)
    pages = Pages(QUESTIONS / "documents")
    lines = (QUESTIONS / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    found: dict[tuple[str, str], list[float]] = {}
    for question in map(json.loads, lines):
        within = pages.documents == question["document"]
        right = np.zeros(len(within), np.bool_)
        right[[pages.places[question["document"], number] for number in question["pages"]]] = True
        everything = np.ones(len(within), np.bool_)
        for name, counted in (
            ("pages with text of the index", pages.lengths > 0),
            ("all pages of the index", everything),
            ("pages with text of the document", within & (pages.lengths > 0)),
        ):
            scores = pages.scores(question["question"], counted)
            for where, searched in (("within its document", within), ("everywhere", everything)):
                one = ndcg(scores[searched], right[searched])
                found.setdefault((name, where), []).append(one)
    for (name, where), values in found.items():
        print(f"statistics of {name}, searched {where}: NDCG@5 {np.mean(values):.3f}")


if __name__ == "__main__":
    main()
