"""``ColQwen2Retriever`` and ``ColQwen2Rerank``, the names of earlier examples."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import pytest

from vdr_integrations import llama_index

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("earlier", "name"),
    [
        ("ColQwen2Retriever", "LateInteractionRetriever"),
        ("ColQwen2Rerank", "LateInteractionRerank"),
    ],
)
def test_an_earlier_name_is_the_same_class_and_loads_what_either_saved(
    earlier: str, name: str, tmp_path: Path
) -> None:
    now = getattr(llama_index, name)
    assert getattr(llama_index, earlier) is now
    pickled = pickle.dumps(now(index=tmp_path, model_name="a/b"), protocol=0)
    before = pickled.replace(f"\n{name}\n".encode(), f"\n{earlier}\n".encode())
    assert before != pickled
    loaded = [pickle.loads(pickled), pickle.loads(before)]
    assert [type(one) for one in loaded] == [now, now]
    again = [pickle.dumps(one) for one in loaded]
    assert again[0] == again[1]
    assert b"a/b" in again[0]


def test_a_dictionary_of_a_reranker_loads_under_either_name() -> None:
    saved = llama_index.LateInteractionRerank(model_name="a/b", top_n=3).to_dict()
    assert saved["class_name"] == "LateInteractionRerank"
    for class_name in ("LateInteractionRerank", "ColQwen2Rerank"):
        loaded = llama_index.ColQwen2Rerank.from_dict({**saved, "class_name": class_name})
        assert loaded.to_dict() == saved
