from __future__ import annotations

import random
import shutil
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from tests.index.folder.shelf import (
    KINDS,
    Kind,
    add,
    hit_keys,
    page_key,
    queries,
    vectors_of,
)
from tests.index.late_interaction.pages import unit_rows
from tests.index.quarters import search_quarters_in_two_stages

from vdr_integrations.errors import IndexStoreError, ResourceError
from vdr_integrations.index import LateInteractionIndex, open_index
from vdr_integrations.index.stored_page import page_id
from vdr_integrations.index.verify import verify_index

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.index.folder.shelf import Index

    Questions = dict[str, Callable[[Index], Any]]

SOURCES = ["a.pdf", "b.pdf", "c.pdf", "d.pdf"]
DERIVED = (".codebook", ".lists")


def late(index: Index) -> LateInteractionIndex:
    assert isinstance(index, LateInteractionIndex)
    return index


def small_questions(kind: Kind) -> Questions:
    """All questions to an index, each by itself."""
    asked: Questions = {
        "documents": lambda index: index.documents(),
        "b": lambda index: index.document("b.pdf"),
        "count": lambda index: index.count_pages(),
        "pages": lambda index: [page_key(page) for page in index.pages()],
        "odd": lambda index: index.page_ids({"metadata": {"parity": "odd"}}),
        "ref": lambda index: [page_key(page) for page in index.pages_of_ref(f"vdr-page:{2:064d}")],
        "text": lambda index: hit_keys(index.search_text("text B 1, text!", k=5)),
        "vectors": lambda index: [
            page_key(page)
            for page in index.get([page_id(source, 1) for source in SOURCES], with_vectors=True)
        ],
    }
    filters = {"all": None, "c": {"source": "c.pdf"}, "odd": {"metadata": {"parity": "odd"}}}
    for seed in (0, 2):
        for name, chosen in filters.items():
            asked[f"search {seed} {name}"] = lambda index, seed=seed, chosen=chosen: hit_keys(
                index.search(queries(index, seed)[0], k=5, filter=chosen)
            )
    if kind.tokens and kind.dense:
        dense = unit_rows(1, seed=5, dimension=8)[0]
        asked["by dense"] = lambda index: hit_keys(
            late(index).search(queries(index, 0)[0], k=3, candidates=3, dense_query=dense)
        )
    return asked


def large_questions() -> Questions:
    """Questions to an index that searches in two stages."""
    asked: Questions = {
        "documents": lambda index: index.documents(),
        "count": lambda index: index.count_pages({"source": "b.pdf"}),
        "text": lambda index: hit_keys(index.search_text("B 1 7", k=5)),
    }
    for seed in range(4):
        # The page from which the question was made; no other page is similar.
        query = vectors_of(seed, 1, tokens=3)[0][0]
        asked[f"search {seed}"] = lambda index, query=query: hit_keys(index.search(query, k=1))
        asked[f"exact {seed}"] = lambda index, query=query: hit_keys(
            late(index).search(query, k=3, exhaustive=True)
        )
    return asked


def write_small(path: Path, kind: Kind) -> None:
    with kind.create(path) as index:
        for seed, source in enumerate(SOURCES):
            add(index, source, 3, seed=seed)


def write_large(path: Path) -> None:
    """A codebook, a list file, and codes in the database."""
    with KINDS["float16"].create(path) as index:
        for seed in range(3):
            add(index, SOURCES[seed], 68, seed=seed, tokens=3)
        index.optimize()
        add(index, SOURCES[3], 60, seed=3, tokens=3)
    assert [len(list(path.glob(f"*{suffix}"))) for suffix in DERIVED] == [1, 1]


class FlippedBits:
    """Flips bits of an index, one at a time, and counts the outcomes."""

    def __init__(self, path: Path, questions: Questions) -> None:
        self.outcomes: Counter[str] = Counter()
        self.wrong: list[str] = []
        self._path = path
        self._questions = questions
        with open_index(path) as index:
            self._right = {name: ask(index) for name, ask in questions.items()}
            assert verify_index(index).problems == ()
        self._files = sorted(
            file for file in path.iterdir() if file.stat().st_size and "writer" not in file.name
        )

    def flip(self, times: int, *, seed: int) -> None:
        """Flip ``count`` bits: half of them anywhere, half distributed equally over the files."""
        chance = random.Random(seed)
        sizes = [file.stat().st_size for file in self._files]
        for number in range(times):
            (file,) = chance.choices(self._files, sizes if number % 2 else None)
            self.flip_at(file, chance.randrange(file.stat().st_size), chance.randrange(8))

    def flip_at(self, file: Path, place: int, bit: int) -> None:
        original = file.read_bytes()
        changed = bytearray(original)
        changed[place] ^= 1 << bit
        file.write_bytes(changed)
        where = f"{file.name} byte {place} bit {bit}"
        try:
            self._count(where, is_database=file.suffix == ".sqlite3")
        except Exception as error:
            raise AssertionError(f"{where}: {error!r}") from error
        assert file.read_bytes() == changed, f"{where}: a reader wrote"
        file.write_bytes(original)

    def _count(self, where: str, *, is_database: bool) -> None:
        refused: list[str] = []
        wrong: list[str] = []
        problems: list[str] = []
        try:
            with open_index(self._path) as index:
                for name, ask in self._questions.items():
                    try:
                        if ask(index) != self._right[name]:
                            wrong.append(name)
                    except (IndexStoreError, ResourceError):
                        refused.append(name)
                problems += verify_index(index).problems
        except (IndexStoreError, ResourceError) as error:
            problems.append(str(error))
        if wrong:
            self.wrong.append(f"{where}: {wrong} are wrong")
        if not problems and (refused or not is_database):
            self.wrong.append(f"{where}: verify finds nothing, {refused} were refused")
        outcome = "refused" if refused else "found by verify" if problems else "means nothing"
        self.outcomes[outcome] += 1


@pytest.fixture(scope="module", params=[*KINDS, "two stages"])
def flipped(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[], FlippedBits]]:
    path = tmp_path_factory.mktemp("flips") / "index"
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "two stages":
            search_quarters_in_two_stages(patch)
            write_large(path)
            yield lambda: FlippedBits(path, large_questions())
        else:
            kind = KINDS[request.param]
            write_small(path, kind)
            yield lambda: FlippedBits(path, small_questions(kind))


def test_of_sixty_flipped_bits_none_gives_a_wrong_answer(
    flipped: Callable[[], FlippedBits],
) -> None:
    bits = flipped()
    bits.flip(60, seed=1)
    assert bits.wrong == []
    assert bits.outcomes.total() == 60


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_of_a_thousand_flipped_bits_none_gives_a_wrong_answer(
    flipped: Callable[[], FlippedBits],
) -> None:
    bits = flipped()
    bits.flip(1000, seed=2)
    assert bits.wrong == []
    assert bits.outcomes.total() == 1000


def places_of(file: Path, wanted: bytes) -> list[int]:
    """Positions of some bytes in a file."""
    data, found = file.read_bytes(), list[int]()
    while (place := data.find(wanted, found[-1] + 1 if found else 0)) >= 0:
        found.append(place)
    return found


def flip(file: Path, place: int, bit: int) -> None:
    changed = bytearray(file.read_bytes())
    changed[place] ^= 1 << bit
    file.write_bytes(changed)


BAD_PARTS: dict[str, bytes] = {
    "text of a page": b'"text b.pdf',
    "record of the document": b'"total_pages": 3',
    "metadata of a page": b'"kind": "b"',
}


@pytest.mark.parametrize("bit", [0, 7])
@pytest.mark.parametrize("part", [*BAD_PARTS, "name", "places", "tokens", "dense"])
def test_one_bad_document_does_not_close_the_others_and_can_be_made_again(
    tmp_path: Path, part: str, bit: int
) -> None:
    path = tmp_path / "index"
    write_small(path, KINDS["both"])
    with open_index(path) as index:
        others = [source for source in SOURCES if source != "b.pdf"]
        right = {
            source: hit_keys(index.search(queries(index, 1)[0], k=5, filter={"source": source}))
            for source in SOURCES
        }
        documents = index.documents()
    spoil(path, part, bit)
    with open_index(path) as index:
        assert isinstance(index, LateInteractionIndex)
        dense = unit_rows(1, seed=5, dimension=8)[0]
        for source in others:
            hits = index.search(queries(index, 1)[0], k=5, filter={"source": source})
            assert hit_keys(hits) == right[source]
            index.search(
                queries(index, 1)[0],
                k=2,
                candidates=2,
                dense_query=dense,
                filter={"source": source},
            )
            (page,) = index.get([page_id(source, 2)], with_vectors=True)
            assert page.source == source
        kept = [record.source for record in index.documents(skip_altered=True)]
        assert [source for source in kept if source != "b.pdf"] == others
        altered = index.altered_documents()
        assert len(kept) + len(altered) == len(SOURCES)
        assert verify_index(index).problems
        for source in altered or ["b.pdf"]:
            assert index.remove_document(source)
        add(index, "b.pdf", 3, seed=1)
        assert verify_index(index).problems == ()
        index.optimize()
        assert verify_index(index).problems == ()
        assert index.documents() == documents
        for source in SOURCES:
            hits = index.search(queries(index, 1)[0], k=5, filter={"source": source})
            assert hit_keys(hits) == right[source]


def spoil(path: Path, part: str, bit: int) -> None:
    """Flip a bit of the document b.pdf, or of its second page."""
    database = path / "index.sqlite3"
    with open_index(path) as index:
        (page,) = index.get([page_id("b.pdf", 2)], with_vectors=True)
    if part == "tokens":
        (file,) = path.glob("*.tokens")
        assert page.vectors is not None
        flip(file, places_of(file, page.vectors.astype("<f2").tobytes())[0] + 3, bit)
    elif part == "dense":
        (file,) = path.glob("*.dense")
        assert page.dense is not None
        flip(file, places_of(file, page.dense.tobytes())[0] + 3, bit)
    elif part == "places":
        from vdr_integrations.index.folder.vector_places import id_key

        key = id_key(page.page_id)
        assert key is not None
        flip(database, places_of(database, key)[-1] + 3, bit)
    elif part == "name":
        # In the row of the document, before its record.
        flip(database, places_of(database, b'b.pdf{"file"')[-1], bit)
    elif part == "record of the document":
        row = places_of(database, b'b.pdf{"file"')[-1]
        place = min(one for one in places_of(database, BAD_PARTS[part]) if one > row)
        flip(database, place + len(BAD_PARTS[part]) - 1, bit)
    else:
        place = places_of(database, BAD_PARTS[part])[-1]
        flip(database, place + len(BAD_PARTS[part]) - 2, bit)


def test_the_first_stage_is_made_again_when_it_was_altered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    search_quarters_in_two_stages(monkeypatch)
    write_large(tmp_path / "index")
    for suffix in DERIVED:
        path = tmp_path / suffix
        shutil.copytree(tmp_path / "index", path)
        (file,) = path.glob(f"*{suffix}")
        flip(file, file.stat().st_size // 2, 3)
        with open_index(path) as index:
            assert isinstance(index, LateInteractionIndex)
            assert len(verify_index(index).problems) == 1
            index.optimize()
            assert verify_index(index).problems == ()
            # Pages that were not in a list file before are found through the new one too.
            for source, seed in ((SOURCES[3], 3), (SOURCES[0], 0)):
                for number, query in enumerate(vectors_of(seed, 60, tokens=3)[0], start=1):
                    (best,) = index.search(query, k=1, candidates=40)
                    assert (best.source, best.page_number) == (source, number)
