# SPDX-License-Identifier: Apache-2.0
"""Reads permission sets, and which groups and users are assigned to them in which account."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from botocore import xform_name
from botocore.exceptions import ClientError

from c7n_iamusers.derivation.requested_permission_set import MANAGED_TAG, PermissionSet
from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.execution.paging import items
from c7n_iamusers.execution.retries import Backoff, error_cause, error_code, gone_is
from c7n_iamusers.iam.policy_documents import canonical_policy
from c7n_iamusers.identity_center.aws import in_parallel
from c7n_iamusers.identity_center.model import (
    UNKNOWN_ASSIGNMENT,
    Assignment,
    InProgress,
    Instance,
    KnownPermissionSet,
    Pending,
)

#: AWS's answers to calls for an account that does not exist, or that the caller may not read.
_ABOUT_ACCOUNTS = frozenset({"AccessDeniedException", "ResourceNotFoundException", "ValidationException"})


class AccountUnreadable(IdentityCenterError):
    """AWS refuses to say what one account has."""


@contextmanager
def _naming_account(account_id: str) -> Iterator[None]:
    """Raises AccountUnreadable for errors about the account, because AWS's don't name it."""
    try:
        yield
    except ClientError as error:
        if error_cause(error) not in _ABOUT_ACCOUNTS:
            raise
        raise AccountUnreadable(
            f"what account {account_id} has in Identity Center can't be read ({error}), and nothing was touched: allow "
            "that (--role, if access is denied); or, if the account is closed or has left the organization, leave it "
            "out (-a with the other accounts, or without its intents)"
        ) from error


_PAGE = 100
#: The duration if AWS gives none (CreatePermissionSet). Ours always have one.
_SESSION_OF_AWS = "PT1H"
_OUTDATED = "LATEST_PERMISSION_SET_NOT_PROVISIONED"


@dataclass(frozen=True)
class PermissionSets:
    """The permission sets of ``instance``, through ``client`` (sso-admin)."""

    client: Any
    instance: Instance
    backoff: Backoff

    def find(self, names: Collection[str], accounts: Iterable[str]) -> dict[str, KnownPermissionSet]:
        """The existing permission sets with those names. ``accounts``: where to look first."""
        found: dict[str, KnownPermissionSet] = {}
        arns = self._arns(accounts)
        while len(found) < len(names) and (arn := next(arns, None)):
            described = self._described(arn)
            if described and described["Name"] in names and (known := self._complete(arn, described)):
                found[described["Name"]] = known
        return found

    def names(self, arns: Iterable[str]) -> dict[str, str]:
        """ARN -> name of existing ones."""
        listed = list(arns)
        found = in_parallel(self.name_of, listed)
        return {arn: name for arn, name in zip(listed, found, strict=True) if name}

    def named(self, names: Collection[str], known: Mapping[str, str]) -> dict[str, KnownPermissionSet]:
        """The permission sets with ``names``. ``known``: ARN -> name, for no further search."""
        arns = {name: arn for arn, name in known.items() if name in names}
        elsewhere = set(names) - arns.keys()
        for arn in self._list("ListPermissionSets", "PermissionSets") if elsewhere else ():
            if not elsewhere:
                break
            if arn not in known and (name := self.name_of(arn)) in elsewhere:
                arns[name] = arn
                elsewhere.discard(name)
        read = in_parallel(self.read, arns.values())
        return {name: each for name, each in zip(arns, read, strict=True) if each}

    @gone_is(False)
    def is_managed(self, arn: str) -> bool:
        """Whether the permission set exists and is managed."""
        return MANAGED_TAG in self._tags(arn)

    def count(self) -> int:
        """How many permission sets the instance has."""
        return len(self._list("ListPermissionSets", "PermissionSets"))

    def managed_names(self) -> list[str]:
        """The names of managed permission sets, sorted. Takes a call for each one of the instance."""
        return sorted(self.names(self.managed(self._list("ListPermissionSets", "PermissionSets"))).values())

    def accounts_of_managed(self) -> dict[str, frozenset[str]]:
        """ARN of each managed permission set -> its accounts. Takes a few calls for each one of the instance."""
        arns = self._list("ListPermissionSets", "PermissionSets")
        managed = self.managed(arns)
        return dict(zip(managed, in_parallel(self._accounts_if_any, managed), strict=True))

    def managed_besides(self, known: Collection[str]) -> list[KnownPermissionSet]:
        """Managed permission sets not in ``known`` (ARNs). Takes one call for each unknown one."""
        arns = [arn for arn in self._list("ListPermissionSets", "PermissionSets") if arn not in known]
        return [each for each in in_parallel(self.read, self.managed(arns)) if each]

    def managed(self, arns: list[str]) -> list[str]:
        """The existing and managed ones. Others can vanish at any time, like the lock of a run that ends."""
        found = in_parallel(self.is_managed, arns)
        return [arn for arn, managed in zip(arns, found, strict=True) if managed]

    @gone_is(frozenset[str]())
    def _accounts_if_any(self, arn: str, **status: str) -> frozenset[str]:
        return self._accounts(arn, **status)

    def _tags(self, arn: str) -> list[tuple[str, str]]:
        named = {"InstanceArn": self.instance.arn, "ResourceArn": arn}
        found = items(self.client, "ListTagsForResource", "Tags", self.backoff, **named)
        return [(tag["Key"], tag["Value"]) for tag in found]

    def provisioned_to(self, account_id: str, **status: str) -> list[str]:
        """The ARNs of the permission sets provisioned to the account. Raises AccountUnreadable."""
        operation = "ListPermissionSetsProvisionedToAccount"
        with _naming_account(account_id):
            return self._list(operation, "PermissionSets", AccountId=account_id, **status)

    def outdated_in(self, account_id: str) -> frozenset[str]:
        """The ones that the account has in an earlier form."""
        return frozenset(self.provisioned_to(account_id, ProvisioningStatus=_OUTDATED))

    def stale_accounts(self, arn: str) -> frozenset[str]:
        """The accounts that have an earlier form of the permission set; none if it does not exist."""
        return self._accounts_if_any(arn, ProvisioningStatus=_OUTDATED)

    def name_of(self, arn: str) -> str | None:
        """The permission set's name; None if it does not exist."""
        described = self._described(arn)
        return str(described["Name"]) if described else None

    def read(self, arn: str) -> KnownPermissionSet | None:
        """The permission set with that ARN; None if it does not exist."""
        described = self._described(arn)
        return self._complete(arn, described) if described else None

    @gone_is(None)
    def settings(self, arn: str) -> PermissionSet | None:
        """The settings of the permission set with that ARN, without tags; None if it does not exist."""
        described = self._described(arn)
        return self._settings(arn, described) if described else None

    def _arns(self, accounts: Iterable[str]) -> Iterator[str]:
        # Lists have only ARNs, maybe thousands. Except in the first run, the accounts have the requested ones.
        seen: set[str] = set()
        for arn in self._candidates(accounts):
            if arn not in seen:
                seen.add(arn)
                yield arn

    def _candidates(self, accounts: Iterable[str]) -> Iterator[str]:
        for account in accounts:
            yield from self.provisioned_to(account)
        yield from self._list("ListPermissionSets", "PermissionSets")

    @gone_is(None)
    def _described(self, arn: str) -> dict[str, Any]:
        found: dict[str, Any] = self._call("describe_permission_set", arn)["PermissionSet"]
        return found

    @gone_is(None)
    def _complete(self, arn: str, described: dict[str, Any]) -> KnownPermissionSet:
        settings = replace(self._settings(arn, described), tags=dict(self._tags(arn)))
        accounts = self._accounts(arn)
        stale = self._accounts(arn, ProvisioningStatus=_OUTDATED) if accounts else frozenset()
        return KnownPermissionSet(arn, settings, accounts, stale)

    def _settings(self, arn: str, described: dict[str, Any]) -> PermissionSet:
        # First, because its answer is the same if the permission set is gone, which later reads show.
        boundary = self._boundary(arn)
        attached = self._list(
            "ListManagedPoliciesInPermissionSet", "AttachedManagedPolicies", PermissionSetArn=arn
        )
        return PermissionSet(
            name=described["Name"],
            description=described.get("Description", ""),
            session_duration=described.get("SessionDuration", _SESSION_OF_AWS),
            relay_state=described.get("RelayState", ""),
            managed_policies=frozenset(policy["Arn"] for policy in attached),
            inline_policy=self._inline_policy(arn),
            customer_policies=frozenset(self._customer_policies(arn)),
            boundary=boundary,
        )

    def _inline_policy(self, arn: str) -> str:
        text = self._call("get_inline_policy_for_permission_set", arn).get("InlinePolicy") or ""
        try:
            return canonical_policy(json.loads(text)) if text else ""
        except ValueError:
            return str(text)

    def _customer_policies(self, arn: str) -> list[str]:
        operation = "ListCustomerManagedPolicyReferencesInPermissionSet"
        found = self._list(operation, "CustomerManagedPolicyReferences", PermissionSetArn=arn)
        return [_path_and_name(reference) for reference in found]

    def _boundary(self, arn: str) -> str:
        read = gone_is(dict[str, Any]())(self._call)
        found = read("get_permissions_boundary_for_permission_set", arn).get("PermissionsBoundary")
        if not found:
            return ""
        reference = found.get("CustomerManagedPolicyReference")
        return _path_and_name(reference) if reference else str(found["ManagedPolicyArn"])

    def _accounts(self, arn: str, **status: str) -> frozenset[str]:
        operation = "ListAccountsForProvisionedPermissionSet"
        return frozenset(self._list(operation, "AccountIds", PermissionSetArn=arn, **status))

    def _list(self, operation: str, result: str, **parameters: Any) -> list[Any]:
        parameters = {"InstanceArn": self.instance.arn, "MaxResults": _PAGE, **parameters}
        return items(self.client, operation, result, self.backoff, **parameters)

    def _call(self, method: str, arn: str) -> dict[str, Any]:
        call = getattr(self.client, method)
        response: dict[str, Any] = self.backoff.call(
            call, InstanceArn=self.instance.arn, PermissionSetArn=arn
        )
        return response


def _path_and_name(reference: dict[str, str]) -> str:
    return f"{reference.get('Path', '/')}{reference['Name']}"


@dataclass(frozen=True)
class Assignments:
    """The account assignments of ``instance``, through ``client`` (sso-admin)."""

    client: Any
    instance: Instance
    backoff: Backoff

    @gone_is(frozenset[Assignment]())
    def of_group(self, group_id: str) -> frozenset[Assignment]:
        """All assignments of the group. Raises IdentityCenterError for a caller outside the management account."""
        try:
            found = self._list(
                "ListAccountAssignmentsForPrincipal",
                "AccountAssignments",
                PrincipalId=group_id,
                PrincipalType="GROUP",
            )
        except ClientError as error:
            if error_code(error) != "AccessDeniedException":
                raise
            raise IdentityCenterError(
                f"the assignments of group {group_id} can't be read ({error}): only the management account may call "
                "sso:ListAccountAssignmentsForPrincipal: set role: to a role of it, or set shared-group: true"
            ) from error
        return frozenset(Assignment(each["AccountId"], each["PermissionSetArn"]) for each in found)

    def of_group_if_listed(self, group_id: str, own: Iterable[Assignment] = ()) -> frozenset[Assignment]:
        """As ``of_group``; for a caller that may not list them, existing ones of ``own`` and UNKNOWN_ASSIGNMENT."""
        try:
            return self.of_group(group_id)
        except IdentityCenterError:
            found = frozenset(each for each in own if self.exists(each, group_id))
            return found | {UNKNOWN_ASSIGNMENT}

    def directly_of_if_listed(self, user_id: str) -> frozenset[Assignment]:
        """As ``directly_of``; UNKNOWN_ASSIGNMENT for a caller that may not list them."""
        try:
            return self.directly_of(user_id)
        except ClientError as error:
            if error_code(error) != "AccessDeniedException":
                raise
            return frozenset({UNKNOWN_ASSIGNMENT})

    @gone_is(frozenset[Assignment]())
    def directly_of(self, user_id: str) -> frozenset[Assignment]:
        """The user's direct assignments. Raises ClientError."""
        found = self._list(
            "ListAccountAssignmentsForPrincipal",
            "AccountAssignments",
            PrincipalId=user_id,
            PrincipalType="USER",
        )
        return frozenset(
            Assignment(each["AccountId"], each["PermissionSetArn"])
            for each in found
            if each.get("PrincipalType", "USER") == "USER"
        )

    def holders(self, account_id: str, permission_set_arn: str) -> frozenset[tuple[str, str]]:
        """(principal type, principal id) of all assignments of the permission set in the account.

        A permission set that is gone has none. Raises AccountUnreadable.
        """
        with _naming_account(account_id):
            found = gone_is(list[Any]())(self._list)(
                "ListAccountAssignments",
                "AccountAssignments",
                AccountId=account_id,
                PermissionSetArn=permission_set_arn,
            )
        return frozenset((each["PrincipalType"], each["PrincipalId"]) for each in found)

    def exists(self, assignment: Assignment, group_id: str) -> bool:
        """Whether the group has the assignment."""
        return ("GROUP", group_id) in self.holders(assignment.account_id, assignment.permission_set_arn)

    def in_progress(self) -> InProgress:
        """All creations and deletions of assignments that are IN_PROGRESS, including those of other writers.

        Read it before the assignments, which then include requests that end in between.
        """
        return InProgress(self._requests("Creation"), self.deletions())

    def deletions(self) -> dict[str, Pending]:
        """Request id -> assignment of the deletions among them."""
        return self._requests("Deletion")

    def _requests(self, kind: str) -> dict[str, Pending]:
        statuses = self._list(
            f"ListAccountAssignment{kind}Status",
            f"AccountAssignments{kind}Status",
            Filter={"Status": "IN_PROGRESS"},
        )
        # The list has no targets, so each request in progress (15 of each kind at most) is described.
        found = {status["RequestId"]: self._target(kind, status["RequestId"]) for status in statuses}
        return {request_id: target for request_id, target in found.items() if target}

    @gone_is(None)
    def _target(self, kind: str, request_id: str) -> Pending | None:
        """None for an ended request, or one whose status AWS no longer keeps."""
        name = f"AccountAssignment{kind}Status"
        describe = getattr(self.client, xform_name(f"Describe{name}"))
        asked = {"InstanceArn": self.instance.arn, f"AccountAssignment{kind}RequestId": request_id}
        status = self.backoff.call(describe, **asked)[name]
        if status["Status"] != "IN_PROGRESS":
            return None
        members = ("TargetId", "PermissionSetArn", "PrincipalId", "PrincipalType")
        return Pending(*(status.get(member, "") for member in members))

    def _list(self, operation: str, result: str, **parameters: Any) -> list[Any]:
        parameters = {"InstanceArn": self.instance.arn, "MaxResults": _PAGE, **parameters}
        return items(self.client, operation, result, self.backoff, **parameters)
