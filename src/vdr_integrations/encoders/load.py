"""Load an encoder by a name and options."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Unpack, overload

from vdr_integrations.defaults import DEFAULT_VISUAL_TOKENS
from vdr_integrations.encoders.checkpoints.known_checkpoints import checkpoint_for
from vdr_integrations.encoders.dense_encoder import DenseEncoder
from vdr_integrations.encoders.elsewhere.server_address import is_server_address
from vdr_integrations.encoders.multi_vector_encoder import MultiVectorEncoder

if TYPE_CHECKING:
    import torch

    from vdr_integrations.encoders.checkpoints.description import Checkpoint
    from vdr_integrations.encoders.load_options import KnownModelOptions, LoadOptions
    from vdr_integrations.encoders.runtime.device_list import DeviceChoice

__all__ = ["DenseModel", "MultiVectorModel", "load_encoder"]

DenseModel = Literal[
    "llamaindex/vdr-2b-multi-v1",
    "llamaindex/vdr-2b-v1",
    "marco/mcdse-2b-v1",
    "MrLight/dse-qwen2-2b-mrl-v1",
    "Alibaba-NLP/gme-Qwen2-VL-2B-Instruct",
    "Alibaba-NLP/gme-Qwen2-VL-7B-Instruct",
    "nomic-ai/nomic-embed-multimodal-3b",
    "nomic-ai/nomic-embed-multimodal-7b",
    "Qwen/Qwen3-VL-Embedding-2B",
    "Qwen/Qwen3-VL-Embedding-8B",
    "nano",
]
"""Names of checkpoints that give a :class:`DenseEncoder`; type checkers know them."""

MultiVectorModel = Literal[
    "nano-colqwen2",
    "vidore/colqwen2-v1.0",
    "vidore/colqwen2-v0.1",
    "vidore/colqwen2-base",
    "vidore/colqwen2-v1.0-hf",
    "vidore/colqwen2.5-v0.2",
    "vidore/colqwen2.5-v0.1",
    "vidore/colqwen2.5-base",
    "Sahil-Kabir/colqwen2.5-v0.2-hf",
    "nomic-ai/colnomic-embed-multimodal-3b",
    "nomic-ai/colnomic-embed-multimodal-7b",
    "TomoroAI/tomoro-colqwen3-embed-4b",
    "TomoroAI/tomoro-colqwen3-embed-8b",
    "OpenSearch-AI/Ops-Colqwen3-4B",
]
"""Names of checkpoints that give a :class:`MultiVectorEncoder`; type checkers know them."""


@overload
def load_encoder(model: DenseModel, **options: Unpack[KnownModelOptions]) -> DenseEncoder: ...


@overload
def load_encoder(
    model: MultiVectorModel, **options: Unpack[KnownModelOptions]
) -> MultiVectorEncoder: ...


@overload
def load_encoder(
    model: str, **options: Unpack[LoadOptions]
) -> DenseEncoder | MultiVectorEncoder: ...


def load_encoder(
    model: str,
    *,
    revision: str | None = None,
    device: DeviceChoice = None,
    dtype: str | torch.dtype = "auto",
    attn_implementation: str | None = None,
    dimension: int | None = None,
    truncate_dim: int | None = None,
    max_visual_tokens: int = DEFAULT_VISUAL_TOKENS,
    batch_visual_tokens: int | None = None,
    checkpoint: Checkpoint | None = None,
    token: str | None = None,
    cache_dir: str | None = None,
    local_files_only: bool = False,
) -> DenseEncoder | MultiVectorEncoder:
    """Load a retriever; encoders of the same files share the weights in memory.

    Weights are loaded once for each device, dtype and attention. The name, revision, folder or
    token that led to the files makes no difference.

    A checkpoint that pools one vector a page gives a :class:`DenseEncoder`, a ColQwen2 checkpoint
    a :class:`MultiVectorEncoder`. If you know which one you need, call :meth:`DenseEncoder.load`
    or :meth:`MultiVectorEncoder.load`: type checkers then know the result for any folder.

    No remote code is run and no pickle is read. HF_HOME, HF_TOKEN, HF_HUB_OFFLINE and the other
    environment variables of huggingface_hub work as in transformers.

    Example:
        >>> load_encoder("nano", device="cpu", dtype="float32")
        DenseEncoder('nano', dimension=512, device=cpu, dtype=torch.float32)

    Args:
        model: ``"llamaindex/vdr-2b-multi-v1"``, ``"vidore/colqwen2-v1.0"``, another known hub id,
            ``"nano"`` (bundled, 24 MB, for trying things out), a local folder, or the address of
            a server that runs the model, such as ``"http://localhost:8080"``: ``vdr serve``, or
            vLLM with a checkpoint that gives one vector a token.
        revision: Branch, tag or commit on the hub.
        device: ``"cuda"`` (the current GPU, see ``torch.cuda.set_device``), ``"cuda:1"``,
            ``"mps"``, ``"cpu"``; None selects the best available one. Several of one kind,
            ``"cuda:0,cuda:1"`` or ``["cuda:0", "cuda:1"]``, share the work, a process a device:
            see docs/encoder.md. ``"cpu,cpu"`` means two processes with half of the cores each.
        dtype: ``"bfloat16"``, ``"float16"``, ``"float32"``; ``"auto"`` is bfloat16 on Ampere and
            later GPUs and on Metal from macOS 14 on, float32 on older ones (float16 overflows in
            Qwen2-VL). On a CPU it is bfloat16 if the weights are published in bfloat16 and the
            CPU multiplies it faster (AMX, AMD's AVX512-BF16), else float32. ``"int8"`` and
            ``"float8"`` (not on Metal) keep weights in 8 bits and compute as with "auto": half
            the memory of bfloat16, vectors that differ a little (docs/performance.md).
        attn_implementation: None or ``"sdpa"`` for this package's own forward pass with torch's
            kernels; ``"flash_attention_2"`` or ``"eager"`` for transformers' modules.
        dimension: How many leading components of a vector are kept (Matryoshka), before it is
            normalised. None keeps all (1,536 for the 2B models).
        truncate_dim: sentence-transformers' name for ``dimension``; give one of the two.
        max_visual_tokens: Most visual tokens of a page: squares of 28 x 28 pixels, of 32 x 32 for
            Qwen3-VL. The vdr-2b-multi-v1 card recommends 768: more is slower and shows finer
            print.
        batch_visual_tokens: Visual tokens in one pass of the model; pages of two or three such
            batches are in memory. None means 24,576 on CUDA (32 pages) and 3,072 on Metal; on a
            CPU it means one page at a time, which is as fast there.
        checkpoint: Prompts and pooling of a checkpoint that is not known by its name. For vLLM, its
            ``model`` is where the tokenizer and the configuration are: a hub id or a folder.
        token: Hugging Face token, for private repositories; for a server, its key (None:
            ``$VDR_SERVER_KEY``). For the tokenizer of what vLLM serves, ``HF_TOKEN`` counts.
        cache_dir: Folder of downloaded checkpoints, instead of HF_HOME.
        local_files_only: Never connect to the hub.

    Raises:
        OptionError: An option is not allowed.
        UnknownCheckpointError: The checkpoint is neither known nor described.
        CheckpointError: Files are missing or of another architecture.
        CheckpointWeightsError: Weights are missing, unexpected or of another shape.
        ForkedProcessError: A GPU was in use before this process was forked.
        EncodingError: The process of one of several devices ended while it loaded the model.
        ResourceError: This machine cannot start a process for each device.
        ModelServerError: The server cannot be reached, or is not what it says that it is.
    """
    given: LoadOptions = {
        "revision": revision,
        "device": device,
        "dtype": dtype,
        "attn_implementation": attn_implementation,
        "dimension": dimension,
        "truncate_dim": truncate_dim,
        "max_visual_tokens": max_visual_tokens,
        "batch_visual_tokens": batch_visual_tokens,
        "checkpoint": checkpoint,
        "token": token,
        "cache_dir": cache_dir,
        "local_files_only": local_files_only,
    }
    if is_server_address(model):
        from vdr_integrations.encoders.elsewhere.server_origin import server_origin

        origin = server_origin(model, given)
        opened = origin.opened()
        kind = MultiVectorEncoder if opened.checkpoint.is_multi_vector else DenseEncoder
        return kind.of_server(origin, opened, given)
    known = checkpoint_for(model, described=checkpoint)
    return (MultiVectorEncoder if known.is_multi_vector else DenseEncoder).load(model, **given)
