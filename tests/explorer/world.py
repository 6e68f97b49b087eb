# SPDX-License-Identifier: Apache-2.0
"""The local organization of a trace: alice, whom the flows are about, and others, whom they are not."""

from __future__ import annotations

import json
import os
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from aws_local_org import LocalOrg, Settings, accounts
from aws_local_org import settings as settings_module
from aws_local_org.application import Application
from aws_local_org.iam import seeding
from aws_local_org.seeding.key_material import CERTIFICATES, SSH_PUBLIC_KEYS
from tests.explorer.alone import CLOCK
from tests.explorer.wire import Wire

ACCOUNT, OTHER = "111122223333", "444455556666"
ALICE, BOB = "AIDAALICEALICEALICE2", "AIDABOBBOBBOBBOBBOB22"
#: Of alice, in the form "keys": one that nobody uses. Her other key is in use then.
KEY = "AKIAALICE32AAAAAAAK2"
#: Where everything of a trace is, relative to its working directory.
OUTPUT, SECOND_OUTPUT, NOTICES, EXEMPTIONS = (
    Path("out"),
    Path("second"),
    Path("notices"),
    Path("exemptions.csv"),
)
#: Who owns alice's account, and the queue of c7n-mailer.
OWNER, QUEUE = "owner@example.com", "https://sqs.us-east-1.amazonaws.com/123456789012/c7n-mailer"
PASSWORD = "correct-Horse-7-battery"
#: "IAM and AWS STS quotas": characters of a user's inline policies, and how many managed ones it can have.
INLINE_QUOTA, ATTACHED_QUOTA = 2_048, 10
_LONG_AGO = datetime(2025, 1, 1, tzinfo=timezone.utc)
#: Alice's boundary, which forbids something that her policies allow.
_LIMITS = {"Effect": "Allow", "NotAction": ["iam:*", "kms:*"], "Resource": "*"}


def document(*statements: dict[str, Any]) -> str:
    """A policy."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(*actions: str) -> dict[str, Any]:
    """A statement on every resource."""
    return {"Effect": "Allow", "Action": list(actions), "Resource": "*"}


def deny(*actions: str) -> dict[str, Any]:
    """The opposite of ``allow``."""
    return {**allow(*actions), "Effect": "Deny"}


class World:
    """The organization of this process without a server, and the wire to it."""

    def __init__(self) -> None:
        self.org = LocalOrg(Settings(report_seconds=0, assignment_seconds=0))
        accounts.install()
        settings_module.make_current(self.org.settings)
        self.org.reset()
        application = Application(self.org)
        served: Any = SimpleNamespace(host="127.0.0.1", port=1, _server=SimpleNamespace(app=application))
        self.org._server = served
        self.wire = Wire(application)
        self.wire.install()
        os.environ.update(self.org.environment())
        for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_MAX_ATTEMPTS"):
            if name != "AWS_SESSION_TOKEN":
                os.environ.pop(name, None)

    def client(self, service: str = "iam", account: str = ACCOUNT) -> Any:
        """A client of somebody else."""
        return self.org.client(service, account)

    def populate(self, form: str = "inline") -> None:
        """Users, groups, policies and roles of both accounts. ``form``: of the Deny-all that alice has room for."""
        self.org.reset()
        for account in (ACCOUNT, OTHER):
            self._populate(account)
        if form == "keys":
            self._use_keys(self.org.backend("iam", ACCOUNT))
        elif form != "inline":
            self._fill(self.org.backend("iam", ACCOUNT), managed=form == "boundary")
        self._populate_center()
        EXEMPTIONS.write_text(
            "account,user,path,tag,reason,expires\n"
            ",bob,,,break-glass access,2099-12-31\n"
            ",,,keep=*,asked for,2099-12-31\n"
        )
        NOTICES.mkdir(exist_ok=True)

    def _use_keys(self, backend: Any) -> None:
        """The first key of each user was last used long ago; alice's other one is active, and was used today."""
        now = CLOCK.true_time()
        for key in backend.access_keys.values():
            is_first, is_alices = key.access_key_id.endswith("K2"), "ALICE" in key.access_key_id
            if is_first:
                seeding.set_access_key_last_used(key, _LONG_AGO + timedelta(days=30))
            else:
                key.create_date = (now - timedelta(days=60)).replace(microsecond=0, tzinfo=None)
                key.status = "Active" if is_alices else "Inactive"
                seeding.set_access_key_last_used(key, now.replace(microsecond=0))

    def _fill(self, backend: Any, managed: bool) -> None:
        """Use alice's quota of inline policies up, and with ``managed`` that of managed ones."""

        def filling(length: int) -> str:
            role = f"arn:aws:iam::{ACCOUNT}:role/{'x' * length}"
            return document({"Effect": "Allow", "Action": "iam:GetRole", "Resource": role})

        own = backend.get_user_policy("alice", "own")["policy_document"]
        used = sum(len("".join(text.split())) for text in (own, filling(0)))
        backend.put_user_policy("alice", "filling", filling(INLINE_QUOTA - used))
        held = len(backend.get_user("alice").managed_policies)
        for number in range(held, ATTACHED_QUOTA if managed else held):
            made = backend.create_policy("", "/", document(allow("logs:Get*")), f"filling{number}", {})
            backend.attach_user_policy(made.arn, "alice")

    def _populate_center(self) -> None:
        """Carol audits, and alice is known already."""
        center, store = self.org.client("sso-admin"), self.org.client("identitystore")
        (instance,) = center.list_instances()["Instances"]
        given = {"InstanceArn": instance["InstanceArn"]}
        here: dict[str, Any] = {"IdentityStoreId": instance["IdentityStoreId"]}
        ids = {}
        for name in ("alice", "carol"):
            email = f"{name}@example.com"
            who = {
                "Name": {"GivenName": name, "FamilyName": "Example"},
                "Emails": [{"Value": email, "Primary": True}],
            }
            ids[name] = store.create_user(**here, UserName=email, DisplayName=name, **who)["UserId"]
        group = store.create_group(**here, DisplayName="Auditors")["GroupId"]
        store.create_group_membership(**here, GroupId=group, MemberId={"UserId": ids["carol"]})
        arn = center.create_permission_set(**given, Name="Audit")["PermissionSet"]["PermissionSetArn"]
        policy = "arn:aws:iam::aws:policy/SecurityAudit"
        center.attach_managed_policy_to_permission_set(**given, PermissionSetArn=arn, ManagedPolicyArn=policy)
        center.create_account_assignment(
            **given,
            PermissionSetArn=arn,
            PrincipalType="GROUP",
            PrincipalId=group,
            TargetType="AWS_ACCOUNT",
            TargetId=ACCOUNT,
        )
        center.list_account_assignment_creation_status(**given)  # it is there from then on

    def _populate(self, account: str) -> None:
        backend = self.org.backend("iam", account)
        for name, policy in (
            ("Developers", allow("s3:*", "sns:*")),
            ("Base", deny("s3:Delete*")),
            ("Others", allow("rds:*")),
        ):
            group = backend.create_group(name)
            group.id = f"AGPA{name.upper()}2222"
            backend.put_group_policy(name, "own", document(policy))
        team = backend.create_policy("", "/", document(allow("sqs:*", "dynamodb:*")), "team", {}).arn
        backend.create_policy("", "/", document(allow("*")), "wide", {})
        backend.create_policy("", "/", document(_LIMITS), "limits", {})
        trust = document(
            {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
        )
        backend.create_role("build", trust, "/", None, "", [], "3600")
        ids = (
            {"alice": ALICE, "bob": BOB}
            if account == ACCOUNT
            else {"alice": f"{ALICE[:-1]}3", "bob": f"{BOB[:-1]}3"}
        )
        for number, name in enumerate(ids):
            self._add_user(backend, account, name, ids[name], number, team)

    def _add_user(self, backend: Any, account: str, name: str, user_id: str, number: int, team: str) -> None:
        is_alice = name == "alice"
        boundary = (
            f"arn:aws:iam::{account}:policy/limits" if is_alice else "arn:aws:iam::aws:policy/PowerUserAccess"
        )
        user = seeding.add_user(
            backend,
            name,
            tags={"Team": "a", "Email": f"{name}@example.com"},
            boundary=boundary,
            user_id=user_id,
            created=_LONG_AGO,
        )
        seeding.set_password(user, _LONG_AGO)
        mark = f"{name.upper()}{account[:1]}{number}".ljust(14, "A").replace("0", "2").replace("1", "3")
        for index, active in ((2, True), (3, False)):
            seeding.add_access_key(
                backend, user, key_id=f"AKIA{mark}K{index}", created=_LONG_AGO, active=active
            )
        for index, active in ((number, True), *(((2, False),) if is_alice else ())):
            given: dict[str, Any] = {"uploaded": _LONG_AGO, "active": active}
            letters = "AAAAAAAA" if active else "BBBBBBBB"
            seeding.add_signing_certificate(
                user, CERTIFICATES[index], certificate_id=f"CERT{mark}{letters}", **given
            )
            key_id = f"APKA{mark}P{2 if active else 3}"
            seeding.add_ssh_public_key(user, SSH_PUBLIC_KEYS[index], key_id=key_id, **given)
        seeding.add_service_credential(
            user, "codecommit.amazonaws.com", _LONG_AGO, credential_id=f"ACCA{mark}S2A"
        )
        for serial in (f"arn:aws:iam::{account}:mfa/{name}", f"GAHT1234567{number}"):
            seeding.add_mfa_device(backend, user, serial, _LONG_AGO)
        for group in ("Base", "Developers"):  # what denies something goes first, and comes back last (own)
            backend.add_user_to_group(group, name)
        for arn in (team, "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"):
            backend.attach_user_policy(arn, name)
        backend.put_user_policy(
            name, "own", document(allow("ec2:*", "kms:*"), deny("ec2:Terminate*", "sqs:SendMessage"))
        )
