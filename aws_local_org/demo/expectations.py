# SPDX-License-Identifier: Apache-2.0
"""Checks after each step of the demo, from AWS's own answers and the commands' files and mails.

c7n-org exits with 0 even if a worker dies or a policy is invalid, so the files decide. AWS's answers on a user decide
whether it must stay, not the policies. Each check returns the faults that it finds, in a list that is empty if all is
as expected.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import astuple, dataclass
from datetime import datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from html import unescape
from pathlib import Path
from typing import Any

from aws_local_org.demo.state import AccountState, UserState

#: The prefix of the names that AWS gives to users of Bedrock API keys.
_BEDROCK = "BedrockAPIKey-"
#: A user whose password or key was used in this many days is active.
ACTIVE_DAYS = 30
#: A part of the subject of announcements, and the numbers of its groups.
ANNOUNCING = r"to be (denied everything on \S+ and )?deleted|: move (it|them) by |, and announced"
_GROUPS = r"(\d+) (?:others? )?(?:IAM users?|in use|without a replacement|left alone)"
#: A part of the subject of a step's mails, as a pattern.
SUBJECTS = {
    "announce": ANNOUNCING,
    "provision": "with access through IAM Identity Center",
    "listen": r"IAM users? denied everything on",
    "attempts": "still in use",
    "remind": ": reminder: ",
    "delete": " deleted",
    "overdue": " overdue, message 1: ",
}


def exempt(user: UserState) -> bool:
    """Whether it is a break-glass or CodeCommit user, which nobody may touch."""
    return user.path.startswith("/emergency/") or user.name.startswith("git-")


def active(user: UserState, at: datetime, days: int = ACTIVE_DAYS) -> bool:
    """Whether its password or a key was used in the last ``days``."""
    return user.last_used is not None and user.last_used > at - timedelta(days=days)


def without_replacement(user: UserState, account: AccountState) -> bool:
    """Whether it may belong to a person without access to the account through Identity Center."""
    return user.is_person and user.email not in account.access


def leaving(account: AccountState) -> set[str]:
    """The names of the users whose owners must be addressed."""
    return {user.name for user in account.users if not exempt(user)}


def recorded_faults(
    account: AccountState, records: Mapping[str, datetime], expected: Set[str], what: str = "announced"
) -> list[str]:
    """The records must say that exactly the ``expected`` users' owners were addressed. ``records``: by unique id."""
    found = {user.name for user in account.users if user.unique_id in records}
    return _difference(f"{account.name}: {what}", set(expected), found)


def mail_faults(
    account: AccountState,
    names: Iterable[str],
    owners: Iterable[str],
    subject: str,
    mails: list[EmailMessage],
) -> list[str]:
    """Each owner must have a mail with a subject like the pattern ``subject``; these must name every user."""
    faults = []
    for owner in owners:
        text = "\n".join(
            _text(mail)
            for mail in mails
            if owner in str(mail["To"]) and re.search(subject, str(mail["Subject"]))
        )
        if account.account_id not in text:
            faults.append(
                f"{account.name}: {owner} has no mail {subject!r} about account {account.account_id}"
            )
        faults += [
            f"{account.name}: the mail {subject!r} misses {name}"
            for name in sorted(names)
            if name not in text
        ]
    return faults


#: The members of this group may do nothing without MFA.
_ONLY_WITH_MFA = "Everyone"


def served(user: UserState) -> bool:
    """Whether its person must get access: it has an e-mail, and the user can use its policies."""
    able = user.has_password or user.has_key
    return (
        bool(user.email) and not exempt(user) and able and (user.has_mfa or _ONLY_WITH_MFA not in user.groups)
    )


def announced_faults(before: AccountState, denied: Set[str], said: Mapping[str, str]) -> list[str]:
    """The announcement must match what the Deny did to each user. ``said``: unique id -> the group.

    People who have got access since leave the group that needs it.
    """
    wrong = {
        user.name: said[user.unique_id]
        for user in before.users
        if (said.get(user.unique_id) == "goes") > (user.name in denied)
        or (said.get(user.unique_id) == "in-use" and user.name in denied)
    }
    return [
        f"{before.account_id}: {name} was {'' if name in denied else 'not '}denied, and its owner was told: {group}"
        for name, group in sorted(wrong.items())
    ]


def access_faults(account: AccountState, access: Iterable[str]) -> list[str]:
    """The people of exactly the users that are ``served`` must have access through Identity Center."""
    expected = {user.email for user in account.users if served(user)}
    return _difference(f"{account.name}: access through Identity Center", expected, set(access))


def changed(before: AccountState, after: AccountState) -> set[str]:
    """The names of the users whose policies changed, because a Deny was put on them."""
    policies = {user.name: user.policies for user in after.users}
    return {user.name for user in before.users if policies.get(user.name, user.policies) != user.policies}


def deleted(before: AccountState, after: AccountState) -> set[str]:
    """The names of the users that are gone."""
    return before.names - after.names


def sparing_faults(
    before: AccountState,
    touched: set[str],
    announced: Mapping[str, datetime],
    days: int,
    done: str,
    is_exempt: Callable[[UserState], bool] = exempt,
    active_days: int = ACTIVE_DAYS,
) -> list[str]:
    """Why something ``done`` to a user should not have been.

    ``before``: right before the step. ``announced``: unique id -> when its owner was addressed, which must be ``days``
    ago.
    """
    return [
        f"{before.name}: {user.name} was {done}, although {reason}"
        for user in before.users
        if user.name in touched
        for reason in (
            *(["it is exempt"] if is_exempt(user) else []),
            *_reasons_to_stay(user, before, announced.get(user.unique_id), days, active_days),
        )
    ]


def _reasons_to_stay(
    user: UserState, account: AccountState, announced: datetime | None, days: int, active_days: int
) -> Iterator[str]:
    if active(user, account.at, active_days):
        yield f"it was used on {user.last_used:%Y-%m-%d}, within {active_days} days"
    if user.trusted_by:
        yield f"the role {user.trusted_by[0]} trusts it"
    if without_replacement(user, account):
        yield "its person has no access through Identity Center"
    if announced is None:
        yield "its owner was not addressed"
    elif announced > account.at - timedelta(days=days):
        yield f"its owner was addressed on {announced:%Y-%m-%d}, less than {days} days before"


def quarantine_faults(before: AccountState, after: AccountState, output: PolicyOutput) -> list[str]:
    """Nobody is gone, and the outcomes name the users with a new Deny."""
    if not output.ran:
        return [f"{before.name}: a policy did not run, see {output}"]
    gone = [f"{before.name}: {name} is gone" for name in sorted(deleted(before, after))]
    named = _difference(
        f"{before.name}: outcomes quarantined", changed(before, after), output.users("quarantined")
    )
    return [*gone, *named, *_unfinished(before, output)]


def deletion_faults(before: AccountState, after: AccountState, output: PolicyOutput) -> list[str]:
    """Each deletion has its outcome, snapshot and journal, and no MFA device is orphaned."""
    if not output.ran:
        return [f"{before.name}: a policy did not run, see {output}"]
    gone = deleted(before, after)
    orphans = _difference(
        f"{before.name}: orphaned MFA devices", set(before.orphaned_mfa), set(after.orphaned_mfa)
    )
    outcomes = _difference(f"{before.name}: outcomes deleted", gone, output.users("deleted"))
    snapshots = [f"{before.name}: snapshots: {name} is missing" for name in sorted(gone - output.snapshots())]
    journal = [f"{before.name}: journal: {name} is missing" for name in sorted(gone - output.journaled())]
    return [*orphans, *outcomes, *snapshots, *journal, *_unfinished(before, output)]


def unreplaced(before: AccountState, after: AccountState) -> list[str]:
    """The names of deleted people without access through Identity Center afterwards."""
    gone = deleted(before, after)
    return [user.name for user in before.users if user.name in gone and without_replacement(user, after)]


def attempted_faults(account: AccountState, output: PolicyOutput, expected: set[str]) -> list[str]:
    """The policy of attempts must have seen attempts of exactly these users."""
    if not output.ran:
        return [f"{account.name}: a policy did not run, see {output}"]
    return _difference(f"{account.name}: attempts", expected, output.selected())


def stop_faults(before: AccountState, after: AccountState, output: PolicyOutput, code: int) -> list[str]:
    """A deletion under a file STOP must touch nobody, end with an error and name the file."""
    named = any(row["code"] == "Stopped" for row in output.outcomes())
    return [
        *([] if code else [f"{before.name}: the deletion ended with 0 despite STOP"]),
        *([] if named else [f"{before.name}: no outcome of the deletion names STOP"]),
        *(
            f"{before.name}: {name} was touched despite STOP"
            for name in sorted(deleted(before, after) | changed(before, after))
        ),
    ]


def left_faults(
    after: AccountState, parting: AccountState, exempt_names: Set[str], reasons: Mapping[str, str], days: int
) -> list[str]:
    """Every remaining user must be exempt or active, or have another reason from AWS or an outcome.

    ``parting``: right before the Deny. ``reasons``: user -> the reason of its latest outcome.
    """
    known = {user.name: user for user in parting.users}
    return [
        f"{after.name}: {user.name} is left, and nothing says why"
        for user in after.users
        if user.name not in exempt_names
        and not reasons.get(user.name)
        and not (user.name in known and why_left(known[user.name], parting, True, days))
    ]


def population_faults(before: AccountState, gone: set[str]) -> list[str]:
    """At least one machine and one person must be gone."""
    return [
        f"{before.name}: no {kind} was deleted, so the checks had nothing to find"
        for kind, is_person in (("person", True), ("machine", False))
        if not any(user.name in gone and user.is_person == is_person for user in before.users)
    ]


def why_left(user: UserState, account: AccountState, announced: bool, active_days: int) -> str:
    """The first reason to leave a user alone, right before the quarantine. Empty if none is known."""
    if not announced:
        return "exempt, or not selected by flag-and-notify.yml"
    if active(user, account.at, active_days):
        return f"active: used in the {active_days} days before the quarantine"
    if without_replacement(user, account):
        return "a person without access through Identity Center"
    if user.trusted_by:
        return "a role trusts it"
    return "a Bedrock API key, whose use AWS does not tell" if user.name.startswith(_BEDROCK) else ""


@dataclass(frozen=True)
class Numbers:
    """The numbers of an account's users: of all at any time, and of those announced, gone, left and exempt."""

    users: int
    announced: int
    deleted: int
    left: int
    exempt: int


def numbers_of(
    before: AccountState, after: AccountState, announced: int, is_exempt: Callable[[UserState], bool]
) -> Numbers:
    """The numbers of an account from AWS's own answers. ``announced``: users with a recorded announcement."""
    had = {user.unique_id for each in (before, after) for user in each.users}
    exempted = sum(map(is_exempt, after.users))
    return Numbers(len(had), announced, len(deleted(before, after)), len(after.users), exempted)


def number_faults(
    expected: Mapping[str, Numbers], report: Mapping[str, Any], said: str, mails: Iterable[EmailMessage]
) -> list[str]:
    """The report, its terminal output and the mails must have the same numbers.

    ``expected``: account id -> its numbers. ``report``: in JSON.
    """
    rows = {row["account"]: row for row in report["accounts"]}
    rows |= {"all accounts": {**report["totals"]}}
    every = {
        **expected,
        "all accounts": Numbers(*map(sum, zip(*map(astuple, expected.values()), strict=True))),
    }
    found = [
        (f"{name}: {key} in the report", getattr(numbers, key), rows.get(name, {}).get(key))
        for name, numbers in every.items()
        for key in ("users", "left", "exempt")
    ]
    whole = every["all accounts"]
    counted = {row["policy"]: row for row in report["policies"]}
    gone = sum(row["outcomes"].get("deleted", 0) for row in counted.values())
    found += [
        ("deleted in the report", whole.deleted, report["totals"]["deleted"]),
        ("deleted by the policies of the report", whole.deleted, gone),
        ("selected to be announced in the report", whole.announced, counted["iam-users-flag"]["selected"]),
        *_on_the_terminal(said, len(expected), whole),
        *_in_mails(expected, list(mails)),
    ]
    return [f"{what}: {other}, and not {number}" for what, number, other in found if number != other]


def _on_the_terminal(said: str, accounts: int, whole: Numbers) -> Iterator[tuple[str, int, int | None]]:
    pattern = (
        r"(\d+) users? seen in (\d+) accounts?: (\d+) deleted, 0 deleted by others, (\d+) still there, "
        r"of which (\d+) are exempt"
    )
    line = re.search(pattern, said)
    expected = {
        "users": whole.users,
        "accounts": accounts,
        "deleted": whole.deleted,
        "left": whole.left,
        "exempt": whole.exempt,
    }
    for at, (what, number) in enumerate(expected.items(), 1):
        yield f"{what} on the terminal", number, int(line[at]) if line else None


def _in_mails(
    expected: Mapping[str, Numbers], mails: Sequence[EmailMessage]
) -> Iterator[tuple[str, int, int | None]]:
    for account_id, numbers in expected.items():
        about = [str(mail["Subject"]) for mail in mails if account_id in _text(mail)]
        said = {
            "announced": sum(
                int(number)
                for each in about
                if re.search(ANNOUNCING, each) and ": reminder: " not in each
                for number in re.findall(_GROUPS, each)
            ),
            "deleted": sum(
                int(found[1])
                for each in about
                if (found := re.match(r"[^:]*: (\d+) IAM users? deleted", each))
            ),
        }
        for what, number in said.items():
            yield f"{account_id}: {what} in the subjects of mails", getattr(numbers, what), number


def _unfinished(account: AccountState, output: PolicyOutput) -> list[str]:
    return [f"{account.name}: call not ended: {call}" for call in output.unfinished_calls()]


def _difference(what: str, expected: set[str], found: set[str]) -> list[str]:
    missing = [f"{what}: {name} is missing" for name in sorted(expected - found)]
    return missing + [f"{what}: {name} is too many" for name in sorted(found - expected)]


def _text(mail: EmailMessage) -> str:
    # the user names of the mail are HTML-escaped; none of the characters that IAM allows needs it but "+" and "="
    # the tags that part a name for mail programs are none of what people read
    return unescape(re.sub(r"</?span>", "", str(mail.get_content())))


@dataclass(frozen=True)
class PolicyOutput:
    """The outputs of one file's policies for an account: ``<step output>/<account name>/<region>/<policy>``."""

    directories: tuple[Path, ...]

    def __str__(self) -> str:
        return ", ".join(map(str, self.directories))

    @property
    def ran(self) -> bool:
        """Whether the policies ran far enough to select resources."""
        return all((directory / "resources.json").exists() for directory in self.directories)

    def outcomes(self) -> list[dict[str, Any]]:
        """The rows of ``outcomes.json``, one per user."""
        return self._rows("outcomes.json")

    def selected(self) -> set[str]:
        """The names of the users that the policies selected."""
        return {row["UserName"] for row in self._rows("resources.json")}

    def users(self, status: str) -> set[str]:
        """The names of the users that ``outcomes.json`` has with this status."""
        return {row["user"] for row in self.outcomes() if row["status"] == status}

    def snapshots(self) -> set[str]:
        """The names of the users that have a snapshot."""
        files = (path for directory in self.directories for path in (directory / "snapshots").glob("*.json"))
        return {json.loads(path.read_text())["user"]["UserName"] for path in files}

    def journaled(self) -> set[str]:
        """The names of the users whose DeleteUser the journal has as done."""
        ended = (line for line in self._journal() if line["phase"] == "after" and line["result"] != "failed")
        return {line["user"] for line in ended if line["operation"] == "DeleteUser"}

    def unfinished_calls(self) -> list[str]:
        """Calls that began in the journal and did not end, or failed."""
        begun = [_call(line) for line in self._journal() if line["phase"] == "before"]
        ended = [
            _call(line) for line in self._journal() if line["phase"] == "after" and line["result"] != "failed"
        ]
        return sorted(set(begun) - set(ended))

    def _journal(self) -> list[dict[str, Any]]:
        paths = [directory / "journal.jsonl" for directory in self.directories]
        return [json.loads(line) for path in paths if path.exists() for line in path.read_text().splitlines()]

    def _rows(self, name: str) -> list[dict[str, Any]]:
        paths = [directory / name for directory in self.directories]
        return [row for path in paths if path.exists() for row in json.loads(path.read_text())]


def _call(line: dict[str, Any]) -> str:
    return f"{line['user']}: {line['operation']} {json.dumps(line['parameters'], sort_keys=True)}"


def mails(directory: Path) -> list[EmailMessage]:
    """The mails that the SMTP sink has received, oldest first."""
    files = sorted(directory.glob("*.eml"))
    return [message_from_bytes(path.read_bytes(), policy=policy.default) for path in files]
