"""Options of an encoder, as LangChain's objects have them."""

from __future__ import annotations

from typing import Any

from langchain_core.utils import secret_from_env
from pydantic import ConfigDict, Field, SecretStr

from vdr_integrations.retrieval.encoder_fields import EncoderFields

__all__ = ["EncoderModel", "configured"]

configured = ConfigDict(
    arbitrary_types_allowed=True,
    extra="forbid",
    protected_namespaces=(),
    validate_assignment=True,
    validate_default=True,
)
"""Of every class here: pydantic takes the last base's otherwise, which ignores unknown options."""

_token_from_environment = secret_from_env("HF_TOKEN", default=None)


class EncoderModel(EncoderFields):
    """Pickles and copies hold options, never weights or the hub token."""

    model_config = configured

    token: SecretStr | None = Field(
        default_factory=_token_from_environment, exclude=True, repr=False
    )
    """Hub token, from ``HF_TOKEN``. Left out of dumps, pickles and representations."""

    def __getstate__(self) -> dict[Any, Any]:
        """Options without the token; the other side looks ``HF_TOKEN`` up again."""
        state = super().__getstate__()
        fields = {name: value for name, value in state["__dict__"].items() if name != "token"}
        fields_set = state["__pydantic_fields_set__"] - {"token"}
        return {**state, "__dict__": fields, "__pydantic_fields_set__": fields_set}

    def __setstate__(self, state: dict[Any, Any]) -> None:
        """Options, and the token of this process."""
        fields = {**state["__dict__"], "token": _token_from_environment()}
        super().__setstate__({**state, "__dict__": fields})
