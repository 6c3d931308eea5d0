"""Tokenizers read from a checkpoint's files, beside transformers' own."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from benchmarks.tokenizer import SPECIAL_TOKENS, find_qwen2_tokenizer
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer

from vdr_integrations.encoders.checkpoints.hub_or_folder import CheckpointFiles, CheckpointFolder
from vdr_integrations.encoders.checkpoints.known_checkpoints import BUNDLED
from vdr_integrations.encoders.checkpoints.tokenizer_files import read_tokenizer
from vdr_integrations.errors import CheckpointError

if TYPE_CHECKING:
    from pathlib import Path

    from tokenizers import Tokenizer

QWEN2 = find_qwen2_tokenizer()
TEXTS = [
    "",
    " ",
    "\n\n \t\r\n   x  ",
    "What was the revenue in 2023, and whose is it? It's ours: 1,234.50 €.",
    "Wie groß ist die Fläche des Überlaufbeckens (in m²)?",
    "Quelle était la durée de l'entretien ? C'est-à-dire « combien d'années »…",
    "¿Cuántos olivos se plantaron en la parcela nº 7?",
    "Perché la vendemmia è cominciata così tardi?",
    "何台の路面電車がありますか。 电车有多少辆。",
    "كم عدد المنارات؟ Сколько маяков? दीपस्तंभ",
    "e\u0301 \u00e9 \u212b A\u030a \ufb01 \u1e9b\u0323 \uac00 \u1100\u1161",
    "\u200b\u200d👩‍👩‍👧 \U0001f600 \ufeff \x00\x07",
    "<|im_start|>system\n<|vision_start|><|image_pad|><|vision_end|>x<|im_end|><|endoftext|>",
    "a<|image_pad|>b <|image_pad |> <|none|>",
    "word " * 20_000,
    "a" * 30_000,
]


def read(folder: Path) -> Tokenizer:
    files = CheckpointFiles(model=str(folder))
    return read_tokenizer(CheckpointFolder(files=files, path=folder, commit=None))


def same_ids(folder: Path) -> tuple[Tokenizer, Any]:
    """Both tokenizers of a folder, after all texts gave the same ids."""
    ours, theirs = read(folder), AutoTokenizer.from_pretrained(folder)
    for text in TEXTS:
        expected = theirs.encode(text, add_special_tokens=False)
        assert ours.encode(text, add_special_tokens=False).ids == expected
    assert ours.get_vocab() == theirs.get_vocab()
    return ours, theirs


@pytest.fixture
def folder(tiny_checkpoint: Path, tmp_path: Path) -> Path:
    """A tokenizer of bytes."""
    for name in ("tokenizer.json", "tokenizer_config.json", "config.json"):
        shutil.copy(tiny_checkpoint / name, tmp_path / name)
    return tmp_path


def change(folder: Path, name: str, /, **facts: Any) -> None:
    path = folder / name
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    path.write_text(json.dumps(known | facts), encoding="utf-8")


def test_a_tokenizer_of_bytes_gives_the_same_ids(folder: Path) -> None:
    same_ids(folder)


def test_nanos_gives_the_same_ids() -> None:
    same_ids(BUNDLED["nano"])


@pytest.mark.skipif(QWEN2 is None, reason="Qwen2's tokenizer is not here")
def test_qwen2s_gives_the_same_ids() -> None:
    assert QWEN2 is not None
    same_ids(QWEN2)


@given(text=st.text(max_size=80))
def test_any_text_gives_the_same_ids(text: str) -> None:
    ours, theirs = NANO
    assert ours.encode(text, add_special_tokens=False).ids == theirs.encode(
        text, add_special_tokens=False
    )


NANO: tuple[Tokenizer, Any] = (
    read(BUNDLED["nano"]),
    AutoTokenizer.from_pretrained(BUNDLED["nano"]),
)


def write_older_files(source: Path, folder: Path, *, decoder: bool) -> None:
    """The files of a tokenizer before tokenizer.json."""
    whole = json.loads((source / "tokenizer.json").read_text(encoding="utf-8"))
    merges = [one if isinstance(one, str) else " ".join(one) for one in whole["model"]["merges"]]
    folder.mkdir()
    text = "#version: 0.2\n" + "".join(f"{one}\n" for one in merges)
    (folder / "merges.txt").write_text(text, encoding="utf-8")
    change(folder, "vocab.json", **whole["model"]["vocab"])
    config: dict[str, Any] = {"tokenizer_class": "Qwen2Tokenizer", "unk_token": None}
    config |= {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}
    listed = [one["content"] for one in whole["added_tokens"] if one["special"]]
    config["additional_special_tokens"] = listed
    if decoder:
        config["added_tokens_decoder"] = {
            str(one["id"]): {key: value for key, value in one.items() if key != "id"}
            for one in whole["added_tokens"]
        }
    else:
        change(
            folder,
            "added_tokens.json",
            **{one["content"]: one["id"] for one in whole["added_tokens"]},
        )
    change(folder, "tokenizer_config.json", **config)
    change(folder, "config.json", model_type="qwen2_vl")


@pytest.mark.skipif(QWEN2 is None, reason="Qwen2's tokenizer is not here")
@pytest.mark.parametrize("decoder", [True, False])
@pytest.mark.filterwarnings("ignore:.*BPE.__init__ will not create from files")  # transformers 5.3
def test_older_files_give_the_ids_of_tokenizer_json(tmp_path: Path, *, decoder: bool) -> None:
    assert QWEN2 is not None
    write_older_files(QWEN2, tmp_path / "older", decoder=decoder)
    older, _ = same_ids(tmp_path / "older")
    whole = read(QWEN2)
    for text in TEXTS:
        assert older.encode(text).ids == whole.encode(text).ids


@pytest.mark.parametrize("listed", ["extra_special_tokens", "additional_special_tokens"])
def test_tokens_that_only_the_configuration_names_are_added(folder: Path, listed: str) -> None:
    path = folder / "tokenizer_config.json"
    facts = json.loads(path.read_text(encoding="utf-8"))
    facts.pop("extra_special_tokens", None)
    facts |= {"eos_token": "<|new|>", listed: [*SPECIAL_TOKENS[1:], "<|later|>"]}
    path.write_text(json.dumps(facts), encoding="utf-8")
    ours, theirs = same_ids(folder)
    special = {one.content for one in ours.get_added_tokens_decoder().values() if one.special}
    for token in ("<|new|>", "<|later|>"):
        assert ours.token_to_id(token) == theirs.convert_tokens_to_ids(token)
        assert token in special


def test_tokens_of_the_older_special_tokens_file_are_added(folder: Path) -> None:
    facts = {"content": "<|sep|>", "lstrip": True, "rstrip": False, "normalized": False}
    change(folder, "special_tokens_map.json", sep_token=facts, cls_token="<|cls|>")
    ours, _ = same_ids(folder)
    for text in ("a <|sep|> b", "a<|cls|>b"):
        assert ours.encode(text).ids == AutoTokenizer.from_pretrained(folder).encode(
            text, add_special_tokens=False
        )


def test_a_token_that_is_special_by_the_configuration_is_plain_in_a_query(folder: Path) -> None:
    size = read(folder).get_vocab_size()
    plain = {"content": "<|mark|>", "special": False, "normalized": False}
    change(
        folder,
        "tokenizer_config.json",
        added_tokens_decoder={str(size): plain},
        sep_token="<|mark|>",
    )
    tokenizer = read(folder)
    assert tokenizer.encode("<|mark|>").ids == [size]
    tokenizer.encode_special_tokens = True
    assert len(tokenizer.encode("<|mark|>").ids) == len("<|mark|>")


def test_an_added_token_with_another_id_than_the_files_say_is_refused(folder: Path) -> None:
    size = read(folder).get_vocab_size()
    token = {"content": "<|mark|>", "special": True}
    change(folder, "tokenizer_config.json", added_tokens_decoder={str(size + 5): token})
    with pytest.raises(CheckpointError, match=rf"'<\|mark\|>' the id {size + 5}, and .* {size}\."):
        read(folder)


def test_padding_and_truncation_that_were_saved_are_not_used(folder: Path) -> None:
    tokenizer = read(folder)
    tokenizer.enable_padding(length=50)
    tokenizer.enable_truncation(max_length=10)
    tokenizer.save(str(folder / "tokenizer.json"))
    assert len(read(folder).encode("x" * 20).ids) == 20


@pytest.mark.parametrize("kind", ["Qwen2Tokenizer", "GPT2Tokenizer"])
def test_without_files_of_a_known_kind_there_is_no_tokenizer(folder: Path, kind: str) -> None:
    (folder / "tokenizer.json").unlink()
    change(folder, "tokenizer_config.json", tokenizer_class=kind)
    if kind != "Qwen2Tokenizer":
        change(folder, "vocab.json", a=0)
        (folder / "merges.txt").write_text("", encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"has no tokenizer\.json"):
        read(folder)
