"""LlamaIndex and LangChain side by side in one process."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from tests.hub_cache import cached_repository
from tests.models import models_in_memory, new_models
from tests.tiny_checkpoint import write_tiny_checkpoint

from vdr_integrations import DenseEncoder, load_encoder, open_pdf
from vdr_integrations.encoders.forward.eight_bit_weights import PACKINGS
from vdr_integrations.encoders.runtime.device_and_dtype import DTYPES
from vdr_integrations.langchain import PDFPageLoader, VDREmbeddings
from vdr_integrations.llama_index import PDFPageReader, VDREmbedding
from vdr_integrations.retrieval.encoder_fields import EncoderFields

if TYPE_CHECKING:
    from vdr_integrations import PageStore

REPORT = Path(__file__).resolve().parent.parent / "demo" / "documents" / "utility-report.de.pdf"

PAGES = 2

DTYPE = re.compile(r'dtype:( str = "auto"\s+""")?\s*(``.*?)("""|\n +\w+: )', re.DOTALL)
"""A dtype with its description, below it or in a list of arguments."""


@pytest.fixture(params=["tiny", "nano"])
def model(request: pytest.FixtureRequest, tiny_checkpoint: Path) -> str:
    return str(tiny_checkpoint) if request.param == "tiny" else request.param


def test_both_frameworks_give_the_cores_vectors_to_the_last_bit(
    model: str, page_store: PageStore
) -> None:
    encoder = DenseEncoder.load(model, device="cpu")
    with open_pdf(REPORT) as pdf:
        expected = encoder.encode_pages(list(pdf)[:PAGES]).tolist()
    references = [document.page_content for document in PDFPageLoader(REPORT).load()[:PAGES]]
    documents = PDFPageReader().load_data(REPORT)[:PAGES]
    llama_index = VDREmbedding(model_name=model, device="cpu")
    langchain = VDREmbeddings(model=model, device="cpu")
    assert langchain.embed_documents(references) == expected
    assert llama_index.get_text_embedding_batch(references) == expected
    images = [str(page.image_resource.path) for page in documents if page.image_resource]
    assert llama_index.get_image_embedding_batch(images) == expected
    assert langchain.embed_images(images) == expected
    question = "Wie viel Nitrat enthält das Trinkwasser?"
    assert llama_index.get_query_embedding(question) == langchain.embed_query(question)


@pytest.mark.parametrize("takes_dtype", [load_encoder, EncoderFields])
def test_whatever_takes_a_dtype_names_each_there_is(takes_dtype: type) -> None:
    described = DTYPE.search(inspect.getsource(takes_dtype))
    assert described is not None
    accepted = {"auto", *PACKINGS.values(), *(str(dtype)[6:] for dtype in DTYPES.values())}
    assert set(re.findall(r'``"(\w+)"``', described[2])) == accepted


def test_both_frameworks_share_one_model(tmp_path: Path, page_store: PageStore) -> None:
    folder = str(write_tiny_checkpoint(tmp_path / "vdr-2b-multi-v1", seed=70))
    llama_index = VDREmbedding(model_name=folder, device="cpu", dtype="bfloat16")
    langchain = VDREmbeddings(model=folder, device="cpu", dtype="bfloat16")
    known = models_in_memory()
    llama_index.get_query_embedding("a")
    langchain.embed_query("a")
    assert new_models(known) == 1
    assert load_encoder(folder, device="cpu", dtype="bfloat16").dtype is torch.bfloat16


def test_both_frameworks_share_one_model_of_the_hub_whatever_token_and_revision_they_name(
    tmp_path: Path, page_store: PageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_some")
    name, cache = "llamaindex/vdr-2b-multi-v1", tmp_path / "hub"
    source = write_tiny_checkpoint(tmp_path / "source", seed=71)
    cached_repository(cache, name, source, commit="1" * 40)
    known = models_in_memory()
    llama_index = VDREmbedding(model_name=name, cache_dir=str(cache), device="cpu")
    langchain = [
        VDREmbeddings(model=name, cache_dir=str(cache), revision=revision, device="cpu")
        for revision in ("main", "1" * 40)
    ]
    found = [llama_index.get_query_embedding("a"), *(one.embed_query("a") for one in langchain)]
    assert found[0] == found[1] == found[2]
    assert new_models(known) == 1


def test_both_frameworks_use_one_folder_while_a_third_object_writes_to_it(
    tmp_path: Path, page_store: PageStore
) -> None:
    from vdr_integrations.index import LateInteractionIndex
    from vdr_integrations.langchain import LateInteractionRetriever as LangChainRetriever
    from vdr_integrations.llama_index import LateInteractionRerank
    from vdr_integrations.llama_index import LateInteractionRetriever as LlamaIndexRetriever

    place, question = tmp_path / "ix", "Wie viel Nitrat?"
    made = LlamaIndexRetriever.from_documents(
        PDFPageReader().load_data(REPORT), index=place, model_name="nano-colqwen2", device="cpu"
    )
    again = LlamaIndexRetriever(index=place, model_name="nano-colqwen2", device="cpu")
    rerank = LateInteractionRerank(index=place, model_name="nano-colqwen2", device="cpu", top_n=2)
    langchain = LangChainRetriever(index=place, model="nano-colqwen2", device="cpu", k=2)
    nodes = made.retrieve(question)
    best = [node.metadata["page_number"] for node in nodes][:2]
    assert [node.metadata["page_number"] for node in again.retrieve(question)][:2] == best
    assert [page.metadata["page_number"] for page in langchain.invoke(question)] == best
    reranked = rerank.postprocess_nodes(nodes, query_str=question)
    assert [node.metadata["page_number"] for node in reranked] == best
    empty, url = tmp_path / "empty", "http://user:secret@localhost:6333/pages"
    LlamaIndexRetriever.from_documents(
        [], index=empty, model_name="nano-colqwen2", device="cpu"
    ).close()
    both = LlamaIndexRetriever(index=[place, empty], model_name="nano-colqwen2", device="cpu")
    assert both.retrieve(question) == nodes
    both_pages = LangChainRetriever(index=[str(empty), place], model="nano-colqwen2", k=2)
    assert both_pages.invoke(question) == langchain.invoke(question)
    assert "secret" not in repr(LangChainRetriever(index=[place, url]))
    both.close()
    both_pages.close()
    with LateInteractionIndex.open(place) as index:
        (page,) = index.pages({"page_number": best[0]})
        assert index.remove_pages([page.page_id]) == 1
    assert best[0] not in [node.metadata["page_number"] for node in made.retrieve(question)]
    assert best[0] not in [page.metadata["page_number"] for page in langchain.invoke(question)]
