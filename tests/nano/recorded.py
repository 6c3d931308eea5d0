"""Scores of a few questions and pages, recorded: what a subtle mistake anywhere would move.

python -m tests.nano.recorded      # write them anew, when nano was trained on
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from vdr_integrations import DenseEncoder, MultiVectorEncoder, load_encoder
from vdr_integrations.index import maxsim_scores

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vdr_integrations.encoders import Checkpoint

RECORD = Path(__file__).with_name("recorded_scores.json")
PAGES = [
    Path(__file__).parent / "pages" / f"{n}.png" for n in ("library.en", "wine.it", "utility.de")
]
"""Slides of the demo, larger than the pixel budget, so that they are resized on the way."""
QUESTIONS = (
    "Which branch lent the most items?",
    "Quanto costano le bottiglie di spumante?",
    "Wie viel Nitrat und Eisen enthält das Trinkwasser?",
)
"""Each is answered by the page of the same place."""

VISUAL_TOKENS = 256
TOLERANCE = 2e-4
"""Processors differ in the last digits of float32 (1e-6 here)."""


def loaded(
    model: str, *, dtype: str = "float32", checkpoint: Checkpoint | None = None
) -> DenseEncoder | MultiVectorEncoder:
    """A bundled model, which reads pages of 256 visual tokens: a third of the time."""
    return load_encoder(
        model, device="cpu", dtype=dtype, checkpoint=checkpoint, max_visual_tokens=VISUAL_TOKENS
    )


def scores(encoder: DenseEncoder | MultiVectorEncoder) -> NDArray[np.float32]:
    """float32 (1 or 2, questions, pages).

    Cosines, or MaxSim a query token; for the latter also the mean similarity with what the prompt
    adds to a page, which hardly ever is the best match of anything.
    """
    pages = [Image.open(path).convert("RGB") for path in PAGES]
    if not isinstance(encoder, MultiVectorEncoder):
        return (encoder.encode_queries(QUESTIONS) @ encoder.encode_pages(pages).T)[None]
    matrices = encoder.encode_pages(pages)
    spans = [encoder.page_layout(page.height, page.width).span for page in pages]
    prompts = [np.delete(m, span, axis=0) for m, span in zip(matrices, spans, strict=True)]
    asked = encoder.encode_queries(QUESTIONS)
    best = [maxsim_scores(query, matrices) / len(query) for query in asked]
    beside = [[(query @ prompt.T).mean() for prompt in prompts] for query in asked]
    return np.array([best, beside], np.float32)


def check(encoder: DenseEncoder | MultiVectorEncoder, *, model: str) -> None:
    """Every question finds its page, with the recorded scores."""
    found = scores(encoder)
    wanted = np.array(json.loads(RECORD.read_text(encoding="utf-8"))[model])
    assert found[0].argmax(axis=1).tolist() == list(range(len(PAGES)))
    assert np.abs(found - wanted).max() <= TOLERANCE


def main() -> None:
    """Record the scores of both bundled checkpoints."""
    record = {model: scores(loaded(model)).round(5).tolist() for model in ("nano", "nano-colqwen2")}
    RECORD.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
