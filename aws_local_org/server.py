# SPDX-License-Identifier: Apache-2.0
"""A threaded HTTP server on loopback for one WSGI application."""

from __future__ import annotations

import io
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from http import HTTPStatus
from typing import Any

from moto.moto_server.werkzeug_app import MotoRequestHandler
from werkzeug.serving import ThreadedWSGIServer

from aws_local_org.errors import LocalOrgError, WireResponse
from aws_local_org.iam_random_faults import ConnectionLost

#: The only address to listen on: only a request's token is checked, and it is sent in clear.
LOOPBACK = "127.0.0.1"

#: The answer to a request that its line and headers forbid, by its environ; None for any other.
Refusal = Callable[[Mapping[str, Any]], WireResponse | None]

BACKLOG = 256
#: The maximum bytes of a request's body: as for SQS, 1 MiB, the largest of the services emulated here. S3 takes more,
#: in parts.
LARGEST_BODY = 256 * 1024 * 1024


#: Seconds of silence, and bytes, after which the connection of a refused request is closed.
_LINGER, _MOST_LINGERING = 0.5, 1024 * 1024


class _BodyRefused(Exception):
    """A body without a known end, or one that is too large. ``args``: status and reason."""


def _pieces(stream: Any) -> Iterator[bytes]:
    """The chunks of a body. Raises _BodyRefused."""
    length = 0
    try:
        while piece := stream.read(io.DEFAULT_BUFFER_SIZE):
            length += len(piece)
            if length > LARGEST_BODY:
                raise _BodyRefused("413 Content Too Large")
            yield piece
    except OSError as error:
        raise _BodyRefused("400 Bad Request") from error


class _KeepAliveHandler(MotoRequestHandler):
    """werkzeug closes every connection, as an application may leave a body unread. This one reads it first."""

    protocol_version = "HTTP/1.1"
    # Headers and body leave in two writes: with Nagle's algorithm the second waits for the client's delayed ACK.
    disable_nagle_algorithm = True

    def handle_expect_100(self) -> bool:
        """Not yet: ``run_wsgi`` answers once it knows that the request may go on."""
        return True

    def run_wsgi(self) -> None:
        environ = self.make_environ()
        if foreign := self.server.refusal(environ):
            # Its body is unread, so the beginning of the next request is unknown.
            self.close_connection = True
            headers = [*foreign.headers.items(), ("Connection", "close")]
            self._respond(f"{foreign.status} {HTTPStatus(foreign.status).phrase}", headers, foreign.body)
            self._let_go()
            return
        if self.headers.get("Expect", "").strip().lower() == "100-continue":
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        try:
            body = self._body(environ)
        except _BodyRefused as refused:
            # The beginning of the next request is unknown.
            self.close_connection = True
            self._respond(str(refused), [("Connection", "close")], b"")
            return
        environ["wsgi.input"] = io.BytesIO(body)
        environ["wsgi.input_terminated"] = True
        started: list[Any] = []
        try:
            chunks: Iterable[bytes] = self.server.app(environ, lambda *start: started.extend(start[:2]))
        except ConnectionLost:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self._respond(started[0], started[1], b"".join(chunks))

    def _let_go(self) -> None:
        """For a moment, read and discard what the client still sends.

        Closing with unread data resets the connection, and the client may lose the answer.
        """
        self.connection.shutdown(socket.SHUT_WR)
        self.connection.settimeout(_LINGER)
        left = _MOST_LINGERING
        try:
            while left > 0 and (piece := self.connection.recv(io.DEFAULT_BUFFER_SIZE)):
                left -= len(piece)
        except OSError:
            pass  # it sends nothing more, or has closed it

    def _body(self, environ: dict[str, Any]) -> bytes:
        """Raises _BodyRefused."""
        if environ.get("wsgi.input_terminated"):  # chunked: werkzeug has put its decoder in place
            body = b"".join(_pieces(environ["wsgi.input"]))
            environ.pop("HTTP_TRANSFER_ENCODING", None)
            environ["CONTENT_LENGTH"] = str(len(body))
            return body
        length = str(environ.get("CONTENT_LENGTH") or "0")
        if not (length.isascii() and length.isdigit()):
            raise _BodyRefused("400 Bad Request")
        if len(length) > len(str(LARGEST_BODY)) or int(length) > LARGEST_BODY:
            raise _BodyRefused("413 Content Too Large")
        return bytes(self.rfile.read(int(length)))

    def _respond(self, status: str, headers: list[tuple[str, str]], body: bytes) -> None:
        code, _, reason = status.partition(" ")
        self.send_response(int(code), reason)
        named = {name.lower() for name, _ in headers}
        for name, value in headers:
            self.send_header(name, value)
        if "content-length" not in named:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """No access log: the call log has more."""


class _Server(ThreadedWSGIServer):
    """Tracks its connections, so that stopping also closes those that clients keep alive."""

    def __init__(self, listener: socket.socket, app: Any, refusal: Refusal) -> None:
        self.refusal = refusal
        host, port = listener.getsockname()[:2]
        super().__init__(host, port, app, handler=_KeepAliveHandler, fd=listener.fileno())
        self._open: set[socket.socket] = set()
        self._guard = threading.Lock()

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        with self._guard:
            self._open.add(connection)
        return connection, address

    def shutdown_request(self, request: Any) -> None:
        with self._guard:
            self._open.discard(request)
        super().shutdown_request(request)

    def end_connections(self) -> None:
        with self._guard:
            for connection in self._open:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass  # the client has closed it already


def _listener(port: int) -> socket.socket:
    try:
        return socket.create_server((LOOPBACK, port), backlog=BACKLOG)
    except OSError as error:
        raise LocalOrgError(
            f"cannot listen on {LOOPBACK}:{port}: {error.strerror or error}; choose another port, or 0 for a free one"
        ) from error


class ServerThread:
    """Serves `app` from construction until stop(). `refusal`: asked before a request's body is read."""

    def __init__(self, app: Any, port: int, refusal: Refusal = lambda environ: None) -> None:
        with _listener(port) as listener:
            self._server = _Server(listener, app, refusal)
        self.host = LOOPBACK
        self.port: int = self._server.port
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, name="local-org", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.end_connections()
