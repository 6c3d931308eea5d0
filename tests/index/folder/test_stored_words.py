"""The words in the database are derived: whatever happens to them, answers are right."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from tests.index.folder.shelf import KINDS, add, hit_keys

from vdr_integrations.errors import IndexFormatError
from vdr_integrations.index import open_index
from vdr_integrations.index.folder import page_words
from vdr_integrations.index.verify import verify_index

if TYPE_CHECKING:
    from pathlib import Path

QUESTION = "text b.pdf 1 3"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with KINDS["dense"].create(tmp_path / "index") as index:
        for seed, source in enumerate(("a.pdf", "b.pdf")):
            add(index, source, 3, seed=seed)
    return tmp_path / "index"


def change(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path / "index.sqlite3")) as connection, connection:
        assert connection.execute(statement).rowcount > 0


def found(path: Path) -> list[tuple[Any, ...]]:
    with open_index(path) as index:
        return hit_keys(index.search_text(QUESTION, k=9))


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM words WHERE row = 2",
        "UPDATE words SET words = x'00' WHERE row = 2",
        "UPDATE words SET words = 'text' WHERE row = 2",
        "UPDATE words SET words = (SELECT words FROM words WHERE row = 5) WHERE row = 2",
        "DELETE FROM words",
    ],
)
def test_altered_words_are_counted_again_and_optimize_stores_them(
    path: Path, statement: str
) -> None:
    before = found(path)
    assert len(before) == 6
    change(path, statement)
    assert found(path) == before
    with open_index(path) as index:
        problems = verify_index(index).problems
        assert "the words of a.pdf page 2 were altered" in " ".join(problems)
        index.optimize()
        assert verify_index(index).problems == ()
    assert found(path) == before


def test_words_of_an_older_rule_are_counted_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = found(path)
    monkeypatch.setattr(page_words, "RULE", b"another")
    assert found(path) == before
    with open_index(path) as index:
        assert len(verify_index(index).problems) == 6
        index.optimize()
        assert verify_index(index).problems == ()


def test_a_page_whose_words_and_text_were_altered_is_named_by_every_text_search(
    path: Path,
) -> None:
    change(path, "DELETE FROM words WHERE row = 2")
    change(path, "UPDATE pages SET content = '{}' WHERE row = 2")
    with open_index(path) as index:
        with pytest.raises(IndexFormatError, match=r"a\.pdf page 2"):
            index.search_text("3", filter={"source": "b.pdf"})
        index.optimize()
        index.remove_document("a.pdf")
        assert len(index.search_text(QUESTION, k=9)) == 3


def test_words_of_removed_pages_are_removed(path: Path) -> None:
    with open_index(path) as index:
        index.remove_pages(index.page_ids({"page_number": 1}))
        add(index, "b.pdf", 1, seed=4)
        index.remove_document("a.pdf")
    with closing(sqlite3.connect(path / "index.sqlite3")) as connection:
        counts = [
            connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in ("words", "pages")
        ]
    assert counts == [1, 1]


def test_a_reader_follows_many_new_and_removed_documents(path: Path) -> None:
    with open_index(path) as writer, open_index(path) as reader:
        for seed in range(5):
            for source in (f"{seed}.pdf", "b.pdf"):
                add(writer, source, 2, seed=seed)
            writer.remove_document(f"{seed - 2}.pdf")
            assert hit_keys(reader.search_text(QUESTION, k=30)) == found_of_all(path)


def found_of_all(path: Path) -> list[tuple[Any, ...]]:
    """What an index finds that has just been opened."""
    with open_index(path) as index:
        return hit_keys(index.search_text(QUESTION, k=30))
