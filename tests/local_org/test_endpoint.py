# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from aws_local_org import LocalOrg
from aws_local_org.commands import LocalOrgEndpoint
from aws_local_org.errors import LocalOrgError


class Stranger(BaseHTTPRequestHandler):
    """Some other server on this machine; /_local_org/redirect leads away from it."""

    def do_GET(self) -> None:
        route = self.path.rpartition("/")[2]
        self.send_response({"page": 200, "redirect": 302, "error": 500, "json": 404}[route])
        self.send_header("Location", "http://169.254.169.254/")
        body = b'{"message": "not here"}' if route == "json" else b"<html></html>"
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def stranger() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Stranger) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_it_speaks_to_the_local_organization(org: LocalOrg) -> None:
    assert LocalOrgEndpoint(f"{org.endpoint_url}/").get("health")["status"] == "ok"


def test_a_proxy_of_the_environment_is_not_asked(org: LocalOrg, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert LocalOrgEndpoint(org.endpoint_url).get("health")["status"] == "ok"


def test_a_refusal_is_passed_on(org: LocalOrg) -> None:
    with pytest.raises(LocalOrgError, match="users_per_account: 0 is not a whole number"):
        LocalOrgEndpoint(org.endpoint_url).post("seed", {"users_per_account": 0})


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:5000", "http://127.8.8.8", "http://[::1]:5000", "http://LOCALHOST:1"]
)
def test_loopback_is_taken(url: str) -> None:
    assert LocalOrgEndpoint(url).url == url


@pytest.mark.parametrize(
    ("url", "message"),
    [
        (None, "no endpoint: give --endpoint or set AWS_ENDPOINT_URL"),
        ("", "no endpoint"),
        ("https://iam.amazonaws.com", "is not on this machine"),
        ("http://10.0.0.1:5000", "is not on this machine"),
        ("http://0.0.0.0:5000", "is not on this machine"),
        ("http://127.0.0.1.example.com", "is not on this machine"),
        ("http://127.0.0.1@example.com", "is not on this machine"),
        ("http://localhost.example.com", "is not on this machine"),
        ("127.0.0.1:5000", "is not a URL such as"),
        ("file:///etc/passwd", "is not a URL such as"),
    ],
)
def test_everything_else_is_refused_before_anything_is_sent(url: str | None, message: str) -> None:
    with pytest.raises(LocalOrgError, match=message):
        LocalOrgEndpoint(url)


def test_nobody_there() -> None:
    with pytest.raises(
        LocalOrgError, match=r"no local organization answers at http://127.0.0.1:1 .*local-org serve"
    ):
        LocalOrgEndpoint("http://127.0.0.1:1").get("health")


@pytest.mark.parametrize("route", ["page", "redirect", "error", "json"])
def test_somebody_else_there(stranger: str, route: str) -> None:
    with pytest.raises(LocalOrgError, match="is not a local organization"):
        LocalOrgEndpoint(stranger).get(route)
