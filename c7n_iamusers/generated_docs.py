# SPDX-License-Identifier: Apache-2.0
"""The generated references: ``docs/attachment-kinds.md``, ``findings.md``, ``outcomes.md``, and more."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterable, Mapping

from c7n_iamusers.evidence.finding_case import FindingRule
from c7n_iamusers.evidence.findings import FINDING_RULES
from c7n_iamusers.evidence.model import Thresholds
from c7n_iamusers.evidence.replacements import REPLACEMENT_BASIS, REPLACEMENTS
from c7n_iamusers.iam.attachments import ATTACHMENT_KINDS, PERMISSIONS_BOUNDARY, AttachmentKind, Removal
from c7n_iamusers.iam.permissions import (
    BROWNOUT,
    DELETION,
    DENIAL,
    KEY_RETIREMENT,
    KEY_SWITCH,
    QUARANTINE,
    RELEASE,
    RESTORATION,
)
from c7n_iamusers.reasons import REASONS, Kind
from c7n_iamusers.resource_policies.sources import EKS, EKS_PERMISSIONS, LEFT_OUT, SOURCES

_ATTACHMENTS_HEAD = """# Attachments of an IAM user

Everything that this package reads, quarantines, deletes and restores, in the order of deletion: credentials first, then
groups and policies, and last of these what may deny something. The Deny-all is on the user before the first attachment
is removed, and until all are removed. A restoration uses the order of this table, under `AWSDenyAll` as the boundary;
its last call removes that.

| kind | read by | quarantined by | deleted by | restored by |
| --- | --- | --- | --- | --- |
"""
_PERMISSIONS = """
## Permissions

The permissions that each needs in the users' account. `c7n-iamusers permissions --policy FILE` prints a least-privilege
IAM policy for given policies, with resources and conditions. With botocore 1.44 or newer, which can end sign-in
sessions, `composite-delete` and `quarantine` also need `signin:ListSessions` and `signin:BatchRevokeSessions`; a
`brownout` does not.
"""
_NEEDS = (
    ("composite-delete", DELETION),
    ("quarantine", QUARANTINE),
    ("quarantine, credentials: keep", DENIAL),
    ("quarantine, brownout", BROWNOUT),
    ("release", RELEASE),
    ("deactivate, activate", KEY_SWITCH),
    ("retire", KEY_RETIREMENT),
    ("c7n-iamusers restore", RESTORATION),
)


def attachment_reference() -> str:
    """The reference as Markdown."""
    permissions = "".join(
        f"\n`{name}`: {', '.join(f'`{each}`' for each in needs)}\n" for name, needs in _NEEDS
    )
    return _ATTACHMENTS_HEAD + "".join(map(_attachment_line, ATTACHMENT_KINDS)) + _PERMISSIONS + permissions


def _attachment_line(kind: AttachmentKind) -> str:
    cells = (kind.title, _reading(kind), _quarantine(kind), _removal(kind), _restoration(kind))
    return f"| {' | '.join(cells)} |\n"


def _reading(kind: AttachmentKind) -> str:
    if kind.reading is None:
        return "`GetUser`, or in bulk `GetAccountAuthorizationDetails`"
    own = _named(part.operation for part in (kind.reading, kind.detail) if part)
    if kind.reading.bulk == kind.reading.operation:
        return f"{own}, also of all users at once"
    return f"{own}, or in bulk `{kind.reading.bulk}`" if kind.reading.bulk else own


def _quarantine(kind: AttachmentKind) -> str:
    if kind.status_change is None:
        return kind.quarantined_by
    return f"`{kind.status_change.operation}` to Inactive; release sets what was active before to Active"


def _removal(kind: AttachmentKind) -> str:
    return ", then ".join(map(_part, kind.removals)) or "`DeleteUser` removes it"


def _part(removal: Removal) -> str:
    return f"`{removal.operation}`{'' if removal.by_user else ' (virtual ones only)'}"


def _restoration(kind: AttachmentKind) -> str:
    if kind.lost:
        return f"can't be restored: {kind.lost}"
    if kind is PERMISSIONS_BOUNDARY:
        return "`PutUserPermissionsBoundary`, the last call"
    return f"`{kind.restoration.operation}`" if kind.restoration else "`CreateUser` restores it"


def _named(operations: Iterable[str]) -> str:
    return ", ".join(f"`{operation}`" for operation in operations)


_FINDINGS_HEAD = """# Findings

The findings of the filter `unnecessary` and the command `c7n-iamusers evidence`. Ids are stable: match on
them, in `findings: {{any-of: [...], none-of: [...]}}` or in programs that read the annotation. Texts may change.

If the evidence for a finding could not be read, or lacks the user, the finding is neither present nor absent: its id
is in `unknown_findings`, and it matches neither `any-of` nor `none-of`.

Ages are counted up to the time of the credential report. `thresholds.unused` is {unused} days and
`thresholds.rotation` {rotation} days unless the policy says otherwise.

| id | severity | found when | evidence | guidance |
| --- | --- | --- | --- | --- |
"""


def finding_reference() -> str:
    """The reference as Markdown."""
    head = _FINDINGS_HEAD.format(unused=Thresholds().unused, rotation=Thresholds().rotation)
    notes = "".join(f"\n{row.note}\n" for row in FINDING_RULES if row.note)
    return head + "".join(map(_finding_line, FINDING_RULES)) + notes


def _finding_line(row: FindingRule) -> str:
    meaning = " ".join((inspect.getdoc(row.rule) or "").split())
    return f"| `{row.id}` | {row.severity} | {meaning} | {row.rests_on} | {row.basis} |\n"


_OUTCOMES_HEAD = """# Outcomes

The codes of the reasons in `outcomes.json`, plans, reports and resources. If a user's status is enough, the `code` is
empty. Codes are stable: match on them in programs. `reason` is the text for people, and may change.

`also` has the codes of reasons within a reason, and of its notes. `for_owners` is the text for owners, where it
differs: it leaves out what to do. `call` and `error` are the call that failed, and AWS's error code. Another program
wrote a reason without a code: it is only text. `{...}` stands for a parameter.

| code | what it says | what to do |
| --- | --- | --- |
"""


def outcome_reference() -> str:
    """The reference as Markdown."""
    return _OUTCOMES_HEAD + "".join(map(_outcome_line, filter(lambda each: each.code, REASONS.values())))


def _outcome_line(kind: Kind) -> str:
    said = kind.meaning or kind.sentence.removeprefix("{user}: ")
    cells = (
        f"`{kind.code}`",
        *(_PARAMETER.sub(r"{\1}", each) for each in (said, kind.remedy.lstrip(":;., "))),
    )
    return f"| {' | '.join(cells)} |\n"


_REPLACEMENTS_HEAD = """# What replaces a user

The replacements that the annotation (`replacement`), mails and reports name, the best first. Ids are stable. A user
that holds several kinds of credentials gets one for each. What is unknown gets none: nothing is guessed.

| id | replacement | for | source |
| --- | --- | --- | --- |
"""
_REPLACEMENTS_END = """
A service-specific credential is judged by its `ServiceName`; a service that the table does not know gets
`signed-requests`, and its credential is named with its service.

Not covered: the root user, which is no IAM user. In member accounts, central root access removes its password and keys
("Centralize root access for member accounts", IAM User Guide). The management account's own users are users as any
other: give it its place in `accounts.yml`. No service control policy limits them.
"""


def replacement_reference() -> str:
    """The reference as Markdown."""
    rows = (
        f"| `{key}` | {text} | {' | '.join(REPLACEMENT_BASIS[key])} |\n" for key, text in REPLACEMENTS.items()
    )
    return f"{_REPLACEMENTS_HEAD}{''.join(rows)}{_REPLACEMENTS_END}"


_POLICIES_HEAD = """# Resource policies

The resources whose policies can name a user, by the services that the option `blast-radius` and `c7n-iamusers leftovers
--service` take. They are those for which Cloud Custodian has the filter `cross-account`, and it reads them: a test
compares this table with the installed version. What it costs, and what is done with it, is in
[What breaks](blast-radius.md).

| service | resource of Cloud Custodian | actions that reading needs |
| --- | --- | --- |
"""
_NOT_READ_HEAD = """
`ec2:DescribeRegions` is needed beside them, unless the Regions are named. A bucket is read once, whatever its Region;
Multi-Region Access Points are read in us-west-2.

## Left out

Cloud Custodian has the filter for these, too, but no policy of theirs can name a user, or it is read elsewhere.

| resource | why |
| --- | --- |
"""


def policy_source_reference() -> str:
    """The reference as Markdown."""
    rows = [(each.service, f"`{each.resource}`", each.permissions) for each in SOURCES]
    rows.append((EKS, "access entries, by the SDK alone", EKS_PERMISSIONS))
    read = "".join(
        f"| `{service}` | {resource} | {_named(needs)} |\n" for service, resource, needs in sorted(rows)
    )
    return f"{_POLICIES_HEAD}{read}{_NOT_READ_HEAD}" + "".join(
        f"| `{resource}` | {why} |\n" for resource, why in LEFT_OUT.items()
    )


_PARAMETER = re.compile(r"\{(\w+)(?::[^{}]*)?\}")
#: Name of the document in ``docs/``, without extension -> the function that generates it.
REFERENCES: Mapping[str, Callable[[], str]] = {
    "attachment-kinds": attachment_reference,
    "findings": finding_reference,
    "outcomes": outcome_reference,
    "replacements": replacement_reference,
    "resource-policies": policy_source_reference,
}

if __name__ == "__main__":
    print(REFERENCES[sys.argv[1]](), end="")
