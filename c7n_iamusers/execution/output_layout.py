# SPDX-License-Identifier: Apache-2.0
"""What the directories of an output say of a run: its account, Region and policy. Pure.

Cloud Custodian writes to ``<policy>``, c7n-org to ``<account's name>/<region>/<policy>``. In a bucket both add
``<year>/<month>/<day>/<hour>``, and this package's own files lie where the account's id precedes the policy. Functions
write below a directory with the id of their account. Their role can write nowhere else. There may be further
directories above, such as one for each run.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from c7n_iamusers.text.validators import is_account_id

REGION = re.compile(r"[a-z]{2,4}(-[a-z]+)+-\d", re.ASCII)
#: The directories in which Cloud Custodian's files of a run lie in a bucket.
DATE = re.compile(r"\d{4}/\d\d/\d\d/\d\d", re.ASCII)
DATE_PARTS = 4
#: The directories that runs leave, or are given in the documents: of steps, of provisioning, and beside the notices.
DIRECTORIES = frozenset(
    (
        "output flag remind intents moved provision removal attempts your-access release setup realtime cycle plans "
        "runs notices held exempt records identity-center-runs snapshots journal locks quarantine-notices"
    ).split()
)
#: The name of a run's directory that could be an account's id: a year, month, day, hour and minute.
_MINUTE = re.compile(r"20\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])([01]\d|2[0-3])[0-5]\d", re.ASCII)
#: The ARN of anything in an account, in the one form that AWS writes.
_IN_ACCOUNT = re.compile(r"arn:[^:]*:[^:]*:[^:]*:(\d{12}):.*", re.ASCII | re.DOTALL)


@dataclass(frozen=True)
class Owner:
    """The account whose users an output reports. ``account``: its id; empty if unknown. ``fault``: why it is uncertain.

    ``only``: whether it reports no other account's users. Without a directory of the account, ``custodian run`` may
    have written the outcomes of several accounts to the same place, one after another.
    """

    account: str
    only: bool
    fault: str = ""

    def is_of_another(self, arn: object) -> bool:
        """Whether ``arn`` is of another account's user, in a directory of this account only."""
        if not self.only or not isinstance(arn, str):
            return False
        found = _IN_ACCOUNT.fullmatch(arn)
        return found is None or found[1] != self.account

    def refuses(self, arn: object) -> str:
        """Why the output's data on ``arn`` is not trusted; empty if it is."""
        if self.fault:
            return self.fault
        return self.refusal([arn]) if self.is_of_another(arn) else ""

    def refusal(self, others: Sequence[object]) -> str:
        """Why data on ``others``, the ARNs of other accounts' users, is not trusted. They are shown escaped."""
        more = f", and {len(others) - 1} more" if len(others) > 1 else ""
        return (
            f"tells of {str(others[0])[:200]!r}{more}, and it lies where account {self.account} writes: that is not "
            "believed: find out who wrote it, and move it away"
        )


@dataclass(frozen=True)
class Layout:
    """What the directories of an output say. ``run``: those above the account's, the policy, and a bucket's date.

    ``of_account``: the id of the account in whose directory it lies; empty if it lies in none. ``by``: the name of that
    directory.
    """

    run: str
    name: str
    region: str
    account: str
    policy: str
    of_account: str
    by: str

    @classmethod
    def of(cls, parts: Sequence[str], known: Mapping[str, str], above: Sequence[str] = ()) -> Layout:
        """``parts``: of the path below the place. ``known``: account's name in the accounts file -> its id.

        Below the place, the first directory with the name or the id of an account is that account's, with all that lies
        in it, whatever that is called: only who may write there chose its names. ``above``: the directories above the
        place. There an id counts only if it is known, and a name only before a Region or an id: further up, anything
        may be called so.
        """
        ids = frozenset(known.values())
        date = parts[-DATE_PARTS:] if DATE.fullmatch("/".join(parts[-DATE_PARTS:])) else ()
        *higher, policy = parts[: len(parts) - len(date)] or ("",)
        account = name = region = ""
        if higher and _is_account(higher[-1], ids):
            account = higher.pop()
        if higher and REGION.fullmatch(higher[-1]):
            region = higher.pop()
            starts = range(max(len(higher) - _longest(known), 0), len(higher))
            own = next((at for at in starts if "/".join(higher[at:]) in known), len(higher) - 1)
            name = "/".join(higher[max(own, 0) :])
            higher = higher[: max(own, 0)]
        if _is_account(name, ids):
            account = account or name
        of_account, by = _first_account((*above, *parts), len(above), known)
        return cls("/".join([*higher, policy, *date]), name, region, account, policy, of_account, by)

    def owners(self, known: Mapping[str, str]) -> frozenset[str]:
        """The id and names of the account that writes there; empty if the directories don't say whose it is.

        ``known``: see ``of``. In an account's own directory, what lies further down names no other account.
        """
        if not self.of_account:
            return frozenset(filter(None, (self.account, self.name)))
        names = {name for name, account in known.items() if account == self.of_account}
        before = (
            {self.name} if self.name and self.by == self.account and self.name not in known else frozenset()
        )
        return frozenset({self.of_account, *names, *before})

    def owner(self, known: Mapping[str, str], of_run: str) -> Owner:
        """The owner. Directories decide before ``metadata.json``: a writer chooses its content, but not its place.

        ``known``: see ``of``. ``of_run``: the id in ``metadata.json``, or empty.
        """
        if not self.of_account:
            return Owner(of_run, bool(self.name and of_run))
        if of_run in ("", self.of_account):
            return Owner(self.of_account, True)
        return Owner(
            self.of_account,
            True,
            f"is of account {self.of_account} by the directory {self.by}, and of account {of_run} by metadata.json: "
            "find out who wrote it; if outputs of several organizations lie side by side, each below the id of an "
            "account, give -s for each of them",
        )


def _first_account(parts: Sequence[str], place: int, known: Mapping[str, str]) -> tuple[str, str]:
    """The id of the account that has the first directory of one among ``parts``, and that directory; empty for none.

    ``place``: how many of the directories are above the place that was given. A name may have slashes.
    """
    ids, longest = frozenset(known.values()), _longest(known)
    for start, part in enumerate(parts):
        if part in ids or (start >= place and _is_account(part, ids)):
            return part, part
        for end in range(start + 1, min(start + longest, len(parts)) + 1):
            name = "/".join(parts[start:end])
            if name in known and (start >= place or _begins_run(parts[end : end + 1], ids)):
                return known[name], name
    return "", ""


def _longest(names: Collection[str]) -> int:
    """Of how many directories a name of an account is, at most."""
    return 1 + max((name.count("/") for name in names), default=0)


def _begins_run(following: Sequence[str], ids: Collection[str]) -> bool:
    """Whether the directory after an account's name is one that runs make there: a Region, or an account's id."""
    return any(REGION.fullmatch(each) or _is_account(each, ids) for each in following)


def _is_account(part: str, ids: Collection[str]) -> bool:
    """Whether the name of a directory is an account's id. ``ids``: known account ids."""
    return part in ids or (is_account_id(part) and not _MINUTE.fullmatch(part))
