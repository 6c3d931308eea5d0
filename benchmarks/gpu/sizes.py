"""How much work each section does: to measure a GPU, or only to see that everything runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["FULL", "TINY", "TINY_TEXT", "TINY_VISION", "Sizes"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """Numbers of a run.

    Attributes:
        grid: Rows and columns of visual tokens of a made-up page.
        batches: Pages given to the encoder at once.
        stream: Pages given at once to see what batches it makes itself.
        late_batches: As ``batches``, for late interaction.
        compared: Pages, and questions, whose vectors are compared with the card's.
        rounds: Maximum number of rounds of the same work, if there is time.
        questions: Asked one after the other, again and again.
        documents: Pages of PDFs, ours.
        card_documents: Pages of PDFs, the card's way.
        workers: Processes that draw pages; 0 is none but this one.
        short: Pages of which not all fit in the forced shortage of memory.
        product: Side of the matrices whose product is the limit.
        copied: Bytes of the copy that is the other limit.
    """

    grid: tuple[int, int]
    batches: tuple[int, ...]
    stream: int
    late_batches: tuple[int, ...]
    compared: int
    rounds: int
    questions: int
    documents: int
    card_documents: int
    workers: tuple[int, ...]
    short: int
    product: int
    copied: int

    @property
    def visual_tokens(self) -> int:
        """Of a page."""
        return self.grid[0] * self.grid[1]


FULL = Sizes(
    grid=(32, 24),  # 768 visual tokens, which the card recommends, in the shape of a page
    batches=(4, 8, 16, 32),  # of the card's table
    stream=160,
    late_batches=(8, 32),
    compared=8,
    rounds=40,
    questions=16,
    documents=256,
    card_documents=64,
    workers=(0, 4, 8),
    short=32,
    product=8192,
    copied=2**32,
)

TINY = Sizes(
    grid=(3, 2),
    batches=(2, 3),
    stream=4,
    late_batches=(2,),
    compared=2,
    rounds=2,
    questions=3,
    documents=3,
    card_documents=2,
    workers=(0, 1),
    short=4,
    product=256,
    copied=2**22,
)

TINY_TEXT: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 2048,
    "rope_parameters": {
        "rope_type": "default",
        "rope_theta": 10_000.0,
        "mrope_section": [2, 3, 3],
    },
}
TINY_VISION: dict[str, Any] = {
    "depth": 2,
    "embed_dim": 32,
    "hidden_size": 64,
    "num_heads": 2,
    "mlp_ratio": 2,
}
