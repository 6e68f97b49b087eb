# SPDX-License-Identifier: Apache-2.0
"""What the demo must have brought about. Each check gives the faults it found; none means that it holds. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from email.message import EmailMessage

from c7n_iamusers.rehearsal.outputs import PolicyOutput
from c7n_iamusers.rehearsal.state import AccountState, UserState


def stays(user: UserState) -> bool:
    """True for those whom the demo's policies exempt: the break-glass users and those of CodeCommit."""
    return user.path.startswith("/emergency/") or user.name.startswith("git-")


def leaving(account: AccountState) -> set[str]:
    """The names of the users that must go."""
    return {user.name for user in account.users if not stays(user)}


def flag_faults(account: AccountState, output: PolicyOutput) -> list[str]:
    """Flagged must be exactly those that no exemption protects."""
    if not output.ran:
        return [f"{account.name}: the policy did not run, see {output.directory}"]
    return _difference(f"{account.name}: flagged", leaving(account), output.user_names)


def mail_faults(
    account: AccountState, owners: Iterable[str], subject: str, mails: list[EmailMessage]
) -> list[str]:
    """Each owner must have a mail of that subject about the account, and together they must name every user."""
    faults = []
    for owner in owners:
        text = "\n".join(
            _text(mail) for mail in mails if owner in str(mail["To"]) and mail["Subject"] == subject
        )
        if account.account_id not in text:
            faults.append(
                f"{account.name}: {owner} has no mail {subject!r} about account {account.account_id}"
            )
        faults += [
            f"{account.name}: the mail {subject!r} misses {name}"
            for name in sorted(leaving(account))
            if name not in text
        ]
    return faults


def access_faults(account: AccountState, access: Mapping[str, str]) -> list[str]:
    """Every person who leaves and has an e-mail must have access through Identity Center, and nobody else."""
    expected = {user.email for user in account.users if user.email and not stays(user)}
    return _difference(f"{account.name}: access through Identity Center", expected, set(access))


def deletion_faults(before: AccountState, after: AccountState, output: PolicyOutput) -> list[str]:
    """Only the exempt are left, no MFA device is orphaned, and each deletion has its snapshot and journal."""
    left = _difference(
        f"{before.name}: users left",
        {u.name for u in before.users if stays(u)},
        {u.name for u in after.users},
    )
    orphans = _difference(
        f"{before.name}: orphaned MFA devices", set(before.orphaned_mfa), set(after.orphaned_mfa)
    )
    snapshots = _difference(f"{before.name}: snapshots", leaving(before), output.snapshots())
    deleted = {name for name, status in output.outcomes().items() if status == "deleted"}
    outcomes = _difference(f"{before.name}: outcomes deleted", leaving(before), deleted)
    journal = [f"{before.name}: call not ended: {call}" for call in output.unfinished_calls()]
    return [*left, *orphans, *snapshots, *outcomes, *journal]


def _difference(what: str, expected: set[str], found: set[str]) -> list[str]:
    missing = [f"{what}: {name} is missing" for name in sorted(expected - found)]
    return missing + [f"{what}: {name} is too many" for name in sorted(found - expected)]


def _text(mail: EmailMessage) -> str:
    # the user names of the mail are HTML-escaped; none of the characters that IAM allows needs it but "+" and "="
    return str(mail.get_content()).replace("&#43;", "+").replace("&#61;", "=")
