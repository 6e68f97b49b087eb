# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections import Counter
from datetime import datetime, timezone
from typing import Any

import pytest
from botocore.exceptions import ClientError

from aws_local_org import LocalOrg
from aws_local_org.seed import seed
from c7n_iamusers.execution.retries import Backoff
from c7n_iamusers.iam.attachments import (
    ATTACHED_POLICY,
    GROUP,
    INLINE_POLICY,
    SERVICE_SPECIFIC_CREDENTIAL,
    AttachmentKind,
)
from c7n_iamusers.iam.live_users import LiveUsers
from c7n_iamusers.iam.users import read_user
from c7n_iamusers.lockout.deny_all import deny_all_document
from tests.fakes import Sleeps, client_error
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


def test_all_is_read_user_by_user_but_service_credentials(org: LocalOrg, names: list[str]) -> None:
    client = org.client("iam", ACCOUNT)
    org.clear_calls()
    live = LiveUsers(client, len(names), backoff())
    for name in names:
        live.read(name)
    made = operations(org)
    assert made.pop("GetSSHPublicKey") > 0
    assert made.pop("GetUserPolicy") > 0
    assert made == {
        "ListServiceSpecificCredentials": 1,
        **dict.fromkeys(
            [
                "GetUser",
                "GetLoginProfile",
                "ListAccessKeys",
                "ListSigningCertificates",
                "ListSSHPublicKeys",
                "ListMFADevices",
                "ListGroupsForUser",
                "ListAttachedUserPolicies",
                "ListUserPolicies",
            ],
            len(names),
        ),
    }


def test_who_it_is_is_read_last(org: LocalOrg, names: list[str]) -> None:
    client = org.client("iam", ACCOUNT)
    org.clear_calls()
    LiveUsers(client, 15, backoff()).read(names[0])
    assert org.calls[-1].operation == "GetUser"


@pytest.mark.parametrize(
    ("wanted", "judged", "pages"),
    [
        # The lists of services by name could cost more than so few users' own.
        pytest.param(1, (), 0, id="one"),
        pytest.param(4, (), 0, id="four"),
        pytest.param(5, (), 5, id="five"),
        pytest.param(5, (ATTACHED_POLICY, GROUP, INLINE_POLICY), 5, id="others-judged"),
        pytest.param(5, (SERVICE_SPECIFIC_CREDENTIAL,), 0, id="credentials-judged"),
    ],
)
def test_a_long_list_is_given_up_where_few_users_are_wanted(
    org: LocalOrg, names: list[str], wanted: int, judged: tuple[AttachmentKind, ...], pages: int
) -> None:
    client = org.client("iam", ACCOUNT)
    for name in names:
        client.create_service_specific_credential(UserName=name, ServiceName="codecommit.amazonaws.com")
    org.configure(page_limit=1)
    org.clear_calls()
    # Who does not exist has no list of its own that answers.
    LiveUsers(client, wanted, backoff(), judged=judged).read("nobody")
    of_all = [
        call
        for call in org.calls
        if call.operation == "ListServiceSpecificCredentials" and "UserName" not in call.parameters
    ]
    assert len(of_all) == pages


def _change(client: Any, kind: AttachmentKind) -> None:
    document = deny_all_document()
    arn = "arn:aws:iam::aws:policy/ReadOnlyAccess"
    if kind is GROUP:
        client.create_group(GroupName="late")
        client.add_user_to_group(GroupName="late", UserName="alice")
    elif kind is ATTACHED_POLICY:
        client.attach_user_policy(UserName="alice", PolicyArn=arn)
    elif kind is INLINE_POLICY:
        client.put_user_policy(UserName="alice", PolicyName="late", PolicyDocument=document)
    else:
        client.create_service_specific_credential(UserName="alice", ServiceName="codecommit.amazonaws.com")


@pytest.mark.parametrize(
    "kind",
    [GROUP, ATTACHED_POLICY, INLINE_POLICY, SERVICE_SPECIFIC_CREDENTIAL],
    ids=lambda kind: kind.name,
)
@pytest.mark.parametrize("judged", [True, False], ids=["judged", "not-judged"])
def test_only_service_credentials_that_nothing_rests_on_may_be_of_an_earlier_moment(
    org: LocalOrg, kind: AttachmentKind, judged: bool
) -> None:
    client = org.client("iam", ACCOUNT)
    client.create_user(UserName="alice")
    live = LiveUsers(client, 5, backoff(), judged=[kind] if judged else ())
    live.read("alice")
    _change(client, kind)
    found = live.read("alice")
    assert found is not None
    assert len(found.attachments[kind.name]) == int(judged or kind is not SERVICE_SPECIFIC_CREDENTIAL)
    again = live.read_fully("alice")
    assert again is not None
    assert len(again.attachments[kind.name]) == 1


def test_a_list_that_is_stale_when_it_ends_is_given_up(
    org: LocalOrg, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = org.client("iam", ACCOUNT)
    client.create_user(UserName="alice")
    now, ask, of_all = [0.0], client.list_service_specific_credentials, list[None]()

    def slow(**parameters: Any) -> Any:
        page = ask(**parameters)
        if "AllUsers" in parameters:
            if not of_all:
                _change(client, SERVICE_SPECIFIC_CREDENTIAL)
            of_all.append(None)
            now[0] += 31
        return page

    monkeypatch.setattr(client, "list_service_specific_credentials", slow)
    live = LiveUsers(client, 5, backoff(), clock=lambda: now[0])
    asked = []
    for _ in range(3):
        found = live.read("alice")
        assert found is not None
        assert len(found.attachments["service-specific-credential"]) == 1
        asked.append(len(of_all))
    assert asked[0] > 0
    assert asked == [asked[0]] * 3


def test_an_item_that_goes_between_its_list_and_its_details_is_listed_again(
    org: LocalOrg, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = org.client("iam", ACCOUNT)
    client.create_user(UserName="alice")
    for policy in ("going", "staying"):
        client.put_user_policy(UserName="alice", PolicyName=policy, PolicyDocument=deny_all_document())
    ask = client.get_user_policy

    def losing(**parameters: Any) -> Any:
        if parameters["PolicyName"] == "going":
            client.delete_user_policy(UserName="alice", PolicyName="going")
        return ask(**parameters)

    monkeypatch.setattr(client, "get_user_policy", losing)
    sleeps = Sleeps()
    found = LiveUsers(client, 5, sleeps.backoff()).read("alice")
    assert found is not None
    assert [item["PolicyName"] for item in found.attachments["inline-policy"]] == ["staying"]
    assert sum(sleeps) == 0


def test_a_list_that_stays_wrong_is_an_error_and_no_user_without_it(
    org: LocalOrg, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = org.client("iam", ACCOUNT)
    client.create_user(UserName="alice")
    client.put_user_policy(UserName="alice", PolicyName="listed", PolicyDocument=deny_all_document())

    def missing(**_: Any) -> Any:
        raise client_error("NoSuchEntity")

    monkeypatch.setattr(client, "get_user_policy", missing)
    with pytest.raises(ClientError, match="NoSuchEntity"):
        LiveUsers(client, 5, backoff()).read("alice")


def test_a_user_whose_lists_come_late_is_read_again(org: LocalOrg, monkeypatch: pytest.MonkeyPatch) -> None:
    client = org.client("iam", ACCOUNT)
    client.create_user(UserName="alice")
    client.create_access_key(UserName="alice")
    ask, late = client.list_access_keys, [True, True]

    def lagging(**parameters: Any) -> Any:
        if late:
            late.pop()
            raise client_error("NoSuchEntity")
        return ask(**parameters)

    monkeypatch.setattr(client, "list_access_keys", lagging)
    sleeps = Sleeps()
    found = LiveUsers(client, 5, sleeps.backoff()).read("alice")
    assert found is not None
    assert len(found.attachments["access-key"]) == 1
    assert sleeps == [0.5, 1.0]


def test_a_refusal_is_an_error(org: LocalOrg, monkeypatch: pytest.MonkeyPatch) -> None:
    client = org.client("iam", ACCOUNT)
    client.create_user(UserName="alice")

    def denied(**_: Any) -> Any:
        raise client_error("AccessDenied")

    monkeypatch.setattr(client, "list_mfa_devices", denied)
    with pytest.raises(ClientError, match="AccessDenied"):
        LiveUsers(client, 5, backoff()).read("alice")


def test_an_answer_of_one_service_is_not_taken_for_all(
    org: LocalOrg, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = org.client("iam", ACCOUNT)
    client.create_user(UserName="alice")
    for service in ("codecommit.amazonaws.com", "bedrock.amazonaws.com"):
        client.create_service_specific_credential(UserName="alice", ServiceName=service)
    ask = client.list_service_specific_credentials

    def partial(**parameters: Any) -> Any:
        # of a user's own list, its documentation says that it has every service
        usual = {"ServiceName": "codecommit.amazonaws.com"} if "AllUsers" in parameters else {}
        return ask(**{**usual, **parameters})

    monkeypatch.setattr(client, "list_service_specific_credentials", partial)
    found = LiveUsers(client, 5, backoff()).read("alice")
    assert found is not None
    assert len(found.attachments["service-specific-credential"]) == 2


def test_a_user_is_found_under_its_new_name(org: LocalOrg, names: list[str]) -> None:
    org.configure(page_limit=2)
    client = org.client("iam", ACCOUNT)
    unique_id = client.get_user(UserName=names[0])["User"]["UserId"]
    client.update_user(UserName=names[0], NewUserName="zz-renamed")
    live = LiveUsers(client, 15, backoff())
    assert live.name_of(unique_id) == "zz-renamed"
    assert live.name_of("AIDANOBODY") is None


@pytest.mark.parametrize("shared", [5, 1], ids=["list-of-all", "own-lists"])
def test_a_user_that_is_gone_or_renamed_is_none(org: LocalOrg, shared: int) -> None:
    client = org.client("iam", ACCOUNT)
    client.create_user(UserName="alice")
    client.update_user(UserName="alice", NewUserName="zz-renamed")
    live = LiveUsers(client, shared, backoff())
    assert [live.read("nobody"), live.read("alice"), live.read_fully("alice")] == [None] * 3
    assert live.read("zz-renamed") is not None


def test_a_user_that_is_renamed_while_it_is_read_is_none(
    org: LocalOrg, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = org.client("iam", ACCOUNT)
    client.create_user(UserName="alice")
    ask = client.get_login_profile

    def renaming(**parameters: Any) -> Any:
        client.update_user(UserName="alice", NewUserName="zz-renamed")
        return ask(**parameters)

    monkeypatch.setattr(client, "get_login_profile", renaming)
    assert LiveUsers(client, 5, backoff()).read("alice") is None


def test_a_user_made_since_the_list_was_read_is_found(org: LocalOrg, names: list[str]) -> None:
    client = org.client("iam", ACCOUNT)
    live = LiveUsers(client, 15, backoff())
    live.read(names[0])
    client.create_user(UserName="late")
    client.attach_user_policy(UserName="late", PolicyArn="arn:aws:iam::aws:policy/ReadOnlyAccess")
    found = live.read("late")
    assert found is not None
    assert len(found.attachments["attached-policy"]) == 1


def test_the_list_is_read_again_once_it_is_stale(org: LocalOrg) -> None:
    client = org.client("iam", ACCOUNT)
    client.create_user(UserName="alice")
    now = [0.0]
    live = LiveUsers(client, 5, backoff(), clock=lambda: now[0])
    live.read("alice")
    _change(client, SERVICE_SPECIFIC_CREDENTIAL)
    now[0] = 31.0
    found = live.read("alice")
    assert found is not None
    assert len(found.attachments["service-specific-credential"]) == 1


def test_where_all_users_is_refused_each_is_asked(org: LocalOrg, monkeypatch: pytest.MonkeyPatch) -> None:
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
