"""What can be said of a published checkpoint: classes for ``published_models.py``."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["BaseModel", "PublishedModel", "PublishedScore"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedScore:
    """A score that others measured; this package has not.

    Attributes:
        benchmark: Its name, such as "ViDoRe V3".
        measure: What was measured, such as "NDCG@10".
        value: From 0 to 1.
        source: Who published it.
    """

    benchmark: str
    measure: str
    value: float
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseModel:
    """The model that a checkpoint was trained from, and its sizes here.

    Attributes:
        name: Its short name, such as "Qwen2-VL-2B".
        family: Title of its family (``known_families.py``).
        parameters: Numbers that are loaded: without the language-model head.
        int8_bytes: Bytes of these with ``dtype="int8"``; embeddings and norms stay in 16 bits.
        hidden_size: Components of a state: of a dense vector too.
        token_side_px: Side of a visual token, in pixels.
        context_tokens: Positions in its configuration.
        licence: None where no copy names it.
    """

    name: str
    family: str
    parameters: int
    int8_bytes: int
    hidden_size: int
    token_side_px: int = 28
    context_tokens: int
    licence: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedModel:
    """Facts of a checkpoint.

    Attributes:
        model: Its name in ``KNOWN_CHECKPOINTS``.
        base: What it was trained from.
        adapter_over: The checkpoint that it changes when it is loaded, as its card or its recipe
            names it; None if it is whole.
        token_dimension: Components of each token's vector; None with one vector a page.
        is_matryoshka: Whether it was trained for shorter vectors too.
        shortest_dimension: Fewest components that were published; None where no number was.
        max_visual_tokens: The pages' budget that it was published with; each is a square of
            ``base.token_side_px`` pixels.
        published_context: Tokens of context, where that is another number than the base's.
        languages: As published: codes, or a number of languages.
        licence: As published.
        scores: The newest benchmark first.
        notes: What to know before using it.
    """

    model: str
    base: BaseModel
    adapter_over: str | None = None
    token_dimension: int | None = None
    is_matryoshka: bool = False
    shortest_dimension: int | None = None
    max_visual_tokens: int | None = None
    published_context: int | None = None
    languages: str | None = None
    licence: str | None = None
    scores: tuple[PublishedScore, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def dimension(self) -> int:
        """Components of a vector, uncut."""
        return self.token_dimension or self.base.hidden_size

    @property
    def parameters(self) -> int:
        """Numbers that are loaded: the base and the projection, without language-model head."""
        return self.base.parameters + self._projection

    @property
    def bfloat16_bytes(self) -> int:
        """Memory of the weights in bfloat16; float32 takes twice as much."""
        return 2 * self.parameters

    @property
    def int8_bytes(self) -> int:
        """Memory of the weights with ``dtype="int8"``; the projection stays in 16 bits."""
        return self.base.int8_bytes + 2 * self._projection

    @property
    def context_tokens(self) -> int:
        """Tokens of a page or a question, with its prompt."""
        return self.published_context or self.base.context_tokens

    @property
    def _projection(self) -> int:
        return (self.token_dimension or 0) * (self.base.hidden_size + 1)
