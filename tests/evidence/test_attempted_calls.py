# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import itertools
import json
from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from c7n_iamusers.evidence.attempted_calls import (
    ATTEMPTED,
    QUIET,
    SHOWN,
    UNOBSERVABLE,
    Attempt,
    Attempts,
    Gap,
    attempted_call,
    gaps_of,
    last_uses,
    records_of,
    service_uses,
    services_told,
)
from c7n_iamusers.evidence.event_history import (
    LARGEST,
    MOST_NAMES,
    MOST_RENAMES,
    Window,
    enabled_regions,
    former_names,
    read_events,
    read_services,
)
from c7n_iamusers.exceptions import EvidenceUnreadable
from c7n_iamusers.execution.retries import Backoff
from c7n_iamusers.iam.policy_documents import AppliedPolicy
from c7n_iamusers.iam.users import KeyUse
from tests.evidence_records import NOW, days_ago
from tests.fakes import ScriptedClient, client_error
from tests.records import ACCOUNT, user

pytestmark = pytest.mark.pure

ALICE = user()
SINCE = days_ago(7)
ARN = ALICE.arn
MINE = {"type": "IAMUser", "principalId": ALICE.unique_id, "arn": ARN, "accessKeyId": "AKIASECRETISH"}


def event(identity: dict[str, Any] = MINE, days: float = 1, **more: Any) -> dict[str, Any]:
    return {
        "eventTime": days_ago(days).isoformat(),
        "eventSource": "ec2.amazonaws.com",
        "eventName": "RunInstances",
        "awsRegion": "eu-west-1",
        "sourceIPAddress": "203.0.113.7",
        "errorCode": "AccessDenied",
        "userIdentity": identity,
        **more,
    }


@pytest.mark.parametrize(
    ("record", "attempted"),
    [
        pytest.param(event(), True, id="denied"),
        pytest.param(event(errorCode=None), True, id="succeeded"),
        pytest.param(event(days=8), False, id="before"),
        pytest.param(event({**MINE, "principalId": "AIDAOTHER"}), False, id="earlier-user-of-the-name"),
        pytest.param(event({"type": "AssumedRole", "principalId": "AROA:alice"}), False, id="role-session"),
        pytest.param(event({"type": "IAMUser", "arn": ARN}), True, id="no-id-but-arn"),
        pytest.param(
            event({"type": "IAMUser", "accountId": ACCOUNT, "userName": "alice"}), True, id="failed-sign-in"
        ),
        pytest.param(
            event({"type": "IAMUser", "accountId": ACCOUNT, "userName": "bob"}), False, id="of-another"
        ),
        pytest.param(
            event({"type": "FederatedUser", "sessionContext": {"sessionIssuer": MINE}}), True, id="federated"
        ),
        pytest.param(
            event(
                {
                    "type": "FederatedUser",
                    "sessionContext": {"sessionIssuer": {**MINE, "principalId": "AIDAO"}},
                }
            ),
            False,
            id="federated-by-another",
        ),
        pytest.param(event({"type": "AWSService", "invokedBy": "ec2.amazonaws.com"}), False, id="service"),
    ],
)
def test_whose_calls_they_are(record: dict[str, Any], attempted: bool) -> None:
    found = records_of([record], ALICE, SINCE)
    assert (bool(found.attempts), found.unclear) == (attempted, 0)


UNCLEAR = [
    pytest.param({**event(), "eventTime": "soon"}, id="no-time"),
    pytest.param({key: value for key, value in event().items() if key != "eventTime"}, id="time-missing"),
    pytest.param({**event(), "userIdentity": None}, id="no-identity"),
    pytest.param(event({}), id="no-type"),
    pytest.param(event({"type": "Unknown"}), id="unknown-type"),
    pytest.param(event({"type": "IAMUserOfTomorrow"}), id="new-type"),
    pytest.param(event({"type": "IAMUser", "userName": "alice"}), id="a-name-alone"),
    pytest.param(event({"type": "IAMUser"}), id="no-name"),
    pytest.param(event({"type": "IAMUser", "accountId": ACCOUNT}), id="an-account-alone"),
    pytest.param(event({"type": "FederatedUser", "sessionContext": None}), id="federated-by-nobody"),
]


@pytest.mark.parametrize("record", UNCLEAR)
def test_an_event_that_does_not_say_whose_it_is_or_when_is_a_gap(record: dict[str, Any]) -> None:
    found = records_of([record], ALICE, SINCE)
    assert (found.attempts, found.unclear) == ((), 1)
    (gap,) = read(east=lookups(page(record))).gaps
    assert gap.unread
    assert "do not say whose they are, or when" in gap.why


@pytest.mark.parametrize(
    ("record", "session"),
    [
        pytest.param(event(days=7.4, eventName="AssumeRole", errorCode=None), True, id="role"),
        pytest.param(event(days=7.4, eventName="SwitchRole", errorCode=None), True, id="console"),
        pytest.param(event(days=8.4, eventName="GetFederationToken", errorCode=None), True, id="federation"),
        pytest.param(event(days=7.6, eventName="AssumeRole", errorCode=None), False, id="over-before"),
        pytest.param(event(days=8.6, eventName="GetFederationToken", errorCode=None), False, id="over"),
        pytest.param(event(days=7.4, eventName="AssumeRole"), False, id="denied"),
        pytest.param(event(days=7.4, eventName="GetSessionToken", errorCode=None), False, id="as-itself"),
        pytest.param(
            event(
                {"type": "AssumedRole", "principalId": "AROA:alice"},
                7.4,
                eventName="AssumeRole",
                errorCode=None,
            ),
            False,
            id="of-a-role",
        ),
    ],
)
def test_a_session_that_began_before_goes_on_unheard(record: dict[str, Any], session: bool) -> None:
    found = read(east=lookups(page(record)))
    assert (found.attempts, found.covered) == ((), not session)
    assert [each.unread for each in found.gaps] == ([False] if session else [])
    assert all("it had a session by" in each.why for each in found.gaps)


def test_the_hours_before_are_read_too() -> None:
    east = lookups(page())
    read(east=east)
    assert [given["StartTime"] for _, given in east.calls] == [SINCE - timedelta(hours=36)]


def test_what_is_heard() -> None:
    (found,) = records_of([event()], ALICE, SINCE).attempts
    assert found == Attempt(
        "cloudtrail", days_ago(1), "ec2", "RunInstances", "eu-west-1", "203.0.113.7", "AccessDenied"
    )
    data = Attempts(SINCE, NOW, (found,)).as_data()
    assert "AKIASECRETISH" not in str(data)
    assert attempted_call(data) == (
        "ec2 RunInstances in eu-west-1 from 203.0.113.7 on 2026-11-23 12:00 UTC, AccessDenied (cloudtrail)"
    )


def test_the_newest_are_shown() -> None:
    many = tuple(Attempt("cloudtrail", days_ago(each), "iam") for each in range(1, 40))
    data = Attempts(SINCE, NOW, many).as_data()
    assert (data["count"], len(data["attempts"])) == (39, SHOWN)
    assert data["attempts"][0]["time"] == "2026-11-23T12:00:00+00:00"


@pytest.mark.parametrize(
    ("signed_in", "uses", "attempted"),
    [
        pytest.param(8, [KeyUse("AKIA1", days_ago(8), "s3", "eu-west-1")], [], id="before"),
        pytest.param(1, [], ["signin console sign-in on 2026-11-23 12:00 UTC (last-used)"], id="password"),
        pytest.param(
            None,
            [KeyUse("AKIA1", days_ago(1), "s3", "eu-west-1"), KeyUse("AKIA2", None)],
            ["s3 in eu-west-1 on 2026-11-23 12:00 UTC (last-used)"],
            id="key",
        ),
    ],
)
def test_last_uses(signed_in: float | None, uses: list[KeyUse], attempted: list[str]) -> None:
    subject = user()
    subject.detail["PasswordLastUsed"] = None if signed_in is None else days_ago(signed_in)  # type: ignore[index]
    assert [str(each) for each in last_uses(subject, uses, SINCE)] == attempted


INACTIVE = {"access_key": ({"AccessKeyId": "AKIA1", "Status": "Inactive"},)}


def allowing(*actions: str, **more: Any) -> AppliedPolicy:
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": "*", **more}
    return AppliedPolicy("p", document={"Version": "2012-10-17", "Statement": [statement]})


@pytest.mark.parametrize(
    ("held", "grants", "deactivated", "days", "expected"),
    [
        pytest.param({}, (), (), 7, [], id="none"),
        pytest.param({}, (allowing("ec2:*", "iam:Get*", "sts:AssumeRole"),), (), 7, [], id="management-only"),
        pytest.param({}, (allowing("s3:GetObject", "EC2:*"),), (), 7, ["allow s3, and"], id="data-events"),
        pytest.param({}, (allowing("*"),), (), 7, ["allow any service"], id="everything"),
        pytest.param({}, (allowing(NotAction="iam:*"),), (), 7, ["allow any service"], id="not-action"),
        pytest.param({}, (allowing("s3:*", Effect="Deny"),), (), 7, [], id="deny-allows-nothing"),
        pytest.param({}, (AppliedPolicy("p", document=None),), (), 7, ["could not all be read"], id="unread"),
        pytest.param(
            {},
            (AppliedPolicy("ReadOnlyAccess", "arn:aws:iam::aws:policy/ReadOnlyAccess"),),
            *((), 7, ["allow any service"]),
            id="aws-managed",
        ),
        pytest.param({}, None, (), 7, ["could not all be read"], id="unknown-groups"),
        pytest.param(INACTIVE, (), ("AKIA1",), 7, ["1 of its credentials are deactivated"], id="deactivated"),
        pytest.param(
            INACTIVE, (), (), 7, ["1 of its credentials are deactivated"], id="inactive-by-somebody"
        ),
        pytest.param({}, (), ("AKIA1",), 7, ["1 of its credentials were deleted"], id="deleted-since"),
        pytest.param(
            {"ssh_public_key": ({"SSHPublicKeyId": "APKA1", "Status": "Active"},)},
            *((), (), 7, ["the use of its 1 SSH keys"]),
            id="ssh",
        ),
        pytest.param(
            {"service_specific_credential": ({"ServiceSpecificCredentialId": "A", "Status": "Inactive"},)},
            *((), (), 7, ["1 of its credentials are deactivated"]),
            id="inactive-credential",
        ),
        pytest.param(
            {"service_specific_credential": ({"ServiceSpecificCredentialId": "A", "Status": "Expired"},)},
            *((), (), 7, ["1 of its credentials are deactivated"]),
            id="expired",
        ),
        pytest.param(
            {}, (allowing("s3:*", Effect="Perhaps"),), (), 7, ["allow s3, and"], id="unknown-effect"
        ),
        pytest.param({"access_key": ({"AccessKeyId": "A", "Status": "Active"},)}, (), (), 7, [], id="key"),
        pytest.param({}, (), (), 91, ["begins 90 days ago"], id="older-than-the-history"),
        pytest.param(
            {}, (), (), 89, ["does not say which sessions it had"], id="sessions-before-the-history"
        ),
        pytest.param({}, (), (), 88, [], id="within-the-history"),
        pytest.param({}, (), (), 0.001, ["15 minutes"], id="too-recent"),
    ],
)
def test_what_nobody_could_have_told(
    held: dict[str, Any], grants: Any, deactivated: tuple[str, ...], days: float, expected: list[str]
) -> None:
    found = [each.why for each in gaps_of(user(**held), grants, deactivated, days_ago(days), NOW)]
    assert len(found) == len(expected)
    assert all(text in why for text, why in zip(expected, found, strict=True))


@pytest.mark.parametrize(
    ("attempts", "gaps", "state"),
    [
        pytest.param((), (), QUIET, id="quiet"),
        pytest.param((), (Gap("ssh"),), UNOBSERVABLE, id="unobservable"),
        pytest.param((), (Gap("region", unread=True),), UNOBSERVABLE, id="unread"),
        pytest.param(
            (Attempt("cloudtrail", NOW, "s3"),), (Gap("ssh"),), ATTEMPTED, id="attempted-despite-a-gap"
        ),
    ],
)
def test_the_state(attempts: tuple[Attempt, ...], gaps: tuple[Gap, ...], state: str) -> None:
    found = Attempts(SINCE, NOW, attempts, gaps, covered=True)
    assert found.state == state
    assert found.as_data()["unread"] == [each.why for each in gaps if each.unread]


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(Attempts(SINCE, NOW), id="nothing-covered"),
        pytest.param(Attempts(None, NOW, covered=True), id="no-beginning"),
    ],
)
def test_nobody_is_quiet_unless_a_source_says_that_it_has_the_whole_time(answer: Attempts) -> None:
    assert answer.state == UNOBSERVABLE
    assert answer.as_data()["unread"] == ["no source says that it has every call of the whole time"]


NO_WAITING = Backoff(sleep=lambda _: None)


def lookups(*answers: Any) -> Any:
    """A CloudTrail client with these answers."""
    return ScriptedClient(lookup_events=list(answers))


#: Each page names another one.
_TOKENS = itertools.count()


def page(*records: dict[str, Any], more: bool = False) -> dict[str, Any]:
    events = [{"CloudTrailEvent": json.dumps(each)} for each in records]
    return {"Events": events, **({"NextToken": f"t{next(_TOKENS)}"} if more else {})}


@pytest.fixture(autouse=True)
def unlimited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("c7n_iamusers.evidence.event_history.RateLimit.attach", lambda *_: None)


def read(*windows: Window, renames: Any = (), **clients: Any) -> Any:
    """What is read of Alice. ``renames``: the first answers in IAM's Region; by default nobody was renamed."""
    home = lookups(*(renames or [page()]), page(), page(), page())
    read_windows = list(windows) or [Window(ALICE, SINCE)]
    return read_events({"home": home, **clients}, read_windows, NO_WAITING, "home", NOW)[ALICE.unique_id]


def renaming(former: str, new: str | None) -> dict[str, Any]:
    return event(requestParameters={"userName": former, "newUserName": new}, errorCode=None)


def test_regions_are_read_together() -> None:
    found = read(east=lookups(page()), west=lookups(page(event())))
    assert [each.action for each in found.attempts] == ["RunInstances"]
    assert (found.gaps, found.covered) == ((), False)


def test_the_whole_time_is_covered_if_each_region_was_read_to_its_end() -> None:
    found = read(east=lookups(page(more=True), page()), west=lookups(page()))
    assert (found.attempts, found.gaps, found.covered) == ((), (), True)


@pytest.mark.parametrize("more", [True, False])
def test_the_longest_history_is_read_to_its_end_if_it_ends_there(more: bool) -> None:
    client = lookups(*(page(more=True) for _ in range(LARGEST - 1)), page(more=more))
    found = read(east=client)
    assert (bool(found.gaps), found.covered) == (more, not more)


def test_no_region_is_a_gap() -> None:
    found = read_events({}, [Window(ALICE, SINCE)], NO_WAITING, "home", NOW)[ALICE.unique_id]
    assert found.gaps == (Gap("CloudTrail was read in no Region", unread=True),)
    assert not found.covered


def test_pages_are_read_until_the_user_is_heard() -> None:
    others = event({"type": "AssumedRole", "principalId": "AROA:alice"})
    client = lookups(page(others, more=True), page(event(), more=True))
    assert len(read(east=client).attempts) == 1


def test_pages_are_bounded() -> None:
    others = event({"type": "AssumedRole", "principalId": "AROA:alice"})
    (gap,) = read(east=lookups(*(page(others, more=True) for _ in range(5)))).gaps
    assert gap == Gap("CloudTrail in east has over 250 events of others by the name alice", unread=True)


def test_events_of_before_that_are_not_all_read_may_be_of_sessions() -> None:
    before = event(days=7.1)
    (gap,) = read(east=lookups(*(page(before, more=True) for _ in range(5)))).gaps
    assert not gap.unread
    assert (
        "over 250 events by the name alice until shortly before 2026-11-17: it may have had sessions"
        in gap.why
    )


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(client_error("AccessDeniedException"), id="denied"),
        pytest.param({"Events": [{"CloudTrailEvent": "{"}]}, id="no-json"),
        pytest.param({"Events": [{"CloudTrailEvent": "[]"}]}, id="no-object"),
        pytest.param({}, id="no-events-at-all"),
    ],
)
def test_what_can_not_be_read_is_a_gap_for_everybody_and_is_asked_once(answer: Any) -> None:
    bob = user("bob", unique_id="AIDABOB")
    windows = [Window(ALICE, SINCE), Window(bob, SINCE)]
    clients = {"home": lookups(page(), page(), page()), "east": lookups(answer)}
    found = read_events(clients, windows, NO_WAITING, "home", NOW)
    assert all(each.gaps[0].unread and not each.attempts for each in found.values())


@pytest.mark.parametrize(
    "of_bob", [None, datetime.min, datetime(1600, 1, 1), datetime(8999, 12, 31)], ids=lambda at: str(at)[:4]
)
def test_no_time_beyond_the_event_history_is_asked_for(of_bob: datetime | None) -> None:
    bob = user("bob", unique_id="AIDABOB")
    since = of_bob.replace(tzinfo=timezone.utc) if of_bob else SINCE
    clients = {"home": lookups(page(), page(), page())}
    found = read_events(clients, [Window(bob, since), Window(ALICE, SINCE)], NO_WAITING, "home", NOW)
    assert found[ALICE.unique_id].covered
    of_renames, bobs, alices = (given["StartTime"] for _, given in clients["home"].calls)
    assert days_ago(90) <= of_renames <= alices == SINCE - timedelta(hours=36)
    assert days_ago(90) <= bobs <= NOW


def test_events_of_one_user_that_no_one_expects_are_a_gap_of_this_user() -> None:
    bob = user("bob", unique_id="AIDABOB")
    clients = {"home": lookups(page(), {"Events": [5]}, page(event()))}
    windows = [Window(bob, SINCE), Window(ALICE, SINCE)]
    found = read_events(clients, windows, NO_WAITING, "home", NOW)
    (gap,) = found["AIDABOB"].gaps
    assert gap.unread
    assert "could not be read (TypeError" in gap.why
    assert len(found[ALICE.unique_id].attempts) == 1


@pytest.mark.parametrize(
    ("known", "renames", "names"),
    [
        pytest.param([], [], {"c"}, id="never"),
        pytest.param(["b"], [], {"b", "c"}, id="by-the-journal"),
        pytest.param([], [("a", "b"), ("b", "c")], {"a", "b", "c"}, id="twice"),
        pytest.param(["b"], [("a", "b")], {"a", "b", "c"}, id="known-then-renamed"),
        pytest.param([], [("c", "b"), ("b", "c")], {"b", "c"}, id="there-and-back"),
        pytest.param([], [("c", "d"), ("x", "y")], {"c"}, id="of-others"),
    ],
)
def test_former_names(known: list[str], renames: list[tuple[str, str]], names: set[str]) -> None:
    assert former_names("c", known, renames) == names


FAILED_SIGN_IN = event({"type": "IAMUser", "accountId": ACCOUNT, "userName": "al"})


@pytest.mark.parametrize(
    ("window", "renames", "record"),
    [
        pytest.param(Window(ALICE, SINCE, frozenset({"al"})), [page()], event(), id="by-the-journal"),
        pytest.param(Window(ALICE, SINCE), [page(renaming("al", "alice"))], event(), id="by-cloudtrail"),
        pytest.param(
            Window(ALICE, SINCE), [page(renaming("al", "alice"))], FAILED_SIGN_IN, id="failed-sign-in"
        ),
        pytest.param(
            Window(ALICE, SINCE),
            [page(renaming("bob", None), more=True), page(renaming("al", "alice"))],
            event(),
            id="on-the-second-page",
        ),
    ],
)
def test_a_renamed_user_is_heard_by_each_name(window: Window, renames: list[Any], record: Any) -> None:
    east = lookups(page(), page(record))
    assert len(read(window, renames=renames, east=east).attempts) == 1
    asked = [each["LookupAttributes"][0]["AttributeValue"] for _, each in east.calls]
    assert asked == ["alice", "al"]


def test_failed_sign_ins_hide_no_call() -> None:
    failed = {
        **FAILED_SIGN_IN,
        "eventSource": "signin.amazonaws.com",
        "errorMessage": "Failed authentication",
    }
    east = lookups(page(*[failed] * 50, more=True), page(event()))
    found = read(east=east)
    assert [each.is_failed_sign_in for each in found.attempts] == [False]


def test_who_was_heard_has_no_gap_for_what_was_not_read_after_that() -> None:
    """An alarm about it would follow each alarm about a use."""
    heard = Attempt("cloudtrail", NOW, "iam", "ListUsers", "us-east-1", "", "")
    assert Attempts(NOW, NOW, (heard,)).as_data()["unread"] == []
    assert Attempts(NOW, NOW).as_data()["unread"] == [
        "no source says that it has every call of the whole time"
    ]


def test_a_user_of_too_many_names_is_not_asked_about() -> None:
    names = frozenset(f"a{number}" for number in range(MOST_NAMES + 1))
    east = lookups()
    gaps = read(Window(ALICE, SINCE, names), east=east).gaps
    assert all(each.unread and f"{MOST_NAMES + 1} names" in each.why for each in gaps)
    assert gaps
    assert east.calls == []


@pytest.mark.parametrize(
    "renames",
    [
        pytest.param([client_error("AccessDeniedException")], id="denied"),
        pytest.param([page(more=True) for _ in range(MOST_RENAMES)], id="too-many"),
        pytest.param([{"Events": [{"CloudTrailEvent": "[]"}]}], id="no-object"),
        pytest.param([page(event(requestParameters=None, errorCode=None))], id="not-told"),
        pytest.param([page(event(requestParameters={"newUserName": "b"}, errorCode=None))], id="half-told"),
        pytest.param([{}], id="no-events-at-all"),
    ],
)
def test_unknown_renamings_are_unread(renames: list[Any]) -> None:
    (gap,) = read(renames=renames, east=lookups(page())).gaps
    assert gap.unread
    assert "renam" in gap.why or "UpdateUser" in gap.why


DENIED = event({"type": "IAMUser", "userName": "mallory"}, eventName="UpdateUser")
LONG_AGO = event({"type": "IAMUser", "userName": "mallory"}, days=9, eventName="UpdateUser")


@pytest.mark.parametrize(
    ("names", "last", "covered"),
    [
        pytest.param({"alice"}, DENIED, True, id="has-the-name-that-the-journals-know"),
        pytest.param({"alice", "al"}, DENIED, False, id="had-another-name"),
        pytest.param({"al"}, DENIED, False, id="has-another-name-now"),
        pytest.param((), DENIED, False, id="no-journal-knows-its-name"),
        pytest.param((), LONG_AGO, True, id="read-back-to-its-time"),
    ],
)
def test_calls_that_anybody_can_make_leave_only_users_open_whose_name_is_in_doubt(
    names: Iterable[str], last: dict[str, Any], covered: bool
) -> None:
    many = [page(DENIED, last, more=True) for _ in range(MOST_RENAMES)]
    found = read(Window(ALICE, SINCE, frozenset(names)), renames=many, east=lookups(*[page()] * 3))
    assert found.covered is covered
    assert [gap.unread for gap in found.gaps] == ([] if covered else [True])


def test_a_renaming_that_was_denied_is_none() -> None:
    assert read(renames=[page(event(requestParameters=None))], east=lookups(page())).covered


def test_enabled_regions() -> None:
    regions = [{"RegionName": "b"}, {"RegionName": "a", "OptInStatus": "opted-in"}]
    off = {"RegionName": "c", "OptInStatus": "not-opted-in"}
    assert enabled_regions(ScriptedClient(describe_regions=[{"Regions": [*regions, off]}]), NO_WAITING) == (
        "a",
        "b",
    )


@pytest.mark.parametrize(
    ("grants", "listed", "days", "expected"),
    [
        pytest.param(allowing("s3:*"), {"s3"}, 7, [], id="told"),
        pytest.param(allowing("s3:*", "sqs:*"), {"s3"}, 7, ["allow sqs"], id="not-listed"),
        pytest.param(allowing("*"), {"s3"}, 7, ["allow any service"], id="any-service"),
        pytest.param(allowing("*"), set(), 7, ["allow any service"], id="emptied-by-a-deny"),
        pytest.param(allowing("ec2:*"), set(), 7, [], id="nothing-to-tell"),
        pytest.param(allowing("s3:*"), {"s3"}, 0.1, ["4 hours"], id="late"),
    ],
)
def test_service_last_accessed_has_data_events(
    grants: AppliedPolicy, listed: set[str], days: float, expected: list[str]
) -> None:
    found = [each.why for each in gaps_of(ALICE, (grants,), (), days_ago(days), NOW, frozenset(listed))]
    assert len(found) == len(expected)
    assert all(text in why for text, why in zip(expected, found, strict=True))


def test_services_that_were_called() -> None:
    services: list[dict[str, Any]] = [
        {"ServiceNamespace": "s3", "LastAuthenticated": days_ago(1), "LastAuthenticatedRegion": "eu-west-1"},
        {"ServiceNamespace": "sqs", "LastAuthenticated": days_ago(9)},
        {"ServiceNamespace": "sns"},
    ]
    (found,) = service_uses(services, SINCE)
    assert str(found) == "s3 in eu-west-1 on 2026-11-23 12:00 UTC (service-last-accessed)"


def test_a_service_tells_only_what_can_be_read() -> None:
    services: list[dict[str, Any]] = [
        {"ServiceNamespace": "s3", "LastAuthenticated": days_ago(9)},
        {"ServiceNamespace": "sns"},
        {"ServiceNamespace": "sqs", "LastAuthenticated": "lately"},
        {"LastAuthenticated": days_ago(9)},
    ]
    assert services_told(services) == {"s3", "sns"}


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        pytest.param(
            [
                {"JobStatus": "IN_PROGRESS"},
                {"JobStatus": "COMPLETED", "ServicesLastAccessed": [1], "IsTruncated": True, "Marker": "m"},
                {"JobStatus": "COMPLETED", "ServicesLastAccessed": [2]},
            ],
            (1, 2),
            id="pages",
        ),
        pytest.param([{"JobStatus": "FAILED"}], None, id="failed"),
        pytest.param([{"JobStatus": "IN_PROGRESS"}] * 99, None, id="never-ready"),
    ],
)
def test_the_job_of_service_last_accessed(answers: list[Any], expected: Any) -> None:
    client = ScriptedClient(
        generate_service_last_accessed_details=[{"JobId": "j"}], get_service_last_accessed_details=answers
    )
    backoff = Backoff(sleep=lambda _: None)
    if expected:
        assert read_services(client, ARN, backoff) == expected
        return
    with pytest.raises(EvidenceUnreadable, match="service last accessed could not be read"):
        read_services(client, ARN, backoff)
