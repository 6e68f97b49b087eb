# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace

import pytest

from c7n_iamusers.evidence.credential_report import credentials_of, is_row_of, parse_report
from c7n_iamusers.evidence.model import LastUse
from c7n_iamusers.text.times import moment
from tests.evidence_records import NEVER
from tests.records import user

pytestmark = pytest.mark.pure

HEADER = (
    "user,arn,user_creation_time,password_enabled,password_last_used,password_last_changed,password_next_rotation,"
    "mfa_active,access_key_1_active,access_key_1_last_rotated,access_key_1_last_used_date,"
    "access_key_1_last_used_region,access_key_1_last_used_service,access_key_2_active,access_key_2_last_rotated,"
    "access_key_2_last_used_date,access_key_2_last_used_region,access_key_2_last_used_service,cert_1_active,"
    "cert_1_last_rotated,cert_2_active,cert_2_last_rotated"
).split(",")
NOTHING = {
    "user": "alice",
    "user_creation_time": "2020-01-01T00:00:00+00:00",
    "password_enabled": "false",
    "mfa_active": "false",
    **{f"access_key_{n}_active": "false" for n in "12"},
    **{f"cert_{n}_active": "false" for n in "12"},
}
MADE, USED = "2026-01-01T00:00:00+00:00", "2026-02-02T00:00:00+00:00"


def row(*without: str, **cells: str) -> dict[str, str]:
    """A row of a user that has nothing, but for ``cells``, by way of the CSV."""
    columns = [column for column in (*HEADER, *(set(cells) - set(HEADER))) if column not in without]
    line = ",".join({**NOTHING, **cells}.get(column, "N/A") for column in columns)
    found = parse_report(f"{','.join(columns)}\n{line}", None).row("alice")
    assert found is not None
    return dict(found)


def test_a_user_with_nothing_has_known_nothing() -> None:
    assert credentials_of(row()) == {"login-profile": (), "access-key": (), "signing-certificate": ()}


@pytest.mark.parametrize(
    ("last_used", "use"),
    [
        pytest.param(USED, LastUse(moment(USED)), id="used"),
        pytest.param("no_information", NEVER, id="never"),
        pytest.param("N/A", NEVER, id="n-a"),
        pytest.param("not_supported", None, id="not-supported"),
        pytest.param("", None, id="empty"),
    ],
)
@pytest.mark.parametrize("enabled", ["true", "TRUE"])
def test_a_password(last_used: str, use: LastUse | None, enabled: str) -> None:
    cells = {"password_enabled": enabled, "password_last_used": last_used, "password_last_changed": MADE}
    (found,) = credentials_of(row(**cells))["login-profile"]
    assert (found.active, found.created, found.last_use) == (True, moment(MADE), use)


@pytest.mark.parametrize(
    ("cells", "states"),
    [
        pytest.param({"access_key_1_active": "true", "access_key_1_last_rotated": MADE}, [True], id="one"),
        pytest.param({"access_key_1_last_rotated": MADE}, [False], id="one-inactive"),
        pytest.param(
            {"access_key_2_active": "TRUE", "access_key_2_last_rotated": MADE}, [True], id="second-only"
        ),
        pytest.param(
            {
                "access_key_1_active": "true",
                "access_key_1_last_rotated": MADE,
                "access_key_2_active": "false",
                "access_key_2_last_rotated": MADE,
            },
            [True, False],
            id="two",
        ),
        pytest.param({"access_key_1_active": "true"}, [True], id="of-unknown-age"),
    ],
)
def test_keys(cells: dict[str, str], states: list[bool]) -> None:
    found = credentials_of(row(**cells))["access-key"]
    assert [key.active for key in found] == states
    assert all(key.last_use == NEVER for key in found)


def test_a_keys_last_use_has_service_and_region() -> None:
    cells = {
        "access_key_1_active": "true",
        "access_key_1_last_rotated": MADE,
        "access_key_1_last_used_date": USED,
        "access_key_1_last_used_region": "eu-west-1",
        "access_key_1_last_used_service": "s3",
    }
    (found,) = credentials_of(row(**cells))["access-key"]
    assert found.last_use == LastUse(moment(USED), "s3", "eu-west-1")


def test_certificates_exist_without_a_known_use() -> None:
    (found,) = credentials_of(row(cert_2_active="true", cert_2_last_rotated=MADE))["signing-certificate"]
    assert (found.active, found.last_use) == (True, None)


@pytest.mark.parametrize(
    ("without", "unknown"),
    [
        pytest.param("password_enabled", {"login-profile"}, id="password"),
        pytest.param("access_key_2_active", {"access-key"}, id="second-key"),
        pytest.param("access_key_1_last_rotated", {"access-key"}, id="rotation-of-an-inactive-key"),
        pytest.param("cert_1_active", {"signing-certificate"}, id="certificate"),
        pytest.param("mfa_active", set(), id="other-column"),
    ],
)
def test_a_missing_column_leaves_its_kind_unknown(without: str, unknown: set[str]) -> None:
    every = {"login-profile", "access-key", "signing-certificate"}
    assert every - credentials_of(row(without)).keys() == unknown


def test_a_short_row_leaves_what_it_lacks_unknown() -> None:
    text = f"{','.join(HEADER)}\nalice,arn,2020-01-01T00:00:00+00:00,false,N/A,N/A,N/A,false"
    found = parse_report(text, None).row("alice")
    assert found is not None
    assert credentials_of(found) == {"login-profile": ()}


@pytest.mark.parametrize(
    ("text", "unknown"),
    [
        pytest.param("N/A", set(), id="n-a"),
        pytest.param("", set(), id="empty"),
        pytest.param("1 access key: ListAccessKeys", {"access-key"}, id="keys"),
        pytest.param("2 certificates: ListSigningCertificates", {"signing-certificate"}, id="certificates"),
        pytest.param("3 more", {"access-key", "signing-certificate"}, id="whichever"),
    ],
)
def test_more_than_two_are_not_taken_for_two(text: str, unknown: set[str]) -> None:
    found = credentials_of(row(additional_credentials_info=text))
    assert {"login-profile", "access-key", "signing-certificate"} - found.keys() == unknown


@pytest.mark.parametrize(
    ("created", "same"),
    [
        pytest.param("2020-01-01T00:00:00Z", True, id="same"),
        pytest.param("2020-01-01T00:00:00.9Z", True, id="within-the-second"),
        pytest.param("2020-01-01T00:01:00Z", False, id="recreated"),
        pytest.param(None, True, id="unknown"),
    ],
)
def test_the_row_of_an_earlier_user_of_the_name_is_not_the_users(created: str | None, same: bool) -> None:
    alice = user()
    alice = replace(alice, detail={**alice.detail, "CreateDate": created})
    assert is_row_of(alice, row()) is same
