"""Which device, number format and attention a model runs with."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

import torch

from vdr_integrations.encoders.forward.eight_bit_weights import PACKINGS
from vdr_integrations.encoders.runtime import forks
from vdr_integrations.encoders.runtime.cpu_bfloat16 import bfloat16_on_this_cpu
from vdr_integrations.errors import ForkedProcessError, OptionError

if TYPE_CHECKING:
    from vdr_integrations.encoders.forward.eight_bit_weights import Packing

__all__ = ["DTYPES", "choose_attention", "choose_device", "choose_dtype", "choose_packing"]

DTYPES = {
    "bfloat16": torch.bfloat16,
    "bf16": torch.bfloat16,
    "float16": torch.float16,
    "fp16": torch.float16,
    "float32": torch.float32,
    "fp32": torch.float32,
}
"""Number formats by each name that is accepted, besides "auto" and those of 8 bits."""
_ATTENTION = ("sdpa", "flash_attention_2", "eager")


def choose_device(device: str | torch.device | None) -> torch.device:
    """The named device; for None or ``"auto"`` CUDA, else MPS, else CPU.

    ``"cuda"`` without a number is the current GPU of this thread (``torch.cuda.set_device``), as in
    torch.

    Raises:
        OptionError: torch does not know the device, or does not find it on this machine.
        ForkedProcessError: The device is CUDA, in a process forked from one that used CUDA.
    """
    if device is None or device == "auto":
        if torch.cuda.is_available():
            return _cuda(None)
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        raise OptionError(
            f"torch does not know device={device!r}; use 'cuda', 'cuda:1', 'mps' or 'cpu'."
        ) from error
    if chosen.type == "cuda":
        count = torch.cuda.device_count()
        if not torch.cuda.is_available() or (chosen.index or 0) >= count:
            raise OptionError(
                f"device={device!r} is not available: torch finds {count} CUDA devices."
            )
        return _cuda(chosen.index)
    if chosen.type == "mps" and not torch.backends.mps.is_available():
        raise OptionError("device='mps' is not available: torch finds no Metal device.")
    # There is only one of each: "cpu:0" is "cpu".
    return torch.device(chosen.type) if chosen.type in {"cpu", "mps"} else chosen


def _cuda(number: int | None) -> torch.device:
    if forks.gpu_was_in_use():
        raise ForkedProcessError(
            f"device='cuda' cannot be used: CUDA was in use before this process was forked, and "
            f"it does not work after a fork. {forks.ADVICE} device='cpu' works here."
        )
    return torch.device("cuda", torch.cuda.current_device() if number is None else number)


def choose_packing(dtype: str | torch.dtype, device: torch.device) -> Packing | None:
    """How weights are packed, if ``dtype`` asks for that; sums then have the dtype "auto".

    Raises:
        OptionError: The device does not support the format.
    """
    packing = PACKINGS.get(dtype) if isinstance(dtype, str) else None
    if packing == "float8" and device.type == "mps":
        raise OptionError(
            f"dtype={dtype!r} on device='mps': Metal does not support that format. Use "
            f"dtype='int8', which needs as little memory, or leave dtype out."
        )
    return packing


def choose_dtype(dtype: str | torch.dtype, device: torch.device) -> torch.dtype:
    """The named format, or the device's best for weights that are published in bfloat16.

    ``"auto"`` is bfloat16 on GPUs that have it (NVIDIA's from Ampere on, AMD's, Metal from macOS 14
    on) and on a CPU that multiplies it faster than float32 (AMX, AMD's AVX512-BF16), float32
    elsewhere. It is never float16: Qwen2-VL exceeds its largest number (65,504), and vectors would
    be NaN. Sums over weights of 8 bits have the same format.

    Raises:
        OptionError: It is not bfloat16, float16, float32, int8 or float8, or the device does not
            have it.
    """
    chosen = DTYPES.get(dtype) if isinstance(dtype, str) else dtype
    if chosen is not None and chosen in DTYPES.values():
        if chosen is torch.bfloat16 and device.type == "mps" and not _has_bfloat16(device):
            raise OptionError(
                f"dtype={dtype!r} on device='mps' needs macOS 14 or later. Leave dtype out: it is "
                f"float32 here."
            )
        return chosen
    if dtype == "auto" or dtype in PACKINGS:
        return torch.bfloat16 if _has_bfloat16(device) else torch.float32
    raise OptionError(f"dtype={dtype!r} is not one of auto, {', '.join((*DTYPES, *PACKINGS))}.")


def _has_bfloat16(device: torch.device) -> bool:
    """Whether a device multiplies bfloat16; for a CPU, whether faster than float32."""
    if device.type == "cuda":
        return torch.version.hip is not None or _is_ampere(device)
    if device.type == "mps":
        return torch.backends.mps.is_macos_or_newer(14, 0)
    return bfloat16_on_this_cpu().is_faster


def choose_attention(
    attn_implementation: str | None, *, device: torch.device, dtype: torch.dtype
) -> str:
    """The named attention; None is "sdpa".

    "sdpa" is this package's own forward pass with torch's kernels, which include FlashAttention 2
    on a GPU; the others run transformers' modules.

    Raises:
        OptionError: The name is unknown, or FlashAttention 2 cannot run here.
    """
    half = dtype in (torch.bfloat16, torch.float16)
    installed = importlib.util.find_spec("flash_attn") is not None
    usable = installed and half and device.type == "cuda" and _is_ampere(device)
    if attn_implementation is None:
        return "sdpa"
    if attn_implementation not in _ATTENTION:
        raise OptionError(
            f"attn_implementation={attn_implementation!r} is not one of {', '.join(_ATTENTION)}."
        )
    if attn_implementation == "flash_attention_2" and not usable:
        raise OptionError(
            "attn_implementation='flash_attention_2' needs the flash-attn package, a CUDA GPU of "
            f"compute capability 8.0 or later and a 16-bit dtype; found device={device}, "
            f"dtype={dtype}, flash-attn {'' if installed else 'not '}installed. "
            "Leave it out for torch's own kernels."
        )
    return attn_implementation


def _is_ampere(device: torch.device) -> bool:
    return torch.cuda.get_device_capability(device)[0] >= 8
