"""Sets of shards: which document is where, and one name for all of them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from vdr_integrations import DenseEncoder, PageSearcher
from vdr_integrations.errors import (
    IndexFormatError,
    IndexNotFoundError,
    IndexStoreError,
    OptionError,
)
from vdr_integrations.index import DenseIndex, open_index, sync_index
from vdr_integrations.index.shards.shard_folders import (
    is_shard_set,
    planned_shard_set,
    shard_folders,
    shard_of,
)

if TYPE_CHECKING:
    from pathlib import Path


def test_a_name_chooses_one_shard_the_same_for_ever() -> None:
    names = [f"/srv/reports/{n}.pdf" for n in range(4000)]
    counts = Counter(shard_of(name, 8) for name in names)
    assert sorted(counts) == list(range(8))
    assert min(counts.values()) > 400
    # Another number here would lose documents of sets that exist.
    assert [shard_of(name, 8) for name in names[:6]] == [2, 3, 4, 0, 3, 3]
    assert shard_of("not UTF-8: \udcff", 3) in range(3)


def test_a_set_keeps_its_number_of_shards(tmp_path: Path) -> None:
    made = planned_shard_set(tmp_path / "set", count=None, default=3)
    assert not (tmp_path / "set").exists()
    other = planned_shard_set(tmp_path / "set", count=2, default=3)
    made.make()
    made.make()
    with pytest.raises(OptionError, match="another run has just made"):
        other.make()
    assert [folder.name for folder in made.folders] == ["shard-00", "shard-01", "shard-02"]
    assert planned_shard_set(tmp_path / "set", count=3, default=9) == made
    assert shard_folders(tmp_path / "set", set_id=made.set_id) == made.folders
    with pytest.raises(OptionError, match="has 3 shards, found shards=4"):
        planned_shard_set(tmp_path / "set", count=4, default=1)
    with pytest.raises(OptionError, match="between 1 and 1000"):
        planned_shard_set(tmp_path / "other", count=1001, default=1)
    with pytest.raises(IndexNotFoundError, match="another set"):
        shard_folders(tmp_path / "set", set_id="of another machine")


def test_a_folder_of_other_things_is_no_set(tmp_path: Path) -> None:
    (tmp_path / "report.pdf").write_bytes(b"%PDF")
    assert not is_shard_set(tmp_path)
    with pytest.raises(IndexNotFoundError, match="is no set of shards"):
        shard_folders(tmp_path)
    with pytest.raises(IndexFormatError, match="new or empty folder"):
        planned_shard_set(tmp_path, count=2, default=1)


def test_a_place_where_no_folder_can_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(IndexFormatError, match="is a file, and no folder"):
        planned_shard_set(tmp_path / "file", count=2, default=1)
    with pytest.raises(IndexStoreError, match="file"):
        planned_shard_set(tmp_path / "file" / "set", count=2, default=1).make()


@pytest.mark.parametrize("text", ["", "[]", '{"format": 2, "shards": 2, "id": "x"}'])
def test_a_damaged_description_is_refused(text: str, tmp_path: Path) -> None:
    planned_shard_set(tmp_path / "set", count=2, default=1).make()
    (tmp_path / "set" / "shards.json").write_text(text)
    with pytest.raises(IndexFormatError, match="damaged"):
        open_index(tmp_path / "set")


def test_the_folder_of_a_set_stands_for_its_shards(tmp_path: Path) -> None:
    encoder = DenseEncoder.load("nano", device="cpu")
    made = planned_shard_set(tmp_path / "set", count=2, default=1)
    made.make()
    for folder in (*made.folders, tmp_path / "alone"):
        DenseIndex.create(folder, encoder=encoder).close()
    with open_index(tmp_path / "set") as index:
        assert index.places == made.folders
        with pytest.raises(OptionError, match="cannot be written to 2 indexes"):
            sync_index(index, encoder, [tmp_path])
    with open_index([tmp_path / "set", tmp_path / "alone"]) as index:
        assert index.places == [*made.folders, tmp_path / "alone"]
    with PageSearcher([tmp_path / "set", tmp_path / "alone"]) as searcher:
        assert searcher.index.places == [*made.folders, tmp_path / "alone"]


@pytest.mark.parametrize("name", ["set", "set/shard-01"])
def test_a_set_without_one_of_its_shards_says_what_makes_it(name: str, tmp_path: Path) -> None:
    made = planned_shard_set(tmp_path / "set", count=2, default=1)
    made.make()
    encoder = DenseEncoder.load("nano", device="cpu")
    DenseIndex.create(made.folders[0], encoder=encoder).close()
    with pytest.raises(IndexNotFoundError, match=r"has no shard-01: .* again \(vdr index --ray"):
        open_index(tmp_path / name)
    with pytest.raises(IndexNotFoundError, match="make one first"):
        open_index(tmp_path / "set" / "shard-02")
