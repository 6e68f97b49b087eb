# SPDX-License-Identifier: Apache-2.0
"""The checks after each step of the demo, by the files and mails that its commands write.

c7n-org exits with 0 even if a worker dies or a policy is invalid, so the files decide. Each check
returns the faults that it finds; an empty list means that all is as expected.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from aws_local_org.demo.state import AccountState, UserState


def stays(user: UserState) -> bool:
    """True for users that the demo's policies exempt: break-glass users and those of CodeCommit."""
    return user.path.startswith("/emergency/") or user.name.startswith("git-")


def leaving(account: AccountState) -> set[str]:
    """The names of the users that must be deleted."""
    return {user.name for user in account.users if not stays(user)}


def flag_faults(account: AccountState, output: PolicyOutput) -> list[str]:
    """Exactly the users without an exemption must be flagged."""
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


@dataclass(frozen=True)
class PolicyOutput:
    """``<step output>/<account name>/<region>/<policy>``."""

    directory: Path

    @property
    def ran(self) -> bool:
        """Whether the policy ran far enough to select resources."""
        return (self.directory / "resources.json").exists()

    @property
    def user_names(self) -> set[str]:
        """The names of the users that the policy's filters let through."""
        return {resource["UserName"] for resource in self._load("resources.json")}

    def outcomes(self) -> dict[str, str]:
        """User name -> status of ``outcomes.json``."""
        return {row["user"]: row["status"] for row in self._load("outcomes.json")}

    def snapshots(self) -> set[str]:
        """The names of the users that have a snapshot."""
        files = (self.directory / "snapshots").glob("*.json")
        return {json.loads(path.read_text())["user"]["UserName"] for path in files}

    def unfinished_calls(self) -> list[str]:
        """Calls that the journal began and did not end, or ended as failed."""
        path = self.directory / "journal.jsonl"
        lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        begun = [_call(line) for line in lines if line["phase"] == "before"]
        ended = [_call(line) for line in lines if line["phase"] == "after" and line["result"] != "failed"]
        return sorted(set(begun) - set(ended))

    def _load(self, name: str) -> list[dict[str, Any]]:
        path = self.directory / name
        rows: list[dict[str, Any]] = json.loads(path.read_text()) if path.exists() else []
        return rows


def _call(line: dict[str, Any]) -> str:
    return f"{line['user']}: {line['operation']} {json.dumps(line['parameters'], sort_keys=True)}"


def mails(directory: Path) -> list[EmailMessage]:
    """The mails that the SMTP sink has received, oldest first."""
    files = sorted(directory.glob("*.eml"))
    return [message_from_bytes(path.read_bytes(), policy=policy.default) for path in files]
