"""The program of a process that holds a model on one device, for another process."""

from __future__ import annotations

import os
import pickle
import signal
import threading
import traceback
from dataclasses import asdict
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, TypeAlias

from vdr_integrations.encoders.elsewhere.model_host import ModelHost, outcome
from vdr_integrations.encoders.elsewhere.pipe_messages import Message, Reader, write_message
from vdr_integrations.encoders.elsewhere.plain_items import PlainPage, PlainQuery, TokensOf
from vdr_integrations.errors import VdrError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future

    import numpy as np
    from numpy.typing import NDArray

    from vdr_integrations.encoders.preprocessing.prepared import Prepared
    from vdr_integrations.encoders.runtime.running_model import ModelOrigin

    _Arrays: TypeAlias = list[NDArray[Any]]

__all__ = ["main"]

_CRASHED = 70


def main(threads: int) -> None:
    """Load the model, answer until there are no more requests, and end with the other process.

    Args:
        threads: Number of threads in which torch computes.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches it too; the other one ends it
    replies = os.dup(1)
    os.dup2(2, 1)  # what anything else prints is no reply
    try:
        _answer_all(replies, threads)
    except BrokenPipeError:  # nobody is left to answer to
        os._exit(0)
    except BaseException:  # noqa: BLE001  # the last line says why
        traceback.print_exc()
    os._exit(_CRASHED)


def _answer_all(replies: int, threads: int) -> None:
    requests: SimpleQueue[tuple[Message, _Arrays]] = SimpleQueue()
    threading.Thread(target=_read, args=(requests,), daemon=True).start()
    _, (origin,) = requests.get()
    try:
        host = _loaded(origin, threads)
    except VdrError as error:
        write_message(replies, {"error": type(error).__name__, "reason": str(error)})
        os._exit(0)
    write_message(replies, {"facts": asdict(host.encoder.core.facts)})
    answers: SimpleQueue[_Answer] = SimpleQueue()
    threading.Thread(target=_write, args=(replies, answers), daemon=True).start()
    while True:
        request, arrays = requests.get()
        pages = iter(arrays)
        items = [_item(one, pages) for one in request["items"]]
        begun = [host.begun(item, budget=request["budget"]) for item in items]
        answers.put(_Answer(request["number"], begun))


class _Answer:
    """Items under way, and the number of the request that they came with."""

    def __init__(self, number: int, items: list[Future[list[Any]]]) -> None:
        self.number = number
        self.items = items


def _read(requests: SimpleQueue[tuple[Message, _Arrays]]) -> None:
    """Hand on what is asked; end this process when the other one has ended."""
    reader = Reader(0)
    try:
        while (request := reader.read()) is not None:
            requests.put(request)
    finally:
        os._exit(0)


def _loaded(origin: NDArray[np.uint8], threads: int) -> ModelHost:
    found: ModelOrigin = pickle.loads(origin.tobytes())  # noqa: S301  # of the process that started this one
    import torch

    from vdr_integrations.encoders.page_encoder import PageEncoder

    torch.set_num_threads(threads)
    opened = found.opened()
    least = opened.checkpoint.min_visual_tokens
    return ModelHost(
        PageEncoder(
            found, dimension=None, max_visual_tokens=least, batch_visual_tokens=None, opened=opened
        )
    )


def _item(written: dict[str, str], pages: Iterator[NDArray[np.uint8]]) -> Prepared:
    """What the other process has written as ``written``, with the next of its pages."""
    if "tokens_of" in written:
        return TokensOf(written["tokens_of"])
    return PlainQuery(written["query"]) if "query" in written else PlainPage(next(pages))


def _write(replies: int, answers: SimpleQueue[_Answer]) -> None:
    """Write answers when they are complete; end this process if its device does not work."""
    try:
        while True:
            answer = answers.get()
            arrays: list[NDArray[Any]] = []
            items = [_settled(item, arrays) for item in answer.items]
            write_message(replies, {"number": answer.number, "items": items}, arrays)
    except BrokenPipeError:
        os._exit(0)
    except BaseException as error:  # noqa: BLE001  # nobody may wait for it
        traceback.print_exc()
        print(f"{type(error).__name__}: {error}", flush=True)  # noqa: T201
        os._exit(_CRASHED)


def _settled(item: Future[list[Any]], arrays: _Arrays) -> dict[str, Any]:
    found = outcome(item)
    if isinstance(found, VdrError):
        return {"error": type(found).__name__, "reason": str(found)}
    if isinstance(found, list):
        return {"tokens": found}
    arrays.append(found)
    return {}
