"""A folder of real PDFs, indexed for late interaction, searched, changed, and searched again.

    python -m benchmarks.folder MANUAL.pdf MANUAL.pdf ...

The manuals are copied to a new folder and indexed with `nano-colqwen2`. A query is the title of a
section, and the right page is the one that the outline points to, among the pages of all manuals.
Then one file is edited (its pages reversed), one deleted and one added, and the folder is indexed
and searched again: unchanged files must not be encoded again, and no old page may be found.
"""

from __future__ import annotations

import argparse
import platform
import re
import resource
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pymupdf
import torch

import vdr_integrations
from vdr_integrations import load_encoder
from vdr_integrations.index import LateInteractionIndex, Manifest, sync_index

if TYPE_CHECKING:
    from vdr_integrations import MultiVectorEncoder
    from vdr_integrations.index import SyncReport

NUMBERING = re.compile(r"^(?:[A-Z]|\d+)?[\d.]*\s+")
DEPTH = 5


def titles(path: Path, *, at_most: int) -> list[tuple[str, int]]:
    """Section titles with their 1-based pages, evenly chosen; titles used twice are left out."""
    with pymupdf.open(path) as document:
        outline = [(NUMBERING.sub("", title), page) for _, title, page in document.get_toc()]
    once = [(t, p) for t, p in outline if p > 0 and sum(t == other for other, _ in outline) == 1]
    step = max(1, len(once) // at_most)
    return once[::step][:at_most]


def ask(
    index: LateInteractionIndex, encoder: MultiVectorEncoder, folder: Path, *, at_most: int
) -> None:
    """Print NDCG@5 and hit@1 over all manuals, and whether a hit names a page that is not there."""
    gains, hits, stale, took = [], [], 0, []
    for path in sorted(folder.glob("*.pdf")):
        asked = titles(path, at_most=at_most)
        with pymupdf.open(path) as document:
            labels = {page.number + 1: page.get_text() for page in document}
        for (_, page), query in zip(
            asked, encoder.encode_queries([t for t, _ in asked]), strict=True
        ):
            began = time.perf_counter()
            found = index.search(query, k=DEPTH)
            took.append(time.perf_counter() - began)
            ranks = [
                n for n, h in enumerate(found) if (h.source, h.page_number) == (str(path), page)
            ]
            gains.append(1 / np.log2(ranks[0] + 2) if ranks else 0.0)
            hits.append(float(ranks == [0]))
            for hit in found:
                there = Path(hit.source).exists()
                same = (
                    hit.source != str(path) or hit.text.split() == labels[hit.page_number].split()
                )
                stale += not (there and same)
    print(
        f"  {len(gains)} questions over {index.count_pages()} pages: NDCG@5 {np.mean(gains):.3f}, "
        f"hit@1 {np.mean(hits):.3f}, stale hits {stale}, search median "
        f"{1000 * np.median(took):.1f} ms"
    )


def show(what: str, report: SyncReport, seconds: float) -> None:
    """Print what a synchronisation did."""
    print(
        f"{what}: {len(report.added)} added, {len(report.changed)} changed, "
        f"{len(report.unchanged)} unchanged, {len(report.removed)} removed, "
        f"{len(report.failed)} failed; {report.pages_encoded} pages encoded in {seconds:.0f} s"
    )


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("manuals", type=Path, nargs="+")
    parser.add_argument("--questions", type=int, default=30, help="of each manual, at most")
    arguments = parser.parse_args()
    if len(arguments.manuals) < 3:
        parser.error("give at least three manuals: one is deleted and one is added later")
    print(
        f"vdr-integrations {vdr_integrations.__version__}, torch {torch.__version__}, "
        f"{platform.machine()}, {torch.get_num_threads()} threads"
    )
    encoder = load_encoder("nano-colqwen2", device="cpu")
    *first, last = arguments.manuals
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work).resolve() / "manuals"
        folder.mkdir()
        for manual in first:
            shutil.copy(manual, folder)
        with LateInteractionIndex.create(
            Path(work) / "index", manifest=Manifest.of(encoder)
        ) as index:
            for what in ("first run", "nothing changed", "edited, deleted, added"):
                if what.startswith("edited"):
                    edited, deleted = folder / first[0].name, folder / first[1].name
                    with pymupdf.open(edited) as document:
                        document.select([*reversed(range(len(document)))])
                        content = document.tobytes()
                    edited.write_bytes(content)
                    deleted.unlink()
                    shutil.copy(last, folder)
                began = time.perf_counter()
                report = sync_index(index, encoder, [folder])
                show(what, report, time.perf_counter() - began)
                ask(index, encoder, folder, at_most=arguments.questions)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"peak memory {peak / 1024:.0f} MiB")


if __name__ == "__main__":
    main()
