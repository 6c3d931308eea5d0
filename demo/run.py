"""Ask questions about the bundled PDFs in five ways, and show which pages are found.

    python demo/run.py

It runs offline and on the CPU, with the bundled checkpoints. Three ways use one vector a page
(``nano``): LlamaIndex, LangChain and the command line. Two use one vector a token
(``nano-colqwen2``), without and with the words of the question. It prints how often the right page
was found, and the goal. Exit code 1 means that a goal was missed, or that the first three ways
found different pages.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

# Before anything that reads it is imported: the demo needs no network.
os.environ["HF_HUB_OFFLINE"] = "1"

from rich.console import Console
from rich.table import Table
from rich.text import Text
from ways import (
    Found,
    ask_by_late_interaction,
    ask_hybrid,
    ask_langchain,
    ask_llama_index,
    ask_the_command_line,
)

DEMO = Path(__file__).resolve().parent
MODEL = "nano"
LATE_MODEL = "nano-colqwen2"
HITS = 3
DENSE_WAYS = 3
"""The first so many ways have one vector a page, and find the same pages."""
GOAL_AMONG_THREE = 0.9
GOALS_FIRST = {"late": 0.9, "hybrid": 0.9}
OTHER_GOAL_FIRST = 0.7

DOCUMENTS = (
    "library-report.en.pdf",
    "wine-report.it.pdf",
    "tramway-report.fr.pdf",
    "utility-report.de.pdf",
    "olive-report.es.pdf",
    "project-history-excerpt.en.pdf",
    "project-history-excerpt.it.pdf",
    "project-history-excerpt.fr.pdf",
    "project-history-excerpt.de.pdf",
    "project-history-excerpt.es.pdf",
)


@dataclass(frozen=True, slots=True)
class Question:
    """A question and the page that answers it."""

    language: str
    question: str
    source: str
    page_number: int

    def is_answered_by(self, found: Found) -> bool:
        """Whether this is the right page."""
        return (found.source, found.page_number) == (self.source, self.page_number)

    def rank_in(self, hits: list[Found]) -> int | None:
        """1 for the first hit; None if the right page is not among the hits."""
        ranks = (rank for rank, hit in enumerate(hits, start=1) if self.is_answered_by(hit))
        return next(ranks, None)


@dataclass(frozen=True, slots=True)
class Answers:
    """The hits of one way, in the order of the questions."""

    way: str
    hits: list[list[Found]]
    seconds: float


def main() -> int:
    """Run the demo; returns the exit code."""
    console = Console()
    questions = read_questions()
    paths = [DEMO / "documents" / name for name in DOCUMENTS]
    console.print(
        f"{len(paths)} PDFs, {len(questions)} questions, models {MODEL} and {LATE_MODEL}, on the "
        f"CPU."
    )
    answers = ask_all(paths, questions, console)
    console.print(hits_table(questions, answers))
    console.print(f"A number is the rank of the right page; - means not among the first {HITS}.")
    reached = [summarise(questions, given, console) for given in answers]
    agree = all(pages(given) == pages(answers[0]) for given in answers[:DENSE_WAYS])
    console.print(
        f"The first three ways, which all use {MODEL}, found the same pages in the same order."
        if agree
        else "[red]The first three ways did not find the same pages.[/red]"
    )
    return 0 if agree and all(reached) else 1


def read_questions() -> list[Question]:
    """The bundled questions about the documents that are indexed, in the order of these."""
    listed = json.loads((DEMO / "questions.json").read_text(encoding="utf-8"))
    asked = [Question(**entry) for entry in listed if entry["source"] in DOCUMENTS]
    return sorted(asked, key=lambda question: DOCUMENTS.index(question.source))


def ask_all(paths: list[Path], questions: list[Question], console: Console) -> list[Answers]:
    """The answers of all ways; each makes its own index of all documents, but for the last."""
    asked = [question.question for question in questions]
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        os.environ["VDR_PAGE_STORE"] = str(work / "pages")
        ways = {
            "LlamaIndex": lambda: ask_llama_index(paths, asked, model=MODEL, k=HITS),
            "LangChain": lambda: ask_langchain(paths, asked, model=MODEL, k=HITS),
            "vdr": lambda: ask_the_command_line(
                paths, asked, model=MODEL, k=HITS, index=work / "index"
            ),
            "late": lambda: ask_by_late_interaction(
                paths, asked, model=LATE_MODEL, k=HITS, index=work / "late"
            ),
            "hybrid": lambda: ask_hybrid(asked, k=HITS, index=work / "late"),
        }
        answers: list[Answers] = []
        for way, ask in ways.items():
            with console.status(f"Indexing and searching with {way} ..."):
                started = time.perf_counter()
                hits = ask()
            answers.append(Answers(way, hits, time.perf_counter() - started))
    return answers


def hits_table(questions: list[Question], answers: list[Answers]) -> Table:
    """Questions with their first hits, the right page marked, and its rank for each way."""
    table = Table("Question, and the first pages that were found", title="Hits", show_lines=True)
    for given in answers:
        table.add_column(given.way, justify="center")
    for number, question in enumerate(questions):
        found = Text(f"{question.question}\n", style="bold")
        for hit in answers[0].hits[number]:
            right = question.is_answered_by(hit)
            page = f"{Path(hit.source).stem} p. {hit.page_number}"
            found.append(
                f"{'✓' if right else ' '} {page}  {hit.score:.3f}\n",
                style="green" if right else "not bold",
            )
        found.rstrip()
        ranks = (question.rank_in(given.hits[number]) for given in answers)
        table.add_row(
            found,
            *(str(rank) if rank is not None else "-" for rank in ranks),
        )
    return table


def summarise(questions: list[Question], given: Answers, console: Console) -> bool:
    """Print how often the right page was found; return whether the goal is reached."""
    ranks = [question.rank_in(hits) for question, hits in zip(questions, given.hits, strict=True)]
    first = sum(rank == 1 for rank in ranks)
    among = sum(rank is not None for rank in ranks)
    total = len(questions)
    goal = GOALS_FIRST.get(given.way, OTHER_GOAL_FIRST)
    reached = first >= round(goal * total) and among >= GOAL_AMONG_THREE * total
    colour = "green" if reached else "red"
    console.print(
        f"[{colour}]{given.way}: the right page is first for {first} of {total} questions, "
        f"and among the first three for {among} of {total}[/{colour}] "
        f"({given.seconds:.1f} s; the goal is {goal:.0%} and {GOAL_AMONG_THREE:.0%})"
    )
    return reached


def pages(given: Answers) -> list[list[tuple[str, int]]]:
    """Sources and page numbers; scores may differ in the last digits."""
    return [[(hit.source, hit.page_number) for hit in hits] for hits in given.hits]


if __name__ == "__main__":
    sys.exit(main())
