"""What a server answers: numbers, JSON, and errors that clients raise again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response

from vdr_integrations.encoders.elsewhere.wire import vectors_body
from vdr_integrations.errors import (
    EncodingError,
    IndexNotFoundError,
    IndexStoreError,
    ModelServerError,
    OptionError,
    PageError,
    PageReferenceError,
    QueryTooLongError,
    ResourceError,
    VdrError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["RequestError", "error_reply", "reply_to", "vectors_reply"]

_STATUS: tuple[tuple[type[VdrError], int], ...] = (
    (QueryTooLongError, 400),
    (OptionError, 400),
    (PageReferenceError, 404),
    (PageError, 400),
    (IndexNotFoundError, 404),
    (IndexStoreError, 500),
    (ResourceError, 503),
    (ModelServerError, 502),
    (EncodingError, 500),
)
_RETRY_AFTER_S = 1


class RequestError(Exception):
    """A request that is refused, with its HTTP status.

    Attributes:
        status: HTTP status.
        headers: Headers of the answer.
    """

    def __init__(
        self, message: str, *, status: int, headers: Mapping[str, str] | None = None
    ) -> None:
        """Say what was found, what is allowed, and what to do next."""
        super().__init__(message)
        self.status = status
        self.headers = dict(headers or {})

    @classmethod
    def busy(cls, message: str) -> RequestError:
        """No room now; the client tries again."""
        return cls(message, status=503, headers={"retry-after": str(_RETRY_AFTER_S)})


def vectors_reply(vectors: Sequence[NDArray[np.float32]]) -> Response:
    """Vectors as ``vectors_of`` reads them."""
    return Response(vectors_body(vectors), media_type="application/octet-stream")


def reply_to(error: Exception) -> Response:
    """The answer to an error that was raised for a request."""
    if isinstance(error, RequestError):
        kind = "ModelServerError" if error.status == 409 else "RequestError"
        return error_reply(str(error), status=error.status, kind=kind, headers=error.headers)
    status = next((code for kind, code in _STATUS if isinstance(error, kind)), 500)
    headers = {"retry-after": str(_RETRY_AFTER_S)} if status == 503 else None
    return error_reply(str(error), status=status, kind=type(error).__name__, headers=headers)


def error_reply(
    message: str, *, status: int, kind: str, headers: Mapping[str, str] | None = None
) -> Response:
    """An error in the form that clients of OpenAI read."""
    body = {"error": {"message": message, "type": kind, "code": status}}
    return JSONResponse(body, status_code=status, headers=headers)
