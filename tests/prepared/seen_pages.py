"""Pages that a checkpoint has encoded before in this run of the tests are not computed again.

A page of full size takes a third of a second of a core, and many tests show examples, commands and
notebooks at work on the same few pages. The first of them that meets a page computes it. The result
is in a folder of the run, for the tests of all workers and for the programs of prepared Pythons.

A page is recognised by everything that the pass depends on: the weights and their format, the
prompt, and the pixels. All that comes before the pass and after it is done each time. A test of the
pass itself does not ask for this.
"""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from tests.prepared.server import SEEN_PAGES

from vdr_integrations.encoders.forward.backbone import Backbone

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from vdr_integrations.encoders.preprocessing.prepared import PreparedPage

    Pass = Callable[[Backbone, Sequence[PreparedPage]], Sequence[NDArray[np.float32]]]

__all__ = ["FOLDER", "remember", "remembering"]

FOLDER = SEEN_PAGES
"""The variable that names the folder to programs of prepared Pythons."""

SMALLEST_PATCHES = 400
"""A page that has fewer is computed at once."""


def remembering(folder: Path, compute: Pass = Backbone.pages) -> Pass:
    """What stands for ``Backbone.pages``: it computes what is not in the folder, and keeps it."""
    known: WeakKeyDictionary[Backbone, bytes] = WeakKeyDictionary()

    def pages(backbone: Backbone, some: Sequence[PreparedPage]) -> Sequence[NDArray[np.float32]]:
        if some[0].patch_count < SMALLEST_PATCHES:
            return compute(backbone, some)
        if backbone not in known:
            known[backbone] = _of_model(backbone)
        places = [folder / f"{_of_page(page, known[backbone])}.npy" for page in some]
        found = {n: np.load(place) for n, place in enumerate(places) if place.exists()}
        missing = [n for n in range(len(some)) if n not in found]
        if missing:
            made = compute(backbone, [some[n] for n in missing])
            for n, vectors in zip(missing, made, strict=True):
                _keep(vectors, places[n])
                found[n] = vectors
        return [found[n] for n in range(len(some))]

    return pages


def remember(folder: Path) -> None:
    """From now on, in this process."""
    setattr(Backbone, "pages", remembering(folder))  # noqa: B010  # its arguments have other names


def _of_model(backbone: Backbone) -> bytes:
    """What a model has of its own: all that is not of the page."""
    own = vars(backbone)
    facts = type(backbone.model).__name__, backbone.vision.attention, own["_page_tokens"]
    digest = hashlib.sha256(repr(facts).encode())
    for module in (backbone.model, own["_projection"]):
        if module is not None:
            for name, tensor in (*module.named_parameters(), *module.named_buffers()):
                digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
                digest.update(_bytes_of(tensor))
    return digest.digest()


def _bytes_of(tensor: torch.Tensor) -> Any:
    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()


def _of_page(page: PreparedPage, model: bytes) -> str:
    patches = np.ascontiguousarray(page.patches)
    return hashlib.sha256(model + repr(page.grid).encode() + patches.tobytes()).hexdigest()


def _keep(vectors: NDArray[np.float32], place: Path) -> None:
    """Under its name only when it is whole: others look for it meanwhile."""
    with tempfile.NamedTemporaryFile(dir=place.parent, delete=False) as file:
        np.save(file, vectors)
    Path(file.name).replace(place)
