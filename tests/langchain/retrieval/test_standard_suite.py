"""LangChain's own contract suite for retrievers, unmodified."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from langchain_tests.integration_tests import RetrieversIntegrationTests

from vdr_integrations.langchain import LateInteractionRetriever

if TYPE_CHECKING:
    from pathlib import Path

    from langchain_core.retrievers import BaseRetriever

    from vdr_integrations import MultiVectorEncoder
    from vdr_integrations.pages import PageStore


class TestLateInteractionRetriever(RetrieversIntegrationTests):
    """``k`` in the constructor and in the call, documents sync and async."""

    params: dict[str, Any]

    @pytest.fixture(autouse=True)
    def _use(self, index_folder: Path, encoder: MultiVectorEncoder, page_store: PageStore) -> None:
        assert encoder.dimension == 128
        self.params = {"index": index_folder, "device": "cpu"}

    @property
    def retriever_constructor(self) -> type[BaseRetriever]:
        return LateInteractionRetriever

    @property
    def retriever_constructor_params(self) -> dict[str, Any]:
        return self.params

    @property
    def retriever_query_example(self) -> str:
        return "How did the revenue change?"
