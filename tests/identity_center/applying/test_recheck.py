# SPDX-License-Identifier: Apache-2.0
"""What is left of a change after a conflict, and what is refused right before its call."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest

from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.execution.calls import ApiCall, Subject
from c7n_iamusers.identity_center.access_plan import CREATE, PROVISION, Change
from c7n_iamusers.identity_center.applying.recheck import Recheck
from c7n_iamusers.identity_center.model import (
    PERMISSION_SET,
    PROVISIONING,
    CenterState,
    DesiredAccess,
    KnownPermissionSet,
)
from c7n_iamusers.identity_center.planning.changeset import set_key
from c7n_iamusers.identity_center.writer.writer import DONE, FAILED, ChangeResult
from tests.access_center import ACCOUNT, INSTANCE, OTHER_ACCOUNT, SET_ARN
from tests.desired import readers

pytestmark = [pytest.mark.pure, pytest.mark.whole]
CALL = ApiCall("sso-admin", "ProvisionPermissionSet", {"PermissionSetArn": SET_ARN})
CHANGE = Change(
    "provision Readers", PROVISIONING, PROVISION, "Readers", Subject("Readers", SET_ARN, ""), (CALL,)
)


def recheck(known: KnownPermissionSet | None = None, **options: Any) -> Recheck:
    """In an instance in which ``known`` is all that there is."""
    reader: Any = SimpleNamespace(assignments=None, permission_sets=SimpleNamespace(read=lambda _: known))
    return Recheck(reader, DesiredAccess({}, {}, {}, ()), CenterState(), INSTANCE, **options)


@pytest.mark.parametrize(
    ("stale", "account", "left"),
    [
        pytest.param({ACCOUNT}, ACCOUNT, True, id="the-account-has-an-earlier-form"),
        pytest.param({OTHER_ACCOUNT}, ACCOUNT, False, id="another-account-has"),
        pytest.param(set(), ACCOUNT, False, id="none-has"),
        pytest.param({OTHER_ACCOUNT}, "", True, id="of-all-accounts-one-has"),
        pytest.param(set(), "", False, id="of-all-accounts-none-has"),
    ],
)
def test_a_set_is_provisioned_as_long_as_an_account_has_an_earlier_form(
    stale: set[str], account: str, left: bool
) -> None:
    known = KnownPermissionSet(SET_ARN, readers(), frozenset({ACCOUNT, OTHER_ACCOUNT}), frozenset(stale))
    target = {"TargetId": account} if account else {}
    found = recheck(known)(CHANGE, {"PermissionSetArn": SET_ARN, **target})
    assert found.calls == ((CALL,) if left else ())


def test_a_set_that_others_deleted_is_not_provisioned() -> None:
    with pytest.raises(IdentityCenterError, match="permission set Readers was deleted by others"):
        recheck()(CHANGE, {"PermissionSetArn": SET_ARN})


@pytest.mark.parametrize(
    ("unreviewed", "refused"),
    [
        pytest.param({CHANGE.key: "people gain it"}, True, id="of-this-change"),
        pytest.param({"another": "people gain it"}, False, id="of-another"),
        pytest.param(None, False, id="reviewed"),
    ],
)
def test_what_only_a_reviewed_plan_may_do_is_refused(
    unreviewed: dict[str, str] | None, refused: bool
) -> None:
    check = recheck(unreviewed=unreviewed).before(CHANGE, {"PermissionSetArn": SET_ARN})
    with pytest.raises(IdentityCenterError, match="people gain it") if refused else nullcontext():
        (check or (lambda: None))()
    assert (check is not None) is refused


@pytest.mark.parametrize(
    ("status", "told"),
    [
        pytest.param(DONE, True, id="made-by-this-run"),
        pytest.param(FAILED, False, id="not-made-which-the-run-says"),
        pytest.param(None, True, id="was-as-requested"),
    ],
)
def test_a_set_that_others_changed_during_the_run_is_told(status: str | None, told: bool) -> None:
    wanted = readers()
    reader: Any = SimpleNamespace(assignments=None, permission_sets=SimpleNamespace(settings=lambda _: None))
    known = CenterState(permission_sets={"Readers": KnownPermissionSet(SET_ARN, wanted)})
    found = Recheck(reader, DesiredAccess(permission_sets={"Readers": wanted}), known, INSTANCE)
    ended = {set_key("Readers"): ChangeResult(status)} if status else {}
    said = found._changed("Readers", ended)
    assert ("others changed permission set Readers during this run" in said) is told
    assert bool(said) is told


def test_what_a_change_replaces_is_recorded_again() -> None:
    wanted, set_call = readers(), ApiCall("sso-admin", "CreatePermissionSet", {}, notes={"before": "x"})
    nobody = SimpleNamespace(find=lambda *_: {})
    reader: Any = SimpleNamespace(assignments=None, permission_sets=nobody)
    found = Recheck(reader, DesiredAccess(permission_sets={"Readers": wanted}), CenterState(), INSTANCE)
    subject = Subject("Readers", SET_ARN, "")
    for calls, notes in (((set_call,), {"before": "x"}), ((), {})):
        change = Change(set_key("Readers"), PERMISSION_SET, CREATE, "Readers", subject, calls)
        first, *_ = found(change, {}).calls
        assert (first.operation, first.notes or {}) == ("CreatePermissionSet", notes)
