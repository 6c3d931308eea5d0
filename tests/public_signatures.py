"""The names and signatures that users write: listed here, kept in public_signatures.txt.

    python -m tests.public_signatures

writes the list anew.
"""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

__all__ = ["LISTED", "listing"]

LISTED = Path(__file__).with_name("public_signatures.txt")
MODULES = (
    "vdr_integrations",
    "vdr_integrations.encoders",
    "vdr_integrations.pages",
    "vdr_integrations.ray_jobs",
    "vdr_integrations.index",
    "vdr_integrations.retrieval",
    "vdr_integrations.evaluation",
    "vdr_integrations.agents",
    "vdr_integrations.llama_index",
    "vdr_integrations.langchain",
    "vdr_integrations.mteb",
    "vdr_integrations.serve",
    "vdr_integrations.types",
)


def listing() -> str:
    """A line for each public name, and for each public method of a class under it."""
    lines: list[str] = []
    seen: dict[int, str] = {}
    for module in MODULES:
        loaded = importlib.import_module(module)
        for name in sorted(loaded.__all__, key=lambda name: _is_alias(loaded, name)):
            found = getattr(loaded, name)
            shown = f"{module}.{name}"
            if id(found) in seen:
                lines.append(f"{shown} is {seen[id(found)]}")
                continue
            seen[id(found)] = shown
            lines += _described(shown, found)
    return "\n".join(lines) + "\n"


def _is_alias(module: ModuleType, name: str) -> bool:
    """Whether a class has another name than this one, which it is described under."""
    found = getattr(module, name)
    return inspect.isclass(found) and found.__name__ != name


def _described(name: str, found: object) -> Iterator[str]:
    if not callable(found):
        yield name
        return
    yield f"{name}{_signature(found)}"
    if inspect.isclass(found):
        for member in sorted(set(dir(found))):
            if member.startswith("_"):
                continue
            attribute = inspect.getattr_static(found, member)
            function = getattr(attribute, "__func__", attribute)
            if not getattr(function, "__module__", "").startswith("vdr_integrations"):
                continue  # a framework's own
            if callable(function):
                yield f"    .{member}{_signature(function)}"
            elif isinstance(attribute, property):
                yield f"    .{member}"


def _signature(found: object) -> str:
    if inspect.isclass(found) and issubclass(found, BaseModel):
        return f"({', '.join(_fields(found))})"
    try:
        return str(inspect.signature(found))  # pyright: ignore[reportArgumentType]  # it is callable
    except (TypeError, ValueError):  # an alias of types
        return ""


def _fields(model: type[BaseModel]) -> Iterator[str]:
    """The fields that are this package's own, with plain defaults."""
    own = {
        name
        for parent in model.__mro__
        if parent.__module__.startswith("vdr_integrations")
        for name in inspect.get_annotations(parent)
    }
    for name, field in model.model_fields.items():
        if name in own:
            default = field.default
            plain = default is None or isinstance(default, str | int | float)
            yield name if field.is_required() else f"{name}={default if plain else '...'!r}"


if __name__ == "__main__":
    LISTED.write_text(listing(), encoding="utf-8")
