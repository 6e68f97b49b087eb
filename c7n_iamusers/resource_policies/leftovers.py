# SPDX-License-Identifier: Apache-2.0
"""What is left of deleted users in policies and access entries, with the AWS CLI command that corrects each. Pure.

AWS keeps a principal by its unique id. Once the user is deleted, the policy shows that id (AIDA...), and saving such a
policy again is refused. A new user of the name has another id ("AWS JSON policy elements: Principal", IAM User Guide).
An access entry of EKS keeps the ARN, and does not work for a user that was deleted and made again: it must be deleted
and created ("Create access entries", Amazon EKS User Guide).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from shlex import quote
from typing import Any

from c7n_iamusers.iam.policy_documents import Statement, listed
from c7n_iamusers.iam.user import Item
from c7n_iamusers.resource_policies.naming import ACCESS_ENTRY, PRINCIPALS
from c7n_iamusers.resource_policies.reading import AccessEntry, ResourcePolicy
from c7n_iamusers.resource_policies.sources import EKS

#: A user's unique id ("IAM identifiers", IAM User Guide).
_UNIQUE_ID = re.compile(r"\bAIDA[A-Z0-9]{12,124}\b", re.ASCII)
#: The key of conditions that has it, and what may follow it there: a pattern that no other caller meets.
_CALLER, _TAIL = "aws:userid", re.compile(r"(:?[*?]+)?")
#: Parts of operators, in lower case, that are true without the key, or for all other values.
_TRUE_FOR_OTHERS = ("not", "forallvalues", "ifexists")
#: What is to be done with a statement or an entry.
CHANGE, DROP, BY_HAND, DELETE_ENTRY, RENEW_ENTRY = "change", "drop", "by hand", "delete entry", "renew entry"


@dataclass(frozen=True)
class GoneUser:
    """A user that was deleted. ``restored_as``: the unique id of the one that a restoration made; or empty.

    ``restored_at``: when (UTC) that was made, or else a user of somebody else that has the ARN now.
    """

    arn: str
    unique_id: str
    restored_as: str = ""
    restored_at: datetime | None = None

    def is_served_by(self, entry: AccessEntry) -> bool:
        """Whether ``entry`` is of a user that has the ARN now, since it was created later."""
        return bool(entry.created and self.restored_at and entry.created > self.restored_at)


def as_of_today(
    gone: Iterable[GoneUser], users: Callable[[GoneUser], Sequence[Item] | None]
) -> list[GoneUser]:
    """What became of deleted users. One that was deleted again is not back, unless it was restored again.

    ``users``: those that the account of a deleted one has (GetAccountAuthorizationDetails); None if that is unknown.
    """
    by_id = {each.unique_id: each for each in gone}
    return [_among(_followed(each, by_id), users(each)) for each in by_id.values()]


def _followed(user: GoneUser, by_id: Mapping[str, GoneUser]) -> GoneUser:
    met = {user.unique_id}
    while user.restored_as in by_id.keys() - met:
        met.add(user.restored_as)
        again = by_id[user.restored_as]
        user = replace(user, restored_as=again.restored_as, restored_at=again.restored_at)
    return user


def _among(user: GoneUser, users: Sequence[Item] | None) -> GoneUser:
    if users is None:
        return user
    now = next((each for each in users if each["UserId"] == user.restored_as), None)
    if now:
        return replace(user, arn=str(now["Arn"]))
    other = next((each for each in users if each["Arn"] == user.arn), None)
    return replace(user, restored_as="", restored_at=other["CreateDate"] if other else None)


@dataclass(frozen=True)
class Shown:
    """A place that shows a deleted user. ``what``: one of the constants above.

    ``arn``: empty for an id that is of nobody on record. ``patched``: the statement as it should be, for CHANGE.
    """

    where: str
    unique_id: str
    arn: str
    restored_as: str
    what: str
    patched: Statement | None = None

    def as_data(self) -> dict[str, Any]:
        """JSON types only."""
        who = {"unique_id": self.unique_id, "user": self.arn, "restored_as": self.restored_as}
        return {"where": self.where, **who, "what": self.what, "patched": self.patched}


@dataclass(frozen=True)
class Leftover:
    """A policy or access entry that shows deleted users. ``policy``: all of it as it should be.

    It is None where nothing of it is left, of an access entry, and where a statement needs a person (BY_HAND).
    ``command``: for the AWS CLI; empty where none can be given.
    """

    service: str
    resource: str
    region: str
    shown: tuple[Shown, ...]
    policy: Mapping[str, Any] | None = None
    command: str = ""

    def as_data(self) -> dict[str, Any]:
        """JSON types only."""
        place = {"service": self.service, "resource": self.resource, "region": self.region}
        shown = [each.as_data() for each in self.shown]
        return {**place, "shown": shown, "policy": self.policy, "command": self.command}


class _ByHand(Exception):
    """Leaving out a user would change what others may do."""


def leftovers(
    policies: Iterable[ResourcePolicy], entries: Iterable[AccessEntry], gone: Iterable[GoneUser]
) -> list[Leftover]:
    """Each policy and access entry that shows a deleted user.

    A unique id as a principal is of a deleted user, on record or not. In a condition it counts if it is on record.
    """
    by_id = {each.unique_id: each for each in gone if each.unique_id}
    by_arn = {each.arn: each for each in by_id.values()}
    found = [_of_policy(policy, by_id) for policy in policies]
    named = ((entry, by_arn[entry.principal]) for entry in entries if entry.principal in by_arn)
    of_entries = [_of_entry(entry, user) for entry, user in named if not user.is_served_by(entry)]
    return [*(each for each in found if each), *of_entries]


def _of_policy(policy: ResourcePolicy, by_id: Mapping[str, GoneUser]) -> Leftover | None:
    shown, kept, whole = list[Shown](), list[Statement](), True
    for number, statement in enumerate(policy.statements, 1):
        ids = [*dict.fromkeys(_ids(statement, by_id))]
        if not ids:
            kept.append(statement)
            continue
        what, patched = _treated(statement, {each: by_id.get(each) for each in ids})
        whole = whole and what != BY_HAND
        kept += [patched] if patched else []
        where = f"statement {number}{f' of {policy.name}' if policy.name else ''}"
        shown += (_shown(where, each, by_id.get(each), what, patched) for each in ids)
    if not shown:
        return None
    document = {**policy.document, "Statement": kept} if kept and whole else None
    command = _command(policy, document) if whole and not policy.name else ""
    return Leftover(policy.service, policy.resource, policy.region, tuple(shown), document, command)


def _shown(
    where: str, unique_id: str, user: GoneUser | None, what: str, patched: Statement | None = None
) -> Shown:
    arn, restored_as = (user.arn, user.restored_as) if user else ("", "")
    return Shown(where, unique_id, arn, restored_as, what, patched)


def _treated(statement: Statement, users: Mapping[str, GoneUser | None]) -> tuple[str, Statement | None]:
    try:
        patched = _patched(statement, users)
    except _ByHand:
        return BY_HAND, None
    return (CHANGE, patched) if patched else (DROP, None)


def _ids(statement: Statement, by_id: Mapping[str, GoneUser]) -> Iterator[str]:
    """The unique ids of deleted users in a statement."""
    for element in PRINCIPALS:
        yield from (each for each in _principals(statement.get(element)) if _UNIQUE_ID.fullmatch(each))
    for _, _, values in _conditions(statement):
        yield from (each for value in values for each in _UNIQUE_ID.findall(value) if each in by_id)


def _principals(principal: Any) -> list[str]:
    names = listed(principal.get("AWS")) if isinstance(principal, Mapping) else ()
    return [each for each in names if isinstance(each, str)]


def _conditions(statement: Statement) -> Iterator[tuple[str, str, list[str]]]:
    """Operator, key, and values that are texts."""
    conditions = statement.get("Condition")
    for operator, keys in conditions.items() if isinstance(conditions, Mapping) else ():
        for key, values in keys.items() if isinstance(keys, Mapping) else ():
            yield str(operator), str(key), [each for each in listed(values) if isinstance(each, str)]


def _patched(statement: Statement, users: Mapping[str, GoneUser | None]) -> Statement | None:
    """``statement`` without the users, or with those that were restored; None if it is for nobody then."""
    found: dict[str, Any] = dict(statement)
    for element in PRINCIPALS:
        if users.keys() & {*_principals(statement.get(element))}:
            found[element] = _principal_again(statement[element], users)
    for operator, key, values in _conditions(statement):
        if any(each in value for value in values for each in users):
            if not (rest := _values_again(operator, key, values, users)):
                return None
            found["Condition"] = {
                **found["Condition"],
                operator: {**found["Condition"][operator], key: rest},
            }
    if found.get("NotPrincipal") == {}:
        raise _ByHand
    return None if found.get("Principal") == {} else found


def _principal_again(principal: Mapping[str, Any], users: Mapping[str, GoneUser | None]) -> dict[str, Any]:
    names = [_named_again(each, users) for each in listed(principal["AWS"])]
    rest = {key: value for key, value in principal.items() if key != "AWS"}
    return {"AWS": left, **rest} if (left := [each for each in names if each]) else rest


def _named_again(name: Any, users: Mapping[str, GoneUser | None]) -> Any:
    """A principal; a deleted user by its ARN if it was restored, else empty."""
    if not isinstance(name, str) or name not in users:
        return name
    user = users[name]
    return user.arn if user and user.restored_as else ""


def _values_again(
    operator: str, key: str, values: Sequence[str], users: Mapping[str, GoneUser | None]
) -> list[str]:
    """The values of a condition that has users in it; none if nobody else meets it. Raises _ByHand if others may."""
    if key.lower() != _CALLER:  # such as s3:prefix: it is about what others do
        raise _ByHand
    rest = [again for value in values if (again := _value_again(value, users))]
    if not rest and any(each in operator.lower() for each in _TRUE_FOR_OTHERS):
        raise _ByHand
    return rest


def _value_again(value: str, users: Mapping[str, GoneUser | None]) -> str:
    """The value of a condition, with the unique ids of restored users; empty if it is of a deleted one.

    Raises _ByHand if others may meet it, such as a session of a role that has the id as its name.
    """
    for unique_id, user in users.items():
        if unique_id in value:
            if not _TAIL.fullmatch(value.removeprefix(unique_id)):
                raise _ByHand
            value = value.replace(unique_id, user.restored_as) if user and user.restored_as else ""
    return value


def _of_entry(entry: AccessEntry, user: GoneUser) -> Leftover:
    name = entry.cluster.rpartition("/")[2]
    its = f"--region {entry.region} --cluster-name {quote(name)} --principal-arn {quote(entry.principal)}"
    command, what = f"aws eks delete-access-entry {its}", DELETE_ENTRY
    if user.restored_as:
        command, what = f"{command} && aws eks create-access-entry {its}", RENEW_ENTRY
    shown = _shown(ACCESS_ENTRY, user.unique_id, user, what)
    return Leftover(EKS, entry.cluster, entry.region, (shown,), command=command)


#: Service -> the commands of the AWS CLI that save and delete a policy; None where there is none. ``{name}``: the last
#: part of the ARN. ``{policy}``: quoted JSON.
_Commands = tuple[str, str | None]
_COMMANDS: Mapping[str, _Commands] = {
    "s3": (
        "aws s3api put-bucket-policy --region {region} --bucket {name} --policy {policy}",
        "aws s3api delete-bucket-policy --region {region} --bucket {name}",
    ),
    "kms": ("aws kms put-key-policy --region {region} --key-id {arn} --policy {policy}", None),
    "sqs": (
        "aws sqs set-queue-attributes --region {region} --queue-url {url} --attributes {attributes}",
        "aws sqs set-queue-attributes --region {region} --queue-url {url} --attributes Policy=",
    ),
    "sns": (
        "aws sns set-topic-attributes --region {region} --topic-arn {arn} --attribute-name Policy "
        "--attribute-value {policy}",
        None,
    ),
    "secretsmanager": (
        "aws secretsmanager put-resource-policy --region {region} --secret-id {arn} --resource-policy {policy}",
        "aws secretsmanager delete-resource-policy --region {region} --secret-id {arn}",
    ),
    "ecr": (
        "aws ecr set-repository-policy --region {region} --repository-name {path} --policy-text {policy}",
        "aws ecr delete-repository-policy --region {region} --repository-name {path}",
    ),
    "iam": ("aws iam update-assume-role-policy --role-name {name} --policy-document {policy}", None),
}


def _command(policy: ResourcePolicy, document: Mapping[str, Any] | None) -> str:
    save, delete = _COMMANDS.get(policy.service, ("", None))
    last = policy.resource.rpartition(":")[2]
    text = json.dumps(document, separators=(",", ":"))
    asked = f"aws sqs get-queue-url --region {policy.region} --queue-name {quote(last)} --query QueueUrl"
    return (save if document else delete or "").format(
        region=policy.region,
        arn=quote(policy.resource),
        name=quote(last.rpartition("/")[2]),
        path=quote(last.partition("/")[2]),
        policy=quote(text),
        attributes=quote(json.dumps({"Policy": text})),
        url=f'"$({asked} --output text)"',
    )
