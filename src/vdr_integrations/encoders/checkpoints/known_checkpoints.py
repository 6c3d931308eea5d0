"""The checkpoints that this package knows by name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from vdr_integrations.encoders.checkpoints import prompts
from vdr_integrations.encoders.checkpoints.bank_questions import BANK_QUESTIONS
from vdr_integrations.encoders.checkpoints.description import Checkpoint
from vdr_integrations.encoders.elsewhere.vllm_name import is_on_vllm
from vdr_integrations.errors import UnknownCheckpointError

__all__ = ["BUNDLED", "KNOWN_CHECKPOINTS", "checkpoint_for"]

_FOLDER = Path(__file__).resolve().parent / "bundled"

BUNDLED = {name: _FOLDER / name for name in ("nano", "nano-colqwen2")}
"""Folders of the checkpoints in the package, by name; ``training/`` says how they were made."""


def _colqwen2(model: str, source: str = "colpali-engine 0.3.4, ColQwen2Processor") -> Checkpoint:
    return Checkpoint(
        model=model,
        page_prompt=prompts.COLQWEN2_PAGE_PROMPT,
        query_prompt=prompts.COLQWEN2_QUERY_PROMPT,
        pooling="multi_vector",
        min_visual_tokens=4,
        source=source,
    )


def _nomic(model: str) -> Checkpoint:
    return Checkpoint(
        model=model,
        page_prompt=prompts.COLQWEN2_PAGE_PROMPT,
        query_prompt=prompts.NOMIC_QUERY_PROMPT,
        min_visual_tokens=4,
        source="nomic-ai/colpali 581f26e, BiQwen2_5_Processor",
    )


def _gme(model: str) -> Checkpoint:
    return Checkpoint(
        model=model,
        page_prompt=prompts.GME_PAGE_PROMPT,
        query_prompt=prompts.GME_QUERY_PROMPT,
        min_visual_tokens=4,
        source="gme_inference.py and card of Alibaba-NLP/gme-Qwen2-VL-2B-Instruct",
    )


def _qwen3_embedding(model: str) -> Checkpoint:
    return Checkpoint(
        model=model,
        page_prompt=prompts.QWEN3_EMBEDDING_PAGE_PROMPT,
        query_prompt=prompts.QWEN3_EMBEDDING_QUERY_PROMPT,
        min_visual_tokens=4,
        source="QwenLM/Qwen3-VL-Embedding, qwen3_vl_embedding.py and README",
    )


def _tomoro(model: str) -> Checkpoint:
    return replace(
        _colqwen2(model, "ColQwen3Processor of TomoroAI/tomoro-colqwen3-embed-4b"),
        query_prompt=prompts.TOMORO_QUERY_PROMPT,
        token_dimension=320,
    )


_NANO_CARD = "training/README.md of vdr_integrations"
_VDR_CARD = "model card of llamaindex/vdr-2b-multi-v1"
_COLQWEN2_5 = "colpali-engine 0.3.12, ColQwen2_5_Processor"

KNOWN_CHECKPOINTS: dict[str, Checkpoint] = {
    known.model: known
    for known in (
        Checkpoint(model="llamaindex/vdr-2b-multi-v1", source=_VDR_CARD),
        Checkpoint(model="llamaindex/vdr-2b-v1", source=_VDR_CARD),
        Checkpoint(model="marco/mcdse-2b-v1", source="model card of marco/mcdse-2b-v1"),
        Checkpoint(
            model="MrLight/dse-qwen2-2b-mrl-v1",
            page_prompt=prompts.DSE_PAGE_PROMPT,
            query_prompt=prompts.DSE_QUERY_PROMPT,
            source="model card of MrLight/dse-qwen2-2b-mrl-v1",
        ),
        _gme("Alibaba-NLP/gme-Qwen2-VL-2B-Instruct"),
        _gme("Alibaba-NLP/gme-Qwen2-VL-7B-Instruct"),
        _nomic("nomic-ai/nomic-embed-multimodal-3b"),
        _nomic("nomic-ai/nomic-embed-multimodal-7b"),
        _qwen3_embedding("Qwen/Qwen3-VL-Embedding-2B"),
        _qwen3_embedding("Qwen/Qwen3-VL-Embedding-8B"),
        Checkpoint(model="nano", source=_NANO_CARD),
        _colqwen2("vidore/colqwen2-v1.0"),
        _colqwen2("vidore/colqwen2-v0.1"),
        _colqwen2("vidore/colqwen2-base"),
        replace(
            _colqwen2("vidore/colqwen2-v1.0-hf", "transformers 5.23, ColQwen2Processor"),
            query_prompt=prompts.COLQWEN2_HF_QUERY_PROMPT,
        ),
        _colqwen2("vidore/colqwen2.5-v0.2", _COLQWEN2_5),
        _colqwen2("vidore/colqwen2.5-v0.1", _COLQWEN2_5),
        _colqwen2("vidore/colqwen2.5-base", _COLQWEN2_5),
        replace(
            _colqwen2("Sahil-Kabir/colqwen2.5-v0.2-hf", "transformers 5.24, ColQwen2Processor"),
            query_prompt=prompts.COLQWEN2_HF_QUERY_PROMPT,
        ),
        _colqwen2("nomic-ai/colnomic-embed-multimodal-3b", _COLQWEN2_5),
        _colqwen2("nomic-ai/colnomic-embed-multimodal-7b", _COLQWEN2_5),
        _tomoro("TomoroAI/tomoro-colqwen3-embed-4b"),
        _tomoro("TomoroAI/tomoro-colqwen3-embed-8b"),
        replace(
            _colqwen2("OpenSearch-AI/Ops-Colqwen3-4B", "mteb, wrapper of Ops-Colqwen3-4B"),
            page_prompt=prompts.OPS_PAGE_PROMPT,
            token_dimension=320,
            keeps_leading=True,
        ),
        Checkpoint(
            model="nano-colqwen2",
            page_prompt=prompts.NANO_LATE_PAGE_PROMPT,
            query_prompt=prompts.NANO_LATE_QUERY_PROMPT,
            pooling="multi_vector",
            source=_NANO_CARD,
            bank_questions=BANK_QUESTIONS,
        ),
    )
}
"""Descriptions by the name that ``load_encoder`` accepts."""


def checkpoint_for(model: str, *, described: Checkpoint | None = None) -> Checkpoint:
    """The description of ``model``.

    A local folder with the name of a known checkpoint (``.../vdr-2b-multi-v1``) counts as known.

    Args:
        model: A known name, a hub id, or a local folder.
        described: The caller's description; used unchanged, for this model.

    Raises:
        UnknownCheckpointError: The checkpoint is neither known nor described, or it is the name of
            a model on a vLLM server whose address is not known.
    """
    if is_on_vllm(model):
        raise UnknownCheckpointError(
            f"{model} runs on a vLLM server, and its address is not named. Name the address of any "
            f"vLLM server that serves this checkpoint as the model: --model http://HOST:8000, "
            f"load_encoder('http://HOST:8000')."
        )
    if described is not None:
        return replace(described, model=model)
    if model in KNOWN_CHECKPOINTS:
        return KNOWN_CHECKPOINTS[model]
    path = Path(model)
    if path.is_dir():
        folder_name = path.resolve().name
        for name, known in KNOWN_CHECKPOINTS.items():
            if folder_name == name.rpartition("/")[2]:
                return replace(known, model=model)
    raise UnknownCheckpointError(
        f"the prompts of {model!r} are not known. Known checkpoints: "
        f"{', '.join(KNOWN_CHECKPOINTS)}. For another checkpoint of their families pass "
        f"checkpoint=Checkpoint(model=..., page_prompt=..., query_prompt=...) "
        f"(vdr_integrations.encoders)."
    )
