"""PDFs, embeddings and observers that the LlamaIndex tests share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core import instrumentation
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.span_handlers import SimpleSpanHandler
from tests.pdfs import write_pdf
from tests.tiny_colqwen2 import write_base

from vdr_integrations import DenseEncoder, MultiVectorEncoder, PageStore
from vdr_integrations.llama_index import PDFPageReader, VDREmbedding

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import numpy as np
    from llama_index.core.instrumentation.events import BaseEvent
    from numpy.typing import NDArray

CHECKPOINTS = ["tiny", "nano"]
"""Every test of an embedding runs with each: a name that ``VDREmbedding`` knows, or "tiny"."""


@pytest.fixture(params=CHECKPOINTS)
def embedding(
    request: pytest.FixtureRequest, tiny_checkpoint: Path, page_store: PageStore
) -> VDREmbedding:
    """An embedding over a page store of this test's own."""
    model = str(tiny_checkpoint) if request.param == "tiny" else str(request.param)
    return VDREmbedding(model_name=model, device="cpu", dtype="float32", max_visual_tokens=64)


@pytest.fixture(scope="session")
def late_encoder(tmp_path_factory: pytest.TempPathFactory) -> MultiVectorEncoder:
    """A tiny random ColQwen2 encoder."""
    folder = tmp_path_factory.mktemp("late") / "colqwen2-base"
    write_base(folder)
    return MultiVectorEncoder.load(str(folder), device="cpu", max_visual_tokens=64)


@pytest.fixture
def reader(page_store: PageStore) -> PDFPageReader:
    """A reader into the same store."""
    return PDFPageReader(max_visual_tokens=64)


@pytest.fixture
def report(tmp_path: Path) -> Path:
    """A PDF of three pages."""
    return write_pdf(tmp_path / "report.pdf", ["Revenue grew", "Costs fell", "Outlook is calm"])


@dataclass
class Encoded:
    """How many texts and pages went through the encoder, call by call."""

    queries: list[int] = field(default_factory=list)
    pages: list[int] = field(default_factory=list)

    def forget(self) -> None:
        """Start counting again."""
        self.queries.clear()
        self.pages.clear()


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> Encoded:
    """Counts what the real encoder is asked for."""
    counts = Encoded()
    encode_queries, encode_pages = DenseEncoder.encode_queries, DenseEncoder.encode_pages
    aencode_queries, aencode_pages = DenseEncoder.aencode_queries, DenseEncoder.aencode_pages

    def queries(self: DenseEncoder, texts: Sequence[str], **kwargs: Any) -> NDArray[np.float32]:
        counts.queries.append(len(texts))
        return encode_queries(self, texts, **kwargs)

    def pages(self: DenseEncoder, pages: Sequence[Any], **kwargs: Any) -> NDArray[np.float32]:
        counts.pages.append(len(pages))
        return encode_pages(self, pages, **kwargs)

    async def aqueries(
        self: DenseEncoder, texts: Sequence[str], **kwargs: Any
    ) -> NDArray[np.float32]:
        counts.queries.append(len(texts))
        return await aencode_queries(self, texts, **kwargs)

    async def apages(
        self: DenseEncoder, pages: Sequence[Any], **kwargs: Any
    ) -> NDArray[np.float32]:
        counts.pages.append(len(pages))
        return await aencode_pages(self, pages, **kwargs)

    monkeypatch.setattr(DenseEncoder, "encode_queries", queries)
    monkeypatch.setattr(DenseEncoder, "encode_pages", pages)
    monkeypatch.setattr(DenseEncoder, "aencode_queries", aqueries)
    monkeypatch.setattr(DenseEncoder, "aencode_pages", apages)
    return counts


class RecordedEvents(BaseEventHandler):
    """Keeps what the instrumentation sends."""

    events: list[Any] = []  # noqa: RUF012  # a pydantic field

    def handle(self, event: BaseEvent, **kwargs: Any) -> None:
        """Keep it."""
        self.events.append(event)


class RecordedSpans(SimpleSpanHandler):
    """Keeps the arguments that spans were opened with."""

    arguments: list[Any] = []  # noqa: RUF012  # a pydantic field

    def new_span(self, id_: str, bound_args: Any, *args: Any, **kwargs: Any) -> Any:
        """Keep them."""
        self.arguments.extend(bound_args.arguments.values())
        return super().new_span(id_, bound_args, *args, **kwargs)


@dataclass
class Observed:
    """What an observer of LlamaIndex saw."""

    events: list[BaseEvent]
    span_arguments: list[Any]


@pytest.fixture
def observed() -> Iterator[Observed]:
    """Listens to the instrumentation during a test."""
    root = instrumentation.get_dispatcher()  # pyright: ignore[reportPrivateImportUsage]  # documented
    events, spans = RecordedEvents(), RecordedSpans()
    root.add_event_handler(events)
    root.add_span_handler(spans)
    yield Observed(events.events, spans.arguments)
    root.event_handlers.remove(events)
    root.span_handlers.remove(spans)
