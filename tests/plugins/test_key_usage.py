# SPDX-License-Identifier: Apache-2.0
"""Who calls with the access keys of flagged users, by events that are planted in the local organization."""

from __future__ import annotations

import json
import logging
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from botocore.client import BaseClient

from aws_local_org import LocalOrg, scripted_events
from c7n_iamusers.evidence.assessment import ANNOTATION
from c7n_iamusers.iam.user import IamUser
from c7n_iamusers.key_usage import event_lookup
from c7n_iamusers.report.users import Signs
from c7n_iamusers.safeguards.forecast import Flagged
from tests.hostile_texts import INVISIBLE, TEXTS
from tests.interference import deny
from tests.plugins.keys import days_ago, key_of, new_report, on_keys
from tests.plugins.test_notify_owners import action, sent
from tests.policies import ACCOUNT, policy
from tests.used_permissions import observed, run_within_permissions

REGION = "eu-west-1"
ASKED: dict[str, Any] = {"usage": "cloudtrail"}
GITHUB = "aws-sdk-nodejs/2.1692.0 linux/v20.18.0 configure-aws-credentials-for-github-actions promise"

pytestmark = pytest.mark.usefixtures("elsewhere")


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_lookup, "PER_SECOND", 100_000.0)


def call(
    org: LocalOrg, user: str, action: str = "ec2:DescribeInstances", days: float = 3, **more: Any
) -> dict[str, Any]:
    """A call by a key of the user so many days ago."""
    given = {"region": REGION, "time": days_ago(days).isoformat(), **more}
    made: dict[str, Any] = scripted_events.attempt(org, ACCOUNT, user, action, **given)
    return made


def flagged(**options: Any) -> dict[str, dict[str, Any]]:
    """User name -> its annotation."""
    data = {"filters": [{"type": "unnecessary", "exempt": "none", **options}]}
    return {each["UserName"]: each[ANNOTATION] for each in run_within_permissions(policy(data))}


def usage_of(name: str, **options: Any) -> dict[str, Any]:
    """What the annotation has of the only key of the user."""
    keys: list[dict[str, Any]] = flagged(**(options or ASKED))[name]["usage"]
    (found,) = keys
    return found


def test_nobody_pays_unasked(org: LocalOrg) -> None:
    key_of(org, "app", 200, 3)
    with observed() as used:
        assert "usage" not in flagged()["app"]
    assert not used & {"cloudtrail:LookupEvents", "iam:ListAccessKeys", "ec2:DescribeAddresses"}


def test_what_it_costs(org: LocalOrg, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call a user, and one a key; two an account and Region, however many keys there are: docs/usage.md."""
    for number in range(5):
        for created in (300, 200):
            key = key_of(org, f"app-{number}", created)
            call(org, f"app-{number}", access_key_id=key)
    made, original = Counter[str](), BaseClient._make_api_call  # type: ignore[attr-defined]

    def counted(self: Any, operation: str, parameters: Any) -> Any:
        made[operation] += 1
        return original(self, operation, parameters)

    monkeypatch.setattr(BaseClient, "_make_api_call", counted)
    assert len(flagged(**ASKED)) == 5
    asked = ("ListAccessKeys", "LookupEvents", "DescribeAddresses", "DescribeNetworkInterfaces")
    assert [made[each] for each in asked] == [5, 10, 1, 1]
    assert made["GetAccessKeyLastUsed"] == 0


def test_who_calls_with_a_key(org: LocalOrg) -> None:
    key = key_of(org, "app", 200)
    for days in (5, 4, 3):
        call(
            org, "app", days=days, user_agent="Boto3/1.34.0 md/Botocore#1.34.0 m/e", source_ip="198.51.100.4"
        )
    found = usage_of("app")
    assert (found["id"], found["result"]) == (key, "calls")
    (caller,) = found["callers"]
    assert (caller["calls"], caller["denied"], caller["address"]) == (3, 0, "198.51.100.4")
    assert "boto3 1.34.0" in found["text"].lower()
    assert f"in {REGION}" in found["text"]
    (source,) = found["sources"]
    assert source["source"] == f"CloudTrail's event history in {REGION}"
    assert source["as_of"]
    assert source["since"]


@pytest.mark.parametrize(
    ("asked", "kind"), [({}, "machine"), (ASKED, "human")], ids=["without-callers", "with-callers"]
)
def test_a_notice_foresees_what_policies_do_that_select_by_kind(
    org: LocalOrg, asked: dict[str, Any], kind: str
) -> None:
    """They select a user by its kind without callers, so a notice must not say that it needs a replacement first."""
    key_of(org, "ci-bot", 200)
    call(org, "ci-bot", user_agent="Mozilla/5.0 (X11; Linux x86_64) Chrome/120.0.0.0")
    known = flagged(**asked)["ci-bot"]
    assert known["kind"] == kind
    assert Flagged.of(IamUser({"UserName": "ci-bot"}), known).kind == "machine"
    assert Signs.of(known).kind == "machine"
    assert "ci-bot" in flagged(**asked, kinds=["machine"])


def test_a_key_whose_calls_are_data_events_is_never_unused(org: LocalOrg) -> None:
    key_of(org, "app", 200)
    assert call(org, "app", "s3:GetObject")["event"] is None
    found = usage_of("app")
    assert (found["result"], found["callers"]) == ("data-plane-only", [])
    assert "data plane only" in found["text"]


def test_a_key_without_any_event_says_where_nothing_was_found(org: LocalOrg) -> None:
    key_of(org, "app", 200)
    call(org, "app", days=120)
    found = usage_of("app")
    assert found["result"] == "no-event"
    assert f"nothing of it in CloudTrail's event history in {REGION}" in found["text"]


def test_a_key_that_was_never_used_costs_no_lookup(org: LocalOrg) -> None:
    key_of(org, "app", 200)
    with observed() as used:
        found = usage_of("app")
    assert found["result"] == "never-used"
    assert "cloudtrail:LookupEvents" not in used


def test_refused_calls_are_attempts(org: LocalOrg) -> None:
    key_of(org, "app", 200)
    call(org, "app")
    org.client("iam", ACCOUNT).attach_user_policy(
        UserName="app", PolicyArn="arn:aws:iam::aws:policy/AWSDenyAll"
    )
    call(org, "app", days=1)
    (caller,) = usage_of("app")["callers"]
    assert (caller["calls"], caller["denied"]) == (2, 1)


def test_only_selected_users_are_asked_about(org: LocalOrg) -> None:
    for name in ("app", "other"):
        key_of(org, name, 200)
        call(org, name)
    with observed() as used:
        assert set(flagged(**ASKED, findings=["compromised-key"])) == set()
    assert "cloudtrail:LookupEvents" not in used


def test_further_regions_are_asked_by_option_only(org: LocalOrg) -> None:
    key_of(org, "app", 200)
    call(org, "app", days=5, region="ap-southeast-2")
    call(org, "app", days=3)
    assert len(usage_of("app")["callers"][0]["regions"]) == 1
    found = usage_of("app", **ASKED, **{"usage-regions": ["ap-southeast-2"]})
    assert found["callers"][0]["regions"] == ["ap-southeast-2", REGION]
    assert found["callers"][0]["calls"] == 2
    assert len(found["sources"]) == 2


def test_more_than_a_page_is_a_minimum(org: LocalOrg) -> None:
    key_of(org, "app", 200)
    for _ in range(60):
        call(org, "app")
    (first,) = usage_of("app")["sources"]
    assert first["more"]
    found = usage_of("app", **ASKED, **{"usage-pages": 2})
    assert "more" not in found["sources"][0]
    assert found["callers"][0]["calls"] == 60


def told_once(caplog: pytest.LogCaptureFixture, what: str) -> bool:
    """Whether it was logged once, with the account."""
    return len([each for each in caplog.messages if f"account {ACCOUNT}: {what}" in each]) == 1


def test_denied_lookups_are_unknown_never_none(
    org: LocalOrg, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("app", "other"):
        key_of(org, name, 200)
        call(org, name)
    deny(monkeypatch, "LookupEvents")
    with caplog.at_level(logging.WARNING):
        found = flagged(**ASKED)
    for name in ("app", "other"):
        (usage,) = found[name]["usage"]
        assert usage["result"] == "unknown"
        assert "cloudtrail:LookupEvents in eu-west-1 is refused" in usage["sources"][0]["problem"]
        assert found[name]["sources"][f"usage {REGION}"]["problem"]
    assert told_once(
        caplog, f"who calls with access keys is unknown: cloudtrail:LookupEvents in {REGION} is refused"
    )


def test_one_users_keys_that_cant_be_listed_hide_no_others(
    org: LocalOrg, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("app", "other"):
        key_of(org, name, 200)
        call(org, name)
    deny(monkeypatch, "ListAccessKeys", "app")
    with caplog.at_level(logging.WARNING):
        found = flagged(**ASKED)
    assert told_once(caplog, "access keys of 1 users can't be listed: app")
    assert found["app"]["usage"] is None
    assert found["app"]["sources"]["usage keys"]["problem"]
    assert found["other"]["usage"][0]["result"] == "calls"


def test_addresses_of_the_account_are_its_own(org: LocalOrg) -> None:
    public = org.client("ec2", ACCOUNT, region_name=REGION).allocate_address(Domain="vpc")
    key_of(org, "app", 200)
    call(org, "app", source_ip=public["PublicIp"])
    call(org, "app", source_ip="8.8.8.8")
    places = {each["address"]: each["place"] for each in usage_of("app")["callers"]}
    assert places == {public["PublicIp"]: "own", "8.8.8.8": "outside"}


def test_unread_addresses_are_unknown_and_said_once(
    org: LocalOrg, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("app", "other"):
        key_of(org, name, 200)
        call(org, name, source_ip="8.8.8.8")
    deny(monkeypatch, "DescribeNetworkInterfaces")
    with caplog.at_level(logging.WARNING):
        found = flagged(**ASKED)
    assert {each["usage"][0]["callers"][0]["place"] for each in found.values()} == {"unknown"}
    assert found["app"]["sources"][f"usage addresses {REGION}"]["problem"]
    assert told_once(caplog, "which addresses are the account's own is unknown")


def test_a_key_of_unknown_use_is_asked_for_it(org: LocalOrg) -> None:
    """Two keys of the same second: the report does not say which is which."""
    key_of(org, "app", 200)
    key_of(org, "app", 200)
    call(org, "app")
    found = flagged(**ASKED)["app"]["usage"]
    assert {each["source"] for each in found} == {"GetAccessKeyLastUsed"}
    assert sorted(each["result"] for each in found) == ["calls", "never-used"]


def test_of_keys_only_those_that_are_flagged_are_asked_about(org: LocalOrg, tmp_path: Path) -> None:
    old, young = key_of(org, "app", 400), key_of(org, "app", 5)
    call(org, "app", access_key_id=old)
    call(org, "app", access_key_id=young)
    new_report(org)
    (found,) = on_keys(tmp_path, **{"older-than": 90, **ASKED})
    assert found["AccessKeyId"] == old
    (usage,) = found[ANNOTATION]["usage"]
    assert (usage["id"], usage["result"]) == (old, "calls")
    assert (found[ANNOTATION]["priority"]["number"], found[ANNOTATION]["priority"]["of"]) == (1, 1)
    assert found[ANNOTATION]["priority"]["text"].startswith(f"{old}: active")


def test_the_notice_names_callers_in_the_order_of_priority(org: LocalOrg, tmp_path: Path) -> None:
    for name, address in (("a-quiet", None), ("b-own", "10.0.0.4"), ("c-outside", "8.8.8.8")):
        key_of(org, name, 200)
        if address:
            call(org, name, source_ip=address)
    filters = [{"type": "unnecessary", "exempt": "none", **ASKED}]
    run_within_permissions(policy({"filters": filters, "actions": [action(tmp_path)]}))
    (message,) = sent(org)
    told = [(each["UserName"], each[ANNOTATION]["priority"]["number"]) for each in message["resources"]]
    assert told == [("c-outside", 1), ("b-own", 2), ("a-quiet", 3)]
    first = message["resources"][0][ANNOTATION]
    assert "used from outside AWS (8.8.8.8), 200 days old" in first["priority"]["text"]
    assert set(first["usage"][0]) == {"id", "result", "text", "callers", "more-callers"}
    assert first["replacement"][0] == "roles-anywhere"


def test_github_is_a_hint_and_the_users_hints_decide(org: LocalOrg) -> None:
    key_of(org, "jane.doe@example.com", 200)
    call(org, "jane.doe@example.com", user_agent=GITHUB, source_ip="8.8.8.8")
    found = flagged(**ASKED)["jane.doe@example.com"]
    assert (found["kind"], found["replacement"][0]) == ("machine", "oidc-role")
    hints = {"human": {"user": "*@example.com"}}
    assert flagged(**ASKED, hints=hints)["jane.doe@example.com"]["kind"] == "human"


def an_event(key_id: str, **members: Any) -> dict[str, Any]:
    """A record of CloudTrail's log files."""
    known = {
        "eventTime": days_ago(3).isoformat(),
        "eventSource": "s3.amazonaws.com",
        "eventName": "GetObject",
    }
    known |= {"awsRegion": REGION, "sourceIPAddress": "8.8.8.8", "userAgent": "aws-cli/2.31.0"}
    return {**known, "userIdentity": {"type": "IAMUser", "accessKeyId": key_id}, **members}


def test_calls_are_taken_from_a_file(org: LocalOrg, tmp_path: Path) -> None:
    key, _ = key_of(org, "app", 200), key_of(org, "quiet", 200, 3)
    call(org, "app", "s3:GetObject")
    place = tmp_path / "events.json"
    place.write_text(json.dumps({"Records": [an_event(key), an_event("AKIAOFSOMEBODYELSE00")]}))
    with observed() as used:
        found = flagged(**{"usage-from": str(place)})
    assert "cloudtrail:LookupEvents" not in used
    (usage,) = found["app"]["usage"]
    assert (usage["result"], usage["callers"][0]["services"]) == ("calls", ["s3"])
    assert usage["callers"][0]["place"] == "outside"
    assert usage["sources"][0]["source"] == f"calls in {place}"
    assert found["quiet"]["usage"][0]["result"] == "data-plane-only"
    assert found["app"]["sources"]["usage-from"]["time"]


def test_networks_have_names_and_without_them_addresses_are_unknown(org: LocalOrg, tmp_path: Path) -> None:
    key_of(org, "app", 200)
    call(org, "app", source_ip="198.51.100.4")
    ranges = tmp_path / "ranges.csv"
    ranges.write_text("cidr,name\n198.51.100.0/24,office\n")
    asked = {**ASKED, "usage-ranges": str(ranges)}
    (caller,) = usage_of("app", **asked)["callers"]
    assert (caller["place"], caller["place_name"]) == ("range", "office")
    ranges.write_text("cidr,name\nhere,office\n")
    found = flagged(**asked)["app"]
    assert found["usage"][0]["callers"][0]["place"] == "unknown"
    assert "line 2: has no network" in found["sources"]["usage-ranges"]["problem"]


def test_a_file_and_the_event_history_count_a_call_once(org: LocalOrg, tmp_path: Path) -> None:
    key = key_of(org, "app", 200)
    call(org, "app", source_ip="8.8.8.8", user_agent="aws-cli/2.31.0")
    place = tmp_path / "events.json"
    same = {"eventSource": "ec2.amazonaws.com", "eventName": "DescribeInstances"}
    place.write_text(json.dumps({"Records": [an_event(key, **same), an_event(key, **same)]}))
    found = usage_of("app", **ASKED, **{"usage-from": str(place)})
    (caller,) = found["callers"]
    assert (caller["calls"], caller["at_least"]) == (2, True)
    assert len(found["sources"]) == 2


@pytest.mark.parametrize("content", [None, '{"Records": [{', "a,b\n1,2\n", "<html>"])
def test_a_file_that_cant_be_read_is_unknown_never_none(
    org: LocalOrg, tmp_path: Path, caplog: pytest.LogCaptureFixture, content: str | None
) -> None:
    key_of(org, "app", 200, 3)
    place = tmp_path / "events.csv"
    if content is not None:
        place.write_text(content)
    found = flagged(**{"usage-from": str(place)})["app"]
    assert found["usage"][0]["result"] == "unknown"
    assert found["sources"]["usage-from"]["problem"]
    assert any("can't be read in full" in each for each in caplog.messages)


def test_no_region_of_a_file_is_asked(org: LocalOrg, tmp_path: Path) -> None:
    key = key_of(org, "app", 200, 3)
    place = tmp_path / "events.json"
    place.write_text(json.dumps({"Records": [an_event(key, awsRegion="evil.example/")]}))
    found = flagged(**{"usage-from": str(place)})["app"]
    assert found["usage"][0]["callers"][0]["regions"] == ["evil.example/"]
    assert [each for each in found["sources"] if each.startswith("usage addresses")] == [
        f"usage addresses {REGION}"
    ]


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_callers_may_say_anything_of_themselves(org: LocalOrg, text: str) -> None:
    key_of(org, "app", 200)
    call(org, "app", user_agent=text, source_ip=text)
    found = usage_of("app")
    assert not INVISIBLE & {*found["text"]}
    if text == TEXTS["surrogate"]:  # no text: the event can't be read
        assert (found["result"], found["callers"]) == ("unknown", [])
        return
    (caller,) = found["callers"]
    assert (found["result"], caller["place"]) == ("calls", "unknown")
    assert not INVISIBLE & {*caller["text"]}


@pytest.mark.usefixtures("org")
def test_permissions_are_those_of_what_is_asked() -> None:
    def needed(**options: Any) -> set[str]:
        filters = [{"type": "unnecessary", "exempt": "none", **options}]
        return set(policy({"filters": filters}).get_permissions())

    addresses = {"ec2:DescribeAddresses", "ec2:DescribeNetworkInterfaces"}
    of_keys = {"iam:ListAccessKeys", "iam:GetAccessKeyLastUsed"}
    assert needed(**ASKED) - needed() == {"cloudtrail:LookupEvents", *addresses, *of_keys}
    assert needed(**{"usage-from": "x.csv"}) - needed() == {*addresses, *of_keys}
