"""Errors after which a device does not get well again in its process."""

from __future__ import annotations

__all__ = ["is_device_lost"]

_SAID = ("CUDA error", "HIP error", "cuDNN error", "CUBLAS_STATUS", "MPS backend")


def is_device_lost(error: BaseException) -> bool:
    """Whether an error of torch says that a process cannot use its device any more."""
    return any(one in str(error) for one in _SAID)
