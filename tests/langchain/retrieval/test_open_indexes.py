from __future__ import annotations

import pickle
import shutil
from typing import TYPE_CHECKING, Any, get_type_hints

import pytest
from langchain_core.load import dumps
from langchain_core.runnables import (
    ConfigurableField,
)
from pydantic import ValidationError
from tests.langchain.retrieval.conftest import QUESTION, load_late, numbers
from tests.tiny_colqwen2 import write_base

from vdr_integrations.errors import (
    IndexMismatchError,
    IndexNotFoundError,
)
from vdr_integrations.index import (
    Hybrid,
    LateInteractionIndex,
    Manifest,
    QdrantServer,
    sync_index,
)
from vdr_integrations.langchain import (
    LateInteractionCompressor,
    LateInteractionRetriever,
)

if TYPE_CHECKING:
    from pathlib import Path

    from vdr_integrations import MultiVectorEncoder
    from vdr_integrations.pages import PageStore


@pytest.mark.parametrize("kind", [QdrantServer, Hybrid])
def test_what_fields_may_be_can_be_read_at_run_time(kind: type) -> None:
    assert get_type_hints(kind)  # pydantic 2.11 needs it for InstanceOf


def test_the_folder_and_the_model_of_the_index_are_enough(
    index_folder: Path, colqwen2: Path, encoder: MultiVectorEncoder, page_store: PageStore
) -> None:
    plain = LateInteractionRetriever(index=index_folder, device="cpu", k=5)
    with_encoder = LateInteractionRetriever(index=str(index_folder), encoder=encoder, k=5)
    named: dict[str, Any] = {"model_name": str(colqwen2), "device": "cpu", "k": 5}
    by_name = LateInteractionRetriever(index=index_folder, **named)
    found = plain.invoke(QUESTION)
    assert sorted(numbers(found)) == [
        ("blank.pdf", 1),
        ("photo.png", 1),
        ("report.pdf", 1),
        ("report.pdf", 2),
        ("report.pdf", 3),
    ]
    assert with_encoder.invoke(QUESTION) == by_name.invoke(QUESTION) == found


def test_retrievers_and_others_use_one_folder_at_once(
    index_folder: Path, encoder: MultiVectorEncoder, page_store: PageStore, tmp_path: Path
) -> None:
    place = tmp_path / "copy"
    shutil.copytree(index_folder, place)
    first = LateInteractionRetriever(index=place, encoder=encoder)
    second = LateInteractionRetriever(index=place, encoder=encoder)
    found = first.invoke(QUESTION)
    assert second.invoke(QUESTION) == found
    first.close()
    with LateInteractionIndex.open(place) as index:
        assert index.remove_document(index.documents()[0].source)
        left = {document.source for document in index.documents()}
    assert {one.metadata["source"] for one in second.invoke(QUESTION)} <= left
    second.close()
    assert first.invoke(QUESTION) == second.invoke(QUESTION)


def test_copies_pickles_and_configured_retrievers_find_the_same(
    index_folder: Path, colqwen2: Path, page_store: PageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    retriever = LateInteractionRetriever(index=index_folder, device="cpu", k=2)
    found = retriever.invoke(QUESTION)
    pickled = pickle.dumps(retriever)
    assert b"hf_secret" not in pickled
    assert "hf_secret" not in repr(retriever) + str(retriever.model_dump())
    monkeypatch.delenv("HF_TOKEN")
    unpickled: LateInteractionRetriever = pickle.loads(pickled)
    assert unpickled.token is None
    for other in (unpickled, retriever.model_copy(deep=True)):
        assert other.invoke(QUESTION) == found
    configurable = retriever.configurable_fields(k=ConfigurableField(id="pages"))
    assert configurable.with_config(configurable={"pages": 1}).invoke(QUESTION) == found[:1]
    server = QdrantServer("pages", url="http://localhost:6333", api_key="key")
    with pytest.raises(TypeError, match="never pickled"):
        pickle.dumps(LateInteractionRetriever(index=server))


def test_a_qdrant_collection_is_searched_as_a_folder_is(
    encoder: MultiVectorEncoder,
    docs: Path,
    index_folder: Path,
    page_store: PageStore,
) -> None:
    qdrant_client = pytest.importorskip("qdrant_client")
    client = qdrant_client.QdrantClient(":memory:")
    server = QdrantServer("pages", client=client)
    with LateInteractionIndex.create(server, manifest=Manifest.of(encoder)) as index:
        sync_index(index, encoder, [docs])
    on_server = LateInteractionRetriever(index=server, encoder=encoder).invoke(QUESTION)
    in_folder = LateInteractionRetriever(index=index_folder, encoder=encoder).invoke(QUESTION)
    client.close()
    assert on_server == in_folder


def test_what_is_no_index_of_this_model_is_refused(
    index: LateInteractionIndex, encoder: MultiVectorEncoder, tmp_path: Path
) -> None:
    with pytest.raises(IndexNotFoundError):
        LateInteractionRetriever(index=tmp_path / "none", encoder=encoder).invoke(QUESTION)
    for url in ("http://localhost:6333", "https://localhost/"):
        with pytest.raises(ValidationError, match="without a collection"):
            LateInteractionRetriever(index=url, encoder=encoder)
    write_base(tmp_path / "other" / "colqwen2-base", seed=1)
    other = load_late(tmp_path / "other" / "colqwen2-base")
    with pytest.raises(IndexMismatchError):
        LateInteractionRetriever(index=index, encoder=other).invoke(QUESTION)


def test_secrets_are_in_no_dump_pickle_or_message() -> None:
    secret: Any = "s3cret"
    for index in (
        QdrantServer("p", url="https://h:6333", api_key=secret),
        f"https://user:{secret}@h:6333/p",
    ):
        for made in (
            LateInteractionRetriever(index=index, token=secret),
            LateInteractionCompressor(index=index, token=secret),
        ):
            assert secret not in repr(made) + str(made) + made.model_dump_json() + dumps(made)
            with pytest.raises(TypeError, match="never pickled"):
                pickle.dumps(made)
    wrong: list[dict[str, Any]] = [
        {},
        {"index": "x", "exhaustive": True, "candidates": 3},
        {"nonsense": 1},
    ]
    for options in wrong:
        with pytest.raises(ValidationError) as caught:
            LateInteractionRetriever(token=secret, **options)
        assert secret not in str(caught.value)
