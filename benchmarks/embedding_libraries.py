"""Our adapters, sentence-transformers and LlamaIndex's HuggingFaceEmbedding, in CPU seconds.

    pip install sentence-transformers llama-index-embeddings-huggingface
    python -m benchmarks.embedding_libraries [--layers 2] [--pairs 7] [--checkpoint FOLDER]

One checkpoint, one query and one page at a time, as pipelines use them. vdr-2b-multi-v1 has its own
module for sentence-transformers, remote code that is not in this repository. Here, a module of the
same shape runs the card's own path (benchmarks/card_path.py). The cost of a library is its time
minus the time of that path.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from benchmarks.arguments import arguments
from benchmarks.card_path import CardPath
from benchmarks.full_size import checkpoint_folder
from benchmarks.sample_pages import sample_pages
from benchmarks.timing import compare, machine
from vdr_integrations.llama_index import VDREmbedding

if TYPE_CHECKING:
    from collections.abc import Callable

_QUERY = "What was the revenue of the third quarter of last year?"
_MODULE = """
import torch
from PIL import Image
from sentence_transformers.base.modules import InputModule
from benchmarks.card_path import CardPath

class CardTransformer(InputModule):
    def __init__(self, folder):
        super().__init__()
        self.card = CardPath(folder, dtype=torch.bfloat16)
        self.model = self.card.model
        self.tokenizer = self.card.tokenizer

    modalities = ["text", "image"]

    def preprocess(self, inputs, prompt=None, **kwargs):
        return {"inputs": list(inputs)}

    def forward(self, features, **kwargs):
        inputs = features["inputs"]
        if isinstance(inputs[0], str) and not inputs[0].endswith(".png"):
            found = self.card.encode_queries(inputs, 1536)
        else:
            opened = [Image.open(i) if isinstance(i, str) else i for i in inputs]
            found = self.card.encode_documents([i.convert("RGB") for i in opened], 1536)
        features["sentence_embedding"] = torch.from_numpy(found)
        return features

    def save(self, *args, **kwargs):
        raise NotImplementedError

    @classmethod
    def load(cls, model_name_or_path, **kwargs):
        return cls(model_name_or_path)
"""
_MODULES = [{"idx": 0, "name": "0", "path": "", "type": "custom_st.CardTransformer"}]


def in_their_format(folder: Path, target: Path) -> Path:
    """The checkpoint with what sentence-transformers reads."""
    shutil.copytree(folder, target)
    (target / "custom_st.py").write_text(_MODULE)
    (target / "modules.json").write_text(json.dumps(_MODULES))
    return target


def main() -> None:
    """Print a line for each library and kind of work."""
    from llama_index.embeddings.huggingface import HuggingFaceEmbedding
    from sentence_transformers import SentenceTransformer

    options = arguments("Embedding libraries beside our adapters")
    packages = ("sentence-transformers", "llama-index-embeddings-huggingface")
    print(machine(), *(f"{name} {version(name)}" for name in packages))
    with checkpoint_folder(options) as folder, tempfile.TemporaryDirectory() as scratch:
        theirs = str(in_their_format(folder, Path(scratch) / "theirs"))
        page = Path(scratch) / "page.png"
        [image] = sample_pages(1)
        image.save(page)
        ours = VDREmbedding(model_name=str(folder), device="cpu", dtype="bfloat16")
        card = CardPath(theirs, dtype=torch.bfloat16)
        library = SentenceTransformer(theirs, device="cpu", trust_remote_code=True)
        adapter = HuggingFaceEmbedding(
            theirs, device="cpu", trust_remote_code=True, max_length=4096
        )
        queries: dict[str, Callable[[], object]] = {
            "the card's path": lambda: card.encode_queries([_QUERY], 1536),
            "sentence-transformers": lambda: library.encode([_QUERY]),
            "HuggingFaceEmbedding": lambda: adapter.get_query_embedding(_QUERY),
        }
        pages: dict[str, Callable[[], object]] = {
            "the card's path": lambda: card.encode_documents([image], 1536),
            "sentence-transformers": lambda: library.encode([image]),
            "HuggingFaceEmbedding": lambda: adapter.get_image_embedding(str(page)),
        }
        for what, own, others in (
            ("query", lambda: ours.get_query_embedding(_QUERY), queries),
            ("page", lambda: ours.get_image_embedding(str(page)), pages),
        ):
            for name, work in others.items():
                print(f"{what}, {name}: {compare(own, work, pairs=options.pairs)}", flush=True)


if __name__ == "__main__":
    main()
