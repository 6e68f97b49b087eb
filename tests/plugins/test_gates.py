# SPDX-License-Identifier: Apache-2.0
"""What people change between two users' turns counts for the second one. Time passes when a test says so."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from c7n.exceptions import PolicyExecutionError

from aws_local_org import LocalOrg
from c7n_iamusers.deletion.reviewed_plan import DeletionPlan
from c7n_iamusers.execution.journal import utc_now
from c7n_iamusers.execution.retries import Backoff
from c7n_iamusers.identity_center.aws.instance import connect
from c7n_iamusers.lockout.deny_all import DENY_ALL_NAME
from c7n_iamusers.plugins.user_action import UserAction
from c7n_iamusers.safeguards.gate_readings import Calls
from c7n_iamusers.snapshots.user_records import UserRecords
from tests.desired import intents
from tests.fakes import client_error
from tests.gateway import Gateway, operation
from tests.identity_center.fleet_rehearsal import FleetRehearsal
from tests.interference import deny, on_call
from tests.plugins.deletions import NAME, outcomes
from tests.plugins.test_identity_center import FILTER
from tests.plugins.test_notify_owners import action, age
from tests.policies import ACCOUNT, policy

BUCKET = "governance"
HEADER = "user,reason,expires\n"
CAROL, BOB = "carol,a test,2999-12-31\n", "bob,a test,2999-12-31\n"
KINDS = {"composite-delete": "deleted", "quarantine": "quarantined"}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class Clock:
    """Seconds, which pass when a test says so."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Clock:
    found = Clock()
    monkeypatch.setattr("c7n_iamusers.plugins.gates.CLOCK", found)
    monkeypatch.setattr(UserAction, "max_workers", 1)
    monkeypatch.chdir(tmp_path)
    return found


@pytest.fixture
def iam(org: LocalOrg) -> Any:
    """Three users, who have their turns in this order."""
    org.client("s3").create_bucket(Bucket=BUCKET)
    client = org.client("iam", ACCOUNT)
    for name in ("alice", "bob", "carol"):
        client.create_user(UserName=name, Tags=[{"Key": "Email", "Value": f"{name}@example.com"}])
        client.create_access_key(UserName=name)
    return client


#: Has something happen right before alice's first change; the next user's turn is so many seconds later.
Between = Callable[..., None]


@pytest.fixture
def between(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> Between:
    def happening(happens: Callable[[], object], seconds: float = 31) -> None:
        events = iter([happens])

        def happen() -> None:
            if event := next(events, None):
                event()
                clock.now += seconds

        on_call(monkeypatch, "PutUserPolicy", happen)

    return happening


def run(output: Path, kind: str, exempt: Any = "none", *filters: Any, **options: Any) -> dict[str, Any]:
    """The outcomes by user name."""
    key = "exempt" if exempt == "none" or isinstance(exempt, list) else "exempt-from"
    given = [{"type": "unnecessary", key: exempt}, *filters]
    try:
        policy({"filters": given, "actions": [{"type": kind, **options}]}, output).run()
    except PolicyExecutionError:
        if not (output / NAME / "outcomes.json").exists():
            raise
    return outcomes(output)


def statuses(rows: dict[str, Any]) -> dict[str, str]:
    return {name: row["status"] for name, row in rows.items()}


class Lists(BaseHTTPRequestHandler):
    """Serves the list of exemptions."""

    content = b""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(Lists.content)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Lists)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/exemptions.csv"
    server.shutdown()
    thread.join()
    server.server_close()


def write_list(org: LocalOrg, place: str, text: str) -> None:
    if place.startswith("s3://"):
        org.client("s3").put_object(Bucket=BUCKET, Key="exemptions.csv", Body=text.encode())
    elif place.startswith("http"):
        Lists.content = text.encode()
    else:
        Path(place).write_text(text)


@pytest.mark.parametrize("place", ["exemptions.csv", f"s3://{BUCKET}/exemptions.csv", "http"])
def test_an_exemption_between_two_turns_spares_the_second_user(
    org: LocalOrg, iam: Any, tmp_path: Path, kind: str, place: str, url: str, between: Between
) -> None:
    place = url if place == "http" else place
    write_list(org, place, HEADER + CAROL)
    between(lambda: write_list(org, place, HEADER + CAROL + BOB))
    rows = run(tmp_path, kind, place)
    assert statuses(rows) == {"alice": KINDS[kind], "bob": "skipped"}
    assert rows["bob"]["reason"].startswith("exempt by user 'bob'")
    assert rows["bob"]["calls"] == 0


def test_a_list_that_is_broken_between_two_turns_leaves_the_others_alone(
    org: LocalOrg, iam: Any, tmp_path: Path, kind: str, between: Between
) -> None:
    write_list(org, "exemptions.csv", HEADER + "nobody,a test,2999-12-31\n")
    between(lambda: write_list(org, "exemptions.csv", "cut off"))
    rows = run(tmp_path, kind, "exemptions.csv")
    assert statuses(rows) == {"alice": KINDS[kind], "bob": "failed", "carol": "failed"}
    for name in ("bob", "carol"):
        assert rows[name]["calls"] == 0
        assert "the exemptions can't be read again" in rows[name]["reason"]
        assert "was not touched: run again" in rows[name]["reason"]


def announce(place: str, **options: Any) -> None:
    """Announce all users, as if that had been thirty days ago."""
    filters = [{"type": "unnecessary", "exempt": "none"}]
    policy({"filters": filters, "actions": [action(place, **options)]}).run()


def records(org: LocalOrg, place: str) -> tuple[str, dict[str, Any]]:
    """The name and content of the announcement in a bucket or directory."""
    if place.startswith("s3://"):
        listed = org.client("s3").list_objects_v2(Bucket=BUCKET, Prefix=f"notices/{ACCOUNT}/2")
        (key,) = (each["Key"] for each in listed["Contents"])
        return key, json.loads(org.client("s3").get_object(Bucket=BUCKET, Key=key)["Body"].read())
    (path,) = (Path(place) / ACCOUNT).glob("*.json")
    return str(path), json.loads(path.read_text())


def put(org: LocalOrg, place: str, name: str, content: str) -> None:
    if place.startswith("s3://"):
        org.client("s3").put_object(Bucket=BUCKET, Key=name, Body=content.encode())
    else:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(content)


def change(org: LocalOrg, place: str, **members: Any) -> None:
    name, data = records(org, place)
    put(org, place, name, json.dumps({**data, **members}))


def back(org: LocalOrg, place: str) -> None:
    """As if the users had been announced long ago, for a day that has come."""
    change(org, place, time="2026-01-02T00:00:00Z", day="2099-01-01")
    name, data = records(org, place)
    today = _today()
    put(org, place, name, json.dumps({**data, "day": today, "credentials-stop": today}))


def _today() -> str:
    return utc_now().date().isoformat()


PLACES = ["notices", f"s3://{BUCKET}/notices"]


@pytest.mark.parametrize("place", PLACES)
def test_a_day_that_is_moved_between_two_turns_counts(
    org: LocalOrg, iam: Any, tmp_path: Path, kind: str, place: str, between: Between
) -> None:
    announce(place)
    back(org, place)
    moved = {"day": "2099-01-01", "credentials-stop": "2098-12-18"}
    between(lambda: change(org, place, **moved))
    rows = run(tmp_path, kind, noticed=30, notices=place)
    assert statuses(rows) == {"alice": KINDS[kind], "bob": "skipped", "carol": "skipped"}
    assert "is yet to come: announced on" in rows["bob"]["reason"]


def exempted(org: LocalOrg, iam: Any, place: str) -> None:
    """Another run records that bob is exempt."""
    user = iam.get_user(UserName="bob")["User"]
    entry = {"user": "bob", "arn": user["Arn"], "unique-id": user["UserId"], "field": "user", "pattern": "b*"}
    text = json.dumps({"account": ACCOUNT, "time": f"{_today()}T00:00:00Z", "exempt": [entry]})
    put(org, place, f"notices/exempt/{ACCOUNT}/20990101T000000000000Z.json", text)


@pytest.mark.parametrize("place", PLACES)
def test_an_exemption_that_is_recorded_between_two_turns_voids_the_announcement(
    org: LocalOrg, iam: Any, tmp_path: Path, kind: str, place: str, between: Between
) -> None:
    announce(place)
    back(org, place)
    between(lambda: exempted(org, iam, place))
    rows = run(tmp_path, kind, noticed=30, notices=place)
    assert statuses(rows) == {"alice": KINDS[kind], "bob": "skipped", "carol": KINDS[kind]}
    assert "it was exempt on" in rows["bob"]["reason"]
    assert "was not announced since" in rows["bob"]["reason"]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", ["STOP", " sToP.txt", f"{ACCOUNT}/stop"])
def test_a_stop_between_two_turns_stops_the_second_user(
    org: LocalOrg, iam: Any, tmp_path: Path, kind: str, place: str, name: str, between: Between
) -> None:
    announce(place)
    back(org, place)
    between(lambda: put(org, place, f"notices/{name}", ""))
    rows = run(tmp_path, kind, noticed=30, notices=place)
    assert statuses(rows) == {"alice": KINDS[kind], "bob": "failed", "carol": "failed"}
    assert (rows["bob"]["code"], rows["bob"]["calls"]) == ("Stopped", 0)
    assert f"{name} stops every destructive action" in rows["bob"]["reason"]


@pytest.mark.parametrize(
    ("code", "status", "calls"),
    [
        pytest.param("Throttling", "skipped", 1, id="throttled"),
        pytest.param("AccessDenied", "skipped", 1, id="refused-in-this-form"),
        pytest.param("ServiceFailure", "failed", 1, id="no-answer"),
    ],
)
def test_what_changes_while_the_first_call_is_tried_counts(
    org: LocalOrg,
    iam: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    clock: Clock,
    kind: str,
    code: str,
    status: str,
    calls: int,
) -> None:
    write_list(org, "exemptions.csv", HEADER + CAROL)
    monkeypatch.setattr(Backoff, "delays", lambda _: iter([0.0, 0.0]))
    tries = iter(["alice", "bob"])

    def happen() -> None:
        if next(tries, None) == "bob":
            write_list(org, "exemptions.csv", HEADER + CAROL + BOB)
            clock.now += 31
            raise client_error(code)

    on_call(monkeypatch, "PutUserPolicy", happen)
    rows = run(tmp_path, kind, "exemptions.csv")
    assert statuses(rows) == {"alice": KINDS[kind], "bob": status}
    assert "exempt by" in rows["bob"]["reason"]
    assert rows["bob"]["calls"] == calls
    assert "bob" in {user["UserName"] for user in iam.list_users()["Users"]}
    assert iam.list_attached_user_policies(UserName="bob")["AttachedPolicies"] == []
    assert iam.list_access_keys(UserName="bob")["AccessKeyMetadata"][0]["Status"] == "Active"


@pytest.mark.parametrize("applied", [True, False], ids=["lifted", "not-lifted"])
def test_the_deny_is_put_back_on_a_user_who_is_spared_while_the_answer_to_its_lifting_is_lost(
    org: LocalOrg, iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock, applied: bool
) -> None:
    write_list(org, "exemptions.csv", HEADER + CAROL)
    monkeypatch.setattr(Backoff, "delays", lambda _: iter([0.0, 0.0]))
    with monkeypatch.context() as patch:
        deny(patch, "DeleteUserPolicy")
        run(tmp_path, "composite-delete", "exemptions.csv")
    assert iam.list_access_keys(UserName="bob")["AccessKeyMetadata"] == []

    lifting = operation("DeleteUserPolicy")

    def spared(url: str, text: str) -> bool:
        if not lifting(url, text) or "UserName=bob" not in text:
            return False
        write_list(org, "exemptions.csv", HEADER + CAROL + BOB)
        clock.now += 31
        return True

    with monkeypatch.context() as patch:
        gateway = Gateway("504-html", spared, applied, times=1).install(patch)
        rows = run(tmp_path, "composite-delete", "exemptions.csv")
    assert gateway.seen == 1
    assert statuses(rows) == {"alice": "deleted", "bob": "failed"}
    assert "exempt by" in rows["bob"]["reason"]
    assert "it is locked out by our Deny-all" in rows["bob"]["reason"]
    assert iam.list_user_policies(UserName="bob")["PolicyNames"] == [DENY_ALL_NAME]


def test_what_changes_between_judgement_and_first_change_counts(
    org: LocalOrg, iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock, kind: str
) -> None:
    write_list(org, "exemptions.csv", HEADER + CAROL)
    keep = UserRecords.keep

    def slow(self: UserRecords, found: Any) -> None:
        keep(self, found)
        if found.user.name == "bob":
            write_list(org, "exemptions.csv", HEADER + CAROL + BOB)
            clock.now += 31

    monkeypatch.setattr(UserRecords, "keep", slow)
    rows = run(tmp_path, kind, "exemptions.csv")
    assert statuses(rows) == {"alice": KINDS[kind], "bob": "skipped"}
    assert (rows["bob"]["reason"][:9], rows["bob"]["calls"]) == ("exempt by", 0)


@pytest.mark.parametrize(
    "exempt",
    ["none", [{"user": "carol", "reason": "a test", "expires": "2999-12-31"}]],
    ids=["nobody-exempt", "exempt"],
)
def test_what_is_announced_counts_no_more_once_the_record_of_the_exempt_is_removed(
    org: LocalOrg, iam: Any, tmp_path: Path, kind: str, exempt: Any
) -> None:
    announce("notices")
    back(org, "notices")
    (record,) = (tmp_path / "notices" / "exempt" / ACCOUNT).iterdir()
    record.unlink()
    with pytest.raises(PolicyExecutionError, match=r"no record of exempt users.*Nothing was touched"):
        run(tmp_path / "output", kind, exempt, noticed=30, notices="notices")
    with pytest.raises(PolicyExecutionError, match=r"no record of exempt users"):
        policy({"filters": [{"type": "unnecessary", "exempt": exempt}], "actions": [action("notices")]}).run()
    assert not record.exists()


def test_a_deletion_that_spares_an_exempt_user_voids_its_announcement(
    org: LocalOrg, iam: Any, tmp_path: Path, kind: str
) -> None:
    """Although no announcement ran while the user was exempt."""
    announce("notices")
    back(org, "notices")
    rules = [{"user": "bob", "reason": "a test", "expires": "2999-12-31"}]
    options = {"noticed": 30, "notices": "notices"}
    assert set(run(tmp_path / "first", kind, rules, **options)) == {"alice", "carol"}
    rows = run(tmp_path / "second", kind, **options)
    assert (rows["bob"]["status"], rows["bob"]["reason"][:16]) == ("skipped", "it was exempt on")


@pytest.mark.parametrize(
    "later",
    [
        pytest.param([], id="removed"),
        pytest.param([{"user": "bob", "expires": "2020-01-01"}], id="expired"),
        pytest.param([{"user": "bob", "expires": "2999-12-31", "account": "dev-*"}], id="of-other-accounts"),
        pytest.param([{"tag": "Team=*", "expires": "2999-12-31"}], id="another-pattern"),
    ],
)
def test_an_exemption_after_an_announcement_voids_it_whatever_became_of_the_rule(
    org: LocalOrg, iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, later: Any
) -> None:
    monkeypatch.setattr("c7n_iamusers.plugins.policy_checks.account_name", lambda _: "payments")
    announce("notices")
    back(org, "notices")
    rules = [{"user": "bob", "reason": "a test", "expires": "2999-12-31"}]
    filters = [{"type": "unnecessary", "exempt": rules}]
    policy({"filters": filters, "actions": [action("notices")]}).run()
    then = [{"reason": "a test", **each} for each in later] or "none"
    rows = run(tmp_path / "output", kind, then, noticed=30, notices="notices")
    assert statuses(rows) == {"alice": KINDS[kind], "bob": "skipped", "carol": KINDS[kind]}
    assert "announces it again" in rows["bob"]["reason"]
    filters = [{"type": "unnecessary", "exempt": then}]
    policy({"filters": filters, "actions": [action("notices")]}).run()
    age(tmp_path / "notices" / ACCOUNT, 30)
    age(tmp_path / "notices" / "exempt" / ACCOUNT, 31)
    rows = run(tmp_path / "output", kind, then, noticed=30, notices="notices")
    assert rows["bob"]["status"] == KINDS[kind]


@pytest.mark.parametrize("users", [2, 12])
def test_no_call_is_made_for_a_single_user(
    org: LocalOrg, iam: Any, tmp_path: Path, kind: str, users: int
) -> None:
    for number in range(users):
        iam.create_user(UserName=f"user-{number:03}")
    place = f"s3://{BUCKET}/notices"
    announce(place)
    back(org, place)
    write_list(org, f"s3://{BUCKET}/exemptions.csv", HEADER + CAROL)
    org.clear_calls()
    rows = run(tmp_path, kind, f"s3://{BUCKET}/exemptions.csv", noticed=30, notices=place)
    assert set(statuses(rows).values()) == {KINDS[kind]}
    calls = Counter(each.operation for each in org.calls if each.service == "s3")
    # by the filter: the list, and that carol is exempt; by the action: the list, what is beside the notices, the record
    # that is new
    of_filter, of_action = (
        Counter(GetObject=2, ListObjectsV2=2, PutObject=1),
        Counter(GetObject=2, ListObjectsV2=3),
    )
    assert calls == of_filter + of_action + Counter(GetObject=1)


@pytest.fixture
def fleet(org: LocalOrg, iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FleetRehearsal:
    """All three have access through one group."""
    monkeypatch.setattr("c7n_iamusers.plugins.access_gate.connect", partial(connect, per_second=1000))
    org.configure(assignment_seconds=0)
    found = FleetRehearsal(org, tmp_path / "fleet")
    found.leave(intents(ACCOUNT, "alice", "bob", "carol"))
    assert found.run() == []
    return found


def leave_group(fleet: FleetRehearsal, name: str) -> None:
    store = fleet.instance.store
    (user,) = (
        each for each, entry in store.users.items() if entry.attributes["UserName"] == f"{name}@example.com"
    )
    (held,) = (each.id for each in store.memberships.values() if each.user_id == user)
    people = fleet.org.client("identitystore")
    people.delete_group_membership(IdentityStoreId=store.id, MembershipId=held)


def unassign(fleet: FleetRehearsal) -> None:
    (held,) = fleet.instance.assignments
    fleet.org.client("sso-admin").delete_account_assignment(
        InstanceArn=fleet.instance.arn,
        TargetId=held.account_id,
        TargetType="AWS_ACCOUNT",
        PermissionSetArn=held.permission_set_arn,
        PrincipalType=held.principal_type,
        PrincipalId=held.principal_id,
    )


@pytest.mark.parametrize(
    ("happens", "left"),
    [
        pytest.param(lambda fleet: leave_group(fleet, "bob"), {"bob"}, id="member"),
        pytest.param(unassign, {"bob", "carol"}, id="assignment"),
    ],
)
def test_access_that_ends_between_two_turns_spares_the_second_user(
    fleet: FleetRehearsal,
    tmp_path: Path,
    happens: Callable[[FleetRehearsal], None],
    left: set[str],
    between: Between,
) -> None:
    given = {**FILTER, "state": "provisioned", "permission-set": "Readers", "records": str(fleet.output)}
    between(lambda: happens(fleet))
    rows = run(tmp_path, "composite-delete", "none", given, require="provisioned")
    assert {name for name, row in rows.items() if row["status"] == "skipped"} == left
    assert all("does not hold Readers in account" in rows[name]["reason"] for name in left)
    assert {row["status"] for name, row in rows.items() if name not in left} == {"deleted"}


def test_access_that_can_not_be_read_again_leaves_the_others_alone(
    fleet: FleetRehearsal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, between: Between
) -> None:
    given = {**FILTER, "state": "provisioned", "permission-set": "Readers", "records": str(fleet.output)}
    between(lambda: deny(monkeypatch, "ListAccountAssignments"))
    rows = run(tmp_path, "composite-delete", "none", given, require="provisioned")
    assert statuses(rows) == {"alice": "deleted", "bob": "failed", "carol": "failed"}
    assert "the access through Identity Center can't be read again" in rows["bob"]["reason"]


def test_a_reading_of_access_takes_six_calls(
    fleet: FleetRehearsal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    """With those of the notices and of a list in S3, ten in all; and all of them are counted."""
    seen, made = list[Counter[str]](), list[int]()
    calls: list[Calls] = []

    class Counting(Calls):
        def __init__(self) -> None:
            super().__init__()
            calls.append(self)

    monkeypatch.setattr("c7n_iamusers.plugins.gates.Calls", Counting)

    def note() -> None:
        seen.append(Counter(each.operation for each in fleet.org.calls if each.service != "iam"))
        made.append(calls[0].made)
        clock.now += 31

    place, given = (
        f"s3://{BUCKET}/notices",
        {**FILTER, "state": "provisioned", "permission-set": "Readers", "records": str(fleet.output)},
    )
    announce(place)
    back(fleet.org, place)
    write_list(fleet.org, f"s3://{BUCKET}/exemptions.csv", HEADER + "nobody,a test,2999-12-31\n")
    on_call(monkeypatch, "PutUserPolicy", note)
    options = {"require": "provisioned", "noticed": 30, "notices": place}
    run(tmp_path, "composite-delete", f"s3://{BUCKET}/exemptions.csv", given, **options)
    assert len(seen) == 3
    assert seen[2] - seen[1] == {
        "GetObject": 1,
        "ListObjectsV2": 3,
        "ListAccountAssignmentDeletionStatus": 1,
        "ListPermissionSetsProvisionedToAccount": 2,
        "ListAccountAssignments": 1,
        "ListUsers": 1,
        "ListGroupMemberships": 1,
    }
    assert made[2] - made[1] == 10


def test_a_stop_does_not_stop_a_plan(org: LocalOrg, iam: Any, tmp_path: Path) -> None:
    announce("notices")
    back(org, "notices")
    for name in ("STOP", f"{ACCOUNT}/STOP"):
        (tmp_path / "notices" / name).touch()
    options = {"plan-only": True, "noticed": 30, "notices": "notices"}
    filters = [{"type": "unnecessary", "exempt": "none"}]
    policy({"filters": filters, "actions": [{"type": "composite-delete", **options}]}, tmp_path).run()
    plan = DeletionPlan.from_json((tmp_path / NAME / "deletion-plan.json").read_text())
    assert [each.skipped for each in plan.users] == [None, None, None]
