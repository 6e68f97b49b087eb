# SPDX-License-Identifier: Apache-2.0
"""Since when the IAM users of former memberships, which an earlier run made, are deleted: a pruning waits for it.

AWS does not say when a user was deleted. So an audit, and a run that prunes former memberships, records when it first
found all of a membership's users deleted, by reading their accounts. The time ends when a run, even a plain one of
``provision``, finds such a user again, or an undo brings the membership back. Users that this tool deleted don't count:
their people have moved.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.execution.journal import BUCKET_JOURNALS, parsed, user_of_object, utc_now
from c7n_iamusers.execution.outcomes import DELETED, OUTCOMES, rows_of
from c7n_iamusers.execution.stores import JOURNAL, Store, read_all
from c7n_iamusers.identity_center.access_plan import UnexpectedMember
from c7n_iamusers.identity_center.applying.run_records import RUNS
from c7n_iamusers.identity_center.model import DesiredAccess, Instance, RefusedUser
from c7n_iamusers.identity_center.planning.replacements import MembershipUsers, identities, identity
from c7n_iamusers.identity_center.requests.member_accounts import ReadAccounts, deleted_users
from c7n_iamusers.text import validators
from c7n_iamusers.text.documents import NotInFormat, read_json
from c7n_iamusers.text.wording import folded

#: Group name and folded username.
MemberKey = tuple[str, str]
#: Which of these unique ids belong to users that this tool deleted.
DeletedHere = Callable[[Collection[str]], Collection[str]]
#: The name of the record.
FILE, SCHEMA = f"{RUNS}/former.json", 1

_ROW = validators.record(
    {
        "group": validators.text(2048, shortest=1),
        "username": validators.text(2048),
        "since": validators.text(64),
    }
)
_DATA = validators.record(
    {
        "schema": validators.one_of(SCHEMA),
        "instance": validators.text(2048),
        "former": validators.listing(_ROW, 10_000_000),
    }
)


def parse(content: bytes, place: str, instance_arn: str) -> dict[MemberKey, datetime]:
    """Membership -> since when its users are deleted. Raises IdentityCenterError for an unreadable record.

    A record of another instance counts as none.
    """
    try:
        data: Any = read_json(content)
        _DATA(data, "former")
        found = {(row["group"], row["username"]): _moment(row["since"]) for row in data["former"]}
    except (NotInFormat, ValueError) as error:
        raise IdentityCenterError(
            f"{place} can't be read as the record of former memberships: {error}: find out who changed it, and move it "
            "away; ages then count from now"
        ) from error
    return found if data["instance"] == instance_arn else {}


def _moment(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError(f"{text} has no time zone")
    return found


def as_json(since: Mapping[MemberKey, datetime], instance_arn: str) -> bytes:
    """The record, for ``parse``."""
    rows = [
        {"group": group, "username": username, "since": moment.isoformat()}
        for (group, username), moment in sorted(since.items())
    ]
    return json.dumps({"schema": SCHEMA, "instance": instance_arn, "former": rows}, indent=1).encode()


def updated(
    earlier: Mapping[MemberKey, datetime],
    gone: Collection[MemberKey],
    unknown: Collection[MemberKey],
    reviewed: Collection[str],
    now: datetime,
) -> dict[MemberKey, datetime]:
    """The updated record. ``gone``: memberships all of whose users are deleted. ``unknown``: unreadable ones.

    ``reviewed``: the names of groups whose members were read; the record of other groups stays.
    """
    kept = {
        key: moment
        for key, moment in earlier.items()
        if key[0] not in reviewed or key in unknown or key in gone
    }
    return {**dict.fromkeys(gone, now), **kept}


class Deletions:
    """The users that policies deleted, by the outcomes and journals below their output.

    A journal also has the deletions of a killed run, which wrote no outcomes. A forger of these can only make a run
    keep more. ``known``: unique ids, without those that only a bucket's journal of a user has.
    """

    def __init__(self, output: Store) -> None:
        """Raises IdentityCenterError if no policy has left records on users there; OSError, ValueError."""
        self._output, self._objects = output, defaultdict[str, list[str]](list)
        # The records of provision's runs have no deletions.
        names = [name for name in output.names("", OUTCOMES, JOURNAL) if RUNS not in name.split("/")]
        for name in output.names(""):
            if f"/{BUCKET_JOURNALS}" in f"/{name}" and (unique_id := user_of_object(name)[1]):
                self._objects[unique_id].append(name)
        if not (names or self._objects):
            raise IdentityCenterError(
                f"{output} has no {OUTCOMES} and no journal of a policy, so it is unknown which IAM users policies "
                "deleted, and their people would seem to have left: give the output of the policies that delete IAM "
                "users, or none if no policy does"
            )
        found = set[str]()
        for name, content in read_all(output, names):
            is_outcomes = name.endswith(OUTCOMES)
            found |= self._in_outcomes(name, content) if is_outcomes else self._in_journal(name, content)
        self.known = frozenset(found)

    def among(self, unique_ids: Collection[str]) -> frozenset[str]:
        """Those of ``unique_ids`` that policies deleted. Raises OSError."""
        further = [name for each in set(unique_ids) - self.known for name in self._objects.get(each, ())]
        read = (self._in_journal(*each) for each in read_all(self._output, further))
        return self.known.union(*read).intersection(unique_ids)

    def _in_outcomes(self, name: str, content: bytes | None) -> set[str]:
        return {
            str(row["unique_id"])
            for row in rows_of(self._output.place(name), content)
            for each in (row, *row.get("history", ()))
            if each.get("status") == DELETED and row.get("unique_id")
        }

    def _in_journal(self, name: str, content: bytes | None) -> set[str]:
        """A deletion without a recorded answer counts."""
        lines = parsed(content or b"", self._output.place(name))
        results = {
            str(line["unique_id"]): line.get("result")
            for line in lines
            if line.get("operation") == "DeleteUser" and line.get("unique_id")
        }
        return {unique_id for unique_id, result in results.items() if result != "failed"}


def present_members(
    desired: DesiredAccess, refused: Iterable[RefusedUser], membership_users: MembershipUsers
) -> frozenset[MemberKey]:
    """The memberships that are requested, or were made for IAM users that are still in the intents."""
    requested = {(claim.group, folded(desired.people[claim.person].username)) for claim in desired.claims}
    subjects = (*(claim.subject for claim in desired.claims), *(each.subject for each in refused))
    present = {identity(subject) for subject in subjects}
    made = {key for key, users in membership_users.items() if not present.isdisjoint(identities(users))}
    return frozenset(requested | made)


def end_times(output: Store, instance: Instance, present: Collection[MemberKey]) -> bool:
    """End the times of memberships whose users exist, or that an undo brings back. Returns whether there were any.

    Raises IdentityCenterError, OSError.
    """

    def left(content: bytes | None) -> bytes:
        earlier = parse(content, output.place(FILE), instance.arn) if content else {}
        return as_json({key: moment for key, moment in earlier.items() if key not in present}, instance.arn)

    content = output.read(FILE)
    known = parse(content, output.place(FILE), instance.arn) if content else {}
    if found := not known.keys().isdisjoint(present):
        output.update(FILE, left)
    return found


@dataclass(frozen=True)
class FormerMembers:
    """Former memberships at ``now``. ``since``: when their users were first found deleted.

    ``gone``: the memberships all of whose users are deleted, as just read, and none by this tool. ``moved``: those with
    users that this tool deleted. ``unknown``, ``reviewed``: see ``updated``.
    """

    since: Mapping[MemberKey, datetime]
    gone: frozenset[MemberKey]
    moved: frozenset[MemberKey]
    unknown: frozenset[MemberKey]
    reviewed: frozenset[str]
    now: datetime

    @classmethod
    def read(
        cls,
        output: Store,
        instance: Instance,
        members: Iterable[UnexpectedMember],
        membership_users: MembershipUsers,
        read: ReadAccounts | None,
        reviewed: Collection[str],
        deleted_here: DeletedHere | None = None,
    ) -> FormerMembers:
        """The former members among ``members``, and the record in ``output``. ``reviewed``: see ``updated``.

        ``deleted_here``: None if unread; then nobody is known to have left. Raises IdentityCenterError, OSError, and
        what ``read`` and ``deleted_here`` raise.
        """
        keys = {_key(member) for member in members if member.is_former}
        made = {key: membership_users[key] for key in keys if membership_users.get(key)}
        ids = {unique_id for found in made.values() for unique_id in found.values()}
        here = deleted_here(ids) if deleted_here else ()
        moved = frozenset(key for key, found in made.items() if not set(found.values()).isdisjoint(here))
        users = {key: found for key, found in made.items() if key not in moved}
        deleted, unread = deleted_users({item for found in users.values() for item in found.items()}, read)
        gone = frozenset(key for key, found in users.items() if deleted.issuperset(found.values()))
        unknown = frozenset(key for key, found in users.items() if not unread.isdisjoint(found.values()))
        if deleted_here is None:
            gone, unknown = frozenset(), unknown | gone
        content, moment = output.read(FILE), utc_now()
        earlier = parse(content, output.place(FILE), instance.arn) if content else {}
        since = updated(earlier, gone, unknown, reviewed, moment)
        return cls(since, gone, moved, unknown, frozenset(reviewed), moment)

    def record(self, output: Store, instance: Instance) -> None:
        """Update the record in ``output``, even if another run has changed it since it was read.

        Raises IdentityCenterError, OSError.
        """

        def change(content: bytes | None) -> bytes:
            earlier = parse(content, output.place(FILE), instance.arn) if content else {}
            found = updated(earlier, self.gone, self.unknown, self.reviewed, self.now)
            return as_json(found, instance.arn)

        if self.since or output.read(FILE):
            output.update(FILE, change)

    def expired(self, days: int) -> frozenset[MemberKey]:
        """The memberships of ``gone`` that are former for at least ``days``."""
        return frozenset(key for key in self.gone if self.now - self.since[key] >= timedelta(days=days))

    def moment(self, member: UnexpectedMember) -> datetime:
        """Since when the member's users are deleted; now if unknown."""
        return self.since.get(_key(member), self.now)

    def age(self, member: UnexpectedMember) -> str:
        """For how long the member's users have been deleted, as the end of a sentence; empty if unknown."""
        if _key(member) in self.moved:
            return ": this tool deleted its IAM users, so it is no leaver's, and provision prune --former leaves it"
        moment = self.since.get(_key(member))
        if moment is None:
            return ""
        return f": its IAM users are deleted since {moment:%Y-%m-%d} or earlier ({(self.now - moment).days} days)"


def _key(member: UnexpectedMember) -> MemberKey:
    return member.group, folded(member.username)
