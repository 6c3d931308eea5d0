"""Options of an encoder as fields of LangChain's objects."""

from __future__ import annotations

from typing import Any

from langchain_core.utils import secret_from_env
from pydantic import ConfigDict, Field, SecretStr

from vdr_integrations.retrieval.encoder_fields import EncoderFields

__all__ = ["STRICT_CONFIG", "EncoderModel"]

STRICT_CONFIG = ConfigDict(
    arbitrary_types_allowed=True,
    extra="forbid",
    hide_input_in_errors=True,  # they may be secrets
    protected_namespaces=(),
    validate_assignment=True,
    validate_default=True,
)
"""Every class needs it: otherwise pydantic uses that of a LangChain base, which ignores unknown
options."""

_token_from_environment = secret_from_env("HF_TOKEN", default=None)


class EncoderModel(EncoderFields):
    """The fields of an encoder; an unpickled object has the hub token of its own process."""

    model_config = STRICT_CONFIG

    token: SecretStr | None = Field(
        default_factory=_token_from_environment, exclude=True, repr=False
    )
    """Hub token; the default is ``HF_TOKEN``. Not in dumps, pickles and representations."""

    def __setstate__(self, state: dict[Any, Any]) -> None:
        """Restore the options, with the token of this process."""
        fields = {**state["__dict__"], "token": _token_from_environment()}
        super().__setstate__({**state, "__dict__": fields})
