"""What compression of a late-interaction index costs: bytes per page and NDCG@5, on real pages.

    python -m benchmarks.compression MANUAL.pdf MANUAL.pdf ...

A query is the title of a section of a PDF with an outline. The right page is the one that the
outline points to, among the pages of its own manual (see `training.evaluate`). Pages are encoded
once. Then each compression stores them in its own index, and `search` with its defaults answers all
questions. "kB a page" is the size of the whole folder. The last line scores the vectors by MaxSim
without an index.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from training.evaluate import Sections, figures, read_sections

from benchmarks.timing import machine
from vdr_integrations import MultiVectorEncoder, open_pdf
from vdr_integrations.index import (
    Compression,
    DocumentRecord,
    FileState,
    LateInteractionIndex,
    Manifest,
    PageRecord,
    maxsim_scores,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from vdr_integrations.types import PatchGrid

_COMPRESSIONS = (
    Compression(vectors="float32"),
    Compression(),
    Compression(token_pooling=2),
    Compression(token_pooling=3),
    Compression(vectors="int8"),
    Compression(vectors="int8", token_pooling=2),
    Compression(vectors="int8", token_pooling=3),
)


class Manual(NamedTuple):
    """A manual, encoded."""

    name: str
    sections: Sections
    pages: list[NDArray[np.float32]]
    grids: list[PatchGrid]
    queries: list[NDArray[np.float32]]


def main() -> None:
    """Encode once, store and ask once for each compression."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("manuals", type=Path, nargs="+")
    parser.add_argument("--model", default="nano-colqwen2")
    parser.add_argument("--dtype", default="float32", help="the same figures on every CPU")
    options = parser.parse_args()
    print(machine())
    encoder = MultiVectorEncoder.load(options.model, dtype=options.dtype)
    manuals = [_encoded(encoder, path) for path in options.manuals]
    count = sum(len(manual.pages) for manual in manuals)
    asked = sum(len(manual.queries) for manual in manuals)
    print(f"{options.model}: {len(manuals)} manuals, {count} pages, {asked} questions")
    for compression in _COMPRESSIONS:
        _measure(compression, Manifest.of(encoder), manuals)
    plain = [
        figures(
            np.stack([maxsim_scores(query, manual.pages) for query in manual.queries]),
            manual.sections.pages,
        )
        for manual in manuals
    ]
    _say("no index, float32", plain, "")


def _encoded(encoder: MultiVectorEncoder, path: Path) -> Manual:
    sections = read_sections(path)
    with open_pdf(path) as document:
        images = [page.to_image(encoder.pixel_budget) for page in document[sections.first :]]
    return Manual(
        str(path),
        sections,
        encoder.encode_pages(images),
        [encoder.page_layout(image.height, image.width) for image in images],
        encoder.encode_queries(sections.titles),
    )


def _measure(compression: Compression, manifest: Manifest, manuals: Sequence[Manual]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "index"
        with LateInteractionIndex.create(path, manifest=manifest, compression=compression) as index:
            for manual in manuals:
                records = [
                    PageRecord(n, str(n), f"vdr-page:{n:064d}", grid=grid)
                    for n, grid in enumerate(manual.grids, 1)
                ]
                record = DocumentRecord(manual.name, FileState("0" * 64, 1, 2, 3), len(records))
                index.add_document(record, records, manual.pages)
            found = [_ask(index, manual) for manual in manuals]
            size = sum(file.stat().st_size for file in path.iterdir()) / index.count_pages()
    name = f"{compression.vectors}, pooling {compression.token_pooling}"
    _say(name, found, f"{size / 1000:6.1f} kB a page")


def _ask(index: LateInteractionIndex, manual: Manual) -> tuple[float, float]:
    scores = np.full((len(manual.queries), len(manual.pages)), -np.inf)
    for row, query in enumerate(manual.queries):
        for hit in index.search(query, k=5, filter={"source": manual.name}):
            scores[row, hit.page_number - 1] = hit.score
    # Pages beyond the first five count nothing; apart, so that they do not tie with each other.
    scores = np.where(np.isinf(scores), -1e9 - np.arange(scores.shape[1]), scores)
    return figures(scores, manual.sections.pages)


def _say(name: str, found: Sequence[tuple[float, float]], size: str) -> None:
    ndcg, first = np.mean(found, axis=0)
    print(f"  {name:32} NDCG@5 {ndcg:.3f}, hit@1 {first:.3f}  {size}", flush=True)


if __name__ == "__main__":
    main()
