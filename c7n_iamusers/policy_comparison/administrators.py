# SPDX-License-Identifier: Apache-2.0
"""Whether policies grant administrator rights, or a known way to them. Pure.

An uncertain answer is yes or unknown, because the callers then ask somebody. A policy's conditions and Denies don't
count, any partition does, and so does any name or pattern of roles, whatever the roles may do. The time grows only with
the length of a document, which is bounded.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache

from c7n_iamusers.iam.policy_documents import AppliedPolicy, Statement, listed, parse_document, statements
from c7n_iamusers.policy_comparison.aws_managed import AWS_MANAGED
from c7n_iamusers.policy_comparison.aws_managed_not_escalating import HARMLESS
from c7n_iamusers.policy_comparison.escalation_paths import (
    ALL_ESCALATING,
    DECISIVE,
    ESCALATION_PATHS,
    RIGHTS,
    TYPES,
    EscalationPath,
    in_any_partition,
)
from c7n_iamusers.policy_comparison.overlaps import covers, overlap
from c7n_iamusers.policy_comparison.patterns import (
    Element,
    complete_arn,
    has_reserved,
    literal_prefix,
    matches,
    without_colons,
    without_variables,
)
from c7n_iamusers.policy_comparison.statements import LONGEST
from c7n_iamusers.text.wording import shown

#: The AWS-managed policies that grant administrator rights.
_MANAGED = frozenset({"AdministratorAccess", "IAMFullAccess", "AWSMcpServiceActionsFullAccess"})
#: The beginning of an ARN. Its account id and partition don't matter for what covers all of IAM.
_ANYWHERE = re.compile(r"arn:[^:]*:iam::(?:[0-9]{12}|\*):")
_ALL_OF_IAM = tuple(map(without_colons, RIGHTS))
#: Actions that give nobody else's rights if a user has them only on itself, such as for its own access keys.
_OF_ONESELF = frozenset({"iam:CreateAccessKey", "iam:CreateLoginProfile", "iam:UpdateLoginProfile"})
_ONESELF = re.compile(r"arn:[^:]*:iam::[^:]*:user/(.*/)?\$\{\s*aws:username\s*\}", re.IGNORECASE)
#: What passes a role. Whoever may create something with any role has that role's rights, whatever its name is.
_PASSING = "iam:PassRole"
_WITH_A_ROLE = frozenset(
    action for path in ESCALATION_PATHS if _PASSING in path.actions for action in path.actions
) - frozenset(action for path in ESCALATION_PATHS if _PASSING not in path.actions for action in path.actions)
#: Actions that count even on resources named without a wildcard: IAM's, Identity Center's, whose one instance, sets and
#: groups give any rights, and those that pass a role.
_ALWAYS = frozenset(
    {"sts:AssumeRoot"}
    | {
        each
        for each in ALL_ESCALATING
        if each.startswith(("iam:", "sso:", "sso-directory:", "identitystore:"))
    }
    | _WITH_A_ROLE
) - {_PASSING}
#: In the name of a resource: a wildcard or variable, or a sign of many rights. By their documentation, the roles that
#: AWS Organizations, Control Tower, CloudFormation StackSets and the CDK create have AdministratorAccess.
_OPEN = re.compile(r"[*?$]")
_LIKE_ADMIN = re.compile(
    "admin|OrganizationAccountAccessRole|AWSControlTowerExecution|AWSAFTExecution|AWSReservedSSO_"
    "|StackSetExecutionRole|cfn-exec-role",
    re.IGNORECASE,
)
#: Documents of Systems Manager: all, and those of AWS that run what their parameters say.
_DOCUMENTS = in_any_partition("arn:aws:ssm:*:*:document/*")
_RUNS_ANYTHING = re.compile(
    r".*:document/AWS-(Run(ShellScript|PowerShellScript|RemoteScript|Document|AnsiblePlaybook|SaltState)"
    r"|Apply(AnsiblePlaybooks|ChefRecipes|DSCMofs)|Install(Application|PowerShellModule))"
)


@dataclass(frozen=True)
class _Rights:
    """What a policy grants. ``actions``: those of the table. ``everything``: enough to grant oneself the rest."""

    actions: frozenset[str]
    everything: bool


_NONE = _Rights(frozenset(), everything=False)
_ALL = _Rights(ALL_ESCALATING, everything=True)


@dataclass(frozen=True)
class _Allow:
    """What a statement allows. ``named``: the table's actions that it names, whatever its resources."""

    named: frozenset[str]
    resources: Element


def _rights(grant: AppliedPolicy) -> _Rights | None:
    """What ``grant`` grants; None if that is unknown: see ``unknown``."""
    aws_managed, name = grant.aws_managed, grant.arn.rpartition("/")[2]
    if aws_managed and name in _MANAGED:
        return _ALL
    if grant.document is None:
        return _unread(name) if aws_managed else None
    try:
        return _rights_of(_text(grant.document))
    except (ValueError, TypeError):
        return None


def _unread(name: str) -> _Rights | None:
    """What the AWS-managed policy ``name`` grants, by the tables; None if no table has it, as if it is new."""
    found = AWS_MANAGED.get(name)
    return _Rights(found, everything=False) if found else _NONE if name in HARMLESS else None


def _text(document: object) -> str:
    """The text of ``document``. Raises ValueError for one that no policy in AWS can be."""
    text = json.dumps(parse_document(document))
    if len(text) > LONGEST:
        raise ValueError(f"{len(text)} characters, and no policy in AWS has more than {LONGEST}")
    return text


@lru_cache(maxsize=4096)
def _rights_of(text: str) -> _Rights:
    """Cached, because many users have the same policies. Raises ValueError."""
    allowed = [statement for statement in statements(json.loads(text)) if _allows(statement)]
    parts = [(_element(each, "Action", str.lower), _element(each, "Resource", str)) for each in allowed]
    allows = [_Allow(_named(actions), resources) for actions, resources in parts]
    found = frozenset[str]().union(*map(_granted, allows))
    return _Rights(found, found >= DECISIVE and _covers_iam(allows))


def _allows(statement: Statement) -> bool:
    """Whether it allows anything. Raises ValueError if that is uncertain."""
    effect = str(statement.get("Effect", "")).lower()
    if effect not in ("allow", "deny"):
        raise ValueError("a statement whose Effect is neither Allow nor Deny")
    return effect == "allow"


def _element(statement: Statement, name: str, form: Callable[[str], str]) -> Element:
    """The element. Raises ValueError for a statement that IAM rejects: without it, for example."""
    for key in (name, f"Not{name}"):
        if key in statement:
            values = [form(str(value)) for value in listed(statement[key])]
            if any(map(has_reserved, values)):
                raise ValueError("a private-use character, which IAM does not allow in policies")
            return Element(frozenset(value for value in values if value), key != name)
    raise ValueError(f"a statement without {name} and Not{name}")


_LOWER = {action: action.lower() for action in ALL_ESCALATING}


def _named(actions: Element) -> frozenset[str]:
    """The table's actions in ``actions``. A variable, which actions can't have, excludes none."""
    if actions.negated:
        return ALL_ESCALATING - _matched(without_variables(actions.patterns))
    return _matched(actions.patterns)


@lru_cache(maxsize=4096)
def _matched(patterns: frozenset[str]) -> frozenset[str]:
    if "*" in patterns:
        return ALL_ESCALATING
    wild = frozenset(filter(_OPEN.search, patterns))
    prefixes = tuple(map(literal_prefix, wild))
    return frozenset(
        action
        for action, text in _LOWER.items()
        if text in patterns or (text.startswith(prefixes) and matches(wild, text))
    )


def _granted(allow: _Allow) -> frozenset[str]:
    """The table's actions that a statement allows on resources that lead to rights beyond the user's."""
    return frozenset(each for each in allow.named if _is_wide(each, allow.resources))


def _is_wide(action: str, resources: Element) -> bool:
    """Whether ``resources`` has ARNs on which ``action`` leads to rights beyond the user's own."""
    if resources.negated:
        excluded = without_variables(resources.patterns)
        return not all(any(covers(each, kind) for each in excluded) for kind in TYPES[action])
    return any(
        each == "*" or (_is_unknown(action, each) and any(_overlaps(each, kind) for kind in TYPES[action]))
        for each in _useful(action, resources.patterns)
    )


def _overlaps(pattern: str, kind: str) -> bool:
    """Whether ``pattern`` overlaps as it is, as its stars may stand for fields, or as AWS completes it."""
    return overlap(pattern, kind) or overlap(complete_arn(pattern), kind)


def _useful(action: str, patterns: frozenset[str]) -> frozenset[str]:
    """The ``patterns`` that count. SendCommand needs a document, too, so only documents count if it has any.

    Service Authorization Reference, SendCommand.
    """
    if action != "ssm:SendCommand" or "*" in patterns:
        return patterns
    return frozenset(pattern for pattern in patterns if _overlaps(pattern, _DOCUMENTS)) or patterns


def _is_unknown(action: str, resource: str) -> bool:
    """Whether ``resource`` may be more than the user itself, or a resource that somebody chose by name."""
    if action in _OF_ONESELF:
        return not _ONESELF.fullmatch(resource)
    if action in _ALWAYS:
        return True
    name = resource.split(":", 5)[-1]
    return bool(_OPEN.search(name) or _LIKE_ADMIN.search(name) or _RUNS_ANYTHING.fullmatch(resource))


def _covers_iam(allows: Iterable[_Allow]) -> bool:
    """Whether ``allows`` have the decisive actions on all users, groups, roles and policies of an account.

    Each action on each type must be allowed by one statement, and by one pattern in it.
    """
    given = [
        (allow.named, kind) for allow in allows for kind in _ALL_OF_IAM if _covers_kind(allow.resources, kind)
    ]
    return all(
        any(action in named for named, given_kind in given if given_kind == kind)
        for kind in _ALL_OF_IAM
        for action in DECISIVE
    )


def _covers_kind(resources: Element, kind: str) -> bool:
    if resources.negated:
        return not any(overlap(pattern, kind) for pattern in resources.patterns)
    return any(
        covers(complete_arn(_ANYWHERE.sub("arn:*:iam::*:", pattern)), kind) for pattern in resources.patterns
    )


def escalating_actions(document: object) -> frozenset[str]:
    """The actions of the table that ``document`` grants. Raises ValueError for a document that does not parse."""
    return _rights_of(_text(document)).actions


def is_admin(grant: AppliedPolicy) -> bool | None:
    """Whether ``grant`` grants administrator rights; None if that is unknown: see ``unknown``.

    An administrator may call every action on every resource, or all that changes rights in IAM, and so grants itself
    the rest: AdministratorAccess, IAMFullAccess and customer policies with the same effect. Conditions, Denies and
    boundaries make no difference.
    """
    rights = _rights(grant)
    return None if rights is None else rights.everything


def unknown(grants: Iterable[AppliedPolicy]) -> tuple[AppliedPolicy, ...]:
    """The policies whose grants are unknown.

    The document was not read, or does not parse, or the tables lack the AWS-managed policy.
    """
    return tuple(grant for grant in grants if _rights(grant) is None)


def escalations(grants: Iterable[AppliedPolicy] | None) -> tuple[str, ...] | None:
    """The known ways to administrator rights that ``grants`` have together, in words; None if it is unknown.

    Policies that grant administrator rights by themselves are left out: see ``full_admins``.
    """
    if grants is None:
        return None
    found = [(grant, _rights(grant)) for grant in grants]
    less = [(grant, rights) for grant, rights in found if rights and not rights.everything]
    held = frozenset[str]().union(*(rights.actions for _, rights in less))
    ways = tuple(
        f"{path} ({_through(path, less)})" for path in ESCALATION_PATHS if held.issuperset(path.actions)
    )
    return None if not ways and any(rights is None for _, rights in found) else ways


def _through(path: EscalationPath, grants: list[tuple[AppliedPolicy, _Rights]]) -> str:
    """The policies that grant the actions of ``path``."""
    names = [str(grant) for grant, rights in grants if rights.actions.intersection(path.actions)]
    return ", ".join(dict.fromkeys(names))


def full_admins(grants: Iterable[AppliedPolicy] | None) -> tuple[str, ...] | None:
    """The policies that grant administrator rights, in words; None if it is unknown whether there are any."""
    if grants is None:
        return None
    checked = [(grant, is_admin(grant)) for grant in grants]
    found = tuple(str(grant) for grant, admin in checked if admin)
    return None if not found and any(admin is None for _, admin in checked) else found


def admin_policies(grants: Iterable[AppliedPolicy] | None) -> tuple[str, ...] | None:
    """The policies that grant administrator rights, in words, then the known ways to them; None if unknown.

    The ways are one text, such as ``a known way: iam:PassRole with lambda:CreateFunction (deploy)``.
    """
    if grants is None:
        return None
    grants = tuple(grants)
    admins, ways = full_admins(grants), escalations(grants)
    found = (*(admins or ()), *([f"a known way: {shown(ways)}"] if ways else []))
    return None if not found and (admins is None or ways is None) else found
