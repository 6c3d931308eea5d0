"""What mteb writes of a model beside its results."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from vdr_integrations.mteb import mteb_model

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("model", "similarity", "kind"),
    [("nano", "cosine", "dense"), ("nano-colqwen2", "MaxSim", "late-interaction")],
)
def test_a_bundled_model_has_a_name_and_the_digest_of_its_files(
    model: str, similarity: str, kind: str
) -> None:
    meta = mteb_model(model, device="cpu").mteb_model_meta
    assert meta.name == f"vdr-integrations/{model}"
    assert meta.revision is not None
    assert len(meta.revision) == 40
    assert meta.similarity_fn_name == similarity
    assert meta.model_type == [kind]
    assert set(meta.modalities) == {"image", "text"}


def test_a_folder_has_no_path_in_its_name(tiny_checkpoint: Path) -> None:
    meta = mteb_model(str(tiny_checkpoint), device="cpu").mteb_model_meta
    assert meta.name == "local/vdr-2b-multi-v1"


def test_options_that_change_vectors_are_the_experiment() -> None:
    meta = mteb_model(
        "nano", device="cpu", dtype="float32", dimension=64, max_visual_tokens=128
    ).mteb_model_meta
    assert meta.experiment_name == "dimension_64__dtype_float32__max_visual_tokens_128"
    assert meta.embed_dim == 64
