"""An encoder behind a server is the encoder: the same vectors, names, errors."""

from __future__ import annotations

import asyncio
import copy
import pickle
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from tests.serving import serving

from vdr_integrations import DenseEncoder, MultiVectorEncoder, PairedEncoder, load_encoder
from vdr_integrations.encoders.elsewhere.server_variables import KEY_VARIABLE
from vdr_integrations.errors import OptionError, QueryTooLongError
from vdr_integrations.serve import Access, ServeLimits, build_app

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vdr_integrations.encoders.load_options import LoadOptions

pytestmark = pytest.mark.usefixtures("loopback", "seen_pages")

EXACT: LoadOptions = {"device": "cpu", "dtype": "float32"}
"""In bfloat16, what else is in a batch changes the last digits."""
MODELS = ["nano", "nano-colqwen2"]
QUERIES = ["revenue", "Wie groß ist die Fläche (in m²)?", "  two  spaces ", "", "<|image_pad|>"]
SIDES = [(60, 80), (300, 40), (28, 28), (13, 900)]


@pytest.fixture(scope="module")
def addresses() -> Iterator[dict[str, str]]:
    """The server of each model; small requests, so that one window becomes several."""
    limits = ServeLimits(queue_items=64, request_items=3)
    with (
        serving(build_app(DenseEncoder.load("nano", **EXACT), limits=limits)) as dense,
        serving(
            build_app(MultiVectorEncoder.load("nano-colqwen2", **EXACT), limits=limits)
        ) as late,
    ):
        yield {"nano": dense, "nano-colqwen2": late}


@pytest.fixture(params=MODELS)
def model(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def own(model: str) -> DenseEncoder | MultiVectorEncoder:
    return load_encoder(model, **EXACT)


@pytest.fixture
def served(model: str, addresses: dict[str, str]) -> DenseEncoder | MultiVectorEncoder:
    return load_encoder(addresses[model])


def images() -> list[Image.Image]:
    shades = np.random.default_rng(3)
    return [
        Image.fromarray(shades.integers(0, 256, (height, width, 3), np.uint8))
        for width, height in SIDES
    ]


def same(found: object, expected: object) -> bool:
    """Whether vectors are equal to 1e-5."""
    assert isinstance(found, list | np.ndarray)
    assert isinstance(expected, list | np.ndarray)
    assert len(found) == len(expected)
    return all(
        np.allclose(one, other, atol=1e-5) for one, other in zip(found, expected, strict=True)
    )


def test_it_is_the_same_encoder(
    own: DenseEncoder | MultiVectorEncoder, served: DenseEncoder | MultiVectorEncoder
) -> None:
    assert type(served) is type(own)
    for name in (
        "name", "checkpoint", "dimension", "pixel_budget", "revision", "fingerprint", "device",
        "dtype", "batch_visual_tokens",
    ):  # fmt: skip
        assert getattr(served, name) == getattr(own, name), name
    assert repr(served) == repr(own)


async def test_vectors_are_the_same_with_and_without_an_event_loop(
    own: DenseEncoder | MultiVectorEncoder, served: DenseEncoder | MultiVectorEncoder
) -> None:
    pages, expected = images(), own.encode_pages(images())
    assert same(served.encode_pages(pages), expected)
    assert same(await served.aencode_pages(pages), expected)
    queries = own.encode_queries(QUERIES)
    assert same(served.encode_queries(QUERIES), queries)
    assert same(await served.aencode_queries(QUERIES), queries)
    assert same(served.encode_pages([]), own.encode_pages([]))
    assert same(served.encode_queries([]), own.encode_queries([]))


def test_the_client_chooses_dimension_and_budget(addresses: dict[str, str]) -> None:
    own = DenseEncoder.load(
        "nano", dimension=64, max_visual_tokens=20, device="cpu", dtype="float32"
    )
    served = DenseEncoder.load(addresses["nano"], truncate_dim=64, max_visual_tokens=20)
    assert served.fingerprint == own.fingerprint
    assert served.fingerprint != DenseEncoder.load(addresses["nano"]).fingerprint
    assert same(served.encode_pages(images()), own.encode_pages(images()))
    with pytest.raises(OptionError, match="between 1 and 512"):
        DenseEncoder.load(addresses["nano"], dimension=513)


def test_rows_of_a_matrix_have_names_and_places(addresses: dict[str, str]) -> None:
    own = MultiVectorEncoder.load("nano-colqwen2", **EXACT)
    served = MultiVectorEncoder.load(addresses["nano-colqwen2"])
    assert served.query_tokens("Wie groß?") == own.query_tokens("Wie groß?")
    assert served.query_prompt == own.query_prompt
    assert served.page_layout(842, 595) == own.page_layout(842, 595)


async def test_64_callers_get_their_own_vectors(
    own: DenseEncoder | MultiVectorEncoder, served: DenseEncoder | MultiVectorEncoder
) -> None:
    texts = [f"{'word ' * (n % 7)}number {n}" for n in range(64)]
    expected = own.encode_queries(texts)
    calls = [served.aencode_queries([text]) for text in texts]
    found = [vectors[0] for vectors in await asyncio.gather(*calls)]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


async def test_one_callers_bad_text_is_no_others_error(
    own: DenseEncoder | MultiVectorEncoder, served: DenseEncoder | MultiVectorEncoder
) -> None:
    long = "word " * 9000
    texts = ["a", long, "b", "c", long, "d"]
    calls = [served.aencode_queries([text]) for text in texts]
    found = await asyncio.gather(*calls, return_exceptions=True)
    for text, one in zip(texts, found, strict=True):
        if text is long:
            assert isinstance(one, QueryTooLongError)
            assert "4096" in str(one)
        else:
            assert not isinstance(one, BaseException)
            assert one[0].shape == own.encode_queries([text])[0].shape


def test_errors_are_those_of_the_encoder(
    own: DenseEncoder | MultiVectorEncoder, served: DenseEncoder | MultiVectorEncoder
) -> None:
    for bad in ("one text", ["a", 3], ["\ud800"], ["word " * 9000]):
        raised: list[str] = []
        for encoder in (own, served):
            with pytest.raises((OptionError, QueryTooLongError)) as error:
                encoder.encode_queries(bad)  # pyright: ignore[reportArgumentType]
            raised.append(f"{error.type.__name__}: {error.value}")
        assert raised[0] == raised[1]


def test_copies_and_pickles_connect_again(
    served: DenseEncoder | MultiVectorEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert copy.copy(served) is copy.deepcopy(served) is served
    again = pickle.loads(pickle.dumps(served))  # our own
    assert again.fingerprint == served.fingerprint
    assert same(again.encode_queries(["a"]), served.encode_queries(["a"]))


def test_a_pickle_holds_no_key(addresses: dict[str, str]) -> None:
    key = "s3cret-key-0123456789"
    app = build_app(DenseEncoder.load("nano"), access=Access(key=key))
    with serving(app) as address:
        encoder = load_encoder(address, token=key)
        pickled = pickle.dumps(encoder)
        assert key.encode() not in pickled
        assert key not in repr(encoder)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(KEY_VARIABLE, key)
            again = pickle.loads(pickled)  # our own
            assert again.encode_queries(["a"]).shape == (1, 512)


def test_the_other_kind_and_options_of_the_server_are_refused(addresses: dict[str, str]) -> None:
    with pytest.raises(OptionError, match="MultiVectorEncoder"):
        DenseEncoder.load(addresses["nano-colqwen2"])
    with pytest.raises(OptionError, match="DenseEncoder"):
        MultiVectorEncoder.load(addresses["nano"])
    with pytest.raises(OptionError, match="device, dtype"):
        load_encoder(addresses["nano"], device="cpu", dtype="float32")


@pytest.mark.parametrize(
    "address",
    ["http://", "http://host:port", "https://user:secret@host", "http://host/?key=secret"],
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(OptionError) as error:
        load_encoder(address)
    assert "secret" not in str(error.value)


def test_a_pair_of_served_encoders_gives_the_vectors_of_both(addresses: dict[str, str]) -> None:
    own = PairedEncoder(
        dense=DenseEncoder.load("nano", **EXACT),
        multi_vector=MultiVectorEncoder.load("nano-colqwen2", **EXACT),
    )
    served = PairedEncoder(
        dense=DenseEncoder.load(addresses["nano"]),
        multi_vector=MultiVectorEncoder.load(addresses["nano-colqwen2"]),
    )
    expected = own.encode_pages(images())
    for pair in (
        served,
        PairedEncoder(dense=own.dense, multi_vector=served.multi_vector),
        PairedEncoder(dense=served.dense, multi_vector=own.multi_vector),
    ):
        found = pair.encode_pages(images())
        assert same(found.dense, expected.dense)
        assert same(found.tokens, expected.tokens)
