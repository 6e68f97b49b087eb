# SPDX-License-Identifier: Apache-2.0
"""The roles that running policies takes, each with its trust policy and its exact permissions. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from c7n_iamusers.exceptions import InvalidPolicyData
from c7n_iamusers.iam.permissions import Needed, role_policy
from c7n_iamusers.iam.policy_documents import listed
from c7n_iamusers.iam.resource_types import of_instance
from c7n_iamusers.notices.mailer_needs import MailerNeed
from c7n_iamusers.notices.queue_counts import queue_arn
from c7n_iamusers.roles.places import READ_QUEUE, Places, allow, owned_by, place_statements

#: The kinds of roles: five in each member account, one where Identity Center is administered, and c7n-org's runner.
READER, REMOVER, RESTORER = "member-reader", "member-remover", "member-restorer"
FUNCTION, DEPLOYER = "function", "deployer"
CENTER, RUNNER = "identity-center", "runner"
#: The role of c7n-mailer.
MAILER = "mailer"
#: "Maximum characters in all inline policies of a role" (IAM and STS quotas), which count no white space.
_LONGEST_POLICY = 10_240
_VERSION = "2012-10-17"
#: What `c7n-iamusers owners` and `preflight` read in AWS Organizations, by the role for Identity Center.
_OF_ORGANIZATION = frozenset(
    {
        "account:GetAlternateContact",
        "organizations:DescribeOrganization",
        "organizations:ListAccounts",
        "organizations:ListTagsForResource",
    }
)
#: How `preflight` asks what a role may do.
_SIMULATING = "iam:SimulatePrincipalPolicy"
#: Services whose documentation has aws:SourceAccount in the trust policy of a role that they assume. EC2's does not.
#: Lambda's mentions it only in general, and a condition that is not met would stop the function. iam:PassRole keeps the
#: roles of both within their account.
_WITH_SOURCE_ACCOUNT = frozenset({"codebuild", "ecs-tasks", "scheduler", "states"})
_LAMBDA = "lambda.amazonaws.com"
_LOGGING = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"]
#: What Cloud Custodian calls to create a policy's function and its rule, and to update them (c7n/mu.py).
_OF_FUNCTION = [
    f"lambda:{each}"
    for each in (
        "AddPermission CreateFunction DeleteFunctionConcurrency GetFunction GetFunctionConfiguration "
        "PutFunctionConcurrency TagResource UntagResource UpdateFunctionCode UpdateFunctionConfiguration"
    ).split()
]
#: What `preflight` asks an account with functions: whether a trail logs what they run on, and how many may run.
_OF_ACCOUNT = [
    "cloudtrail:DescribeTrails",
    "cloudtrail:GetEventSelectors",
    "cloudtrail:GetTrailStatus",
    "lambda:GetAccountSettings",
]
#: c7n-org finds the Regions of `-r all` with it. Without it, c7n-org deploys nothing and exits with 0.
_OF_REGIONS = ["ec2:DescribeRegions"]
_OF_RULE = [f"events:{each}" for each in ("DescribeRule", "ListTargetsByRule", "PutRule", "PutTargets")]
Document = Mapping[str, Any]


@dataclass(frozen=True)
class Functions:
    """Policies that run in AWS Lambda as one ``role``: its name, after its path if it has one.

    ``names``: of the functions. ``needed``: what their role needs to act on users. ``places``: the role's own.
    """

    role: str
    names: tuple[str, ...]
    needed: Needed
    places: Places


@dataclass(frozen=True)
class RoleNeeds:
    """What policies need, by the role that calls. ``center``: empty if no role acts in Identity Center.

    ``restorer``: for restoring a user. ``functions``: by their role. ``setup``: also what `c7n-iamusers owners` and
    `preflight` need.
    """

    reader: Needed | None = None
    remover: Needed | None = None
    restorer: Needed | None = None
    center: frozenset[str] = frozenset()
    functions: tuple[Functions, ...] = ()
    setup: bool = False


@dataclass(frozen=True)
class RoleSettings:
    """``reader``, ``remover``, ``restorer``, ``deployer``: names. ``center``: an ARN, or empty if unknown.

    ``runners``: ARNs, at least one. ``restore_by``: those of them that may assume the restorer; empty for all.
    ``runner_principal``: who may assume the runner's role, an ARN or a service such as ``ec2.amazonaws.com``; empty if
    it exists. ``mailer``: the ARN of c7n-mailer's role, or empty. ``external_id``: what c7n-org passes to member roles;
    empty for none. ``organization``: its id, to deny buckets and roles of any other; else empty. ``instance``: the ARN
    of Identity Center's instance, ``identity_store``: the id of its store; empty for any.
    """

    runners: tuple[str, ...]
    reader: str
    remover: str
    restorer: str = ""
    restore_by: tuple[str, ...] = ()
    center: str = ""
    runner_principal: str = ""
    external_id: str = ""
    organization: str = ""
    deployer: str = ""
    mailer: str = ""
    instance: str = ""
    identity_store: str = ""

    @property
    def partition(self) -> str:
        return self.runners[0].split(":")[1]

    @property
    def restoring(self) -> tuple[str, ...]:
        return self.restore_by or self.runners


@dataclass(frozen=True)
class RoleDocument:
    """``kind``: one of the above, or ``function-2``, ... for further roles of functions.

    ``path``: begins and ends with a slash. ``trust``: None if the role exists, and only gets the policy. ``account``:
    its own; empty where it is in several.
    """

    kind: str
    path: str
    name: str
    description: str
    trust: Document | None
    policy: Document
    account: str = ""


def role_documents(needs: RoleNeeds, settings: RoleSettings, places: Places) -> tuple[RoleDocument, ...]:
    """The roles that ``needs`` call for. Raises InvalidPolicyData."""
    found = [*_of_members(needs, settings), *_of_functions(needs, settings), *_of_center(needs, settings)]
    numbered = enumerate(dict.fromkeys(settings.runners), 1)
    runners = [_of_runner(number, arn, found, needs, settings, places) for number, arn in numbered]
    for each in (*found, *runners):
        _check_length(each)
    return (*found, *runners)


def _of_runner(
    number: int,
    arn: str,
    others: Iterable[RoleDocument],
    needs: RoleNeeds,
    settings: RoleSettings,
    places: Places,
) -> RoleDocument:
    assumed = [
        settings.center if each.kind == CENTER else f"arn:{settings.partition}:iam::*:role/{each.name}"
        for each in others
        if not each.kind.startswith(FUNCTION) and (each.kind != RESTORER or arn in settings.restoring)
    ]
    statements = [
        *([allow(["sts:AssumeRole"], assumed, owned_by(settings.organization))] if assumed else ()),
        *place_statements(places, settings.partition, settings.organization, needs.setup),
        *_forwarding(needs, settings),
        *(_asked_of_buckets(others) if needs.setup else ()),
    ]
    if needs.setup and settings.mailer:
        statements.append(allow([_SIMULATING], [settings.mailer]))
    trust = _trust_of_runner(settings) if settings.runner_principal else None
    text = "Runs c7n-org with the policies of c7n-iamusers"
    kind, (path, name) = numbered_kind(RUNNER, number), _path_and_name(arn)
    return RoleDocument(kind, path, name, text, trust, _document(statements), arn.split(":")[4])


def numbered_kind(kind: str, number: int) -> str:
    """The kind of the role with this number, from 1: ``runner``, ``runner-2``, ..."""
    return kind if number == 1 else f"{kind}-{number}"


@dataclass(frozen=True)
class MailerRole:
    """``arn``: of the role. ``principal``: who may assume it, an ARN or a service; empty if it exists.

    ``needs``: what c7n-mailer needs. ``setup``: whether `c7n-iamusers preflight --mailer` may act as it.
    """

    arn: str
    principal: str
    needs: tuple[MailerNeed, ...]
    setup: bool = False

    def document(self) -> RoleDocument:
        """The role, to be printed. Raises InvalidPolicyData."""
        return _of_mailer(self)


def _of_mailer(role: MailerRole) -> RoleDocument:
    asked = [allow([_SIMULATING], [role.arn])] if role.setup else []
    allowed = [
        allow([*need.actions], need.resources, {"StringEquals": need.condition} if need.condition else None)
        for need in role.needs
    ]
    trust = trust_policy([role.principal]) if role.principal else None
    text = "Runs c7n-mailer"
    found = RoleDocument(MAILER, *_path_and_name(role.arn), text, trust, _document([*allowed, *asked]))
    _check_length(found)
    return found


def _forwarding(needs: RoleNeeds, settings: RoleSettings) -> Iterator[Document]:
    """`c7n-iamusers forward` empties the queues of functions. It sends as the runner's policies do."""
    queues = dict.fromkeys(
        queue_arn(queue, settings.partition)
        for function in needs.functions
        for queue in function.places.queues
    )
    if queues:
        asked = READ_QUEUE if needs.setup else ()
        yield allow([*asked, "sqs:DeleteMessage", "sqs:ReceiveMessage"], list(queues))


def _of_members(needs: RoleNeeds, settings: RoleSettings) -> Iterator[RoleDocument]:
    for kind, name, needed, trusted, text in (
        (READER, settings.reader, needs.reader, settings.runners, "Reads IAM users for c7n-iamusers"),
        (
            REMOVER,
            settings.remover,
            needs.remover,
            settings.runners,
            "Quarantines and deletes IAM users for c7n-iamusers",
        ),
        (
            RESTORER,
            settings.restorer,
            needs.restorer,
            settings.restoring,
            "Releases and restores IAM users for c7n-iamusers",
        ),
    ):
        if needed is not None:
            if needs.setup:
                needed |= Needed(bound=frozenset({(_SIMULATING, f"iam::*:role/{name}")}))
            policy = role_policy(needed, "*", settings.partition, settings.organization)
            trust = _trust_in(trusted, settings, settings.external_id)
            yield RoleDocument(kind, "/", name, text, trust, policy)


def _of_functions(needs: RoleNeeds, settings: RoleSettings) -> Iterator[RoleDocument]:
    for number, functions in enumerate(needs.functions, 1):
        own = role_policy(functions.needed, "*", settings.partition, settings.organization)["Statement"]
        logs = _arns(settings, "logs:*:*:log-group:/aws/lambda/", functions.names)
        statements = [*own, allow(_LOGGING, [*logs, *(f"{log}:*" for log in logs)])]
        path, _, name = f"/{functions.role}".rpartition("/")
        policy = _document(
            [*statements, *place_statements(functions.places, settings.partition, settings.organization)]
        )
        text = "Runs the policies of c7n-iamusers that are Lambda functions"
        kind = numbered_kind(FUNCTION, number)
        yield RoleDocument(kind, f"{path}/", name, text, trust_policy([_LAMBDA]), policy)
    if needs.functions:
        yield _deployer(needs, settings)


def _deployer(needs: RoleNeeds, settings: RoleSettings) -> RoleDocument:
    names = [name for function in needs.functions for name in function.names]
    roles = _arns(settings, "iam::*:role/", [function.role for function in needs.functions])
    policy = _document(
        [
            allow(["iam:PassRole"], roles, {"StringEquals": {"iam:PassedToService": _LAMBDA}}),
            allow(_OF_FUNCTION, _arns(settings, "lambda:*:*:function:", names)),
            allow(_OF_RULE, _arns(settings, "events:*:*:rule/", names)),
            allow(_OF_REGIONS, ["*"]),
            *(_asked_of_functions(roles, settings) if needs.setup else ()),
        ]
    )
    trust = _trust_in(settings.runners, settings, settings.external_id)
    return RoleDocument(
        DEPLOYER, "/", settings.deployer, "Deploys the Lambda functions of c7n-iamusers", trust, policy
    )


def _asked_of_functions(roles: Iterable[str], settings: RoleSettings) -> Iterator[Document]:
    """What `preflight` asks an account with functions."""
    own = _arns(settings, "iam::*:role/", (settings.remover, settings.restorer))
    yield allow(["iam:GetRole"], [*roles, *own])
    yield allow([_SIMULATING], _arns(settings, "iam::*:role/", [settings.deployer]))
    yield allow(_OF_ACCOUNT, ["*"])


def _asked_of_buckets(documents: Iterable[RoleDocument]) -> Iterator[Document]:
    """What `preflight` asks of the buckets of functions: their policies, and whether a list of exemptions is there."""
    own = [each for each in documents if each.kind.startswith(FUNCTION)]
    buckets, lists = dict[str, None](), dict[str, None]()
    for statement in (each for role in own for each in role.policy["Statement"]):
        objects = [arn for arn in listed(statement["Resource"]) if arn.split(":")[2:3] == ["s3"]]
        buckets |= dict.fromkeys(arn.partition("/")[0] for arn in objects)
        if "s3:GetObject" in statement["Action"]:
            lists |= dict.fromkeys(arn for arn in objects if not arn.endswith("*"))
    if buckets:
        yield allow(["s3:GetBucketPolicy"], buckets)
    if lists:
        yield allow(["s3:GetObject"], lists)


def _arns(settings: RoleSettings, begins: str, names: Iterable[str]) -> list[str]:
    return [f"arn:{settings.partition}:{begins}{name}" for name in names]


def _of_center(needs: RoleNeeds, settings: RoleSettings) -> Iterator[RoleDocument]:
    if not needs.center:
        return
    if not settings.center:
        raise InvalidPolicyData(
            "the ARN of the policies' role for IAM Identity Center is unknown: give the accounts file that defines "
            "it with -c, or give --identity-center-role"
        )
    needed = Needed(needs.center)
    if needs.setup:
        itself = settings.center.split(":", 2)[2]
        needed |= Needed(_OF_ORGANIZATION, bound=frozenset({(_SIMULATING, itself)}))
    policy = role_policy(needed, "*", settings.partition)
    policy = of_instance(policy, settings.instance, settings.identity_store)
    text = "Reads and provisions IAM Identity Center for c7n-iamusers"
    yield RoleDocument(
        CENTER, *_path_and_name(settings.center), text, _trust_in(settings.runners, settings), policy
    )


def _trust_in(runners: Iterable[str], settings: RoleSettings, external_id: str = "") -> Document:
    wanted = {"sts:ExternalId": external_id, "aws:PrincipalOrgID": settings.organization}
    return trust_policy(runners, wanted)


def _trust_of_runner(settings: RoleSettings) -> Document:
    principal, account = settings.runner_principal, settings.runners[0].split(":")[4]
    if principal.split(".")[0] not in _WITH_SOURCE_ACCOUNT:
        return trust_policy([principal])
    return trust_policy([principal], {"aws:SourceAccount": account})


def trust_policy(principals: Iterable[str], wanted: Mapping[str, str] | None = None) -> Document:
    """Lets ``principals`` assume the role: ARNs, or a service such as ``ec2.amazonaws.com``.

    ``wanted``: condition key -> the value that it must have; an empty one is left out.
    """
    first, *others = dict.fromkeys(principals)
    kind = "AWS" if first.startswith("arn:") else "Service"
    principal = {kind: [first, *others] if others else first}
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    if given := {key: value for key, value in (wanted or {}).items() if value}:
        statement["Condition"] = {"StringEquals": given}
    return _document([statement])


def _document(statements: Iterable[Document]) -> Document:
    return {"Version": _VERSION, "Statement": list(statements)}


def _path_and_name(arn: str) -> tuple[str, str]:
    path, _, name = arn.partition(":role")[2].rpartition("/")
    return f"{path}/", name


def _check_length(role: RoleDocument) -> None:
    length = len("".join(json.dumps(role.policy).split()))
    if length > _LONGEST_POLICY:
        raise InvalidPolicyData(
            f"the policy of role {role.name} has {length} characters, and a role can have {_LONGEST_POLICY}: "
            "give fewer policies at once, or one bucket for all accounts"
        )
