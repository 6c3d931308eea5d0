"""What differs between families of models; everything else is computed in one way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vdr_integrations.encoders.forward.decoder_sizes import DecoderFamily, read_decoder_sizes
from vdr_integrations.encoders.forward.model_sizes import ModelSizes, VisionSizes
from vdr_integrations.encoders.forward.model_tree import ModelTree, VisionTree
from vdr_integrations.encoders.forward.vision_tower import VISION_THETA, VisionTower

if TYPE_CHECKING:
    import re
    from collections.abc import Callable

    from vdr_integrations.encoders.forward.config_facts import ConfigFacts

__all__ = ["Family"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """A family of models. Each has a file of its own, see ``known_families.py``.

    Attributes:
        model_type: Its name in ``config.json``.
        title: Its name in messages and documents.
        stock_model: transformers' class with the same tree of weights.
        decoder: How decoders are built.
        read_vision_sizes: From ``vision_config``; the second argument is the decoder's width.
        vision_tree: Modules for the weights of a vision tower; the second argument is the
            decoder's width.
        vision_tower: Computes with the weights in such a tree.
        adapted: Names of the vision tower's matrices that adapters may change.
    """

    model_type: str
    title: str
    stock_model: str
    decoder: DecoderFamily
    read_vision_sizes: Callable[[ConfigFacts, int], VisionSizes]
    vision_tree: Callable[[VisionSizes, int], VisionTree]
    vision_tower: Callable[[Any, VisionSizes], VisionTower]
    adapted: re.Pattern[str]

    def read_sizes(self, vision: ConfigFacts, text: ConfigFacts) -> ModelSizes:
        """Check the two parts of a configuration.

        Raises:
            CheckpointError: A number means nothing, or asks for what this package does not compute.
        """
        decoder = read_decoder_sizes(text, self.decoder)
        for rope in (vision, vision.part("rope_scaling"), vision.part("rope_parameters")):
            rope.must_be("rope_theta", VISION_THETA, None)
            rope.must_be("rope_type", "axial", "default", None)
        sizes = self.read_vision_sizes(vision, decoder.hidden_size)
        return ModelSizes(vision=sizes, decoder=decoder)

    def tree(self, sizes: ModelSizes) -> ModelTree:
        """Modules for the weights of a model."""
        visual = self.vision_tree(sizes.vision, sizes.decoder.hidden_size)
        return ModelTree(visual, sizes.decoder)
