"""Devices that run out of memory: recognise such errors, and free memory."""

from __future__ import annotations

import torch

__all__ = ["is_out_of_memory", "release_cached_memory"]

# CUDA's allocator has an error class of its own. Its libraries, Metal and the CPU's allocators
# raise plain RuntimeErrors with one of these texts: a library that cannot allocate its workspace
# reports ALLOC_FAILED, or NOT_INITIALIZED if it could not even make its handle.
_SIGNS = (
    "out of memory",
    "outofmemory",
    "can't allocate memory",
    "cannot allocate memory",
    "not enough memory",
    "invalid buffer size",
    "cublas_status_alloc_failed",
    "cublas_status_not_initialized",
    "cudnn_status_alloc_failed",
    "cudnn_status_not_initialized",
    "cusolver_status_alloc_failed",
    "cusparse_status_alloc_failed",
    "hipblas_status_alloc_failed",
    "rocblas_status_memory_error",
    "miopenstatusallocfailed",
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error of torch says that a device, or this machine, has too little memory."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    said = str(error).lower()
    return isinstance(error, RuntimeError) and any(sign in said for sign in _SIGNS)


def release_cached_memory(device: torch.device) -> None:
    """Free the memory of a device that torch keeps for later use."""
    module = getattr(torch, device.type, None)
    release = getattr(module, "empty_cache", None)
    if release is not None:
        release()
