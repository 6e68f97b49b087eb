# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import threading
import weakref
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from botocore.parsers import ResponseParserError

from aws_local_org import LocalOrg
from c7n_iamusers.evidence.working_credentials import WorkingCredentials
from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.execution.retries import Backoff
from c7n_iamusers.iam.accounts import PolicySource
from c7n_iamusers.identity_center.requests.intent_checks import PeopleAuthority
from c7n_iamusers.identity_center.requests.intents import Intents, UserIntent
from c7n_iamusers.identity_center.requests.member_accounts import LiveAccount, MemberAccounts, confirmed
from c7n_iamusers.identity_center.requests.people_file import PersonRow, people_map
from tests.access_center import ACCOUNT, OTHER_ACCOUNT, READ_ONLY
from tests.desired import ABLE, intents, user
from tests.fakes import client_error

MANAGEMENT = "123456789012"
ROLE = "arn:aws:iam::{account_id}:role/CloudCustodian"


def test_users_and_policies_of_each_account_by_one_paged_list(org: LocalOrg) -> None:
    iam = org.client("iam", ACCOUNT)
    made = iam.create_user(UserName="alice", Tags=[{"Key": "Email", "Value": "alice@example.com"}])["User"]
    org.clear_calls()
    members = MemberAccounts(ROLE, org.session(), Backoff())
    found = dict(members.read([ACCOUNT, OTHER_ACCOUNT, ACCOUNT], {}))
    assert set(found) == {ACCOUNT, OTHER_ACCOUNT}
    there = found[ACCOUNT]
    assert isinstance(there, LiveAccount)
    assert there.users[made["UserId"]]["Arn"] == made["Arn"]
    operations = sorted(call.operation for call in org.calls)
    assert operations == ["AssumeRole"] * 2 + ["GetAccountAuthorizationDetails"] * 2 + ["GetCallerIdentity"]


def test_an_account_that_can_not_be_read_says_why(org: LocalOrg) -> None:
    role = "arn:aws:iam::{account_id}:role/Missing"
    found = dict(MemberAccounts(role, org.session(), Backoff(budget=0.1)).read([ACCOUNT]))
    assert f"account {ACCOUNT} can't be read by arn:aws:iam::{ACCOUNT}:role/Missing" in str(found[ACCOUNT])


def test_the_callers_own_account_needs_no_role(org: LocalOrg) -> None:
    role = "arn:aws:iam::{account_id}:role/Missing"
    ((account, found),) = MemberAccounts(role, org.session(), Backoff()).read([MANAGEMENT])
    assert account == MANAGEMENT
    assert isinstance(found, LiveAccount)


@pytest.mark.parametrize(
    "role",
    [
        "CloudCustodian",
        "arn:aws:iam::111122223333:role/X",
        "arn:aws:iam::111122223333:role/X-{account_id}",
        "arn:aws:iam::{account_id}:user/X",
        "",
    ],
)
def test_a_role_that_is_none(org: LocalOrg, role: str) -> None:
    with pytest.raises(IdentityCenterError, match="is not the ARN of a role in each account"):
        MemberAccounts(role, org.session(), Backoff())


class FakeSession:
    """Stands for boto3's: any number of accounts with two users each, and whatever ``trouble`` an account makes.

    ``trouble``: called with the account's id before each of its answers; it may raise.
    """

    def __init__(
        self, trouble: Callable[[str], None] = lambda _: None, region: str | None = "us-east-1"
    ) -> None:
        self.region_name, self._trouble = region, trouble
        self.calls: list[tuple[str, str]] = []
        self.asked: list[dict[str, Any]] = []
        self._lock = threading.Lock()

    def client(self, service: str, aws_access_key_id: str = "", **_: Any) -> Any:
        if service == "sts":
            return SimpleNamespace(
                get_caller_identity=lambda: {"Account": MANAGEMENT}, assume_role=self._assume
            )
        return SimpleNamespace(
            get_account_authorization_details=lambda **asked: self._details(aws_access_key_id, asked)
        )

    def _assume(self, RoleArn: str, RoleSessionName: str) -> dict[str, Any]:
        account = RoleArn.split(":")[4]
        with self._lock:
            self.calls.append(("AssumeRole", account))
        keys = {"AccessKeyId": account, "SecretAccessKey": "secret", "SessionToken": "token"}
        return {"Credentials": keys}

    def _details(self, account: str, asked: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            self.calls.append(("GetAccountAuthorizationDetails", account))
            self.asked.append(asked)
        self._trouble(account)
        number = int(asked.get("Marker", 0))
        policy = {"PolicyName": "P", "PolicyDocument": {"Version": "2012-10-17", "Statement": []}}
        user = {
            "UserId": f"AIDA{account}{number}",
            "Arn": f"arn:aws:iam::{account}:user/u{number}",
            "UserPolicyList": [policy],
        }
        more = {"IsTruncated": True, "Marker": "1"} if number == 0 else {"IsTruncated": False}
        return {"UserDetailList": [user], **more}


def accounts(count: int) -> list[str]:
    return [f"{100000000001 + number}" for number in range(count)]


def refuse(code: str) -> ClientError:
    return client_error(code)


def test_a_few_accounts_are_in_hand_however_many_there_are() -> None:
    session = FakeSession()
    for taken, _ in enumerate(MemberAccounts(ROLE, session, Backoff()).read(accounts(100))):
        begun = sum(operation == "AssumeRole" for operation, _ in session.calls)
        assert begun <= taken + 8
    assert Counter(operation for operation, _ in session.calls) == {
        "AssumeRole": 100,
        "GetAccountAuthorizationDetails": 200,
    }


def test_policies_that_say_the_same_are_one_object_in_all_accounts() -> None:
    found = dict(MemberAccounts(ROLE, FakeSession(), Backoff()).read(accounts(20)))
    lists = {id(user["UserPolicyList"]) for now in found.values() for user in now.users.values()}  # type: ignore[union-attr]
    assert len(lists) == 1


@pytest.mark.parametrize(
    ("with_policies", "requested"),
    [
        pytest.param({}, ["User", "Role", "Group", "LocalManagedPolicy"], id="without-credentials"),
        pytest.param(
            dict.fromkeys(accounts(1), ()),
            ["User", "Role", "Group", "LocalManagedPolicy", "AWSManagedPolicy"],
            id="with-policies",
        ),
    ],
)
def test_no_more_is_asked_for_than_is_needed(
    with_policies: dict[str, tuple[str, ...]], requested: list[str]
) -> None:
    session = FakeSession()
    list(MemberAccounts(ROLE, session, Backoff()).read(accounts(1), with_policies))
    assert [(each["Filter"], each["MaxItems"]) for each in session.asked] == [(requested, 1000)] * 2


@pytest.mark.parametrize(
    ("error", "named"),
    [
        pytest.param(refuse("AccessDenied"), "ClientError", id="denied"),
        pytest.param(refuse("ExpiredToken"), "ClientError", id="expired-twice"),
        pytest.param(ResponseParserError("no XML"), "AnswerUnreadable", id="garbled"),
        pytest.param(KeyError("UserId"), "AnswerUnreadable", id="incomplete"),
    ],
)
def test_what_is_wrong_with_one_account_stops_no_other(error: Exception, named: str) -> None:
    first, second, third = accounts(3)

    def trouble(account: str) -> None:
        if account == second:
            raise error

    found = dict(MemberAccounts(ROLE, FakeSession(trouble), Backoff(budget=0)).read([first, second, third]))
    assert [isinstance(found[each], LiveAccount) for each in (first, third)] == [True, True]
    assert f"account {second} can't be read by {ROLE.format(account_id=second)}: {named}" in str(
        found[second]
    )


def test_a_role_whose_session_has_ended_is_assumed_again() -> None:
    tries: Counter[str] = Counter()

    def trouble(account: str) -> None:
        tries[account] += 1
        if tries[account] == 2:  # the second page
            raise refuse("ExpiredToken")

    session = FakeSession(trouble)
    ((account, found),) = MemberAccounts(ROLE, session, Backoff()).read(accounts(1))
    assert isinstance(found, LiveAccount)
    assert len(found.users) == 2
    assert session.calls.count(("AssumeRole", account)) == 2


def test_throttling_is_waited_out_within_the_budget_of_a_call() -> None:
    slept: list[float] = []
    backoff = Backoff(base=1.0, cap=4.0, budget=10.0, sleep=slept.append, jitter=lambda: 1.0)

    def trouble(_: str) -> None:
        raise refuse("Throttling")

    session = FakeSession(trouble)
    ((_, found),) = MemberAccounts(ROLE, session, backoff).read(accounts(1))
    assert "Throttling" in str(found)
    assert slept == [1.0, 2.0, 4.0, 4.0]
    assert len(session.calls) == 1 + len(slept) + 1


def test_without_a_region() -> None:
    with pytest.raises(IdentityCenterError, match="no Region to assume --member-role in: give --region"):
        list(MemberAccounts(ROLE, FakeSession(region=None), Backoff()).read(accounts(1)))


ASKED = intents(ACCOUNT, "alice")
(ALICE,) = ASKED.users


def detail(**changes: Any) -> dict[str, Any]:
    found = {
        "UserName": "alice",
        "UserId": ALICE.subject.unique_id,
        "Arn": ALICE.subject.arn,
        "Tags": [{"Key": "Email", "Value": " Alice@example.com "}],
    }
    return {**found, **changes}


def now(*details: dict[str, Any], source: PolicySource | None = None) -> LiveAccount:
    users = {each["UserId"]: each for each in details}
    return LiveAccount(source or PolicySource(), users, dict.fromkeys(users, ABLE))


def one(asked: Intents, there: LiveAccount | str, trusted: bool = False) -> UserIntent:
    (found,) = confirmed([asked], lambda ids, _: [(each, there) for each in ids], trusted)
    return found.users[0]


def test_who_is_as_claimed_is_taken() -> None:
    assert one(ASKED, now(detail())) == replace(ALICE, detail=detail())


def test_credentials_are_those_that_are_read_and_not_those_that_are_claimed() -> None:
    left = LiveAccount(PolicySource(), now(detail()).users, {ALICE.subject.unique_id: WorkingCredentials()})
    assert one(ASKED, left).credentials == WorkingCredentials()
    assert one(ASKED, LiveAccount(PolicySource(), now(detail()).users)).credentials is None


@pytest.mark.parametrize(
    ("there", "told"),
    [
        pytest.param(now(), "no longer exists (no user has the id AIDA111122223333ALICE)", id="deleted-or-forged"),
        pytest.param(now(detail(UserId="AIDANEW")), "no longer exists", id="made-again"),
        pytest.param(now(detail(Arn=f"arn:aws:iam::{ACCOUNT}:user/old/alice")), "is now arn", id="moved"),
        pytest.param(
            now(detail(Tags=[{"Key": "Email", "Value": "bob@example.com"}])),
            "has no tag Email with alice@example.com: run the policies again", id="retagged",
        ),
        pytest.param(now(detail(Tags=[])), "has no tag Email", id="untagged"),
        pytest.param("account 1 can't be read by R: AccessDenied", "R: AccessDenied", id="unread"),
    ],
)  # fmt: skip
def test_who_is_not_is_refused(there: LiveAccount | str, told: str) -> None:
    found = one(ASKED, there)
    assert found.person is None
    assert told in found.problem


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"rests_on": "UserName"}, id="no-tag"),
        pytest.param({"rests_on": "tag:Email or UserName"}, id="a-tag-or-not"),
        pytest.param({"rests_on": "tag:User (username) and UserName (e-mail)"}, id="only-the-username"),
        pytest.param({"rests_on": "people.csv, line 2", "on_file": True}, id="file"),
    ],
)
def test_what_rests_on_no_tag_is_a_claim_unless_a_file_of_this_side_says_it(changes: dict[str, Any]) -> None:
    asked = replace(ASKED, users=(replace(ALICE, **changes),))
    people = people_map(
        "people.csv", [PersonRow(2, {"account": ACCOUNT, "user": "alice", "email": "alice@example.com"})]
    )
    by_file = PeopleAuthority(people)
    (checked,) = PeopleAuthority().checked(asked).users
    asked = replace(asked, users=(checked,))
    assert "only by the intents" in one(asked, now(detail(Tags=[]))).problem
    assert one(asked, now(detail(Tags=[])), trusted=True).problem == ""
    (found,) = confirmed(
        [by_file.checked(asked)],
        lambda ids, _: [(each, now(detail(Tags=[]))) for each in ids],
        False,
        lambda _: by_file,
    )
    assert found.users[0].problem == ""


def test_who_can_not_be_read_is_trusted_where_somebody_says_so() -> None:
    assert one(ASKED, "AccessDenied", trusted=True) == ALICE
    assert one(ASKED, now(), trusted=True).person is None


def test_without_anybody_to_read_them_intents_are_refused_as_a_whole() -> None:
    with pytest.raises(
        IdentityCenterError, match=r"'arn:aws:iam::\{account_id\}:role/NAME', or, if you trust"
    ):
        confirmed([ASKED], None)
    assert confirmed([ASKED], None, trusted=True) == [ASKED]


def test_derivation_is_from_what_the_user_may_do_now() -> None:
    old = detail(UserPolicyList=[{"PolicyName": "P", "PolicyDocument": {"Statement": [{"Action": "*"}]}}])
    asked = replace(ASKED, permission_set=None, derive={}, users=(replace(ALICE, detail=old),))
    fresh = now(detail(), source=PolicySource({"g": {}}, {}))
    (found,) = confirmed([asked], lambda ids, _: [(each, fresh) for each in ids])
    assert found.users[0].detail == detail()
    assert found.source.groups == {"g": {}}


def test_a_problem_that_was_there_before_stays_the_reason() -> None:
    asked = replace(ASKED, users=(user(ACCOUNT, "robot", None, "no email"),))
    assert one(asked, "AccessDenied").problem == "no email"


def test_each_account_by_itself() -> None:
    asked = [ASKED, intents(OTHER_ACCOUNT, "bob")]
    there: list[tuple[str, LiveAccount | str]] = [(ACCOUNT, now(detail())), (OTHER_ACCOUNT, "AccessDenied")]
    first, second = confirmed(asked, lambda ids, _: there)
    assert first.users[0].problem == ""
    assert "AccessDenied" in second.users[0].problem


def test_one_account_after_the_other_is_held() -> None:
    asked = [intents(f"{100000000001 + number}", "alice") for number in range(20)]
    held: weakref.WeakSet[LiveAccount] = weakref.WeakSet()
    most = []

    def read(ids: Iterable[str], _: Collection[str]) -> Iterator[tuple[str, LiveAccount]]:
        for each in ids:
            found = Held({})
            held.add(found)
            most.append(len(held))
            yield each, found
            del found

    assert len(confirmed(asked, read)) == 20
    # The one that was just read, and that before it.
    assert max(most) <= 2


class Held(LiveAccount):
    """One that is told apart from its equals."""

    def __init__(self, users: dict[str, Any]) -> None:
        super().__init__(PolicySource(), users)

    __hash__ = object.__hash__
    __eq__ = object.__eq__


def test_policies_of_all_accounts_are_read_with_the_documents_that_sets_by_name_need() -> None:
    asked = [ASKED, replace(intents(OTHER_ACCOUNT, "bob"), permission_set=None, derive={})]
    requested: list[Mapping[str, Collection[str]]] = []

    def read(ids: Iterable[str], with_policies: Mapping[str, Collection[str]]) -> Iterator[tuple[str, str]]:
        requested.append(with_policies)
        return ((each, "AccessDenied") for each in ids)

    confirmed(asked, read)
    assert requested == [{ACCOUNT: {READ_ONLY}, OTHER_ACCOUNT: set()}]


def test_an_account_that_was_passed_over_is_not_trusted() -> None:
    (found,) = confirmed([ASKED], lambda ids, _: [])
    assert "its account was not read" in found.users[0].problem


DENY_ALL = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}
MOSTLY = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "NotAction": "iam:*", "Resource": "*"}]}
AWS_DENY_ALL = "arn:aws:iam::aws:policy/AWSDenyAll"


@pytest.mark.parametrize(
    ("held", "usable"),
    [
        pytest.param({}, True, id="nothing"),
        pytest.param(
            {"UserPolicyList": [{"PolicyName": "c7n", "PolicyDocument": DENY_ALL}]}, False, id="inline"
        ),
        pytest.param(
            {"UserPolicyList": [{"PolicyName": "c7n", "PolicyDocument": MOSTLY}]}, True, id="another-deny"
        ),
        pytest.param({"AttachedManagedPolicies": [{"PolicyArn": AWS_DENY_ALL}]}, False, id="attached"),
        pytest.param({"PermissionsBoundary": {"PermissionsBoundaryArn": AWS_DENY_ALL}}, False, id="boundary"),
    ],
)
def test_a_quarantined_user_is_of_no_use(held: dict[str, Any], usable: bool) -> None:
    one_user = {**detail(), **held}
    found = LiveAccount(PolicySource(), {"AIDA": one_user})
    assert [not reason for reason in found.unusable().values()] == [usable]


def test_an_address_of_a_user_that_no_policy_selects() -> None:
    bot = detail(UserName="ci-bot", UserId="AIDABOT", Arn=f"arn:aws:iam::{ACCOUNT}:user/ci-bot")
    found = one(ASKED, now(detail(), bot))
    assert found.person is None
    assert f"several IAM users of account {ACCOUNT} (alice, ci-bot)" in found.problem
