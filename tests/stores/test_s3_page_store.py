"""A page store in a bucket: s3fs against moto's server of S3, on this machine."""

from __future__ import annotations

import asyncio
import os
import pickle
import socket
import subprocess
import sys
import threading
import uuid
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.request import Request, urlopen

import boto3
import pytest
from moto.server import ThreadedMotoServer
from PIL import Image
from pytest_socket import enable_socket
from tests.patience import HANG_S
from tests.pdfs import write_pdf
from typer.testing import CliRunner

from vdr_integrations.cli.app import app
from vdr_integrations.errors import PageReferenceError, PageStoreError
from vdr_integrations.pages import PageStore, StoreContents
from vdr_integrations.retrieval import unneeded_pages
from vdr_integrations.types import PageImage, PageRef

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# s3fs and boto3 leave connections open at the end.
pytestmark = pytest.mark.filterwarnings("ignore:.*socket:pytest.PytestUnraisableExceptionWarning")

NEEDED = f"vdr-page:{'0' * 64}"
KEYS = {
    "AWS_ACCESS_KEY_ID": "AKIAOFTHETESTS",
    "AWS_SECRET_ACCESS_KEY": "secret-of-the-tests",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}
ROOT = Path(__file__).resolve().parents[2]


def page(shade: int = 200) -> PageImage:
    image = Image.new("RGB", (56, 84), (shade, 30, 40))
    image.putpixel((3, 5), (1, 2, 3))
    return PageImage(image)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Address of a server that keeps its buckets in this process."""
    enable_socket()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in KEYS.items():
            patch.setenv(name, value)
        running = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        running.start()
        host, port = running.get_host_and_port()
        address = f"http://{host}:{port}"
        patch.setenv("AWS_ENDPOINT_URL", address)
        yield address
        running.stop()


@pytest.fixture
def s3(server: str, _no_network: None) -> Any:
    """boto3's client, for what the store itself does not do."""
    enable_socket()
    return boto3.client("s3")


@pytest.fixture
def bucket(s3: Any) -> str:
    name = f"bucket-{uuid.uuid4().hex}"
    s3.create_bucket(Bucket=name)
    return name


@pytest.fixture
def store(bucket: str) -> PageStore:
    return PageStore(f"s3://{bucket}/pages")


def keys(s3: Any, bucket: str) -> list[str]:
    return [one["Key"] for one in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]


def grow_old(bucket: str) -> None:
    """Let all objects of the server be two days old."""
    from moto.s3.models import s3_backends

    then = datetime.now(UTC).replace(tzinfo=None) - timedelta(days=2)
    backend: Any = s3_backends["123456789012"]["aws"]
    for key in list(backend.buckets[bucket].keys.values()):
        key.last_modified = then


def key_of(ref: PageRef) -> str:
    return f"pages/{ref.sha256[:2]}/{ref.sha256}.png"


def run(code: str, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    """A program of another process."""
    paths = os.pathsep.join([str(ROOT / "src"), str(ROOT), *filter(None, sys.path)])
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM + code, *arguments],
        env={**os.environ, "PYTHONPATH": paths, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def done(program: subprocess.Popen[str]) -> str:
    try:
        shown, errors = program.communicate(timeout=HANG_S)
    finally:
        program.kill()
    assert program.returncode == 0, errors
    return shown


PROGRAM = """
import os, sys
from PIL import Image
from vdr_integrations.errors import PageStoreError
from vdr_integrations.pages import PageStore
from vdr_integrations.types import PageImage

def page(shade=200):
    image = Image.new("RGB", (56, 84), (shade, 30, 40))
    image.putpixel((3, 5), (1, 2, 3))
    return PageImage(image)

store = PageStore(sys.argv[1])
"""


def test_a_page_is_stored_once_and_comes_back_pixel_for_pixel(
    store: PageStore, s3: Any, bucket: str
) -> None:
    assert page().ref not in store
    assert store.contents() == StoreContents(0, 0, 0, 0)
    ref = store.put(page())
    assert store.put(page()) == ref
    assert ref in store
    assert store.get(str(ref)).image.tobytes() == page().image.tobytes()
    stored = s3.get_object(Bucket=bucket, Key=key_of(ref))["Body"].read()
    assert store.contents() == StoreContents(1, len(stored), 0, 0)
    assert keys(s3, bucket) == [key_of(ref), f"pages/renewed/{ref.sha256[:2]}/{ref.sha256}"]
    with pytest.raises(PageReferenceError, match="no page is stored under it"):
        store.get(page(9).ref)


def test_processes_can_put_the_same_pages_and_see_those_of_others(store: PageStore) -> None:
    assert store.contents().pages == 0
    assert page(0).ref not in store
    programs = [
        run("for n in range(5): store.get(store.put(page(n)))", store.location) for _ in range(3)
    ]
    for program in programs:
        done(program)
    assert store.contents().pages == 5
    assert [store.get(page(n).ref).ref for n in range(5)] == [page(n).ref for n in range(5)]


def test_a_forked_child_has_connections_of_its_own(store: PageStore) -> None:
    code = (
        "store.put(page(1))\n"
        "child = os.fork()\n"
        "if not child:\n"
        "    store.put(page(2)); store.get(page(1).ref); sys.exit(0)\n"
        "store.put(page(3))\n"
        "assert os.waitpid(child, 0)[1] == 0\n"
        "store.get(page(2).ref)\n"
    )
    done(run(code, store.location))
    assert store.contents().pages == 3


async def test_a_store_can_be_used_inside_and_beside_an_event_loop(store: PageStore) -> None:
    ref = store.put(page())
    copy = pickle.loads(pickle.dumps(store))
    pages = await asyncio.gather(*(asyncio.to_thread(copy.get, ref) for _ in range(8)))
    assert {found.ref for found in pages} == {ref}


def test_an_altered_object_is_refused_and_replaced(store: PageStore, s3: Any, bucket: str) -> None:
    ref = store.put(page())
    stored = s3.get_object(Bucket=bucket, Key=key_of(ref))["Body"].read()
    s3.put_object(Bucket=bucket, Key=key_of(ref), Body=stored[: len(stored) // 2])
    with pytest.raises(PageReferenceError, match="damaged or was altered"):
        store.get(ref)
    store.put(page())
    assert store.get(ref).ref == ref


def test_a_bucket_that_does_not_exist_is_named(server: str, s3: Any) -> None:
    missing = PageStore("s3://no-such-bucket/pages")
    uses: list[Callable[[], object]] = [
        lambda: missing.put(page()),
        lambda: missing.get(page().ref),
        lambda: missing.renew(page().ref),
        lambda: page().ref in missing,
        missing.contents,
        lambda: unneeded_pages(missing, refs=[NEEDED]),
    ]
    for use in uses:
        with pytest.raises(PageStoreError, match="bucket or container does not exist") as caught:
            use()
        assert "s3://no-such-bucket/pages" in str(caught.value)
        assert "Make it first" in str(caught.value)


@pytest.fixture
def wrong_keys_are_refused(server: str, s3: Any) -> Iterator[None]:
    def allow(count: str) -> None:
        asked = Request(f"{server}/moto-api/reset-auth", data=count.encode(), method="POST")
        asked.add_header("Content-Type", "text/plain")
        with urlopen(asked) as answer:
            assert answer.status == 200

    allow("0")
    yield
    allow("inf")


def test_wrong_keys_are_an_error_that_shows_none_of_them(
    bucket: str, wrong_keys_are_refused: None
) -> None:
    store = PageStore(f"s3://AKIAWRONG:secret/of%2Fann@{bucket}/pages")
    uses: list[Callable[[], object]] = [
        lambda: store.put(page()),
        lambda: store.get(page().ref),
        store.contents,
    ]
    for use in uses:
        with pytest.raises(PageStoreError, match="Give credentials") as caught:
            use()
        told = f"{caught.value} {caught.value!r} {caught.value.__cause__!r} {store!r}"
        assert "AKIAWRONG" not in told
        assert "secret/" not in told
        assert f"s3://***@{bucket}/pages" in str(caught.value)


def test_keys_in_a_url_are_used(bucket: str, server: str) -> None:
    code = "print(store.put(page()))"
    hidden = dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "")
    shown = done(run(code, f"s3://AKIA:secret/with+slash@{bucket}/pages", **hidden))
    assert shown.strip() == str(page().ref)
    assert page().ref in PageStore(f"s3://{bucket}/pages")


def test_a_server_that_is_gone_is_an_error(bucket: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    code = (
        "try: store.get(page().ref)\n"
        "except PageStoreError as error: print(error)\n"
        "try: store.put(page())\n"
        "except PageStoreError as error: print(error)\n"
    )
    shown = done(run(code, f"s3://{bucket}/pages", AWS_ENDPOINT_URL=address))
    assert shown.count("Check the network") == 2
    assert shown.count(f"page store s3://{bucket}/pages") == 2


def test_a_put_that_is_cut_off_leaves_no_page(store: PageStore, bucket: str, server: str) -> None:
    """Everything goes through, but pictures: their connections end in the middle."""
    port = int(server.rpartition(":")[2])
    with Cutting(port) as cutting:
        code = (
            "import fsspec\n"
            "page = PageImage(Image.effect_noise((400, 400), 90).convert('RGB'))\n"
            "try: store.put(page)\n"
            "except PageStoreError as error: print(page.ref)\n"
        )
        shown = done(run(code, store.location, AWS_ENDPOINT_URL=cutting.address))
    ref = PageRef.parse(shown.strip())
    assert ref is not None
    assert ref not in store
    assert store.contents() == StoreContents(0, 0, 0, 0)


class Cutting:
    """Passes on what comes, and hangs up after so many bytes of one connection."""

    MOST_BYTES = 60_000

    def __init__(self, port: int) -> None:
        self._port = port
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._listening.getsockname()[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listening.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", self._port)) as there:
            back = threading.Thread(target=self._pass_on, args=(there, client), daemon=True)
            back.start()
            self._pass_on(client, there)
            back.join()

    def _pass_on(self, one: socket.socket, other: socket.socket) -> None:
        passed = 0
        with suppress(OSError):
            while passed < self.MOST_BYTES and (data := one.recv(8192)):
                other.sendall(data)
                passed += len(data)
        for end in (one, other):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


def test_pages_that_nothing_needs_are_removed(store: PageStore, s3: Any, bucket: str) -> None:
    gone, needed = store.put(page(1)), store.put(page(2))
    assert unneeded_pages(store, refs=[str(needed)]).young == 1
    grow_old(bucket)
    renewed = store.put(page(3))
    found = unneeded_pages(store, refs=[str(needed)])
    assert (found.refs, found.needed, found.young) == ((gone,), 1, 1)
    assert found.remove().pages == 1
    assert [ref in store for ref in (gone, needed, renewed)] == [False, True, True]
    assert not [key for key in keys(s3, bucket) if gone.sha256 in key or "unfinished" in key]


def test_no_page_is_lost_that_another_process_puts_at_the_time(
    store: PageStore, bucket: str
) -> None:
    for shade in range(6):
        store.put(page(shade))
    grow_old(bucket)
    writer = run("for n in range(6): store.put(page(n))", store.location)
    removed = 0
    while writer.poll() is None:
        removed += unneeded_pages(store, refs=[NEEDED]).remove().pages
    done(writer)
    assert [store.get(page(n).ref).ref for n in range(6)] == [page(n).ref for n in range(6)]


def test_the_commands_show_and_prune_a_bucket(
    store: PageStore, bucket: str, tmp_path: Path
) -> None:
    needed, gone = store.put(page(1)), store.put(page(2))
    grow_old(bucket)
    (tmp_path / "refs").write_text(f"{needed}\n")
    shown = CliRunner().invoke(app, ["store", "--store", store.location])
    assert shown.exit_code == 0, shown.output
    assert store.location in shown.stdout
    prune = ["store", "prune", "--store", store.location, "--refs", str(tmp_path / "refs"), "--yes"]
    pruned = CliRunner().invoke(app, prune)
    assert pruned.stdout.startswith("1 pages removed"), pruned.output
    assert (needed in store, gone in store) == (True, False)


def test_both_frameworks_keep_pictures_in_a_bucket(store: PageStore, tmp_path: Path) -> None:
    from vdr_integrations.langchain import PDFPageLoader, page_image_block
    from vdr_integrations.llama_index import (
        PagePicturePostprocessor,
        PDFPageNodeParser,
        PDFPageReader,
    )

    report = write_pdf(tmp_path / "report.pdf", ["Revenue grew"])
    place = store.location
    [document] = PDFPageLoader(report, page_store_path=place).load()
    assert page_image_block(document, page_store_path=place).get("mime_type") == "image/png"
    [node] = PDFPageNodeParser()(PDFPageReader(page_store_path=place).load_data(report))
    assert node.metadata["page_ref"] == document.metadata["page_ref"]
    from llama_index.core.schema import ImageNode, NodeWithScore

    assert isinstance(node, ImageNode)
    [hit] = PagePicturePostprocessor(page_store_path=place).postprocess_nodes(
        [NodeWithScore(node=node)]
    )
    with Image.open(hit.node.resolve_image()) as image:  # type: ignore[attr-defined]
        assert image.tobytes() == store.get(node.metadata["page_ref"]).image.tobytes()
    assert store.contents().pages == 1
