"""A hub that cannot be used: what is missing is said at once, and what is cached is used."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from tests.hub_cache import cached_repository

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

    from tests.prepared.python import PreparedPython

MODEL = "llamaindex/vdr-2b-multi-v1"


REFUSING = "http://127.0.0.1:9"
"""The port of "discard", at which no machine of today listens."""


def load(
    python: PreparedPython, tmp_path: Path, **variables: str
) -> subprocess.CompletedProcess[str]:
    code = (
        f"from vdr_integrations import DenseEncoder\n"
        f"from vdr_integrations.errors import CheckpointError\n"
        f"try:\n"
        f"    print(DenseEncoder.load({MODEL!r}, device='cpu').revision)\n"
        f"except CheckpointError as error:\n"
        f"    print(error)\n"
    )
    kept = {name: value for name, value in os.environ.items() if name != "HF_HUB_OFFLINE"}
    return python.run("-c", code, env={**kept, "HF_HOME": str(tmp_path), **variables})


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        ({"HF_ENDPOINT": REFUSING}, "refused"),
        ({"HF_ENDPOINT": "http://nowhere.invalid"}, "cannot be used"),
        ({"HF_HUB_OFFLINE": "1"}, "HF_HUB_OFFLINE forbids"),
    ],
    ids=["refused", "no such host", "offline"],
)
def test_a_model_that_is_not_there_is_named_with_what_to_do(
    prepared_python: PreparedPython, tmp_path: Path, variables: dict[str, str], reason: str
) -> None:
    done = load(prepared_python, tmp_path, **variables)
    assert done.stderr == ""
    (line,) = done.stdout.splitlines()
    assert line.startswith(f"{MODEL} (revision main) is not on this machine")
    assert reason in line
    assert "--model nano" in line
    assert "vdr doctor" in line


def test_a_cached_model_is_loaded_without_the_hub(
    prepared_python: PreparedPython, tmp_path: Path, tiny_checkpoint: Path
) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    cached_repository(tmp_path / "hub", MODEL, tiny_checkpoint, commit=commit)
    done = load(prepared_python, tmp_path, HF_ENDPOINT=REFUSING)
    assert (done.stdout, done.stderr) == (f"{commit}\n", "")
