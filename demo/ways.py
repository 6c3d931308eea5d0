"""Ways to search: LlamaIndex, LangChain, and the command line with three kinds of search."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "Found",
    "ask_by_late_interaction",
    "ask_hybrid",
    "ask_langchain",
    "ask_llama_index",
    "ask_the_command_line",
]


@dataclass(frozen=True, slots=True)
class Found:
    """A page that was found, and how well it matches."""

    source: str
    page_number: int
    score: float


def ask_llama_index(
    paths: Sequence[Path], questions: Sequence[str], *, model: str, k: int
) -> list[list[Found]]:
    """A stock VectorStoreIndex over page nodes."""
    from llama_index.core import VectorStoreIndex

    from vdr_integrations.llama_index import PDFPageNodeParser, PDFPageReader, VDREmbedding

    reader = PDFPageReader()
    index = VectorStoreIndex.from_documents(
        [page for path in paths for page in reader.load_data(path)],
        transformations=[PDFPageNodeParser()],
        embed_model=VDREmbedding(model_name=model, device="cpu"),
    )
    retriever = index.as_retriever(similarity_top_k=k)
    return [
        [
            Found(
                source=hit.metadata["file_name"],
                page_number=hit.metadata["page_number"],
                score=float(hit.score or 0.0),
            )
            for hit in retriever.retrieve(question)
        ]
        for question in questions
    ]


def ask_langchain(
    paths: Sequence[Path], questions: Sequence[str], *, model: str, k: int
) -> list[list[Found]]:
    """A stock InMemoryVectorStore over page documents."""
    from langchain_core.vectorstores import InMemoryVectorStore

    from vdr_integrations.langchain import PDFPageLoader, VDREmbeddings

    store = InMemoryVectorStore(VDREmbeddings(model=model, device="cpu"))
    store.add_documents(PDFPageLoader(list(paths)).load())
    return [
        [
            Found(
                source=Path(page.metadata["source"]).name,
                page_number=page.metadata["page_number"],
                score=float(score),
            )
            for page, score in store.similarity_search_with_score(question, k=k)
        ]
        for question in questions
    ]


def ask_the_command_line(
    paths: Sequence[Path], questions: Sequence[str], *, model: str, k: int, index: Path
) -> list[list[Found]]:
    """``vdr index`` and ``vdr search``, each in its own process."""
    _vdr("index", *map(str, paths), *_on(index), "--model", model)
    return _searched(questions, index, k=k)


def ask_by_late_interaction(
    paths: Sequence[Path], questions: Sequence[str], *, model: str, k: int, index: Path
) -> list[list[Found]]:
    """The same with one vector a token."""
    _vdr("index", *map(str, paths), *_on(index), "--late-interaction", "--model", model)
    return _searched(questions, index, k=k)


def ask_hybrid(questions: Sequence[str], *, k: int, index: Path) -> list[list[Found]]:
    """An index that is there, and the words of the questions beside its vectors."""
    return _searched(questions, index, "--hybrid", k=k)


def _on(index: Path) -> tuple[str, ...]:
    return ("--index", str(index), "--device", "cpu")


def _searched(questions: Sequence[str], index: Path, *options: str, k: int) -> list[list[Found]]:
    asked = "\n".join(questions)
    found = _vdr("search", "-", *_on(index), *options, "-k", str(k), "--json", asked=asked)
    return [
        [
            Found(
                source=Path(hit["source"]).name,
                page_number=hit["page_number"],
                score=hit["score"],
            )
            for hit in json.loads(line)
        ]
        for line in found.splitlines()
    ]


def _vdr(*arguments: str, asked: str = "") -> str:
    command = [sys.executable, "-m", "vdr_integrations", *arguments]
    done = subprocess.run(  # noqa: S603  # our own command with our own arguments
        command, input=asked, stdout=subprocess.PIPE, encoding="utf-8", check=True
    )
    return done.stdout
