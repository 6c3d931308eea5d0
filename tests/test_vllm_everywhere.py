"""Wherever a model can be named, the address of a vLLM server can be: of a stand-in, here.

An index that vLLM made is used with vLLM only, and one that was made here is not.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from tests.pdfs import write_pdf
from tests.serving import serving
from tests.vllm_stand_in import IMAGE, VllmStandIn
from typer.testing import CliRunner

from vdr_integrations import (
    DenseEncoder,
    MultiVectorEncoder,
    PageSearcher,
    PairedEncoder,
    langchain,
    llama_index,
)
from vdr_integrations.cli.app import app
from vdr_integrations.encoders import EncoderOptions
from vdr_integrations.encoders.checkpoints.known_checkpoints import BUNDLED
from vdr_integrations.errors import IndexMismatchError, UnknownCheckpointError
from vdr_integrations.index import LateInteractionIndex, open_index

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("loopback", "seen_pages", "page_store")

QUESTION = "pancakes"
LATE = "nano-colqwen2"


@pytest.fixture(scope="module")
def vllm() -> Iterator[str]:
    stand_in = VllmStandIn(
        folder=BUNDLED[LATE],
        tokenizer=BUNDLED["nano"] / "tokenizer.json",
        name="pages",
        root=LATE,
        dimension=128,
        side=28,
        chat=f"<|im_start|>{IMAGE}{{text}}<|im_end|>\n",
    )
    with serving(stand_in) as address:
        yield address


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("served").resolve() / "menu.pdf"
    write_pdf(path, ["Breakfast", "Pancakes", "Lemonade"])
    return path


def vdr(*arguments: object, code: int = 0) -> str:
    ended = CliRunner().invoke(app, [str(one) for one in arguments])
    assert ended.exit_code == code, ended.output
    return ended.output if code else ended.stdout


def indexed(folder: Path, document: Path, model: str) -> Path:
    vdr("index", document, "--index", folder, "--late-interaction", "--model", model)
    return folder


def test_an_index_finds_the_same_pages_as_one_that_was_made_here(
    vllm: str, document: Path, tmp_path: Path
) -> None:
    made = indexed(tmp_path / "ix", document, vllm)
    own = indexed(tmp_path / "own", document, LATE)
    answers: list[Any] = [
        json.loads(vdr("search", QUESTION, "--json", "--index", index, "--model", model))
        for index, model in ((made, vllm), (own, LATE))
    ]
    found = [[(hit["page_id"], hit["page_number"]) for hit in hits] for hits in answers]
    assert found[0] == found[1]
    assert found[0][0][1] == 2
    with open_index(made) as index:
        assert index.manifest.model == f"vllm:{LATE}"
    maps: list[Any] = []
    for index, model in ((made, vllm), (own, LATE)):
        picture = tmp_path / f"{index.name}.png"
        vdr("heatmap", QUESTION, "--index", index, "--model", model, "--out", picture)
        maps.append(np.asarray(Image.open(picture), np.float32))
    np.testing.assert_allclose(maps[0], maps[1], atol=4)
    # Nothing is encoded again.
    assert "unchanged" in vdr("index", document, "--index", made, "--model", vllm, "--json")


def test_an_index_of_one_is_refused_with_the_other(
    vllm: str, document: Path, tmp_path: Path
) -> None:
    made = indexed(tmp_path / "ix", document, vllm)
    own = indexed(tmp_path / "own", document, LATE)
    asked: list[tuple[Path, str | None, type[Exception], str]] = [
        (made, LATE, IndexMismatchError, "was made by a vLLM server of nano-colqwen2"),
        (own, vllm, IndexMismatchError, "compared only with those of vLLM"),
        (made, None, UnknownCheckpointError, "--model http://"),
    ]
    for index, model, kind, told in asked:
        with pytest.raises(kind, match=told):
            PageSearcher(index, encoder=EncoderOptions(model=model)).search(QUESTION)
    here = MultiVectorEncoder.load(LATE, device="cpu")
    with (
        LateInteractionIndex.open(made) as index,
        pytest.raises(IndexMismatchError, match=r"vllm:nano-colqwen2 .* compared only with"),
    ):
        PageSearcher(index, encoder=here).search(QUESTION)
    assert "--model http://" in " ".join(vdr("search", QUESTION, "--index", made, code=1).split())


async def test_both_frameworks_take_the_address(vllm: str, document: Path, tmp_path: Path) -> None:
    made = indexed(tmp_path / "ix", document, vllm)
    nodes = await llama_index.LateInteractionRetriever(index=made, model_name=vllm).aretrieve(
        QUESTION
    )
    documents = await langchain.LateInteractionRetriever(index=made, model=vllm).ainvoke(QUESTION)
    assert nodes[0].node.metadata["page_number"] == documents[0].metadata["page_number"] == 2


def test_a_pair_of_a_dense_model_here_and_one_on_a_server(vllm: str, document: Path) -> None:
    from vdr_integrations import open_pdf

    pair = PairedEncoder(
        dense=DenseEncoder.load("nano", device="cpu"), multi_vector=MultiVectorEncoder.load(vllm)
    )
    with open_pdf(document) as pages:
        found = pair.encode_pages(pages)
    with open_pdf(document) as pages:
        alone = pair.multi_vector.encode_pages(pages)
    assert [one.shape for one in found.tokens] == [one.shape for one in alone]
    assert len(found.dense) == 3


def test_doctor_says_what_the_server_serves(vllm: str) -> None:
    said = json.loads(vdr("doctor", "--model", vllm, "--json"))
    assert f"vLLM at {vllm}" in json.dumps(said)
