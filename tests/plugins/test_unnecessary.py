# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import re
from datetime import date, datetime, timezone
from pathlib import Path
from threading import Lock
from typing import Any

import pytest
from c7n.exceptions import PolicyExecutionError, PolicyValidationError
from c7n.reports.csvout import Formatter
from c7n.resources.iam import User

from aws_local_org import LocalOrg
from aws_local_org.seed import seed
from aws_local_org.seeding.key_material import SSH_PUBLIC_KEYS
from c7n_iamusers.evidence.assessment import Assessor
from c7n_iamusers.evidence.seen_users import SEEN, SeenUsers, parse_seen
from c7n_iamusers.lockout.deny_all import DENY_ALL_NAME, deny_all_document
from c7n_iamusers.lockout.quarantine_record import QuarantineRecord
from c7n_iamusers.plugins.policy_checks import exemption_rules
from c7n_iamusers.plugins.unnecessary import Unnecessary
from c7n_iamusers.policy_comparison import trusted_users
from tests.interference import deny, on_call
from tests.policies import ACCOUNT, policy

RULE = {"reason": "a test", "expires": "2999-12-31"}


@pytest.fixture
def iam(org: LocalOrg) -> Any:
    """alice with attachments; bob under a path; carol tagged; dave in a group."""
    client = org.client("iam", ACCOUNT)
    client.create_user(UserName="alice")
    client.create_access_key(UserName="alice")
    client.create_access_key(UserName="alice")
    client.create_login_profile(UserName="alice", Password="correct-Horse-7-battery")
    client.attach_user_policy(UserName="alice", PolicyArn="arn:aws:iam::aws:policy/ReadOnlyAccess")
    client.create_user(UserName="bob", Path="/emergency/")
    client.create_user(UserName="carol", Tags=[{"Key": "Purpose", "Value": "demo"}])
    client.create_user(UserName="dave")
    client.create_group(GroupName="Keep")
    client.add_user_to_group(UserName="dave", GroupName="Keep")
    return client


def flagged(
    *exempt: dict[str, Any], source: str = "authorization-details", **options: Any
) -> dict[str, dict[str, Any]]:
    given = {name.replace("_", "-"): value for name, value in options.items()}
    filters = [{"type": "unnecessary", "exempt": [{**RULE, **rule} for rule in exempt], **given}]
    found = policy({"filters": filters, "source": source}).resource_manager.resources()
    return {resource["UserName"]: resource["c7n:IamUser"] for resource in found}


@pytest.mark.parametrize("source", ["authorization-details", "describe"])
def test_any_user_is_flagged_with_the_evidence(iam: Any, source: str) -> None:
    found = flagged(source=source)
    assert found.keys() == {"alice", "bob", "carol", "dave"}
    counts = {kind: count for kind, count in found["alice"]["attachments"].items() if count}
    assert counts == {"access-key": 2, "login-profile": 1, "attached-policy": 1}
    assert found["alice"]["unread"] == ["ssh-public-key"]
    assert {finding["id"] for finding in found["alice"]["findings"]} == {
        "iam-user",
        "console-without-mfa",
        "password-never-used",
        "key-never-used",
        "two-active-keys",
        "directly-attached-policies",
        "no-boundary",
    }
    assert (found["alice"]["kind"], found["alice"]["replacement"][0]) == ("mixed", "identity-center")
    assert found["alice"]["exemption"] is None
    assert found["dave"]["attachments"]["group"] == 1
    assert {entry["kind"] for name, entry in found.items() if name != "alice"} == {"no-credentials"}
    pieces = ["user", "account", "credential-report", "virtual-mfa-devices", "service-specific-credentials"]
    for piece in pieces:
        assert found["alice"]["sources"][piece]["time"], piece


def test_an_exempt_user_that_is_denied_everything_is_named(
    iam: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    quarantine = QuarantineRecord(datetime(2026, 11, 1, tzinfo=timezone.utc), "policy", "a test", ())
    document = deny_all_document(quarantine.sids[0])
    iam.put_user_policy(UserName="carol", PolicyName=DENY_ALL_NAME, PolicyDocument=document)
    iam.put_user_policy(UserName="alice", PolicyName=DENY_ALL_NAME, PolicyDocument=document)
    iam.attach_user_policy(UserName="dave", PolicyArn="arn:aws:iam::aws:policy/AWSDenyAll")
    found = seen_in(tmp_path, exempted({"user": "carol"}, {"group": "Keep"}, {"user": "bob"}))
    by = {each.arn.rpartition("/")[2]: each.denied for each in found.users if each.rule is not None}
    assert by == {"bob": "", "carol": "quarantine", "dave": "policy"}
    assert caplog.text.count("and still denied everything by ") == 2


def exempted(*exempt: dict[str, Any], **options: Any) -> dict[str, Any]:
    return {"type": "unnecessary", "exempt": [{**RULE, **rule} for rule in exempt] or "none", **options}


def seen_in(output: Path, *filters: Any, **more: Any) -> SeenUsers:
    """What the filters of a policy saw in a run."""
    found = policy({"filters": list(filters), **more}, output)
    found.run()
    seen = parse_seen(json.loads((output / "under-test" / SEEN).read_text()))
    assert seen.execution == found.ctx.execution_id
    return seen


@pytest.mark.parametrize(
    ("filters", "states", "complete"),
    [
        pytest.param(
            [exempted({"path": "/emergency/*"}, **{"min-age": 3000}), {"tag:Purpose": "absent"}],
            {
                "alice": "left out: min-age",
                "bob": "exempt",
                "carol": "left out: min-age",
                "dave": "left out: min-age",
            },
            True,
            id="exempt-and-left-out",
        ),
        pytest.param(
            [{"UserName": "alice"}, exempted()],
            {"alice": "flagged"},
            False,
            id="not-the-first-filter",
        ),
        pytest.param(
            [{"or": [{"UserName": "alice"}, exempted({"user": "bob"})]}],
            {"alice": "flagged", "bob": "exempt", "carol": "flagged", "dave": "flagged"},
            True,
            id="among-the-first",
        ),
        pytest.param(
            [exempted({"user": "bob"}), exempted({"user": "carol"}, {"user": "dave"})],
            {"alice": "flagged", "bob": "exempt", "carol": "exempt", "dave": "exempt"},
            True,
            id="two-filters",
        ),
    ],
)
def test_all_users_that_it_saw_are_in_the_output(
    iam: Any, tmp_path: Path, filters: list[Any], states: dict[str, str], complete: bool
) -> None:
    found = seen_in(tmp_path, *filters)
    said = {
        each.arn.rpartition("/")[2]: ": ".join(filter(None, (each.state, each.why))) for each in found.users
    }
    assert (said, found.complete) == (states, complete)
    assert sum(found.protected().values()) == list(states.values()).count("exempt")


def test_each_rule_that_protects_somebody_does_so_in_the_output(iam: Any, tmp_path: Path) -> None:
    """Of a user that many rules match, not all are told. Who removes one that seems to protect nobody ends it."""
    rules = [{"user": "alice", "expires": f"27{number:02}-01-31"} for number in range(60)]
    found = seen_in(tmp_path, exempted(*rules, {"user": "[ab]*"}, {"user": "nobody"}))
    assert [rule.pattern for rule, count in found.protected().items() if not count] == ["nobody"]


def test_the_expired_rules_of_a_user_that_no_other_protects_are_in_the_output(
    iam: Any, tmp_path: Path
) -> None:
    """Of those that an option leaves out too."""
    rules = [
        {"user": "[ab]*", "expires": "2020-02-01"},
        {"user": "bob"},
        {"user": "alice", "expires": "2020-02-01"},
    ]
    found = seen_in(tmp_path, exempted(*rules, **{"min-age": 3000}))
    assert {each.arn.rpartition("/")[2]: each.expired for each in found.users} == {
        "alice": (0, 2),
        "bob": (),
        "carol": (),
        "dave": (),
    }


@pytest.mark.parametrize("source", ["authorization-details", "describe"])
def test_attachments_in_full_count_every_kind(iam: Any, source: str) -> None:
    found = flagged(source=source, attachments="full")
    assert len(found["alice"]["attachments"]) == 11
    assert all(entry["unread"] == [] for entry in found.values())


@pytest.mark.parametrize("source", ["authorization-details", "describe"])
@pytest.mark.parametrize(
    ("rule", "spared"),
    [
        pytest.param({"user": "al*"}, "alice", id="user"),
        pytest.param({"path": "/emergency/*"}, "bob", id="path"),
        pytest.param({"tag": "Purpose=d*"}, "carol", id="tag"),
        pytest.param({"group": "Keep"}, "dave", id="group"),
    ],
)
def test_rules_protect_users(iam: Any, source: str, rule: dict[str, Any], spared: str) -> None:
    assert {"alice", "bob", "carol", "dave"} - flagged(rule, source=source).keys() == {spared}


def test_an_expired_rule_is_a_finding(iam: Any) -> None:
    found = flagged({"user": "alice", "expires": "2020-02-01", "reason": "old times"})
    expired = [finding for finding in found["alice"]["findings"] if finding["id"] == "expired-exemption"]
    assert len(expired) == 1
    assert "until 2020-02-01 (old times)" in expired[0]["text"]
    assert "expired-exemption" not in [finding["id"] for finding in found["bob"]["findings"]]


def test_a_date_that_yaml_parsed_can_be_written_to_the_metadata(iam: Any, tmp_path: Path) -> None:
    rule = {"user": "alice", "reason": "r", "expires": date(2999, 12, 31)}
    policy({"filters": [{"type": "unnecessary", "exempt": [rule]}]}, tmp_path).run()
    metadata = json.loads((tmp_path / "under-test" / "metadata.json").read_text())
    assert metadata["policy"]["filters"][0]["exempt"][0]["expires"] == "2999-12-31"


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        pytest.param(
            {"user": "x", "expires": "2999-12-31"}, r"exempt\[0\]: reason is missing", id="no-reason"
        ),
        pytest.param(
            {"user": "x", "reason": "r", "expires": "soon"}, r"exempt\[0\]: expires is not a date", id="date"
        ),
        pytest.param({"name": "x", **RULE}, r"exempt\[0\]: there is no key 'name'", id="pattern-key"),
    ],
)
def test_faulty_rules_do_not_validate(org: LocalOrg, rule: dict[str, Any], message: str) -> None:
    with pytest.raises(PolicyValidationError, match=r"policy under-test: filter unnecessary: " + message):
        policy({"filters": [{"type": "unnecessary", "exempt": [rule]}]})


def test_how_many_users_each_rule_protects(iam: Any, tmp_path: Path) -> None:
    rules = {"path": "/emergency/*"}, {"user": "[cd]*"}, {"user": "nobody"}
    found = seen_in(tmp_path, exempted(*rules))
    assert {rule.pattern: users for rule, users in found.protected().items()} == {
        "/emergency/*": 1,
        "[cd]*": 2,
        "nobody": 0,
    }


def test_a_rule_protects_whom_another_protects_too(iam: Any, tmp_path: Path) -> None:
    """It is not mistyped."""
    found = seen_in(tmp_path, exempted({"user": "b*"}, {"path": "/emergency/*"}, {"user": "bob"}))
    assert {rule.pattern: users for rule, users in found.protected().items()} == {
        "b*": 1,
        "/emergency/*": 1,
        "bob": 1,
    }
    assert [each.protecting for each in found.users if each.state == "exempt"] == [(0, 1, 2)]


def test_the_rules_of_a_later_filter_count_on(iam: Any, tmp_path: Path) -> None:
    found = seen_in(tmp_path, exempted({"user": "bob"}), exempted({"user": "carol"}, {"user": "c*"}))
    assert [each.protecting for each in found.users if each.state == "exempt"] == [(0,), (1, 2)]


def test_the_log_says_what_leaves_users_out(iam: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        flagged(min_age=3000)
    (line,) = [line for line in caplog.messages if " left out by " in line]
    assert line.startswith("unnecessary: 4 left out by min-age: alice, ")
    assert "0 are flagged: none" in caplog.text


@pytest.mark.parametrize(
    ("account", "name", "known", "held"),
    [
        pytest.param(ACCOUNT, "", ACCOUNT, True, id="this-account"),
        # c7n goes on without an id where STS can't be asked; users' ARNs have it
        pytest.param(ACCOUNT, "", None, True, id="the-id-is-not-known"),
        pytest.param("444455556666", "", ACCOUNT, False, id="another-account"),
        pytest.param("pay*", "payments", ACCOUNT, True, id="by-name"),
        pytest.param("dev-*", "payments", ACCOUNT, False, id="by-another-name"),
        pytest.param("dev-*", "", ACCOUNT, True, id="the-name-is-not-known"),
    ],
)
def test_a_rule_holds_in_its_account_for_filter_and_actions(
    iam: Any, caplog: pytest.LogCaptureFixture, account: str, name: str, known: str | None, held: bool
) -> None:
    rule = {"user": "alice", **RULE, "account": account}
    data = {"filters": [{"type": "unnecessary", "exempt": [rule]}], "actions": ["composite-delete"]}
    found = policy(data)
    if name:
        found.conditions.env_vars["account"] = {"name": name}
    found.options.account_id = known
    manager = found.resource_manager
    caplog.set_level("INFO")
    assert ("alice" in {each["UserName"] for each in manager.resources()}) is not held
    assert bool(exemption_rules(manager, ACCOUNT)) is held
    line = f'user "alice" in account "{account}" until 2999-12-31'
    assert (
        f"exempt by {line}: 1 users" if held else f"exemptions that protect nobody: {line}"
    ) in caplog.text
    assert ("is unknown. So these exemptions hold, but may be for other accounts" in caplog.text) is (
        held and account == "dev-*"
    )


def test_a_user_that_cannot_be_read_in_full_is_left_alone_and_named(
    iam: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    deny(monkeypatch, "ListSSHPublicKeys", "alice")
    assert flagged(attachments="full").keys() == {"bob", "carol", "dave"}
    assert "user alice of account 111122223333 is left alone" in caplog.text


def test_a_user_whose_assessment_fails_is_left_alone_and_named(
    iam: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assess = Assessor.assess

    def failing(assessor: Assessor, user: Any, *rest: Any) -> Any:
        if user.name == "alice":
            raise OverflowError("timestamp out of range for platform time_t")
        return assess(assessor, user, *rest)

    monkeypatch.setattr(Assessor, "assess", failing)
    assert flagged().keys() == {"bob", "carol", "dave"}
    assert "user alice of account 111122223333 is left alone: it can't be assessed" in caplog.text


def test_a_tag_of_twenty_digits_stops_nobody(iam: Any) -> None:
    iam.tag_user(UserName="carol", Tags=[{"Key": "expires", "Value": "9" * 20}])
    on = {"DateGreaterThan": {"aws:PrincipalTag/expires": "2030-01-01"}}
    statement = {
        "Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole", "Condition": on
    }  # fmt: skip
    trust = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    role = iam.create_role(RoleName="until", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    found = {name: annotation["trusted_by"] for name, annotation in flagged().items()}
    assert (found["alice"], found["carol"]) == ([], [role])


def test_trust_policies_that_take_too_long_are_said(
    iam: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(trusted_users, "OWN_CHARACTERS", 5)
    monkeypatch.setattr(trusted_users, "SHARED_CHARACTERS", 5)
    on = {"StringLike": {"aws:username": ["*q*x*", "*y*z*"]}}
    statement = {
        "Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole", "Condition": on
    }  # fmt: skip
    trust = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.create_role(RoleName="slow", AssumeRolePolicyDocument=trust)
    assert all(annotation["trusted_by"] is None for annotation in flagged().values())
    assert (
        "it is unknown whether a role trusts 4 users: conditions on who calls, such as in the trust policy of"
        in caplog.text
    )


def test_a_user_that_is_gone_meanwhile_is_not_flagged(iam: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    lock, once = Lock(), iter([lambda: iam.delete_user(UserName="bob")])

    def happens() -> None:
        with lock:
            next(once, lambda: None)()

    on_call(monkeypatch, "ListSSHPublicKeys", happens)
    assert flagged().keys() == {"alice", "carol", "dave"}


def test_ssh_keys_that_cannot_be_read_leave_the_kind_open(
    iam: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    deny(monkeypatch, "ListSSHPublicKeys", "bob")
    assert flagged()["bob"]["kind"] == "unknown"
    assert flagged(kinds=["no-credentials"]).keys() == {"carol", "dave"}
    assert "user bob of account 111122223333: its SSH keys can't be read" in caplog.text


def test_unreadable_groups_fail_the_policy(iam: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    deny(monkeypatch, "GetAccountAuthorizationDetails")
    with pytest.raises(
        PolicyExecutionError, match=r"account 111122223333: groups and policies .* can't be read"
    ):
        flagged({"group": "Keep"}, source="describe")


def test_an_unreadable_account_fails_the_policy(iam: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where c7n's cache gives the users, that is; who is listed anew is listed together with the account."""
    resources = policy({"filters": ["unnecessary"]}).resource_manager.source.resources({})
    found = policy({"filters": ["unnecessary"]})
    deny(monkeypatch, "GetAccountAuthorizationDetails")
    with pytest.raises(
        PolicyExecutionError, match=r"groups, roles and policies can't be read.*No user was selected"
    ):
        found.resource_manager.filters[0].process(resources)


@pytest.mark.parametrize(
    ("operation", "piece"),
    [
        ("GetCredentialReport", "credential-report"),
        ("ListVirtualMFADevices", "virtual-mfa-devices"),
        ("ListServiceSpecificCredentials", "service-specific-credentials"),
    ],
)
def test_evidence_that_cannot_be_read_is_unknown_and_said(
    iam: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, operation: str, piece: str
) -> None:
    deny(monkeypatch, operation)
    source = flagged()["alice"]["sources"][piece]
    assert source["time"] is None
    assert source["problem"].startswith("AccessDenied: it needs iam:")
    assert f"account {ACCOUNT}: {piece} can't be read, so evidence from it is unknown" in caplog.text
    assert flagged(unused_for=1) == {}


def test_options_select(iam: Any) -> None:
    assert flagged(kinds=["mixed"]).keys() == {"alice"}
    assert flagged(kinds=["human", "machine"]) == {}
    assert flagged(findings=["two-active-keys"]).keys() == {"alice"}
    assert flagged(findings={"none-of": ["two-active-keys"]}).keys() == {"bob", "carol", "dave"}
    assert flagged(min_age=1) == {}
    assert flagged(hints={"human": {"path": "/emergency/*"}})["bob"]["kind"] == "human"


def test_unused_for_does_not_select_users_with_ssh_keys(iam: Any, org: LocalOrg) -> None:
    backend = org.backend("iam", ACCOUNT)
    for name in ("bob", "carol"):
        backend.users[name].create_date = datetime(2020, 1, 1)
    iam.upload_ssh_public_key(UserName="carol", SSHPublicKeyBody=SSH_PUBLIC_KEYS[0])
    assert flagged(unused_for=90).keys() == {"bob"}


def test_trusting_roles_are_listed(iam: Any) -> None:
    arn = iam.get_user(UserName="alice")["User"]["Arn"]
    trust = {"Effect": "Allow", "Principal": {"AWS": arn}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    iam.create_role(RoleName="deploy", AssumeRolePolicyDocument=document)
    assert flagged()["alice"]["trusted_by"] == [f"arn:aws:iam::{ACCOUNT}:role/deploy"]


def test_an_exemption_list_is_read_at_each_look(iam: Any, tmp_path: Path) -> None:
    path = tmp_path / "exempt.csv"
    path.write_text("user,reason,expires\nalice,r,2999-12-31\n")
    found = policy({"filters": [{"type": "unnecessary", "exempt-from": str(path)}]})
    (unnecessary,) = found.resource_manager.filters
    assert [rule.pattern for rule in unnecessary.rules(ACCOUNT)[0]] == ["alice"]
    path.write_text("user,reason,expires\nalice,r,2999-12-31\nbob,r,2999-12-31\n")
    assert {each["UserName"] for each in found.resource_manager.resources()} == {"carol", "dave"}
    path.write_text("user,reason,expires\n")
    with pytest.raises(PolicyExecutionError, match=r"filter unnecessary: .*exempt.csv: has no rules"):
        found.resource_manager.resources()
    path.unlink()
    with pytest.raises(
        PolicyExecutionError, match=f"account {ACCOUNT}: exempt-from .* can't be read.*no user is flagged"
    ):
        found.resource_manager.resources()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param({"kinds": ["robot"]}, "kinds: there is no 'robot': known are human,", id="kind"),
        pytest.param({"findings": ["mfa"]}, "findings.any-of: there is no 'mfa'", id="finding"),
        pytest.param({"exempt-from": "x.txt"}, "exempt-from: x.txt does not end in .json", id="list-format"),
        pytest.param(
            {"exempt-from": "missing.csv"}, "exempt-from missing.csv can't be read", id="list-missing"
        ),
    ],
)
def test_faulty_options_do_not_validate(org: LocalOrg, options: dict[str, Any], message: str) -> None:
    with pytest.raises(PolicyValidationError, match=rf"policy under-test: filter unnecessary: .*{message}"):
        policy({"filters": [{"type": "unnecessary", **options}]})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param({"exempt": None}, "exempt: must be a list of rules, or none, not None", id="exempt"),
        pytest.param({"exempt": "jane"}, "exempt: must be a list of rules, or none, not 'jane'", id="word"),
        pytest.param(
            {"exempt-from": None}, "exempt-from: must be a path or URL.* not None", id="exempt-from"
        ),
        pytest.param({"kinds": None}, "kinds: has no value: give one, or leave the key out", id="kinds"),
        pytest.param({"unused-for": None}, "unused-for: has no value", id="unused-for"),
        pytest.param(
            {"exempt": "none", "exempt-from": "x.csv"},
            "exempt: none contradicts exempt-from",
            id="contradiction",
        ),
    ],
)
def test_nulls_and_contradictions_do_not_validate(
    org: LocalOrg, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(PolicyValidationError, match=rf"policy under-test: filter unnecessary: {message}"):
        policy({"filters": [{"type": "unnecessary", **options}]})


def test_all_faults_are_reported_at_once(org: LocalOrg) -> None:
    options = {"kinds": None, "exempt": [{"user": "/x", **RULE}], "exempt-from": "x.txt"}
    with pytest.raises(
        PolicyValidationError, match=r"kinds: has no value.*'/x' matches no user.*x\.txt does not end"
    ):
        policy({"filters": [{"type": "unnecessary", **options}]})


def test_exempt_none_protects_nobody(iam: Any) -> None:
    found = policy({"filters": [{"type": "unnecessary", "exempt": "none"}]})
    assert {each["UserName"] for each in found.resource_manager.resources()} == {
        "alice",
        "bob",
        "carol",
        "dave",
    }


def test_a_list_that_was_cut_off_fails_the_run(iam: Any, tmp_path: Path) -> None:
    path = tmp_path / "exempt.csv"
    path.write_text("user,reason,expires\nalice,r,2999-12-31\nbob,r,2999-12-31\n")
    listed = {"from": str(path), "min-rules": 2}
    found = policy({"filters": [{"type": "unnecessary", "exempt-from": listed}]})
    path.write_text("user,reason,expires\nalice,r,2999-12-31\n")
    with pytest.raises(PolicyExecutionError, match="has 1 rules, and min-rules asks for 2"):
        found.resource_manager.resources()


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        pytest.param({"user": "{team}-admin"}, "undefined variables: team", id="user"),
        pytest.param({"path": "{emergency_path}"}, "undefined variables: emergency_path", id="path"),
        pytest.param({"path": "/{team}/*"}, "undefined variables: team", id="within-a-path"),
        pytest.param({"group": "{group}"}, "undefined variables: group", id="group"),
        pytest.param({"tag": "{key}={value}"}, "undefined variables: key, value", id="tag"),
    ],
)
def test_a_variable_in_a_pattern_is_filled_in_by_the_run(iam: Any, rule: dict[str, Any], told: str) -> None:
    found = policy({"filters": [{"type": "unnecessary", "exempt": [{**RULE, **rule}]}]})
    with pytest.raises(PolicyExecutionError, match=told):
        found.resource_manager.resources()


def test_doubtful_patterns_are_logged(
    org: LocalOrg, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "exempt.csv"
    path.write_text('user,reason,expires\n"jane,joe",r,2999-12-31\n')
    rule = {**RULE, "tag": "Purpose = demo"}
    policy({"filters": [{"type": "unnecessary", "exempt": [rule], "exempt-from": str(path)}]})
    assert "unnecessary: exemption by tag 'Purpose = demo' (a test) has a space beside" in caplog.text
    assert "unnecessary: exemption by user 'jane,joe' (r) has a comma" in caplog.text


@pytest.mark.parametrize(
    "source", ["s3://bucket/x.csv", "exemptions/{account_id}.csv"], ids=["elsewhere", "variable"]
)
def test_a_list_that_is_not_here_yet_is_left_to_the_run(org: LocalOrg, source: str) -> None:
    policy({"filters": [{"type": "unnecessary", "exempt-from": source}]})


@pytest.mark.parametrize(
    ("options", "needed"),
    [
        pytest.param({}, {"iam:ListSSHPublicKeys", "iam:GetCredentialReport", "iam:ListUsers"}, id="default"),
        pytest.param({"attachments": "full"}, {"iam:ListAccessKeys", "iam:ListMFADevices"}, id="full"),
        pytest.param({"exempt-from": "s3://b/x.csv"}, {"s3:GetObject"}, id="list-in-s3"),
        pytest.param({"provisioning": {"role": "*"}}, {"cloudtrail:LookupEvents"}, id="creators"),
    ],
)
def test_permissions_are_those_of_the_options(
    org: LocalOrg, options: dict[str, Any], needed: set[str]
) -> None:
    (plain,) = policy({"filters": ["unnecessary"]}).resource_manager.filters
    (found,) = policy({"filters": [{"type": "unnecessary", **options}]}).resource_manager.filters
    assert needed <= set(found.get_permissions())
    assert not options or not needed & set(plain.get_permissions())


def test_no_resources_no_calls(org: LocalOrg) -> None:
    found = policy({"filters": ["unnecessary"]})
    org.clear_calls()
    assert found.resource_manager.filters[0].process([]) == []
    assert org.calls == []


def test_the_documented_report_fields_show_the_evidence(iam: Any) -> None:
    fields = re.findall(r"--field\s+'([^']+)'", " ".join((Unnecessary.__doc__ or "").split()))
    resources = policy({"filters": ["unnecessary"]}).resource_manager.resources()
    formatter = Formatter(User.resource_type, extra_fields=fields)
    assert list(formatter.headers()) == ["UserName", "CreateDate", "kind", "findings", "last"]
    rows = {row[0]: row[2:] for row in formatter.to_csv(resources)}
    assert rows["bob"] == ["no-credentials", "iam-user, no-boundary", ""]
    assert "console-without-mfa" in rows["alice"][1]


def test_calls_grow_with_pages_and_not_with_users(org: LocalOrg) -> None:
    """As many pages as 5,000 users have in AWS."""
    org.configure(page_limit=100)
    seed(org, users_per_account=500)
    found = policy({"filters": ["unnecessary"]})
    org.clear_calls()
    assert len(found.resource_manager.resources()) == 500
    assert len(org.calls) <= 60


def test_creators_come_from_cloudtrail(iam: Any) -> None:
    def ids(**provisioning: str) -> set[str]:
        entry = flagged(provisioning=provisioning)["bob"]
        return {finding["id"] for finding in entry["findings"]} | set(entry["unknown_findings"])

    assert "unknown-provisioning" not in ids(role="*:role/CloudCustodian")
    assert "unknown-provisioning" in ids(role="*:role/iac")
    assert "unknown-provisioning" in ids(tag="By=iac")


def test_an_unreadable_trail_leaves_creators_unknown(iam: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    deny(monkeypatch, "LookupEvents")
    found = flagged(provisioning={"role": "*:role/iac"})["alice"]
    assert found["sources"]["creation"]["problem"] == "AccessDenied: it needs cloudtrail:LookupEvents"
    assert "unknown-provisioning" in found["unknown_findings"]
