# SPDX-License-Identifier: Apache-2.0
"""Runs of a provisioning policy over the local organization, as Cloud Custodian makes them."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from aws_local_org import LocalOrg
from aws_local_org.identity_center import state
from aws_local_org.identity_center.state import DirectoryEntry, Instance, PermissionSet
from tests.access_center import ACCOUNT, READ_ONLY
from tests.desired import ACCEPT_ALL
from tests.identity_center.fleet_rehearsal import without_lock
from tests.interference import READS
from tests.policies import policy

MANAGEMENT = "123456789012"
ROLE = f"arn:aws:iam::{MANAGEMENT}:role/IdentityCenterProvisioner"
ACTION: dict[str, Any] = {
    "type": "provision-identity-center",
    "identity-source": "identity-center",
    "role": ROLE,
    "region": "us-east-1",
    "user": {
        "username": "tag:Email",
        "email": "tag:Email",
        "given-name": ["tag:GivenName", "UserName"],
        "family-name": ["tag:FamilyName", "UserName"],
        "display-name": "UserName",
    },
    "group": "iam-{account_id}-readonly",
    "permission-set": {
        "name": "IamMigratedReadOnly",
        "description": "Reads what IAM users could read",
        "session-duration": "PT1H",
        "managed-policies": [READ_ONLY],
    },
    "timeout": 30,
}


class SteppingClock:
    """Identity Center's time: it moves by ``step`` seconds at each look."""

    def __init__(self) -> None:
        self.time, self.step = datetime(2026, 11, 24, tzinfo=timezone.utc), 0.0

    def __call__(self) -> datetime:
        self.time += timedelta(seconds=self.step)
        return self.time


class Rehearsal:
    """``output``: where a run leaves its files. Assignments take no time unless the test says otherwise."""

    def __init__(self, org: LocalOrg, output: Path) -> None:
        self.org, self.output = org, output / "under-test"
        self.resources: list[dict[str, Any]] = []
        #: In place of the directory: an output URL of c7n.
        self.url = ""
        org.configure(assignment_seconds=0)

    def user(self, name: str, account: str = ACCOUNT, **tags: str) -> None:
        """An IAM user with an e-mail of its own, unless ``tags`` say otherwise."""
        given = {"Email": f"{name}@example.com", **tags}
        listed = [{"Key": key, "Value": value} for key, value in given.items() if value]
        iam = self.org.client("iam", account)
        iam.create_user(UserName=name, Tags=listed)
        iam.create_access_key(UserName=name)

    def remove_user(self, name: str, account: str = ACCOUNT) -> None:
        """The user is gone, with its access keys."""
        iam = self.org.client("iam", account)
        for each in iam.list_access_keys(UserName=name)["AccessKeyMetadata"]:
            iam.delete_access_key(UserName=name, AccessKeyId=each["AccessKeyId"])
        iam.delete_user(UserName=name)

    def run(
        self,
        account: str = ACCOUNT,
        actions: tuple[dict[str, Any], ...] = (),
        filters: tuple[dict[str, Any], ...] = (),
        **changes: Any,
    ) -> dict[str, dict[str, Any]]:
        """IAM user -> its row of outcomes.json, after a run of the action with ``changes`` (None: without the key).

        A permission set by name is accepted, whatever the users may do, unless ``changes`` say otherwise.
        """
        accept = {} if "derive" in changes else {"accept": list(ACCEPT_ALL)}
        changed = {**ACTION, **accept, **{key.replace("_", "-"): value for key, value in changes.items()}}
        action = {key: value for key, value in changed.items() if value is not None}
        found = policy({"filters": list(filters), "actions": [action, *actions]}, self.output.parent, account)
        found.expand_variables(found.get_variables())
        found.validate()
        if self.url:
            found.options["output_dir"] = self.url
        self.org.clear_calls()
        self.resources = found.run()
        return {} if self.url else self.outcomes()

    def outcomes(self) -> dict[str, dict[str, Any]]:
        """IAM user -> its row of outcomes.json."""
        return {row["user"]: row for row in json.loads((self.output / "outcomes.json").read_text())}

    def journal(self) -> list[dict[str, Any]]:
        """The lines of all runs' journals, in order."""
        journals = sorted(self.output.glob("identity-center-runs/*/journal.jsonl"))
        return [json.loads(line) for path in journals for line in path.read_text().splitlines()]

    def mutations(self) -> list[str]:
        """The operations of the last run that changed Identity Center, or tried to, in order."""
        return [
            call.operation
            for call in without_lock(self.org.calls)
            if call.service in ("sso-admin", "identitystore") and not call.operation.startswith(READS)
        ]

    @property
    def instance(self) -> Instance:
        """The organization's instance, as the local organization keeps it."""
        (found,) = state.instances
        return found

    def permission_set(self, name: str = "IamMigratedReadOnly") -> PermissionSet | None:
        return next((each for each in self.instance.permission_sets.values() if each.name == name), None)

    def group(self, name: str = f"iam-{ACCOUNT}-readonly") -> DirectoryEntry | None:
        groups = self.instance.store.groups.values()
        return next((each for each in groups if each.attributes["DisplayName"] == name), None)

    def usernames(self) -> set[str]:
        return {each.attributes["UserName"] for each in self.instance.store.users.values()}

    def members(self, group: str = f"iam-{ACCOUNT}-readonly") -> set[str]:
        """The user names of the group's members."""
        store, found = self.instance.store, self.group(group)
        ids = {each.user_id for each in store.memberships.values() if found and each.group_id == found.id}
        return {store.users[user_id].attributes["UserName"] for user_id in ids}

    def assigned(self) -> set[tuple[str, str, str]]:
        """Account, permission set and group, by name, of every assignment."""
        sets, groups = self.instance.permission_sets, self.instance.store.groups
        return {
            (
                each.account_id,
                sets[each.permission_set_arn].name,
                groups[each.principal_id].attributes["DisplayName"],
            )
            for each in self.instance.assignments
        }

    def create_user(self, username: str, email: str) -> str:
        """An Identity Center user made by somebody else; its id."""
        client = self.org.client("identitystore")
        created = client.create_user(
            IdentityStoreId=self.instance.store.id,
            UserName=username,
            Name={"GivenName": "G", "FamilyName": "F"},
            DisplayName=username,
            Emails=[{"Value": email, "Primary": True}],
        )
        return str(created["UserId"])

    def create_group(self, name: str, *members: str, description: str = "By hand") -> str:
        """A group made by somebody else, with ``members`` by user id; its id."""
        client, store = self.org.client("identitystore"), self.instance.store.id
        group_id = str(
            client.create_group(IdentityStoreId=store, DisplayName=name, Description=description)["GroupId"]
        )
        for user_id in members:
            client.create_group_membership(
                IdentityStoreId=store, GroupId=group_id, MemberId={"UserId": user_id}
            )
        return group_id

    def assign(self, group_id: str, account: str, name: str = "Theirs") -> None:
        """An assignment made by somebody else, of a permission set of theirs."""
        client, arn = self.org.client("sso-admin"), self.instance.arn
        known = self.permission_set(name)
        set_arn = (
            known.arn
            if known
            else client.create_permission_set(InstanceArn=arn, Name=name)["PermissionSet"]["PermissionSetArn"]
        )
        client.create_account_assignment(
            InstanceArn=arn,
            TargetId=account,
            TargetType="AWS_ACCOUNT",
            PermissionSetArn=set_arn,
            PrincipalType="GROUP",
            PrincipalId=group_id,
        )
