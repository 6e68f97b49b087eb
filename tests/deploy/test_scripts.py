# SPDX-License-Identifier: Apache-2.0
"""deploy/as and deploy/roles, by themselves: the guides' tests do what they do in their own process."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.deploy.template import ROOT

#: Stands for the AWS CLI: who the caller is, and the session of the role that is asked for.
AWS = """#!/bin/sh
case "$*" in
  *get-caller-identity*) echo arn:aws-cn:sts::123456789012:assumed-role/MACHINE/i-1 ;;
  *"--role-arn arn:aws-cn:iam::123456789012:role/OnCall "*) printf 'ASIA1\\tse/cret\\tto+ken==\\n' ;;
  *) echo "AccessDenied" >&2; exit 254 ;;
esac
"""


def run(directory: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """In ``directory``, which has the stubs of what the scripts call."""
    path = f"{directory}{os.pathsep}{os.environ['PATH']}"
    given = {**os.environ, "PATH": path, "AWS_PROFILE": "machine"}
    return subprocess.run(words, cwd=directory, env=given, capture_output=True, text=True)


def stub(directory: Path, name: str, text: str) -> None:
    (directory / name).write_text(text)
    (directory / name).chmod(0o755)


@pytest.mark.parametrize(
    ("role", "code", "printed"),
    [
        pytest.param("OnCall", 0, "ASIA1 se/cret to+ken== unset a b\n", id="its-session-and-no-profile"),
        pytest.param("Other", 1, "", id="a-role-that-it-may-not-be"),
    ],
)
def test_a_command_runs_as_a_role_or_not_at_all(tmp_path: Path, role: str, code: int, printed: str) -> None:
    stub(tmp_path, "aws", AWS)
    shown = 'echo "$AWS_ACCESS_KEY_ID $AWS_SECRET_ACCESS_KEY $AWS_SESSION_TOKEN ${AWS_PROFILE-unset} $1"'
    done = run(tmp_path, str(ROOT / "deploy" / "as"), role, "sh", "-c", shown, "sh", "a b")
    assert (done.returncode, done.stdout) == (code, printed)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "deploy", tmp_path / "deploy")
    (tmp_path / "accounts.yml").write_bytes((ROOT / "accounts.yml").read_bytes())
    return tmp_path


@pytest.mark.parametrize("form", ["{}", '"{}"', "'{}'", "!!str {}", "{}  # it provisions", "&one {}"])
def test_roles_that_daily_runs_and_provisioning_would_share_are_refused(checkout: Path, form: str) -> None:
    """The shipped accounts file is the local organization's."""
    stub(checkout, "c7n-iamusers", "#!/bin/sh\n")
    role, accounts = "arn:aws:iam::123456789012:role/IdentityCenterProvisioner", checkout / "accounts.yml"
    accounts.write_text(accounts.read_text().replace(f" {role}\n", f" {form.format(role)}\n"))
    done = run(checkout, "deploy/roles")
    assert (done.returncode, done.stdout) == (1, "")
    assert "identity_center_role is PROVISIONER" in done.stderr
    assert not (checkout / "roles").exists()


def printed(checkout: Path, program: str, **settings: str) -> tuple[int, dict[str, str]]:
    """The exit code, and the files with what ``program``, in place of c7n-iamusers, wrote; with another reader."""
    accounts = (checkout / "accounts.yml").read_text()
    (checkout / "accounts.yml").write_text(accounts.replace("role/IdentityCenterProvisioner", "role/Reader"))
    with (checkout / "deploy" / "roles.env").open("a") as file:
        file.writelines(f"{name}='{value}'\n" for name, value in settings.items())
    stub(checkout, "c7n-iamusers", f"#!/bin/sh\n{program}\n")
    code = run(checkout, "deploy/roles").returncode
    return code, {path.stem: path.read_text() for path in (checkout / "roles").iterdir()}


DAILY = {
    *("reader", "remover", "restorer", "identity-center-reader", "identity-center"),
    *("runner", "on-call", "mailer"),
}
REAL_TIME = {"function", "deployer", "bucket-policy", "queue-policy"}


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        pytest.param({}, DAILY, id="daily"),
        pytest.param({"PROVISIONER": ""}, DAILY - {"identity-center"}, id="nobody-is-provisioned"),
        pytest.param({"REALTIME": "a.yml b.yml"}, DAILY | REAL_TIME, id="in-real-time"),
        pytest.param(
            {"REALTIME": "a.yml", "REALTIME_QUARANTINE": "c.yml"},
            DAILY | REAL_TIME | {"function-quarantine"},
            id="with-the-one-that-denies",
        ),
    ],
)
def test_each_role_of_what_is_used_is_printed(
    checkout: Path, settings: dict[str, str], expected: set[str]
) -> None:
    code, files = printed(checkout, 'echo "$@"', **settings)
    assert (code, {*files}) == (0, expected)
    assert all(
        "--setup -c accounts.yml --org-id o-exampleorgid --runner arn:" in each for each in files.values()
    )


def test_each_role_trusts_those_alone_that_act_as_it(checkout: Path) -> None:
    runners = {"RUNNER": "R", "ON_CALL": "O", "SHARD": "S", "WRITER": "W", "REMOVING_SHARD": "D"}
    _, files = printed(checkout, 'echo "$@"', **runners)
    trusted = {name: "".join(re.findall(r"--runner (\S+)", text)) for name, text in files.items()}
    assert trusted == {
        "reader": "ROSW",
        "remover": "RD",
        "restorer": "O",
        "identity-center-reader": "ROSD",
        "identity-center": "W",
        "runner": "R",
        "on-call": "O",
        "mailer": "R",
    }


def test_a_role_that_is_not_printed_ends_it(checkout: Path) -> None:
    code, files = printed(checkout, 'case "$*" in *member-restorer*) exit 2 ;; esac')
    assert (code, {*files}) == (2, {"reader", "remover", "restorer"})
