"""How many numbers a checkpoint has, by its files' shapes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from safetensors.torch import save_file

from vdr_integrations.encoders.checkpoints.parameter_count import count_parameters

if TYPE_CHECKING:
    from pathlib import Path


def test_numbers_of_all_files_are_counted_in_any_format(tmp_path: Path) -> None:
    assert count_parameters(tmp_path) == 0
    for n, dtype in enumerate((torch.bfloat16, torch.float8_e4m3fn, torch.float32)):
        tensors = {"matrix": torch.zeros(2, 3, dtype=dtype), "scalar": torch.zeros((), dtype=dtype)}
        save_file(tensors, tmp_path / f"model-{n}.safetensors", metadata={"format": "pt"})
    assert count_parameters(tmp_path) == 3 * 7


def test_a_damaged_file_is_refused_by_its_name(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    save_file({"matrix": torch.zeros(2, 3)}, file)
    whole = file.read_bytes()
    for content in (b"", whole[:-1], b"<html>not found</html>", b"\xff" * 16):
        file.write_bytes(content)
        with pytest.raises(ValueError, match=r"model\.safetensors is not a complete safetensors"):
            count_parameters(tmp_path)
