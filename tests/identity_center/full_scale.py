# SPDX-License-Identifier: Apache-2.0
"""20 accounts with 50 people each, end to end at AWS's own rate; prints figures. Some minutes.

    python -m tests.identity_center.full_scale [--derive] [SECONDS_AN_ASSIGNMENT_TAKES]

Each account's policies run in this process, in ``mode: intent``, as c7n-org would run them; then ``provision``
brings about what they ask for at 20 calls a second, and once more to show that nothing is left to do. Without
``--derive`` ten policies an account ask for ten permission sets: 200 assignments for 1,000 people.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from aws_local_org import LocalOrg, Settings
from aws_local_org.seed import seed
from tests.identity_center.fleet_rehearsal import FleetRehearsal, counted, occupancy
from tests.plugins.provisioning_rehearsal import ACTION
from tests.policies import policy

ACCOUNTS = [f"{number:012d}" for number in range(100000000001, 100000000021)]
USERS, SETS = 50, 10


def main(arguments: list[str]) -> None:
    """One rehearsal."""
    derive = "--derive" in arguments
    seconds = float(next((each for each in arguments if each != "--derive"), 5))
    members = tuple((account, f"account-{account[-2:]}") for account in ACCOUNTS)
    settings = Settings(member_accounts=members, assignment_seconds=seconds)
    with LocalOrg(settings) as org, tempfile.TemporaryDirectory() as output:
        os.environ.update(org.environment())
        _fill(org, derive)
        began = time.monotonic()
        for account in ACCOUNTS:
            _leave_intents(Path(output), account, derive)
        print(f"intents of {len(ACCOUNTS)} accounts: {time.monotonic() - began:.0f} s")
        _provision(FleetRehearsal(org, Path(output), per_second=20.0), seconds)


def _fill(org: LocalOrg, derive: bool) -> None:
    if derive:
        seed(org, seed=7, users_per_account=USERS)
        return
    for account in ACCOUNTS:
        backend = org.backend("iam", account)
        for number in range(USERS):
            name = f"user-{account[-2:]}-{number}"
            tags = [
                {"Key": "Email", "Value": f"{name}@example.com"},
                {"Key": "Set", "Value": str(number % SETS)},
            ]
            with org.lock:
                backend.create_user(org.settings.region, name, tags=tags)


def _leave_intents(output: Path, account: str, derive: bool) -> None:
    if derive:
        action: dict[str, Any] = {
            key: value for key, value in ACTION.items() if key not in ("group", "permission-set")
        }
        _run(
            output, account, [{"tag:Email": "not-null"}], {**action, "derive": {"identity-center-mfa": True}}
        )
        return
    for number in range(SETS):
        requested = {**ACTION["permission-set"], "name": f"Set{number}"}
        action = {**ACTION, "group": f"iam-{account}-{number}", "permission-set": requested}
        _run(output / str(number), account, [{"tag:Set": str(number)}], action)


def _run(output: Path, account: str, filters: list[dict[str, Any]], action: dict[str, Any]) -> None:
    data = {"filters": filters, "actions": [{**action, "mode": "intent"}]}
    found = policy(data, output / account / "us-east-1", account)
    found.expand_variables(found.get_variables())
    found.validate()
    found.run()


def _provision(fleet: FleetRehearsal, seconds: float) -> None:
    began = time.monotonic()
    failures = fleet.run()
    took, calls = time.monotonic() - began, fleet.org.calls
    times = [call.time.timestamp() for call in calls]
    print(*[line for line in fleet.said if line.startswith(("Derived", "Plan", "Done"))], sep="\n")
    print(f"provision: {took:.0f} s, {len(calls)} calls, {len(calls) / (times[-1] - times[0]):.1f} a second")
    print(f"failures: {len(failures)}; refused by AWS: {sum(bool(call.error_code) for call in calls)}")
    print(f"assignments: {len(fleet.assigned())}, {seconds:g} s each; people: {len(fleet.usernames())}")
    print(f"slots in use while assignments waited: {occupancy(calls, seconds):.1%}")
    print(dict(sorted(counted(calls).items(), key=lambda item: -item[1])[:8]))
    fleet.run()
    print(f"again: {fleet.said[-2]} {len(fleet.mutations())} changing calls")


if __name__ == "__main__":
    main(sys.argv[1:])
