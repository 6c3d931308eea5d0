"""What LangChain's late-interaction objects share: a searcher, made of their options."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeAlias

from pydantic import AliasChoices, Field, InstanceOf, model_validator

from vdr_integrations.index import QdrantServer
from vdr_integrations.index.page_index import PageIndex
from vdr_integrations.langchain.encoder_model import EncoderModel, configured
from vdr_integrations.retrieval.encoder_choice import one_choice
from vdr_integrations.retrieval.encoder_fields import LateFields

if TYPE_CHECKING:
    from vdr_integrations.retrieval import PageSearcher

__all__ = ["IndexPlace", "LateInteraction"]

IndexPlace: TypeAlias = InstanceOf[PageIndex] | InstanceOf[QdrantServer] | Path | str
"""An open index, the folder of one, or a collection of a Qdrant server, which may be written as
``"http://host:6333/collection"``."""


class LateInteraction(EncoderModel, LateFields):
    """Options of a ColQwen2 encoder and of an index; both are opened and loaded on first use."""

    model_config = configured

    model: str | None = Field(
        default=None, min_length=1, validation_alias=AliasChoices("model", "model_name")
    )
    """Hub id or local folder of a ColQwen2 checkpoint; None: the one that made the index, or
    ``vidore/colqwen2-v1.0`` if there is no index. ``model_name`` is accepted too."""

    @model_validator(mode="after")
    def _one_encoder(self) -> Self:
        one_choice(self.encoder, self._encoder_options(self.model, self.max_visual_tokens))
        return self

    @property
    def searcher(self) -> PageSearcher:
        """What finds, shows, scores and explains the pages; framework-free."""
        return self._searcher_over(getattr(self, "index", None), self.model)

    def close(self) -> None:
        """Stop using the index that was opened by its place; the next use opens it again.

        It stays open while another object of this process uses it.
        """
        self.searcher.close()

    def __getstate__(self) -> dict[Any, Any]:
        """Options without the token.

        Raises:
            TypeError: The index is on a server that takes a key or a client.
        """
        state = super().__getstate__()
        index = state["__dict__"].get("index")
        if isinstance(index, QdrantServer) and (index.api_key or index.client is not None):
            raise TypeError(
                "a server's key or client is never pickled; make the object where it is used."
            )
        return state
