# SPDX-License-Identifier: Apache-2.0
"""From reports and intents to what the policy says of each IAM user."""

from __future__ import annotations

from collections.abc import Mapping

from c7n_iamusers.aws.retries import describe, error_code
from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.fleet.access_run import Report
from c7n_iamusers.model.calls import Subject
from c7n_iamusers.model.intents import INTENDED, INTENTS_FILE, Intents
from c7n_iamusers.model.outcome import FAILED, Outcome

#: What a notice is told of a user who was refused.
NOTHING: Mapping[str, str] = dict.fromkeys(("username", "email", "group", "permission-set"), "")


def failed(subject: Subject, error: Exception) -> Outcome:
    """The failure of ``subject`` by ``error``, naming user and account."""
    return Outcome(subject.name, subject.arn, FAILED, describe(subject, error), code=error_code(error))


def refuse_as_a_whole(report: Report) -> None:
    """Raises IdentityCenterError where nothing can be done for anybody, because of what all of them share."""
    plan = report.plan
    shared = next((each for each in plan.refused if each.shared), None)
    if shared and not (plan.served or plan.missing):
        raise IdentityCenterError(shared.reason)


def intended_outcomes(intents: Intents) -> list[Outcome]:
    """A user whose person can't be told has failed; what the others need is on record."""
    return [
        Outcome(user.subject.name, user.subject.arn, INTENDED, f"{user.subject}: see {INTENTS_FILE}")
        if user.person
        else Outcome(
            user.subject.name,
            user.subject.arn,
            FAILED,
            f"{user.subject}: {user.problem}",
            code="InvalidPerson",
        )
        for user in intents.users
    ]


def intended_claims(intents: Intents) -> dict[str, Mapping[str, str]]:
    """ARN -> what the user's person is to have, for a notice."""
    wanted = intents.permission_set.name if intents.permission_set else ""
    return {
        user.subject.arn: {
            "username": user.person.username if user.person else "",
            "email": user.person.email if user.person else "",
            "group": intents.group,
            "permission-set": wanted,
        }
        for user in intents.users
    }


def access_by_user(report: Report) -> dict[str, Mapping[str, str]]:
    """ARN -> what the user's person has, or would have, for a notice."""
    found: dict[str, Mapping[str, str]] = {}
    for claim in report.desired.claims:
        person = report.desired.people[claim.person]
        found[claim.subject.arn] = {
            "username": person.username,
            "email": person.email,
            "group": claim.group,
            "permission-set": claim.grant.permission_set,
        }
    return found
