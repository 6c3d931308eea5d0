"""What a printed word gives on the scale of heat maps, and what a page without it gives.

    python -m benchmarks.match_scale

The questions of the demo are asked of the pages of its documents, which have a text layer. A word
of a question counts as printed on a page if the text layer has it, and as not printed if no word
there has its first four letters; other pairs are left out, and so are words that are among the most
frequent of their language. The area is that of the colours of all words, where they have at least a
quarter of their full strength.
"""

from __future__ import annotations

import argparse
import json
import re
import tempfile
import unicodedata
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from wordfreq import zipf_frequency

from benchmarks.timing import machine
from vdr_integrations import PageSearcher
from vdr_integrations.encoders import EncoderOptions
from vdr_integrations.index import sync_index
from vdr_integrations.retrieval.word_match import CLEAR_MATCH

if TYPE_CHECKING:
    from collections.abc import Iterable

_DEMO = Path(__file__).parents[1] / "demo"
_STEM = 4
_FREQUENT = 5.0
"""On the Zipf scale."""
_COLOURED_FROM = 0.25
_ALL_PAGES = 1_000
_SMALL_PRINT = "project-history"


def main() -> None:
    """Print the figures with machine and versions."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="nano-colqwen2")
    parser.add_argument("--dtype", default="float32", help="the same figures on every CPU")
    chosen = parser.parse_args()
    printed: dict[tuple[str, bool], list[float]] = defaultdict(list)
    areas: dict[str, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        searcher = PageSearcher(
            Path(folder) / "ix", encoder=EncoderOptions(model=chosen.model, dtype=chosen.dtype)
        )
        with searcher.create() as index:
            sync_index(index, searcher.page_encoder, [_DEMO / "documents"])
            for asked in json.loads((_DEMO / "questions.json").read_text(encoding="utf-8")):
                for hit in searcher.search(asked["question"], k=_ALL_PAGES, exhaustive=True):
                    is_small = _SMALL_PRINT in hit.source
                    heat = hit.heatmap()
                    text = _plain(hit.text)
                    for word in heat.words:
                        is_there = _is_printed(_plain(word.text), text)
                        if _is_telling(word.text, asked["language"]) and is_there is not None:
                            kind = "small print" if is_small else "large print"
                            printed[kind, is_there].append(heat.peak(word))
                    if _SMALL_PRINT in asked["source"] or is_small:
                        continue
                    area = float((heat.strength() >= _COLOURED_FROM).mean())
                    is_right = (Path(hit.source).name, hit.page_number) == (
                        asked["source"],
                        asked["page_number"],
                    )
                    is_same = Path(hit.source).name == asked["source"]
                    kind = "the right page" if is_right else "pages of another report"
                    if is_right or not is_same:
                        areas[kind].append(area)
    print(machine())
    print(chosen.model)
    for (kind, is_there), matches in sorted(printed.items()):
        said = "printed" if is_there else "not printed"
        print(
            f"  match, {kind}, {said}: {_summary(matches)}, "
            f"{_clear(matches):.1%} from {CLEAR_MATCH} on"
        )
    for kind, found in areas.items():
        print(f"  coloured share of {kind}: mean {np.mean(found):.4f}, {_summary(found)}")


def _summary(values: Iterable[float]) -> str:
    numbers = np.array(list(values))
    parts = ", ".join(
        f"{share:.0%} {np.quantile(numbers, share):.2f}"
        for share in (0.1, 0.25, 0.5, 0.75, 0.9, 0.99)
    )
    return f"{len(numbers)} values, quantiles {parts}"


def _clear(matches: list[float]) -> float:
    return float((np.array(matches) >= CLEAR_MATCH).mean())


def _plain(text: str) -> str:
    return "".join(
        character
        for character in unicodedata.normalize("NFD", text.casefold())
        if not unicodedata.combining(character)
    )


def _is_printed(word: str, text: str) -> bool | None:
    if re.search(rf"\b{re.escape(word)}\b", text):
        return True
    return None if re.search(rf"\b{re.escape(word[:_STEM])}", text) else False


def _is_telling(word: str, language: str) -> bool:
    return len(word) > _STEM and zipf_frequency(word, language) < _FREQUENT


if __name__ == "__main__":
    main()
