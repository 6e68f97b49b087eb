# SPDX-License-Identifier: Apache-2.0
"""``c7n-iamusers guardrail --check``: whose calls of the last 90 days the policy would have denied."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from c7n_iamusers_cli.organization_checks import probes_of
from c7n_iamusers_cli.output import end_check, print_json, progress_bar, say

if TYPE_CHECKING:
    from c7n_iamusers.organization.preflight_checks import Probes
    from c7n_iamusers.organization.readiness import Target
    from c7n_iamusers.roles.guardrail import Guardrail
    from c7n_iamusers.roles.guardrail_history import DeniedCalls

#: Accounts at once. CloudTrail's quota of two calls a second is per account.
_WORKERS = 8


def check(guardrail: Guardrail, targets: Sequence[Target], as_json: bool) -> None:
    """Print who called what. Ends with 1 if an account can't be read, otherwise with 3 if somebody would be denied."""
    found, problems = list["DeniedCalls"](), list[str]()
    probes = probes_of(targets)
    with ThreadPoolExecutor(_WORKERS) as pool, progress_bar("accounts") as progress:
        for number, (rows, problem) in enumerate(
            pool.map(lambda each: _of_account(probes, each, guardrail), targets), 1
        ):
            found += rows
            problems += [problem] if problem else []
            progress(number, len(targets))
    read = len(targets) - len(problems)
    if as_json:
        denied = [{**asdict(each), "last": each.last.isoformat()} for each in found]
        print_json({"denied": denied, "accounts": len(targets), "read": read, "problems": problems})
    else:
        for line in _lines(found):
            say(line)
    for problem in problems:
        say(problem, err=True)
    principals = len({(each.account, each.principal) for each in found})
    total = sum(each.count for each in found)
    known = (
        f", as far as is known: {read} of the {len(targets)} accounts were read to the end"
        if problems
        else ""
    )
    say(f"{total} calls by {principals} principals in 90 days would have been denied{known}", err=True)
    end_check(len(problems), len(found))


def _of_account(probes: Probes, target: Target, guardrail: Guardrail) -> tuple[tuple[DeniedCalls, ...], str]:
    """The calls, and why some are unknown, or empty."""
    from botocore.exceptions import BotoCoreError, ClientError

    from c7n_iamusers.evidence.event_history import named_events
    from c7n_iamusers.exceptions import EvidenceUnreadable
    from c7n_iamusers.roles.guardrail_history import EVENTS, denied_calls

    try:
        client = probes.clients(target)("cloudtrail")
        events, gaps = named_events(client, EVENTS, datetime.now(timezone.utc), probes.backoff)
    except (EvidenceUnreadable, ClientError, BotoCoreError) as error:
        return (), f"{target}: not checked: {error}: allow cloudtrail:LookupEvents to the role"
    missing = f"{target}: not read to the end: {', '.join(gaps)}: ask Athena by --athena" if gaps else ""
    return denied_calls(target.account_id, events, guardrail), missing


def _lines(found: Sequence[DeniedCalls]) -> Iterator[str]:
    for each in found:
        through = f" through {each.through}" if each.through else ""
        last = f"{each.last:%Y-%m-%d %H:%M} UTC"
        yield f"{each.account}  {each.action}  {each.count}  last {last}  {each.principal}{through}"
