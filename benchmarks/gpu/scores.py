"""MaxSim over pages that are on the device already, beside ways that are not as lean."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

import numpy as np
import torch

from benchmarks.gpu.inside import packed_scores
from benchmarks.synthetic_pages import SyntheticPages
from vdr_integrations.index import maxsim_scores

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.gpu.bench import Bench
    from benchmarks.gpu.clock import Clock
    from benchmarks.gpu.report import Table

__all__ = ["run"]

_DIFFERENT = 64
"""Pages that are made; the rest are the same again, which no way of scoring notices."""
_AT_ONCE = 256
"""Pages scored together, as ``maxsim_scores`` does on a GPU."""
_PADDED = 128
"""Pages of a batch of colpali-engine's ``score_multi_vector``."""


@torch.inference_mode()
def run(bench: Bench, table: Table, clock: Clock) -> None:
    """Microseconds a page, and the share of what a copy reads and writes in that time."""
    device, dtype, count = bench.device, bench.models.dtype, bench.sizes.resident
    made = SyntheticPages()
    once = [page[: len(page) - n % 60] for n, page in enumerate(made.pages(min(_DIFFERENT, count)))]
    asked = made.query()
    query = torch.from_numpy(asked).to(device, dtype)
    sent = [once[n % len(once)] for n in range(count)]
    parts = [_packed(sent[n : n + _AT_ONCE], device, dtype) for n in range(0, count, _AT_ONCE)]
    tokens = sum(len(page) for page in sent)
    precision = "bfloat16" if dtype == torch.bfloat16 else "float32"
    few = sent[:_AT_ONCE]

    def resident() -> torch.Tensor:
        return torch.cat([packed_scores(query, *part) for part in parts]).cpu()

    def padded() -> torch.Tensor:
        return torch.cat([_einsum(query, *part) for part in parts]).cpu()

    def sending() -> object:
        return maxsim_scores(asked, few, precision=precision, device=str(device))

    exact = [float((page.astype(np.float64) @ asked.T).max(0).sum()) for page in once]
    ways: dict[str, tuple[Callable[[], object], int]] = {
        "ours, pages on the device": (resident, count),
        "ours, pages sent over": (sending, len(few)),
        "engine's einsum, padded, on the device": (padded, count),
    }
    left = len(ways)
    for way, (work, pages) in ways.items():
        found = np.asarray(work(), np.float64)[: len(exact)]
        seconds = statistics.median(clock.part(left).seconds(work, at_most=bench.sizes.rounds))
        left -= 1
        read = tokens / count * query.shape[1] * dtype.itemsize * pages
        limit = bench.limits.bytes
        table.row(
            way=way,
            pages=pages,
            tokens_a_page=tokens / count,
            us_a_page=1e6 * seconds / pages,
            GB_per_s=read / seconds / 1e9,
            share_of_copy=None if limit is None else read / seconds / limit,
            largest_relative_error=float(np.abs(found / np.array(exact[: len(found)]) - 1).max()),
        )
    table.note(f"A query of {len(asked)} tokens; GB/s counts the pages' bytes once.")


def _packed(
    pages: list[np.ndarray], device: torch.device, dtype: torch.dtype
) -> tuple[torch.Tensor, torch.Tensor]:
    lengths = torch.tensor([len(page) for page in pages], device=device)
    return torch.from_numpy(np.concatenate(pages)).to(device, dtype), lengths


def _einsum(query: torch.Tensor, packed: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Padding is made anew each time, as there."""
    scores = []
    pages = packed.split(lengths.tolist())
    for start in range(0, len(pages), _PADDED):
        batch = torch.nn.utils.rnn.pad_sequence(pages[start : start + _PADDED], batch_first=True)
        similar = torch.einsum("bnd,csd->bcns", query[None], batch)
        scores.append(similar.amax(3).float().sum(2)[0])
    return torch.cat(scores)
