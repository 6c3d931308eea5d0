"""Which checkpoint a vLLM server serves, and its small files, which are read on this machine."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from vdr_integrations.encoders.checkpoints.contents import explained, read_small_files
from vdr_integrations.encoders.checkpoints.known_checkpoints import BUNDLED, KNOWN_CHECKPOINTS
from vdr_integrations.encoders.checkpoints.model_config import read_model_config
from vdr_integrations.encoders.checkpoints.tokenizer_files import read_tokenizer
from vdr_integrations.encoders.preprocessing.pixel_limits import fewest_pixels
from vdr_integrations.errors import CheckpointError, OptionError, UnknownCheckpointError

if TYPE_CHECKING:
    from typing import Any

    from tokenizers import Tokenizer

    from vdr_integrations.encoders.checkpoints.contents import SmallFiles
    from vdr_integrations.encoders.checkpoints.description import Checkpoint
    from vdr_integrations.encoders.checkpoints.hub_or_folder import CheckpointFiles
    from vdr_integrations.encoders.checkpoints.model_config import ModelConfig
    from vdr_integrations.encoders.elsewhere.vllm_server import VllmCard

__all__ = ["VllmCheckpoint", "known_name", "read_vllm_checkpoint"]


@dataclass(frozen=True, slots=True, kw_only=True)
class VllmCheckpoint:
    """What is known here of the checkpoint that a server serves.

    Attributes:
        name: Its hub id; for one that the caller described, what the description says.
        described: Prompts and pooling, and the fewest visual tokens that its own processor leaves.
        config: Its configuration.
        tokenizer: Its tokenizer.
        facts: What decides vectors in its small files.
    """

    name: str
    described: Checkpoint
    config: ModelConfig
    tokenizer: Tokenizer
    facts: dict[str, Any]


def known_name(card: VllmCard) -> str | None:
    """The known checkpoint that a server names, or whose folder it has loaded; else None."""
    for name in (card.root, card.name):
        if name in KNOWN_CHECKPOINTS:
            return name
    last = card.root.replace("\\", "/").rstrip("/").rpartition("/")[2]
    return next((name for name in KNOWN_CHECKPOINTS if name.rpartition("/")[2] == last), None)


def read_vllm_checkpoint(
    card: VllmCard,
    *,
    url: str,
    described: Checkpoint | None,
    files: CheckpointFiles,
) -> VllmCheckpoint:
    """Find out what a server serves, and read its small files.

    Args:
        card: What the server says.
        url: Its address.
        described: The caller's description; its ``model`` is where the small files are.
        files: How they are fetched.

    Raises:
        UnknownCheckpointError: The checkpoint is neither known nor described.
        OptionError: It gives one vector a page.
        CheckpointError: Its small files are missing or of another architecture.
    """
    known = known_name(card)
    served = card.name if card.root == card.name else f"{card.name} ({card.root})"
    if described is None and known is None:
        late = [name for name, one in KNOWN_CHECKPOINTS.items() if one.is_multi_vector]
        raise UnknownCheckpointError(
            f"vLLM at {url} serves {served}, whose prompts are not known. Known checkpoints of one "
            f"vector a token: {', '.join(late)}. For another one pass checkpoint=Checkpoint("
            f"model=..., pooling='multi_vector', ...), whose model is a hub id or a folder with "
            f"config.json and tokenizer.json."
        )
    checkpoint = described or KNOWN_CHECKPOINTS[known or ""]
    if not checkpoint.is_multi_vector:
        raise OptionError(
            f"vLLM at {url} serves {served}, which gives one vector a page; of vLLM, only models "
            f"that give one vector a token are used. Run it with vdr serve, or here."
        )
    place = str(BUNDLED.get(checkpoint.model, checkpoint.model))
    small, config, tokenizer = _read(replace(files, model=place), url=url)
    side = config.sizes.vision.patch_size * config.sizes.vision.spatial_merge_size
    fewest = -(-fewest_pixels(small.tokenizer) // side**2)
    return VllmCheckpoint(
        name=known or Path(checkpoint.model).name,
        described=replace(checkpoint, min_visual_tokens=max(checkpoint.min_visual_tokens, fewest)),
        config=config,
        tokenizer=tokenizer,
        facts=small.facts,
    )


def _read(files: CheckpointFiles, *, url: str) -> tuple[SmallFiles, ModelConfig, Tokenizer]:
    try:
        small = read_small_files(files)
        with explained(files):
            config = read_model_config(small.base, may_project=True)
            return small, config, read_tokenizer(small.tokenizer)
    except CheckpointError as error:
        raise type(error)(
            f"{error} (vLLM at {url} has the weights; here only the small files are needed: "
            f"config.json, the tokenizer and preprocessor_config.json.)"
        ) from error
