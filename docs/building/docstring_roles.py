"""Extension of Griffe: turns the roles of docstrings, such as ``:class:`Page```, into links.

A role that names something which the reference shows becomes a link to it. Any other becomes code.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import griffe

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["DocstringRoles"]

_ROLE = re.compile(r":(?:attr|class|data|exc|func|meth|mod):`~?([^`]+)`")
_PUBLIC = (
    "encoders",
    "pages",
    "index",
    "retrieval",
    "agents",
    "llama_index",
    "langchain",
    "types",
    "errors",
    "defaults",
)


class DocstringRoles(griffe.Extension):
    """Rewrites every docstring of a package once it is loaded."""

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:  # noqa: ANN401  # Griffe's own
        """Rewrite the docstrings of this package."""
        shown = dict(_shown(pkg))
        for found in _everything(pkg):
            docstring = found.docstring
            if docstring is not None:
                docstring.value = _ROLE.sub(
                    lambda role, place=found: _link(role[1], place, shown), docstring.value
                )


def _shown(package: griffe.Module) -> Iterator[tuple[str, str]]:
    """Where each public object is defined, and the name under which the reference shows it."""
    for part in reversed(_PUBLIC):
        module = package[part]
        for name in module.exports or ():
            yield module[str(name)].canonical_path, f"{module.path}.{name}"


def _everything(place: griffe.Object) -> Iterator[griffe.Object]:
    yield place
    for member in place.members.values():
        if not member.is_alias:
            yield from _everything(member)


def _link(name: str, place: griffe.Object, shown: dict[str, str]) -> str:
    target = _path(name, place) or _public_path(name, shown)
    owner, _, member = target.rpartition(".")
    if target in shown:
        return f"[`{name}`][{shown[target]}]"
    if owner in shown and not member.startswith("_"):
        return f"[`{name}`][{shown[owner]}.{member}]"
    return f"`{name}`"


def _public_path(name: str, shown: dict[str, str]) -> str:
    """Where a public name is defined that the module of a docstring does not import."""
    first, dot, rest = name.partition(".")
    homes = [home for home in shown if home.rpartition(".")[2] == first]
    return f"{homes[0]}{dot}{rest}" if len(homes) == 1 else ""


def _path(name: str, place: griffe.Object) -> str:
    """Where what a docstring calls ``name`` is defined; "" if that is not known."""
    scope: griffe.Object | None = place
    first, *rest = name.split(".")
    while scope is not None:
        if first in scope.members:
            found: Any = scope.members[first]
            for part in rest:
                if part not in found.all_members:
                    return ""
                found = found.all_members[part]
            return found.canonical_path
        scope = scope.parent
    return name if name.startswith("vdr_integrations.") else ""
