"""Cut the demo's excerpts out of the PDFs of Debian's package debian-history.

    python demo/make_excerpts.py /usr/share/doc/debian-history/docs

Writes ``documents/project-history-excerpt.*.pdf``: chapters 1 and 2 and the beginning of chapter 3,
numbered 1 to 3 in the original, in five languages. Nothing on the pages is changed.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pymupdf

LANGUAGES = ("en", "it", "fr", "de", "es")
PAGES = range(6, 9)  # 0-based: the pages that are numbered 1 to 3
OUT = Path(__file__).resolve().parent / "documents"


def main(source: Path) -> None:
    """Write one excerpt a language."""
    for language in LANGUAGES:
        with pymupdf.open(source / f"project-history.{language}.pdf") as document:
            document.select(list(PAGES))
            document.set_toc([])  # its entries point to pages that are not here
            document.save(
                OUT / f"project-history-excerpt.{language}.pdf",
                garbage=4,
                deflate=True,
                no_new_id=True,
            )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
