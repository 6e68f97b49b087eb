# SPDX-License-Identifier: Apache-2.0
"""A desired access as Terraform configuration in JSON syntax.

Existing objects of others get ``data`` blocks. What only an earlier configuration of this export may own gets a
``removed`` block, with which Terraform forgets it and does not destroy it: its request may be missing because an
account could not be read. Only policies of a permission set that is still owned are detached.

Arguments, attributes that force a replacement, and ids for import are those of the source of hashicorp/aws:
internal/service/identitystore and internal/service/ssoadmin. Blocks are those of Terraform 1.7 (``import`` 1.5).
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from c7n_iamusers.derivation.requested_permission_set import PermissionSet, duration_seconds
from c7n_iamusers.execution.stores import DirectoryStore
from c7n_iamusers.identity_center import model
from c7n_iamusers.identity_center.output.earlier_export import FILE, SET, USER, EarlierExport
from c7n_iamusers.identity_center.output.terraform_ownership import (
    EXPORTED_TAG,
    Existing,
    exported_description,
)
from c7n_iamusers.identity_center.planning.permission_sets import policy_reference
from c7n_iamusers.text.wording import shown

#: Without a known instance: the first one that the provider finds.
_FOUND: dict[str, dict[str, Any]] = {"aws_ssoadmin_instances": {"this": {}}}
_INSTANCE = "${tolist(data.aws_ssoadmin_instances.this.arns)[0]}"
_STORE = "${tolist(data.aws_ssoadmin_instances.this.identity_store_ids)[0]}"
_LABEL = re.compile(r"[^A-Za-z0-9]+")
_ONE_OF_A_SET = {
    "aws_ssoadmin_permission_set_inline_policy": "its inline policy",
    "aws_ssoadmin_permissions_boundary_attachment": "its permissions boundary",
}
#: All arguments of a user but the identity store: like the single writer, Terraform creates users and never changes
#: them. A change of ``user_name``, which can only be in case, would force a replacement.
_USER_ARGUMENTS = (
    "addresses",
    "display_name",
    "emails",
    "locale",
    "name",
    "nickname",
    "phone_numbers",
    "preferred_language",
    "profile_url",
    "timezone",
    "title",
    "user_name",
    "user_type",
)

#: Without a known state, nothing exists.
_NOTHING = Existing(model.CenterState(), {}, model.Instance(_INSTANCE, _STORE, "", ""))

#: Type, label and arguments of a resource.
_Resource = tuple[str, str, dict[str, Any]]


def terraform_configuration(
    desired: model.DesiredAccess,
    existing: Existing | None = None,
    earlier: EarlierExport | None = None,
    ends_in: Collection[str] = (),
) -> dict[str, Any]:
    """The configuration. Labels depend only on names.

    ``existing``: what this tool made gets ``import`` blocks, all else ``data`` blocks, so that the first apply changes
    neither. ``earlier``: an earlier configuration. ``ends_in``: the accounts in which Terraform destroys what only
    ``earlier`` has, see ``EarlierExport.forgotten``.
    """
    served = existing.served(desired) if existing else desired
    writer = _Writer(served, existing or _NOTHING)
    resources: defaultdict[str, dict[str, Any]] = defaultdict(dict)
    for kind, label, arguments in writer.resources():
        resources[kind][label] = arguments
    data: defaultdict[str, dict[str, Any]] = defaultdict(dict, {} if existing else _FOUND)
    for kind, label, arguments in writer.data():
        data[kind][label] = arguments
    kept = {f"{kind}.{label}" for kind, found in resources.items() for label in found}
    others = (
        {f"{kind}.{label}" for kind, label, _ in _Writer(desired, _NOTHING).resources()}
        if existing
        else set()
    )
    forgotten = sorted((others - kept) | (earlier or EarlierExport()).forgotten(kept, ends_in))
    removed = [{"from": address, "lifecycle": {"destroy": False}} for address in forgotten]
    version = ">= 1.7" if removed else ">= 1.5" if existing else ">= 1.0"
    return {
        "terraform": {
            "required_version": version,
            "required_providers": {"aws": {"source": "hashicorp/aws", "version": ">= 5.0"}},
        },
        **({"data": dict(data)} if data else {}),
        **({"resource": dict(resources)} if resources else {}),
        **({"import": list(_imports(served, existing))} if existing else {}),
        **({"removed": removed} if removed else {}),
    }


def _imports(desired: model.DesiredAccess, existing: Existing) -> Iterator[dict[str, str]]:
    """Import blocks; ids are as in the import sections of the resources of hashicorp/aws, escaped as any text."""
    instance, store = existing.instance.arn, existing.instance.identity_store_id
    for kind, label, identifier in (
        *_imported_sets(desired, existing, instance),
        *_imported_groups(desired, existing, instance, store),
        *_imported_people(desired, existing, store),
    ):
        yield {"to": f"{kind}.{label}", "id": _escaped(identifier)}


def _imported_sets(
    desired: model.DesiredAccess, existing: Existing, instance: str
) -> Iterator[tuple[str, str, str]]:
    for name, requested in sorted(desired.permission_sets.items()):
        known = existing.state.permission_sets.get(name)
        if known is None or existing.set_of_others(name):
            continue
        whole, present = f"{known.arn},{instance}", known.settings
        yield SET, _label(name), whole
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
        if known is None:
            continue
        if not existing.group_of_others(group):
            yield "aws_identitystore_group", _label(name), f"{store}/{known.group_id}"
        for grant in sorted(group.grants):
            if existing.has_assignment(name, grant) and not existing.leaves_assignment(group, grant):
                arn = existing.state.permission_sets[grant.permission_set].arn
                target = f"{known.group_id},GROUP,{grant.account_id},AWS_ACCOUNT,{arn},{instance}"
                yield "aws_ssoadmin_account_assignment", _assignment_label(name, grant), target


def _imported_people(
    desired: model.DesiredAccess, existing: Existing, store: str
) -> Iterator[tuple[str, str, str]]:
    if desired.external:
        return
    for key in sorted(desired.people):
        if key in existing.people and not existing.person_of_others(key):
            yield USER, _person_label(key), f"{store}/{existing.people[key].user_id}"
    for key, name in _memberships(desired):
        person, group = existing.people.get(key), existing.state.groups.get(name)
        membership = group.memberships.get(person.user_id) if person and group else None
        if membership and not existing.leaves_membership(desired.groups[name], key):
            label = _label(f"{name} {key[0]}")
            yield "aws_identitystore_group_membership", label, f"{store}/{membership}"


def _memberships(desired: model.DesiredAccess) -> list[tuple[model.PersonKey, str]]:
    return sorted({(claim.person, claim.group) for claim in desired.claims})


class _Writer:
    """Writes the blocks of a desired access. ``existing``: the current state."""

    def __init__(self, desired: model.DesiredAccess, existing: Existing) -> None:
        self._desired, self._existing = desired, existing
        self._instance, self._store = existing.instance.arn, existing.instance.identity_store_id

    def resources(self) -> Iterator[_Resource]:
        """What Terraform owns."""
        policies: dict[str, list[str]] = {}
        for name, requested in sorted(self._desired.permission_sets.items()):
            if not self._existing.set_of_others(name):
                yield SET, _label(name), self._permission_set(requested)
                attached = list(_policies(requested, self._instance))
                policies[name] = [f"{kind}.{label}" for kind, label, _ in attached]
                yield from attached
        for name, group in sorted(self._desired.groups.items()):
            if not (group.external or self._existing.group_of_others(group)):
                yield "aws_identitystore_group", _label(name), self._group(group)
            for grant in sorted(group.grants):
                if not self._existing.leaves_assignment(group, grant):
                    yield self._assignment(group, grant, policies.get(grant.permission_set, []))
        if not self._desired.external:
            yield from self._people()

    def _people(self) -> Iterator[_Resource]:
        for key, person in sorted(self._desired.people.items()):
            if not self._existing.person_of_others(key):
                yield USER, _person_label(key), self._user(key, person)
        for key, name in _memberships(self._desired):
            if not self._existing.leaves_membership(self._desired.groups[name], key):
                yield self._membership(key, name)

    def data(self) -> Iterator[_Resource]:
        """What Terraform looks up."""
        for name in sorted(self._desired.permission_sets):
            if known_set := self._existing.set_of_others(name):
                found = {"instance_arn": self._instance, "arn": known_set.arn}
                yield SET, _label(name), found
        for name, group in sorted(self._desired.groups.items()):
            if group.external:
                yield "aws_identitystore_group", _label(name), self._by_name(name)
            elif known_group := self._existing.group_of_others(group):
                found = {"identity_store_id": self._store, "group_id": known_group.group_id}
                yield "aws_identitystore_group", _label(name), found
        for key in () if self._desired.external else sorted(self._desired.people):
            if known := self._existing.person_of_others(key):
                yield USER, _person_label(key), {"identity_store_id": self._store, "user_id": known.user_id}

    def _by_name(self, name: str) -> dict[str, Any]:
        unique = {"attribute_path": "DisplayName", "attribute_value": _escaped(name)}
        return {"identity_store_id": self._store, "alternate_identifier": {"unique_attribute": unique}}

    def _permission_set(self, requested: PermissionSet) -> dict[str, Any]:
        known = self._existing.state.permission_sets.get(requested.name)
        settings = _adopted(requested, known.settings) if known else _created(requested)
        arguments = {
            "name": settings.name,
            "description": settings.description,
            "session_duration": settings.session_duration,
            "relay_state": settings.relay_state,
            "tags": {_escaped(key): _escaped(text) for key, text in settings.tags.items()},
            # The provider may be configured to add tags to everything.
            "lifecycle": {"ignore_changes": ["tags", "tags_all"]} if known else {},
        }
        given = {
            key: _escaped(text) if isinstance(text, str) else text for key, text in arguments.items() if text
        }
        return {"instance_arn": self._instance, **given}

    def _group(self, group: model.Group) -> dict[str, Any]:
        known = self._existing.state.groups.get(group.name)
        return {
            "identity_store_id": self._store,
            "display_name": _escaped(known.name if known else group.name),
            "description": _escaped(known.description if known else exported_description(group)),
        }

    def _group_id(self, group: model.Group) -> str:
        prefix = "data." if group.external or self._existing.group_of_others(group) else ""
        return f"${{{prefix}aws_identitystore_group.{_label(group.name)}.group_id}}"

    def _assignment(self, group: model.Group, grant: model.Grant, policies: list[str]) -> _Resource:
        prefix = "data." if self._existing.set_of_others(grant.permission_set) else ""
        arguments = {
            "instance_arn": self._instance,
            "permission_set_arn": f"${{{prefix}aws_ssoadmin_permission_set.{_label(grant.permission_set)}.arn}}",
            "principal_id": self._group_id(group),
            "principal_type": "GROUP",
            "target_id": grant.account_id,
            "target_type": "AWS_ACCOUNT",
            # A permission set is complete before it is assigned.
            **({"depends_on": policies} if policies else {}),
        }
        return "aws_ssoadmin_account_assignment", _assignment_label(group.name, grant), arguments

    def _user(self, key: model.PersonKey, person: model.Person) -> dict[str, Any]:
        known = self._existing.people.get(key)
        username, email = (known.username, known.email) if known else (person.username, person.email)
        lifecycle = {"ignore_changes": list(_USER_ARGUMENTS), **({"prevent_destroy": True} if known else {})}
        return {
            "identity_store_id": self._store,
            "user_name": _escaped(username),
            "display_name": _escaped(person.display_name),
            "name": {"given_name": _escaped(person.given_name), "family_name": _escaped(person.family_name)},
            "emails": {"value": _escaped(email), "type": "work", "primary": True},
            "lifecycle": lifecycle,
        }

    def _membership(self, key: model.PersonKey, group: str) -> _Resource:
        prefix = "data." if self._existing.person_of_others(key) else ""
        arguments = {
            "identity_store_id": self._store,
            "group_id": self._group_id(self._desired.groups[group]),
            "member_id": f"${{{prefix}{USER}.{_person_label(key)}.user_id}}",
        }
        return "aws_identitystore_group_membership", _label(f"{group} {key[0]}"), arguments


def _created(requested: PermissionSet) -> PermissionSet:
    return replace(requested, tags={**requested.tags, EXPORTED_TAG[0]: EXPORTED_TAG[1]})


def _adopted(requested: PermissionSet, present: PermissionSet) -> PermissionSet:
    """An existing permission set keeps its tags, its unrequested parts, and the spelling of its duration."""
    seconds = duration_seconds(requested.session_duration)
    same = duration_seconds(present.session_duration) == seconds
    return replace(
        requested,
        description=requested.description or present.description,
        relay_state=requested.relay_state or present.relay_state,
        session_duration=present.session_duration if same else requested.session_duration,
        tags=present.tags,
    )


def _policies(requested: PermissionSet, instance: str) -> Iterator[_Resource]:
    def bound(kind: str, label: str, arguments: Mapping[str, Any]) -> _Resource:
        arn = f"${{aws_ssoadmin_permission_set.{_label(requested.name)}.arn}}"
        return kind, label, {"instance_arn": instance, "permission_set_arn": arn, **arguments}

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


def leftover_policies(
    requested: PermissionSet, known: model.KnownPermissionSet | None, exported: Collection[str]
) -> tuple[str, ...]:
    """The unrequested policies of the existing permission set that Terraform leaves.

    ``exported``: see ``Ours.policies``. Terraform owns these if it made the set. Whether it has adopted a set of
    ``provision`` is unknown.
    """
    if known is None:
        return ()
    asked = {(kind, label) for kind, label, _ in _policies(requested, "")}
    by_terraform = known.settings.tags.get(EXPORTED_TAG[0]) == EXPORTED_TAG[1]
    return tuple(
        _policy_name(kind, arguments)
        for kind, label, arguments in _policies(known.settings, "")
        if (kind, label) not in asked and not (by_terraform and f"{kind}.{label}" in exported)
    )


def _policy_name(kind: str, arguments: Mapping[str, Any]) -> str:
    if kind == "aws_ssoadmin_customer_managed_policy_attachment":
        reference = arguments["customer_managed_policy_reference"]
        return f"{reference['path']}{reference['name']}"
    return _ONE_OF_A_SET.get(kind) or str(arguments["managed_policy_arn"])


def _reference(policy: str) -> dict[str, str]:
    return {key.lower(): _escaped(text) for key, text in policy_reference(policy).items()}


def _assignment_label(group: str, grant: model.Grant) -> str:
    return _label(f"{group} {grant.permission_set} {grant.account_id}")


def _person_label(key: model.PersonKey) -> str:
    return _label(key[0])


def _label(name: str) -> str:
    """A valid, readable and unique label for ``name``, a text that others may have chosen."""
    readable = _LABEL.sub("_", name).strip("_")[:48]
    return f"r_{readable}_{sha256(name.encode()).hexdigest()[:32]}"


def _escaped(text: str) -> str:
    return text.replace("${", "$${").replace("%{", "%%{")


def write_terraform(
    directory: Path,
    desired: model.DesiredAccess,
    existing: Existing | None = None,
    ends_in: Collection[str] = (),
) -> Iterator[str]:
    """Write the configuration, replacing an earlier one; yields lines for the console.

    Raises OSError, and IdentityCenterError for an earlier file that is no configuration. ``existing``: see
    ``terraform_configuration``. ``ends_in``: the accounts in which Terraform destroys what only an earlier
    configuration has, except users, and unless users are refused because evidence is missing or wrong.
    """
    store, earlier = DirectoryStore(directory), EarlierExport.read(directory)
    unjudged = [each for each in desired.refused if each.code not in model.DECISIONS]
    configuration = terraform_configuration(desired, existing, earlier, () if unjudged else ends_in)
    text = json.dumps(configuration, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    store.replace(FILE, text.encode())
    for kind, resources in sorted(configuration.get("resource", {}).items()):
        yield f"  {len(resources):>5} {kind}"
    if existing:
        for kind, found in sorted(configuration.get("data", {}).items()):
            yield f"  {len(found):>5} {kind} looked up, not owned: others made them"
        yield f"  {len(configuration['import']):>5} import blocks, for what this tool made"
    if removed := configuration.get("removed"):
        yield f"  {len(removed):>5} removed blocks: Terraform forgets these if it owns them, and destroys none"
    outside = set().union(*earlier.accounts.values()) - set(ends_in)
    if ends_in and outside:
        yield (
            f"  ! what an earlier export has in account {shown(sorted(outside))} is not pruned, as that has no intents "
            "here: run the policies there, and export again"
        )
    if ends_in and unjudged:
        yield (
            f"  ! nothing is pruned: {len(unjudged)} users are refused because evidence is missing or wrong, and what "
            "an earlier export gave may be theirs: correct that, and export again"
        )
    for refused in desired.refused:
        yield f"  ! refused {refused.reason.text}"
    yield f"Wrote {directory / FILE}"
