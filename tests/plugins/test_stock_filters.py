# SPDX-License-Identifier: Apache-2.0
"""Stock filters select the same users, whether c7n's own source lists them or ``authorization-details``."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from aws_local_org import LocalOrg
from aws_local_org.seed import seed
from tests.policies import ACCOUNT, policy

USERS = 30
Resource = dict[str, Any]


def value(key: str, value: Any, **options: Any) -> Any:
    return {"type": "value", "key": key, "value": value, **options}


def credential(key: str, value: Any, **options: Any) -> Any:
    return {"type": "credential", "report_delay": 0.2, "key": key, "value": value, **options}


def of(kind: str, key: str, value: Any, **options: Any) -> Any:
    return {"type": kind, "key": key, "value": value, **options}


VALUES = {
    "tags-absent": {"Tags": "absent"},
    "tags-present": {"Tags": "present"},
    "tags-empty": {"Tags": "empty"},
    "tags-not-null": {"Tags": "not-null"},
    "tags-as-a-list": value("Tags", []),
    "tags-by-number": value("Tags", 1, value_type="size", op="gt"),
    "tags-by-jmespath": value("Tags[?Key=='Email'].Value | [0]", "present"),
    "tag-absent": {"tag:Email": "absent"},
    "tag-present": {"tag:Email": "present"},
    "tag-by-glob": value("tag:Email", "a*", op="glob"),
    "tag-by-regex": value("tag:Email", "^[a-m].*@", op="regex"),
    "tag-in": value("tag:Department", ["Finance", "Engineering", "payments"], op="in"),
    "tag-not-in": value("tag:Team", ["payments"], op="not-in"),
    "tag-item": {"type": "list-item", "key": "Tags", "attrs": [value("Key", "Email")]},
    "tag-items-counted": {
        "type": "list-item",
        "key": "Tags",
        "attrs": [value("Key", "^E", op="regex")],
        "count": 0,
    },
    "marked-for-op": {"type": "marked-for-op", "op": "delete"},
    "marked-for-another-op": {"type": "marked-for-op", "op": "notify"},
    "marked-by-another-tag": {"type": "marked-for-op", "op": "delete", "tag": "c7n_later"},
    "never-signed-in": {"PasswordLastUsed": "absent"},
    "signed-in": {"PasswordLastUsed": "not-null"},
    "signed-in-long-ago": value("PasswordLastUsed", 90, value_type="age", op="gt"),
    "signed-in-lately": value("PasswordLastUsed", 30, value_type="age", op="lte"),
    "old": value("CreateDate", 365, value_type="age", op="gt"),
    "young": value("CreateDate", 200, value_type="age", op="lt"),
    "root-path": {"Path": "/"},
    "other-path": value("Path", "/?*/", op="glob"),
    "no-boundary": {"PermissionsBoundary": "absent"},
    "boundary": value("PermissionsBoundary.PermissionsBoundaryArn", "present"),
    "name": value("UserName", "^[a-l]", op="regex"),
    "arn": value("Arn", ".*:user/[^/]*$", op="regex"),
    "not-arn": {"not": [value("Arn", ".*:user/[^/]*$", op="regex")]},
    "id": value("UserId", "^AIDA.*[A-M]$", op="regex"),
    "either": {"or": [{"Tags": "absent"}, {"PasswordLastUsed": "present"}]},
    "both": {"and": [{"Tags": "present"}, {"PasswordLastUsed": "absent"}]},
    "neither": {"not": [{"or": [{"Tags": "absent"}, {"PasswordLastUsed": "present"}]}]},
    "the-five-oldest": {"type": "reduce", "sort-by": "CreateDate", "order": "asc", "limit": 5},
    "one-by-path": {"type": "reduce", "group-by": "Path", "sort-by": "UserName", "order": "asc", "limit": 1},
}
FETCHED = {
    "password-enabled": credential("password_enabled", True),
    "password-never-used": credential("password_last_used", "absent"),
    "password-old": credential("password_last_changed", 90, value_type="age", op="gt"),
    "no-mfa-by-report": credential("mfa_active", False),
    "active-keys-by-report": credential("access_keys.active", True),
    "stale-keys-by-report": credential("access_keys.last_rotated", 180, value_type="age", op="gt"),
    "inline": "has-inline-policy",
    "no-inline": {"type": "has-inline-policy", "value": False},
    "policy": of("policy", "PolicyName", "^.*[A-M][a-z]*$", op="regex"),
    "no-policy": {"not": [of("policy", "PolicyName", ".*", op="regex")]},
    "policy-by-group-too": of("policy", "PolicyName", "ReadOnlyAccess", **{"include-via": True}),
    "group": of("group", "GroupName", "Everyone"),
    "no-group": {"not": [of("group", "GroupName", ".*", op="regex")]},
    "group-by-arn": of("group", "Arn", ".*/[D-E][^/]*$", op="regex"),
    "active-key": of("access-key", "Status", "Active"),
    "old-key": of("access-key", "CreateDate", 180, value_type="age", op="gt"),
    "old-active-key": {
        "and": [
            of("access-key", "Status", "Active", **{"match-operator": "and"}),
            of("access-key", "CreateDate", 180, value_type="age", op="gt", **{"match-operator": "and"}),
        ]
    },
    "console": of("login-profile", "UserName", "present"),
    "no-console": {"not": [of("login-profile", "UserName", "present")]},
    "no-mfa": {"type": "mfa-device", "value": "empty"},
    "mfa": {"type": "mfa-device", "value": "not-null"},
    "no-mfa-as-a-list": of("mfa-device", "MFADevices", []),
    "two-devices": {"type": "mfa-device", "value_type": "size", "value": 1, "op": "gt"},
    "ssh-key": of("ssh-key", "Status", "Active"),
    "git-password": of("service-specific-credentials", "ServiceName", "codecommit.amazonaws.com"),
}
#: Nobody is selected, and not everybody as well, which a wrong reading of these would give.
NOBODY = [VALUES["tags-as-a-list"], VALUES["marked-for-another-op"]]
#: Keys that only authorization-details gives: c7n's own source lacks them for every user.
OURS = {
    "group-names": value("GroupList", "present"),
    "groups": value('"c7n:Groups"', "present"),
    "attached-policies": value("AttachedManagedPolicies", "present"),
    "inline-documents": value("UserPolicyList", "present"),
}


@pytest.fixture(scope="module")
def population(local_org: LocalOrg) -> Iterator[LocalOrg]:
    """A seeded account in which users also lack tags, have a boundary, or are marked for a later operation."""
    with pytest.MonkeyPatch.context() as environment:
        for name, text in local_org.environment().items():
            environment.setenv(name, text)
        local_org.reset()
        seed(local_org, users_per_account=USERS)
        iam = local_org.client("iam", ACCOUNT)
        names = sorted(user["UserName"] for user in iam.list_users()["Users"])
        due = "Resource does not meet policy: delete@2020/01/01"
        for number, name in enumerate(names):
            if number % 7 == 3:
                iam.tag_user(UserName=name, Tags=[{"Key": "maid_status", "Value": due}])
            if number % 11 == 5:
                iam.tag_user(UserName=name, Tags=[{"Key": "c7n_later", "Value": due}])
        yield local_org


@pytest.fixture(scope="module")
def stock(population: LocalOrg) -> list[Resource]:
    listed: list[Resource] = policy({"source": "describe"}).resource_manager.resources()
    return listed


def names(resources: list[Resource]) -> set[str]:
    return {resource["UserName"] for resource in resources}


def selected(stock: list[Resource], chosen: Any) -> tuple[set[str], set[str]]:
    """The users that c7n's own source and ours lead to."""
    manager = policy({"source": "describe", "filters": [chosen]}).resource_manager
    theirs = names(manager.filter_resources(copy.deepcopy(stock)))
    return theirs, names(policy({"filters": [chosen]}).resource_manager.resources())


@pytest.mark.parametrize(
    "chosen", [pytest.param(each, id=name) for name, each in {**VALUES, **FETCHED}.items()]
)
def test_the_same_users(stock: list[Resource], chosen: Any) -> None:
    theirs, ours = selected(stock, chosen)
    assert ours == theirs
    assert (0 < len(ours) < USERS) is (chosen not in NOBODY), "a row that tells nobody apart proves nothing"


@pytest.mark.parametrize("chosen", [pytest.param(each, id=name) for name, each in OURS.items()])
def test_deliberate_differences(stock: list[Resource], chosen: Any) -> None:
    """Authorization details give these keys at no further cost; stock filters may use them."""
    theirs, ours = selected(stock, chosen)
    assert (len(theirs), len(ours)) == (0, USERS)
