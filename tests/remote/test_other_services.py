"""`gs://` and `az://`: what they say without rights, and Azure's emulator Azurite where it is installed."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.server
import shutil
import socket
import subprocess
import threading
import time
import urllib.request
from pathlib import Path

import cv2
import pytest

from tests import commands, pictures
from tests.remote.server import SECRET

KEY = base64.b64encode(SECRET.encode()).decode()
PUBLISHED = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""The key of every emulator's account, as Azurite's documentation has it."""


@pytest.fixture
def set_environment(tmp_path, monkeypatch):
    """Sets variables after those of the services and of proxies were removed; the working directory has photos."""
    pytest.importorskip("obstore", reason="needs obstore: pip install 'enhance-cli[remote]'")
    import os

    from enhance_cli.storage import buckets

    for name in list(os.environ):
        if name.startswith(("GOOGLE_", "AZURE_", "AZURITE_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("ENHANCE_STORAGE_ATTEMPTS", "2")
    monkeypatch.setattr(buckets, "FIRST_PAUSE", 0.01)
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    for number in range(3):
        cv2.imwrite(f"in/{number}.jpg", pictures.night(seed=number))

    def set_all(**variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        buckets.opened.cache_clear()

    yield set_all
    buckets.opened.cache_clear()


@pytest.fixture
def refusing():
    """The URL of a server that refuses every request, and quotes it; and what it quoted."""
    quoted = []

    class Refusing(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = f"<Error><Message>{self.headers.get('Authorization')} {SECRET}</Message></Error>".encode()
            quoted.append(body)
            self.send_response(403)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_HEAD = do_PUT = do_POST = do_GET  # noqa: N815 - names of http.server

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", quoted
        server.shutdown()
        thread.join()


def test_the_rights_are_missing(set_environment, refusing, enhance):
    url, quoted = refusing
    set_environment(
        GOOGLE_BASE_URL=url,
        GOOGLE_BEARER_TOKEN=SECRET,
        AZURE_STORAGE_ENDPOINT=url,
        AZURE_STORAGE_ACCOUNT_NAME="account",
        AZURE_STORAGE_ACCOUNT_KEY=KEY,
    )
    for scheme in ("gs", "az"):
        for arguments in (
            (f"{scheme}://photos/in", "out"),
            ("in", f"{scheme}://photos/out"),
            ("--debug", f"{scheme}://photos/in", "out"),
        ):
            done = enhance(*arguments)
            assert done.exit_code == 4, done.output
            assert "the service rejects the credentials, or this user lacks permission (403)" in done.output
            assert KEY not in done.output
            assert not Path("out").exists()
    assert any(SECRET.encode() in body.split(b"Message")[1].split()[1] for body in quoted), "no request had the token"


def test_the_environment_says_nothing_or_nonsense(set_environment, enhance, monkeypatch):
    set_environment()
    done = enhance("az://photos/in", "out")
    assert (done.exit_code, done.output.count("\n")) == (2, 1)
    assert "az://photos cannot be opened with what the environment configures; see docs/cluster.md" in done.output
    set_environment(AZURE_STORAGE_ACCOUNT_NAME="account", AZURE_STORAGE_ACCOUNT_KEY=f"{SECRET} is not base64")
    assert "cannot be opened with what the environment configures" in enhance("in", "az://photos/out").output
    set_environment(GOOGLE_SERVICE_ACCOUNT_KEY=f'{{"private_key": "{SECRET}"')
    done = enhance("in", "gs://photos/out")
    assert (done.exit_code, done.output.count("\n")) == (2, 1)
    assert "gs://photos cannot be opened with what the environment configures" in done.output


@pytest.fixture
def azurite(set_environment, tmp_path):
    """Azure's emulator with the container `photos`."""
    program = shutil.which("azurite-blob")
    if program is None:
        pytest.skip("Azurite is not installed (npm install -g azurite)")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    options = ("--inMemoryPersistence", "--disableTelemetry", "--skipApiVersionCheck", "--silent")
    with subprocess.Popen([program, "--blobHost", "127.0.0.1", "--blobPort", str(port), *options]) as process:
        try:
            commands.until(lambda: _answers(port))
            _make_container(url)
            set_environment(
                AZURE_STORAGE_USE_EMULATOR="true",
                AZURITE_BLOB_STORAGE_URL=url,
                AZURE_STORAGE_ACCOUNT_NAME="devstoreaccount1",
                AZURE_STORAGE_ACCOUNT_KEY=PUBLISHED,
            )
            yield url
        finally:
            process.kill()


def _answers(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _make_container(url):
    """By a request that is signed with the published key."""
    account, version = "devstoreaccount1", "2021-08-06"
    date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime())
    path = f"/{account}/{account}/photos\nrestype:container"
    text = "PUT" + "\n" * 12 + f"x-ms-date:{date}\nx-ms-version:{version}\n{path}"
    signature = base64.b64encode(hmac.new(base64.b64decode(PUBLISHED), text.encode(), hashlib.sha256).digest()).decode()
    headers = {"x-ms-date": date, "x-ms-version": version, "Authorization": f"SharedKey {account}:{signature}"}
    request = urllib.request.Request(
        f"{url}/{account}/photos?restype=container",
        method="PUT",
        data=b"",
        headers={**headers, "Content-Type": "", "Content-Length": "0"},
    )
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as answer:
        assert answer.status == 201


def test_azure_there_and_back(azurite, enhance):
    assert enhance("in", "one").exit_code == 0
    assert enhance("in", "az://photos/out").exit_code == 0
    again = enhance("in", "az://photos/out")
    assert "Nothing to do: 3 photos done by an earlier run and unchanged." in again.output
    assert enhance("az://photos/out", "back").exit_code == 0
    assert enhance("one", "twice").exit_code == 0
    assert commands.contents("back") == commands.contents("twice")
    taken = enhance("--report", "none", "in", "az://photos/out")
    assert taken.exit_code == 2
    assert "Already there: az://photos/out/0.jpg" in taken.output
    gone = enhance("az://nowhere/in", "out")
    assert "there is no bucket nowhere" in gone.output
    assert PUBLISHED not in again.output + taken.output + gone.output
