"""Options: names, defaults, refusals, copies, pickles, secrets."""

from __future__ import annotations

import copy
import json
import pickle
import shutil
from typing import TYPE_CHECKING

import pytest
from langchain_core.load import dumpd
from pydantic import SecretStr, ValidationError

from vdr_integrations.encoders import Checkpoint
from vdr_integrations.errors import UnknownCheckpointError
from vdr_integrations.langchain import VDREmbeddings

if TYPE_CHECKING:
    from pathlib import Path


def test_the_default_model_is_the_full_one() -> None:
    assert VDREmbeddings().model == "llamaindex/vdr-2b-multi-v1"


def test_model_name_is_another_word_for_model() -> None:
    by_name = VDREmbeddings(model_name="nano")  # pyright: ignore[reportCallIssue]  # for those used to other packages
    assert by_name == VDREmbeddings(model="nano")


def test_both_words_at_once_are_refused() -> None:
    with pytest.raises(ValidationError, match="model_name"):
        VDREmbeddings(model="nano", model_name="other")  # pyright: ignore[reportCallIssue]  # the point


def test_an_option_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValidationError, match="dimensions"):
        VDREmbeddings(model="nano", dimensions=256)  # pyright: ignore[reportCallIssue]  # the point


@pytest.mark.parametrize("option", ["dimension", "max_visual_tokens"])
@pytest.mark.parametrize("value", [0, -1, "many"])
def test_a_size_that_cannot_be_is_refused(option: str, value: object) -> None:
    with pytest.raises(ValidationError, match=option):
        VDREmbeddings.model_validate({"model": "nano", option: value})


def test_the_token_shows_in_no_form_that_leaves_the_process() -> None:
    embeddings = VDREmbeddings(model="nano", token=SecretStr("hf_secret"))
    forms = [
        repr(embeddings),
        str(embeddings),
        embeddings.model_dump_json(),
        repr(embeddings.model_dump()),
        json.dumps(dumpd(embeddings)),
        repr(pickle.dumps(embeddings)),
    ]
    assert not [form for form in forms if "hf_secret" in form]


def test_an_unpickled_object_takes_the_token_of_its_own_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pickled = pickle.dumps(VDREmbeddings(model="nano", token=SecretStr("hf_theirs")))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    assert pickle.loads(pickled).token is None
    monkeypatch.setenv("HF_TOKEN", "hf_ours")
    assert pickle.loads(pickled).token.get_secret_value() == "hf_ours"


def test_dumped_options_make_the_same_object() -> None:
    embeddings = VDREmbeddings(model="nano", dimension=64, max_visual_tokens=100)
    assert VDREmbeddings(**embeddings.model_dump()) == embeddings
    assert VDREmbeddings.model_validate_json(embeddings.model_dump_json()) == embeddings


def test_copies_and_pickles_embed_alike_and_carry_no_weights(
    embeddings: VDREmbeddings, tiny_checkpoint: Path
) -> None:
    expected = embeddings.embed_query("costs")
    pickled = pickle.dumps(embeddings)
    weights = sum(file.stat().st_size for file in tiny_checkpoint.glob("*.safetensors"))
    assert len(pickled) < min(2_000, weights)
    for twin in (pickle.loads(pickled), copy.copy(embeddings), copy.deepcopy(embeddings)):
        assert twin == embeddings
        assert twin.embed_query("costs") == expected


def test_a_checkpoint_of_another_name_can_be_described(
    embeddings: VDREmbeddings, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    renamed = shutil.copytree(tiny_checkpoint, tmp_path / "ours")
    with pytest.raises(UnknownCheckpointError):
        VDREmbeddings(model=str(renamed), device="cpu").embed_query("costs")
    described = VDREmbeddings(model=str(renamed), device="cpu", checkpoint=Checkpoint(model="ours"))
    assert VDREmbeddings(**described.model_dump()) == described
    assert described.embed_query("costs") == embeddings.embed_query("costs")


def test_a_changed_option_counts_from_the_next_call(embeddings: VDREmbeddings) -> None:
    whole = len(embeddings.embed_query("costs"))
    embeddings.dimension = 16
    assert len(embeddings.embed_query("costs")) == 16
    embeddings.dimension = None
    assert len(embeddings.embed_query("costs")) == whole


def test_a_change_to_something_impossible_is_refused(embeddings: VDREmbeddings) -> None:
    with pytest.raises(ValidationError, match="dimension"):
        embeddings.dimension = 0
