# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import socket
from typing import Any

import pytest

from aws_local_org import LocalOrg, load, seed
from aws_local_org.environment import TOKEN_HEADER, TOKEN_VARIABLE
from aws_local_org.errors import LocalOrgError
from tests.local_org.signed_requests import exchange, query


def call(org: LocalOrg, method: str, route: str, body: Any = None) -> tuple[int, Any]:
    text = body if isinstance(body, str) else json.dumps(body) if body is not None else ""
    answer = exchange(org, method, f"/_local_org/{route}", text, {TOKEN_HEADER: org.token})
    assert answer.headers["content-type"] == "application/json"
    return answer.status, json.loads(answer.text)


def test_health(org: LocalOrg) -> None:
    status, health = call(org, "GET", "health")
    assert (status, health["status"]) == (200, "ok")
    assert health["settings"]["role_name"] == "CloudCustodian"


@pytest.mark.parametrize(
    "token",
    [
        pytest.param(None, id="none"),
        pytest.param("", id="empty"),
        pytest.param("x" * 43, id="another"),
        pytest.param("\u00e9", id="not-ascii"),
    ],
)
@pytest.mark.parametrize(("method", "route"), [("GET", "health"), ("GET", "calls"), ("POST", "reset")])
def test_a_control_request_needs_the_token_of_the_run(
    org: LocalOrg, method: str, route: str, token: str | None
) -> None:
    org.client("iam").create_user(UserName="ada")
    given = {} if token is None else {TOKEN_HEADER: token}
    answer = exchange(org, method, f"/_local_org/{route}", headers=given)
    assert (answer.status, "token of this run is missing" in answer.text) == (403, True)
    assert [user["UserName"] for user in org.client("iam").list_users()["Users"]] == ["ada"]


def test_each_run_has_a_token_of_its_own(org: LocalOrg) -> None:
    assert org.environment()[TOKEN_VARIABLE] == org.token
    assert len(org.token) >= 43  # 256 bits
    assert LocalOrg().token != org.token


#: What the browser of a person on this machine sends for a page of another site.
FOREIGN = [
    pytest.param({"Host": "evil.example"}, id="host"),
    pytest.param({"Host": "evil.example:5000"}, id="host-and-port"),
    pytest.param({"Host": "127.0.0.1.evil.example"}, id="host-that-begins-with-ours"),
    pytest.param({"Host": "localhost.evil.example"}, id="host-that-begins-with-localhost"),
    pytest.param({"Host": "evillocalhost"}, id="host-that-ends-with-ours"),
    pytest.param({"Host": "169.254.169.254"}, id="host-of-metadata"),
    pytest.param({"Host": ""}, id="no-host"),
    pytest.param({"Origin": "https://evil.example"}, id="origin"),
    pytest.param({"Origin": "http://127.0.0.1:1"}, id="origin-of-another-port"),
    pytest.param({"Origin": "null"}, id="origin-of-a-sandbox"),
    pytest.param({"Sec-Fetch-Site": "cross-site"}, id="an-image-of-another-site"),
    pytest.param({"Sec-Fetch-Site": "same-site"}, id="another-port-of-this-machine"),
]


@pytest.mark.parametrize("headers", FOREIGN)
def test_no_page_of_another_site_is_answered(org: LocalOrg, headers: dict[str, str]) -> None:
    answer = exchange(org, "GET", "/_local_org/health", headers={TOKEN_HEADER: org.token, **headers})
    assert answer.status == 403
    assert "access-control-allow-origin" not in answer.headers
    org.clear_calls()
    answer = query(org, "iam", "ListUsers", headers)
    assert (answer.status, org.calls) == (403, [])


@pytest.mark.parametrize(
    "head",
    [
        pytest.param("POST / HTTP/1.1\r\nHost: evil.example", id="host"),
        pytest.param("POST / HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.example", id="origin"),
        pytest.param("POST /_local_org/reset HTTP/1.1\r\nHost: localhost", id="no-token"),
        pytest.param(
            "POST / HTTP/1.1\r\nHost: evil.example\r\nExpect: 100-continue", id="that-asks-to-go-on"
        ),
    ],
)
@pytest.mark.parametrize("body", ["Content-Length: 200000000", "Transfer-Encoding: chunked"])
def test_a_request_is_refused_before_its_body_is_read(org: LocalOrg, head: str, body: str) -> None:
    port = int(org.endpoint_url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(f"{head}\r\n{body}\r\n\r\n".encode())  # and no body: who waits for it never answers
        answer = client.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 403 Forbidden\r\n")
    assert b"\r\nConnection: close\r\n" in answer
    assert answer.count(b"HTTP/1.1") == 1


def test_a_client_that_sends_its_body_reads_the_refusal(org: LocalOrg) -> None:
    answer = exchange(org, "POST", "/_local_org/reset", "x" * 500_000)
    assert (answer.status, "token of this run is missing" in answer.text) == (403, True)


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"Host": "localhost:5000"}, id="localhost"),
        pytest.param({"Host": "LocalHost"}, id="in-any-case"),
        pytest.param({"Host": "c7n-notices.localhost:5000"}, id="a-bucket"),
        pytest.param({"Sec-Fetch-Site": "none"}, id="typed-by-a-person"),
        pytest.param({"Host": "localhost:5000", "Origin": "http://localhost:5000"}, id="own-origin"),
    ],
)
def test_this_machine_is_answered(org: LocalOrg, headers: dict[str, str]) -> None:
    answer = exchange(org, "GET", "/_local_org/health", headers={TOKEN_HEADER: org.token, **headers})
    assert answer.status == 200


def test_calls_are_told_and_forgotten(org: LocalOrg) -> None:
    org.client("iam").create_user(UserName="ada")
    status, calls = call(org, "GET", "calls")
    assert status == 200
    assert calls == [record.as_json() for record in org.calls]
    assert (calls[-1]["operation"], calls[-1]["parameters"]) == ("CreateUser", {"UserName": "ada"})
    assert call(org, "DELETE", "calls") == (200, {})
    assert call(org, "GET", "calls") == (200, [])


def test_reset(org: LocalOrg) -> None:
    org.client("iam").create_user(UserName="ada")
    assert call(org, "POST", "reset") == (200, {})
    assert org.client("iam").list_users()["Users"] == []


def test_settings(org: LocalOrg) -> None:
    status, settings = call(org, "POST", "settings", {"page_limit": 1, "latency_ms": 1.5})
    assert (status, settings["page_limit"], settings["latency_ms"]) == (200, 1, 1.5)
    assert (org.settings.page_limit, org.settings.latency_ms) == (1, 1.5)


@pytest.mark.parametrize(
    ("method", "route", "body", "status", "said"),
    [
        ("GET", "nothing", None, 404, "no route GET nothing; there are: DELETE calls, GET calls"),
        ("GET", "reset", None, 404, "no route GET reset"),
        (
            "POST",
            "settings",
            {"colour": "red"},
            400,
            "cannot change colour while the local organization runs",
        ),
        ("POST", "settings", {"port": 1}, 400, "cannot change port"),
        ("POST", "settings", "{", 400, "the request body is not JSON"),
        ("POST", "settings", [1], 400, "the request body must be a JSON object, not list"),
        ("POST", "seed", {"colour": "red"}, 400, "seed: got an unexpected keyword argument 'colour'"),
        ("POST", "load", {}, 400, "load: missing a required argument: 'account_id'"),
    ],
)
def test_what_is_refused(org: LocalOrg, method: str, route: str, body: Any, status: int, said: str) -> None:
    found, answer = call(org, method, route, body)
    assert found == status
    assert answer["error"].startswith(said)


def test_seeding(org: LocalOrg, monkeypatch: pytest.MonkeyPatch) -> None:
    def fill(org: LocalOrg, seed: int = 1) -> dict[str, Any]:
        return {"seed": seed, "accounts": len(org.settings.account_ids)}

    monkeypatch.setattr(seed, "seed", fill)
    assert call(org, "POST", "seed", {"seed": 7}) == (200, {"seed": 7, "accounts": 4})


def test_loading(org: LocalOrg, monkeypatch: pytest.MonkeyPatch) -> None:
    def fill(org: LocalOrg, account_id: str, authorization_details: dict[str, Any]) -> dict[str, Any]:
        if account_id not in org.settings.account_ids:
            raise LocalOrgError(f"no account {account_id}")
        return {"users": len(authorization_details["UserDetailList"])}

    monkeypatch.setattr(load, "load", fill)
    details: dict[str, Any] = {"UserDetailList": [{}, {}]}
    good = {"account_id": "111122223333", "authorization_details": details}
    assert call(org, "POST", "load", good) == (200, {"users": 2})
    bad = {"account_id": "1", "authorization_details": details}
    assert call(org, "POST", "load", bad) == (400, {"error": "no account 1"})


def test_a_mistake_of_ours_is_told_as_one(org: LocalOrg, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(org: LocalOrg) -> None:
        raise KeyError("oops")

    monkeypatch.setattr(seed, "seed", fail)
    assert call(org, "POST", "seed") == (500, {"error": "POST seed failed: KeyError: 'oops'"})


def test_control_calls_are_not_in_the_log(org: LocalOrg) -> None:
    call(org, "GET", "health")
    assert org.calls == []
