# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest

from c7n_iamusers.decisions.deny_all import DENY_ALL_NAME, INLINE_QUOTA
from c7n_iamusers.decisions.own_traces import quarantine_of
from c7n_iamusers.decisions.quarantine import QuarantinePlan, plan_quarantine, plan_release
from c7n_iamusers.decisions.quarantine_state import lapses, left_off
from c7n_iamusers.exceptions import QuarantineRefused
from c7n_iamusers.model.calls import ApiCall, Plan
from c7n_iamusers.model.iam_user import IamUser
from c7n_iamusers.model.quarantine import QUARANTINE_TAG
from tests.records import user

NOW = datetime(2026, 11, 24, 18, 0, 5, 123, tzinfo=timezone.utc)
LATER = datetime(2026, 12, 1, tzinfo=timezone.utc)
DENY_ALL = {"PolicyName": "AWSDenyAll", "PolicyArn": "arn:aws:iam::aws:policy/AWSDenyAll"}


def credential(identifier: str, name: str, status: str = "Active") -> Mapping[str, str]:
    return {identifier: name, "Status": status}


CREDENTIALS: dict[str, Any] = {
    "login_profile": ({"UserName": "alice"},),
    "access_key": (credential("AccessKeyId", "AKIA1"), credential("AccessKeyId", "AKIA2", "Inactive")),
    "signing_certificate": (credential("CertificateId", "CERT1"),),
    "ssh_public_key": (credential("SSHPublicKeyId", "APKA1"),),
    "service_specific_credential": (
        credential("ServiceSpecificCredentialId", "ACCA1"),
        credential("ServiceSpecificCredentialId", "ACCA2", "Expired"),
    ),
}
FULL_INLINE = ({"PolicyName": "big", "PolicyDocument": {"Sid": "x" * (INLINE_QUOTA - 100)}},)
FULL_TAGS = {f"t{n}": "v" for n in range(50)}


def attached(count: int) -> tuple[dict[str, str], ...]:
    return tuple({"PolicyName": f"p{n}", "PolicyArn": f"arn:aws:iam::aws:policy/p{n}"} for n in range(count))


def apply(to: IamUser, plan: Plan) -> IamUser:
    """The user as the calls leave it."""
    for call in plan.calls:
        to = _apply(to, call)
    return to


_STATUS_OF = {
    "UpdateAccessKey": ("access-key", "AccessKeyId"),
    "UpdateSigningCertificate": ("signing-certificate", "CertificateId"),
    "UpdateSSHPublicKey": ("ssh-public-key", "SSHPublicKeyId"),
    "UpdateServiceSpecificCredential": ("service-specific-credential", "ServiceSpecificCredentialId"),
}


def _apply(to: IamUser, call: ApiCall) -> IamUser:
    held, given = {kind: list(items) for kind, items in to.attachments.items()}, call.parameters
    assert given["UserName"] == to.name
    match call.operation:
        case "PutUserPolicy":
            name, document = given["PolicyName"], json.loads(given["PolicyDocument"])
            others = [item for item in held["inline-policy"] if item["PolicyName"] != name]
            held["inline-policy"] = [*others, {"PolicyName": name, "PolicyDocument": document}]
        case "DeleteUserPolicy":
            held["inline-policy"] = [
                i for i in held["inline-policy"] if i["PolicyName"] != given["PolicyName"]
            ]
        case "AttachUserPolicy":
            held["attached-policy"].append({"PolicyName": "AWSDenyAll", "PolicyArn": given["PolicyArn"]})
        case "DetachUserPolicy":
            held["attached-policy"] = [
                i for i in held["attached-policy"] if i["PolicyArn"] != given["PolicyArn"]
            ]
        case "TagUser":
            tags = {**{tag["Key"]: tag for tag in held["tag"]}, **{tag["Key"]: tag for tag in given["Tags"]}}
            held["tag"] = list(tags.values())
        case "UntagUser":
            held["tag"] = [tag for tag in held["tag"] if tag["Key"] not in given["TagKeys"]]
        case operation:
            kind, identifier = _STATUS_OF[operation]
            held[kind] = [
                {**item, "Status": given["Status"]} if item[identifier] == given[identifier] else item
                for item in held[kind]
            ]
    attachments = {kind: tuple(items) for kind, items in held.items()}
    return replace(to, detail={**to.detail, "Tags": list(attachments["tag"])}, attachments=attachments)


def quarantine(to: IamUser, now: datetime = NOW) -> QuarantinePlan:
    return plan_quarantine(to, now, "park", "unused for 90 days")


SHAPES = [
    pytest.param(user(**CREDENTIALS), "inline", id="inline"),
    pytest.param(user(tags=FULL_TAGS, **CREDENTIALS), "inline", id="inline-50-tags"),
    pytest.param(
        user(tags=dict.fromkeys(list(FULL_TAGS)[:49], "v"), **CREDENTIALS), "inline", id="inline-49-tags"
    ),
    pytest.param(user(inline_policy=FULL_INLINE, **CREDENTIALS), "attached", id="attached"),
    pytest.param(
        user(inline_policy=FULL_INLINE, attached_policy=(DENY_ALL,), **CREDENTIALS), "own", id="parked-before"
    ),
    pytest.param(user(tags={"Team": "a"}), "inline", id="no-credentials"),
]


@pytest.mark.parametrize(("before", "deny"), SHAPES)
def test_quarantine_stops_everything_and_release_restores_it_exactly(before: IamUser, deny: str) -> None:
    planned = quarantine(before)
    held = apply(before, planned.plan)
    record = quarantine_of(held)
    assert record is not None
    assert (record.deny, record.since) == (deny, NOW.replace(microsecond=0))
    assert lapses(held, record) == []
    after = apply(held, plan_release(held, record))
    assert after.attachments == before.attachments
    assert quarantine_of(after) is None


@pytest.mark.parametrize(("before", "deny"), SHAPES)
def test_a_quarantine_that_was_stopped_anywhere_can_be_completed_and_undone(
    before: IamUser, deny: str
) -> None:
    calls = quarantine(before).plan.calls
    for made in range(1, len(calls)):
        held = apply(before, Plan(before.subject, calls[:made]))
        completed = apply(held, quarantine(held, LATER).plan)
        record = quarantine_of(completed)
        assert record is not None
        assert lapses(completed, record) == []
        assert apply(completed, plan_release(completed, record)).attachments == before.attachments


@pytest.mark.parametrize(("before", "deny"), SHAPES)
def test_a_release_that_was_stopped_anywhere_can_be_completed(before: IamUser, deny: str) -> None:
    held = apply(before, quarantine(before).plan)
    record = quarantine_of(held)
    assert record is not None
    calls = plan_release(held, record).calls
    for made in range(len(calls)):
        midway = apply(held, Plan(held.subject, calls[:made]))
        left = quarantine_of(midway)
        after = apply(midway, plan_release(midway, left)) if left else midway
        assert after.attachments == before.attachments


@pytest.mark.parametrize(("before", "deny"), SHAPES)
def test_a_standing_quarantine_is_left_as_it_is(before: IamUser, deny: str) -> None:
    held = apply(before, quarantine(before).plan)
    again = quarantine(held, LATER)
    assert again.plan.calls == ()
    assert again.record.since == NOW.replace(microsecond=0)


def test_only_active_credentials_are_switched_off() -> None:
    switched = [
        call.parameters for call in quarantine(user(**CREDENTIALS)).plan.calls if "Status" in call.parameters
    ]
    ids = [value for each in switched for key, value in each.items() if key not in ("UserName", "Status")]
    assert ids == ["AKIA1", "CERT1", "APKA1", "ACCA1"]
    assert {each["Status"] for each in switched} == {"Inactive"}


def test_a_lapsed_quarantine_counts_anew_and_still_restores_the_first_state() -> None:
    before = user(**CREDENTIALS)
    held = apply(before, quarantine(before).plan)
    keys = [{**item, "Status": "Active"} for item in held.attachments["access-key"]]
    disturbed = replace(held, attachments={**held.attachments, "access-key": tuple(keys)})
    record = quarantine_of(disturbed)
    assert record is not None
    assert lapses(disturbed, record) == ["access key AKIA1 is active", "access key AKIA2 is active"]
    again = apply(disturbed, quarantine(disturbed, LATER).plan)
    renewed = quarantine_of(again)
    assert renewed is not None
    assert renewed.since == LATER
    assert set(renewed.deactivated) == {"AKIA1", "AKIA2", "CERT1", "APKA1", "ACCA1"}


def test_a_deny_that_somebody_took_off_has_lapsed() -> None:
    before = user(**CREDENTIALS)
    held = apply(before, quarantine(before).plan)
    bare = replace(held, attachments={**held.attachments, "inline-policy": ()})
    record = quarantine_of(bare)
    assert record is not None
    assert lapses(bare, record) == ["its Deny-all is gone"]


@pytest.mark.parametrize(
    ("before", "denies"),
    [
        pytest.param(user(**CREDENTIALS), "inline-policy", id="inline"),
        pytest.param(user(inline_policy=FULL_INLINE, **CREDENTIALS), "attached-policy", id="attached"),
    ],
)
def test_without_its_deny_a_record_switches_nothing_on(before: IamUser, denies: str) -> None:
    held = apply(before, quarantine(before).plan)
    bare = replace(held, attachments={**held.attachments, denies: before.attachments[denies]})
    record = quarantine_of(bare)
    assert record is not None
    released = apply(bare, plan_release(bare, record))
    assert released.attachments["access-key"] == held.attachments["access-key"]
    assert quarantine_of(released) is None
    (told,) = left_off(bare, record)
    assert "access key AKIA1, signing certificate CERT1, SSH public key APKA1" in told
    assert left_off(held, record) == []

    again = quarantine(bare, LATER)
    assert (again.record.deactivated, again.notes) == ((), (told,))
    renewed = apply(bare, again.plan)
    found = quarantine_of(renewed)
    assert found is not None
    assert found.deactivated == ()  # in tags too, where an earlier record's ids stood
    assert apply(renewed, plan_release(renewed, found)).attachments == released.attachments


def test_a_record_that_tags_cannot_give_back_is_refused_where_only_they_carry_it() -> None:
    full, spacious = user(inline_policy=FULL_INLINE, **CREDENTIALS), user(**CREDENTIALS)
    with pytest.raises(QuarantineRefused, match=r"release could not read the record .* policy name 'a\[b'"):
        plan_quarantine(full, NOW, "a[b", "unused")
    planned = plan_quarantine(spacious, NOW, "a[b", "unused")
    assert quarantine_of(apply(spacious, planned.plan)) is not None


@pytest.mark.parametrize(
    ("document", "held"),
    [
        pytest.param({"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}, False, id="allow"),
        pytest.param(
            {"Statement": {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": {"Bool": {}}}},
            False,
            id="conditional",
        ),
        pytest.param(
            {"Statement": [{"Effect": "Deny", "Action": ["s3:*"], "Resource": "*"}]}, False, id="part"
        ),
        pytest.param({"Statement": {"Effect": "Deny", "Action": ["*"], "Resource": "*"}}, True, id="whole"),
    ],
)
def test_a_policy_of_our_name_counts_only_if_it_denies_everything(document: Any, held: bool) -> None:
    ours = user(inline_policy=({"PolicyName": DENY_ALL_NAME, "PolicyDocument": document},))
    operations = [call.operation for call in quarantine(ours).plan.calls]
    assert operations == ["PutUserPolicy", "TagUser"]  # it carries no record yet, either way
    tags = quarantine(ours).record.tags()
    found = replace(ours, detail={**ours.detail, "Tags": [{"Key": k, "Value": v} for k, v in tags.items()]})
    record = quarantine_of(found)
    assert record is not None
    assert (lapses(found, record) == []) is held


@pytest.mark.parametrize(
    ("further", "message"),
    [
        pytest.param(
            {"attached_policy": attached(10)}, "10 managed policies are attached", id="no-attached-room"
        ),
        pytest.param({"tags": FULL_TAGS}, "of 50 tags too few are free", id="no-tag-room"),
    ],
)
def test_where_nothing_fits_it_is_refused(further: dict[str, Any], message: str) -> None:
    given = user(inline_policy=FULL_INLINE, **CREDENTIALS, **further)
    with pytest.raises(
        QuarantineRefused, match=rf"user alice of account 111122223333: not quarantined.*{message}"
    ):
        quarantine(given)


def test_fifty_tags_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    planned = quarantine(user(tags=FULL_TAGS, **CREDENTIALS))
    assert "TagUser" not in [call.operation for call in planned.plan.calls]
    assert "50 tags already" in planned.notes[0]


def test_a_forged_tag_does_not_outrank_the_deny() -> None:
    before = user(**CREDENTIALS)
    held = apply(before, quarantine(before).plan)
    forged = {**held.tags, QUARANTINE_TAG: "2020-01-01T00:00:00Z deny=inline by me: I said so"}
    tags = tuple({"Key": key, "Value": value} for key, value in forged.items())
    liar = replace(held, detail={**held.detail, "Tags": tags}, attachments={**held.attachments, "tag": tags})
    record = quarantine_of(liar)
    assert record is not None
    assert record.since == NOW.replace(microsecond=0)
