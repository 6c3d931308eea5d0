"""Templates and styles of HTML files that request nothing, and how they are filled."""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined

__all__ = ["asset", "policy_hash", "rendered"]


def asset(name: str) -> str:
    """The text of one of our own files."""
    return (files("vdr_integrations.cli.report") / "assets" / name).read_text(encoding="utf-8")


def policy_hash(text: str) -> str:
    """How a content security policy names a style or script that may be used."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def rendered(template: str, **values: Any) -> str:  # noqa: ANN401  # what the template shows
    """A template filled with values, which are escaped unless they are ``Markup``."""
    environment = Environment(
        loader=FunctionLoader(asset),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(template).render(**values)
