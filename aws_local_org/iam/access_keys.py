# SPDX-License-Identifier: Apache-2.0
"""Access keys and when they were last used."""

from __future__ import annotations

from typing import Any

from moto.core.responses import ActionResult, EmptyResult
from moto.iam.models import AccessKey

from aws_local_org.iam.base import Response
from aws_local_org.iam.entities import User
from aws_local_org.iam.errors import access_denied, no_such_entity, quota_exceeded
from aws_local_org.iam.identifiers import ACCESS_KEY
from aws_local_org.iam.paging import Listing
from aws_local_org.iam.plain_result import PlainResult

KEYS_PER_USER = 2


class AccessKeysResponse(Response):
    """Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateAccessKey.html and its siblings."""

    def create_access_key(self) -> ActionResult:
        user = self.backend.get_user(self.params["UserName"])
        if len(user.access_keys) >= KEYS_PER_USER:
            raise quota_exceeded("AccessKeysPerUser", KEYS_PER_USER)
        key = user.create_access_key(prefix=ACCESS_KEY)
        self.backend.access_keys[key.access_key_id] = key
        return PlainResult({"AccessKey": {**_metadata(key), "SecretAccessKey": key.secret_access_key}})

    def list_access_keys(self) -> ActionResult:
        user = self.backend.get_user(self.params["UserName"])
        return PlainResult({"AccessKeyMetadata": Listing(user.access_keys, _metadata)})

    def update_access_key(self) -> ActionResult:
        key = _key(self.backend.get_user(self.params["UserName"]), self.params["AccessKeyId"])
        key.status = self.params["Status"]
        return EmptyResult()

    def delete_access_key(self) -> ActionResult:
        user = self.backend.get_user(self.params["UserName"])
        key = _key(user, self.params["AccessKeyId"])
        user.access_keys.remove(key)
        del self.backend.access_keys[key.access_key_id]
        return EmptyResult()

    def get_access_key_last_used(self) -> ActionResult:
        """ "N/A" for Region and service of a key that was never used, whose LastUsedDate is absent then.

        Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_AccessKeyLastUsed.html. As AWS has no account to
        ask about a key that does not exist, it denies access to it.
        """
        key = self.backend.access_keys.get(self.params["AccessKeyId"])
        if key is None:
            raise access_denied(
                f"User: {self.caller.arn} is not authorized to perform iam:GetAccessKeyLastUsed on resource: "
                f"access key {self.params['AccessKeyId']}"
            )
        used = key.last_used
        last_used = {
            "LastUsedDate": used.timestamp if used else None,
            "Region": used.region if used else "N/A",
            "ServiceName": used.service if used else "N/A",
        }
        return PlainResult({"UserName": key.user_name, "AccessKeyLastUsed": last_used})


def _key(user: User, access_key_id: str) -> AccessKey:
    found = next((key for key in user.access_keys if key.access_key_id == access_key_id), None)
    if found is None:
        raise no_such_entity(f"The Access Key with id {access_key_id} cannot be found.")
    return found


def _metadata(key: AccessKey) -> dict[str, Any]:
    return {
        "UserName": key.user_name,
        "AccessKeyId": key.access_key_id,
        "Status": key.status,
        "CreateDate": key.create_date,
    }
