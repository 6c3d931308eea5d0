"""What LangChain's late-interaction objects share: a searcher made from their options."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeAlias

from pydantic import AliasChoices, Field, InstanceOf, field_validator, model_validator

from vdr_integrations.index import QdrantServer
from vdr_integrations.index.page_index import PageIndex
from vdr_integrations.langchain.encoder_model import STRICT_CONFIG, EncoderModel
from vdr_integrations.retrieval.encoder_choice import one_choice
from vdr_integrations.retrieval.encoder_fields import LateFields
from vdr_integrations.retrieval.open_indexes import without_secrets

if TYPE_CHECKING:
    from vdr_integrations.retrieval import PageSearcher

__all__ = ["IndexPlace", "LateInteraction"]

_Place: TypeAlias = InstanceOf[PageIndex] | InstanceOf[QdrantServer] | Path | str
IndexPlace: TypeAlias = _Place | list[_Place]
"""An open index, its folder, a server, ``"http://host:6333/collection"``, or a list of several."""


class LateInteraction(EncoderModel, LateFields):
    """An encoder of one vector a token and an index, loaded and opened on first use."""

    model_config = STRICT_CONFIG

    model: str | None = Field(
        default=None, min_length=1, validation_alias=AliasChoices("model", "model_name")
    )
    """Hub id or local folder of a checkpoint of one vector a token; None uses that of the index,
    or ``vidore/colqwen2-v1.0`` without an index. ``model_name`` is accepted too."""

    @field_validator("index", mode="before", check_fields=False)
    @classmethod
    def _without_secrets(cls, given: object) -> object:
        """A URL may hold a password, which a QdrantServer never shows."""
        return without_secrets(given)

    @model_validator(mode="after")
    def _one_encoder(self) -> Self:
        one_choice(self.encoder, self._encoder_options(self.model, self.max_visual_tokens))
        return self

    @property
    def searcher(self) -> PageSearcher:
        """The object that does the work, without LangChain."""
        return self._searcher_over(getattr(self, "index", None), self.model)

    def close(self) -> None:
        """Close the index if it was opened here and no other object uses it."""
        self.searcher.close()
