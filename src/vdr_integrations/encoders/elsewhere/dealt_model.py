"""What is the same for all models whose work a dealer gives to several devices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vdr_integrations.encoders.elsewhere.plain_items import ModelElsewhere, PlainPage, TokensOf

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future

    import numpy as np
    from numpy.typing import NDArray

    from vdr_integrations.encoders.elsewhere.device_dealer import DeviceDealer
    from vdr_integrations.encoders.preprocessing.prepared import Prepared
    from vdr_integrations.encoders.runtime.running_model import PassOfModel

__all__ = ["DealtModel"]


class DealtModel(ModelElsewhere):
    """A model on several devices; the work of all callers is dealt to whichever is free."""

    _dealer: DeviceDealer

    def watch(self, seen: Callable[[PassOfModel], None]) -> None:
        """See ``RunningModel``; what a device gets at once counts as one pass."""
        self._dealer.watch(seen)

    def submit(
        self, items: Sequence[Prepared], *, budget: int | None = None
    ) -> Future[list[NDArray[np.float32]]]:
        """See ``RunningModel``."""
        return self._submitted(items, budget)

    def query_tokens(self, text: str) -> list[str]:
        """See ``RunningModel``."""
        (tokens,) = self._submitted([TokensOf(text)], None).result()
        return tokens

    def cost(self, item: Prepared) -> int:
        """See ``RunningModel``."""
        return 0 if isinstance(item, TokensOf) else super().cost(item)

    def _submitted(self, items: Sequence[Prepared], budget: int | None) -> Future[list[Any]]:
        self._check_usable()
        if budget is None:
            is_page = bool(items) and isinstance(items[0], PlainPage)
            budget = self.facts.pages_budget if is_page else self.facts.queries_budget
        costs = [(item, self.cost(item)) for item in items]
        return self._dealer.submit(costs, budget=budget, owner=self)

    def _check_usable(self) -> None:  # most are
        """Refuse work of a process that the devices do not belong to.

        Raises:
            EncodingError: They do not work for this process.
        """
