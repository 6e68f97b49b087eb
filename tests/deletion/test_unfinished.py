# SPDX-License-Identifier: Apache-2.0
"""A deletion that began and did not end, and what happens in the days after: nobody loses sight of its user."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from c7n.exceptions import PolicyExecutionError
from click.testing import CliRunner, Result

from aws_local_org import LocalOrg
from c7n_iamusers.plugins.safeguarded_action import TakingAction
from c7n_iamusers_cli.main import main
from tests.cli.test_restore import ROLE
from tests.interference import deny, on_call
from tests.plugins.deletions import NAME, acting, delete, outcomes, user_names
from tests.policies import ACCOUNT

DENY_ALL = "arn:aws:iam::aws:policy/AWSDenyAll"
PAYROLL = {"group": "payroll", "reason": "the owner objected", "expires": "2999-12-31"}
#: Any quarantine is longer.
SHORT = {"quarantined-for": 1e-9}
BUCKETS, QUEUE = (f"arn:aws:iam::{ACCOUNT}:policy/{name}" for name in ("Buckets", "Queue"))


class Killed(BaseException):
    """The task was stopped."""


@pytest.fixture
def iam(org: LocalOrg) -> Any:
    """alice with a key, a password, a group and two policies."""
    iam = org.client("iam", ACCOUNT)
    iam.create_user(UserName="alice")
    iam.create_login_profile(UserName="alice", Password="correct-Horse-7-battery")
    iam.create_access_key(UserName="alice")
    iam.create_group(GroupName="payroll")
    iam.add_user_to_group(UserName="alice", GroupName="payroll")
    for name, action in (("Buckets", "s3:*"), ("Queue", "sqs:*")):
        statement = {"Effect": "Allow", "Action": action, "Resource": "*"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        iam.create_policy(PolicyName=name, PolicyDocument=document)
        iam.attach_user_policy(UserName="alice", PolicyArn=f"arn:aws:iam::{ACCOUNT}:policy/{name}")
    iam.generate_credential_report()
    return iam


def kill(monkeypatch: pytest.MonkeyPatch, operation: str) -> None:
    def die() -> None:
        raise Killed

    on_call(monkeypatch, operation, die)


#: How a deletion ends before its end.
STOPS: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "killed-after-the-groups": lambda patch: kill(patch, "DetachUserPolicy"),
    "killed-under-the-deny": lambda patch: kill(patch, "DeleteUserPolicy"),
    "killed-after-the-deny-was-lifted": lambda patch: kill(patch, "DeleteUser"),
    "refused": lambda patch: deny(patch, "DeleteUser"),
}


#: Where it is about what comes later: before and after all is removed.
TWO_STOPS = pytest.mark.parametrize(
    "stop", [STOPS["killed-after-the-groups"], STOPS["refused"]], ids=["after-the-groups", "refused"]
)


@pytest.fixture(params=STOPS)
def stop(request: pytest.FixtureRequest) -> Callable[[pytest.MonkeyPatch], None]:
    return STOPS[request.param]


def begin(
    output: Path,
    monkeypatch: pytest.MonkeyPatch,
    stop: Callable[[pytest.MonkeyPatch], None] = STOPS["refused"],
    *denied: str,
    filters: Any = None,
    **options: Any,
) -> None:
    """A deletion that ``stop`` stops. ``denied``: operations that the role may not use."""
    given = {} if filters is None else {"filters": filters}
    with monkeypatch.context() as patch:
        stop(patch)
        for operation in denied:
            deny(patch, operation)
        with pytest.raises((PolicyExecutionError, Killed)):
            acting({"type": "composite-delete", **options}, output, **given).run()


def again(output: Path, *exempt: dict[str, Any], **options: Any) -> dict[str, Any]:
    """The row of alice after a further run."""
    with pytest.raises(PolicyExecutionError):
        acting({"type": "composite-delete", **options}, output, *exempt).run()
    return outcomes(output)["alice"]


def restore(run: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["restore", str(run), "--role", ROLE, *arguments])


def attached(iam: Any) -> set[str]:
    held = iam.list_attached_user_policies(UserName="alice")["AttachedPolicies"]
    return {each["PolicyArn"] for each in held}


def test_an_exemption_by_what_the_deletion_removed_spares_the_user(
    iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: Any
) -> None:
    begin(tmp_path, monkeypatch, stop)
    noted: list[Any] = []
    monkeypatch.setattr(TakingAction, "note_exempt", lambda _, found: noted.extend(found))
    row = again(tmp_path, PAYROLL)
    assert user_names(iam) == ["alice"]
    assert row["status"] == "failed"
    assert "is left unfinished: exempt by group 'payroll'" in row["reason"]
    assert "c7n-iamusers restore OUTPUT --user alice" in row["reason"]
    assert [(subject.name, rule.pattern) for subject, rule in noted] == [("alice", "payroll")]


@TWO_STOPS
def test_each_run_names_an_exempt_user_that_is_half_way_until_it_is_restored(
    iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: Any
) -> None:
    begin(tmp_path, monkeypatch, stop)
    alice = {"user": "alice", "reason": "the owner objected", "expires": "2999-12-31"}
    for _ in range(2):
        row = again(tmp_path, alice)
        assert (row["status"], row["code"], row["calls"]) == ("failed", "LeftUnfinished", 0)
        assert "is left unfinished: exempt by user 'alice'" in row["reason"]
    assert restore(tmp_path / NAME, "--user", "alice").exit_code == 0
    acting("composite-delete", tmp_path, alice).run()
    assert user_names(iam) == ["alice"]


def test_a_user_that_got_a_call_of_a_killed_run_with_the_name_is_told(
    iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def replace() -> None:
        iam.update_user(UserName="alice", NewUserName="zoe")
        iam.create_user(UserName="alice")

    def stop(patch: pytest.MonkeyPatch) -> None:
        on_call(patch, "PutUserPermissionsBoundary", replace)
        kill(patch, "DeleteUserPolicy")

    begin(tmp_path, monkeypatch, stop)
    namesake = {"user": "alice", "reason": "somebody new", "expires": "2999-12-31"}
    with pytest.raises(PolicyExecutionError) as told:
        acting("composite-delete", tmp_path, namesake).run()
    assert user_names(iam) == ["alice"]
    row = outcomes(tmp_path)["zoe"]
    assert (row["status"], row["also"]) == ("deleted", ["NamesakeMaybeChanged", "DenyOnNamesake"])
    assert row["reason"] in str(told.value)
    assert "aws iam delete-user-permissions-boundary --user-name alice takes it off" in row["reason"]
    acting("composite-delete", tmp_path, namesake).run()


def test_a_renamed_user_is_judged_as_it_was_all_the_same(
    iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(tmp_path, monkeypatch)
    iam.update_user(UserName="alice", NewUserName="alicia")
    with pytest.raises(PolicyExecutionError, match="is left unfinished: exempt by group 'payroll'"):
        acting("composite-delete", tmp_path, PAYROLL).run()
    assert user_names(iam) == ["alicia"]
    acting("composite-delete", tmp_path).run()
    assert user_names(iam) == []
    assert restore(tmp_path, "--yes").exit_code == 0
    (group,) = iam.list_groups_for_user(UserName="alicia")["Groups"]
    assert group["GroupName"] == "payroll"


def trusted(iam: Any) -> None:
    alice = {"AWS": f"arn:aws:iam::{ACCOUNT}:user/alice"}
    statement = {"Effect": "Allow", "Principal": alice, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.create_role(RoleName="r", AssumeRolePolicyDocument=document)


def leaked(iam: Any) -> None:
    policy = "arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV3"
    iam.attach_user_policy(UserName="alice", PolicyArn=policy)


@TWO_STOPS
@pytest.mark.parametrize(
    ("change", "why"),
    [(trusted, "a role trusts it"), (leaked, "one of its keys leaked")],
    ids=["trusted-by-a-role", "leaked"],
)
def test_a_user_that_a_gate_spares_later_is_never_skipped(
    iam: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    stop: Any,
    change: Callable[[Any], None],
    why: str,
) -> None:
    begin(tmp_path, monkeypatch, stop, **{"trusted-by-role": False})
    change(iam)
    row = again(tmp_path, **{"trusted-by-role": False})
    assert (user_names(iam), row["status"]) == (["alice"], "failed")
    assert why in row["reason"]
    assert "of its attachments are removed: run again to finish" in row["reason"]


@TWO_STOPS
def test_a_user_that_an_earlier_step_spares_later_is_never_skipped(
    iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: Any
) -> None:
    begin(tmp_path, monkeypatch, stop)
    policy = acting("composite-delete", tmp_path)
    (resource,) = policy.resource_manager.resources()
    resource["c7n:IamUser"]["provisioning"] = {"status": "failed", "reason": "no e-mail"}
    with policy.ctx:
        policy.resource_manager.actions[0].process([resource])
    row = outcomes(tmp_path)["alice"]
    assert (user_names(iam), row["status"]) == (["alice"], "failed")
    assert "its replacement in Identity Center is failed: no e-mail" in row["reason"]


@TWO_STOPS
def test_the_filter_is_asked_again_about_the_whole_user(
    iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: Any
) -> None:
    filters = [{"type": "unnecessary", "exempt": "none", "kinds": ["mixed"]}]
    begin(tmp_path, monkeypatch, stop, filters=filters)
    acting("composite-delete", tmp_path, filters=filters).run()
    assert (user_names(iam), outcomes(tmp_path)["alice"]["status"]) == ([], "deleted")


@pytest.mark.parametrize(
    "criteria",
    [{"kinds": ["mixed"]}, {"kinds": ["human", "mixed"], "findings": ["console-without-mfa"]}],
    ids=["kinds", "findings"],
)
def test_it_goes_on_although_what_selected_the_user_was_removed(
    org: LocalOrg,
    iam: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    stop: Any,
    criteria: dict[str, Any],
) -> None:
    filters = [{"type": "unnecessary", "exempt": "none", **criteria}]
    begin(tmp_path, monkeypatch, stop, filters=filters)
    # A later report does not have what is gone.
    org.backend("iam", ACCOUNT).report = None
    iam.generate_credential_report()
    # Another output knows of no deletion, and the user is of another kind by now.
    acting("composite-delete", tmp_path / "other", filters=filters).run()
    assert user_names(iam) == ["alice"]
    acting({"type": "composite-delete", "plan-only": True}, tmp_path, filters=filters).run()
    (planned,) = json.loads((tmp_path / NAME / "deletion-plan.json").read_text())["users"]
    assert planned["calls"][-1]["operation"] == "DeleteUser"
    acting("composite-delete", tmp_path, filters=filters).run()
    assert (user_names(iam), outcomes(tmp_path)["alice"]["status"]) == ([], "deleted")


@TWO_STOPS
def test_it_is_judged_as_it_was_and_told_where_the_filter_would_not_have_selected_it(
    org: LocalOrg, iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: Any
) -> None:
    begin(tmp_path, monkeypatch, stop)
    org.backend("iam", ACCOUNT).report = None
    iam.generate_credential_report()
    with pytest.raises(PolicyExecutionError, match="is left unfinished: on live data"):
        acting(
            "composite-delete",
            tmp_path,
            filters=[{"type": "unnecessary", "exempt": "none", "kinds": ["machine"]}],
        ).run()
    assert user_names(iam) == ["alice"]


def test_one_that_was_undone_by_hand_is_over(
    org: LocalOrg, iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filters = [{"type": "unnecessary", "exempt": "none", "kinds": ["mixed"]}]
    begin(tmp_path, monkeypatch, STOPS["killed-after-the-groups"], filters=filters)
    iam.delete_user_policy(UserName="alice", PolicyName="c7n-iamusers-deny-all")
    iam.add_user_to_group(UserName="alice", GroupName="payroll")
    org.backend("iam", ACCOUNT).report = None
    iam.generate_credential_report()
    with pytest.raises(PolicyExecutionError, match="a run that began on it was stopped"):
        acting("composite-delete", tmp_path, filters=filters).run()
    acting("composite-delete", tmp_path, filters=filters).run()
    assert user_names(iam) == ["alice"]


def test_one_whose_user_has_a_new_key_is_over(
    org: LocalOrg, iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything was removed, and the Deny lifted for DeleteUser; then somebody made a machine of the user."""
    filters = [{"type": "unnecessary", "exempt": "none", "kinds": ["human", "mixed", "unknown"]}]
    begin(tmp_path, monkeypatch, STOPS["killed-after-the-deny-was-lifted"], filters=filters)
    if "PermissionsBoundary" in iam.get_user(UserName="alice")["User"]:
        iam.delete_user_permissions_boundary(UserName="alice")
    iam.create_access_key(UserName="alice")
    org.backend("iam", ACCOUNT).report = None
    iam.generate_credential_report()
    with suppress(PolicyExecutionError):
        acting("composite-delete", tmp_path, filters=filters).run()
    assert user_names(iam) == ["alice"]


def test_a_plan_of_it_tells_that_it_is_unfinished(
    iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(tmp_path, monkeypatch)
    again(tmp_path, PAYROLL, **{"plan-only": True})
    (planned,) = json.loads((tmp_path / NAME / "deletion-plan.json").read_text())["users"]
    assert "is left unfinished: exempt by group 'payroll'" in planned["skipped"]


def quarantine(output: Path, monkeypatch: pytest.MonkeyPatch, *denied: str) -> None:
    with monkeypatch.context() as patch:
        for operation in denied:
            deny(patch, operation)
        acting("quarantine", output, name="park").run()


@pytest.fixture(params=[(), ("PutUserPolicy",)], ids=["inline", "attached"])
def denied(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """What the role may not do, so that the Deny has this form."""
    found: tuple[str, ...] = request.param
    return found


def test_a_quarantine_goes_on_where_the_user_could_not_be_deleted(
    iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, denied: tuple[str, ...]
) -> None:
    quarantine(tmp_path, monkeypatch, *denied)
    begin(tmp_path, monkeypatch, STOPS["refused"], *denied, **SHORT)
    with monkeypatch.context() as patch:
        for operation in denied:
            deny(patch, operation)
        with pytest.raises(PolicyExecutionError, match="is in progress or was stopped"):
            acting("quarantine", tmp_path, name="park").run()
        delete(tmp_path, **SHORT)
    assert (user_names(iam), outcomes(tmp_path)["alice"]["status"]) == ([], "deleted")


@pytest.mark.parametrize("times", [1, 2])
def test_a_restoration_leaves_the_quarantine_on_and_a_release_ends_it(
    iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, denied: tuple[str, ...], times: int
) -> None:
    from aws_local_org.seeding.key_material import SSH_PUBLIC_KEYS

    iam.upload_ssh_public_key(UserName="alice", SSHPublicKeyBody=SSH_PUBLIC_KEYS[0])
    quarantine(tmp_path, monkeypatch, *denied)
    for _ in range(times):
        begin(tmp_path, monkeypatch, STOPS["refused"], *denied, **SHORT)
    assert "its quarantine stays on until release ends it" in outcomes(tmp_path)["alice"]["reason"]
    result = restore(tmp_path / NAME, "--user", "alice", "--yes")
    assert result.exit_code == 0, result.output
    inline = iam.list_user_policies(UserName="alice")["PolicyNames"]
    assert bool(inline) is not (DENY_ALL in attached(iam))
    (key,) = iam.list_ssh_public_keys(UserName="alice")["SSHPublicKeys"]
    assert key["Status"] == "Inactive"
    acting("release", tmp_path, name="release").run()
    assert iam.list_user_policies(UserName="alice")["PolicyNames"] == []
    assert attached(iam) == {BUCKETS, QUEUE}


def by_hand(iam: Any, output: Path) -> None:
    """A colleague undoes the deletion, and leaves Buckets out on purpose."""
    iam.delete_user_permissions_boundary(UserName="alice")
    iam.delete_user_policy(UserName="alice", PolicyName="c7n-iamusers-deny-all")
    iam.attach_user_policy(UserName="alice", PolicyArn=QUEUE)
    iam.add_user_to_group(UserName="alice", GroupName="payroll")


def from_a_copy(iam: Any, output: Path) -> None:
    """It is restored from a copy of the output; later its owner detaches Buckets."""
    copy = shutil.copytree(output / NAME, output.parent / "copy")
    assert restore(copy, "--user", "alice", "--yes").exit_code == 0
    iam.detach_user_policy(UserName="alice", PolicyArn=BUCKETS)


def with_another_journal(iam: Any, output: Path) -> None:
    """It is restored with a journal elsewhere; later its owner detaches Buckets."""
    journal = str(output.parent / "restore.jsonl")
    assert restore(output / NAME, "--user", "alice", "--yes", "--journal", journal).exit_code == 0
    iam.detach_user_policy(UserName="alice", PolicyArn=BUCKETS)


@pytest.fixture(params=[by_hand, from_a_copy, with_another_journal])
def ended(request: pytest.FixtureRequest, iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The output of a deletion that was undone, so that alice lacks Buckets."""
    output = tmp_path / "output"
    begin(output, monkeypatch)
    request.param(iam, output)
    assert attached(iam) == {QUEUE}
    return output


def test_after_a_deletion_that_was_undone_a_later_one_restores_what_the_user_had_then(
    iam: Any, ended: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(ended, monkeypatch, STOPS["killed-after-the-groups"])
    delete(ended)
    assert user_names(iam) == []
    result = restore(ended / NAME)
    assert result.exit_code == 0, result.output
    assert attached(iam) == {QUEUE}
    assert [each["GroupName"] for each in iam.list_groups_for_user(UserName="alice")["Groups"]] == ["payroll"]


def test_a_deletion_that_was_undone_keeps_no_quarantine_from_being_released(
    iam: Any, ended: Path, monkeypatch: pytest.MonkeyPatch, denied: tuple[str, ...]
) -> None:
    quarantine(ended, monkeypatch, *denied)
    acting("release", ended, name="release").run()
    rows = json.loads((ended / "release" / "outcomes.json").read_text())
    assert [row["status"] for row in rows] == ["released"]
    assert (iam.list_user_policies(UserName="alice")["PolicyNames"], attached(iam)) == ([], {QUEUE})


def test_what_an_undone_deletion_removed_is_given_back_only_if_somebody_accepts_it(
    iam: Any, ended: Path
) -> None:
    result = restore(ended / NAME, "--user", "alice", "--yes")
    assert result.exit_code == 1
    assert "somebody ended its deletion" in result.output
    assert "newly allowed: s3:" in result.output
    assert attached(iam) == {QUEUE}
    result = restore(ended / NAME, "--user", "alice", "--yes", "--accept-wider", "alice")
    assert result.exit_code == 0, result.output
    assert (attached(iam), iam.list_user_policies(UserName="alice")["PolicyNames"]) == (
        {BUCKETS, QUEUE},
        [],
    )


def test_a_deletion_goes_on_after_a_restoration_that_was_stopped(
    iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: Any
) -> None:
    begin(tmp_path, monkeypatch, stop)
    with monkeypatch.context() as patch, suppress(Killed):
        on_call(patch, "AttachUserPolicy", after_one())
        restore(tmp_path / NAME, "--user", "alice", "--yes")
    delete(tmp_path)
    assert user_names(iam) == []
    result = restore(tmp_path / NAME)
    assert result.exit_code == 0, result.output
    assert attached(iam) == {BUCKETS, QUEUE}
    assert [each["GroupName"] for each in iam.list_groups_for_user(UserName="alice")["Groups"]] == ["payroll"]


def after_one() -> Callable[[], None]:
    """The task is stopped at the second call."""
    calls = iter(range(2))

    def happens() -> None:
        if next(calls, None):
            raise Killed

    return happens
