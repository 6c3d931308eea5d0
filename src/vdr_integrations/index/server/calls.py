"""Calls to a server: they are tried again, and their errors do not reveal keys."""

from __future__ import annotations

import time
import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from vdr_integrations.encoders.runtime.forks import PerProcess
from vdr_integrations.errors import IndexStoreError, MissingExtraError
from vdr_integrations.index.server.troubles import Failure, failure_of, trouble
from vdr_integrations.types.pauses import pauses

if TYPE_CHECKING:
    from collections.abc import Callable

    from vdr_integrations.index.server.qdrant_server import QdrantServer

__all__ = ["ServerCalls", "client_models"]

TRYING_S = 30.0
"""No attempt begins later than this after the first one; but there is always a second attempt."""
_FIRST_PAUSE_S = 0.25
_LONGEST_PAUSE_S = 8.0
_TIMEOUT_S = 30


class ServerCalls:
    """Calls methods of a client for one collection. Safe to call from any thread.

    Every call may be made twice without harm, because ids are computed from the stored data.

    Attributes:
        location: Name of the collection in messages.
        server: Server and collection.
    """

    def __init__(
        self,
        server: QdrantServer,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Nothing is connected yet.

        Args:
            server: Server and collection.
            sleep: Waits for a number of seconds.
            clock: Returns seconds since some moment.

        Raises:
            MissingExtraError: qdrant-client is not installed.
        """
        client_models()
        self.location = str(server)
        self.server = server
        self._sleep = sleep
        self._clock = clock
        # A connection belongs to one process: a forked child makes its own.
        self._made: PerProcess[list[Any]] = PerProcess(list[Any])
        self._is_closed = False

    def call(self, method: str, **options: object) -> Any:  # noqa: ANN401  # what the method gives
        """Call a method of the client for the collection; returns its result.

        Raises:
            IndexNotFoundError: The collection does not exist.
            InDoubtError: The call failed, but the server may have done it nevertheless.
            IndexStoreError: The call failed.
        """
        began = self._clock()
        until_next = pauses(first_s=_FIRST_PAUSE_S, longest_s=_LONGEST_PAUSE_S)
        tries, waited, is_in_doubt = 0, 0.0, False
        while True:
            tries += 1
            found = self._tried(method, options)
            if not isinstance(found, Failure):
                return found
            is_in_doubt = is_in_doubt or found.is_in_doubt
            wait = max(found.retry_after_s, next(until_next))
            spent = max(waited, self._clock() - began)
            is_late = tries > 1 and spent + wait > TRYING_S
            if not found.is_passing or is_late or wait > TRYING_S:
                failure = replace(found, is_in_doubt=is_in_doubt)
                raise trouble(self.location, method, failure, tries=tries)
            self._sleep(wait)
            waited += wait

    def close(self) -> None:
        """Close the connection; a client that the caller gave stays open."""
        self._is_closed = True
        held, self._made.value = self._made.value, []
        for client in held:
            client.close()

    def _tried(self, method: str, options: dict[str, object]) -> Any:  # noqa: ANN401  # what the method gives, or a Failure
        call: Callable[..., Any] = getattr(self._client(), method)
        try:
            return call(collection_name=self.server.collection, **options)
        except Exception as error:
            failure = failure_of(error)
            if failure is None:
                raise
            # The caller raises the error, outside of this block, so that it has no context.
            return failure

    def _client(self) -> Any:  # noqa: ANN401  # callers wrap clients
        if self._is_closed:
            raise IndexStoreError(f"index {self.location} was closed; open it again.")
        if self.server.client is not None:
            return self.server.client
        held = self._made.value
        if not held:
            held.append(_connected(self.server))
        return held[0]


def client_models() -> Any:  # noqa: ANN401  # a module
    """``qdrant_client.models``.

    Raises:
        MissingExtraError: qdrant-client is not installed.
    """
    try:
        from qdrant_client import models
    except ImportError as error:
        raise MissingExtraError(
            package="qdrant-client", extra="qdrant", purpose="an index on a Qdrant server"
        ) from error
    return models


def _connected(server: QdrantServer) -> Any:  # noqa: ANN401  # callers wrap clients
    from qdrant_client import QdrantClient

    options: dict[str, Any] = {} if server.login is None else {"auth": server.login}
    with warnings.catch_warnings():
        # QdrantServer has checked whether a key may be sent over plain http.
        warnings.filterwarnings("ignore", message="Api key is used with an insecure connection")
        return QdrantClient(
            url=server.shown_url,
            api_key=server.api_key,
            timeout=_TIMEOUT_S,
            check_compatibility=False,
            **options,
        )
