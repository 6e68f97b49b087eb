# SPDX-License-Identifier: Apache-2.0
"""Calls to AWS: what an answer proves, when to make the call again, and how long anything is waited for.

A change has failed only if AWS says so, and is made only if AWS says so. Proxies and gateways answer, too, and botocore
parses what they send: it takes an HTML page with status 200 for a success without a request id, and one with status 502
for a ClientError with the code ``502``, or with no code at all.
"""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache, wraps
from typing import Any, ParamSpec, TypeVar

import botocore.exceptions
import botocore.parsers
from botocore.client import BaseClient
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    IncompleteReadError,
)
from botocore.parsers import ResponseParserError
from botocore.session import get_session

from c7n_iamusers.execution.calls import Subject

T = TypeVar("T")
N = TypeVar("N")
P = ParamSpec("P")


class Verdict(Enum):
    """What an error proves about a call. REFUSED: it was not applied, and the same call would be refused again.

    BUSY: it was not applied, and the same call may succeed later. UNKNOWN: it may have been applied.
    """

    REFUSED = "refused"
    BUSY = "busy"
    UNKNOWN = "unknown"


#: Codes of throttling and of temporary conflicts (409), in the API references of IAM, SSO Admin, Identity Store, S3.
BUSY_CODES = frozenset(
    {
        "ConcurrentModification",
        "ConcurrentModificationException",
        "ConditionalRequestConflict",
        "EntityTemporarilyUnmodifiable",
        "OperationAborted",
        "RequestLimitExceeded",
        "RequestTimeout",
        "SlowDown",
        "Throttled",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsError",
        "TooManyRequestsException",
    }
)
#: Codes with which AWS refuses any operation; the models of the services don't have them. "Common Errors" in the API
#: references of IAM, STS and SSO Admin; "Error responses" in that of S3.
COMMON_REFUSALS = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "AllAccessDisabled",
        "AuthFailure",
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "InvalidAccessKeyId",
        "InvalidAction",
        "InvalidArgument",
        "InvalidBucketName",
        "InvalidClientTokenId",
        "InvalidParameterCombination",
        "InvalidParameterValue",
        "InvalidQueryParameter",
        "InvalidRequest",
        "InvalidSignatureException",
        "InvalidToken",
        "KMS.DisabledException",
        "KMS.NotFoundException",
        "MalformedQueryString",
        "MissingAction",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "MissingParameter",
        "NoSuchBucket",
        "NoSuchKey",
        "NotAuthorized",
        "OptInRequired",
        "PreconditionFailed",
        "RequestExpired",
        "RequestTimeTooSkewed",
        "SignatureDoesNotMatch",
        "SubscriptionRequiredException",
        "TokenRefreshRequired",
        "UnrecognizedClientException",
        "ValidationError",
        "ValidationException",
    }
)
_NOT_FOUND = "ResourceNotFoundException"
#: No answer came, or a part of one.
_NO_ANSWER = (HTTPClientError, ConnectionError, IncompleteReadError, ResponseParserError)
#: The request never reached AWS. ProxyConnectionError is not among them: urllib3 raises it too for a connection that a
#: proxy closes after the request.
_NOT_SENT = (ConnectTimeoutError, EndpointConnectionError)
#: What botocore's parsers raise for answers that AWS does not give, such as a page in another encoding, or JSON that is
#: no object; KeyError: a well-formed one without the result of the operation.
_UNPARSABLE = (ResponseParserError, KeyError, AttributeError, TypeError, UnicodeError, RecursionError)
#: The status of a request that a server or a proxy gave up waiting for.
_REQUEST_TIMEOUT = 408


class AnswerUnreadable(BotoCoreError):
    """An answer came, and nothing in it shows that AWS gave it."""

    fmt = "the answer to {operation} is not AWS's: {why}"


def error_code(error: Exception) -> str:
    """The AWS error code, such as ``NoSuchEntity``; the class name of an error that is not a ClientError."""
    if not isinstance(error, ClientError):
        return type(error).__name__
    return str((error.response.get("Error") or {}).get("Code") or "Unknown")


def error_cause(error: Exception) -> str:
    """The code to decide by: ``error_code``, or what is missing if that is not the requested object.

    A ResourceNotFoundException of Identity Center may say that the encryption key (``Reason``) or the identity store
    (``ResourceType``) is missing. That word, such as ``KMS_KEY_NOT_FOUND``, is the cause then, so that no object counts
    as gone. Source: the shape ResourceNotFoundException of identitystore and sso-admin.
    """
    code = error_code(error)
    if code != _NOT_FOUND or not isinstance(error, ClientError):
        return code
    missing = error.response.get("ResourceType")
    return str(error.response.get("Reason") or (missing if missing == "IDENTITY_STORE" else code))


def message_of(error: Exception) -> str:
    """AWS's message in ``error``, or the text of an error that is not a ClientError, or has no message."""
    message = (error.response.get("Error") or {}).get("Message") if isinstance(error, ClientError) else ""
    return str(message or error)


def request_id(answer: Any) -> str:
    """AWS's id of the request that ``answer`` (a response, or an error) is about; empty if it has none."""
    response: Any = getattr(answer, "response", None) if isinstance(answer, Exception) else answer
    metadata: Any = response.get("ResponseMetadata") if response else None
    return str(metadata.get("RequestId") or "") if metadata else ""


def http_status(error: Exception) -> int:
    """The HTTP status of the answer in ``error``; 0 if there was no answer."""
    response: Any = error.response if isinstance(error, ClientError) else {}
    return int((response.get("ResponseMetadata") or {}).get("HTTPStatusCode") or 0)


@cache
def refusals_of(service: str) -> frozenset[str]:
    """The codes with which AWS refuses an operation of ``service`` (as boto3 names it), by botocore's model."""
    shapes: Any = get_session().get_service_model(service).error_shapes
    return COMMON_REFUSALS | {str(shape.error_code) for shape in shapes}


def verdict_on(error: Exception, refusals: Collection[str] | None = None) -> Verdict:
    """What ``error`` proves about the call that raised it.

    ``refusals``: the codes that mean a refusal (``refusals_of``); None, for reads, takes any code for one.
    """
    if isinstance(error, _NOT_SENT):
        return Verdict.BUSY
    if isinstance(error, (*_NO_ANSWER, AnswerUnreadable)):
        return Verdict.UNKNOWN
    if not isinstance(error, ClientError):
        return Verdict.REFUSED  # botocore, or we, did not send it
    code, status = error_code(error), http_status(error)
    if not 400 <= status < 500 or status == _REQUEST_TIMEOUT:
        return Verdict.UNKNOWN
    # In identitystore's ConflictException, Reason tells a race from an object that exists already.
    if code in BUSY_CODES or error.response.get("Reason") == "CONCURRENT_MODIFICATION":
        return Verdict.BUSY
    named = code[:1].isalpha() and code != "Unknown" if refusals is None else code in refusals
    return Verdict.REFUSED if named else Verdict.UNKNOWN


def verdict_of(code: str, status: int, refusals: Collection[str]) -> Verdict | None:
    """``verdict_on`` an error with this ``error_code`` and ``http_status``, for a journal; None if undecided."""
    if not status:
        named = getattr(botocore.exceptions, code, getattr(botocore.parsers, code, None))
        known = (
            named
            if isinstance(named, type)
            else AnswerUnreadable
            if code == AnswerUnreadable.__name__
            else None
        )
        if known and issubclass(known, _NOT_SENT):
            return Verdict.BUSY
        return Verdict.UNKNOWN if known and issubclass(known, (*_NO_ANSWER, AnswerUnreadable)) else None
    if not 400 <= status < 500 or status == _REQUEST_TIMEOUT:
        return Verdict.UNKNOWN
    return Verdict.BUSY if code in BUSY_CODES else Verdict.REFUSED if code in refusals else None


def is_retryable(error: Exception) -> bool:
    """True for throttling, temporary conflicts, server errors, broken connections and unreadable answers to a read."""
    return verdict_on(error) is not Verdict.REFUSED


def answered(call: Callable[..., T], **parameters: Any) -> T:
    """``call(**parameters)``, with an answer that is certainly AWS's and whole: it has a request id, and was not cut
    off.

    Raises AnswerUnreadable otherwise, and what ``call`` raises. ClientError and BotoCoreError cover every failure of
    AWS and of the network.
    """
    require_whole_answers(getattr(call, "__self__", None))
    try:
        answer = call(**parameters)
    except _UNPARSABLE as error:
        raise AnswerUnreadable(operation=_name(call), why=" ".join(repr(error).split())[:200]) from error
    if isinstance(answer, dict) and "ResponseMetadata" in answer and not request_id(answer):
        raise AnswerUnreadable(operation=_name(call), why="it has no request id")
    return answer


def require_whole_answers(client: Any) -> None:
    """Check each answer to ``client`` (of boto3) from now on, once botocore has parsed it."""
    if isinstance(client, BaseClient) and not getattr(client, "c7n_iamusers_whole", False):
        client.meta.events.register("after-call", _refuse_cut_off)
        setattr(client, "c7n_iamusers_whole", True)  # noqa: B010  # botocore's clients declare no attributes


def _refuse_cut_off(http_response: Any, parsed: Mapping[str, Any], model: Any, **_: Any) -> None:
    """Raises AnswerUnreadable for an answer of AWS that was cut off, or lacks its list.

    botocore does not compare lengths, and parses truncated JSON or XML as an empty answer: a list would seem empty.
    """
    headers = getattr(http_response, "headers", {})
    if not 200 <= http_response.status_code < 300 or model.has_streaming_output:
        return
    if getattr(http_response, "raw", None) is None:
        return  # nothing came over a wire: a stub answered
    content, length = http_response.content, str(headers.get("content-length", ""))
    encoded = headers.get("content-encoding") or model.http.get("method") == "HEAD"
    if length.isdigit() and int(length) != len(content) and not encoded:
        raise AnswerUnreadable(operation=model.name, why=f"{len(content)} of {length} bytes came")
    members = model.output_shape.members if model.output_shape else {}
    root = _root(content) if model.service_model.metadata.get("protocol") == "query" else ""
    if root and root != f"{model.name}Response":
        raise AnswerUnreadable(operation=model.name, why=f"it is a {root}")
    missing = [name for name in _required(model) if name not in parsed]
    if missing:
        raise AnswerUnreadable(operation=model.name, why=f"it has no {', '.join(missing)}")
    in_body = any("location" not in member.serialization for member in members.values())
    if in_body and parsed.keys() <= {"ResponseMetadata"} and not _is_whole(content):
        raise AnswerUnreadable(operation=model.name, why="it ends before its content")


def _root(content: bytes) -> str:
    """The root element of XML; empty if there is none."""
    found = re.match(rb"(?:<\?xml[^>]{0,200}\?>)?\s{0,100}<([A-Za-z0-9]{1,100})", content.lstrip()[:1_000])
    return found[1].decode() if found else ""


#: Prefix of an operation -> the type of the members that it always returns. A list may be empty.
_RETURNED = {"List": "list", "Get": "structure"}


def _required(model: Any) -> list[str]:
    """The members that every answer has by the model: lists of a List operation, structures of a Get operation."""
    kind = next((kind for begins, kind in _RETURNED.items() if model.name.startswith(begins)), "")
    shape = model.output_shape
    return [name for name in shape.required_members if shape.members[name].type_name == kind] if shape else []


def _is_whole(content: bytes) -> bool:
    """Whether ``content`` is a whole object of JSON, or ends as XML does."""
    text = content.strip()
    if text.startswith(b"<"):
        return text.endswith(b">")
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


def _name(call: Any) -> str:
    return str(getattr(getattr(call, "func", call), "__name__", "a call"))


def describe(subject: Subject, error: Exception) -> str:
    """The text of ``error``, with ``subject`` in front unless the error says that its text names its user."""
    return str(error) if getattr(error, "names_user", False) else f"{subject}: {error}"


def gone_is(nothing: N) -> Callable[[Callable[P, T]], Callable[P, T | N]]:
    """Decorates a read of one object: it returns ``nothing`` if the object does not exist.

    Others may delete an object between a list and the read of it, and an assignment outlives its group and its user. So
    each read of one object states its result for a missing one.
    """

    def decorated(read: Callable[P, T]) -> Callable[P, T | N]:
        @wraps(read)
        def found(*args: P.args, **kwargs: P.kwargs) -> T | N:
            try:
                return read(*args, **kwargs)
            except ClientError as error:
                # Not ``client.exceptions``: botocore creates these classes on first use, in threads maybe twice.
                if error_cause(error) != _NOT_FOUND:
                    raise
                return nothing

        return found

    return decorated


@dataclass(frozen=True)
class Backoff:
    """Exponential backoff with jitter. ``base``, ``cap`` and ``budget`` (of all delays together) are in seconds.

    ``clock``: in seconds; it runs on during sleep.
    """

    base: float = 0.5
    cap: float = 20.0
    budget: float = 180.0
    sleep: Callable[[float], None] = time.sleep
    jitter: Callable[[], float] = random.random
    clock: Callable[[], float] = time.monotonic

    def delays(self) -> Iterator[float]:
        """The delay in seconds before each retry; ends when the budget is spent."""
        spent, ceiling = 0.0, self.base
        while spent < self.budget:
            delay = ceiling * (0.5 + self.jitter() / 2)
            spent += delay
            yield delay
            ceiling = min(self.cap, ceiling * 2)

    def call(self, operation: Callable[..., T], **kw: Any) -> T:
        """``operation(**kw)``, retried after each retryable error. Raises the last error once the budget is spent."""
        for delay in self.delays():
            try:
                return answered(operation, **kw)
            except (ClientError, BotoCoreError) as error:
                if not is_retryable(error):
                    raise
                self.sleep(float(error_delay(error) or delay))
        return answered(operation, **kw)


def error_delay(error: Exception) -> float | None:
    """The delay in seconds that AWS asks for: ``RetryAfterSeconds`` of identitystore's ThrottlingException."""
    # botocore's connection errors have a response attribute too, which is None.
    response = getattr(error, "response", None) or {}
    seconds = response.get("RetryAfterSeconds")
    return float(seconds) if seconds else None
