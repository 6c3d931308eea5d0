"""From a question to pages: one object for all that can be asked of an index."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, Self, Unpack

from vdr_integrations.errors import OptionError
from vdr_integrations.index.engine import LOCK_WAIT_S
from vdr_integrations.index.sync.page_encoding import PageEncoding
from vdr_integrations.index.sync.page_ingest import PageIngest
from vdr_integrations.pages import PageStore
from vdr_integrations.pages.page_inputs import open_page
from vdr_integrations.pages.process_limits import DEFAULT_PROCESS_LIMITS, ProcessLimits
from vdr_integrations.retrieval.explaining import prompt_of, question_grids
from vdr_integrations.retrieval.found_page import FoundPage
from vdr_integrations.retrieval.heatmap import HeatMap
from vdr_integrations.retrieval.index_and_encoders import IndexAndEncoders
from vdr_integrations.retrieval.page_pictures import PagePictures
from vdr_integrations.retrieval.question import Question
from vdr_integrations.retrieval.regions import regions_of_words
from vdr_integrations.retrieval.reranking import PageScores
from vdr_integrations.retrieval.searching import SearchPlan, ahits_of, hits_of, hits_of_many
from vdr_integrations.types.hit import explained

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from PIL import Image

    from vdr_integrations.encoders import DenseEncoder, MultiVectorEncoder, PairedEncoder
    from vdr_integrations.encoders.encoder_on_demand import EncoderOptions
    from vdr_integrations.index import Compression
    from vdr_integrations.index.page_index import PageIndex
    from vdr_integrations.index.sync.page_ingest import GivenPage
    from vdr_integrations.pages.page_inputs import ImageInput
    from vdr_integrations.retrieval.bank_choice import QuestionBankChoice
    from vdr_integrations.retrieval.found_page import AnyPage
    from vdr_integrations.retrieval.open_indexes import IndexChoice, SharedIndex
    from vdr_integrations.retrieval.regions import Region
    from vdr_integrations.retrieval.reranking import RankedPage
    from vdr_integrations.retrieval.searching import SearchOptions
    from vdr_integrations.retrieval.similarity import SimilarityGrids
    from vdr_integrations.types import Hit, PageImage

    AnyQuestion = str | Sequence[str] | Question

__all__ = ["PageSearcher"]


class PageSearcher:
    """Finds pages of an index, of either kind, and shows them.

        searcher = PageSearcher("my-index")
        hits = searcher.search("How did revenue change?", k=3)
        hits[0].heatmap().image().save("why.png")

    Index and model are opened and loaded on first use. Objects that name the same place share one
    open index; copies share index and model; pickles hold neither. Any number of threads and tasks
    may use one object. Every method has a twin for event loops: ``asearch`` for ``search``.

    Attributes:
        page_store: Where images of pages are kept.
        password: Password of encrypted PDFs whose pages are drawn again.
        process_limits: Limits of the process that draws them; None draws in this process.
    """

    def __init__(
        self,
        index: IndexChoice | SharedIndex | None,
        *,
        encoder: MultiVectorEncoder | DenseEncoder | EncoderOptions | None = None,
        recall: DenseEncoder | EncoderOptions | None = None,
        page_store: PageStore | str | Path | None = None,
        password: str | None = None,
        process_limits: ProcessLimits | None = DEFAULT_PROCESS_LIMITS,
        late_only: bool = False,
    ) -> None:
        """Open and load nothing yet.

        Args:
            index: An open index, its folder, a ``QdrantServer``, or
                ``"http://host:6333/collection"``; a list of several, which are searched as one; or
                None to rerank without an index.
            encoder: The encoder that made the index, or options to load it with. What they leave
                open is taken from the index.
            recall: The encoder of the dense vectors in an index of late interaction, or options to
                load it with: use these vectors to select candidates first.
            page_store: Store, folder or URL; None uses ``$VDR_PAGE_STORE``, or the user's folder.
            password: Password of encrypted PDFs.
            process_limits: Limits of the process that draws pages again; None draws in this one.
            late_only: Refuse an index of one vector a page.

        Raises:
            OptionError: ``index`` is something else.
        """
        self._made_of = {"encoder": encoder, "recall": recall, "late_only": late_only}
        self._parts = IndexAndEncoders(index, encoder, recall, late_only=late_only)
        self.page_store = page_store if isinstance(page_store, PageStore) else PageStore(page_store)
        self.password = password
        self.process_limits = process_limits

    @property
    def index(self) -> PageIndex:
        """The index, opened on first use.

        Raises:
            IndexStoreError: It cannot be opened.
            OptionError: The searcher was made without one.
        """
        return self._parts.index()

    @property
    def encoder(self) -> MultiVectorEncoder | DenseEncoder:
        """The encoder that made the index, loaded on first use.

        Raises:
            IndexMismatchError: Another model made the index.
            CheckpointError: The model cannot be loaded.
        """
        return self._parts.encoder(self.index)

    @property
    def page_encoder(self) -> MultiVectorEncoder | DenseEncoder | PairedEncoder:
        """What ``sync_index`` encodes pages with: both encoders if the index keeps both vectors.

        Raises:
            IndexMismatchError: The index keeps both, and no ``recall`` was given.
        """
        return self._parts.page_encoder(self.index)

    @property
    def model_name(self) -> str | None:
        """The model that the caller chose; None if the index decides."""
        return self._parts.model_name

    @property
    def pictures(self) -> PagePictures:
        """Images of the pages that the index knows, and of parts of them.

        They come from the page store, or are drawn again at the size that the index was made with.
        """
        budget = self._parts.pixel_budget()
        return PagePictures(self.page_store, budget, self.password, self.process_limits)

    def create(
        self,
        *,
        late_interaction: bool = True,
        compression: Compression | None = None,
        question_bank: QuestionBankChoice = "model",
        wait_s: float = LOCK_WAIT_S,
    ) -> PageIndex:
        """The index, made in its place if there is none.

        The model is loaded first: a model that cannot be loaded leaves no folder behind. An index
        in a folder that holds no document is made again if it does not fit.

        Args:
            late_interaction: Keep one vector a token; else one a page. An index that is there
                keeps its kind.
            compression: How token vectors are stored.
            question_bank: Questions by which scores are corrected, see ``QuestionBank``; "model":
                those that the checkpoint brings, if it brings any; None: scores are MaxSim.
            wait_s: How long writes wait for another writer.

        Raises:
            OptionError: The index was made with another compression or question bank.
            IndexStoreError: It cannot be opened or made.
        """
        index = self._parts.create(
            late_interaction=late_interaction,
            compression=compression,
            question_bank=question_bank,
            wait_s=wait_s,
        )
        if compression is not None and compression != index.compression:
            raise OptionError(
                f"index {index.path} was made with {index.compression}, found {compression}; "
                f"leave compression out, or make another index."
            )
        self.check_bank(question_bank)
        return index

    def check_bank(self, question_bank: QuestionBankChoice) -> None:
        """Refuse an index with another question bank; "model" fits any.

        Raises:
            OptionError: The index was made with another one, or without one.
        """
        if not (isinstance(question_bank, str) and question_bank == "model"):
            self._parts.check_bank(question_bank, self.index)

    def add_pages(
        self,
        pages: Sequence[GivenPage],
        *,
        batch_pages: int | None = None,
        on_document: Callable[[int], object] | None = None,
    ) -> None:
        """Put pages into an index of late interaction, document by document.

        Their images are taken from the page store. A page that the index holds as it is is left
        alone, and pages of its document that are not given stay.

        Args:
            pages: In any order.
            batch_pages: Pages in memory at a time, at least 1; None: as many as the encoder takes
                in one batch, and at least 32.
            on_document: Called with the number of given pages of each document that is done.

        Raises:
            OptionError: One page with two images, or ``batch_pages`` below 1.
            IndexMismatchError: Another encoder made the index, or it keeps dense vectors too and
                there is no ``recall``.
            PageError: An image is not in the page store, or the store cannot be read.
            IndexLockedError: Another writer was still at work after ``wait_s``.
        """
        index = self._parts.late_index()
        if index is None:
            raise OptionError("this searcher has no index; give one to add pages.")
        with self._parts.recovering(index):
            encoding = PageEncoding(self.page_encoder)
            most = encoding.batch_pages(batch_pages)
            ingest = PageIngest(index, encoding, self.page_store, most)
            ingest.add(pages, on_document=on_document)

    def close(self) -> None:
        """Close the index if it was opened here and nobody else uses it; the next use opens it."""
        if self._parts.shared is not None:
            self._parts.shared.close()

    def __enter__(self) -> Self:
        """The searcher itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def search(self, question: AnyQuestion, **options: Unpack[SearchOptions]) -> list[Hit]:
        """The pages that answer a question best, best first.

        Args:
            question: A text in plain words, several that count together, or a ``Question``.
            **options: ``k``, ``filter``, ``exhaustive``, ``candidates``, ``correction``,
                ``hybrid``: see
                :class:`~vdr_integrations.retrieval.SearchOptions`.

        Returns:
            Hits that can draw their heat map, see ``Hit.heatmap``.

        Raises:
            OptionError: Arguments outside what is allowed.
            IndexStoreError: The index cannot be used, or was made by another model.
            CheckpointError: The model cannot be loaded.
            EncodingError: The model could not give vectors.
        """
        asked = Question.of(question)
        return self._explained(hits_of(self._parts, asked, SearchPlan(**options)), asked)

    async def asearch(self, question: AnyQuestion, **options: Unpack[SearchOptions]) -> list[Hit]:
        """:meth:`search` without blocking the event loop."""
        asked = Question.of(question)
        return self._explained(await ahits_of(self._parts, asked, SearchPlan(**options)), asked)

    def search_many(
        self, questions: Sequence[str], **options: Unpack[SearchOptions]
    ) -> Iterator[list[Hit]]:
        """The hits of each question, in order, see :meth:`search`; all are encoded in batches."""
        for asked, hits in hits_of_many(self._parts, questions, SearchPlan(**options)):
            yield self._explained(hits, asked)

    def search_image(
        self, image: ImageInput, *, text: str | None = None, **options: Unpack[SearchOptions]
    ) -> list[Hit]:
        """The pages most like an image: a path, bytes, ``data:`` URI, PIL image, array or page.

        Args:
            image: Or the reference of a stored page; URLs are refused.
            text: Words that count as much as the image, see ``Question``.
            **options: See :meth:`search`.

        Raises:
            PageError: The image cannot be opened, or a reference does not resolve.
        """
        page = open_page(image, store=self.page_store)
        return self.search(Question.of_image(page, text), **options)

    async def asearch_image(
        self, image: ImageInput, *, text: str | None = None, **options: Unpack[SearchOptions]
    ) -> list[Hit]:
        """:meth:`search_image` without blocking the event loop."""
        page = await asyncio.to_thread(open_page, image, store=self.page_store)
        return await self.asearch(Question.of_image(page, text), **options)

    def rerank(
        self,
        question: AnyQuestion,
        pages: Sequence[AnyPage],
        *,
        top_n: int | None = None,
        correction: float | None = None,
    ) -> list[RankedPage]:
        """The order of pages by late interaction with a question, whatever found them.

        A page that the index holds, pixel for pixel, is scored by its stored vectors. The others
        are encoded, in one batch, and compared as if the index held them, so all scores compare.

        Args:
            question: See :meth:`search`.
            pages: Hits, pages of an index, or ``FoundPage``; in any order.
            top_n: At most this many; None: all of them.
            correction: See ``SearchOptions``. Without an index, the question bank of the checkpoint
                counts, if it brings one.

        Returns:
            Places in ``pages`` with their scores, best first; equal scores stay in order.

        Raises:
            OptionError: A page without an image, or an index of one vector a page.
            PageReferenceError: A page's image is needed and is not available.
        """
        asked, found = Question.of(question), [FoundPage.of(page) for page in pages]
        if not found:
            return []
        index = self._parts.late_index()
        with self._parts.recovering(index):
            encoder = self._parts.late_encoder(index)
            query = self._parts.tokens(asked, encoder)
            scale = self._parts.scale(asked, query, index, encoder, correction=correction)
            scores = PageScores(found, query, index=index, pictures=self.pictures, scale=scale)
            ids = scores.look_up()
            if index is not None:
                scores.take_stored(index.rerank(query, ids, correction=scale.correction))
            images = scores.load_missing(encoder)
            if images:
                scores.take_encoded(encoder.encode_pages(images), encoder)
            return scores.best(top_n)

    async def arerank(
        self,
        question: AnyQuestion,
        pages: Sequence[AnyPage],
        *,
        top_n: int | None = None,
        correction: float | None = None,
    ) -> list[RankedPage]:
        """:meth:`rerank` without blocking the event loop."""
        asked, found = Question.of(question), [FoundPage.of(page) for page in pages]
        if not found:
            return []
        await self._parts.aopen()
        index = self._parts.late_index()
        with self._parts.recovering(index):
            encoder = self._parts.late_encoder(index)
            query = await self._parts.atokens(asked, encoder)
            scale = await asyncio.to_thread(
                self._parts.scale, asked, query, index, encoder, correction=correction
            )
            scores = PageScores(found, query, index=index, pictures=self.pictures, scale=scale)
            ids = await asyncio.to_thread(scores.look_up)
            if index is not None:
                scores.take_stored(await index.arerank(query, ids, correction=scale.correction))
            images = await asyncio.to_thread(scores.load_missing, encoder)
            if images:
                matrices = await encoder.aencode_pages(images)
                await asyncio.to_thread(scores.take_encoded, matrices, encoder)
            return scores.best(top_n)

    def grids(self, question: AnyQuestion, page: AnyPage) -> SimilarityGrids:
        """Where on a page each token of a question matches: what heat maps are drawn from.

        Stored vectors are used. If the index does not hold the page, or its tokens were pooled, the
        page's image is encoded.

        Args:
            question: Texts or token vectors, see :meth:`search`.
            page: A hit, a page of an index, or a ``FoundPage``.

        Raises:
            OptionError: A question that is an image, a page that is a text, or an index of one
                vector a page.
            PageReferenceError: The page's image is needed and is not available.
        """
        asked, found = Question.of(question).in_words, FoundPage.of(page)
        return question_grids(asked, found, parts=self._parts, pictures=self.pictures)

    def heatmap(
        self,
        question: AnyQuestion,
        page: AnyPage,
        *,
        image: Image.Image | PageImage | None = None,
    ) -> HeatMap:
        """:meth:`grids` drawn over the page: which words match where.

        Args:
            question: See :meth:`grids`.
            page: See :meth:`grids`.
            image: The page's image; None takes it from the page store, or draws the file again.

        Raises:
            OptionError: As :meth:`grids`.
            PageReferenceError: The page's image is not available.
        """
        asked, found = Question.of(question).in_words, FoundPage.of(page)
        grids = self.grids(asked, found)
        drawn = self.pictures.indexed(found) if image is None else image
        return HeatMap(grids, drawn, prompt=prompt_of(asked, self._parts), label=found.title)

    def regions(self, question: AnyQuestion, page: AnyPage, *, count: int = 1) -> list[Region]:
        """The parts of a page that the words of a question match, strongest first.

        Args:
            question: See :meth:`grids`.
            page: See :meth:`grids`.
            count: At most this many; at least 1.

        Raises:
            OptionError: As :meth:`grids`, or ``count`` below 1.
            PageReferenceError: The page's image is needed and is not available.
        """
        asked = Question.of(question).in_words
        grids = self.grids(asked, page)
        return regions_of_words(grids, prompt=prompt_of(asked, self._parts), count=count)

    async def agrids(self, question: AnyQuestion, page: AnyPage) -> SimilarityGrids:
        """:meth:`grids` without blocking the event loop."""
        return await asyncio.to_thread(self.grids, question, page)

    async def aheatmap(
        self,
        question: AnyQuestion,
        page: AnyPage,
        *,
        image: Image.Image | PageImage | None = None,
    ) -> HeatMap:
        """:meth:`heatmap` without blocking the event loop."""
        return await asyncio.to_thread(self.heatmap, question, page, image=image)

    async def aregions(
        self, question: AnyQuestion, page: AnyPage, *, count: int = 1
    ) -> list[Region]:
        """:meth:`regions` without blocking the event loop."""
        return await asyncio.to_thread(self.regions, question, page, count=count)

    def _explained(self, hits: Sequence[Hit], question: Question) -> list[Hit]:
        def with_explanation(hit: Hit) -> Hit:
            def explanation(*, page: Image.Image | PageImage | None) -> HeatMap:
                return self.heatmap(question, hit, image=page)

            return explained(hit, explanation)

        return [with_explanation(hit) for hit in hits]

    def __deepcopy__(self, _: object) -> Self:
        """Itself: nothing in it changes."""
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """Where the index is, and the choice of encoders; hub token and password stay here.

        Raises:
            TypeError: The index is on a server that takes a key or a client, or was given open.
        """
        shared = self._parts.shared
        if shared is not None:
            shared.__reduce__()  # refuses what cannot be pickled
        index = None if shared is None else shared.location
        kept = {"page_store": self.page_store, "process_limits": self.process_limits}
        made_again = partial(PageSearcher, index, **self._made_of, **kept)
        return made_again, ()

    def __repr__(self) -> str:
        """The place of the index."""
        return f"PageSearcher({self._parts.shared})"
