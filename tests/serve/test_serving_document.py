"""docs/serving.md: its blocks run against a server, and its limits are those of the code."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import httpx
import pytest
from tests.documents import ROOT, blocks_of, furnish, vdr_lines, with_bundled_models
from tests.serving import serving
from typer.testing import CliRunner

from vdr_integrations import load_encoder
from vdr_integrations.cli.app import app
from vdr_integrations.encoders.elsewhere import http_calls
from vdr_integrations.serve import ServeLimits, build_app

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("loopback", "seen_pages", "page_store")

DOCUMENT = ROOT / "docs" / "serving.md"
TEXT = DOCUMENT.read_text(encoding="utf-8")
ADDRESS = "http://127.0.0.1:8080"


def test_its_blocks_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(furnish(tmp_path / "work"))
    ran = 0
    with serving(build_app(load_encoder("nano"))) as address:
        for block in blocks_of(DOCUMENT):
            if block.kind == "python":
                text = with_bundled_models(block.text).replace(ADDRESS, address)
                exec(compile(text, DOCUMENT.name, "exec"), {"__name__": "document"})
                ran += 1
            elif block.kind == "json":
                body = json.loads(block.text.replace("iVBORw0...", ""))
                body = {**body, "model": "nano", "input": body["input"][:1]}
                assert httpx.post(f"{address}/v1/embeddings", json=body).status_code == 200
                ran += 1
            elif block.kind == "sh":
                for arguments in vdr_lines(block):
                    if arguments[0] == "serve":
                        asked = [*arguments, "--help"]
                    else:
                        asked = [one.replace(ADDRESS, address) for one in arguments]
                    done = CliRunner().invoke(app, asked)
                    assert done.exit_code == 0, f"{asked}: {done.output}"
                    ran += 1
    assert ran == 7


def test_its_figures_are_those_of_the_code() -> None:
    assert f"{ServeLimits().queue_items} pages, and" in TEXT
    assert f"`ModelServerError` within {http_calls.FIRST_CONTACT_S:.0f} seconds" in TEXT
    assert http_calls.BUSY_S == 15 * 60
    assert http_calls.UNREACHABLE_S == 3 * 60


def test_its_limits_of_searches_are_those_of_the_code() -> None:
    limits = ServeLimits()
    assert f"and at most {limits.hits})" in TEXT
    assert f"may have {limits.question_characters:,} characters" in TEXT
    assert f"Searches ({limits.searches}) and pictures ({limits.waiting_pictures}, of which" in TEXT
    assert f"of which {limits.pictures} are drawn at a time" in TEXT


def test_every_counter_that_it_names_is_there() -> None:
    with serving(build_app(load_encoder("nano"))) as address:
        httpx.post(f"{address}/v1/embeddings", json={"input": "a"})
        counted = httpx.get(f"{address}/metrics").text
    named = re.findall(r"`(vdr_\w+)`", TEXT)
    assert len(named) == 7
    for name in named:
        assert name in counted, name
