"""Which index a command writes to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.pdfs import write_pdf

from vdr_integrations import DenseEncoder
from vdr_integrations.cli.options import indexes
from vdr_integrations.cli.options.indexes import Kind, searcher_to_write
from vdr_integrations.encoders import EncoderOptions
from vdr_integrations.errors import OptionError
from vdr_integrations.index import DenseIndex, open_index, sync_index

if TYPE_CHECKING:
    from pathlib import Path

    from vdr_integrations.index.page_index import PageIndex

pytestmark = pytest.mark.usefixtures("seen_pages")


def test_an_index_of_another_kind_is_closed_when_it_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[PageIndex] = []

    def keep(path: Path, *, wait_s: float) -> PageIndex:
        opened.append(open_index(path, wait_s=wait_s))
        return opened[-1]

    document = write_pdf(tmp_path / "a.pdf", ["apples"])
    encoder = DenseEncoder.load("nano")
    with DenseIndex.create(tmp_path / "ix", encoder=encoder) as index:
        sync_index(index, encoder, [document])
    monkeypatch.setattr(indexes, "open_index", keep)
    with (
        pytest.raises(OptionError, match="one vector per page"),
        searcher_to_write(tmp_path / "ix", EncoderOptions(), Kind(late_interaction=True)),
    ):
        pass
    (index,) = opened
    assert index.is_closed
