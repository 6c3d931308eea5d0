"""From a question to pages, in plain Python."""

from __future__ import annotations

import asyncio
import copy
import pickle
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from vdr_integrations import DenseEncoder, MultiVectorEncoder, PageSearcher, PairedEncoder
from vdr_integrations.encoders import EncoderOptions
from vdr_integrations.encoders.checkpoints.known_checkpoints import BUNDLED, KNOWN_CHECKPOINTS
from vdr_integrations.errors import (
    CheckpointError,
    IndexMismatchError,
    IndexNotFoundError,
    OptionError,
    PageReferenceError,
)
from vdr_integrations.index import (
    Compression,
    LateInteractionIndex,
    Manifest,
    QdrantServer,
    QuestionBank,
    maxsim_score,
    sync_index,
)
from vdr_integrations.retrieval import FoundPage, Question, strongest_regions
from vdr_integrations.types import PageImage

if TYPE_CHECKING:
    from pathlib import Path

    from vdr_integrations.index.compression import VectorFormat
    from vdr_integrations.pages import PageStore
    from vdr_integrations.types import Hit

pytestmark = pytest.mark.usefixtures("seen_pages")

QUESTION = "Costs fell"


def places(hits: list[Hit]) -> list[tuple[str, int]]:
    return [(hit.source.rpartition("/")[2], hit.page_number) for hit in hits]


@pytest.mark.parametrize("kind", ["late", "dense"])
async def test_five_lines_find_pages_and_show_them(
    kind: str, late_folder: Path, dense_folder: Path, docs: Path, page_store: PageStore
) -> None:
    searcher = PageSearcher(late_folder if kind == "late" else dense_folder)
    hits = searcher.search(QUESTION)
    assert len(hits) == 5
    assert places(hits)[0] == ("report.pdf", 2)
    assert hits[0].source == (docs / "report.pdf").as_posix()
    assert await searcher.asearch(QUESTION) == hits
    many = list(searcher.search_many([QUESTION, "Lemonade"]))
    assert many == [hits, searcher.search("Lemonade")]
    (filtered,) = searcher.search(QUESTION, k=1, filter={"page_number": 1})
    assert filtered.page_number == 1
    image = searcher.pictures.indexed(hits[0]).image
    assert searcher.search_image(image, k=1)[0].page_ref == hits[0].page_ref
    assert (await searcher.asearch_image(image, k=1))[0].page_ref == hits[0].page_ref


def test_a_hit_is_explained_where_the_index_knows_places(
    late_folder: Path, dense_folder: Path, page_store: PageStore
) -> None:
    searcher = PageSearcher(late_folder)
    (hit,) = searcher.search("Lemonade", k=1)
    heat = hit.heatmap()
    assert [word.text for word in heat.words] == ["lemonade"]
    np.testing.assert_array_equal(heat.grids, searcher.grids("Lemonade", hit).grids)
    (region,) = searcher.regions("Lemonade", hit)
    assert region == heat.boxes(1)[0]
    other = PageSearcher(dense_folder)
    (page,) = other.search("Lemonade", k=1)
    for explain in (page.heatmap, lambda: other.regions("Lemonade", page)):
        with pytest.raises(IndexMismatchError, match="one vector a page"):
            explain()


def test_pages_of_the_index_are_found_by_id(late_folder: Path) -> None:
    with PageSearcher(late_folder) as searcher:
        first, second = (hit.page_id for hit in searcher.search(QUESTION, k=2))
        found = searcher.stored([second, "00000000-0000-5000-8000-000000000000", first])
        assert [page.page_id for page in found] == [second, first]


def test_words_of_a_custom_prompt_are_not_words_of_the_question(
    docs: Path, tmp_path: Path, page_store: PageStore
) -> None:
    known = KNOWN_CHECKPOINTS["nano-colqwen2"]
    custom = replace(known, query_prompt="Lemonade and pancakes aside, find {query} please")
    folder = str(BUNDLED["nano-colqwen2"])
    encoder = MultiVectorEncoder.load(
        folder, device="cpu", max_visual_tokens=300, checkpoint=replace(custom, model=folder)
    )
    with LateInteractionIndex.create(tmp_path / "ix", encoder=encoder) as index:
        sync_index(index, encoder, [docs / "menu.pdf"])
        searcher = PageSearcher(index, encoder=encoder)
        (hit,) = searcher.search("calm outlook", k=1)
        heat = hit.heatmap()
        assert [word.text for word in heat.words] == ["calm", "outlook"]
        tokens = [word.tokens for word in heat.words]
        grids = searcher.grids("calm outlook", hit)
        assert len(heat.content_tokens) < len(grids.tokens)
        assert searcher.regions("calm outlook", hit) == strongest_regions(
            grids.grids, tokens=tokens
        )


def test_a_question_is_encoded_once_for_all_that_is_asked_about_it(
    late: MultiVectorEncoder, late_index: LateInteractionIndex, page_store: PageStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    asked: list[list[str]] = []
    encode = MultiVectorEncoder.encode_queries

    def counted(self: MultiVectorEncoder, texts: list[str], **options: bool) -> object:
        asked.append(list(texts))
        return encode(self, texts, **options)

    monkeypatch.setattr(MultiVectorEncoder, "encode_queries", counted)
    searcher = PageSearcher(late_index, encoder=late)
    hits = searcher.search(QUESTION)
    for hit in hits:
        searcher.regions(QUESTION, hit)
        hit.heatmap()
    searcher.rerank(QUESTION, hits)
    assert asked == [[QUESTION]]
    for number in range(20):
        searcher.search(f"question {number}", k=1)
    searcher.search(QUESTION, k=1)
    assert len(asked) == 22  # so many questions ago, it is encoded again


@pytest.mark.parametrize("vectors", ["float16", "float32", "int8"])
@pytest.mark.parametrize("pooling", [1, 3])
async def test_pages_that_an_index_does_not_hold_are_scored_as_if_it_held_them(
    late: MultiVectorEncoder,
    docs: Path,
    tmp_path: Path,
    *,
    vectors: VectorFormat,
    pooling: int,
) -> None:  # fmt: skip
    compression = Compression(vectors=vectors, token_pooling=pooling)
    with LateInteractionIndex.create(
        tmp_path / "ix", encoder=late, compression=compression
    ) as index:
        sync_index(index, late, [docs])
        searcher = PageSearcher(index, encoder=late)
        hits = searcher.search(QUESTION)
        expected = [(place, hit.score) for place, hit in enumerate(hits)]
        assert searcher.rerank(QUESTION, hits) == expected
        index.remove_document(hits[0].source)
        for ranked in (searcher.rerank(QUESTION, hits), await searcher.arerank(QUESTION, hits)):
            assert [one.place for one in ranked] == [0, 1, 2, 3, 4]
            np.testing.assert_allclose(
                [one.score for one in ranked], [hit.score for hit in hits], rtol=1e-4
            )
        assert searcher.rerank(QUESTION, hits[::-1], top_n=1)[0].place == 4


def test_pages_are_reranked_without_an_index_and_texts_are_refused(
    late: MultiVectorEncoder, page_store: PageStore
) -> None:
    searcher = PageSearcher(None, encoder=late)
    pages = [PageImage(Image.new("RGB", (280, 200), colour)) for colour in ("white", "navy")]
    store = [page_store.put(page) for page in pages]
    found = [
        FoundPage(source="a.png", page_ref=str(store[0])),
        FoundPage(source="b.png", image=pages[1]),
        FoundPage(source="c.png", page_ref=str(store[0])),
    ]
    query = late.encode_queries([QUESTION])[0]
    bank = QuestionBank.of_checkpoint(late)
    assert bank is not None
    for correction, weight in ((None, bank.correction.weight(len(query))), (0.0, 0.0)):
        ranked = searcher.rerank(QUESTION, found, correction=correction)
        for place, score in ranked:
            (rows,) = late.encode_pages([pages[1] if place == 1 else pages[0]])
            expected = maxsim_score(query, rows) - weight * bank.bias(rows)
            assert score == pytest.approx(expected, abs=1e-4)
        assert {place for place, _ in ranked} == {0, 1, 2}
    assert searcher.rerank(QUESTION, []) == []
    with pytest.raises(OptionError, match=r"note.txt.*has no image"):
        searcher.rerank(QUESTION, [FoundPage(source="note.txt", text="Costs fell")])
    with pytest.raises(OptionError, match="has no index"):
        searcher.search(QUESTION)
    gone = FoundPage(source="d.png", page_ref=f"vdr-page:{'0' * 64}")
    with pytest.raises(PageReferenceError):
        searcher.rerank(QUESTION, [gone])


def test_a_page_of_an_older_image_is_not_scored_as_the_new_one(
    late: MultiVectorEncoder, late_index: LateInteractionIndex, page_store: PageStore
) -> None:
    searcher = PageSearcher(late_index, encoder=late)
    newer, other = searcher.search(QUESTION, k=2)
    page_store.put(searcher.pictures.indexed(other))
    older = FoundPage(
        source=newer.source,
        page_number=newer.page_number,
        page_ref=other.page_ref,
        ids=(newer.page_id,),
    )
    (ranked,) = searcher.rerank(QUESTION, [older])
    assert ranked.score == pytest.approx(other.score, abs=1e-3)
    assert ranked.score != newer.score


@pytest.mark.parametrize("asked", ["", "  ", [], ["Costs", ""]])
def test_a_question_without_words_is_refused(asked: str | list[str], late_folder: Path) -> None:
    with pytest.raises(OptionError, match="empty"):
        PageSearcher(late_folder).search(asked)


def test_several_texts_count_together(
    late: MultiVectorEncoder, late_index: LateInteractionIndex, dense_folder: Path
) -> None:
    searcher = PageSearcher(late_index, encoder=late)
    texts = ["Costs", "Outlook"]
    single = [{hit.page_id: hit.score for hit in searcher.search(text)} for text in texts]
    for hit in searcher.search(texts):
        assert hit.score == pytest.approx(sum(one[hit.page_id] for one in single), abs=1e-3)
    assert len(PageSearcher(dense_folder).search(texts)) == 5


def test_token_vectors_need_no_model(late: MultiVectorEncoder, late_folder: Path) -> None:
    (vectors,) = late.encode_queries([QUESTION])
    searcher = PageSearcher(late_folder, encoder=EncoderOptions(model="/not/there"))
    with pytest.raises(CheckpointError):
        searcher.search(QUESTION)
    expected = PageSearcher(late_folder).search(QUESTION)
    with LateInteractionIndex.open(late_folder) as index:
        found = index.search(vectors)
    assert found == expected
    grids = searcher.grids(Question(vectors=vectors), found[0])
    assert len(grids.tokens) == len(vectors)


async def test_an_index_with_dense_vectors_too_is_made_filled_and_searched_by_recall(
    late: MultiVectorEncoder, dense: DenseEncoder, docs: Path, tmp_path: Path
) -> None:
    place = tmp_path / "both"
    searcher = PageSearcher(place, encoder=late, recall=dense)
    with pytest.raises(IndexNotFoundError):
        searcher.search(QUESTION)
    searcher.create(compression=Compression(token_pooling=2))
    assert isinstance(searcher.page_encoder, PairedEncoder)
    sync_index(searcher.index, searcher.page_encoder, [docs])
    hits = searcher.search(QUESTION, k=2, candidates=2)
    assert await searcher.asearch(QUESTION, k=2, candidates=2) == hits
    assert places(hits)[0] == ("report.pdf", 2)
    with pytest.raises(OptionError, match="compression"):
        searcher.create(compression=Compression())
    without = PageSearcher(place, encoder=late)
    assert places(without.search(QUESTION, k=1)) == [("report.pdf", 2)]
    with pytest.raises(IndexMismatchError, match="give the encoder that makes them as recall"):
        _ = without.page_encoder
    by_options = PageSearcher(place, recall=EncoderOptions(device="cpu"))
    assert by_options.search(QUESTION, k=2, candidates=2) == hits


def test_a_model_that_does_not_load_leaves_no_folder(tmp_path: Path) -> None:
    searcher = PageSearcher(tmp_path / "ix", encoder=EncoderOptions(model=str(tmp_path / "none")))
    with pytest.raises(CheckpointError):
        searcher.create()
    assert not (tmp_path / "ix").exists()


def test_what_does_not_fit_is_refused_by_name(
    late: MultiVectorEncoder, dense: DenseEncoder, late_folder: Path, dense_folder: Path
) -> None:
    with pytest.raises(IndexMismatchError, match="one vector a page"):
        PageSearcher(dense_folder, late_only=True).search(QUESTION)
    with pytest.raises(OptionError, match="found DenseEncoder"):
        PageSearcher(late_folder, encoder=dense).search(QUESTION)
    with pytest.raises(OptionError, match="found MultiVectorEncoder"):
        PageSearcher(dense_folder, encoder=late).search(QUESTION)
    with pytest.raises(IndexMismatchError, match="leave recall out"):
        PageSearcher(dense_folder, recall=dense).search(QUESTION)
    with pytest.raises(IndexMismatchError, match="without dense vectors"):
        PageSearcher(late_folder, recall=dense).search(QUESTION)
    with pytest.raises(OptionError, match="leave candidates out"):
        PageSearcher(dense_folder).search(QUESTION, candidates=3)
    with pytest.raises(OptionError, match="name of the model is empty"):
        PageSearcher(late_folder, encoder=EncoderOptions(model=" ")).search(QUESTION)
    other = MultiVectorEncoder.load("nano-colqwen2", device="cpu", max_visual_tokens=64)
    with pytest.raises(IndexMismatchError, match="cannot be compared"):
        PageSearcher(late_folder, encoder=other).search(QUESTION)


def test_copies_share_and_pickles_hold_where_the_index_is_and_no_secret(
    late_folder: Path, page_store: PageStore
) -> None:
    options = EncoderOptions(device="cpu", token="hf_secret")
    searcher = PageSearcher(late_folder, encoder=options, password="pw")
    hits = searcher.search(QUESTION)
    assert copy.copy(searcher).index is copy.deepcopy(searcher).index is searcher.index
    pickled = pickle.dumps(searcher)
    assert b"hf_secret" not in pickled
    assert b"pw" not in pickled
    assert pickle.loads(pickled).search(QUESTION) == hits
    server = QdrantServer(collection="a", url="https://example.org", api_key="secret")
    with pytest.raises(TypeError, match="never pickled"):
        pickle.dumps(PageSearcher(server))


async def test_many_tasks_ask_at_once(late_folder: Path) -> None:
    searcher = PageSearcher(late_folder)
    questions = [QUESTION, "Lemonade", "Revenue", "Outlook"] * 3
    together = await asyncio.gather(*(searcher.asearch(one, k=1) for one in questions))
    for question, (hit,) in zip(questions, together, strict=True):
        (alone,) = searcher.search(question, k=1)
        assert hit.page_id == alone.page_id
        assert hit.score == pytest.approx(alone.score, rel=1e-3)  # encoded with others or alone


def test_the_manifest_of_a_new_index_loads_its_model_again(
    late: MultiVectorEncoder, tmp_path: Path
) -> None:
    options = EncoderOptions(model="nano-colqwen2", max_visual_tokens=300, device="cpu")
    made = PageSearcher(tmp_path / "ix", encoder=options).create()
    assert made.manifest == Manifest.of(late)
