"""Several devices of one encoder: how they are named, and which of them work together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias, Union

import torch

from vdr_integrations.encoders.runtime.device_and_dtype import (
    choose_device,
    choose_dtype,
    choose_packing,
)
from vdr_integrations.errors import OptionError

if TYPE_CHECKING:
    from vdr_integrations.encoders.forward.eight_bit_weights import Packing

__all__ = ["DeviceChoice", "check_formats", "choose_devices"]

DeviceChoice: TypeAlias = Union[str, torch.device, "Sequence[str | torch.device]", None]
"""One device, or several: ``"cuda:0,cuda:1"`` or ``["cuda:0", "cuda:1"]``."""


def choose_devices(asked: DeviceChoice) -> tuple[torch.device, ...]:
    """The named devices; one for a single name, see ``choose_device``.

    ``"cpu,cpu"`` means two processes that share the cores of this machine.

    Raises:
        OptionError: A device is not on this machine, is empty or given twice; or the devices are of
            different kinds.
        ForkedProcessError: See ``choose_device``.
    """
    names = _names(asked)
    if names is None:
        assert asked is None or isinstance(asked, str | torch.device)  # noqa: S101  # no list
        return (choose_device(asked),)
    if not names or any(name in {"", "auto"} for name in names):
        raise OptionError(
            f"device={asked!r}: each of several devices has a name; write them as "
            f"'cuda:0,cuda:1', without empty parts."
        )
    devices = tuple(choose_device(name) for name in names)
    kinds = sorted({device.type for device in devices})
    if len(kinds) > 1:
        raise OptionError(
            f"device={asked!r}: found {' and '.join(kinds)}; devices that share work are of one "
            f"kind. A CPU beside a GPU takes a hundred times as long for a page: leave it out."
        )
    twice = [str(device) for device, count in Counter(devices).items() if count > 1]
    if twice and kinds != ["cpu"]:
        raise OptionError(
            f"device={asked!r}: {twice[0]} is given twice, and two processes on it would take "
            f"twice its memory for the same speed. Give each device once."
        )
    return devices


def check_formats(
    dtype: str | torch.dtype, devices: Sequence[torch.device]
) -> tuple[torch.dtype, Packing | None]:
    """The number format and packing that all of the devices have.

    Raises:
        OptionError: A device does not have them, or ``"auto"`` means different formats.
    """
    chosen = {str(device): choose_dtype(dtype, device) for device in devices}
    if len(set(chosen.values())) > 1:
        found = ", ".join(
            f"{str(one).removeprefix('torch.')} on {name}" for name, one in chosen.items()
        )
        raise OptionError(
            f"dtype={dtype!r} is {found}; vectors of one encoder have one number format. Name one "
            f"that all devices have, such as dtype='float32', or leave a device out."
        )
    packing: list[Packing | None] = [choose_packing(dtype, device) for device in devices]
    return chosen[str(devices[0])], packing[0]


def _names(asked: DeviceChoice) -> list[str | torch.device] | None:
    """The names of a list; None for a single device."""
    if isinstance(asked, str):
        names: list[str | torch.device] = [*map(str.strip, asked.split(","))]
        return None if len(names) == 1 else names
    if isinstance(asked, Sequence):
        return [name.strip() if isinstance(name, str) else name for name in asked]
    return None
