# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import shlex
from datetime import datetime, timezone
from typing import Any

import pytest

from c7n_iamusers.resource_policies.leftovers import (
    BY_HAND,
    CHANGE,
    DELETE_ENTRY,
    DROP,
    RENEW_ENTRY,
    GoneUser,
    Leftover,
    as_of_today,
    leftovers,
)
from c7n_iamusers.resource_policies.reading import AccessEntry, ResourcePolicy
from tests.records import ACCOUNT, user
from tests.resource_policies.records import BUCKET, CLUSTER, REGION, allow, deny, policy

pytestmark = pytest.mark.pure

OLD, NEW, STRANGER = "AIDAALICEALICEALICE23", "AIDANEWNEWNEWNEWNEW23", "AIDASTRANGERSTRANGE23"
ARN = user().arn
GONE, BACK = GoneUser(ARN, OLD), GoneUser(ARN, OLD, NEW)
OTHERS = allow({"AWS": f"arn:aws:iam::{ACCOUNT}:role/deploy"})


def left(*statements: dict[str, Any], gone: GoneUser = GONE, **rest: Any) -> Leftover:
    (found,) = leftovers([policy(*statements, **rest)], (), [gone])
    return found


def when(operator: str, *values: str, effect: str = "Allow", key: str = "aws:userid") -> dict[str, Any]:
    return {**allow(Condition={operator: {key: [*values]}}), "Effect": effect}


@pytest.mark.parametrize(
    ("statement", "gone", "what", "patched"),
    [
        pytest.param(allow({"AWS": OLD}), GONE, DROP, None, id="alone"),
        pytest.param(
            allow({"AWS": [OLD, "1" * 12]}), GONE, CHANGE, allow({"AWS": ["1" * 12]}), id="among-others"
        ),
        pytest.param(
            allow({"AWS": OLD, "Service": "x"}), GONE, CHANGE, allow({"Service": "x"}), id="beside-a-service"
        ),
        pytest.param(allow({"AWS": OLD}), BACK, CHANGE, allow({"AWS": [ARN]}), id="restored"),
        pytest.param(deny(NotPrincipal={"AWS": OLD}), GONE, BY_HAND, None, id="all-but-it"),
        pytest.param(
            deny(NotPrincipal={"AWS": OLD}),
            BACK,
            CHANGE,
            deny(NotPrincipal={"AWS": [ARN]}),
            id="all-but-it-restored",
        ),
        pytest.param(when("StringEquals", OLD), GONE, DROP, None, id="condition"),
        pytest.param(
            when("StringLike", OLD, "AROA:*"),
            GONE,
            CHANGE,
            when("StringLike", "AROA:*"),
            id="condition-others",
        ),
        pytest.param(
            when("StringEquals", OLD), BACK, CHANGE, when("StringEquals", NEW), id="condition-restored"
        ),
        pytest.param(when("StringNotEquals", OLD, effect="Deny"), GONE, BY_HAND, None, id="past-a-deny"),
        pytest.param(when("ForAllValues:StringEquals", OLD), GONE, BY_HAND, None, id="true-for-no-values"),
        pytest.param(when("StringEquals", OLD, effect="Deny"), GONE, DROP, None, id="denied-alone"),
        pytest.param(
            when("StringEqualsIfExists", OLD, effect="Deny"), GONE, BY_HAND, None, id="true-without-the-key"
        ),
        pytest.param(when("StringLike", f"{OLD}:*"), GONE, DROP, None, id="with-a-tail"),
        pytest.param(when("StringLike", f"{OLD}:jane"), GONE, BY_HAND, None, id="with-another-tail"),
        pytest.param(when("StringEquals", OLD, key="s3:prefix"), GONE, BY_HAND, None, id="another-key"),
        pytest.param(
            when("StringNotEquals", OLD, "AROA", effect="Deny"),
            *(GONE, CHANGE, when("StringNotEquals", "AROA", effect="Deny")),
            id="past-a-deny-with-others",
        ),
        pytest.param(
            allow({"AWS": [OLD, ["x"]]}), GONE, CHANGE, allow({"AWS": [["x"]]}), id="beside-what-is-no-name"
        ),
        pytest.param(
            when("StringLike", f"*:{OLD}", effect="Deny"), GONE, BY_HAND, None, id="sessions-of-its-name"
        ),
        *(
            pytest.param(
                when("StringLike", f"home/{OLD}/*", effect=effect, key="s3:prefix"),
                *(gone, BY_HAND, None),
                id=f"about-others-{effect}-{gone.restored_as}",
            )
            for effect in ("Allow", "Deny")
            for gone in (GONE, BACK)
        ),
    ],
)
def test_what_a_statement_should_be(
    statement: dict[str, Any], gone: GoneUser, what: str, patched: dict[str, Any] | None
) -> None:
    found = left(OTHERS, statement, gone=gone)
    (shown,) = found.shown
    assert (shown.where, shown.what, shown.patched) == ("statement 2", what, patched)
    assert (shown.unique_id, shown.arn, shown.restored_as) == (OLD, ARN, gone.restored_as)
    if what == BY_HAND:
        assert (found.policy, found.command) == (None, "")
    else:
        assert found.policy == policy(*filter(None, (OTHERS, patched))).document


def test_an_id_of_nobody_on_record_is_left_too_but_not_one_in_a_condition() -> None:
    (shown,) = left(allow({"AWS": STRANGER})).shown
    assert (shown.unique_id, shown.arn, shown.what) == (STRANGER, "", DROP)
    assert leftovers([policy(when("StringEquals", STRANGER))], (), [GONE]) == []


@pytest.mark.parametrize("statement", [allow(), allow({"AWS": ARN}), allow({"AWS": "AIDA"}), OTHERS])
def test_what_shows_no_id_is_not_left(statement: dict[str, Any]) -> None:
    assert leftovers([policy(statement)], (), [GONE]) == []


def test_all_users_of_a_policy_are_patched_at_once() -> None:
    found = left(allow({"AWS": [OLD, STRANGER, "1" * 12]}), allow({"AWS": STRANGER}))
    assert [(each.where, each.unique_id) for each in found.shown] == [
        ("statement 1", OLD),
        ("statement 1", STRANGER),
        ("statement 2", STRANGER),
    ]
    assert found.policy == policy(allow({"AWS": ["1" * 12]})).document


@pytest.mark.parametrize(
    ("service", "resource", "begins"),
    [
        ("s3", "arn:aws:s3:::b", f"aws s3api put-bucket-policy --region {REGION} --bucket b --policy"),
        (
            "kms",
            "arn:aws:kms:eu-west-1:1:key/k",
            f"aws kms put-key-policy --region {REGION} --key-id arn:aws:kms:eu-west-1:1:key/k --policy",
        ),
        ("sqs", "arn:aws:sqs:eu-west-1:1:q", f"aws sqs set-queue-attributes --region {REGION} --queue-url"),
        ("sns", "arn:aws:sns:eu-west-1:1:t", f"aws sns set-topic-attributes --region {REGION} --topic-arn"),
        ("secretsmanager", "arn:aws:s:eu-west-1:1:secret:s", "aws secretsmanager put-resource-policy"),
        (
            "ecr",
            "arn:aws:ecr:eu-west-1:1:repository/team/app",
            f"aws ecr set-repository-policy --region {REGION} --repository-name team/app --policy-text",
        ),
        ("iam", "arn:aws:iam::1:role/x/deploy", "aws iam update-assume-role-policy --role-name deploy"),
    ],
)
def test_commands_have_the_policy_as_one_word(service: str, resource: str, begins: str) -> None:
    tricky = allow({"AWS": [OLD, "1" * 12]}, Sid="it's")
    found = left(tricky, service=service, resource=resource)
    assert found.command.startswith(begins)
    last = shlex.split(found.command)[-1]
    document = json.loads(json.loads(last)["Policy"] if service == "sqs" else last)
    assert document == found.policy == policy(allow({"AWS": ["1" * 12]}, Sid="it's")).document


def test_a_policy_of_which_nothing_is_left_is_deleted_where_that_can_be() -> None:
    found = left(allow({"AWS": OLD}))
    assert found.policy is None
    assert found.command == f"aws s3api delete-bucket-policy --region {REGION} --bucket invoices"
    assert left(allow({"AWS": OLD}), service="kms").command == ""


def test_there_is_no_command_for_a_service_without_one_or_for_one_of_several_policies() -> None:
    assert left(OTHERS, allow({"AWS": OLD}), service="events").command == ""
    several = ResourcePolicy("s3", "x", REGION, {"Statement": [allow({"AWS": [OLD, "1" * 12]})]}, "policy 2")
    (found,) = leftovers([several], (), [GONE])
    assert (found.shown[0].where, found.command) == ("statement 1 of policy 2", "")


@pytest.mark.parametrize(("gone", "what"), [(GONE, DELETE_ENTRY), (BACK, RENEW_ENTRY)])
def test_an_access_entry_is_deleted_and_made_again_for_a_restored_user(gone: GoneUser, what: str) -> None:
    entries = [AccessEntry(CLUSTER, REGION, ARN), AccessEntry(CLUSTER, REGION, f"{ARN}2")]
    (found,) = leftovers((), entries, [gone])
    assert (found.resource, found.shown[0].what) == (CLUSTER, what)
    assert found.command.startswith(f"aws eks delete-access-entry --region {REGION} --cluster-name shop")
    assert ("create-access-entry" in found.command) == (what == RENEW_ENTRY)


@pytest.mark.parametrize(
    ("hour", "left"),
    [(None, 1), (11, 1), (12, 1), (13, 0)],
    ids=["unknown", "before", "at-once", "after"],
)
def test_an_access_entry_that_was_made_after_the_restoration_is_none_that_is_left(
    hour: int | None, left: int
) -> None:
    back = GoneUser(ARN, OLD, NEW, datetime(2027, 1, 1, 12, tzinfo=timezone.utc))
    created = datetime(2027, 1, 1, hour, tzinfo=timezone.utc) if hour else None
    entries = [AccessEntry(CLUSTER, REGION, ARN, created)]
    assert len(leftovers((), entries, [back])) == left
    assert len(leftovers((), entries, [GONE])) == 1
    assert leftovers((), entries, [GoneUser(ARN, "")]) == []


NOON = datetime(2027, 1, 1, 12, tzinfo=timezone.utc)


def a_user(unique_id: str, arn: str = ARN) -> dict[str, Any]:
    return {"UserId": unique_id, "Arn": arn, "CreateDate": NOON}


@pytest.mark.parametrize(
    ("gone", "users", "today"),
    [
        pytest.param([BACK], [a_user(NEW)], BACK, id="back"),
        pytest.param([BACK], [a_user(NEW, f"{ARN}-2")], GoneUser(f"{ARN}-2", OLD, NEW), id="renamed-since"),
        pytest.param([BACK], [], GONE, id="gone-again"),
        pytest.param([BACK], None, BACK, id="unknown"),
        pytest.param(
            [BACK], [a_user(STRANGER)], GoneUser(ARN, OLD, "", NOON), id="somebody-else-has-the-name"
        ),
        pytest.param([GONE], [a_user(STRANGER)], GoneUser(ARN, OLD, "", NOON), id="the-name-is-taken"),
        pytest.param([GONE], [a_user(STRANGER, f"{ARN}-2")], GONE, id="the-name-is-free"),
        pytest.param([BACK, GoneUser(ARN, NEW)], None, GONE, id="deleted-again"),
        pytest.param([BACK, GoneUser(ARN, NEW, "AIDA3")], None, GoneUser(ARN, OLD, "AIDA3"), id="back-again"),
        pytest.param([BACK, GoneUser(ARN, NEW, OLD)], None, GoneUser(ARN, OLD, OLD), id="in-a-circle"),
        pytest.param(
            [BACK, GoneUser(ARN, NEW, "AIDA3"), GoneUser(ARN, "AIDA3", NEW)],
            None,
            BACK,
            id="in-a-later-circle",
        ),
    ],
)
def test_what_became_of_a_deleted_user(
    gone: list[GoneUser], users: list[dict[str, Any]] | None, today: GoneUser
) -> None:
    assert as_of_today(gone, lambda _: users)[0] == today


def test_no_statement_that_shows_nobody_is_changed() -> None:
    for_nobody = allow({})
    assert left(for_nobody, allow({"AWS": OLD})).policy == policy(for_nobody).document


def test_a_policy_with_a_statement_for_a_person_is_not_given() -> None:
    found = left(deny(NotPrincipal={"AWS": OLD}), allow({"AWS": OLD}), OTHERS)
    assert [each.what for each in found.shown] == [BY_HAND, DROP]
    assert (found.policy, found.command) == (None, "")


def test_an_id_of_nobody_on_record_may_stand_in_a_condition_of_its_statement() -> None:
    condition = {"StringEquals": {"aws:userid": [STRANGER, "AROA"]}}
    found = left(allow({"AWS": [STRANGER, "1" * 12]}, Condition=condition))
    again = allow({"AWS": ["1" * 12]}, Condition={"StringEquals": {"aws:userid": ["AROA"]}})
    assert found.policy == policy(again).document


def test_what_is_left_in_json() -> None:
    statement = allow({"AWS": [OLD, "1" * 12]})
    found = left(statement)
    patched = allow({"AWS": ["1" * 12]})
    who = {"unique_id": OLD, "user": ARN, "restored_as": ""}
    assert found.as_data() == {
        "service": "s3",
        "resource": BUCKET,
        "region": REGION,
        "shown": [{"where": "statement 1", **who, "what": CHANGE, "patched": patched}],
        "policy": policy(patched).document,
        "command": found.command,
    }
