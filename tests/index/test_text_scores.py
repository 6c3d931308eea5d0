"""The scores of all pages with text, from which rankings are combined."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from qdrant_client import QdrantClient
from tests.index.late_interaction.pages import DENSE_MANIFEST, unit_rows
from tests.index.plain_bm25 import plain_bm25

from vdr_integrations.index import QdrantServer
from vdr_integrations.index.compression import Compression
from vdr_integrations.index.index_settings import Settings
from vdr_integrations.index.page_filter import parse_filter
from vdr_integrations.index.page_index import created_engine
from vdr_integrations.index.records import NO_FILE, DocumentRecord, PageRecord
from vdr_integrations.index.staged_document import StagedDocument
from vdr_integrations.index.stored_page import page_id

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from vdr_integrations.index.engine import Engine

TEXTS = {("a.pdf", 1): "ant bee", ("a.pdf", 2): "", ("b.pdf", 1): "bee bee cat", ("b.pdf", 2): "x"}
SETTINGS = Settings(None, DENSE_MANIFEST, Compression(), {})


@pytest.fixture(params=["folder", "server"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    client = QdrantClient(":memory:")
    on_server = request.param == "server"
    place = QdrantServer("pages", client=client) if on_server else tmp_path / "index"
    made = created_engine(place, SETTINGS, wait_s=1.0)
    for source in ("a.pdf", "b.pdf"):
        staged = StagedDocument(made.begin(source), SETTINGS, source)
        for number in (1, 2):
            vector = unit_rows(1, dimension=DENSE_MANIFEST.dimension)[0]
            ref = f"vdr-page:{number:064d}"
            staged.add(PageRecord(number, str(number), ref, text=TEXTS[source, number]), vector)
        staged.commit(DocumentRecord(source, NO_FILE, 2))
    yield made
    made.close()
    client.close()


@pytest.mark.parametrize("question", ["bee", "ant cat cat", "dog", ""])
def test_every_page_with_text_has_its_score_and_no_other_page(
    engine: Engine, question: str
) -> None:
    found = engine.text_scores(question, parse_filter(None))
    wanted = {page_id(*one): score for one, score in plain_bm25(TEXTS, question).items()}
    assert dict(zip(found.page_ids, found.scores.tolist(), strict=True)) == pytest.approx(wanted)


def test_a_filter_leaves_pages_out_and_changes_no_score(engine: Engine) -> None:
    everywhere = engine.text_scores("bee", parse_filter(None))
    scores = dict(zip(everywhere.page_ids, everywhere.scores.tolist(), strict=True))
    found = engine.text_scores("bee", parse_filter({"source": "b.pdf"}))
    assert found.page_ids == [page_id("b.pdf", 1), page_id("b.pdf", 2)]
    assert found.scores.tolist() == [scores[one] for one in found.page_ids]
