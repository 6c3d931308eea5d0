"""Halves of surrogate pairs are refused by name before native code sees them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from tests.half_pairs import HALF_PAIRS, REFUSED
from tests.tiny_colqwen2 import write_base

from vdr_integrations import DenseEncoder, MultiVectorEncoder, load_encoder
from vdr_integrations.encoders import Checkpoint
from vdr_integrations.errors import OptionError

if TYPE_CHECKING:
    from pathlib import Path

Encoder = DenseEncoder | MultiVectorEncoder
of_every_kind = pytest.mark.parametrize("text", HALF_PAIRS.values(), ids=HALF_PAIRS)


@pytest.fixture(scope="module", params=["dense", "multi-vector"])
def encoder(
    request: pytest.FixtureRequest, tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory
) -> Encoder:
    if request.param == "dense":
        return load_encoder(str(tiny_checkpoint), device="cpu")
    folder = tmp_path_factory.mktemp("late") / "colqwen2-base"
    write_base(folder)
    return load_encoder(str(folder), device="cpu")


@of_every_kind
async def test_a_query_with_half_a_pair_is_refused(encoder: Encoder, text: str) -> None:
    with pytest.raises(OptionError, match=REFUSED):
        encoder.encode_queries([text])
    with pytest.raises(OptionError, match=rf"texts\[1\] {REFUSED}"):
        encoder.encode_queries(iter(["revenue", text, "costs"]))
    with pytest.raises(OptionError, match=rf"texts\[2\] {REFUSED}"):
        await encoder.aencode_queries(["revenue", "costs", text])
    assert len(encoder.encode_queries(["revenue"])) == 1  # the model is as before


@of_every_kind
def test_the_error_says_where_and_repeats_nothing_of_the_text(encoder: Encoder, text: str) -> None:
    secret = f"the password is hunter2 {text}"
    at = next(n for n, character in enumerate(secret) if "\ud800" <= character <= "\udfff")
    with pytest.raises(OptionError) as refused:
        encoder.encode_queries([secret])
    said = str(refused.value)
    assert f"character {at}," in said
    assert "hunter2" not in said
    assert said.isascii()
    assert refused.value.__suppress_context__


@of_every_kind
def test_the_repair_that_the_error_names_gives_a_text_that_is_taken(
    encoder: Encoder, text: str
) -> None:
    text = text[-100:]
    with pytest.raises(OptionError) as refused:
        encoder.encode_queries([text])
    repair = re.search(r"text\.encode\(.*?\)\.decode\(.*?\)", str(refused.value))
    assert repair is not None
    repaired = eval(repair[0], {"text": text})
    assert len(encoder.encode_queries([repaired])) == 1
    if text == HALF_PAIRS["two halves"]:
        assert repaired == "what \N{GRINNING FACE} is"


def test_whole_characters_of_every_plane_are_taken(encoder: Encoder) -> None:
    texts = ["\N{GRINNING FACE}", "\N{MAN}\u200d\N{WOMAN}", "\U0010ffff\uffff\x00", "\ufffd", ""]
    assert len(encoder.encode_queries(texts)) == len(texts)


@of_every_kind
def test_the_tokens_of_half_a_pair_are_refused(encoder: Encoder, text: str) -> None:
    if isinstance(encoder, MultiVectorEncoder):
        with pytest.raises(OptionError, match=REFUSED):
            encoder.query_tokens(text)
        with pytest.raises(OptionError, match="must be a string, found int"):
            encoder.query_tokens(5)  # pyright: ignore[reportArgumentType]


def test_a_query_that_is_no_string_is_refused_by_its_place(encoder: Encoder) -> None:
    with pytest.raises(OptionError, match=r"texts\[1\] must be a string, found int"):
        encoder.encode_queries(["a", 5])  # pyright: ignore[reportArgumentType]


@of_every_kind
@pytest.mark.parametrize(
    ("prompt", "around"),
    [
        ("page_prompt", "<|image_pad|>{}<|endoftext|>"),
        ("page_prompt", "{}<|image_pad|>"),
        ("query_prompt", "<|image_pad|>{} {{query}}"),
        ("query_prompt", "<|image_pad|>{{query}}{}"),
    ],
)
def test_a_prompt_with_half_a_pair_is_refused_when_it_is_described(
    prompt: str, around: str, text: str
) -> None:
    described: dict[str, Any] = {prompt: around.format(text)}
    with pytest.raises(OptionError, match=f"{prompt} of mine {REFUSED}"):
        Checkpoint(model="mine", **described)


@pytest.mark.parametrize("prompt", ["page_prompt", "query_prompt"])
def test_a_prompt_that_is_no_string_is_refused_when_it_is_described(prompt: str) -> None:
    described: dict[str, Any] = {prompt: None}
    with pytest.raises(OptionError, match=f"{prompt} of mine must be a string, found NoneType"):
        Checkpoint(model="mine", **described)
