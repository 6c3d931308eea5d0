"""Every block of docs/recipes.md runs, with the bundled checkpoint in the place of the 2B one."""

from __future__ import annotations

import re
import shutil
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest
from tests.documents import ROOT, blocks_of, furnish, with_bundled_models

from vdr_integrations import DenseEncoder

if TYPE_CHECKING:
    from pathlib import Path

BLOCKS = [block.text for block in blocks_of(ROOT / "docs" / "recipes.md")]
PICTURE = ROOT / "docs" / "found-page.png"


def subject_of(block: str) -> str:
    """What names a block: its place, and the last import of ours."""
    ours = re.findall(r"^from (vdr_integrations\S*) import", block, re.MULTILINE)
    return f"{BLOCKS.index(block)}-{ours[-1].removeprefix('vdr_integrations.')}"


def missing_of(block: str) -> list[str]:
    """Packages that only ``make stores`` installs."""
    wanted = {
        "llama_index.retrievers.bm25": "llama_index.retrievers",
        "langchain_community.retrievers": "langchain_community",
    }
    return [name for module, name in wanted.items() if module in block and find_spec(name) is None]


HERE = [block for block in BLOCKS if not missing_of(block)]


@pytest.fixture(scope="module", autouse=True)
def _model(seen_pages: None) -> DenseEncoder:
    """One model in memory, which all recipes share."""
    return DenseEncoder.load("nano")


def test_there_are_recipes_for_both_frameworks() -> None:
    assert sum("vdr_integrations.llama_index" in block for block in HERE) >= 6
    assert sum("vdr_integrations.langchain" in block for block in HERE) >= 6
    assert sum("bm25" in block.lower() for block in BLOCKS) == 2


# Only LangChain's BM25 is left in it.
@pytest.mark.filterwarnings("ignore:.langchain-community. is being sunset:DeprecationWarning")
@pytest.mark.parametrize("block", HERE, ids=subject_of)
def test_a_recipe_runs(
    block: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    furnish(tmp_path)
    shutil.copy(PICTURE, tmp_path / "reports" / "photo.png")
    monkeypatch.setenv("VDR_PAGE_STORE", str(tmp_path / "pages"))
    monkeypatch.chdir(tmp_path)
    exec(with_bundled_models(block), {"__name__": "recipe"})
    assert capsys.readouterr().out.strip()
