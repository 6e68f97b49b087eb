# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import pytest

from c7n_iamusers.evidence.index import ACCOUNT, USER, VIRTUAL_MFA
from c7n_iamusers.evidence.model import Credential, Evidence, LastUse, Source
from c7n_iamusers.evidence.selection import FilterOptions, parse_options
from c7n_iamusers.exceptions import EvidenceUnreadable
from c7n_iamusers.iam.attachments import CREDENTIAL_REPORT, SERVICE_CREDENTIALS, SSH_PUBLIC_KEY
from c7n_iamusers.iam.user import IamUser
from c7n_iamusers.iam.users import KeyUse
from c7n_iamusers.safeguards.live_recheck import LiveRecheck, live_evidence, no_recheck
from tests.evidence_records import CREDENTIAL_KINDS, NOW, days_ago, key, password, used
from tests.records import ACCOUNT as ACCOUNT_ID
from tests.records import text_of, user

pytestmark = pytest.mark.pure

MADE = days_ago(30)
EARLIER = Source("credential report", days_ago(1))
LISTED = Evidence(
    {"login-profile": (password(used(1)),), "access-key": (key(used(1)), key(used(2), number=2))},
    mfa=True,
    virtual_mfa=("stale",),
    orphaned_mfa=("orphan",),
    trusted_by=("arn:aws:iam::111122223333:role/r",),
    creator="arn:aws:iam::111122223333:user/boss",
    sources={ACCOUNT: EARLIER, CREDENTIAL_REPORT: EARLIER, VIRTUAL_MFA: EARLIER},
)


def live(alice: IamUser, *keys: KeyUse) -> Evidence:
    return live_evidence(LISTED, alice, keys, NOW)


def signed_in(at: datetime | str | None, **attachments: Any) -> IamUser:
    alice = user(**attachments)
    return IamUser({**alice.detail, **({"PasswordLastUsed": at} if at else {})}, alice.attachments)


@pytest.mark.parametrize(
    ("alice", "keys", "kind", "expected"),
    [
        pytest.param(
            user(access_key=({"AccessKeyId": "AKIA1", "Status": "Active", "CreateDate": MADE},)),
            [KeyUse("AKIA1", days_ago(3), "s3", "us-east-1")],
            "access-key",
            (Credential("access-key", "access key AKIA1", True, MADE, used(3)),),
            id="key-used",
        ),
        pytest.param(
            user(access_key=({"AccessKeyId": "AKIA1", "Status": "Inactive", "CreateDate": MADE},)),
            [KeyUse("AKIA1", None, "N/A", "N/A")],
            "access-key",
            (Credential("access-key", "access key AKIA1", False, MADE, LastUse(None, "N/A", "N/A")),),
            id="key-never-used",
        ),
        pytest.param(
            user(access_key=({"AccessKeyId": "AKIA1", "Status": "Active", "CreateDate": MADE},)),
            [KeyUse("AKIA2", days_ago(3))],
            "access-key",
            (Credential("access-key", "access key AKIA1", True, MADE, None),),
            id="key-whose-use-is-unknown",
        ),
        pytest.param(user(), [], "access-key", (), id="keys-that-are-gone"),
        pytest.param(
            signed_in(days_ago(2), login_profile=({"UserName": "alice", "CreateDate": MADE},)),
            [],
            "login-profile",
            (Credential("login-profile", "console password", True, MADE, LastUse(days_ago(2))),),
            id="password-used",
        ),
        pytest.param(
            signed_in(None, login_profile=({"UserName": "alice", "CreateDate": MADE},)),
            [],
            "login-profile",
            (Credential("login-profile", "console password", True, MADE, LastUse(None)),),
            id="password-never-used",
        ),
        pytest.param(signed_in(days_ago(2)), [], "login-profile", (), id="password-that-is-gone"),
        pytest.param(
            user(signing_certificate=({"CertificateId": "C1", "Status": "Active", "UploadDate": MADE},)),
            [],
            "signing-certificate",
            (Credential("signing-certificate", "signing certificate C1", True, MADE, None),),
            id="certificate",
        ),
        pytest.param(
            user(ssh_public_key=({"SSHPublicKeyId": "A1", "Status": "Inactive", "UploadDate": MADE},)),
            [],
            "ssh-public-key",
            (Credential("ssh-public-key", "SSH public key A1", False, MADE, None),),
            id="ssh-key",
        ),
        pytest.param(
            user(
                service_specific_credential=(
                    {
                        "ServiceSpecificCredentialId": "S1",
                        "Status": "Active",
                        "CreateDate": MADE,
                        "ServiceName": "codecommit.amazonaws.com",
                    },
                )
            ),
            [],
            "service-specific-credential",
            (
                Credential(
                    "service-specific-credential",
                    "service-specific credential S1",
                    True,
                    MADE,
                    None,
                    "codecommit.amazonaws.com",
                ),
            ),
            id="service-credential",
        ),
    ],
)
def test_credentials_are_those_of_now(
    alice: IamUser, keys: list[KeyUse], kind: str, expected: tuple[Credential, ...]
) -> None:
    assert live(alice, *keys).credentials[kind] == expected


def test_every_kind_counts_as_read() -> None:
    assert set(live(user()).credentials) == set(CREDENTIAL_KINDS)


VIRTUAL, HARDWARE = f"arn:aws:iam::{ACCOUNT_ID}:mfa/alice", "GAHT12345678"


@pytest.mark.parametrize(
    ("serials", "mfa", "virtual"),
    [
        pytest.param([], False, (), id="none"),
        pytest.param([VIRTUAL], True, (VIRTUAL,), id="virtual"),
        pytest.param([HARDWARE], True, (), id="hardware"),
        pytest.param([f"arn:aws:iam::{ACCOUNT_ID}:u2f/user/alice/k"], True, (), id="security-key"),
    ],
)
def test_devices_are_those_of_now(serials: list[str], mfa: bool, virtual: tuple[str, ...]) -> None:
    found = live(user(mfa_device=tuple({"SerialNumber": serial} for serial in serials)))
    assert (found.mfa, found.virtual_mfa) == (mfa, virtual)


def test_account_data_is_unchanged() -> None:
    found = live(user())
    assert (found.orphaned_mfa, found.trusted_by, found.creator) == (
        LISTED.orphaned_mfa,
        LISTED.trusted_by,
        LISTED.creator,
    )
    assert (found.time_of(ACCOUNT), found.time_of(VIRTUAL_MFA)) == (EARLIER.time, EARLIER.time)
    pieces = (USER, CREDENTIAL_REPORT, SERVICE_CREDENTIALS, SSH_PUBLIC_KEY.piece)
    assert [found.time_of(piece) for piece in pieces] == [NOW] * 4


EVERYBODY = parse_options({}, "a filter")
MACHINES = parse_options({"kinds": ["machine"]}, "a filter")


def index(found: Evidence | Exception) -> Any:
    def of(asked: IamUser, source: Source) -> Evidence:
        assert (asked.name, source.name) == ("alice", "GetUser")
        if isinstance(found, Exception):
            raise found
        return found

    return SimpleNamespace(of=of)


WITH_PASSWORD = user(login_profile=({"UserName": "alice", "CreateDate": MADE},))
UNREADABLE = EvidenceUnreadable("the report is missing")


@pytest.mark.parametrize(
    ("evidence", "options", "told"),
    [
        pytest.param(LISTED, [EVERYBODY], None, id="selected"),
        pytest.param(LISTED, [], None, id="no-filter"),
        pytest.param(LISTED, [MACHINES], r"no longer selects it \(kind human", id="another-kind"),
        pytest.param(LISTED, [EVERYBODY, MACHINES], "no longer selects it", id="one-filter-of-two"),
        pytest.param(
            UNREADABLE, [EVERYBODY], "its kind can't be determined on live data: the", id="unreadable"
        ),
        pytest.param(
            UNREADABLE, [MACHINES], "its kind can't be determined on live data", id="unreadable-kind"
        ),
    ],
)
def test_a_filter_is_asked_again_on_live_data(
    evidence: Evidence | Exception, options: list[FilterOptions], told: str | None
) -> None:
    recheck = LiveRecheck(index(evidence), options)
    found = recheck.problem(WITH_PASSWORD, [])
    assert recheck.needed
    assert found is None if told is None else re.search(told, text_of(found)), found


def test_without_criteria_nothing_is_asked_again() -> None:
    recheck = LiveRecheck(None, [MACHINES])
    assert (recheck.needed, recheck.problem(WITH_PASSWORD, [])) == (False, None)
    assert no_recheck(WITH_PASSWORD, []) is None
