"""What ``vdr serve`` and its clients send each other: safetensors for numbers, JSON for the rest.

Paths and bodies, all below the address of the server:

- ``GET /v1/models``: a list of one model, whose ``vdr`` has the facts of :class:`ServedFacts`.
- ``POST /vdr/pages``: safetensors of uint8 (height, width, 3) for each page, named "0", "1", ...
  The answer is safetensors of float32, a vector or matrix for each, with the same names.
- ``POST /vdr/queries``: ``{"texts": [...]}``. The answer is as for pages.
- ``POST /vdr/query_tokens``: ``{"text": "..."}``. The answer is ``{"tokens": [...]}``.

The header ``vdr-model`` of a request names the model that is expected, and ``vdr-budget`` the
greatest cost of a batch. An error is ``{"error": {"message", "type", "code"}}``, as OpenAI has it;
``type`` is a class of ``vdr_integrations.errors``.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from vdr_integrations.encoders.checkpoints.description import Checkpoint
from vdr_integrations.encoders.checkpoints.digests import digest_of
from vdr_integrations.encoders.checkpoints.fingerprint import meaning_of
from vdr_integrations.encoders.elsewhere.plain_items import PlainPage
from vdr_integrations.encoders.runtime.running_model import ModelFacts
from vdr_integrations.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from vdr_integrations.encoders.page_encoder import PageEncoder

__all__ = [
    "BUDGET_HEADER",
    "MODELS_PATH",
    "MODEL_HEADER",
    "PAGES_PATH",
    "QUERIES_PATH",
    "QUERY_TOKENS_PATH",
    "ServedFacts",
    "pages_body",
    "pages_of",
    "unpacked",
    "vectors_body",
    "vectors_of",
]

MODEL_HEADER = "vdr-model"
BUDGET_HEADER = "vdr-budget"
MODELS_PATH = "/v1/models"
PAGES_PATH = "/vdr/pages"
QUERIES_PATH = "/vdr/queries"
QUERY_TOKENS_PATH = "/vdr/query_tokens"
_PROTOCOL = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedFacts:
    """What a server says of its model.

    Attributes:
        model: Facts of the running model.
        checkpoint: Prompts and pooling.
        revision: Commit of the hub repository; None for a local folder.
        windows_at_once: How many windows of pages the model works on at the same time.
        most_items: Most pages or texts of a request.
        most_bytes: Greatest length of a request's body.
    """

    model: ModelFacts
    checkpoint: Checkpoint
    revision: str | None
    windows_at_once: int
    most_items: int
    most_bytes: int

    @classmethod
    def of(cls, encoder: PageEncoder, *, most_items: int, most_bytes: int) -> Self:
        """What the server of an encoder says."""
        return cls(
            model=encoder.core.facts,
            checkpoint=encoder.checkpoint,
            revision=encoder.revision,
            windows_at_once=encoder.core.windows_at_once,
            most_items=most_items,
            most_bytes=most_bytes,
        )

    @property
    def identity(self) -> str:
        """SHA-256 of what decides the vectors that the server returns."""
        meaning = meaning_of(self.checkpoint)
        return digest_of({"contents": self.model.contents_digest, "meaning": meaning})

    def as_json(self) -> dict[str, Any]:
        """The facts as JSON types."""
        return {"protocol": _PROTOCOL, "identity": self.identity, **asdict(self)}

    @classmethod
    def of_json(cls, found: object) -> Self:
        """The facts that :meth:`as_json` wrote.

        Raises:
            ValueError: They are of another version, or not what was written.
        """
        if not isinstance(found, dict):
            raise ValueError("no facts of the model")  # noqa: TRY004  # what the caller catches
        facts: dict[str, Any] = {**found}
        protocol, identity = facts.pop("protocol", None), facts.pop("identity", None)
        if protocol != _PROTOCOL:
            raise ValueError(f"protocol {protocol!r} instead of {_PROTOCOL}")
        try:
            checkpoint = dict(facts.pop("checkpoint"))
            checkpoint["bank_questions"] = tuple(checkpoint["bank_questions"])
            own = cls(
                model=ModelFacts(**facts.pop("model")), checkpoint=Checkpoint(**checkpoint), **facts
            )
        except (TypeError, KeyError, OptionError) as error:
            raise ValueError(f"other facts ({error})") from error
        if own.identity != identity:
            raise ValueError("another digest of prompts and weights")
        return own


def pages_body(pages: Sequence[PlainPage]) -> bytes:
    """The body of a request for pages."""
    return _packed([page.pixels for page in pages])


def pages_of(body: bytes) -> list[PlainPage]:
    """The pages of a request.

    Raises:
        OptionError: It is not what ``pages_body`` returns.
    """
    return [PlainPage(np.asarray(pixels)) for pixels in _arrays(body)]


def vectors_body(vectors: Sequence[NDArray[np.float32]]) -> bytes:
    """The body of an answer."""
    return _packed(vectors)


def vectors_of(body: bytes) -> list[NDArray[np.float32]]:
    """The vectors of an answer, float32.

    Raises:
        OptionError: It is not what ``vectors_body`` returns.
    """
    found = _arrays(body)
    if any(one.dtype != np.float32 for one in found):
        raise OptionError("found vectors that are not float32.")
    return found


def unpacked(body: bytes, *, most_bytes: int) -> bytes:
    """A body that was packed with zlib.

    Raises:
        OptionError: It is not, or is longer than allowed.
    """
    unpacking = zlib.decompressobj()
    try:
        found = unpacking.decompress(body, most_bytes + 1)
    except zlib.error:
        raise OptionError("the body is not packed with zlib, as content-encoding says.") from None
    if len(found) > most_bytes:
        raise OptionError(f"the body unpacks to more than {most_bytes} bytes; send fewer pages.")
    if not unpacking.eof:
        raise OptionError("the body is cut off; send it again.")
    return found


def _packed(arrays: Sequence[NDArray[Any]]) -> bytes:
    return save({str(n): np.ascontiguousarray(one) for n, one in enumerate(arrays)})


def _arrays(body: bytes) -> list[NDArray[Any]]:
    try:
        found = load(body)
        return [found[str(n)] for n in range(len(found))]
    except (SafetensorError, KeyError, ValueError, TypeError, json.JSONDecodeError):
        raise OptionError(
            "the body is not safetensors of pages named 0, 1 and so on; send it as "
            "vdr_integrations does."
        ) from None
