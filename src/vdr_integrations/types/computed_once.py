"""Attributes that are computed when they are first asked for, without a lock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, overload

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["computed_once"]

Value = TypeVar("Value")


class computed_once(Generic[Value]):  # noqa: N801  # used as a decorator, like property
    """Works like ``functools.cached_property`` from Python 3.12 on.

    Before 3.12 that has one lock for all objects of a class: they wait for each other, and a
    process that is forked while another thread holds the lock waits forever. Here two threads that
    ask at the same time both compute, and the first value is kept.
    """

    def __init__(self, compute: Callable[[Any], Value]) -> None:
        """Wrap the method."""
        self._compute = compute
        self._name = compute.__name__
        self.__doc__ = compute.__doc__

    @overload
    def __get__(self, instance: None, owner: type | None = None) -> Self: ...

    @overload
    def __get__(self, instance: object, owner: type | None = None) -> Value: ...

    def __get__(self, instance: object | None, owner: type | None = None) -> Self | Value:
        """The value; it is kept in the object's dictionary."""
        if instance is None:
            return self
        return vars(instance).setdefault(self._name, self._compute(instance))
