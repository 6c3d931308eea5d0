"""A model that encoding actors run: all who know the actors share them."""

from __future__ import annotations

import logging
import weakref
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from vdr_integrations.encoders.elsewhere.dealt_model import DealtModel
from vdr_integrations.encoders.elsewhere.device_dealer import DeviceDealer
from vdr_integrations.encoders.runtime.running_model import OpenedModel
from vdr_integrations.ray_jobs.actor_device import ActorDevice
from vdr_integrations.ray_jobs.cluster import ray_module
from vdr_integrations.ray_jobs.encoding_actor import asked_until_it_is_back

if TYPE_CHECKING:
    from concurrent.futures import Future

    from vdr_integrations.encoders.elsewhere.device_dealer import ModelDevice
    from vdr_integrations.ray_jobs.encoder_pool import EncodingPool

__all__ = ["ActorModel", "ActorOrigin"]

_logger = logging.getLogger(__name__)


class ActorModel(DealtModel):
    """Deals windows to the actors of a pool, as to the devices of one machine.

    The windows of an actor that has ended go to the others. When Ray has started it again, it gets
    work again.
    """

    def __init__(self, pool: EncodingPool, number: int) -> None:
        """Use a model of these actors.

        Args:
            pool: The actors.
            number: Number of the model.
        """
        hosted = pool.models[number]
        self._name = hosted.checkpoint.model
        self._hosted = hosted
        devices = [
            ActorDevice(actor, number, name=name, expected=hosted)
            for actor, name in zip(pool.actors, pool.names, strict=True)
        ]
        # The dealer belongs to this object: what waits for an actor must not keep it.
        me = weakref.ref(self)

        def lost(device: ModelDevice) -> None:
            if (model := me()) is not None:
                model._ask_again(device)  # noqa: SLF001  # its own

        self._dealer = DeviceDealer(self._name, devices, after_loss=lost)
        self.facts = replace(hosted.facts, device="cuda" if pool.is_gpu else "cpu")
        self.windows_at_once = len(devices)
        self.leaves_cores = True  # the actors have reserved their own
        self._closing = weakref.finalize(self, self._dealer.close)

    def troubles(self) -> list[str]:
        """See ``RunningModel``: the actors that were lost."""
        return [
            f"{self._name}: {name} was lost ({reason}); its pages were encoded by the others, or "
            f"after its restart"
            for name, reason in self._dealer.lost.items()
        ]

    def _ask_again(self, device: ModelDevice) -> None:
        """Take an actor back when it answers again."""
        assert isinstance(device, ActorDevice)  # noqa: S101  # there are no others
        me = weakref.ref(self)

        def answered(reply: Future[Any]) -> None:
            model = me()
            if model is not None:
                model._took_back(device, reply)  # noqa: SLF001  # its own

        asked_until_it_is_back(device.actor).future().add_done_callback(answered)

    def _took_back(self, device: ActorDevice, reply: Future[Any]) -> None:
        try:
            found = reply.result()
        except ray_module().exceptions.RayError:
            return  # it does not come back
        models = getattr(found, "models", None)
        if models is None or models[device.number] != self._hosted:
            return
        _logger.warning("%s: %s is back.", self._name, device.device)
        self._dealer.join(
            ActorDevice(device.actor, device.number, name=device.device, expected=self._hosted)
        )


@dataclass(frozen=True, slots=True)
class ActorOrigin:
    """A model of a pool.

    Attributes:
        pool: The actors.
        number: Number of the model.
    """

    pool: EncodingPool
    number: int

    def opened(self) -> OpenedModel:
        """The model, in whatever actor this is asked."""
        hosted = self.pool.models[self.number]
        return OpenedModel(ActorModel(self.pool, self.number), hosted.checkpoint, hosted.revision)

    def for_pickles(self) -> ActorOrigin:
        """Itself: it holds no secrets."""
        return self
