# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.identity_center.fleet import TrustOptions, read_fleet
from c7n_iamusers.identity_center.requests.intent_files import MAX_AGE, read_intents, write_intents
from c7n_iamusers.text.documents import LARGEST
from tests.access_center import ACCOUNT, OTHER_ACCOUNT
from tests.desired import intents

pytestmark = pytest.mark.pure


def test_all_of_them_are_found_with_their_places(tmp_path: Path) -> None:
    write_intents(tmp_path / "payments" / "us-east-1" / "provision-Readers", intents(ACCOUNT, "alice"))
    write_intents(tmp_path / "research" / "us-east-1" / "provision-Readers", intents(OTHER_ACCOUNT, "bob"))
    found = read_intents(tmp_path)
    assert [each.place for each in found] == [
        "payments/us-east-1/provision-Readers",
        "research/us-east-1/provision-Readers",
    ]


def test_none_at_all(tmp_path: Path) -> None:
    with pytest.raises(IdentityCenterError, match=r"no identity-center-intents\.json below .* mode: intent"):
        read_intents(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("{", id="broken"),
        pytest.param("[]", id="list"),
        pytest.param('{"schema": 1}', id="earlier-version"),
        pytest.param('{"schema": 2}', id="bare"),
        pytest.param("[" * 100_000, id="deep"),
        pytest.param("null", id="null"),
        pytest.param("NaN", id="nan"),
    ],
)
def test_one_that_can_not_be_read_is_no_smaller_fleet(tmp_path: Path, text: str) -> None:
    write_intents(tmp_path / "provision-Readers", intents(ACCOUNT, "alice"))
    bad = tmp_path / "bad" / "identity-center-intents.json"
    bad.parent.mkdir()
    bad.write_text(text)
    with pytest.raises(IdentityCenterError, match=f"{bad}: can't be read as intents"):
        read_intents(tmp_path)


def test_one_that_is_no_text_and_one_that_is_no_file(tmp_path: Path) -> None:
    bad = tmp_path / "p" / "identity-center-intents.json"
    bad.parent.mkdir()
    bad.write_bytes(b"\xff\xf0")
    with pytest.raises(IdentityCenterError, match="can't be read as intents: line 1: is not UTF-8"):
        read_intents(tmp_path)
    bad.unlink()
    bad.mkdir()
    with pytest.raises(
        IdentityCenterError, match=r"intents can't be read.* is a directory, not a file of a run"
    ):
        read_intents(tmp_path)


def test_an_identity_source_that_the_policies_do_not_have(tmp_path: Path) -> None:
    write_intents(tmp_path / "provision-Readers", intents(ACCOUNT, "alice"))
    trusted = TrustOptions(trusted=True)
    with pytest.raises(IdentityCenterError, match="say identity-source: identity-center, not external"):
        read_fleet(tmp_path, "external", trusted)
    assert read_fleet(tmp_path, "identity-center", trusted).intents[0].place == "provision-Readers"


def test_nobody_is_taken_at_the_word_of_a_file_alone(tmp_path: Path) -> None:
    write_intents(tmp_path / "provision-Readers", intents(ACCOUNT, "alice"))
    with pytest.raises(
        IdentityCenterError,
        match=r"users and policies of intents are read again.*--member-role.*--trust-intents",
    ):
        read_fleet(tmp_path)


def test_nobody_else_may_read_them_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        path = Path(write_intents(tmp_path / "p", intents(ACCOUNT, "alice")))
        path.chmod(0o644)
        write_intents(tmp_path / "p", intents(ACCOUNT, "bob"))
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("age", "max_age", "told"),
    [
        pytest.param(timedelta(hours=23), MAX_AGE, "", id="young"),
        pytest.param(
            timedelta(hours=25), MAX_AGE, "older than 1 day.*run the policies again.*--max-age", id="old"
        ),
        pytest.param(timedelta(hours=25), timedelta(days=2), "", id="old-and-taken"),
        pytest.param(-timedelta(minutes=4), MAX_AGE, "", id="another-clock"),
        pytest.param(-timedelta(hours=1), MAX_AGE, "in the future", id="of-tomorrow"),
    ],
)
def test_the_age_of_intents(tmp_path: Path, age: timedelta, max_age: timedelta, told: str) -> None:
    now = datetime(2027, 1, 31, 12, tzinfo=timezone.utc)
    write_intents(tmp_path / "provision-Readers", intents(ACCOUNT, "alice", time=now - age))
    if told:
        with pytest.raises(IdentityCenterError, match=told):
            read_intents(tmp_path, max_age, now=now)
    else:
        assert len(read_intents(tmp_path, max_age, now=now)) == 1


NAMES = {"payments": ACCOUNT, "research": OTHER_ACCOUNT}
SLASHED = {"shop/pay": ACCOUNT, "x": OTHER_ACCOUNT}


@pytest.mark.parametrize(
    ("files", "names", "told"),
    [
        pytest.param({"payments": ACCOUNT, "research": OTHER_ACCOUNT}, None, "", id="one-each"),
        pytest.param({"payments": ACCOUNT, "research": OTHER_ACCOUNT}, NAMES, "", id="one-each-and-known"),
        pytest.param(
            {"payments": OTHER_ACCOUNT, "research": OTHER_ACCOUNT},
            None,
            "and so do the files in payments",
            id="twice",
        ),
        pytest.param({"payments": OTHER_ACCOUNT}, NAMES, "not that of payments", id="not-the-known-one"),
        pytest.param({"new": ACCOUNT}, NAMES, "not that of new", id="unknown-name"),
        pytest.param({ACCOUNT: ACCOUNT}, None, "", id="directory-by-id"),
        pytest.param({"shop/pay": ACCOUNT, "x": OTHER_ACCOUNT}, SLASHED, "", id="name-with-a-slash"),
        pytest.param({"shop/pay": OTHER_ACCOUNT}, SLASHED, "not that of shop/pay", id="slash-of-another"),
        pytest.param(
            {"shop/pay": ACCOUNT}, NAMES, r"names with / give the accounts file, -c\)", id="slash-unknown"
        ),
        pytest.param({ACCOUNT: OTHER_ACCOUNT}, None, f"not that of {ACCOUNT}", id="directory-of-another-id"),
    ],
)
def test_the_directory_that_intents_lie_in(
    tmp_path: Path, files: dict[str, str], names: dict[str, str] | None, told: str
) -> None:
    for directory, account in files.items():
        write_intents(tmp_path / directory / "us-east-1" / "provision-Readers", intents(account, "alice"))
    if told:
        with pytest.raises(IdentityCenterError, match=f"{told}: find out who"):
            read_intents(tmp_path, accounts=names)
    else:
        assert len(read_intents(tmp_path, accounts=names)) == len(files)


POLICY = "provision-Readers"
AT_PAYMENTS = f"payments/us-east-1/{POLICY}"


@pytest.mark.parametrize(
    ("places", "told"),
    [
        pytest.param([POLICY], "", id="custodian"),
        pytest.param([f"us-east-1/{POLICY}"], "", id="an-account's-directory"),
        pytest.param([f"payments/eusc-de-east-1/{POLICY}"], "", id="another-partition"),
        pytest.param([f"{ACCOUNT}/{POLICY}"], "", id="output-url-with-account"),
        pytest.param([f"run/{AT_PAYMENTS}"], "<account's name>/<region>/<policy> below", id="deeper"),
        pytest.param(
            [f"payments/us-east-1/us-east-1/{POLICY}"], "<region>/<policy> below", id="two-regions-deep"
        ),
        pytest.param([AT_PAYMENTS, POLICY], "of one run have the same layout", id="copied-to-the-top"),
        pytest.param(
            [AT_PAYMENTS, f"payments/{POLICY}"], "of one run have the same layout", id="copied-besides"
        ),
        pytest.param(
            [AT_PAYMENTS, f"payments/us-east-1/old/{POLICY}"], "in a wrong place", id="copied-below"
        ),
        pytest.param(
            [AT_PAYMENTS, AT_PAYMENTS.replace("east-1", "west-2")],
            f"a second file of policy {POLICY} and account {ACCOUNT}, besides .*/{AT_PAYMENTS}/",
            id="in-another-region",
        ),
    ],
)
def test_a_file_that_lies_where_no_run_leaves_it(tmp_path: Path, places: list[str], told: str) -> None:
    for place in places:
        write_intents(tmp_path / place, intents(ACCOUNT, "alice"))
    if told:
        with pytest.raises(IdentityCenterError, match=f"{tmp_path}/.*{told}.*: find out who .*remove it"):
            read_intents(tmp_path)
    else:
        assert len(read_intents(tmp_path)) == len(places)


def test_another_account_from_the_directory_of_one(tmp_path: Path) -> None:
    write_intents(tmp_path / "payments" / "us-east-1" / "provision-Readers", intents(ACCOUNT, "alice"))
    forged = intents(OTHER_ACCOUNT, "mallory", set_name="Admins")
    write_intents(tmp_path / "payments" / "us-east-1" / "provision-Admins", forged)
    with pytest.raises(
        IdentityCenterError, match=f"where other files are for account ({ACCOUNT}|{OTHER_ACCOUNT})"
    ):
        read_intents(tmp_path)


def test_the_directory_of_another_policy(tmp_path: Path) -> None:
    write_intents(tmp_path / "payments" / "us-east-1" / "mine", intents(ACCOUNT, "alice"))
    with pytest.raises(IdentityCenterError, match="claims to be of policy provision-Readers"):
        read_intents(tmp_path)


def link(path: Path) -> None:
    """A link at ``path`` to what stood there."""
    path.rename(path.with_name("aside"))
    path.symlink_to(path.with_name("aside"))


def fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def grow(path: Path) -> None:
    os.truncate(path, LARGEST + 1)


@pytest.mark.parametrize(
    ("at", "becomes", "told"),
    [
        pytest.param("", link, "is a symbolic link", id="link"),
        pytest.param("", fifo, "is a FIFO", id="fifo"),
        pytest.param("", grow, f"has {LARGEST + 1} bytes", id="huge"),
        pytest.param("payments", link, "payments is a symbolic link", id="link-to-a-directory"),
    ],
)
def test_what_is_no_plain_file_is_no_smaller_fleet(
    tmp_path: Path, at: str, becomes: Callable[[Path], None], told: str
) -> None:
    write_intents(tmp_path / AT_PAYMENTS.replace("payments", "research"), intents(OTHER_ACCOUNT, "bob"))
    file = Path(write_intents(tmp_path / AT_PAYMENTS, intents(ACCOUNT, "alice")))
    becomes(tmp_path / at if at else file)
    with pytest.raises(IdentityCenterError, match=rf"intents can't be read: {tmp_path}/.*{told}.*\. Nothing"):
        read_intents(tmp_path)


def test_directories_that_do_not_end(tmp_path: Path) -> None:
    write_intents(tmp_path / AT_PAYMENTS, intents(ACCOUNT, "alice"))
    deep = tmp_path.joinpath(*["a"] * 100)
    deep.mkdir(parents=True)
    with pytest.raises(IdentityCenterError, match="is nested deeper than any run writes"):
        read_intents(tmp_path)


def test_a_directory_that_can_not_be_read_is_no_smaller_fleet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_intents(tmp_path / AT_PAYMENTS.replace("payments", "research"), intents(OTHER_ACCOUNT, "bob"))
    write_intents(tmp_path / AT_PAYMENTS, intents(ACCOUNT, "alice"))
    scandir = os.scandir

    def refusing(path: str) -> object:
        if str(path).endswith("payments"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    with pytest.raises(
        IdentityCenterError, match=r"Permission denied: .*payments.*make the whole output readable"
    ):
        read_intents(tmp_path)


@pytest.mark.parametrize(
    ("at", "mode", "told"),
    [
        pytest.param("", 0o666, "can be written by others .mode 0666", id="file"),
        pytest.param("", 0o660, "can be written by others", id="file-of-a-group"),
        pytest.param("", 0o1666, "can be written by others", id="sticky-file"),
        pytest.param("", 0o644, "", id="file-to-read"),
        pytest.param("..", 0o777, "provision-Readers can be written by others", id="directory"),
        pytest.param("../../..", 0o777, "payments can be written by others", id="account's-directory"),
        pytest.param("../../../..", 0o777, "can be written by others", id="output"),
        pytest.param("..", 0o1777, "", id="sticky-directory"),
        pytest.param("..", 0o775, "", id="umask-002"),
    ],
)
def test_what_others_may_write_is_refused(tmp_path: Path, at: str, mode: int, told: str) -> None:
    file = Path(write_intents(tmp_path / AT_PAYMENTS, intents(ACCOUNT, "alice")))
    (file / at).resolve().chmod(mode) if at else file.chmod(mode)
    if told:
        with pytest.raises(IdentityCenterError, match=f"{file} is not trusted: .*{told}.*--trust-intents"):
            read_intents(tmp_path)
    assert len(read_intents(tmp_path, trusted=bool(told))) == 1


def test_what_belongs_to_another_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = Path(write_intents(tmp_path / AT_PAYMENTS, intents(ACCOUNT, "alice")))
    me = os.geteuid()
    if me == 0:
        os.chown(file, 12345, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: me + 1)
    with pytest.raises(IdentityCenterError, match=r"belongs to user id \d+, not to this run's \d+"):
        read_intents(tmp_path)
    assert len(read_intents(tmp_path, trusted=True)) == 1


def test_an_output_that_is_a_link_itself(tmp_path: Path) -> None:
    write_intents(tmp_path / "output" / AT_PAYMENTS, intents(ACCOUNT, "alice"))
    (tmp_path / "latest").symlink_to("output")
    assert len(read_intents(tmp_path / "latest")) == 1


WRITTEN = datetime(2026, 11, 24, 12, 0, 0, 500_000, timezone.utc)
BEFORE, AFTER = WRITTEN - timedelta(seconds=3), WRITTEN + timedelta(milliseconds=1)


def metadata(
    start: object,
    account: str = ACCOUNT,
    name: str = "provision-Readers",
    region: str = "us-east-1",
    **more: object,
) -> str:
    """What Cloud Custodian writes about a run, as far as it is read."""
    config = {"account_id": account, "region": region, **more}
    began = start.timestamp() if isinstance(start, datetime) else start
    return json.dumps({"policy": {"name": name}, "execution": {"start": began}, "config": config})


@pytest.mark.parametrize(
    ("content", "told"),
    [
        pytest.param(metadata(BEFORE), "", id="own-run"),
        pytest.param(
            metadata(AFTER), "ran again at 2026-11-24 12:00:00.501000.* and wrote no intents", id="later"
        ),
        pytest.param(metadata(AFTER, dryrun=True), "with --dryrun and wrote no intents", id="later-dry-run"),
        pytest.param(metadata(AFTER, OTHER_ACCOUNT), "", id="another-account"),
        pytest.param(metadata(AFTER, name="flag"), "", id="another-policy"),
        pytest.param(metadata(AFTER, region="eu-west-1"), "", id="region-that-does-nothing"),
        pytest.param(
            '{"policy": ', "can't be read, so it is not known whether a policy ran again", id="cut-off"
        ),
        pytest.param(f"{'[' * 100_000}", "can't be read, so it is not known", id="deep"),
        pytest.param('{"layers": []}', "", id="of-something-else"),
        pytest.param(metadata("yesterday"), "", id="no-time"),
        pytest.param(metadata(1e300), "", id="no-such-time"),
    ],
)
@pytest.mark.parametrize("compressed", [False, True])
def test_intents_of_an_earlier_run_are_refused(
    tmp_path: Path, content: str, told: str, compressed: bool
) -> None:
    file = Path(write_intents(tmp_path / AT_PAYMENTS, replace(intents(ACCOUNT, "alice"), time=WRITTEN)))
    data = gzip.compress(content.encode()) if compressed else content.encode()
    file.with_name("metadata.json.gz" if compressed else "metadata.json").write_bytes(data)
    if told:
        with pytest.raises(IdentityCenterError, match=f"{told}.*Nothing was touched"):
            read_intents(tmp_path, now=WRITTEN, trusted=True)
    else:
        assert len(read_intents(tmp_path, now=WRITTEN)) == 1


def test_a_last_run_that_found_no_users_requests_nothing(tmp_path: Path) -> None:
    """However long ago: an account without users would stop the runs of all others."""
    file = Path(write_intents(tmp_path / AT_PAYMENTS, replace(intents(ACCOUNT, "alice"), time=WRITTEN)))
    later = WRITTEN + timedelta(days=30)
    found_none = {**json.loads(metadata(later)), "metrics": [{"MetricName": "ResourceCount", "Value": 0}]}
    file.with_name("metadata.json").write_text(json.dumps(found_none))
    (found,) = read_intents(tmp_path, now=later)
    assert (found.users, found.time) == ((), later)


def test_a_run_of_another_account_is_believed_of_nobody(tmp_path: Path) -> None:
    """Who writes an account's own part could else withdraw what another one requests."""
    write_intents(tmp_path / AT_PAYMENTS, replace(intents(ACCOUNT, "alice"), time=WRITTEN))
    there = tmp_path / "research" / "us-east-1" / "x"
    there.mkdir(parents=True)
    found_none = {**json.loads(metadata(AFTER)), "metrics": [{"MetricName": "ResourceCount", "Value": 0}]}
    (there / "metadata.json").write_text(json.dumps(found_none))
    known = {"payments": ACCOUNT, "research": OTHER_ACCOUNT}
    with pytest.raises(
        IdentityCenterError, match=f"where account {OTHER_ACCOUNT} writes: find out who wrote it"
    ):
        read_intents(tmp_path, accounts=known, now=WRITTEN)
