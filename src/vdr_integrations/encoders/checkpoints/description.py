"""What must be known of a checkpoint to use it rightly, as data."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from vdr_integrations.encoders.checkpoints import prompts
from vdr_integrations.encoders.preprocessing.text_check import check_text
from vdr_integrations.errors import OptionError, UnknownCheckpointError

__all__ = [
    "BUNDLED",
    "KNOWN_CHECKPOINTS",
    "Checkpoint",
    "checkpoint_for",
]


_FOLDER = Path(__file__).resolve().parent / "bundled"

BUNDLED = {name: _FOLDER / name for name in ("nano", "nano-colqwen2")}
"""Checkpoints in the package, by name; ``training/`` says how they were made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A Qwen2-VL retriever: how it is prompted and how its vector is read off.

    Attributes:
        model: Hub id or folder; what the weights are loaded from.
        page_prompt: Text around a page; holds ``<|image_pad|>`` once.
        query_prompt: Text around a query; holds ``{query}`` once. A dense checkpoint's also holds
            ``<|image_pad|>`` once, before the query; a multi-vector one's never.
        query_image_side_px: Side of the black square that stands where a page would be.
        pooling: ``"last_token"``: the last hidden state (after the final norm) of the last token
            is the vector. ``"multi_vector"``: the projected states of all tokens are.
        token_dimension: Components of a token's vector, for ``"multi_vector"``.
        min_visual_tokens: Lower end of the pixel budget.
        source: Where these facts come from.
    """

    model: str
    page_prompt: str = prompts.VDR_PAGE_PROMPT
    query_prompt: str = prompts.VDR_QUERY_PROMPT
    query_image_side_px: int = 56
    pooling: Literal["last_token", "multi_vector"] = "last_token"
    token_dimension: int = 128
    min_visual_tokens: int = 1
    source: str = "described by the caller"

    def __post_init__(self) -> None:
        """Refuse prompts that could not be encoded."""
        images_in_query = 0 if self.pooling == "multi_vector" else 1
        for name, prompt, allowed in (
            ("page_prompt", self.page_prompt, 1),
            ("query_prompt", self.query_prompt, images_in_query),
        ):
            check_text(prompt, subject=f"{name} of {self.model}")
            found = prompt.count(prompts.IMAGE_PLACEHOLDER)
            if found != allowed:
                raise OptionError(
                    f"{name} of {self.model} holds {prompts.IMAGE_PLACEHOLDER} {found} times; "
                    f"with pooling {self.pooling!r} it must hold it "
                    f"{'once' if allowed else 'never'}."
                )
        image, query = (self.query_prompt.find(p) for p in (prompts.IMAGE_PLACEHOLDER, "{query}"))
        if self.query_prompt.count("{query}") != 1 or query < image:
            raise OptionError(
                f"query_prompt of {self.model} must hold {{query}} once, after the image."
            )
        if self.token_dimension < 1:
            raise OptionError(
                f"token_dimension of {self.model} is {self.token_dimension}; at least 1."
            )

    @property
    def is_multi_vector(self) -> bool:
        """Whether a page is one vector a token (late interaction), not one in all."""
        return self.pooling == "multi_vector"


def _colqwen2(model: str) -> Checkpoint:
    return Checkpoint(
        model=model,
        page_prompt=prompts.COLQWEN2_PAGE_PROMPT,
        query_prompt=prompts.COLQWEN2_QUERY_PROMPT,
        pooling="multi_vector",
        min_visual_tokens=4,
        source="colpali-engine 0.3.4, ColQwen2Processor",
    )


_NANO_CARD = "training/README.md of vdr_integrations"
_VDR_CARD = "model card of llamaindex/vdr-2b-multi-v1"

KNOWN_CHECKPOINTS: dict[str, Checkpoint] = {
    known.model: known
    for known in (
        Checkpoint(model="llamaindex/vdr-2b-multi-v1", source=_VDR_CARD),
        Checkpoint(model="llamaindex/vdr-2b-v1", source=_VDR_CARD),
        Checkpoint(model="marco/mcdse-2b-v1", source="model card of marco/mcdse-2b-v1"),
        Checkpoint(
            model="MrLight/dse-qwen2-2b-mrl-v1",
            page_prompt=prompts.DSE_PAGE_PROMPT,
            query_prompt=prompts.DSE_QUERY_PROMPT,
            source="model card of MrLight/dse-qwen2-2b-mrl-v1",
        ),
        Checkpoint(model="nano", source=_NANO_CARD),
        Checkpoint(
            model="nano-colqwen2",
            page_prompt=prompts.NANO_LATE_PAGE_PROMPT,
            query_prompt=prompts.NANO_LATE_QUERY_PROMPT,
            pooling="multi_vector",
            source=_NANO_CARD,
        ),
        _colqwen2("vidore/colqwen2-v1.0"),
        _colqwen2("vidore/colqwen2-v0.1"),
        _colqwen2("vidore/colqwen2-base"),
        replace(
            _colqwen2("vidore/colqwen2-v1.0-hf"),
            query_prompt=prompts.COLQWEN2_HF_QUERY_PROMPT,
            source="transformers 5.23, ColQwen2Processor",
        ),
    )
}
"""By the name that ``load_encoder`` takes."""


def checkpoint_for(model: str, *, described: Checkpoint | None = None) -> Checkpoint:
    """The description of ``model``.

    Args:
        model: A known name, a hub id, or a local folder.
        described: The caller's description; taken as it is, for this model.

    Raises:
        UnknownCheckpointError: Neither known nor described. A local folder whose name is that of
            a known checkpoint (``.../vdr-2b-multi-v1``) counts as known.
    """
    if described is not None:
        return replace(described, model=model)
    if model in KNOWN_CHECKPOINTS:
        return KNOWN_CHECKPOINTS[model]
    path = Path(model)
    if path.is_dir():
        folder_name = path.resolve().name
        for name, known in KNOWN_CHECKPOINTS.items():
            if folder_name == name.rpartition("/")[2]:
                return replace(known, model=model)
    raise UnknownCheckpointError(
        f"nothing is known of the prompts of {model!r}. Known: {', '.join(KNOWN_CHECKPOINTS)}. "
        f"For another checkpoint of the same family pass "
        f"checkpoint=Checkpoint(model=..., page_prompt=..., query_prompt=...) "
        f"(vdr_integrations.encoders)."
    )
