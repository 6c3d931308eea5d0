"""Retrieval on PDFs with an outline: ``python -m training.evaluate CHECKPOINT PDF...``.

A query is a section's title without its number, the relevant page is the one that the outline
points to, and pages before the first section (cover, contents) are left out. BM25 over the text
layer, which the checkpoint never sees, is the reference.
"""

from __future__ import annotations

import argparse
import math
import re
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pymupdf

from training.lexicon import split_words
from training.prompts import DOCUMENT_PROMPT, QUERY_PROMPT

NUMBERING = re.compile(r"^(?:[A-Z]|\d+)?[\d.]*\s+")
DEPTH = 5


class Sections(NamedTuple):
    """A document as a test set."""

    first: int  # index of the first page that counts
    titles: list[str]
    pages: list[int]  # index from ``first`` of each title's page
    texts: list[str]  # text layer of the pages from ``first``


def read_sections(path: Path) -> Sections:
    """Titles of a PDF's outline with their pages."""
    with pymupdf.open(path) as document:
        outline = [(title, page - 1) for _, title, page in document.get_toc() if page > 0]
        if not outline:
            raise ValueError(f"{path.name} has no outline")
        first = min(page for _, page in outline)
        texts = [document[i].get_text() for i in range(first, len(document))]
    titles = [NUMBERING.sub("", title) for title, _ in outline]
    return Sections(first, titles, [page - first for _, page in outline], texts)


def bm25(queries: list[str], texts: list[str], k: float = 1.5, b: float = 0.75) -> np.ndarray:
    """Scores (queries, texts) of BM25 over folded words."""
    bags = [Counter(split_words(text)) for text in texts]
    lengths = np.array([bag.total() for bag in bags])
    norm = k * (1 - b + b * lengths / lengths.mean())
    frequency = Counter(word for bag in bags for word in bag)
    scores = np.zeros((len(queries), len(texts)))
    for i, query in enumerate(queries):
        for word in split_words(query):
            count = np.array([bag[word] for bag in bags])
            seen = frequency[word]
            rarity = math.log(1 + (len(texts) - seen + 0.5) / (seen + 0.5))
            scores[i] += rarity * count * (k + 1) / (count + norm)
    return scores


def figures(scores: np.ndarray, relevant: list[int]) -> tuple[float, float]:
    """NDCG@5 and hit@1 with one relevant page a query; equal scores share their ranks."""
    gains, hits = [], []
    for row, page in zip(scores, relevant, strict=True):
        above = int((row > row[page]).sum())
        ties = int((row == row[page]).sum())
        ranks = range(above, above + ties)
        gains.append(np.mean([1 / math.log2(r + 2) if r < DEPTH else 0.0 for r in ranks]))
        hits.append(float(above == 0) / ties)
    return float(np.mean(gains)), float(np.mean(hits))


def main() -> None:
    """Print one line per document."""
    from vdr_integrations import load_encoder, open_pdf
    from vdr_integrations.encoders import Checkpoint

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=str)
    parser.add_argument("pdfs", type=Path, nargs="+")
    parser.add_argument("--share", type=float, nargs="*", default=[1.0, 2 / 3, 1 / 3])
    arguments = parser.parse_args()
    described = Checkpoint(
        model=arguments.checkpoint,
        page_prompt=DOCUMENT_PROMPT,
        query_prompt=QUERY_PROMPT.replace("%s", "{query}"),
    )
    encoder = load_encoder(arguments.checkpoint, checkpoint=described)
    lines = []
    for path in arguments.pdfs:
        sections = read_sections(path)
        began = time.perf_counter()
        with open_pdf(path) as document:
            pages = encoder.encode_pages(document[sections.first :])
        seconds = time.perf_counter() - began
        queries = encoder.encode_queries(sections.titles)
        line = [f"{path.name}: {len(pages)} pages, {len(queries)} queries,"]
        line.append(f"{len(pages) / seconds:.1f} pages/s;")
        values = []
        for share in arguments.share:
            size = round(share * encoder.dimension)
            cut = pages[:, :size] / np.linalg.norm(pages[:, :size], axis=1, keepdims=True)
            values += figures(queries[:, :size] @ cut.T, sections.pages)
            line.append(f"dense {size}: ndcg@5 {values[-2]:.3f} hit@1 {values[-1]:.3f};")
        values += figures(bm25(sections.titles, sections.texts), sections.pages)
        line.append(f"bm25: ndcg@5 {values[-2]:.3f} hit@1 {values[-1]:.3f}")
        print(*line, flush=True)
        lines.append(values)
    print("mean", " ".join(f"{v:.3f}" for v in np.mean(lines, 0)))


if __name__ == "__main__":
    main()
