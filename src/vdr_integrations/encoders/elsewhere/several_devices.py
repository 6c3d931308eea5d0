"""A model on several devices of this machine: a process a device; no weights are in this one."""

from __future__ import annotations

import threading
import weakref
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from vdr_integrations.encoders.checkpoints.contents import read_contents
from vdr_integrations.encoders.checkpoints.digests import digest_of
from vdr_integrations.encoders.checkpoints.fingerprint import meaning_of
from vdr_integrations.encoders.elsewhere.dealt_model import DealtModel
from vdr_integrations.encoders.elsewhere.device_dealer import DeviceDealer
from vdr_integrations.encoders.elsewhere.device_process import DeviceProcess
from vdr_integrations.encoders.runtime import forks
from vdr_integrations.encoders.runtime.device_list import check_formats
from vdr_integrations.encoders.runtime.process_end import refuse_at_the_end
from vdr_integrations.encoders.runtime.running_model import OpenedModel
from vdr_integrations.encoders.runtime.shared_model import ModelOptions
from vdr_integrations.encoders.runtime.torch_threads import core_count
from vdr_integrations.errors import CheckpointError, ForkedProcessError, OptionError

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from vdr_integrations.encoders.checkpoints.contents import CheckpointContents
    from vdr_integrations.encoders.runtime.running_model import (
        ModelFacts,
        ModelOrigin,
    )

__all__ = ["SeveralDevices", "SeveralOptions", "on_devices"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SeveralOptions:
    """Which checkpoint, and on which devices.

    Attributes:
        one: The options on the first device; on the others they are the same.
        devices: All devices.
    """

    one: ModelOptions
    devices: tuple[torch.device, ...]

    def opened(self, contents: CheckpointContents | None = None) -> OpenedModel:
        """The model, started or shared with those who have it.

        Raises:
            CheckpointError: It cannot be loaded on a device.
            EncodingError: A process ended while it loaded the model.
            ResourceError: This machine cannot start the processes.
        """
        contents = contents or read_contents(self.one.files)
        model = _started_or_shared(self, contents)
        return OpenedModel(model, self.one.checkpoint, contents.own.commit)

    def for_pickles(self) -> SeveralOptions:
        """The same without the hub token."""
        return replace(self, one=self.one.for_pickles())


def on_devices(
    origin: ModelOrigin, devices: Sequence[torch.device]
) -> ModelOptions | SeveralOptions:
    """The same model on these devices, in the same number format; on one, in this process.

    Raises:
        OptionError: It runs on another machine, or a device does not have its number format.
    """
    one = origin.one if isinstance(origin, SeveralOptions) else origin
    if not isinstance(one, ModelOptions):
        raise OptionError(
            f"devices={[*map(str, devices)]}: the model runs on a server, which has devices of its "
            f"own (vdr serve --device). Leave devices out, or load the model here."
        )
    check_formats(one.packing or one.dtype, devices)
    one = replace(one, device=devices[0])
    return one if len(devices) == 1 else SeveralOptions(one=one, devices=tuple(devices))


class SeveralDevices(DealtModel):
    """Processes that hold one model; the work of all callers is dealt to whichever is free.

    The processes end with this object, and with this process, however it ends.
    """

    def __init__(self, options: SeveralOptions, contents: CheckpointContents) -> None:
        """Start a process a device, and wait until all are ready."""
        self._name = options.one.checkpoint.model
        self._is_forked = False
        devices = options.devices
        processes = _started(options, contents, name=self._name)
        try:
            facts = _common_facts(processes, contents, name=self._name)
        except BaseException:
            _end(processes)
            raise
        self._dealer = DeviceDealer(self._name, processes)
        self.facts = replace(facts, device=",".join(map(str, devices)))
        self.windows_at_once = len(devices)
        self.leaves_cores = devices[0].type == "cuda"
        self._closing = weakref.finalize(self, self._dealer.close)
        forks.renew_after_fork(self)

    @property
    def process_ids(self) -> list[int]:
        """The numbers of its processes that work."""
        return self._dealer.process_ids

    @property
    def is_usable(self) -> bool:
        """Whether a device is left."""
        return self._dealer.is_usable

    def troubles(self) -> list[str]:
        """See ``RunningModel``: the devices that were lost."""
        return [
            f"{self._name}: {device} was lost ({reason}); the other devices did its work"
            for device, reason in self._dealer.lost.items()
        ]

    def after_fork(self) -> None:
        """Leave the processes to the parent."""
        self._closing.detach()
        self._is_forked = True
        self._dealer.forget_after_fork()

    def _check_usable(self) -> None:
        if self._is_forked:
            raise ForkedProcessError(
                f"{self._name} is on {self.facts.device}, in processes of the process that this "
                f"one was forked from. {forks.ADVICE}"
            )
        refuse_at_the_end()


def _started(
    options: SeveralOptions, contents: CheckpointContents, *, name: str
) -> list[DeviceProcess]:
    """A process a device, none of them ready yet."""
    devices = options.devices
    threads = max(1, min(torch.get_num_threads(), core_count() // len(devices)))
    names = [*map(str, devices)]
    if len(set(names)) < len(names):
        names = [f"{device} process {number}" for number, device in enumerate(names, start=1)]
    started: list[DeviceProcess] = []
    # They load what was read here, not what a branch names by then.
    one = replace(options.one, files=contents.own.files)
    try:
        for device, said in zip(devices, names, strict=True):
            origin = replace(one, device=device)
            started.append(DeviceProcess(origin, name=name, device=said, threads=threads))
    except BaseException:
        _end(started)
        raise
    return started


def _end(processes: Sequence[DeviceProcess]) -> None:
    for process in processes:
        process.end()


def _common_facts(
    processes: Sequence[DeviceProcess], contents: CheckpointContents, *, name: str
) -> ModelFacts:
    """What all processes say of the model.

    Raises:
        CheckpointError: One of them has loaded something else.
    """
    found = [process.facts() for process in processes]
    for process, facts in zip(processes, found, strict=True):
        if replace(facts, device="") != replace(found[0], device="") or (
            facts.contents_digest != contents.digest
        ):
            raise CheckpointError(
                f"{name}: {process.device} has loaded other files than this process has read, so "
                f"they were changed meanwhile. Load it again."
            )
    return found[0]


class _Known:
    """Models on several devices, as long as an encoder uses them."""

    def __init__(self) -> None:
        self.starting = threading.Lock()
        self.models: weakref.WeakValueDictionary[Hashable, SeveralDevices]
        self.models = weakref.WeakValueDictionary()


_known = forks.PerProcess(_Known)


def _started_or_shared(options: SeveralOptions, contents: CheckpointContents) -> SeveralDevices:
    one, known = options.one, _known.value
    key = (
        contents.digest,
        digest_of(meaning_of(one.checkpoint)),
        options.devices,
        one.dtype,
        one.packing,
        one.attn_implementation,
        one.checkpoint.keeps_leading,
    )
    with known.starting:
        model = known.models.get(key)
        if model is None or not model.is_usable:
            model = known.models[key] = SeveralDevices(options, contents)
        return model
