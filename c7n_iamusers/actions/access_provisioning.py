# SPDX-License-Identifier: Apache-2.0
"""Giving an account's people their access: what they share first, then each of them, one failure touching no other."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from botocore.exceptions import BotoCoreError, ClientError

from c7n_iamusers.actions.grant import Grant, Standing
from c7n_iamusers.actions.provisioning_outcomes import Found, failed, in_order, one_each
from c7n_iamusers.actions.shared_access import SharedAccess
from c7n_iamusers.aws.convergence import converge
from c7n_iamusers.aws.executor import Applied, CallFailed
from c7n_iamusers.decisions.people import Candidate
from c7n_iamusers.decisions.provisioning import USER, check_members, person_calls, same_person
from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.model.calls import Subject
from c7n_iamusers.model.identity_center import KnownPerson, Person
from c7n_iamusers.model.outcome import FAILED, PROVISIONED, SKIPPED, UNCHANGED, Outcome

_FAILURES = (CallFailed, ClientError, BotoCoreError, IdentityCenterError)


class AccessProvisioning:
    """Provisions candidates through ``shared``. An instance is for one run."""

    def __init__(self, shared: SharedAccess) -> None:
        self._shared, self._access, self._store = shared, shared.access, shared.store

    def __call__(self, candidates: Sequence[Candidate]) -> list[Outcome]:
        """An outcome for each of ``candidates``, in their order.

        Raises IdentityCenterError and ClientError only while nothing has been touched and nothing can be.
        """
        standing = self._shared.read()
        found = [self._find(each.subject, each.person) for each in one_each(candidates) if each.person]
        if not any(each.verdict is None or each.verdict.status == SKIPPED for each in found):
            return in_order(candidates, found)
        expected = frozenset(each.known.user_id for each in found if each.known)
        check_members(self._access, standing.group, standing.assigned, expected)
        return in_order(candidates, self._provision(standing, found))

    def _find(self, subject: Subject, person: Person) -> Found:
        try:
            known = self._look_up(person)
        except _FAILURES as error:
            return Found(subject, person, verdict=failed(subject, error))
        if known is None and self._access.external:
            reason = (
                f"{subject}: nobody in Identity Center has username {person.username}: let the owner of the "
                f"identity provider add {person.username} <{person.email}> ({person.display_name}), and put them into "
                f"group {self._access.group}"
            )
            return Found(subject, person, verdict=Outcome(subject.name, subject.arn, SKIPPED, reason))
        return Found(subject, person, known)

    def _look_up(self, person: Person) -> KnownPerson | None:
        return same_person(person, *self._store.find_person(person))

    def _provision(self, standing: Standing, found: list[Found]) -> list[Found]:
        grant = Grant(self._access)
        try:
            self._shared.bring_about(standing, grant)
        except _FAILURES as error:
            return [each if each.final else self._without_grant(each, grant, error) for each in found]
        members = standing.group.members if standing.group else frozenset()
        return [each if each.verdict else self._settle(each, grant, members) for each in found]

    def _without_grant(self, found: Found, grant: Grant, error: Exception) -> Found:
        left = f"; this run created {grant.created}, left as it is" if grant.created else ""
        verdict = failed(found.subject, error)
        return replace(
            found, verdict=replace(verdict, reason=f"{verdict.reason}{left}: mend it and run again")
        )

    def _settle(self, found: Found, grant: Grant, members: frozenset[str]) -> Found:
        started, applied = time.monotonic(), Applied()
        try:
            status, reason, code = *self._join(found, grant, members, applied), ""
        except _FAILURES as error:
            verdict = failed(found.subject, error)
            made = (
                f"; Identity Center user {found.person.username} was created by this run and stays"
                if USER in applied.values
                else ""
            )
            status, reason, code = FAILED, f"{verdict.reason}{made}: mend it and run again", verdict.code
        seconds = time.monotonic() - started
        subject = found.subject
        return replace(
            found,
            verdict=Outcome(subject.name, subject.arn, status, reason, applied.calls, seconds, code),
        )

    def _join(self, found: Found, grant: Grant, members: frozenset[str], applied: Applied) -> tuple[str, str]:
        if self._access.external:
            return self._check_external(found, grant, members)
        group_id, instance = str(grant.group_id), self._shared.instance

        def read() -> tuple[KnownPerson | None, bool]:
            known = self._look_up(found.person)
            return known, bool(known and known.user_id in self._store.members(group_id))

        known, _ = converge(
            self._shared.executor,
            self._shared.backoff,
            found.subject,
            applied,
            (found.known, bool(found.known and found.known.user_id in members)),
            read,
            lambda state: person_calls(found.person, *state, group_id, instance),
        )
        adopted = known is not None and USER not in applied.values
        return self._told(found.person, adopted, grant, applied)

    def _check_external(self, found: Found, grant: Grant, members: frozenset[str]) -> tuple[str, str]:
        group, username = self._access.group, found.person.username
        if grant.group_id is None:
            return SKIPPED, (
                f"{found.subject}: there is no group {group} in Identity Center: let the owner of the identity "
                f"provider add it, with {username} in it"
            )
        if found.known is None or found.known.user_id not in members:
            return SKIPPED, (
                f"{found.subject}: {username} is not in group {group}: let the owner of the identity provider put "
                "them into it"
            )
        return self._told(found.person, True, grant, Applied())

    def _told(self, person: Person, adopted: bool, grant: Grant, applied: Applied) -> tuple[str, str]:
        access = self._access
        who = (
            "the Identity Center user that has username and e-mail"
            if adopted
            else "a new Identity Center user"
        )
        holds = (
            f"{person.username} ({who}) is in group {access.group}, which has {access.permission_set.name}"
        )
        status = PROVISIONED if grant.applied.calls or applied.calls else UNCHANGED
        return status, f"{holds} in account {access.account_id}"
