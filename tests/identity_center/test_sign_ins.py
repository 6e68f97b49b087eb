# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import re
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.execution.retries import Backoff
from c7n_iamusers.identity_center.aws.sign_in_events import read_sign_ins
from c7n_iamusers.identity_center.model import Instance
from c7n_iamusers.identity_center.sign_ins import (
    SignIn,
    SignIns,
    parse_sign_ins,
    require_fresh,
    sign_in_of,
    unproven,
)
from tests.fakes import ScriptedClient

pytestmark = pytest.mark.pure

NOW = datetime(2026, 11, 26, 12, tzinfo=timezone.utc)
STORE, ACCOUNT, OWNER = "d-1234567890", "111122223333", "123456789012"
ROLE = "AWSReservedSSO_Readers_0123456789abcdef"
PERSON = {"userId": "u-1", "identityStoreArn": f"arn:aws:identitystore::{OWNER}:identitystore/{STORE}"}


def ago(days: float) -> datetime:
    return NOW - timedelta(days=days)


def event(days: float = 1, **more: Any) -> dict[str, Any]:
    return {
        "eventTime": ago(days).isoformat(),
        "eventSource": "sso.amazonaws.com",
        "eventName": "Federate",
        "eventID": "e-1",
        "userIdentity": {"type": "IdentityCenterUser", "onBehalfOf": PERSON},
        "serviceEventDetails": {"role_name": "Readers", "account_id": ACCOUNT},
        **more,
    }


def sign_in(days: float = 1, user: str = "u-1", account: str = ACCOUNT, name: str = "Readers") -> SignIn:
    return SignIn(user, account, name, ago(days), "e-1")


def known(*found: SignIn, since: float = 30, until: float = 0.5) -> SignIns:
    return SignIns(STORE, ago(since), ago(until), {each.key: each for each in found})


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        pytest.param(event(), sign_in(), id="console"),
        pytest.param(event(eventName="GetRoleCredentials"), sign_in(), id="cli"),
        pytest.param(
            event(userIdentity={"type": "Unknown", "onBehalfOf": PERSON}), sign_in(), id="type-unknown"
        ),
        pytest.param(event(eventName="Authenticate"), None, id="another-event"),
        pytest.param(event(eventSource="signin.amazonaws.com"), None, id="another-source"),
        pytest.param(event(errorCode="AccessDenied"), None, id="failed"),
        pytest.param(event(userIdentity={"type": "AssumedRole", "onBehalfOf": PERSON}), None, id="a-role"),
        pytest.param(event(userIdentity={"type": "IdentityCenterUser"}), None, id="nobody"),
        pytest.param(
            event(
                userIdentity={
                    "type": "IdentityCenterUser",
                    "onBehalfOf": {
                        **PERSON,
                        "identityStoreArn": "arn:aws:identitystore::1:identitystore/d-2",
                    },
                }
            ),
            None,
            id="another-store",
        ),
        pytest.param(event(serviceEventDetails=None), None, id="no-account"),
        pytest.param(event(serviceEventDetails={"account_id": "1"}), None, id="no-account-id"),
        pytest.param(event(eventTime="soon"), None, id="no-time"),
        pytest.param({}, None, id="empty"),
    ],
)
def test_what_is_a_sign_in(record: dict[str, Any], expected: SignIn | None) -> None:
    assert sign_in_of(record, STORE) == expected


def role(
    days: float | None, name: str = ROLE, path: str = "/aws-reserved/sso.amazonaws.com/"
) -> dict[str, Any]:
    used = {"RoleLastUsed": {"LastUsedDate": ago(days)}} if days is not None else {}
    return {"RoleName": name, "Path": path, **used}


@pytest.mark.parametrize(
    ("found", "roles", "problem"),
    [
        pytest.param([sign_in(5)], [role(4)], "", id="used"),
        pytest.param([sign_in(5)], [role(5.4)], "", id="role-used-on-that-day"),
        pytest.param([sign_in(5)], [role(9)], "no use of the role", id="refuted"),
        pytest.param([sign_in(5)], [role(None)], "no use of the role", id="role-never-used"),
        pytest.param([sign_in(5)], [], "no use of the role", id="no-role"),
        pytest.param([sign_in(5)], [role(4, path="/")], "no use of the role", id="a-role-of-that-name"),
        pytest.param([sign_in(1)], [role(None)], "", id="aws-may-be-late"),
        pytest.param([], [role(1)], "has not signed in .* none is known", id="a-colleague-uses-the-role"),
        pytest.param([sign_in(5, user="u-2")], [role(4)], "has not signed in", id="another-person"),
        pytest.param([sign_in(5, account=OWNER)], [role(4)], "has not signed in", id="another-account"),
        pytest.param([sign_in(5, name="Other")], [role(4)], "by permission set Readers", id="another-set"),
        pytest.param([sign_in(20)], [role(4)], "the last was on 2026-11-06", id="too-long-ago"),
    ],
)
def test_what_proves_use(found: list[SignIn], roles: list[Any], problem: str) -> None:
    why = unproven(known(*found), "u-1", ACCOUNT, "Readers", roles, ago(14))
    if problem:
        assert re.search(problem, why)
    else:
        assert why == ""


def test_any_permission_set() -> None:
    found = known(sign_in(1, name="Other"))
    assert unproven(found, "u-1", ACCOUNT, "", (), ago(14)) == ""


def test_the_file() -> None:
    found = known(sign_in(), sign_in(2, user="u-2"))
    content = found.as_json().encode()
    assert parse_sign_ins(content, "f") == found
    assert "@" not in content.decode()


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"[]", id="list"),
        pytest.param(b'{"schema": 2}', id="schema"),
        pytest.param(known().as_json().replace("2026", "soon").encode(), id="times"),
        pytest.param(known(since=1, until=2).as_json().encode(), id="ends-before-it-begins"),
        pytest.param(known(sign_in(1), until=2).as_json().encode(), id="sign-in-after-the-end"),
    ],
)
def test_another_file_is_refused(content: bytes) -> None:
    with pytest.raises(IdentityCenterError, match="f is not a sign-ins"):
        parse_sign_ins(content, "f")


@pytest.mark.parametrize(
    ("found", "error"),
    [
        pytest.param(known(), "", id="fresh"),
        pytest.param(known(until=8), "more than 7 days ago", id="old"),
        pytest.param(known(until=-0.001), "", id="clock-ahead"),
        pytest.param(known(until=-1), "2026-11-27 12:00 UTC, which is in the future", id="in-the-future"),
        pytest.param(SignIns("d-2", ago(9), ago(0), {}), "is from identity store d-2", id="another-store"),
    ],
)
def test_an_old_file_proves_nothing(found: SignIns, error: str) -> None:
    if not error:
        require_fresh(found, STORE, NOW, "f")
        return
    with pytest.raises(IdentityCenterError, match=error):
        require_fresh(found, STORE, NOW, "f")


@pytest.fixture(autouse=True)
def unlimited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("c7n_iamusers.identity_center.aws.sign_in_events.RateLimit.attach", lambda *_: None)


def page(*records: dict[str, Any], more: bool = False) -> dict[str, Any]:
    events = [{"CloudTrailEvent": json.dumps(each)} for each in records]
    return {"Events": events, **({"NextToken": "t"} if more else {})}


def read(client: Any, earlier: SignIns | None, account: str = OWNER, days: int = 30) -> SignIns:
    instance = Instance("arn", STORE, "us-east-1", OWNER)
    return read_sign_ins(client, instance, account, earlier, days, NOW, Backoff(sleep=lambda _: None))


def test_a_run_continues_where_the_last_ended() -> None:
    client = ScriptedClient(lookup_events=[page(event(1), more=True), page(event(2)), page()])
    earlier = known(sign_in(20), sign_in(25, user="u-2"), since=30, until=10)
    found = read(client, earlier)
    assert {each.user_id: each.time for each in found.latest.values()} == {"u-1": ago(1), "u-2": ago(25)}
    assert (found.since, found.until) == (ago(30), NOW)
    assert client.calls[0][1]["StartTime"] == ago(10) - timedelta(hours=1)


@pytest.mark.parametrize(
    ("earlier", "since"),
    [
        pytest.param(None, 30, id="first"),
        pytest.param(known(until=40, since=50), 30, id="hole"),
        pytest.param(SignIns("d-2", ago(9), ago(1), {}), 30, id="another-store"),
    ],
)
def test_the_window_of_a_new_beginning(earlier: SignIns | None, since: float) -> None:
    found = read(ScriptedClient(lookup_events=[page(), page()]), earlier)
    assert (found.since, found.until, found.identity_store) == (ago(since), NOW, STORE)


def test_the_pages_are_bounded_and_the_file_says_since_when_it_is_complete(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("c7n_iamusers.identity_center.aws.sign_in_events.LARGEST", 1)
    found = read(ScriptedClient(lookup_events=[page(event(1), event(3), more=True), page()]), None)
    assert found.since == ago(3)


def test_another_account_has_no_sign_ins() -> None:
    with pytest.raises(IdentityCenterError, match=f"give --role of account {OWNER}"):
        read(ScriptedClient(), None, account=ACCOUNT)


def test_of_sign_ins_at_one_time_the_first_counts() -> None:
    at = datetime(2026, 11, 20, tzinfo=timezone.utc)
    first, again = (SignIn("u", "1" * 12, "Readers", at, name) for name in ("e1", "e2"))
    later = SignIn("u", "1" * 12, "Readers", at.replace(day=21), "e3")
    known = SignIns("d-1", at, at, {})
    assert known.with_events([first, again], at, at).latest == {first.key: first}
    assert known.with_events([later, first], at, at).latest == {first.key: later}
