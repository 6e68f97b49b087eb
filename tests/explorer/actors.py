# SPDX-License-Identifier: Apache-2.0
"""What other people do meanwhile: a row each, by the name that traces have.

Each is somebody with a console in front of them: what can't be done any more, since alice is gone, is left undone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from botocore.exceptions import ClientError

from aws_local_org.iam import seeding
from aws_local_org.identity_center import state
from aws_local_org.identity_center.state import DirectoryEntry, Instance
from tests.explorer.alone import CLOCK
from tests.explorer.judge import AWS_DENY, BROWNOUT, DENY
from tests.explorer.world import (
    ACCOUNT,
    ALICE,
    EXEMPTIONS,
    KEY,
    NOTICES,
    PASSWORD,
    World,
    allow,
    deny,
    document,
)

TEAM = f"arn:aws:iam::{ACCOUNT}:policy/team"
WIDE = f"arn:aws:iam::{ACCOUNT}:policy/wide"
LIMITS = f"arn:aws:iam::{ACCOUNT}:policy/limits"
#: What gates say is so many seconds old at most.
GATE_SECONDS = 30
Act = Callable[[Any, str], object]


def name_of_alice(world: World) -> str:
    """Her name now, or that of whom a restoration made in her place; empty if she is gone."""
    users = world.org.backend("iam", ACCOUNT).users.values()
    names = {user.id: user.name for user in users}
    return names.get(ALICE) or ("alice" if "alice" in names.values() else "")


def _to_alice(*acts: Act) -> Callable[[World], object]:
    def act(world: World) -> None:
        name = name_of_alice(world)
        for each in acts if name else ():
            with suppress(ClientError):
                each(world.client(), name)

    return act


#: What hangs on a user: the call that lists it, the list in the answer, what names an item, the call that removes it.
_ATTACHED = (
    ("list_access_keys", "AccessKeyMetadata", "AccessKeyId", "delete_access_key"),
    ("list_signing_certificates", "Certificates", "CertificateId", "delete_signing_certificate"),
    ("list_ssh_public_keys", "SSHPublicKeys", "SSHPublicKeyId", "delete_ssh_public_key"),
    (
        "list_service_specific_credentials",
        "ServiceSpecificCredentials",
        "ServiceSpecificCredentialId",
        "delete_service_specific_credential",
    ),
    ("list_mfa_devices", "MFADevices", "SerialNumber", "deactivate_mfa_device"),
    ("list_groups_for_user", "Groups", "GroupName", "remove_user_from_group"),
    ("list_attached_user_policies", "AttachedPolicies", "PolicyArn", "detach_user_policy"),
    ("list_user_policies", "PolicyNames", "PolicyName", "delete_user_policy"),
)


def _empty(iam: Any, name: str) -> None:
    """Remove everything that a deletion in the console removes."""
    user = {"UserName": name}
    with suppress(ClientError):
        iam.delete_login_profile(**user)
    for listing, key, member, removing in _ATTACHED:
        for item in getattr(iam, listing)(**user)[key]:
            each = item if isinstance(item, str) else item[member]
            getattr(iam, removing)(**user, **{member: each})
            if ":mfa/" in each:
                iam.delete_virtual_mfa_device(SerialNumber=each)


def _delete(iam: Any, name: str) -> None:
    _empty(iam, name)
    iam.delete_user(UserName=name)


def _create(iam: Any, name: str) -> None:
    """Somebody else gets the name, with what alice has of everything that has names."""
    iam.create_user(UserName=name)
    iam.create_login_profile(UserName=name, Password=PASSWORD)
    iam.create_access_key(UserName=name)
    iam.attach_user_policy(UserName=name, PolicyArn=TEAM)
    iam.add_user_to_group(UserName=name, GroupName="Developers")
    iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=document(allow("rds:*")))


def _recreated(world: World) -> None:
    iam, name = world.client(), name_of_alice(world)
    if name:
        _delete(iam, name)
    with suppress(ClientError):
        _create(iam, "alice")


def _renamed_and_replaced(world: World) -> None:
    _to_alice(lambda iam, name: iam.update_user(UserName=name, NewUserName="alice-renamed"))(world)
    with suppress(ClientError):
        _create(world.client(), "alice")


def _put(name: str, *statements: dict[str, Any]) -> Act:
    return lambda iam, user: iam.put_user_policy(
        UserName=user, PolicyName=name, PolicyDocument=document(*statements)
    )


def _remove_deny(iam: Any, name: str) -> None:
    for policy in (DENY, BROWNOUT):
        with suppress(ClientError):
            iam.delete_user_policy(UserName=name, PolicyName=policy)
    with suppress(ClientError):
        iam.detach_user_policy(UserName=name, PolicyArn=AWS_DENY)


def _undo(iam: Any, name: str) -> None:
    """Set again what somebody's code says of a user: its boundary, and one of its groups."""
    _remove_deny(iam, name)
    iam.put_user_permissions_boundary(UserName=name, PermissionsBoundary=LIMITS)
    iam.add_user_to_group(UserName=name, GroupName="Developers")


def _attach(arn: str) -> Act:
    return lambda iam, name: iam.attach_user_policy(UserName=name, PolicyArn=arn)


def _switch(status: str, *which: str) -> Act:
    def act(iam: Any, name: str) -> None:
        user = {"UserName": name}
        for each in iam.list_access_keys(**user)["AccessKeyMetadata"]:
            if each["AccessKeyId"].endswith(which):
                iam.update_access_key(**user, AccessKeyId=each["AccessKeyId"], Status=status)
        if "K2" in which and "K3" in which:
            for each in iam.list_signing_certificates(**user)["Certificates"]:
                iam.update_signing_certificate(**user, CertificateId=each["CertificateId"], Status=status)
            for each in iam.list_ssh_public_keys(**user)["SSHPublicKeys"]:
                iam.update_ssh_public_key(**user, SSHPublicKeyId=each["SSHPublicKeyId"], Status=status)

    return act


def _drop_key(which: str) -> Act:
    def act(iam: Any, name: str) -> None:
        for each in iam.list_access_keys(UserName=name)["AccessKeyMetadata"]:
            if each["AccessKeyId"].endswith(which):
                iam.delete_access_key(UserName=name, AccessKeyId=each["AccessKeyId"])

    return act


def _new_password(iam: Any, name: str) -> None:
    with suppress(ClientError):
        iam.delete_login_profile(UserName=name)
    iam.create_login_profile(UserName=name, Password=PASSWORD)


def _in_account(act: Callable[[Any], object]) -> Callable[[World], object]:
    def acts(world: World) -> None:
        with suppress(ClientError):
            act(world.client())

    return acts


def _delete_group(name: str) -> Callable[[Any], object]:
    def act(iam: Any) -> None:
        for user in iam.get_group(GroupName=name)["Users"]:
            iam.remove_user_from_group(GroupName=name, UserName=user["UserName"])
        iam.delete_group_policy(GroupName=name, PolicyName="own")
        iam.delete_group(GroupName=name)

    return act


def _replace_group(iam: Any) -> None:
    _delete_group("Developers")(iam)
    iam.create_group(GroupName="Developers")
    iam.put_group_policy(GroupName="Developers", PolicyName="own", PolicyDocument=document(allow("lambda:*")))


def _exempted(_world: World) -> None:
    with EXEMPTIONS.open("a") as file:
        file.write(",alice,,,she asked for it,2099-12-31\n")


def _stopped(_world: World) -> None:
    NOTICES.mkdir(exist_ok=True)
    (NOTICES / "STOP").touch()


def _long_ago(act: Callable[[World], object]) -> Callable[[World], object]:
    def acts(world: World) -> None:
        act(world)
        CLOCK.sleep(GATE_SECONDS + 1)

    return acts


def _trusted(iam: Any) -> None:
    principal = {"AWS": f"arn:aws:iam::{ACCOUNT}:user/alice"}
    iam.update_assume_role_policy(
        RoleName="build",
        PolicyDocument=document({"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}),
    )


def _versioned(arn: str) -> Callable[[Any], object]:
    return lambda iam: iam.create_policy_version(
        PolicyArn=arn, PolicyDocument=document(allow("*")), SetAsDefault=True
    )


ACTORS: dict[str, Callable[[World], object]] = {
    "deleted": _to_alice(_delete),
    "recreated": _recreated,
    "renamed": _to_alice(lambda iam, name: iam.update_user(UserName=name, NewUserName="alice-renamed")),
    "renamed-and-replaced": _renamed_and_replaced,
    "moved": _to_alice(lambda iam, name: iam.update_user(UserName=name, NewPath="/team/")),
    "tagged": _to_alice(lambda iam, name: iam.tag_user(UserName=name, Tags=[{"Key": "Team", "Value": "b"}])),
    "tagged-exempt": _to_alice(
        lambda iam, name: iam.tag_user(UserName=name, Tags=[{"Key": "keep", "Value": "y"}])
    ),
    "exempted": _long_ago(_exempted),
    "exempted-just-now": _exempted,
    "stopped": _long_ago(_stopped),
    "deny-removed": _to_alice(_remove_deny),
    "deny-undone": _to_alice(_undo),
    "deny-imitated": _to_alice(_put(DENY, {**deny("*"), "Sid": "Quarantined20260101T000000Z"})),
    "deny-replaced": _to_alice(_put(DENY, allow("rds:*"))),
    "deny-moved": _to_alice(_remove_deny, _attach(AWS_DENY)),
    "deny-attached": _to_alice(_attach(AWS_DENY)),
    "deny-as-boundary": _to_alice(
        lambda iam, name: iam.put_user_permissions_boundary(UserName=name, PermissionsBoundary=AWS_DENY)
    ),
    "policy-attached": _to_alice(_attach(WIDE)),
    "policy-detached": _to_alice(lambda iam, name: iam.detach_user_policy(UserName=name, PolicyArn=TEAM)),
    "policy-versioned": _in_account(_versioned(TEAM)),
    "inline-changed": _to_alice(_put("own", allow("*"))),
    "inline-removed": _to_alice(lambda iam, name: iam.delete_user_policy(UserName=name, PolicyName="own")),
    "group-left": _to_alice(lambda iam, name: iam.remove_user_from_group(UserName=name, GroupName="Base")),
    "group-joined": _to_alice(lambda iam, name: iam.add_user_to_group(UserName=name, GroupName="Others")),
    "group-widened": _in_account(
        lambda iam: iam.put_group_policy(
            GroupName="Developers", PolicyName="more", PolicyDocument=document(allow("*"))
        )
    ),
    "group-deleted": _in_account(_delete_group("Base")),
    "group-replaced": _in_account(_replace_group),
    "boundary-swapped": _to_alice(
        lambda iam, name: iam.put_user_permissions_boundary(UserName=name, PermissionsBoundary=TEAM)
    ),
    "boundary-widened": _in_account(_versioned(LIMITS)),
    "boundary-policy-deleted": _in_account(lambda iam: iam.delete_policy(PolicyArn=LIMITS)),
    "boundary-removed": _to_alice(lambda iam, name: iam.delete_user_permissions_boundary(UserName=name)),
    "key-activated": _to_alice(_switch("Active", "K3")),
    "key-deactivated": _to_alice(_switch("Inactive", "K2")),
    "key-deleted": _to_alice(_drop_key("K2")),
    "key-replaced": _to_alice(_drop_key("K3"), lambda iam, name: iam.create_access_key(UserName=name)),
    "credentials-activated": _to_alice(_switch("Active", "K2", "K3")),
    "password-replaced": _to_alice(_new_password),
    "trusted": _in_account(_trusted),
}


def _to_center(
    act: Callable[[Any, Any, dict[str, str], dict[str, str], Instance], object],
) -> Callable[[World], object]:
    """``act`` gets clients of Identity Center and of its store, and what the calls of each always have."""

    def acts(world: World) -> None:
        (instance,) = state.instances
        given, here = {"InstanceArn": instance.arn}, {"IdentityStoreId": instance.store.id}
        with suppress(ClientError, StopIteration):
            act(world.org.client("sso-admin"), world.org.client("identitystore"), given, here, instance)

    return acts


def _entry(entries: Mapping[str, DirectoryEntry], name: str) -> str:
    """The id of whom or what has that name. Raises StopIteration."""
    return next(key for key, each in entries.items() if name in each.attributes.values())


def _set(instance: Instance, name: str) -> str:
    return next(arn for arn, each in instance.permission_sets.items() if each.name == name)


def _member(instance: Instance, group: str) -> str:
    wanted = _entry(instance.store.groups, group)
    return next(key for key, each in instance.store.memberships.items() if each.group_id == wanted)


GROUP = f"iam-{ACCOUNT}-Readers"
_BOB = {
    "UserName": "bob@example.com",
    "DisplayName": "bob",
    "Name": {"GivenName": "bob", "FamilyName": "Example"},
    "Emails": [{"Value": "bob@example.com", "Primary": True}],
}


def _assigned(
    center: Any, _store: Any, given: dict[str, str], _here: dict[str, str], found: Instance
) -> None:
    center.create_account_assignment(
        **given,
        PermissionSetArn=_set(found, "Readers"),
        PrincipalType="GROUP",
        PrincipalId=_entry(found.store.groups, "Auditors"),
        TargetType="AWS_ACCOUNT",
        TargetId=ACCOUNT,
    )
    center.list_account_assignment_creation_status(**given)  # it is there from then on


CENTER_ACTORS: dict[str, Callable[[World], object]] = {
    "person-created": _to_center(lambda _, store, __, here, ___: store.create_user(**here, **_BOB)),
    "person-deleted": _to_center(
        lambda _, store, __, here, found: store.delete_user(
            **here, UserId=_entry(found.store.users, "bob@example.com")
        )
    ),
    "directory-group-created": _to_center(
        lambda _, store, __, here, ___: store.create_group(**here, DisplayName=GROUP)
    ),
    "directory-group-deleted": _to_center(
        lambda _, store, __, here, found: store.delete_group(
            **here, GroupId=_entry(found.store.groups, GROUP)
        )
    ),
    "member-added": _to_center(
        lambda _, store, __, here, found: store.create_group_membership(
            **here,
            GroupId=_entry(found.store.groups, GROUP),
            MemberId={"UserId": _entry(found.store.users, "carol@example.com")},
        )
    ),
    "member-removed": _to_center(
        lambda _, store, __, here, found: store.delete_group_membership(
            **here, MembershipId=_member(found, GROUP)
        )
    ),
    "set-created": _to_center(
        lambda center, _, given, *__: center.create_permission_set(**given, Name="Readers")
    ),
    "set-widened": _to_center(
        lambda center, _, given, __, found: center.attach_managed_policy_to_permission_set(
            **given,
            PermissionSetArn=_set(found, "Readers"),
            ManagedPolicyArn="arn:aws:iam::aws:policy/AdministratorAccess",
        )
    ),
    "assigned": _to_center(_assigned),
    "lock-deleted": _to_center(
        lambda center, _, given, __, found: center.delete_permission_set(
            **given, PermissionSetArn=_set(found, "c7n-iamusers-lock")
        )
    ),
}


def _used(world: World) -> None:
    key = world.org.backend("iam", ACCOUNT).access_keys.get(KEY)
    if key and key.status == "Active":
        seeding.set_access_key_last_used(key, CLOCK.true_time().replace(microsecond=0))


def _used_before(world: World) -> None:
    """AWS shows only now that the key was used before it became inactive."""
    key = world.org.backend("iam", ACCOUNT).access_keys.get(KEY)
    if key:
        seeding.set_access_key_last_used(key, CLOCK.true_time().replace(microsecond=0))


def _unannounced(_world: World) -> None:
    for path in NOTICES.rglob("*.json"):
        path.unlink()


#: What they do to the access key that a flow is about.
KEY_ACTORS: dict[str, Callable[[World], object]] = {
    "key-used": _long_ago(_used),
    "key-used-just-now": _used,
    "key-use-shown": _long_ago(_used_before),
    "key-taken-back": _long_ago(_to_alice(_switch("Active", "K2"))),
    "notice-removed": _long_ago(_unannounced),
}
#: After these a run changes nothing either, unless it has begun to, if they changed something.
KEY_GATES = ("key-used", "key-use-shown", "key-taken-back", "notice-removed")
#: After these a key's flow reaches its goal all the same.
KEY_BENIGN = ("key-deleted", "key-deactivated")
#: After these, a run changes nothing unless it has begun to; after those in LATE, the next one does not.
GATES, LATE = ("exempted", "exempted-just-now", "stopped"), ("tagged-exempt",)
#: After these, a run that takes something reaches its goal all the same, when it is run again.
BENIGN = (
    "renamed",
    "moved",
    "tagged",
    *("policy-attached", "policy-detached", "policy-versioned", "inline-changed", "inline-removed"),
    *(
        "group-left",
        "group-joined",
        "group-widened",
        "group-deleted",
        "group-replaced",
        "boundary-swapped",
        "boundary-removed",
    ),
    *("boundary-widened", "boundary-policy-deleted"),
    *("key-activated", "key-deactivated", "key-deleted", "key-replaced", "credentials-activated"),
    "password-replaced",
)
#: By name, whatever flow they disturb.
EVERYBODY = {**ACTORS, **CENTER_ACTORS, **KEY_ACTORS}
