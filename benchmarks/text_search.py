"""Searches of text layers: time of a question, bytes of a page, cost of writing.

    python -m benchmarks.text_search

Pages have 300 words of a vocabulary of 60,000, the n-th of which is 1/n as frequent as the first.
A question has 12 of them. Times are CPU times. With `--documents FOLDER`, the cost of
counting words is compared with a whole indexing run of these documents with `nano`.
"""

from __future__ import annotations

import argparse
import platform
import resource
import sqlite3
import statistics
import tempfile
import time
from contextlib import closing
from pathlib import Path

import numpy as np

from benchmarks.timing import cpu_s_of_all
from vdr_integrations import load_encoder
from vdr_integrations.index import DenseIndex, DocumentRecord, PageRecord, open_index, sync_index
from vdr_integrations.index.manifest import Manifest
from vdr_integrations.index.records import NO_FILE
from vdr_integrations.index.scoring.words import count_words

VOCABULARY = 60_000
WORDS = 300
ASKED = 12
PAGES_A_DOCUMENT = 100
MANIFEST = Manifest("f" * 64, "some/dense", None, 1536, 768)


def texts(count: int, words: int, *, seed: int) -> list[str]:
    """Random texts; frequencies of words fall as their rank rises."""
    chances = 1 / np.arange(1, VOCABULARY + 1)
    found = np.random.default_rng(seed).choice(
        VOCABULARY, size=(count, words), p=chances / chances.sum()
    )
    return [" ".join(f"word{number}" for number in row) for row in found]


def write(folder: Path, pages: list[str]) -> float:
    """Write all pages into a new index; returns CPU seconds."""
    vector = np.eye(1, MANIFEST.dimension, dtype=np.float32)
    began = time.process_time()
    with DenseIndex.create(folder, manifest=MANIFEST) as index:
        for start in range(0, len(pages), PAGES_A_DOCUMENT):
            some = pages[start : start + PAGES_A_DOCUMENT]
            records = [
                PageRecord(number, str(number), f"vdr-page:{number:064d}", text=text)
                for number, text in enumerate(some, start=1)
            ]
            document = DocumentRecord(f"{start}.pdf", NO_FILE, len(some))
            index.add_document(document, records, np.repeat(vector, len(some), axis=0))
    return time.process_time() - began


def counting_ms(pages: list[str]) -> float:
    """CPU time of counting the words of a page."""
    began = time.process_time()
    for text in pages:
        count_words(text)
    return 1000 * (time.process_time() - began) / len(pages)


def beside_encoding(documents: Path) -> None:
    """Print the share of counting words in an indexing run."""
    encoder = load_encoder("nano", device="cpu")
    with (
        tempfile.TemporaryDirectory() as place,
        DenseIndex.create(Path(place) / "index", encoder=encoder) as index,
    ):
        began = cpu_s_of_all()
        sync_index(index, encoder, [documents])
        run_ms = 1000 * (cpu_s_of_all() - began) / index.count_pages()
        ours_ms = counting_ms([page.text for page in index.pages()])
    print(
        f"indexing {documents.name} with nano: {run_ms:.0f} ms CPU a page, of which counting words "
        f"{ours_ms:.2f} ms ({100 * ours_ms / run_ms:.2f} %)"
    )


def memory_mib() -> float:
    """Largest memory of this process until now."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def ask(folder: Path, questions: list[str]) -> None:
    """Print the CPU time of opening, of the first question and of the others."""
    before, began = memory_mib(), time.process_time()
    with open_index(folder) as index:
        print(f"opening: {1000 * (time.process_time() - began):.0f} ms CPU")
        took: list[float] = []
        for question in questions:
            began = time.process_time()
            assert index.search_text(question)  # noqa: S101  # a run without hits measures nothing
            took.append(1000 * (time.process_time() - began))
            if len(took) == 1:
                print(
                    f"first question: {took[0]:.0f} ms CPU, peak memory "
                    f"+{memory_mib() - before:.0f} MiB"
                )
        print(
            f"others: median {statistics.median(took[1:]):.1f} ms CPU, "
            f"largest {max(took[1:]):.1f} ms"
        )


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=10_000)
    parser.add_argument("--questions", type=int, default=100)
    parser.add_argument("--documents", type=Path, help="index this folder with nano, too")
    arguments = parser.parse_args()
    print(f"Python {platform.python_version()}, numpy {np.__version__}, {platform.machine()}")
    pages = texts(arguments.pages, WORDS, seed=0)
    print(f"counting words: {counting_ms(pages):.2f} ms CPU a page")
    if arguments.documents:
        beside_encoding(arguments.documents)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "index"
        seconds = write(folder, pages)
        print(f"writing pages, words included: {1000 * seconds / len(pages):.2f} ms CPU a page")
        with closing(sqlite3.connect(folder / "index.sqlite3")) as connection:
            ((words, text),) = connection.execute(
                "SELECT avg(length(words)), avg(length(CAST(content AS BLOB))) "
                "FROM words JOIN pages USING (row)"
            )
        print(f"{words:.0f} bytes of words a page, beside {text:.0f} bytes of its record with text")
        ask(folder, texts(arguments.questions, ASKED, seed=1))


if __name__ == "__main__":
    main()
