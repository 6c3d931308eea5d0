"""Which kind of encoder a name or a folder gives, for callers and for type checkers."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, assert_type, get_args
from unittest import mock

import pytest
from tests.tiny_colqwen2 import write_base

from vdr_integrations import DenseEncoder, MultiVectorEncoder, load_encoder
from vdr_integrations.encoders import KNOWN_CHECKPOINTS
from vdr_integrations.encoders.load import DenseModel, MultiVectorModel
from vdr_integrations.encoders.load_options import LoadOptions
from vdr_integrations.encoders.runtime import shared_model
from vdr_integrations.errors import OptionError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def late(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("late") / "colqwen2-base"
    write_base(folder)
    return str(folder)


def test_each_class_loads_its_own_kind_from_a_folder(tiny_checkpoint: Path, late: str) -> None:
    dense = assert_type(DenseEncoder.load(str(tiny_checkpoint), device="cpu"), DenseEncoder)
    tokens = assert_type(MultiVectorEncoder.load(late, device="cpu"), MultiVectorEncoder)
    assert type(dense) is DenseEncoder
    assert type(tokens) is MultiVectorEncoder
    for own in (dense, tokens):
        found = load_encoder(own.name, device="cpu")
        assert_type(found, DenseEncoder | MultiVectorEncoder)
        assert type(found) is type(own)
        assert (found.core, found.fingerprint) == (own.core, own.fingerprint)


def test_a_class_of_the_callers_own_loads_itself(tiny_checkpoint: Path) -> None:
    class Own(DenseEncoder):
        pass

    assert type(assert_type(Own.load(str(tiny_checkpoint), device="cpu"), Own)) is Own


def test_type_checkers_know_what_known_names_give() -> None:
    assert_type(load_encoder("nano", device="cpu"), DenseEncoder)
    assert_type(load_encoder("nano-colqwen2", device="cpu"), MultiVectorEncoder)
    described = KNOWN_CHECKPOINTS["nano"]
    found = load_encoder("nano", device="cpu", checkpoint=described)
    assert_type(found, DenseEncoder | MultiVectorEncoder)  # a description decides the kind


def test_the_names_that_type_checkers_know_are_the_known_ones() -> None:
    for names, is_multi_vector in ((DenseModel, False), (MultiVectorModel, True)):
        known = {
            name
            for name, one in KNOWN_CHECKPOINTS.items()
            if one.is_multi_vector is is_multi_vector
        }
        assert set(get_args(names)) == known


def test_the_options_that_type_checkers_know_are_all_there_are() -> None:
    accepted = set(inspect.signature(load_encoder).parameters) - {"model"}
    assert accepted == set(LoadOptions.__annotations__)
    for kind in (DenseEncoder, MultiVectorEncoder):
        described = inspect.getdoc(kind.load) or ""
        assert {name for name in accepted if f"``{name}``" in described} == accepted


@pytest.mark.parametrize("named", [True, False])
def test_a_checkpoint_of_the_other_kind_is_refused_before_weights_are_loaded(
    tiny_checkpoint: Path, late: str, *, named: bool
) -> None:
    dense = "llamaindex/vdr-2b-multi-v1" if named else str(tiny_checkpoint)
    tokens = "vidore/colqwen2-v1.0" if named else late
    with mock.patch.object(shared_model, "load_weights") as load_weights:
        with pytest.raises(OptionError, match="one vector a token") as refused:
            DenseEncoder.load(tokens, device="cpu")
        assert tokens in str(refused.value)
        assert "MultiVectorEncoder.load" in str(refused.value)
        with pytest.raises(OptionError, match="one vector a page") as refused:
            MultiVectorEncoder.load(dense, device="cpu")
        assert dense in str(refused.value)
        assert "DenseEncoder.load" in str(refused.value)
    load_weights.assert_not_called()


def test_a_description_decides_the_kind(tiny_checkpoint: Path) -> None:
    described = KNOWN_CHECKPOINTS["nano-colqwen2"]
    with pytest.raises(OptionError, match=r"MultiVectorEncoder\.load"):
        DenseEncoder.load(str(tiny_checkpoint), device="cpu", checkpoint=described)


def test_truncate_dim_is_another_name_of_dimension(tiny_checkpoint: Path, late: str) -> None:
    folder = str(tiny_checkpoint)
    for found in (
        load_encoder(folder, device="cpu", truncate_dim=16),
        DenseEncoder.load(folder, device="cpu", truncate_dim=16),
        DenseEncoder.load(folder, device="cpu", dimension=16, truncate_dim=16),
        DenseEncoder.load(folder, device="cpu", dimension=16, truncate_dim=None),
    ):
        assert found.dimension == 16
    assert MultiVectorEncoder.load(late, device="cpu", truncate_dim=128).dimension == 128
    with pytest.raises(OptionError, match=r"between 1 and 64"):
        DenseEncoder.load(folder, device="cpu", truncate_dim=65)


def test_two_names_of_one_option_with_two_values_are_refused(
    tiny_checkpoint: Path, late: str
) -> None:
    both = "dimension=32 and truncate_dim=16"
    with pytest.raises(OptionError, match=both):
        load_encoder(str(tiny_checkpoint), device="cpu", dimension=32, truncate_dim=16)
    with pytest.raises(OptionError, match=both):
        DenseEncoder.load(str(tiny_checkpoint), device="cpu", dimension=32, truncate_dim=16)
    with pytest.raises(OptionError, match=both):
        MultiVectorEncoder.load(late, device="cpu", dimension=32, truncate_dim=16)
