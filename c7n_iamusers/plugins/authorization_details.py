# SPDX-License-Identifier: Apache-2.0
"""The source ``authorization-details``: reads an account's IAM users in pages, without a call for each user."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from c7n.exceptions import PolicyValidationError
from c7n.query import DescribeSource
from c7n.utils import get_partition, local_session

from c7n_iamusers.evidence.call_event import ROOT_NAME
from c7n_iamusers.evidence.credential_report import flag, is_row_of
from c7n_iamusers.evidence.index import ACCOUNT, VIRTUAL_MFA, Inventory
from c7n_iamusers.evidence.model import Source
from c7n_iamusers.evidence.reader import ACCOUNT_KINDS, PIECES, account_piece
from c7n_iamusers.execution.journal import utc_now
from c7n_iamusers.execution.retries import Backoff
from c7n_iamusers.iam.accounts import POLICY_KINDS, read_users, users_by_name_or_id
from c7n_iamusers.iam.attachments import CREDENTIAL_REPORT
from c7n_iamusers.iam.user import IamUser
from c7n_iamusers.plugins.policy_checks import require_own_account
from c7n_iamusers.plugins.resources import AccountReadings, set_user_source, unreadable
from c7n_iamusers.plugins.run_outputs import visible_errors, write_privately

Resource = dict[str, Any]
GROUPS = "c7n:Groups"
#: Stands for root among the ids of an event, as in the credential report. No user has such a name.
ROOT_ACCOUNT = "<root_account>"
MFA_DEVICES = "MFADevices"
#: Values of a filter ``mfa-device`` that only ask whether a user has any device or none.
_ANY_OR_NONE: tuple[Any, ...] = ("absent", "empty", "not-null", "present", [])
_SAME_OR_NOT = (None, "eq", "equal", "ne", "not-equal")


def drop_empty_tags(resource: Resource) -> None:
    """Remove an empty ``Tags``, which GetUser does not return either, so that ``Tags: absent`` matches."""
    if not resource.get("Tags"):
        resource.pop("Tags", None)


def fill_groups(resource: Resource, groups: Mapping[str, Mapping[str, Any]]) -> None:
    """Set ``c7n:Groups`` as ListGroupsForUser returns it, unless a group is missing in ``groups``."""
    names = resource.get("GroupList", ())
    if all(name in groups for name in names):
        resource[GROUPS] = [_group(groups[name]) for name in names]


class MfaDevices:
    """The MFA devices of users, from the lists in ``inventory``."""

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory
        self._virtual: defaultdict[str, list[Resource]] = defaultdict(list)
        for device in inventory.virtual_mfa or ():
            # The root user's device has an owner without a name.
            if name := (device.get("User") or {}).get("UserName"):
                self._virtual[name].append(_device(name, device))

    def fill(self, resource: Resource) -> None:
        """Set ``MFADevices`` as ListMFADevices returns it, sufficient for whether there is any device.

        It stays unset if that is unknown, or if the credential report has a device that is not virtual: AWS has no list
        of these for an account, so the filter itself calls ListMFADevices.
        """
        devices = self._virtual.get(resource["UserName"], [])
        if devices or self._has_none(resource):
            resource[MFA_DEVICES] = devices

    def _has_none(self, resource: Resource) -> bool:
        report = self._inventory.report
        row = report.row(resource["UserName"]) if report and self._inventory.virtual_mfa is not None else None
        return row is not None and is_row_of(IamUser(resource), row) and flag(row, "mfa_active") is False


def asks_for_any_mfa(filter_data: Mapping[str, Any]) -> bool:
    """True if a filter ``mfa-device`` only asks whether a user has any device or none."""
    simple = "value_type" not in filter_data and filter_data.get("op") in _SAME_OR_NOT
    return simple and filter_data.get("value") in _ANY_OR_NONE


def _group(detail: Mapping[str, Any]) -> Resource:
    return {
        key: detail[key] for key in ("Path", "GroupName", "GroupId", "Arn", "CreateDate") if key in detail
    }


def _device(name: str, device: Mapping[str, Any]) -> Resource:
    head = {"UserName": name, "SerialNumber": device["SerialNumber"]}
    return {**head, "EnableDate": device["EnableDate"]} if "EnableDate" in device else head


_LISTS = ("GetAccountAuthorizationDetails", "ListUsers")
_WITH_MFA = "with-mfa"


def make_up(manager: Any, *names: str) -> None:
    """Let our actions write the outcomes of killed runs, and then tell owners what these did not tell.

    ``names``: of these methods. c7n does not call actions if no user is selected.
    """
    if not getattr(manager.config, "dryrun", False):
        for name in names:
            for action in manager.actions or ():
                if makes_up := getattr(action, name, None):
                    makes_up()


class AuthorizationDetails(DescribeSource):  # type: ignore[misc]  # c7n is untyped
    """Lists IAM users from GetAccountAuthorizationDetails and ListUsers.

    Stock c7n makes a GetUser call for each user; this source makes two calls for each thousand users. Resources have
    all members of the stock source (UserName, UserId, Arn, Path, CreateDate, PasswordLastUsed, Tags,
    PermissionsBoundary), so they work with every stock filter and action; and, named as in botocore's ``UserDetail``,
    GroupList, AttachedManagedPolicies and UserPolicyList. Stock ``notify`` sends all of it, inline policies included;
    ``notify-owners`` and ``notify-people`` leave policy documents out of their messages.

    Three stock filters need no call for each user: ``group`` finds ``c7n:Groups``; ``mfa-device`` with a value for any
    device or none (``value: empty``, ``not-null``, ``[]``) finds ``MFADevices``, from the list of virtual devices and,
    for users without one, from the credential report; ``credential`` finds the report in c7n's cache. For devices that
    are not virtual, and for the number of devices, the filter still makes a call for each user.

    In an event mode ``ids`` may be names, unique ids or both, as in ``responseElements.user.[userName, userId]``: a
    user that was renamed since the event is found by its unique id. Where another user has the name now, both are
    resources; our actions leave alone the one that the event is not about. The id ``<root_account>``, as in the
    credential report, is root: a resource for the filter ``alarm`` and messages alone.

    :example:

    .. code-block:: yaml

        policies:
          - name: iam-users-in-bulk
            resource: aws.iam-user
            source: authorization-details
            filters:
              - type: group
                key: GroupName
                value: Developers
              - type: mfa-device
                value: empty
    """

    def __init__(self, manager: Any) -> None:
        if getattr(manager, "type", "") != "iam-user":
            raise PolicyValidationError(
                f"source authorization-details lists IAM users only, not {getattr(manager, 'type', manager)}: "
                "use it with resource aws.iam-user, or leave source out; that of aws.iam-access-key is access-keys"
            )
        write_privately(manager)
        super().__init__(manager)
        self._backoff = Backoff()

    def get_permissions(self) -> list[str]:
        """The IAM actions for listing users, for event modes, and for the data of stock filters."""
        by_name = sorted({operation for kind in POLICY_KINDS for operation in kind.reads})
        pieces = [permission for name in self._pieces() for permission in PIECES[name].permissions]
        return [*(f"iam:{name}" for name in (*_LISTS, "GetUser", *by_name)), *pieces]

    def get_query_params(self, query: Any) -> Any:
        """The query, which is part of c7n's cache key: resources with and without MFADevices differ."""
        return {**(query or {}), _WITH_MFA: True} if VIRTUAL_MFA in self._pieces() else query

    @visible_errors
    def resources(self, query: Any) -> list[Resource]:
        """Every user of the account.

        Raises PolicyExecutionError if the lists can't be read completely, or are of another account than the policy.
        """
        client, began = self._client(), utc_now()
        with unreadable(
            self.manager, "the account's IAM users", " and ".join(f"iam:{name}" for name in _LISTS)
        ):
            found = read_users(client, self._backoff, *(ACCOUNT_KINDS if self._assesses() else ("Group",)))
        require_own_account(self.manager, found.users)
        make_up(self.manager, "complete_outcomes", "send_owed")
        if self._assesses():
            AccountReadings.of(self.manager).add(ACCOUNT, account_piece(found.account, began))
        for resource in found.users:
            drop_empty_tags(resource)
            fill_groups(resource, found.account.groups)
        self._fill_from_pieces(found.users)
        return _sourced(found.users, Source(", ".join(_LISTS), began))

    @visible_errors
    def get_resources(self, ids: list[str], cache: bool = True) -> list[Resource]:
        """The users with the names or unique ids ``ids`` (event modes), without those that no longer exist.

        Raises PolicyExecutionError if one can't be read, or is of another account than the policy.
        """
        client, began = self._client(), utc_now()
        with unreadable(
            self.manager, "IAM users by name and unique id", ", ".join(self.get_permissions()[1:])
        ):
            found = users_by_name_or_id(client, [each for each in ids if each != ROOT_ACCOUNT], self._backoff)
        if ROOT_ACCOUNT in ids:
            found.append(self._root())
        require_own_account(self.manager, found)
        make_up(self.manager, "send_owed")  # the outcomes of a function that is running now are not missing
        return _sourced(found, Source("GetUser", began))

    def augment(self, resources: list[Resource]) -> list[Resource]:
        """The resources unchanged: the lists have all members."""
        return resources

    def _root(self) -> Resource:
        """Root, which is no IAM user and has no unique id but that of the account."""
        account_id = str(self.manager.config.account_id)
        arn = f"arn:{get_partition(self.manager.config.region)}:iam::{account_id}:root"
        return {"UserName": ROOT_NAME, "UserId": account_id, "Arn": arn, "Path": "/"}

    def _client(self) -> Any:
        return local_session(self.manager.session_factory).client("iam", self.manager.config.region)

    def _assesses(self) -> bool:
        """True if the policy has a filter ``unnecessary``.

        The same calls return the groups, roles and policies for it.
        """
        return any(each.type == "unnecessary" for each in self.manager.iter_filters())

    def _pieces(self) -> tuple[str, ...]:
        """The pieces of account data to read for the policy's stock filters."""
        filters = [each for each in self.manager.iter_filters() if each.type in ("mfa-device", "credential")]
        asked = [each.data for each in filters if each.type == "mfa-device"]
        if asked and all(asks_for_any_mfa(data) for data in asked):
            return (VIRTUAL_MFA, CREDENTIAL_REPORT)
        # c7n's own reader of the report does not wait for it reliably and does not retry.
        return (CREDENTIAL_REPORT,) if len(filters) > len(asked) else ()

    def _fill_from_pieces(self, resources: list[Resource]) -> None:
        if pieces := self._pieces():
            inventory = AccountReadings.of(self.manager).inventory(pieces, self._backoff)
            devices = MfaDevices(inventory)
            for resource in resources if VIRTUAL_MFA in pieces else ():
                devices.fill(resource)


def _sourced(resources: Iterable[Resource], source: Source) -> list[Resource]:
    found = list(resources)
    for resource in found:
        set_user_source(resource, source)
    return found
