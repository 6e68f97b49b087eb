# SPDX-License-Identifier: Apache-2.0
"""Records of Identity Center for tests."""

from __future__ import annotations

from c7n_iamusers.derivation.requested_permission_set import PermissionSet
from c7n_iamusers.execution.calls import ApiCall, Subject
from c7n_iamusers.identity_center.model import Grant, Group, Instance, KnownPermissionSet, KnownPerson, Person

ACCOUNT, OTHER_ACCOUNT = "111122223333", "444455556666"
INSTANCE = Instance(
    "arn:aws:sso:::instance/ssoins-1234567890abcdef", "d-1234567890", "us-east-1", "123456789012"
)
SET_ARN = "arn:aws:sso:::permissionSet/ssoins-1234567890abcdef/ps-1234567890abcdef"
READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"
AUDIT = "arn:aws:iam::aws:policy/SecurityAudit"
MARK = {"c7n-iamusers": "managed"}
WANTED = PermissionSet(
    "Migrated",
    "Reads",
    "PT1H",
    "https://console.aws.amazon.com/",
    frozenset({READ_ONLY}),
    '{"Statement":[]}',
    MARK,
)
GRANT = Grant(ACCOUNT, "Migrated")
READERS = Group("iam-readers", frozenset({GRANT}))
ALICE = Person("alice@example.com", "alice@example.com", "Alice", "Liddell", "Alice Liddell")
KNOWN_ALICE = KnownPerson("user-1", "alice@example.com", "Alice@Example.com")


def subject(name: str = "alice", account: str = ACCOUNT) -> Subject:
    """An IAM user, as a plan's subject."""
    return Subject(name, f"arn:aws:iam::{account}:user/{name}", f"AIDA{name.upper()}")


def known_set(settings: PermissionSet = WANTED, **fields: object) -> KnownPermissionSet:
    """A permission set that exists."""
    return KnownPermissionSet(SET_ARN, settings, **fields)  # type: ignore[arg-type]


def operations(calls: tuple[ApiCall, ...]) -> list[str]:
    """The names of the calls' operations."""
    return [call.operation for call in calls]
