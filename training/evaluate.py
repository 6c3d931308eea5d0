"""Retrieval on PDFs with an outline: ``python -m training.evaluate CHECKPOINT PDF...``.

A query is a section's title without its number, the relevant page is the one that the outline
points to, and pages before the first section (cover, contents) are left out. BM25 over the text
layer, which the checkpoint never sees, is the reference.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import NamedTuple

import bm25s
import numpy as np
import torch

from training.lexicon import split_words
from vdr_integrations import open_pdf
from vdr_integrations.evaluation import MEASURES, read_questions
from vdr_integrations.evaluation.judged_ranking import Ranking


class Sections(NamedTuple):
    """A document as a test set."""

    first: int  # index of the first page that counts
    titles: list[str]
    pages: list[int]  # index from ``first`` of each title's page
    texts: list[str]  # text layer of the pages from ``first``


def read_sections(path: Path) -> Sections:
    """Titles of a PDF's outline with their pages."""
    made = read_questions(path, on_warning=print)
    (first,) = (number - 1 for number in made.first_pages.values())
    with open_pdf(path) as document:
        texts = [page.text for page in document[first:]]
    titles = [question.text for question in made.questions]
    pages = [question.relevant[0].page_number - 1 - first for question in made.questions]
    return Sections(first, titles, pages, texts)


def bm25(queries: list[str], texts: list[str]) -> np.ndarray:
    """Scores (queries, texts) of BM25 over folded words."""
    index = bm25s.BM25(method="lucene", k1=1.5, b=0.75)
    index.index([split_words(text) for text in texts], show_progress=False)
    return np.stack([index.get_scores(split_words(query)) for query in queries])


def figures(scores: np.ndarray, relevant: list[int]) -> tuple[float, float]:
    """NDCG@5 and hit@1 with one relevant page a query; equal scores share their ranks."""
    found = []
    for row, page in zip(scores, relevant, strict=True):
        order = np.argsort(-row, kind="stable")
        ranking = Ranking([("", int(at)) for at in order], row[order].astype(np.float32))
        found.append(ranking.judged({("", page): 1}).measures)
    means = np.mean(found, 0)
    return float(means[MEASURES.index("ndcg@5")]), float(means[MEASURES.index("hit@1")])


def dense_scores(queries: np.ndarray, pages: np.ndarray, size: int) -> np.ndarray:
    """Cosines (queries, pages) of the first ``size`` components, up to a factor a query."""
    cut = pages[:, :size] / np.linalg.norm(pages[:, :size], axis=1, keepdims=True)
    return queries[:, :size] @ cut.T


def main() -> None:
    """Print one line per document."""
    from vdr_integrations import DenseEncoder, MultiVectorEncoder
    from vdr_integrations.encoders import KNOWN_CHECKPOINTS
    from vdr_integrations.index import maxsim_scores

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=str)
    parser.add_argument("pdfs", type=Path, nargs="+")
    parser.add_argument("--late", type=str, help="folder of the ColQwen2 format")
    parser.add_argument("--share", type=float, nargs="*", default=[1.0, 1 / 3])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--dtype", default="float32", help="the same figures on every CPU")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    known, dtype = KNOWN_CHECKPOINTS, arguments.dtype
    encoder = DenseEncoder.load(arguments.checkpoint, checkpoint=known["nano"], dtype=dtype)
    late = None
    if arguments.late:
        late = MultiVectorEncoder.load(
            arguments.late, checkpoint=known["nano-colqwen2"], dtype=dtype
        )
    lines = []
    for path in arguments.pdfs:
        sections = read_sections(path)
        scores = {}
        with open_pdf(path) as document:
            counted = document[sections.first :]
            began = time.perf_counter()
            pages = encoder.encode_pages(counted)
            speed = len(pages) / (time.perf_counter() - began)
            queries = encoder.encode_queries(sections.titles)
            for share in arguments.share:
                size = round(share * encoder.dimension)
                scores[f"dense {size}"] = dense_scores(queries, pages, size)
            if late is not None:
                matrices = late.encode_pages(counted)
                asked = late.encode_queries(sections.titles)
                scores["late"] = np.stack([maxsim_scores(query, matrices) for query in asked])
        scores["bm25"] = bm25(sections.titles, sections.texts)
        found = {name: figures(of, sections.pages) for name, of in scores.items()}
        shown = [f"{name} {ndcg:.3f} {hit:.3f}" for name, (ndcg, hit) in found.items()]
        print(
            f"{path.name}: {len(pages)} pages, {len(queries)} queries, {speed:.1f} pages/s;",
            "; ".join(shown),
            flush=True,
        )
        lines.append([*found.values()])
    print("mean NDCG@5 and hit@1:", np.mean(lines, 0).round(3).tolist())


if __name__ == "__main__":
    main()
