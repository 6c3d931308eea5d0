"""docs/stores.md: its blocks run, its versions are those that are tested, and it hides nothing."""

from __future__ import annotations

import asyncio
import os
import re
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.vectorstores import VectorStore
from langchain_postgres import PGEngine
from llama_index.core.vector_stores.types import BasePydanticVectorStore
from llama_index.vector_stores.postgres import PGVectorStore
from tests.pdfs import write_pdf
from tests.stores.every_table import NAMES, table_kind
from tests.stores.postgres_table import SOCKET_FOLDER
from tests.stores.vector_store import DIMENSION

if TYPE_CHECKING:
    from collections.abc import Mapping

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "stores.md"
TEXT = DOCUMENT.read_text(encoding="utf-8")
WORDS = " ".join(TEXT.split())
SECTIONS = dict(re.findall(r"^###? ([^\n]+)\n(.*?)(?=^###? |\Z)", TEXT, re.DOTALL | re.MULTILINE))

pytestmark = [
    pytest.mark.filterwarnings("ignore:`langchain-community` is being sunset"),
    pytest.mark.filterwarnings("ignore:table_names"),  # LlamaIndex's LanceDB
    pytest.mark.filterwarnings("ignore:Payload indexes have no effect"),  # LlamaIndex's Qdrant
]


def blocks(section: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", SECTIONS[section], re.DOTALL | re.MULTILINE)


NAMES_OF_THE_PAGE, FILL_LLAMA_INDEX, FILL_LANGCHAIN = blocks("Connect a store")


def run(block: str, names: dict[str, Any], server: str) -> None:
    """Run a block with the small model, and with the server of the tests."""
    here = block.replace("llamaindex/vdr-2b-multi-v1", "nano").replace("1536", str(DIMENSION))
    here = here.replace("user:password@localhost/pages", f"postgres@/postgres?host={server}")
    exec(compile(here, DOCUMENT.name, "exec"), names)


@pytest.fixture
def names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the first block makes of a report of three pages."""
    monkeypatch.chdir(tmp_path)
    write_pdf(tmp_path / "report.pdf", ["Revenue grew", "Costs fell", "Outlook is calm"])
    made: dict[str, Any] = {"__name__": "document"}
    run(NAMES_OF_THE_PAGE, made, "")
    return made


@pytest.mark.parametrize("section", NAMES)
def test_the_blocks_of_a_store_connect_it(
    section: str, names: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    request.getfixturevalue("postgres")
    for block in blocks(section):
        names.pop("vector_store", None)
        run(block, names, os.environ[SOCKET_FOLDER])
        assert found_with(names) == {1, 2, 3}
        hang_up(names)


def found_with(names: dict[str, Any]) -> set[int]:
    """Numbers of the pages that the store of a block finds, after it got them."""
    vector_store, store = names.get("vector_store"), names.get("store")
    if isinstance(vector_store, BasePydanticVectorStore):
        run(FILL_LLAMA_INDEX, names, "")
        hits = names["index"].as_retriever(similarity_top_k=4).retrieve("costs")
        return {hit.metadata["page_number"] for hit in hits}
    assert isinstance(store, VectorStore)
    run(FILL_LANGCHAIN, names, "")
    return {hit.metadata["page_number"] for hit in store.similarity_search("costs", k=4)}


def hang_up(names: Mapping[str, Any]) -> None:
    """Close the connections to Postgres that a block has opened."""
    vector_store, engine = names.get("vector_store"), names.get("engine")
    if isinstance(vector_store, PGVectorStore):
        vector_store.client.dispose()
    if isinstance(engine, PGEngine):
        asyncio.run(engine.close())


def test_the_blocks_of_words_and_vectors_find_a_word(names: dict[str, Any]) -> None:
    first, second = blocks("Words and vectors together")
    run(first, names, "")
    assert names["words"].retrieve("fell")[0].metadata["page_number"] == 2
    assert {hit.metadata["page_number"] for hit in names["both"].retrieve("fell")} == {1, 2, 3}
    run(second, names, "")
    assert names["words"].invoke("fell")[0].metadata["page_number"] == 2
    found = [hit.metadata["page_number"] for hit in names["ensemble"].invoke("fell")]
    assert sorted(found) == [1, 2, 3]


@pytest.mark.parametrize("name", NAMES)
def test_the_document_names_the_versions_that_are_tested(name: str) -> None:
    for package in table_kind(name).packages:
        assert f"{package} {version(package)}" in " ".join(SECTIONS[name].split())


def test_the_document_names_the_versions_of_the_frameworks() -> None:
    for package in ("llama-index-core", "langchain-core"):
        assert f"{package} {version(package)}" in WORDS


@pytest.mark.parametrize("name", NAMES)
def test_the_document_says_what_integrations_do_wrong(name: str) -> None:
    said = " ".join(SECTIONS[name].split())
    for wrong in table_kind(name).upstream.values():
        assert wrong.reason in said
