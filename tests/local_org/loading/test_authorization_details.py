# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import copy
import json
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any
from urllib.parse import quote

import pytest
from botocore.exceptions import ClientError

from aws_local_org import LocalOrg
from aws_local_org.errors import LocalOrgError
from aws_local_org.load import load
from aws_local_org.loading.authorization_details import AccountRewriter, Notes, document_account
from tests.local_org.refusals import refusal
from tests.local_org.sample_account import DETAILS, OTHER, SOURCE, TARGET, details_of, policy


def without(*keys: str) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        for key in keys:
            del document[key]

    return change


def user(**fields: Any) -> Callable[[dict[str, Any]], None]:
    """Change ana; a field of None is left out."""

    def change(document: dict[str, Any]) -> None:
        ana = document["UserDetailList"][0]
        ana.update(fields)
        for key in [key for key, value in fields.items() if value is None]:
            del ana[key]

    return change


def first(key: str, **fields: Any) -> Callable[[dict[str, Any]], None]:
    return lambda document: document[key][0].update(fields)


def ana_of(found: dict[str, dict[str, Any]]) -> Any:
    return found["UserDetailList"]["ana"]


CREATED = datetime(2013, 10, 11, 18, 19, 38, tzinfo=timezone.utc)
ATTACHED = {"PolicyName": "ReadOnlyAccess", "PolicyArn": "arn:aws:iam::aws:policy/ReadOnlyAccess"}


@pytest.mark.parametrize(
    ("change", "seen", "expected"),
    [
        pytest.param(
            without("RoleDetailList"), lambda f: "deploy" in f["RoleDetailList"], False, id="no roles"
        ),
        pytest.param(
            user(UserPolicyList=None, Tags=None, PermissionsBoundary=None),
            lambda f: (ana_of(f).get("UserPolicyList"), ana_of(f)["Tags"]),
            (None, []),
            id="omitted keys",
        ),
        pytest.param(
            user(UserPolicyList=[{"PolicyName": "P", "PolicyDocument": json.dumps(policy())}]),
            lambda f: ana_of(f)["UserPolicyList"][0]["PolicyDocument"],
            policy(),
            id="document as JSON",
        ),
        pytest.param(
            user(UserPolicyList=[{"PolicyName": "P", "PolicyDocument": quote(json.dumps(policy()))}]),
            lambda f: ana_of(f)["UserPolicyList"][0]["PolicyDocument"],
            policy(),
            id="document URL-encoded",
        ),
        pytest.param(
            user(AttachedManagedPolicies=ATTACHED),
            lambda f: ana_of(f)["AttachedManagedPolicies"],
            [ATTACHED],
            id="a single policy where a list belongs",
        ),
        pytest.param(user(CreateDate=1381515578), lambda f: ana_of(f)["CreateDate"], CREATED, id="epoch"),
        pytest.param(
            user(CreateDate="Fri, 11 Oct 2013 18:19:38 GMT"),
            lambda f: ana_of(f)["CreateDate"],
            CREATED,
            id="RFC 2822",
        ),
        pytest.param(
            user(Path="", Arn=f"arn:aws:iam::{SOURCE}:user/ana"),
            lambda f: ana_of(f)["Path"],
            "/",
            id="empty path",
        ),
        pytest.param(user(Path="/staff/", Arn=None), lambda f: ana_of(f)["Path"], "/staff/", id="no ARN"),
        pytest.param(user(UserName=None), lambda f: ana_of(f)["Path"], "/staff/", id="name only in the ARN"),
        pytest.param(
            user(Arn="arn:aws:iam::aws:user/ana"),
            lambda f: ana_of(f)["Arn"],
            f"arn:aws:iam::{TARGET}:user/ana",
            id="ARN without an account",
        ),
        pytest.param(
            user(Tags={"Email": "x@example.com"}),
            lambda f: ana_of(f)["Tags"],
            [{"Key": "Email", "Value": "x@example.com"}],
            id="tags as a mapping",
        ),
        pytest.param(
            first("Policies", Arn=f"arn:aws:iam::{SOURCE}:policy/ci/Deploy", Path="/other/"),
            lambda f: f["Policies"]["Deploy"]["Path"],
            "/ci/",
            id="a path that is not the ARN's",
        ),
    ],
)
def test_documents_in_the_wild_load_without_a_word(
    org: LocalOrg, change: Callable[[dict[str, Any]], None], seen: Callable[[Any], Any], expected: Any
) -> None:
    document = copy.deepcopy(DETAILS)
    change(document)
    assert load(org, TARGET, document)["warnings"] == []
    assert seen(details_of(org)) == expected


def is_harmless(document: Any) -> bool:
    (statement,) = document["Statement"]
    return bool(statement["Effect"] == "Deny" and statement["Action"] == "none:null")


GUARD = "arn:aws:iam::aws:policy/NewServiceGuard"


@pytest.mark.parametrize(
    ("change", "warning", "seen"),
    [
        pytest.param(
            lambda d: d.update(IsTruncated=True, Marker="m"),
            "IsTruncated is true",
            lambda f: len(f["UserDetailList"]) == 2,
            id="truncated",
        ),
        pytest.param(
            without("GroupDetailList"),
            "group has members but is not described, made without policies: Developers",
            lambda f: f["GroupDetailList"]["Developers"]["AttachedManagedPolicies"] == [],
            id="group not described",
        ),
        pytest.param(
            without("Policies"),
            f"policy is attached but its document is unknown, a policy that grants nothing replaces it: "
            f"arn:aws:iam::{TARGET}:policy/ci/Deploy",
            lambda f: is_harmless(f["Policies"]["Deploy"]["PolicyVersionList"][0]["Document"]),
            id="customer-managed policy not described",
        ),
        pytest.param(
            user(AttachedManagedPolicies=[{"PolicyArn": GUARD}]),
            f"its document is unknown, a policy that grants nothing replaces it: {GUARD}",
            lambda f: ana_of(f)["AttachedManagedPolicies"][0]["PolicyArn"] == GUARD,
            id="AWS-managed policy that nobody knows",
        ),
        pytest.param(
            first("Policies", Arn=GUARD, PolicyName="NewServiceGuard", PolicyVersionList=[]),
            f"AWS-managed policy is listed without its document, a policy that grants nothing replaces it: {GUARD}",
            lambda f: f,
            id="AWS-managed policy that nobody knows, without versions",
        ),
        pytest.param(
            user(UserId="AIDAZXCVBNMLKJHGFDSAQ"),
            "UserId missing, malformed or used twice, so a new one was made: user bot",
            lambda f: len({entry["UserId"] for entry in f["UserDetailList"].values()}) == 2,
            id="id used twice",
        ),
        pytest.param(
            user(UserId="1234"),
            "so a new one was made: user ana",
            lambda f: ana_of(f)["UserId"].startswith("AIDA"),
            id="malformed id",
        ),
        pytest.param(
            user(UserName="<redacted>", Arn=None),
            "user without a name that IAM allows, not loaded",
            lambda f: set(f["UserDetailList"]) == {"bot"},
            id="impossible name",
        ),
        pytest.param(
            lambda d: d["UserDetailList"].append("ana"),
            "user without a name that IAM allows, not loaded: ana",
            lambda f: set(f["UserDetailList"]) == {"ana", "bot"},
            id="no entry at all",
        ),
        pytest.param(
            lambda d: d["UserDetailList"].append({"UserName": "ANA", "UserId": "AIDAMMMMMMMMMMMMMMMMM"}),
            "listed more than once, the last one loaded: user ANA",
            lambda f: set(f["UserDetailList"]) == {"ANA", "bot"},
            id="one name twice",
        ),
        pytest.param(
            user(CreateDate="a while ago"),
            "CreateDate is not a date, taken as unknown: user ana",
            lambda f: ana_of(f)["CreateDate"].year >= 2025,
            id="no date",
        ),
        pytest.param(
            user(UserPolicyList=[{"PolicyName": "P", "PolicyDocument": "see wiki"}]),
            "inline policy P is neither JSON nor URL-encoded JSON",
            lambda f: is_harmless(ana_of(f)["UserPolicyList"][0]["PolicyDocument"]),
            id="inline policy that is none",
        ),
        pytest.param(
            user(Tags="Email"), "Tags not read", lambda f: ana_of(f)["Tags"] == [], id="tags that are none"
        ),
        pytest.param(
            user(RiskScore=7),
            "user field RiskScore is not one of IAM's and was not read: ana",
            lambda f: ana_of(f),
            id="field of another tool",
        ),
        pytest.param(
            lambda d: d.update(ScanDate="2026-01-01"),
            "top-level field is not one of IAM's and was not read: ScanDate",
            lambda f: ana_of(f),
            id="top-level field of another tool",
        ),
        pytest.param(
            first(
                "RoleDetailList", RoleName="CloudCustodian", Arn=f"arn:aws:iam::{SOURCE}:role/CloudCustodian"
            ),
            "role has the name of one of the local organization's own, which was kept: CloudCustodian",
            lambda f: f["RoleDetailList"]["CloudCustodian"]["RoleId"] != "AROAQWERTYUIOPASDFGHJ",
            id="our role",
        ),
        pytest.param(
            first("Policies", PolicyVersionList=[]),
            "default version v2 is not a policy but null",
            lambda f: is_harmless(f["Policies"]["Deploy"]["PolicyVersionList"][0]["Document"]),
            id="policy without versions",
        ),
    ],
)
def test_every_gap_is_filled_and_said(
    org: LocalOrg, change: Callable[[dict[str, Any]], None], warning: str, seen: Callable[[Any], object]
) -> None:
    document = copy.deepcopy(DETAILS)
    change(document)
    warnings = load(org, TARGET, document)["warnings"]
    assert [line for line in warnings if warning in line], warnings
    assert seen(details_of(org))


def test_an_unknown_aws_policy_is_added_with_the_documents_text(org: LocalOrg) -> None:
    document = copy.deepcopy(DETAILS)
    document["UserDetailList"][0]["AttachedManagedPolicies"] = [{"PolicyArn": GUARD}]
    document["Policies"].append(
        {
            **document["Policies"][0],
            "Arn": GUARD,
            "PolicyName": "NewServiceGuard",
            "PolicyId": "ANPAMMMMMMMMMMMMMMMMM",
        }
    )
    assert load(org, TARGET, document)["warnings"] == []
    iam = org.client("iam", TARGET)
    version = iam.get_policy_version(PolicyArn=GUARD, VersionId="v2")["PolicyVersion"]
    assert version["Document"]["Statement"][0]["Action"] == "s3:Get*"
    org.client("iam", OTHER).create_user(UserName="other")
    with pytest.raises(ClientError, match="NoSuchEntity"):
        org.client("iam", OTHER).attach_user_policy(UserName="other", PolicyArn=GUARD)


READ_ONLY = ATTACHED["PolicyArn"]


def with_read_only(**fields: Any) -> dict[str, Any]:
    """The sample with ReadOnlyAccess, which AWS is at version 7 of, in words of its own."""
    document = copy.deepcopy(DETAILS)
    versions = [
        {
            "VersionId": "v7",
            "IsDefaultVersion": True,
            "CreateDate": "2026-10-01T08:00:00Z",
            "Document": policy(),
        },
        {
            "VersionId": "v6",
            "IsDefaultVersion": False,
            "CreateDate": "2026-09-01T08:00:00Z",
            "Document": policy(),
        },
    ]
    described = {
        "PolicyName": "ReadOnlyAccess",
        "PolicyId": "ANPAMMMMMMMMMMMMMMMMM",
        "Arn": READ_ONLY,
        "Path": "/",
        "DefaultVersionId": "v7",
        "CreateDate": "2015-02-06T18:39:48Z",
        "UpdateDate": "2026-10-01T08:00:00Z",
        "PolicyVersionList": versions,
    }
    document["Policies"].append({**described, **fields})
    return document


def test_a_known_aws_policy_takes_the_documents_version(org: LocalOrg) -> None:
    """In that account: for its own roles too, and for nobody else, nor after a reset."""
    iam, elsewhere = org.client("iam", TARGET), org.client("iam", OTHER)
    before = elsewhere.get_policy(PolicyArn=READ_ONLY)["Policy"]
    iam.attach_role_policy(RoleName="CloudCustodian", PolicyArn=READ_ONLY)
    summary = load(org, TARGET, with_read_only())
    assert (summary["warnings"], summary["counts"]["policies"]) == ([], 1)
    shown = iam.get_policy(PolicyArn=READ_ONLY)["Policy"]
    assert (shown["DefaultVersionId"], shown["PolicyId"]) == ("v7", "ANPAMMMMMMMMMMMMMMMMM")
    assert (shown["AttachmentCount"], shown["UpdateDate"].month) == (2, 10)
    version = iam.get_policy_version(PolicyArn=READ_ONLY, VersionId="v7")["PolicyVersion"]
    assert (version["Document"], version["IsDefaultVersion"]) == (policy(), True)
    versions = details_of(org)["Policies"]["ReadOnlyAccess"]["PolicyVersionList"]
    assert [version["VersionId"] for version in versions] == ["v7", "v6"]
    assert refusal(iam.delete_policy, PolicyArn=READ_ONLY) == ("InvalidInput", 400)
    assert elsewhere.get_policy(PolicyArn=READ_ONLY)["Policy"] == before
    org.reset()
    assert iam.get_policy(PolicyArn=READ_ONLY)["Policy"]["DefaultVersionId"] == before["DefaultVersionId"]


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"PolicyVersionList": []}, id="no versions"),
        pytest.param({"PolicyVersionList": None, "DefaultVersionId": None}, id="no version id either"),
        pytest.param({"DefaultVersionId": "v8"}, id="default version not listed"),
    ],
)
def test_a_known_aws_policy_without_its_document_stays_as_it_is(
    org: LocalOrg, fields: dict[str, Any]
) -> None:
    before = org.client("iam", OTHER).get_policy(PolicyArn=READ_ONLY)["Policy"]
    warnings = load(org, TARGET, with_read_only(**fields))["warnings"]
    assert warnings == [
        f"AWS-managed policy is listed without its document, the known one was kept: {READ_ONLY}"
    ]
    after = org.client("iam", TARGET).get_policy(PolicyArn=READ_ONLY)["Policy"]
    assert after == {**before, "AttachmentCount": 1}


SOURCE, TARGET = "210987654321", "111122223333"


def page(**arns: str) -> dict[str, Any]:
    return {key: [{"Arn": arn}] for key, arn in arns.items()}


@pytest.mark.parametrize(
    ("pages", "account"),
    [
        pytest.param([page(UserDetailList=f"arn:aws:iam::{SOURCE}:user/a")], SOURCE, id="users"),
        pytest.param(
            [page(UserDetailList=f"arn:aws-cn:iam::{SOURCE}:user/p/a")], SOURCE, id="other partition"
        ),
        pytest.param(
            [page(UserDetailList="arn:aws:iam::aws:user/a", RoleDetailList=f"arn:aws:iam::{SOURCE}:role/r")],
            SOURCE,
            id="roles where users have no account",
        ),
        pytest.param([page(Policies="arn:aws:iam::aws:policy/ReadOnlyAccess")], None, id="AWS-managed only"),
        pytest.param([{"UserDetailList": [{"UserName": "a"}, "b", None]}], None, id="no ARN"),
        pytest.param(
            [{"UserDetailList": {"Arn": f"arn:aws:iam::{SOURCE}:user/a"}}], SOURCE, id="a single user"
        ),
    ],
)
def test_the_account_is_told_by_arns(pages: list[dict[str, Any]], account: str | None) -> None:
    assert document_account(pages) == account


def test_pages_of_two_accounts_are_refused() -> None:
    pages = [page(UserDetailList=f"arn:aws:iam::{account}:user/a") for account in (SOURCE, TARGET)]
    with pytest.raises(LocalOrgError, match=f"several accounts \\({TARGET}, {SOURCE}\\)"):
        document_account(pages)


@pytest.mark.parametrize(
    ("text", "moved"),
    [
        pytest.param(
            f'"arn:aws:iam::{SOURCE}:role/deploy"', f'"arn:aws:iam::{TARGET}:role/deploy"', id="IAM ARN"
        ),
        pytest.param(
            f'"arn:aws:sqs:eu-west-1:{SOURCE}:q"', f'"arn:aws:sqs:eu-west-1:{TARGET}:q"', id="ARN of a region"
        ),
        pytest.param(f'{{"AWS": "{SOURCE}"}}', f'{{"AWS": "{TARGET}"}}', id="account as principal"),
        pytest.param(
            '"arn:aws:s3:::logs-210987654321"', '"arn:aws:s3:::logs-210987654321"', id="bucket name"
        ),
        pytest.param(
            '"arn:aws:iam::aws:policy/Billing"', '"arn:aws:iam::aws:policy/Billing"', id="AWS-managed"
        ),
        pytest.param(
            '"arn:aws:iam::999999999999:root"', '"arn:aws:iam::999999999999:root"', id="another account"
        ),
        pytest.param(
            "arn:aws:iam::*:user/${aws:username}", "arn:aws:iam::*:user/${aws:username}", id="any account"
        ),
    ],
)
def test_only_what_names_the_account_is_moved(text: str, moved: str) -> None:
    assert AccountRewriter(SOURCE, TARGET).document(text) == moved


@pytest.mark.parametrize("source", [None, TARGET])
def test_nothing_is_moved_without_another_account(source: str | None) -> None:
    text = f'"arn:aws:iam::{SOURCE}:root"'
    assert AccountRewriter(source, TARGET).document(text) == text


@pytest.mark.parametrize(
    ("arn", "moved"),
    [
        (f"arn:aws:iam::{SOURCE}:policy/team/P", f"arn:aws:iam::{TARGET}:policy/team/P"),
        ("arn:aws:iam::aws:policy/job-function/Billing", "arn:aws:iam::aws:policy/job-function/Billing"),
        ("arn:aws-us-gov:iam::aws:policy/ReadOnlyAccess", "arn:aws:iam::aws:policy/ReadOnlyAccess"),
        ("arn:aws:iam::999999999999:policy/P", f"arn:aws:iam::{TARGET}:policy/P"),
    ],
)
def test_policy_arns(arn: str, moved: str) -> None:
    assert AccountRewriter(SOURCE, TARGET).policy_arn(arn) == moved


def test_a_matter_is_one_line_with_all_it_concerns() -> None:
    notes = Notes()
    notes.add("no date", "ana")
    notes.add("truncated")
    notes.add("no date", "bo")
    notes.add("no date", "ana")
    assert notes.lines() == ["no date: ana, bo", "truncated"]


def test_long_lists_are_cut_and_counted() -> None:
    notes = Notes()
    for number in range(23):
        notes.add("no date", f"user{number}")
    (line,) = notes.lines()
    assert line.endswith("user19 and 3 more")
