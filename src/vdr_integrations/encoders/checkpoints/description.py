"""What must be known of a checkpoint to use it correctly, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from vdr_integrations.encoders.checkpoints import prompts
from vdr_integrations.encoders.preprocessing.text_check import check_text
from vdr_integrations.errors import OptionError

__all__ = ["Checkpoint"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A retriever: its prompts, and how its vectors are read from hidden states.

    Attributes:
        model: Hub id or folder that the weights are loaded from.
        page_prompt: Text around a page; has ``<|image_pad|>`` once.
        query_prompt: Text around a query; has ``{query}`` once. A dense checkpoint that was trained
            with an image in its queries also has ``<|image_pad|>`` once, before the query.
        query_image_side_px: Side, in pixels, of the black square that takes the place of a page: a
            multiple of the side of a visual token.
        pooling: ``"last_token"``: the vector is the last hidden state (after the final norm) of
            the last token. ``"multi_vector"``: the vectors are the projected states of all tokens.
        token_dimension: Components of a token's vector, for ``"multi_vector"``.
        keeps_leading: The projection has more than ``token_dimension`` components, and the
            leading ones are kept before a vector is normalised; for ``"multi_vector"``.
        min_visual_tokens: Fewest visual tokens of a page.
        source: Where these facts come from.
        bank_questions: Questions of the question bank that an index of this checkpoint gets; for
            ``"multi_vector"``. Empty where no measurement shows that a bank helps.
        bank_strength: Strength of that bank, see ``QuestionBank``.
    """

    model: str
    page_prompt: str = prompts.VDR_PAGE_PROMPT
    query_prompt: str = prompts.VDR_QUERY_PROMPT
    query_image_side_px: int = 56
    pooling: Literal["last_token", "multi_vector"] = "last_token"
    token_dimension: int = 128
    keeps_leading: bool = False
    min_visual_tokens: int = 1
    source: str = "described by the caller"
    bank_questions: tuple[str, ...] = ()
    bank_strength: float = 1.0

    def __post_init__(self) -> None:
        """Refuse prompts that cannot be encoded, and vectors that are not computed."""
        if self.pooling not in {"last_token", "multi_vector"}:
            raise OptionError(
                f"pooling of {self.model} is {self.pooling!r}; it must be 'last_token' or "
                f"'multi_vector'. Vectors that are read in another way are not computed here."
            )
        in_query = {0: "never"} if self.pooling == "multi_vector" else {0: "never", 1: "once"}
        for name, prompt, allowed in (
            ("page_prompt", self.page_prompt, {1: "once"}),
            ("query_prompt", self.query_prompt, in_query),
        ):
            check_text(prompt, subject=f"{name} of {self.model}")
            found = prompt.count(prompts.IMAGE_PLACEHOLDER)
            if found not in allowed:
                raise OptionError(
                    f"{name} of {self.model} has {prompts.IMAGE_PLACEHOLDER} {found} times; "
                    f"with pooling {self.pooling!r} it must have it "
                    f"{' or '.join(allowed.values())}."
                )
        image, query = (self.query_prompt.find(p) for p in (prompts.IMAGE_PLACEHOLDER, "{query}"))
        if self.query_prompt.count("{query}") != 1 or query < image:
            raise OptionError(
                f"query_prompt of {self.model} must have {{query}} once, after the image."
            )
        if self.token_dimension < 1:
            raise OptionError(
                f"token_dimension of {self.model} is {self.token_dimension}; it must be at least 1."
            )

    @property
    def is_multi_vector(self) -> bool:
        """Whether a page gets one vector a token (late interaction), not one vector in all."""
        return self.pooling == "multi_vector"

    @property
    def has_query_image(self) -> bool:
        """Whether every query begins with an image, a black square."""
        return prompts.IMAGE_PLACEHOLDER in self.query_prompt
