"""What a page and a query cost in the full 2B model, counted without running it.

    python -m benchmarks.work

See ``work_counter``: the result does not depend on the machine.
"""

from __future__ import annotations

from benchmarks.timing import machine
from benchmarks.work_counter import counted, full_size_backbone, page_of, query_of

_QUERY_TOKENS = 12


def main() -> None:
    """Print a line for each batch size, and for queries."""
    print(machine())
    with full_size_backbone() as (backbone, weights):
        for batch in (1, 4, 8, 16, 32):
            pages = [page_of(32, 24)] * batch
            work = counted(lambda pages=pages: backbone.page_states(pages))
            print(
                f"{batch:2} pages of 768 visual tokens: {work.flops / batch / 1e12:.2f} TFLOP a "
                f"page, {(weights + work.peak_bytes) / 1e9:.2f} GB alive with the weights, "
                f"{work.kernels} kernels, {work.waits} waits",
                flush=True,
            )
        query = query_of(_QUERY_TOKENS)
        for which in ("first query", "any other"):
            work = counted(lambda: backbone.query_states([query]))
            print(f"{which}, {_QUERY_TOKENS} tokens of its own: {work.flops / 1e9:.0f} GFLOP")
    with full_size_backbone(is_elsewhere=True) as (backbone, _):
        pages = [page_of(32, 24)] * 32
        sent = counted(lambda: backbone.page_states(pages)).copies
        backbone.query_states([query])
        asked = counted(lambda: backbone.query_states([query])).copies
        print(f"copies to the device: {sent} for 32 pages, {asked} for a query")


if __name__ == "__main__":
    main()
