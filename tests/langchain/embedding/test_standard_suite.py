"""LangChain's own contract suites, unmodified."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from langchain_tests.integration_tests import EmbeddingsIntegrationTests
from langchain_tests.unit_tests import EmbeddingsUnitTests

from vdr_integrations.langchain import VDREmbeddings

if TYPE_CHECKING:
    from pathlib import Path

    from langchain_core.embeddings import Embeddings


class _Checkpoint:
    """What both suites are told about the model they test."""

    model_path: str

    @pytest.fixture(autouse=True)
    def _use(self, tiny_checkpoint: Path) -> None:
        self.model_path = str(tiny_checkpoint)

    @property
    def embeddings_class(self) -> type[Embeddings]:
        return VDREmbeddings

    @property
    def embedding_model_params(self) -> dict[str, Any]:
        return {"model": self.model_path, "device": "cpu"}

    @property
    def init_from_env_params(self) -> tuple[dict[str, str], dict[str, Any], dict[str, Any]]:
        return {"HF_TOKEN": "hf_secret"}, self.embedding_model_params, {"token": "hf_secret"}


class TestVDREmbeddingsUnit(_Checkpoint, EmbeddingsUnitTests):
    """Construction, also from the environment."""


class TestVDREmbeddingsIntegration(_Checkpoint, EmbeddingsIntegrationTests):
    """Shapes and types, sync and async."""
