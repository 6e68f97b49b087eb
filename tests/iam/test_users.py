# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest
from botocore.exceptions import ClientError

from aws_local_org import LocalOrg
from c7n_iamusers.execution.calls import ApiCall
from c7n_iamusers.execution.retries import Backoff, error_code
from c7n_iamusers.iam import users as users_module
from c7n_iamusers.iam.attachments import ATTACHMENT_KINDS
from c7n_iamusers.iam.user import IamUser
from c7n_iamusers.iam.users import KeyUse, change_shows, read_key_use, read_user
from tests.fakes import ScriptedClient, Sleeps, client_error
from tests.policies import ACCOUNT

USED = datetime(2026, 11, 1, tzinfo=timezone.utc)
OLD, OTHER, NEW = "AKIAOLD", "AKIAOTHER", "AKIANEW"


def ada(*keys: str) -> IamUser:
    return IamUser({"UserName": "ada"}, {"access-key": tuple({"AccessKeyId": key} for key in keys)})


def used(at: datetime | None = USED) -> dict[str, Any]:
    last = {"LastUsedDate": at} if at else {}
    return {"UserName": "ada", "AccessKeyLastUsed": {"ServiceName": "s3", "Region": "eu-west-1", **last}}


def listed(*keys: str) -> dict[str, Any]:
    return {"AccessKeyMetadata": [{"AccessKeyId": key} for key in keys], "IsTruncated": False}


def use(key: str, at: datetime | None = USED) -> KeyUse:
    return KeyUse(key, at, "s3", "eu-west-1")


@pytest.mark.parametrize(
    ("keys", "answers", "lists", "expected"),
    [
        pytest.param([], [], [], (), id="no keys"),
        pytest.param([OLD], [used()], [], (use(OLD),), id="used"),
        pytest.param([OLD], [used(None)], [], (use(OLD, None),), id="never used"),
        pytest.param(
            [OLD], [client_error("Throttling"), used()], [], (use(OLD),), id="throttled, then answered"
        ),
        pytest.param([OLD], [client_error("AccessDenied")], [listed()], (), id="the only key vanished"),
        pytest.param([OLD], [client_error("NoSuchEntity")], [listed()], (), id="vanished, in other words"),
        pytest.param(
            [OTHER, OLD],
            [used(), client_error("AccessDenied"), used()],
            [listed(OTHER)],
            (use(OTHER),),
            id="one of two vanished",
        ),
        pytest.param(
            [OLD],
            [client_error("AccessDenied"), used()],
            [listed(NEW)],
            (use(NEW),),
            id="another key took its place, whose use counts",
        ),
        pytest.param(
            [OLD, OTHER],
            [client_error("AccessDenied"), client_error("AccessDenied")],
            [listed(OTHER), listed()],
            (),
            id="one after the other",
        ),
    ],
)
def test_last_use_of_the_keys_that_are_there(
    keys: list[str], answers: list[Any], lists: list[Any], expected: tuple[KeyUse, ...]
) -> None:
    client = ScriptedClient(get_access_key_last_used=answers, list_access_keys=lists)
    assert read_key_use(client, ada(*keys), Sleeps().backoff()) == expected
    assert client.scripts == {"get_access_key_last_used": [], "list_access_keys": []}


@pytest.mark.parametrize(
    ("answer", "lists", "code"),
    [
        pytest.param("AccessDenied", [listed(OLD)], "AccessDenied", id="denied, the key still listed"),
        pytest.param("NoSuchEntity", [listed(OLD)], "NoSuchEntity", id="unknown, the key still listed"),
        pytest.param(
            "AccessDenied",
            [{**listed(OTHER), "IsTruncated": True, "Marker": "m"}, listed(OLD)],
            "AccessDenied",
            id="still listed, on the second page",
        ),
        pytest.param("AccessDenied", [client_error("AccessDenied")], "AccessDenied", id="list denied too"),
        pytest.param(
            "AccessDenied", [client_error("NoSuchEntity")], "NoSuchEntity", id="user gone or renamed"
        ),
        pytest.param("InvalidClientTokenId", [], "InvalidClientTokenId", id="another error, no list asked"),
    ],
)
def test_what_cannot_be_read_is_an_error(answer: str, lists: list[Any], code: str) -> None:
    client = ScriptedClient(get_access_key_last_used=[client_error(answer)], list_access_keys=lists)
    with pytest.raises(ClientError) as raised:
        read_key_use(client, ada(OLD), Sleeps().backoff())
    assert error_code(raised.value) == code
    assert client.scripts["list_access_keys"] == []


def test_a_key_deleted_since_the_user_was_read(org: LocalOrg) -> None:
    iam, backoff = org.client("iam", ACCOUNT), Sleeps().backoff()
    iam.create_user(UserName="ada")
    gone, kept = (iam.create_access_key(UserName="ada")["AccessKey"]["AccessKeyId"] for _ in range(2))
    user = read_user(iam, "ada", backoff)
    assert user is not None
    iam.delete_access_key(UserName="ada", AccessKeyId=gone)
    assert [key.key_id for key in read_key_use(iam, user, backoff)] == [kept]


@pytest.mark.parametrize(
    "call",
    [
        ApiCall("iam", "DeletePolicy", {"PolicyArn": "a"}),
        ApiCall("sso-admin", "DeleteUser", {"UserName": "ada"}),
    ],
    ids=["of-no-user", "of-another-service"],
)
def test_of_a_call_that_is_of_no_user_nothing_is_read(call: ApiCall) -> None:
    assert change_shows(None, Backoff())(call, call.parameters) is False


@pytest.mark.parametrize(
    ("code", "tries"),
    [("AccessDenied", 1), ("NoSuchEntity", len(users_module._RETRY_DELAYS) + 1)],
    ids=["refused", "gone"],
)
def test_items_are_listed_again_only_where_one_is_gone(
    monkeypatch: pytest.MonkeyPatch, code: str, tries: int
) -> None:
    kind = next(each for each in ATTACHMENT_KINDS if each.reading and each.detail)
    listed, slept = list[int](), list[float]()

    def lists(*_: Any) -> list[dict[str, Any]]:
        listed.append(1)
        return [{}]

    def fails(*_: Any) -> None:
        raise client_error(code)

    monkeypatch.setattr(users_module, "list_kind", lists)
    monkeypatch.setattr(users_module, "_with_detail", fails)
    with pytest.raises(ClientError):
        users_module.read_kind(None, "ada", kind, Backoff(sleep=slept.append))
    assert (len(listed), len(slept)) == (tries, tries - 1)


def test_what_reads_a_kind_of_all_users_has_a_name() -> None:
    assert all(all(each.reads_of_all) for each in ATTACHMENT_KINDS)
    assert any(each.reads_of_all for each in ATTACHMENT_KINDS)
