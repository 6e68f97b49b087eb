# SPDX-License-Identifier: Apache-2.0
"""Known gaps: what the explorer finds, and what stays so for now. A ratchet: entries only go."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Gap:
    """``traces``, ``broken``: patterns of the traces, and of what they break. ``why``: in words, for the page.

    ``witness``: a trace that shows it. Once it holds, the entry has to go.
    """

    traces: str
    broken: str
    witness: str
    why: str

    def covers(self, trace: str, broken: str) -> bool:
        """Whether ``broken`` of ``trace`` is this gap."""
        return bool(re.fullmatch(self.traces, trace) and re.fullmatch(self.broken, broken))


GAPS = (
    Gap(
        r".*(delete|restore).*: .*deny-undone@.*",
        r"never wider: run 1, iam:\w+(#\d+)?: .*",
        "delete-resumed: deny-undone@RemoveUserFromGroup#2",
        "Somebody may take our Deny off and give back what allows something, but not the Denies that are "
        "not there yet, or no more. The user can then do more than before, until the run finds that and puts the Deny "
        "on again. A deletion looks right before each removal of what denies, with no other call in between; a "
        "restoration before each of its calls.",
    ),
    Gap(
        "(quarantine|brownout).*: .*deny-(removed|undone)@.*",
        r"outcome: run 1: it says (quarantined|browned-out): she may .*",
        "quarantine-keep: deny-removed@GetUserPolicy#4",
        "Whoever takes the Deny off between the last look of a quarantine or brownout and its outcome is not seen by "
        "that run. The next one finds that the Deny is gone, and says so.",
    ),
    Gap(
        "(provision|prune): .*set-widened@.*",
        r"never wider: run \d, .*given .*AdministratorAccess.*",
        "provision: set-widened@CreateAccountAssignment",
        "A permission set is compared before it is assigned, and not again right before people join its group. If "
        "somebody adds a policy to the set in between, these people get it too, as they would a minute later.",
    ),
    Gap(
        ".*: .*clock-forward@.*",
        r"converges: run \d: it failed: .*the notices can't be read and written.*",
        "announce: clock-forward@ListUsers",
        "A record with a time in the future may be forged, so nobody is addressed while one is there. If a clock was "
        "a day ahead and is right again, runs end with an error that names the record to move away.",
    ),
    Gap(
        ".*: .*clock-back@.*",
        r"mail: run 2, .*: it says of \w+ what the last one said: (deleted|quarantined|browned-out|released)",
        "release: clock-back@ListAccountAliases",
        "If the clock is set back between a change and its message, the record of the message is older than the "
        "change. So the next run tells the owner again.",
    ),
    Gap(
        ".*: .*second-run(-elsewhere)?@.*",
        r"mail: run 1, .*: it says of \w+ what the last one said: .*",
        "composite-delete: second-run@SendMessage",
        "The run lock is held while users are changed, not while owners are told. Of two runs that tell at the same "
        "moment, neither sees the other's record, and the owner hears it twice.",
    ),
    Gap(
        "delete-quarantined: .*(inline-removed|group-left|group-deleted|group-replaced|boundary-removed)@.*",
        r"converges: run \d: (it failed: .*since its quarantine.*|she is there)",
        "delete-quarantined: inline-removed@ListGroupsForUser",
        "A user that has lost something since its quarantine is not deleted, as a deletion with another output may "
        "have begun. The run fails, names what was lost, and leaves it to people.",
    ),
    Gap(
        "brownout: .*clock-back@.*",
        "outcome: run 1: it says browned-out: .*|mail: .*browned-out.*",
        "brownout: clock-back@ListAttachedUserPolicies",
        "The end of a brownout is in its Deny, by the runner's clock. If the clock is a day behind, that end has "
        "passed when the Deny is put. AWS refuses calls of a clock that is five minutes off, so there the run fails. "
        "The local organization doesn't look at the time of a signature.",
    ),
    Gap(
        ".*: outcomes-(edited|removed)@(SendMessage|ListAccountAliases).*",
        r"told: run \d: it changed something, and there is no outcome",
        "brownout: outcomes-removed@SendMessage",
        "Outcomes are written before owners are told. If somebody destroys that file while a message is made and sent, "
        "they are lost there; the journal still has them.",
    ),
)


def new(trace: str, broken: tuple[str, ...]) -> tuple[str, ...]:
    """What of ``broken`` is no known gap."""
    return tuple(each for each in broken if not any(gap.covers(trace, each) for gap in GAPS))
