# SPDX-License-Identifier: Apache-2.0
"""What on a user is our work: only what the journal shows, and only as long as it is there."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest

from c7n_iamusers.execution.calls import ApiCall
from c7n_iamusers.lockout.applied_calls import CallHistory
from c7n_iamusers.lockout.deny_all import ATTACHED, BOUNDARY
from c7n_iamusers.lockout.lockout_state import NOTHING_KNOWN, lacks_removed, own_deny, without_own_changes
from tests.records import user

NOW = datetime(2026, 11, 24, 18, tzinfo=timezone.utc)
DENY_ALL = "arn:aws:iam::aws:policy/AWSDenyAll"
POWER = ({"PermissionsBoundaryArn": "arn:aws:iam::aws:policy/PowerUserAccess"},)
ATTACH, DETACH = (
    ApiCall("iam", f"{verb}UserPolicy", {"UserName": "alice", "PolicyArn": DENY_ALL})
    for verb in ("Attach", "Detach")
)
BOUND = ApiCall("iam", "PutUserPermissionsBoundary", {"UserName": "alice", "PermissionsBoundary": DENY_ALL})
UNBOUND = ApiCall("iam", "DeleteUserPermissionsBoundary", {"UserName": "alice"})
OTHERS = ApiCall(
    "iam", "AttachUserPolicy", {"UserName": "alice", "PolicyArn": "arn:aws:iam::aws:policy/ReadOnlyAccess"}
)
HELD: dict[str, Any] = {"attached_policy": ({"PolicyName": "AWSDenyAll", "PolicyArn": DENY_ALL},)}
BOUNDED: dict[str, Any] = {"permissions_boundary": ({"PermissionsBoundaryArn": DENY_ALL},)}


def known(*calls: ApiCall, result: str = "done") -> CallHistory:
    return NOTHING_KNOWN.with_calls([(call, result) for call in calls], NOW)


@pytest.mark.parametrize(
    ("held", "history", "form"),
    [
        pytest.param(HELD, known(ATTACH), ATTACHED, id="attached"),
        pytest.param(HELD, known(ATTACH, result="unknown"), ATTACHED, id="attached-perhaps"),
        pytest.param(HELD, NOTHING_KNOWN, "", id="attached-by-others"),
        pytest.param(HELD, known(OTHERS), "", id="attached-by-others-beside-ours"),
        pytest.param(HELD, known(ATTACH, result="failed"), "", id="attached-by-others-as-we-failed"),
        pytest.param(HELD, known(ATTACH, DETACH), "", id="attached-again-by-others"),
        pytest.param(HELD, known(BOUND), "", id="attached-by-others-and-ours-bounded"),
        pytest.param({}, known(ATTACH), "", id="detached-by-others"),
        pytest.param(BOUNDED, known(BOUND), BOUNDARY, id="bounded"),
        pytest.param(BOUNDED, NOTHING_KNOWN, "", id="bounded-by-others"),
        pytest.param(BOUNDED, known(ATTACH), "", id="bounded-by-others-and-ours-attached"),
        pytest.param(BOUNDED, known(BOUND, UNBOUND), "", id="bounded-again-by-others"),
        pytest.param({}, known(BOUND), "", id="unbounded-by-others"),
        pytest.param({**HELD, **BOUNDED}, known(BOUND), BOUNDARY, id="bounded-and-attached-by-others"),
        pytest.param({**HELD, **BOUNDED}, known(ATTACH, BOUND), ATTACHED, id="both"),
    ],
)
def test_an_aws_deny_all_is_ours_if_the_journal_and_the_user_show_it(
    held: dict[str, Any], history: CallHistory, form: str
) -> None:
    assert own_deny(user(**held), history) == form


@pytest.mark.parametrize(
    ("held", "history", "former", "left"),
    [
        pytest.param(HELD, known(ATTACH), None, {}, id="our-attachment"),
        pytest.param(HELD, NOTHING_KNOWN, None, HELD, id="others-attachment"),
        pytest.param(BOUNDED, known(BOUND), POWER, {"permissions_boundary": POWER}, id="our-boundary"),
        pytest.param(BOUNDED, known(BOUND), (), {}, id="our-boundary-over-none"),
        pytest.param(BOUNDED, known(BOUND), None, BOUNDED, id="our-boundary-over-what-nobody-knows"),
        pytest.param(BOUNDED, NOTHING_KNOWN, POWER, BOUNDED, id="others-boundary"),
        pytest.param(
            {"permissions_boundary": POWER}, known(BOUND), (), {"permissions_boundary": POWER}, id="replaced"
        ),
    ],
)
def test_without_our_changes_the_user_is_as_others_have_it(
    held: dict[str, Any], history: CallHistory, former: Any, left: dict[str, Any]
) -> None:
    plain = without_own_changes(user(**held), history, former)
    assert plain.attachments == user(**left).attachments


KEY: dict[str, Any] = {"access_key": ({"AccessKeyId": "AKIA1", "Status": "Active"},)}
KEY_DELETED = ApiCall("iam", "DeleteAccessKey", {"UserName": "alice", "AccessKeyId": "AKIA1"})


@pytest.mark.parametrize(
    ("held", "history", "lacks"),
    [
        pytest.param({}, known(KEY_DELETED), True, id="nothing-is-back"),
        pytest.param({}, NOTHING_KNOWN, False, id="nothing-was-removed"),
        pytest.param(KEY, known(DETACH), False, id="a-credential"),
        pytest.param(HELD, known(DETACH), False, id="a-policy-is-back"),
        pytest.param(HELD, known(KEY_DELETED), True, id="another-policy"),
    ],
)
def test_a_user_that_lacks_what_a_deletion_removed(
    held: dict[str, Any], history: CallHistory, lacks: bool
) -> None:
    assert lacks_removed(user(**held), history) is lacks
