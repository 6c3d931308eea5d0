"""Why a page was found, drawn over it."""

from __future__ import annotations

import copy
import io
import pickle
from typing import TYPE_CHECKING

import numpy as np
import pymupdf
import pytest
from IPython.core.formatters import DisplayFormatter
from PIL import Image
from tests.pdfs import encrypt_pdf, write_pdf

from vdr_integrations import MultiVectorEncoder, PageSearcher, load_encoder
from vdr_integrations.encoders.checkpoints import prompts
from vdr_integrations.errors import IndexStoreError, OptionError, PageError, PageReferenceError
from vdr_integrations.index import Compression, LateInteractionIndex, Manifest, sync_index
from vdr_integrations.pages import open_pdf
from vdr_integrations.retrieval import HeatMap, PagePictures, Question, SimilarityGrids
from vdr_integrations.retrieval.query_words import QueryWord, query_words, tokens_of_word
from vdr_integrations.types import Hit, PageImage, PixelBudget

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from vdr_integrations.pages import PageStore

pytestmark = pytest.mark.usefixtures("seen_pages")

TOKENS = ("Query", ":", " blue", " wha", "les", "?", *["<|endoftext|>"] * 10)
BLUE, WHALES = 2, (3, 4)
ROWS, COLUMNS = 12, 9
CELL_PX = 20


def similarities() -> NDArray[np.float32]:
    """ "blue" matches the cell at line 2, column 1, "whales" two cells at line 8, column 4."""
    rng = np.random.default_rng(0)
    grids = 0.3 + 0.005 * rng.normal(size=(len(TOKENS), ROWS, COLUMNS))
    grids[BLUE, 2, 1] = 0.95
    grids[3, 8, 4] = grids[4, 8, 5] = 0.8
    return grids.astype(np.float32)


def paper(colour: tuple[int, int, int] = (255, 255, 255)) -> Image.Image:
    return Image.new("RGB", (COLUMNS * CELL_PX, ROWS * CELL_PX), colour)


def pixel(image: Image.Image, row: int, column: int) -> tuple[int, ...]:
    """In the middle of a cell."""
    at = np.asarray(image)[int((row + 0.5) * CELL_PX), int((column + 0.5) * CELL_PX)]
    return tuple(int(channel) for channel in at)


@pytest.fixture
def heat() -> HeatMap:
    return HeatMap(SimilarityGrids(TOKENS, similarities()), paper(), label="whales.pdf page 3")


@pytest.mark.parametrize(
    ("tokens", "prompt", "words"),
    [
        (TOKENS, None, [("blue", (2,)), ("whales", (3, 4))]),
        (TOKENS, prompts.COLQWEN2_QUERY_PROMPT, [("blue", (2,)), ("whales", (3, 4))]),
        ((*TOKENS, "\n"), None, [("blue", (2,)), ("whales", (3, 4))]),
        (
            ("<|im_start|>", " query", " 2", "0", ".", "5", "%", "<|im_end|>", "<|endoftext|>"),
            None,
            [("query", (1,)), ("20.5", (2, 3, 4, 5))],
        ),
        ((*TOKENS[:3], *TOKENS[6:]) * 2, None, [("blue", (2,)), ("blue", (15,))]),
        (("Frage", ": ", "Wa", "l", " - "), "Frage: {query} - ", [("Wal", (2, 3))]),
        (("鯨", "は", "。"), None, [("鯨", (0,)), ("は", (1,))]),
        (("\ufffd", "\ufffd", " ?"), None, [("\ufffd\ufffd", (0, 1))]),
        (("don", "'t", " (", "stop", ")"), None, [("don't", (0, 1)), ("stop", (3,))]),
        (("?", " !"), None, []),
    ],
)  # fmt: skip
def test_the_words_of_a_question_are_told_from_its_prompt(
    tokens: tuple[str, ...], prompt: str | None, words: list[tuple[str, tuple[int, ...]]]
) -> None:
    assert query_words(tokens, prompt=prompt) == words


@pytest.mark.parametrize(
    ("words", "asked", "tokens"),
    [
        ((("l", (1,)), ("uva", (2, 3))), "L'uva", [(1, 2, 3)]),
        ((("l'uva", (1, 2)), ("uva", (3,))), "uva", [(3,)]),
        ((("e", (1,)), ("mail", (2,)), ("e", (3,))), "e-mail", [(1, 2)]),
        ((("quienes", (1, 2)),), "¿Quiénes", [(1, 2)]),
        ((("blue", (1,)), ("Blue", (4,))), "blue", [(1,), (4,)]),
        ((("blue", (1,)),), "?", []),
        ((("blue", (1,)),), "blu", []),
    ],
)
def test_a_word_is_found_however_a_tokenizer_cuts_and_spells_it(
    words: tuple[tuple[str, tuple[int, ...]], ...], asked: str, tokens: list[tuple[int, ...]]
) -> None:
    assert tokens_of_word([QueryWord(*word) for word in words], asked) == tokens


def test_colour_lies_where_a_word_matches_and_nowhere_else(heat: HeatMap) -> None:
    assert heat.content_tokens == (BLUE, *WHALES)
    drawn = heat.image()
    assert drawn.size == heat.page.size
    assert pixel(drawn, 8, 4) != (255, 255, 255)
    assert pixel(drawn, 2, 1) != (255, 255, 255)
    assert pixel(drawn, 5, 7) == pixel(drawn, 0, 0) == (255, 255, 255)
    lone = heat.image("blue")
    assert pixel(lone, 2, 1) != (255, 255, 255)
    assert pixel(lone, 8, 4) == (255, 255, 255)


def test_a_word_may_be_named_by_its_text_or_a_query_token_by_its_number(heat: HeatMap) -> None:
    np.testing.assert_array_equal(heat.strength("Blue "), heat.strength(BLUE))
    assert heat.boxes(token="whales")[0][:4] == (4 / 9, 8 / 12, 6 / 9, 9 / 12)
    for wrong in ("green", len(TOKENS), -1):
        with pytest.raises(OptionError, match=r"whales\.pdf page 3"):
            heat.image(wrong)


def test_several_words_are_drawn_together(heat: HeatMap) -> None:
    both = heat.strength(("whales", "blue"))
    np.testing.assert_array_equal(both, heat.strength())
    np.testing.assert_array_equal(heat.strength(("blue",)), heat.strength("blue"))
    with pytest.raises(OptionError, match="no word is chosen"):
        heat.strength(())
    with pytest.raises(OptionError, match="'green' is not a word"):
        heat.strength(("blue", "green"))


def test_colours_have_one_scale_for_all_pages() -> None:
    grids = similarities()
    weaker = grids.copy()
    weaker[BLUE, 2, 1] = 0.45
    strong, weak = (HeatMap(SimilarityGrids(TOKENS, each), paper()) for each in (grids, weaker))
    assert weak.peak(weak.words[0]) == pytest.approx((0.45 - 0.3) / (1 - 0.3), abs=0.01)
    assert strong.strength("blue").max() == 1
    assert weak.strength("blue").max() == pytest.approx((0.214 / 0.6) ** 2, abs=0.01)
    np.testing.assert_allclose(weak.strength("whales"), strong.strength("whales"), atol=1e-6)


def test_one_piece_of_a_word_is_not_the_word() -> None:
    grids = similarities()
    grids[4, 8, 5] = 0.3
    piece, whole = (
        HeatMap(SimilarityGrids(TOKENS, each), paper()) for each in (grids, similarities())
    )
    assert piece.peak(piece.words[1]) < 0.6 * whole.peak(whole.words[1])


def test_the_pieces_of_a_word_in_large_print_are_cells_apart() -> None:
    grids = similarities()
    grids[4, 8, 5], grids[4, 8, 8] = 0.3, 0.8
    apart = HeatMap(SimilarityGrids(TOKENS, grids), paper())
    together = HeatMap(SimilarityGrids(TOKENS, similarities()), paper())
    assert apart.peak(apart.words[1]) == pytest.approx(together.peak(together.words[1]), abs=0.02)
    assert apart.strength("whales")[8, 6] < 0.1


def test_a_word_that_matches_the_whole_page_alike_has_no_colour() -> None:
    grids = similarities()
    grids[BLUE] = 0.9
    heat = HeatMap(SimilarityGrids(TOKENS, grids), paper())
    assert heat.strength("blue").max() == 0
    assert heat.peak(heat.words[0]) == 0
    assert heat.strength().max() > 0.9


def test_what_matches_less_is_lighter(heat: HeatMap) -> None:
    strong, weak = (sum(pixel(heat.image(), *cell)) for cell in ((8, 4), (2, 1)))
    assert strong < weak < 3 * 255


def test_text_under_the_strongest_colour_stays_readable() -> None:
    page = Image.fromarray(np.tile(np.array([0, 255, 255], np.uint8), (240, 60))).convert("RGB")
    drawn = np.asarray(HeatMap(SimilarityGrids(TOKENS, similarities()), page).image(), float) / 255
    linear = np.where(drawn <= 0.04045, drawn / 12.92, ((drawn + 0.055) / 1.055) ** 2.4)
    luminance = linear @ (0.2126, 0.7152, 0.0722)
    line = luminance[int(8.5 * CELL_PX)]
    ink, background = line[0::3], line[1::3]
    contrast = (background + 0.05) / (ink + 0.05)
    assert contrast.min() >= 4.5
    assert contrast.max() == pytest.approx(21)


def test_a_dark_page_grows_lighter_where_it_matches() -> None:
    dark = HeatMap(SimilarityGrids(TOKENS, similarities()), paper((10, 10, 20)))
    assert dark.on_dark
    assert pixel(dark.image(), 5, 7) == (10, 10, 20)
    assert sum(pixel(dark.image(), 8, 4)) > sum(pixel(dark.image(), 2, 1)) > 40


def test_a_png_decodes_to_the_picture_and_boxes_are_outlined(heat: HeatMap) -> None:
    decoded = Image.open(io.BytesIO(heat.png()))
    assert decoded.tobytes() == heat.image().tobytes()
    outlined = np.asarray(heat.image(boxes=1))
    left, top = (
        round(side * size) for side, size in zip(heat.boxes()[0][:2], decoded.size, strict=True)
    )
    assert tuple(outlined[top, left]) == (88, 28, 135)  # fmt: skip
    assert heat.overlay().size == (COLUMNS, ROWS)
    assert heat.overlay().getpixel((7, 5))[3] == 0  # pyright: ignore[reportIndexIssue, reportOptionalSubscript]


def test_notebooks_show_the_picture_and_no_markup_of_the_document() -> None:
    shown = HeatMap(SimilarityGrids(TOKENS, similarities()), paper(), label="<script>.pdf page 1")
    formats, _ = DisplayFormatter().format(shown)
    assert Image.open(io.BytesIO(formats["image/png"])).size == shown.page.size
    html = formats["text/html"]
    assert "<script>" not in html
    blue, whales = (shown.peak(word) for word in shown.words)
    assert f"match best: blue {blue:.2f}, whales {whales:.2f}." in html
    assert 1 > blue > whales > 0.5
    assert repr(shown) == "HeatMap('<script>.pdf page 1', 'blue whales', 12 x 9 cells)"


def test_tokens_and_grids_must_belong_together() -> None:
    with pytest.raises(OptionError, match="3 query tokens and 16 similarity grids"):
        HeatMap(SimilarityGrids(TOKENS[:3], similarities()), paper())


def test_a_hit_that_knows_no_search_says_what_to_do() -> None:
    hit = Hit("/report.pdf", 4, 0.5, "4", 9, f"vdr-page:{'0' * 64}")
    with pytest.raises(OptionError, match=r"/report.pdf page 4.*searcher.heatmap"):
        hit.heatmap()


@pytest.fixture(scope="module")
def nano() -> MultiVectorEncoder:
    return load_encoder("nano-colqwen2", device="cpu")


@pytest.fixture(scope="module")
def menu(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of a few words in large print."""
    path = tmp_path_factory.mktemp("menu") / "menu.pdf"
    with pymupdf.open() as document:
        page = document.new_page(width=420, height=300)
        for n, word in enumerate(("Breakfast", "Sandwich", "Lemonade", "Harvest")):
            page.insert_text((40 + 190 * (n % 2), 80 + 130 * (n // 2)), word, fontsize=24)
        document.save(path)
    return path


@pytest.fixture(scope="module")
def index(
    nano: MultiVectorEncoder, menu: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LateInteractionIndex]:
    folder = tmp_path_factory.mktemp("late") / "ix"
    with LateInteractionIndex.create(folder, manifest=Manifest.of(nano)) as made:
        sync_index(made, nano, [menu])
        yield made


def found(index: LateInteractionIndex, encoder: MultiVectorEncoder, question: str) -> Hit:
    return PageSearcher(index, encoder=encoder).search(question, k=1)[0]


@pytest.mark.parametrize("word", ["Breakfast", "Lemonade"])
def test_the_heat_map_of_a_hit_is_hottest_on_the_word_that_was_asked_for(
    word: str,
    index: LateInteractionIndex,
    nano: MultiVectorEncoder,
    menu: Path,
    page_store: PageStore,
) -> None:
    heat = found(index, nano, word).heatmap()
    assert isinstance(heat, HeatMap)
    assert [w.text for w in heat.words] == [word.lower()]
    with pymupdf.open(menu) as document:
        (box,) = document[0].search_for(word)
        width, height = document[0].rect.width, document[0].rect.height
    rows, columns = heat.strength().shape
    row, column = np.unravel_index(heat.strength().argmax(), (rows, columns))
    assert box.x0 / width < (column + 1) / columns
    assert box.x1 / width > column / columns
    assert box.y0 / height < (row + 1) / rows
    assert box.y1 / height > row / rows


def test_a_hit_takes_an_image_and_the_tokens_of_vectors_are_named_by_number(
    index: LateInteractionIndex, nano: MultiVectorEncoder, page_store: PageStore
) -> None:
    own = Image.new("RGB", (420, 300), "white")
    vectors = Question(vectors=nano.encode_queries(["lemonade"])[0])
    hit = PageSearcher(index, encoder=nano).search(vectors, k=1)[0]
    heat = hit.heatmap(page=own)
    assert heat.page.size == (420, 300)
    assert heat.words[0].text == "0"
    assert len(heat.words) == len(heat.tokens) == len(nano.query_tokens("lemonade"))


def test_a_hit_whose_index_is_closed_says_so(
    nano: MultiVectorEncoder, menu: Path, tmp_path: Path, page_store: PageStore
) -> None:
    index = LateInteractionIndex.create(tmp_path / "ix", manifest=Manifest.of(nano))
    with index:
        sync_index(index, nano, [menu])
        hit = found(index, nano, "lemonade")
    with pytest.raises(IndexStoreError, match="is closed"):
        hit.heatmap()


@pytest.mark.parametrize("source", ["/" + "x" * 5000 + ".pdf", "/a\0b.pdf", "a.pdf"])
def test_a_document_that_cannot_be_the_path_of_a_file_has_no_picture(
    source: str, page_store: PageStore
) -> None:
    hit = Hit(source, 1, 0.5, "1", 1, f"vdr-page:{'0' * 64}")
    pictures = PagePictures(page_store, PixelBudget(64))
    with pytest.raises(PageReferenceError, match="not here"):
        pictures.indexed(hit)
    pictures.keep([hit])
    assert hit.page_ref not in page_store


def test_the_picture_of_an_encrypted_page_is_drawn_with_its_password(
    tmp_path: Path, page_store: PageStore
) -> None:
    path = write_pdf(tmp_path / "plain.pdf", ["Secret plans"])
    locked = encrypt_pdf(path, password="pw")
    with open_pdf(locked, password="pw") as document:
        ref = str(document[0].to_image(PixelBudget(64)).ref)
    hit = Hit(locked.as_posix(), 1, 0.5, "1", 1, ref)
    with pytest.raises(PageError, match="encrypted"):
        PagePictures(page_store, PixelBudget(64)).indexed(hit)
    picture = PagePictures(page_store, PixelBudget(64), "pw").indexed(hit)
    assert str(picture.ref) == ref


def test_copies_and_pickles_of_a_hit_are_equal_and_hold_no_index(
    index: LateInteractionIndex, nano: MultiVectorEncoder
) -> None:
    hit = found(index, nano, "lemonade")
    assert set(hit.to_dict()) < set(Hit.__dataclass_fields__)
    for other in (copy.copy(hit), copy.deepcopy(hit), pickle.loads(pickle.dumps(hit))):
        assert other == hit
        assert repr(other) == repr(hit)
        with pytest.raises(OptionError, match="does not know the question"):
            other.heatmap()


def test_the_picture_comes_from_the_store_or_the_file_and_is_never_another(
    nano: MultiVectorEncoder, menu: Path, tmp_path: Path, page_store: PageStore
) -> None:
    moved = tmp_path / "menu.pdf"
    moved.write_bytes(menu.read_bytes())
    with LateInteractionIndex.create(tmp_path / "ix", manifest=Manifest.of(nano)) as index:
        sync_index(index, nano, [moved])
        hit = found(index, nano, "lemonade")
        picture = hit.heatmap().page
        with pymupdf.open() as other:
            other.new_page(width=420, height=300)
            other.save(moved)
        with pytest.raises(PageReferenceError, match="not show what was indexed"):
            hit.heatmap()
        page_store.put(PageImage(picture))
        assert hit.heatmap().page.tobytes() == picture.tobytes()
        grids = hit.heatmap().grids
        index.remove_document(moved.as_posix())
        # The page is not in the index any more: its image is encoded.
        np.testing.assert_allclose(hit.heatmap().grids, grids, atol=2e-3)


def test_a_page_whose_tokens_were_pooled_is_encoded_again_by_the_encoder(
    index: LateInteractionIndex, nano: MultiVectorEncoder, menu: Path, tmp_path: Path,
    page_store: PageStore,
) -> None:  # fmt: skip
    compression = Compression(token_pooling=3)
    manifest = Manifest.of(nano)
    with LateInteractionIndex.create(
        tmp_path / "ix", manifest=manifest, compression=compression
    ) as pooled:
        sync_index(pooled, nano, [menu])
        again = found(pooled, nano, "lemonade").heatmap()
    whole = found(index, nano, "lemonade").heatmap()
    np.testing.assert_allclose(again.grids, whole.grids, atol=2e-3)
