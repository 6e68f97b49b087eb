# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import socket
import threading
from collections.abc import Iterable, Iterator
from http.client import HTTPConnection
from typing import Any

import pytest

from aws_local_org.server import ServerThread


def echo(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    body = environ["wsgi.input"].read()
    named = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']} {threading.get_ident()}"
    start_response("200 OK", [("Content-Type", "text/plain"), ("X-Named", named)])
    return [b"<", body, b">"]


@pytest.fixture
def server() -> Iterator[ServerThread]:
    server = ServerThread(echo, 0)
    yield server
    server.stop()


@pytest.fixture
def connection(server: ServerThread) -> Iterator[HTTPConnection]:
    connection = HTTPConnection(server.host, server.port, timeout=10)
    yield connection
    connection.close()


def test_one_connection_serves_many_requests(connection: HTTPConnection) -> None:
    connection.connect()
    kept = connection.sock
    for number in range(3):
        connection.request("POST", "/a%20b", f"body {number}")
        response = connection.getresponse()
        assert response.read() == f"<body {number}>".encode()
        assert (response.getheader("X-Named") or "").startswith("POST /a b ")
        assert connection.sock is kept


@pytest.mark.parametrize(
    ("method", "body", "headers", "expected"),
    [
        pytest.param("GET", None, {}, b"<>", id="no body"),
        pytest.param("HEAD", None, {}, b"", id="no body wanted"),
        pytest.param("PUT", b"x" * 1_000_000, {}, b"<" + b"x" * 1_000_000 + b">", id="a large body"),
        pytest.param("PUT", iter([b"ab", b"c"]), {"Transfer-Encoding": "chunked"}, b"<abc>", id="chunks"),
    ],
)
def test_bodies(
    connection: HTTPConnection, method: str, body: Any, headers: dict[str, str], expected: bytes
) -> None:
    connection.request(method, "/", body, headers, encode_chunked="Transfer-Encoding" in headers)
    response = connection.getresponse()
    assert response.read() == expected
    connection.request("GET", "/")  # the connection is still in step
    assert connection.getresponse().read() == b"<>"


@pytest.mark.parametrize(
    ("header", "body", "status"),
    [
        pytest.param("Content-Length: five", b"", b"400", id="no-number"),
        pytest.param("Content-Length: -1", b"", b"400", id="negative"),
        pytest.param("Content-Length: 1, 1", b"a", b"400", id="two"),
        pytest.param("Content-Length: 99999999999999999999", b"", b"413", id="too-large"),
        pytest.param("Content-Length: " + "9" * 5_000, b"", b"413", id="too-many-digits"),
        pytest.param("Transfer-Encoding: chunked", b"zz\r\nabc\r\n0\r\n\r\n", b"400", id="no-chunk"),
    ],
)
def test_a_body_without_an_end_is_refused_and_no_request_is_read_after_it(
    server: ServerThread, capfd: pytest.CaptureFixture[str], header: str, body: bytes, status: bytes
) -> None:
    with socket.create_connection((server.host, server.port), timeout=10) as client:
        client.sendall(f"POST / HTTP/1.1\r\nHost: x\r\n{header}\r\n\r\n".encode() + body)
        answer = client.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 " + status)
    assert answer.count(b"HTTP/1.1") == 1
    assert "Traceback" not in capfd.readouterr().err


def test_a_client_may_ask_whether_to_go_on(connection: HTTPConnection) -> None:
    connection.putrequest("PUT", "/")
    connection.putheader("Expect", "100-continue")
    connection.putheader("Content-Length", "3")
    connection.endheaders()
    assert connection.sock.recv(64).startswith(b"HTTP/1.1 100 Continue")
    connection.send(b"abc")
    assert connection.getresponse().read() == b"<abc>"


def test_connections_are_served_at_the_same_time(server: ServerThread) -> None:
    threads = set()
    connections = [HTTPConnection(server.host, server.port, timeout=10) for _ in range(3)]
    for each in connections:
        each.request("GET", "/")
        response = each.getresponse()
        response.read()
        threads.add((response.getheader("X-Named") or "").rpartition(" ")[2])
    for each in connections:
        each.close()
    assert len(threads) == 3


def test_it_listens_on_loopback_only(server: ServerThread) -> None:
    with socket.socket(socket.AF_INET) as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
        with pytest.raises(OSError, match="in use"):
            other.bind((server.host, server.port))
        other.bind(("127.0.0.2", server.port))  # free, which it would not be if every address were taken
