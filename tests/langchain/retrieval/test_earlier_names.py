"""``ColQwen2Retriever`` and ``ColQwen2Compressor``, the names of earlier examples."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import pytest
from langchain_core.load import dumpd

from vdr_integrations import langchain

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("earlier", "name"),
    [
        ("ColQwen2Retriever", "LateInteractionRetriever"),
        ("ColQwen2Compressor", "LateInteractionCompressor"),
    ],
)
def test_an_earlier_name_is_the_same_class_and_loads_what_either_saved(
    earlier: str, name: str, tmp_path: Path
) -> None:
    now = getattr(langchain, name)
    assert getattr(langchain, earlier) is now
    made = now(index=tmp_path, model="a/b")
    pickled = pickle.dumps(made, protocol=0)
    before = pickled.replace(f"\n{name}\n".encode(), f"\n{earlier}\n".encode())
    assert before != pickled
    for one in (pickled, before):
        loaded = pickle.loads(one)
        assert type(loaded) is now
        assert loaded == made
    # LangChain's own format holds these objects under no name, so it has none to keep.
    assert dumpd(made)["type"] == "not_implemented"
