# SPDX-License-Identifier: Apache-2.0
"""Whoever can't use what its policies allow gets nothing in Identity Center."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timezone
from typing import Any

import pytest

from c7n_iamusers.derivation.acceptances import NO_WORKING_CREDENTIALS, QUARANTINED
from c7n_iamusers.evidence.working_credentials import WorkingCredentials
from c7n_iamusers.iam.accounts import PolicySource
from c7n_iamusers.identity_center.access_derivation import AccessDerivation
from c7n_iamusers.identity_center.fleet import TrustOptions, read_fleet
from c7n_iamusers.identity_center.model import DesiredAccess
from c7n_iamusers.identity_center.provisioning import provision
from c7n_iamusers.identity_center.requests.ability import inability
from c7n_iamusers.identity_center.requests.desired import desired_access
from c7n_iamusers.identity_center.requests.intents import Intents, UserIntent
from c7n_iamusers.identity_center.requests.member_accounts import LiveAccount
from c7n_iamusers.identity_center.writer.writer import ApplyOptions
from c7n_iamusers.lockout.deny_all import DENY_ALL_NAME, deny_all_document
from c7n_iamusers.lockout.quarantine_record import QuarantineRecord
from tests.access_center import ACCOUNT, READ_ONLY
from tests.derived import derived, holder
from tests.desired import ABLE, holding, intents, readers
from tests.identity_center.fleet_rehearsal import FleetRehearsal

TODAY = date(2026, 11, 28)
REPORT = datetime(2026, 11, 28, 9, tzinfo=timezone.utc)
#: The leaver: no password, an inactive key.
LEFT = WorkingCredentials(mfa=False, as_of=REPORT)
EVERYTHING = {"Effect": "Allow", "Action": "*", "Resource": "*"}
BUCKET = {"Effect": "Allow", "Action": "s3:*", "Resource": ["arn:aws:s3:::b", "arn:aws:s3:::b/*"]}
OURS = {
    "PolicyName": DENY_ALL_NAME,
    "PolicyDocument": deny_all_document(QuarantineRecord(REPORT, "p", "r", ("AKIA1",)).sids[0]),
}
THEIRS = {**OURS, "PolicyName": "Theirs"}


@pytest.mark.parametrize("options", [None, ApplyOptions(30.0)], ids=["dry-run", "run"])
@pytest.mark.parametrize(
    ("others", "ends"),
    [
        pytest.param((), True, id="all"),
        pytest.param(("bob",), False, id="not-all"),
    ],
)
def test_a_run_whose_users_are_all_refused_fails(
    fleet: FleetRehearsal, options: ApplyOptions | None, others: tuple[str, ...], ends: bool
) -> None:
    left = [replace(each, credentials=LEFT) for each in intents(ACCOUNT, "alice", "carol").users]
    found = intents(ACCOUNT, *others)
    fleet.leave(replace(found, users=(*found.users, *left)))
    failures = provision(fleet.fleet, fleet.center(), fleet.said.append, options)
    assert len(failures) == ends
    if ends:
        assert failures[0].startswith(
            "all 2 IAM users of this run are refused, and nobody gets access (2 NoWorkingCredentials): user alice"
        )


def test_users_in_quarantine_whose_people_have_moved_fail_no_run(fleet: FleetRehearsal) -> None:
    fleet.provisioned(intents(ACCOUNT, "alice"))
    (moved,) = intents(ACCOUNT, "alice").users
    fleet.provisioned(intents(ACCOUNT, users=(denied(moved, OURS),)))
    (refused,) = intents(ACCOUNT, "bob").users
    fleet.leave(intents(ACCOUNT, users=(denied(refused, OURS),)))
    (failure,) = fleet.run()
    assert "(1 Quarantined)" in failure


def row(verdict: str, **changes: str) -> dict[str, str]:
    found = {
        "account": ACCOUNT,
        "user": "alice",
        "verdict": verdict,
        "remark": "on leave",
        "expires": "2027-01-31",
    }
    return {**found, **changes}


def alice(*statements: dict[str, Any], credentials: WorkingCredentials | None = ABLE) -> UserIntent:
    return replace(holder(ACCOUNT, "alice", *statements), credentials=credentials)


def denied(user: UserIntent, policy: dict[str, Any]) -> UserIntent:
    assert user.detail
    return replace(user, detail={**user.detail, "UserPolicyList": [*user.detail["UserPolicyList"], policy]})


def by_name(user: UserIntent, *accept: dict[str, str], **changes: Any) -> Intents:
    return intents(ACCOUNT, users=(user,), accept=accept, **changes)


def verdicts(found: DesiredAccess) -> list[str]:
    """Those of everybody, served or refused."""
    return [*(each.verdict for each in found.claims), *(each.verdict for each in found.refused)]


def desired(found: Intents) -> DesiredAccess:
    derivation = AccessDerivation(today=TODAY)
    return desired_access([found], derivation, derivation.checks([found]))


@pytest.mark.parametrize(
    "found",
    [derived(ACCOUNT, alice(EVERYTHING, credentials=LEFT)), by_name(alice(EVERYTHING, credentials=LEFT))],
    ids=["derived", "by-name"],
)
def test_a_leaver_with_every_permission_gets_nothing(found: Intents) -> None:
    asked = desired(found)
    assert (asked.claims, asked.permission_sets, asked.groups) == ((), {}, {})
    (refusal,) = asked.refused
    assert refusal.code == "NoWorkingCredentials"
    assert (
        "has no working credentials (by the credential report of 2026-11-28T09:00:00+00:00)"
        in refusal.reason.text
    )
    assert f"verdict: {NO_WORKING_CREDENTIALS}" in refusal.reason.text
    assert f"user alice of account {ACCOUNT}" in refusal.reason.text


@pytest.mark.parametrize(
    ("credentials", "code", "told"),
    [
        pytest.param(None, "CredentialsNotListed", "its intents list none", id="not-in-the-intents"),
        pytest.param(
            WorkingCredentials(unread=("login-profile",), problem="AccessDenied"),
            "CredentialsUnknown",
            "(login-profile): AccessDenied: allow iam:GetCredentialReport",
            id="unreadable",
        ),
        pytest.param(
            WorkingCredentials(services=("codecommit.amazonaws.com",), as_of=REPORT),
            "OneServiceCredentials",
            "for one service alone (codecommit.amazonaws.com",
            id="git-alone",
        ),
    ],
)
def test_what_is_refused_besides(credentials: WorkingCredentials | None, code: str, told: str) -> None:
    (refusal,) = desired(derived(ACCOUNT, alice(EVERYTHING, credentials=credentials))).refused
    assert refusal.code == code
    assert told in refusal.reason.text


@pytest.mark.parametrize(
    "credentials",
    [
        WorkingCredentials(("login-profile",)),
        WorkingCredentials(("access-key",), unread=("signing-certificate",), problem="AccessDenied"),
    ],
    ids=["password", "key-and-unknown"],
)
def test_one_working_credential_is_enough(credentials: WorkingCredentials) -> None:
    asked = desired(derived(ACCOUNT, alice(BUCKET, credentials=credentials)))
    assert [claim.verdict for claim in asked.claims] == ["equal"]


@pytest.mark.parametrize(
    ("accept", "given"),
    [
        pytest.param(row(NO_WORKING_CREDENTIALS), True, id="by-name"),
        pytest.param(row(NO_WORKING_CREDENTIALS, expires="2026-11-28"), True, id="its-last-day"),
        pytest.param(row(NO_WORKING_CREDENTIALS, expires="2026-11-27"), False, id="expired"),
        pytest.param(row(NO_WORKING_CREDENTIALS, user="bob"), False, id="another-user"),
        pytest.param(row(NO_WORKING_CREDENTIALS, account="444455556666"), False, id="another-account"),
        pytest.param(row(QUARANTINED), False, id="another-verdict"),
        pytest.param(row("wider"), False, id="of-the-proof"),
    ],
)
def test_a_leaver_is_accepted_by_name_until_a_day(accept: dict[str, str], given: bool) -> None:
    left = alice(BUCKET, credentials=LEFT)
    assert bool(desired(derived(ACCOUNT, left, accept=[accept])).claims) == given
    sets = replace(readers("Bucket"), managed_policies=frozenset())
    assert bool(desired(by_name(left, accept, permission_set=sets)).claims) == given


def test_an_expired_acceptance_is_said() -> None:
    found = derived(
        ACCOUNT, alice(credentials=LEFT), accept=[row(NO_WORKING_CREDENTIALS, expires="2026-11-27")]
    )
    refusal = inability(found, found.users[0], TODAY)
    assert refusal is not None
    assert "the acceptance (on leave) expired on 2026-11-27" in refusal.reason.text


@pytest.mark.parametrize(
    "other",
    [row(NO_WORKING_CREDENTIALS, user="bob"), row(QUARANTINED)],
    ids=["of-another-user", "of-another-verdict"],
)
def test_another_acceptance_that_expired_is_not_said(other: dict[str, str]) -> None:
    found = derived(ACCOUNT, alice(credentials=LEFT), accept=[{**other, "expires": "2026-11-27"}])
    refusal = inability(found, found.users[0], TODAY)
    assert refusal is not None
    assert "expired" not in refusal.reason.text


def test_a_user_in_our_quarantine_gets_nothing_unless_accepted_and_then_what_it_had() -> None:
    found = derived(ACCOUNT, denied(alice(BUCKET), OURS))
    (refusal,) = desired(found).refused
    assert (refusal.code, f"verdict: {QUARANTINED}" in refusal.reason.text) == ("Quarantined", True)
    accepted = derived(ACCOUNT, denied(alice(BUCKET), OURS), accept=[row(QUARANTINED)])
    asked = desired(accepted)
    assert [claim.verdict for claim in asked.claims] == ["equal"]
    assert asked.permission_sets.keys() == desired(derived(ACCOUNT, alice(BUCKET))).permission_sets.keys()


@pytest.mark.parametrize(
    ("credentials", "accept", "codes"),
    [
        pytest.param(LEFT, [row(QUARANTINED)], ["NoWorkingCredentials"], id="left"),
        pytest.param(None, [row(QUARANTINED)], ["CredentialsNotListed"], id="unknown"),
        pytest.param(LEFT, [row(NO_WORKING_CREDENTIALS)], ["Quarantined"], id="accepted-for-the-other"),
        pytest.param(LEFT, [row(QUARANTINED), row(NO_WORKING_CREDENTIALS)], [], id="both-accepted"),
    ],
)
def test_a_leaver_in_our_quarantine_is_accepted_for_both(
    credentials: WorkingCredentials | None, accept: list[dict[str, str]], codes: list[str]
) -> None:
    user = denied(alice(EVERYTHING, credentials=credentials), OURS)
    asked = desired(derived(ACCOUNT, user, accept=accept))
    assert [each.code for each in asked.refused] == codes
    assert bool(asked.claims) == (not codes)


DENY_STATEMENT = {"Effect": "Deny", "Action": "*", "Resource": "*"}
DENY_ALL = {"Version": "2012-10-17", "Statement": [DENY_STATEMENT]}
CONDITIONAL = {
    **DENY_ALL,
    "Statement": [{**DENY_STATEMENT, "Condition": {"Bool": {"aws:x": "true"}}}],
}
NOTHING = {**DENY_ALL, "Statement": []}
OWN_POLICY = f"arn:aws:iam::{ACCOUNT}:policy/Quarantine"
AWS_DENY_ALL = "arn:aws:iam::aws:policy/AWSDenyAll"


def quarantined(
    document: Any = None, group: dict[str, Any] | None = None, **detail: Any
) -> tuple[UserIntent, PolicySource]:
    """A user with these members in its detail. ``document``: of OWN_POLICY. ``group``: that it is in."""
    user = alice(BUCKET)
    assert user.detail
    policies = {OWN_POLICY: document} if document else {}
    groups = {"Quarantine": {"GroupPolicyList": [], "AttachedManagedPolicies": [], **group}} if group else {}
    found = {**user.detail, "GroupList": list(groups), **detail}
    return replace(user, detail=found), PolicySource(groups, policies, {})


def attached_to(arn: str) -> dict[str, Any]:
    return {"AttachedManagedPolicies": [{"PolicyArn": arn, "PolicyName": arn.rpartition("/")[2]}]}


def bounded_by(arn: str) -> dict[str, Any]:
    return {"PermissionsBoundary": {"PermissionsBoundaryArn": arn}}


OF_GROUP = {"GroupPolicyList": [{"PolicyName": "Q", "PolicyDocument": DENY_ALL}]}


@pytest.mark.parametrize(
    ("user", "told"),
    [
        pytest.param(quarantined(group=OF_GROUP), "inline policy Q of group Quarantine", id="group-inline"),
        pytest.param(
            quarantined(group=attached_to(AWS_DENY_ALL)),
            f"policy {AWS_DENY_ALL} of group Quarantine",
            id="group-aws-managed",
        ),
        pytest.param(
            quarantined(DENY_ALL, attached_to(OWN_POLICY)),
            f"policy {OWN_POLICY} of group Quarantine",
            id="group-own-policy",
        ),
        pytest.param(
            quarantined(DENY_ALL, **attached_to(OWN_POLICY)), f"policy {OWN_POLICY}", id="own-policy"
        ),
        pytest.param(
            quarantined(DENY_ALL, **bounded_by(OWN_POLICY)),
            f"permissions boundary {OWN_POLICY}",
            id="boundary",
        ),
        pytest.param(
            quarantined(NOTHING, **bounded_by(OWN_POLICY)),
            f"permissions boundary {OWN_POLICY}",
            id="boundary-that-allows-nothing",
        ),
        pytest.param(quarantined(CONDITIONAL, **attached_to(OWN_POLICY)), "", id="not-under-a-condition"),
        pytest.param(
            quarantined(NOTHING, **attached_to(OWN_POLICY)), "", id="not-a-policy-that-grants-nothing"
        ),
    ],
)
def test_a_quarantine_by_any_policy_counts(user: tuple[UserIntent, PolicySource], told: str) -> None:
    found, source = user
    live = LiveAccount(source, {found.subject.unique_id: found.detail or {}})
    assert [not reason for reason in live.unusable().values()] == [not told]
    for asked in (
        replace(derived(ACCOUNT, found), source=source),
        by_name(found, row("wider"), row("undecided"), source=source),
    ):
        reasons = [each.reason.text for each in desired(asked).refused if each.code == "Quarantined"]
        assert [f"its {told} denies every action" in each for each in reasons] == ([True] if told else [])


def test_a_users_group_of_quarantine_is_kept_apart_from_our_own_quarantine() -> None:
    user, source = quarantined(group=OF_GROUP)
    found = replace(derived(ACCOUNT, denied(user, OURS), accept=[row(QUARANTINED)]), source=source)
    (refusal,) = desired(found).refused
    assert (refusal.code, "accept" in refusal.reason.text) == ("Quarantined", False)


def test_somebody_elses_deny_can_not_be_accepted() -> None:
    found = derived(ACCOUNT, denied(alice(BUCKET), THEIRS), accept=[row(QUARANTINED)])
    (refusal,) = desired(found).refused
    assert refusal.code == "Quarantined"
    assert "accept" not in refusal.reason.text
    both = derived(ACCOUNT, denied(denied(alice(BUCKET), OURS), THEIRS), accept=[row(QUARANTINED)])
    assert not desired(both).claims


def test_who_looks_only_sees_a_quarantined_user_as_before() -> None:
    """Whether a person holds its access is asked of quarantined users, too, before they are deleted."""
    quarantined = desired_access(
        [derived(ACCOUNT, denied(alice(BUCKET), OURS))], AccessDerivation(today=TODAY)
    )
    before = desired_access([derived(ACCOUNT, alice(BUCKET))], AccessDerivation(today=TODAY))
    assert quarantined.permission_sets == before.permission_sets
    assert quarantined.claims == before.claims


ONLY_WITH_MFA = {
    **BUCKET,
    "Condition": {"Bool": {"aws:MultiFactorAuthPresent": "true"}},
}


@pytest.mark.parametrize(
    ("mfa", "given"), [(True, True), (False, False), (None, False)], ids=["device", "no-device", "unknown"]
)
def test_a_condition_on_mfa_is_met_by_users_with_a_device_alone(mfa: bool | None, given: bool) -> None:
    user = alice(ONLY_WITH_MFA, credentials=replace(ABLE, mfa=mfa))
    found = desired(derived(ACCOUNT, user, identity_center_mfa=True))
    assert bool(found.claims) == given
    assert not desired(derived(ACCOUNT, user)).claims


def test_users_with_the_same_policies_with_and_without_a_device() -> None:
    """They share nothing, in whichever order they come."""
    users = [
        replace(holder(ACCOUNT, name, ONLY_WITH_MFA), credentials=replace(ABLE, mfa=mfa))
        for name, mfa in (("a", False), ("b", True), ("c", False))
    ]
    for listed in (users, users[::-1]):
        found = desired(derived(ACCOUNT, *listed, identity_center_mfa=True))
        assert [claim.subject.name for claim in found.claims] == ["b"]


@pytest.mark.parametrize(
    ("statements", "verdict"),
    [
        pytest.param((EVERYTHING,), "narrower", id="everything"),
        pytest.param((BUCKET,), "undecided", id="one-bucket"),
        pytest.param((), "undecided", id="no-policies"),
    ],
)
def test_a_set_by_name_whose_document_is_unknown(
    statements: tuple[dict[str, Any], ...], verdict: str
) -> None:
    found = desired(by_name(alice(*statements)))
    assert verdicts(found) == [verdict]
    assert bool(found.claims) == (verdict == "narrower")
    assert all(f"{READ_ONLY} could not be read" in each.reason.text for each in found.refused)


READ_S3 = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:Get*", "Resource": "*"}]}
SOURCE = PolicySource({}, {READ_ONLY: READ_S3})


@pytest.mark.parametrize(
    ("user", "verdict"),
    [
        pytest.param(alice(EVERYTHING), "narrower", id="everything"),
        pytest.param(alice({**EVERYTHING, "Action": "s3:Get*"}), "equal", id="the-same-in-other-words"),
        pytest.param(alice(BUCKET), "wider", id="one-bucket"),
        pytest.param(alice(), "wider", id="no-policies"),
    ],
)
def test_a_set_by_name_is_compared_with_the_users_policies(user: UserIntent, verdict: str) -> None:
    found = desired(by_name(user, source=SOURCE))
    assert verdicts(found) == [verdict]
    assert {each.code for each in found.refused} <= {"NotProven"}
    assert bool(found.claims) == (verdict != "wider")
    accepted = desired(by_name(user, row("wider"), source=SOURCE))
    assert [claim.verdict for claim in accepted.claims] == [verdict]
    for_all = desired(by_name(user, row("wider", account="*", user="*"), source=SOURCE))
    assert [claim.verdict for claim in for_all.claims] == [verdict]


def test_a_set_by_name_for_everybody_is_not_for_who_can_do_nothing() -> None:
    everybody = row("wider", account="*", user="*")
    for user in (alice(BUCKET, credentials=LEFT), denied(alice(BUCKET), OURS), denied(alice(BUCKET), THEIRS)):
        assert not desired(by_name(user, everybody, source=SOURCE)).claims
    exposed = holding(
        intents(ACCOUNT, "alice", accept=(everybody,)),
        "arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV3",
    )
    (refusal,) = desired(exposed).refused
    assert "AWS detected an exposed access key" in refusal.reason.text


def test_policies_that_are_unknown_give_nothing_by_name() -> None:
    (refusal,) = desired(by_name(replace(alice(), detail=None))).refused
    assert (refusal.code, "its policies are unknown" in refusal.reason.text) == ("PoliciesUnknown", True)


def test_who_lost_its_credentials_since_the_intents_gets_nothing(fleet: FleetRehearsal) -> None:
    """The intents claim a password. The account does not have it."""
    asked = derived(ACCOUNT, alice(EVERYTHING))
    fleet.leave(asked)
    (user,) = asked.users
    assert user.detail
    detail = {**user.detail, "Tags": [{"Key": "Email", "Value": "alice@example.com"}]}
    for credentials, given in (
        ({}, False),
        ({user.subject.unique_id: LEFT}, False),
        ({user.subject.unique_id: ABLE}, True),
    ):
        live = LiveAccount(PolicySource(), {user.subject.unique_id: detail}, credentials)
        trust = TrustOptions(read=lambda *_, found=live: [(ACCOUNT, found)])
        fleet.said = []
        failures = provision(
            read_fleet(fleet.store, trust=trust), fleet.center(), fleet.said.append, ApplyOptions(30.0)
        )
        assert bool(fleet.assigned()) == given, fleet.said
        # Unknown evidence is a failure; that there is none is a decision, which fails a run that serves nobody.
        assert bool(failures) != given
        assert any(each.startswith("all 1 IAM users") for each in failures) == (
            not given and credentials != {}
        )
        assert any("! refused" in line for line in fleet.said) != given


def test_the_age_of_old_reports_is_said(fleet: FleetRehearsal) -> None:
    fleet.leave(derived(ACCOUNT, alice(BUCKET, credentials=replace(ABLE, as_of=REPORT))))
    fleet.run(dry=True)
    assert any("credentials are as of 2026-11-28T09:00:00+00:00" in line for line in fleet.said) == (
        datetime.now(timezone.utc) > REPORT.replace(hour=10)
    )
    fleet.leave(derived(ACCOUNT, alice(BUCKET)))
    fleet.run(dry=True)
    assert not any("credentials are as of" in line for line in fleet.said)
