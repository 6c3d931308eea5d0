from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest
from tests.cli.hit_keys import HIT_KEYS
from tests.index.documents import write_pdf, write_png
from tests.index.other_writer import writing_elsewhere
from tests.tiny_colqwen2 import write_base
from typer.testing import CliRunner

from vdr_integrations import MultiVectorEncoder, load_encoder, open_pdf
from vdr_integrations.cli.app import app
from vdr_integrations.cli.options.compression_option import compression_words, parse_compression
from vdr_integrations.errors import OptionError
from vdr_integrations.index import (
    Compression,
    LateInteractionIndex,
    maxsim_scores,
)
from vdr_integrations.index.stored_page import page_id

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from typer.testing import Result

pytestmark = pytest.mark.usefixtures("seen_pages")

SEARCH = LateInteractionIndex.search
QUESTION = "How did the revenue change in 2023, and why?"


@pytest.fixture(scope="module")
def colqwen2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("colqwen2") / "colqwen2-base"
    write_base(folder)
    return folder


@pytest.fixture(scope="module")
def docs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("docs")
    write_pdf(folder / "a.pdf", ["apples", "pears"])
    write_png(folder / "b.png", "navy")
    return folder


@pytest.fixture(scope="module")
def built(docs: Path, colqwen2: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A late-interaction index of ``docs`` that no test changes."""
    folder = tmp_path_factory.mktemp("built") / "ix"
    options = ["--index", folder, "--late-interaction", *model_options(colqwen2)]
    done = CliRunner().invoke(app, ["index", str(docs), *map(str, options)])
    assert done.exit_code == 0, done.stderr
    assert done.stdout == "2 added, 0 changed, 0 unchanged, 0 removed; 3 pages encoded\n"
    assert done.stderr == ""
    return folder


def model_options(checkpoint: Path) -> list[str]:
    return ["--model", str(checkpoint), "--max-visual-tokens", "16"]


def late_encoder(checkpoint: Path) -> MultiVectorEncoder:
    found = load_encoder(str(checkpoint), max_visual_tokens=16)
    assert isinstance(found, MultiVectorEncoder)
    return found


def hits_of(done: Result) -> list[dict[str, Any]]:
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


def test_searching_finds_out_the_kind_of_the_index_and_scores_by_maxsim(
    vdr: Callable[..., Result], built: Path, docs: Path, colqwen2: Path
) -> None:
    found = hits_of(vdr("search", QUESTION, "--index", built, "--json"))
    assert [set(hit) for hit in found] == [HIT_KEYS] * 3
    scores = [hit["score"] for hit in found]
    assert scores == sorted(scores, reverse=True)
    encoder = late_encoder(colqwen2)
    with open_pdf(docs / "a.pdf") as document:
        pages = encoder.encode_pages(list(document))
    direct = maxsim_scores(encoder.encode_queries([QUESTION])[0], pages)
    source = (docs / "a.pdf").as_posix()
    for number, score in enumerate(direct, start=1):
        [hit] = [h for h in found if (h["source"], h["page_number"]) == (source, number)]
        assert hit["score"] == pytest.approx(score, rel=1e-3)
        assert hit["page_id"] == page_id(source, number)


def test_exhaustive_is_for_both_kinds(
    vdr: Callable[..., Result], built: Path, docs: Path, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    dense = tmp_path / "dense"
    options = ["--index", dense, *model_options(tiny_checkpoint)]
    assert vdr("index", docs, *options).exit_code == 0
    for index in (built, dense):
        search = ["search", QUESTION, "--index", index, "--json"]
        found = hits_of(vdr(*search))
        assert hits_of(vdr(*search, "--exhaustive")) == found
        assert len(hits_of(vdr(*search, "--exhaustive", "-k", 2))) == 2


def test_an_index_with_recall_keeps_dense_vectors_and_brings_candidates_by_them(
    vdr: Callable[..., Result], docs: Path, colqwen2: Path, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    docs = shutil.copytree(docs, tmp_path / "docs")
    index = ["--index", tmp_path / "ix"]
    new = ["--late-interaction", *model_options(colqwen2), "--recall", tiny_checkpoint]
    done = vdr("index", docs, *index, *new)
    assert done.stdout == "2 added, 0 changed, 0 unchanged, 0 removed; 3 pages encoded\n"
    plain = hits_of(vdr("search", QUESTION, *index, "--json"))
    dense = load_encoder(str(tiny_checkpoint), max_visual_tokens=16)
    moved = shutil.copytree(tiny_checkpoint, tmp_path / "moved" / tiny_checkpoint.name)
    for option in (["--recall"], ["--recall-model", moved]):
        with mock.patch.object(LateInteractionIndex, "search", autospec=True) as search:
            search.side_effect = SEARCH
            assert hits_of(vdr("search", QUESTION, *index, *option, "--json")) == plain
        [vector] = [call.kwargs["dense_query"] for call in search.call_args_list]
        assert vector == pytest.approx(dense.encode_queries([QUESTION])[0])
    facts = json.loads(vdr("info", *index, "--json").stdout)
    assert (facts["model"], facts["recall"]) == (str(colqwen2), str(tiny_checkpoint))
    with LateInteractionIndex.open(tmp_path / "ix") as opened:
        for page in opened.get(opened.page_ids(), with_vectors=True):
            assert page.dense is not None
    (docs / "b.png").unlink()
    write_png(docs / "d.png", "teal")
    again = vdr("index", docs, *index)
    assert again.stdout == "1 added, 0 changed, 1 unchanged, 1 removed; 1 pages encoded\n"


def test_the_dense_model_of_an_index_with_recall_is_named_and_shortened_by_options(
    vdr: Callable[..., Result], docs: Path, colqwen2: Path, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    new = ["--late-interaction", *model_options(colqwen2), "--dimension", "32"]
    index = ["--index", tmp_path / "ix"]
    assert vdr("index", docs, *index, *new, "--recall", tiny_checkpoint).exit_code == 0
    with LateInteractionIndex.open(tmp_path / "ix") as opened:
        assert opened.dense_manifest is not None
        assert opened.dense_manifest.dimension == 32
    for name, message in (("nano-colqwen2", "gives one vector a token"), ("", "name of the model")):
        done = vdr("index", docs, "--index", tmp_path / "no", *new, "--recall", name)
        assert done.exit_code == 1
        assert message in " ".join(done.stderr.split())
    done = vdr("index", docs, *index, "--recall", "nano")
    assert done.exit_code == 1
    assert "cannot be used with nano" in " ".join(done.stderr.split())
    assert not (tmp_path / "no").exists()


def test_recall_is_refused_where_there_are_no_dense_vectors_to_recall_by(
    vdr: Callable[..., Result], built: Path, docs: Path, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    dense = tmp_path / "dense"
    options = ["--index", dense, *model_options(tiny_checkpoint)]
    assert vdr("index", docs, *options).exit_code == 0
    for done, message in (
        (vdr("search", QUESTION, "--index", built, "--recall"), "made without dense vectors"),
        (vdr("search", QUESTION, "--index", dense, "--recall"), "keeps one vector a page"),
        (vdr("index", docs, "--index", built, "--recall", tiny_checkpoint), "leave --recall out"),
        (vdr("index", docs, "--index", dense, "--recall", tiny_checkpoint), "--recall out"),
        (vdr("index", docs, "--index", tmp_path / "new", "--recall", "nano"), "late-interaction"),
        (vdr("search", "?", "--index", built, "--recall", "--exhaustive"), "exclude each other"),
    ):
        assert done.exit_code == 1
        assert message in " ".join(done.stderr.split())
    assert not (tmp_path / "new").exists()


def test_several_questions_come_from_stdin_and_hits_are_lines(
    vdr: Callable[..., Result], built: Path
) -> None:
    questions = [f"{QUESTION} {n}" for n in (1, 2)]
    asked = "\n".join(questions)
    done = vdr("search", "-", "--index", built, "--json", asked=asked)
    alone = [vdr("search", q, "--index", built, "--json").stdout for q in questions]
    assert done.stdout == "".join(alone)
    [line] = vdr("search", QUESTION, "--index", built, "-k", 1).stdout.splitlines()
    score, page_number, source = line.split("\t")
    assert float(score) > 1
    assert page_number in {"1", "2"}
    assert source.startswith("/")


def test_indexing_again_keeps_the_kind_and_the_model(
    vdr: Callable[..., Result], docs: Path, colqwen2: Path, tmp_path: Path
) -> None:
    own = tmp_path / "docs"
    write_pdf(own / "a.pdf", ["apples", "pears"])
    write_png(own / "b.png", "navy")
    options = ["index", own, "--index", tmp_path / "ix"]
    compression = ["--late-interaction", "--compression", "pool2,float32"]
    assert vdr(*options, *compression, *model_options(colqwen2)).exit_code == 0
    again = vdr(*options)
    assert again.stdout == "0 added, 0 changed, 2 unchanged, 0 removed; 0 pages encoded\n"
    write_pdf(own / "a.pdf", ["plums"])
    (own / "b.png").unlink()
    changed = vdr(*options, *compression)
    assert changed.stdout == "0 added, 1 changed, 0 unchanged, 1 removed; 1 pages encoded\n"
    assert [again.exit_code, changed.exit_code] == [0, 0]
    with LateInteractionIndex.open(tmp_path / "ix") as index:
        assert index.compression == Compression(vectors="float32", token_pooling=2)
        assert index.manifest.model == str(colqwen2.resolve())
        assert index.manifest.max_visual_tokens == 16
        assert set(index.prompts) == {"page", "query"}
        assert index.count_pages() == 1


def test_an_index_is_never_made_into_another(
    vdr: Callable[..., Result],
    built: Path,
    docs: Path,
    tiny_checkpoint: Path,
    tmp_path: Path,
) -> None:
    dense = tmp_path / "dense"
    options = ["--index", dense, *model_options(tiny_checkpoint)]
    assert vdr("index", docs, *options).exit_code == 0
    for wanted in (["--late-interaction"], ["--compression", "pool2"]):
        done = vdr("index", docs, "--index", dense, *wanted)
        assert done.exit_code == 1
        assert "one vector per page" in done.stderr
    done = vdr("index", docs, "--index", built, "--compression", "int8,pool3")
    assert done.exit_code == 1
    assert "was made with --compression float16;" in done.stderr
    done = vdr("index", docs, "--index", built, "--model", tiny_checkpoint)
    assert done.exit_code == 1
    assert "late interaction needs one a token" in done.stderr


def test_a_new_index_is_of_the_kind_of_its_model_or_not_made(
    vdr: Callable[..., Result],
    docs: Path,
    colqwen2: Path,
    tiny_checkpoint: Path,
    tmp_path: Path,
) -> None:
    index = ["index", docs, "--index", tmp_path / "ix"]
    for wanted, message in (
        (["--model", colqwen2], "make an index with --late-interaction"),
        (["--model", tiny_checkpoint, "--late-interaction"], "needs one a token"),
        (["--model", colqwen2, "--compression", "pool2"], "add --late-interaction"),
        (["--model", colqwen2, "--late-interaction", "--compression", "zip"], "'zip'"),
        (["--model", colqwen2, "--late-interaction", "--dimension", 64], "dimension=64"),
        (["--model", "someone/something", "--late-interaction"], "someone/something"),
    ):
        done = vdr(*index, *wanted)
        assert (done.exit_code, done.stdout) == (1, "")
        assert message in done.stderr
        assert len(done.stderr.splitlines()) == 1
        assert not (tmp_path / "ix").exists()


def test_the_default_model_is_colqwen2(
    vdr: Callable[..., Result], docs: Path, tmp_path: Path
) -> None:
    index = ["index", docs, "--index", tmp_path / "ix"]
    late = vdr(*index, "--late-interaction", HF_HUB_CACHE=str(tmp_path / "empty"))
    assert late.exit_code == 1
    assert "vidore/colqwen2-v1.0" in late.stderr


def test_another_model_is_refused_naming_both(
    vdr: Callable[..., Result], built: Path, docs: Path, colqwen2: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other" / "colqwen2-base"
    write_base(other, seed=1)
    for command in (["index", docs], ["search", "x"]):
        done = vdr(*command, "--index", built, "--model", other)
        assert (done.exit_code, done.stdout) == (1, "")
        assert str(other) in done.stderr
        assert str(colqwen2) in done.stderr


def test_searches_go_on_while_another_process_writes_which_keeps_writers_out_by_name(
    vdr: Callable[..., Result], built: Path, docs: Path
) -> None:
    before = vdr("search", "x", "--index", built, "--json").stdout
    with writing_elsewhere(built) as other:
        assert vdr("search", "x", "--index", built, "--json").stdout == before
        assert vdr("info", "--index", built).exit_code == 0
        assert vdr("verify", "--index", built).exit_code == 0
        for command in (["index", docs], ["rm", "a.pdf", "--yes"], ["optimize"]):
            done = vdr(*command, "--index", built)
            assert done.exit_code == 1
            assert f"process {other.pid} is writing to index" in done.stderr
            assert "--wait" in done.stderr
    assert vdr("index", docs, "--index", built, "--wait", 60).exit_code == 0


def test_a_second_run_waits_for_the_first(
    vdr: Callable[..., Result], built: Path, docs: Path
) -> None:
    with writing_elsewhere(built) as other:
        assert other.stdin is not None
        ending = threading.Timer(1.0, other.stdin.close)
        ending.start()
        assert vdr("index", docs, "--index", built, "--wait", 300).exit_code == 0
        ending.join()


@pytest.mark.parametrize(
    ("words", "compression"),
    [
        ("float16", Compression()),
        ("float32,pool2", Compression(vectors="float32", token_pooling=2)),
        ("pool8, float32", Compression(vectors="float32", token_pooling=8)),
        ("int8", Compression(vectors="int8")),
    ],
)
def test_compression_is_given_in_words(words: str, compression: Compression) -> None:
    assert parse_compression(words) == compression
    assert parse_compression(compression_words(compression)) == compression


@pytest.mark.parametrize(
    "words", ["", "pool", "pool1", "pool9", "pool22", "int8,float16", "binary", "INT8"]
)
def test_other_words_and_contradictions_are_refused(words: str) -> None:
    with pytest.raises(OptionError, match="--compression"):
        parse_compression(words)


def test_help_names_the_options_and_imports_no_torch() -> None:
    script = (
        "import sys; sys.argv = ['vdr', {command!r}, '--help']\n"
        "from vdr_integrations.cli.main import main\n"
        "try: main()\n"
        "finally: print([m for m in ('torch', 'numpy', 'qdrant_client') if m in sys.modules])"
    )
    for command, option in (("index", "--late-interaction"), ("search", "--exhaustive")):
        done = subprocess.run(
            [sys.executable, "-c", script.format(command=command)],
            capture_output=True,
            text=True,
            check=True,
            env={"COLUMNS": "200", "PATH": "", "PYTHONPATH": ":".join(sys.path)},
        )
        assert option in done.stdout
        assert done.stdout.endswith("\n[]\n")
