"""A writer that is faster than a reader, every time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.index.late_interaction.pages import MANIFEST, document, page_records, unit_rows

from vdr_integrations.index import LateInteractionIndex
from vdr_integrations.index.folder import reader

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    "options", [{}, {"filter": {"metadata": {"team": "x"}}}, {"exhaustive": True}]
)
def test_a_reader_that_finds_each_state_gone_keeps_writers_waiting_and_answers(
    tmp_path: Path, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [unit_rows(9, seed=seed) for seed in range(3)]

    def put(index: LateInteractionIndex) -> None:
        index.add_document(document("a.pdf"), page_records(1, 2, 3), rows, metadata={"team": "x"})

    with (
        LateInteractionIndex.create(tmp_path / "ix", manifest=MANIFEST) as index,
        LateInteractionIndex.open(tmp_path / "ix") as other,
    ):
        put(other)
        mine: Any = index._engine.reads
        load, outrun = reader.load_snapshot, 0

        def outrunning(*args: Any, **given: Any) -> Any:
            nonlocal outrun
            found = load(*args, **given)
            if getattr(mine._held, "connection", None) is None:
                with monkeypatch.context() as patch:
                    patch.setattr(reader, "load_snapshot", load)
                    put(other)
                outrun += 1
            return found

        monkeypatch.setattr(reader, "load_snapshot", outrunning)
        hits = index.search(unit_rows(4), k=3, **options)
        assert len(hits) == 3
        assert outrun >= 2
        assert index.count_pages({"metadata": {"team": "x"}}) == 3
        assert len(index.pages()) == 3
