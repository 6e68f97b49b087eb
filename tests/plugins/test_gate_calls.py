# SPDX-License-Identifier: Apache-2.0
"""The calls that the gates of an account make, by the number of its users."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from c7n_iamusers.execution.bucket_store import BucketStore
from c7n_iamusers.execution.journal import utc_now
from c7n_iamusers.execution.retries import Backoff
from c7n_iamusers.identity_center.aws.access_check import AccessReader
from c7n_iamusers.identity_center.aws.identity_store import IdentityStore
from c7n_iamusers.identity_center.aws.permission_sets import Assignments, PermissionSets
from c7n_iamusers.identity_center.model import Person
from c7n_iamusers.notices.notices import Notices
from c7n_iamusers.notices.stop import check_stop
from c7n_iamusers.safeguards.gate_readings import MAX_AGE, Calls, Gate, Gates
from c7n_iamusers.safeguards.reasons_to_spare import Guards
from tests.access_center import ACCOUNT, INSTANCE

pytestmark = pytest.mark.pure


class Pages:
    """S3 and Identity Center of an account with many users, by pages of AWS's size. Counts its calls for ``calls``."""

    SET, GROUP = "arn:aws:sso:::permissionSet/ssoins-1/ps-1", "group-1"

    def __init__(self, users: int, calls: Calls) -> None:
        self.calls, self.asked = calls, Counter[str]()
        self.people = [
            {"UserId": f"id-{each}", "UserName": f"{each}@x", "Emails": [{"Value": f"{each}@x"}]}
            for each in range(users)
        ]

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        def call(**parameters: Any) -> Any:
            self.asked[operation] += 1
            self.calls.add(1)
            if operation == "list_objects_v2":
                return self.objects(str(parameters["Prefix"]))
            start = int(parameters.get("NextToken", 0))
            (name, whole), end = self.listed(operation), start + 100
            return {name: whole[start:end], **({"NextToken": str(end)} if end < len(whole) else {})}

        return call

    def listed(self, operation: str) -> tuple[str, list[Any]]:
        found: dict[str, tuple[str, list[Any]]] = {
            "list_account_assignment_deletion_status": ("AccountAssignmentsDeletionStatus", []),
            "list_permission_sets_provisioned_to_account": ("PermissionSets", [self.SET]),
            "list_account_assignments": (
                "AccountAssignments",
                [{"PrincipalType": "GROUP", "PrincipalId": self.GROUP}],
            ),
            "list_users": ("Users", self.people),
            "list_group_memberships": (
                "GroupMemberships",
                [{"MemberId": {"UserId": each["UserId"]}, "MembershipId": "m"} for each in self.people],
            ),
        }
        return found[operation]

    def objects(self, prefix: str) -> Any:
        """A record, in each directory, that this process knows already."""
        return {"Contents": [{"Key": f"{prefix}x.txt", "ETag": "e"}], "IsTruncated": False}


class Account:
    """``requires``: whether access through Identity Center is asked for. The first reading is at 0 seconds."""

    def __init__(self, users: int, requires: bool) -> None:
        self.now, self.calls = 0.0, Calls()
        self.aws = Pages(users, self.calls)
        self.store = BucketStore(self.aws, "governance", "notices", {})
        sets, of_it = PermissionSets(self.aws, INSTANCE, Backoff()), (self.aws, INSTANCE, Backoff())
        self.reader = AccessReader(sets, IdentityStore(*of_it), Assignments(*of_it), {Pages.SET: "Readers"})
        self.people = [Person(f"{each}@x", f"{each}@x", "x", "x", "x") for each in range(users)]
        gates = [
            Gate("exemptions", self.exemptions),
            Gate("stop", self.stop),
            Gate("notices", self.notices),
            Gate("access", self.access, patient=True),
        ]
        self.accessed = list[float]()
        guards = Guards((f"arn:aws:sts::{ACCOUNT}:assumed-role/CloudCustodian/session",))
        self.gates = Gates(guards, gates[: 3 + requires], self.calls, lambda: self.now).load()
        self.aws.asked.clear()

    def exemptions(self) -> Mapping[str, Any]:
        self.calls.add(1)  # a list in S3
        return {}

    def stop(self) -> Mapping[str, Any]:
        check_stop(self.store)
        return {}

    def notices(self) -> Mapping[str, Any]:
        return {"notices": Notices.read(self.store, ACCOUNT, utc_now())}

    def access(self) -> Mapping[str, Any]:
        self.accessed.append(self.now)
        account = self.reader.account(ACCOUNT, {"Readers"})
        found = self.reader.people(self.people, account)
        assert sum(bool(user and account.of(user.user_id, held)) for user, _, held in found.values()) == len(
            self.people
        )
        return {}

    def run(self, a_second: float = 5.0) -> None:
        for _ in self.people:
            self.gates()
            self.now += 1 / a_second


@pytest.mark.parametrize(
    ("users", "requires", "most"),
    [
        pytest.param(24, False, 4, id="few"),
        pytest.param(5000, False, 4, id="many"),
        pytest.param(24, True, 10, id="few-with-access"),
        pytest.param(500, True, 10, id="some-with-access"),
        pytest.param(5000, True, 10, id="many-with-access"),
    ],
)
def test_calls_in_a_started_half_minute(users: int, requires: bool, most: int) -> None:
    account = Account(users, requires)
    before = account.calls.made
    account.run()
    half_minutes = 1 + int(account.now // MAX_AGE)
    assert account.calls.made - before <= most * half_minutes
    # what is beside the notices, in the account's directory and in that of the exempt: at most half a minute old
    assert account.aws.asked["list_objects_v2"] >= 3 * (half_minutes - 2)


def test_access_of_five_thousand_people_is_read_about_every_eighth_minute() -> None:
    """By 104 calls: 50 for people, 50 for members of their group, 4 for the account."""
    account = Account(5000, requires=True)
    account.run()
    del account.aws.asked["list_objects_v2"]
    assert [round(each / 60) for each in account.accessed] == [0, 8, 17]
    assert account.aws.asked == {
        "list_users": 100,
        "list_group_memberships": 100,
        "list_permission_sets_provisioned_to_account": 4,
        "list_account_assignment_deletion_status": 2,
        "list_account_assignments": 2,
    }


def test_a_few_people_of_a_large_organization_are_looked_up_one_by_one() -> None:
    account = Account(5000, requires=True)
    reader, aws = account.reader, account.aws

    def one_by_one(**parameters: Any) -> Any:
        aws.asked["looked up"] += 1
        who = parameters.get("UserId") or "id-" + str(
            parameters["AlternateIdentifier"]["UniqueAttribute"]["AttributeValue"]
        ).removesuffix("@x")
        return aws.people[int(who.removeprefix("id-"))]

    held_by = {"GroupMemberships": [{"GroupId": Pages.GROUP}]}
    more = {"get_user_id": one_by_one, "describe_user": one_by_one}
    vars(aws).update(more, list_group_memberships_for_member=lambda **_: held_by)
    access = reader.account(ACCOUNT, {"Readers"})
    aws.asked.clear()
    found = reader.people(account.people[:12], access)
    assert [user.username for user, _, _ in found.values() if user] == [f"{each}@x" for each in range(12)]
    assert {held for _, _, held in found.values()} == {frozenset({Pages.GROUP})}
    # four pages of users, and of members, are enough to see that all of them would take longer
    assert aws.asked == {"list_users": 5, "list_group_memberships": 5, "looked up": 24}
