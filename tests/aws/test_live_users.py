# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections import Counter
from datetime import datetime, timezone
from typing import Any

import pytest

from c7n_iamusers.aws.live_users import LiveUsers
from c7n_iamusers.aws.retries import Backoff
from c7n_iamusers.aws.users import read_user
from c7n_iamusers.local_org import LocalOrg
from c7n_iamusers.local_org.seed import seed
from tests.fakes import Sleeps
from tests.policies import ACCOUNT

NOW = datetime(2026, 11, 24, tzinfo=timezone.utc)


@pytest.fixture
def names(org: LocalOrg) -> list[str]:
    seed(org, users_per_account=15, now=NOW)
    return [user["UserName"] for user in org.client("iam", ACCOUNT).list_users()["Users"]]


def backoff() -> Backoff:
    return Sleeps().backoff()


def operations(org: LocalOrg) -> Counter[str]:
    return Counter(call.operation for call in org.calls)


@pytest.mark.parametrize(
    ("wanted", "page_limit"),
    [
        pytest.param(15, None, id="many"),
        pytest.param(15, 2, id="many-small-pages"),
        pytest.param(1, 2, id="few"),
    ],
)
def test_it_finds_what_the_users_own_lists_give(
    org: LocalOrg, names: list[str], wanted: int, page_limit: int | None
) -> None:
    org.configure(page_limit=page_limit)
    client = org.client("iam", ACCOUNT)
    live = LiveUsers(client, wanted, backoff())
    for name in names:
        found, expected = live.read(name), read_user(client, name, backoff())
        assert found is not None
        assert expected is not None
        assert found.detail == expected.detail
        assert found.counts() == expected.counts()
        assert set(found.groups or ()) == set(expected.groups or ())
        for kind in found.attachments.keys() - {"group"}:
            assert sorted(map(str, found.attachments[kind])) == sorted(map(str, expected.attachments[kind]))


def test_policies_and_service_credentials_cost_pages_and_not_users(org: LocalOrg, names: list[str]) -> None:
    client = org.client("iam", ACCOUNT)
    org.clear_calls()
    live = LiveUsers(client, len(names), backoff())
    for name in names:
        live.read(name)
    made = operations(org)
    keys = made.pop("GetSSHPublicKey")
    assert keys > 0
    assert made == {
        "GetAccountAuthorizationDetails": 1,
        "ListServiceSpecificCredentials": 1,
        **dict.fromkeys(
            [
                "GetUser",
                "GetLoginProfile",
                "ListAccessKeys",
                "ListSigningCertificates",
                "ListSSHPublicKeys",
                "ListMFADevices",
            ],
            len(names),
        ),
    }


def test_who_it_is_is_read_last(org: LocalOrg, names: list[str]) -> None:
    client = org.client("iam", ACCOUNT)
    org.clear_calls()
    LiveUsers(client, 15, backoff()).read(names[0])
    assert org.calls[-1].operation == "GetUser"


def test_a_long_list_is_given_up_where_few_users_are_wanted(org: LocalOrg, names: list[str]) -> None:
    org.configure(page_limit=1)
    client = org.client("iam", ACCOUNT)
    org.clear_calls()
    LiveUsers(client, 1, backoff()).read("nobody")
    made = operations(org)
    assert (made["GetAccountAuthorizationDetails"], made["ListServiceSpecificCredentials"]) == (3, 1)


def test_a_user_that_is_gone_is_none(org: LocalOrg) -> None:
    assert LiveUsers(org.client("iam", ACCOUNT), 5, backoff()).read("nobody") is None


def test_a_user_made_since_the_lists_were_read_is_read_by_itself(org: LocalOrg, names: list[str]) -> None:
    client = org.client("iam", ACCOUNT)
    live = LiveUsers(client, 15, backoff())
    live.read(names[0])
    client.create_user(UserName="late")
    client.attach_user_policy(UserName="late", PolicyArn="arn:aws:iam::aws:policy/ReadOnlyAccess")
    found = live.read("late")
    assert found is not None
    assert len(found.attachments["attached-policy"]) == 1


def test_lists_are_read_again_once_they_are_stale(org: LocalOrg) -> None:
    client = org.client("iam", ACCOUNT)
    client.create_user(UserName="alice")
    now = [0.0]
    live = LiveUsers(client, 5, backoff(), clock=lambda: now[0])
    live.read("alice")
    client.attach_user_policy(UserName="alice", PolicyArn="arn:aws:iam::aws:policy/ReadOnlyAccess")
    now[0] = 31.0
    found = live.read("alice")
    assert found is not None
    assert len(found.attachments["attached-policy"]) == 1


def test_where_all_users_is_refused_each_is_asked(org: LocalOrg, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.fakes import client_error

    client = org.client("iam", ACCOUNT)
    client.create_user(UserName="alice")
    client.create_service_specific_credential(UserName="alice", ServiceName="codecommit.amazonaws.com")
    ask = client.list_service_specific_credentials

    def refusing(**parameters: Any) -> Any:
        if "AllUsers" in parameters:
            raise client_error("ValidationError")
        return ask(**parameters)

    monkeypatch.setattr(client, "list_service_specific_credentials", refusing)
    found = LiveUsers(client, 5, backoff()).read("alice")
    assert found is not None
    assert len(found.attachments["service-specific-credential"]) == 1
