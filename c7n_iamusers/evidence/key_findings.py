# SPDX-License-Identifier: Apache-2.0
"""The evidence on single access keys, and why one is unnecessary. Pure.

AWS's credential report has the last use of keys and no key ids; ListAccessKeys has ids and no use. A key is the one of
the report that was created at the same time: "The date and time when the user's access key was created or last changed"
("Generate credential reports for your AWS account", IAM User Guide). Where that is ambiguous, the use is unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from c7n_iamusers import defaults
from c7n_iamusers.evidence.assessment import MAX_AGE
from c7n_iamusers.evidence.credential_report import SAME_MOMENT, Row, credentials_of
from c7n_iamusers.evidence.model import Credential, Finding, KeyEvidence, LastUse
from c7n_iamusers.iam.attachments import ACCESS_KEY, ACTIVE
from c7n_iamusers.iam.user import Item
from c7n_iamusers.iam.users import KeyUse
from c7n_iamusers.text.times import moment

#: The member of a key's annotation that says whether its user has no other active key.
ONLY_ACTIVE = "only-active"
#: The ids of the findings on a key.
UNUSED, OLD, SUPERSEDED = KEY_FINDING_IDS = ("key-unused", "key-old", "key-superseded")


def listed_keys(items: Iterable[Item], row: Row | None, as_of: datetime | None) -> list[KeyEvidence]:
    """The keys of a user by ListAccessKeys (``items``), with their use by the user's ``row`` of the credential report.

    ``row``: None if the report was not read or has no row for the user. ``as_of``: when AWS generated it.
    """
    keys = [_listed(item) for item in items]
    if row is None:
        return [replace(key, doubt="the credential report has no row for its user") for key in keys]
    slots = credentials_of(row).get(ACCESS_KEY.name)
    if slots is None:
        return [
            replace(key, doubt="the credential report does not have all keys of its user") for key in keys
        ]
    return [_with_use(key, keys, slots, as_of) for key in keys]


def live_keys(items: Iterable[Item], uses: Iterable[KeyUse], now: datetime) -> list[KeyEvidence]:
    """The keys of a user by ListAccessKeys (``items``), with the answers of GetAccessKeyLastUsed, both read ``now``."""
    known = {each.key_id: LastUse(each.at, each.service, each.region) for each in uses}
    return [
        replace(key, last_use=known.get(key.key_id), as_of=now, source="GetAccessKeyLastUsed")
        for key in map(_listed, items)
    ]


def _listed(item: Item) -> KeyEvidence:
    active = item.get("Status") == ACTIVE
    return KeyEvidence(str(item["AccessKeyId"]), active, moment(item.get("CreateDate")))


def _with_use(
    key: KeyEvidence, keys: Sequence[KeyEvidence], slots: Sequence[Credential], as_of: datetime | None
) -> KeyEvidence:
    found = [slot for slot in slots if _same(slot.created, key.created)]
    if len([each for each in keys if _same(each.created, key.created)]) > 1 or len(found) > 1:
        return replace(key, doubt="two keys of its user were created in the same second")
    if not found:
        return replace(key, doubt="the credential report has no key of its user that was created when it was")
    use = found[0].last_use
    doubt = "" if use else "the credential report does not say when it was used"
    return replace(key, last_use=use, as_of=as_of, source="the credential report", doubt=doubt)


def _same(one: datetime | None, other: datetime | None) -> bool:
    return one is not None and other is not None and abs(one - other) < SAME_MOMENT


@dataclass(frozen=True)
class KeyCriteria:
    """What makes a key unnecessary. ``unused``, ``older_than``: days; None if not asked. ``superseded``: the user's
    other active key is newer and was used after it.

    ``any``: whether one of them is enough; else all that are asked must hold. ``min_age``: days since its creation,
    below which a key is never unnecessary. ``active``: whether active keys are selected, or inactive ones.
    """

    unused: float | None = None
    older_than: float | None = None
    superseded: bool = False
    any: bool = False
    min_age: float = defaults.KEY_MIN_AGE
    active: bool = True

    def left_out_by(self, key: KeyEvidence, keys: Iterable[KeyEvidence], now: datetime) -> str:
        """The first condition that ``key`` does not meet, or that is unknown; "" if it is selected.

        ``keys``: all of its user. It is the option's name and, if something is unknown, that.
        """
        if key.active != self.active:
            return "status"
        if key.created is None or now - key.created < timedelta(days=self.min_age):
            return "min-age"
        judged = [(name, judge(key, keys, now)) for name, judge in self._asked()]
        failed = [(name, doubt) for name, (finding, doubt) in judged if finding is None]
        if failed and (not self.any or len(failed) == len(judged)):
            name, doubt = failed[0]
            return f"{name}: {doubt}" if doubt else name
        return ""

    def findings(self, key: KeyEvidence, keys: Iterable[KeyEvidence], now: datetime) -> list[Finding]:
        """Why ``key`` is unnecessary: those of the conditions that hold."""
        judged = (judge(key, keys, now)[0] for _, judge in self._asked())
        return [finding for finding in judged if finding]

    def may_select(self, row: Row, as_of: datetime | None, now: datetime) -> bool:
        """Whether a key in a user's ``row`` of the credential report may be selected; True if the row does not say."""
        slots = credentials_of(row).get(ACCESS_KEY.name)
        if slots is None or not self.active:
            return slots is None or not all(slot.active for slot in slots)
        keys = [
            KeyEvidence(slot.title, bool(slot.active), slot.created, slot.last_use, as_of) for slot in slots
        ]
        return any(not self.left_out_by(key, keys, now) for key in keys)

    def _asked(self) -> Iterator[tuple[str, Callable[..., tuple[Finding | None, str]]]]:
        if self.unused is not None:
            yield "unused", self._unused
        if self.older_than is not None:
            yield "older-than", self._old
        if self.superseded:
            yield "superseded", _superseded

    def _unused(
        self, key: KeyEvidence, keys: Iterable[KeyEvidence], now: datetime
    ) -> tuple[Finding | None, str]:
        days = self.unused or 0
        if key.last_use is None or key.created is None:
            return None, key.doubt or "its last use is unknown"
        if key.as_of is None or now - key.as_of > MAX_AGE:
            return None, "its last use is not known as of the last day"
        at = key.last_use.at
        # never used counts from creation
        idle = now - max(at or key.created, key.created)
        if idle < timedelta(days=days):
            return None, ""
        by = f"by {key.source} of {key.as_of:%Y-%m-%d %H:%M} UTC"
        where = f", for {key.last_use.service} in {key.last_use.region}" if key.last_use.service else ""
        said = f"was last used on {at:%Y-%m-%d}{where}" if at else "was never used"
        return Finding(UNUSED, "medium", f"Access key {key.key_id} {said}, {idle.days} days ago, {by}."), ""

    def _old(
        self, key: KeyEvidence, keys: Iterable[KeyEvidence], now: datetime
    ) -> tuple[Finding | None, str]:
        if key.created is None:
            return None, "its creation is unknown"
        age = now - key.created
        if age < timedelta(days=self.older_than or 0):
            return None, ""
        return Finding(OLD, "medium", f"Access key {key.key_id} is {age.days} days old."), ""


def _superseded(key: KeyEvidence, keys: Iterable[KeyEvidence], now: datetime) -> tuple[Finding | None, str]:
    newer = [
        each
        for each in keys
        if each.active and each.created and key.created and each.created - key.created >= SAME_MOMENT
    ]
    if not newer:
        return None, ""
    if key.last_use is None:
        return None, key.doubt or "its last use is unknown"
    for each in newer:
        if each.last_use and each.last_use.at and (not key.last_use.at or each.last_use.at > key.last_use.at):
            used = f"was last used on {each.last_use.at:%Y-%m-%d}"
            said = f"Access key {key.key_id} is superseded: {each.key_id} is newer, and {used}."
            return Finding(SUPERSEDED, "medium", said), ""
    unknown = [each.doubt or "the use of the newer key is unknown" for each in newer if each.last_use is None]
    return None, unknown[0] if unknown else ""
