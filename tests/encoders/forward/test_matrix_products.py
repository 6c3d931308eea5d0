"""bfloat16 on a CPU that multiplies float32 faster, and attention as GPUs do it."""

from __future__ import annotations

import copy
import json
import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from PIL import Image
from tests.cpus import AMX, SLOW, ZEN_4, Cpu
from torch import nn
from torch.nn.attention.bias import CausalBias

from vdr_integrations import DenseEncoder
from vdr_integrations.encoders.forward import decoder, vision_tower
from vdr_integrations.encoders.forward import matrix_products as products
from vdr_integrations.encoders.forward.matrix_products import Products, choose_products

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TOKENS = 200
WEIGHT = torch.zeros(1, dtype=torch.bfloat16)


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch) -> Callable[[Cpu], None]:
    """Let torch say that this is another CPU."""
    return lambda cpu: cpu.pretend(monkeypatch)


def numbers(*shape: int, seed: int, dtype: torch.dtype = torch.bfloat16) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator).to(torch.bfloat16).to(dtype)


def linear_of(how: Products, linear: nn.Linear) -> torch.Tensor:
    return how.linear(numbers(TOKENS, 96, seed=3, dtype=linear.weight.dtype), linear)


def scaled_of(how: Products, linear: nn.Linear) -> torch.Tensor:
    x = numbers(TOKENS, 96, seed=3, dtype=linear.weight.dtype)
    return how.scaled_linear(x, linear, scale=1.75, scaled_bias=linear.bias * 2)


def added_to(how: Products, linear: nn.Linear) -> torch.Tensor:
    dtype = linear.weight.dtype
    x, y = numbers(2, TOKENS, 160, seed=4, dtype=dtype), numbers(2, TOKENS, 96, seed=3, dtype=dtype)
    assert how.add_(x, y, linear, scale=0.625) is x
    return x


def attention_of(how: Products, linear: nn.Linear) -> torch.Tensor:
    shape, dtype = (1, 4, TOKENS, 24), linear.weight.dtype
    query, key, value = (numbers(*shape, seed=seed, dtype=dtype) for seed in (5, 6, 7))
    return how.attention(query, key, value, is_causal=True)


@pytest.mark.parametrize("of", [linear_of, scaled_of, added_to, attention_of])
@torch.inference_mode()
def test_products_in_float32_are_rounded_once(
    of: Callable[[Products, nn.Linear], torch.Tensor], on: Callable[[Cpu], None]
) -> None:
    linear = nn.Linear(96, 160, dtype=torch.bfloat16)
    linear.weight.copy_(numbers(160, 96, seed=1))
    linear.bias.copy_(numbers(160, seed=2))
    exact = of(Products(), copy.deepcopy(linear).double())
    on(SLOW[0])
    found = of(choose_products(linear.weight).over(TOKENS), linear)
    assert found.dtype == torch.bfloat16
    error = (found.double() - exact).abs()
    assert bool((error <= exact.abs() * 2**-8 + 1e-5).all())  # half of bfloat16's last bit
    as_stored = of(Products(), linear).double()
    assert error.mean() <= 1.001 * (as_stored - exact).abs().mean()


@pytest.mark.parametrize("cpu", SLOW, ids=str)
def test_long_sequences_of_bfloat16_are_multiplied_in_float32_on_slow_cpus(
    cpu: Cpu, on: Callable[[Cpu], None]
) -> None:
    on(cpu)
    chosen = choose_products(WEIGHT)
    assert type(chosen.over(TOKENS)) is not Products
    assert chosen.over(TOKENS) is not chosen.over(20)


def test_cpus_that_multiply_bfloat16_fast_do_so(on: Callable[[Cpu], None]) -> None:
    on(AMX)
    assert type(choose_products(WEIGHT).over(TOKENS)) is Products


@pytest.mark.parametrize("is_causal", [False, True])
@pytest.mark.parametrize("tokens", [128, 700, 1100])
@torch.inference_mode()
def test_attention_in_blocks_is_rounded_as_stock_transformers_rounds_it(
    tokens: int, on: Callable[[Cpu], None], *, is_causal: bool
) -> None:
    on(ZEN_4)
    in_blocks = choose_products(WEIGHT).over(tokens)
    assert type(in_blocks) is not Products
    query, key, value = (numbers(9, 4, tokens, 24, seed=seed) for seed in (5, 6, 7))
    operands = (query.double(), key.double(), value.double())
    exact = Products().attention(*operands, is_causal=is_causal)
    scores = (query @ key.mT) * 24**-0.5
    if is_causal:
        scores += torch.full((tokens, tokens), -torch.inf).triu(1)
    stock = scores.softmax(dim=-1, dtype=torch.float32).to(torch.bfloat16) @ value
    found = in_blocks.attention(query, key, value, is_causal=is_causal)
    assert found.dtype == torch.bfloat16
    assert found.shape == query.shape
    error, of_stock = ((x.double() - exact).abs() for x in (found, stock))
    assert error.mean() <= 1.1 * of_stock.mean()
    assert error.max() <= 2 * of_stock.max()


@torch.inference_mode()
def test_attention_in_blocks_leaves_masks_and_short_sequences_to_torch(
    on: Callable[[Cpu], None],
) -> None:
    on(ZEN_4)
    in_blocks = choose_products(WEIGHT)
    for tokens, is_causal, mask in ((20, False, None), (20, True, None), (200, False, 150)):
        query, key, value = (numbers(1, 4, tokens, 24, seed=seed) for seed in (5, 6, 7))
        seen = None if mask is None else (torch.arange(tokens) < mask).expand(tokens, tokens)
        both = [
            how.attention(query, key, value, is_causal=is_causal, mask=seen)
            for how in (in_blocks, Products())
        ]
        assert torch.equal(*both)


def test_float32_and_other_devices_are_left_alone(on: Callable[[Cpu], None]) -> None:
    on(SLOW[0])
    for weight in (WEIGHT.float(), WEIGHT.to("meta")):
        assert type(choose_products(weight).over(TOKENS)) is Products


def test_vectors_of_bfloat16_weights_stay_near_those_of_float32_either_way(
    tiny_checkpoint: Path, tmp_path: Path, on: Callable[[Cpu], None]
) -> None:
    seen = np.random.default_rng(3).integers(0, 256, (420, 308, 3), dtype=np.uint8)
    pages = [Image.fromarray(seen), Image.fromarray(seen[:308])]
    exact = DenseEncoder.load(str(tiny_checkpoint), device="cpu", dtype="float32").encode_pages(
        pages
    )

    def distance(cpu: Cpu) -> float:
        on(cpu)
        # A folder of its own: weights of one folder are shared, with how they are multiplied.
        folder = tmp_path / str(cpu) / tiny_checkpoint.name
        model = shutil.copytree(tiny_checkpoint, folder)
        encoder = DenseEncoder.load(str(model), device="cpu", dtype="bfloat16")
        together, alone = encoder.encode_pages(pages), encoder.encode_pages(pages[1:])
        assert (together[1:] * alone).sum() > 0.99999
        return float(1 - (together * exact).sum(axis=1).min())

    distances = {distance(cpu) for cpu in (AMX, SLOW[0], ZEN_4)}
    assert len(distances) == 3
    assert max(distances) < 1e-4


def test_with_shared_heads_and_causality_left_to_the_kernel_vectors_are_the_same(
    tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What runs on a GPU with flash kernels, over those that a CPU has in their place."""
    pages = [
        Image.effect_noise((112, 140), 90).convert("RGB"),
        Image.new("RGB", (112, 140), "teal"),
    ]
    texts = ["a", "some longer text", "a text of another length than that one"]
    plain = DenseEncoder.load(str(tiny_checkpoint), device="cpu", batch_visual_tokens=1000)
    expected = plain.encode_pages(pages), [plain.encode_queries([text]) for text in texts]
    calls: list[tuple[int, int, type]] = []

    class Watched(products.FlashProducts):
        def attention(
            self,
            query: torch.Tensor,
            key: torch.Tensor,
            value: torch.Tensor,
            *,
            mask: torch.Tensor | None = None,
            is_causal: bool = False,
        ) -> torch.Tensor:
            calls.append((query.shape[1], key.shape[1], type(mask)))
            return super().attention(query, key, value, mask=mask, is_causal=is_causal)

    def choose(_: torch.Tensor) -> Products:
        return Watched()

    for module in (decoder, vision_tower):
        monkeypatch.setattr(module, "choose_products", choose)
    # Another content, or the weights that are in memory with what multiplies them would be used.
    folder = shutil.copytree(tiny_checkpoint, tmp_path / tiny_checkpoint.name)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps(config | {"spare": 1}), encoding="utf-8")
    encoder = DenseEncoder.load(str(folder), device="cpu", batch_visual_tokens=1000)
    np.testing.assert_allclose(encoder.encode_pages(pages), expected[0], atol=1e-5)
    assert {(4, 2, type(None)), (2, 2, type(None))} == set(calls)  # decoder, vision tower
    calls.clear()
    for text, vector in zip(texts, expected[1], strict=True):
        np.testing.assert_allclose(encoder.encode_queries([text]), vector, atol=1e-5)
    assert (4, 2, CausalBias) in calls  # behind the prompt that all queries share
    assert not any(mask is torch.Tensor for *_, mask in calls)
    together = encoder.encode_queries(texts)
    np.testing.assert_allclose(together, np.concatenate(expected[1]), atol=1e-5)
