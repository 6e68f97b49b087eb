# SPDX-License-Identifier: Apache-2.0
"""Deriving permission sets for a large organization, and a run over it that finds nothing to do.

    python -m benchmarks.identity_center [derive|unchanged] [ACCOUNTS] [USERS_AN_ACCOUNT]

``derive``: from intents on disk to the report, in a process of its own: CPU seconds, beside those that parsing the
intents alone takes, and peak memory. ``unchanged``: how many calls a run makes that changes nothing, beside the floor:
one call an account for its permission sets, one for each of them, and one for the members of each group.
"""

from __future__ import annotations

import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from aws_local_org import LocalOrg, Settings
from benchmarks.measurement import ROOT, BenchmarkError
from c7n_iamusers.aws.retries import Backoff
from c7n_iamusers.fleet.center import connect
from c7n_iamusers.fleet.derivation_report import DERIVATION_FILE, write_derivation_report
from c7n_iamusers.fleet.intent_files import write_intents
from c7n_iamusers.fleet.provisioning import Belief, provision, read_fleet
from c7n_iamusers.identity_center.writer.writer import ApplyOptions
from c7n_iamusers.model.calls import Subject
from c7n_iamusers.model.identity_center import Person
from c7n_iamusers.model.intents import INTENTS_FILE, Intents, PolicySource, UserIntent

#: Policies of an account that users have, of which each has two; three groups an account where users have one.
POLICIES, OWN_POLICIES = 10, 2
_ALLOW = {"Effect": "Allow", "Resource": "*"}
_OWN_KEYS = {**_ALLOW, "Action": "iam:ChangePassword", "Resource": "arn:aws:iam::*:user/${aws:username}"}
_FORCE_MFA = {
    "Effect": "Deny",
    "Action": "*",
    "Resource": "*",
    "Condition": {"BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}},
}


@dataclass(frozen=True)
class Derived:
    """``seconds``, ``floor``: of CPU; ``peak``, ``report``: MB."""

    accounts: int
    users: int
    sets: int
    seconds: float
    floor: float
    peak: float
    report: float


@dataclass(frozen=True)
class Unchanged:
    """``calls``: of a run that changes nothing; ``floor``: the fewest."""

    accounts: int
    groups: int
    users: int
    calls: int
    floor: int


@dataclass(frozen=True)
class CenterFigures:
    """What Identity Center's part takes in a large organization."""

    derived: Derived
    unchanged: Unchanged


def main(arguments: list[str]) -> None:
    """One measurement, printed as JSON."""
    what = arguments[0] if arguments else "derive"
    accounts, users = (int(each) for each in (*arguments[1:3], *("400", "200")[len(arguments[1:3]) :]))
    found = derive(accounts, users) if what == "derive" else unchanged(accounts, users)
    print(json.dumps(asdict(found)))


def measured_derivation(accounts: int, users: int) -> Derived:
    """Raises BenchmarkError where it fails."""
    return Derived(**_of_a_process("derive", accounts, users))


def measured_unchanged(accounts: int, users: int) -> Unchanged:
    """Raises BenchmarkError where it fails."""
    return Unchanged(**_of_a_process("unchanged", accounts, users))


def _of_a_process(what: str, accounts: int, users: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.identity_center", what, str(accounts), str(users)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise BenchmarkError(f"{' '.join(command[1:])} ended with {done.returncode}: {done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def derive(accounts: int, users: int) -> Derived:
    """Every user has two of its account's ten policies, a group's, and an inline one."""
    with tempfile.TemporaryDirectory() as directory:
        output = Path(directory)
        if child := os.fork():
            os.waitpid(child, 0)  # the making of intents is not measured
        else:
            _leave(output, accounts, users, _of_derivation)
            os._exit(0)
        began = time.process_time()
        fleet = read_fleet(output, belief=Belief(trusted=True))
        list(write_derivation_report(output, fleet.deriving.derivations))
        ended, peak = time.process_time(), _peak()
        (derivation,) = fleet.deriving.derivations
        if refused := derivation.refused:
            raise BenchmarkError(f"{len(refused)} users refused: {refused[0].reason}")
        size = (output / DERIVATION_FILE).stat().st_size / 1e6
        parsing = time.process_time()
        for path in output.rglob(INTENTS_FILE):
            json.loads(path.read_text(encoding="utf-8"))
        floor = time.process_time() - parsing
        return Derived(accounts, accounts * users, len(derivation.sets), ended - began, floor, peak, size)


def unchanged(accounts: int, users: int) -> Unchanged:
    """Three groups an account, and ``users`` people in all of them together."""
    members = tuple((f"{100000000001 + number:012}", f"account-{number}") for number in range(accounts))
    with (
        LocalOrg(Settings(member_accounts=members, assignment_seconds=0)) as org,
        tempfile.TemporaryDirectory() as at,
    ):
        os.environ["XDG_CACHE_HOME"] = at
        output = Path(at) / "output"
        _leave(output, accounts, users, _of_three_groups)
        center = connect(org.session(), "us-east-1", Backoff(base=0.01, cap=0.05, budget=30.0), 10_000)
        fleet = read_fleet(output, belief=Belief(trusted=True))
        failures = provision(fleet, center, lambda _: None, ApplyOptions(120.0))
        made = Counter(call.operation for call in org.calls)["CreateAccountAssignment"]
        org.clear_calls()
        said: list[str] = []
        fleet = read_fleet(output, belief=Belief(trusted=True))
        failures += provision(fleet, center, said.append, ApplyOptions(120.0))
        calls = len(org.calls)
    if failures or "Nothing to do." not in said:
        raise BenchmarkError(f"the second run had something to do: {[*failures, *said][:3]}")
    return Unchanged(accounts, made, accounts * users, calls, accounts + 2 * made)


def _leave(output: Path, accounts: int, users: int, policies: Any) -> None:
    chance = random.Random(7)
    for number in range(accounts):
        account = f"{100000000001 + number:012}"
        documents = {f"arn:aws:iam::{account}:policy/Team{each}": _team(each) for each in range(POLICIES)}
        found = tuple(_user(account, each, policies(account, each, chance)) for each in range(users))
        everyone = {
            "GroupPolicyList": [
                {"PolicyName": "Own", "PolicyDocument": _document(_OWN_KEYS)},
                {"PolicyName": "MFA", "PolicyDocument": _document(_FORCE_MFA)},
            ],
            "AttachedManagedPolicies": [],
        }
        source = PolicySource({"Everyone": everyone}, documents)
        intents = Intents(
            account, "derive", found, derive={"identity-center-mfa": True}, source=source, place=account
        )
        write_intents(output / account / "us-east-1" / "derive", intents)


def _of_derivation(account: str, number: int, chance: random.Random) -> dict[str, Any]:
    attached = chance.sample(range(POLICIES), OWN_POLICIES)
    inline = {**_ALLOW, "Action": ["s3:Get*", "s3:List*"], "Resource": f"arn:aws:s3:::data-{number % 5}/*"}
    return {
        "AttachedManagedPolicies": [
            {"PolicyArn": f"arn:aws:iam::{account}:policy/Team{each}"} for each in attached
        ],
        "UserPolicyList": [{"PolicyName": "Data", "PolicyDocument": _document(inline)}],
        "GroupList": ["Everyone"],
    }


def _of_three_groups(_account: str, number: int, _chance: random.Random) -> dict[str, Any]:
    inline = {"PolicyName": "Team", "PolicyDocument": _team(number % 3)}
    return {"AttachedManagedPolicies": [], "UserPolicyList": [inline], "GroupList": []}


def _team(number: int) -> dict[str, Any]:
    return _document({**_ALLOW, "Action": f"svc{number}:*"}, {**_ALLOW, "Action": "dynamodb:GetItem"})


def _document(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def _user(account: str, number: int, held: dict[str, Any]) -> UserIntent:
    name = f"user-{number}"
    arn, unique_id = f"arn:aws:iam::{account}:user/{name}", f"AIDA{account}{number:04}"
    who = f"{account}-{number}@example.com"
    detail = {"Arn": arn, "UserName": name, "UserId": unique_id, "Tags": [], **held}
    return UserIntent(
        Subject(name, arn, unique_id),
        Person(who, who, "G", "F", name),
        "tag:Email",
        "",
        json.loads(json.dumps(detail)),
    )


def _peak() -> float:
    """MB, of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main(sys.argv[1:])
