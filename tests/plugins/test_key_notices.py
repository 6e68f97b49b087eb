# SPDX-License-Identifier: Apache-2.0
"""A key is announced by itself, made inactive on the day that the message says, and deleted on its own day."""

from __future__ import annotations

import shutil
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from c7n.exceptions import PolicyValidationError

from aws_local_org import LocalOrg
from c7n_iamusers.notices.stop import STOP
from tests.plugins.keys import (
    WAIVED,
    activate,
    deactivate,
    key_of,
    new_report,
    on_keys,
    retire,
    statuses,
    tried,
    use_key,
)
from tests.plugins.test_key_actions import codes
from tests.plugins.test_notify_owners import action, age, records, sent
from tests.policies import ACCOUNT, policy

pytestmark = pytest.mark.usefixtures("elsewhere")


@pytest.fixture
def keys(org: LocalOrg) -> tuple[str, str]:
    """Of jane: one that is unused for a year, and one in use."""
    return key_of(org, "jane", 400, 365), key_of(org, "jane", 100, 1)


def announce(tmp_path: Path, **options: Any) -> list[dict[str, Any]]:
    given = {"template": "iam-keys-flagged.html", "subject": None, "quarantined-for": 14, **options}
    telling = action(tmp_path / "notices", **given)
    return on_keys(tmp_path / "out", telling, name="announcing")


def told(tmp_path: Path, days: float) -> dict[str, Any]:
    return {"noticed": days, "notices": str(tmp_path / "notices"), "delivery": "unchecked"}


def park(tmp_path: Path, **options: Any) -> dict[str, tuple[str, str]]:
    asked = {"type": "deactivate", "reason": "unused", "active-within": "none", **told(tmp_path, 16)}
    return codes(tried(tmp_path / "out", asked, **options))


def end(org: LocalOrg, tmp_path: Path) -> dict[str, tuple[str, str]]:
    new_report(org)
    asked = {"type": "retire", "parked-for": 0.00000001, **told(tmp_path, 30)}
    return codes(tried(tmp_path / "out", asked, name="retiring", status="inactive"))


def test_the_message_names_the_key_and_its_days(org: LocalOrg, keys: tuple[str, str], tmp_path: Path) -> None:
    announce(tmp_path)
    (message,), (record,) = sent(org), records(tmp_path / "notices")
    (told_of,) = message["resources"]
    assert told_of["AccessKeyId"] == keys[0]
    assert "c7n:User" not in told_of
    assert told_of["c7n:IamUser"]["notice"]["group"] == "goes"
    assert [(each["user"], each["unique-id"]) for each in record["users"]] == [("jane", keys[0])]
    assert "1 access key is to be made inactive on " in message["action"]["subject"]
    announce(tmp_path)
    assert sent(org) == []  # its day does not move


def test_a_key_goes_step_by_step_on_its_days(org: LocalOrg, keys: tuple[str, str], tmp_path: Path) -> None:
    unused, used = keys
    assert park(tmp_path) == {unused: ("skipped", "NotAnnounced")}
    announce(tmp_path)
    notices = tmp_path / "notices" / ACCOUNT
    assert park(tmp_path) == {unused: ("skipped", "AnnouncedLately")}
    age(notices, 15)
    assert park(tmp_path) == {unused: ("skipped", "AnnouncedLately")}
    age(notices, 1)
    assert park(tmp_path) == {unused: ("deactivated", "KeyComesBack")}
    assert end(org, tmp_path) == {unused: ("skipped", "AnnouncedLately")}
    age(notices, 14)
    assert end(org, tmp_path) == {unused: ("retired", "KeyWasParked")}
    assert statuses(org, "jane") == {used: "Active"}


def test_a_key_that_was_given_back_is_taken_again_once_it_is_announced_again(
    org: LocalOrg, keys: tuple[str, str], tmp_path: Path
) -> None:
    unused, _ = keys
    announce(tmp_path)
    age(tmp_path / "notices" / ACCOUNT, 20)
    assert park(tmp_path) == {unused: ("deactivated", "KeyComesBack")}
    assert codes(activate(tmp_path / "out"))[unused] == ("activated", "KeyWasParked")
    assert park(tmp_path) == {unused: ("skipped", "KeyGivenBack")}
    age(tmp_path / "notices" / ACCOUNT, 120)  # so it counts no more
    announce(tmp_path, days=0, **{"quarantined-for": None})
    asked = {"noticed": 0.0, "notices": str(tmp_path / "notices"), "delivery": "unchecked"}
    rows = deactivate(tmp_path / "out", **{"noticed": "none"})
    assert codes(rows) == {unused: ("skipped", "KeyGivenBack")}
    again = tried(tmp_path / "out", {"type": "deactivate", **WAIVED, **asked})
    assert codes(again) == {unused: ("deactivated", "KeyComesBack")}


def test_an_exemption_of_the_user_voids_the_announcement_of_its_key(
    org: LocalOrg, keys: tuple[str, str], tmp_path: Path
) -> None:
    unused, _ = keys
    announce(tmp_path)
    age(tmp_path / "notices" / ACCOUNT, 20)
    exempt = [{"user": "jane", "reason": "a test", "expires": "2999-12-31"}]
    assert park(tmp_path, exempt=exempt) == {}
    assert park(tmp_path) == {unused: ("skipped", "ExemptSinceAnnounced")}
    assert statuses(org, "jane")[unused] == "Active"


def test_stop_ends_the_run_before_a_key(org: LocalOrg, keys: tuple[str, str], tmp_path: Path) -> None:
    unused, _ = keys
    announce(tmp_path)
    age(tmp_path / "notices" / ACCOUNT, 20)
    (tmp_path / "notices" / STOP).touch()
    assert park(tmp_path) == {unused: ("failed", "Stopped")}
    assert statuses(org, "jane")[unused] == "Active"


def test_a_key_in_use_is_announced_as_such_and_left_alone(org: LocalOrg, tmp_path: Path) -> None:
    old, new = key_of(org, "bot", 400, 2), key_of(org, "bot", 100, 1)
    telling = action(tmp_path / "notices", template="iam-keys-flagged.html", subject=None)
    on_keys(tmp_path / "out", telling, name="announcing", superseded=True)
    use_key(org, old, 0)
    rows = deactivate(tmp_path / "out", superseded=True, **{"active-within": 30})
    assert codes(rows) == {old: ("skipped", "Active")}
    assert set(statuses(org, "bot").values()) == {"Active"}
    assert new in statuses(org, "bot")


def test_what_became_of_a_key_is_told_once(org: LocalOrg, keys: tuple[str, str], tmp_path: Path) -> None:
    unused, _ = keys
    asked = {"type": "deactivate", "reason": "unused", "active-within": "none", "noticed": "none"}
    informing = {"step": "inform", "days": None, "template": "iam-keys-changed.html", "subject": None}
    telling = action(tmp_path / "notices", **informing)
    on_keys(tmp_path / "out", asked, telling)
    (message,) = sent(org)
    assert message["resources"][0]["c7n:IamUser"]["outcome"]["status"] == "deactivated"
    assert "day" not in message["resources"][0]["c7n:IamUser"].get("notice", {})  # it was not announced
    assert "1 access key made inactive" in message["action"]["subject"]
    assert codes(retire(org, tmp_path / "out"))[unused][0] == "retired"


@pytest.mark.parametrize(("quiet", "later"), [(None, 0), (14, 0), (60, 46)])
def test_who_is_told_of_an_inactive_key_reads_its_day(
    org: LocalOrg, keys: tuple[str, str], tmp_path: Path, quiet: int | None, later: int
) -> None:
    """A key that is made inactive later than announced is deleted later, too."""
    unused, _ = keys
    announce(tmp_path)
    age(tmp_path / "notices" / ACCOUNT, 16)
    sent(org)
    day = records(tmp_path / "notices")[0]["day"]
    assert date.fromisoformat(day) > date.today()
    asked = {"type": "deactivate", "reason": "unused", "active-within": "none", **told(tmp_path, 16)}
    informing: dict[str, Any] = {"step": "inform", "days": None, "template": "iam-keys-changed.html"}
    informing |= {"subject": None, "quarantined-for": quiet}
    on_keys(tmp_path / "out", asked, action(tmp_path / "notices", **informing))
    (message,) = sent(org)
    (row,) = message["resources"]
    expected = (date.fromisoformat(day) + timedelta(days=later)).isoformat()
    assert (row["AccessKeyId"], row["c7n:IamUser"]["notice"]["day"]) == (unused, expected)


@pytest.mark.parametrize("step", ["announce", "remind"])
def test_a_reminder_of_a_key_says_that_it_is_inactive_already(
    org: LocalOrg, keys: tuple[str, str], tmp_path: Path, step: str
) -> None:
    announce(tmp_path)
    age(tmp_path / "notices" / ACCOUNT, 23)
    reminding = {"step": "remind", "days": 7} if step == "remind" else {}
    status = {"status": "inactive"} if step == "remind" else {}
    if step == "remind":
        assert park(tmp_path)[keys[0]][0] == "deactivated"
        new_report(org)
    sent(org)
    given = {"template": "iam-keys-flagged.html", "subject": None, "quarantined-for": 14, **reminding}
    notices = tmp_path / ("others" if step == "announce" else "notices")
    on_keys(tmp_path / "out", action(notices, **given), name="telling", **status)
    (message,) = sent(org)
    notice = message["resources"][0]["c7n:IamUser"]["notice"]
    assert notice["group"] == "goes"
    assert notice.get("is-denied", False) == (step == "remind")
    assert notice["text"].startswith("inactive already, deleted on " if step == "remind" else "inactive on ")


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"step": "denied", "days": None}, "about users"),
        ({"brownout-after": 9}, "brownout-after has no meaning"),
        ({"require": "none"}, "require has no meaning"),
        (
            {"template": "iam-users-flagged.html"},
            "shows users.*: write iam-keys-flagged.html or iam-keys-cha",
        ),
    ],
)
def test_what_has_no_meaning_for_keys_is_refused(
    org: LocalOrg, tmp_path: Path, options: dict[str, Any], fault: str
) -> None:
    data = {
        "resource": "aws.iam-access-key",
        "source": "access-keys",
        "filters": [{"type": "unnecessary", "unused": 90, "exempt": "none"}],
        "actions": [action(tmp_path, **{"template": "iam-keys-flagged.html", **options})],
    }
    with pytest.raises(PolicyValidationError, match=fault):
        policy(data)


def test_announcements_of_keys_without_the_record_of_exempt_users_count_for_nothing(
    org: LocalOrg, keys: tuple[str, str], tmp_path: Path
) -> None:
    announce(tmp_path)
    notices = tmp_path / "notices"
    age(notices / ACCOUNT, 20)
    (exempt,) = (each for each in notices.iterdir() if each.is_dir() and each.name != ACCOUNT)
    shutil.rmtree(exempt)
    with pytest.raises(Exception, match="no record of exempt users"):
        park(tmp_path)
    assert statuses(org, "jane")[keys[0]] == "Active"
