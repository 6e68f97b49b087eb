# SPDX-License-Identifier: Apache-2.0
"""Whom the functions of the policies that ship mail about and touch: events of all kinds, by c7n's own archives.

EventBridge's part, what starts a function, is moto's matching of the patterns; see tests/event_patterns.py.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import cloudtrail_events as trail
from tests.event_patterns import CREDENTIALS, DENY, QUARANTINE, started
from tests.packaging.environments import ACCOUNTS, ROOT, Environment, Variables
from tests.packaging.test_lambda_archive import client_of, invoke, link_runtime, unpack_archive, upload

DENY_ALL = "arn:aws:iam::aws:policy/AWSDenyAll"
#: What accounts.yml gives.
FILLED = {
    "account_id": ACCOUNTS[0],
    "partition": "aws",
    "owner": "owner@example.com",
    "account_name": "payments",
    "contact": "cloud@example.com",
    # the emulator finds a queue in the caller's account only
    "realtime_queue_url": f"https://sqs.us-east-1.amazonaws.com/{ACCOUNTS[0]}/iam-users-realtime",
    "lambda_bucket": "realtime",
    "lambda_role": "IamUsersRealtime",
    "lambda_quarantine_role": "IamUsersRealtimeQuarantine",
    "runner_role": "IamUsersRemover",
    "restorer_role": "IamUsersRestorer",
    "email_domain": "example.com",
}


def write_shipped_policy(file: Path, name: str) -> None:
    """The policy of that name, filled in as c7n-org does."""
    texts = [
        (ROOT / "policies" / f"{each}.yml").read_text(encoding="utf-8")
        for each in ("realtime", "realtime-quarantine")
    ]
    for variable, value in FILLED.items():
        texts = [text.replace(f"{{{variable}}}", value) for text in texts]
    found = {each["name"]: each for text in texts for each in yaml.safe_load(text)["policies"]}
    policy = found[name]
    # c7n would ask for the bucket's Region by HTTPS
    output = {"output_dir": f"{policy['mode']['execution-options']['output_dir']}?region=us-east-1"}
    policy["mode"] |= {"execution-options": output}
    file.write_text(json.dumps({"policies": [policy]}), encoding="utf-8")


class Case:
    """A user, the calls on it, and what is to become of it.

    ``calls``: functions of the user, as IAM has it, that return an event. ``mails``: messages about it, of the
    functions for credentials, for removed Denies and for new users, by the name that it has then. ``meanwhile``: what
    is done before the events are delivered, by a function of IAM's client and the name; it returns the name of then.
    """

    def __init__(
        self,
        *calls: Callable[[dict[str, Any]], dict[str, Any]],
        mails: tuple[int, int, int] = (0, 0, 0),
        denied: bool = False,
        path: str = "/",
        meanwhile: Callable[[Any, str], str] = lambda _, name: name,
    ) -> None:
        self.calls, self.mails, self.denied, self.path = calls, mails, denied, path
        self.meanwhile = meanwhile


def call(name: str, who: Any = trail.CONSOLE, asked: Any = None, **more: Any) -> Any:
    """The event of a call about a user, right after it was created."""

    def made(user: dict[str, Any]) -> dict[str, Any]:
        parameters = {"userName": user["UserName"], **(asked or {})}
        answer = {"user": {"userName": user["UserName"], "userId": user["UserId"]}}
        time = (user["CreateDate"] + timedelta(seconds=more.get("after", 0))).strftime("%Y-%m-%dT%H:%M:%SZ")
        rest = {key: value for key, value in more.items() if key not in ("after", "account")}
        given = trail.event(name, who, parameters, answer if name == "CreateUser" else None, time, **rest)
        return {**given, "account": more.get("account", ACCOUNTS[0])}

    return made


def by_itself(name: str) -> Any:
    """The event of a call of a user about itself, without its name."""

    def made(user: dict[str, Any]) -> dict[str, Any]:
        who = {**trail.CLI, "userName": user["UserName"], "principalId": user["UserId"], "arn": user["Arn"]}
        time = user["CreateDate"].strftime("%Y-%m-%dT%H:%M:%SZ")
        return trail.event(name, who, None, None, time)

    return made


def deleted(iam: Any, name: str) -> str:
    iam.delete_user(UserName=name)
    return name


def recreated(iam: Any, name: str) -> str:
    iam.delete_user(UserName=name)
    iam.create_user(UserName=name)
    return name


def renamed(iam: Any, name: str) -> str:
    iam.update_user(UserName=name, NewUserName=f"{name}-2", NewPath="/emergency/")
    return f"{name}-2"


def named_again(iam: Any, name: str) -> str:
    found = renamed(iam, name)
    iam.create_user(UserName=name)
    return found


NEW, KEY = (1, 0, 1), (1, 0, 0)
created, key = call("CreateUser"), call("CreateAccessKey")
twice = call("CreateUser", eventID="11111111-0000-0000-0000-000000000000")
LARGE = {"tags": [{"key": f"k{number}", "value": "x" * 256} for number in range(50)], "more": "y" * 240_000}
CASES = {
    # who
    **{
        f"by-{kind}": Case(
            call("CreateUser", who), call("CreateAccessKey", who), mails=(2, 0, 1), denied=True
        )
        for kind, who in trail.STRANGERS.items()
    },
    "by-remover": Case(call("CreateUser", trail.RUNNER), call("CreateAccessKey", trail.RUNNER)),
    "by-restorer": Case(call("CreateUser", trail.RESTORER), call("UpdateAccessKey", trail.RESTORER)),
    "by-itself": Case(by_itself("CreateAccessKey"), by_itself("UploadSSHPublicKey"), mails=(2, 0, 0)),
    # what
    **{
        f"a-{name}": Case(call(name), mails=KEY)
        for name in (
            *("CreateLoginProfile", "UpdateLoginProfile", "CreateServiceSpecificCredential"),
            *("ResetServiceSpecificCredential", "UploadSSHPublicKey", "UploadSigningCertificate"),
        )
    },
    "a-activation": Case(call("UpdateAccessKey", asked={"status": "Active"}), mails=KEY),
    "a-deactivation": Case(call("UpdateAccessKey", asked={"status": "Inactive"})),
    "a-deny-removed": Case(
        call("DeleteUserPolicy", asked={"policyName": "c7n-iamusers-deny-all"}),
        call("DetachUserPolicy", asked={"policyArn": DENY_ALL}),
        mails=(0, 2, 0),
    ),
    "a-boundary-removed": Case(call("DeleteUserPermissionsBoundary"), mails=(0, 1, 0)),
    "another-policy": Case(
        call("PutUserPolicy", asked={"policyName": "s3"}), call("DetachUserPolicy", asked={"policyArn": "x"})
    ),
    # how it is named
    "git-backdoor": Case(created, mails=NEW, denied=True),
    "BedrockAPIKey-ab12": Case(created, mails=NEW, denied=True),
    "break-glass": Case(created, mails=NEW, denied=True, path="/emergency/"),
    # how it arrives
    "failed": Case(call("CreateUser", errorCode="AccessDenied"), call("CreateAccessKey", errorCode="x")),
    "twice": Case(twice, twice, mails=NEW, denied=True),
    "out-of-order": Case(call("CreateAccessKey", after=5), created, mails=(2, 0, 1), denied=True),
    "too-early-to-be-of-it": Case(call("CreateUser", after=-3600), call("CreateAccessKey", after=-3600)),
    "of-another-account": Case(
        call("CreateUser", account=ACCOUNTS[1]), call("CreateAccessKey", account=ACCOUNTS[1])
    ),
    "deleted": Case(created, key, meanwhile=deleted),
    # a key has no id of its user in the event, and the call is not older than the user of now
    "recreated": Case(created, meanwhile=recreated),
    "renamed": Case(created, mails=NEW, denied=True, meanwhile=renamed),
    "named-again": Case(created, mails=NEW, denied=True, meanwhile=named_again),
    "large": Case(call("CreateUser", asked=LARGE), mails=NEW, denied=True),
}


#: One of each sort. The others take a minute more.
SOME = (
    *(
        "by-root",
        "by-restorer",
        "by-itself",
        "a-activation",
        "a-deactivation",
        "a-deny-removed",
        "git-backdoor",
    ),
    *("failed", "twice", "of-another-account", "deleted", "recreated", "named-again", "large"),
)


@pytest.mark.parametrize("disposable", ["wheel"], indirect=True)
@pytest.mark.parametrize(
    "cases",
    [
        pytest.param({name: CASES[name] for name in SOME}, id="some"),
        pytest.param(CASES, id="all", marks=pytest.mark.soak),
    ],
)
def test_who_is_mailed_and_touched(
    disposable: Environment, organization: dict[str, Variables], tmp_path: Path, cases: Mapping[str, Case]
) -> None:
    variables = {**organization[ACCOUNTS[0]], "C7N_DEBUG_EVENT": "no"}
    rules = "path,user,reason,expires\n/emergency/*,,a test,2999-12-31\n,git-*,a test,2999-12-31\n"
    upload(variables, "realtime", "exemptions.csv", rules)
    client_of(variables, "sqs").create_queue(QueueName="iam-users-realtime")
    iam = client_of(variables, "iam")
    before = users(iam)
    made = {name: iam.create_user(UserName=name, Path=case.path)["User"] for name, case in cases.items()}
    events = [event(made[name]) for name, case in cases.items() for event in case.calls]
    names = {name: case.meanwhile(iam, name) for name, case in cases.items()}
    link_runtime(tmp_path / "runtime")
    for policy in (CREDENTIALS, DENY, QUARANTINE):
        write_shipped_policy(disposable.home / "policy.json", policy)
        handler = unpack_archive(disposable, tmp_path / policy)
        delivered = [each for each in events if policy in started(each)]
        assert len(delivered) < len(events)
        invoke(tmp_path / policy, handler, variables, *delivered)

    told = mails(client_of(variables, "s3"))
    assert {name: tuple(told[now, step] for step in STEPS) for name, now in names.items()} == {
        name: case.mails for name, case in cases.items()
    }
    new = users(iam) - before
    assert {name for name in new if denied(iam, name)} == {
        names[name] for name, case in cases.items() if case.denied
    }
    # nobody else was addressed, and the Deny is all that was done
    assert {name for name, _ in told} == {names[name] for name, case in cases.items() if any(case.mails)}
    for name in new:
        assert iam.list_user_policies(UserName=name)["PolicyNames"] == []
        assert iam.list_user_tags(UserName=name)["Tags"] == []
        # other tests of the organization expect the users that it began with
        if denied(iam, name):
            iam.detach_user_policy(UserName=name, PolicyArn=DENY_ALL)
        iam.delete_user(UserName=name)


#: Where the functions record their messages, and the step there.
STEPS = (("notices", "created"), ("notices", "deny-removed"), ("quarantine-notices", "created"))


def mails(s3: Any) -> Counter[tuple[str, tuple[str, str]]]:
    """How many messages there were about each user, by STEPS. Each went to the owner of the account."""
    found: Counter[tuple[str, tuple[str, str]]] = Counter()
    for place in {place for place, _ in STEPS}:
        for each in s3.list_objects_v2(Bucket="realtime", Prefix=f"realtime/{place}/")["Contents"]:
            if not each["Key"].endswith(".json"):
                continue
            record = json.loads(s3.get_object(Bucket="realtime", Key=each["Key"])["Body"].read())
            assert record["addresses"][0] == "owner@example.com"
            found.update((row["user"], (place, record["step"])) for row in record["users"])
    return found


def users(iam: Any) -> set[str]:
    return {user["UserName"] for page in iam.get_paginator("list_users").paginate() for user in page["Users"]}


def denied(iam: Any, name: str) -> bool:
    attached = iam.list_attached_user_policies(UserName=name)["AttachedPolicies"]
    return DENY_ALL in {each["PolicyArn"] for each in attached}
