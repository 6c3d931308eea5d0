"""Async versions of blocking methods."""

from __future__ import annotations

import asyncio
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

__all__ = ["in_thread"]

_P = ParamSpec("_P")
_R = TypeVar("_R")


def in_thread(method: Callable[_P, _R]) -> Callable[_P, Coroutine[Any, Any, _R]]:
    """An async version of a method; it runs the method in a thread."""

    @wraps(method)
    async def twin(*args: _P.args, **options: _P.kwargs) -> _R:
        return await asyncio.to_thread(method, *args, **options)

    return twin
