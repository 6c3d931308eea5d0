"""Checkpoints that load, and those that must not."""

from __future__ import annotations

import gc
import json
import re
import shutil
import threading
import weakref
from typing import TYPE_CHECKING, Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from tests.cpus import AMX, SLOW, ZEN_4
from tests.tiny_checkpoint import write_tiny_checkpoint

from vdr_integrations import DenseEncoder, load_encoder
from vdr_integrations.encoders import KNOWN_CHECKPOINTS, Checkpoint
from vdr_integrations.encoders.runtime.device_and_dtype import choose_attention, choose_dtype
from vdr_integrations.errors import (
    CheckpointError,
    CheckpointWeightsError,
    OptionError,
    UnknownCheckpointError,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cpus import Cpu

Weights = dict[str, torch.Tensor]


@pytest.fixture
def folder(tiny_checkpoint: Path, tmp_path: Path) -> Path:
    return shutil.copytree(tiny_checkpoint, tmp_path / "vdr-2b-multi-v1")


def rewrite(folder: Path, change: Callable[[Weights], None]) -> None:
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def test_missing_weights_are_named(folder: Path) -> None:
    rewrite(folder, lambda weights: [weights.pop(key) for key in list(weights) if "mlp.fc1" in key])  # pyright: ignore[reportArgumentType]
    with pytest.raises(CheckpointWeightsError, match=r"blocks\.0\.mlp\.fc1\.weight.* missing"):
        load_encoder(str(folder), device="cpu")


def test_unexpected_weights_are_named(folder: Path) -> None:
    rewrite(folder, lambda weights: weights.update({"model.adapter.lora_A": torch.zeros(2)}))
    with pytest.raises(CheckpointWeightsError, match=r"lora_A unexpected"):
        load_encoder(str(folder), device="cpu")


def test_weights_of_another_shape_are_named(folder: Path) -> None:
    def change(weights: Weights) -> None:
        name = next(name for name in weights if name.endswith("layers.0.mlp.up_proj.weight"))
        weights[name] = torch.zeros(3, 3)

    rewrite(folder, change)
    with pytest.raises(CheckpointWeightsError, match="up_proj"):
        load_encoder(str(folder), device="cpu")


def test_weights_in_the_layout_of_the_2024_hub_checkpoints_give_the_same_vectors(
    folder: Path, tiny_checkpoint: Path
) -> None:
    def rename(weights: Weights) -> None:
        for name in list(weights):
            old = name.replace("model.visual.", "visual.").replace(
                "model.language_model.", "model."
            )
            weights[old] = weights.pop(name)

    rewrite(folder, rename)
    old, new = (DenseEncoder.load(str(path), device="cpu") for path in (folder, tiny_checkpoint))
    assert (old.encode_queries(["a"]) == new.encode_queries(["a"])).all()


def test_another_architecture_is_refused(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(
        json.dumps({**config, "model_type": "bert"}), encoding="utf-8"
    )
    with pytest.raises(CheckpointError, match="'bert' checkpoint"):
        load_encoder(str(folder), device="cpu")


def test_a_hub_checkpoint_that_is_not_cached_is_an_error_that_names_it_when_offline(
    tmp_path: Path,
) -> None:
    with pytest.raises(CheckpointError, match="llamaindex/vdr-2b-multi-v1"):
        load_encoder("llamaindex/vdr-2b-multi-v1", cache_dir=str(tmp_path), device="cpu")


def test_a_checkpoint_in_the_hubs_cache_is_found_offline_with_its_commit(
    tiny_checkpoint: Path, tmp_path: Path
) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    repository = tmp_path / "models--llamaindex--vdr-2b-multi-v1"
    shutil.copytree(tiny_checkpoint, repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit, encoding="utf-8")
    encoder = load_encoder("llamaindex/vdr-2b-multi-v1", cache_dir=str(tmp_path), device="cpu")
    assert encoder.revision == commit
    assert encoder.name == "llamaindex/vdr-2b-multi-v1"
    assert encoder.encode_queries(["a"]).shape == (1, 64)


LFS_POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4665\nsize 4418050848\n"


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("model.safetensors", LFS_POINTER),
        ("model.safetensors", ""),
        ("config.json", '{"model_type": "qwen2_vl", "hidden_size": "x"}'),
        ("tokenizer.json", "[]"),
        ("tokenizer_config.json", "[]"),
        ("preprocessor_config.json", "[]"),
        ("preprocessor_config.json", '{"image_mean": null}'),
        ("preprocessor_config.json", '{"image_mean": "grey"}'),
        ("preprocessor_config.json", '{"image_mean": [0.5]}'),
        ("preprocessor_config.json", '{"image_std": [0.3, 0.0, 0.3]}'),
        ("preprocessor_config.json", '{"image_std": [0.3, NaN, 0.3]}'),
    ],
)
def test_a_damaged_file_is_an_error_that_names_the_checkpoint(
    folder: Path, file: str, content: str
) -> None:
    (folder / file).write_text(content)
    with pytest.raises(CheckpointError, match=re.escape(str(folder))):
        load_encoder(str(folder), device="cpu")


def test_pickled_weights_are_not_read(folder: Path) -> None:
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(CheckpointError):
        load_encoder(str(folder), device="cpu")


def test_remote_code_is_not_run(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["auto_map"] = {"AutoConfig": "evil.Config", "AutoModel": "evil.Model"}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (folder / "evil.py").write_text("raise SystemExit('remote code was run')", encoding="utf-8")
    assert load_encoder(str(folder), device="cpu").dimension == 64


def test_an_unknown_folder_is_refused_until_it_is_described(
    tiny_checkpoint: Path, tmp_path: Path
) -> None:
    unknown = shutil.copytree(tiny_checkpoint, tmp_path / "my-model")
    with pytest.raises(UnknownCheckpointError, match=r"my-model.*Checkpoint\(model="):
        load_encoder(str(unknown), device="cpu")
    described = Checkpoint(
        model=str(unknown),
        page_prompt="<|vision_start|><|image_pad|><|vision_end|>Page<|endoftext|>",
        query_prompt="<|vision_start|><|image_pad|><|vision_end|>Find: {query}<|endoftext|>",
    )
    encoder = DenseEncoder.load(str(unknown), checkpoint=described, device="cpu")
    known = DenseEncoder.load(str(tiny_checkpoint), device="cpu")
    assert encoder.fingerprint != known.fingerprint
    assert abs(encoder.encode_queries(["a"]) - known.encode_queries(["a"])).max() > 1e-3


@pytest.mark.parametrize(
    "prompts",
    [
        {"page_prompt": "no image"},
        {"page_prompt": "<|image_pad|><|image_pad|>"},
        {"query_prompt": "<|image_pad|> no place for it"},
        {"query_prompt": "{query} before <|image_pad|>"},
        {"query_prompt": "<|image_pad|>{query} and {query}"},
    ],
)
def test_prompts_that_cannot_be_encoded_are_refused(prompts: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match="once"):
        Checkpoint(model="mine", **prompts)


def test_every_known_checkpoint_says_where_its_prompts_come_from() -> None:
    assert len(KNOWN_CHECKPOINTS) >= 5
    assert all(
        re.search("card|README|Processor|wrapper", c.source) for c in KNOWN_CHECKPOINTS.values()
    )


def test_weights_are_freed_with_the_last_encoder(tmp_path: Path) -> None:
    # Of its own: what other tests of this process keep may share the weights of their checkpoint.
    folder = write_tiny_checkpoint(tmp_path / "vdr-2b-multi-v1", seed=91)
    encoder = load_encoder(str(folder), device="cpu")
    encoder.encode_queries(["a"])
    freed = threading.Event()
    weakref.finalize(encoder.model_here.backbone.model, freed.set)
    del encoder
    for _ in range(1200):
        gc.collect()
        if freed.wait(0.1):  # the thread that made the last vector may hold them a little longer
            return
    pytest.fail("the weights are still in memory")


@pytest.mark.parametrize("device", ["cuda:99", "mps" if torch.cuda.is_available() else "cuda"])
def test_a_device_that_is_not_there_is_refused(tiny_checkpoint: Path, device: str) -> None:
    if device == "cuda" and torch.cuda.is_available():
        pytest.skip("this machine has it")
    with pytest.raises(OptionError, match="device"):
        load_encoder(str(tiny_checkpoint), device=device)


def test_a_device_that_torch_does_not_know_is_refused(tiny_checkpoint: Path) -> None:
    with pytest.raises(OptionError, match="'gpu'"):
        load_encoder(str(tiny_checkpoint), device="gpu")


def test_dtypes_are_known_by_name() -> None:
    cpu = torch.device("cpu")
    assert choose_dtype("bf16", cpu) is choose_dtype(torch.bfloat16, cpu) is torch.bfloat16
    assert choose_dtype("fp32", cpu) is choose_dtype(torch.float32, cpu) is torch.float32
    with pytest.raises(OptionError, match="int4"):
        choose_dtype("int4", cpu)


@pytest.mark.parametrize(
    ("cpu", "dtype"),
    [(AMX, torch.bfloat16), (ZEN_4, torch.bfloat16), *((one, torch.float32) for one in SLOW)],
    ids=str,
)
@pytest.mark.parametrize("asked", ["auto", "int8"])
def test_weights_published_in_bfloat16_stay_so_where_the_cpu_is_faster_with_it(
    folder: Path, cpu: Cpu, dtype: torch.dtype, asked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cpu.pretend(monkeypatch)
    assert load_encoder(str(folder), device="cpu", dtype=asked).dtype is torch.float32
    publish_in_bfloat16(folder)
    assert load_encoder(str(folder), device="cpu", dtype=asked).dtype is dtype
    assert load_encoder(str(folder), device="cpu", dtype="float32").dtype is torch.float32


def test_without_a_word_on_the_cpu_it_is_float32(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_in_bfloat16(folder)
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)  # torch < 2.11
    assert load_encoder(str(folder), device="cpu").dtype is torch.float32
    AMX.pretend(monkeypatch)
    monkeypatch.setattr("platform.machine", lambda: "arm64")
    assert load_encoder(str(folder), device="cpu").dtype is torch.float32


def publish_in_bfloat16(folder: Path) -> None:
    rewrite(folder, lambda weights: weights.update({k: v.bfloat16() for k, v in weights.items()}))
    config = folder / "config.json"
    facts = json.loads(config.read_text(encoding="utf-8"))
    config.write_text(json.dumps(facts | {"dtype": "bfloat16"}), encoding="utf-8")


def test_flash_attention_is_refused_where_it_cannot_run() -> None:
    cpu = torch.device("cpu")
    assert choose_attention(None, device=cpu, dtype=torch.float32) == "sdpa"
    with pytest.raises(OptionError, match="flash-attn package"):
        choose_attention("flash_attention_2", device=cpu, dtype=torch.float32)
    with pytest.raises(OptionError, match="'xformers'"):
        choose_attention("xformers", device=cpu, dtype=torch.float32)


def test_eager_attention_gives_the_vectors_of_sdpa(tiny_checkpoint: Path) -> None:
    eager = DenseEncoder.load(str(tiny_checkpoint), device="cpu", attn_implementation="eager")
    sdpa = DenseEncoder.load(str(tiny_checkpoint), device="cpu")
    texts = ["a", "some longer text"]
    assert abs(eager.encode_queries(texts) - sdpa.encode_queries(texts)).max() < 1e-5


@pytest.mark.parametrize(("dtype", "least_cosine"), [("int8", 0.9995), ("float8", 0.995)])
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_weights_of_8_bits_take_a_third_and_give_nearly_the_same_vectors(
    tiny_checkpoint: Path, dtype: str, least_cosine: float, attention: str
) -> None:
    whole = DenseEncoder.load(str(tiny_checkpoint), device="cpu")
    packed = DenseEncoder.load(
        str(tiny_checkpoint), device="cpu", dtype=dtype, attn_implementation=attention
    )
    assert packed.dtype is whole.dtype is torch.float32
    assert packed.fingerprint == whole.fingerprint
    texts = ["How many lighthouses are there?", "Weinlese", "rent"]
    page = Image.effect_noise((448, 560), 90).convert("RGB")
    for ours, theirs in (
        (packed.encode_queries(texts), whole.encode_queries(texts)),
        (packed.encode_pages([page]), whole.encode_pages([page])),
    ):
        cosines = (ours * theirs).sum(axis=1)
        assert least_cosine <= cosines.min()
        assert cosines.max() < 1.0 - 1e-7
    assert matrix_bytes(packed) < 0.35 * matrix_bytes(whole)


def matrix_bytes(encoder: DenseEncoder) -> int:
    model = encoder.model_here.backbone.model
    parts = [*model.visual.blocks, *model.language_model.layers]
    tensors = [one for part in parts for one in (*part.parameters(), *part.buffers())]
    return sum(one.numel() * one.element_size() for one in tensors if one.dim() == 2)


@pytest.mark.parametrize("dtype", ["int8", "float8"])
@pytest.mark.parametrize("model", ["nano", "nano-colqwen2"])
def test_8_bits_are_refused_for_a_checkpoint_that_they_would_spoil(model: str, dtype: str) -> None:
    with pytest.raises(OptionError, match=f"{model} does not work with weights of 8 bits"):
        load_encoder(model, device="cpu", dtype=dtype)
