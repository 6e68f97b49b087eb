# SPDX-License-Identifier: Apache-2.0
"""Whether policies grant administrator rights, or a known way to them. Pure.

Where it is not certain, the answer is yes, since the callers ask somebody: conditions and Denies of a policy are left
out, a document that is too complex counts, and a name or a pattern of roles counts whatever the roles may do.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from c7n_iamusers.iam.policy_documents import AppliedPolicy, Statement, listed, parse_document, statements
from c7n_iamusers.policy_comparison.aws_managed import AWS_MANAGED
from c7n_iamusers.policy_comparison.comparison import RequestSet, uncovered
from c7n_iamusers.policy_comparison.patterns import (
    Budget,
    Element,
    Language,
    TooComplex,
    complete_arn,
    literal_prefix,
    matches,
    without_colons,
)
from c7n_iamusers.policy_comparison.resolution import Scope
from c7n_iamusers.text.wording import shown

#: The sources of the table, by title.
RHINO = "Rhino Security Labs: AWS IAM Privilege Escalation - Methods and Mitigation"
PATHFINDING = "pathfinding.cloud"
GUIDE = "IAM User Guide: Permissions boundaries for IAM entities"
HACKTRICKS = "HackTricks Cloud: AWS - IAM Privesc"
CENTER = "IAM Identity Center API Reference"


@dataclass(frozen=True)
class EscalationPath:
    """Actions that together lead to the rights of somebody else, or to any. ``source``: its title, and the id there."""

    actions: tuple[str, ...]
    source: str

    def __str__(self) -> str:
        return " with ".join(self.actions)


#: Combinations of actions of which a smaller one is in the table are left out.
_TABLE: tuple[tuple[str, str], ...] = (
    # IAM: any rights for oneself, for a role or group, or for what others may do
    (f"{PATHFINDING} iam-001", "iam:CreatePolicyVersion"),
    (RHINO, "iam:SetDefaultPolicyVersion"),
    (f"{PATHFINDING} iam-007", "iam:PutUserPolicy"),
    (f"{PATHFINDING} iam-008", "iam:AttachUserPolicy"),
    (f"{PATHFINDING} iam-011", "iam:PutGroupPolicy"),
    (f"{PATHFINDING} iam-010", "iam:AttachGroupPolicy"),
    (f"{PATHFINDING} iam-013", "iam:AddUserToGroup"),
    (f"{PATHFINDING} iam-005", "iam:PutRolePolicy"),
    (f"{PATHFINDING} iam-009", "iam:AttachRolePolicy"),
    (f"{PATHFINDING} iam-012", "iam:UpdateAssumeRolePolicy"),
    (GUIDE, "iam:DeleteUserPermissionsBoundary"),
    (GUIDE, "iam:PutUserPermissionsBoundary"),
    (GUIDE, "iam:DeleteRolePermissionsBoundary"),
    (GUIDE, "iam:PutRolePermissionsBoundary"),
    # credentials of somebody else
    (f"{PATHFINDING} iam-002", "iam:CreateAccessKey"),
    (f"{PATHFINDING} iam-004", "iam:CreateLoginProfile"),
    (f"{PATHFINDING} iam-006", "iam:UpdateLoginProfile"),
    (HACKTRICKS, "iam:UpdateSAMLProvider"),
    (f"{PATHFINDING} sts-001", "sts:AssumeRole"),
    # access through Identity Center, in its own account
    (f"{CENTER}: CreateAccountAssignment", "sso:CreateAccountAssignment"),
    (f"{CENTER}: AttachManagedPolicyToPermissionSet", "sso:AttachManagedPolicyToPermissionSet"),
    (f"{CENTER}: PutInlinePolicyToPermissionSet", "sso:PutInlinePolicyToPermissionSet"),
    ("Identity Store API Reference: CreateGroupMembership", "identitystore:CreateGroupMembership"),
    # a role for something new that runs code
    (f"{PATHFINDING} apprunner-001", "iam:PassRole apprunner:CreateService"),
    (f"{PATHFINDING} bedrock-001", "iam:PassRole bedrock-agentcore:CreateCodeInterpreter"),
    (f"{PATHFINDING} cloudformation-001", "iam:PassRole cloudformation:CreateStack"),
    (f"{PATHFINDING} cloudformation-003", "iam:PassRole cloudformation:CreateStackSet"),
    (f"{PATHFINDING} cloudformation-004", "iam:PassRole cloudformation:UpdateStackSet"),
    (f"{PATHFINDING} codebuild-001", "iam:PassRole codebuild:CreateProject"),
    (RHINO, "iam:PassRole codestar:CreateProject"),
    (f"{PATHFINDING} datapipeline-001", "iam:PassRole datapipeline:CreatePipeline"),
    (f"{PATHFINDING} ec2-001", "iam:PassRole ec2:RunInstances"),
    (f"{PATHFINDING} ec2-003", "iam:PassRole ec2:RequestSpotInstances"),
    (HACKTRICKS, "iam:PassRole ec2:AssociateIamInstanceProfile"),
    (f"{PATHFINDING} ecs-001", "iam:PassRole ecs:RegisterTaskDefinition"),
    (f"{PATHFINDING} glue-001", "iam:PassRole glue:CreateDevEndpoint"),
    (f"{PATHFINDING} glue-003", "iam:PassRole glue:CreateJob"),
    (f"{PATHFINDING} glue-005", "iam:PassRole glue:UpdateJob"),
    (f"{PATHFINDING} lambda-001", "iam:PassRole lambda:CreateFunction"),
    (f"{PATHFINDING} sagemaker-001", "iam:PassRole sagemaker:CreateNotebookInstance"),
    (f"{PATHFINDING} sagemaker-002", "iam:PassRole sagemaker:CreateTrainingJob"),
    (f"{PATHFINDING} sagemaker-003", "iam:PassRole sagemaker:CreateProcessingJob"),
    # the role of something that is there already
    (f"{PATHFINDING} apprunner-002", "apprunner:UpdateService"),
    (f"{PATHFINDING} bedrock-002", "bedrock-agentcore:InvokeCodeInterpreter"),
    (f"{PATHFINDING} cloudformation-002", "cloudformation:UpdateStack"),
    (f"{PATHFINDING} cloudformation-005", "cloudformation:CreateChangeSet cloudformation:ExecuteChangeSet"),
    (f"{PATHFINDING} codebuild-002", "codebuild:StartBuild"),
    (f"{PATHFINDING} codebuild-003", "codebuild:StartBuildBatch"),
    (f"{PATHFINDING} ec2-002", "ec2:ModifyInstanceAttribute ec2:StopInstances ec2:StartInstances"),
    (f"{PATHFINDING} ec2-004", "ec2:CreateLaunchTemplateVersion ec2:ModifyLaunchTemplate"),
    (f"{PATHFINDING} ec2instanceconnect-003", "ec2-instance-connect:SendSSHPublicKey"),
    (f"{PATHFINDING} glue-002", "glue:UpdateDevEndpoint"),
    (f"{PATHFINDING} lambda-003", "lambda:UpdateFunctionCode"),
    (RHINO, "lambda:UpdateFunctionConfiguration"),
    (f"{PATHFINDING} sagemaker-004", "sagemaker:CreatePresignedNotebookInstanceUrl"),
    (
        f"{PATHFINDING} sagemaker-005",
        "sagemaker:CreateNotebookInstanceLifecycleConfig sagemaker:UpdateNotebookInstance",
    ),
    (f"{PATHFINDING} ssm-001", "ssm:StartSession"),
    (f"{PATHFINDING} ssm-002", "ssm:SendCommand"),
)
ESCALATION_PATHS = tuple(EscalationPath(tuple(actions.split()), source) for source, actions in _TABLE)
#: All actions of the table.
ALL_ESCALATING = frozenset(action for path in ESCALATION_PATHS for action in path.actions)

#: The AWS-managed policies that grant administrator rights.
_MANAGED = frozenset({"AdministratorAccess", "IAMFullAccess", "AWSMcpServiceActionsFullAccess"})
_AWS_MANAGED = ":iam::aws:policy/"
#: The beginning of an ARN: the account's id, and the partition, make no difference here.
_ACCOUNT, _PARTITION = re.compile(r"arn:aws:iam::[0-9]{12}:"), re.compile(r"arn:aws[a-z-]*:")
#: The types of resources in IAM.
_USERS, _GROUPS, _ROLES, _POLICIES, _PROVIDERS = (
    without_colons(f"arn:aws:iam::*:{each}/*")
    for each in ("user", "group", "role", "policy", "saml-provider")
)
#: Action -> the type of its resources, where the name of an action of IAM does not say it.
_TYPES: Mapping[str, str] = {
    **dict.fromkeys(("iam:CreatePolicyVersion", "iam:SetDefaultPolicyVersion"), _POLICIES),
    **dict.fromkeys(("iam:PutGroupPolicy", "iam:AttachGroupPolicy", "iam:AddUserToGroup"), _GROUPS),
    "iam:UpdateAssumeRolePolicy": _ROLES,
    "iam:UpdateSAMLProvider": _PROVIDERS,
    "sts:AssumeRole": _ROLES,
}
#: Actions that a user may have on itself alone, as each user's own access keys: these are nobody else's rights.
_OF_ONESELF = frozenset({"iam:CreateAccessKey", "iam:CreateLoginProfile", "iam:UpdateLoginProfile"})
_ONESELF = re.compile(r"arn:[^:]*:iam::[^:]*:user/(.*/)?\$\{\s*aws:username\s*\}", re.IGNORECASE)
#: In the name of a resource: a wildcard or variable; or what speaks for its rights.
_OPEN, _LIKE_ADMIN = re.compile(r"[*?$]"), re.compile("admin", re.IGNORECASE)


def _type_of(action: str) -> str:
    """The pattern of the ARNs that ``action`` is used on."""
    service, _, name = action.partition(":")
    if action in _TYPES:
        return _TYPES[action]
    if service == "iam":
        return _ROLES if "Role" in name else _USERS
    return f"arn:aws:{service}:*"


@dataclass(frozen=True)
class _Rights:
    """What a policy grants. ``actions``: those of the table. ``everything``: enough to grant oneself all the rest."""

    actions: frozenset[str]
    everything: bool


_NONE = _Rights(frozenset(), everything=False)
_ALL = _Rights(ALL_ESCALATING, everything=True)


def _rights(grant: AppliedPolicy) -> _Rights | None:
    """What ``grant`` grants; None if its document was not read or does not parse."""
    name, aws_managed = grant.arn.rpartition("/")[2], _AWS_MANAGED in grant.arn
    if aws_managed and name in _MANAGED:
        return _ALL
    if grant.document is None:
        return _unread(name) if aws_managed else None
    try:
        return _rights_of(json.dumps(parse_document(grant.document)))
    except (ValueError, TypeError):
        return None


def _unread(name: str) -> _Rights:
    """What the AWS-managed policy ``name`` grants, by the table."""
    found = AWS_MANAGED.get(name, frozenset())
    return _Rights(found, everything=False) if found else _NONE


@lru_cache(maxsize=4096)
def _rights_of(text: str) -> _Rights:
    """Cached, because many users have the same policies. Raises ValueError."""
    allowed = [each for each in statements(json.loads(text)) if _allows(each)]
    parts = [
        (_element(each, "Action", str.lower), _element(each, "Resource", _in_one_form)) for each in allowed
    ]
    grants = [(actions, resources) for actions, resources in parts if actions and resources]
    found = frozenset[str]().union(*(_granted(actions, resources) for actions, resources in grants))
    return _Rights(found, found >= _DECISIVE and _covers_iam(grants))


def _allows(statement: Statement) -> bool:
    return str(statement.get("Effect", "")).lower() == "allow"


def _element(statement: Statement, name: str, form: Callable[[str], str]) -> Element | None:
    """The element, or None for a statement without it, which applies to nothing."""
    for key in (name, f"Not{name}"):
        if key in statement:
            values = [form(str(value)) for value in listed(statement[key])]
            return Element(frozenset(value for value in values if value), key != name)
    return None


def _granted(actions: Element, resources: Element) -> frozenset[str]:
    """The actions of the table that a statement allows, where that leads to rights that its user does not have."""
    named = frozenset[str]().union(*map(_named, actions.patterns))
    wanted = ALL_ESCALATING - named if actions.negated else named
    return frozenset(each for each in wanted if _is_wide(each, resources))


@lru_cache(maxsize=65536)
def _named(pattern: str) -> frozenset[str]:
    """The actions of the table that ``pattern`` matches."""
    start, union = literal_prefix(pattern), frozenset({pattern})
    return frozenset(
        each
        for each in ALL_ESCALATING
        if each.lower().startswith(start) and (each.lower() == pattern or matches(union, each.lower()))
    )


def _is_wide(action: str, resources: Element) -> bool:
    """Whether ``resources`` has ARNs on which ``action`` leads to rights that the user does not have by itself."""
    kind = _type_of(action)
    if resources.negated:
        return _overlap(kind, resources)
    return any(
        each == "*" or (_is_unknown(action, each) and _overlap(kind, Element(frozenset({each}))))
        for each in resources.patterns
    )


@lru_cache(maxsize=65536)
def _overlap(kind: str, resources: Element) -> bool:
    """Whether ``resources`` has an ARN of ``kind``. Also where that takes too many steps to find out."""
    try:
        return Language(kind).cut_to(resources).sample(Budget()) is not None
    except TooComplex:
        return True


def _is_unknown(action: str, resource: str) -> bool:
    """Whether ``resource`` is more than what somebody gave to the user on purpose: itself, or what it names."""
    if action in _OF_ONESELF:
        return not _ONESELF.fullmatch(resource)
    if action.startswith("iam:") and action != "iam:PassRole":
        return True
    name = resource.split(":", 5)[-1]
    return bool(_OPEN.search(name) or _LIKE_ADMIN.search(name))


#: Whoever has these on all of IAM is an administrator.
_DECISIVE = frozenset(
    action
    for path in ESCALATION_PATHS
    for action in path.actions
    if action.startswith("iam:") and _type_of(action) != _PROVIDERS
)


def _covers_iam(grants: Iterable[tuple[Element, Element]]) -> bool:
    """Whether ``grants`` have the decisive actions on all users, groups, roles and policies of an account."""
    scopes = [Scope(actions, _in_any_account(resources), frozenset(), "") for actions, resources in grants]
    wanted = Element(frozenset(each.lower() for each in _DECISIVE))
    kinds = Element(frozenset({_USERS, _GROUPS, _ROLES, _POLICIES}))
    try:
        return uncovered(RequestSet.of(Scope(wanted, kinds, frozenset(), "")), scopes, Budget()) is None
    except TooComplex:
        return True


def _in_any_account(resources: Element) -> Element:
    if resources.negated:
        return resources
    return Element(frozenset(_ACCOUNT.sub("arn:aws:iam::*:", each) for each in resources.patterns))


def _in_one_form(resource: str) -> str:
    return complete_arn(_PARTITION.sub("arn:aws:", resource))


def escalating_actions(document: object) -> frozenset[str]:
    """The actions of the table that ``document`` grants. Raises ValueError for a document that does not parse."""
    return _rights_of(json.dumps(parse_document(document))).actions


def is_admin(grant: AppliedPolicy) -> bool | None:
    """Whether ``grant`` grants administrator rights; None if the document was not read or does not parse.

    An administrator may call every action on every resource, or all that changes rights in IAM, and so grants itself
    the rest: AdministratorAccess, IAMFullAccess and customer policies with the same effect. Conditions, Denies and
    boundaries make no difference.
    """
    rights = _rights(grant)
    return None if rights is None else rights.everything


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
    """The policies that grant administrator rights, in words, and last the known ways to them; None if it is unknown.

    The ways are one text, such as ``a known way: iam:PassRole with lambda:CreateFunction (deploy)``.
    """
    if grants is None:
        return None
    grants = tuple(grants)
    admins, ways = full_admins(grants), escalations(grants)
    found = (*(admins or ()), *([f"a known way: {shown(ways)}"] if ways else []))
    return None if not found and (admins is None or ways is None) else found
