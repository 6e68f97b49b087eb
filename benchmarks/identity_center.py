# SPDX-License-Identifier: Apache-2.0
"""Deriving permission sets for a large organization, and a run over it that finds nothing to do.

    python -m benchmarks.identity_center [derive|unchanged] [ACCOUNTS] [USERS_AN_ACCOUNT]

``derive``: from intents on disk to the report, in a process of its own: CPU seconds and peak memory. ``unchanged``: how
many calls a run makes that changes nothing, and how long they take at 20 a second, beside the floor: one call an
account for its permission sets, one for each of them, and one for the members of each group.
"""

from __future__ import annotations

import json
import os
import random
import resource
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from c7n_iamusers.aws.retries import Backoff
from c7n_iamusers.fleet.access_run import Manner
from c7n_iamusers.fleet.center import connect
from c7n_iamusers.fleet.derivation_report import DERIVATION_FILE, write_derivation_report
from c7n_iamusers.fleet.intent_files import write_intents
from c7n_iamusers.fleet.provisioning import Belief, provision, read_fleet
from c7n_iamusers.local_org import LocalOrg, Settings
from c7n_iamusers.model.calls import Subject
from c7n_iamusers.model.identity_center import Person
from c7n_iamusers.model.intents import Intents, PolicySource, UserIntent

PER_SECOND = 20
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


def main(arguments: list[str]) -> None:
    """One measurement, printed."""
    what = arguments[0] if arguments else "derive"
    accounts, users = (int(each) for each in (*arguments[1:3], *("400", "200")[len(arguments[1:3]) :]))
    if what == "derive":
        derive(accounts, users)
    else:
        unchanged(accounts, users)


def derive(accounts: int, users: int) -> None:
    """Every user has two of its account's ten policies, a group's, and an inline one."""
    with tempfile.TemporaryDirectory() as directory:
        output = Path(directory)
        if child := os.fork():
            os.waitpid(child, 0)  # the making of intents is not measured
        else:
            _leave(output, accounts, users, _of_derivation)
            os._exit(0)
        began, memory = time.process_time(), _peak()
        fleet = read_fleet(output, belief=Belief(trusted=True))
        read = time.process_time()
        lines = list(write_derivation_report(output, fleet.deriving.derivations))
        ended = time.process_time()
        size = (output / DERIVATION_FILE).stat().st_size
        print(lines[0].partition(". Proofs")[0])
        print(
            f"intents to asks: {read - began:.1f} s of CPU; report: {ended - read:.1f} s, {size / 1e6:.0f} MB"
        )
        print(f"peak memory: {_peak():.0f} MB, {memory:.0f} MB of them before")


def unchanged(accounts: int, users: int) -> None:
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
        failures = provision(
            read_fleet(output, belief=Belief(trusted=True)), center, lambda _: None, Manner(120.0)
        )
        made = Counter(call.operation for call in org.calls)["CreateAccountAssignment"]
        org.clear_calls()
        said: list[str] = []
        provision(read_fleet(output, belief=Belief(trusted=True)), center, said.append, Manner(120.0))
        calls = Counter(call.operation for call in org.calls)
    floor = accounts + 2 * made
    print(f"{accounts} accounts, {made} groups, {accounts * users} users, {len(failures)} failures at first")
    print(said[-2])
    print(f"calls: {sum(calls.values())} ({sum(calls.values()) / PER_SECOND:.0f} s at {PER_SECOND} a second)")
    print(f"floor: {floor} ({floor / PER_SECOND:.0f} s)")
    print(dict(calls.most_common(8)))


def _leave(output: Path, accounts: int, users: int, policies: Any) -> None:
    chance = random.Random(7)
    for number in range(accounts):
        account = f"{100000000001 + number:012}"
        documents = {f"arn:aws:iam::{account}:policy/Team{each}": _team(each) for each in range(POLICIES)}
        found = tuple(_user(account, each, policies(account, each, chance)) for each in range(users))
        everyone = {
            "GroupName": "Everyone",
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
