"""Table A1 of the contract notes: images in any form, and nodes that have one."""

from __future__ import annotations

import base64
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
import pytest
from llama_index.core.schema import ImageNode, MediaResource, Node, TextNode
from PIL import Image
from tests.llama_index.pictures import picture, png

from vdr_integrations import PageImage, PageStore, load_encoder
from vdr_integrations.errors import ImageDecodeError, OptionError

if TYPE_CHECKING:
    from pathlib import Path

    from vdr_integrations.llama_index import VDREmbedding


# --- images -----------------------------------------------------------------------------------
def test_an_image_may_come_in_any_form(embedding: VDREmbedding, tmp_path: Path) -> None:
    image = picture("teal")
    path = tmp_path / "teal.png"
    path.write_bytes(png(image))
    uri = "data:image/png;base64," + base64.b64encode(png(image)).decode()
    forms = [str(path), path, png(image), BytesIO(png(image)), image, np.asarray(image), uri]
    vectors = embedding.get_image_embedding_batch(forms)
    assert np.ptp(vectors, axis=0).max() < 1e-5


def test_a_buffer_that_was_read_before_is_read_from_its_start(embedding: VDREmbedding) -> None:
    buffer = BytesIO(png(picture()))
    assert embedding.get_image_embedding(buffer) == embedding.get_image_embedding(buffer)
    buffer.read()
    assert embedding.get_image_embedding(buffer) == embedding.get_image_embedding(picture())


@pytest.mark.parametrize("url", ["https://example.org/a.png", "file:///etc/passwd"])
async def test_urls_are_never_opened(embedding: VDREmbedding, url: str) -> None:
    with pytest.raises(ImageDecodeError, match="URL"):
        embedding.get_image_embedding(url)
    with pytest.raises(ImageDecodeError, match="URL"):
        await embedding.aget_image_embedding(url)


def test_a_large_image_gives_the_vector_that_the_encoder_gives_it(embedding: VDREmbedding) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (700, 900, 3), dtype=np.uint8)
    encoder = load_encoder(
        embedding.model_name, device="cpu", dtype="float32", max_visual_tokens=64
    )
    expected = encoder.encode_pages([Image.fromarray(noise)])[0]
    assert embedding.get_image_embedding(noise) == expected.tolist()


def test_one_bad_image_names_itself(embedding: VDREmbedding, tmp_path: Path) -> None:
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"not an image")
    with pytest.raises(ImageDecodeError, match=r"bad\.png"):
        embedding.get_image_embedding_batch([picture(), bad])


# --- nodes ------------------------------------------------------------------------------------
async def test_nodes_are_embedded_as_their_images(
    embedding: VDREmbedding, page_store: PageStore, tmp_path: Path
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png(picture()))
    expected = embedding.get_image_embedding(path)
    encoded_image = base64.b64encode(png(picture())).decode()
    nodes = [
        ImageNode(image_path=str(path), metadata={"page": 1}),
        ImageNode(image=encoded_image, text="a caption"),
        Node(image_resource=MediaResource(path=path)),
        Node(image_resource=MediaResource(data=png(picture()))),
        TextNode(text=str(page_store.put(PageImage(picture())))),
    ]
    assert embedding(nodes, show_progress=False, embed_model=embedding) is nodes
    for node in nodes:
        np.testing.assert_allclose(node.get_embedding(), expected, atol=1e-5)
        node.embedding = None
    await embedding.acall(nodes, embed_model=embedding)
    for node in nodes:
        np.testing.assert_allclose(node.get_embedding(), expected, atol=1e-5)


def test_text_nodes_are_embedded_as_text_with_their_metadata(embedding: VDREmbedding) -> None:
    node = TextNode(text="Costs fell", metadata={"year": 2023})
    embedding([node])
    assert node.embedding == embedding.get_query_embedding("year: 2023\n\nCosts fell")


@pytest.mark.parametrize(
    ("node", "found"),
    [
        (ImageNode(id_="n", image_url="https://example.org/a.png"), "only an image URL"),
        (ImageNode(id_="n", metadata={"page": 1}), "no image"),
        (ImageNode(id_="n"), "no image"),
        (Node(id_="n", image_resource=MediaResource()), "no image"),
        (TextNode(id_="n"), "empty text"),
    ],
)
def test_a_node_with_nothing_to_embed_is_refused(
    embedding: VDREmbedding, node: TextNode, found: str
) -> None:
    with pytest.raises(OptionError, match=found):
        embedding([node])
