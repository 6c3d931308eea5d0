"""Opens a table in a process of its own, and says which page it finds first."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.stores.pages_to_find import VISUAL_TOKENS

if TYPE_CHECKING:
    from tests.stores.vector_store import TableOfStore

__all__ = ["found_by_another_process"]


def found_by_another_process(table: TableOfStore, framework: str, question: str) -> dict[str, Any]:
    """Id and metadata of the first page."""
    arguments = [table.name, str(table.place), framework, question]
    command = [sys.executable, "-W", "ignore", "-m", "tests.stores.another_process", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def _first(name: str, place: str, framework: str, question: str) -> dict[str, Any]:
    from tests.stores.every_table import table_kind

    table = table_kind(name)(Path(place))
    if framework == "llama_index":
        from vdr_integrations.llama_index import VDREmbedding

        model = VDREmbedding(model_name="nano", device="cpu", max_visual_tokens=VISUAL_TOKENS)
        hit = table.index(model).as_retriever(similarity_top_k=1).retrieve(question)[0]
        return {"id": hit.node_id, "metadata": hit.metadata}
    from vdr_integrations.langchain import VDREmbeddings

    embeddings = VDREmbeddings(model="nano", device="cpu", max_visual_tokens=VISUAL_TOKENS)
    document = table.langchain(embeddings).similarity_search(question, k=1)[0]
    return {"id": document.id, "metadata": document.metadata}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_first(*sys.argv[1:])) + "\n")
