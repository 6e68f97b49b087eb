# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import gzip
import json
import re
import tracemalloc
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from time import sleep
from typing import Any

import pytest

from aws_local_org import LocalOrg
from c7n_iamusers.evidence.assessment import ANNOTATION
from c7n_iamusers.evidence.seen_users import SEEN, parse_seen
from c7n_iamusers.exceptions import OutputUnreadable
from c7n_iamusers.execution.bucket_store import BucketStore
from c7n_iamusers.execution.calls import AFTER, BEFORE, Subject
from c7n_iamusers.execution.journal import BucketJournal, Journal
from c7n_iamusers.execution.outcomes import FAILED as USER_FAILED
from c7n_iamusers.execution.outcomes import OUTCOMES
from c7n_iamusers.execution.output_layout import Layout
from c7n_iamusers.execution.stores import DirectoryStore
from c7n_iamusers.exemptions import ExemptionRule
from c7n_iamusers.identity_center.applying import run_records, run_results
from c7n_iamusers.identity_center.requests import intent_files
from c7n_iamusers.report import output_names, output_reader
from c7n_iamusers.report.output_reader import read_outputs
from c7n_iamusers.report.outputs import (
    ACTION_FAILED,
    DENIED,
    FAILED,
    RAN,
    STOPPED,
    TOO_MANY,
    UNREADABLE,
    PolicyOutput,
)
from c7n_iamusers.report.selected_users import EVIDENCE
from c7n_iamusers.text import documents
from tests.interference import deny
from tests.policies import policy
from tests.report.fleet_outputs import (
    ACCOUNT,
    DELETE,
    FLAG,
    NOW,
    OTHER_ACCOUNT,
    Outputs,
    exempt_user,
    in_account,
    metadata,
    outcome,
    resource,
    seen,
    seen_in,
    seen_user,
)

ALICE = Subject("alice", f"arn:aws:iam::{ACCOUNT}:user/alice", "AIDAALICE")


@pytest.fixture
def left(tmp_path: Path) -> Outputs:
    return Outputs(tmp_path)


def read(left: Outputs, *names: str) -> list[PolicyOutput]:
    return read_outputs(DirectoryStore(left.root), dict.fromkeys(names, ACCOUNT))


def test_names_of_files_and_regions_are_those_of_the_rooms_that_write_them() -> None:
    assert (output_names.RESULT_FILE, output_names.RUNS) == (run_results.RESULT_FILE, run_records.RUNS)
    assert output_reader.REGION == intent_files.REGION


def test_a_run_of_c7n_org_says_account_policy_and_time(left: Outputs) -> None:
    left.leave("alice", "bob", days=2)
    (found,) = read(left)
    assert (found.name, found.account, found.region, found.policy) == ("payments", ACCOUNT, "us-east-1", FLAG)
    assert found.time == datetime.fromisoformat("2026-11-23T12:00:00+00:00")
    assert (found.state, found.why, len(found.users or ())) == (RAN, "", 2)
    assert [rule["user"] for rule in found.rules] == ["git-*"]


@pytest.mark.parametrize(
    ("directory", "known", "expected"),
    [
        pytest.param("p", (), ("", "", "p"), id="custodian"),
        pytest.param("payments/us-east-1/p", (), ("payments", "", "p"), id="c7n-org"),
        pytest.param("wave1/payments/us-east-1/p", (), ("payments", "", "wave1/p"), id="below-a-run"),
        pytest.param("x/prod/pay/eu-west-1/p", ("prod/pay",), ("prod/pay", "", "x/p"), id="name-with-slash"),
        pytest.param(
            "payments/us-east-1/p/2026/11/25/10", (), ("payments", "", "p/2026/11/25/10"), id="bucket-c7n"
        ),
        pytest.param(f"payments/us-east-1/{ACCOUNT}/p", (), ("payments", ACCOUNT, "p"), id="bucket-ours"),
        pytest.param(f"{ACCOUNT}/p", (), ("", ACCOUNT, "p"), id="bucket-custodian"),
        pytest.param(f"{ACCOUNT}/us-east-1/p", (), (ACCOUNT, ACCOUNT, "p"), id="named-by-its-id"),
    ],
)
def test_what_the_directories_say(directory: str, known: tuple[str, ...], expected: tuple[str, ...]) -> None:
    found = Layout.of(directory.split("/"), dict.fromkeys(known, ACCOUNT))
    assert (found.name, found.account, found.run) == expected
    assert found.policy == "p"


PARTS: dict[str, Any] = {"metadata.json": None, "resources.json": None}
CLOUDTRAIL = {"mode": {"type": "cloudtrail"}}


def deployed(*metrics: str) -> dict[str, str | None]:
    """What the deployment of a function leaves, or a function whose event selected nobody."""
    data = metadata(FLAG, ACCOUNT, 0, metrics, **CLOUDTRAIL)
    return {"metadata.json": json.dumps(data), "resources.json": None}


@pytest.mark.parametrize(
    ("given", "state", "why"),
    [
        pytest.param({"metrics": ["ResourceCount"]}, RAN, "", id="ran"),
        pytest.param(
            {"metrics": ["ResourceCount", "PolicyException"]}, ACTION_FAILED, "an action ended", id="action"
        ),
        pytest.param(
            {"metrics": ["PolicyException"], "files": {"resources.json": None}}, FAILED, "before", id="failed"
        ),
        pytest.param({"metrics": ["PolicyException"]}, FAILED, "before", id="users-of-an-earlier-run"),
        pytest.param(
            {"metrics": ["PolicyException"], "log": "iam:ListUsers: AccessDenied"},
            DENIED,
            "denied",
            id="denied",
        ),
        pytest.param(
            {"metrics": ["ResourceLimitExceeded", "PolicyException"]},
            TOO_MANY,
            "max-resources",
            id="too-many",
        ),
        pytest.param({"metrics": [], "files": {"resources.json": None}}, FAILED, "before", id="no-users"),
        pytest.param({"files": deployed()}, RAN, "", id="function-deployed"),
        pytest.param({"files": deployed("PolicyException")}, FAILED, "before", id="function-not-deployed"),
        pytest.param({"files": PARTS}, STOPPED, "its role can't be assumed", id="role"),
        pytest.param({"files": {"metadata.json": None}}, STOPPED, "killed", id="killed"),
        pytest.param(
            {"files": {"resources.json": '[{"Use'}}, UNREADABLE, "resources.json is no JSON", id="torn"
        ),
        pytest.param(
            {"files": {"resources.json": "{}"}}, UNREADABLE, "must be a list, not dict", id="foreign"
        ),
        pytest.param(
            {"files": {"resources.json": '[{"Arn": "arn:aws:ec2:::x"}]'}},
            UNREADABLE,
            "Arn",
            id="foreign-users",
        ),
        pytest.param(
            {"files": {"resources.json": json.dumps([resource("a", findings=[{"id": 1}])])}},
            UNREADABLE,
            "findings",
            id="annotation-of-others",
        ),
        pytest.param({"files": {"metadata.json": "[]"}}, UNREADABLE, "metadata.json is not", id="metadata"),
        pytest.param({"files": {"outcomes.json": '[{"arn"'}}, UNREADABLE, "outcomes.json", id="outcomes"),
        pytest.param(
            {"files": {"outcomes.json": '[{"arn": 1, "status": "deleted"}]'}}, UNREADABLE, "arn", id="row"
        ),
    ],
)
def test_how_a_run_ended(left: Outputs, given: dict[str, Any], state: str, why: str) -> None:
    left.leave("alice", **given)
    (found,) = read(left)
    assert found.state == state
    assert why in found.why
    assert (found.users is not None) == (state in (RAN, ACTION_FAILED))


def test_what_c7n_leaves_where_users_can_not_be_listed(
    org: LocalOrg, left: Outputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    deny(monkeypatch, "GetAccountAuthorizationDetails")
    with pytest.raises(Exception, match="AccessDenied"):
        policy(
            {"filters": [{"type": "unnecessary", "exempt": "none"}]}, left.root / "payments/us-east-1"
        ).run()
    (found,) = read(left)
    assert found.state in (DENIED, FAILED)
    assert (found.account, found.name, found.users) == (ACCOUNT, "payments", None)


def test_what_c7n_leaves_of_users(org: LocalOrg, left: Outputs, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "custodian")  # as custodian and c7n-org set it
    client = org.client("iam", ACCOUNT)
    for name in ("alice", "git-one"):
        client.create_user(UserName=name)
        client.create_access_key(UserName=name)
    exempt = [{"user": "git-*", "reason": "CodeCommit", "expires": "2999-12-31"}]
    policy({"filters": [{"type": "unnecessary", "exempt": exempt}]}, left.root / "payments/us-east-1").run()
    (found,) = read(left)
    assert found.state == RAN
    assert [each.arn.rpartition("/")[2] for each in found.users or ()] == ["alice"]
    assert found.seen
    assert {rule.pattern: users for rule, users in found.seen.protected().items()} == {"git-*": 1}
    assert (found.seen.complete, [each.state for each in found.seen.users]) == (True, ["exempt"])


def test_of_users_only_what_a_report_shows_is_held(left: Outputs) -> None:
    left.leave("alice", "bob")
    (found,) = read(left)
    alice, bob = found.users or ()
    assert (alice.arn, alice.unique_id, alice.created) == tuple(
        resource("alice")[key] for key in ("Arn", "UserId", "CreateDate")
    )
    assert alice.evidence.data() == {
        key: value for key, value in resource("alice")[ANNOTATION].items() if key in EVIDENCE
    }
    assert alice.evidence.keys is bob.evidence.keys
    left.leave("alice", policy=DELETE)
    one, other = (each.users[0] for each in read(left) if each.users)
    assert (one.arn is other.arn, one.unique_id is other.unique_id) == (True, True)


def test_the_users_that_the_filter_saw_without_those_that_the_policy_selected(left: Outputs) -> None:
    left.leave("alice", seen=seen(seen_user("alice"), exempt_user("git-a"), seen_user("bob")))
    (found,) = read(left)
    assert found.seen
    assert [(each.arn.rpartition("/")[2], each.state) for each in found.seen.users] == [
        ("git-a", "exempt"),
        ("bob", "flagged"),
    ]
    assert [*found.seen.protected().values()] == [1]


def test_one_long_reason_of_many_rules_is_there_once(left: Outputs) -> None:
    """A list of few kilobytes, compressed, unpacks to megabytes of them."""
    today = date(2026, 11, 24)
    reasons = ["\u00e9" * 1_000, "\u00e9" * 999 + "x"]
    rules = [ExemptionRule("user", f"git-{n}", reasons[n % 2], today, owner="ops") for n in range(1_000)]
    content = replace(seen(exempt_user("git-0")), rules=tuple(rules)).content()
    assert len(content) < 100 * len(rules) + 3_000
    left.leave("alice", seen=replace(seen(exempt_user("git-0")), rules=tuple(rules)))
    (found,) = read(left)
    assert found.seen
    assert [(each.pattern, each.owner) for each in found.seen.rules] == [
        (each.pattern, "ops") for each in rules
    ]
    assert {each.reason for each in found.seen.rules} == {"\u00e9" * 197 + "..."}
    assert sum(found.seen.protected().values()) == 1


def test_one_long_pattern_of_many_rules_is_there_once() -> None:
    """By aliases of YAML, a list of some hundred kilobytes names it thousands of times, and a whole rule too."""
    rules = [
        ExemptionRule("path", f"/{'p' * 510}/", "r", date(2026, 11, 24), account=f"a-{n}" + "\u00e9" * 400)
        for n in range(20)
    ]
    users = [exempt_user("x"), replace(exempt_user("y"), rule=3_000, more=(3_019, 3_039))]
    content = seen(*users, rules=rules * 1_000).content()
    assert len(content) < 20 * 3_000
    found = parse_seen(json.loads(content))
    assert list(found.rules) == rules
    assert [(each.rule, each.more) for each in found.users] == [(0, ()), (0, (19,))]


def twice(kind: str) -> tuple[str, bytes, int]:
    """The name of a file, its content packed, and its bytes unpacked: within the bounds of one file."""
    row = f'{{"arn": "arn:aws:iam::{ACCOUNT}:user/a", "status": "failed", "unique_id": "AIDA", "x": %s}}'
    user = f'{{"Arn": "arn:aws:iam::{ACCOUNT}:user/a", "UserId": "AIDA"}}'
    action = '{"notices": "n", "step": "informed"}'
    data = metadata(FLAG, ACCOUNT, 0, ["ResourceCount"], actions="ACTIONS", filters="FILTERS")
    text = {
        "outcomes.json": "[" + row % ("[" + ",".join(['{"a":0}'] * 100_000) + "]") + "]",
        "same-outcomes.json": "[" + ",".join([row % "[]"] * 20_000) + "]",
        "resources.json": "[" + ",".join([user] * 20_000) + "]",
        "metadata.json": json.dumps(data)
        .replace('"ACTIONS"', "[" + ",".join([action] * 20_000) + "]")
        .replace(
            '"FILTERS"', '[{"type": "unnecessary", "exempt": [' + ",".join(['{"user": "x"}'] * 20_000) + "]}]"
        ),
        "journal.jsonl": (
            '{"time": "", "user": "", "arn": "arn:aws:iam::111122223333:root", "unique_id": "", '
            '"phase": "before", "previous": "", '
            '"parameters": {"x": [' + ",".join(['{"a":0}'] * 1_000) + "]}}\n"
        )
        * 100,
    }[kind]
    return kind.removeprefix("same-"), gzip.compress(text.encode(), mtime=0), len(text)


@pytest.mark.parametrize(
    "kind", ["outcomes.json", "same-outcomes.json", "resources.json", "metadata.json", "journal.jsonl"]
)
def test_of_files_only_what_is_read_is_held(left: Outputs, kind: str) -> None:
    """What is parsed of one file after the other must not add up."""
    name, packed, size = twice(kind)
    for number in range(4):
        directory = left.leave(policy=f"p{number}", files={name: None})
        (directory / f"{name}.gz").write_bytes(packed)
    tracemalloc.start()
    found = read(left)
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert [each.state for each in found] == [RAN] * 4
    assert held < 4 * size // 2


def test_what_is_parsed_of_one_directory_goes_before_the_next_is_parsed(
    left: Outputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is held of a directory that waits is what was read of it."""
    under_way, most, whole = set[object](), [0], output_reader._output

    def output(files: Any, *given: Any) -> Any:
        under_way.add(files)
        most[0] = max(most[0], len(under_way))
        sleep(0)  # another thread's turn
        try:
            return whole(files, *given)
        finally:
            under_way.remove(files)

    monkeypatch.setattr(output_reader, "_output", output)
    for number in range(12):
        left.leave(policy=f"p{number}")
    assert len(read(left)) == 12
    assert most == [1]


def test_what_one_account_packs_takes_room_from_nobody(
    left: Outputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, packed, size = twice("same-outcomes.json")
    monkeypatch.setattr(documents, "LARGEST_PACKED", size - 1)
    monkeypatch.setattr(documents, "MOST_TIMES", 60)
    for number in range(5):
        (left.leave(policy=f"a{number}") / f"{name}.gz").write_bytes(packed)
    honest = gzip.compress(
        json.dumps([outcome(f"user-{number}", "skipped") for number in range(99)]).encode()
    )
    (left.leave(policy="z") / f"{name}.gz").write_bytes(honest)
    found = {each.policy: each for each in read(left)}
    assert [each.state for each in found.values()] == [UNREADABLE] * 5 + [RAN]
    assert len(found["z"].rows) == 99


def test_users_that_one_template_made_are_read(left: Outputs, monkeypatch: pytest.MonkeyPatch) -> None:
    """They pack well: 120 times, and with four brackets, commas and colons for each byte that is packed."""
    users = [
        {"Arn": f"arn:aws:iam::{ACCOUNT}:user/u{n}", "UserId": f"AIDA{n:017}", "Tags": ["x" * 40] * 300}
        for n in range(200)
    ]
    content = json.dumps(users, indent=2).encode()
    packed = gzip.compress(content, mtime=0)
    assert 120 < len(content) / len(packed) < documents.MOST_TIMES
    monkeypatch.setattr(documents, "LARGEST_PACKED", 1)
    monkeypatch.setattr(documents, "_MOST_JSON_PACKED", 1)
    (left.leave(files={"resources.json": None}) / "resources.json.gz").write_bytes(packed)
    (found,) = read(left)
    assert (found.state, len(found.users or ())) == (RAN, 200)


@pytest.mark.parametrize("packed", [True, False], ids=["gzip", "plain"])
def test_what_a_report_keeps_of_one_directory_has_a_bound(
    left: Outputs, monkeypatch: pytest.MonkeyPatch, packed: bool
) -> None:
    """However it is hidden: here in a list of a policy's action."""
    data = metadata(FLAG, ACCOUNT, 0, ["ResourceCount"], actions="ACTIONS")
    of = f'[{{"notices": "n", "step": "informed", "of": [{",".join("0" * 50_000)}]}}]'
    content = json.dumps(data).replace('"ACTIONS"', of).encode()
    monkeypatch.setattr(output_reader, "_LARGEST_KEPT", 100_000)
    directory = left.leave(files={"metadata.json": None})
    name = "metadata.json.gz" if packed else "metadata.json"
    (directory / name).write_bytes(gzip.compress(content, mtime=0) if packed else content)
    left.leave(policy="honest")
    found = {each.policy: each for each in read(left)}
    assert found.pop("honest").state == RAN
    assert [("takes more than" in each.why) for each in found.values()] == [packed]


def test_what_a_report_keeps_of_one_account_has_a_bound(
    left: Outputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many directories it makes. Another account's are read all the same."""
    monkeypatch.setattr(output_reader, "_LARGEST_OF_ACCOUNT", 100_000)
    monkeypatch.setattr(output_reader, "_MOST_OF_ACCOUNT", 100_000)
    for number in range(5):
        rows = [outcome(f"user-{number}-{each}", "skipped") for each in range(60)]
        left.leave(name="payments", policy=f"a{number}", outcomes=rows)
    left.leave(name="research", account="444455556666", policy="honest", outcomes=[])
    found = {each.policy: each for each in read(left)}
    assert found.pop("honest").state == RAN
    states = [each.state for each in found.values()]
    assert 0 < states.count(RAN) < 4
    refused = [each.why for each in found.values() if each.state == UNREADABLE]
    assert len(refused) + states.count(RAN) == 5
    assert all("all outputs of account payments takes more than 100000 bytes" in why for why in refused)


def test_directories_that_are_refused_count_for_their_account(
    left: Outputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each was read. Once they are too many, no more are."""
    monkeypatch.setattr(output_reader, "_LARGEST_KEPT", 1_000)
    monkeypatch.setattr(output_reader, "_MOST_KEPT_TIMES", 0)
    monkeypatch.setattr(output_reader, "_LARGEST_OF_ACCOUNT", 5_000)
    for number in range(9):
        rows = [outcome(f"user-{number}-{each}", "skipped") for each in range(20)]
        left.leave(name="payments", policy=f"a{number}", outcomes=rows)
    found = read(left)
    assert {each.state for each in found} == {UNREADABLE}
    assert sum("holds more than a run leaves" in each.why for each in found) < 9
    assert any("all outputs of account payments" in each.why for each in found)


def test_a_lack_of_memory_is_no_fault_of_a_directory(left: Outputs, monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(*_: Any) -> None:
        raise MemoryError

    left.leave()
    monkeypatch.setattr(output_reader, "_output", none_left)
    with pytest.raises(MemoryError):
        read(left)


def test_what_an_earlier_run_saw_does_not_count(left: Outputs) -> None:
    left.leave("alice", seen=seen(exempt_user("git-a")), days=1)
    left.leave("alice")
    assert [each.seen for each in read(left)] == [None]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        pytest.param("[", "is no JSON", id="torn"),
        pytest.param("[]", "must be an object", id="list"),
        pytest.param(
            replace(seen(), rules=()).content().replace("[]", "[{}]", 1), "exactly one of", id="no-rule"
        ),
        pytest.param(
            seen(exempt_user("x")).content().replace('"rule":0', '"rule":7'),
            "exempt without a rule",
            id="rule-7",
        ),
        pytest.param(
            seen(exempt_user("x")).content().replace('"rule":0', '"rule":0,"more":[7]'),
            "exempt without a rule",
            id="more-7",
        ),
        pytest.param(
            seen(replace(exempt_user("x"), rule=None)).content(), "exempt without a rule", id="by-none"
        ),
        pytest.param(seen(seen_user("x", rule=0)).content(), "exempt without a rule", id="not-exempt"),
        pytest.param(
            seen().content().replace('"texts":[', '"texts":[],"more":['), "more", id="unknown-member"
        ),
        *(
            pytest.param(
                re.sub(r'"reason":\d+', f'"reason":{number}', seen().content()),
                "the number of a rule refers to no text",
                id=name,
            )
            for name, number in (
                ("text-99", "99"),
                ("text-true", "true"),
                ("text-itself", '"why"'),
                ("text-below", "-1"),
            )
        ),
    ],
)
def test_a_list_of_seen_users_that_no_run_leaves(left: Outputs, content: str, told: str) -> None:
    left.leave("alice", files={SEEN: content})
    (found,) = read(left)
    assert found.state == UNREADABLE
    assert told in found.why


def test_rules_share_their_texts_once_read() -> None:
    """A hundred thousand rules may have one long reason: that each had a copy took gigabytes."""
    rules = [{"user": number + 1, "reason": 0, "owner": 0, "expires": "2027-01-01"} for number in range(100)]
    data: dict[str, Any] = {
        "execution": "",
        "complete": True,
        "texts": ["long " * 40, *(f"u{number}" for number in range(100))],
        "rules": rules,
        "users": [],
    }
    assert {id(told) for rule in parse_seen(data).rules for told in (rule.reason, rule.owner)} == {
        id(data["texts"][0])
    }
    with pytest.raises(ValueError, match="texts"):
        parse_seen({**data, "texts": ["x" * 513]})


def test_a_log_that_fills_the_memory_is_not_read_and_said(left: Outputs) -> None:
    packed = gzip.compress(b"a" * (65 << 20) + b" AccessDenied")
    directory = left.leave("alice", metrics=(), files={"custodian-run.log": None})
    (directory / "custodian-run.log.gz").write_bytes(packed)
    tracemalloc.start()
    (found,) = read(left)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.state == UNREADABLE
    assert (
        "custodian-run.log.gz is not read: it has more than 67108864 bytes when it is unpacked" in found.why
    )
    assert peak < 16 << 20


@pytest.mark.parametrize("name", ["outcomes.json", "resources.json", "journal.jsonl"])
def test_a_file_that_lies_there_twice_is_not_read(left: Outputs, name: str) -> None:
    directory = left.leave("alice", outcomes=[outcome("alice", "deleted")])
    (directory / name).touch()
    (directory / f"{name}.gz").write_bytes(gzip.compress(b"[]"))
    (found,) = read(left)
    assert found.state == UNREADABLE
    assert f"{name} lies here twice" in found.why


def test_a_run_without_a_date_has_that_of_its_other_accounts(left: Outputs) -> None:
    left.leave("alice", days=2)
    left.leave(name="research", files=PARTS)
    assert {each.name: each.time for each in read(left)}["research"] == datetime.fromisoformat(
        "2026-11-23T12:00:00+00:00"
    )


def test_each_account_has_one_vote_on_the_time_of_a_run(left: Outputs) -> None:
    """What it says of the time decides for no other: a killed run that counts as an old one would be missed."""
    for number in range(5):
        region = left.root / "payments" / f"us-west-{number}"
        region.mkdir(parents=True)
        left.leave("alice", name="payments", days=9999).rename(region / FLAG)
    left.leave("bob", name="platform", account="777788889999", days=1)
    left.leave(name="research", files=PARTS)
    times = {each.name: each.time for each in read(left)}
    assert times["research"] == times["platform"]


def test_a_run_in_a_bucket_did_not_begin_before_the_hour_of_its_directory(left: Outputs) -> None:
    hour = left.root / "payments" / "us-east-1" / FLAG
    left.leave("alice", days=9999)
    of_hour = left.root / "x"
    hour.rename(of_hour)
    (hour / "2026/11/25").mkdir(parents=True)
    of_hour.rename(hour / "2026/11/25/10")
    killed = left.root / "research" / "us-east-1" / FLAG / "2026/11/25/10"
    killed.mkdir(parents=True)
    (killed / "custodian-run.log").write_text("x")
    assert {each.name: each.time for each in read(left)}["research"] == datetime.fromisoformat(
        "2026-11-25T10:00:00+00:00"
    )


def test_outcomes_of_provisioning_and_of_a_killed_run_count(left: Outputs) -> None:
    row = {**outcome("bob", "provisioned"), "history": [outcome("bob", "failed", days=1)]}
    result = json.dumps({"schema": 1, "assignments": [], "users": [outcome("carol", "unchanged")]})
    directory = left.leave(
        "alice", policy=DELETE, outcomes=[row], files={"identity-center-result.json": result}
    )
    with Journal(directory / "journal.jsonl", lambda: NOW) as journal:
        journal.write(ALICE, BEFORE, service="iam", operation="PutUserPolicy")
    (found,) = read(left)
    assert [(each["user"], each["status"]) for each in found.rows] == [
        ("bob", "provisioned"),
        ("carol", "unchanged"),
        ("alice", USER_FAILED),
    ]
    assert "our Deny-all locks it out" in found.rows[2]["reason"]
    assert (found.rows[2]["unique_id"], found.rows[2]["time"]) == ("AIDAALICE", NOW.isoformat())


BROKEN: dict[str, tuple[str, Any]] = {
    "journal": (
        "journal.jsonl",
        {
            "time": "2026-01-01T00:00:00+00:00",
            "user": "x",
            "arn": "x",
            "unique_id": "AIDAX",
            "phase": "before",
        },
    ),
    "outcomes": ("outcomes.json", [{"arn": ALICE.arn, "status": "deleted", "unique_id": {}}]),
    "a deletion by provisioning": (
        "identity-center-result.json",
        {"users": [{"arn": ALICE.arn, "status": "deleted", "unique_id": "AIDAALICE"}]},
    ),
    "an earlier outcome of provisioning": (
        "identity-center-result.json",
        {"users": [{"arn": ALICE.arn, "status": "failed", "history": [{"status": "deleted"}]}]},
    ),
    "policy": ("metadata.json", {"policy": {"name": [], "resource": []}, "config": {}, "execution": {}}),
    "metrics": (
        "metadata.json",
        {"policy": {}, "config": {}, "execution": {}, "metrics": [{"MetricName": {}}]},
    ),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_what_no_run_leaves_makes_its_account_unreadable_and_no_other(left: Outputs, broken: str) -> None:
    left.leave("alice", name="payments")
    place = left.leave("alice", name="research")
    name, content = BROKEN[broken]
    (place / name).write_text(json.dumps(content))
    assert {each.name: each.state for each in read(left)} == {"payments": RAN, "research": UNREADABLE}


def test_an_error_that_nobody_foresaw_makes_its_account_unreadable_and_no_other(
    left: Outputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    left.leave("alice", name="payments")
    left.leave("alice", name="research")

    def rows(files: Any, _: Any) -> Any:
        return () if "payments" in str(files.directory) else [][1]

    monkeypatch.setattr(output_reader, "_rows", rows)
    found = {each.name: each for each in read(left)}
    assert (found["payments"].state, found["research"].state) == (RAN, UNREADABLE)
    assert "holds what no run leaves: IndexError" in found["research"].why


OURS, THEIRS = (
    outcome("alice", "deleted"),
    json.loads(in_account(OTHER_ACCOUNT, json.dumps(outcome("eve", "deleted")))),
)
NAMED = {"payments": ACCOUNT, "research": OTHER_ACCOUNT}


def journaled(*rows: dict[str, Any]) -> str:
    """Lines of calls of users."""
    who = ("user", "arn", "unique_id", "time")
    call = {"phase": BEFORE, "service": "iam", "operation": "DeleteUser"}
    return "".join(f"{json.dumps({**{key: row[key] for key in who}, **call})}\n" for row in rows)


@pytest.mark.parametrize(
    ("where", "known", "files", "believed"),
    [
        pytest.param("research/us-east-1/p", NAMED, {"outcomes.json": [THEIRS, OURS]}, ["eve"], id="row"),
        pytest.param(
            f"realtime/{OTHER_ACCOUNT}/us-east-1/p",
            {},
            {"outcomes.json": [THEIRS, OURS]},
            ["eve"],
            id="by-its-id",
        ),
        pytest.param(
            f"realtime/{OTHER_ACCOUNT}/payments/us-east-1/p",
            NAMED,
            {"outcomes.json": [OURS]},
            [],
            id="named-as-ours",
        ),
        pytest.param(
            "research/us-east-1/p",
            NAMED,
            {"metadata.json": metadata("p", ACCOUNT, 0, ["ResourceCount"]), "outcomes.json": [OURS]},
            [],
            id="metadata-too",
        ),
        pytest.param(
            "research/us-east-1/p",
            {},
            {"metadata.json": metadata("p", OTHER_ACCOUNT, 0, ["ResourceCount"]), "outcomes.json": [OURS]},
            [],
            id="without-accounts-file",
        ),
        pytest.param(
            "research/us-east-1/p", NAMED, {"resources.json": [resource("alice")]}, [], id="selected"
        ),
        pytest.param(
            "research/us-east-1/p",
            NAMED,
            {"resources.json": [{**resource("alice"), "arn": THEIRS["arn"]}]},
            [],
            id="selected-with-two-arns",
        ),
        pytest.param(
            "research/us-east-1/p", NAMED, {"journal.jsonl": journaled(THEIRS, OURS)}, ["eve"], id="line"
        ),
        pytest.param(
            "research/us-east-1/p", NAMED, {"restore-journal.jsonl": journaled(OURS)}, [], id="restoration"
        ),
        pytest.param(
            "research/us-east-1/p",
            NAMED,
            {"identity-center-result.json": {"users": [{**OURS, "status": "provisioned"}]}},
            [],
            id="provisioned",
        ),
        pytest.param(
            "research/us-east-1/p",
            NAMED,
            {
                "metadata.json": metadata("p", OTHER_ACCOUNT, 0, ["ResourceCount"]),
                SEEN: seen_in(seen(seen_user("alice")), "p", OTHER_ACCOUNT, 0),
            },
            [],
            id="seen",
        ),
    ],
)
def test_what_an_account_s_output_tells_of_another_s_users_is_named_and_believed_by_nobody(
    left: Outputs, where: str, known: dict[str, str], files: dict[str, Any], believed: list[str]
) -> None:
    directory = left.root / where
    directory.mkdir(parents=True)
    for name, content in files.items():
        (directory / name).write_text(content if isinstance(content, str) else json.dumps(content))
    if OUTCOMES not in files:
        (directory / OUTCOMES).write_text("[]")
    (found,) = read_outputs(DirectoryStore(left.root), known)
    assert (found.state, found.account) == (UNREADABLE, OTHER_ACCOUNT)
    assert ACCOUNT in found.why
    assert OTHER_ACCOUNT in found.why
    assert found.of_others
    assert [row["user"] for row in found.rows] == believed
    assert not found.users
    assert not (found.seen and found.seen.users)


@pytest.mark.parametrize("above", ["", "flag/", "removal/2026/"])
@pytest.mark.parametrize("own", ["research", OTHER_ACCOUNT])
@pytest.mark.parametrize(
    "below",
    [
        *(
            "",
            "/p",
            "/us-east-1/p",
            "/payments",
            "/payments/us-east-1/p",
            f"/{ACCOUNT}",
            f"/us-east-1/{ACCOUNT}/p",
        ),
        *("/2026/12/02/20", "/p/2026/12/02/20", "/us-east-1", "/flag/payments/us-east-1/p"),
    ],
)
def test_wherever_in_an_account_s_part_it_lies_it_is_that_account_s(
    left: Outputs, above: str, own: str, below: str
) -> None:
    directory = left.root / f"{above}{own}{below}"
    directory.mkdir(parents=True)
    (directory / OUTCOMES).write_text(json.dumps([OURS]))
    (found,) = read_outputs(DirectoryStore(left.root), NAMED)
    assert (found.account, found.rows) == (OTHER_ACCOUNT, ())
    assert found.of_others


@pytest.mark.parametrize(
    ("where", "known"),
    [
        pytest.param("p", {}, id="custodian-one-account-after-another"),
        pytest.param("202611301200/p", {}, id="below-a-minute"),
        pytest.param(f"payments/us-east-1/{ACCOUNT}/p", NAMED, id="in-a-bucket"),
        pytest.param(f"{ACCOUNT}/us-east-1/p", {ACCOUNT: ACCOUNT}, id="named-by-its-id"),
        pytest.param(f"realtime/output/{ACCOUNT}/{ACCOUNT}/p", NAMED, id="function"),
    ],
)
def test_what_honest_runs_leave_is_of_nobody_else(left: Outputs, where: str, known: dict[str, str]) -> None:
    directory = left.root / where
    directory.mkdir(parents=True)
    rows = [OURS] if ACCOUNT in where else [OURS, THEIRS]
    (directory / OUTCOMES).write_text(json.dumps(rows))
    (directory / "metadata.json").write_text(json.dumps(metadata("p", ACCOUNT, 0, ["ResourceCount"])))
    (directory / "resources.json").write_text(json.dumps([resource("alice")]))
    (found,) = read_outputs(DirectoryStore(left.root), known)
    assert (found.state, found.account, found.of_others, len(found.rows)) == (RAN, ACCOUNT, (), len(rows))


def test_policies_on_other_resources_are_passed_over(left: Outputs) -> None:
    left.leave("alice")
    other = json.dumps(metadata("buckets", ACCOUNT, 0, ["ResourceCount"], resource="aws.s3"))
    left.leave(policy="buckets", files={"metadata.json": other, "resources.json": '[{"Name": "b"}]'})
    assert [each.policy for each in read(left)] == [FLAG]


@pytest.mark.parametrize(
    "files",
    [
        pytest.param({}, id="empty"),
        pytest.param({"notes/readme.txt": "hello"}, id="other-files"),
        pytest.param({"a/journal.jsonl": ""}, id="a-journal-alone"),
        pytest.param({"identity-center-runs/1/result.json": "{}"}, id="runs-of-provision"),
        pytest.param(
            {"b/metadata.json": json.dumps(metadata("b", ACCOUNT, 0, [], resource="aws.s3"))},
            id="other-resources",
        ),
    ],
)
def test_a_directory_that_is_no_output_is_refused_with_the_remedy(
    tmp_path: Path, files: dict[str, str]
) -> None:
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True)
        path.write_text(content)
    with pytest.raises(OutputUnreadable, match=rf"{tmp_path} holds .*give -s"):
        read_outputs(DirectoryStore(tmp_path))


def test_a_link_where_a_run_writes_a_file_is_named(left: Outputs, tmp_path: Path) -> None:
    directory = left.leave("alice", files={"outcomes.json": None})
    (directory / "outcomes.json").symlink_to("/etc/hostname")
    (found,) = read(left)
    assert found.state == UNREADABLE
    assert "outcomes.json is a symbolic link" in found.why


def test_outputs_in_a_bucket(org: LocalOrg, left: Outputs) -> None:
    left.leave("alice", policy=f"{DELETE}/2026/11/25/10", files={"outcomes.json": None})
    left.compress()
    s3 = org.client("s3")
    s3.create_bucket(Bucket="outputs")
    store = BucketStore(s3, "outputs", "run", {})
    for path in left.root.rglob("*.gz"):
        store.create(str(path.relative_to(left.root)), path.read_bytes())
    ours = BucketStore(s3, "outputs", f"run/payments/us-east-1/{ACCOUNT}/{DELETE}", {})
    ours.create("outcomes.json", json.dumps([outcome("bob", "deleted")]).encode())
    journal = BucketJournal(ours, lambda: NOW)
    journal.write(ALICE, BEFORE, service="iam", operation="DeleteAccessKey")
    journal.write(ALICE, AFTER, service="iam", operation="DeleteAccessKey", result="done")
    record, run = read_outputs(store)
    assert (run.state, run.account, run.name, len(run.users or ())) == (RAN, ACCOUNT, "payments", 1)
    assert (record.state, record.account, record.policy) == ("", ACCOUNT, DELETE)
    assert [(each["user"], each["status"]) for each in record.rows] == [
        ("bob", "deleted"),
        ("alice", "failed"),
    ]
    torn = BucketStore(s3, "outputs", "run/research/us-east-1/p/2026/11/25/10", {})
    torn.create("resources.json.gz", b"no gzip")
    assert {each.name: each.state for each in read_outputs(store)}["research"] == UNREADABLE
