# SPDX-License-Identifier: Apache-2.0
"""Fleets on the local organization: intents of many accounts, and the runs that bring them about."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path

from aws_local_org import LocalOrg
from aws_local_org.call_log import CallRecord
from aws_local_org.identity_center import state
from aws_local_org.identity_center.state import Instance
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
from tests.identity_center.writer.simulation import AtOnce, Clock

READS = ("List", "Describe", "Get", "Is")


@dataclass
class FleetRehearsal:
    """``output``: what stands for the output directory of c7n-org. ``said``: what the last run printed.

    ``new_records``: runs are given --new-records. ``clock``: of runs and of Identity Center; else time passes.
    ``caller``: the account that runs are in; empty for the management account. ``only``: the accounts whose intents
    are chosen; None for all.
    """

    org: LocalOrg
    output: Path
    per_second: float = 2000.0
    said: list[str] = field(default_factory=list)
    new_records: bool = False
    clock: Clock | None = None
    caller: str = ""
    only: frozenset[str] | None = None

    def options(self, timeout: float = 30.0, stopped: Callable[[], bool] = lambda: False) -> ApplyOptions:
        """Of a run, on the simulated clock if there is one."""
        found = ApplyOptions(timeout, stopped)
        clock = self.clock
        return replace(found, clock=clock, sleep=clock.sleep, pool=AtOnce) if clock else found

    def settle(self, seconds: float) -> None:
        """So many seconds pass on the simulated clock, and requests that are due end."""
        assert self.clock
        self.clock.sleep(seconds)
        self.org.client("sso-admin").list_instances()

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
        """The organization's Identity Center, with short delays between retries."""
        backoff = Backoff(base=0.01, cap=0.05, budget=3.0)
        session = self.org.session(self.caller) if self.caller else self.org.session()
        return connect(session, "us-east-1", backoff, self.per_second)

    def run(
        self,
        dry: bool = False,
        stopped: Callable[[], bool] = lambda: False,
        plan_options: PlanOptions | None = None,
        quotas: CenterQuotas | None = None,
        timeout: float = 30.0,
        **choices: bool,
    ) -> list[str]:
        """The failures of a run over all intents."""
        self.org.clear_calls()
        self.said = []
        options = None if dry else self.options(timeout, stopped)
        return provision(
            self.fleet,
            self.center(),
            self.said.append,
            options,
            RunOptions(Choices(**choices), plan_options or PlanOptions(), quotas or CenterQuotas()),
        )

    def audit(self) -> list[str]:
        """What an audit over all intents finds wider."""
        self.org.clear_calls()
        self.said = []
        return audit(self.fleet, self.center(), self.said.append)

    def forget(self) -> None:
        """The next run is over other intents; what earlier runs left stays."""
        for each in self.output.rglob(INTENTS_FILE):
            each.unlink()

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
        self.org.clear_calls()
        self.said = []
        _, name = run_of_result(str(result))
        options = None if dry else self.options(timeout)
        undo_options = UndoOptions(read_users, digest=digest, accepted=lambda: accepted)
        return undo(self.store, name, self.center, say or self.said.append, options, undo_options)

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
    sso = fleet.org.client("sso-admin")
    given = {"InstanceArn": fleet.instance.arn, "PermissionSetArn": arn}
    policy = {**given, "ManagedPolicyArn": "arn:aws:iam::aws:policy/AdministratorAccess"}
    sso.attach_managed_policy_to_permission_set(**policy)
    asked = sso.provision_permission_set(**given, TargetType="ALL_PROVISIONED_ACCOUNTS")
    request = asked["PermissionSetProvisioningStatus"]["RequestId"]
    status = {"InstanceArn": fleet.instance.arn, "ProvisionPermissionSetRequestId": request}
    for _ in range(100):
        found = sso.describe_permission_set_provisioning_status(**status)
        if found["PermissionSetProvisioningStatus"]["Status"] == "SUCCEEDED":
            break
        time.sleep(0.05)
    sso.detach_managed_policy_from_permission_set(**policy)


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
