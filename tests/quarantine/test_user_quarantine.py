# SPDX-License-Identifier: Apache-2.0
"""Quarantine, release and deletion of one user on the local organization, without a policy around them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError

from aws_local_org import LocalOrg
from c7n_iamusers.deletion.reviewed_plan import PlannedDeletion
from c7n_iamusers.deletion.user_deletion import UserDeletion
from c7n_iamusers.exceptions import Stopped
from c7n_iamusers.execution.calls import ApiCall, Plan, Subject
from c7n_iamusers.execution.executor import Applied, Executor, Run, SubjectGone
from c7n_iamusers.execution.interruption import Interruption
from c7n_iamusers.execution.journal import Journal, utc_now
from c7n_iamusers.execution.outcomes import (
    BROWNED_OUT,
    FAILED,
    QUARANTINED,
    RELEASED,
    SKIPPED,
    UNCHANGED,
    Work,
    outcome_of,
)
from c7n_iamusers.execution.retries import Backoff
from c7n_iamusers.execution.stores import DirectoryStore
from c7n_iamusers.exemptions import ExemptionRule
from c7n_iamusers.iam.accounts import read_account
from c7n_iamusers.iam.live_policies import ENTITIES, LivePolicies
from c7n_iamusers.iam.live_users import LiveUsers, read_back
from c7n_iamusers.iam.user import IamUser
from c7n_iamusers.lockout.deny_all import (
    ATTACHED,
    BOUNDARY,
    DENY_ALL_NAME,
    FORMS,
    INLINE,
    deny_all_document,
)
from c7n_iamusers.lockout.journal_lines import LAPSED
from c7n_iamusers.lockout.quarantine_record import QuarantineRecord
from c7n_iamusers.quarantine.user_quarantine import UserQuarantine
from c7n_iamusers.quarantine.user_release import UserRelease
from c7n_iamusers.reasons import NOT_PROVISIONED, NOTHING_TO_RELEASE
from c7n_iamusers.safeguards import user_identity
from c7n_iamusers.safeguards.reasons_to_spare import Guards
from c7n_iamusers.snapshots.user_records import RecordStores, UserRecords
from tests.fakes import client_error
from tests.interference import deny, on_call
from tests.policies import ACCOUNT

LOCKED_OUT = "it is locked out by our Deny-all, and 0 of its attachments are removed: run again to finish"
EXEMPT = ExemptionRule("user", "alice", "needed", date(2999, 12, 31))
ROLE = f"arn:aws:sts::{ACCOUNT}:assumed-role/CloudCustodian/session"
Make = Callable[..., Work]
Guarding = Callable[[], Guards]


@contextmanager
def running(org: LocalOrg, output: Path, caller: str = ROLE) -> Iterator[Run]:
    iam, backoff = org.client("iam", ACCOUNT), Backoff(sleep=lambda _: None)
    output.mkdir(exist_ok=True)
    with Journal(output / "journal.jsonl") as journal:
        executor = Executor({"iam": iam}, journal, backoff, caller=caller)
        yield Run(iam, executor, backoff, DirectoryStore(output), (caller,), 1, journal)


def _records(run: Run) -> UserRecords:
    account = read_account(run.client, run.backoff, "Role", *ENTITIES)
    live = LivePolicies(run.client, run.backoff, account)
    return UserRecords(RecordStores(run.store, list), run.journal, account, live, "park")


def quarantine(run: Run, guards: Guarding | None = None, **options: Any) -> Work:
    given = guards or (lambda: Guards(run.callers))
    return UserQuarantine(run, _records(run), given, "park", "unused", **options).quarantine


def brownout(run: Run, guards: Guarding | None = None, **options: Any) -> Work:
    return quarantine(run, guards, brownout=15, **options)


def release(run: Run) -> Work:
    return UserRelease(run, RecordStores(run.store, list)).release


def delete(run: Run, guards: Guarding | None = None, **options: Any) -> Work:
    users, given = LiveUsers(run.client, 1, run.backoff), guards or (lambda: Guards(run.callers))
    return UserDeletion(run, users, _records(run), given, **options).delete


def deny_other_forms(monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    """AWS refuses the Deny-all in any form but ``form``."""
    for operation in (each for each, given in FORMS.items() if given != form):
        deny(monkeypatch, operation)


@pytest.fixture
def iam(org: LocalOrg) -> Any:
    """alice with a key."""
    client = org.client("iam", ACCOUNT)
    client.create_user(UserName="alice")
    client.create_access_key(UserName="alice")
    return client


def subject(iam: Any) -> Subject:
    user = iam.get_user(UserName="alice")["User"]
    return Subject("alice", user["Arn"], user["UserId"])


def key_status(iam: Any) -> str:
    (key,) = iam.list_access_keys(UserName="alice")["AccessKeyMetadata"]
    return str(key["Status"])


@pytest.mark.parametrize("make", [quarantine, brownout, release, delete])
@pytest.mark.parametrize(
    ("flagged", "caller", "told"),
    [
        pytest.param({"unique_id": "AIDANAMESAKE"}, ROLE, "belongs to another user", id="namesake"),
        pytest.param(
            {"arn": "arn:aws:iam::444455556666:user/alice"},
            ROLE,
            "flagged in account 444455556666",
            id="account",
        ),
        pytest.param({}, ROLE.replace(ACCOUNT, "444455556666"), "acts in 444455556666", id="session"),
        pytest.param({}, f"arn:aws:iam::{ACCOUNT}:user/alice", "the run itself acts", id="caller"),
    ],
)
def test_only_the_flagged_user_is_touched_and_never_who_runs_this(
    org: LocalOrg, iam: Any, tmp_path: Path, make: Make, flagged: dict[str, str], caller: str, told: str
) -> None:
    if make is release:
        with running(org, tmp_path) as run:
            assert quarantine(run)(subject(iam), Applied())[0] == QUARANTINED
    before = key_status(iam), iam.list_user_policies(UserName="alice")["PolicyNames"]
    with running(org, tmp_path, caller) as run:
        status, reason = make(run)(replace(subject(iam), **flagged), applied := Applied())
    assert (status, applied.made) == (SKIPPED, [])
    assert told in reason.text
    assert (key_status(iam), iam.list_user_policies(UserName="alice")["PolicyNames"]) == before


@pytest.mark.parametrize(
    ("options", "status"), [({"keep": True}, QUARANTINED), ({"brownout": 15}, BROWNED_OUT)]
)
def test_a_user_that_this_run_denied_is_not_unchanged_once_it_is_read_again(
    org: LocalOrg, iam: Any, tmp_path: Path, options: dict[str, Any], status: str
) -> None:
    with running(org, tmp_path) as run:
        work, applied = quarantine(run, **options), Applied()
        assert [work(subject(iam), applied)[0] for _ in range(2)] == [status, status]


@pytest.mark.parametrize("form", [INLINE, ATTACHED, BOUNDARY])
def test_record_and_snapshot_are_durable_before_the_first_call_of_each_form(
    org: LocalOrg, iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    seen, ask = list[str](), Executor.apply
    deny_other_forms(monkeypatch, form)

    def look_first(self: Executor, plan: Any, *rest: Any, **named: Any) -> None:
        if FORMS[plan.calls[0].operation] == form and not seen:
            lines = [json.loads(line) for line in (tmp_path / "journal.jsonl").read_text().splitlines()]
            seen.extend(line["phase"] for line in lines)
            record = [line["record"] for line in lines if line["phase"] == "quarantine"][-1]
            assert record["deactivated"] == [
                iam.list_access_keys(UserName="alice")["AccessKeyMetadata"][0]["AccessKeyId"]
            ]
            assert len(list((tmp_path / "snapshots").iterdir())) == 1
        ask(self, plan, *rest, **named)

    monkeypatch.setattr(Executor, "apply", look_first)
    with running(org, tmp_path) as run:
        assert quarantine(run)(subject(iam), Applied())[0] == QUARANTINED
    assert (seen[0], seen[-1]) == ("snapshot", "quarantine")
    assert key_status(iam) == "Inactive"


@pytest.mark.parametrize("make", [quarantine, brownout, delete])
def test_who_is_exempted_once_the_snapshot_is_there_is_left_alone(
    org: LocalOrg, iam: Any, tmp_path: Path, make: Make
) -> None:
    kept, noted = list[int](), list[Any]()

    def guards() -> Guards:
        kept.append(len(list(tmp_path.glob("snapshots/*.json"))))
        return Guards((ROLE,), [EXEMPT] if kept[-1] else [])

    with running(org, tmp_path) as run:
        status, reason = make(run, guards, note_exempt=noted.extend)(subject(iam), applied := Applied())
    assert (status, applied.made, kept[0], kept[-1]) == (SKIPPED, [], 0, 1)
    # which voids its announcement
    assert noted == [(subject(iam), EXEMPT)]
    assert reason.text.startswith("exempt by user 'alice' until 2999-12-31: needed")
    assert (key_status(iam), iam.list_user_policies(UserName="alice")["PolicyNames"]) == ("Active", [])


def _named_by_another(iam: Any) -> None:
    iam.update_user(UserName="alice", NewUserName="alice-before")
    iam.create_user(UserName="alice")


def _gone(iam: Any) -> None:
    iam.update_user(UserName="alice", NewUserName="alice-before")


@pytest.mark.parametrize("make", [quarantine, brownout, release])
@pytest.mark.parametrize(
    ("change", "told"),
    [
        pytest.param(_named_by_another, "the name now belongs to another user", id="another"),
        pytest.param(_gone, "renamed to alice-before meanwhile", id="renamed"),
    ],
)
def test_after_the_last_call_the_user_is_asked_for_once_more(
    org: LocalOrg,
    iam: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    make: Make,
    change: Callable[[Any], None],
    told: str,
) -> None:
    flagged = subject(iam)
    if make is release:
        with running(org, tmp_path) as run:
            assert quarantine(run)(flagged, Applied())[0] == QUARANTINED
    apply = Executor.apply

    def then_change(self: Executor, *given: Any, more: bool = False, **named: Any) -> None:
        apply(self, *given, more=more, **named)
        if not more and not named.get("urgent"):
            change(iam)

    monkeypatch.setattr(Executor, "apply", then_change)
    with running(org, tmp_path) as run:
        status, reason = make(run)(flagged, Applied())
    assert (status, told in reason.text) == (FAILED, True), reason.text


@pytest.mark.parametrize(
    ("change", "told"),
    [
        pytest.param(_named_by_another, "the name now belongs to another user", id="another"),
        pytest.param(_gone, "AccessDenied", id="renamed"),
    ],
)
def test_the_deny_is_put_back_on_the_same_user_only(
    org: LocalOrg,
    iam: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Any], None],
    told: str,
) -> None:
    flagged = subject(iam)

    def refuse() -> None:
        change(iam)
        raise client_error("AccessDenied")

    on_call(monkeypatch, "DeleteUser", refuse)
    with running(org, tmp_path) as run:
        outcome = outcome_of(flagged, delete(run), Interruption())
    assert (outcome.status, told in outcome.reason.text) == (FAILED, True), outcome.reason.text
    lines = [json.loads(line) for line in (tmp_path / "journal.jsonl").read_text().splitlines()]
    assert [line["operation"] for line in lines if line["phase"] == "before"][-2:] == [
        "DeleteUserPolicy",
        "DeleteUser",
    ]


@pytest.mark.parametrize("make", [quarantine, brownout, delete])
@pytest.mark.parametrize(
    "edit",
    [
        pytest.param(lambda data: data["attachments"].update({"access-key": []}), id="attachments"),
        pytest.param(lambda data: data.update(policies=None), id="policies"),
    ],
)
def test_an_edited_snapshot_refuses_whatever_changes_its_user(
    org: LocalOrg, iam: Any, tmp_path: Path, make: Make, edit: Callable[[Any], None]
) -> None:
    with running(org, tmp_path) as run:
        alice = LiveUsers(iam, 1, run.backoff).read_fully("alice")
        assert alice
        _records(run).keep(_records(run).find(alice))
    (path,) = (tmp_path / "snapshots").iterdir()
    data = json.loads(path.read_text())
    edit(data)
    path.write_text(json.dumps(data))
    with running(org, tmp_path) as run:
        outcome = outcome_of(subject(iam), make(run), Interruption())
    assert (outcome.status, outcome.calls) == (FAILED, 0)
    assert "its content does not match its fingerprint" in outcome.reason.text
    assert (key_status(iam), iam.list_user_policies(UserName="alice")["PolicyNames"]) == ("Active", [])


def test_a_run_that_is_killed_after_its_record_and_before_its_first_call_changed_nothing(
    org: LocalOrg, iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, running(org, tmp_path) as run:
        patched.setattr(Executor, "apply", killed)
        with pytest.raises(KeyboardInterrupt):
            quarantine(run)(subject(iam), Applied())
    with running(org, tmp_path) as run:
        assert release(run)(subject(iam), Applied()) == (UNCHANGED, NOTHING_TO_RELEASE())
        assert quarantine(run)(subject(iam), Applied())[0] == QUARANTINED
    assert iam.list_user_policies(UserName="alice")["PolicyNames"] == [DENY_ALL_NAME]


def test_a_brownout_goes_on_and_a_quarantine_needs_none(org: LocalOrg, iam: Any, tmp_path: Path) -> None:
    with running(org, tmp_path) as run:
        assert brownout(run)(subject(iam), Applied())[0] == BROWNED_OUT
        status, reason = brownout(run)(subject(iam), applied := Applied())
        assert (status, applied.made) == (UNCHANGED, [])
        assert reason.text.startswith("in a brownout until 20")
        assert quarantine(run)(subject(iam), Applied())[0] == QUARANTINED
        status, reason = brownout(run)(subject(iam), applied := Applied())
        assert (status, applied.made) == (UNCHANGED, [])
        assert reason.text.endswith("UTC: its Deny-all does not end by itself")
        status, reason = release(run)(subject(iam), Applied())
        assert (status, reason.text.startswith("from its brownout until 20")) == (RELEASED, True)
    assert (key_status(iam), iam.list_user_policies(UserName="alice")["PolicyNames"]) == ("Active", [])


ATTACH_ALL = {"UserName": "alice", "PolicyArn": "arn:aws:iam::aws:policy/AWSDenyAll"}
BOUND_ALL = {"UserName": "alice", "PermissionsBoundary": "arn:aws:iam::aws:policy/AWSDenyAll"}
CLAIM = QuarantineRecord(datetime(2026, 1, 1, tzinfo=timezone.utc), "park", "unused").tag()
THEIRS = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "s3:*", "Resource": "*"}]}
)


@pytest.mark.parametrize("browned_out", [False, True])
@pytest.mark.parametrize(
    ("prepare", "outcome"),
    [
        pytest.param(
            lambda _: None,
            {False: (UNCHANGED, "^not in quarantine$"), True: (RELEASED, "^from its")},
            id="no",
        ),
        pytest.param(
            lambda iam: iam.attach_user_policy(**ATTACH_ALL),
            {
                False: (
                    SKIPPED,
                    "^the records here show no quarantine, but AWSDenyAll is still attached: no record",
                ),
                True: (FAILED, "AWSDenyAll is still attached: no record here .*Only its brownout was ended"),
            },
            id="attached-by-others",
        ),
        pytest.param(
            lambda iam: iam.put_user_permissions_boundary(**BOUND_ALL),
            {
                False: (
                    FAILED,
                    "account 1+2+3+: AWSDenyAll is its permissions boundary, and neither .*so nothing was",
                ),
                True: (
                    FAILED,
                    "AWSDenyAll is its permissions boundary, and neither .*so only its brownout was ended",
                ),
            },
            id="boundary-by-others",
        ),
        pytest.param(
            lambda iam: iam.tag_user(UserName="alice", Tags=[CLAIM]),
            {
                False: (
                    FAILED,
                    "a tag says that it is in quarantine, and neither .*Inactive now: no credential",
                ),
                True: (
                    FAILED,
                    "a tag says that it is in quarantine, and neither .*so only its brownout was ended",
                ),
            },
            id="tag",
        ),
        pytest.param(
            lambda iam: iam.put_user_policy(
                UserName="alice", PolicyName=DENY_ALL_NAME, PolicyDocument=THEIRS
            ),
            {
                False: (
                    FAILED,
                    "the records here show no quarantine, but its inline policy .* still denies",
                ),
                True: (
                    FAILED,
                    "which somebody else wrote or changed, still denies.*Only its brownout was ended",
                ),
            },
            id="changed-policy-of-our-name",
        ),
    ],
)
def test_a_release_without_a_record_leaves_what_others_may_have_put_on(
    org: LocalOrg,
    iam: Any,
    tmp_path: Path,
    prepare: Callable[[Any], None],
    outcome: dict[bool, tuple[str, str]],
    browned_out: bool,
) -> None:
    with running(org, tmp_path) as run:
        if browned_out:
            assert brownout(run)(subject(iam), Applied())[0] == BROWNED_OUT
        prepare(iam)
        status, reason = release(run)(subject(iam), applied := Applied())
    expected, told = outcome[browned_out]
    assert (status, bool(re.search(told, reason.text))) == (expected, True), reason.text
    assert [call.operation for call, _ in applied.made] == ["DeleteUserPolicy"] * browned_out


@pytest.mark.parametrize("make", [quarantine, brownout, delete])
def test_under_a_stop_users_are_not_even_read(
    org: LocalOrg, iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Make
) -> None:
    def stopped() -> Guards:
        raise Stopped("STOP is there")

    read, flagged = list[str](), subject(iam)
    with running(org, tmp_path) as run:
        work = make(run, stopped)
        monkeypatch.setattr(LiveUsers, "_read", lambda _, name, __: read.append(name))
        outcome = outcome_of(flagged, work, Interruption())
    assert (outcome.status, outcome.calls, read) == (FAILED, 0, [])
    assert "STOP is there" in outcome.reason.text


def made(output: Path) -> list[str]:
    """The operations that the journal announces."""
    lines = [json.loads(line) for line in (output / "journal.jsonl").read_text().splitlines()]
    return [line["operation"] for line in lines if line["phase"] == "before"]


@pytest.mark.parametrize(
    ("operation", "error", "calls", "note"),
    [
        pytest.param(
            "PutUserPolicy",
            client_error("MalformedPolicyDocument"),
            ["PutUserPolicy"],
            "",
            id="the-deny-is-refused",
        ),
        pytest.param(
            "PutUserPolicy",
            ReadTimeoutError(endpoint_url="iam"),
            ["PutUserPolicy"],
            LOCKED_OUT,
            id="the-deny-is-unsure",
        ),
        pytest.param(
            "DeleteAccessKey",
            client_error("AccessDenied"),
            ["PutUserPolicy", "DeleteAccessKey"],
            LOCKED_OUT,
            id="the-next-call-is-refused",
        ),
    ],
)
def test_a_deletion_that_fails_says_what_state_the_user_is_in(
    org: LocalOrg,
    iam: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    operation: str,
    error: Exception,
    calls: list[str],
    note: str,
) -> None:
    def fail() -> None:
        raise error

    flagged = subject(iam)
    on_call(monkeypatch, operation, fail)
    with running(org, tmp_path) as run:
        outcome = outcome_of(flagged, delete(run), Interruption())
    assert (outcome.status, made(tmp_path)) == (FAILED, calls)
    assert note in outcome.reason.text
    assert bool(note) is ("its attachments are removed" in outcome.reason.text)


@pytest.mark.parametrize("form", [INLINE, ATTACHED, BOUNDARY])
def test_a_deletion_that_goes_on_and_fails_at_once_knows_the_deny_that_it_found(
    org: LocalOrg, iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    flagged = subject(iam)
    deny(monkeypatch, "DeleteAccessKey")
    for _ in range(2):
        with monkeypatch.context() as patch, running(org, tmp_path) as run:
            deny_other_forms(patch, form)
            outcome = outcome_of(flagged, delete(run), Interruption())
        assert (outcome.status, LOCKED_OUT in outcome.reason.text) == (FAILED, True), outcome.reason.text
    assert made(tmp_path)[-1] == "DeleteAccessKey"


@pytest.mark.parametrize("form", [INLINE, ATTACHED])
def test_a_deny_that_is_put_back_has_the_purpose_that_it_had(
    org: LocalOrg, iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    with running(org, tmp_path) as run, monkeypatch.context() as patch:
        deny_other_forms(patch, form)
        assert quarantine(run)(subject(iam), Applied())[0] == QUARANTINED
        deny(patch, "DeleteUser")
        assert outcome_of(subject(iam), delete(run), Interruption()).status == FAILED
    lines = [json.loads(line) for line in (tmp_path / "journal.jsonl").read_text().splitlines()]
    last = [line for line in lines if line.get("operation") in FORMS and line["phase"] == "before"][-1]
    put = next(operation for operation, each in FORMS.items() if each == form)
    purpose = {INLINE: "deletion", ATTACHED: "quarantine"}[form]
    assert (last["operation"], last["notes"]["for"]) == (put, purpose)


def test_a_deletion_that_finds_another_user_once_it_has_called_is_a_failure(
    org: LocalOrg, iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def conflict() -> None:
        _named_by_another(iam)
        raise client_error("DeleteConflict")

    flagged = subject(iam)
    on_call(monkeypatch, "DeleteAccessKey", conflict)
    with running(org, tmp_path) as run:
        outcome = outcome_of(flagged, delete(run), Interruption())
    assert (outcome.status, outcome.reason.code) == (FAILED, "UserReplaced"), outcome.reason.text


def test_of_a_user_that_is_gone_nothing_is_proposed(org: LocalOrg, iam: Any, tmp_path: Path) -> None:
    flagged = subject(iam)
    _gone(iam)
    with running(org, tmp_path) as run:
        users = LiveUsers(iam, 1, run.backoff)
        proposed = UserDeletion(run, users, _records(run), lambda: Guards(run.callers)).propose(flagged)
    assert (proposed.calls, proposed.skipped is not None) == ((), True)


def test_whom_an_earlier_step_spares_is_not_even_read(
    org: LocalOrg, iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, flagged = list[str](), subject(iam)
    why = NOT_PROVISIONED(status="failed", why="no e-mail")
    spared = {flagged.unique_id: why}
    with running(org, tmp_path) as run:
        users = LiveUsers(iam, 1, run.backoff)
        deletion = UserDeletion(run, users, _records(run), lambda: Guards(run.callers), spared=spared)
        with monkeypatch.context() as patch:
            patch.setattr(LiveUsers, "_read", lambda _, name, __: read.append(name))
            assert deletion.delete(flagged, Applied()) == (SKIPPED, why)
            assert deletion.propose(flagged) == PlannedDeletion(flagged, skipped=why)
        others = replace(deletion, spared={"AIDABOB": why})
        assert [call.operation for call in others.propose(flagged).calls][-1] == "DeleteUser"
    assert read == []


def test_a_quarantine_that_holds_is_left_as_it_is(org: LocalOrg, iam: Any, tmp_path: Path) -> None:
    with running(org, tmp_path) as run:
        assert quarantine(run)(subject(iam), Applied())[0] == QUARANTINED
        before = (tmp_path / "journal.jsonl").read_bytes()
        for keep in (False, True):
            status, reason = quarantine(run, keep=keep)(subject(iam), applied := Applied())
            assert (status, applied.made) == (UNCHANGED, [])
            assert ("credentials: keep activates none" in reason.text) is keep
        assert (tmp_path / "journal.jsonl").read_bytes() == before
        (key,) = iam.list_access_keys(UserName="alice")["AccessKeyMetadata"]
        iam.update_access_key(UserName="alice", AccessKeyId=key["AccessKeyId"], Status="Active")
        status, reason = quarantine(run, keep=True)(subject(iam), applied := Applied())
        assert (status, applied.made) == (SKIPPED, [])
        assert f"no longer holds (access key {key['AccessKeyId']} is active)" in reason.text
        assert "a quarantine with credentials: deactivate completes it" in reason.text
        assert quarantine(run)(subject(iam), Applied())[0] == QUARANTINED
    assert key_status(iam) == "Inactive"


@pytest.mark.parametrize("form", [INLINE, ATTACHED, BOUNDARY])
def test_a_deny_stays_once_the_user_has_lost_another(
    org: LocalOrg, iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    iam.put_user_policy(UserName="alice", PolicyName="limits", PolicyDocument=THEIRS)
    with running(org, tmp_path) as run:
        with monkeypatch.context() as patch:
            deny_other_forms(patch, form)
            assert quarantine(run)(subject(iam), Applied())[0] == QUARANTINED
        iam.delete_user_policy(UserName="alice", PolicyName="limits")
        status, reason = release(run)(subject(iam), Applied())
        assert status == FAILED
        assert "it has lost inline policy limits, some of which may have denied" in reason.text
        assert key_status(iam) == "Inactive"
        iam.put_user_policy(UserName="alice", PolicyName="limits", PolicyDocument=THEIRS)
        assert release(run)(subject(iam), Applied())[0] == RELEASED
    assert key_status(iam) == "Active"


def test_a_user_whose_deletion_began_is_not_released(
    org: LocalOrg, iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flagged = subject(iam)
    with running(org, tmp_path) as run:
        with monkeypatch.context() as patch:
            deny(patch, "DeleteAccessKey")
            assert outcome_of(flagged, delete(run), Interruption()).status == FAILED
        status, reason = release(run)(flagged, applied := Applied())
    assert (status, applied.made) == (FAILED, [])
    assert "a deletion of it began on 20" in reason.text
    assert reason.text.endswith("restore OUTPUT --user alice. Nothing was changed")


@pytest.mark.parametrize(
    ("new", "forged", "status"),
    [
        pytest.param(True, False, QUARANTINED, id="new"),
        pytest.param(True, True, FAILED, id="new-and-forged"),
        pytest.param(False, True, UNCHANGED, id="not-new"),
    ],
)
def test_a_new_user_that_seems_to_be_in_quarantine_is_a_failure(
    org: LocalOrg, iam: Any, tmp_path: Path, new: bool, forged: bool, status: str
) -> None:
    if forged:
        iam.update_access_key(
            UserName="alice",
            AccessKeyId=iam.list_access_keys(UserName="alice")["AccessKeyMetadata"][0]["AccessKeyId"],
            Status="Inactive",
        )
        record = QuarantineRecord(datetime(2026, 1, 1, tzinfo=timezone.utc), "park", "unused")
        document = deny_all_document(record.sids[0])
        iam.put_user_policy(UserName="alice", PolicyName=DENY_ALL_NAME, PolicyDocument=document)
    with running(org, tmp_path) as run:
        found, reason = quarantine(run, new=new)(subject(iam), Applied())
    assert (found, "no journal here shows" in reason.text) == (status, status == FAILED)


@pytest.mark.parametrize(
    ("change", "gone"),
    [
        pytest.param(lambda _: None, False, id="there"),
        pytest.param(_gone, True, id="renamed"),
        pytest.param(_named_by_another, True, id="another"),
    ],
)
def test_a_read_back_is_of_the_same_user(
    org: LocalOrg, iam: Any, tmp_path: Path, change: Callable[[Any], None], gone: bool
) -> None:
    with running(org, tmp_path) as run:
        alice = LiveUsers(iam, 1, run.backoff).read_fully("alice")
        assert alice
        change(iam)
        unseen = ApiCall("iam", "AttachUserPolicy", ATTACH_ALL)
        with pytest.raises(SubjectGone) if gone else nullcontext():
            after, left = read_back(run, alice, Plan(alice.subject, (unseen,)))
            assert (after.unique_id, left) == (alice.unique_id, [unseen])


def test_a_quarantine_whose_deny_somebody_removed_is_put_on_again_and_told(
    org: LocalOrg, iam: Any, tmp_path: Path
) -> None:
    def exempt() -> Guards:
        return Guards((ROLE,), [EXEMPT])

    with running(org, tmp_path) as run:
        assert quarantine(run)(subject(iam), Applied())[0] == QUARANTINED
        iam.delete_user_policy(UserName="alice", PolicyName=DENY_ALL_NAME)
        status, reason = quarantine(run, exempt)(subject(iam), applied := Applied())
        assert (status, applied.made) == (FAILED, [])
        assert "It was not put in quarantine again: exempt by user 'alice'" in reason.text
        status, reason = quarantine(run)(subject(iam), Applied())
        assert (status, "It was put in quarantine again, and the days count from now" in reason.text) == (
            FAILED,
            True,
        )
    assert iam.list_user_policies(UserName="alice")["PolicyNames"] == [DENY_ALL_NAME]


def test_a_brownout_that_is_over_before_its_call_is_answered_is_a_failure(
    org: LocalOrg, iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = [datetime(2026, 12, 1, 12, tzinfo=timezone.utc)]
    on_call(monkeypatch, "PutUserPolicy", lambda: times.append(times[0] + timedelta(minutes=15)))
    with running(org, tmp_path) as run:
        status, reason = brownout(run, now=lambda: times[-1])(subject(iam), Applied())
    assert (status, "12:15" in reason.text) == (FAILED, True), reason.text


@pytest.mark.parametrize("make", [quarantine, brownout])
def test_a_user_that_changes_at_each_attempt_is_a_failure(
    org: LocalOrg, iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Make
) -> None:
    attempts = list[Plan]()

    def changed(run: Run, evidence: Subject, user: IamUser, plan: Plan, applied: Applied) -> None:
        attempts.append(plan)
        raise user_identity.BoundaryChanged

    monkeypatch.setattr(user_identity, "apply_to_user", changed)
    with running(org, tmp_path) as run:
        status, reason = make(run)(subject(iam), Applied())
    assert (status, reason.code) == (FAILED, "DenyKeepsChanging"), reason.text
    assert len(attempts) == len(FORMS) + 1, "each form, and one more"


def test_a_release_undoes_nothing_that_somebody_makes_of_its_deny_meanwhile(
    org: LocalOrg, iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(org, tmp_path) as run:
        assert quarantine(run)(subject(iam), Applied())[0] == QUARANTINED
        theirs = {"UserName": "alice", "PolicyName": DENY_ALL_NAME, "PolicyDocument": THEIRS}
        on_call(monkeypatch, "UpdateAccessKey", lambda: iam.put_user_policy(**theirs))
        status, reason = release(run)(subject(iam), Applied())
    assert (status, reason.code) == (FAILED, "DenyChanged"), reason.text
    assert iam.list_user_policies(UserName="alice")["PolicyNames"] == [DENY_ALL_NAME]


@pytest.mark.parametrize(("include", "status"), [(False, SKIPPED), (True, RELEASED)])
def test_who_has_a_compromised_key_is_released_only_if_that_is_asked_for(
    org: LocalOrg, iam: Any, tmp_path: Path, include: bool, status: str
) -> None:
    leaked = "arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV3"
    with running(org, tmp_path) as run:
        assert quarantine(run)(subject(iam), Applied())[0] == QUARANTINED
        iam.attach_user_policy(UserName="alice", PolicyArn=leaked)
        stores = RecordStores(run.store, list)
        found, reason = UserRelease(run, stores, include_compromised=include).release(subject(iam), Applied())
    assert (found, "AWSCompromisedKeyQuarantineV3" in reason.text) == (status, not include), reason.text


def test_a_release_notes_what_somebody_did_to_the_quarantine_before_it(
    org: LocalOrg, iam: Any, tmp_path: Path
) -> None:
    with running(org, tmp_path) as run:
        assert quarantine(run)(subject(iam), Applied())[0] == QUARANTINED
        (key,) = iam.list_access_keys(UserName="alice")["AccessKeyMetadata"]
        iam.update_access_key(UserName="alice", AccessKeyId=key["AccessKeyId"], Status="Active")
        later = utc_now() + timedelta(hours=1)
        work = UserRelease(run, RecordStores(run.store, list), now=lambda: later)
        assert work.release(subject(iam), Applied())[0] == RELEASED
    lines = [json.loads(line) for line in (tmp_path / "journal.jsonl").read_text().splitlines()]
    (at,) = (place for place, line in enumerate(lines) if line["phase"] == LAPSED)
    assert [line["operation"] for line in lines[at:] if line["phase"] == "before"] == [
        "DeleteUserPolicy",
        "UntagUser",
    ]
    assert key["AccessKeyId"] in json.dumps(lines[at])
