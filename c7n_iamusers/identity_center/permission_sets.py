# SPDX-License-Identifier: Apache-2.0
"""From a permission set as it stands to the calls that make it the wanted one. Pure."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from c7n_iamusers.derivation.permission_set import MANAGED_TAG, PermissionSet, duration_seconds
from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.execution.calls import ApiCall, Ref, Wait
from c7n_iamusers.identity_center.model import Instance, KnownPermissionSet

#: The Ref under which a new permission set's ARN is kept.
PERMISSION_SET_ARN = "permission-set"
_PROVISIONING = "provisioning"
_EVERYWHERE = "ALL_PROVISIONED_ACCOUNTS"


def check_permission_set(wanted: PermissionSet, known: KnownPermissionSet | None) -> None:
    """Raises IdentityCenterError where the set of that name is not ours to change, or carries what we may not take."""
    if known is None:
        return
    key, value = MANAGED_TAG
    if known.settings.tags.get(key) != value:
        raise IdentityCenterError(
            f"permission set {wanted.name} ({known.arn}) exists and lacks the tag {key}={value}, so it is somebody "
            f"else's: give another permission-set.name, or tag it {key}={value} if this policy may change it"
        )
    if surplus := list(_surplus(wanted, known.settings)):
        raise IdentityCenterError(
            f"permission set {wanted.name} ({known.arn}) also carries {', '.join(surplus)}, which nobody asks for "
            "here: remove that from the set, or give another permission-set.name"
        )


def permission_set_calls(
    wanted: PermissionSet, known: KnownPermissionSet | None, instance: Instance, accounts: Collection[str]
) -> tuple[ApiCall, ...]:
    """Create it with its policies; or mend what differs and see that through in every account that has it.

    A set that needs no change but stands in one of ``accounts`` in an earlier form (a run that stopped before
    provisioning it) is provisioned there; other accounts are their own runs' business.
    """
    if known is None:
        return tuple(_creation(wanted, instance))
    changes = [*_policy_changes(wanted, known, instance), *_attribute_changes(wanted, known, instance)]
    tagging = list(_tagging(wanted, known, instance))
    if changes and known.accounts:
        changes.append(_provisioning(known, instance, {"TargetType": _EVERYWHERE}))
    elif not changes:
        changes += [
            _provisioning(known, instance, {"TargetType": "AWS_ACCOUNT", "TargetId": account})
            for account in sorted(known.stale.intersection(accounts))
        ]
    return (*tagging, *changes)


def accounts_that_change(
    wanted: PermissionSet, known: KnownPermissionSet, instance: Instance, accounts: Collection[str]
) -> frozenset[str]:
    """Where the calls of ``permission_set_calls`` give the set's holders something other than they have."""
    if differs(wanted, known.settings):
        return known.accounts
    calls = permission_set_calls(wanted, known, instance, accounts)
    if any(call.parameters.get("TargetType") == _EVERYWHERE for call in calls):
        return known.stale
    return known.stale.intersection(accounts)


def may_grow(wanted: PermissionSet, present: PermissionSet) -> bool:
    """Whether ``wanted`` may give its holders anything that ``present`` does not; in doubt it does."""
    old, new = set(statements_of(present.inline_policy)), set(statements_of(wanted.inline_policy))
    return (
        (duration_seconds(wanted.session_duration) or 0) > (duration_seconds(present.session_duration) or 0)
        or wanted.boundary != present.boundary
        or not wanted.customer_policies <= present.customer_policies
        or not wanted.managed_policies <= present.managed_policies
        or any(_may_deny(arn) for arn in present.managed_policies - wanted.managed_policies)
        or any(_effect(each) != "Deny" for each in new - old)
        or any(_effect(each) != "Allow" for each in old - new)
    )


def _may_deny(arn: str) -> bool:
    """Whether the AWS-managed policy of that ARN is one that denies, by its name."""
    return "Deny" in arn or "Quarantine" in arn


def _effect(statement: str) -> str:
    try:
        return str(json.loads(statement)["Effect"])
    except (ValueError, KeyError, TypeError):
        return ""


def statements_of(inline_policy: str) -> list[str]:
    """The statements of an inline policy, each as text."""
    try:
        found = json.loads(inline_policy)["Statement"] if inline_policy else []
    except (ValueError, KeyError, TypeError):
        return [inline_policy]
    listed = found if isinstance(found, list) else [found]
    return [json.dumps(each, sort_keys=True) for each in listed]


def differs(wanted: PermissionSet, present: PermissionSet) -> bool:
    """Whether ``present`` gives its holders anything other than ``wanted``; words and tags give nothing."""
    return (
        duration_seconds(wanted.session_duration) != duration_seconds(present.session_duration)
        or wanted.managed_policies != present.managed_policies
        or wanted.customer_policies != present.customer_policies
        or wanted.inline_policy != present.inline_policy
        or wanted.boundary != present.boundary
    )


def _surplus(wanted: PermissionSet, present: PermissionSet) -> Iterator[str]:
    """What somebody added by hand: to take away a boundary would widen, so a person is to look at it."""
    for policy in sorted(present.customer_policies - wanted.customer_policies):
        yield f"customer-managed policy {policy}"
    if present.boundary and present.boundary != wanted.boundary:
        yield f"the permissions boundary {present.boundary}"


def _creation(wanted: PermissionSet, instance: Instance) -> Iterator[ApiCall]:
    tags = [{"Key": key, "Value": value} for key, value in sorted(wanted.tags.items())]
    named = {"InstanceArn": instance.arn, "Name": wanted.name, "Tags": tags}
    parameters = {**named, **_attributes(wanted, wanted)}
    path = ("PermissionSet", "PermissionSetArn")
    yield ApiCall("sso-admin", "CreatePermissionSet", parameters, save={PERMISSION_SET_ARN: path})
    target = {"InstanceArn": instance.arn, "PermissionSetArn": Ref(PERMISSION_SET_ARN)}
    # The boundary goes first: without it the rest grants more than was asked for.
    yield from _boundary(target, wanted, "")
    if wanted.inline_policy:
        yield _inline_policy(target, wanted.inline_policy)
    yield from _attachments("Attach", "To", target, wanted.managed_policies)
    yield from _references(target, wanted.customer_policies)


def _policy_changes(
    wanted: PermissionSet, known: KnownPermissionSet, instance: Instance
) -> Iterator[ApiCall]:
    # What is granted shrinks before it grows, though no account sees any of it before it is provisioned.
    target = {"InstanceArn": instance.arn, "PermissionSetArn": known.arn}
    present = known.settings
    yield from _boundary(target, wanted, present.boundary)
    yield from _attachments("Detach", "From", target, present.managed_policies - wanted.managed_policies)
    if wanted.inline_policy and wanted.inline_policy != present.inline_policy:
        yield _inline_policy(target, wanted.inline_policy)
    if present.inline_policy and not wanted.inline_policy:
        yield ApiCall("sso-admin", "DeleteInlinePolicyFromPermissionSet", target)
    yield from _attachments("Attach", "To", target, wanted.managed_policies - present.managed_policies)
    yield from _references(target, wanted.customer_policies - present.customer_policies)


def _attribute_changes(
    wanted: PermissionSet, known: KnownPermissionSet, instance: Instance
) -> Iterator[ApiCall]:
    present = known.settings
    same = (
        duration_seconds(wanted.session_duration) == duration_seconds(present.session_duration)
        and wanted.description in ("", present.description)
        and wanted.relay_state in ("", present.relay_state)
    )
    if not same:
        target = {"InstanceArn": instance.arn, "PermissionSetArn": known.arn}
        yield ApiCall("sso-admin", "UpdatePermissionSet", {**target, **_attributes(wanted, present)})


def _attributes(wanted: PermissionSet, present: PermissionSet) -> dict[str, str]:
    """All of them: whether UpdatePermissionSet keeps what is left out is written nowhere."""
    attributes = {
        "Description": wanted.description or present.description,
        "SessionDuration": wanted.session_duration,
        "RelayState": wanted.relay_state or present.relay_state,
    }
    return {name: text for name, text in attributes.items() if text}


def _tagging(wanted: PermissionSet, known: KnownPermissionSet, instance: Instance) -> Iterator[ApiCall]:
    missing = [
        {"Key": key, "Value": value}
        for key, value in sorted(wanted.tags.items())
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


def _references(target: Mapping[str, Any], policies: frozenset[str]) -> Iterator[ApiCall]:
    for policy in sorted(policies):
        parameters = {**target, "CustomerManagedPolicyReference": policy_reference(policy)}
        yield ApiCall("sso-admin", "AttachCustomerManagedPolicyReferenceToPermissionSet", parameters)


def _boundary(target: Mapping[str, Any], wanted: PermissionSet, present: str) -> Iterator[ApiCall]:
    if wanted.boundary == present:
        return
    boundary: dict[str, Any] = {"ManagedPolicyArn": wanted.boundary}
    if not wanted.boundary.startswith("arn:"):
        boundary = {"CustomerManagedPolicyReference": policy_reference(wanted.boundary)}
    parameters = {**target, "PermissionsBoundary": boundary}
    yield ApiCall("sso-admin", "PutPermissionsBoundaryToPermissionSet", parameters)


def policy_reference(policy: str) -> dict[str, str]:
    """Path and name of a customer-managed policy as sso-admin takes them."""
    path, _, name = policy.rpartition("/")
    return {"Name": name, "Path": f"{path}/"}


def _inline_policy(target: Mapping[str, Any], document: str) -> ApiCall:
    return ApiCall("sso-admin", "PutInlinePolicyToPermissionSet", {**target, "InlinePolicy": document})


def _provisioning(known: KnownPermissionSet, instance: Instance, target: Mapping[str, str]) -> ApiCall:
    status = "PermissionSetProvisioningStatus"
    wait = Wait(
        "DescribePermissionSetProvisioningStatus",
        {"InstanceArn": instance.arn, "ProvisionPermissionSetRequestId": Ref(_PROVISIONING)},
        (status, "Status"),
        (status, "FailureReason"),
    )
    parameters = {"InstanceArn": instance.arn, "PermissionSetArn": known.arn, **target}
    save = {_PROVISIONING: (status, "RequestId")}
    return ApiCall("sso-admin", "ProvisionPermissionSet", parameters, save=save, wait=wait)
