"""A model that a server runs as vLLM does: its vectors, and what is refused."""

from __future__ import annotations

import asyncio
import pickle
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from starlette.responses import JSONResponse
from tests.hub_cache import cached_repository
from tests.serving import serving
from tests.tiny_families import write_tiny_tomoro
from tests.vllm_stand_in import IMAGE, QWEN3_CHAT, VllmStandIn

from vdr_integrations import DenseEncoder, MultiVectorEncoder, load_encoder
from vdr_integrations.encoders import KNOWN_CHECKPOINTS, Checkpoint
from vdr_integrations.encoders.elsewhere.server_variables import KEY_VARIABLE
from vdr_integrations.errors import (
    CheckpointError,
    ModelServerError,
    OptionError,
    QueryTooLongError,
    UnknownCheckpointError,
)
from vdr_integrations.types import PixelBudget

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

pytestmark = pytest.mark.usefixtures("loopback")

TOMORO = "TomoroAI/tomoro-colqwen3-embed-4b"
QUERIES = ["revenue", "Wie groß ist die Fläche (in m²)?", "  two  spaces ", "", "<|image_pad|> x"]
SIDES = [(96, 128), (300, 40), (64, 64), (33, 500)]
OTHER_CHAT = (
    f"<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\n{IMAGE}\n{{text}}<|im_end|>\n"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_tomoro(tmp_path_factory.mktemp("made") / "tomoro-colqwen3-embed-4b")


@pytest.fixture(scope="module")
def hub(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A hub's cache of the checkpoint, without its weights."""
    place = tmp_path_factory.mktemp("hub")
    snapshot = cached_repository(place, TOMORO, folder, commit="1" * 40)
    (snapshot / "model.safetensors").unlink()
    return str(place)


@pytest.fixture(scope="module")
def own(folder: Path) -> MultiVectorEncoder:
    return MultiVectorEncoder.load(str(folder), device="cpu", dtype="float32", max_visual_tokens=24)


@pytest.fixture
def vllm(folder: Path) -> VllmStandIn:
    return VllmStandIn(folder=folder, tokenizer=folder / "tokenizer.json", name=TOMORO, root=TOMORO)


@pytest.fixture
def address(vllm: VllmStandIn) -> Iterator[str]:
    with serving(vllm) as address:
        yield address


@pytest.fixture
def load(address: str, hub: str) -> Callable[..., MultiVectorEncoder]:
    def loaded(**options: Any) -> MultiVectorEncoder:
        given: dict[str, Any] = {"cache_dir": hub, "max_visual_tokens": 24, **options}
        return MultiVectorEncoder.load(address, **given)

    return loaded


def images() -> list[Image.Image]:
    shades = np.random.default_rng(3)
    return [
        Image.fromarray(shades.integers(0, 256, (height, width, 3), np.uint8))
        for width, height in SIDES
    ]


def same(found: list[NDArray[np.float32]], expected: list[NDArray[np.float32]]) -> bool:
    assert [one.shape for one in found] == [one.shape for one in expected]
    return all(
        np.allclose(one, other, atol=1e-5) for one, other in zip(found, expected, strict=True)
    )


@pytest.mark.parametrize("expands", [False, True])
async def test_vectors_are_those_of_the_checkpoint_without_its_weights(
    vllm: VllmStandIn,
    load: Callable[..., MultiVectorEncoder],
    own: MultiVectorEncoder,
    *,
    expands: bool,
) -> None:
    vllm.expands = expands
    encoder = load()
    pages, queries = own.encode_pages(images()), own.encode_queries(QUERIES)
    assert same(encoder.encode_pages(images()), pages)
    assert same(await encoder.aencode_pages(images()), pages)
    assert same(encoder.encode_queries(QUERIES), queries)
    assert same(await encoder.aencode_queries(QUERIES), queries)
    assert encoder.encode_pages([]) == encoder.encode_queries([]) == []
    assert encoder.query_tokens("Wie groß?") == own.query_tokens("Wie groß?")
    assert encoder.page_layout(842, 595) == own.page_layout(842, 595)
    assert encoder.pixel_budget == own.pixel_budget


def test_its_name_and_fingerprint_are_never_those_of_a_model_that_is_loaded_here(
    load: Callable[..., MultiVectorEncoder], own: MultiVectorEncoder
) -> None:
    encoder = load()
    assert encoder.name == f"vllm:{TOMORO}"
    assert encoder.checkpoint == replace(KNOWN_CHECKPOINTS[TOMORO], model=encoder.name)
    assert encoder.fingerprint != own.fingerprint
    assert encoder.revision is None
    with pytest.raises(UnknownCheckpointError, match="address"):
        load_encoder(encoder.name)


def test_servers_of_one_checkpoint_can_take_each_others_place(
    vllm: VllmStandIn, load: Callable[..., MultiVectorEncoder]
) -> None:
    one = load()
    vllm.name, vllm.root = "embed", "/models/tomoro-colqwen3-embed-4b/"
    assert load().fingerprint == one.fingerprint
    vllm.chat = f"{QWEN3_CHAT}<|im_start|>assistant\n"  # behind all that counts
    assert load().fingerprint == one.fingerprint
    vllm.root = "TomoroAI/tomoro-colqwen3-embed-8b"
    with pytest.raises(CheckpointError, match="here only the small files are needed"):
        load()
    vllm.root, vllm.chat = TOMORO, OTHER_CHAT
    assert load().fingerprint != one.fingerprint


def test_another_prompt_of_the_server_counts_as_it_is(
    vllm: VllmStandIn, load: Callable[..., MultiVectorEncoder], folder: Path
) -> None:
    vllm.chat = OTHER_CHAT
    encoder = load()
    known = KNOWN_CHECKPOINTS[TOMORO]
    prompt = OTHER_CHAT.replace("{text}", "Describe the image.<|im_end|><|endoftext|>")
    assert encoder.checkpoint.page_prompt == prompt
    there = MultiVectorEncoder.load(
        str(folder),
        checkpoint=replace(known, page_prompt=prompt),
        device="cpu",
        dtype="float32",
        max_visual_tokens=24,
    )
    assert same(encoder.encode_pages(images()), there.encode_pages(images()))
    assert encoder.page_layout(64, 96) == there.page_layout(64, 96)


async def test_many_callers_get_their_own_vectors(
    vllm: VllmStandIn, load: Callable[..., MultiVectorEncoder], own: MultiVectorEncoder
) -> None:
    encoder = load()
    texts = [f"{'word ' * (n % 5)}number {n}" for n in range(24)]
    before = len(vllm.asked)
    found = await asyncio.gather(*(encoder.aencode_queries([text]) for text in texts))
    assert same([one for (one,) in found], own.encode_queries(texts))
    assert sum(path == "/pooling" for path, _ in vllm.asked[before:]) < len(texts)


WRONG: list[tuple[Callable[[NDArray[np.float32]], object], str]] = [
    (lambda rows: rows[-1], r"shape \(320,\) for \d+ tokens"),
    (lambda rows: np.concatenate([rows, rows[:1]]), r"shape \(\d+, 320\) for \d+ tokens"),
    (lambda rows: rows[:, :128], "vectors of 128 components, and 320 are expected"),
    (lambda rows: np.hstack([rows, rows]), "vectors of 640 components, and 320"),
    (lambda rows: 2 * rows, "not of length 1"),
    (lambda rows: 0 * rows, "not of length 1, or not finite"),
    (lambda rows: [[None] * 320 for _ in rows], "not of length 1, or not finite"),
    (lambda _: "text", r"shape \(0,\)"),
]


@pytest.mark.parametrize(("change", "told"), WRONG)
def test_vectors_of_another_kind_are_refused_at_the_first_contact(
    vllm: VllmStandIn,
    load: Callable[..., MultiVectorEncoder],
    change: Callable[[Any], Any],
    told: str,
) -> None:
    vllm.change = change
    with pytest.raises(ModelServerError, match=told) as error:
        load()
    assert TOMORO in str(error.value)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"chat": "<|im_start|>user\n{text}<|im_end|>"}, "0 places of a page"),
        ({"chat": f"{IMAGE}{IMAGE}{{text}}"}, "2 places of a page"),
        ({"budget": PixelBudget(min_visual_tokens=16, factor=32)}, r"it resizes pages"),
    ],
)
def test_a_server_that_reads_pages_in_another_way_is_refused_at_the_first_contact(
    vllm: VllmStandIn, load: Callable[..., MultiVectorEncoder], change: dict[str, Any], told: str
) -> None:
    for name, value in change.items():
        setattr(vllm, name, value)
    with pytest.raises(ModelServerError, match=told):
        load()


def test_another_tokenizer_is_refused_at_the_first_contact(
    vllm: VllmStandIn, load: Callable[..., MultiVectorEncoder]
) -> None:
    vllm.answers = [None, JSONResponse({"tokens": [1, 2, 3]})]
    with pytest.raises(ModelServerError, match="its tokenizer gives 3 tokens"):
        load()


def test_a_page_that_the_server_resizes_is_an_error(
    vllm: VllmStandIn, load: Callable[..., MultiVectorEncoder]
) -> None:
    vllm.budget = PixelBudget(max_visual_tokens=8, factor=32)
    encoder = load()
    assert len(encoder.encode_pages(images()[2:3])) == 1
    with pytest.raises(
        ModelServerError, match=r"vectors for 6 visual tokens .* which has 12"
    ) as error:
        encoder.encode_pages(images()[:1])
    assert "max_visual_tokens" in str(error.value)
    assert "--mm-processor-kwargs" in str(error.value)


def test_small_pages_are_enlarged_here_as_the_checkpoints_own_processor_does(
    vllm: VllmStandIn, address: str, folder: Path, tmp_path: Path
) -> None:
    mine = tmp_path / "tomoro-colqwen3-embed-4b"
    shutil.copytree(folder, mine)
    path = mine / "preprocessor_config.json"
    text = path.read_text(encoding="utf-8").rstrip().removesuffix("}")
    path.write_text(text + ', "size": {"shortest_edge": 16384, "longest_edge": 99999999}}')
    vllm.budget = PixelBudget(min_visual_tokens=16, factor=32)
    described = replace(KNOWN_CHECKPOINTS[TOMORO], model=str(mine))
    encoder = load_encoder(address, checkpoint=described)
    assert encoder.pixel_budget.min_visual_tokens == 16
    assert len(encoder.encode_pages(images())) == 4


def test_a_server_that_serves_another_model_now_is_refused(
    vllm: VllmStandIn, load: Callable[..., MultiVectorEncoder]
) -> None:
    encoder = load()
    changes: list[dict[str, Any]] = [
        {"root": "/models/other"},
        {"name": "other"},
        {"max_model_len": 1024},
    ]
    for change in changes:
        before = {name: getattr(vllm, name) for name in change}
        vllm.__dict__.update(change)
        for encode in (
            lambda: encoder.encode_queries(["a"]),
            lambda: encoder.encode_pages(images()),
        ):
            with pytest.raises(ModelServerError, match="load the encoder again"):
                encode()
        vllm.__dict__.update(before)
    vllm.chat = QWEN3_CHAT.replace("user", "page")
    with pytest.raises(ModelServerError, match=r"its chat template.*load the encoder again"):
        encoder.encode_pages(images())
    vllm.chat = OTHER_CHAT
    with pytest.raises(ModelServerError):
        encoder.encode_pages(images())


def test_a_busy_server_is_asked_again_and_what_it_says_is_told(
    vllm: VllmStandIn, load: Callable[..., MultiVectorEncoder], own: MultiVectorEncoder
) -> None:
    encoder = load()
    busy = JSONResponse({"error": {}}, status_code=503, headers={"retry-after": "0"})
    vllm.answers = [busy, None, busy]
    assert same(encoder.encode_queries(["a"]), own.encode_queries(["a"]))
    for body in ({"error": {"message": "No.", "type": "X"}}, {"message": "No.", "type": "X"}):
        vllm.answers = [JSONResponse(body, status_code=400)]
        with pytest.raises(ModelServerError, match=r"HTTP 400; .* It says: 'No\.'"):
            encoder.encode_queries(["a"])


@pytest.mark.parametrize(
    "body",
    [[], {"data": []}, {"data": [{"index": 0}]}, {"data": [{"index": 0, "data": "$$"}]},
     {"data": [{"index": 0, "data": "AAAA"}]}, {"data": [{"index": 0, "data": [[1.0]]}]}],
)  # fmt: skip
def test_answers_of_something_else_are_refused(
    vllm: VllmStandIn, load: Callable[..., MultiVectorEncoder], body: object
) -> None:
    encoder = load()
    vllm.answers = [JSONResponse(body)]
    with pytest.raises(ModelServerError, match="something else than what vLLM gives"):
        encoder.encode_queries(["a"])


def test_the_length_that_the_server_takes_is_that_of_the_encoder(
    vllm: VllmStandIn, load: Callable[..., MultiVectorEncoder]
) -> None:
    vllm.max_model_len = 128
    encoder = load()
    asked = len(vllm.asked)
    with pytest.raises(QueryTooLongError, match="accepts 1"):
        encoder.encode_queries(["word " * 40])
    assert len(vllm.asked) == asked
    with pytest.raises(OptionError, match="max_visual_tokens=768"):
        load(max_visual_tokens=768)


def test_what_it_serves_must_be_known_or_described(
    vllm: VllmStandIn, address: str, folder: Path, own: MultiVectorEncoder
) -> None:
    vllm.name = vllm.root = "mine/late"
    with pytest.raises(UnknownCheckpointError, match=r"serves mine/late.*tomoro.*checkpoint="):
        load_encoder(address)
    described = replace(KNOWN_CHECKPOINTS[TOMORO], model=str(folder))
    encoder = load_encoder(address, checkpoint=described, max_visual_tokens=24)
    assert isinstance(encoder, MultiVectorEncoder)
    assert encoder.name == "vllm:tomoro-colqwen3-embed-4b"
    assert same(encoder.encode_pages(images()), own.encode_pages(images()))
    with pytest.raises(OptionError, match="MultiVectorEncoder"):
        DenseEncoder.load(address, checkpoint=described)
    vllm.root = "Qwen/Qwen3-VL-Embedding-2B"
    with pytest.raises(OptionError, match="one vector a page"):
        load_encoder(address)
    vllm.owner, vllm.root = "someone", "mine/late"
    with pytest.raises(ModelServerError, match=r"is not vdr serve .*, and not vLLM"):
        load_encoder(address)


def test_a_checkpoint_that_is_described_with_fewer_components_is_cut_before_the_norm(
    vllm: VllmStandIn, address: str, folder: Path
) -> None:
    vllm.name = vllm.root = "mine/late"
    described = Checkpoint(
        model=str(folder),
        page_prompt=KNOWN_CHECKPOINTS[TOMORO].page_prompt,
        query_prompt="{query}",
        pooling="multi_vector",
        token_dimension=64,
        keeps_leading=True,
        min_visual_tokens=4,
    )
    own = MultiVectorEncoder.load(
        str(folder), checkpoint=described, device="cpu", dtype="float32", max_visual_tokens=24
    )
    encoder = MultiVectorEncoder.load(address, checkpoint=described, max_visual_tokens=24)
    assert encoder.dimension == 64
    assert same(encoder.encode_pages(images()), own.encode_pages(images()))
    assert same(encoder.encode_queries(["a"]), own.encode_queries(["a"]))


def test_the_key_is_sent_and_not_pickled(
    vllm: VllmStandIn,
    load: Callable[..., MultiVectorEncoder],
    own: MultiVectorEncoder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    vllm.key = key = "s3cret-key-0123456789"
    with pytest.raises(ModelServerError, match=KEY_VARIABLE):
        load()
    pickled = pickle.dumps(load(token=key))
    assert key.encode() not in pickled
    monkeypatch.setenv(KEY_VARIABLE, key)
    again = pickle.loads(pickled)  # our own
    assert same(again.encode_queries(["a"]), own.encode_queries(["a"]))
    with pytest.raises(OptionError, match="device"):
        load(device="cpu")
