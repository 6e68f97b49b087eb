# SPDX-License-Identifier: Apache-2.0
"""Fills the member accounts with a realistic, reproducible population: users, groups, policies and roles."""

from __future__ import annotations

import dataclasses
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from itertools import chain
from typing import Any

from aws_local_org.accounts import Accounts
from aws_local_org.errors import LocalOrgError
from aws_local_org.seeding.draft import Draft, People, Person
from aws_local_org.seeding.permissions import (
    CUSTOMER_POLICIES,
    DEVELOPER_ACCESS,
    DEVELOPER_ACCESS_DOCUMENTS,
    GROUPS,
    PROJECT,
    trust,
)
from aws_local_org.seeding.records import (
    AccountContents,
    Group,
    ManagedPolicy,
    PolicyVersion,
    Role,
    User,
    counts_of,
)
from aws_local_org.seeding.users import drawn_archetypes
from aws_local_org.seeding.writer import refuse_filled_accounts, write_account

MOST_USERS = 5000  # IAM's quota of users in an account


def seed(
    org: Accounts, seed: int = 1, users_per_account: int = 30, now: datetime | str | None = None
) -> dict[str, Any]:
    """Fill every member account; the management account stays empty.

    The same seed gives the same names, tags, ids and attachments; dates are the same distance from ``now``
    (a datetime, or ISO 8601 text; default: midnight, UTC, of the current day).

    Returns ``{"seed", "users_per_account", "now", "accounts": [{"account", "name", "kinds": {kind: n},
    "counts": {what: n}}], "totals": {what: n}}``. Raises LocalOrgError for an account that has users already, for a
    count outside 1 to 5000 (IAM's quota of users in an account), and for a ``now`` that is no date.
    """
    moment = _moment(now)
    _check_count(users_per_account)
    members = org.settings.member_accounts
    with org.lock:
        refuse_filled_accounts(org, [account_id for account_id, _ in members])
        accounts = [
            _fill(org, account_id, name, contents, kinds)
            for (account_id, name), (contents, kinds) in zip(
                members, invent(members, seed, users_per_account, moment), strict=True
            )
        ]
    totals: Counter[str] = Counter()
    for account in accounts:
        totals.update(account["counts"])
    return {
        "seed": seed,
        "users_per_account": users_per_account,
        "now": moment.isoformat(),
        "accounts": accounts,
        "totals": dict(totals),
    }


def invent(
    members: tuple[tuple[str, str], ...], seed: int, users: int, now: datetime
) -> Iterator[tuple[AccountContents, dict[str, int]]]:
    """The content of each account of ``members``, in order, and its users by kind."""
    people = People(random.Random(f"{seed}:people"), shared=max(2, users // 10))
    for index, (account_id, _) in enumerate(members):
        rng = random.Random(f"{seed}:{account_id}")
        draft = Draft(account_id, rng, now, chain(_residents(people, rng), people.others()))
        yield invent_account(draft, users, variant=index)


def _residents(people: People, rng: random.Random) -> list[Person]:
    """People with users in several accounts, this one included; the first has one in every account."""
    first, *others = people.shared
    return [first, *(person for person in others if rng.random() < 0.6)]


def _fill(
    org: Accounts, account_id: str, name: str, contents: AccountContents, kinds: dict[str, int]
) -> dict[str, Any]:
    if org.settings.partition != "aws":
        contents = _in_partition(contents, org.settings.partition)
    write_account(org, account_id, contents)
    return {"account": account_id, "name": name, "kinds": kinds, "counts": counts_of(contents)}


def _in_partition(content: Any, partition: str) -> Any:
    """``content`` with its ARNs in ``partition``; they are invented in aws."""
    if isinstance(content, str):
        return content.replace("arn:aws:", f"arn:{partition}:")
    if dataclasses.is_dataclass(content) and not isinstance(content, type):
        changed = {
            field.name: _in_partition(getattr(content, field.name), partition)
            for field in dataclasses.fields(content)
        }
        return dataclasses.replace(content, **changed)
    if isinstance(content, dict):
        return {key: _in_partition(value, partition) for key, value in content.items()}
    return (
        tuple(_in_partition(each, partition) for each in content) if isinstance(content, tuple) else content
    )


def _moment(now: datetime | str | None) -> datetime:
    if now is None:
        return datetime.now(timezone.utc).replace(hour=0, minute=0, second=0, microsecond=0)
    try:
        moment = now if isinstance(now, datetime) else datetime.fromisoformat(now.replace("Z", "+00:00"))
    except (ValueError, AttributeError) as error:
        raise LocalOrgError(
            f"now: {now!r} is not a date; write it as 2026-01-31 or 2026-01-31T12:00:00Z"
        ) from error
    return moment.astimezone(timezone.utc) if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


def _check_count(users: int) -> None:
    if type(users) is not int or not 1 <= users <= MOST_USERS:  # bool is an int, too
        raise LocalOrgError(f"users_per_account: {users!r} is not a whole number from 1 to {MOST_USERS}")


# Users for each project policy, squad and forgotten MFA device, so that large accounts need several pages of each.
USERS_PER_PROJECT, USERS_PER_SQUAD, USERS_PER_ORPHAN = 5, 8, 12
MOST_SQUADS = 280  # IAM's quota of groups in an account is 300


def invent_account(draft: Draft, users: int, variant: int) -> tuple[AccountContents, dict[str, int]]:
    """An account with ``users`` users, and how many there are of each kind.

    ``variant`` picks the document of the customer-managed policy that has the same name in every account.
    """
    kinds: Counter[str] = Counter()
    invented = []
    for archetype in drawn_archetypes(draft, users):
        kinds[archetype.kind] += 1
        invented.append(archetype.invent(draft))
    contents = AccountContents(
        users=tuple(invented),
        groups=_groups(draft, users),
        roles=_roles(draft, invented),
        policies=_policies(draft, users, variant),
        orphaned_mfa=tuple(f"former-{draft.person().handle}" for _ in range(1 + users // USERS_PER_ORPHAN)),
    )
    return contents, dict(sorted(kinds.items()))


def _groups(draft: Draft, users: int) -> tuple[Group, ...]:
    functional = [
        Group(
            name, draft.ids.group(), draft.ago(2400, 2500), "/", granted.inline, draft.arns(granted.policies)
        )
        for name, granted in GROUPS.items()
    ]
    squads = [
        Group(f"squad-{number:03}", draft.ids.group(), draft.ago(300, 2000), "/squads/")
        for number in range(1, 1 + min(users // USERS_PER_SQUAD, MOST_SQUADS))
    ]
    return (*functional, *squads)


def _policies(draft: Draft, users: int, variant: int) -> tuple[ManagedPolicy, ...]:
    developer = DEVELOPER_ACCESS_DOCUMENTS[variant % len(DEVELOPER_ACCESS_DOCUMENTS)]
    projects = {
        f"projects/Project{number:03}": PROJECT for number in range(1, 1 + users // USERS_PER_PROJECT)
    }
    wanted = {DEVELOPER_ACCESS: developer, **CUSTOMER_POLICIES, **projects}
    return tuple(_policy(draft, name, text) for name, text in wanted.items())


def _policy(draft: Draft, path_and_name: str, document: str) -> ManagedPolicy:
    path, _, name = f"/{path_and_name}".rpartition("/")
    created = draft.ago(2400, 2500)
    version = PolicyVersion("v1", document, created)
    return ManagedPolicy(name, draft.ids.policy(), created, "v1", (version,), f"{path}/")


def _roles(draft: Draft, users: Sequence[User]) -> tuple[Role, ...]:
    """The roles of every account; if there is a pipeline, a role trusts its user's ARN."""
    lambda_trust = trust({"Service": "lambda.amazonaws.com"})
    roles = [_role(draft, "lambda-basic", lambda_trust, ("AWSLambda_FullAccess",), path="/service/")]
    pipelines = [user for user in users if user.path == "/machines/"]
    for pipeline in pipelines[:1]:
        arn = f"arn:aws:iam::{draft.account_id}:user{pipeline.path}{pipeline.name}"
        roles.append(_role(draft, "deploy", trust({"AWS": arn}), ("PowerUserAccess",)))
    return tuple(roles)


def _role(draft: Draft, name: str, trusting: str, policies: tuple[str, ...], path: str = "/") -> Role:
    return Role(name, draft.ids.role(), draft.ago(900, 2000), trusting, path, policies=draft.arns(policies))
