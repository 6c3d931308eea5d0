"""Table A2 of the contract notes: dictionaries, pickles, copies, and what they must not hold."""

from __future__ import annotations

import copy
import json
import pickle
from typing import TYPE_CHECKING

import pytest
from llama_index.core.ingestion.pipeline import get_transformation_hash
from llama_index.core.schema import TextNode
from llama_index.core.storage.kvstore import SimpleKVStore
from pydantic import SecretStr

from vdr_integrations.llama_index import PDFPageNodeParser, PDFPageReader, VDREmbedding

if TYPE_CHECKING:
    from pathlib import Path

NODES = [TextNode(text="a text")]


def test_an_embedding_comes_back_from_its_dictionary(embedding: VDREmbedding) -> None:
    vector = embedding.get_query_embedding("a question")
    restored = VDREmbedding.from_dict(json.loads(json.dumps(embedding.to_dict())))
    assert restored.to_dict() == embedding.to_dict()
    assert restored.get_query_embedding("a question") == vector


def test_every_option_that_changes_vectors_changes_the_cache_key() -> None:
    variants = [
        VDREmbedding(),
        VDREmbedding(model_name="nano"),
        VDREmbedding(revision="abc"),
        VDREmbedding(dtype="float16"),
        VDREmbedding(attn_implementation="eager"),
        VDREmbedding(dimension=512),
        VDREmbedding(max_visual_tokens=256),
    ]
    keys = {get_transformation_hash(NODES, variant) for variant in variants}
    assert len(keys) == len(variants)


def test_the_cache_key_does_not_move_when_the_model_is_loaded(embedding: VDREmbedding) -> None:
    before = get_transformation_hash(NODES, embedding)
    embedding.embeddings_cache = SimpleKVStore()
    embedding.get_query_embedding("a question")
    assert get_transformation_hash(NODES, embedding) == before


def test_secrets_are_in_no_dictionary_and_no_representation() -> None:
    token, password = SecretStr("hf_secret"), SecretStr("pa55word")
    embedding = VDREmbedding(token=token)
    reader = PDFPageReader(password=password)
    for component in (embedding, reader):
        shown = json.dumps(component.to_dict()) + repr(component) + str(component)
        assert "hf_secret" not in shown
        assert "pa55word" not in shown
    assert copy.deepcopy(embedding).token == token
    pickled = pickle.dumps(embedding)
    assert b"hf_secret" not in pickled
    assert pickle.loads(pickled).token is None
    assert copy.deepcopy(reader).password == password
    pickled = pickle.dumps(reader)
    assert b"pa55word" not in pickled
    assert pickle.loads(pickled).password is None


@pytest.mark.parametrize("loaded", [False, True])
def test_pickles_and_copies_hold_options_and_no_weights(
    embedding: VDREmbedding, caplog: pytest.LogCaptureFixture, *, loaded: bool
) -> None:
    expected = embedding.get_query_embedding("a question")
    fresh = embedding if loaded else VDREmbedding.from_dict(embedding.to_dict())
    pickled = pickle.dumps(fresh)
    assert len(pickled) < 4096
    for twin in (pickle.loads(pickled), copy.deepcopy(fresh), fresh.model_copy()):
        assert twin.to_dict() == embedding.to_dict()
        assert twin.get_query_embedding("a question") == expected
    assert "Removing unpickleable" not in caplog.text


def test_a_copy_with_another_dimension_does_not_change_the_original(
    embedding: VDREmbedding,
) -> None:
    whole = len(embedding.get_query_embedding("a question"))
    short = embedding.model_copy(update={"dimension": 16})
    assert len(short.get_query_embedding("a question")) == 16
    assert len(embedding.get_query_embedding("a question")) == whole


def test_readers_and_parsers_come_back_from_dictionaries_and_pickles(tmp_path: Path) -> None:
    reader = PDFPageReader(max_visual_tokens=64, page_store_path=str(tmp_path))
    assert PDFPageReader.from_dict(reader.to_dict()).to_dict() == reader.to_dict()
    assert pickle.loads(pickle.dumps(reader)).to_dict() == reader.to_dict()
    parser = PDFPageNodeParser()
    assert PDFPageNodeParser.from_dict(parser.to_dict()).id_func is parser.id_func
    # The cache of a pipeline must never answer for it: two pictures may look the same to it.
    assert parser.to_dict()["never_cached"] != parser.to_dict()["never_cached"]
    again = pickle.loads(pickle.dumps(parser))
    assert again.model_dump(exclude={"callback_manager"}) == parser.model_dump(
        exclude={"callback_manager"}
    )
