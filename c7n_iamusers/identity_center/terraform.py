# SPDX-License-Identifier: Apache-2.0
"""A desired access as Terraform configuration in JSON syntax."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from c7n_iamusers.derivation.permission_set import MANAGED_TAG, PermissionSet
from c7n_iamusers.execution.stores import DirectoryStore
from c7n_iamusers.identity_center import model
from c7n_iamusers.identity_center.permission_sets import policy_reference

_INSTANCE = "${tolist(data.aws_ssoadmin_instances.this.arns)[0]}"
_STORE = "${tolist(data.aws_ssoadmin_instances.this.identity_store_ids)[0]}"
_LABEL = re.compile(r"[^A-Za-z0-9]+")

#: Type, label and arguments of a resource.
_Resource = tuple[str, str, dict[str, Any]]


@dataclass(frozen=True)
class Existing:
    """The current state of Identity Center, and the existing users of the people."""

    state: model.CenterState
    people: Mapping[model.PersonKey, model.KnownPerson]
    instance: model.Instance


def terraform_configuration(desired: model.DesiredAccess, existing: Existing | None = None) -> dict[str, Any]:
    """The configuration. Labels depend only on names.

    ``existing``: each of its objects gets an ``import`` block (Terraform 1.5), so that the first apply adopts it and
    does not fail because the name is taken.
    """
    resources: defaultdict[str, dict[str, Any]] = defaultdict(dict)
    for kind, label, arguments in _resources(desired):
        resources[kind][label] = arguments
    data: dict[str, Any] = {"aws_ssoadmin_instances": {"this": {}}}
    if desired.external and desired.groups:
        data["aws_identitystore_group"] = {_label(name): _looked_up(name) for name in desired.groups}
    return {
        "terraform": {
            "required_version": ">= 1.5" if existing else ">= 1.0",
            "required_providers": {"aws": {"source": "hashicorp/aws", "version": ">= 5.0"}},
        },
        "data": data,
        **({"resource": dict(resources)} if resources else {}),
        **({"import": list(_imports(desired, existing))} if existing else {}),
    }


def _imports(desired: model.DesiredAccess, existing: Existing) -> Iterator[dict[str, str]]:
    """Import blocks; ids are as in the import sections of the resources of hashicorp/aws."""
    instance, store = existing.instance.arn, existing.instance.identity_store_id
    for kind, label, identifier in (
        *_imported_sets(desired, existing, instance),
        *_imported_groups(desired, existing, instance, store),
        *_imported_people(desired, existing, store),
    ):
        yield {"to": f"{kind}.{label}", "id": identifier}


def _imported_sets(
    desired: model.DesiredAccess, existing: Existing, instance: str
) -> Iterator[tuple[str, str, str]]:
    for name, requested in sorted(desired.permission_sets.items()):
        known = existing.state.permission_sets.get(name)
        if known is None or not known.settings.is_managed:
            continue
        whole, present = f"{known.arn},{instance}", known.settings
        yield "aws_ssoadmin_permission_set", _label(name), whole
        for policy in sorted(requested.managed_policies & present.managed_policies):
            label = _label(f"{name} {policy}")
            yield "aws_ssoadmin_managed_policy_attachment", label, f"{policy},{whole}"
        for policy in sorted(requested.customer_policies & present.customer_policies):
            reference = policy_reference(policy)
            given = f"{reference['Name']},{reference['Path']},{whole}"
            yield "aws_ssoadmin_customer_managed_policy_attachment", _label(f"{name} {policy}"), given
        if requested.inline_policy and present.inline_policy:
            yield "aws_ssoadmin_permission_set_inline_policy", _label(name), whole
        if requested.boundary and present.boundary:
            yield "aws_ssoadmin_permissions_boundary_attachment", _label(name), whole


def _imported_groups(
    desired: model.DesiredAccess, existing: Existing, instance: str, store: str
) -> Iterator[tuple[str, str, str]]:
    for name, group in sorted(desired.groups.items()):
        known = existing.state.groups.get(name)
        if known is None or not (group.external or known.is_managed):
            continue
        if not group.external:
            yield "aws_identitystore_group", _label(name), f"{store}/{known.group_id}"
        for grant in sorted(group.grants):
            found = existing.state.permission_sets.get(grant.permission_set)
            if found and model.Assignment(grant.account_id, found.arn) in known.assignments:
                label = _label(f"{name} {grant.permission_set} {grant.account_id}")
                target = f"{known.group_id},GROUP,{grant.account_id},AWS_ACCOUNT,{found.arn},{instance}"
                yield "aws_ssoadmin_account_assignment", label, target


def _imported_people(
    desired: model.DesiredAccess, existing: Existing, store: str
) -> Iterator[tuple[str, str, str]]:
    if desired.external:
        return
    for key, known in sorted(existing.people.items()):
        yield "aws_identitystore_user", _person_label(key), f"{store}/{known.user_id}"
    for key, name in sorted({(claim.person, claim.group) for claim in desired.claims}):
        person, group = existing.people.get(key), existing.state.groups.get(name)
        membership = group.memberships.get(person.user_id) if person and group else None
        if membership:
            yield "aws_identitystore_group_membership", _label(f"{name} {key[0]}"), f"{store}/{membership}"


def _resources(desired: model.DesiredAccess) -> Iterator[_Resource]:
    policies: dict[str, list[str]] = {}
    for name, requested in sorted(desired.permission_sets.items()):
        yield "aws_ssoadmin_permission_set", _label(name), _permission_set(requested)
        attached = list(_policies(requested))
        policies[name] = [f"{kind}.{label}" for kind, label, _ in attached]
        yield from attached
    for name, group in sorted(desired.groups.items()):
        if not desired.external:
            yield "aws_identitystore_group", _label(name), _group(group)
        for grant in sorted(group.grants):
            yield _assignment(group, grant, policies[grant.permission_set])
    if not desired.external:
        for key, person in sorted(desired.people.items()):
            yield "aws_identitystore_user", _person_label(key), _user(person)
        for key, name in sorted({(claim.person, claim.group) for claim in desired.claims}):
            yield _membership(key, name)


def _permission_set(requested: PermissionSet) -> dict[str, Any]:
    # The tag of managed permission sets is left out: Terraform manages this one.
    tags = {key: text for key, text in requested.tags.items() if key != MANAGED_TAG[0]}
    arguments = {
        "name": requested.name,
        "description": requested.description,
        "session_duration": requested.session_duration,
        "relay_state": requested.relay_state,
        "tags": {_escaped(key): _escaped(text) for key, text in tags.items()},
    }
    given = {
        key: _escaped(text) if isinstance(text, str) else text for key, text in arguments.items() if text
    }
    return {"instance_arn": _INSTANCE, **given}


def _policies(requested: PermissionSet) -> Iterator[_Resource]:
    def bound(kind: str, label: str, arguments: Mapping[str, Any]) -> _Resource:
        arn = f"${{aws_ssoadmin_permission_set.{_label(requested.name)}.arn}}"
        return kind, label, {"instance_arn": _INSTANCE, "permission_set_arn": arn, **arguments}

    for policy in sorted(requested.managed_policies):
        label = _label(f"{requested.name} {policy}")
        yield bound("aws_ssoadmin_managed_policy_attachment", label, {"managed_policy_arn": _escaped(policy)})
    for policy in sorted(requested.customer_policies):
        label = _label(f"{requested.name} {policy}")
        reference = {"customer_managed_policy_reference": _reference(policy)}
        yield bound("aws_ssoadmin_customer_managed_policy_attachment", label, reference)
    if requested.inline_policy:
        document = {"inline_policy": _escaped(requested.inline_policy)}
        yield bound("aws_ssoadmin_permission_set_inline_policy", _label(requested.name), document)
    if requested.boundary:
        boundary: dict[str, Any] = {"managed_policy_arn": _escaped(requested.boundary)}
        if not requested.boundary.startswith("arn:"):
            boundary = {"customer_managed_policy_reference": _reference(requested.boundary)}
        yield bound(
            "aws_ssoadmin_permissions_boundary_attachment",
            _label(requested.name),
            {"permissions_boundary": boundary},
        )


def _reference(policy: str) -> dict[str, str]:
    return {key.lower(): _escaped(text) for key, text in policy_reference(policy).items()}


def _group(group: model.Group) -> dict[str, Any]:
    accounts = ", ".join(sorted({grant.account_id for grant in group.grants})[:3])
    return {
        "identity_store_id": _STORE,
        "display_name": _escaped(group.name),
        "description": f"Access of former IAM users to account {accounts}",
    }


def _looked_up(name: str) -> dict[str, Any]:
    unique = {"attribute_path": "DisplayName", "attribute_value": _escaped(name)}
    return {"identity_store_id": _STORE, "alternate_identifier": {"unique_attribute": unique}}


def _group_id(group: model.Group) -> str:
    prefix = "data." if group.external else ""
    return f"${{{prefix}aws_identitystore_group.{_label(group.name)}.group_id}}"


def _assignment(group: model.Group, grant: model.Grant, policies: list[str]) -> _Resource:
    arguments = {
        "instance_arn": _INSTANCE,
        "permission_set_arn": f"${{aws_ssoadmin_permission_set.{_label(grant.permission_set)}.arn}}",
        "principal_id": _group_id(group),
        "principal_type": "GROUP",
        "target_id": grant.account_id,
        "target_type": "AWS_ACCOUNT",
        # A permission set is complete before it is assigned.
        **({"depends_on": policies} if policies else {}),
    }
    label = _label(f"{group.name} {grant.permission_set} {grant.account_id}")
    return "aws_ssoadmin_account_assignment", label, arguments


def _user(person: model.Person) -> dict[str, Any]:
    return {
        "identity_store_id": _STORE,
        "user_name": _escaped(person.username),
        "display_name": _escaped(person.display_name),
        "name": {"given_name": _escaped(person.given_name), "family_name": _escaped(person.family_name)},
        "emails": {"value": _escaped(person.email), "type": "work", "primary": True},
    }


def _membership(key: model.PersonKey, group: str) -> _Resource:
    arguments = {
        "identity_store_id": _STORE,
        "group_id": f"${{aws_identitystore_group.{_label(group)}.group_id}}",
        "member_id": f"${{aws_identitystore_user.{_person_label(key)}.user_id}}",
    }
    return "aws_identitystore_group_membership", _label(f"{group} {key[0]}"), arguments


def _person_label(key: model.PersonKey) -> str:
    return _label(key[0])


def _label(name: str) -> str:
    """A valid, readable and unique label for ``name``."""
    readable = _LABEL.sub("_", name).strip("_")[:48]
    return f"r_{readable}_{sha256(name.encode()).hexdigest()[:8]}"


def _escaped(text: str) -> str:
    return text.replace("${", "$${").replace("%{", "%%{")


FILE = "identity-center.tf.json"


def write_terraform(
    directory: Path, desired: model.DesiredAccess, existing: Existing | None = None
) -> Iterator[str]:
    """Write the configuration, replacing an earlier one; yields lines for the console. Raises OSError.

    ``existing``: see ``terraform_configuration``.
    """
    configuration = terraform_configuration(desired, existing)
    text = json.dumps(configuration, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    DirectoryStore(directory).replace(FILE, text.encode())
    for kind, resources in sorted(configuration.get("resource", {}).items()):
        yield f"  {len(resources):>5} {kind}"
    if existing:
        yield f"  {len(configuration['import']):>5} import blocks, for what exists"
    for refused in desired.refused:
        yield f"  ! refused {refused.reason}"
    yield f"Wrote {directory / FILE}"
