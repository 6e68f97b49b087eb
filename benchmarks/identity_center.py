# SPDX-License-Identifier: Apache-2.0
"""Measures deriving permission sets for a large organization, a whole run, and a run that changes nothing.

    python -m benchmarks.identity_center [derive|plan|unchanged] [ACCOUNTS] [USERS_AN_ACCOUNT]

``derive``: from intents on disk to the report, in its own process: CPU seconds, the seconds for parsing the
intents alone, and peak memory. ``plan``: a whole run of ``provision apply --member-role`` for an empty Identity Center,
from the intents to the plan's file and all results, without its changing calls; its floor is parsing the
intents and AWS's responses. ``unchanged``: the calls of a run that changes nothing, and the floor:
one call per account for its permission sets, one for each set, and one for the members of each group.
"""

from __future__ import annotations

import base64
import itertools
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import ChainMap, Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import parse_qs, quote
from xml.sax.saxutils import escape

import boto3
import botocore.session
from botocore.awsrequest import AWSResponse

from benchmarks.results import ROOT, BenchmarkError, Derived, Planned, Unchanged
from benchmarks.run_policy import peak_mib
from benchmarks.virtual_center import VirtualCenter
from c7n_iamusers.evidence.working_credentials import WorkingCredentials
from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.execution.journal import utc_now
from c7n_iamusers.execution.journaled_call import resolve
from c7n_iamusers.execution.retries import Backoff
from c7n_iamusers.iam.accounts import PolicySource
from c7n_iamusers.identity_center.access_derivation import AccessDerivation
from c7n_iamusers.identity_center.access_plan import Change
from c7n_iamusers.identity_center.applying import access_run
from c7n_iamusers.identity_center.applying.recheck import Recheck
from c7n_iamusers.identity_center.aws.instance import connect
from c7n_iamusers.identity_center.fleet import Fleet, TrustOptions, read_fleet
from c7n_iamusers.identity_center.model import Person
from c7n_iamusers.identity_center.output.plan_files import PlanOptions
from c7n_iamusers.identity_center.output.reports import DERIVATION_FILE, write_derivation_report
from c7n_iamusers.identity_center.provisioning import RunOptions, provision
from c7n_iamusers.identity_center.requests.intent_checks import PeopleAuthority, PolicySettings
from c7n_iamusers.identity_center.requests.intent_files import write_intents
from c7n_iamusers.identity_center.requests.intents import INTENTS_FILE, Intents, UserIntent
from c7n_iamusers.identity_center.requests.member_accounts import MemberAccounts, ReadAccounts
from c7n_iamusers.identity_center.writer.change import WriterContext
from c7n_iamusers.identity_center.writer.writer import DONE, ApplyOptions, ChangeResult

#: Customer-managed policies in each account, of which each user has two; each user is in one of three groups.
POLICIES, OWN_POLICIES = 10, 2
ROLE = "arn:aws:iam::{account_id}:role/Reader"
_DERIVE = {"identity-center-mfa": True}
#: Account id, the user's number and randomness -> the members of ``UserDetail`` with its policies.
Policies = Callable[[str, int, random.Random], dict[str, Any]]
_ALLOW = {"Effect": "Allow", "Resource": "*"}
_OWN_KEYS = {**_ALLOW, "Action": "iam:ChangePassword", "Resource": "arn:aws:iam::*:user/${aws:username}"}
_FORCE_MFA = {
    "Effect": "Deny",
    "Action": "*",
    "Resource": "*",
    "Condition": {"BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}},
}


def main(arguments: list[str]) -> None:
    """One measurement, printed as JSON."""
    what = arguments[0] if arguments else "derive"
    accounts, users = (int(each) for each in (*arguments[1:3], *("400", "200")[len(arguments[1:3]) :]))
    measure: Mapping[str, Callable[[int, int], Any]] = {
        "derive": derive,
        "plan": plan,
        "unchanged": unchanged,
    }
    print(json.dumps(asdict(measure[what](accounts, users))))


def measured_derivation(accounts: int, users: int) -> Derived:
    """Raises BenchmarkError where it fails."""
    return Derived(**_of_a_process("derive", accounts, users))


def measured_plan(accounts: int, users: int) -> Planned:
    """Raises BenchmarkError where it fails."""
    return Planned(**_of_a_process("plan", accounts, users))


def measured_unchanged(accounts: int, users: int) -> Unchanged:
    """Raises BenchmarkError where it fails."""
    return Unchanged(**_of_a_process("unchanged", accounts, users))


def _of_a_process(what: str, accounts: int, users: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.identity_center", what, str(accounts), str(users)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise BenchmarkError(f"{' '.join(command[1:])} ended with {done.returncode}: {done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def derive(accounts: int, users: int) -> Derived:
    """Every user has two of its account's ten policies, a group's, and an inline one."""
    with tempfile.TemporaryDirectory() as directory:
        output = Path(directory)
        leave_apart(output, accounts, users, of_derivation)
        began = time.process_time()
        fleet = read_fleet(output, trust=TrustOptions(trusted=True))
        list(write_derivation_report(output, fleet.derivation.results))
        ended, peak = time.process_time(), peak_mib()
        (derivation,) = fleet.derivation.results
        if refused := derivation.refused:
            raise BenchmarkError(f"{len(refused)} users refused: {refused[0].reason}")
        size = (output / DERIVATION_FILE).stat().st_size / 1e6
        parsing = time.process_time()
        _parse(output)
        floor = time.process_time() - parsing
        return Derived(accounts, accounts * users, len(derivation.sets), ended - began, floor, peak, size)


def plan(accounts: int, users: int) -> Planned:
    """The users of ``derive``."""
    answers = AccountAnswers(lambda account: account_details(account, users, of_derivation))
    members = MemberAccounts(ROLE, answers.session(), Backoff())
    phases = Phases(answers)
    with tempfile.TemporaryDirectory() as directory:
        output = Path(directory)
        leave_apart(output, accounts, users, of_derivation)
        phases.begin()
        trust = TrustOptions(read=phases.read(members), policy_settings=settings_of)
        fleet = read_fleet(output, trust=trust, derivation=TimedDerivation(phases))
        _plan_and_record(fleet, phases)
        phases.begin()
        _parse(output)
        answers.parse(map(account_id, range(accounts)))
        floor = phases.seconds.pop(phases.end("floor"))
    return Planned(accounts, accounts * users, phases.seconds, floor)


class Phases:
    """CPU seconds between the ends of phases, without the generation of AWS's responses."""

    def __init__(self, answers: AccountAnswers) -> None:
        self._answers, self._since = answers, 0.0
        self.seconds: dict[str, float] = {}
        self.peaks: dict[str, float] = {}

    def begin(self) -> None:
        self._since = time.process_time() - self._answers.seconds

    def end(self, name: str) -> str:
        now = time.process_time() - self._answers.seconds
        self.seconds[name] = self.seconds.get(name, 0.0) + now - self._since
        self._since, self.peaks[name] = now, peak_mib()
        return name

    def read(self, members: MemberAccounts) -> ReadAccounts:
        """``members.read``, after the intents have been read."""

        def read(account_ids: Iterable[str], with_policies: Mapping[str, Collection[str]]) -> Any:
            self.end("intents")
            return members.read(account_ids, with_policies)

        return read

    def said(self, line: str) -> None:
        """The phase that ``provision`` reports as ended."""
        if line.startswith("Derived: "):
            self.end("report")
        if "--plan-sha256" in line:
            self.end("plan")


class TimedDerivation(AccessDerivation):
    def __init__(self, phases: Phases) -> None:
        super().__init__()
        self._phases = phases

    def __call__(self, rows: Any) -> Any:
        self._phases.end("accounts")
        found = super().__call__(rows)
        self._phases.end("derivation")
        return found


class _AtOnce:
    """Replaces the writer, whose calls take hours: every call succeeds and is in the journal."""

    def __init__(self, context: WriterContext, changes: Sequence[Change], options: ApplyOptions) -> None:
        self._journal, self._changes, self._ids = context.journal, changes, itertools.count()

    def run(self) -> dict[str, ChangeResult]:
        known: dict[str, str] = {}
        ended: dict[str, ChangeResult] = {}
        for change in self._changes:
            own: dict[str, str] = {}
            for call in change.calls:
                given = {"service": call.service, "operation": call.operation}
                given["parameters"] = resolve(call.parameters, ChainMap(own, known))
                saved = {name: f"{next(self._ids):036}" for name in call.save}
                own.update(saved)
                self._journal.write(change.subject, "before", **given)
                self._journal.write(change.subject, "after", **given, result="done", saved=saved)
            known.update({f"{change.key}:{name}": value for name, value in own.items()})
            ended[change.key] = ChangeResult(DONE, len(change.calls), own)
        return ended


def not_synced(_: int) -> None:
    """In place of os.fsync. A mock would keep every call."""


def _plan_and_record(fleet: Fleet, phases: Phases) -> None:
    """The first run of ``provision``, which has everything to create."""
    center = VirtualCenter(CALLER, 0.0).connected()
    plan_options = PlanOptions(Path(str(fleet.output), "plan.json"))
    with (
        mock.patch.object(access_run, "SingleWriter", _AtOnce),
        # The empty Identity Center has nothing to read again.
        mock.patch.object(Recheck, "changed_sets_since", return_value=()),
        mock.patch("os.fsync", not_synced),
        # The lock of an instance is there.
        mock.patch.dict("os.environ", {"XDG_CACHE_HOME": str(fleet.output)}),
    ):
        failures = provision(fleet, center, phases.said, ApplyOptions(), RunOptions(plan=plan_options))
    if failures or fleet.desired.refused:
        raise BenchmarkError(f"users were refused: {[*failures, *fleet.desired.refused][:3]}")
    phases.end("results")


def unchanged(accounts: int, users: int) -> Unchanged:
    """Three groups per account, with ``users`` people in total."""
    # Here alone: with moto it takes more than 100 MB, which would count for the other measurements.
    from aws_local_org import LocalOrg, Settings

    members = tuple((account_id(number), f"account-{number}") for number in range(accounts))
    with (
        LocalOrg(Settings(member_accounts=members, assignment_seconds=0)) as org,
        tempfile.TemporaryDirectory() as at,
    ):
        os.environ["XDG_CACHE_HOME"] = at
        output = Path(at) / "output"
        leave(output, accounts, users, of_three_groups)
        center = connect(org.session(), "us-east-1", Backoff(base=0.01, cap=0.05, budget=30.0), 10_000)
        fleet = read_fleet(output, trust=TrustOptions(trusted=True))
        failures = provision(fleet, center, lambda _: None, ApplyOptions(120.0))
        made = Counter(call.operation for call in org.calls)["CreateAccountAssignment"]
        org.clear_calls()
        said: list[str] = []
        fleet = read_fleet(output, trust=TrustOptions(trusted=True))
        failures += provision(fleet, center, said.append, ApplyOptions(120.0))
        calls = len(org.calls)
    if failures or "Nothing to do." not in said:
        raise BenchmarkError(f"the second run was not empty: {[*failures, *said][:3]}")
    return Unchanged(accounts, made, accounts * users, calls, accounts + 2 * made)


def _parse(output: Path) -> None:
    for path in output.rglob(INTENTS_FILE):
        json.loads(path.read_text(encoding="utf-8"))


def leave_apart(output: Path, accounts: int, users: int, policies: Policies) -> None:
    """Leave intents, in a process of its own, so that creating them is not measured."""
    if child := os.fork():
        os.waitpid(child, 0)
    else:
        leave(output, accounts, users, policies)
        os._exit(0)


def leave(output: Path, accounts: int, users: int, policies: Policies) -> None:
    for number in range(accounts):
        account = account_id(number)
        documents = {f"arn:aws:iam::{account}:policy/Team{each}": _team(each) for each in range(POLICIES)}
        found = tuple(_users(account, users, policies))
        source = PolicySource({"Everyone": _everyone()}, documents)
        intents = Intents(account, "derive", found, derive=_DERIVE, source=source, place=account)
        write_intents(output / account / "us-east-1" / "derive", intents)


def settings_of(intents: Intents) -> PolicySettings:
    """What a policy with the settings of these intents asks for."""
    return PolicySettings(
        "benchmark", Intents(intents.account_id, "derive", (), derive=_DERIVE), PeopleAuthority()
    )


def account_id(number: int) -> str:
    return f"{100000000001 + number:012}"


def account_details(account: str, users: int, held: Policies) -> dict[str, Any]:
    """The result of GetAccountAuthorizationDetails, with three versions of each policy."""
    policies = [
        {
            "Arn": f"arn:aws:iam::{account}:policy/Team{number}",
            "DefaultVersionId": "v1",
            "PolicyVersionList": [
                {"VersionId": f"v{version}", "Document": _team(number)} for version in (1, 2, 3)
            ],
        }
        for number in range(POLICIES)
    ]
    return {
        "IsTruncated": "false",
        "UserDetailList": [dict(user.detail or {}) for user in _users(account, users, held)],
        "GroupDetailList": [{"GroupName": "Everyone", **_everyone()}],
        "Policies": policies,
    }


def _users(account: str, users: int, policies: Policies) -> Iterator[UserIntent]:
    chance = random.Random(account)
    return (_user(account, number, policies(account, number, chance)) for number in range(users))


def _everyone() -> dict[str, Any]:
    return {
        "GroupPolicyList": [
            {"PolicyName": "Own", "PolicyDocument": _document(_OWN_KEYS)},
            {"PolicyName": "MFA", "PolicyDocument": _document(_FORCE_MFA)},
        ],
        "AttachedManagedPolicies": [],
    }


def of_derivation(account: str, number: int, chance: random.Random) -> dict[str, Any]:
    attached = chance.sample(range(POLICIES), OWN_POLICIES)
    inline = {**_ALLOW, "Action": ["s3:Get*", "s3:List*"], "Resource": f"arn:aws:s3:::data-{number % 5}/*"}
    return {
        "AttachedManagedPolicies": [
            {"PolicyArn": f"arn:aws:iam::{account}:policy/Team{each}"} for each in attached
        ],
        "UserPolicyList": [{"PolicyName": "Data", "PolicyDocument": _document(inline)}],
        "GroupList": ["Everyone"],
    }


def of_three_groups(_account: str, number: int, _chance: random.Random) -> dict[str, Any]:
    inline = {"PolicyName": "Team", "PolicyDocument": _team(number % 3)}
    return {"AttachedManagedPolicies": [], "UserPolicyList": [inline], "GroupList": []}


def _team(number: int) -> dict[str, Any]:
    return _document({**_ALLOW, "Action": f"svc{number}:*"}, {**_ALLOW, "Action": "dynamodb:GetItem"})


def _document(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def _user(account: str, number: int, held: dict[str, Any]) -> UserIntent:
    name = f"user-{number}"
    arn, unique_id = f"arn:aws:iam::{account}:user/{name}", f"AIDA{account}{number:04}"
    who = f"{account}-{number}@example.com"
    tags = [{"Key": "Email", "Value": who}, {"Key": "Team", "Value": f"team-{number % 20}"}]
    detail = {"Arn": arn, "UserName": name, "UserId": unique_id, "Tags": tags, **held}
    return UserIntent(
        Subject(name, arn, unique_id),
        Person(who, who, f"Given{number}", f"Family{number}", f"Given{number} Family{number}"),
        "tag:Email",
        "",
        json.loads(json.dumps(detail)),
        credentials=WorkingCredentials(("login-profile",), mfa=True, as_of=utc_now().replace(microsecond=0)),
    )


# Responses of STS and IAM for any number of accounts, generated in this process: real clients, no server.

CALLER = "999999999999"
#: A key of a session in an account ends with the account's id.
_KEY = "ASIA"


class AccountAnswers:
    """``details``: account id -> the result of GetAccountAuthorizationDetails, as botocore parses it."""

    def __init__(self, details: Callable[[str], Mapping[str, Any]]) -> None:
        self._details = details
        self._made: list[float] = []

    @property
    def seconds(self) -> float:
        """CPU seconds for generating responses, which is not counted because AWS does it."""
        return sum(self._made)

    def session(self) -> boto3.Session:
        """A session of CALLER."""
        core = botocore.session.get_session()
        core.set_credentials(f"AKIA{CALLER}", "secret")
        core.register("before-send", self._answer)  # type: ignore[arg-type]
        return boto3.Session(botocore_session=core, region_name="us-east-1")

    def parse(self, account_ids: Iterable[str]) -> None:
        """Let botocore parse the responses of these accounts, without keeping them."""
        session = self.session()
        sts = session.client("sts")
        for account in account_ids:
            role = ROLE.format(account_id=account)
            keys = sts.assume_role(RoleArn=role, RoleSessionName="floor")["Credentials"]
            session.client(
                "iam",
                aws_access_key_id=keys["AccessKeyId"],
                aws_secret_access_key=keys["SecretAccessKey"],
                aws_session_token=keys["SessionToken"],
            ).get_account_authorization_details()

    def _answer(self, request: Any, **_: Any) -> AWSResponse:
        began = time.thread_time()
        asked = {name: values[0] for name, values in parse_qs(_text(request.body)).items()}
        operation = asked["Action"]
        result = self._result(operation, asked, _text(request.headers["Authorization"]))
        metadata = "<ResponseMetadata><RequestId>measured</RequestId></ResponseMetadata>"
        body = f"<{operation}Response>{_xml(f'{operation}Result', result)}{metadata}</{operation}Response>".encode()
        self._made.append(time.thread_time() - began)
        return AWSResponse(request.url, 200, {}, _Body(body))  # type: ignore[arg-type]

    def _result(self, operation: str, asked: Mapping[str, str], authorization: str) -> Mapping[str, Any]:
        if operation == "GetCallerIdentity":
            return {"Account": CALLER, "Arn": f"arn:aws:iam::{CALLER}:root", "UserId": CALLER}
        if operation == "AssumeRole":
            account = asked["RoleArn"].split(":")[4]
            keys = {"AccessKeyId": f"{_KEY}{account}", "SecretAccessKey": "secret", "SessionToken": "token"}
            return {"Credentials": {**keys, "Expiration": "2100-01-01T00:00:00Z"}}
        if operation.startswith("List"):
            return {"IsTruncated": "false", **{name: [] for name in _lists_of(operation)}}
        details = self._details(authorization.partition(f"Credential={_KEY}")[2][:12])
        return _report(details) if operation == "GetCredentialReport" else details


@cache
def _lists_of(operation: str) -> tuple[str, ...]:
    """The lists in IAM's answers to ``operation``, which has an empty one too."""
    model: Any = botocore.session.get_session().get_service_model("iam").operation_model(operation)
    return tuple(name for name, member in model.output_shape.members.items() if member.type_name == "list")


_NO_KEYS = (
    "access_key_1_active,access_key_1_last_rotated,access_key_2_active,access_key_2_last_rotated,"
    "cert_1_active,cert_1_last_rotated,cert_2_active,cert_2_last_rotated"
)


def _report(details: Mapping[str, Any]) -> Mapping[str, Any]:
    """The result of GetCredentialReport: each user has a password and an MFA device."""
    lines = [f"user,password_enabled,mfa_active,{_NO_KEYS}"]
    lines += [f"{each['UserName']},true,true{',false,N/A' * 4}" for each in details["UserDetailList"]]
    content = base64.b64encode("\n".join(lines).encode()).decode()
    return {"Content": content, "ReportFormat": "text/csv", "GeneratedTime": utc_now().isoformat()}


class _Body:
    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self) -> Iterator[bytes]:
        yield self._content


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _xml(name: str, value: Any) -> str:
    if isinstance(value, Mapping) and "Statement" in value:
        inner = quote(json.dumps(value))
    elif isinstance(value, Mapping):
        inner = "".join(_xml(key, each) for key, each in value.items())
    elif isinstance(value, list):
        inner = "".join(_xml("member", each) for each in value)
    else:
        inner = escape(str(value))
    return f"<{name}>{inner}</{name}>"


if __name__ == "__main__":
    main(sys.argv[1:])
