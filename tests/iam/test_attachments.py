# SPDX-License-Identifier: Apache-2.0
"""The table holds together, and every operation and parameter in it exists."""

from __future__ import annotations

from typing import Any

import botocore.session
import pytest

from c7n_iamusers.iam.attachments import (
    ATTACHMENT_KINDS,
    CREDENTIAL_KINDS,
    SWITCHABLE_KINDS,
    AttachmentKind,
    is_virtual_mfa,
)
from c7n_iamusers.iam.removal_order import REMOVAL_ORDER

IAM = botocore.session.get_session().get_service_model("iam")
KINDS = pytest.mark.parametrize("kind", ATTACHMENT_KINDS, ids=lambda kind: kind.name)


def members(operation: str) -> set[str]:
    shape = IAM.operation_model(operation).input_shape
    assert shape is not None
    return set(shape.members)


@KINDS
def test_operations_take_the_parameters_of_the_row(kind: AttachmentKind) -> None:
    parts: list[Any] = [*kind.removals, kind.detail, kind.status_change, kind.restoration]
    for part in filter(None, parts):
        given = {*part.parameters, *getattr(part, "constants", {})}
        user = {"UserName"} if getattr(part, "by_user", True) else set()
        assert given | user <= members(part.operation)
    if kind.status_change:
        assert "Status" in members(kind.status_change.operation)


@KINDS
def test_a_row_says_how_it_ends_and_whether_it_comes_back(kind: AttachmentKind) -> None:
    assert bool(kind.status_change) != bool(kind.quarantined_by)
    assert not (kind.restoration and kind.lost)
    comes_with_the_user = not kind.removals
    assert bool(kind.restoration) + bool(kind.lost) + comes_with_the_user == 1


@KINDS
def test_the_state_has_the_identifier_or_tells_anew_from_old(kind: AttachmentKind) -> None:
    assert kind.identifier in kind.state or kind.state == ("CreateDate",)


def test_every_credential_with_a_status_is_switchable() -> None:
    switchable = {kind.name for kind in SWITCHABLE_KINDS}
    assert switchable == {kind.name for kind in ATTACHMENT_KINDS if "Status" in kind.state}
    assert switchable == {kind.name for kind in CREDENTIAL_KINDS if not kind.quarantined_by}


def test_only_these_kinds_may_be_missing_from_no_snapshot() -> None:
    """A kind that was added since must be ``later``, or what was written before can't be read any more."""
    assert [kind.name for kind in ATTACHMENT_KINDS if not kind.later] == [
        "login-profile",
        "access-key",
        "signing-certificate",
        "ssh-public-key",
        "service-specific-credential",
        "mfa-device",
        "group",
        "attached-policy",
        "inline-policy",
        "permissions-boundary",
        "tag",
    ]


@pytest.mark.parametrize(
    ("serial", "virtual"),
    [
        ("arn:aws:iam::111122223333:mfa/alice", True),
        ("arn:aws-cn:iam::111122223333:mfa/a/b", True),
        ("arn:aws:iam::111122223333:u2f/user/alice/key-1", False),
        ("GAHT12345678", False),
    ],
)
def test_only_virtual_devices_are_deleted_by_themselves(serial: str, virtual: bool) -> None:
    assert is_virtual_mfa({"SerialNumber": serial}) is virtual


def test_everything_that_blocks_a_deletion_has_its_place_in_the_order_of_removal() -> None:
    assert len(REMOVAL_ORDER) == len(set(REMOVAL_ORDER))
    assert set(REMOVAL_ORDER) == {kind for kind in ATTACHMENT_KINDS if kind.removals}
    credentials = [kind for kind in REMOVAL_ORDER if kind.credential]
    assert REMOVAL_ORDER[: len(credentials)] == tuple(credentials)
