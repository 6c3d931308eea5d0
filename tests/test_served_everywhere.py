"""Wherever a model can be named, the address of its server can be: the answer is the same."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tests.pdfs import write_pdf
from tests.serving import serving
from typer.testing import CliRunner

from vdr_integrations import PageSearcher, langchain, llama_index, load_encoder
from vdr_integrations.cli.app import app
from vdr_integrations.encoders import EncoderOptions
from vdr_integrations.errors import IndexMismatchError
from vdr_integrations.index import open_index
from vdr_integrations.serve import build_app

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from vdr_integrations.encoders.load_options import LoadOptions

pytestmark = pytest.mark.usefixtures("loopback", "seen_pages", "page_store")

EXACT: LoadOptions = {"device": "cpu", "dtype": "float32"}
QUESTION = "pancakes"


@pytest.fixture(scope="module")
def dense() -> Iterator[str]:
    with serving(build_app(load_encoder("nano", **EXACT))) as address:
        yield address


@pytest.fixture(scope="module")
def late() -> Iterator[str]:
    with serving(build_app(load_encoder("nano-colqwen2", **EXACT))) as address:
        yield address


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("served").resolve() / "menu.pdf"
    write_pdf(path, ["Breakfast", "Pancakes", "Lemonade"])
    return path


def vdr(*arguments: object) -> Any:
    ended = CliRunner().invoke(app, [str(one) for one in arguments])
    assert ended.exit_code == 0, ended.output
    return ended.stdout


def indexed(folder: Path, document: Path, *options: object) -> Path:
    vdr("index", document, "--index", folder, *options)
    return folder


def test_an_index_is_the_same_whoever_runs_the_model(
    dense: str, late: str, document: Path, tmp_path: Path
) -> None:
    models = ((), "nano", dense), (("--late-interaction",), "nano-colqwen2", late)
    for kind, name, address in models:
        own = indexed(
            tmp_path / f"own-{name}", document, *kind, "--model", name, "--dtype", "float32"
        )
        served = indexed(tmp_path / f"served-{name}", document, *kind, "--model", address)
        with open_index(own) as one, open_index(served) as other:
            assert other.manifest == one.manifest
            assert other.page_ids() == one.page_ids()
            for page, same in zip(
                one.get(one.page_ids(), with_vectors=True),
                other.get(other.page_ids(), with_vectors=True),
                strict=True,
            ):
                assert same.record == page.record
                vectors = [x for x in (page.vectors, page.dense) if x is not None]
                others = [x for x in (same.vectors, same.dense) if x is not None]
                for left, right in zip(vectors, others, strict=True):
                    np.testing.assert_allclose(left, right, atol=1e-5)
        asked = ("search", QUESTION, "--json", "--index", own)
        answers = [json.loads(vdr(*asked, "--model", model)) for model in (name, address)]
        assert len(answers[0]) == 3
        assert [one["page_id"] for one in answers[0]] == [one["page_id"] for one in answers[1]]


def test_an_index_of_another_model_is_refused(dense: str, document: Path, tmp_path: Path) -> None:
    index = indexed(tmp_path / "ix", document, "--model", "nano", "--dimension", 64)
    hits = PageSearcher(index, encoder=EncoderOptions(model=dense)).search(QUESTION)
    assert len(hits) == 3  # the client chooses the dimension of the index
    other = PageSearcher(index, encoder=EncoderOptions(model=dense, dimension=65))
    with pytest.raises(IndexMismatchError, match="dimension 65"):
        other.search(QUESTION)


def test_served_models_are_measured_as_those_of_this_process(
    dense: str, late: str, document: Path, tmp_path: Path
) -> None:
    questions = tmp_path / "questions.jsonl"
    asked = {"question": QUESTION, "document": document.name, "pages": [2]}
    questions.write_text(json.dumps(asked) + "\n", encoding="utf-8")
    measured = ("eval", questions, document, "--json", "-")
    names = ("nano", "nano-colqwen2")
    own = json.loads(vdr(*measured, "--dtype", "float32", *_models(*names)))
    served = json.loads(vdr(*measured, *_models(dense, late)))
    for name, address in zip(names, (dense, late), strict=True):
        assert served["systems"][address] == own["systems"][name]
        assert f"{address} hybrid" in served["systems"]


def test_an_index_is_measured_with_the_server_of_its_model(
    dense: str, late: str, document: Path, tmp_path: Path
) -> None:
    questions = tmp_path / "questions.jsonl"
    asked = {"question": QUESTION, "document": document.name, "pages": [2]}
    questions.write_text(json.dumps(asked) + "\n", encoding="utf-8")
    index = indexed(tmp_path / "ix", document, "--late-interaction", "--model", late)
    measured = ("eval", questions, "--index", index, "--compare", "int8", "--json", "-")
    own = json.loads(vdr(*measured, "--dtype", "float32"))
    assert json.loads(vdr(*measured, "--model", late))["systems"] == own["systems"]
    for models, told in (((late, dense), "name one"), ((dense,), "gives one vector a page")):
        command = [*map(str, measured), *_models(*models)]
        ended = CliRunner().invoke(app, command)
        assert ended.exit_code == 1
        assert told in ended.stderr


def _models(*names: str) -> list[str]:
    return [word for name in names for word in ("--model", name)]


async def test_both_frameworks_take_an_address(
    dense: str, late: str, document: Path, tmp_path: Path
) -> None:
    own, texts = load_encoder("nano", **EXACT), ["a", "Wie groß?"]
    expected = np.array(own.encode_queries(texts))
    embedding = llama_index.VDREmbedding(model_name=dense)
    found = await embedding.aget_text_embedding_batch(texts)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_allclose(
        langchain.VDREmbeddings(model=dense).embed_documents(texts), expected, atol=1e-5
    )
    index = indexed(tmp_path / "ix", document, "--late-interaction", "--model", "nano-colqwen2")
    nodes = await llama_index.LateInteractionRetriever(index=index, model_name=late).aretrieve(
        QUESTION
    )
    documents = await langchain.LateInteractionRetriever(index=index, model=late).ainvoke(QUESTION)
    assert nodes[0].node.metadata["page_number"] == documents[0].metadata["page_number"]
