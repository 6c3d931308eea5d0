"""Finds out what ``vdr doctor`` reports. Downloads and loads nothing, and shows no token."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
from pathlib import Path
from typing import Any

import vdr_integrations
from vdr_integrations.cli.terminal.fact_lines import bytes_in_words
from vdr_integrations.encoders.checkpoints.known_checkpoints import BUNDLED, checkpoint_for
from vdr_integrations.encoders.checkpoints.parameter_count import count_parameters
from vdr_integrations.encoders.checkpoints.published_models import PUBLISHED_MODELS
from vdr_integrations.encoders.elsewhere.server_address import is_server_address
from vdr_integrations.encoders.elsewhere.vllm_name import is_on_vllm
from vdr_integrations.errors import (
    CheckpointError,
    EncodingError,
    OptionError,
    UnknownCheckpointError,
)
from vdr_integrations.pages.store_place import store_place
from vdr_integrations.pages.store_trouble import STORE_VARIABLE

__all__ = ["diagnose"]

_PACKAGES = (
    "torch",
    "transformers",
    "numpy",
    "Pillow",
    "PyMuPDF",
    "qdrant-client",
    "llama-index-core",
    "langchain-core",
    "mcp",
    "flash-attn",
)
_VARIABLES = ("VDR_INDEX", "VDR_MODEL", STORE_VARIABLE, "VDR_DEBUG", "CUDA_VISIBLE_DEVICES")
_OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
_SMALL = 1_000_000_000
"""Models with fewer parameters are toys, which need no advice about speed."""
_LARGEST_2B = 2_500_000_000
"""Parameters of the largest model to which figures of the 2B models apply."""

_ROOM = 1.3
"""Memory needed, in sizes of the weights: with activations, loader buffers and the process."""

_CUDA_2B_BYTES = 6_900_000_000
"""Memory that the model card of vdr-2b-multi-v1 reports for four pages of 768 visual tokens."""


def diagnose(model: str) -> dict[str, Any]:
    """Versions, devices, memory and caches, with problems and advice, fit for JSON.

    Args:
        model: Hub id, folder or bundled name; its needs are compared with the devices.

    Returns:
        Sections by name. ``problems`` prevent the model from running, ``advice`` does not.
    """
    problems: list[str] = []
    advice: list[str] = []
    weights = _model(model, problems)
    hardware = _hardware(problems)
    if not problems:
        _advise(weights, hardware, advice, problems)
    is_missing = weights["kind"] is not None and weights["where"] in {"not here", "cached in part"}
    if is_missing and _is_offline():
        problems.append(
            f"{model} is not completely cached, and offline mode prevents the download."
        )
    elif is_missing:
        advice.append(f"{model} is not completely cached; it is downloaded when it is first used.")
    packages = {name: _version(name) for name in _PACKAGES}
    for name, extra, purpose in (("PyMuPDF", "pdf", "PDFs cannot be read"),):
        if packages[name] is None:
            advice.append(f'{purpose}: pip install "vdr-integrations[{extra}]"')
    return {
        "version": vdr_integrations.__version__,
        "python": f"{platform.python_version()} on {platform.platform()}",
        "packages": packages,
        **hardware,
        "model": weights,
        "caches": _caches(advice),
        "environment": _environment(),
        "problems": problems,
        "advice": advice,
    }


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _hardware(problems: list[str]) -> dict[str, Any]:
    try:
        from vdr_integrations.encoders.runtime.device_and_dtype import (
            choose_attention,
            choose_device,
            choose_dtype,
        )
        from vdr_integrations.encoders.runtime.hardware import devices
    except (ImportError, OSError) as error:  # a wheel for another machine fails in many ways
        problems.append(f"torch cannot be imported ({error}); install it again.")
        return {"devices": [], "chosen": None}
    try:
        device = choose_device(None)
        dtype = choose_dtype("auto", device)
        found = devices()
    except RuntimeError as error:  # drivers fail in many ways
        problems.append(f"torch cannot query the devices ({error}).")
        return {"devices": [], "chosen": None}
    return {
        "devices": [
            {
                "device": one.device,
                "name": one.name,
                "memory_bytes": one.memory_bytes,
                "free_bytes": one.free_bytes,
            }
            for one in found
        ],
        "chosen": {
            "device": str(device),
            "dtype": str(dtype).removeprefix("torch."),
            "dtype_bytes": dtype.itemsize,
            "attention": choose_attention(None, device=device, dtype=dtype),
        },
    }


def _served(address: str, problems: list[str]) -> dict[str, Any]:
    """What the server at an address runs."""
    from vdr_integrations.encoders import load_encoder

    try:
        encoder = load_encoder(address)
    except (OptionError, EncodingError, CheckpointError) as error:
        problems.append(str(error))
        return {}
    kind = "late-interaction" if encoder.checkpoint.is_multi_vector else "dense"
    where = "vLLM" if is_on_vllm(encoder.name) else encoder.device
    return {"name": encoder.name, "kind": kind, "where": f"{where} at {address}"}


def _model(model: str, problems: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {"name": model, "kind": None, "where": "not here", "parameters": None}
    if is_server_address(model):
        return found | _served(model, problems)
    try:
        is_late = checkpoint_for(model).is_multi_vector
    except UnknownCheckpointError as error:
        problems.append(str(error))
        return found
    found["kind"] = "late-interaction" if is_late else "dense"
    try:
        if model in BUNDLED:
            # The late-interaction one is an adapter over the other.
            parameters = count_parameters(BUNDLED["nano"])
            return found | {"where": "bundled", "parameters": parameters}
        if Path(model).is_dir():
            parameters = count_parameters(Path(model))
            if not parameters:
                problems.append(f"folder {model} has no weights (*.safetensors).")
            return found | {"where": "folder", "parameters": parameters or None}
    except (ValueError, OSError) as error:
        problems.append(f"the weights of {model} cannot be read: {error}")
        return found
    parameters = PUBLISHED_MODELS[model].parameters
    return found | {"where": _in_hub_cache(model), "parameters": parameters}


def _in_hub_cache(model: str) -> str:
    from huggingface_hub import try_to_load_from_cache

    def has(name: str) -> bool:
        return isinstance(try_to_load_from_cache(model, name), str)

    described = has("config.json") or has("adapter_config.json")
    weights = ("model.safetensors", "model.safetensors.index.json", "adapter_model.safetensors")
    if described and any(map(has, weights)):
        return "cached"
    return "cached in part" if described else "not here"


def _advise(
    weights: dict[str, Any], hardware: dict[str, Any], advice: list[str], problems: list[str]
) -> None:
    """Compare the memory that the weights need with the memory of the chosen device."""
    chosen, parameters = hardware["chosen"], weights["parameters"]
    if chosen is None or parameters is None:
        return
    needed = parameters * chosen["dtype_bytes"]
    weights["bytes"] = needed
    device = next(one for one in hardware["devices"] if one["device"] == chosen["device"])
    total, free = device["memory_bytes"], device["free_bytes"]
    where = f"{weights['name']} needs {bytes_in_words(needed)} as {chosen['dtype']}"
    smaller = "bfloat16" if chosen["dtype_bytes"] == 4 else "int8"
    half = f"--dtype {smaller} halves that"
    if total is not None and needed * _ROOM > total:
        fits = needed * _ROOM / 2 <= total
        (advice if fits else problems).append(
            f"{where}, and {chosen['device']} has {bytes_in_words(total)} in all; "
            f"{half if fits else 'use a larger device'}."
        )
    elif free is not None and needed * _ROOM > free:
        advice.append(
            f"{where}, and {bytes_in_words(free)} are free now; close programs, or {half}."
        )
    if parameters < _SMALL:
        return
    is_2b = parameters <= _LARGEST_2B
    if chosen["device"] == "cpu":
        memory = " with 8 GB or more" if is_2b else ""
        advice.append(
            f"{weights['name']} runs on the CPU here, where a page takes many seconds. Use a GPU"
            f"{memory}, or the model 'nano' to try things out."
        )
    elif is_2b and free is not None and free < _CUDA_2B_BYTES:
        advice.append(
            "four pages at once need 6.9 GB, says the model card; lower --max-visual-tokens."
        )


def _caches(advice: list[str]) -> dict[str, Any]:
    from huggingface_hub import constants

    from vdr_integrations.pages import PageStore

    store = PageStore()
    folders = {
        "hf_home": constants.HF_HOME,
        "hub": constants.HF_HUB_CACHE,
        "page_store": store.location,
    }
    found: dict[str, Any] = {}
    for name, folder in folders.items():
        if "://" in str(folder):  # it may be far away, and cost money
            found[name] = {"path": folder, "exists": None, "free_bytes": None}
            continue
        path = Path(folder).absolute()
        found[name] = {"path": str(path), "exists": False, "free_bytes": None}
        try:
            found[name] |= _folder(path)
        except OSError as error:
            advice.append(f"the folder of {name} cannot be read: {error.strerror}.")
    return found


def _folder(path: Path) -> dict[str, Any]:
    there = next((one for one in (path, *path.parents) if one.exists()), None)
    free = None if there is None else shutil.disk_usage(there).free
    return {"exists": path.exists(), "free_bytes": free}


def _environment() -> dict[str, Any]:
    offline = {name: _is_on(os.environ.get(name)) for name in _OFFLINE}
    has_token = any(os.environ.get(name) for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"))
    variables = {name: os.environ.get(name) for name in _VARIABLES}
    if variables[STORE_VARIABLE]:  # a URL may hold a password
        variables[STORE_VARIABLE] = str(store_place(variables[STORE_VARIABLE] or ""))
    return {**offline, "HF_TOKEN": "set" if has_token else None, **variables}


def _is_offline() -> bool:
    return any(_is_on(os.environ.get(name)) for name in _OFFLINE)


def _is_on(value: str | None) -> bool:
    return value is not None and value.upper() in {"1", "ON", "YES", "TRUE"}
