# SPDX-License-Identifier: Apache-2.0
"""The bytes of a file, URL or S3 object that a person names: regular files only, of bounded size, in bounded time."""

from __future__ import annotations

import http.client
import os
import re
import socket
import stat
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from io import BufferedIOBase
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from pathlib import Path
from threading import Thread
from typing import Any, TypeVar
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from c7n_iamusers.text.documents import LARGEST_GIVEN, unpacked

_Parsed = TypeVar("_Parsed")
#: Seconds for a URL in all: names, connections, redirects and content.
SECONDS = 60.0
_MOST_REDIRECTS = 5
#: Bytes of an object that are read at once.
_PIECE = 1 << 20
#: Bytes of one read of a file: Python allocates them at once, in each thread that reads.
_AT_ONCE = 1 << 16
_KINDS = (
    (stat.S_ISLNK, "symbolic link"),
    (stat.S_ISFIFO, "FIFO"),
    (stat.S_ISDIR, "directory"),
    (stat.S_ISSOCK, "socket"),
)
#: Metadata services that are not at a link-local address: EC2's and EKS's by IPv6 ("Use the Instance Metadata Service",
#: EC2 User Guide; "EKS Pod Identity", EKS User Guide), and those of two other clouds (the second: "What is IP address
#: 168.63.129.16?", Azure).
_METADATA = frozenset(map(ip_address, ("fd00:ec2::254", "fd00:ec2::23", "100.100.100.200", "168.63.129.16")))
#: IPv6 networks whose addresses end with the IPv4 address that they stand for: NAT64 (RFC 6052; RFC 8215, as it is
#: commonly used, with 96 bits before), SIIT (RFC 2765), and addresses that are compatible with IPv4 (RFC 4291).
_EMBEDDING = tuple(map(IPv6Network, ("64:ff9b::/96", "64:ff9b:1::/48", "::ffff:0:0:0/96", "::/96")))


def read_given(path: Path, largest: int = LARGEST_GIVEN) -> bytes:
    """The content of the file that a person names, or that a link there leads to.

    Raises OSError, which names the file, if it can't be read, has more than ``largest`` bytes or is no regular file:
    reading a FIFO or a device may never end.
    """
    with open(path, "rb", opener=_open_at_once) as file:
        found = os.fstat(file.fileno())
        require_size(str(path), found.st_size, largest)
        content = within_memory(str(path), lambda: read_at_once(file, largest))
        require_size(str(path), len(content), largest)  # a file in /proc has size 0
        return content


def read_at_once(file: BufferedIOBase, largest: int) -> bytes:
    """Up to ``largest`` bytes and one more. Raises OSError if a non-blocking file has no data yet.

    It reads in pieces, since Python allocates memory for all bytes that one read asks for.
    """
    pieces, size = list[bytes](), 0
    while size <= largest:
        piece: bytes | None = file.read(min(_AT_ONCE, largest + 1 - size))
        if piece is None:
            raise OSError("it returns no data at once, so it is not a regular file: give one")
        if not piece:
            break
        pieces.append(piece)
        size += len(piece)
    return b"".join(pieces)


def within_memory(place: str, read: Callable[[], _Parsed]) -> _Parsed:
    """The result of ``read``. Raises OSError, which names ``place``, if this process may lack the memory for it."""
    try:
        return read()
    except MemoryError:
        raise OSError(
            f"{place} takes more memory than this process may have: find out what it is, or run where there is more"
        ) from None


def _open_at_once(path: str, flags: int) -> int:
    descriptor = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        refuse_other_kinds(path, os.fstat(descriptor).st_mode)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def parsed_file(path: Path, parse: Callable[[bytes], _Parsed]) -> _Parsed:
    """What ``parse`` makes of the file's content.

    Raises ValueError, without the file's name, if the file can't be read, or ``parse`` fails.
    """
    try:
        return parse(read_given(path))
    except OSError as error:
        raise ValueError(error.strerror or str(error)) from error
    except KeyError as error:
        raise ValueError(f"it lacks {error}") from error
    except (TypeError, AttributeError) as error:
        raise ValueError(f"it has another form: {error}") from error
    except MemoryError:
        raise ValueError("it takes more memory than this process may have: find out what it is") from None


def refuse_other_kinds(place: str, mode: int, expected: str = "a file: give a regular one") -> None:
    """Raises OSError, which says what ``place`` is, unless ``mode`` is that of a regular file."""
    if not stat.S_ISREG(mode):
        kind = next((name for holds, name in _KINDS if holds(mode)), "device")
        raise OSError(f"{place} is a {kind}, not {expected}")


def require_size(place: str, size: int, largest: int) -> None:
    """Raises OSError if ``size``, in bytes, is more than ``largest``."""
    if size > largest:
        raise OSError(f"{place} has more than {largest} bytes: find out what it is, and give what was meant")


def shown_place(place: str) -> str:
    """``place`` for messages: of a URL only scheme, host, port and path, as the rest may give access."""
    scheme, separator, rest = place.partition("://")
    if not separator:
        return place.partition("?")[0]
    host, slash, path = re.split(r"[?#]", rest, maxsplit=1)[0].partition("/")
    host = host.rpartition("@")[2]
    if not _HOST.fullmatch(host):
        return f"{scheme}://..."  # a password with a slash, or a query without one
    return f"{scheme}://{host}{slash}{re.sub(r';[^/]*', '', path)}"


_HOST = re.compile(r"([^:]*|\[[^\]]*\])(:[0-9]*)?")
#: A field name and a field value (RFC 9110, 5.1 and 5.5), the value without obs-text.
_HEADER_NAME, _HEADER_VALUE = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"), re.compile(r"[\t -~]*")
_URL = re.compile(r"[!-~]+")


def _check_request(url: str, headers: Mapping[str, str]) -> None:
    """Raises ValueError, without secrets, for a value that http.client would quote in its own errors."""
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name):
            raise ValueError("the name of a header has a character that HTTP does not allow")
        if not _HEADER_VALUE.fullmatch(value):
            raise ValueError(f"the header {name} has a character that HTTP does not allow")
    _check_url(url)


def _check_url(url: str) -> None:
    if not _URL.fullmatch(url):
        raise ValueError("the URL has a space, or another character than those of ASCII: write it as %20")
    try:
        parts = urlsplit(url)
        has_host = bool(parts.hostname) and parts.port != 0
    except ValueError:
        raise ValueError("its host or port is invalid") from None
    if "@" in parts.netloc:
        # http.client would look it up as a part of the host's name
        raise ValueError("the URL has a user's name or password: give a header Authorization")
    if not has_host:
        raise ValueError("the URL has no host")


def read_place(
    place: str,
    headers: Mapping[str, str],
    s3: Callable[[str | None], Any],
    seconds: float = SECONDS,
    largest: int = LARGEST_GIVEN,
) -> bytes:
    """The content of a path, a file:, http: or https: URL or s3://BUCKET/KEY (with ``?region=``), uncompressed.

    ``s3``: makes a client for a Region. Raises OSError, http.client.HTTPException, ValueError, and boto3's errors.
    """
    try:
        url = urlsplit(place) if "://" in place else None
    except ValueError:
        raise ValueError("it is no URL: its host is invalid") from None
    if url is None:
        content = read_given(_own_path(place), largest)
    elif url.scheme == "file":
        content = read_given(Path(unquote(url.path)), largest)
    elif url.scheme == "s3":
        content = body_within(f"s3://{url.netloc}{url.path}", _body(url, s3), largest)
    elif url.scheme in _DEFAULT_PORTS:
        content = read_url(place, headers, seconds, largest)
    else:
        raise ValueError(
            f"there is no way to read {url.scheme}: it is a path, or file:, http:, https: or s3:"
        )
    return unpacked(content, largest)


def _own_path(place: str) -> Path:
    """The path, with ``~`` expanded. Raises ValueError if the named user has no home here."""
    try:
        return Path(place).expanduser()
    except RuntimeError as error:
        raise ValueError(f"{str(error).rstrip('.')}: give the whole path") from error


#: The parameters of GetObject that the query of an s3: URL may have, beside ``region``.
_OF_OBJECT = frozenset(("VersionId", "ExpectedBucketOwner", "RequestPayer"))


def _body(url: SplitResult, s3: Callable[[str | None], Any]) -> Any:
    more = dict(parse_qsl(url.query))
    region = more.pop("region", None)
    if unknown := sorted(set(more) - _OF_OBJECT):
        known = ", ".join(("region", *sorted(_OF_OBJECT)))
        raise ValueError(f"the query of s3: has {', '.join(unknown)[:80]!r}, and may have {known}")
    return s3(region).get_object(Bucket=url.netloc, Key=url.path.lstrip("/"), **more)["Body"]


def is_directory(place: str) -> bool:
    """Whether a path, or s3://BUCKET/PREFIX, stands for all below it: it ends with /."""
    return place.partition("?")[0].endswith("/")


def pieces_of(place: str, s3: Callable[[str | None], Any]) -> Iterator[bytes]:
    """The content of a path or of s3://BUCKET/KEY, piece by piece, whatever its size. Raises as ``read_place``."""
    if not place.startswith("s3://"):
        with open(_own_path(place), "rb", opener=_open_at_once) as file:
            yield from iter(lambda: read_at_once(file, _PIECE), b"")
        return
    body = _body(urlsplit(place), s3)
    yield from iter(lambda: body.read(_PIECE), b"")


def body_within(place: str, body: Any, largest: int) -> bytes:
    """The content of an object. ``body``: of GetObject. Raises OSError if it has more than ``largest`` bytes.

    It is read to its end, where botocore notices that it was cut off.
    """
    return within_memory(place, lambda: b"".join(_pieces(place, body, largest)))


def _pieces(place: str, body: Any, largest: int) -> Iterator[bytes]:
    size = 0
    while piece := body.read(_PIECE):
        size += len(piece)
        require_size(place, size, largest)
        yield piece


_DEFAULT_PORTS = {"http": 80, "https": 443}


def read_url(
    url: str, headers: Mapping[str, str], seconds: float = SECONDS, largest: int = LARGEST_GIVEN
) -> bytes:
    """The content at a URL of http or https, in ``seconds`` in all. Raises OSError, HTTPException and ValueError.

    ``headers`` are sent to the URL's own scheme, host and port only, also after a redirect.
    """
    _check_request(url, headers)
    done: list[bytes | BaseException] = []
    fetch = _Fetch(url, headers, seconds)

    def run() -> None:
        try:
            done.append(fetch.content(largest))
        except BaseException as error:  # noqa: BLE001  # raised below, in the thread that waits
            done.append(error)

    # In a thread: no timeout holds for the resolution of a name, or for a header that trickles in.
    thread = Thread(target=run, name="read-url", daemon=True)
    thread.start()
    thread.join(seconds)
    if not done:
        fetch.give_up()
        raise TimeoutError(f"no whole answer within {seconds:g} seconds")
    if isinstance(done[0], BaseException):
        raise done[0]
    return done[0]


class _Fetch(urllib.request.HTTPRedirectHandler):
    """One reading of a URL with its redirects."""

    max_redirections = _MOST_REDIRECTS

    def __init__(self, url: str, headers: Mapping[str, str], seconds: float) -> None:
        self._request = urllib.request.Request(url, headers={**headers, "Accept-Encoding": "gzip"})
        self._own, self._seconds = _origin(url), seconds
        #: Whether the given URL is on this machine; None before the first connection.
        self._began_here: bool | None = None
        self._socket: Any = None

    def content(self, largest: int) -> bytes:
        """The body of the answer, as it was sent."""
        opener = urllib.request.build_opener(self, _Http(self), _Https(self))
        try:
            opened = opener.open(self._request, timeout=self._seconds)
        except urllib.error.HTTPError as error:
            error.close()  # it holds the answer
            # the target of a redirect may give access
            said, elsewhere, _ = str(error.msg).partition(" - Redirection to url")
            why = " - its redirect is not allowed" if elsewhere else ""
            raise OSError(f"HTTP Error {error.code}: {said}{why}") from None
        url = shown_place(self._request.full_url)
        with opened as answer:
            if answer.status != http.client.OK:
                raise OSError(f"its answer has the status {answer.status}, which is not the whole list")
            sent_as = answer.headers.get("Content-Encoding", "identity").lower()
            if sent_as not in ("gzip", "identity"):
                raise ValueError(f"it is sent as {sent_as}, which is not read")
            content = within_memory(url, lambda: read_at_once(answer, largest))
            if answer.length and len(content) <= largest:  # read(n) does not notice that the end is missing
                raise http.client.IncompleteRead(content, answer.length)
            require_size(url, len(content), largest)
            return content

    def give_up(self) -> None:
        """End the connection, so that the thread that waits for it ends too."""
        try:
            if self._socket is not None:
                self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # it has ended already

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        """The next request. Raises OSError for a URL that no redirect may lead to."""
        try:
            _check_url(newurl)
        except ValueError as error:
            fp.close()
            raise OSError(f"a redirect is not followed: {error}") from None
        scheme, host, _ = _origin(newurl)
        try:
            if scheme not in _DEFAULT_PORTS or (req.type == "https" and scheme != "https"):
                raise OSError(f"a redirect from {req.type} to {scheme} is not followed")
            self._check(host)
        except OSError:
            fp.close()
            raise
        following = super().redirect_request(req, fp, code, msg, headers, newurl)
        if following is not None and _origin(newurl) != self._own:
            following.headers = {"Accept-encoding": "gzip"}
        return following

    def connected(self, connection: http.client.HTTPConnection, is_proxy: bool) -> None:
        """Checks the peer's address before anything is sent: a name may lead anywhere. A proxy looks names up
        itself."""
        self._socket = connection.sock
        if not is_proxy:
            peer = str(connection.sock.getpeername()[0])
            if self._began_here is None:
                self._began_here = ip_address(peer.partition("%")[0]).is_loopback
            self._check(peer)

    def _check(self, host: str) -> None:
        if why := forbidden(host, bool(self._began_here)):
            raise OSError(f"{host} is {why}, and nothing is read from there")


def _origin(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    return parts.scheme, (parts.hostname or "").lower(), parts.port or _DEFAULT_PORTS.get(parts.scheme)


def forbidden(host: str, from_loopback: bool) -> str:
    """Why nothing may be read from ``host``, in words; empty if reading is allowed. Names are not looked up here.

    ``from_loopback``: whether the given URL is on this machine; then redirects may lead to this machine, too.
    """
    try:
        # also takes what inet_aton takes, such as 2852039166 and 0xa9fea9fe
        found = socket.getaddrinfo(host, None, flags=socket.AI_NUMERICHOST)[0][4][0]
    except OSError:
        return "this machine" if host.rstrip(".") == "localhost" and not from_loopback else ""
    addresses = _stands_for(ip_address(str(found).partition("%")[0]))
    if any(each.is_link_local or each in _METADATA for each in addresses):
        return "a link-local address or a metadata service"
    if any(each.is_loopback or each.is_unspecified for each in addresses) and not from_loopback:
        return "this machine"
    return ""


def _stands_for(address: IPv4Address | IPv6Address) -> list[IPv4Address | IPv6Address]:
    """``address``, and the IPv4 addresses that a gateway, a tunnel or this machine may use for it."""
    if isinstance(address, IPv4Address):
        return [address]
    teredo = address.teredo or ()
    embedded = (address.ipv4_mapped, address.sixtofour, *teredo)
    within = [IPv4Address(int(address) & 0xFFFFFFFF) for each in _EMBEDDING if address in each]
    return [address, *(each for each in embedded if each is not None), *within]


class _Http(urllib.request.HTTPHandler):
    """``http``, with connections that report the peer's address to ``fetch``."""

    def __init__(self, fetch: _Fetch) -> None:
        super().__init__()
        self._fetch = fetch

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        kind = partial(_Connection, fetch=self._fetch, is_proxy=req.has_proxy())
        return self.do_open(kind, req)


class _Https(urllib.request.HTTPSHandler):
    """``https``, likewise."""

    def __init__(self, fetch: _Fetch) -> None:
        super().__init__()
        self._fetch = fetch

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        is_proxy = req.has_proxy() or bool(getattr(req, "_tunnel_host", None))
        kind = partial(_SecureConnection, fetch=self._fetch, is_proxy=is_proxy)
        return self.do_open(kind, req)


class _Told:
    def __init__(self, *given: Any, fetch: _Fetch, is_proxy: bool, **more: Any) -> None:
        super().__init__(*given, **more)
        self._fetch, self._is_proxy = fetch, is_proxy

    def connect(self) -> None:
        super().connect()  # type: ignore[misc]
        self._fetch.connected(self, self._is_proxy)  # type: ignore[arg-type]


class _Connection(_Told, http.client.HTTPConnection):
    pass


class _SecureConnection(_Told, http.client.HTTPSConnection):
    pass
