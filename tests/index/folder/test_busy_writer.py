"""A writer that is faster than a reader, every time."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from tests.index.late_interaction.pages import MANIFEST, document, page_records, unit_rows

from vdr_integrations.index import LateInteractionIndex
from vdr_integrations.index.folder import reader
from vdr_integrations.index.folder.file_format import DATABASE_NAME

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
        load, outrun, waited = reader.load_snapshot, 0, 0

        def outrunning(*args: Any, **given: Any) -> Any:
            nonlocal outrun, waited
            found = load(*args, **given)
            if a_commit_must_wait(tmp_path / "ix"):
                waited += 1
            else:
                with monkeypatch.context() as patch:
                    patch.setattr(reader, "load_snapshot", load)
                    put(other)
                outrun += 1
            return found

        monkeypatch.setattr(reader, "load_snapshot", outrunning)
        hits = index.search(unit_rows(4), k=3, **options)
        assert len(hits) == 3
        assert outrun >= 2
        assert waited >= 1
        assert index.count_pages({"metadata": {"team": "x"}}) == 3
        assert len(index.pages()) == 3


def a_commit_must_wait(folder: Path) -> bool:
    """Whether somebody reads, so that nobody can commit."""
    path = folder / DATABASE_NAME
    with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as connection:
        try:
            connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                raise
            return True
        connection.execute("ROLLBACK")
        return False
