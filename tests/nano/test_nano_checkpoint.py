"""The bundled checkpoint: its files, its size, and that it finds pages by what is printed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pymupdf
import pytest
from benchmarks.card_path import CardPath

from vdr_integrations import MultiVectorEncoder, load_encoder, open_pdf
from vdr_integrations.encoders.checkpoints.known_checkpoints import BUNDLED
from vdr_integrations.index import maxsim_scores

pytestmark = pytest.mark.usefixtures("seen_pages")

DOCUMENTS = Path(__file__).resolve().parent.parent.parent / "demo" / "documents"
QUESTIONS = json.loads((DOCUMENTS.parent / "questions.json").read_text(encoding="utf-8"))
NANO_FOLDER = BUNDLED["nano"]
MAX_BYTES = 25 * 1000**2
TOPICS = (
    "Parking permits",
    "Broken lifts",
    "Opening hours",
    "Letters of complaint",
    "Young volunteers",
    "Ticket prices",
    "School visits",
    "Garden waste",
    "Night buses",
)


class LatePages(NamedTuple):
    """Each page of the demo's documents with its matrix."""

    sources: list[str]
    numbers: list[int]
    matrices: list[np.ndarray]


@pytest.fixture(scope="module")
def late() -> MultiVectorEncoder:
    return MultiVectorEncoder.load("nano-colqwen2", device="cpu")


@pytest.fixture(scope="module")
def late_pages(late: MultiVectorEncoder) -> LatePages:
    pages = LatePages([], [], [])
    for path in sorted(DOCUMENTS.glob("*.pdf")):
        with open_pdf(path) as pdf:
            pages.sources.extend([path.name] * len(pdf))
            pages.numbers.extend(page.page_number for page in pdf)
            pages.matrices.extend(late.encode_pages(pdf))
    return pages


def test_both_formats_are_at_most_25_megabytes_of_standard_files() -> None:
    names = {path.name for path in NANO_FOLDER.iterdir()}
    assert names >= {
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
        "preprocessor_config.json",
        "README.md",
    }
    late = {path.name for path in BUNDLED["nano-colqwen2"].iterdir()}
    assert late >= {"adapter_config.json", "adapter_model.safetensors", "README.md"}
    files = [path for folder in BUNDLED.values() for path in folder.iterdir()]
    assert sum(path.stat().st_size for path in files) <= MAX_BYTES


def test_it_gives_the_vectors_that_stock_transformers_gives_with_the_cards_code() -> None:
    encoder, card = load_encoder("nano", device="cpu", dtype="float32"), CardPath(NANO_FOLDER)
    queries = ["How many librarians work there?", "Wie viel Nitrat enthält das Trinkwasser?"]
    with open_pdf(DOCUMENTS / "wine-report.it.pdf") as pdf:
        pages = [page.render(encoder.pixel_budget) for page in list(pdf)[:2]]
    for ours, cards in (
        (encoder.encode_queries(queries), card.encode_queries(queries, encoder.dimension)),
        (encoder.encode_pages(pages), card.encode_documents(pages, encoder.dimension)),
    ):
        assert (ours * cards).sum(axis=1).min() >= 0.99999


@pytest.fixture(scope="module")
def slides() -> tuple[list[tuple[str, int]], np.ndarray]:
    """File and number of each page of the reports, and their vectors in all dimensions."""
    encoder = load_encoder("nano", device="cpu")
    places: list[tuple[str, int]] = []
    vectors: list[np.ndarray] = []
    for path in sorted(DOCUMENTS.glob("*-report.*.pdf")):
        with open_pdf(path) as pdf:
            places += [(path.name, page.page_number) for page in pdf]
            vectors.append(encoder.encode_pages(pdf))
    return places, np.concatenate(vectors)


@pytest.mark.parametrize(("share", "among_three"), [(1.0, 0.9), (0.34, 0.8)])
def test_questions_about_generated_slides_find_their_page_among_three_of_25(
    slides: tuple[list[tuple[str, int]], np.ndarray], share: float, among_three: float
) -> None:
    """A third of the dimensions too. By lot it would be 0.12."""
    places, full = slides
    dimension = round(full.shape[1] * share)
    encoder = load_encoder("nano", device="cpu", dimension=dimension)
    asked = [question for question in QUESTIONS if "-report." in question["source"]]
    vectors = full[:, :dimension] / np.linalg.norm(full[:, :dimension], axis=1, keepdims=True)
    scores = encoder.encode_queries([q["question"] for q in asked]) @ vectors.T
    best = np.argsort(-scores, axis=1)[:, :3]
    found = [
        (question["source"], question["page_number"]) in [places[row] for row in rows]
        for question, rows in zip(asked, best, strict=True)
    ]
    assert sum(found) >= among_three * len(asked)


def test_questions_about_generated_slides_find_their_page_by_late_interaction(
    late: MultiVectorEncoder, late_pages: LatePages
) -> None:
    asked = [question for question in QUESTIONS if "-report." in question["source"]]
    slides = [
        (source, number, matrix)
        for source, number, matrix in zip(*late_pages, strict=True)
        if "-report." in source
    ]
    matrices = [matrix for _, _, matrix in slides]
    first = [
        slides[int(np.argmax(maxsim_scores(query, matrices)))][:2]
        for query in late.encode_queries([q["question"] for q in asked])
    ]
    right = [(q["source"], q["page_number"]) for q in asked]
    assert sum(a == b for a, b in zip(first, right, strict=True)) >= 0.7 * len(asked)


def test_a_whole_page_says_what_its_strips_say(late: MultiVectorEncoder) -> None:
    """Reading a character takes the patches beside it, and a page has 2,900 others."""
    with open_pdf(DOCUMENTS / "project-history-excerpt.en.pdf") as pdf:
        page = pdf[1].render(late.pixel_budget)
    grid = late.page_layout(page.height, page.width)
    side = page.height // grid.rows

    def cells(first_row: int, rows: int) -> np.ndarray:
        strip = page.crop((0, first_row * side, page.width, (first_row + rows) * side))
        (matrix,) = late.encode_pages([strip])
        return matrix[grid.first :][: rows * grid.columns].reshape(rows, grid.columns, -1)

    whole = cells(0, grid.rows)
    rows = range(4, grid.rows - 6, 4)  # each strip with a row above and one below
    strips = np.concatenate([cells(row - 1, 6)[1:-1] for row in rows])
    cosines = (whole[4:][: len(strips)] * strips).sum(axis=-1)
    assert np.quantile(cosines, 0.1) >= 0.97


def test_a_full_page_is_no_better_a_match_for_being_full(
    late: MultiVectorEncoder, late_pages: LatePages
) -> None:
    """Every piece of a question finds something that looks like it where much is printed."""
    sources, _, matrices = late_pages
    full = np.array([source.startswith("project-history") for source in sources])
    asked = [question for question in QUESTIONS if "-report." in question["source"]]
    more = []
    for question, query in zip(
        asked, late.encode_queries([q["question"] for q in asked]), strict=True
    ):
        scores = maxsim_scores(query, matrices) / len(query)
        other_slides = ~full & (np.array(sources) != question["source"])
        more.append(scores[full].mean() - scores[other_slides].mean())
    assert np.mean(more) <= 0


@pytest.mark.parametrize("model", ["nano", "nano-colqwen2"])
@pytest.mark.parametrize(
    ("marked", "plain"),
    [
        ("¿Cuánta agua ahorra el riego?", "Cuánta agua ahorra el riego?"),
        ("Come si raccoglie l'uva?", "Come si raccoglie l uva?"),
        ("library (reading-room) fees", "library reading room) fees"),
    ],
)
def test_a_mark_before_a_word_says_nothing(model: str, marked: str, plain: str) -> None:
    first, second = load_encoder(model, device="cpu", dtype="float32").encode_queries(
        [marked, plain]
    )
    np.testing.assert_allclose(first, second, atol=1e-6)


@pytest.mark.parametrize("model", ["nano", "nano-colqwen2"])
def test_a_topic_is_found_where_it_is_a_heading_before_pages_that_mention_it(
    model: str, tmp_path: Path
) -> None:
    """Every topic heads one page and is mentioned on most others."""
    minutes = tmp_path / "minutes.pdf"
    minutes.write_bytes(_minutes_of_a_council())
    encoder = load_encoder(model, device="cpu")
    with open_pdf(minutes) as pdf:
        pages = encoder.encode_pages(pdf)
    scores = np.stack(
        [
            maxsim_scores(np.atleast_2d(q), [np.atleast_2d(p) for p in pages])
            for q in encoder.encode_queries(TOPICS)
        ]
    )
    assert (scores.argmax(axis=1) == np.arange(len(TOPICS))).sum() >= len(TOPICS) - 1


def test_what_a_page_says_is_found_beside_a_drawing_without_a_word(tmp_path: Path) -> None:
    """Notes and staves would be taken for print, and for large print."""
    encoder = load_encoder("nano", device="cpu")
    plain = _minutes_of_a_council()
    vectors: list[np.ndarray] = []
    for name, pdf in (("plain.pdf", plain), ("music.pdf", _with_music(plain))):
        (tmp_path / name).write_bytes(pdf)
        with open_pdf(tmp_path / name) as document:
            vectors.append(encoder.encode_pages(document))
    assert (vectors[0] * vectors[1]).sum(axis=1).min() > 0.4
    found = (encoder.encode_queries(TOPICS) @ vectors[1].T).argmax(axis=1)
    assert (found == np.arange(len(TOPICS))).sum() >= len(TOPICS) - 1


def _with_music(pdf: bytes) -> bytes:
    """The same pages with three staves below the text."""
    with pymupdf.open("pdf", pdf) as document:
        for number in range(document.page_count):
            page = document[number]
            for top in (560, 640, 720):
                for y in range(top, top + 35, 7):
                    page.draw_line((70, y), (525, y), width=0.8)
                for note in range(22):
                    x, y = 90 + 20 * note, top + 3.5 * ((3 * note**2 + 5 * number) % 9)
                    page.draw_oval((x - 4, y - 3, x + 4, y + 3), fill=(0, 0, 0))
                    page.draw_line((x + 4, y), (x + 4, y - 24), width=1.2)
        return document.tobytes()


def _minutes_of_a_council() -> bytes:
    paragraph = (
        "<p>The council heard a report and agreed that it would come back to {} in the spring, "
        "when the costs are known; members also asked about {} and about {}.</p>"
    )
    count = len(TOPICS)
    with pymupdf.open() as document:
        for number, title in enumerate(TOPICS):
            others = [TOPICS[(number + i) % count].lower() for i in (1, 2, 4, 4, 5, 7, 7, 8, 1)]
            document.new_page().insert_htmlbox(
                pymupdf.Rect(70, 70, 525, 770),
                "<p>It was agreed to wait for the auditors before anything else is decided about "
                f"{TOPICS[(number + 5) % count].lower()}.</p>"
                f"<h2>{number + 1}.1 {title}</h2>{(paragraph * 3).format(*others)}",
                css="body {font-size: 12pt; font-family: serif}"
                "h2 {font-size: 16.8pt; margin: 24pt 0 6pt 0}",
            )
        return document.tobytes()
