"""From what a vLLM server says to a model that can be used."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from vdr_integrations.encoders.checkpoints.digests import digest_of
from vdr_integrations.encoders.checkpoints.prompts import IMAGE_PLACEHOLDER
from vdr_integrations.encoders.elsewhere.io_loop import in_io_loop
from vdr_integrations.encoders.elsewhere.page_prompt_there import PagePromptThere, page_text_of
from vdr_integrations.encoders.elsewhere.vllm_checkpoint import read_vllm_checkpoint
from vdr_integrations.encoders.elsewhere.vllm_model import VllmModel
from vdr_integrations.encoders.elsewhere.vllm_name import name_on_vllm
from vdr_integrations.encoders.elsewhere.vllm_probe import probe, sample_page
from vdr_integrations.encoders.elsewhere.vllm_server import VllmServer
from vdr_integrations.encoders.preprocessing.prompt_tokens import TokenizedPrompts
from vdr_integrations.encoders.runtime.running_model import ModelFacts, OpenedModel

if TYPE_CHECKING:
    from vdr_integrations.encoders.checkpoints.description import Checkpoint
    from vdr_integrations.encoders.checkpoints.hub_or_folder import CheckpointFiles
    from vdr_integrations.encoders.elsewhere.http_calls import HttpCalls
    from vdr_integrations.encoders.elsewhere.vllm_checkpoint import VllmCheckpoint
    from vdr_integrations.encoders.elsewhere.vllm_server import VllmCard

__all__ = ["opened_on_vllm"]

_PAGES_BUDGET = 32 * 768
"""Visual tokens of a window of pages."""
_QUERIES_BUDGET = 4096


def opened_on_vllm(
    calls: HttpCalls, card: VllmCard, *, described: Checkpoint | None, files: CheckpointFiles
) -> OpenedModel:
    """The model of a vLLM server, probed.

    Its fingerprint is never that of a model that is loaded here: nobody can see from outside which
    weights and which arithmetic the server uses.

    Args:
        calls: The calls to the server.
        card: What it says of its model.
        described: The caller's description of the checkpoint.
        files: How the small files of the checkpoint are fetched.

    Raises:
        ModelServerError: It is not what it says; see ``probe``.
        UnknownCheckpointError: See ``read_vllm_checkpoint``, also for the others.
        OptionError: It gives one vector a page.
        CheckpointError: Its small files are missing or of another architecture.
    """
    found = read_vllm_checkpoint(card, url=calls.address.url, described=described, files=files)
    prompts = TokenizedPrompts(found.described, found.tokenizer)
    vision = found.config.sizes.vision
    side = vision.patch_size * vision.spatial_merge_size
    sample = sample_page(visual_tokens=found.described.min_visual_tokens, side=side)
    server = VllmServer(calls, card, page_text=page_text_of(found.described))
    probed = in_io_loop(probe(server, found, prompts, sample)).result()
    prompt = probed.page_prompt
    facts = ModelFacts(
        contents_digest=_digest(found, prompt),
        dimension=found.described.token_dimension,
        patch_size=vision.patch_size,
        merge_size=vision.spatial_merge_size,
        max_tokens=card.max_tokens - prompt.unused,
        page_tokens_before=len(prompt.before),
        page_tokens_after=len(prompt.after),
        pages_budget=_PAGES_BUDGET,
        queries_budget=_QUERIES_BUDGET,
        device="meta",  # nothing of it is here, and the server does not say
        dtype="bfloat16" if found.config.is_bfloat16 else "float32",
    )
    model = VllmModel(
        server,
        facts,
        prompts,
        prompt,
        sample=sample,
        width=probed.width,
        is_here=calls.address.is_here,
    )
    checkpoint = replace(
        found.described,
        model=name_on_vllm(found.name),
        page_prompt=_page_prompt(found, prompt),
    )
    return OpenedModel(model, checkpoint, None)


def _digest(found: VllmCheckpoint, prompt: PagePromptThere) -> str:
    return digest_of(
        {
            "runs_on": "vllm",
            "checkpoint": found.name,
            "files": found.facts,
            "page": [prompt.before, prompt.after],
        }
    )


def _page_prompt(found: VllmCheckpoint, prompt: PagePromptThere) -> str:
    """The prompt around pages as text."""
    if prompt.is_own:
        return found.described.page_prompt
    parts = (
        found.tokenizer.decode(list(ids), skip_special_tokens=False)
        for ids in (prompt.before, prompt.after)
    )
    return IMAGE_PLACEHOLDER.join(parts)
