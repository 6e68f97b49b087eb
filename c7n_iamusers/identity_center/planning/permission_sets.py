# SPDX-License-Identifier: Apache-2.0
"""The calls that turn an existing permission set into the requested one, or create it. Pure."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from c7n_iamusers.derivation.requested_permission_set import MANAGED_TAG, PermissionSet, duration_seconds
from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.execution.calls import ApiCall, Ref, Wait
from c7n_iamusers.identity_center.model import Assignment, Instance, KnownPermissionSet
from c7n_iamusers.text.wording import shown

#: The Ref to the ARN of a new permission set.
PERMISSION_SET_ARN = "permission-set"
_PROVISIONING = "provisioning"
_EVERYWHERE = "ALL_PROVISIONED_ACCOUNTS"


def check_permission_set(requested: PermissionSet, known: KnownPermissionSet | None) -> None:
    """Raises IdentityCenterError if the existing permission set is not managed, or has policies that must stay."""
    if known is None:
        return
    if not known.settings.is_managed:
        tag = "=".join(MANAGED_TAG)
        raise IdentityCenterError(
            f"permission set {requested.name} ({known.arn}) exists without the tag {tag}, so it was not made by "
            f"c7n-iamusers: give another permission-set.name, or tag it {tag} if this policy may change it"
        )
    if surplus := list(_surplus(requested, known.settings)):
        raise IdentityCenterError(
            f"permission set {requested.name} ({known.arn}) also has {', '.join(surplus)}, which is not requested "
            "here: remove that from the set, or give another permission-set.name"
        )


def check_resources(requested: PermissionSet) -> None:
    """Raises IdentityCenterError for a resource in the inline policy that IAM refuses.

    A resource is ``*`` or an ARN (IAM User Guide, "IAM JSON policy elements: Resource") with a service: IAM refuses
    ``arn:*``, as its vendor must be fully qualified. Identity Center accepts any, and then fails to provision the set.
    """
    wrong = sorted(
        {resource for resource in _resources(requested.inline_policy) if not _is_resource(resource)}
    )
    if wrong:
        raise IdentityCenterError(
            f"permission set {requested.name} has in its inline policy the resource {shown(wrong)}, which IAM refuses: "
            "a resource is * or an ARN with partition and service. Correct it in the policy"
        )


def _is_resource(text: str) -> bool:
    prefix, partition, rest = (*text.split(":", 2), "", "")[:3]
    return text == "*" or (prefix == "arn" and bool(partition) and rest[:1] not in ("", ":"))


def _resources(inline_policy: str) -> Iterator[str]:
    for text in statements_of(inline_policy):
        try:
            statement = json.loads(text)
        except ValueError:
            continue
        for element in ("Resource", "NotResource"):
            found = statement.get(element, ()) if isinstance(statement, dict) else ()
            yield from (str(each) for each in ([found] if isinstance(found, str) else found))


def permission_set_calls(
    requested: PermissionSet, known: KnownPermissionSet | None, instance: Instance
) -> tuple[ApiCall, ...]:
    """The calls that create the permission set, or change what differs. Accounts don't see it before it is provisioned.

    Policies that were added by hand go, too: see ``check_permission_set``.
    """
    if known is None:
        return tuple(_creation(requested, instance))
    return (*_tagging(requested, known, instance), *_changes(requested, known, instance))


def is_provisioned_anew(requested: PermissionSet, known: KnownPermissionSet, instance: Instance) -> bool:
    """Whether the calls of ``permission_set_calls`` change what accounts have of the permission set."""
    return bool(known.accounts) and has_changes(requested, known, instance)


def has_changes(requested: PermissionSet, known: KnownPermissionSet, instance: Instance) -> bool:
    """Whether ``requested`` has other settings than the permission set. Tags don't matter."""
    return next(_changes(requested, known, instance), None) is not None


def accounts_to_provision(
    requested: PermissionSet, known: KnownPermissionSet, instance: Instance, accounts: Collection[str]
) -> frozenset[str]:
    """All accounts of a permission set that changes; else those of ``accounts`` with an earlier form of it, which an
    interrupted or failed run leaves.
    """
    if is_provisioned_anew(requested, known, instance):
        return known.accounts
    return known.stale.intersection(accounts)


def accounts_that_change(
    requested: PermissionSet, known: KnownPermissionSet, instance: Instance, accounts: Collection[str]
) -> frozenset[str]:
    """The accounts in which a run over ``accounts`` changes the access of holders."""
    if differs(requested, known.settings):
        return known.accounts
    return known.stale & accounts_to_provision(requested, known, instance, accounts)


def may_widen(requested: PermissionSet, present: PermissionSet) -> bool:
    """Whether ``requested`` may allow anything that ``present`` does not; true in doubt."""
    old, new = set(statements_of(present.inline_policy)), set(statements_of(requested.inline_policy))
    return (
        lasts_longer(requested, present)
        or requested.boundary != present.boundary
        or not requested.customer_policies <= present.customer_policies
        or not requested.managed_policies <= present.managed_policies
        or any(_may_deny(arn) for arn in present.managed_policies - requested.managed_policies)
        or any(_effect(each) != "Deny" for each in new - old)
        or any(_effect(each) != "Allow" for each in old - new)
    )


def lost_forms(assignments: Iterable[Assignment], sets: Mapping[str, KnownPermissionSet]) -> Iterator[str]:
    """What no undo can restore of removed ``assignments``, in lines for a reviewer. ``sets``: by ARN."""
    for assignment in sorted(assignments):
        known = sets.get(assignment.permission_set_arn)
        if known and assignment.account_id in known.stale:
            yield (
                f"no undo restores it: account {assignment.account_id} has permission set {known.settings.name} in an "
                "earlier form, whose content AWS does not tell"
            )


def lasts_longer(requested: PermissionSet, present: PermissionSet) -> bool:
    """Whether sessions of ``requested`` are longer than those of ``present``."""
    seconds = duration_seconds(requested.session_duration) or 0
    return seconds > (duration_seconds(present.session_duration) or 0)


def _may_deny(arn: str) -> bool:
    """Whether an AWS-managed policy may deny something, by its name."""
    return "Deny" in arn or "Quarantine" in arn


def _effect(statement: str) -> str:
    try:
        return str(json.loads(statement)["Effect"])
    except (ValueError, KeyError, TypeError):
        return ""


def statements_of(inline_policy: str) -> list[str]:
    """The statements of an inline policy, each as JSON."""
    try:
        found = json.loads(inline_policy)["Statement"] if inline_policy else []
    except (ValueError, KeyError, TypeError):
        return [inline_policy]
    listed = found if isinstance(found, list) else [found]
    return [json.dumps(each, sort_keys=True) for each in listed]


def differs(requested: PermissionSet, present: PermissionSet) -> bool:
    """Whether ``present`` gives other access than ``requested``. Description, relay state and tags don't matter."""
    return (
        duration_seconds(requested.session_duration) != duration_seconds(present.session_duration)
        or requested.managed_policies != present.managed_policies
        or requested.customer_policies != present.customer_policies
        or requested.inline_policy != present.inline_policy
        or requested.boundary != present.boundary
    )


def _surplus(requested: PermissionSet, present: PermissionSet) -> Iterator[str]:
    """Policies that were added by hand. Removing a boundary would allow more, so a person must decide."""
    for policy in sorted(present.customer_policies - requested.customer_policies):
        yield f"customer-managed policy {policy}"
    if present.boundary and present.boundary != requested.boundary:
        yield f"the permissions boundary {present.boundary}"


def _creation(requested: PermissionSet, instance: Instance) -> Iterator[ApiCall]:
    tags = [{"Key": key, "Value": value} for key, value in sorted(requested.tags.items())]
    named = {"InstanceArn": instance.arn, "Name": requested.name, "Tags": tags}
    parameters = {**named, **_attributes(requested, requested)}
    path = ("PermissionSet", "PermissionSetArn")
    yield ApiCall("sso-admin", "CreatePermissionSet", parameters, save={PERMISSION_SET_ARN: path})
    target = {"InstanceArn": instance.arn, "PermissionSetArn": Ref(PERMISSION_SET_ARN)}
    # The boundary comes first, because without it the rest would allow more than requested.
    yield from _boundary(target, requested, "")
    if requested.inline_policy:
        yield _inline_policy(target, requested.inline_policy)
    yield from _attachments("Attach", "To", target, requested.managed_policies)
    yield from _references(target, requested.customer_policies)


def _changes(requested: PermissionSet, known: KnownPermissionSet, instance: Instance) -> Iterator[ApiCall]:
    yield from _policy_changes(requested, known, instance)
    yield from _attribute_changes(requested, known, instance)


def _policy_changes(
    requested: PermissionSet, known: KnownPermissionSet, instance: Instance
) -> Iterator[ApiCall]:
    # Removals come before additions. Accounts see no change before it is provisioned.
    target = {"InstanceArn": instance.arn, "PermissionSetArn": known.arn}
    present = known.settings
    yield from _boundary(target, requested, present.boundary)
    yield from _attachments("Detach", "From", target, present.managed_policies - requested.managed_policies)
    if requested.inline_policy and requested.inline_policy != present.inline_policy:
        yield _inline_policy(target, requested.inline_policy)
    if present.inline_policy and not requested.inline_policy:
        yield ApiCall("sso-admin", "DeleteInlinePolicyFromPermissionSet", target)
    yield from _attachments("Attach", "To", target, requested.managed_policies - present.managed_policies)
    yield from _references(target, present.customer_policies - requested.customer_policies, "Detach", "From")
    yield from _references(target, requested.customer_policies - present.customer_policies)
    if present.boundary and not requested.boundary:
        yield ApiCall("sso-admin", "DeletePermissionsBoundaryFromPermissionSet", target)


def _attribute_changes(
    requested: PermissionSet, known: KnownPermissionSet, instance: Instance
) -> Iterator[ApiCall]:
    present = known.settings
    same = (
        duration_seconds(requested.session_duration) == duration_seconds(present.session_duration)
        and requested.description in ("", present.description)
        and requested.relay_state in ("", present.relay_state)
    )
    if not same:
        target = {"InstanceArn": instance.arn, "PermissionSetArn": known.arn}
        yield ApiCall("sso-admin", "UpdatePermissionSet", {**target, **_attributes(requested, present)})


def _attributes(requested: PermissionSet, present: PermissionSet) -> dict[str, str]:
    """All attributes: it is not documented whether UpdatePermissionSet keeps those left out."""
    attributes = {
        "Description": requested.description or present.description,
        "SessionDuration": requested.session_duration,
        "RelayState": requested.relay_state or present.relay_state,
    }
    return {name: text for name, text in attributes.items() if text}


def _tagging(requested: PermissionSet, known: KnownPermissionSet, instance: Instance) -> Iterator[ApiCall]:
    missing = [
        {"Key": key, "Value": value}
        for key, value in sorted(requested.tags.items())
        if known.settings.tags.get(key) != value
    ]
    if missing:
        target = {"InstanceArn": instance.arn, "ResourceArn": known.arn}
        yield ApiCall("sso-admin", "TagResource", {**target, "Tags": missing})


def _attachments(
    verb: str, preposition: str, target: Mapping[str, Any], arns: frozenset[str]
) -> Iterator[ApiCall]:
    operation = f"{verb}ManagedPolicy{preposition}PermissionSet"
    for arn in sorted(arns):
        yield ApiCall("sso-admin", operation, {**target, "ManagedPolicyArn": arn})


def _references(
    target: Mapping[str, Any], policies: frozenset[str], verb: str = "Attach", preposition: str = "To"
) -> Iterator[ApiCall]:
    operation = f"{verb}CustomerManagedPolicyReference{preposition}PermissionSet"
    for policy in sorted(policies):
        parameters = {**target, "CustomerManagedPolicyReference": policy_reference(policy)}
        yield ApiCall("sso-admin", operation, parameters)


def _boundary(target: Mapping[str, Any], requested: PermissionSet, present: str) -> Iterator[ApiCall]:
    if requested.boundary in ("", present):
        return
    boundary: dict[str, Any] = {"ManagedPolicyArn": requested.boundary}
    if not requested.boundary.startswith("arn:"):
        boundary = {"CustomerManagedPolicyReference": policy_reference(requested.boundary)}
    parameters = {**target, "PermissionsBoundary": boundary}
    yield ApiCall("sso-admin", "PutPermissionsBoundaryToPermissionSet", parameters)


def policy_reference(policy: str) -> dict[str, str]:
    """``/path/name`` of a customer-managed policy as sso-admin's CustomerManagedPolicyReference."""
    path, _, name = policy.rpartition("/")
    return {"Name": name, "Path": f"{path}/"}


def _inline_policy(target: Mapping[str, Any], document: str) -> ApiCall:
    return ApiCall("sso-admin", "PutInlinePolicyToPermissionSet", {**target, "InlinePolicy": document})


def provisioning_call(known: KnownPermissionSet, instance: Instance, account: str = "") -> ApiCall:
    """The call that provisions the permission set to the account; by default to all its accounts, in one request."""
    status = "PermissionSetProvisioningStatus"
    wait = Wait(
        "DescribePermissionSetProvisioningStatus",
        {"InstanceArn": instance.arn, "ProvisionPermissionSetRequestId": Ref(_PROVISIONING)},
        (status, "Status"),
        (status, "FailureReason"),
    )
    target = {"TargetType": "AWS_ACCOUNT", "TargetId": account} if account else {"TargetType": _EVERYWHERE}
    parameters = {"InstanceArn": instance.arn, "PermissionSetArn": known.arn, **target}
    save = {_PROVISIONING: (status, "RequestId")}
    return ApiCall("sso-admin", "ProvisionPermissionSet", parameters, save=save, wait=wait)
