"""Documents in a bucket: s3fs against moto's server of S3, on this machine."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import boto3
import pytest
import ray
from moto.server import ThreadedMotoServer
from pytest_socket import enable_socket
from tests.pdfs import write_pdf
from tests.ray_jobs.ray_runs import DENSE, SMALL_RAY, committed, write_documents

from vdr_integrations import PageSearcher
from vdr_integrations.errors import OptionError
from vdr_integrations.index import open_index, sync_index
from vdr_integrations.ray_jobs import index_with_ray

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.filterwarnings("ignore:.*socket:pytest.PytestUnraisableExceptionWarning")

KEYS = {
    "AWS_ACCESS_KEY_ID": "AKIAOFTHETESTS",
    "AWS_SECRET_ACCESS_KEY": "secret-of-the-tests",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@pytest.fixture(scope="module")
def cluster(cluster: Any) -> Iterator[None]:
    """Another Ray, whose processes know the server: they have the environment of its start."""
    enable_socket()
    with socket.create_server(("127.0.0.1", 0)) as one:
        port = one.getsockname()[1]
    server = ThreadedMotoServer("127.0.0.1", port, verbose=False)
    server.start()
    ray.shutdown()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**KEYS, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"}.items():
            patch.setenv(name, value)
        ray.init(**SMALL_RAY)
        yield
        ray.shutdown()
    server.stop()
    ray.init(**SMALL_RAY)


@pytest.fixture
def bucket(cluster: None) -> Any:
    client = boto3.client("s3")
    client.create_bucket(Bucket="reports")
    yield client
    for one in client.list_objects_v2(Bucket="reports").get("Contents", []):
        client.delete_object(Bucket="reports", Key=one["Key"])
    client.delete_bucket(Bucket="reports")


def put(bucket: Any, folder: Path) -> None:
    for path in sorted(folder.rglob("*.*")):
        key = f"2024/{path.relative_to(folder).as_posix()}"
        bucket.put_object(Bucket="reports", Key=key, Body=path.read_bytes())


def test_a_bucket_is_indexed_followed_and_found(bucket: Any, tmp_path: Path) -> None:
    documents, root = tmp_path / "documents", tmp_path / "shards"
    write_documents(documents, 4)
    (documents / "notes.txt").write_text("no document")
    (documents / "torn.pdf").write_bytes(b"%PDF-1.7 torn")
    put(bucket, documents)
    first = index_with_ray(root, ["s3://reports/2024"], encoder=DENSE, encoders=2, shards=2)
    assert sorted(first.added) == [f"s3://reports/2024/report-{n}.pdf" for n in range(4)]
    assert [one.source for one in first.failed] == ["s3://reports/2024/torn.pdf"]
    assert sum(committed(root)) == 4
    with PageSearcher(root) as searcher:
        assert searcher.search("Report 3", k=1)[0].source.startswith("s3://reports/2024/report-")

    write_pdf(documents / "report-1.pdf", ["another text"])
    bucket.put_object(
        Bucket="reports", Key="2024/report-1.pdf", Body=(documents / "report-1.pdf").read_bytes()
    )
    for name in ("report-0.pdf", "torn.pdf"):
        bucket.delete_object(Bucket="reports", Key=f"2024/{name}")
    second = index_with_ray(root, ["s3://reports/2024/"], encoders=1)
    assert second.changed == ["s3://reports/2024/report-1.pdf"]
    assert second.removed == ["s3://reports/2024/report-0.pdf"]
    assert len(second.unchanged) == 2
    assert second.pages_encoded == 1
    assert second.failed == []


def test_an_empty_place_keeps_its_documents_until_they_are_dropped(
    bucket: Any, tmp_path: Path
) -> None:
    documents, root = tmp_path / "documents", tmp_path / "shards"
    write_documents(documents, 1)
    put(bucket, documents)
    index_with_ray(root, ["s3://reports/2024"], encoder=DENSE, encoders=1)
    bucket.delete_object(Bucket="reports", Key="2024/report-0.pdf")
    report = index_with_ray(root, ["s3://reports/2024"], encoders=1)
    assert report.missing == ["s3://reports/2024/report-0.pdf"]
    assert [one.source for one in report.failed] == ["s3://reports/2024"]
    report = index_with_ray(root, ["s3://reports/2024"], encoders=1, drop_missing=True)
    assert report.removed == ["s3://reports/2024/report-0.pdf"]
    assert report.failed == []


def test_the_vectors_are_those_of_the_files(bucket: Any, tmp_path: Path) -> None:
    documents, root = tmp_path / "documents", tmp_path / "shards"
    write_documents(documents, 2)
    put(bucket, documents)
    index_with_ray(root, ["s3://reports/2024"], encoder=DENSE, encoders=1, shards=2)
    with PageSearcher(tmp_path / "one", encoder=DENSE) as one:
        index = one.create(late_interaction=False)
        sync_index(index, one.page_encoder, [documents])
        with open_index(root) as found:
            mine = found.get(found.page_ids(), with_vectors=True)
            theirs = index.get(index.page_ids(), with_vectors=True)
            assert [page.page_ref for page in mine] == [page.page_ref for page in theirs]
            for page, same in zip(mine, theirs, strict=True):
                assert page.dense == pytest.approx(same.dense, abs=1e-5)


def test_keys_in_a_url_are_refused_and_not_repeated(cluster: None, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="holds a key or password") as refused:
        index_with_ray(tmp_path / "x", ["s3://key:secret@reports/2024"], encoder=DENSE, encoders=1)
    assert "secret" not in str(refused.value)
