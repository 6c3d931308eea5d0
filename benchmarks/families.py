"""The families of models beside transformers' own modules: work, memory, parity.

    python -m benchmarks.families            # the table of docs/models.md
    python -m benchmarks.families --parity Qwen3-VL-2B [--layers 4] [--pages 2]

Work and memory of this package are counted on fake tensors (``work_counter``). transformers' own
modules read numbers back from tensors, so they run: with one layer of each kind, and with one more;
every other layer does the same work. Parity is that of random weights of the real widths in
float32: the least cosine of vectors of pages and of questions. The table has that of four layers of
each tower, ``--parity`` that of all.
"""

from __future__ import annotations

import argparse
import gc
import math
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import torch
from transformers.utils.logging import disable_progress_bar

from benchmarks.full_size import write_family_checkpoint
from benchmarks.full_size_families import full_size_config, model_config
from benchmarks.sample_pages import sample_pages, sample_questions
from benchmarks.stock_path import StockPath, Surroundings
from benchmarks.timing import machine
from benchmarks.tokenizer import find_qwen2_tokenizer
from benchmarks.work_counter import counted, full_size_backbone, page_of
from vdr_integrations import DenseEncoder
from vdr_integrations.encoders import Checkpoint
from vdr_integrations.encoders.checkpoints.published_models import PUBLISHED_MODELS

SHOWN = ("Qwen2-VL-2B", "Qwen2.5-VL-3B", "Qwen2.5-VL-7B", "Qwen3-VL-2B", "Qwen3-VL-8B")
_GRID = (32, 24)
"""Visual tokens of a page: 768."""
_BATCH = 8
_PROMPT_TOKENS = 26
_PAGE = (
    "<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>Describe the image.<|im_end|>"
    "<|endoftext|>"
)
_QUERY = "<|im_start|>user\nQuery: %s<|im_end|><|endoftext|>"


class Work(NamedTuple):
    """What a page costs.

    Attributes:
        tflop: Of a page of 768 visual tokens.
        gb: Alive at a batch of eight such pages, with the weights in bfloat16.
    """

    tflop: float
    gb: float


def our_work(name: str) -> Work:
    """Of this package's forward pass."""
    side = model_config(name).sizes.vision.patch_size
    with full_size_backbone(name) as (backbone, weights):
        pages = [page_of(*_GRID, patch_size=side)] * _BATCH
        one = counted(lambda: backbone.page_states(pages[:1]))
        eight = counted(lambda: backbone.page_states(pages))
    return Work(one.flops / 1e12, (weights + eight.peak_bytes) / 1e9)


def stock_work(name: str) -> Work:
    """Of transformers' modules without the language-model head.

    A model with one layer of each kind is counted, then with one more of each kind in turn.
    """
    whole = full_size_config(name)
    depth, layers = whole["vision_config"]["depth"], whole["text_config"]["num_hidden_layers"]
    special = {"fullatt_block_indexes", "deepstack_visual_indexes"} & {*whole["vision_config"]}
    key = next(iter(special), None)
    count = len(whole["vision_config"][key]) if key else 0

    def flops(blocks: int, others: int, decoder_layers: int) -> int:
        return _run(whole, key, blocks, others, decoder_layers, pages=1).flops

    first = flops(1, min(count, 1), 1)
    total = first + (layers - 1) * (flops(1, min(count, 1), 2) - first)
    total += (depth - 1) * (flops(2, min(count, 1), 1) - first)
    if count:
        total += (count - 1) * (flops(2, 2, 1) - flops(2, 1, 1))
    # What is alive at once does not grow with the number of layers, but for deepstack's features.
    blocks = max(count, 2) if key == "deepstack_visual_indexes" else 2
    eight = _run(whole, key, blocks, min(count, blocks), max(count, 1), pages=_BATCH)
    with full_size_backbone(name) as (_, weights):
        return Work(total / 1e12, (weights + eight.peak_bytes) / 1e9)


def _run(
    whole: dict[str, Any], key: str | None, blocks: int, others: int, layers: int, *, pages: int
) -> Any:  # noqa: ANN401  # a WorkCounter
    """Count transformers' modules with so many layers, over pages of 768 visual tokens."""
    model = _stock_model(whole, key, blocks, others, layers)
    vision = model.config.vision_config
    patches = math.prod(_GRID) * vision.spatial_merge_size**2
    row = vision.temporal_patch_size * 3 * vision.patch_size**2
    tokens = _PROMPT_TOKENS + math.prod(_GRID)
    ids = torch.zeros(pages, tokens, dtype=torch.long)
    ids[:, 15 : 15 + math.prod(_GRID)] = model.config.image_token_id
    grid = torch.tensor([[1, 2 * _GRID[0], 2 * _GRID[1]]] * pages)
    inputs = {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "pixel_values": torch.zeros(pages * patches, row, dtype=torch.bfloat16),
        "image_grid_thw": grid,
        "mm_token_type_ids": (ids == model.config.image_token_id).int(),
    }
    return counted(lambda: model(**inputs, use_cache=False).last_hidden_state)


def _stock_model(
    whole: dict[str, Any], key: str | None, blocks: int, others: int, layers: int
) -> Any:  # noqa: ANN401  # loosely typed
    from transformers import AutoConfig, AutoModel

    facts = {
        **whole,
        "text_config": {**whole["text_config"], "num_hidden_layers": layers},
        "vision_config": {**whole["vision_config"], "depth": blocks},
        "image_token_id": 7,
        "video_token_id": 8,
        "vision_start_token_id": 9,
        "vision_end_token_id": 10,
    }
    facts["text_config"]["vocab_size"] = 32  # a row is looked up: its number makes no difference
    if key:
        facts["vision_config"][key] = list(range(others))
    config = AutoConfig.for_model(facts.pop("model_type"), **facts)
    with torch.device("meta"):
        model: Any = AutoModel.from_config(config, dtype=torch.bfloat16)
    model = model.to_empty(device="cpu").eval()
    with torch.no_grad():
        for weight in (*model.parameters(), *model.buffers()):
            weight.zero_()
    return model


class Parity(NamedTuple):
    """Least cosines of this package's vectors and those of transformers' modules.

    Attributes:
        pages: Of pages.
        questions: Of questions.
        spread: Largest cosine of two different pages: what a mistake could be mistaken for.
    """

    pages: float
    questions: float
    spread: float


def parity(name: str, *, layers: int | None, pages: int) -> Parity:
    """Compare vectors of random weights in float32."""
    side = model_config(name).sizes.vision.patch_size * 2
    around = Surroundings(page_prompt=_PAGE, query_prompt=_QUERY, min_tokens=4, factor=side)
    described = Checkpoint(
        model=name,
        page_prompt=_PAGE,
        query_prompt=_QUERY.replace("%s", "{query}"),
        min_visual_tokens=4,
    )
    images, questions = sample_pages(pages), sample_questions(3)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / name
        write_family_checkpoint(
            folder, full_size_config(name), layers=layers, tokenizer=find_qwen2_tokenizer()
        )
        stock = StockPath(folder, around)
        theirs = [vector for image in images for vector in stock.pages([image])]
        asked = stock.queries(questions)
        del stock
        gc.collect()
        encoder = DenseEncoder.load(
            str(folder), checkpoint=described, device="cpu", dtype="float32"
        )
        found, answers = encoder.encode_pages(images), encoder.encode_queries(questions)
    spread = max(float(a @ b) for n, a in enumerate(theirs) for b in theirs[:n])
    cosines = [
        min(float(a.astype("float64") @ b) for a, b in zip(ours, others, strict=True))
        for ours, others in ((found, theirs), (answers, asked))
    ]
    return Parity(*cosines, spread)


def main() -> None:
    """Print the table, or the parity of one model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parity", help="name of a model")
    parser.add_argument("--layers", type=int, help="layers of each tower (default: all)")
    parser.add_argument("--pages", type=int, default=2)
    options = parser.parse_args()
    disable_progress_bar()
    print(machine())
    if options.parity:
        found = parity(options.parity, layers=options.layers, pages=options.pages)
        print(
            f"{options.parity}, {options.layers or 'all'} layers, float32: least cosine of "
            f"{options.pages} pages {found.pages:.7f}, of 3 questions {found.questions:.7f}; "
            f"between different pages at most {found.spread:.4f}"
        )
        return
    print(
        "| model | checkpoints | least cosine, pages | questions | TFLOP a page | transformers "
        "| GB at batch 8 | transformers |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for name in SHOWN:
        ours, stock = our_work(name), stock_work(name)
        found = parity(name, layers=options.layers or 4, pages=options.pages)
        print(
            f"| {name} | {_checkpoints(name)} | {found.pages:.7f} | {found.questions:.7f} "
            f"| {ours.tflop:.2f} | {stock.tflop:.2f} | {ours.gb:.2f} | {stock.gb:.2f} |",
            flush=True,
        )


def _checkpoints(base: str) -> int:
    """How many known checkpoints have this base."""
    return sum(one.base.name == base for one in PUBLISHED_MODELS.values())


if __name__ == "__main__":
    main()
