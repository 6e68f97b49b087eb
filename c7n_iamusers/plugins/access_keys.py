# SPDX-License-Identifier: Apache-2.0
"""The source ``access-keys`` of ``aws.iam-access-key``: a call only for the users that have a key in question."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from c7n.exceptions import PolicyValidationError
from c7n.query import DescribeSource
from c7n.utils import local_session

from c7n_iamusers.evidence.credential_report import CredentialReport, is_row_of
from c7n_iamusers.evidence.index import ACCOUNT
from c7n_iamusers.evidence.key_findings import KeyCriteria
from c7n_iamusers.evidence.model import Source
from c7n_iamusers.evidence.reader import ACCOUNT_KINDS, PIECES, account_piece
from c7n_iamusers.execution.journal import utc_now
from c7n_iamusers.execution.retries import Backoff, error_code
from c7n_iamusers.iam.accounts import read_users
from c7n_iamusers.iam.attachments import ACCESS_KEY, CREDENTIAL_REPORT
from c7n_iamusers.iam.user import IamUser, Item
from c7n_iamusers.iam.users import list_kind
from c7n_iamusers.plugins.authorization_details import drop_empty_tags, make_up
from c7n_iamusers.plugins.policy_checks import is_pull, require_own_account
from c7n_iamusers.plugins.resources import AccountReadings, Resource, set_user_source, subject_of, unreadable
from c7n_iamusers.plugins.run_outputs import fail_even_if_idle, visible_errors, write_privately
from c7n_iamusers.text.wording import visible_log

#: The resource that has keys, and the name of the source.
RESOURCE, NAME = "iam-access-key", "access-keys"
#: The member of a key's resource with its user, as the source ``authorization-details`` has it.
USER = "c7n:User"
#: The members of a key's resource that are its user's.
_OF_USER = ("UserName", "UserId", "Arn", "Path", "Tags")
_LISTS = ("GetAccountAuthorizationDetails", "ListUsers", "ListAccessKeys")


class AccessKeys(DescribeSource):  # type: ignore[misc]  # c7n is untyped
    """Lists access keys. Stock c7n makes two calls for each user of the account, GetUser and ListAccessKeys.

    This source makes two calls for each thousand users, reads the credential report, and calls ListAccessKeys only for
    the users with a key that the filters ``unnecessary`` may select, by the report. Without such a filter it calls it
    for each user that has a key. Where the report can't be read, or does not say, it calls it.

    Resources have the members of ListAccessKeys (``UserName``, ``AccessKeyId``, ``Status``, ``CreateDate``), and of the
    user ``UserId``, ``Arn``, ``Path`` and ``Tags``; all of the user is in ``c7n:User``. It works in pull mode only:
    Cloud Custodian has no event mode for this resource.

    :example:

    .. code-block:: yaml

        policies:
          - name: iam-keys-old
            resource: aws.iam-access-key
            source: access-keys
            filters:
              - type: value
                key: CreateDate
                value_type: age
                op: gt
                value: 365
    """

    log = visible_log("custodian.c7n_iamusers")

    def __init__(self, manager: Any) -> None:
        if getattr(manager, "type", "") != RESOURCE:
            raise PolicyValidationError(
                f"source {NAME} lists access keys only, not {getattr(manager, 'type', manager)}: use it with resource "
                f"aws.{RESOURCE}; that of aws.iam-user is authorization-details"
            )
        if not is_pull(manager):
            raise PolicyValidationError(
                f"policy {manager.data.get('name')}: source {NAME}: aws.{RESOURCE} has no event mode: leave mode out"
            )
        write_privately(manager)
        super().__init__(manager)
        self._backoff = Backoff()

    def get_permissions(self) -> list[str]:
        """The IAM actions for listing the keys."""
        pieces = [permission for name in _PIECES for permission in PIECES[name].permissions]
        return [*(f"iam:{name}" for name in _LISTS), *pieces]

    def get_query_params(self, query: Any) -> Any:
        """The query, which is part of c7n's cache key: which keys are listed depends on the filters."""
        return {**(query or {}), "asked": [repr(each) for each in self._criteria()]}

    @visible_errors
    def resources(self, query: Any) -> list[Resource]:
        """The keys. A user whose keys can't be listed is left out, and the policy ends with an error.

        Raises PolicyExecutionError if the users can't be read completely, or are of another account than the policy.
        """
        client, began = self._client(), utc_now()
        with unreadable(
            self.manager, "the account's IAM users", " and ".join(f"iam:{name}" for name in _LISTS)
        ):
            found = read_users(client, self._backoff, *ACCOUNT_KINDS)
        require_own_account(self.manager, found.users)
        make_up(self.manager, "complete_outcomes", "send_owed")
        readings = AccountReadings.of(self.manager)
        readings.add(ACCOUNT, account_piece(found.account, began))
        report = readings.inventory(_PIECES, self._backoff).report
        for user in found.users:
            drop_empty_tags(user)
            set_user_source(user, Source(", ".join(_LISTS[:2]), began))
        criteria, now = self._criteria(), utc_now()
        asked = [user for user in found.users if _may_have(user, report, criteria, now)]
        with self.manager.executor_factory(max_workers=8) as pool:
            listed = [*pool.map(lambda user: self._keys(client, user), asked)]
        self.log.info(
            "%s: the keys of %d users are listed, of %d: the report shows that the others have none in question",
            *(NAME, len(asked), len(found.users)),
        )
        return [_key(user, key) for user, keys in zip(asked, listed, strict=True) for key in keys]

    def augment(self, resources: list[Resource]) -> list[Resource]:
        """The resources unchanged: the lists have all members."""
        return resources

    def _criteria(self) -> Sequence[KeyCriteria]:
        return [each.key_criteria() for each in self.manager.filters if each.type == "unnecessary"]

    def _keys(self, client: Any, user: Resource) -> Sequence[Item]:
        try:
            return list_kind(client, user["UserName"], ACCESS_KEY, self._backoff)
        except (ClientError, BotoCoreError) as error:
            if not (isinstance(error, ClientError) and error_code(error) == "NoSuchEntity"):
                self._left_out(user, error)
            return ()

    def _left_out(self, user: Resource, error: Exception) -> None:
        fault = (
            f"{NAME}: {subject_of(user)}: its access keys can't be listed, so they are left alone: {error}"
        )
        self.log.error("%s", fault)
        fail_even_if_idle(self.manager, NAME, fault)

    def _client(self) -> Any:
        return local_session(self.manager.session_factory).client("iam", self.manager.config.region)


_PIECES = (CREDENTIAL_REPORT,)


def _may_have(
    user: Resource, report: CredentialReport | None, criteria: Sequence[KeyCriteria], now: datetime
) -> bool:
    """Whether the user may have a key that meets all ``criteria``; any key, if there are none."""
    row = report.row(user["UserName"]) if report else None
    if report is None or row is None or not is_row_of(IamUser(user), row):
        return True
    if criteria:
        return all(each.may_select(row, report.time, now) for each in criteria)
    return any(each.may_select(row, report.time, now) for each in _EITHER)


#: Active keys, and inactive ones, of any age.
_EITHER = (KeyCriteria(min_age=0), KeyCriteria(min_age=0, active=False))


def _key(user: Resource, key: Item) -> Resource:
    own = {name: user[name] for name in _OF_USER if name in user}
    return {**own, **key, USER: user}
