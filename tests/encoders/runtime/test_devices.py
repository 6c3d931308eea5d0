"""Devices, and the number formats that are right on each, as torch describes machines to us."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from vdr_integrations import load_encoder
from vdr_integrations.encoders.forward.matrix_products import choose_products
from vdr_integrations.encoders.runtime.device_and_dtype import (
    choose_device,
    choose_dtype,
    choose_packing,
)
from vdr_integrations.encoders.runtime.device_list import check_formats, choose_devices
from vdr_integrations.errors import OptionError

if TYPE_CHECKING:
    from pathlib import Path

    from vdr_integrations.encoders.runtime.device_list import DeviceChoice

CUDA, MPS = torch.device("cuda", 0), torch.device("mps")


@pytest.fixture
def four_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """As torch says in a process of torchrun that has called ``torch.cuda.set_device(2)``."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 2)


@pytest.mark.usefixtures("four_gpus")
@pytest.mark.parametrize(
    ("asked", "number"),
    [
        ("cuda", 2),
        (torch.device("cuda"), 2),
        (None, 2),
        ("auto", 2),
        ("cuda:0", 0),
        (torch.device("cuda", 3), 3),
    ],
)
def test_cuda_without_a_number_is_the_gpu_that_is_current(
    asked: str | torch.device | None, number: int
) -> None:
    assert choose_device(asked) == torch.device("cuda", number)


@pytest.mark.usefixtures("four_gpus")
def test_a_gpu_that_is_not_there_is_refused() -> None:
    with pytest.raises(OptionError, match="4 CUDA devices"):
        choose_device("cuda:4")


@pytest.mark.usefixtures("four_gpus")
@pytest.mark.parametrize(
    ("asked", "numbers"),
    [
        ("cuda:0,cuda:1", (0, 1)),
        (" cuda:3 , cuda ", (3, 2)),
        (["cuda:1", torch.device("cuda", 0)], (1, 0)),
        (("cuda:1",), (1,)),
        ("cuda:1", (1,)),
        (None, (2,)),
    ],
)
def test_several_devices_are_a_list_or_names_with_commas(
    asked: DeviceChoice, numbers: tuple[int, ...]
) -> None:
    assert choose_devices(asked) == tuple(torch.device("cuda", number) for number in numbers)


@pytest.mark.usefixtures("four_gpus")
@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("cuda:0,", "empty parts"),
        (",", "empty parts"),
        ([], "empty parts"),
        (["cuda:0", ""], "empty parts"),
        ("auto,cuda:0", "has a name"),
        ("cuda:0,cuda:1,cuda:0", "cuda:0 is given twice"),
        ("cuda,cuda:2", "cuda:2 is given twice"),
        ("cuda:0,cpu", "found cpu and cuda"),
        ("cuda:0,cuda:7", "4 CUDA devices"),
        ("cuda:0,gpu", "does not know device='gpu'"),
    ],
)
def test_devices_that_cannot_share_work_are_refused(asked: DeviceChoice, found: str) -> None:
    with pytest.raises(OptionError, match=found):
        choose_devices(asked)


def test_a_cpu_that_is_named_twice_is_two_processes() -> None:
    assert choose_devices("cpu,cpu:0") == (torch.device("cpu"), torch.device("cpu"))


@pytest.mark.usefixtures("four_gpus")
def test_devices_with_different_formats_need_one_that_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def capability(device: torch.device) -> tuple[int, int]:
        return (7 + (device.index or 0), 0)

    monkeypatch.setattr(torch.cuda, "get_device_capability", capability)
    devices = choose_devices("cuda:0,cuda:1")
    for asked in ("auto", "int8"):
        with pytest.raises(OptionError, match="float32 on cuda:0, bfloat16 on cuda:1"):
            check_formats(asked, devices)
    assert check_formats("float16", devices) == (torch.float16, None)
    assert check_formats("int8", devices[1:]) == (torch.bfloat16, "int8")


def has_capability(monkeypatch: pytest.MonkeyPatch, found: tuple[int, int]) -> None:
    def capability(_: object = None) -> tuple[int, int]:
        return found

    monkeypatch.setattr(torch.cuda, "get_device_capability", capability)


def is_macos(monkeypatch: pytest.MonkeyPatch, major: int) -> None:
    def newer(asked: int, _minor: int) -> bool:
        return major >= asked

    monkeypatch.setattr(torch.backends.mps, "is_macos_or_newer", newer)


@pytest.mark.parametrize("asked", ["auto", "int8", "float8"])
@pytest.mark.parametrize(
    ("capability", "dtype"),
    [
        ((7, 0), torch.float32),  # V100
        ((7, 5), torch.float32),  # T4
        ((6, 1), torch.float32),
        ((8, 0), torch.bfloat16),  # A100
        ((8, 9), torch.bfloat16),  # L4
        ((9, 0), torch.bfloat16),
    ],
)
def test_no_gpu_computes_in_float16_unless_it_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], dtype: torch.dtype, asked: str
) -> None:
    has_capability(monkeypatch, capability)
    assert choose_dtype(asked, CUDA) is dtype
    assert choose_dtype("float16", CUDA) is torch.float16


@pytest.mark.parametrize("asked", ["auto", "int8"])
@pytest.mark.parametrize(("macos", "dtype"), [(13, torch.float32), (14, torch.bfloat16)])
def test_metal_computes_in_bfloat16_where_it_has_it(
    monkeypatch: pytest.MonkeyPatch, macos: int, dtype: torch.dtype, asked: str
) -> None:
    is_macos(monkeypatch, macos)
    assert choose_dtype(asked, MPS) is dtype


def test_bfloat16_is_refused_on_metal_that_lacks_it(monkeypatch: pytest.MonkeyPatch) -> None:
    is_macos(monkeypatch, 13)
    with pytest.raises(OptionError, match="macOS 14"):
        choose_dtype("bfloat16", MPS)


@pytest.mark.parametrize("asked", ["float8", "fp8"])
def test_float8_is_refused_on_metal_by_name(
    tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    is_macos(monkeypatch, 15)
    with pytest.raises(OptionError, match=f"dtype='{asked}' on device='mps'.*int8"):
        load_encoder(str(tiny_checkpoint), device="mps", dtype=asked)
    assert choose_packing("int8", MPS) == "int8"


@pytest.mark.usefixtures("four_gpus")
@pytest.mark.parametrize(
    ("dtype", "capability", "shares"),
    [
        (torch.bfloat16, (9, 0), True),
        (torch.float16, (8, 0), True),
        (torch.float16, (7, 5), False),  # no flash kernels
        (torch.float32, (9, 0), False),  # flash kernels take 16 bits
    ],
)
def test_keys_are_shared_by_heads_where_flash_kernels_can_do_it(
    monkeypatch: pytest.MonkeyPatch,
    dtype: torch.dtype,
    capability: tuple[int, int],
    *,
    shares: bool,
) -> None:
    has_capability(monkeypatch, capability)

    class Weight:
        device = CUDA

    weight = Weight()
    weight.dtype = dtype  # pyright: ignore[reportAttributeAccessIssue]
    found = choose_products(weight)  # pyright: ignore[reportArgumentType]
    assert ("Flash" in type(found).__name__) is shares
