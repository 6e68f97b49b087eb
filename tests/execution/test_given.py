# SPDX-License-Identifier: Apache-2.0
"""What a person names is read within bounds, wherever it is; a server decides nothing about other servers."""

from __future__ import annotations

import gzip
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.client import IncompleteRead
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from c7n_iamusers.execution import given as given_module
from c7n_iamusers.execution.given import (
    forbidden,
    read_at_once,
    read_given,
    read_place,
    read_url,
    shown_place,
)
from c7n_iamusers.text.documents import NotInFormat

pytestmark = pytest.mark.pure

SECRET = {"Authorization": "Bearer secret", "X-Api-Key": "secret"}


class Handler(BaseHTTPRequestHandler):
    """/list answers a list, /to?url=URL redirects, the others misbehave."""

    def do_GET(self) -> None:
        site: Site = self.server.site  # type: ignore[attr-defined]
        url = urlsplit(self.path)
        site.seen.append((url.path, {name.lower(): value for name, value in self.headers.items()}))
        getattr(self, f"answer_{url.path.strip('/')}")(parse_qs(url.query).get("url", [""])[0])

    def _send(self, body: bytes, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content_Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def answer_list(self, _: str) -> None:
        self._send(b"user\nalice\n")

    def answer_packed(self, _: str) -> None:
        self._send(gzip.compress(b"user\nalice\n"), Content_Encoding="gzip")

    def answer_bomb(self, _: str) -> None:
        self._send(gzip.compress(bytes(2_000_000)), Content_Encoding="gzip")

    def answer_large(self, _: str) -> None:
        self._send(bytes(2_000_000))

    def answer_brotli(self, _: str) -> None:
        self._send(b"x", Content_Encoding="br")

    def answer_short(self, _: str) -> None:
        self._send(b"user\nali", Content_Length="100")
        self.close_connection = True

    def answer_denied(self, _: str) -> None:
        self._send(b"", 403)

    def answer_part(self, _: str) -> None:
        self._send(b"user\n", 206)

    def answer_nothing(self, _: str) -> None:
        self._send(b"", 203)

    def answer_to(self, url: str) -> None:
        self._send(b"", 302, Location=url)

    def answer_round(self, _: str) -> None:
        self._send(b"", 302, Location="/round")

    def answer_headers(self, _: str) -> None:
        """A header at a time, each soon enough for a timeout of a read."""
        self.wfile.write(b"HTTP/1.0 200 OK\r\n")
        site: Site = self.server.site  # type: ignore[attr-defined]
        while not site.over.wait(0.02):
            try:
                self.wfile.write(b"X-More: 1\r\n")
            except OSError:
                return

    def answer_body(self, _: str) -> None:
        self.wfile.write(b"HTTP/1.0 200 OK\r\n\r\n")
        self.answer_headers("")

    def log_message(self, *_: object) -> None:
        pass


@dataclass
class Site:
    """A server on loopback. ``seen``: paths and headers of requests. ``over``: set when it stops."""

    url: str = ""
    seen: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)


@pytest.fixture
def site_at() -> Iterator[Callable[[], Site]]:
    servers: list[tuple[ThreadingHTTPServer, Site, threading.Thread]] = []

    def started() -> Site:
        server, site = ThreadingHTTPServer(("127.0.0.1", 0), Handler), Site()
        server.site = site  # type: ignore[attr-defined]
        site.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        servers.append((server, site, thread))
        return site

    yield started
    for server, site, thread in servers:
        site.over.set()
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def site(site_at: Callable[[], Site]) -> Site:
    return site_at()


def no_client(_: str | None) -> Any:
    raise AssertionError("no client is needed")


def read(place: str, **options: Any) -> bytes:
    return read_place(place, SECRET, no_client, **{"largest": 1_000_000, **options})


@pytest.mark.parametrize("path", ["/list", "/packed"])
def test_a_list_is_read_with_its_headers(site: Site, path: str) -> None:
    assert read(site.url + path) == b"user\nalice\n"
    ((_, headers),) = site.seen
    assert (headers["authorization"], headers["x-api-key"]) == ("Bearer secret", "secret")


def test_headers_go_along_to_the_same_server_alone(site: Site, site_at: Callable[[], Site]) -> None:
    other = site_at()
    assert read(f"{site.url}/to?url=/list") == b"user\nalice\n"
    assert read(f"{site.url}/to?url={other.url}/list") == b"user\nalice\n"
    assert [headers.get("authorization") for _, headers in site.seen] == ["Bearer secret"] * 3
    ((_, headers),) = other.seen
    assert not {"authorization", "x-api-key"} & headers.keys()


def test_headers_do_not_come_back_by_a_second_redirect(site: Site, site_at: Callable[[], Site]) -> None:
    other = site_at()
    read(f"{site.url}/to?url={other.url}/to?url={site.url}/list")
    assert [headers.get("authorization") for _, headers in site.seen] == ["Bearer secret", None]


@pytest.mark.parametrize(
    ("url", "why"),
    [
        pytest.param("http://169.254.169.254/latest", "link-local address or a metadata", id="metadata"),
        pytest.param("http://169.254.170.2/v2", "link-local address or a metadata", id="ecs"),
        pytest.param("http://2852039166/latest", "link-local address or a metadata", id="decimal"),
        pytest.param("http://0xa9fea9fe/latest", "link-local address or a metadata", id="hexadecimal"),
        pytest.param("http://169.16689662/latest", "link-local address or a metadata", id="two-parts"),
        pytest.param("http://[fe80::1]/", "link-local address or a metadata", id="ipv6-link-local"),
        pytest.param("http://[fd00:ec2::254]/", "link-local address or a metadata", id="ipv6-metadata"),
        pytest.param("http://[::ffff:169.254.169.254]/", "link-local address or a", id="ipv4-in-ipv6"),
        pytest.param("file:///etc/passwd", "is not allowed", id="file"),
        pytest.param("ftp://127.0.0.1/x", "a redirect from http to ftp", id="ftp"),
    ],
)
def test_a_redirect_may_not_lead_there(site: Site, url: str, why: str) -> None:
    with pytest.raises(OSError, match=why):
        read(f"{site.url}/to?url={url}")


@pytest.mark.parametrize(
    ("host", "from_loopback", "why"),
    [
        pytest.param("127.0.0.1", False, "this machine", id="loopback-from-elsewhere"),
        pytest.param("127.8.8.8", False, "this machine", id="another-loopback"),
        pytest.param("::1", False, "this machine", id="ipv6-loopback"),
        pytest.param("0.0.0.0", False, "this machine", id="unspecified"),
        pytest.param("0", False, "this machine", id="zero"),
        pytest.param("localhost", False, "this machine", id="name-of-loopback"),
        pytest.param("localhost.", False, "this machine", id="name-with-a-dot"),
        pytest.param("::ffff:127.0.0.1", False, "this machine", id="ipv4-in-ipv6"),
        pytest.param("127.0.0.1", True, "", id="loopback-from-loopback"),
        pytest.param("localhost", True, "", id="name-from-loopback"),
        pytest.param("169.254.169.254", True, "a link-local address", id="metadata-from-loopback"),
        pytest.param("::ffff:169.254.169.254", True, "a link-local address", id="metadata-mapped"),
        pytest.param("::169.254.169.254", True, "a link-local address", id="metadata-compatible"),
        pytest.param("64:ff9b::169.254.169.254", True, "a link-local address", id="metadata-by-nat64"),
        pytest.param("64:ff9b:1::a9fe:a9fe", True, "a link-local address", id="metadata-by-local-nat64"),
        pytest.param("::ffff:0:169.254.169.254", True, "a link-local address", id="metadata-translated"),
        pytest.param("2002:a9fe:a9fe::1", True, "a link-local address", id="metadata-by-6to4"),
        pytest.param("168.63.129.16", True, "a link-local address", id="another-cloud"),
        pytest.param("64:ff9b::168.63.129.16", True, "a link-local address", id="another-cloud-by-nat64"),
        pytest.param("64:ff9b::127.0.0.1", False, "this machine", id="loopback-by-nat64"),
        pytest.param("2002:7f00:1::", False, "this machine", id="loopback-by-6to4"),
        pytest.param("64:ff9b::192.0.2.1", False, "", id="public-by-nat64"),
        pytest.param("2001:db8::1", False, "", id="public-ipv6"),
        pytest.param("10.0.0.1", False, "", id="private"),
        pytest.param("192.0.2.1", False, "", id="public"),
        pytest.param("lists.example.com", False, "", id="a-name"),
    ],
)
def test_hosts_from_where_nothing_is_read(host: str, from_loopback: bool, why: str) -> None:
    found = forbidden(host, from_loopback)
    assert found.startswith(why) if why else found == ""


@pytest.mark.parametrize("path", ["/headers", "/body"])
def test_an_answer_that_never_ends_is_given_up(site: Site, path: str) -> None:
    with pytest.raises(TimeoutError, match=r"no whole answer within 0\.3 seconds"):
        read_url(site.url + path, {}, seconds=0.3)
    for waiting in [each for each in threading.enumerate() if each.name == "read-url"]:
        waiting.join(10)
        assert not waiting.is_alive(), "nothing waits for the rest"


@pytest.mark.parametrize(
    ("path", "error", "why"),
    [
        pytest.param("/bomb", NotInFormat, "more than 1000000 bytes when it is unpacked", id="bomb"),
        pytest.param("/large", OSError, "/large has more than 1000000 bytes", id="large"),
        pytest.param("/brotli", ValueError, "sent as br", id="another-encoding"),
        pytest.param("/short", IncompleteRead, "92 more expected", id="cut-off"),
        pytest.param("/denied", OSError, "403", id="denied"),
        pytest.param("/round", OSError, "infinite loop", id="round-and-round"),
    ],
)
def test_what_is_no_whole_answer_is_refused(site: Site, path: str, error: type[Exception], why: str) -> None:
    with pytest.raises(error, match=why):
        read(site.url + path)


def test_a_place_that_nothing_reads() -> None:
    with pytest.raises(ValueError, match="there is no way to read gopher"):
        read("gopher://127.0.0.1/list")


def test_files_and_their_urls(tmp_path: Path) -> None:
    path = tmp_path / "a list.csv"
    path.write_bytes(gzip.compress(b"user\n"))
    assert read(str(path)) == read(path.as_uri()) == b"user\n"
    with pytest.raises(OSError, match=r"a list\.csv has more than 3 bytes"):
        read_given(path, 3)


def test_an_object_is_read_in_its_region_and_within_its_bound() -> None:
    asked: list[Any] = []

    class Client:
        def get_object(self, **given: str) -> dict[str, Any]:
            asked.append(given)
            return {"Body": BytesIO(b"user\n")}

    def s3(region: str | None) -> Client:
        asked.append(region)
        return Client()

    place = "s3://lists/a/exemptions.csv?region=eu-west-1&VersionId=v1"
    assert read_place(place, {}, s3) == b"user\n"
    assert asked == ["eu-west-1", {"Bucket": "lists", "Key": "a/exemptions.csv", "VersionId": "v1"}]
    with pytest.raises(OSError, match=r"s3://lists/a/exemptions\.csv has more than 3 bytes"):
        read_place(place, {}, s3, largest=3)
    for query in ("Bucket=other", "Key=x", "SSECustomerKey=1", "nope=1"):
        with pytest.raises(ValueError, match=f"the query of s3: has '{query[:-2][:3]}.*may have region"):
            read_place(f"s3://lists/a.csv?{query}", {}, s3)


def test_a_home_of_nobody() -> None:
    with pytest.raises(ValueError, match=r"home directory.*: give the whole path"):
        read("~nosuchuser-of-this-machine/x.csv")


def test_a_file_that_gives_nothing_at_once() -> None:
    here, other = os.pipe()
    os.set_blocking(here, False)
    with os.fdopen(here, "rb") as file, pytest.raises(OSError, match="returns no data at once"):
        read_at_once(file, 10)
    os.close(other)


def test_a_file_of_the_kernel_says_that_it_is_empty(tmp_path: Path) -> None:
    assert os.stat("/proc/self/status").st_size == 0
    with pytest.raises(OSError, match="has more than 10 bytes"):
        read_given(Path("/proc/self/status"), 10)


@pytest.mark.parametrize(("path", "status"), [("part", 206), ("nothing", 203)])
def test_an_answer_that_is_not_the_whole_is_refused(site: Site, path: str, status: int) -> None:
    with pytest.raises(OSError, match=f"has the status {status}"):
        read(f"{site.url}/{path}")


@pytest.mark.parametrize(
    ("place", "shown"),
    [
        pytest.param("policies/x.csv", "policies/x.csv", id="path"),
        pytest.param("https://h.example/a/x.csv", "https://h.example/a/x.csv", id="url"),
        pytest.param("s3://b/k/x.csv?region=r", "s3://b/k/x.csv", id="s3"),
        pytest.param("file:///a@b/x.csv", "file:///a@b/x.csv", id="file"),
        pytest.param("https://bob:s3@h.example:8443/x.csv", "https://h.example:8443/x.csv", id="password"),
        pytest.param("https://bob:p/s3@h.example/x.csv", "https://...", id="password-with-a-slash"),
        pytest.param("https://bob:p?s3@h.example/x.csv", "https://...", id="password-with-a-question"),
        pytest.param("https://[::1]:80/x.csv#s3", "https://[::1]:80/x.csv", id="fragment"),
        pytest.param("https://h/a;s3/x.csv;s3?s3#s3", "https://h/a/x.csv", id="parameters"),
        pytest.param("https://h?s3", "https://h", id="no-path"),
    ],
)
def test_a_place_is_shown_without_what_gives_access(place: str, shown: str) -> None:
    assert shown_place(place) == shown


@pytest.mark.parametrize(
    ("place", "headers", "fault"),
    [
        pytest.param("http://bob:S3CRET@127.0.0.1:1/x", {}, "name or password", id="userinfo"),
        pytest.param("http://S3CRET@127.0.0.1:1/x", {}, "name or password", id="user"),
        pytest.param("http://127.0.0.1:S3CRET/x", {}, "host or port", id="port"),
        pytest.param("http://[S3CRET/x", {}, "no URL", id="bracket"),
        pytest.param("http://S3CRET\u2100@h/x", {}, "no URL", id="normalized"),
        pytest.param("http://127.0.0.1:1/x y?S3CRET", {}, "a space", id="space"),
        pytest.param("http://127.0.0.1:1/x?S3C\nRET", {}, "a space", id="line"),
        pytest.param("http:///x?S3CRET", {}, "no host", id="no-host"),
        pytest.param("http://h/x", {"A": "x\r\nB: S3CRET"}, "header A", id="header-line"),
        pytest.param(
            "http://h/x", {"Authorization": "S3CRET\u20ac"}, "header Authorization", id="header-letter"
        ),
        pytest.param("http://h/x", {"X\nS3CRET": "a"}, "name of a header", id="header-name"),
    ],
)
def test_what_is_no_request_is_refused_without_a_secret_in_the_error(
    place: str, headers: dict[str, str], fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("socket.getaddrinfo", no_client)  # nothing is looked up
    with pytest.raises(ValueError, match=fault) as raised:
        read_place(place, headers, no_client)
    assert "S3C" not in str(raised.value) + repr(raised.value.__cause__)


@pytest.mark.parametrize(
    "url", ["http://u:S3CRET@127.0.0.1:1/x", "http://127.0.0.1:S3CRET/", "ftp://h/?S3CRET"]
)
def test_a_redirect_is_refused_without_a_secret_in_the_error(site: Site, url: str) -> None:
    with pytest.raises(OSError, match=r"HTTP Error 302|not followed") as raised:
        read(f"{site.url}/to?url={url}")
    assert "S3CRET" not in str(raised.value) + repr(raised.value.__cause__)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError("odd"), "^odd$"),
        (OSError(2, "No such file"), "^No such file$"),
        (KeyError("a"), "^it lacks 'a'$"),
        (TypeError("x"), "^it has another form: x$"),
    ],
    ids=["without-a-number", "not-there", "a-member", "form"],
)
def test_why_a_file_can_not_be_read(monkeypatch: pytest.MonkeyPatch, error: Exception, told: str) -> None:
    def fails(_: object) -> bytes:
        raise error

    monkeypatch.setattr(given_module, "read_given", fails)
    with pytest.raises(ValueError, match=told):
        given_module.parsed_file(Path("x"), bytes)
