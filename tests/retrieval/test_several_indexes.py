"""One searcher over several indexes."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import pickle
import shutil
from typing import TYPE_CHECKING

import pytest
from tests.pdfs import write_pdf

from vdr_integrations import DenseEncoder, PageSearcher
from vdr_integrations.encoders import EncoderOptions
from vdr_integrations.errors import IndexMismatchError, IndexNotFoundError, OptionError
from vdr_integrations.index import DenseIndex, QdrantServer, open_index, sync_index
from vdr_integrations.retrieval.open_indexes import SharedIndex

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("seen_pages")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two indexes with a document each."""
    folder = tmp_path_factory.mktemp("several")
    encoder = DenseEncoder.load("nano")
    for name, text in (("a", "apples"), ("b", "pears and plums")):
        document = write_pdf(folder / f"{name}.pdf", [text, f"more {text}"])
        with DenseIndex.create(folder / name, encoder=encoder) as index:
            sync_index(index, encoder, [document])
    return [folder / "a", folder / "b"]


def test_a_searcher_takes_a_list_and_finds_pages_of_all(folders: list[Path]) -> None:
    with PageSearcher(folders) as searcher:
        hits = searcher.search("plums", k=10)
        assert {hit.source.rpartition("/")[2] for hit in hits} == {"a.pdf", "b.pdf"}
        assert len(hits) == 4
        assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
        assert asyncio.run(searcher.asearch("plums", k=10)) == hits
        assert list(searcher.search_many(["plums"], k=10)) == [hits]
        assert searcher.pictures.indexed(hits[-1]).image.size[0] > 100
        hybrid = searcher.search("plums", k=1, hybrid=True)
        assert hybrid[0].source.endswith("b.pdf")


def test_open_indexes_and_places_can_be_mixed(folders: list[Path]) -> None:
    with open_index(folders[0]) as first:
        with PageSearcher([first, str(folders[1])]) as searcher:
            assert searcher.index.count_pages() == 4
        assert first.count_pages() == 2  # it was given open, and stays open


def test_all_who_name_a_place_share_what_was_read(folders: list[Path]) -> None:
    alone, several = SharedIndex(folders[0]), SharedIndex(folders)
    index = several.get()
    assert several.get() is index
    alone.get()
    several.close()
    assert alone.get().count_pages() == 2  # somebody still uses it
    again = several.get()
    assert again is not index
    assert again.count_pages() == 4
    again.close()
    assert several.get().count_pages() == 4
    alone.close()
    several.close()


def test_a_part_that_was_opened_again_is_used(folders: list[Path]) -> None:
    several, alone = SharedIndex(folders), SharedIndex(folders[1])
    assert several.get().count_pages() == 4
    alone.get().close()  # by somebody who shares it
    assert several.get().count_pages() == 4
    several.forget(several.get())
    assert several.get().count_pages() == 4
    several.close()
    alone.close()


@pytest.mark.parametrize("count", [1, 2])
def test_an_index_that_was_replaced_for_a_while_is_searched_again(
    count: int, folders: list[Path], late_folder: Path, tmp_path: Path
) -> None:
    place = tmp_path / "ix"
    shutil.copytree(folders[0], place)
    places = [place, folders[1]][:count]
    with PageSearcher(places, encoder=EncoderOptions(model="nano")) as searcher:
        hits = searcher.search("plums")
        shutil.rmtree(place)
        shutil.copytree(late_folder, place)
        for _ in range(3):
            with pytest.raises((IndexMismatchError, OptionError)):
                searcher.search("plums")
        shutil.rmtree(place)
        shutil.copytree(folders[0], place)
        with contextlib.suppress(IndexMismatchError):  # says at most once that it was replaced
            searcher.search("plums")
        assert searcher.search("plums") == hits


def test_an_index_that_is_late_interaction_now_is_searched_again(
    folders: list[Path], late_folder: Path, tmp_path: Path
) -> None:
    place = tmp_path / "ix"
    shutil.copytree(folders[0], place)
    with PageSearcher(place, late_only=True) as searcher:
        with pytest.raises(IndexMismatchError, match="one vector a page"):
            searcher.search("costs")
        shutil.rmtree(place)
        shutil.copytree(late_folder, place)
        assert searcher.search("costs")


def test_a_folder_that_is_named_twice_is_said_to_be_the_same(folders: list[Path]) -> None:
    with PageSearcher([folders[0], folders[0]]) as searcher:
        with pytest.raises(IndexMismatchError, match="name only one of them") as error:
            searcher.search("plums")
        assert "vdr rm" not in str(error.value)


def test_copies_and_pickles_name_the_same_places(folders: list[Path]) -> None:
    searcher = PageSearcher(folders)
    again = pickle.loads(pickle.dumps(searcher))
    assert again.index.places == searcher.index.places
    assert copy.deepcopy(searcher) is searcher
    for one in (searcher, again):
        assert all(str(folder) in repr(one) for folder in folders)
        one.close()
    secret = PageSearcher([folders[0], QdrantServer("c", url="http://localhost", api_key="k")])
    with pytest.raises(TypeError, match="never pickled"):
        pickle.dumps(secret)
    assert "'k'" not in repr(secret)


def test_several_that_were_given_open_are_opened_again_from_a_pickle(folders: list[Path]) -> None:
    with open_index(folders) as joined:
        pickles = [pickle.dumps(PageSearcher(given)) for given in (joined, [joined])]
    pickles.append(pickle.dumps(PageSearcher(joined)))  # it is closed here, not there
    for kept in pickles:
        with pickle.loads(kept) as again:
            assert again.index.places == folders


def test_what_is_no_list_of_indexes_is_refused(folders: list[Path], tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="name at least one"):
        PageSearcher([])
    with pytest.raises(OptionError, match="or a list of them, found int"):
        PageSearcher([folders[0], 3])  # pyright: ignore[reportArgumentType]
    with pytest.raises(IndexNotFoundError, match="nowhere"):
        PageSearcher([*folders, tmp_path / "nowhere"]).search("apples")


def test_several_indexes_are_neither_made_nor_written_to(
    folders: list[Path], tmp_path: Path
) -> None:
    with pytest.raises(OptionError, match="to 2 indexes at once"):
        PageSearcher([tmp_path / "x", tmp_path / "y"]).create(late_interaction=False)
    assert not (tmp_path / "x").exists()
    encoder = DenseEncoder.load("nano")
    document = write_pdf(tmp_path / "c.pdf", ["cherries"])
    with open_index(folders) as index, pytest.raises(OptionError, match=r"a, .*b\): each document"):
        sync_index(index, encoder, [document])
    with PageSearcher([tmp_path / "z"], encoder=encoder) as one:
        made = one.create(late_interaction=False)  # a list of one is that index
        sync_index(made, encoder, [document])
        assert one.search("cherries")
    shutil.rmtree(tmp_path / "z")
