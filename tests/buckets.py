"""An S3 server of moto's, for tests that read and write in this process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import boto3
import pytest
import s3fs
from moto.server import ThreadedMotoServer

BUCKET = "shared"
KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}


@contextmanager
def s3_server() -> Iterator[str]:
    """Serve S3 on a free port, and give the address."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        server.stop()


@contextmanager
def bucket() -> Iterator[str]:
    """Make a bucket that fsspec finds in this process; give its URL."""
    with s3_server() as address, pytest.MonkeyPatch.context() as patch:
        for name, value in {**KEYS, "AWS_ENDPOINT_URL": address, "no_proxy": "127.0.0.1"}.items():
            patch.setenv(name, value)
        s3fs.S3FileSystem.clear_instance_cache()  # its objects keep the address of an earlier server
        boto3.client("s3", endpoint_url=address).create_bucket(Bucket=BUCKET)
        yield f"s3://{BUCKET}"
        s3fs.S3FileSystem.clear_instance_cache()
