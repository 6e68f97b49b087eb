# SPDX-License-Identifier: Apache-2.0
"""The roles that given policies take, as documents: for ``roles``, which prints them, and ``init``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from c7n_iamusers.exceptions import InvalidPolicyData
from c7n_iamusers_cli.arguments import is_role_arn
from c7n_iamusers_cli.permissions import needed_in_account, needed_in_center, parts_of
from c7n_iamusers_cli.role_places import NamedByPolicies, check_outputs, output_places

if TYPE_CHECKING:
    from c7n_iamusers.iam.permissions import Needed
    from c7n_iamusers.organization.account_values import AccountValues
    from c7n_iamusers.organization.readiness import Target
    from c7n_iamusers.roles.documents import Functions, RoleDocument, RoleNeeds, RoleSettings

#: The modes of Cloud Custodian that make a Lambda function and a rule of EventBridge.
_MODES = ("cloudtrail", "periodic")
#: The account of the role itself, in its policy.
_OWN_ACCOUNT = "${aws:PrincipalAccount}"


def documents_of(
    by_file: Sequence[Sequence[Any]],
    values: AccountValues,
    settings: RoleSettings,
    outputs: Sequence[str] = (),
    *,
    restore: bool = False,
    undo: bool = False,
    setup: bool = False,
) -> tuple[RoleDocument, ...]:
    """The roles that the policies take, but that of c7n-mailer.

    ``by_file``: c7n's policies of each file. ``settings``: the policies say ``center`` where it is empty. ``outputs``:
    the runner's, ``s3://`` URLs. ``restore``, ``undo``, ``setup``: see ``roles``.

    Raises InvalidPolicyData, and click.UsageError for an output that is none.
    """
    from c7n_iamusers.roles.documents import role_documents

    policies = [policy for each in by_file for policy in each]
    _check_queues(policies, values)
    check_outputs(outputs)
    written, listed = output_places(outputs, values)
    pulling = [each for each in policies if each.execution_mode == "pull"]
    names = NamedByPolicies([*parts_of(pulling)], values)
    known = replace(settings, center=settings.center or names.center())
    _check_partitions(known, values.targets)
    pushed = [each for each in policies if each not in pulling]
    places = names.places(written, listed)
    # deploying functions also leaves an output, and `report` checks their mails
    places = replace(places, read=(*places.read, *NamedByPolicies([*parts_of(pushed)], values).reported()))
    functions = functions_of(pushed, values, outputs)
    needs = replace(role_needs(by_file, values, restore, undo), functions=functions, setup=setup)
    _check_names(functions, known)
    return role_documents(needs, known, places)


def role_needs(
    files: Iterable[Iterable[Any]], values: AccountValues, restore: bool = False, undo: bool = False
) -> RoleNeeds:
    """What the policies that c7n-org runs need, by the role that calls. ``files``: the policies of each file.

    c7n-org runs a file as one role, so the role of a policy that changes users may also read what the file's others do.
    ``restore``, ``undo``: also what `c7n-iamusers restore`, and `provision prune` and `undo`, need.
    """
    from c7n_iamusers.iam.permissions import RESTORATION, Needed
    from c7n_iamusers.identity_center.planning.operations import REMOVING
    from c7n_iamusers.roles.documents import READER, REMOVER, RESTORER, RoleNeeds

    found = {RESTORER: Needed(restoring=frozenset(RESTORATION))} if restore else {}
    in_center = frozenset(REMOVING if undo else ())
    for policies in files:
        parts = [[*parts_of([policy])] for policy in policies if policy.execution_mode == "pull"]
        in_center = in_center.union(*(needed_in_center(part) for each in parts for part in each))
        of_policies = [_needed(each, values) for each in parts]
        kinds = [*map(_kind, of_policies)]
        for kind, needed in zip(kinds, of_policies, strict=True):
            for each in {*kinds, READER} if kind == READER else {kind}:
                found[each] = found.get(each, Needed()) | needed
    return RoleNeeds(found.get(READER), found.get(REMOVER), found.get(RESTORER), in_center)


def _needed(parts: Iterable[Any], values: AccountValues) -> Needed:
    from c7n_iamusers.iam.permissions import Needed

    found = Needed()
    for part in parts:
        found |= needed_in_account(part, values)
    return found


def _kind(needed: Needed) -> str:
    """The kind of the role for a policy with these needs."""
    from c7n_iamusers.iam.permissions import changes_users
    from c7n_iamusers.roles.documents import READER, REMOVER, RESTORER

    if needed.restoring:
        return RESTORER
    return REMOVER if changes_users(needed.own | needed.others) else READER


def _check_names(functions: Sequence[Functions], known: RoleSettings) -> None:
    """Raises InvalidPolicyData if functions would share a role with others."""
    for each in functions:
        if each.role.rpartition("/")[2] in (known.reader, known.remover, known.restorer, known.deployer):
            raise InvalidPolicyData(
                f"mode.role is {each.role}, and so is --reader, --remover, --restorer or --deployer: the "
                "functions have a role of their own, so give another name"
            )


def _check_queues(policies: Iterable[Any], values: AccountValues) -> None:
    """Raises InvalidPolicyData if a member account could write to c7n-mailer's queue."""
    from c7n_iamusers.organization.queue_senders import open_mailer

    if fault := open_mailer(values.targets, [policy.data for policy in policies]):
        raise InvalidPolicyData(fault)


def _check_partitions(settings: RoleSettings, targets: Iterable[Target]) -> None:
    """Raises InvalidPolicyData for an account or a role outside the runner's partition."""
    found = {
        str(target): target.partition for target in targets if target.roles or {*target.regions} - {"all"}
    } | {f"the runner {each}": each.split(":")[1] for each in settings.runners[1:]}
    if settings.center:
        found[f"the role for Identity Center {settings.center}"] = settings.center.split(":")[1]
    for what, partition in found.items():
        if partition != settings.partition:
            raise InvalidPolicyData(
                f"{what} is in partition {partition}, and the runner {settings.runners[0]} in {settings.partition}: a "
                "role trusts no role of another partition. Print the roles of each partition by themselves, with its "
                "own accounts file, --runner and --identity-center-role"
            )


def functions_of(
    policies: Iterable[Any], values: AccountValues, outputs: Sequence[str]
) -> tuple[Functions, ...]:
    """The policies that run in AWS Lambda, by their role. ``outputs``: see ``_as_role``.

    Raises InvalidPolicyData.
    """
    by_role = dict[str, list[Any]]()
    for policy in policies:
        role, *others = dict.fromkeys(_function_roles(policy, values))
        if others:
            raise InvalidPolicyData(
                f"{policy.name}: its function has several roles ({', '.join([role, *others])}): give them one name in "
                "all accounts"
            )
        by_role.setdefault(role, []).append(policy)
    return tuple(_as_role(role, found, values, outputs) for role, found in by_role.items())


def _as_role(role: str, policies: Sequence[Any], values: AccountValues, outputs: Sequence[str]) -> Functions:
    """``outputs``: the runner's, for a function that names no other."""
    from c7n_iamusers.roles.documents import Functions

    given = dict[str, None]()
    for policy in policies:
        output = _option(policy, "output_dir")
        given |= dict.fromkeys([output] if output else outputs)
        for part in parts_of([policy]):
            if needed_in_center(part):
                raise InvalidPolicyData(
                    f"{policy.name}: a function that works in IAM Identity Center by another role is not in these "
                    "documents: run the policy without mode, by c7n-org"
                )
    needed = _needed(parts_of(policies), values)
    names = NamedByPolicies([*parts_of(policies)], values, _OWN_ACCOUNT)
    written, listed = output_places(given, values, _OWN_ACCOUNT)
    return Functions(
        role,
        tuple(f"{each.data['mode'].get('function-prefix', 'custodian-')}{each.name}" for each in policies),
        needed,
        names.places(written, listed),
    )


def _function_roles(policy: Any, values: AccountValues) -> Iterator[str]:
    """The name of the role of ``policy``'s function, after its path if it has one. Raises InvalidPolicyData."""
    mode = policy.data["mode"]
    if mode["type"] not in _MODES:
        raise InvalidPolicyData(
            f"{policy.name}: the roles for mode {mode['type']} are not in these documents, only those for "
            f"{' and '.join(_MODES)}: leave its file out"
        )
    if mode.get("member-role") or _option(policy, "assume_role"):
        raise InvalidPolicyData(
            f"{policy.name}: its function assumes another role, which is not in these documents: leave its file out"
        )
    if not (role := mode.get("role")):
        raise InvalidPolicyData(
            f"{policy.name}: names no mode.role, so its function would run as the role by which c7n-org deploys it: "
            "name a role of its own"
        )
    for each in values.of("role of the function", role):
        name = each.partition(":role/")[2] if each.startswith("arn:") else each
        if not is_role_arn(f"arn:aws:iam::111122223333:role/{name}"):
            raise InvalidPolicyData(
                f"{policy.name}: mode.role: {each!r} is neither the name nor the ARN of a role"
            )
        yield name


def _option(policy: Any, name: str) -> str:
    return str(policy.data["mode"].get("execution-options", {}).get(name) or "")
