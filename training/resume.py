"""What a stage keeps of itself while it is trained: module, optimizer and the steps done."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn
    from torch.optim import Optimizer


def resume(path: Path, module: nn.Module, optimizer: Optimizer) -> int:
    """Load both from ``path``, if there is one; the steps that are done."""
    if not path.exists():
        return 0
    state = torch.load(path, weights_only=True)
    module.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    return state["step"]


def keep(path: Path, module: nn.Module, optimizer: Optimizer, *, step: int) -> None:
    """Save both after so many steps."""
    state = {"model": module.state_dict(), "optimizer": optimizer.state_dict()}
    torch.save({**state, "step": step}, path)
