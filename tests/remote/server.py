"""A real S3 server on loopback: moto's, behind a handler that makes faults where a test asks for them."""

from __future__ import annotations

import re
import socket
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

SECRET = "wJalrXUtnFEMIx7MDENGxbPxRfiCYEXAMPLEKEY"
BUCKET = "photos"


@dataclass
class Fault:
    """What happens to requests that match, `times` times."""

    method: str
    path: str
    """A regular expression of the path with its query."""

    what: str
    """A status, `reset` (the connection breaks), `hang` (no answer in time), `lost` (done, but the answer is lost)."""

    times: int = 1_000_000
    seen: int = 0


@dataclass
class Server:
    """The server, its address and its faults."""

    url: str = ""
    client: Any = None
    faults: list[Fault] = field(default_factory=list)
    requests: list[tuple[str, str]] = field(default_factory=list)
    before: Callable[[str, str], None] | None = None
    """Called with method and path before a request is answered."""

    def fault(self, *what: Any) -> Fault:
        self.faults.append(Fault(*what))
        return self.faults[-1]

    def empty(self) -> None:
        """Forget all buckets."""
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"{self.url}/moto-api/reset", b""):
            pass

    def put(self, key: str, data: bytes, bucket: str = BUCKET) -> None:
        self.client.put_object(Bucket=bucket, Key=key, Body=data)

    def put_folder(self, folder: str | Path, prefix: str) -> None:
        for path in Path(folder).rglob("*"):
            if path.is_file():
                self.put(f"{prefix}/{path.relative_to(folder).as_posix()}", path.read_bytes())

    def keys(self, prefix: str = "", bucket: str = BUCKET) -> list[str]:
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return [item["Key"] for page in pages for item in page.get("Contents", [])]

    def get(self, key: str, bucket: str = BUCKET) -> bytes:
        return self.client.get_object(Bucket=bucket, Key=key)["Body"].read()

    def contents(self, prefix: str) -> dict[str, bytes]:
        """Name below the prefix and bytes, without the parts of reports."""
        keys = [key for key in self.keys(prefix + "/") if "/enhance-report/" not in key]
        return {key.removeprefix(prefix + "/"): self.get(key) for key in keys}

    def lines(self, prefix: str) -> list[dict[str, Any]]:
        import json

        parts = sorted(self.keys(f"{prefix}/enhance-report/"))
        return [json.loads(line) for key in parts for line in self.get(key).splitlines()]


class _Faulty:
    """A WSGI application around another one."""

    def __init__(self, inner: Any, server: Server) -> None:
        self._inner, self._server = inner, server

    def __call__(self, environ: dict[str, Any], start: Any) -> Any:
        method = environ["REQUEST_METHOD"]
        path = environ.get("RAW_URI") or environ["REQUEST_URI"]
        self._server.requests.append((method, path))
        if self._server.before is not None:
            self._server.before(method, path)
        for fault in self._server.faults:
            if fault.method == method and fault.seen < fault.times and re.search(fault.path, path):
                fault.seen += 1
                if fault.what == "hang":
                    time.sleep(3)
                    break
                if fault.what in ("reset", "lost"):
                    if fault.what == "lost":
                        b"".join(self._inner(environ, lambda *_: None))
                    # Nobody answers: the connection ends.
                    environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
                    raise ConnectionAbortedError
                code = fault.what.partition(" ")[2]
                body = f"<Error><Code>{code}</Code><Message>{SECRET}</Message></Error>".encode()
                start(fault.what, [("Content-Length", str(len(body)))])
                return [body]
        return self._inner(environ, start)


def set_environment(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {
        "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": url,
    }.items():
        monkeypatch.setenv(name, value)


@contextmanager
def running() -> Iterator[Server]:
    """Moto's server with one bucket."""
    pytest.importorskip("obstore", reason="needs obstore: pip install 'enhance-cli[remote]'")
    moto = pytest.importorskip("moto.server", reason="needs an S3 server: pip install 'moto[server]'")
    boto3 = pytest.importorskip("boto3", reason="needs boto3, which comes with moto")
    import logging

    from botocore.config import Config
    from werkzeug.serving import make_server

    logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
    server = Server()
    application = _Faulty(moto.DomainDispatcherApplication(moto.create_backend_app), server)
    http = make_server("127.0.0.1", 0, application, threaded=True)
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    server.url = f"http://127.0.0.1:{http.server_port}"
    server.client = boto3.client(
        "s3",
        endpoint_url=server.url,
        aws_access_key_id="AKIAIOSFODNN7EXAMPLE",
        aws_secret_access_key=SECRET,
        region_name="us-east-1",
        config=Config(proxies={}, s3={"addressing_style": "path"}),
    )
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join()
