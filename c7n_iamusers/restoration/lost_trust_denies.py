# SPDX-License-Identifier: Apache-2.0
"""Denies in trust policies that a restored user with another unique id escapes. Pure.

IAM stores the unique id of a user in a Principal, and shows it once the user is deleted. A new user with the name is
another principal ("AWS JSON policy elements: Principal", IAM User Guide). A condition on aws:userid names the id, too.
A condition on aws:PrincipalArn names the ARN, so the new user meets it like the old one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from c7n_iamusers.iam.attachments import TAG
from c7n_iamusers.iam.policy_documents import Statement, listed, parse_document, statements
from c7n_iamusers.iam.trust_principals import account_of
from c7n_iamusers.iam.user import IamUser, Item
from c7n_iamusers.policy_comparison.comparison import Policies
from c7n_iamusers.policy_comparison.other_policies import TRUST, without_principal
from c7n_iamusers.policy_comparison.principals import RequestContext, principal_permissions, user_context
from c7n_iamusers.policy_comparison.statements import PolicyStatement, parse_policy
from c7n_iamusers.restoration.rights import Rights, RightsChange

#: Stands for the unique id of a user that is not created yet. AWS never reassigns the former id.
_TO_COME = "AIDA0C7N0RESTORED0000"
#: Each trust policy that can tell users apart by unique id contains one of these, in lower case.
_BY_ID = ('"aida', ":user/", "aws:userid")


@dataclass(frozen=True)
class RoleTrust:
    """The roles of an account whose trust policies may tell users apart by a unique id: ARN -> trust policy as JSON."""

    policies: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, roles: Iterable[Item]) -> RoleTrust:
        """``roles``: botocore's ``RoleDetail``."""
        texts = {str(role["Arn"]): _text(role.get("AssumeRolePolicyDocument")) for role in roles}
        return cls({arn: text for arn, text in texts.items() if any(each in text.lower() for each in _BY_ID)})


def _text(document: Any) -> str:
    return document if isinstance(document, str) else json.dumps(document, ensure_ascii=False)


def trust_change(was: IamUser, after: IamUser, trust: RoleTrust) -> RightsChange:
    """What roles denied ``was`` by its unique id, and don't deny the restored user ``after``.

    What they allowed only ``was`` is left out: losing it is not wider. An incomparable trust policy is unknown if it
    has the id. ``after`` has no unique id until it is created.
    """
    wider: list[str] = []
    unknown: list[str] = []
    for arn, text in trust.policies.items():
        if not any(each in text for each in (was.unique_id, f'"{was.arn}"')) and "userid" not in text.lower():
            continue
        try:
            wider += (f"{each}: {_remedy(was)}" for each in _no_longer_denied(was, after, arn, text))
        except (ValueError, TypeError) as error:
            if was.unique_id in text:
                unknown.append(f"{TRUST} of {arn}, which has {was.unique_id}, can't be read: {error}")
    return RightsChange(tuple(wider), tuple(unknown))


def _remedy(was: IamUser) -> str:
    return (
        f"it names the unique id {was.unique_id}, which the new user does not have. To keep it, first put Principal * "
        f"with the condition ArnEquals aws:PrincipalArn {was.arn} in its place; or accept this, and save the trust "
        "policy again with the user's ARN once it is restored"
    )


def _no_longer_denied(was: IamUser, after: IamUser, arn: str, text: str) -> Iterator[str]:
    """Raises ValueError."""
    document = parse_document(text)
    rows = statements(document)
    plain = [without_principal(each, arn) for each in rows]
    parsed = tuple(
        zip(rows, parse_policy({**document, "Statement": plain}, f"{TRUST} of {arn}"), strict=True)
    )
    # IAM has yet to replace an ARN that no user has by the deleted user's id
    held = {after.arn, after.unique_id} if after.unique_id else set[str]()
    then = Rights(_applying(parsed, was, {was.arn, was.unique_id}), _context(was, was.unique_id))
    return then.exceeded_by(
        Rights(_applying(parsed, after, held), _context(after, after.unique_id or _TO_COME))
    )


def _applying(
    parsed: Iterable[tuple[Statement, PolicyStatement]], user: IamUser, names: set[str]
) -> Policies:
    account = user.arn.split(":")[4]
    return Policies(tuple(each for row, each in parsed if _is_for(row, {*names, account, "*"})))


def _is_for(statement: Statement, names: set[str]) -> bool:
    """Whether the statement is for one of ``names``: ARNs, unique ids, an account's id, or ``*``."""
    negated = "NotPrincipal" in statement
    principal = statement.get("NotPrincipal" if negated else "Principal")
    given = listed(principal.get("AWS")) if isinstance(principal, Mapping) else [principal]
    return negated == names.isdisjoint({account_of(str(each)) or str(each) for each in given})


def _context(user: IamUser, unique_id: str) -> RequestContext:
    tags = user.attachments[TAG.name]
    who = {"Arn": user.arn, "UserName": user.name, "UserId": unique_id, "Tags": tags}
    return user_context(principal_permissions(who, {}, {}))
