# SPDX-License-Identifier: Apache-2.0
"""Whether a user, as it is read, shows that a call was applied."""

from __future__ import annotations

from typing import Any

import pytest

from c7n_iamusers.execution.calls import ApiCall
from c7n_iamusers.iam.read_back import shows
from c7n_iamusers.iam.user import IamUser
from tests.records import groups, user

pytestmark = pytest.mark.pure

OWN, LIMIT = "arn:aws:iam::111122223333:policy/Own", "arn:aws:iam::111122223333:policy/Limit"
DOCUMENT = '{"Version": "2012-10-17", "Statement": []}'
ALICE = user(
    attached_policy=({"PolicyName": "Own", "PolicyArn": OWN},),
    inline_policy=({"PolicyName": "own", "PolicyDocument": {"Version": "2012-10-17", "Statement": []}},),
    permissions_boundary=({"PermissionsBoundaryArn": LIMIT},),
    group=groups("ops"),
    access_key=({"AccessKeyId": "AKIA1", "Status": "Inactive", "UserName": "alice"},),
    ssh_public_key=({"SSHPublicKeyId": "APKA1", "SSHPublicKeyBody": "ssh-rsa AAAA ada"},),
    tags={"team": "a", "cost": "1"},
)
BARE = user()


@pytest.mark.parametrize(
    ("operation", "given", "by", "shown"),
    [
        pytest.param("AddUserToGroup", {"GroupName": "ops"}, ALICE, True, id="joined"),
        pytest.param("AddUserToGroup", {"GroupName": "dev"}, ALICE, False, id="not-joined"),
        pytest.param("RemoveUserFromGroup", {"GroupName": "dev"}, ALICE, True, id="left"),
        pytest.param("RemoveUserFromGroup", {"GroupName": "ops"}, ALICE, False, id="not-left"),
        pytest.param("AttachUserPolicy", {"PolicyArn": OWN}, ALICE, True, id="attached"),
        pytest.param("AttachUserPolicy", {"PolicyArn": OWN}, BARE, False, id="not-attached"),
        pytest.param("DetachUserPolicy", {"PolicyArn": OWN}, BARE, True, id="detached"),
        pytest.param("DetachUserPolicy", {"PolicyArn": OWN}, ALICE, False, id="not-detached"),
        pytest.param(
            "PutUserPolicy", {"PolicyName": "own", "PolicyDocument": DOCUMENT}, ALICE, True, id="put-as-text"
        ),
        pytest.param(
            "PutUserPolicy",
            {"PolicyName": "own", "PolicyDocument": f" {DOCUMENT}\n"},
            ALICE,
            True,
            id="put-in-spaces",
        ),
        pytest.param(
            "PutUserPolicy",
            {"PolicyName": "own", "PolicyDocument": '{"Statement": []}'},
            ALICE,
            False,
            id="put-another",
        ),
        pytest.param(
            "PutUserPolicy",
            {"PolicyName": "more", "PolicyDocument": DOCUMENT},
            ALICE,
            False,
            id="put-by-another-name",
        ),
        pytest.param("DeleteUserPolicy", {"PolicyName": "own"}, BARE, True, id="deleted"),
        pytest.param("DeleteUserPolicy", {"PolicyName": "own"}, ALICE, False, id="not-deleted"),
        pytest.param(
            "UpdateAccessKey", {"AccessKeyId": "AKIA1", "Status": "Inactive"}, ALICE, True, id="switched"
        ),
        pytest.param(
            "UpdateAccessKey", {"AccessKeyId": "AKIA1", "Status": "Active"}, ALICE, False, id="not-switched"
        ),
        pytest.param(
            "UpdateAccessKey", {"AccessKeyId": "AKIA2", "Status": "Inactive"}, ALICE, False, id="another-key"
        ),
        pytest.param("DeleteAccessKey", {"AccessKeyId": "AKIA1"}, BARE, True, id="key-deleted"),
        pytest.param("DeleteAccessKey", {"AccessKeyId": "AKIA1"}, ALICE, False, id="key-not-deleted"),
        pytest.param("PutUserPermissionsBoundary", {"PermissionsBoundary": LIMIT}, ALICE, True, id="bound"),
        pytest.param(
            "PutUserPermissionsBoundary", {"PermissionsBoundary": OWN}, ALICE, False, id="bound-otherwise"
        ),
        pytest.param("DeleteUserPermissionsBoundary", {}, BARE, True, id="unbound"),
        pytest.param(
            "UploadSSHPublicKey",
            {"SSHPublicKeyBody": "ssh-rsa AAAA ada\n"},
            ALICE,
            True,
            id="ended-by-a-newline",
        ),
        pytest.param(
            "UploadSSHPublicKey", {"SSHPublicKeyBody": "ssh-rsa BBBB ada"}, ALICE, False, id="another-body"
        ),
        pytest.param("DeleteUserPermissionsBoundary", {}, ALICE, False, id="still-bound"),
        pytest.param("TagUser", {"Tags": [{"Key": "team", "Value": "a"}]}, ALICE, True, id="tagged"),
        pytest.param(
            "TagUser", {"Tags": [{"Key": "team", "Value": "b"}]}, ALICE, False, id="tagged-otherwise"
        ),
        pytest.param("UntagUser", {"TagKeys": ["other"]}, ALICE, True, id="untagged"),
        pytest.param("UntagUser", {"TagKeys": ["other", "team"]}, ALICE, False, id="still-tagged"),
        pytest.param("CreateUser", {"PermissionsBoundary": LIMIT}, ALICE, True, id="created"),
        pytest.param(
            "CreateUser", {"PermissionsBoundary": LIMIT, "Path": "/"}, ALICE, True, id="with-its-path"
        ),
        pytest.param(
            "CreateUser", {"PermissionsBoundary": LIMIT, "Path": "/x/"}, ALICE, False, id="another-path"
        ),
        pytest.param("CreateUser", {}, ALICE, False, id="created-without-a-boundary"),
        pytest.param(
            "CreateUser",
            {"PermissionsBoundary": LIMIT, "Tags": [{"Key": "team", "Value": "b"}]},
            ALICE,
            False,
            id="created-with-other-tags",
        ),
        pytest.param("DeleteUser", {}, None, True, id="gone"),
        pytest.param("DeleteUser", {}, ALICE, False, id="not-gone"),
        pytest.param("TagUser", {"Tags": []}, None, False, id="of-nobody"),
        pytest.param("DeleteGroup", {"GroupName": "ops"}, ALICE, False, id="not-of-a-user"),
    ],
)
def test_what_a_user_shows(operation: str, given: dict[str, Any], by: IamUser | None, shown: bool) -> None:
    parameters = {"UserName": "alice", **given}
    assert shows(by, ApiCall("iam", operation, parameters), parameters) is shown
    assert not shows(by and user("bob"), ApiCall("iam", operation, parameters), parameters) or by is None
    assert not shows(by, ApiCall("sts", operation, parameters), parameters)
