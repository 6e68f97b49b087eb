# SPDX-License-Identifier: Apache-2.0
"""A snapshot: a user before any change, as versioned JSON without secrets; and a fingerprint of its state. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from c7n_iamusers.exceptions import NotRestorable, SnapshotInvalid
from c7n_iamusers.iam.attachments import ACTIVE, ATTACHMENT_KINDS, INACTIVE, INLINE_POLICY
from c7n_iamusers.iam.policy_documents import PolicyVersion, canonical_policy, decoded, json_fault
from c7n_iamusers.iam.user import IamUser, Item
from c7n_iamusers.reasons import SNAPSHOT_UNREADABLE
from c7n_iamusers.snapshots.schema import BY_OTHERS, SCHEMA_VERSION, fault_in
from c7n_iamusers.text.documents import LARGEST_RECORD, MOST_OF_RECORD, NotInFormat, read_json
from c7n_iamusers.text.times import moment
from c7n_iamusers.text.wording import visible


@dataclass(frozen=True)
class Snapshot:
    """``user``: with every kind read, and without the traces of this package.

    ``groups``: the user's groups as botocore's ``GroupDetail``, so that a deleted group can be restored too.
    ``policies``: the managed policies of user, groups and boundary; None if they were not read. Both were read at
    ``rights_read``: a restoration compares what they allowed then with what they allow now.
    ``quarantine``: ``{since, deactivated, ...}`` if the user was in quarantine. ``partial``: another run had begun to
    delete it. ``deletion_begun``: an unfinished deletion had removed a part of the user; a snapshot without it is
    whole. Times are datetimes, or ISO 8601 text once loaded. ``sha256``: in hex, of the content that it was read from;
    empty if it was not.
    """

    user: IamUser
    taken: datetime | str
    fingerprint: str
    policy: str = ""
    trusted_by: tuple[str, ...] = ()
    groups: tuple[Item, ...] = ()
    quarantine: Mapping[str, Any] | None = None
    partial: bool = False
    policies: tuple[PolicyVersion, ...] | None = None
    rights_read: datetime | str | None = None
    deletion_begun: bool = False
    sha256: str = field(default="", compare=False)

    def as_json(self) -> str:
        """The snapshot as JSON text. Raises KeyError if a kind was not read."""
        attachments = {kind.name: list(self.user.attachments[kind.name]) for kind in ATTACHMENT_KINDS}
        data = {
            "schema_version": SCHEMA_VERSION,
            "taken": self.taken,
            "account_id": self.user.subject.account_id,
            "policy": self.policy,
            "user": dict(self.user.detail),
            "attachments": attachments,
            "fingerprint": self.fingerprint,
            "trusted_by": list(self.trusted_by),
            "groups": list(self.groups),
            "policies": None if self.policies is None else [_policy_data(policy) for policy in self.policies],
            "rights_read": self.rights_read,
            "rights_fingerprint": self.rights_fingerprint,
            "quarantine": self.quarantine,
            **({"partial": True} if self.partial else {}),
            **({"deletion_begun": True} if self.deletion_begun else {}),
        }
        return json.dumps(data, indent=2, sort_keys=True, default=_as_text)

    def checked_json(self) -> bytes:
        """The content of its file, after it was read back. Raises NotRestorable.

        It finds, before the first change, what a reader here, or IAM in a restoration, would refuse.
        """
        try:
            content = self.as_json().encode()
            if len(content) > LARGEST_RECORD:
                raise SnapshotInvalid(f"it has {len(content)} bytes, more than {LARGEST_RECORD}")
            problem = tampering(Snapshot.from_json(content)) or next(self._document_faults(), "")
        except (SnapshotInvalid, ValueError) as error:
            problem = str(error)
        if problem:
            raise NotRestorable(SNAPSHOT_UNREADABLE(why=visible(problem)))
        return content

    def _document_faults(self) -> Iterator[str]:
        groups = (
            {**policy, "of": f" of group {group['GroupName']}"}
            for group in self.groups
            for policy in group.get("GroupPolicyList") or ()
        )
        for policy in (*self.user.attachments[INLINE_POLICY.name], *groups):
            document = policy["PolicyDocument"]
            if isinstance(document, str) and (fault := json_fault(document)):
                yield f"policy {policy['PolicyName']}{policy.get('of', '')}: {fault}"

    @property
    def deactivated(self) -> frozenset[str]:
        """The ids of the credentials that a quarantine deactivated."""
        return frozenset((self.quarantine or {}).get("deactivated", ()))

    @property
    def by_others(self) -> frozenset[str]:
        """The ids of the credentials that come back inactive, since others may have changed them in its quarantine."""
        return frozenset((self.quarantine or {}).get(BY_OTHERS, ()))

    def without_deactivated(self) -> Snapshot:
        """The snapshot of a user that is still in quarantine: what that deactivated stays inactive."""
        record = self.quarantine
        return replace(self, quarantine=record and {**record, "deactivated": []})

    @property
    def rights_fingerprint(self) -> str:
        """The SHA-256, in hex, of ``groups`` and ``policies``, which decide rights beside the attachments."""
        groups = sorted((_group_rights(each) for each in self.groups), key=lambda each: each["GroupName"])
        versions = sorted(self.policies or (), key=lambda each: each.arn)
        policies = [(each.arn, each.version, each.digest) for each in versions]
        whole = _canonical({"groups": groups, "policies": None if self.policies is None else policies})
        return hashlib.sha256(whole.encode()).hexdigest()

    @classmethod
    def from_json(cls, content: str | bytes) -> Snapshot:
        """The snapshot in ``content``. Raises SnapshotInvalid, with the place, if it is not one of SCHEMA_VERSION."""
        try:
            data = read_json(content, most=MOST_OF_RECORD)
        except NotInFormat as error:
            raise SnapshotInvalid(f"not a snapshot: it is not valid JSON: {error}") from error
        if problem := fault_in(data):
            raise SnapshotInvalid(f"not a snapshot of version {SCHEMA_VERSION}: {problem}")
        snapshot = _snapshot(data)
        if _has_digests(data, snapshot):
            whole = content.encode() if isinstance(content, str) else content
            return replace(snapshot, sha256=hashlib.sha256(whole).hexdigest())
        raise SnapshotInvalid(_CHANGED)


def _snapshot(data: Mapping[str, Any]) -> Snapshot:
    held = data["attachments"]
    # A snapshot from before the kind was added lacks it. DeleteUser refuses a user that has such an item, so there was
    # none.
    empty = {kind.name: () for kind in ATTACHMENT_KINDS if kind.later}
    attachments = {kind.name: tuple({**empty, **held}[kind.name]) for kind in ATTACHMENT_KINDS}
    return Snapshot(
        IamUser(data["user"], attachments),
        data["taken"],
        data["fingerprint"],
        data.get("policy", ""),
        tuple(data["trusted_by"]),
        tuple(data["groups"]),
        data.get("quarantine"),
        data.get("partial", False),
        None
        if data["policies"] is None
        else tuple(
            PolicyVersion(policy["PolicyArn"], policy["DefaultVersionId"], policy["document"])
            for policy in data["policies"]
        ),
        data["rights_read"],
        data.get("deletion_begun", False),
    )


def _policy_data(policy: PolicyVersion) -> dict[str, str]:
    return {
        "PolicyArn": policy.arn,
        "DefaultVersionId": policy.version,
        "sha256": policy.digest,
        "document": policy.text,
    }


def _has_digests(data: Mapping[str, Any], snapshot: Snapshot) -> bool:
    """Whether groups and policies have the digests that stand beside them."""
    digests = [policy["sha256"] for policy in data["policies"] or ()]
    whole = data["rights_fingerprint"] == snapshot.rights_fingerprint
    return whole and digests == [policy.digest for policy in snapshot.policies or ()]


def _group_rights(group: Item) -> dict[str, Any]:
    """What decides the rights of the members of ``group``."""
    inline = group.get("GroupPolicyList") or ()
    return {
        "GroupName": group["GroupName"],
        "GroupId": group.get("GroupId"),
        "inline": sorted(
            (policy["PolicyName"], _document_text(policy["PolicyDocument"])) for policy in inline
        ),
        "attached": sorted(policy["PolicyArn"] for policy in group.get("AttachedManagedPolicies") or ()),
    }


def _document_text(document: object) -> str:
    try:
        return canonical_policy(decoded(document))
    except ValueError:
        return str(document)


def known_attachments(snapshots: Iterable[Snapshot], kind: str) -> list[Item]:
    """The items of ``kind`` in all ``snapshots``."""
    return [item for snapshot in snapshots for item in snapshot.user.attachments[kind]]


def last_until(snapshots: Iterable[Snapshot], since: datetime) -> Snapshot | None:
    """The last of the ``snapshots`` until ``since``; the first one if all are later."""
    ordered = sorted(snapshots, key=lambda each: str(each.taken))
    # a record has whole seconds
    before = [each for each in ordered if (moment(each.taken) or since).replace(microsecond=0) <= since]
    return next(iter((*reversed(before), *ordered)), None)


def _as_text(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


#: Kind -> the canonical JSON of each item's state. It is equal for a user read live and for its snapshot.
State = dict[str, list[str]]


def state_of(attachments: Mapping[str, Iterable[Item]], deactivated: Iterable[str] = ()) -> State:
    """The state of ``attachments``.

    ``deactivated``: ids of credentials that a quarantine deactivated; they count as active.

    Raises KeyError if a kind was not read.
    """
    ours = frozenset(deactivated)
    kinds = (kind for kind in ATTACHMENT_KINDS if attachments[kind.name] or not kind.later)
    return {
        kind.name: sorted(
            _canonical(_as_before(item, item.get(kind.identifier) in ours, kind.state))
            for item in attachments[kind.name]
        )
        for kind in kinds
    }


def fingerprint(user: IamUser, deactivated: Iterable[str] = ()) -> str:
    """The SHA-256, in hex, of the user's name, unique id, ARN, path and state.

    Raises KeyError if a kind was not read.
    """
    who = {"UserName": user.name, "UserId": user.unique_id, "Arn": user.arn, "Path": user.path}
    whole = _canonical({"user": who, "state": state_of(user.attachments, deactivated)})
    return hashlib.sha256(whole.encode()).hexdigest()


_CHANGED = "its content does not match its fingerprint: it was changed after it was taken, and is not used"


def tampering(snapshot: Snapshot) -> str | None:
    """Why ``snapshot`` is not as a run wrote it, according to its fingerprint; None if it is."""
    subject = snapshot.user.subject
    if fingerprint(snapshot.user, snapshot.deactivated) != snapshot.fingerprint:
        return _CHANGED
    if subject.arn.rpartition("/")[2] != subject.name or ":user/" not in subject.arn:
        return f"its ARN {subject.arn} is not one of a user {subject.name}: it was changed, and is not used"
    return None


def covers(earlier: State, state: State) -> bool:
    """True if ``earlier`` contains all of ``state``."""
    return all(set(items) <= set(earlier.get(kind, ())) for kind, items in state.items())


def is_covered(snapshot: Snapshot, earlier: Iterable[Snapshot]) -> bool:
    """True if one of the ``earlier`` snapshots of the same user contains all of ``snapshot``."""
    state = state_of(snapshot.user.attachments, snapshot.deactivated)
    return any(
        each.user.path == snapshot.user.path
        and covers(state_of(each.user.attachments, each.deactivated), state)
        for each in earlier
    )


def _as_before(item: Item, ours: bool, members: Iterable[str]) -> dict[str, Any]:
    state = {member: item[member] for member in members if member in item}
    if ours and state.get("Status") == INACTIVE:
        state["Status"] = ACTIVE
    return state


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=_as_text, ensure_ascii=False)
