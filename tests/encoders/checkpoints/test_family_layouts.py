"""Checkpoints of newer families in the layouts in which they are published."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from benchmarks.stock_path import StockPath, Surroundings
from safetensors.torch import load_file, save_file
from tests.encoders.forward.test_families import AT_LEAST, QUERIES, least_cosine
from tests.encoders.forward.test_parity_with_the_card import noise
from tests.tiny_families import (
    HIDDEN_SIZE,
    change_tensors,
    random_projection,
    write_tiny_qwen2_5_vl,
    write_tiny_qwen3_vl,
)

from vdr_integrations import DenseEncoder, MultiVectorEncoder
from vdr_integrations.encoders import Checkpoint
from vdr_integrations.encoders.checkpoints.known_checkpoints import checkpoint_for
from vdr_integrations.errors import CheckpointError, CheckpointWeightsError

if TYPE_CHECKING:
    from pathlib import Path

    from PIL import Image

    Tensors = dict[str, torch.Tensor]

# Letter by letter: the package's own constants are what is tested.
PAGE = (
    "<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>Describe the image.<|im_end|>"
    "<|endoftext|>"
)
ENDS = "<|endoftext|>" * 10
RANK, ALPHA = 4, 8


@pytest.fixture(scope="module")
def images() -> list[Image.Image]:
    return [noise(595, 842, 1), noise(640, 480, 2), noise(100, 100, 3)]


@pytest.fixture
def qwen2_5(tmp_path: Path) -> Path:
    return write_tiny_qwen2_5_vl(tmp_path / "plain")


@pytest.fixture
def qwen3(tmp_path: Path) -> Path:
    return write_tiny_qwen3_vl(tmp_path / "plain")


def around(factor: int, *, query: str, page: str = PAGE, least: int = 4) -> Surroundings:
    return Surroundings(page_prompt=page, query_prompt=query, min_tokens=least, factor=factor)


def check(
    found: MultiVectorEncoder | DenseEncoder, stock: StockPath, images: list[Image.Image]
) -> None:
    assert least_cosine(found.encode_pages(images), stock.pages(images)) >= AT_LEAST
    assert least_cosine(found.encode_queries(QUERIES), stock.queries(QUERIES)) >= AT_LEAST


def change_config(folder: Path, **facts: Any) -> None:
    path = folder / "config.json"
    found = json.loads(path.read_text(encoding="utf-8")) | facts
    path.write_text(json.dumps(found), encoding="utf-8")


def write_base(folder: Path, plain: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """As vidore/colqwen2.5-base: names of 2025 and a projection that was never trained."""
    shutil.copytree(plain, folder)
    weight, bias = random_projection(128)
    projection = {"custom_text_proj.weight": weight, "custom_text_proj.bias": bias}
    change_tensors(folder, lambda found: {old_name(k): v for k, v in found.items()} | projection)
    change_config(folder, architectures=["ColQwen2_5"])
    return weight, bias


def old_name(key: str) -> str:
    return key.replace("model.language_model.", "model.").replace("model.visual.", "visual.")


def write_adapter(folder: Path, base: Path, *, named: str | None = None) -> Tensors:
    """As vidore/colqwen2.5-v0.2: pairs of the decoder and of the projection, none of the tower."""
    folder.mkdir()
    for name in ("tokenizer.json", "tokenizer_config.json", "preprocessor_config.json"):
        shutil.copy(base / name, folder / name)
    generator = torch.Generator().manual_seed(9)
    pairs: Tensors = {}
    updates: Tensors = {}
    for key, weight in load_file(base / "model.safetensors").items():
        adapted = re.fullmatch(r"(model\.layers\..+_proj|custom_text_proj)\.weight", key)
        if adapted is None:
            continue
        low = torch.randn(RANK, weight.shape[1], generator=generator) / 10
        high = torch.randn(weight.shape[0], RANK, generator=generator) / 10
        pairs[f"base_model.model.{adapted[1]}.lora_A.weight"] = low
        pairs[f"base_model.model.{adapted[1]}.lora_B.weight"] = high
        updates[key] = ALPHA / RANK * high @ low
    save_file(pairs, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    config = {
        "peft_type": "LORA",
        "base_model_name_or_path": named or str(base),
        "r": RANK,
        "lora_alpha": ALPHA,
        "lora_dropout": 0.1,
        "bias": "none",
        "init_lora_weights": "gaussian",
        "task_type": "FEATURE_EXTRACTION",
        "target_modules": "(.*(model).*(down_proj|o_proj).*$|.*(custom_text_proj).*$)",
    }
    (folder / "adapter_config.json").write_text(json.dumps(config), encoding="utf-8")
    return updates


@pytest.mark.parametrize("name", ["colqwen2.5-v0.2", "colnomic-embed-multimodal-7b"])
def test_an_adapter_over_its_base_gives_what_the_merged_model_gives(
    qwen2_5: Path, tmp_path: Path, images: list[Image.Image], name: str
) -> None:
    base = tmp_path / "base"
    weight, bias = write_base(base, qwen2_5)
    updates = write_adapter(tmp_path / name, base)
    weight = weight + updates.pop("custom_text_proj.weight")
    merged = tmp_path / "merged"
    shutil.copytree(qwen2_5, merged)
    change_tensors(
        merged, lambda found: {k: v + updates.get(old_name(k), 0) for k, v in found.items()}
    )
    stock = StockPath(merged, around(28, query=f"Query: %s{ENDS}"), projection=(weight, bias))
    found = MultiVectorEncoder.load(str(tmp_path / name), device="cpu")
    check(found, stock, images)
    assert (found.dimension, found.pixel_budget.factor) == (128, 28)


def test_a_dense_adapter_gives_the_state_of_the_last_token(
    qwen2_5: Path, tmp_path: Path, images: list[Image.Image]
) -> None:
    change_tensors(qwen2_5, lambda found: {old_name(k): v for k, v in found.items()})
    folder = tmp_path / "nomic-embed-multimodal-3b"
    updates = write_adapter(folder, qwen2_5)
    merged = tmp_path / "merged"
    shutil.copytree(qwen2_5, merged)
    change_tensors(merged, lambda found: {k: v + updates.get(k, 0) for k, v in found.items()})
    stock = StockPath(merged, around(28, query="Query: %s<|endoftext|>"))
    check(DenseEncoder.load(str(folder), device="cpu"), stock, images)


def test_an_adapter_of_another_family_is_refused(qwen2_5: Path, tmp_path: Path) -> None:
    base = tmp_path / "base"
    write_base(base, qwen2_5)
    write_adapter(tmp_path / "colqwen2.5-v0.2", base)
    path = tmp_path / "colqwen2.5-v0.2" / "adapter_model.safetensors"
    pairs = load_file(path)
    pairs["base_model.model.visual.blocks.0.mlp.fc1.lora_A.weight"] = torch.zeros(RANK, 32)
    pairs["base_model.model.visual.blocks.0.mlp.fc1.lora_B.weight"] = torch.zeros(52, RANK)
    save_file(pairs, path, metadata={"format": "pt"})
    with pytest.raises(CheckpointWeightsError, match=r"belong to no layer of a Qwen2\.5-VL"):
        MultiVectorEncoder.load(str(tmp_path / "colqwen2.5-v0.2"), device="cpu")


def test_transformers_own_class_over_qwen2_5_loads(
    qwen2_5: Path, tmp_path: Path, images: list[Image.Image]
) -> None:
    from transformers import (
        ColQwen2Config,
        ColQwen2ForRetrieval,
        Qwen2_5_VLForConditionalGeneration,
    )

    vlm = Qwen2_5_VLForConditionalGeneration.from_pretrained(qwen2_5)
    model = ColQwen2ForRetrieval(ColQwen2Config(vlm_config=vlm.config, embedding_dim=128))
    backbone = getattr(model.vlm, "model", model.vlm)  # 5.3's vlm has a language-model head
    backbone.load_state_dict(vlm.model.state_dict())
    folder = tmp_path / "colqwen2.5-v0.2-hf"
    model.save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "preprocessor_config.json"):
        shutil.copy(qwen2_5 / name, folder / name)
    head = model.embedding_proj_layer
    stock = StockPath(
        qwen2_5,
        around(28, query=f"Query: %s{ENDS}\n"),
        projection=(head.weight.detach(), head.bias.detach()),
    )
    check(MultiVectorEncoder.load(str(folder), device="cpu"), stock, images)


def test_qwen3_embedding_has_its_instructions_and_no_image_in_queries(
    qwen3: Path, tmp_path: Path, images: list[Image.Image]
) -> None:
    folder = qwen3.rename(tmp_path / "Qwen3-VL-Embedding-2B")
    end = "<|im_end|>\n<|im_start|>assistant\n"
    page = (
        "<|im_start|>system\nRepresent the user's input.<|im_end|>\n"
        f"<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>{end}"
    )
    query = (
        "<|im_start|>system\nRetrieve images or text relevant to the user's query.<|im_end|>\n"
        f"<|im_start|>user\n%s{end}"
    )
    stock = StockPath(folder, around(32, query=query, page=page))
    found = DenseEncoder.load(str(folder), device="cpu")
    check(found, stock, images)
    assert found.pixel_budget.factor == 32
    short = DenseEncoder.load(str(folder), device="cpu", dimension=16)
    cut = found.encode_pages(images)[:, :16]
    cut /= np.linalg.norm(cut, axis=1, keepdims=True)
    assert least_cosine(short.encode_pages(images), cut) >= AT_LEAST


def test_colpali_engines_colqwen3_loads_when_it_is_described(
    qwen3: Path, tmp_path: Path, images: list[Image.Image]
) -> None:
    weight, bias = random_projection(320)
    stock = StockPath(qwen3, around(32, query=f"%s{ENDS}"), projection=(weight, bias))
    projection = {"custom_text_proj.weight": weight, "custom_text_proj.bias": bias}
    # Its class is the backbone itself, so its names have no "model." before them.
    change_tensors(
        qwen3, lambda found: {k.removeprefix("model."): v for k, v in found.items()} | projection
    )
    change_config(qwen3, architectures=["ColQwen3"])
    described = Checkpoint(
        model="mine",
        page_prompt=PAGE,
        query_prompt=f"{{query}}{ENDS}",
        pooling="multi_vector",
        token_dimension=320,
        min_visual_tokens=4,
    )
    check(MultiVectorEncoder.load(str(qwen3), checkpoint=described, device="cpu"), stock, images)


@pytest.mark.parametrize("attention", [None, "eager"])
@pytest.mark.parametrize("has_bias", [True, False])
def test_tomoros_layout_loads_without_its_own_code(
    qwen3: Path,
    tmp_path: Path,
    images: list[Image.Image],
    *,
    has_bias: bool,
    attention: str | None,
) -> None:
    weight, bias = random_projection(320)
    bias = bias if has_bias else torch.zeros(320)
    stock = StockPath(qwen3, around(32, query=f"%s{ENDS}"), projection=(weight, bias))
    folder = tmp_path / "tomoro-colqwen3-embed-4b"
    shutil.copytree(qwen3, folder)
    head = {"embedding_proj_layer.weight": weight}
    head |= {"embedding_proj_layer.bias": bias} if has_bias else {}
    change_tensors(folder, lambda found: {f"vlm.{k}": v for k, v in found.items()} | head)
    change_config(
        folder,
        model_type="colqwen3",
        architectures=["ColQwen3"],
        auto_map={"AutoModel": "modeling_colqwen3.ColQwen3"},
        embed_dim=320,
    )
    found = MultiVectorEncoder.load(str(folder), device="cpu", attn_implementation=attention)
    check(found, stock, images)


@pytest.mark.parametrize("attention", [None, "eager"])
def test_of_ops_projection_the_leading_components_are_kept_before_the_norm(
    qwen3: Path, tmp_path: Path, images: list[Image.Image], attention: str | None
) -> None:
    weight, bias = random_projection(400)
    page = PAGE.replace("<|endoftext|>", "<|im_start|>assistant\n<|endoftext|>")
    stock = StockPath(
        qwen3,
        around(32, query=f"Query: %s{ENDS}", page=page),
        projection=(weight[:320], bias[:320]),
    )
    folder = tmp_path / "Ops-Colqwen3-4B"
    shutil.copytree(qwen3, folder)
    projection = {"custom_text_proj.weight": weight, "custom_text_proj.bias": bias}
    change_tensors(
        folder, lambda found: {k.removeprefix("model."): v for k, v in found.items()} | projection
    )
    change_config(folder, model_type="ops_colqwen3", architectures=["OpsColQwen3Model"], dims=320)
    found = MultiVectorEncoder.load(str(folder), device="cpu", attn_implementation=attention)
    check(found, stock, images)
    assert found.dimension == 320
    # Also while a model that keeps them is in memory.
    whole = replace(checkpoint_for(str(folder)), keeps_leading=False)
    with pytest.raises(CheckpointError, match=r"projects to 400 .* keeps_leading=True"):
        MultiVectorEncoder.load(
            str(folder), checkpoint=whole, device="cpu", attn_implementation=attention
        )


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"architectures": ["JinaEmbeddingsV4Model"]}, "the mean of states"),
        ({"architectures": ["EagerEmbedModel"]}, "states before the last norm"),
        ({"is_causal": False}, "is_causal=False; it must be True"),
    ],
)
def test_a_model_of_the_family_that_reads_its_vectors_in_another_way_is_refused(
    qwen3: Path, facts: dict[str, Any], said: str
) -> None:
    change_config(qwen3, **facts)
    described = Checkpoint(model="mine", page_prompt=PAGE, query_prompt="{query}")
    with pytest.raises(CheckpointError, match=said):
        DenseEncoder.load(str(qwen3), checkpoint=described, device="cpu")


def test_tensors_of_another_family_are_refused_by_its_name(qwen2_5: Path, tmp_path: Path) -> None:
    other = write_tiny_qwen3_vl(tmp_path / "other")
    shutil.copy(other / "model.safetensors", qwen2_5 / "model.safetensors")
    described = Checkpoint(model="mine", page_prompt=PAGE, query_prompt="{query}")
    with pytest.raises(CheckpointWeightsError, match=r"do not fit the Qwen2\.5-VL model"):
        DenseEncoder.load(str(qwen2_5), checkpoint=described, device="cpu")
    assert HIDDEN_SIZE == 64
