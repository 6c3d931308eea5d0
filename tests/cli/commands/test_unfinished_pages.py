from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from tests.index.documents import write_pdf

from vdr_integrations import DenseEncoder
from vdr_integrations.index import DenseIndex, SyncProgress, sync_index

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from typer.testing import Result


def test_commands_say_what_is_kept_and_how_much_of_it_was_used(
    vdr: Callable[..., Result], tmp_path: Path, tiny_checkpoint: Path
) -> None:
    path = write_pdf(tmp_path / "a.pdf", ["apples", "pears", "plums"])
    encoder = DenseEncoder.load(str(tiny_checkpoint), max_visual_tokens=16, device="cpu")

    def stop(state: SyncProgress) -> None:
        if state.pages_encoded == 2:
            raise KeyboardInterrupt

    with (
        DenseIndex.create(tmp_path / "ix", encoder=encoder) as index,
        pytest.raises(KeyboardInterrupt),
    ):
        sync_index(index, encoder, [path], batch_pages=1, on_progress=stop)
    options = ["--index", tmp_path / "ix"]
    kept = {"documents": 1, "pages": 2}
    assert json.loads(vdr("info", *options, "--json").stdout)["unfinished"] == kept
    assert json.loads(vdr("verify", *options, "--json").stdout)["unfinished"] == kept
    said = "2 pages of 1 unfinished document are kept"
    assert said in vdr("info", *options).stdout
    assert f"{said}; vdr index goes on" in vdr("verify", *options).stdout
    done = vdr("index", path, *options)
    assert done.stdout.endswith("; 1 pages encoded, 2 kept from an interrupted run\n")
    assert "unfinished" not in vdr("info", *options).stdout
    assert "unfinished" not in vdr("verify", *options).stdout
