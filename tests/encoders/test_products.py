"""bfloat16 on a CPU that multiplies float32 faster."""

from __future__ import annotations

import copy
import shutil
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from vdr_integrations import load_encoder
from vdr_integrations.encoders.products import Products, choose_products

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TOKENS = 200
WEIGHT = torch.zeros(1, dtype=torch.bfloat16)


class Cpu(NamedTuple):
    cpu_name: str
    amx_bf16: bool
    avx512_bf16: bool


SLOW = [Cpu("Intel Xeon", False, True), Cpu("Intel(R) Core(TM) i7", False, False)]
SLOW.append(Cpu("AMD Ryzen 5", False, False))
FAST = [Cpu("Intel Xeon", True, True), Cpu("AMD EPYC 9004", False, True)]


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch) -> Callable[[Cpu], None]:
    """Let torch say that this is another CPU."""

    def be(cpu: Cpu) -> None:
        monkeypatch.setattr("platform.machine", lambda: "x86_64")
        monkeypatch.setattr(torch.cpu, "get_capabilities", cpu._asdict, raising=False)

    return be


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


@pytest.mark.parametrize("cpu", FAST, ids=str)
def test_cpus_that_multiply_bfloat16_fast_do_so(cpu: Cpu, on: Callable[[Cpu], None]) -> None:
    on(cpu)
    assert type(choose_products(WEIGHT).over(TOKENS)) is Products


def test_float32_and_other_devices_are_left_alone(on: Callable[[Cpu], None]) -> None:
    on(SLOW[0])
    for weight in (WEIGHT.float(), WEIGHT.to("meta")):
        assert type(choose_products(weight).over(TOKENS)) is Products


def test_vectors_of_bfloat16_weights_stay_near_those_of_float32_either_way(
    tiny_checkpoint: Path, tmp_path: Path, on: Callable[[Cpu], None]
) -> None:
    seen = np.random.default_rng(3).integers(0, 256, (420, 308, 3), dtype=np.uint8)
    pages = [Image.fromarray(seen), Image.fromarray(seen[:308])]
    exact = load_encoder(str(tiny_checkpoint), device="cpu", dtype="float32").encode_pages(pages)

    def distance(cpu: Cpu, model: Path) -> float:
        on(cpu)
        encoder = load_encoder(str(model), device="cpu", dtype="bfloat16")
        together, alone = encoder.encode_pages(pages), encoder.encode_pages(pages[1:])
        assert (together[1:] * alone).sum() > 0.99999
        return float(1 - (together * exact).sum(axis=1).min())

    copied = shutil.copytree(
        tiny_checkpoint, tmp_path / tiny_checkpoint.name
    )  # or both shared their weights
    stored, wide = distance(FAST[0], tiny_checkpoint), distance(SLOW[0], copied)
    assert wide != stored
    assert max(wide, stored) < 1e-4
