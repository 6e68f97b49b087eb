# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from c7n_iamusers.derivation.requested_permission_set import PermissionSet
from c7n_iamusers.exceptions import InvalidPolicyData
from c7n_iamusers.identity_center.requests.intents import Intents
from c7n_iamusers.plugins.provisioning_settings import ProvisioningSettings
from tests.access_center import ACCOUNT, MARK, READ_ONLY
from tests.plugins.provisioning_rehearsal import ACTION

pytestmark = pytest.mark.pure

DOCUMENT = '{"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}'


def settings(**changes: Any) -> ProvisioningSettings:
    data = {**ACTION, **{key.replace("_", "-"): value for key, value in changes.items()}}
    return ProvisioningSettings(data, "policy p: provision-identity-center")


def permission_set(**changes: Any) -> ProvisioningSettings:
    given = {key.replace("_", "-"): value for key, value in changes.items()}
    return settings(permission_set={"name": "Migrated", **given})


def test_what_is_asked_for() -> None:
    found = settings(group="readers", shared_group=True, identity_source="external").intents(ACCOUNT, "p")
    wanted = PermissionSet(
        "IamMigratedReadOnly",
        "Reads what IAM users could read",
        managed_policies=frozenset({READ_ONLY}),
        tags=MARK,
    )
    assert found == Intents(ACCOUNT, "p", (), True, True, "readers", wanted)


ACCEPT = {
    "account": ACCOUNT,
    "user": "alice",
    "verdict": "wider",
    "remark": "SEC-1: looked at",
    "expires": date(2027, 1, 31),
}


@pytest.mark.parametrize(
    ("derive", "options"),
    [
        pytest.param(True, {}, id="as-it-is"),
        pytest.param({"write-out": True}, {"write-out": True}, id="with-options"),
        pytest.param({"accept": [ACCEPT]}, {"accept": [{**ACCEPT, "expires": "2027-01-31"}]}, id="accept"),
    ],
)
def test_derivation_is_asked_for(derive: Any, options: dict[str, Any]) -> None:
    found = derivation(derive)
    found.check(in_lambda=False)
    asked = found.intents(ACCOUNT, "p")
    assert (asked.derive, asked.group, asked.permission_set) == (options, "", None)


def derivation(derive: Any, **changes: Any) -> ProvisioningSettings:
    data = {key: value for key, value in ACTION.items() if key not in ("group", "permission-set")}
    return ProvisioningSettings({**data, "derive": derive, **changes}, "policy p: provision-identity-center")


@pytest.mark.parametrize(
    ("found", "told"),
    [
        pytest.param(
            derivation(False), "give either group and permission-set, or derive: true", id="neither"
        ),
        pytest.param(derivation(False, group="g"), "give either group and permission-set", id="group-alone"),
        pytest.param(derivation(True, group="g"), "names sets and groups itself: leave out group", id="both"),
        pytest.param(
            derivation({"session-duration": "1h"}), "derive: session-duration '1h' must be", id="duration"
        ),
        pytest.param(
            derivation({"accept": [{**ACCEPT, "account": 111122223333}]}),
            "12 digits in quotes",
            id="accept-number",
        ),
        pytest.param(
            derivation({"accept": [{**ACCEPT, "verdict": "equal"}]}),
            "is none of wider, undecided",
            id="accept-verdict",
        ),
        pytest.param(
            derivation({"accept": [{**ACCEPT, "expires": "soon"}]}),
            r"accept\[0\]: expires 'soon' must be a date",
            id="accept-end",
        ),
        pytest.param(
            derivation({"accept": [{**ACCEPT, "expires": "2027-W05-1"}]}),
            r"accept\[0\]: expires '2027-W05-1' must be a date",
            id="accept-end-by-week",
        ),
        pytest.param(
            derivation({"accept": [{**ACCEPT, "remark": " "}]}),
            "remark must be a string that is not empty",
            id="accept-remark",
        ),
        pytest.param(
            derivation({"accept": [{"user": "alice"}]}),
            "must have exactly the keys account, user, verdict, remark, expires",
            id="accept-half",
        ),
        pytest.param(
            derivation({"accept": [{**ACCEPT, "account": "*", "user": "*"}]}),
            r"account '\*' and user '\*' accepts every user: name each user instead",
            id="accept-all-derived",
        ),
        pytest.param(
            settings(accept=[{**ACCEPT, "user": "*", "verdict": "no-working-credentials"}]),
            r"user '\*' with verdict no-working-credentials: name each such user instead",
            id="accept-all-leavers",
        ),
        pytest.param(
            settings(accept=[{**ACCEPT, "user": "*", "verdict": "quarantined"}]),
            r"user '\*' with verdict quarantined: name each such user instead",
            id="accept-all-quarantined",
        ),
        pytest.param(
            settings(accept=[{**ACCEPT, "verdict": "narrower"}]),
            "is none of wider, undecided",
            id="accept-by-name",
        ),
        pytest.param(
            derivation(True, accept=[ACCEPT]), r"write it as derive: \{accept: \[...\]\}", id="accept-beside"
        ),
    ],
)
def test_ways_that_do_not_go_together(found: ProvisioningSettings, told: str) -> None:
    with pytest.raises(InvalidPolicyData, match=told):
        found.check(in_lambda=False)


def test_what_is_accepted_of_a_set_by_name() -> None:
    found = settings(group="g", accept=[{**ACCEPT, "account": "*", "user": "*"}])
    found.check(in_lambda=False)
    wanted = {**ACCEPT, "account": "*", "user": "*", "expires": "2027-01-31"}
    assert found.intents(ACCOUNT, "p").accept == (wanted,)


def test_intents_do_not_outlive_a_lambda() -> None:
    with pytest.raises(InvalidPolicyData, match="mode: intent writes a file"):
        settings(mode="intent").check(in_lambda=True)


@pytest.mark.parametrize(
    ("given", "refused"),
    [
        pytest.param({"name": "Iam-{account_id}"}, {"name": "Iam-[account_id]"}, id="account-id"),
        pytest.param(
            {"managed_policies": ["arn:{partition}:iam::aws:policy/ReadOnlyAccess"]},
            {"managed_policies": ["arn:partition:iam::aws:policy/ReadOnlyAccess"]},
            id="partition",
        ),
        pytest.param(
            {"tags": {"Account": "{account_id}"}}, {"tags": {"Account": "[account_id]"}}, id="in-a-tag"
        ),
    ],
)
def test_variables_are_taken_before_they_are_expanded(given: dict[str, Any], refused: dict[str, Any]) -> None:
    permission_set(**given).check(in_lambda=False)
    with pytest.raises(InvalidPolicyData):
        permission_set(**refused).check(in_lambda=False)


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
        settings(role=role, group="readers").intents(ACCOUNT, "p")


def test_a_variable_that_is_left() -> None:
    with pytest.raises(InvalidPolicyData, match=r"'Iam-\{team\}' has the undefined variable \{team\}"):
        settings(group="readers", permission_set={"name": "Iam-{team}"}).intents(ACCOUNT, "p")


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_an_inline_policy_of_a_file(directory: Path) -> None:
    (directory / "policy.json").write_text("\ufeff" + DOCUMENT, encoding="utf-8")
    found = permission_set(inline_policy_file="policy.json")
    found.check(in_lambda=False)
    asked = settings(group="g", permission_set={"name": "x", "inline-policy-file": "policy.json"})
    wanted = asked.intents(ACCOUNT, "p").permission_set
    assert wanted is not None
    assert wanted.inline_policy == (
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
    with pytest.raises(InvalidPolicyData, match="is not available in AWS Lambda: use inline-policy"):
        permission_set(inline_policy_file="policy.json").check(in_lambda=True)


def test_two_inline_policies() -> None:
    with pytest.raises(InvalidPolicyData, match="either inline-policy or inline-policy-file, not both"):
        permission_set(inline_policy={}, inline_policy_file="x").check(in_lambda=False)
