# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from c7n_iamusers.actions.provisioning_settings import ProvisioningSettings
from c7n_iamusers.exceptions import InvalidPolicyData
from c7n_iamusers.model.identity_center import Access, PermissionSet
from tests.actions.provisioning_rehearsal import ACTION
from tests.identity_center import ACCOUNT, MARK, READ_ONLY

RESOURCE = {
    "UserName": "alice",
    "Path": "/eng/",
    "Tags": [{"Key": "Email", "Value": " alice@example.com "}, {"Key": "Given Name", "Value": "Alice"}],
    "c7n:IamUser": {"kind": "human"},
}
DOCUMENT = '{"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}'


def settings(**changes: Any) -> ProvisioningSettings:
    data = {**ACTION, **{key.replace("_", "-"): value for key, value in changes.items()}}
    return ProvisioningSettings(data, "policy p: provision-identity-center")


def permission_set(**changes: Any) -> ProvisioningSettings:
    given = {key.replace("_", "-"): value for key, value in changes.items()}
    return settings(permission_set={"name": "Migrated", **given})


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        pytest.param("tag:Email", "alice@example.com", id="tag-without-its-spaces"),
        pytest.param("tag:Given Name", "Alice", id="tag-key-with-a-space"),
        pytest.param("UserName", "alice", id="plain"),
        pytest.param('"c7n:IamUser".kind', "human", id="jmespath"),
        pytest.param("Tags[?Key=='Given Name'] | [0].Value", "Alice", id="jmespath-pipe"),
        pytest.param(["tag:Mail", "tag:Email"], "alice@example.com", id="first-that-yields"),
        pytest.param(["tag:email", "UserName"], "alice", id="tag-keys-mind-case"),
        pytest.param(["Tags", "UserName"], "alice", id="what-is-no-text-is-passed-over"),
        pytest.param("tag:Mail", "", id="nothing"),
    ],
)
def test_the_text_that_keys_yield(keys: str | list[str], text: str) -> None:
    assert settings(user={"username": "UserName", "email": keys}).texts(RESOURCE)["email"] == text


def test_names_default_to_the_user_name() -> None:
    found = settings(user={"username": "tag:Email", "email": "tag:Email"})
    assert found.texts(RESOURCE) == {
        "username": "alice@example.com",
        "email": "alice@example.com",
        "given-name": "alice",
        "family-name": "alice",
        "display-name": "alice",
    }


def test_keys_in_words() -> None:
    assert settings().told_keys["given-name"] == "tag:GivenName or UserName"


@pytest.mark.parametrize("key", ["tag:", "Tags[", "given name"])
def test_a_key_that_is_none(key: str) -> None:
    with pytest.raises(InvalidPolicyData, match=r"user\.email: .* is neither tag:Key nor a JMESPath"):
        settings(user={"username": "UserName", "email": key}).check(in_lambda=False)


def test_what_is_asked_for() -> None:
    found = settings(group="readers", shared_group=True, identity_source="external").access(ACCOUNT)
    wanted = PermissionSet(
        "IamMigratedReadOnly",
        "Reads what IAM users could read",
        managed_policies=frozenset({READ_ONLY}),
        tags=MARK,
    )
    assert found == Access(ACCOUNT, "readers", wanted, external=True, shared_group=True)


@pytest.mark.parametrize(
    "given",
    [
        pytest.param({"name": "Iam-{account_id}"}, id="account-id"),
        pytest.param(
            {"managed_policies": ["arn:{partition}:iam::aws:policy/ReadOnlyAccess"]}, id="partition"
        ),
        pytest.param({"tags": {"Account": "{account_id}"}}, id="in-a-tag"),
    ],
)
def test_variables_are_taken_before_they_are_expanded(given: dict[str, Any]) -> None:
    permission_set(**given).check(in_lambda=False)


@pytest.mark.parametrize(
    ("role", "told"),
    [
        pytest.param("Provisioner", "'Provisioner' is not the ARN of a role", id="name"),
        pytest.param("arn:aws:iam::123456789012:user/x", "is not the ARN of a role", id="user"),
        pytest.param("{center_role}", r"the undefined variable \{center_role\}", id="variable-that-is-left"),
    ],
)
def test_a_role_that_is_none(role: str, told: str) -> None:
    settings(role=role).check(in_lambda=False)
    with pytest.raises(InvalidPolicyData, match=told):
        settings(role=role, group="readers").access(ACCOUNT)


def test_a_variable_that_is_left() -> None:
    with pytest.raises(InvalidPolicyData, match=r"'Iam-\{team\}' has the undefined variable \{team\}"):
        settings(group="readers", permission_set={"name": "Iam-{team}"}).access(ACCOUNT)


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_an_inline_policy_of_a_file(directory: Path) -> None:
    (directory / "policy.json").write_text("\ufeff" + DOCUMENT, encoding="utf-8")
    found = permission_set(inline_policy_file="policy.json")
    found.check(in_lambda=False)
    assert found._permission_set({"name": "x", "inline-policy-file": "policy.json"}).inline_policy == (
        '{"Statement":[{"Action":"*","Effect":"Deny","Resource":"*"}],"Version":"2012-10-17"}'
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param(None, r"policy\.json can't be read: .*No such file", id="missing"),
        pytest.param(
            '{\n  "Version": "2012-10-17",\n  Statement\n}', r"policy\.json, line 3, column 3", id="no-json"
        ),
        pytest.param("[]", r"inline-policy-file policy\.json: must be a JSON object", id="list"),
        pytest.param('{"Statement": []}', r"inline-policy-file policy\.json: must be", id="no-statement"),
    ],
)
def test_a_file_that_will_not_do(directory: Path, text: str | None, told: str) -> None:
    if text is not None:
        (directory / "policy.json").write_text(text)
    with pytest.raises(InvalidPolicyData, match=told):
        permission_set(inline_policy_file="policy.json").check(in_lambda=False)


def test_a_file_does_not_travel_into_lambda(directory: Path) -> None:
    (directory / "policy.json").write_text(DOCUMENT)
    with pytest.raises(InvalidPolicyData, match="does not travel into AWS Lambda: use inline-policy"):
        permission_set(inline_policy_file="policy.json").check(in_lambda=True)


def test_two_inline_policies() -> None:
    with pytest.raises(InvalidPolicyData, match="either inline-policy or inline-policy-file, not both"):
        permission_set(inline_policy={}, inline_policy_file="x").check(in_lambda=False)
