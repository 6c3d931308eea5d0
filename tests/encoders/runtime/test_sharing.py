"""One set of weights in memory, and one fingerprint, for the same contents of files."""

from __future__ import annotations

import copy
import json
import os
import pickle
import shutil
import threading
from concurrent.futures import Future
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import load_file, save_file
from tests.hub_cache import cached_repository
from tests.models import models_in_memory, new_models
from tests.patience import HANG_S
from tests.tiny_checkpoint import write_tiny_checkpoint
from tests.tiny_colqwen2 import copy_processor, write_adapter, write_base

from vdr_integrations import DenseEncoder, load_encoder
from vdr_integrations.encoders import KNOWN_CHECKPOINTS, Checkpoint
from vdr_integrations.encoders.checkpoints.digests import tensors_digest
from vdr_integrations.encoders.runtime import shared_model
from vdr_integrations.errors import CheckpointError, CheckpointWeightsError, OptionError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MODEL = "llamaindex/vdr-2b-multi-v1"
SEEDS = count(80)
COMMITS = ("0" * 39 + "1", "0" * 39 + "2")


@pytest.fixture
def own_checkpoint(tmp_path: Path) -> Path:
    """A checkpoint that no other test has in memory."""
    return write_tiny_checkpoint(tmp_path / "own" / "vdr-2b-multi-v1", seed=next(SEEDS))


@pytest.fixture
def hub(own_checkpoint: Path, tmp_path: Path) -> Path:
    """A hub's cache with two commits of equal weights; the second one's README was edited."""
    cache = tmp_path / "hub"
    for commit in COMMITS:
        snapshot = cached_repository(cache, MODEL, own_checkpoint, commit=commit)
        (snapshot / "README.md").write_text(f"As of {commit}.", encoding="utf-8")
    return cache


def from_hub(hub: Path, **options: Any) -> DenseEncoder:
    return DenseEncoder.load(MODEL, cache_dir=str(hub), device="cpu", **options)


def test_however_files_are_found_and_batches_filled_weights_are_in_memory_once(
    hub: Path, tmp_path: Path
) -> None:
    other = shutil.copytree(hub, tmp_path / "another-cache")
    known = models_in_memory()
    encoders = [
        from_hub(hub),
        from_hub(hub, revision="main"),
        from_hub(hub, revision=COMMITS[0]),
        from_hub(hub, revision=COMMITS[1]),
        from_hub(hub, token="hf_some"),
        from_hub(hub, local_files_only=True),
        from_hub(hub, batch_visual_tokens=2048),
        from_hub(hub, dimension=32, max_visual_tokens=100),
        from_hub(other),
        load_encoder(
            str(hub / f"models--{MODEL.replace('/', '--')}/snapshots/{COMMITS[0]}"),
            device="cpu",
            checkpoint=KNOWN_CHECKPOINTS[MODEL],
        ),
    ]
    assert new_models(known) == 1
    assert len({id(encoder.core) for encoder in encoders}) == 1
    assert from_hub(hub, dtype="bfloat16").core is not encoders[0].core


def test_other_prompts_over_the_same_weights_load_nothing(hub: Path) -> None:
    plain = from_hub(hub)
    known = models_in_memory()
    other = from_hub(
        hub,
        checkpoint=Checkpoint(
            model=MODEL,
            page_prompt="<|vision_start|><|image_pad|><|vision_end|>Page<|endoftext|>",
            query_prompt="<|vision_start|><|image_pad|><|vision_end|>Find: {query}<|endoftext|>",
        ),
    )
    assert new_models(known) == 0
    assert other.fingerprint != plain.fingerprint
    assert abs(other.encode_queries(["a"]) - plain.encode_queries(["a"])).max() > 1e-3


def test_two_prompts_over_one_set_of_weights_may_be_used_at_once(hub: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    encoders = [
        from_hub(
            hub,
            checkpoint=Checkpoint(
                model=MODEL, query_prompt=f"<|image_pad|>{word}: {{query}}<|endoftext|>"
            ),
        )
        for word in ("Find", "Search", "Query")
    ]
    alone = [encoder.encode_queries(["a"]) for encoder in encoders]

    def encode(encoder: DenseEncoder) -> np.ndarray:
        return encoder.encode_queries(["a"])

    with ThreadPoolExecutor(6) as pool:
        together = list(pool.map(encode, encoders * 8))
    for n, found in enumerate(together):
        np.testing.assert_allclose(found, alone[n % 3], atol=1e-6)


def test_commits_folders_and_readmes_with_equal_files_have_one_fingerprint(
    hub: Path, own_checkpoint: Path, tmp_path: Path
) -> None:
    renamed = shutil.copytree(own_checkpoint, tmp_path / "elsewhere" / "vdr-2b-multi-v1")
    (renamed / "README.md").write_text("Mine.", encoding="utf-8")
    found = [from_hub(hub, revision=commit) for commit in COMMITS]
    folder = load_encoder(str(renamed), device="cpu")
    assert {one.fingerprint for one in found} == {folder.fingerprint}
    assert [one.revision for one in (*found, folder)] == [*COMMITS, None]


def edit(name: str, change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def edited(folder: Path) -> None:
        facts = json.loads((folder / name).read_text(encoding="utf-8"))
        change(facts)
        (folder / name).write_text(json.dumps(facts, indent=7), encoding="utf-8")

    return edited


def cut_in_two(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    places: dict[str, str] = {}
    for n in range(2):
        name = f"model-{n + 1:05}-of-00002.safetensors"
        part = dict(list(weights.items())[n::2])
        save_file(part, folder / name, metadata={"format": "pt"})
        places |= dict.fromkeys(part, name)
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": places}), encoding="utf-8")


def put_a_stray_file_beside(folder: Path) -> None:
    shutil.copy(folder / "model.safetensors", folder / "optimizer.safetensors")


def say_what_is_assumed_anyway(folder: Path) -> None:
    (folder / "preprocessor_config.json").unlink()


@pytest.mark.parametrize(
    "change",
    [
        edit("config.json", lambda c: c.update(transformers_version="9.9", _name_or_path="/x")),
        edit("config.json", lambda c: c["text_config"].update(dtype="bfloat16", use_cache=False)),
        edit("tokenizer_config.json", lambda c: c.update(chat_template="{{ x }}", is_local=True)),
        edit("preprocessor_config.json", lambda c: c.update(max_pixels=1)),
        cut_in_two,
        put_a_stray_file_beside,
        say_what_is_assumed_anyway,
    ],
)
def test_what_decides_no_vector_is_not_in_the_fingerprint(
    tiny_checkpoint: Path, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    folder = shutil.copytree(tiny_checkpoint, tmp_path / "vdr-2b-multi-v1")
    before = DenseEncoder.load(str(folder), device="cpu", dtype="float32")
    expected = before.encode_queries(["a"])
    change(folder)
    after = DenseEncoder.load(str(folder), device="cpu", dtype="float32")
    assert after.fingerprint == before.fingerprint
    assert (after.encode_queries(["a"]) == expected).all()


def other_numbers(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    weights[next(name for name in weights if "up_proj" in name)][0, 0] += 1
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def other_ids(folder: Path) -> None:
    def swap(facts: dict[str, Any]) -> None:
        known = facts["model"]["vocab"]
        known["a"], known["b"] = known["b"], known["a"]

    edit("tokenizer.json", swap)(folder)


@pytest.mark.parametrize(
    "change",
    [
        other_numbers,
        other_ids,
        edit("config.json", lambda c: c["text_config"].update(rms_norm_eps=1e-3)),
        edit("tokenizer_config.json", lambda c: c.update(add_prefix_space=True)),
        edit("preprocessor_config.json", lambda c: c.update(image_mean=[0.5, 0.5, 0.5])),
    ],
)
def test_what_decides_vectors_is_in_the_fingerprint_and_loads_other_weights(
    tiny_checkpoint: Path, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    folder = shutil.copytree(tiny_checkpoint, tmp_path / "vdr-2b-multi-v1")
    before = load_encoder(str(folder), device="cpu")
    change(folder)
    after = load_encoder(str(folder), device="cpu")
    assert after.fingerprint != before.fingerprint
    assert after.core is not before.core


def test_the_options_that_decide_vectors_are_in_the_fingerprint(tiny_checkpoint: Path) -> None:
    options: list[dict[str, Any]] = [{}, {"dimension": 32}, {"max_visual_tokens": 100}]
    found = {load_encoder(str(tiny_checkpoint), device="cpu", **one).fingerprint for one in options}
    assert len(found) == 3
    others: list[dict[str, Any]] = [{"dtype": "bfloat16"}, {"attn_implementation": "eager"}]
    for one in others:
        encoder = load_encoder(str(tiny_checkpoint), device="cpu", **one)
        assert encoder.fingerprint in found


def test_an_adapter_and_its_base_decide_the_fingerprint_wherever_they_lie(tmp_path: Path) -> None:
    def written(root: Path, *, seed: int = 0, **options: Any) -> str:
        root.mkdir()
        write_base(root / "colqwen2-base", seed=seed)
        write_adapter(root / "colqwen2-v1.0", base="../colqwen2-base", **options)
        copy_processor(root / "colqwen2-base", root / "colqwen2-v1.0")
        return load_encoder(str(root / "colqwen2-v1.0"), device="cpu").fingerprint

    one = written(tmp_path / "one")
    assert written(tmp_path / "two", lora_dropout=0.3, task_type="OTHER") == one
    assert written(tmp_path / "other-base", seed=3) != one
    assert written(tmp_path / "other-scale", lora_alpha=4) != one


def test_the_digest_of_a_large_file_is_made_once_and_noticed_when_the_file_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = write_tiny_checkpoint(tmp_path / "large", hidden_size=256) / "model.safetensors"
    assert path.stat().st_size > 1024**2
    reads = 0
    fdopen = os.fstat

    def counted(descriptor: int) -> os.stat_result:
        nonlocal reads
        reads += fdopen(descriptor).st_ino == path.stat().st_ino
        return fdopen(descriptor)

    monkeypatch.setattr(os, "fstat", counted)
    first = tensors_digest([path])
    assert reads == 1
    assert tensors_digest([path]) == first
    assert reads == 1
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    times = path.stat().st_mtime_ns
    path.write_bytes(data)
    os.utime(path, ns=(times, times))  # as a copy that keeps times
    assert tensors_digest([path]) != first
    assert reads == 2


def test_a_cache_that_is_damaged_or_cannot_be_written_only_costs_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_tiny_checkpoint(tmp_path / "large", hidden_size=256) / "model.safetensors"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    first = tensors_digest([path])
    (note,) = (tmp_path / "cache").rglob("*.json")
    note.write_text("{", encoding="utf-8")
    assert tensors_digest([path]) == first
    (tmp_path / "file").write_text("no folder", encoding="utf-8")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert tensors_digest([path]) == first


@pytest.mark.parametrize("cut", [0, 4, 300, -1])
def test_a_weights_file_that_is_cut_short_is_refused_by_name(
    tiny_checkpoint: Path, tmp_path: Path, cut: int
) -> None:
    folder = shutil.copytree(tiny_checkpoint, tmp_path / "vdr-2b-multi-v1")
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(CheckpointWeightsError, match=r"model\.safetensors is not a complete"):
        load_encoder(str(folder), device="cpu")


@pytest.mark.parametrize("shards", [{"a": "../model.safetensors"}, {"a": 1}, [], None])
def test_an_index_of_shards_that_names_no_files_of_the_folder_is_refused(
    tiny_checkpoint: Path, tmp_path: Path, shards: object
) -> None:
    folder = shutil.copytree(tiny_checkpoint, tmp_path / "vdr-2b-multi-v1")
    (folder / "model.safetensors").unlink()
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": shards}), encoding="utf-8")
    with pytest.raises(CheckpointError, match="names its parts"):
        load_encoder(str(folder), device="cpu")


def test_weights_that_were_replaced_in_their_folder_are_loaded_anew(
    tiny_checkpoint: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(tiny_checkpoint, tmp_path / "vdr-2b-multi-v1")
    before = DenseEncoder.load(str(folder), device="cpu")
    write_tiny_checkpoint(folder, seed=4)
    after = DenseEncoder.load(str(folder), device="cpu")
    page = Image.new("RGB", (56, 84), "teal")
    assert abs(after.encode_pages([page]) - before.encode_pages([page])).max() > 1e-3


def test_copies_of_an_encoder_read_nothing_and_pickles_find_their_folder_from_anywhere(
    own_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(own_checkpoint.parent)
    encoder = load_encoder(own_checkpoint.name, device="cpu")
    monkeypatch.chdir("/")
    assert pickle.loads(pickle.dumps(encoder)).core is encoder.core  # our own
    shutil.rmtree(own_checkpoint)
    assert copy.deepcopy(encoder).core is copy.copy(encoder).core is encoder.core


def test_cpu_0_is_the_cpu(own_checkpoint: Path) -> None:
    one, other = (load_encoder(str(own_checkpoint), device=name) for name in ("cpu", "cpu:0"))
    assert one.core is other.core


@pytest.mark.parametrize("name", ["batch_visual_tokens", "max_visual_tokens"])
@pytest.mark.parametrize("value", [0, -1, 1.5, True, "8"])
def test_a_number_of_visual_tokens_is_a_whole_one(
    tiny_checkpoint: Path, name: str, value: object
) -> None:
    options: dict[str, Any] = {name: value}
    with pytest.raises(OptionError, match=f"{name}={value!r}"):
        load_encoder(str(tiny_checkpoint), device="cpu", **options)
    options = {"batch_visual_tokens": np.int64(9)}
    encoder = load_encoder(str(tiny_checkpoint), device="cpu", **options)
    assert encoder.batch_visual_tokens == 9


def test_an_interrupted_load_is_not_begun_again(
    own_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on, loads = threading.Event(), threading.Event(), []
    load = shared_model.load_weights

    def slow(*arguments: Any, **options: Any) -> Any:
        loads.append(arguments)
        begun.set()
        assert go_on.wait(HANG_S)
        return load(*arguments, **options)

    monkeypatch.setattr(shared_model, "load_weights", slow)

    def interrupted(self: Future[Any], timeout: float | None = None) -> Any:
        assert begun.wait(HANG_S)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Future, "result", interrupted)
        with pytest.raises(KeyboardInterrupt):
            load_encoder(str(own_checkpoint), device="cpu")
    go_on.set()
    load_encoder(str(own_checkpoint), device="cpu")
    assert len(loads) == 1
