# SPDX-License-Identifier: Apache-2.0
"""What ``c7n-iamusers restore`` prints about a user and its plan."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from c7n_iamusers_cli.output import print_table, say

if TYPE_CHECKING:
    from c7n_iamusers.execution.executor import CallFailed
    from c7n_iamusers.restoration.plan import Restoration
    from c7n_iamusers.restoration.rights import RightsChange
    from c7n_iamusers.restoration.snapshot_files import RestorableUser

#: The results for a user.
RESTORED, SAME, LEFT, FAILED = "restored", "restored already", "left alone", "not restored"
#: Why else a user with a new unique id may do more, unread here: printed once per account.
NOT_LOOKED_AT = (
    "not looked at: trust policies of roles in other accounts, the policies of buckets, keys and other resources, "
    "and those of the organization. An Allow or a Deny there that names a deleted user, as Principal or by its "
    "unique id, no longer holds for the restored one: the policy's owner must save the ARN again"
)


#: Parameters of which the first line says what they are.
_SHORTENED = ("CertificateBody", "SSHPublicKeyBody")


def print_accounts(results: dict[str, list[str]], dry_run: bool) -> None:
    """A table: account -> the number of its users with each result."""
    columns = (RESTORED, SAME, LEFT, FAILED)
    counts = [(account_id, Counter(became)) for account_id, became in results.items()]
    head = ("account", "would be restored" if dry_run else RESTORED, *columns[1:])
    print_table(head, [(account_id, *(count[column] for column in columns)) for account_id, count in counts])


def way_without(error: CallFailed, found: RestorableUser) -> str:
    """How to restore the user without the part that ``error`` concerns, in words; empty if it concerns none."""
    from c7n_iamusers.restoration.cannot_come_back import part_of, parts

    part = part_of(error.call)
    known = any(part in parts(snapshot) for snapshot in found.recorded.snapshots)
    return f". If AWS refuses it for good, --without {shlex.quote(part)} restores the rest" if known else ""


def left_alone(planned: Restoration) -> str:
    """Why only --user changes the user, in words; empty if it is restored without."""
    name = planned.plan.subject.name
    if planned.user_exists and not planned.plan.calls:
        return "still exists: nothing to restore"
    if planned.user_exists:
        return (
            f"still exists and is left alone: give --user {name} to restore what was removed from it, by "
            f"{len(planned.plan.calls)} calls"
        )
    if planned.deleted_by_others:
        return f"was deleted by somebody else and is left alone: give --user {name} to restore it"
    return ""


def print_plan(planned: Restoration, change: RightsChange, planned_only: bool) -> None:
    """What is done, or with ``planned_only`` would be done, and all that somebody must know or accept first."""
    calls = planned.plan.calls
    doing = "would be restored" if planned_only else "is being restored"
    done = "has everything back" if change.wider or change.unknown else "is restored already"
    say(f"{planned.plan.subject} {f'{doing} by {len(calls)} calls' if calls else done}")
    if planned_only:
        for call in calls:
            say(f"  {call.permission} {_shown(call.parameters)}")
    for title, lines in (
        ("can't be restored", planned.lost),
        ("note", planned.notes),
        ("it could do more than before", change.wider),
        ("its rights can't be compared", change.unknown),
        ("AWS changed its own policy", change.by_aws),
    ):
        for line in lines:
            say(f"  {title}: {line}")


def _shown(parameters: Mapping[str, Any]) -> str:
    """``parameters`` on one line, with only the first line of a certificate or public key. Documents stand whole."""
    import json

    def first(name: str, value: Any) -> Any:
        line, *more = str(value).splitlines() or [""]
        return f"{line} ..." if name in _SHORTENED and more else value

    return json.dumps(
        {name: first(name, value) for name, value in parameters.items()}, default=str, ensure_ascii=False
    )
