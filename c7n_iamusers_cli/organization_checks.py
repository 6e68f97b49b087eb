# SPDX-License-Identifier: Apache-2.0
"""Checks by ``preflight`` of Identity Center and the organization's accounts, by a role in the management account."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from c7n_iamusers.exceptions import EvidenceUnreadable, IdentityCenterError
from c7n_iamusers_cli.arguments import targets_in

if TYPE_CHECKING:
    from c7n_iamusers.organization.owners import Member
    from c7n_iamusers.organization.preflight_checks import Probes
    from c7n_iamusers.organization.readiness import Check, Target

#: Seconds to retry one call.
BUDGET = 30


def probes_of(targets: Sequence[Target], budget: float = BUDGET) -> Probes:
    """What reads the accounts of ``targets``, each by its roles. ``budget``: seconds to retry one call.

    Raises EvidenceUnreadable if there are no credentials.
    """
    from c7n_iamusers.execution.callers import caller_of
    from c7n_iamusers.execution.retries import Backoff
    from c7n_iamusers.execution.sessions import account_session
    from c7n_iamusers.organization.preflight_checks import Probes

    session = account_session(region=targets[0].region if targets else "")
    return Probes(session, caller_of(session), Backoff(budget=budget))


def center(
    role: str, region: str | None, needed: Collection[str], commanded: Collection[str]
) -> Iterator[Check]:
    """Checks the organization's instance with ``role``, as provisioning finds it, and that the role may do ``needed``.

    ``needed``, ``commanded``: actions. Commands can be given another role for ``commanded``.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    from c7n_iamusers.execution.retries import Backoff
    from c7n_iamusers.execution.sessions import account_session
    from c7n_iamusers.identity_center.aws.instance import connect
    from c7n_iamusers.organization.readiness import HOLE, OK, ORGANIZATION, Check

    name, trust = (
        "identity center role",
        f"let the trust policy of {role} name the identity that runs this command",
    )
    try:
        session = account_session(role)
    except EvidenceUnreadable as error:
        yield Check(ORGANIZATION, name, HOLE, str(error), trust)
        return
    yield Check(ORGANIZATION, name, OK, role)
    try:
        instance = connect(session, region or session.region_name, Backoff(budget=BUDGET)).instance
    except (IdentityCenterError, ClientError, BotoCoreError) as error:
        remedy = (
            "correct identity_center_region in the accounts file, or region: in the policy, to the instance's primary "
            f"Region; where access is denied, allow sso:ListInstances and sso:DescribeInstance to {role}"
        )
        yield Check(ORGANIZATION, "identity center", HOLE, str(error), remedy)
        return
    yield _of_the_organization(session, instance)
    if needed or commanded:
        yield _allowed(session, role, instance, needed, commanded)


def _allowed(
    session: Any, role: str, instance: Any, needed: Collection[str], commanded: Collection[str]
) -> Check:
    """Whether the policies of ``role`` allow these actions on this ``instance``."""
    from botocore.exceptions import BotoCoreError, ClientError

    from c7n_iamusers.execution.executor import SINGLE_TRY
    from c7n_iamusers.execution.paging import items
    from c7n_iamusers.execution.retries import Backoff
    from c7n_iamusers.organization.readiness import HOLE, OK, ORGANIZATION, UNKNOWN, Check, center_simulations

    name, denied, every = "identity center permissions", set[str](), {*needed, *commanded}
    owner = instance.owner or role.split(":")[4]
    printed = "`c7n-iamusers roles --role identity-center` prints for these policies"
    try:
        iam, backoff = session.client("iam", config=SINGLE_TRY), Backoff(budget=BUDGET)
        for each in center_simulations(every, role, instance.arn, instance.identity_store_id, owner):
            rows = items(iam, "SimulatePrincipalPolicy", "EvaluationResults", backoff, **each)
            denied |= {row["EvalActionName"] for row in rows if row["EvalDecision"] != "allowed"}
    except (ClientError, BotoCoreError) as error:
        told = f"{role}: not checked by iam:SimulatePrincipalPolicy: {error}"
        remedy = f"allow it on itself, as `c7n-iamusers roles --setup` does; it needs what {printed}"
        return Check(ORGANIZATION, name, UNKNOWN, told, remedy)
    if missing := denied.intersection(needed):
        told = f"{role} may not {', '.join(sorted(missing))}, as far as identity policies tell"
        return Check(ORGANIZATION, name, HOLE, told, f"give it what {printed}")
    if denied:
        told = (
            f"{role} may not {', '.join(sorted(denied))}, which `c7n-iamusers provision` needs: the role that you give "
            "that command is not checked"
        )
        return Check(ORGANIZATION, name, UNKNOWN, told, "check it too: preflight --role ARN")
    told = f"{len(every)} actions are allowed, as far as identity policies tell"
    return Check(ORGANIZATION, name, OK, told)


def _of_the_organization(session: Any, instance: Any) -> Check:
    from c7n_iamusers.execution.retries import Backoff
    from c7n_iamusers.organization.reader import OrganizationReader
    from c7n_iamusers.organization.readiness import HOLE, OK, ORGANIZATION, UNKNOWN, Check

    name, where = "identity center", f"{instance.arn} in {instance.region}"
    try:
        management = OrganizationReader(session, Backoff(budget=BUDGET)).management_account()
    except EvidenceUnreadable as error:
        told = f"{where}: it is unknown whether it is the organization's: {error}"
        return Check(ORGANIZATION, name, UNKNOWN, told, "allow organizations:DescribeOrganization")
    if instance.owner not in ("", management):
        return Check(
            ORGANIZATION,
            name,
            HOLE,
            f"{where} is an account instance, of account {instance.owner}: it can't give access to accounts",
            f"give --role, a role of the management account {management} or of a delegated administrator",
        )
    return Check(ORGANIZATION, name, OK, where)


@dataclass(frozen=True)
class Members:
    """The accounts of the organization, by id, and its ``management`` account; or why they can't be read."""

    known: Mapping[str, Member] = field(default_factory=dict)
    management: str = ""
    problem: str = ""

    @classmethod
    def read(cls, roles: Sequence[str], region: str) -> Members:
        """Asks as each of ``roles`` that may read the organization, then without one. ``region``: of the session."""
        from c7n_iamusers.execution.retries import Backoff
        from c7n_iamusers.execution.sessions import account_session
        from c7n_iamusers.organization.reader import OrganizationReader

        problem = ""
        for role in (*dict.fromkeys(roles), None):
            try:
                reader = OrganizationReader(account_session(role, region=region), Backoff(budget=BUDGET))
                return cls(reader.members(), reader.management_account())
            except EvidenceUnreadable as error:
                problem = problem or str(error)
        return cls(problem=problem)

    def checks(self, found: Sequence[Target], config: Path) -> Iterator[Check]:
        """Whether the accounts file has each account of the organization, and no other."""
        from c7n_iamusers.organization.likely_mistakes import of_the_organization
        from c7n_iamusers.organization.readiness import OK, ORGANIZATION, UNKNOWN, Check

        name = "accounts of the organization"
        if self.problem:
            remedy = "allow organizations:ListAccounts and DescribeOrganization, as `c7n-iamusers roles --setup` prints"
            yield Check(ORGANIZATION, name, UNKNOWN, f"not checked: {self.problem}", remedy)
            return
        every = targets_in(config, strict=False)
        doubts = list(of_the_organization(found, every, self.known, self.management, str(config)))
        yield from doubts or [Check(ORGANIZATION, name, OK, f"{len(self.known)} accounts")]
