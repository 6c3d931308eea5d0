from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from vdr_integrations.cli.app import app

if TYPE_CHECKING:
    from collections.abc import Callable

    from typer.testing import Result


@pytest.fixture
def vdr(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Runs ``vdr`` in this process, without the VDR_ variables of its environment."""
    for name in ("VDR_INDEX", "VDR_MODEL", "VDR_DEBUG"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments: object, asked: str | None = None, **variables: str) -> Result:
        return CliRunner().invoke(app, [str(a) for a in arguments], input=asked, env=variables)

    return run
