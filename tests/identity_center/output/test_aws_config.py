# SPDX-License-Identifier: Apache-2.0
"""Files for ``~/.aws/config``, read by botocore itself."""

from __future__ import annotations

import random
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from botocore.configloader import load_config
from botocore.session import Session

from c7n_iamusers.exceptions import IdentityCenterError, InvalidPolicyData
from c7n_iamusers.identity_center.fleet import TrustOptions, read_fleet
from c7n_iamusers.identity_center.output.aws_config import (
    PROFILES,
    TEMPLATE,
    Role,
    aws_config,
    check_template,
    file_of,
    verified_config,
)
from c7n_iamusers.identity_center.provisioning import provision
from c7n_iamusers.identity_center.writer.writer import ApplyOptions
from tests.access_center import ACCOUNT, INSTANCE, OTHER_ACCOUNT
from tests.desired import intents
from tests.examples import examples
from tests.identity_center.fleet_rehearsal import FleetRehearsal

PORTAL, REGION = INSTANCE.portal, INSTANCE.region
KEYS = {"sso_session", "sso_account_id", "sso_role_name"}


def read(tmp_path: Path, text: str) -> dict[str, Any]:
    """What botocore makes of the file."""
    path = tmp_path / "config"
    path.write_text(text)
    found: dict[str, Any] = load_config(str(path))
    return found


def profiles(tmp_path: Path, text: str) -> dict[str, tuple[str, str]]:
    """Profile -> account and role; nothing else may be in the file."""
    found = read(tmp_path, text)
    assert set(found) == {"profiles", "sso_sessions", "services"}
    assert found["services"] == {}
    assert found["sso_sessions"] == {
        "identity-center": {
            "sso_start_url": PORTAL,
            "sso_region": REGION,
            "sso_registration_scopes": "sso:account:access",
        }
    }
    for each in found["profiles"].values():
        assert set(each) == KEYS
        assert each["sso_session"] == "identity-center"
    assert verified_config(text, PORTAL) == text
    return {name: (each["sso_account_id"], each["sso_role_name"]) for name, each in found["profiles"].items()}


def test_a_profile_for_each_account_and_permission_set(tmp_path: Path) -> None:
    roles = [
        Role(ACCOUNT, "Readers", "payments"),
        Role(ACCOUNT, "Writers", "payments"),
        Role(OTHER_ACCOUNT, "Readers"),
        Role(ACCOUNT, "Readers", "payments"),
    ]
    assert profiles(tmp_path, aws_config(PORTAL, REGION, roles)) == {
        "payments-Readers": (ACCOUNT, "Readers"),
        "payments-Writers": (ACCOUNT, "Writers"),
        f"{OTHER_ACCOUNT}-Readers": (OTHER_ACCOUNT, "Readers"),
    }


def test_a_session_of_botocore_takes_a_profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config").write_text(aws_config(PORTAL, REGION, [Role(ACCOUNT, "Readers", "payments")]))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    session = Session(profile="payments-Readers")
    assert session.available_profiles == ["payments-Readers"]
    assert session.get_scoped_config()["sso_account_id"] == ACCOUNT
    providers = {each.METHOD: each for each in session.get_component("credential_provider").providers}
    assert set(providers["sso"]._load_sso_config()) >= {"sso_start_url", "sso_region", "sso_role_name"}
    assert providers["custom-process"].load() is None


EVIL = "x]\ncredential_process = sh -c evil\n[profile default"


@pytest.mark.parametrize(
    ("name", "profile"),
    [
        pytest.param("My account", "My-account-Readers", id="space"),
        pytest.param('a "quoted" one\'s', "a-quoted-one-s-Readers", id="quotes"),
        pytest.param("Zahlungen Köln", "Zahlungen-Koln-Readers", id="accent"),
        pytest.param("支払い", f"{ACCOUNT}-Readers", id="no-latin-letters"),
        pytest.param(EVIL, "x-credential_process-sh--c-evil-profile-default-Readers", id="newline"),
        pytest.param(
            "x\r[profile y]\rcredential_process=z", "x-profile-y-credential_process-z-Readers", id="cr"
        ),
        pytest.param("x\u2028y\x85z\x0bw", "x-y-z-w-Readers", id="line-separators"),
        pytest.param("# comment ; other", "comment-other-Readers", id="comment"),
        pytest.param("%(HOME)s $HOME ${HOME} ~", "HOME-s-HOME-HOME-Readers", id="interpolation"),
        pytest.param("", f"{ACCOUNT}-Readers", id="unknown"),
        pytest.param("x" * 300, f"{'x' * 120}", id="long"),
        pytest.param("\x00\x1b[31m", "31m-Readers", id="control"),
        pytest.param("\\", f"{ACCOUNT}-Readers", id="backslash"),
    ],
)
def test_no_name_of_an_account_adds_a_profile_or_a_key(tmp_path: Path, name: str, profile: str) -> None:
    text = aws_config(PORTAL, REGION, [Role(ACCOUNT, "Readers", name)])
    assert profiles(tmp_path, text) == {profile: (ACCOUNT, "Readers")}


def test_no_name_of_random_characters_adds_anything(tmp_path: Path) -> None:
    chance, letters = random.Random(20), "a-]=[\n\r\t \"'#;:%${}\\\u2028\u00a0é]default profile"
    for _ in range(examples(400)):
        names = ["".join(chance.choices(letters, k=chance.randint(0, 12))) for _ in range(4)]
        roles = [Role(f"{at:012d}", chance.choice("RW"), name) for at, name in enumerate(names)]
        found = profiles(
            tmp_path, aws_config(PORTAL, REGION, roles, chance.choice([TEMPLATE, "{account_name}"]))
        )
        assert sorted(found.values()) == sorted((each.account_id, each.permission_set) for each in roles)


@pytest.mark.parametrize(
    "role",
    [
        pytest.param(Role("1" * 11, "Readers"), id="account"),
        pytest.param(Role(f"{ACCOUNT}\ncredential_process = x", "Readers"), id="account-with-a-line"),
        pytest.param(Role(ACCOUNT, "Readers\ncredential_process = x"), id="set-with-a-line"),
        pytest.param(Role(ACCOUNT, ""), id="no-set"),
        pytest.param(Role("\u0661" * 12, "Readers"), id="digits-of-another-script"),
    ],
)
def test_values_of_no_known_form_are_refused(role: Role) -> None:
    with pytest.raises(IdentityCenterError, match="no URL, Region, account or permission set"):
        aws_config(PORTAL, REGION, [role])


@pytest.mark.parametrize(
    ("portal", "region"),
    [("http://x", REGION), (f"{PORTAL}\nx = y", REGION), ("", REGION), (PORTAL, "x\ny"), (PORTAL, "")],
)
def test_a_portal_or_region_of_no_known_form_is_refused(portal: str, region: str) -> None:
    with pytest.raises(IdentityCenterError):
        aws_config(portal, region, [])


def test_names_by_a_template_and_names_that_would_be_equal(tmp_path: Path) -> None:
    roles = [
        Role(ACCOUNT, "A=B,c", "prod a"),
        Role(OTHER_ACCOUNT, "A=B,c", "Prod-A"),
        Role(ACCOUNT, "default", ""),
    ]
    text = aws_config(PORTAL, REGION, roles, "{permission_set}")
    assert profiles(tmp_path, text) == {
        f"A-B-c-{ACCOUNT}": (ACCOUNT, "A=B,c"),
        f"A-B-c-{OTHER_ACCOUNT}": (OTHER_ACCOUNT, "A=B,c"),
        f"default-{ACCOUNT}": (ACCOUNT, "default"),
    }
    text = aws_config(PORTAL, REGION, roles[:2])
    assert set(profiles(tmp_path, text)) == {f"prod-a-A-B-c-{ACCOUNT}", f"Prod-A-A-B-c-{OTHER_ACCOUNT}"}
    crafted = [Role(ACCOUNT, "R", "x"), Role(OTHER_ACCOUNT, "R", "x"), Role("0" * 12, "R", f"x-R-{ACCOUNT}")]
    assert len(profiles(tmp_path, aws_config(PORTAL, REGION, crafted, "{account_name}"))) == 3


@pytest.mark.parametrize("template", ["{account}", "{", "x}", "{}", "{account_name"])
def test_a_template_with_what_is_unknown(template: str) -> None:
    with pytest.raises(InvalidPolicyData, match="is not a template of profile names"):
        check_template(template)


@pytest.mark.parametrize(
    "line",
    [
        "credential_process = sh -c evil",
        "[profile x]\ncredential_process=evil",
        " sso_region = us-east-1",
        "sso_start_url = https://evil.example/start",
        "[default]",
        "# other comment",
        "sso_session = identity-center\r",
        "web_identity_token_file = /x",
    ],
)
def test_a_changed_file_is_not_passed_on(line: str) -> None:
    text = aws_config(PORTAL, REGION, [Role(ACCOUNT, "Readers", "payments")])
    assert verified_config(text, PORTAL) == text
    with pytest.raises(IdentityCenterError, match="which no run writes"):
        verified_config(f"{text}{line}\n", PORTAL)
    with pytest.raises(IdentityCenterError, match="another access portal"):
        verified_config(text, "https://d-2.awsapps.com/start")


def test_the_name_of_a_file_is_plain_and_ones_own() -> None:
    names = {file_of("alice", "a@x.org"), file_of("alice", "b@x.org"), file_of("../../x/\n", "a@x.org")}
    assert len(names) == 3
    assert not any(set("/\n") & set(each) or each.startswith(".") for each in names)
    assert file_of("Alice", "A@x.org") == file_of("alice", "a@X.org")


def with_profiles(fleet: FleetRehearsal, tmp_path: Path) -> set[tuple[str, str]]:
    """The accounts and permission sets of Alice's file, after a run."""
    found = replace(read_fleet(fleet.store, trust=TrustOptions(trusted=True)), profile_names=TEMPLATE)
    assert provision(found, fleet.center(), fleet.said.append, ApplyOptions(30.0)) == []
    text = (fleet.output / PROFILES / file_of("alice@example.com", "alice@example.com")).read_text()
    found = read(tmp_path, text)["profiles"].values()
    return {(each["sso_account_id"], each["sso_role_name"]) for each in found}


def test_access_that_replaces_a_deleted_iam_user_stays_in_the_file(
    fleet: FleetRehearsal, tmp_path: Path
) -> None:
    fleet.leave(intents(ACCOUNT, "alice"), intents(OTHER_ACCOUNT, "alice"))
    both = {(ACCOUNT, "Readers"), (OTHER_ACCOUNT, "Readers")}
    assert with_profiles(fleet, tmp_path) == both
    fleet.leave(intents(ACCOUNT), intents(OTHER_ACCOUNT, "alice"))
    assert with_profiles(fleet, tmp_path) == both
    (file,) = (fleet.output / PROFILES).iterdir()
    file.write_text(file.read_text() + "credential_process = evil\n")
    assert with_profiles(fleet, tmp_path) == {(OTHER_ACCOUNT, "Readers")}


def test_the_file_has_what_its_person_still_holds_in_an_account(
    fleet: FleetRehearsal, tmp_path: Path
) -> None:
    fleet.leave(intents(ACCOUNT, "alice"))
    with_profiles(fleet, tmp_path)
    fleet.leave_only(intents(ACCOUNT, "alice", set_name="Writers"))
    assert with_profiles(fleet, tmp_path) == {(ACCOUNT, "Readers"), (ACCOUNT, "Writers")}


def modes(path: Path) -> tuple[int, set[int]]:
    return stat.S_IMODE(path.stat().st_mode), {stat.S_IMODE(each.stat().st_mode) for each in path.iterdir()}


def test_files_are_private_to_whoever_runs(fleet: FleetRehearsal) -> None:
    fleet.leave(intents(ACCOUNT, "alice", "bob"), intents(OTHER_ACCOUNT, "alice"))
    found = replace(
        read_fleet(fleet.store, trust=TrustOptions(trusted=True)),
        accounts={ACCOUNT: "payments prod"},
        profile_names=TEMPLATE,
    )
    assert provision(found, fleet.center(), fleet.said.append, ApplyOptions(30.0)) == []
    directory = fleet.output / PROFILES
    assert modes(directory) == (0o700, {0o600})
    text = (directory / file_of("alice@example.com", "alice@example.com")).read_text()
    portal, region = fleet.center().instance.portal, fleet.center().instance.region
    assert text == aws_config(
        portal, region, [Role(ACCOUNT, "Readers", "payments prod"), Role(OTHER_ACCOUNT, "Readers")]
    )
    assert fleet.said[-1] == f"Profiles for ~/.aws/config: 2 files in {directory}"
