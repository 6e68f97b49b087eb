# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, NoCredentialsError
from c7n.credentials import SessionFactory

from aws_local_org import LocalOrg
from c7n_iamusers.execution import sessions
from c7n_iamusers.execution.callers import Callers, callers
from c7n_iamusers.execution.sessions import fleet_session

REGION = "us-east-1"
ROLE = "CloudCustodian"


@pytest.fixture
def account(org: LocalOrg) -> str:
    """The one whose role its own users may assume."""
    return org.settings.management_account


@pytest.fixture
def runner(org: LocalOrg, account: str) -> dict[str, str]:
    """The keys of an IAM user."""
    iam = org.client("iam", account)
    iam.create_user(UserName="runner", Path="/ci/")
    key = iam.create_access_key(UserName="runner")["AccessKey"]
    return {
        "aws_access_key_id": key["AccessKeyId"],
        "aws_secret_access_key": key["SecretAccessKey"],
        "aws_session_token": org.token,
    }


@pytest.fixture(autouse=True)
def _fast_metadata(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_METADATA_SERVICE_NUM_ATTEMPTS", "1")


def configured(
    path: Path, patch: pytest.MonkeyPatch, profiles: dict[str, dict[str, str]], credentials: str = ""
) -> None:
    """AWS's configuration files; nothing in the environment precedes them."""
    lines = [
        f"[profile {name}]\n" + "".join(f"{k} = {v}\n" for k, v in each.items())
        for name, each in profiles.items()
    ]
    (path / "config").write_text("\n".join(lines))
    (path / "credentials").write_text(credentials)
    patch.setenv("AWS_CONFIG_FILE", str(path / "config"))
    patch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(path / "credentials"))


def asked(profile: str | None, assume: str | None = None) -> Callers:
    """As c7n makes its sessions."""
    factory = SessionFactory(REGION, profile, assume)
    return callers(factory, factory(), REGION)


def session_arn(account: str, role: str = ROLE) -> str:
    return f"arn:aws:sts::{account}:assumed-role/{role}/"


def user_arn(account: str) -> str:
    return f"arn:aws:iam::{account}:user/ci/runner"


SOURCE, SELF, CHAIN, MFA, BOTH, PROCESS = "source self chain mfa both process".split()


def shapes(account: str, keys: dict[str, str], path: Path) -> dict[str, dict[str, dict[str, str]]]:
    """Id -> the profiles by which ``fleet`` comes to the role; the user ``runner`` begins each."""
    role = {"role_arn": f"arn:aws:iam::{account}:role/{ROLE}"}
    script = path / "process"
    given = {
        "Version": 1,
        "AccessKeyId": keys["aws_access_key_id"],
        "SecretAccessKey": "x",
        "SessionToken": keys["aws_session_token"],
    }
    script.write_text(f"#!/bin/sh\necho '{json.dumps(given)}'\n")
    script.chmod(0o700)
    return {
        SOURCE: {"fleet": {**role, "source_profile": "base"}, "base": keys},
        SELF: {"fleet": {**role, **keys, "source_profile": "fleet"}},
        CHAIN: {
            "fleet": {**role, "source_profile": "middle"},
            "middle": {**role, "source_profile": "base"},
            "base": keys,
        },
        BOTH: {
            "fleet": {**role, "source_profile": "base"},
            "base": {**role, **keys, "source_profile": "base"},
        },
        PROCESS: {"fleet": {**role, "source_profile": "base"}, "base": {"credential_process": str(script)}},
    }


@pytest.mark.parametrize("assumes", [False, True], ids=["profile", "profile-and-role"])
@pytest.mark.parametrize("shape", [SOURCE, SELF, CHAIN, BOTH, PROCESS])
def test_the_user_at_the_start_of_a_role_chain_is_found(
    account: str,
    runner: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    shape: str,
    assumes: bool,
) -> None:
    configured(tmp_path, monkeypatch, shapes(account, runner, tmp_path)[shape])
    found = asked("fleet", f"arn:aws:iam::{account}:role/{ROLE}" if assumes else None)
    assert found.arns[-1] == user_arn(account)
    assert all(arn.startswith(session_arn(account)) for arn in found.arns[:-1])
    assert len(found.arns) == (3 if assumes else 2)
    assert found.unknown == ()


def test_a_source_in_the_credentials_file_is_found(
    account: str, runner: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    role = {"role_arn": f"arn:aws:iam::{account}:role/{ROLE}", "source_profile": "base"}
    lines = "".join(f"{key} = {value}\n" for key, value in runner.items())
    configured(tmp_path, monkeypatch, {"fleet": role}, f"[base]\n{lines}")
    assert asked("fleet").arns[1:] == (user_arn(account),)


@pytest.mark.parametrize("profile", ["fleet", None], ids=["named", "by-the-environment"])
def test_a_credential_source_in_the_environment_is_found(
    account: str, runner: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, profile: str | None
) -> None:
    role = {"role_arn": f"arn:aws:iam::{account}:role/{ROLE}", "credential_source": "Environment"}
    configured(tmp_path, monkeypatch, {"fleet": role})
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", runner["aws_access_key_id"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", runner["aws_secret_access_key"])
    if profile is None:
        # In the environment, keys precede the profile: the user itself acts.
        monkeypatch.setenv("AWS_PROFILE", "fleet")
        assert asked(None) == Callers((user_arn(account),))
    else:
        assert asked(profile).arns[1:] == (user_arn(account),)
        assert asked(profile).unknown == ()


def test_keys_that_assume_the_role_are_found(
    account: str, runner: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configured(tmp_path, monkeypatch, {"base": runner})
    found = asked("base", f"arn:aws:iam::{account}:role/{ROLE}")
    assert (found.arns[1:], found.unknown) == ((user_arn(account),), ())


def test_who_obtained_a_session_in_the_environment_is_not_known(account: str) -> None:
    operator = f"{session_arn(account, 'LocalOrgOperator')}operator"
    assert asked(None) == Callers(
        (operator,), (f"who obtained the session {operator}: credentials of method 'env' don't say",)
    )


def test_nobody_is_behind_the_role_of_a_function(org: LocalOrg, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "custodian-iam-users")
    assert asked(None).unknown == ()


class SessionOf:
    """A session of which ``method`` tells how its credentials came."""

    def __init__(self, arn: str, method: str, profile: str = "fleet") -> None:
        self._arn, self.method, self.profile_name = arn, method, profile

    def get_credentials(self) -> Any:
        return self

    def client(self, service: str, region: str) -> Any:
        return self

    def get_caller_identity(self) -> dict[str, str]:
        return {"Arn": self._arn}


@pytest.mark.parametrize(
    ("arn", "method", "unknown"),
    [
        pytest.param("arn:aws:iam::111122223333:user/a", "env", False, id="user"),
        pytest.param("arn:aws:sts::111122223333:assumed-role/r/i-1", "iam-role", False, id="instance"),
        pytest.param("arn:aws:sts::111122223333:assumed-role/r/1", "container-role", False, id="task"),
        pytest.param(
            "arn:aws:sts::111122223333:assumed-role/r/1", "assume-role-with-web-identity", False, id="oidc"
        ),
        pytest.param(
            "arn:aws:sts::111122223333:assumed-role/AWSReservedSSO_Admin_1/jo", "env", False, id="center"
        ),
        pytest.param(
            "arn:aws:sts::111122223333:assumed-role/r/1", "shared-credentials-file", True, id="role"
        ),
        pytest.param("arn:aws:sts::111122223333:assumed-role/r/1", "custom-process", True, id="process"),
        pytest.param("arn:aws:sts::111122223333:federated-user/a", "env", True, id="federated"),
    ],
)
def test_who_may_be_behind_a_session(arn: str, method: str, unknown: bool) -> None:
    found = callers(None, SessionOf(arn, method), REGION)
    assert found.arns == (arn,)
    assert [arn in each for each in found.unknown] == ([True] if unknown else [])


ASSUMED = {"role_arn": "arn:aws:iam::111122223333:role/r"}
WEB = {"role_arn": "arn:aws:iam::111122223333:role/w", "web_identity_token_file": "/token"}


@pytest.mark.parametrize(
    ("profiles", "unknown"),
    [
        pytest.param(
            {"fleet": {**ASSUMED, "source_profile": "gone"}}, "source_profile gone leads", id="gone"
        ),
        pytest.param(
            {"fleet": {**ASSUMED, "source_profile": "b"}, "b": {**ASSUMED, "source_profile": "fleet"}},
            "source_profile fleet leads nowhere",
            id="loop",
        ),
        pytest.param({"fleet": ASSUMED}, "credential_source None is not known", id="no-source"),
        pytest.param({}, "credential_source None is not known", id="no-profile"),
        pytest.param(
            {"fleet": {**ASSUMED, "credential_source": "Ec2InstanceMetadata"}},
            "credentials",
            id="no-metadata",
        ),
        pytest.param(
            {"fleet": {**ASSUMED, "credential_source": "EcsContainer"}}, "credentials", id="no-task"
        ),
        pytest.param(
            {"fleet": {**ASSUMED, "source_profile": "b"}, "b": {"aws_access_key_id": "AKIA1"}},
            "InvalidClientTokenId",
            id="half-a-key",
        ),
        pytest.param(
            {
                "fleet": {**ASSUMED, "source_profile": "b"},
                "b": {"aws_access_key_id": "AKIAUNKNOWN", "aws_secret_access_key": "x"},
            },
            "InvalidClientTokenId",
            id="dead-key",
        ),
        pytest.param(
            {"fleet": {**ASSUMED, "source_profile": "b"}, "b": {"credential_process": "/no/such/program"}},
            "No such file",
            id="no-process",
        ),
        pytest.param(
            {"fleet": {**ASSUMED, "source_profile": "b"}, "b": {"credential_process": "echo"}},
            "Expecting value",
            id="mute-process",
        ),
        pytest.param({"fleet": {**ASSUMED, "source_profile": "b"}, "b": WEB}, None, id="web-identity"),
    ],
)
def test_an_unknown_source_is_reported_without_an_error(
    org: LocalOrg,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    profiles: dict[str, dict[str, str]],
    unknown: str | None,
) -> None:
    configured(tmp_path, monkeypatch, profiles)
    acting = "arn:aws:sts::111122223333:assumed-role/r/1"
    found = callers(None, SessionOf(acting, "assume-role"), REGION)
    assert found.arns == (acting,)
    assert [text.startswith("who assumes the role of profile fleet") for text in found.unknown] == (
        [True] if unknown else []
    )
    assert (unknown or "") in "".join(found.unknown)


def test_roles_between_are_not_assumed_again(
    org: LocalOrg, account: str, runner: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are no users, and a device's code would be asked for on the terminal."""
    middle = {**ASSUMED, "source_profile": "base", "mfa_serial": f"arn:aws:iam::{account}:mfa/x"}
    configured(
        tmp_path,
        monkeypatch,
        {"fleet": {**ASSUMED, "source_profile": "middle"}, "middle": middle, "base": runner},
    )
    org.clear_calls()
    found = callers(None, SessionOf("arn:aws:sts::111122223333:assumed-role/r/1", "assume-role"), REGION)
    assert found.arns[1:] == (user_arn(account),)
    assert [call.operation for call in org.calls] == ["GetCallerIdentity"]


def test_the_acting_principal_must_be_known(org: LocalOrg) -> None:
    with pytest.raises(ClientError):
        callers(None, boto3.Session("AKIAUNKNOWN", "x"), REGION)


@pytest.mark.parametrize("external_id", ["", "of-the-fleet"])
def test_a_fleet_session_has_the_environments_credentials_or_those_of_a_role(
    tmp_path: Path,
    account: str,
    runner: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    external_id: str,
) -> None:
    configured(tmp_path, monkeypatch, {})
    for name, value in runner.items():
        monkeypatch.setenv(name.upper(), value)
    role = f"arn:aws:iam::{account}:role/{ROLE}"
    own = fleet_session(None, REGION, external_id)
    assert own.client("sts").get_caller_identity()["Arn"] == user_arn(account)
    assumed = fleet_session(role, REGION, external_id)
    assert assumed.client("sts").get_caller_identity()["Arn"].startswith(session_arn(account))
    assert own.region_name == assumed.region_name == REGION
    for name in runner:
        monkeypatch.delenv(name.upper())
    with pytest.raises(NoCredentialsError):
        fleet_session(role, REGION)


@pytest.mark.parametrize(
    ("role", "configured", "given", "region"),
    [
        pytest.param("", "", "", "us-east-1", id="nothing-says-which"),
        pytest.param("arn:aws:iam::111122223333:role/R", "", "", "us-east-1", id="aws"),
        pytest.param("arn:aws-us-gov:iam::111122223333:role/R", "", "", "us-gov-west-1", id="government"),
        pytest.param("arn:aws-cn:iam::111122223333:role/R", "", "", "cn-northwest-1", id="china"),
        pytest.param("arn:unknown:iam::111122223333:role/R", "", "", "us-east-1", id="unknown-partition"),
        pytest.param("arn:aws-cn:iam::111122223333:role/R", "", "cn-north-1", "cn-north-1", id="given"),
        pytest.param("", "eu-west-1", "eu-west-2", "eu-west-1", id="configured"),
    ],
)
def test_a_session_has_a_region(
    monkeypatch: pytest.MonkeyPatch, role: str, configured: str, given: str, region: str
) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    if configured:
        monkeypatch.setenv("AWS_DEFAULT_REGION", configured)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    keys = {"AccessKeyId": "a", "SecretAccessKey": "b", "SessionToken": "c"}
    monkeypatch.setattr(sessions, "answered", lambda *_, **__: {"Credentials": keys})
    assert sessions.account_session(role or None, region=given).region_name == region
