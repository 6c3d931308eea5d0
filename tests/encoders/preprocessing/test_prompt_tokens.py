"""Prompts as ids."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from vdr_integrations.encoders.checkpoints.known_checkpoints import (
    KNOWN_CHECKPOINTS,
    checkpoint_for,
)
from vdr_integrations.encoders.preprocessing.prompt_tokens import TokenizedPrompts

if TYPE_CHECKING:
    from pathlib import Path

    from transformers import PreTrainedTokenizerFast

SPECIAL = ["<|image_pad|>", "<|endoftext|>", "<|im_end|>", "<|vision_start|>"]


@pytest.fixture(scope="module")
def tokenizer(tiny_checkpoint: Path) -> PreTrainedTokenizerFast:
    return AutoTokenizer.from_pretrained(tiny_checkpoint)


@pytest.fixture(scope="module", params=["nano", "MrLight/dse-qwen2-2b-mrl-v1"])
def model(request: pytest.FixtureRequest) -> str:
    return request.param


def prompts_of(model: str, tokenizer: PreTrainedTokenizerFast) -> TokenizedPrompts:
    return TokenizedPrompts(checkpoint_for(model), tokenizer.backend_tokenizer)


def test_the_page_prompt_has_the_ids_of_the_whole_text(
    model: str, tokenizer: PreTrainedTokenizerFast
) -> None:
    image = tokenizer.convert_tokens_to_ids("<|image_pad|>")
    page = prompts_of(model, tokenizer).page
    expected = tokenizer(KNOWN_CHECKPOINTS[model].page_prompt)["input_ids"]
    assert [*page.before, image, *page.after] == expected


@given(text=st.text(max_size=60).filter(lambda text: not any(s in text for s in SPECIAL)))
@settings(deadline=None)
def test_a_query_has_the_ids_of_the_whole_text(
    tokenizer: PreTrainedTokenizerFast, text: str
) -> None:
    for model in ("nano", "MrLight/dse-qwen2-2b-mrl-v1"):
        image = tokenizer.convert_tokens_to_ids("<|image_pad|>")
        query = prompts_of(model, tokenizer).query(text)
        prompt = KNOWN_CHECKPOINTS[model].query_prompt.replace("{query}", text)
        assert [*query.before, image, *query.after] == tokenizer(prompt)["input_ids"]


@pytest.mark.parametrize("special", SPECIAL)
def test_special_tokens_inside_a_query_are_read_as_plain_text(
    tokenizer: PreTrainedTokenizerFast, special: str
) -> None:
    prompts = prompts_of("nano", tokenizer)
    plain, hostile = prompts.query("ab"), prompts.query(f"a{special}b")
    forbidden = tokenizer.convert_tokens_to_ids(special)
    assert hostile.after.count(forbidden) == plain.after.count(forbidden)
    assert len(hostile.after) == len(plain.after) + len(special)


def test_braces_and_percent_signs_in_a_query_mean_nothing(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    prompts = prompts_of("nano", tokenizer)
    text = "{query} %s {0} {"
    assert tokenizer.decode(list(prompts.query(text).after)).count(text) == 1
