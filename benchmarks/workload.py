# SPDX-License-Identifier: Apache-2.0
"""The measured accounts, and the processes that serve them.

All users are equal, so that calls per user is a number and not an average. Other entities grow with them, as
in real accounts: groups, customer-managed policies, roles and unassigned virtual MFA devices need their own
pages. The local organization runs in its own process, so that its memory and imports are not measured.
"""

from __future__ import annotations

import io
import json
import random
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timezone
from multiprocessing import get_context
from multiprocessing.managers import BaseManager
from typing import Any, cast

from aws_local_org.seeding import permissions
from aws_local_org.seeding.draft import Draft
from aws_local_org.seeding.key_material import CERTIFICATES
from aws_local_org.seeding.records import (
    AccountContents,
    Group,
    ManagedPolicy,
    Password,
    PolicyVersion,
    PublicKey,
    Role,
    User,
)
from benchmarks.results import BenchmarkError

ACCOUNT = "111122223333"
# Stock c7n reads users in chunks of 50, and a group's policies once per chunk: so each chunk has whole groups.
USERS_PER_GROUP = 25
USERS_PER_POLICY, USERS_PER_ROLE, USERS_PER_ORPHAN = 5, 10, 20
USERS_PER_GIT_USER, USERS_PER_KEYSPACES_USER = 10, 20
USERS_PER_UNUSED_KEY = 10
READ_ONLY, AUDIT = "ReadOnlyAccess", "SecurityAudit"


def account_to_flag(users: int, account_id: str = ACCOUNT) -> AccountContents:
    """Users with a password, two access keys, a virtual MFA device, a group and policies; some with more."""
    draft = _draft(account_id)
    return AccountContents(
        users=tuple(
            _user(
                draft,
                number,
                mfa_devices=(draft.virtual_mfa(_name(number), draft.ago(300, 900)),),
                service_credentials=tuple(
                    draft.service_credential(service, draft.ago(300, 900)) for service in _services(number)
                ),
            )
            for number in range(users)
        ),
        groups=_groups(draft, users),
        roles=tuple(_role(draft, number) for number in range(users // USERS_PER_ROLE)),
        policies=tuple(_policy(draft, number) for number in range(users // USERS_PER_POLICY)),
        orphaned_mfa=tuple(f"former-{number:05}" for number in range(users // USERS_PER_ORPHAN)),
    )


def account_to_delete(users: int) -> AccountContents:
    """Users with every attachment that blocks DeleteUser and that stock c7n can remove.

    It leaves virtual MFA devices behind, so they have a FIDO key.
    """
    draft = _draft()
    return AccountContents(
        users=tuple(
            _user(
                draft,
                number,
                certificates=(_certificate(draft),),
                ssh_keys=(draft.ssh_key(draft.ago(300, 900)),),
                service_credentials=(draft.service_credential("codecommit", draft.ago(300, 900)),),
                mfa_devices=(draft.fido_key(_name(number), draft.ago(300, 900)),),
            )
            for number in range(users)
        ),
        groups=_groups(draft, users),
    )


def account_with_keys(users: int) -> AccountContents:
    """The account to flag, but all keys are active and in use, except one of every tenth user."""
    draft, contents = _draft(), account_to_flag(users)
    return replace(
        contents,
        users=tuple(
            replace(
                user,
                access_keys=tuple(
                    draft.access_key(draft.ago(300, 900), draft.ago(*used))
                    for used in ((1, 60), (1, 60) if number % USERS_PER_UNUSED_KEY else (100, 300))
                ),
            )
            for number, user in enumerate(contents.users)
        ),
    )


#: Population -> the content of an account with a number of users.
POPULATIONS: Mapping[str, Callable[[int], AccountContents]] = {
    "to-flag": account_to_flag,
    "to-delete": account_to_delete,
    "keys": account_with_keys,
}


def _draft(account_id: str = ACCOUNT) -> Draft:
    midnight = datetime.now(timezone.utc).replace(hour=0, minute=0, second=0, microsecond=0)
    return Draft(account_id, random.Random(account_id), midnight, iter(()))


def _name(number: int) -> str:
    return f"user-{number:05}"


def _user(draft: Draft, number: int, **more: Any) -> User:
    return User(
        _name(number),
        draft.ids.user(),
        draft.ago(1000, 2000),
        tags={"Email": f"{_name(number)}@example.com", "Department": "Engineering", "CostCenter": "4711"},
        password=Password(draft.ago(300, 900), draft.ago(1, 300)),
        access_keys=(
            draft.access_key(draft.ago(300, 900), draft.ago(1, 300)),
            draft.access_key(draft.ago(300, 900), active=False),
        ),
        inline={"Upload": permissions.UPLOADER},
        policies=draft.arns([READ_ONLY]),
        groups=(_group_name(number),),
        **more,
    )


def _certificate(draft: Draft) -> PublicKey:
    """All equal; the API accepts a certificate only once in an account, but these are never read."""
    return PublicKey(draft.ids.certificate(), CERTIFICATES[0], draft.ago(300, 900))


def _services(number: int) -> Iterator[str]:
    if number % USERS_PER_GIT_USER == 0:
        yield "codecommit"
    if number % USERS_PER_KEYSPACES_USER == 0:
        yield "cassandra"


def _group_name(number: int) -> str:
    return f"team-{number // USERS_PER_GROUP:03}"


def _groups(draft: Draft, users: int) -> tuple[Group, ...]:
    names = dict.fromkeys(_group_name(number) for number in range(users))
    return tuple(
        Group(name, draft.ids.group(), draft.ago(1000, 2000), policies=draft.arns([AUDIT])) for name in names
    )


def _role(draft: Draft, number: int) -> Role:
    trust = permissions.trust({"Service": "lambda.amazonaws.com"})
    return Role(f"function-{number:03}", draft.ids.role(), draft.ago(300, 900), trust)


def _policy(draft: Draft, number: int) -> ManagedPolicy:
    created = draft.ago(1000, 2000)
    version = PolicyVersion("v1", permissions.PROJECT, created)
    return ManagedPolicy(f"Project{number:04}", draft.ids.policy(), created, "v1", (version,))


class Organization:
    """One member account, which is filled again for each measurement."""

    def __init__(self) -> None:
        from aws_local_org import LocalOrg, Settings

        # The report is ready at once: waiting for it would be the same sleep for both.
        settings = Settings(member_accounts=((ACCOUNT, "benchmark"),), report_seconds=0)
        self._org = LocalOrg(settings).start()

    def environment(self) -> dict[str, str]:
        """The environment for working in the management account."""
        return self._org.environment()

    def fill(self, population: str, users: int) -> dict[str, int]:
        """Empty the account, fill it, and generate its credential report. Returns what it has -> how many."""
        from aws_local_org.seeding.records import counts_of
        from aws_local_org.seeding.writer import write_account

        contents = POPULATIONS[population](users)
        self._org.reset()
        with self._org.lock:
            write_account(self._org, ACCOUNT, contents)
        self.make_report()
        return counts_of(contents)

    def furnish(self, region: str, number: int) -> None:
        """Make so many buckets, keys, queues, topics, secrets, functions, projects and parameters in the account."""
        make = {
            service: self._org.client(service, ACCOUNT, region_name=region)
            for service in ("s3", "kms", "sqs", "sns", "secretsmanager", "lambda", "codebuild", "ssm")
        }
        self._org.configure(latency_ms=0)
        trust = permissions.trust({"Service": "lambda.amazonaws.com"})
        role = f"arn:aws:iam::{ACCOUNT}:role/furnished"
        self._org.client("iam", ACCOUNT).create_role(
            RoleName="furnished", AssumeRolePolicyDocument=json.dumps(trust)
        )
        for each in range(number):
            name = f"benchmark-{each:03}"
            make["s3"].create_bucket(Bucket=name)
            make["kms"].create_key()
            make["sqs"].create_queue(QueueName=name)
            make["sns"].create_topic(Name=name)
            make["secretsmanager"].create_secret(Name=name, SecretString="none")
            make["ssm"].put_parameter(Name=name, Type="String", Value="none")
            make["lambda"].create_function(
                FunctionName=name,
                Runtime="python3.12",
                Role=role,
                Handler="a.h",
                Code={"ZipFile": _empty_archive()},
            )
            make["codebuild"].create_project(
                name=name,
                source={"type": "S3", "location": "bucket/source", "buildspec": "version: 0.2"},
                artifacts={"type": "NO_ARTIFACTS"},
                environment={"type": "LINUX_CONTAINER", "image": "x", "computeType": "BUILD_GENERAL1_SMALL"},
                serviceRole=role,
            )

    def call_with_keys(self) -> set[str]:
        """A call by each access key, in the Region of its last use. Returns these Regions."""
        from aws_local_org.scripted_events import attempt

        regions = set[str]()
        for user in self._org.backend("iam", ACCOUNT).users.values():
            for key in user.access_keys:
                region = key.last_used.region if key.last_used else self._org.settings.home_region
                attempt(
                    self._org,
                    ACCOUNT,
                    user.name,
                    "ec2:DescribeInstances",
                    region=region,
                    access_key_id=key.access_key_id,
                )
                regions.add(region)
        self.make_report()
        return regions

    def begin(self, latency_ms: float) -> None:
        """Clear the call log, and delay each call from now on."""
        self._org.configure(latency_ms=latency_ms)
        self._org.clear_calls()

    def calls(self) -> dict[str, int]:
        """Operation -> calls in the account since ``begin``, without the AssumeRole that gives access to it."""
        return dict(Counter(call.operation for call in self._org.calls if call.account == ACCOUNT))

    def users_left(self) -> int:
        return len(self._org.backend("iam", ACCOUNT).users)

    def make_report(self) -> None:
        """Generate the credential report anew, as AWS does after four hours."""
        self._org.backend("iam", ACCOUNT).report = None
        iam = self._org.client("iam", ACCOUNT)
        self._org.configure(latency_ms=0)
        iam.generate_credential_report()
        if (state := iam.generate_credential_report()["State"]) != "COMPLETE":
            raise BenchmarkError(f"the credential report of the measured account is {state}, not COMPLETE")


def _empty_archive() -> bytes:
    packed = io.BytesIO()
    zipfile.ZipFile(packed, "w").writestr("a.py", "")
    return packed.getvalue()


def account_ids(accounts: int) -> list[str]:
    return [f"{300000000001 + number}" for number in range(accounts)]


class Fleet:
    """An organization of many accounts, each filled with users to flag."""

    def __init__(self, accounts: int, users: int) -> None:
        from aws_local_org import LocalOrg, Settings
        from aws_local_org.seeding.writer import write_account

        members = tuple((each, f"account-{each}") for each in account_ids(accounts))
        self._org = LocalOrg(Settings(member_accounts=members, report_seconds=0)).start()
        with self._org.lock:
            for account_id, _ in members:
                write_account(self._org, account_id, account_to_flag(users, account_id))

    def environment(self) -> dict[str, str]:
        """The environment for working in the management account. The calls so far are forgotten."""
        self._org.clear_calls()
        return self._org.environment()

    def calls(self) -> dict[str, int]:
        """Operation -> calls since ``environment``."""
        return dict(Counter(call.operation for call in self._org.calls))


class _Manager(BaseManager):
    """Starts a process, and forwards calls to it and results and errors back."""


_Manager.register("organization", Organization)
_Manager.register("fleet", Fleet)


@contextmanager
def running_organization() -> Iterator[Organization]:
    """An organization in a child process, while the block runs."""
    with _Manager(ctx=get_context("spawn")) as manager:
        yield cast(Organization, manager.organization())  # type: ignore[attr-defined]


@contextmanager
def running_fleet(accounts: int, users: int) -> Iterator[Fleet]:
    """A fleet in a child process, while the block runs."""
    with _Manager(ctx=get_context("spawn")) as manager:
        yield cast(Fleet, manager.fleet(accounts, users))  # type: ignore[attr-defined]
