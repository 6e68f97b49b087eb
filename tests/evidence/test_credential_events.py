# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from c7n_iamusers.evidence.credential_events import credential_event
from tests import cloudtrail_events as trail
from tests.cloudtrail_events import event

pytestmark = pytest.mark.pure

BOB = {"Arn": "arn:aws:iam::111122223333:user/bob"}
SSO = "arn:aws:sts::111122223333:assumed-role/AWSReservedSSO_Admin_0123456789abcdef/jane@example.com"


@pytest.mark.parametrize(
    ("who", "session", "text"),
    [
        pytest.param(
            trail.CONSOLE,
            "jane@example.com",
            f"CreateUser by {SSO} from 203.0.113.7 on 2026-11-25 09:30 UTC",
            id="assumed-role",
        ),
        pytest.param(
            trail.CLOUDFORMATION,
            "jane@example.com",
            f"CreateUser by {SSO} through cloudformation.amazonaws.com on 2026-11-25 09:30 UTC",
            id="cloudformation",
        ),
        pytest.param(
            trail.CLI,
            "alice",
            "CreateUser by arn:aws:iam::111122223333:user/alice from 203.0.113.7 on 2026-11-25 09:30 UTC",
            id="user",
        ),
        pytest.param(
            trail.ROOT,
            "",
            "CreateUser by arn:aws:iam::111122223333:root from 203.0.113.7 on 2026-11-25 09:30 UTC",
            id="root-with-alias",
        ),
        pytest.param(
            {"type": "AWSService", "invokedBy": "ds.amazonaws.com"},
            "",
            "CreateUser by ds.amazonaws.com through ds.amazonaws.com on 2026-11-25 09:30 UTC",
            id="service",
        ),
        pytest.param(
            {}, "", "CreateUser by an unknown caller from 203.0.113.7 on 2026-11-25 09:30 UTC", id="nobody"
        ),
    ],
)
def test_who_called(who: dict[str, Any], session: str, text: str) -> None:
    found = credential_event(event("CreateUser", who, {"userName": "bob"}))
    assert found
    assert (found.session, str(found), found.removes_deny) == (session, text, False)
    assert found.as_data(BOB)["text"] == text


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(None, id="none"),
        pytest.param({}, id="empty"),
        pytest.param({"detail": {}}, id="periodic"),
        pytest.param({"detail": "{}"}, id="scheduler"),
        pytest.param(event("CreateUser", trail.CLI, errorCode="AccessDenied"), id="failed"),
        pytest.param(event("CreateUser", trail.CLI, time="yesterday"), id="no-time"),
    ],
)
def test_what_is_no_call_that_succeeded(given: Any) -> None:
    assert credential_event(given) is None


WITHOUT_ID = event(
    "CreateAccessKey", trail.CLI, {"userName": "bob"}, {"accessKey": {"accessKeyId": "AKIA1"}}, eventID=None
)


@pytest.mark.parametrize(
    ("changed", "same"),
    [
        pytest.param({"eventVersion": "1.12", "userAgent": "x", "tlsDetails": {}}, True, id="other-format"),
        pytest.param({"sharedEventID": "x", "eventID": ""}, True, id="delivered-again"),
        pytest.param({"eventName": "UpdateAccessKey"}, False, id="another-call"),
        pytest.param({"eventTime": "2026-11-25T09:30:01Z"}, False, id="another-time"),
        pytest.param({"requestID": "another"}, False, id="another-request"),
        pytest.param({"recipientAccountId": "444455556666"}, False, id="another-account"),
        pytest.param({"userIdentity": {**trail.CLI, "accessKeyId": "AKIA2"}}, False, id="another-caller"),
        pytest.param({"requestParameters": {"userName": "eve"}}, False, id="another-user"),
        pytest.param({"responseElements": {"accessKey": {"accessKeyId": "AKIA2"}}}, False, id="another-key"),
    ],
)
def test_a_call_without_an_id_is_known_by_what_it_was(changed: dict[str, Any], same: bool) -> None:
    first, again = (
        credential_event({**WITHOUT_ID, "detail": {**WITHOUT_ID["detail"], **more}}) for more in ({}, changed)
    )
    assert first
    assert again
    assert (first.id == again.id) == same
    assert first.id
    assert "AKIA" not in first.id


def test_nothing_of_the_request_or_the_answer_is_kept() -> None:
    answer = {"accessKey": {"userName": "bob", "accessKeyId": "AKIASECRET", "secretAccessKey": "secret"}}
    found = credential_event(event("CreateAccessKey", trail.CONSOLE, {"userName": "bob"}, answer))
    assert found
    assert "secret" not in str(found.as_data(BOB)).lower()


@pytest.mark.parametrize(
    ("name", "who", "asked", "answered", "unique_id"),
    [
        pytest.param(
            "CreateUser",
            trail.CLI,
            {"userName": "bob"},
            {"user": {"userId": "AIDABOB"}},
            "AIDABOB",
            id="created",
        ),
        pytest.param("CreateAccessKey", trail.CLI, None, None, "AIDAEXAMPLE", id="for-itself"),
        pytest.param(
            "CreateAccessKey", trail.CLI, {"userName": "alice"}, None, "AIDAEXAMPLE", id="for-itself-by-name"
        ),
        pytest.param("CreateAccessKey", trail.CLI, {"userName": "bob"}, None, "", id="for-another"),
        pytest.param("CreateAccessKey", trail.CONSOLE, {"userName": "bob"}, None, "", id="by-a-role"),
        pytest.param("CreateAccessKey", trail.ROOT, None, None, "", id="root"),
        pytest.param("CreateUser", trail.CONSOLE, "bob", ["bob"], "", id="no-mappings"),
    ],
)
def test_the_unique_id_of_the_user(name: str, who: Any, asked: Any, answered: Any, unique_id: str) -> None:
    found = credential_event(event(name, who, asked, answered))
    assert found
    assert found.user_id == unique_id


CREATED = datetime(2026, 11, 25, 9, 30, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("call", "created", "about"),
    [
        pytest.param({"user_id": "AIDA1"}, CREATED, True, id="its-id"),
        pytest.param({"user_id": "AIDA2"}, CREATED, False, id="another-id"),
        pytest.param({"user_id": "AIDA2", "user_name": "bob"}, CREATED, False, id="another-of-its-name"),
        pytest.param({"user_id": "AIDA1", "user_name": "former"}, CREATED, True, id="renamed-since"),
        pytest.param({"user_name": "Bob"}, CREATED, True, id="its-name-in-other-case"),
        pytest.param({"user_name": "carol"}, CREATED, False, id="another-name"),
        pytest.param({}, CREATED, True, id="nobody-named"),
        pytest.param({"user_name": "bob"}, None, True, id="created-nobody-knows-when"),
        pytest.param({"user_name": "bob"}, CREATED + timedelta(minutes=1), True, id="within-a-minute"),
        pytest.param({"user_name": "bob"}, CREATED + timedelta(minutes=1.1), False, id="of-a-former-one"),
    ],
)
def test_a_call_is_about_the_user_that_has_the_id_or_the_name(
    call: dict[str, Any], created: datetime | None, about: bool
) -> None:
    found = credential_event(event("CreateUser", trail.CLI, {"userName": "bob"}))
    assert found
    given = replace(found, time=CREATED, user_id=call.get("user_id", ""), user_name=call.get("user_name", ""))
    assert given.is_about("AIDA1", created, "bob") is about
