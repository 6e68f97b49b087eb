# SPDX-License-Identifier: Apache-2.0
"""Fleets on the local organization: intents of many accounts, and the runs that bring them about."""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from aws_local_org import LocalOrg
from aws_local_org.call_log import CallRecord
from aws_local_org.identity_center import state
from aws_local_org.identity_center.state import Instance
from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.execution.retries import Backoff
from c7n_iamusers.execution.stores import DirectoryStore, Store
from c7n_iamusers.identity_center.access_plan import Choices
from c7n_iamusers.identity_center.applying.center_lock import LOCK
from c7n_iamusers.identity_center.applying.run_records import run_of_result
from c7n_iamusers.identity_center.audit import audit
from c7n_iamusers.identity_center.aws.identity_store import PROBE
from c7n_iamusers.identity_center.aws.instance import Center, connect
from c7n_iamusers.identity_center.fleet import Fleet, TrustOptions, read_fleet
from c7n_iamusers.identity_center.output.plan_files import PlanOptions
from c7n_iamusers.identity_center.planning.quotas import CenterQuotas
from c7n_iamusers.identity_center.provisioning import RunOptions, provision
from c7n_iamusers.identity_center.requests.intent_files import write_intents
from c7n_iamusers.identity_center.requests.intents import INTENTS_FILE, Intents
from c7n_iamusers.identity_center.undo.only_access import ReadUsers
from c7n_iamusers.identity_center.undo.undoing import UndoOptions, undo
from c7n_iamusers.identity_center.writer.writer import ApplyOptions
from tests.identity_center.remembered_runs import RememberedRuns
from tests.identity_center.writer.simulation import AtOnce, Clock
from tests.interference import READS, Killed, after_change

ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"
NOW = datetime(2026, 11, 28, tzinfo=timezone.utc)


def _never() -> bool:
    return False


@dataclass
class FleetRehearsal:
    """``output``: what stands for the output directory of c7n-org. ``said``: what the last run printed.

    ``new_records``: runs are given --new-records. ``clock``: of runs and of Identity Center; else time passes.
    ``caller``: the account that runs are in; empty for the management account. ``only``: the accounts whose intents
    are chosen; None for all. ``day``: of former people's records, counted from NOW; None is today. ``remembered``: what
    runs did in other tests; None to run all.
    """

    org: LocalOrg
    output: Path
    per_second: float = 2000.0
    said: list[str] = field(default_factory=list)
    new_records: bool = False
    clock: Clock | None = None
    caller: str = ""
    only: frozenset[str] | None = None
    day: int | None = None
    remembered: RememberedRuns | None = None
    _centers: dict[str, Center] = field(default_factory=dict)

    def options(self, timeout: float = 30.0, stopped: Callable[[], bool] = _never) -> ApplyOptions:
        """Of a run, on the simulated clock if there is one."""
        found = ApplyOptions(timeout, stopped)
        clock = self.clock
        return replace(found, clock=clock, sleep=clock.sleep, pool=AtOnce) if clock else found

    def settle(self, seconds: float) -> None:
        """So many seconds pass on the simulated clock, and requests that are due end."""
        assert self.clock
        self.clock.sleep(seconds)
        self.settled()

    @property
    def fleet(self) -> Fleet:
        """All intents."""
        found = read_fleet(self.store, trust=TrustOptions(trusted=True, only=self.only))
        return replace(found, begins=self.new_records)

    @property
    def store(self) -> Store:
        """What the output directory is to a run."""
        return DirectoryStore(self.output)

    def leave(self, *found: Intents) -> None:
        """Intents where c7n-org would leave them."""
        for each in found:
            write_intents(self.output / each.account_id / "us-east-1" / each.policy, each)

    def center(self, _region: str = "us-east-1") -> Center:
        """The organization's Identity Center, with short delays between retries; one for all runs of a test."""
        if self.caller not in self._centers:
            backoff = Backoff(base=0.01, cap=0.05, budget=3.0)
            session = self.org.session(self.caller) if self.caller else self.org.session()
            self._centers[self.caller] = connect(session, "us-east-1", backoff, self.per_second)
        return self._centers[self.caller]

    def run(
        self,
        dry: bool = False,
        stopped: Callable[[], bool] = _never,
        plan_options: PlanOptions | None = None,
        quotas: CenterQuotas | None = None,
        timeout: float = 30.0,
        **choices: bool,
    ) -> list[str]:
        """The failures of a run over all intents."""

        def run() -> list[str]:
            self.org.clear_calls()
            options = None if dry else self.options(timeout, stopped)
            more = RunOptions(Choices(**choices), plan_options or PlanOptions(), quotas or CenterQuotas())
            return provision(self.fleet, self.center(), self.said.append, options, more)

        plan = plan_options and (plan_options.out or plan_options.reviewed)
        special = stopped is not _never or quotas or (plan and plan.parent != self.output)
        papers = plan and plan_options and (plan.name, plan_options.digest)
        return self.once(None if special else ("run", dry, timeout, papers, *sorted(choices.items())), run)

    def audit(self) -> list[str]:
        """What an audit over all intents finds wider."""

        def run() -> list[str]:
            self.org.clear_calls()
            return audit(self.fleet, self.center(), self.said.append)

        return self.once(("audit",), run)

    def once(self, what: tuple[Hashable, ...] | None, run: Callable[[], list[str]]) -> list[str]:
        """The failures of ``run()``, which depend on ``what`` and the world; None: on more."""
        self.said = []
        if what is None or self.clock or not self.remembered or self.remembered.places[0] != self.output:
            return run()
        options = (self.new_records, self.only, self.caller, self.per_second, self.day)
        return self.remembered.run((*what, *options), self.said, run)

    def provisioned(self, *found: Intents, **choices: bool) -> None:
        """Intents, and a run over all, with ``choices``, that fails for nobody."""
        self.leave(*found)
        failures = self.run(False, _never, None, None, **choices)
        assert failures == [], failures

    def killed(self, after: int, run: Callable[[], object] | None = None) -> None:
        """A run, or ``run``, which is killed right after so many changes."""
        with pytest.MonkeyPatch.context() as patch:
            after_change(patch, after, Killed())
            with pytest.raises(Killed):
                (run or self.run)()

    def forget(self) -> None:
        """The next run is over other intents; what earlier runs left stays."""
        for each in self.output.rglob(INTENTS_FILE):
            each.unlink()

    def leave_only(self, *found: Intents) -> None:
        """Intents where c7n-org would leave them, and no others."""
        self.forget()
        self.leave(*found)

    def refuses(self, why: str, run: Callable[..., object], *given: object, **options: object) -> None:
        """``run`` is refused, with a text that matches ``why``, before it changes anything."""
        with pytest.raises(IdentityCenterError, match=why):
            run(*given, **options)
        assert self.mutations() == []

    def lines(self, sign: str) -> list[str]:
        """What the last run said after a sign."""
        return [" ".join(each.split()) for each in self.said if each.startswith(f"  {sign} ")]

    def undo(
        self,
        result: Path | str,
        dry: bool = False,
        read_users: ReadUsers | None = None,
        *,
        digest: str = "",
        accepted: bool = True,
        timeout: float = 30.0,
        say: Callable[[str], None] | None = None,
    ) -> list[str]:
        """The failures of undoing a run, whoever is locked out unless ``read_users`` says who has an IAM user."""
        _, name = run_of_result(str(result))

        def run() -> list[str]:
            self.org.clear_calls()
            options = None if dry else self.options(timeout)
            undo_options = UndoOptions(read_users, digest=digest, accepted=lambda: accepted)
            return undo(self.store, name, self.center, say or self.said.append, options, undo_options)

        special = read_users or say
        return self.once(None if special else ("undo", name, dry, digest, accepted, timeout), run)

    def results(self) -> list[Path]:
        """The overall results of all runs, oldest first."""
        return sorted(self.output.glob("identity-center-runs/*/result.json"))

    def mutations(self) -> list[CallRecord]:
        """The calls of the last run that changed Identity Center, or tried to."""
        return [each for each in without_lock(self.org.calls) if _changes(each)]

    @property
    def instance(self) -> Instance:
        (found,) = state.instances
        return found

    def group_id(self, name: str) -> str:
        groups = self.instance.store.groups.values()
        return next(each.id for each in groups if each.attributes["DisplayName"] == name)

    def set_arn(self, name: str = "Readers") -> str:
        return next(each.arn for each in self.instance.permission_sets.values() if each.name == name)

    def make_group(self, name: str, description: str = "") -> str:
        """The id of a group that somebody makes."""
        given = {"DisplayName": name, **({"Description": description} if description else {})}
        client = self.org.client("identitystore")
        return str(client.create_group(IdentityStoreId=self.instance.store.id, **given)["GroupId"])

    def delete_user(self, username: str) -> None:
        """Somebody deletes a user."""
        store = self.instance.store
        (user,) = (each.id for each in store.users.values() if each.attributes["UserName"] == username)
        self.org.client("identitystore").delete_user(IdentityStoreId=store.id, UserId=user)

    def remove_member(self, group: str, username: str) -> str:
        """Somebody takes a user out of a group; the user's id."""
        store, group_id = self.instance.store, self.group_id(group)
        (found,) = (
            each
            for each in store.memberships.values()
            if each.group_id == group_id and store.users[each.user_id].attributes["UserName"] == username
        )
        client = self.org.client("identitystore")
        client.delete_group_membership(IdentityStoreId=store.id, MembershipId=found.id)
        return found.user_id

    def call_for_set(self, operation: str, name: str = "Readers", **parameters: object) -> Any:
        """Somebody's call for the permission set of that name."""
        given = {"InstanceArn": self.instance.arn, "PermissionSetArn": self.set_arn(name), **parameters}
        return getattr(self.org.client("sso-admin"), operation)(**given)

    def attach(self, policy: str, name: str = "Readers") -> None:
        """Somebody attaches a policy to the permission set of that name."""
        self.call_for_set("attach_managed_policy_to_permission_set", name, ManagedPolicyArn=policy)

    def provision_set(self, name: str = "Readers") -> None:
        """Somebody provisions the permission set of that name in all accounts that have it."""
        self.call_for_set("provision_permission_set", name, TargetType="ALL_PROVISIONED_ACCOUNTS")
        self.settled()

    def settled(self) -> None:
        """Requests that are due end by the next call."""
        self.org.client("sso-admin").list_instances()

    def unassign(self, account: str, permission_set: str, principal: str, kind: str = "GROUP") -> None:
        """Somebody ends an assignment."""
        self.org.client("sso-admin").delete_account_assignment(
            InstanceArn=self.instance.arn,
            TargetId=account,
            TargetType="AWS_ACCOUNT",
            PermissionSetArn=permission_set,
            PrincipalType=kind,
            PrincipalId=principal,
        )

    def assigned(self) -> set[tuple[str, str, str]]:
        """Account, permission set and group, by name, of every assignment."""
        sets, groups = self.instance.permission_sets, self.instance.store.groups
        return {
            (
                each.account_id,
                sets[each.permission_set_arn].name,
                str(groups[each.principal_id].attributes["DisplayName"]),
            )
            for each in self.instance.assignments
        }

    def members(self) -> dict[str, set[str]]:
        """Group name -> the usernames of its members."""
        store = self.instance.store
        found: dict[str, set[str]] = {
            str(each.attributes["DisplayName"]): set() for each in store.groups.values()
        }
        for each in store.memberships.values():
            group = str(store.groups[each.group_id].attributes["DisplayName"])
            found[group].add(str(store.users[each.user_id].attributes["UserName"]))
        return found

    def usernames(self) -> set[str]:
        return {str(each.attributes["UserName"]) for each in self.instance.store.users.values()}


def without_lock(calls: Iterable[CallRecord]) -> list[CallRecord]:
    """``calls`` without those for the lock in Identity Center, and without the one that asks who may create users.

    The lock is released last.
    """
    found = list(calls)
    found = [each for each in found if each.parameters.get("UserName") != PROBE]
    taken = [each for each in found if each.parameters.get("Name") == LOCK]
    deleted = [each for each in found if each.operation == "DeletePermissionSet"]
    lock = [*taken, *deleted[-1:]] if any(each.error_code is None for each in taken) else taken
    return [each for each in found if all(each is not other for other in lock)]


def _changes(call: CallRecord) -> bool:
    return call.service in ("sso-admin", "identitystore") and not call.operation.startswith(READS)


def counted(calls: Iterable[CallRecord]) -> Mapping[str, int]:
    """Operation -> how often."""
    found: dict[str, int] = {}
    for call in without_lock(calls):
        found[call.operation] = found.get(call.operation, 0) + 1
    return found


def occupancy(calls: Sequence[CallRecord], seconds: float, slots: int = 15) -> float:
    """The share of slots in use while assignments were waiting, from the log of the local organization.

    A request holds its slot for ``seconds`` from its being accepted. They wait from the first request until the
    last, after which nothing is left to fill slots with.
    """
    times = [
        call.time.timestamp()
        for call in calls
        if call.operation == "CreateAccountAssignment" and call.error_code is None
    ]
    first, last = times[0], times[-1]
    used = sum(min(time + seconds, last) - time for time in times)
    return used / (slots * (last - first))


def provision_earlier_form(fleet: FleetRehearsal, arn: str) -> None:
    """The accounts of the permission set have it with administrator access, and it has none any more."""
    name = fleet.instance.permission_sets[arn].name
    fleet.attach(ADMINISTRATOR, name)
    fleet.provision_set(name)
    fleet.call_for_set("detach_managed_policy_from_permission_set", name, ManagedPolicyArn=ADMINISTRATOR)


def pin(result: Path) -> None:
    """Let the journal of a forged result end as a run's does: with the SHA-256 of the result as it is now."""
    journal = result.parent / "journal.jsonl"
    lines = [json.loads(line) for line in journal.read_text().splitlines()] if journal.exists() else []
    lines = [line for line in lines if line["phase"] != "result"]
    lines.append({"phase": "result", "sha256": sha256(result.read_bytes()).hexdigest()})
    journal.write_text("".join(f"{json.dumps(line)}\n" for line in lines))


def assert_wider(failures: Sequence[str]) -> None:
    """All that is wrong is that one person has more access than the IAM users."""
    (failure,) = failures
    assert ": wider: also holds " in failure
