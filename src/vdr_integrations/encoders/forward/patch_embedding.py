"""The vision tower's first layer as one matrix product over raw bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["BytePatchEmbedding"]


class BytePatchEmbedding(nn.Module):
    """Patch embedding of uint8 patches.

    transformers runs a 3-D convolution, whose stride equals its kernel, over two copies of a
    normalised page. That is the same as a matrix product, but 50 times slower in bf16 on a CPU and,
    with some cuDNN releases, far slower on a GPU (pytorch#174051). Here the two temporal slices are
    added, and mean and standard deviation are folded into the weights, both in float32 when the
    weights are prepared. Patches are sent as an eighth of the bytes.
    """

    weight: torch.Tensor
    bias: torch.Tensor

    def __init__(
        self,
        convolution: torch.Tensor,
        convolution_bias: torch.Tensor | None = None,
        *,
        mean: Sequence[float],
        std: Sequence[float],
    ) -> None:
        """Fold a convolution's weights.

        Args:
            convolution: (embedding, channels, frames, patch, patch), from the loaded checkpoint.
            convolution_bias: (embedding,); None for a convolution without bias.
            mean: Mean of each channel, for pixels in 0..1.
            std: Standard deviation of each channel, for pixels in 0..1.
        """
        super().__init__()
        self.out_dtype = convolution.dtype
        # Only the folding is in float64: it costs nothing and keeps the last float32 digits.
        kernel = convolution.detach().to(torch.float64).sum(dim=2)
        per_channel = [1, -1, 1, 1]
        means = torch.tensor(mean, dtype=torch.float64, device=kernel.device).view(per_channel)
        stds = torch.tensor(std, dtype=torch.float64, device=kernel.device).view(per_channel)
        scaled = kernel / stds
        by_pixel = (scaled / 255).permute(0, 2, 3, 1).flatten(1).float()
        self.register_buffer("weight", by_pixel, persistent=False)
        bias = -(scaled * means).flatten(1).sum(dim=1)
        if convolution_bias is not None:
            bias += convolution_bias.detach()
        self.register_buffer("bias", bias.float(), persistent=False)

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        """Embed patches.

        Args:
            patches: uint8 (patches, patch**2 * channels), as ``patchify`` returns them.

        Returns:
            (patches, embedding) in the checkpoint's dtype.
        """
        return nn.functional.linear(patches.float(), self.weight, self.bias).to(self.out_dtype)
