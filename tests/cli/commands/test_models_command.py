"""``vdr models``."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from tests.cli.pseudo_terminal import in_terminal_here

from vdr_integrations.encoders.checkpoints.published_models import PUBLISHED_MODELS
from vdr_integrations.encoders.checkpoints.refused_models import REFUSED_MODELS

if TYPE_CHECKING:
    from collections.abc import Callable

    from typer.testing import Result

HEAVY = {"torch", "transformers", "numpy", "huggingface_hub", "httpx", "rich"}
IMPORTED = """
import sys
from vdr_integrations.cli.main import main
sys.argv = ["vdr", *sys.argv[1:]]
try:
    main()
finally:
    print("imported:", *sorted({name.partition(".")[0] for name in sys.modules}))
"""


def test_a_pipe_gets_a_line_a_model_and_families_stand_together(
    vdr: Callable[..., Result],
) -> None:
    done = vdr("models")
    assert (done.exit_code, done.stderr) == (0, "")
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert {row[0] for row in rows} == set(PUBLISHED_MODELS)
    families = [row[1] for row in rows]
    assert list(dict.fromkeys(families)) == ["Qwen2-VL", "Qwen2.5-VL", "Qwen3-VL"]
    assert families == sorted(families, key=families.index)
    line = next(row for row in rows if row[0] == "vidore/colqwen2.5-v0.2")
    assert line[2:] == [
        "128 a token",
        "3754885248",
        "7.5 GB",
        "4.1 GB",
        "768 of 28 px",
        "128000",
        "en",
        "apache-2.0, of its base Qwen Research",
        "0.519 NDCG@10 of ViDoRe V3",
        "mteb's results repository, 2026-08, mean of tasks",
    ]
    assert {len(row) for row in rows} == {12}


def test_what_was_not_published_is_a_dash_or_a_question_mark(vdr: Callable[..., Result]) -> None:
    (line,) = (
        one
        for one in vdr("models").stdout.splitlines()
        if one.startswith("vidore/colqwen2-v1.0-hf")
    )
    assert "? of 28 px" in line
    assert line.endswith("\t-\t-")
    text = vdr("models", "vidore/colqwen2-v1.0-hf").stdout
    assert "languages     not found\n" in text
    assert "Scores that others measured\n- not found\n" in text


def test_json_has_every_model_and_what_is_refused(vdr: Callable[..., Result]) -> None:
    found = json.loads(vdr("models", "--json").stdout)
    assert [one["name"] for one in found["models"]] == list(PUBLISHED_MODELS)
    assert len(found["refused"]) == len(REFUSED_MODELS)
    assert found["refused"][0].keys() == {"models", "signs", "why"}
    keys = {frozenset(one) for one in found["models"]}
    assert len(keys) == 1
    one = json.loads(vdr("models", "Qwen/Qwen3-VL-Embedding-2B", "--json").stdout)
    assert one in found["models"]
    assert one["bytes"] == {"bfloat16": 4_255_064_064, "int8": 2_446_401_536}
    assert (one["dimension"], one["shortest_dimension"], one["kind"]) == (2048, 64, "dense")
    assert (one["max_visual_tokens"], one["token_side_px"]) == (1280, 32)
    assert one["scores"][0]["benchmark"] == "ViDoRe V3"
    assert all(score["source"] for score in one["scores"])
    assert one["query_prompt"].count("{query}") == 1


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nano", "published as  a whole checkpoint, trained from nano\n"),
        ("colqwen2.5-v0.1", "page          16,384 of 28 px\n"),
        ("COLQWEN2.5-V0.1", "though it was trained with 768"),
        ("nomic-embed-multimodal-3b", "licence       not found, of its base Qwen Research\n"),
        ("nomic-embed-multimodal-3b", "not for commercial use"),
        ("gme-Qwen2-VL-2B-Instruct", "positions"),
        ("Ops-Colqwen3-4B", "measured with all 2,560"),
        ("Sahil-Kabir/colqwen2.5-v0.2-hf", "third party's port"),
        ("vdr-2b-multi-v1", "last token, after a black square of 56 px\n"),
        ("mcdse-2b-v1", "vector        1,536 to 256 components a page\n"),
        ("colqwen2-v1.0", "an adapter over vidore/colqwen2-base, merged when it is loaded\n"),
        ("colqwen2-v1.0", "'Query: {query}<|endoftext|>"),
        ("colqwen2-v1.0", "- ViDoRe V1: 0.893 NDCG@5 (README of illuin-tech/colpali)\n"),
    ],
)
def test_one_model_is_shown_whole(vdr: Callable[..., Result], name: str, said: str) -> None:
    done = vdr("models", name)
    assert done.exit_code == 0
    assert said in done.stdout


def test_a_name_that_is_not_known_is_an_error_that_names_others(vdr: Callable[..., Result]) -> None:
    done = vdr("models", "colqwen2.5-v0.3", "--json")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "'colqwen2.5-v0.3'" in done.stderr
    assert "vidore/colqwen2.5-v0.2" in done.stderr
    done = vdr("models", "zzzz")
    assert done.exit_code == 1
    assert "Names like it" not in done.stderr
    assert "`vdr models` lists all" in done.stderr


@pytest.mark.parametrize("name", ["jinaai/jina-embeddings-v4", "ColPali", "Eager-Embed-v1"])
def test_a_name_that_is_refused_is_an_error_that_says_why(
    vdr: Callable[..., Result], name: str
) -> None:
    done = vdr("models", name)
    assert done.exit_code == 1
    assert f"'{name}' is not loaded: this package does not compute" in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals")
def test_a_terminal_of_80_columns_gets_a_table_and_what_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done = in_terminal_here(monkeypatch, "models", environment={"TERM": "dumb", "COLUMNS": "80"})
    assert (done.exit_code, done.other) == (0, "")
    lines = done.terminal.splitlines()
    assert max(map(len, lines)) <= 80
    assert any(line.startswith("vidore/colqwen2.5-v0.2 ") for line in lines)
    assert "  7.75 B; licence not found;" in done.terminal
    words = " ".join(done.terminal.split())
    for one in REFUSED_MODELS:
        assert f"- {one.models}: {one.why}" in words


@pytest.mark.parametrize("options", [(), ("--json",), ("nano",)])
def test_nothing_heavy_is_imported(options: tuple[str, ...]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED, "models", *options],
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    imported = done.stdout.splitlines()[-1].removeprefix("imported:").split()
    assert "vdr_integrations" in imported
    assert not HEAVY & set(imported)
